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
#include <concepts>
#include <limits>
#include <utility>

#include "core/check.hpp"
#include "core/order_key.hpp"
#include "kernels/detail/result_writer.hpp"
#include "rows/tile_grid.hpp"
#include "rows/tile_loader.hpp"
#include "rows/wide_planes.hpp"

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

/// result[x] = the best of first[x] and of the same element of all others; `result` may be one of them, or begin
/// before.
template <class Better, class Key, std::same_as<const Key*>... Others>
void combine(index count, Key* result, const Key* first, Others... others) {
#pragma GCC ivdep
    for (index x = 0; x < count; ++x) {
        Key best = first[x];
        ((best = Better::of(best, others[x])), ...);
        result[x] = best;
    }
}

/// result[x] = the best of line[x], line[x + apart] ... of `size` such pixels, for 0 <= x < count. Uses up the line.
template <class Better, class Key>
void best_along(Key* line, index count, index size, index apart, Key* result) {
    const Key* const from = line;  // also where the line is written to
    index done = 1;
    for (; 4 * done < size; done *= 4) {
        const index next = done * apart;
        combine<Better>(count + (size - 4 * done) * apart, line, from, from + next, from + 2 * next, from + 3 * next);
    }
    const index next = done * apart;
    const Key* const last = from + (size - done) * apart;
    if (size <= 2 * done) {
        combine<Better>(count, result, from, last);
    } else if (size <= 3 * done) {
        combine<Better>(count, result, from, from + next, last);
    } else {
        combine<Better>(count, result, from, from + next, from + 2 * next, last);
    }
}

/// running[x] = the better of it and next[x]; result[x] = the better of that and other[x].
template <class Better, class Key>
void advance(Key* __restrict running, const Key* __restrict next, const Key* __restrict other, index count,
             Key* __restrict result) {
    for (index x = 0; x < count; ++x) {
        running[x] = Better::of(running[x], next[x]);
        result[x] = Better::of(running[x], other[x]);
    }
}

template <class Key, class Better>
class ExtremumFilter {
public:
    ExtremumFilter(const WidePlanes& planes, NanPolicy nan, const std::byte* fill)
        : image_(planes.image),
          out_(planes.out),
          window_(planes.window),
          nan_lowest_((nan == NanPolicy::propagate) == std::is_same_v<Better, Lesser>),
          shape_(choose_shape(out_.first.rows, out_.first.columns, window_, planes.channels)),
          loader_(window_, 1, shape_.columns, ColumnLayout::dense, row_reader<AsOrderKey, Key>(image_.element),
                  read_fill<AsOrderKey, Key>(image_.element.dtype, fill), planes.channels),
          write_(out_),
          pitch_(shape_.columns + row_slack) {}

    void run(int workers) const {
        const std::size_t bytes = Scratch::bytes<Key>(loader_.pitch()) +
                                  Scratch::bytes<Key>(window_.rows.cover(shape_.rows) * pitch_) +
                                  Scratch::bytes<Key>(pitch_) + Scratch::bytes<Key>(std::max(pitch_, loader_.pitch()));
        const double cost = tile_cost(window_, shape_) / static_cast<double>(shape_.rows * shape_.columns);
        const TileGrid grid(out_.planes(), out_.first.rows, out_.first.columns, shape_, cost, image_.interleaved());
        grid.for_each(bytes, workers, [&](const Tile& tile, Scratch scratch) {
            filter(tile, scratch);
            write_.finish();
        });
    }

private:
    static constexpr Key lowest = std::numeric_limits<Key>::min();
    static constexpr Key worst = std::is_same_v<Better, Lesser> ? std::numeric_limits<Key>::max() : lowest;

    /// Nanoseconds on one core (Zen 5).
    static double tile_cost(const Window2D& window, TileShape shape) {
        return 0.02 * sizeof(Key) * static_cast<double>(window.rows.cover(shape.rows)) *
               static_cast<double>(4 * shape.columns + window.columns.cover(shape.columns));
    }

    /// Rows are reduced as they are loaded: a tile keeps one key per row of its windows and column of outputs. It is
    /// tall beside its windows, so that few rows are reduced twice. One that its window dwarfs takes more memory rather
    /// than load all for a few outputs.
    static TileShape choose_shape(index rows, index columns, const Window2D& window, index channels) {
        constexpr index tile_bytes = index{512} * 1024;
        constexpr index line_bytes = index{64} * 1024;
        const auto keys = [](index bytes) { return bytes / static_cast<index>(sizeof(Key)); };
        const auto halve = [](index& extent) { extent = (extent + 1) / 2; };
        const index tall = std::max<index>(32, 8 * window.rows.size / window.rows.step());
        TileShape shape{std::clamp<index>(rows, 1, tall), std::clamp<index>(columns, 1, 2048)};
        const auto too_large = [&] { return window.rows.cover(shape.rows) * shape.columns > keys(tile_bytes); };
        const index least = std::max<index>(32, 2 * window.rows.size / window.rows.step());
        while (too_large() && shape.rows > least) {
            halve(shape.rows);
        }
        const index narrowest = std::max<index>(16, window.columns.size / window.columns.step() / 8);
        while (shape.columns > narrowest && (too_large() || window.columns.cover(shape.columns) > keys(line_bytes))) {
            halve(shape.columns);
        }
        const index lowest = std::max<index>(1, window.rows.size / window.rows.step() / 8);
        while (shape.rows > lowest && (too_large() || tile_cost(window, shape) > longest_task)) {
            halve(shape.rows);
        }
        limit_kept_rows(shape, window.rows, sizeof(Key));
        shape.columns = std::max(channels, shape.columns / channels * channels);
        return shape;
    }

