// Minimum and maximum filters: extrema along the rows of the windows, then of those down the columns.
//
// Along a row by doubling: E_1 = x, E_2 = the better of E_1 and E_1 shifted by 1, E_4 = the better of E_2 and E_2
// shifted by 2, ... Windows may overlap within a window, so that two of the largest power of two cover it: about log2 K
// steps per pixel, each on a line that stays in the nearest cache.
//
// Down the columns by two scans (van Herk, Pattern Recognition Letters 13, 1992; Gil and Werman, IEEE PAMI 15, 1993):
// rows are taken in groups of K; a window is the end of one group, scanned from below, and the beginning of the next,
// scanned from above. Three steps per pixel whatever K, each a row of lanes.
//
// Pixels are order-preserving keys (core/order_key.hpp), exact for every type. A NaN is the largest key; where it has
// to be the smallest (minima that propagate it, maxima that omit it) it becomes the lowest key, which no number has,
// for the time between.
#include "kernels/extremum_filter.hpp"

#include <algorithm>
#include <limits>

#include "core/check.hpp"
#include "core/order_key.hpp"
#include "rows/row_writer.hpp"
#include "rows/tile_grid.hpp"
#include "rows/tile_loader.hpp"

namespace imkernels {

namespace {
struct Lesser {
    template <class Key>
    static Key of(Key one, Key other) {
        return other < one ? other : one;
    }
};
struct Greater {
    template <class Key>
    static Key of(Key one, Key other) {
        return other > one ? other : one;
    }
};

/// result[x] = the better of one[x] and other[x]; `result` may be `one`.
template <class Better, class Key>
void combine(const Key* one, const Key* other, index count, Key* result) {
#pragma GCC ivdep
    for (index x = 0; x < count; ++x) {
        result[x] = Better::of(one[x], other[x]);
    }
}

/// result[x] = the best of line[x] ... line[x + size - 1] for 0 <= x < count. Uses up the line.
template <class Better, class Key>
void best_along(Key* line, index count, index size, Key* result) {
    if (size == 1) {
        std::copy_n(line, count, result);
        return;
    }
    index done = 1;
    for (; 2 * done < size; done *= 2) {
        combine<Better>(line, line + done, count + size - 2 * done, line);
    }
    combine<Better>(line, line + size - done, count, result);
}

template <class Key, class Better>
class ExtremumFilter {
public:
    ExtremumFilter(const ConstStack& image, const MutableStack& out, const Window2D& window, NanPolicy nan,
                   const std::byte* fill)
        : image_(image),
          out_(out),
          window_(window),
          nan_lowest_((nan == NanPolicy::propagate) == std::is_same_v<Better, Lesser>),
          // An output loads the pixels between it and the next one; in nanoseconds on one core (Zen 5).
          cost_(0.02 * sizeof(Key) * static_cast<double>(window.rows.step()) *
                static_cast<double>(4 + window.columns.step())),
          shape_(choose_shape(out.first.rows, out.first.columns, window, cost_)),
          loader_(window, 1, shape_.columns, ColumnLayout::dense, row_reader<AsOrderKey, Key>(image.element),
                  read_fill<AsOrderKey, Key>(image.element.dtype, fill)),
          write_(row_writer<FromOrderKey, Key>(out.element)),
          pitch_(shape_.columns + row_slack) {}

    void run(int workers) const {
        const std::size_t bytes = Scratch::bytes<Key>(loader_.pitch()) +
                                  Scratch::bytes<Key>(window_.rows.cover(shape_.rows) * pitch_) +
                                  2 * Scratch::bytes<Key>(std::max(pitch_, loader_.pitch()));
        const TileGrid grid(out_.planes(), out_.first.rows, out_.first.columns, shape_, cost_, image_.interleaved());
        grid.for_each(bytes, workers, [&](const Tile& tile, Scratch scratch) { filter(tile, scratch); });
    }

private:
    static constexpr Key lowest = std::numeric_limits<Key>::min();

    /// Rows are reduced as they are loaded: a tile keeps one key per row of its windows and column of outputs. It is
    /// tall beside its windows, so that few rows are reduced twice.
    static TileShape choose_shape(index rows, index columns, const Window2D& window, double cost) {
        constexpr index tile_bytes = index{64} * 1024;
        constexpr index line_bytes = index{64} * 1024;
        const index tall = std::clamp<index>(8 * window.rows.size / window.rows.step(), 32, 1024);
        TileShape shape{std::min(rows, tall), std::min<index>(columns, 4096)};
        const auto keys = [](index bytes) { return bytes / static_cast<index>(sizeof(Key)); };
        while (shape.columns > 256 && window.rows.cover(shape.rows) * shape.columns > keys(tile_bytes)) {
            shape.columns = (shape.columns + 1) / 2;
        }
        while (shape.rows > 1 && window.rows.cover(shape.rows) * shape.columns > keys(8 * tile_bytes)) {
            shape.rows = (shape.rows + 1) / 2;
        }
        while (shape.columns > 1 && (window.columns.cover(shape.columns) > keys(line_bytes) ||
                                     window.rows.cover(shape.rows) * shape.columns > keys(16 * tile_bytes))) {
            shape.columns = (shape.columns + 1) / 2;
        }
        while (shape.rows > 1 && static_cast<double>(shape.rows * shape.columns) * cost > longest_task) {
            shape.rows = (shape.rows + 1) / 2;
        }
        return shape;
    }

