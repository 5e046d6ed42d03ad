// Sums of products of neighbouring pixels at once: the leaf loop of convolutions with few output channels.
#pragma once

#include <algorithm>

#include "core/scratch.hpp"
#include "kernels/detail/channel_lanes.hpp"
#include "kernels/detail/sum_tile.hpp"
#include "simd/lanes.hpp"

namespace imkernels::detail {

/// Output channels that are computed together, at most.
inline constexpr index most_outs = vector_registers / 4;

/// Vectors that are computed together for `outs` channels, as many as registers hold.
constexpr index vectors_together(index outs) {
    if (outs > 4) {
        return 3;
    }
    return outs * 4 + 5 <= vector_registers ? 4 : 2;
}

/// Rows of outputs: how far they lie apart among the pixels and among the sums.
struct OutputRows {
    index rows, columns;
    index pixel_pitch, sum_pitch;
};

/// sums[o * pitch + x] = start + sum over t < count of weights[t * outs + o] * first[offsets[t] + x] for the places x
/// of the outputs, in this order. It starts with starts[o], or with what stands there where there is no `starts`.
/// Rows are written one after the other, each up to whole vectors; where there are `starts`, the last two of them
/// overlap instead if the row is long enough.
template <class Work, index outs>
void add_weighted_vectors(const Work* first, const index* offsets, index count, const Work* weights, const Work* starts,
                          const OutputRows& outputs, Work* sums, index pitch) {
    constexpr index vectors = vectors_together(outs);
    constexpr index lanes = lane_count<Work>;
    const index in_row = ceil_div(outputs.columns, lanes);
    const bool overlap = starts != nullptr && outputs.columns >= lanes;
    const index last = overlap ? outputs.columns - lanes : (in_row - 1) * lanes;  // vector of a row
    index row = 0;
    index number = 0;  // of a vector in the row
    for (index done = 0; done < outputs.rows * in_row; done += vectors) {
        const Work* pixels[vectors];
        Work* targets[vectors];
        for (index v = 0; v < vectors; ++v) {
            const index x = std::min(number * lanes, last);
            pixels[v] = first + row * outputs.pixel_pitch + x;
            targets[v] = sums + row * outputs.sum_pitch + x;
            if (number + 1 < in_row) {
                ++number;
            } else if (row + 1 < outputs.rows) {  // past the end: the last one again
                number = 0;
                ++row;
            }
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

/// Taps in the tiles of `channels` channels, `size` elements apart.
struct ChannelTaps {
    Taps taps;
    index channels, size;
};

/// The same for one output channel, in as many rows, each of which begins a row of taps below the one before: a vector
/// of pixels is loaded once for all of them. There are at least as many rows of taps.
template <class Work, int rows, int vectors>
void add_weighted_rows(const Work* first, const ChannelTaps& channels, const Work* weights, const Work* start,
                       const OutputRows& outputs, Work* sums) {
    constexpr index width = vectors * lane_count<Work>;
    const Taps& taps = channels.taps;
    for (index begin = 0; begin < outputs.columns; begin += width) {
        // Nothing is written twice but what starts anew: so the last vectors may overlap those before.
        const index x = start != nullptr ? std::clamp<index>(outputs.columns - width, 0, begin) : begin;
        SumTile<Work, rows, vectors> tile;
        const auto target = [&](int row, int v) { return sums + row * outputs.sum_pitch + x + v * lane_count<Work>; };
        repeat<rows>([&](auto row) IMKERNELS_INLINE_LAMBDA {
            repeat<vectors>([&](auto v) IMKERNELS_INLINE_LAMBDA {
                tile.sums[row][v] = start != nullptr ? broadcast(*start) : load_lanes(target(row, v));
            });
        });
        for (index c = 0; c < channels.channels; ++c) {
            add_taps(first + c * channels.size + x, taps, weights + c * taps.rows * taps.columns, tile);
        }
        repeat<rows>([&](auto row) IMKERNELS_INLINE_LAMBDA {
            repeat<vectors>([&](auto v) IMKERNELS_INLINE_LAMBDA { store_lanes(target(row, v), tile.sums[row][v]); });
        });
    }
}

/// Rows that are computed together.
inline constexpr index most_rows = 4;

/// Taps whose sums registers hold, for as many channels of gradients.
inline constexpr index most_taps = 9;
inline constexpr index most_gradients = vector_registers / most_taps;

/// Pixels and gradients that meet; gradients of the next channel lie `gradient_size` elements further on.
template <class Work>
struct TwoTiles {
    const Work* pixels;
    index pixel_pitch;
    const Work* gradients;
    index gradient_pitch, gradient_size;
    index rows, columns;
};

/// totals[i] = the sum of the lanes of vectors[i], for as many vectors as one has lanes.
template <class Work>
void add_lanes(const Work* vectors, double* totals) {
    constexpr index lanes = lane_count<Work>;
    Work columns[lanes * lanes];
    transpose_square(vectors, lanes, columns, lanes);
    std::fill_n(totals, lanes, 0.0);
    for (index lane = 0; lane < lanes; ++lane) {
        for (index i = 0; i < lanes; ++i) {
            totals[i] += static_cast<double>(columns[lane * lanes + i]);
        }
    }
}

/// sums[o * pitch + t] += the sum of the products of all gradients of channel o with the pixels offsets[t] further on,
/// in an order that the extents decide. Behind rows shorter than a vector may stand anything; it is left out.
template <class Work, index taps, index outs>
void add_tile_products(const TwoTiles<Work>& tiles, const index* offsets, double* sums, index pitch) {
    constexpr index lanes = lane_count<Work>;
    Lanes<Work> sum[outs][taps];
    repeat<outs>([&](auto o) IMKERNELS_INLINE_LAMBDA {
        repeat<taps>([&](auto t) IMKERNELS_INLINE_LAMBDA { sum[o][t] = Lanes<Work>{}; });
    });
    Lanes<Work> number;
    for (index lane = 0; lane < lanes; ++lane) {
        number[lane] = static_cast<Work>(lane);
    }
    // The last vector of a row ends where the row ends, if that is long enough, without what has been there already.
    const index whole = tiles.columns / lanes * lanes;
    const index last = std::max<index>(0, tiles.columns - lanes);
    const auto inside = whole == 0 ? number < broadcast(static_cast<Work>(tiles.columns))
                                   : number >= broadcast(static_cast<Work>(whole - last));
    for (index row = 0; row < tiles.rows; ++row) {
        const Work* pixels = tiles.pixels + row * tiles.pixel_pitch;
        const Work* gradients = tiles.gradients + row * tiles.gradient_pitch;
        const auto add = [&](index x, const auto& kept) IMKERNELS_INLINE_LAMBDA {
            Lanes<Work> gradient[outs];
            repeat<outs>([&](auto o) IMKERNELS_INLINE_LAMBDA {
                gradient[o] = loaded(kept(load_lanes(gradients + o * tiles.gradient_size + x)));
            });
            repeat<taps>([&](auto t) IMKERNELS_INLINE_LAMBDA {
                const Lanes<Work> pixel = loaded(kept(load_lanes(pixels + offsets[t] + x)));
                repeat<outs>([&](auto o) IMKERNELS_INLINE_LAMBDA { sum[o][t] += gradient[o] * pixel; });
            });
        };
        for (index x = 0; x < whole; x += lanes) {
            add(x, [](Lanes<Work> all) IMKERNELS_INLINE_LAMBDA { return all; });
        }
        if (whole < tiles.columns) {
            add(last, [&](Lanes<Work> some) IMKERNELS_INLINE_LAMBDA { return inside ? some : Lanes<Work>{}; });
        }
    }
    constexpr index together = ceil_div(outs * taps, lanes) * lanes;
    Work vectors[together * lanes];
    double totals[together];
    std::fill(vectors + outs * taps * lanes, vectors + together * lanes, Work{});
    repeat<outs>([&](auto o) IMKERNELS_INLINE_LAMBDA {
        repeat<taps>([&](auto t) IMKERNELS_INLINE_LAMBDA { store_lanes(vectors + (o * taps + t) * lanes, sum[o][t]); });
    });
    for (index i = 0; i < together; i += lanes) {
        add_lanes(vectors + i * lanes, totals + i);
    }
    for (index o = 0; o < outs; ++o) {
        for (index t = 0; t < taps; ++t) {
            sums[o * pitch + t] += totals[o * taps + t];
        }
    }
}

}  // namespace imkernels::detail
