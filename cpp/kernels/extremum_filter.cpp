// Minimum and maximum filters: extrema along the rows of the windows, then of those down the columns.
//
// Along a row by doubling: E_1 = x, E_2 = the better of E_1 and E_1 shifted by 1, E_4 = the better of E_2 and E_2
// shifted by 2, ... Windows may overlap within a window, so that two of the largest power of two cover it: about log2 K
// steps per pixel, each on a line that stays in the nearest cache.
//
// Down the columns by two scans (van Herk, Pattern Recognition Letters 13, 1992; Gil and Werman, IEEE PAMI 15, 1993):
// rows are taken in groups of K; a window is the end of one group, scanned from below, and the beginning of the next,
// scanned from above. Three steps per pixel whatever K, each a row of lanes. Windows of few rows are sooner looked at
// as they are, two together that have all rows but one in common.
//
// Pixels are order-preserving keys (core/order_key.hpp), exact for every type. A NaN is the largest key; where it has
// to be the smallest (minima that propagate it, maxima that omit it) it becomes the lowest key, which no number has,
// for the time between.
#include "kernels/extremum_filter.hpp"

#include <algorithm>
#include <array>
#include <concepts>
#include <limits>
#include <utility>

#include "core/check.hpp"
#include "core/order_key.hpp"
#include "kernels/detail/better.hpp"
#include "kernels/detail/result_writer.hpp"
#include "kernels/window_3x3.hpp"
#include "rows/tile_grid.hpp"
#include "rows/tile_loader.hpp"
#include "rows/wide_planes.hpp"