    void filter(const Tile& tile, Scratch scratch) const {
        Key* line = scratch.take<Key>(loader_.pitch());
        Key* rows = scratch.take<Key>(window_.rows.cover(shape_.rows) * pitch_);
        Key* running = scratch.take<Key>(std::max(pitch_, loader_.pitch()));
        Key* results = scratch.take<Key>(std::max(pitch_, loader_.pitch()));
        const index needed = window_.rows.cover(tile.rows);
        bool nan = false;
        for (index y = 0; y < needed; ++y) {
            nan |= load_row(tile, y, line, results, rows + y * pitch_);
        }
        down(tile, nan, rows, running, results);
    }

    /// Reduces one row of the windows to one key per column of outputs; true if there was a NaN.
    bool load_row(const Tile& tile, index y, Key* line, Key* dense, Key* row) const {
        const index position = loader_.row_position(tile.row, tile.rows, y);
        const bool nan = loader_.load_row(image_.plane(tile.plane), position, tile.column, tile.columns, line);
        const index step = loader_.output_step();
        const index count = (tile.columns - 1) * step + 1;
        if constexpr (sizeof(Key) > 1) {
            if (nan && nan_lowest_) {
                std::replace(line, line + count + window_.columns.size - 1, nan_key<Key>, lowest);
            }
        }
        if (step == 1) {
            best_along<Better>(line, count, window_.columns.size, row);
        } else {
            best_along<Better>(line, count, window_.columns.size, dense);
            for (index x = 0; x < tile.columns; ++x) {
                row[x] = dense[x * step];
            }
        }
        return nan;
    }

    /// Reduces the rows of each window and writes its result. Uses up the rows.
    void down(const Tile& tile, bool nan, Key* rows, Key* running, Key* results) const {
        const index size = window_.rows.size;
        const index step = window_.rows.step();
        const index needed = window_.rows.cover(tile.rows);
        const auto row = [&](index y) { return rows + y * pitch_; };
        for (index group = 0; group + size <= needed; group += size) {
            for (index y = group + size - 2; y >= group; --y) {
                combine<Better>(row(y), row(y + 1), tile.columns, row(y));
            }
            for (index y = group; y < std::min(group + size, needed - size + 1); ++y) {
                const index next = y + size - 1;  // the last row of the window that starts at y
                const Key* best = row(y);
                if (y > group) {
                    const Key* first = y == group + 1 ? row(next) : running;
                    combine<Better>(first, row(next), tile.columns, running);
                    if (y % step == 0) {
                        combine<Better>(row(y), running, tile.columns, results);
                    }
                    best = results;
                }
                if (y % step == 0) {
                    write(tile, y / step, nan, best, results);
                }
            }
        }
    }

    void write(const Tile& tile, index y, [[maybe_unused]] bool nan, const Key* best,
               [[maybe_unused]] Key* results) const {
        if constexpr (sizeof(Key) > 1) {
            if (nan && nan_lowest_) {
                std::replace_copy(best, best + tile.columns, results, lowest, nan_key<Key>);
                best = results;
            }
        }
        const MutablePlane target = out_.plane(tile.plane);
        write_(best, tile.columns, target.at(tile.row + y, tile.column), target.column_stride);
    }

    const ConstStack& image_;
    const MutableStack& out_;
    Window2D window_;
    bool nan_lowest_;
    double cost_;
    TileShape shape_;
    TileLoader<Key> loader_;
    WriteRun<Key> write_;
    index pitch_;
};
}  // namespace

void extremum_filter(const ConstStack& image, const MutableStack& out, const Window2D& window, Extremum extremum,
                     NanPolicy nan, const std::byte* fill, int workers) {
    require(out.element.dtype == image.element.dtype, "extremum_filter: the result has the type of the image");
    visit_dtype(image.element.dtype, [&](auto tag) {
        using Key = OrderKey<typename decltype(tag)::type>;
        if (extremum == Extremum::minimum) {
            ExtremumFilter<Key, Lesser>(image, out, window, nan, fill).run(workers);
        } else {
            ExtremumFilter<Key, Greater>(image, out, window, nan, fill).run(workers);
        }
    });
}

}  // namespace imkernels
