// What this machine can do at most, on as many threads as OMP_NUM_THREADS says: a program that prints JSON.
//
// Memory is read, written and copied in working sets of 64 KiB to 256 MiB, each thread in a part of its own;
// multiply-adds of float32 and minima of uint8 stay in registers. Each figure is the best of REPETITIONS (the argument,
// 5 by default), as a limit is asked for.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <omp.h>
#ifdef __linux__
#include <sys/mman.h>
#endif
#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr std::size_t vector_bytes = 64;
#elif defined(__AVX__)
constexpr std::size_t vector_bytes = 32;
#else
constexpr std::size_t vector_bytes = 16;
#endif
using Bytes = std::uint8_t __attribute__((vector_size(vector_bytes)));
using Floats = float __attribute__((vector_size(vector_bytes)));

constexpr std::size_t largest = std::size_t{256} << 20;
constexpr std::size_t huge_page = std::size_t{2} << 20;
constexpr int chains = 12;  // independent ones hide the latency, and fit 16 registers

// What is timed at a time, so that it takes some milliseconds.
constexpr std::int64_t register_turns = std::int64_t{1} << 22;
constexpr std::size_t traffic = std::size_t{512} << 20;  // bytes of each thread

int repetitions = 5;

double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Seconds of one turn of `work(thread, threads, turns)` on all threads at once: the best of several times `turns`.
template <typename Work>
double best_seconds(std::int64_t turns, Work work) {
    double best = 1e300;
    for (int repetition = 0; repetition < repetitions; ++repetition) {
        double start = 0;
#pragma omp parallel
        {
            const int thread = omp_get_thread_num();
            const int threads = omp_get_num_threads();
#pragma omp barrier
#pragma omp master
            start = now();
#pragma omp barrier
            work(thread, threads, turns);
        }
        best = std::min(best, now() - start);
    }
    return best / static_cast<double>(turns);
}

// Keeps the compiler from leaving out what writes to memory, and from knowing what is read.
void touch(void* memory) {
    asm volatile("" : : "r"(memory) : "memory");
}

void read(const std::uint8_t* from, std::size_t bytes) {
    Bytes sums[8] = {};
    for (std::size_t i = 0; i + 8 * vector_bytes <= bytes; i += 8 * vector_bytes) {
        for (std::size_t lane = 0; lane < 8; ++lane) {
            sums[lane] ^= *reinterpret_cast<const Bytes*>(from + i + lane * vector_bytes);
        }
    }
    touch(sums);
}

#ifdef __SSE2__
void stream(std::uint8_t* to, const std::uint8_t* from, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; i += 16) {
        const __m128i pixels = from == nullptr ? _mm_setzero_si128() : *reinterpret_cast<const __m128i*>(from + i);
        _mm_stream_si128(reinterpret_cast<__m128i*>(to + i), pixels);
    }
    _mm_sfence();
}
#endif

// Each thread works on its part of `bytes`, a whole number of lines.
template <typename Kernel>
double parts_seconds(std::size_t bytes, Kernel kernel) {
    const std::size_t passes = traffic * static_cast<std::size_t>(omp_get_max_threads()) / bytes;
    return best_seconds(static_cast<std::int64_t>(std::max<std::size_t>(1, passes)),
                        [=](int thread, int threads, std::int64_t turns) {
                            const std::size_t part = bytes / static_cast<std::size_t>(threads) / 1024 * 1024;
                            for (std::int64_t turn = 0; turn < turns; ++turn) {
                                kernel(part * static_cast<std::size_t>(thread), part);
                            }
                        });
}

double write_seconds(std::uint8_t* memory, std::size_t bytes) {
    double best = parts_seconds(bytes, [=](std::size_t start, std::size_t part) {
        std::memset(memory + start, 0, part);
        touch(memory);
    });
#ifdef __SSE2__
    best = std::min(best, parts_seconds(bytes, [=](std::size_t start, std::size_t part) {
                        stream(memory + start, nullptr, part);
                    }));
#endif
    return best;
}

