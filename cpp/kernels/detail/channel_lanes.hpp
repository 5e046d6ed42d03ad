// Sums of products of many channels at once: the leaf loop of convolutions whose output channels fill vectors.
#pragma once

#include <type_traits>

#include "simd/lanes.hpp"

namespace imkernels::detail {

/// Vectors of sums side by side: with `sums_together` of each, what the registers hold beside the factors.
inline constexpr index most_vectors = vector_registers / 8;

template <index vectors>
inline constexpr index sums_together = vectors == most_vectors ? 6 : 8;

/// Rows of sums that may be written past the last.
inline constexpr index sums_slack = 8;

/// sums[i][lane] += sum over t < count of numbers[i][offsets[t]] * factors[t][lane], in this order, for the lanes of
/// `vectors` vectors. Rows of `factors` follow each other, those of `sums` lie `pitch` elements apart.
template <class Work, index vectors>
void add_products(const Work* const* numbers, const index* offsets, index count, const Work* factors, Work* sums,
                  index pitch) {
    constexpr index lanes = lane_count<Work>;
    constexpr index together = sums_together<vectors>;
    Lanes<Work> sum[together][vectors];
    const Work* number[together];
    for (index i = 0; i < together; ++i) {
        number[i] = numbers[i];
        for (index v = 0; v < vectors; ++v) {
            sum[i][v] = load_lanes(sums + i * pitch + v * lanes);
        }
    }
    for (index t = 0; t < count; ++t, factors += vectors * lanes) {
        Lanes<Work> factor[vectors];
        for (index v = 0; v < vectors; ++v) {
            factor[v] = loaded(load_lanes(factors + v * lanes));
        }
        for (index i = 0; i < together; ++i) {
            const Lanes<Work> same = loaded(broadcast(number[i][offsets[t]]));
            for (index v = 0; v < vectors; ++v) {
                sum[i][v] += factor[v] * same;
            }
        }
    }
    for (index i = 0; i < together; ++i) {
        for (index v = 0; v < vectors; ++v) {
            store_lanes(sums + i * pitch + v * lanes, sum[i][v]);
        }
    }
}

/// Calls `function(std::integral_constant<index, count>)` for 1 <= count <= most.
template <index most, class Function>
void with_count(index count, Function&& function) {
    if constexpr (most > 1) {
        if (count < most) {
            return with_count<most - 1>(count, function);
        }
    }
    function(std::integral_constant<index, most>{});
}

/// target[i][j] = source[j][i] for as many rows and columns as a vector has lanes.
template <class Work>
void transpose_square(const Work* source, index source_pitch, Work* target, index target_pitch) {
    constexpr index lanes = lane_count<Work>;
    Lanes<Work> rows[lanes];
    for (index row = 0; row < lanes; ++row) {
        rows[row] = load_lanes(source + row * source_pitch);
    }
    transpose<Work>(rows);
    for (index row = 0; row < lanes; ++row) {
        store_lanes(target + row * target_pitch, rows[row]);
    }
}

}  // namespace imkernels::detail
