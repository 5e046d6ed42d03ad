// Sums of products of neighbouring pixels at once: the leaf loop of convolutions with few output channels.
#pragma once

#include <algorithm>

#include "core/scratch.hpp"
#include "simd/lanes.hpp"

namespace imkernels::detail {

/// Vectors that are computed together for `outs` rows of sums, as many as registers hold.
template <index outs>
inline constexpr index vectors_together = outs * 4 + 5 <= vector_registers ? 4 : 2;

/// Vectors of neighbouring pixels, `pixels` elements apart in the images and `sums` in the results: those of a row, or
/// the beginnings of rows that a vector holds.
struct VectorSteps {
    index count;
    index pixels;
    index sums;
};

/// sums[o * pitch + x] = start + sum over t < count of weights[t * outs + o] * first[offsets[t] + x] for the places x
/// of the vectors, in this order. It starts with starts[o], or with what stands there where there is no `starts`.
template <class Work, index outs>
void add_weighted_vectors(const Work* first, const index* offsets, index count, const Work* weights, const Work* starts,
                          const VectorSteps& steps, Work* sums, index pitch) {
    constexpr index vectors = vectors_together<outs>;
    for (index n = 0; n < steps.count; n += vectors) {
        const Work* pixels[vectors];
        Work* targets[vectors];
        for (index v = 0; v < vectors; ++v) {
            const index number = std::min(n + v, steps.count - 1);  // past the end: the last one again
            pixels[v] = first + number * steps.pixels;
            targets[v] = sums + number * steps.sums;
        }
        Lanes<Work> sum[outs][vectors];
        for (index o = 0; o < outs; ++o) {
            for (index v = 0; v < vectors; ++v) {
                sum[o][v] = starts != nullptr ? broadcast(starts[o]) : load_lanes(targets[v] + o * pitch);
            }
        }
        const Work* weight = weights;
        for (index t = 0; t < count; ++t, weight += outs) {
            Lanes<Work> pixel[vectors];
            for (index v = 0; v < vectors; ++v) {
                pixel[v] = loaded(load_lanes(pixels[v] + offsets[t]));
            }
            for (index o = 0; o < outs; ++o) {
                const Lanes<Work> same = loaded(broadcast(weight[o]));
                for (index v = 0; v < vectors; ++v) {
                    sum[o][v] += pixel[v] * same;
                }
            }
        }
        for (index o = 0; o < outs; ++o) {
            for (index v = 0; v < vectors; ++v) {
                store_lanes(targets[v] + o * pitch, sum[o][v]);
            }
        }
    }
}

/// Taps whose sums registers hold.
inline constexpr index most_taps = 9;

/// Pixels and gradients that meet; rows of gradients are zeros from `columns` on, up to whole vectors.
template <class Work>
struct TwoTiles {
    const Work* pixels;
    index pixel_pitch;
    const Work* gradients;
    index gradient_pitch;
    index rows, columns;
};

/// sums[t] += the sum of the products of all gradients with the pixels offsets[t] further on, in an order that the
/// extents decide. Pixels behind a row, which may be anything, are read and left out.
template <class Work, index taps>
void add_tile_products(const TwoTiles<Work>& tiles, const index* offsets, double* sums) {
    constexpr index lanes = lane_count<Work>;
    Lanes<Work> sum[taps] = {};
    Lanes<Work> number;
    for (index lane = 0; lane < lanes; ++lane) {
        number[lane] = static_cast<Work>(lane);
    }
    const index whole = tiles.columns / lanes * lanes;
    const auto inside = number < broadcast(static_cast<Work>(tiles.columns - whole));
    for (index row = 0; row < tiles.rows; ++row) {
        const Work* pixels = tiles.pixels + row * tiles.pixel_pitch;
        const Work* gradients = tiles.gradients + row * tiles.gradient_pitch;
        for (index x = 0; x < whole; x += lanes) {
            const Lanes<Work> gradient = loaded(load_lanes(gradients + x));
            for (index t = 0; t < taps; ++t) {
                sum[t] += gradient * load_lanes(pixels + offsets[t] + x);
            }
        }
        if (whole < tiles.columns) {
            const Lanes<Work> gradient = load_lanes(gradients + whole);
            for (index t = 0; t < taps; ++t) {
                const Lanes<Work> pixel = load_lanes(pixels + offsets[t] + whole);
                sum[t] += gradient * (inside ? pixel : Lanes<Work>{});
            }
        }
    }
    for (index t = 0; t < taps; ++t) {
        for (index lane = 0; lane < lanes; ++lane) {
            sums[t] += static_cast<double>(sum[t][lane]);
        }
    }
}

}  // namespace imkernels::detail
