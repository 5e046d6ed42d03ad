// The medians of neighbouring windows, which share most of their work.
//
// The outputs of a tile of W x H have a core of (K - W + 1) x (K - H + 1) pixels in common; if they lie `step` pixels
// apart, of K - (W - 1) step columns and as many rows. It is sorted once. Then the tile is halved: each half has more
// pixels in common, which are merged into the core, and so on until a half is a single output, whose core is its
// window. A list drops what cannot be a median any more, so that little is left to merge in the end: about K^1.65
// minima and maxima per pixel in all. Since the same comparisons are made whatever the pixels are, a lane computes one
// tile, and neighbouring tiles lie in neighbouring lanes.
//
// Beside the core a tile has (W - 1) step columns of the core's height on its left and on its right, (H - 1) step rows
// of the core's width above and below, each sorted, and four corners. Adams, "Fast median filters using separable
// sorting networks", ACM TOG 40 (2021); Sugy, "Hierarchical tiling", arXiv 2507.19926 (2025).
#pragma once

#include "kernels/detail/sorted_lanes.hpp"

namespace imkernels::detail {

template <class Vector, int K, int W, int H, int step, Kept core_kept>
struct MedianTile {
    static constexpr int wide = (W - 1) * step;
    static constexpr int high = (H - 1) * step;
    template <class Element, int width>
    using Row = std::array<Element, static_cast<std::size_t>(width)>;

    Sorted<Vector, core_kept> core;
    Row<Sorted<Vector, all(K - high)>, wide> columns[2];  // on the left and on the right
    Row<Sorted<Vector, all(K - wide)>, high> rows[2];     // above and below
    Row<Row<Vector, wide>, high> corners[2][2];           // [below][right][row][column]
};

template <int K>
inline constexpr Sought median_of{K * K, K * K / 2};

/// The tile with its two axes exchanged.
template <class Vector, int K, int W, int H, int step, Kept core>
IMKERNELS_INLINE auto transposed(const MedianTile<Vector, K, W, H, step, core>& tile) {
    MedianTile<Vector, K, H, W, step, core> turned;
    turned.core = tile.core;
    repeat<2>([&](auto side) {
        turned.columns[side] = tile.rows[side];
        turned.rows[side] = tile.columns[side];
        repeat<2>([&](auto other) {
            repeat<turned.wide>([&](auto r) {
                repeat<turned.high>(
                    [&](auto c) { turned.corners[other][side][c][r] = tile.corners[side][other][r][c]; });
            });
        });
    });
    return turned;
}

/// The left half of a tile (side 0) or the right one (side 1).
template <int side, class Vector, int K, int W, int H, int step, Kept core>
IMKERNELS_INLINE auto half(const MedianTile<Vector, K, W, H, step, core>& tile) {
    constexpr Sought sought = median_of<K>;
    constexpr int width = W / 2 * step;                   // columns that all windows of the half share besides the core
    constexpr int shared = side == 0 ? width - step : 0;  // the first of them
    constexpr int beside = side == 0 ? 0 : width;         // the first of `width - step` that stay beside its core
    const auto added = merge_all<sought, shared, width>([&](auto i) { return tile.columns[side][i]; });
    const auto grown = merge<sought>(tile.core, added);
    MedianTile<Vector, K, W / 2, H, step, decltype(grown)::range> part;
    part.core = grown;
    repeat<2>([&](auto below) {
        const auto& corners = tile.corners[below];
        repeat<width - step>([&](auto c) { part.columns[below][c] = tile.columns[below][beside + c]; });
        repeat<part.high>([&](auto r) {
            const auto ends = sort_all<sought, shared, width>([&](auto i) { return corners[side][r][i]; });
            part.rows[below][r] = merge<sought>(tile.rows[below][r], ends);
            repeat<2>([&](auto right) {
                repeat<width - step>([&](auto c) { part.corners[below][right][r][c] = corners[right][r][beside + c]; });
            });
        });
    });
    return part;
}

template <bool turned, class Vector, int K, int W, int H, int step, Kept core, class Store>
IMKERNELS_INLINE void solve(const MedianTile<Vector, K, W, H, step, core>& tile, int column, int row,
                            const Store& store) {
    if constexpr (W == 1 && H == 1) {
        static_assert(core.count == 1);
        // NOLINTNEXTLINE(readability-suspicious-call-argument): the axes are exchanged.
        turned ? store(row, column, tile.core.values[0]) : store(column, row, tile.core.values[0]);
    } else if constexpr (W >= H) {
        solve<turned>(half<0>(tile), column, row, store);
        solve<turned>(half<1>(tile), column + W / 2, row, store);
    } else {
        // NOLINTNEXTLINE(readability-suspicious-call-argument): the axes are exchanged.
        solve<!turned>(transposed(tile), row, column, store);
    }
}

/// Calls store(column, row, median) for the outputs of a tile, given its pixels pixel(row, column) and the sorted
/// columns of its core, sorted_column(column); 0 <= column < K + (W - 1) step, row likewise, are constants.
template <class Vector, int K, int W, int H, int step, class SortedColumn, class Pixel, class Store>
IMKERNELS_INLINE void medians_of_tile(const SortedColumn& sorted_column, const Pixel& pixel, const Store& store) {
    constexpr Sought sought = median_of<K>;
    constexpr int wide = (W - 1) * step;
    constexpr int high = (H - 1) * step;
    const auto core = merge_all<sought, wide, K - wide>(sorted_column);
    MedianTile<Vector, K, W, H, step, decltype(core)::range> tile;
    tile.core = core;
    repeat<wide>([&](auto c) {
        tile.columns[0][c] = sorted_column(c);
        tile.columns[1][c] = sorted_column(Constant<K + c>{});
    });
    repeat<2>([&](auto below) {
        repeat<high>([&](auto r) {
            constexpr Constant<below * K + r> row{};
            tile.rows[below][r] = sort_all<sought, wide, K - wide>([&](auto c) { return pixel(row, c); });
            repeat<wide>([&](auto c) {
                tile.corners[below][0][r][c] = pixel(row, c);
                tile.corners[below][1][r][c] = pixel(row, Constant<K + c>{});
            });
        });
    });
    solve<false>(tile, 0, 0, store);
}

}  // namespace imkernels::detail