namespace imkernels {

namespace {
using detail::Greater;
using detail::Lesser;

/// Calls body(x) for the vectors that cover [0, count). They may end behind it, unless they are `exact`: then the last
/// one begins before the end of the one in front of it, and there are `count` lanes or more.
template <class Key, class Body>
IMKERNELS_INLINE void for_vectors(index count, bool exact, const Body& body) {
    for (index x = 0; x < count; x += lane_count<Key>) {
        body(exact ? std::min(x, count - lane_count<Key>) : x);
    }
}

/// result[x] = the best of first[x] and of the same element of all others for 0 <= x < count; `result` may be one of
/// them, or begin before, but not if it is `exact`. Else a vector more is read and written.
template <class Better, class Key, std::same_as<const Key*>... Others>
void combine(index count, bool exact, Key* result, const Key* first, Others... others) {
    if (exact && count < lane_count<Key>) {
        for (index x = 0; x < count; ++x) {
            Key best = first[x];
            ((best = Better::of(best, others[x])), ...);
            result[x] = best;
        }
        return;
    }
    for_vectors<Key>(count, exact, [&](index x) IMKERNELS_INLINE_LAMBDA {
        Lanes<Key> best = load_lanes(first + x);
        ((best = Better::of(best, load_lanes(others + x))), ...);
        store_lanes(result + x, best);
    });
}

/// result[x] = the best of pixels[x], pixels[x + apart] ... of `size` such, for 0 <= x < count, and of a vector more.
/// `line` is room for the steps in between; unless nothing behind the pixels may be read, they may be there.
template <class Better, class Key>
void best_along(const Key* pixels, bool exact, index count, index size, index apart, Key* line, Key* result) {
    const auto at = [&](index i) { return pixels + i * apart; };
    if (size == 5) {  // one pass rather than two
        return combine<Better>(count, exact, result, at(0), at(1), at(2), at(3), at(4));
    }
    const Key* from = pixels;
    index done = 1;
    for (; 4 * done < size; done *= 4) {
        const index next = done * apart;
        combine<Better>(count + (size - 4 * done) * apart, exact, line, from, from + next, from + 2 * next,
                        from + 3 * next);
        from = line;
        exact = false;
    }
    const index next = done * apart;
    const Key* const last = from + (size - done) * apart;
    if (size <= 2 * done) {
        combine<Better>(count, exact, result, from, last);
    } else if (size <= 3 * done) {
        combine<Better>(count, exact, result, from, from + next, last);
    } else {
        combine<Better>(count, exact, result, from, from + next, from + 2 * next, last);
    }
}

/// Columns that `best_down` takes at once.
template <class Key>
inline constexpr index columns_at_once = 2 * lane_count<Key>;

/// results[0][x] = the best of rows[j * pitch + x] for 0 <= j < size, and 0 <= x < count. With `pair`, results[1] is
/// the same for the rows one further down; size > 1. Vectors end behind the results unless those are `exact`.
template <class Better, class Key>
void best_down(const Key* rows, index pitch, index size, index count, Key* const* results, bool pair, bool exact) {
    constexpr index lanes = lane_count<Key>;
    for (index start = 0; start < count; start += columns_at_once<Key>) {
        const index x = exact ? std::min(start, count - columns_at_once<Key>) : start;
        Lanes<Key> best[2];
        const auto row = [&](index y, index part) { return load_lanes(rows + y * pitch + x + part * lanes); };
        const auto store = [&](const Lanes<Key>* values, index result) {
            for (index part = 0; part < 2; ++part) {
                store_lanes(results[result] + x + part * lanes, values[part]);
            }
        };
        const index shared = pair ? 1 : 0;  // the first row that all results have
        for (index part = 0; part < 2; ++part) {
            best[part] = row(shared, part);
        }
        for (index y = shared + 1; y < size; ++y) {
            for (index part = 0; part < 2; ++part) {
                best[part] = Better::of(best[part], row(y, part));
            }
        }
        if (pair) {
            const Lanes<Key> below[2] = {Better::of(best[0], row(size, 0)), Better::of(best[1], row(size, 1))};
            store(below, 1);
            for (index part = 0; part < 2; ++part) {
                best[part] = Better::of(best[part], row(0, part));
            }
        }
        store(best, 0);
    }
}

/// running[x] = the better of it and next[x]; result[x] = the better of that and other[x].
template <class Better, class Key>
void advance(Key* running, const Key* next, const Key* other, index count, Key* result) {
    if (count < lane_count<Key>) {
        for (index x = 0; x < count; ++x) {
            running[x] = Better::of(running[x], next[x]);
            result[x] = Better::of(running[x], other[x]);
        }
        return;
    }
    for_vectors<Key>(count, true, [&](index x) IMKERNELS_INLINE_LAMBDA {  // what is done twice changes nothing
        const Lanes<Key> best = Better::of(load_lanes(running + x), load_lanes(next + x));
        store_lanes(running + x, best);
        store_lanes(result + x, Better::of(best, load_lanes(other + x)));
    });
}

template <class Key, class Better>
class ExtremumFilter {
public:
    ExtremumFilter(const WidePlanes& planes, NanPolicy nan, const std::byte* fill)
        : planes_(planes),
          image_(planes.image),
          out_(planes.out),
          window_(planes.window),
          nan_lowest_((nan == NanPolicy::propagate) == std::is_same_v<Better, Lesser>),
          shape_(choose_shape(out_.first.rows, out_.first.columns, window_, planes.channels)),
          fill_(read_fill<AsOrderKey, Key>(image_.element.dtype, fill).value),
          image_has_keys_(has_rows_of<Key>(image_)),
          loader_(window_, 1, shape_.columns, ColumnLayout::dense, row_reader<AsOrderKey, Key>(image_.element),
                  read_fill<AsOrderKey, Key>(image_.element.dtype, fill), planes.channels),
          write_(out_),
          pitch_(shape_.columns + row_slack) {}

    void run(int workers) const {
        const std::size_t bytes =
            Scratch::bytes<Key>(loader_.pitch()) + Scratch::bytes<Key>(window_.rows.cover(shape_.rows) * pitch_) +
            Scratch::bytes<Key>(pitch_) + Scratch::bytes<Key>(std::max(2 * pitch_, loader_.pitch()));
        const double cost = tile_cost(window_, shape_) / static_cast<double>(shape_.rows * shape_.columns);
        const TileGrid grid(out_.planes(), out_.first.rows, out_.first.columns, shape_, cost, image_.interleaved());
        grid.for_each(bytes, workers, [&](const Tile& tile, Scratch scratch) {
            filter(tile, scratch);
            write_.finish();
        });
    }

private:
    static constexpr index few_rows = 9;  // that are sooner looked at than scanned (Zen 5)
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

    /// The outputs [begin, end) of a row of a tile whose windows lie within the image, and the image columns that the
    /// windows of those before and behind them cover. Rows of keys are taken from the image itself, but for those few.
    struct Inside {
        static constexpr index most = 128;
        index begin = 0, end = 0;
        index before = 0, behind = 0;  // columns
        std::array<index, std::size_t{2} * most> columns;

