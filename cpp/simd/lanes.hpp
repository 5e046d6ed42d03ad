// Vectors for leaf loops, as wide as the registers of the level that is compiled (GCC and Clang vector
// extensions). No kernel names an instruction set; this is the only place that knows a width.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "core/index.hpp"

namespace imkernels {

#if defined(__AVX512F__)
inline constexpr index vector_bytes = 64;
#elif defined(__AVX__)
inline constexpr index vector_bytes = 32;
#else
inline constexpr index vector_bytes = 16;
#endif

/// Vectors that fit into registers.
#if defined(__SSE2__) && !defined(__AVX512F__)
inline constexpr index vector_registers = 16;
#else
inline constexpr index vector_registers = 32;
#endif

/// Before a loop: four rounds in one. Compilers do not do it by themselves where a store hangs on the round before.
#define IMKERNELS_UNROLL_4 _Pragma("GCC unroll 4")

/// A function that is a part of its caller: vectors that it takes and gives stay in registers.
#define IMKERNELS_INLINE inline __attribute__((always_inline))
#define IMKERNELS_INLINE_LAMBDA __attribute__((always_inline))

template <class T>
struct LanesOf {
    typedef T type __attribute__((vector_size(vector_bytes)));
};

/// `lane_count<T>` numbers that are computed with at once.
template <class T>
using Lanes = typename LanesOf<T>::type;

template <class T>
inline constexpr index lane_count = vector_bytes / static_cast<index>(sizeof(T));

template <class T>
Lanes<T> load_lanes(const T* source) {
    Lanes<T> lanes;
    std::memcpy(&lanes, source, sizeof(lanes));
    return lanes;
}

template <class T>
void store_lanes(T* target, Lanes<T> lanes) {
    std::memcpy(target, &lanes, sizeof(lanes));
}

/// The same pointer, of which the compiler does not know what it was computed from: constants are added to it in the
/// address of an access, where they cost nothing, rather than to its parts.
template <class T>
IMKERNELS_INLINE T* opaque(T* pointer) {
    asm("" : "+r"(pointer));  // NOLINT(hicpp-no-assembler,portability-no-assembler): no instruction
    return pointer;
}

/// The same vector, in a register: compilers that find one load in several multiply-adds repeat it in each.
template <class Vector>
IMKERNELS_INLINE Vector loaded(Vector lanes) {
#if defined(__SSE2__)
    asm("" : "+v"(lanes));  // NOLINT(hicpp-no-assembler,portability-no-assembler): no instruction
#endif
    return lanes;
}

/// Lane i of the result is lane place(i) of two vectors, one behind the other.
template <auto place, class T>
IMKERNELS_INLINE Lanes<T> ordered(const Lanes<T>& one, const Lanes<T>& other) {
    if constexpr (vector_bytes == 32 && sizeof(T) == 8 && !std::is_same_v<T, double>) {
        // GCC moves integers across the halves of a register even where doubles stay in theirs.
        return reinterpret_cast<Lanes<T>>(
            ordered<place, double>(reinterpret_cast<Lanes<double>>(one), reinterpret_cast<Lanes<double>>(other)));
    } else {
        return [&]<std::size_t... lane>(std::index_sequence<lane...>) IMKERNELS_INLINE_LAMBDA {
            return __builtin_shufflevector(one, other, place(index{lane})...);
        }(std::make_index_sequence<static_cast<std::size_t>(lane_count<T>)>());
    }
}

/// Every lane `by` lanes further up, within blocks of so many; zeros below.
template <class T, index by, index block = lane_count<T>>
IMKERNELS_INLINE Lanes<T> moved_up(Lanes<T> lanes) {
    constexpr index count = lane_count<T>;
    return ordered<[](index lane) { return lane % block < by ? lane + block - by : count + lane - by; }, T>(Lanes<T>{},
                                                                                                            lanes);
}

/// A number in every lane.
template <class T>
IMKERNELS_INLINE Lanes<T> broadcast(T number) {
    return number - Lanes<T>{};  // which leaves -0.0 as it is
}

namespace detail {
/// Step `width` of a transposition: numbers of two rows, exchanged where a square of that width stands off the
/// diagonal.
template <index width, class T>
IMKERNELS_INLINE void exchange(Lanes<T>& upper, Lanes<T>& lower) {
    constexpr index lanes = lane_count<T>;
    const Lanes<T> above = upper;
    upper = ordered<[](index lane) { return (lane & width) != 0 ? lanes + lane - width : lane; }, T>(above, lower);
    lower = ordered<[](index lane) { return (lane & width) != 0 ? lanes + lane : lane + width; }, T>(above, lower);
}

template <index width, class T>
IMKERNELS_INLINE void transpose_from(Lanes<T> (&rows)[lane_count<T>]) {
    if constexpr (width < lane_count<T>) {
        for (index row = 0; row < lane_count<T>; ++row) {
            if ((row & width) == 0) {
                exchange<width, T>(rows[row], rows[row + width]);
            }
        }
        transpose_from<2 * width, T>(rows);
    }
}
}  // namespace detail

/// Lane i of row j becomes lane j of row i.
template <class T>
IMKERNELS_INLINE void transpose(Lanes<T> (&rows)[lane_count<T>]) {
    detail::transpose_from<1, T>(rows);
}

/// Whether a vector of bytes can be put into any order by a few instructions.
#if defined(__SSE2__) && !defined(__AVX__)
inline constexpr bool orders_bytes = false;
#else
inline constexpr bool orders_bytes = true;
#endif

/// Lanes 0, 2, 4, ... of two vectors, one behind the other.
template <class T>
IMKERNELS_INLINE Lanes<T> even_lanes(Lanes<T> low, Lanes<T> high) {
    return ordered<[](index lane) { return 2 * lane; }, T>(low, high);
}

/// Lanes 1, 3, 5, ...
template <class T>
IMKERNELS_INLINE Lanes<T> odd_lanes(Lanes<T> low, Lanes<T> high) {
    return ordered<[](index lane) { return 2 * lane + 1; }, T>(low, high);
}

/// The lanes of two vectors in turn: the first half of that, and the second one.
template <class T>
IMKERNELS_INLINE Lanes<T> low_pairs(Lanes<T> one, Lanes<T> other) {
    return ordered<[](index lane) { return lane / 2 + lane % 2 * lane_count<T>; }, T>(one, other);
}
template <class T>
IMKERNELS_INLINE Lanes<T> high_pairs(Lanes<T> one, Lanes<T> other) {
    return ordered<[](index lane) { return (lane_count<T> + lane) / 2 + lane % 2 * lane_count<T>; }, T>(one, other);
}

namespace detail {
template <class Wide, class Narrow>
struct FewerOf {
    typedef Narrow type __attribute__((vector_size(lane_count<Wide> * static_cast<index>(sizeof(Narrow)))));
};

/// A vector's number of elements of a narrower type: bytes, or numbers of 16 bits.
template <class Wide, class Narrow>
using Fewer = typename FewerOf<Wide, Narrow>::type;

#if !defined(__SSE2__) || defined(__clang__)
template <class Wide, class Narrow>
IMKERNELS_INLINE auto widened(Fewer<Wide, Narrow> few) {
    return __builtin_convertvector(few, Lanes<Wide>);
}
#elif defined(__AVX2__)  // GCC takes such conversions apart
/// The same bits, as what the compiler's functions take.
template <class To, class From>
IMKERNELS_INLINE auto bits_as(From few) {
    typedef To Same __attribute__((vector_size(sizeof(From))));
    return reinterpret_cast<Same>(few);
}

template <class Wide, class Narrow>
IMKERNELS_INLINE auto widened(Fewer<Wide, Narrow> few) {
    constexpr bool has_sign = std::is_signed_v<Narrow>;
#if defined(__AVX512F__)
    if constexpr (sizeof(Wide) == 2) {
        return __builtin_ia32_pmovzxbw512_mask(bits_as<char>(few), Lanes<short>{}, -1);
    } else if constexpr (sizeof(Narrow) == 1) {
        return __builtin_ia32_pmovzxbd512_mask(bits_as<char>(few), Lanes<int>{}, -1);
    } else if constexpr (has_sign) {
        return __builtin_ia32_pmovsxwd512_mask(bits_as<short>(few), Lanes<int>{}, -1);
    } else {
        return __builtin_ia32_pmovzxwd512_mask(bits_as<short>(few), Lanes<int>{}, -1);
    }
#else
    if constexpr (sizeof(Wide) == 2) {
        return __builtin_ia32_pmovzxbw256(bits_as<char>(few));
    } else if constexpr (sizeof(Narrow) == 1) {
        typedef std::int64_t Pair __attribute__((vector_size(16)));
        return __builtin_ia32_pmovzxbd256(bits_as<char>(Pair{reinterpret_cast<std::int64_t>(few), 0}));
    } else if constexpr (has_sign) {
        return __builtin_ia32_pmovsxwd256(bits_as<short>(few));
    } else {
        return __builtin_ia32_pmovzxwd256(bits_as<short>(few));
    }
#endif
}
#else
/// Pairs of a number and what stands above it are a wider one.
template <class Wide, class Narrow>
IMKERNELS_INLINE auto widened(Fewer<Wide, Narrow> few) {
    using Half = std::uint16_t;
    if constexpr (sizeof(Wide) == 4 * sizeof(Narrow)) {
        const Lanes<std::int32_t> bits{reinterpret_cast<std::int32_t>(few)};
        const auto bytes = reinterpret_cast<Lanes<Narrow>>(bits);
        const auto halves = reinterpret_cast<Lanes<Half>>(low_pairs<Narrow>(bytes, Lanes<Narrow>{}));
        return low_pairs<Half>(halves, Lanes<Half>{});
    } else {
        const Lanes<std::int64_t> bits{reinterpret_cast<std::int64_t>(few)};
        const auto low = reinterpret_cast<Lanes<Narrow>>(bits);
        return low_pairs<Narrow>(low, std::is_signed_v<Narrow> ? Lanes<Narrow>(low < 0) : Lanes<Narrow>{});
    }
}
#endif

IMKERNELS_INLINE Lanes<double> widened_floats(Fewer<double, float> few) {
#if !defined(__SSE2__) || defined(__clang__)
    return __builtin_convertvector(few, Lanes<double>);
#elif defined(__AVX512F__)
    return __builtin_ia32_cvtps2pd512_mask(few, Lanes<double>{}, -1, 4);  // under the rounding mode, without effect
#elif defined(__AVX2__)
    return __builtin_ia32_cvtps2pd256(few);
#else
    const Lanes<std::int64_t> bits{reinterpret_cast<std::int64_t>(few)};
    return __builtin_ia32_cvtps2pd(reinterpret_cast<Lanes<float>>(bits));
#endif
}
}  // namespace detail

/// The larger number of each lane; that of `other` where they are equal or one is none. GCC compares and picks.
IMKERNELS_INLINE Lanes<float> larger(Lanes<float> one, Lanes<float> other) {
#if !defined(__SSE2__) || defined(__clang__)
    return one > other ? one : other;
#elif defined(__AVX512F__)
    return __builtin_ia32_maxps512_mask(one, other, Lanes<float>{}, -1, 4);
#elif defined(__AVX2__)
    return __builtin_ia32_maxps256(one, other);
#else
    return __builtin_ia32_maxps(one, other);
#endif
}

/// The smaller one, likewise.
IMKERNELS_INLINE Lanes<float> smaller(Lanes<float> one, Lanes<float> other) {
#if !defined(__SSE2__) || defined(__clang__)
    return one < other ? one : other;
#elif defined(__AVX512F__)
    return __builtin_ia32_minps512_mask(one, other, Lanes<float>{}, -1, 4);
#elif defined(__AVX2__)
    return __builtin_ia32_minps256(one, other);
#else
    return __builtin_ia32_minps(one, other);
#endif
}

/// As many elements as `Wide` has lanes, as `Wide`s: of that type, or bytes or numbers of 16 bits, or floats as
/// doubles.
template <class Wide, class Narrow>
IMKERNELS_INLINE Lanes<Wide> load_widened(const Narrow* source) {
    if constexpr (std::is_same_v<Wide, Narrow>) {
        return load_lanes(source);
    } else if constexpr (std::is_same_v<Wide, double>) {
        static_assert(std::is_same_v<Narrow, float>);
        detail::Fewer<double, float> few;
        std::memcpy(&few, source, sizeof(few));
        return detail::widened_floats(few);
    } else if constexpr (std::is_floating_point_v<Wide>) {
        return __builtin_convertvector(load_widened<std::int32_t>(source), Lanes<Wide>);
    } else {
        static_assert(sizeof(Wide) <= 4 && (sizeof(Narrow) == 2 || std::is_same_v<Narrow, std::uint8_t>));
        detail::Fewer<Wide, Narrow> few;
        std::memcpy(&few, source, sizeof(few));
        return reinterpret_cast<Lanes<Wide>>(detail::widened<Wide, Narrow>(few));
    }
}

inline constexpr index cache_line = 64;

/// Has the cache line of an address brought near; it may be any. What only calls this is to be inlined as well: GCC
/// takes it for a function without effect.
IMKERNELS_INLINE void prefetch(const void* address) {
    __builtin_prefetch(address);
}

/// The same for a cache line that is going to be overwritten.
IMKERNELS_INLINE void prefetch_to_write(const void* address) {
    __builtin_prefetch(address, 1);
}

/// Stores a vector at an address that is a multiple of its size, past the caches.
template <class T>
void stream_lanes(T* target, Lanes<T> lanes) {
#if defined(__clang__)
    __builtin_nontemporal_store(lanes, reinterpret_cast<Lanes<T>*>(target));
#elif defined(__AVX512F__)
    typedef long long Words __attribute__((vector_size(vector_bytes)));
    __builtin_ia32_movntdq512(reinterpret_cast<Words*>(target), reinterpret_cast<Words>(lanes));
#elif defined(__AVX__)
    typedef long long Words __attribute__((vector_size(vector_bytes)));
    __builtin_ia32_movntdq256(reinterpret_cast<Words*>(target), reinterpret_cast<Words>(lanes));
#elif defined(__SSE2__)
    typedef long long Words __attribute__((vector_size(vector_bytes)));
    __builtin_ia32_movntdq(reinterpret_cast<Words*>(target), reinterpret_cast<Words>(lanes));
#else
    store_lanes(target, lanes);
#endif
}

/// Makes what was streamed visible to others.
inline void finish_streams() {
#if defined(__SSE2__)
    __builtin_ia32_sfence();
#endif
}

/// Copies bytes past the caches, but for those at the ends that do not fill a vector.
inline void stream(const std::byte* source, index count, std::byte* target) {
    const auto address = reinterpret_cast<std::uintptr_t>(target);
    const index head = std::min(count, static_cast<index>((vector_bytes - address % vector_bytes) % vector_bytes));
    std::memcpy(target, source, static_cast<std::size_t>(head));
    index done = head;
    for (; done + vector_bytes <= count; done += vector_bytes) {
        const auto* from = reinterpret_cast<const std::uint8_t*>(source + done);
        stream_lanes(reinterpret_cast<std::uint8_t*>(target + done), load_lanes(from));
    }
    std::memcpy(target + done, source + done, static_cast<std::size_t>(count - done));
}

/// 16 counters, at every level.
typedef std::uint16_t Counts __attribute__((vector_size(32)));

inline Counts load_counts(const std::uint16_t* source) {
    Counts counts;
    std::memcpy(&counts, source, sizeof(counts));
    return counts;
}

/// How many of the counters are at most `limit`.
inline int count_at_most(Counts counts, std::uint16_t limit) {
    typedef std::uint8_t Bytes __attribute__((vector_size(16)));
    const Bytes bytes = __builtin_convertvector(counts <= limit, Bytes) & 1;
    std::uint64_t halves[2];
    std::memcpy(halves, &bytes, sizeof(halves));
    // The bytes add up in the highest one.
    return static_cast<int>(((halves[0] + halves[1]) * 0x0101010101010101u) >> 56);
}

}  // namespace imkernels
