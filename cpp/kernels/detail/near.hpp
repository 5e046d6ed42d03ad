// Rows that are needed soon, brought near while others are computed with: what finds streams of memory by itself has
// to find each row anew.
#pragma once

#include <algorithm>

#include "core/array_view.hpp"
#include "core/window.hpp"
#include "rows/tile_grid.hpp"
#include "simd/lanes.hpp"

namespace imkernels::detail {

/// Has the pixels of a row fetched that the windows of a tile's columns take in, if the row is one of the image and its
/// pixels lie side by side; unless windows leave most of it out, or reach far over the tile.
IMKERNELS_INLINE void bring_pixels_near(const ConstStack& image, const WindowAxis& columns, const Tile& tile,
                                        index plane, index row) {
    constexpr index few = 1024;  // pixels
    const index size = item_size_of(image.element.dtype);
    const bool lie_in_it = row >= 0 && row < image.first.rows && image.first.column_stride == size;
    const bool most = columns.stride * size <= 2 * cache_line || columns.stride <= columns.reach();
    if (!lie_in_it || !most || columns.reach() > tile.columns * columns.stride + few) {
        return;
    }
    const index begin = std::max<index>(0, columns.position(tile.column));
    const index last = columns.position(tile.column + tile.columns - 1);
    const index end = std::min(image.first.columns, last + columns.reach());
    const std::byte* const pixels = image.plane(plane).at(row, 0);
    for (index byte = begin * size; byte < end * size; byte += cache_line) {
        prefetch(pixels + byte);
    }
}

/// The same for a row of results of a tile, which are going to be stored.
IMKERNELS_INLINE void bring_results_near(const MutableStack& out, const Tile& tile, index y) {
    if (y >= tile.rows) {
        return;
    }
    const std::byte* const results = out.plane(tile.plane).at(tile.row + y, tile.column);
    for (index byte = 0; byte < tile.columns * out.first.column_stride; byte += cache_line) {
        prefetch_to_write(results + byte);
    }
}

}  // namespace imkernels::detail
