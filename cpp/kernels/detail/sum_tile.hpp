// Register tiles of weighted sums: a few rows of outputs by a few vectors.
//
// A vector of pixels is loaded once for all sums of the tile that it is a tap of, and a weight once for all vectors, so
// that multiply-adds and not loads are what there is most of. Every sum adds up its taps in row-major order: its bits
// do not depend on the tile that it was computed in.
#pragma once

#include <algorithm>

#include "kernels/detail/sorted_lanes.hpp"
#include "simd/lanes.hpp"

namespace imkernels::detail {

/// The sums of `rows` x `vectors` vectors of outputs.
template <class Work, int rows, int vectors>
struct SumTile {
    Lanes<Work> sums[rows][vectors];

    /// Adds the vectors of pixels at `tap` to the rows [first, last): weights[-row * apart] times.
    template <int first, int last>
    IMKERNELS_INLINE void add(const Work* tap, const Work* weights, index apart) {
        Lanes<Work> pixels[vectors];
        for (int v = 0; v < vectors; ++v) {
            pixels[v] = loaded(load_lanes(tap + v * lane_count<Work>));
        }
        repeat<last - first>([&](auto row) IMKERNELS_INLINE_LAMBDA {
            const Work weight = weights[-(first + row) * apart];
            for (int v = 0; v < vectors; ++v) {
                sums[first + row][v] += weight * pixels[v];
            }
        });
    }
};

/// Taps of a window in a buffer: rows of taps lie `pitch` elements apart, and those of a row at `offsets`.
struct Taps {
    index rows, columns;
    index pitch;
    const index* offsets;
};

/// Adds the sums of windows of which each begins a row of taps below the one before. There are at least as many rows of
/// taps as of outputs.
template <class Work, int rows, int vectors>
IMKERNELS_INLINE void add_taps(const Work* first, const Taps& taps, const Work* weights,
                               SumTile<Work, rows, vectors>& tile) {
    const auto add_row = [&]<int begin, int end>(index row) IMKERNELS_INLINE_LAMBDA {
        for (index column = 0; column < taps.columns; ++column) {
            tile.template add<begin, end>(first + row * taps.pitch + taps.offsets[column],
                                          weights + row * taps.columns + column, taps.columns);
        }
    };
    repeat<rows - 1>([&](auto row) IMKERNELS_INLINE_LAMBDA { add_row.template operator()<0, row + 1>(row); });
    for (index row = rows - 1; row < taps.rows; ++row) {
        add_row.template operator()<0, rows>(row);
    }
    repeat<rows - 1>([&](auto row)
                         IMKERNELS_INLINE_LAMBDA { add_row.template operator()<row + 1, rows>(taps.rows + row); });
}

/// The same for square windows of a constant size that begin `step` rows apart, in a buffer of constant pitch;
/// `columns` are where the columns of taps begin.
template <int K, int step, index pitch, class Work, int rows, int vectors>
IMKERNELS_INLINE void add_square(const Work* const (&columns)[K], const Work* weights,
                                 SumTile<Work, rows, vectors>& tile) {
    repeat<(rows - 1) * step + K>([&](auto row) IMKERNELS_INLINE_LAMBDA {
        constexpr int number = row;
        constexpr int first = number < K ? 0 : (number - K) / step + 1;  // of the outputs that this is a row of taps of
        constexpr int last = std::min(number / step + 1, rows);
        repeat<K>([&](auto column) IMKERNELS_INLINE_LAMBDA {
            tile.template add<first, last>(columns[column] + row * pitch, weights + row * K + column, step * K);
        });
    });
}

/// The same for windows that begin in neighbouring rows, of which `lines` are where the rows of taps begin.
template <int K, class Work, int rows, int vectors>
IMKERNELS_INLINE void add_square(const Work* const (&lines)[rows + K - 1], const Work* weights,
                                 SumTile<Work, rows, vectors>& tile) {
    repeat<rows + K - 1>([&](auto row) IMKERNELS_INLINE_LAMBDA {
        constexpr int number = row;
        constexpr int first = std::max(number - K + 1, 0);  // of the outputs that this is a row of taps of
        constexpr int last = std::min(number + 1, rows);
        repeat<K>([&](auto column) IMKERNELS_INLINE_LAMBDA {
            tile.template add<first, last>(lines[row] + column, weights + row * K + column, K);
        });
    });
}

/// Where rows of results are stored.
template <class Result>
struct ResultRows {
    Result* first;
    index pitch;
    bool exact;  // nothing may be stored behind a row, of at least a few vectors
    bool adds;   // to the results that are there
};

/// Computes rows of `count` results by `add(x, tile)`, which adds the sums from column x on. The results, of the size
/// of the sums, hold them exactly.
template <class Work, int rows, int vectors, class Result, class Add>
IMKERNELS_INLINE void sum_rows(index count, const ResultRows<Result>& results, const Add& add) {
    constexpr index lanes = lane_count<Work>;
    for (index start = 0; start < count; start += vectors * lanes) {
        const index x = results.exact ? std::min(start, count - vectors * lanes) : start;
        const auto at = [&](int row, int v) { return results.first + row * results.pitch + x + v * lanes; };
        SumTile<Work, rows, vectors> tile{};
        if (results.adds) {
            for (int row = 0; row < rows; ++row) {
                for (int v = 0; v < vectors; ++v) {
                    tile.sums[row][v] = __builtin_convertvector(load_lanes(at(row, v)), Lanes<Work>);
                }
            }
        }
        add(x, tile);
        repeat<rows>([&](auto row) IMKERNELS_INLINE_LAMBDA {
            for (int v = 0; v < vectors; ++v) {
                store_lanes(at(row, v), __builtin_convertvector(tile.sums[row][v], Lanes<Result>));
            }
        });
    }
}

}  // namespace imkernels::detail
