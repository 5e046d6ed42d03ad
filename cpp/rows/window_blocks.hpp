// Windows too large or too far apart for one tile buffer, cut into blocks of taps.
//
// Kernels that accumulate over taps (sums, maxima) load one block after another. The blocks, and the taps in each, come
// in row-major order, so the order of accumulation is that of the whole window. All blocks have the buffer layout of
// the first.
#pragma once

#include <algorithm>

#include "core/window.hpp"
#include "rows/tile_grid.hpp"

namespace imkernels {

class WindowBlocks {
public:
    /// Taps [row, row + rows) x [column, column + columns) of the window.
    struct Block {
        index row, column;
        index rows, columns;
    };

    WindowBlocks(const Window2D& window, TileShape tile, index bytes) : taps_(window), block_(window) {
        constexpr index most = index{1024} * 1024;
        if (buffer_bytes(block_, tile, bytes) > most) {
            block_.rows.size = 1;
        }
        if (buffer_bytes(block_, tile, bytes) > most) {
            const index room = most / bytes / tile.rows - tile.columns * window.columns.stride - row_slack;
            block_.columns.size = std::clamp<index>(room / window.columns.dilation, 1, window.columns.size);
        }
        across_ = ceil_div(window.columns.size, block_.columns.size);
    }

    /// The window of the first block, by which the loader's buffer is laid out.
    const Window2D& first() const { return block_; }

    index count() const { return taps_.rows.size / block_.rows.size * across_; }

    Block operator[](index number) const {
        const index row = number / across_ * block_.rows.size;
        const index column = number % across_ * block_.columns.size;
        return {row, column, block_.rows.size, std::min(block_.columns.size, taps_.columns.size - column)};
    }

private:
    Window2D taps_;
    Window2D block_;
    index across_;
};

/// The tile for a kernel that takes its window in blocks: that of a single tap, whatever the window.
inline TileShape choose_tile_for_blocks(index rows, index columns, const Window2D& window, index bytes, double cost) {
    Window2D tap = window;
    tap.rows.size = tap.columns.size = 1;
    return choose_tile(rows, columns, tap, bytes, cost);
}

}  // namespace imkernels
