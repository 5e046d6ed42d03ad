// The leaf loop of correlation: one row of outputs, a list of taps.
#pragma once

#include "simd/lanes.hpp"

namespace imkernels::detail {

/// Outputs that are computed together; `sums` and every tap's row must be padded to a multiple of it.
template <class Work>
inline constexpr index weighted_sum_group = 4 * lane_count<Work>;

/// sums[x] += sum over t of weights[t] * first[offsets[t] + x], in the order of the taps.
template <class Work>
void add_weighted_sum(const Work* first, const index* offsets, const Work* weights, index taps, index count,
                      Work* sums) {
    constexpr index lanes = lane_count<Work>;
    for (index x = 0; x < count; x += 4 * lanes) {
        Lanes<Work> sum[4];
        for (index v = 0; v < 4; ++v) {
            sum[v] = load_lanes(sums + x + v * lanes);
        }
        for (index t = 0; t < taps; ++t) {
            const Work* tap = first + offsets[t] + x;
            for (index v = 0; v < 4; ++v) {
                sum[v] += weights[t] * load_lanes(tap + v * lanes);
            }
        }
        for (index v = 0; v < 4; ++v) {
            store_lanes(sums + x + v * lanes, sum[v]);
        }
    }
}

}  // namespace imkernels::detail