double copy_seconds(std::uint8_t* memory, std::size_t bytes) {
    const std::uint8_t* from = memory + bytes / 2;
    double best = parts_seconds(bytes / 2, [=](std::size_t start, std::size_t part) {
        std::memcpy(memory + start, from + start, part);
        touch(memory);
    });
#ifdef __SSE2__
    best = std::min(best, parts_seconds(bytes / 2, [=](std::size_t start, std::size_t part) {
                        stream(memory + start, from + start, part);
                    }));
#endif
    return best;
}

double multiply_add_seconds() {
    return best_seconds(register_turns, [](int, int, std::int64_t turns) {
        Floats sums[chains];
        for (int chain = 0; chain < chains; ++chain) {
            sums[chain] = Floats{} + static_cast<float>(chain);
        }
        Floats factor = Floats{} + 0.5F;
        Floats term = Floats{} + 1.0F;
        asm volatile("" : "+m"(factor), "+m"(term));
        for (std::int64_t turn = 0; turn < turns; ++turn) {
            for (int chain = 0; chain < chains; ++chain) {
                sums[chain] = sums[chain] * factor + term;
            }
        }
        Floats all = sums[0];  // touching the array itself would keep it in memory
        for (const Floats& sum : sums) {
            all += sum;
        }
        touch(&all);
    });
}

Bytes smaller(Bytes left, Bytes right) {
    return left < right ? left : right;
}

// One more minimum in each of four chains, in variables of their own: GCC 12 would keep an array of them in memory.
double minimum_seconds() {
    return best_seconds(register_turns, [](int, int, std::int64_t turns) {
        Bytes first = Bytes{} + std::uint8_t{254};
        Bytes second = Bytes{} + std::uint8_t{253};
        Bytes third = Bytes{} + std::uint8_t{252};
        Bytes fourth = Bytes{} + std::uint8_t{251};
        Bytes other = Bytes{} + std::uint8_t{200};
        for (std::int64_t turn = 0; turn < turns; ++turn) {
            asm volatile("" : "+m"(other));
            first = smaller(first, other);
            second = smaller(second, other);
            third = smaller(third, other);
            fourth = smaller(fourth, other);
        }
        Bytes all = first + second + third + fourth;
        touch(&all);
    });
}

}  // namespace

int main(int count, char** arguments) {
    if (count > 1) {
        repetitions = std::max(1, std::atoi(arguments[1]));
    }
    auto* memory = static_cast<std::uint8_t*>(std::aligned_alloc(huge_page, largest));
    if (memory == nullptr) {
        return 1;
    }
#ifdef __linux__
    madvise(memory, largest, MADV_HUGEPAGE);  // as NumPy does
#endif
    parts_seconds(largest, [=](std::size_t start, std::size_t part) { std::memset(memory + start, 1, part); });

    const double threads = omp_get_max_threads();
    const double floats = chains * static_cast<double>(vector_bytes / sizeof(float)) * threads;
    const double bytes = 4 * static_cast<double>(vector_bytes) * threads;
    std::printf("{\"threads\": %g, \"fma_gflops\": %.4g, \"uint8_min_gops\": %.4g, \"bandwidth\": [", threads,
                2 * floats / multiply_add_seconds() / 1e9, bytes / minimum_seconds() / 1e9);
    for (std::size_t set = std::size_t{64} << 10; set <= largest; set *= 2) {
        const double size = static_cast<double>(set);
        const double read_seconds =
            parts_seconds(set, [=](std::size_t start, std::size_t part) { read(memory + start, part); });
        std::printf("%s{\"bytes\": %zu, \"copy_gb_s\": %.4g, \"read_gb_s\": %.4g, \"write_gb_s\": %.4g}",
                    set == (std::size_t{64} << 10) ? "" : ", ", set, size / copy_seconds(memory, set) / 1e9,
                    size / read_seconds / 1e9, size / write_seconds(memory, set) / 1e9);
    }
    std::printf("]}\n");
    std::free(memory);
    return 0;
}
