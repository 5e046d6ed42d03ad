// Vectors for leaf loops, as wide as the registers of the level that is compiled (GCC and Clang vector
// extensions). No kernel names an instruction set; this is the only place that knows a width.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/index.hpp"

namespace imkernels {

#if defined(__AVX512F__)
inline constexpr index vector_bytes = 64;
#elif defined(__AVX__)
inline constexpr index vector_bytes = 32;
#else
inline constexpr index vector_bytes = 16;
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
