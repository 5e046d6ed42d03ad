// Cutting an output into tiles, and the loop over them.
//
// The cut is a function of shapes, element size and cost alone; who computes a tile has no influence on it.
#pragma once

#include <algorithm>
#include <utility>

#include "core/scratch.hpp"
#include "core/window.hpp"
#include "parallel/parallel_for.hpp"

namespace imkernels {

/// Outputs that are computed together.
struct Tile {
    index plane;
    index row, column;
    index rows, columns;
};

struct TileShape {
    index rows, columns;
};

/// The size of as few parts of at most `most` (at least 1) as there can be, all about the same.
inline index evenly(index extent, index most) {
    const index parts = std::max<index>(1, ceil_div(extent, std::max<index>(1, most)));
    return std::max<index>(1, ceil_div(extent, parts));
}

/// Bytes of the padded input of a tile. A double: a huge window must not overflow before it is cut.
inline double buffer_bytes(const Window2D& window, TileShape tile, index bytes) {
    return static_cast<double>(window.rows.cover(tile.rows)) *
           static_cast<double>(window.columns.cover(tile.columns) + row_slack) * static_cast<double>(bytes);
}

/// What a task may take at most, in nanoseconds: Ctrl-C is answered between tasks.
inline constexpr double longest_task = 20e6;

/// A tile size for `window` on an output of `rows` x `columns`: the padded input of a tile, `bytes` per element,
/// stays within a few hundred KiB, the pixels that neighbouring tiles load twice stay few, and a tile with `cost`
/// ns per output ends soon enough to answer Ctrl-C.
inline TileShape choose_tile(index rows, index columns, const Window2D& window, index bytes, double cost) {
    constexpr index wide = 512;
    constexpr double wanted_bytes = 256 * 1024;
    constexpr double most_bytes = 1024 * 1024;
    const auto halve = [](index& extent, index least) { extent = std::max(least, (extent + 1) / 2); };
    const index halo_rows = window.rows.reach() - window.rows.step();
    const index halo_columns = window.columns.reach() - window.columns.step();
    TileShape tile{evenly(rows, std::max<index>(32, 2 * halo_rows)), evenly(columns, wide)};
    const auto shrink = [&](index least_rows, index least_columns, double most) {
        while (buffer_bytes(window, tile, bytes) > most && (tile.rows > least_rows || tile.columns > least_columns)) {
            // The side that is longer beside its halo, as long as it may.
            const bool tall = tile.rows * halo_columns > tile.columns * halo_rows;
            if (tile.columns <= least_columns || (tall && tile.rows > least_rows)) {
                halve(tile.rows, least_rows);
            } else {
                halve(tile.columns, least_columns);
            }
        }
    };
    shrink(8, 64, wanted_bytes);  // smaller ones load much twice
    shrink(1, 1, most_bytes);     // but have to be if a tile would not fit otherwise
    while (static_cast<double>(tile.rows * tile.columns) * cost > longest_task && tile.rows * tile.columns > 1) {
        halve(tile.rows > 1 ? tile.rows : tile.columns, 1);
    }
    return tile;
}

/// The tile for loops that take elements one by one: a row, or a part of a long one.
inline TileShape part_of_row(index columns) {
    return {1, std::clamp<index>(columns, 1, 65536)};
}

/// Makes a tile smaller until what it keeps of `bytes` per row of its windows and column of its outputs fits: the last
/// resort for windows of many thousand rows.
inline void limit_kept_rows(TileShape& tile, const WindowAxis& rows, index bytes) {
    constexpr index most_bytes = index{32} << 20;
    constexpr index narrow = 16;
    while (rows.cover(tile.rows) * tile.columns * bytes > most_bytes && (tile.columns > narrow || tile.rows > 1)) {
        index& side = tile.columns > narrow ? tile.columns : tile.rows;
        side = (side + 1) / 2;
    }
}

class TileGrid {
public:
    /// `cost` is in nanoseconds per output. Neighbouring planes of which `interleaved` lie pixel by pixel in each other
    /// share their tasks, so that one reads and writes their cache lines; unless that would take too long.
    TileGrid(index planes, index rows, index columns, TileShape tile, double cost, index interleaved)
        : rows_(rows),
          columns_(columns),
          tile_(tile),
          tile_cost_(cost * static_cast<double>(tile.rows * tile.columns)),
          interleaved_(tile_cost_ * static_cast<double>(interleaved) <= longest_task ? interleaved : 1),
          down_(ceil_div(rows, tile.rows)),
          across_(ceil_div(columns, tile.columns)),
          tasks_(planes / interleaved_ * down_ * across_) {}

    /// Calls `body(tile, scratch)` for every tile of every plane.
    template <class Body>
    void for_each(std::size_t scratch_bytes, int workers, Body&& body) const {
        const double task_cost = tile_cost_ * static_cast<double>(interleaved_);
        parallel_for({tasks_, task_cost, scratch_bytes, workers}, [&](index task, Scratch scratch) {
            Tile tile = first_of(task);
            for (index i = 0; i < interleaved_; ++i, ++tile.plane) {
                body(std::as_const(tile), scratch);
            }
        });
    }

    index tasks() const { return tasks_; }

    /// The first tile of a task, and the only one without planes that lie in each other.
    Tile first_of(index task) const {
        const index row = task / across_ % down_ * tile_.rows;
        const index column = task % across_ * tile_.columns;
        return {task / (across_ * down_) * interleaved_, row, column, std::min(tile_.rows, rows_ - row),
                std::min(tile_.columns, columns_ - column)};
    }

private:
    index rows_, columns_;
    TileShape tile_;
    double tile_cost_;
    index interleaved_;
    index down_, across_;
    index tasks_;
};

}  // namespace imkernels
