// Sums of products of many channels at once: the leaf loop of convolutions whose output channels fill vectors.
#pragma once

#include <algorithm>
#include <type_traits>

#include "kernels/detail/sorted_lanes.hpp"
#include "simd/lanes.hpp"

namespace imkernels::detail {

/// Vectors of sums side by side: with `sums_together` of each, what the registers hold beside the factors.
inline constexpr index most_vectors = vector_registers / 8;

template <index vectors>
inline constexpr index sums_together = std::min<index>(12, 6 * most_vectors / vectors);

/// Some of the factors that follow each other: `runs` of them, `apart` from one to the next.
struct FactorRuns {
    index first, length;
    index runs, apart;
};

/// sums[i][lane] = its start + sum over the runs of t of numbers[i][offsets[t]] * factors[t][lane], in this order, for
/// the lanes of `vectors` vectors. Rows of `factors` follow each other. Sums start with `start`, or with what stands
/// there where there is none.
template <class Work, index vectors>
void add_products(const Work* const* numbers, const index* offsets, const FactorRuns& runs, const Work* factors,
                  const Work* start, Work* const* sums) {
    constexpr index lanes = lane_count<Work>;
    constexpr index together = sums_together<vectors>;
    Lanes<Work> sum[together][vectors];
    const Work* number[together];
    repeat<together>([&](auto i) IMKERNELS_INLINE_LAMBDA {
        number[i] = numbers[i];
        repeat<vectors>([&](auto v) IMKERNELS_INLINE_LAMBDA {
            sum[i][v] = load_lanes((start != nullptr ? start : sums[i]) + v * lanes);
        });
    });
    for (index run = 0; run < runs.runs; ++run) {
        const index first = runs.first + run * runs.apart;
        const Work* factor_row = factors + first * vectors * lanes;
        for (index t = first; t < first + runs.length; ++t, factor_row += vectors * lanes) {
            Lanes<Work> factor[vectors];
            repeat<vectors>([&](auto v)
                                IMKERNELS_INLINE_LAMBDA { factor[v] = loaded(load_lanes(factor_row + v * lanes)); });
            repeat<together>([&](auto i) IMKERNELS_INLINE_LAMBDA {
                const Lanes<Work> same = loaded(broadcast(number[i][offsets[t]]));
                repeat<vectors>([&](auto v) IMKERNELS_INLINE_LAMBDA { sum[i][v] += factor[v] * same; });
            });
        }
    }
    repeat<together>([&](auto i) IMKERNELS_INLINE_LAMBDA {
        repeat<vectors>([&](auto v) IMKERNELS_INLINE_LAMBDA { store_lanes(sums[i] + v * lanes, sum[i][v]); });
    });
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
