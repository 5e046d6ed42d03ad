// The leaf loop of correlation: one row of outputs, a list of taps.
#pragma once

#include "core/scratch.hpp"
#include "simd/lanes.hpp"

namespace imkernels::detail {

/// sums[x] += sum over t of weights[t] * first[offsets[t] + x] for 0 <= x < count, in the order of the taps. Reads and
/// writes whole groups of vectors: up to `row_slack` elements past the end.
template <class Work>
void add_weighted_sum(const Work* first, const index* offsets, const Work* weights, index taps, index count,
                      Work* sums) {
    constexpr index lanes = lane_count<Work>;
    constexpr index vectors = 4;  // enough sums at once to hide the latency of a multiply-add
    static_assert(vectors * lanes <= row_slack);
    for (index x = 0; x < count; x += vectors * lanes) {
        Lanes<Work> sum[vectors];
        for (index v = 0; v < vectors; ++v) {
            sum[v] = load_lanes(sums + x + v * lanes);
        }
        for (index t = 0; t < taps; ++t) {
            const Work* tap = first + offsets[t] + x;
            for (index v = 0; v < vectors; ++v) {
                sum[v] += weights[t] * load_lanes(tap + v * lanes);
            }
        }
        for (index v = 0; v < vectors; ++v) {
            store_lanes(sums + x + v * lanes, sum[v]);
        }
    }
}

}  // namespace imkernels::detail