        bool empty() const { return begin >= end; }
    };

    Inside inside(const Tile& tile) const {
        Inside inside;
        const WindowAxis& axis = window_.columns;
        const index first = axis.position(tile.column);
        const auto [begin, end] = axis.inside(tile.column, tile.columns, image_.first.columns);
        const index around = axis.reach() - 1;
        const index before = begin > 0 ? begin + around : 0;
        const index behind = end < tile.columns ? tile.columns - end + around : 0;
        if (image_has_keys_ && axis.stride == 1 && before <= Inside::most && behind <= Inside::most) {
            inside.begin = begin;
            inside.end = end;
            inside.before = before;
            inside.behind = behind;
            for (index i = 0; i < before + behind; ++i) {
                const index position = i < before ? first + i : first + end + i - before;
                inside.columns[static_cast<std::size_t>(i)] = planes_.column_at(position);
            }
        }
        return inside;
    }

    /// Buffers of a tile, in its worker's scratch, and how far they are filled.
    struct Buffers {
        Inside inside;
        Key* line;     // pixels of one row
        Key* rows;     // one key per row of the windows and column of outputs
        Key* running;  // a row of what a scan from above has found
        Key* results;
        index loaded = 0;  // rows
        bool nan = false;  // among them

        Buffers(const Tile& tile, Scratch scratch, const ExtremumFilter& filter)
            : inside(filter.inside(tile)),
              line(scratch.take<Key>(filter.loader_.pitch())),
              rows(scratch.take<Key>(filter.window_.rows.cover(filter.shape_.rows) * filter.pitch_)),
              running(scratch.take<Key>(filter.pitch_)),
              results(scratch.take<Key>(std::max(2 * filter.pitch_, filter.loader_.pitch()))) {}
    };

    void filter(const Tile& tile, Scratch scratch) const {
        Buffers buffers(tile, scratch, *this);
        if (window_.rows.size <= few_rows) {
            down_directly(tile, buffers);
        } else {
            down(tile, buffers);
        }
    }

    /// Row `y` of the windows; rows are loaded when they are first needed, while they are near.
    Key* row(const Tile& tile, Buffers& buffers, index y) const {
        for (; buffers.loaded <= y; ++buffers.loaded) {
            const index position = loader_.row_position(tile.row, tile.rows, buffers.loaded);
            Key* const row = buffers.rows + buffers.loaded * pitch_;
            if (!buffers.inside.empty() && position >= 0 && position < image_.first.rows) {
                reduce_row(tile, position, buffers, row);
            } else {
                buffers.nan |= load_row(tile, position, buffers, row);
            }
        }
        return buffers.rows + y * pitch_;
    }

    /// Reduces an image row to one key per column of outputs.
    void reduce_row(const Tile& tile, index position, const Buffers& buffers, Key* row) const {
        const Inside& inside = buffers.inside;
        const auto* const pixels = reinterpret_cast<const Key*>(image_.plane(tile.plane).at(position, 0));
        const auto reduce = [&](const Key* from, bool exact, index begin, index end) {
            best_along<Better>(from, exact, end - begin, window_.columns.size, window_.columns.dilation, buffers.line,
                               row + begin);
        };
        const auto reduce_columns = [&](index first, index count, index begin, index end) {
            for (index i = 0; i < count; ++i) {
                const index column = inside.columns[static_cast<std::size_t>(first + i)];
                buffers.line[i] = column == no_source ? fill_ : pixels[column];
            }
            if (count > 0) {
                reduce(buffers.line, false, begin, end);
            }
        };
        reduce_columns(0, inside.before, 0, inside.begin);
        reduce(pixels + window_.columns.position(tile.column + inside.begin), true, inside.begin, inside.end);
        reduce_columns(inside.before, inside.behind, inside.end, tile.columns);
    }