    /// Buffers of a tile, in its worker's scratch, and how far they are filled.
    struct Buffers {
        Key* line;     // pixels of one row
        Key* rows;     // one key per row of the windows and column of outputs
        Key* running;  // a row of what a scan from above has found
        Key* results;
        index loaded = 0;  // rows
        bool nan = false;  // among them

        Buffers(Scratch scratch, const ExtremumFilter& filter)
            : line(scratch.take<Key>(filter.loader_.pitch())),
              rows(scratch.take<Key>(filter.window_.rows.cover(filter.shape_.rows) * filter.pitch_)),
              running(scratch.take<Key>(filter.pitch_)),
              results(scratch.take<Key>(std::max(filter.pitch_, filter.loader_.pitch()))) {}
    };

    void filter(const Tile& tile, Scratch scratch) const {
        Buffers buffers(scratch, *this);
        if (window_.rows.size <= 4) {
            down_directly(tile, buffers);
        } else {
            down(tile, buffers);
        }
    }

    /// Row `y` of the windows; rows are loaded when they are first needed, while they are near.
    Key* row(const Tile& tile, Buffers& buffers, index y) const {
        for (; buffers.loaded <= y; ++buffers.loaded) {
            Key* target = buffers.rows + buffers.loaded * pitch_;
            buffers.nan |= load_row(tile, buffers.loaded, buffers.line, buffers.results, target);
        }
        return buffers.rows + y * pitch_;
    }

    /// Reduces one row of the windows to one key per column of outputs; true if there was a NaN.
    bool load_row(const Tile& tile, index y, Key* line, Key* dense, Key* row) const {
        const index position = loader_.row_position(tile.row, tile.rows, y);
        const bool nan = loader_.load_row(image_.plane(tile.plane), position, tile.column, tile.columns, line);
        const index step = loader_.output_step();
        const index count = (tile.columns - 1) * step + 1;
        if constexpr (sizeof(Key) > 1) {
            if (nan && nan_lowest_) {
                std::replace(line, line + count + window_.columns.reach() - 1, nan_key<Key>, lowest);
            }
        }
        if (step == 1) {
            best_along<Better>(line, count, window_.columns.size, window_.columns.dilation, row);
        } else {
            best_along<Better>(line, count, window_.columns.size, window_.columns.dilation, dense);
            for (index x = 0; x < tile.columns; ++x) {
                row[x] = dense[x * step];
            }
        }
        return nan;
    }

    void down(const Tile& tile, Buffers& buffers) const {
        const index size = window_.rows.size;
        const index step = window_.rows.step();
        const index needed = window_.rows.cover(tile.rows);
        for (index group = 0; group + size <= needed; group += size) {
            const Key* below = row(tile, buffers, group + size - 1);
            for (index y = group + size - 2; y >= group; --y) {
                Key* here = row(tile, buffers, y);
                combine<Better>(tile.columns, here, static_cast<const Key*>(here), below);
                below = here;
            }
            std::fill_n(buffers.running, tile.columns, worst);
            for (index y = group; y < std::min(group + size, needed - size + 1); ++y) {
                const Key* best = row(tile, buffers, y);
                if (y > group) {  // the window that starts at y ends in the next group
                    const Key* next = row(tile, buffers, y + size - 1);
                    advance<Better>(buffers.running, next, best, tile.columns, buffers.results);
                    best = buffers.results;
                }
                if (y % step == 0) {
                    write(tile, y / step, best, buffers);
                }
            }
        }
    }

    /// The same for windows of at most four rows, taken one by one.
    void down_directly(const Tile& tile, Buffers& buffers) const {
        for (index y = 0; y < tile.rows; ++y) {
            const index begin = y * window_.rows.step();
            row(tile, buffers, begin + window_.rows.size - 1);
            const auto at = [&](index i) -> const Key* { return buffers.rows + (begin + i) * pitch_; };
            switch (window_.rows.size) {
                case 1: write(tile, y, at(0), buffers); continue;
                case 2: combine<Better>(tile.columns, buffers.results, at(0), at(1)); break;
                case 3: combine<Better>(tile.columns, buffers.results, at(0), at(1), at(2)); break;
                default: combine<Better>(tile.columns, buffers.results, at(0), at(1), at(2), at(3)); break;
            }
            write(tile, y, buffers.results, buffers);
        }
    }

    void write(const Tile& tile, index y, const Key* best, const Buffers& buffers) const {
        if constexpr (sizeof(Key) > 1) {
            if (buffers.nan && nan_lowest_) {
                std::replace_copy(best, best + tile.columns, buffers.results, lowest, nan_key<Key>);
                best = buffers.results;
            }
        }
        const MutablePlane target = out_.plane(tile.plane);
        write_(best, tile.columns, target.at(tile.row + y, tile.column), target.column_stride);
    }

    const ConstStack& image_;
    const MutableStack& out_;
    Window2D window_;
    bool nan_lowest_;
    TileShape shape_;
    TileLoader<Key> loader_;
    detail::ResultWriter<FromOrderKey, Key> write_;
    index pitch_;
};
}  // namespace

void extremum_filter(const ConstStack& image, const MutableStack& out, const Window2D& window, Extremum extremum,
                     NanPolicy nan, const std::byte* fill, int workers) {
    require(out.element.dtype == image.element.dtype, "extremum_filter: the result has the type of the image");
    const WidePlanes planes = wide_planes(image, out, window);
    visit_dtype(image.element.dtype, [&](auto tag) {
        using Key = OrderKey<typename decltype(tag)::type>;
        if (extremum == Extremum::minimum) {
            ExtremumFilter<Key, Lesser>(planes, nan, fill).run(workers);
        } else {
            ExtremumFilter<Key, Greater>(planes, nan, fill).run(workers);
        }
    });
}

}  // namespace imkernels
