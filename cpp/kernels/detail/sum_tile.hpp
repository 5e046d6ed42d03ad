// Register tiles of weighted sums: a few rows of outputs by a few vectors.
//
// A vector of pixels is loaded once for all sums of the tile that it is a tap of, and a weight once for all vectors, so
// that multiply-adds and not loads are what there is most of. Every sum adds up its taps in row-major order: its bits
// do not depend on the tile that it was computed in.
#pragma once

#include <algorithm>

#include "kernels/detail/result_lanes.hpp"
#include "kernels/detail/sorted_lanes.hpp"
#include "simd/lanes.hpp"

namespace imkernels::detail {

/// The sums of `rows` x `vectors` vectors of outputs.
template <class Work, int rows, int vectors>
struct SumTile {
    Lanes<Work> sums[rows][vectors];

    /// Whether vectors are moved by a lane in less time than another load takes, most of which lie in two cache lines.
    static constexpr bool has_pairs = vector_bytes == cache_line && sizeof(Work) >= 4;

    /// Adds the vectors of pixels at `tap` and those one pixel further on to the first row.
    IMKERNELS_INLINE void add_pair(const Work* tap, const Work* weights) {
        Lanes<Work> pixels[vectors + 1];
        for (int v = 0; v <= vectors; ++v) {
            pixels[v] = loaded(load_lanes(tap + v * lane_count<Work>));
        }
        for (int v = 0; v < vectors; ++v) {
            sums[0][v] += weights[0] * pixels[v];
        }
        for (int v = 0; v < vectors; ++v) {
            sums[0][v] += weights[1] * ordered<[](index lane) { return lane + 1; }, Work>(pixels[v], pixels[v + 1]);
        }
    }

    /// Adds the vectors of pixels at `tap` to the rows [first, last): weights[-row * apart] times.
    template <int first, int last, class Pixel>
    IMKERNELS_INLINE void add(const Pixel* tap, const Work* weights, index apart) {
        Lanes<Work> pixels[vectors];
        for (int v = 0; v < vectors; ++v) {
            pixels[v] = loaded(load_widened<Work>(tap + v * lane_count<Work>));
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

/// Calls add_row<begin, end>(row) for the rows of taps that `rows` windows have, of `size` rows each: of which each
/// begins a row below the one before, and which are at least as many. The row is one of the windows [begin, end).
template <int rows, class AddRow>
IMKERNELS_INLINE void for_each_row(index size, const AddRow& add_row) {
    repeat<rows - 1>([&](auto row) IMKERNELS_INLINE_LAMBDA { add_row.template operator()<0, row + 1>(row); });
    for (index row = rows - 1; row < size; ++row) {
        add_row.template operator()<0, rows>(row);
    }
    repeat<rows - 1>([&](auto row) IMKERNELS_INLINE_LAMBDA { add_row.template operator()<row + 1, rows>(size + row); });
}

/// Adds the sums of windows of which each begins a row of taps below the one before. There are at least as many rows of
/// taps as of outputs.
template <class Work, int rows, int vectors>
IMKERNELS_INLINE void add_taps(const Work* first, const Taps& taps, const Work* weights,
                               SumTile<Work, rows, vectors>& tile) {
    for_each_row<rows>(taps.rows, [&]<int begin, int end>(index row) IMKERNELS_INLINE_LAMBDA {
        for (index column = 0; column < taps.columns; ++column) {
            tile.template add<begin, end>(first + row * taps.pitch + taps.offsets[column],
                                          weights + row * taps.columns + column, taps.columns);
        }
    });
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

/// The same for windows that begin in neighbouring rows, of which `lines` are where the rows of taps begin; the columns
/// of taps lie `apart` from each other.
template <int K, class Work, int rows, int vectors>
IMKERNELS_INLINE void add_square(const Work* const (&lines)[rows + K - 1], index apart, const Work* weights,
                                 SumTile<Work, rows, vectors>& tile) {
    repeat<rows + K - 1>([&](auto row) IMKERNELS_INLINE_LAMBDA {
        constexpr int number = row;
        constexpr int first = std::max(number - K + 1, 0);  // of the outputs that this is a row of taps of
        constexpr int last = std::min(number + 1, rows);
        repeat<K>([&](auto column) IMKERNELS_INLINE_LAMBDA {
            tile.template add<first, last>(lines[row] + column * apart, weights + row * K + column, K);
        });
    });
}

/// The same for windows of one column, of which `lines` are the rows from column `x` on.
template <class Work, class Pixel, int rows, int vectors>
IMKERNELS_INLINE void add_lines(const Pixel* const* lines, index size, index x, const Work* weights,
                                SumTile<Work, rows, vectors>& tile) {
    for_each_row<rows>(size, [&]<int begin, int end>(index row) IMKERNELS_INLINE_LAMBDA {
        tile.template add<begin, end>(lines[row] + x, weights + row, 1);
    });
}

/// Where rows of results are stored, how they are rounded, and what sums of `Work`s begin with.
template <class Result, class Work, Rounding rounding = Rounding::half_to_even>
struct ResultRows {
    Result* first;
    index pitch;
    bool exact;    // nothing may be stored behind a row, of at least a few vectors
    bool adds;     // to the results that are there; not both
    Work start{};  // of sums that are not added to others
};

/// Computes rows of `count` results by `add(x, tile)`, which adds the sums from column x on. The sums stand for
/// `Result`s of their size, which hold them exactly, and are stored as those or as what `store_results` makes of them.
template <class Work, class Result, int rows, int vectors, class To, Rounding rounding, class Add>
IMKERNELS_INLINE void sum_rows(index count, const ResultRows<To, Work, rounding>& results, const Add& add) {
    constexpr index lanes = lane_count<Work>;
    const Lanes<Work> first = broadcast<Work>(results.start);
    for (index start = 0; start < count; start += vectors * lanes) {
        const index x = results.exact ? std::min(start, count - vectors * lanes) : start;
        const auto at = [&](int row, int v) { return results.first + row * results.pitch + x + v * lanes; };
        SumTile<Work, rows, vectors> tile;
        for (auto& row : tile.sums) {
            std::fill_n(row, vectors, first);
        }
        if constexpr (std::is_same_v<To, Result>) {
            for (int row = 0; results.adds && row < rows; ++row) {
                for (int v = 0; v < vectors; ++v) {
                    tile.sums[row][v] = __builtin_convertvector(load_lanes(at(row, v)), Lanes<Work>);
                }
            }
        }
        add(x, tile);
        repeat<rows>([&](auto row) IMKERNELS_INLINE_LAMBDA {
            store_results<Result, Work, rounding>(tile.sums[row], at(row, 0));
        });
    }
}

}  // namespace imkernels::detail