    /// The same for any row and type of image; true if there was a NaN.
    bool load_row(const Tile& tile, index position, const Buffers& buffers, Key* row) const {
        Key* const line = buffers.line;
        const bool nan = loader_.load_row(image_.plane(tile.plane), position, tile.column, tile.columns, line);
        const index step = loader_.output_step();
        const index count = (tile.columns - 1) * step + 1;
        if constexpr (sizeof(Key) > 1) {
            if (nan && nan_lowest_) {
                std::replace(line, line + count + window_.columns.reach() - 1, nan_key<Key>, lowest);
            }
        }
        Key* const dense = step == 1 ? row : buffers.results;
        best_along<Better>(line, false, count, window_.columns.size, window_.columns.dilation, line, dense);
        if (step != 1) {
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
                combine<Better>(tile.columns, false, here, static_cast<const Key*>(here), below);
                below = here;
            }
            std::fill_n(buffers.running, tile.columns, worst);
            for (index y = group; y < std::min(group + size, needed - size + 1); ++y) {
                const Key* best = row(tile, buffers, y);
                Key* results = y % step == 0 ? results_of(tile, y / step, buffers) : buffers.results;
                if (y > group) {  // the window that starts at y ends in the next group
                    const Key* next = row(tile, buffers, y + size - 1);
                    advance<Better>(buffers.running, next, best, tile.columns, results);
                    best = results;
                }
                if (y % step == 0) {
                    write(tile, y / step, best, buffers);
                }
            }
        }
    }

    /// The same for windows of few rows, which are looked at as they are.
    void down_directly(const Tile& tile, Buffers& buffers) const {
        const index size = window_.rows.size;
        const bool in_place = write_.in_place() && tile.columns >= columns_at_once<Key>;
        for (index y = 0, together; y < tile.rows; y += together) {
            together = window_.rows.step() == 1 && size > 1 ? std::min<index>(2, tile.rows - y) : 1;
            const index begin = y * window_.rows.step();
            row(tile, buffers, begin + size - 1 + together - 1);
            Key* results[2];
            for (index i = 0; i < together; ++i) {
                results[i] = in_place ? results_of(tile, y + i, buffers) : buffers.results + i * pitch_;
            }
            best_down<Better>(buffers.rows + begin * pitch_, pitch_, size, tile.columns, results, together == 2,
                              in_place);
            for (index i = 0; i < together; ++i) {
                write(tile, y + i, results[i], buffers);
            }
        }
    }

    /// Where row `y` of the results is computed.
    Key* results_of(const Tile& tile, index y, const Buffers& buffers) const {
        return write_.in_place() ? reinterpret_cast<Key*>(out_.plane(tile.plane).at(tile.row + y, tile.column))
                                 : buffers.results;
    }

    /// Writes row `y` of the results, unless it was computed where it belongs.
    void write(const Tile& tile, index y, const Key* best, const Buffers& buffers) const {
        if constexpr (sizeof(Key) > 1) {
            if (buffers.nan && nan_lowest_) {
                std::replace_copy(best, best + tile.columns, buffers.results, lowest, nan_key<Key>);
                best = buffers.results;
            }
        }
        if (!write_.in_place() || best != results_of(tile, y, buffers)) {
            const MutablePlane target = out_.plane(tile.plane);
            write_(best, tile.columns, target.at(tile.row + y, tile.column), target.column_stride);
        }
    }

    const WidePlanes& planes_;
    const ConstStack& image_;
    const MutableStack& out_;
    Window2D window_;
    bool nan_lowest_;
    TileShape shape_;
    Key fill_;
    bool image_has_keys_;  // in rows, as they are
    TileLoader<Key> loader_;
    detail::ResultWriter<Key> write_;
    index pitch_;
};
}  // namespace

void extremum_filter(const ConstStack& image, const MutableStack& out, const Window2D& window, Extremum extremum,
                     NanPolicy nan, const std::byte* fill, int workers) {
    require(out.element.dtype == image.element.dtype, "extremum_filter: the result has the type of the image");
    const WidePlanes planes = wide_planes(image, out, window);
    const auto by_keys = [&](const WidePlanes& part) {
        visit_dtype(image.element.dtype, [&](auto tag) {
            using Key = OrderKey<typename decltype(tag)::type>;
            if (extremum == Extremum::minimum) {
                ExtremumFilter<Key, Lesser>(part, nan, fill).run(workers);
            } else {
                ExtremumFilter<Key, Greater>(part, nan, fill).run(workers);
            }
        });
    };
    if (has_window_3x3(planes)) {
        extremum_3x3(planes, extremum, fill, workers, by_keys);
    } else {
        by_keys(planes);
    }
}

}  // namespace imkernels
