// The leaf loops of weighted sums: one row of outputs and a list of taps, and the way back.
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

/// The sum of one[x] * other[x] for 0 <= x < count, in an order that `count` alone decides; reads nothing past the end.
template <class Work>
double dot_product(const Work* one, const Work* other, index count) {
    constexpr index lanes = lane_count<Work>;
    Lanes<Work> sum{};
    index x = 0;
    for (; x + lanes <= count; x += lanes) {
        sum += load_lanes(one + x) * load_lanes(other + x);
    }
    double total = 0;
    for (index lane = 0; lane < lanes; ++lane) {
        total += static_cast<double>(sum[lane]);
    }
    for (; x < count; ++x) {
        total += static_cast<double>(one[x]) * static_cast<double>(other[x]);
    }
    return total;
}

}  // namespace imkernels::detail
