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

/// Rows of sums that may be written past the last.
inline constexpr index sums_slack = sums_together<1>;

/// Rows of sums, `pitch` elements apart, and what they start with: themselves, or one row for all.
template <class Work>
struct SumRows {
    Work* sums;
    index pitch;
    const Work* start;  // nullptr for themselves
};

/// sums[i][lane] = its start + sum over t < count of numbers[i][offsets[t]] * factors[t][lane], in this order, for the
/// lanes of `vectors` vectors. Rows of `factors` follow each other.
template <class Work, index vectors>
void add_products(const Work* const* numbers, const index* offsets, index count, const Work* factors,
                  const SumRows<Work>& rows) {
    constexpr index lanes = lane_count<Work>;
    constexpr index together = sums_together<vectors>;
    Lanes<Work> sum[together][vectors];
    const Work* number[together];
    const Work* const start = rows.start != nullptr ? rows.start : rows.sums;
    const index start_pitch = rows.start != nullptr ? 0 : rows.pitch;
    repeat<together>([&](auto i) IMKERNELS_INLINE_LAMBDA {
        number[i] = numbers[i];
        repeat<vectors>([&](auto v)
                            IMKERNELS_INLINE_LAMBDA { sum[i][v] = load_lanes(start + i * start_pitch + v * lanes); });
    });
    for (index t = 0; t < count; ++t, factors += vectors * lanes) {
        Lanes<Work> factor[vectors];
        repeat<vectors>([&](auto v) IMKERNELS_INLINE_LAMBDA { factor[v] = loaded(load_lanes(factors + v * lanes)); });
        repeat<together>([&](auto i) IMKERNELS_INLINE_LAMBDA {
            const Lanes<Work> same = loaded(broadcast(number[i][offsets[t]]));
            repeat<vectors>([&](auto v) IMKERNELS_INLINE_LAMBDA { sum[i][v] += factor[v] * same; });
        });
    }
    repeat<together>([&](auto i) IMKERNELS_INLINE_LAMBDA {
        repeat<vectors>(
            [&](auto v) IMKERNELS_INLINE_LAMBDA { store_lanes(rows.sums + i * rows.pitch + v * lanes, sum[i][v]); });
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
