// Windows too large or too far apart for one tile buffer, cut into blocks of taps.
//
// Kernels that accumulate over taps (sums, maxima) load one block after another. The blocks, and the taps in
// each, come in row-major order, so the order of accumulation is that of the whole window.
#pragma once

#include <algorithm>
#include <vector>

#include "core/window.hpp"
#include "rows/tile_grid.hpp"

namespace imkernels {

struct WindowBlock {
    Window2D window;    // a window of these taps alone
    index row, column;  // its first tap in the whole window
};

inline std::vector<WindowBlock> window_blocks(const Window2D& window, TileShape tile, index bytes) {
    constexpr index most = index{768} * 1024;
    if (buffer_bytes(window, tile, bytes) <= most) {
        return {{window, 0, 0}};
    }
    // One row of taps at a time, and as many of its columns as fit.
    const index room = most / bytes / tile.rows - tile.columns * window.columns.stride;
    const index columns = std::clamp<index>(room / window.columns.dilation, 1, window.columns.size);
    std::vector<WindowBlock> blocks;
    for (index row = 0; row < window.rows.size; ++row) {
        for (index column = 0; column < window.columns.size; column += columns) {
            Window2D block = window;
            block.rows.size = 1;
            block.rows.before -= row * window.rows.dilation;
            block.columns.size = std::min(columns, window.columns.size - column);
            block.columns.before -= column * window.columns.dilation;
            blocks.push_back({block, row, column});
        }
    }
    return blocks;
}

}  // namespace imkernels
