// Medians (kernels/detail/median_3x3.hpp) and extrema of 3x3 windows of pixels that are read where the image lies.
//
// They take about as long as to copy the pixels would. So vectors are loaded from the image and stored in the
// output; a row outside the image is another one of its rows, or one of fill. That leaves the few outputs of a row
// whose windows reach over the left or right edge: the columns that they need are gathered, and lanes run down those.
#include "kernels/window_3x3.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/check.hpp"
#include "core/order_key.hpp"
#include "kernels/detail/better.hpp"
#include "kernels/detail/median_3x3.hpp"
#include "kernels/detail/result_writer.hpp"
#include "rows/tile_grid.hpp"

namespace imkernels {

namespace {
// The filters: each calls store(row, result) for a window, row 0, and the one below it, row 1, given their pixels
// pixel(row, column).

struct Median {
    template <class Vector, class Pixel, class Store>
    static IMKERNELS_INLINE void of(const Pixel& pixel, const Store& store) {
        detail::medians_of_3x3<Vector>(pixel, store);
    }
};

template <class Better>
struct Best {
    template <class Vector, class Pixel, class Store>
    static IMKERNELS_INLINE void of(const Pixel& pixel, const Store& store) {
        Vector shared[3];
        detail::repeat<3>([&](auto column) {
            shared[column] = Better::of(pixel(detail::Constant<1>{}, column), pixel(detail::Constant<2>{}, column));
        });
        detail::repeat<2>([&](auto row) {
            const auto best = [&](auto column) IMKERNELS_INLINE_LAMBDA {
                return Better::of(shared[column], pixel(detail::Constant<3 * row>{}, column));
            };
            store(row, Better::of(Better::of(best(detail::Constant<0>{}), best(detail::Constant<1>{})),
                                  best(detail::Constant<2>{})));
        });
    }
};

template <class Key, class Filter>
class Window3x3 {
public:
    Window3x3(const WidePlanes& planes, const std::byte* fill)
        : planes_(planes), image_(planes.image), out_(planes.out), window_(planes.window), write_(out_) {
        std::memcpy(&fill_, fill, sizeof(fill_));
    }

    void run(int workers) const {
        constexpr double cost = 0.06 * sizeof(Key);  // nanoseconds per output on one core (Zen 5)
        const index columns = out_.first.columns;
        const TileShape shape{std::clamp<index>(out_.first.rows, 1, most_rows), evenly(columns, most_columns)};
        const std::size_t bytes = 3 * Scratch::bytes<Key>(row_size) + 4 * Scratch::bytes<Key>(edge_size);
        const TileGrid grid(out_.planes(), out_.first.rows, columns, shape, cost, image_.interleaved());
        grid.for_each(bytes, workers, [&](const Tile& tile, Scratch scratch) {
            filter(tile, scratch);
            write_.finish();
        });
    }

private:
    using Vector = Lanes<Key>;
    static constexpr index lanes = lane_count<Key>;
    static constexpr index most_rows = 64;
    static constexpr index most_columns = 8192 / sizeof(Key);
    static constexpr index row_size = most_columns + 2 * most_channels;
    static constexpr index edge_size = most_rows + 2 + lanes;
    /// The rows of the image that a tile's windows need, from their column 0 on; nullptr stands for a row of fill.
    using Rows = std::array<const Key*, most_rows + 2>;

    void filter(const Tile& tile, Scratch scratch) const {
        const ConstPlane source = image_.plane(tile.plane);
        Rows rows;
        for (index y = 0; y < tile.rows + 2; ++y) {
            const Run run = border_run(window_.rows.border, source.rows, window_.rows.position(tile.row + y));
            rows[y] = run.source == no_source ? nullptr : reinterpret_cast<const Key*>(source.at(run.source, 0));
        }
        auto [begin, end] = window_.columns.inside(tile.column, tile.columns, source.columns);
        if (end - begin >= lanes) {
            filter_rows(tile, rows, begin, end, scratch);
        } else {
            begin = end = tile.columns;  // every column by itself
        }
        for (index x = 0; x < begin; ++x) {
            filter_column(tile, rows, x, scratch);
        }
        for (index x = end; x < tile.columns; ++x) {
            filter_column(tile, rows, x, scratch);
        }
    }

    /// The outputs [begin, end) of every row, whose windows lie between the edges.
    void filter_rows(const Tile& tile, const Rows& rows, index begin, index end, Scratch scratch) const {
        const MutablePlane target = out_.plane(tile.plane);
        const index first = window_.columns.position(tile.column + begin);
        const index count = end - begin;
        Key* const outside = scratch.take<Key>(row_size);
        Key* const buffers[2] = {scratch.take<Key>(row_size), scratch.take<Key>(row_size)};
        if (window_.rows.border == Border::constant) {
            std::fill_n(outside, row_size, fill_);
        }
        const auto output = [&](index y) { return target.at(tile.row + y, tile.column + begin); };
        const auto pair_at = [&](index y) {
            Pair pair;
            for (index i = 0; i < 4; ++i) {
                const Key* const row = rows[std::min(y + i, tile.rows + 1)];
                pair.rows[i] = row == nullptr ? outside : row + first;
            }
            for (index i = 0; i < 2; ++i) {
                const bool in_place = write_.in_place() && y + i < tile.rows;
                pair.results[i] = in_place ? reinterpret_cast<Key*>(output(y + i)) : buffers[i];
            }
            return pair;
        };
        for (index y = 0; y < tile.rows; y += 2) {
            const Pair pair = pair_at(y);
            if (window_.columns.dilation == 1) {
                compute<true>(pair, pair_at(y + 2), count);
            } else {
                compute<false>(pair, pair_at(y + 2), count);
            }
            for (index i = 0; i < 2 && y + i < tile.rows && !write_.in_place(); ++i) {
                write_(pair.results[i], count, output(y + i), target.column_stride);
            }
        }
    }

    /// Two rows of outputs, and the four rows that they are computed from.
    struct Pair {
        const Key* rows[4];
        Key* results[2];
    };

    /// What the next pair reads and writes is brought near.
    template <bool adjacent>
    void compute(const Pair& pair, const Pair& next, index count) const {
        const index apart = adjacent ? 1 : window_.columns.dilation;
        // Results are stored at multiples of the size of a vector, but for those at the ends.
        const auto misplaced = static_cast<index>(reinterpret_cast<std::uintptr_t>(pair.results[0]) % vector_bytes);
        for (index start = -misplaced / index{sizeof(Key)}; start < count; start += lanes) {
            const index x = std::clamp<index>(start, 0, count - lanes);
            for (index i = 0; i < 2; ++i) {
                prefetch(next.rows[2 + i] + x);
                prefetch_to_write(next.results[i] + x);
            }
            Filter::template of<Vector>(
                [&](auto row, auto column)
                    IMKERNELS_INLINE_LAMBDA { return load_lanes(pair.rows[row] + x + column * apart); },
                [&](int row, const Vector& result)
                    IMKERNELS_INLINE_LAMBDA { store_lanes(pair.results[row] + x, result); });
        }
    }

    /// Output `x` of every row.
    void filter_column(const Tile& tile, const Rows& rows, index x, Scratch scratch) const {
        Key* const results = scratch.take<Key>(edge_size);
        Key* columns[3];
        for (index i = 0; i < 3; ++i) {
            columns[i] = scratch.take<Key>(edge_size);
            const index column = planes_.column_at(window_.columns.position(tile.column + x, i));
            for (index y = 0; y < tile.rows + 2; ++y) {
                columns[i][y] = column == no_source || rows[y] == nullptr ? fill_ : rows[y][column];
            }
        }
        for (index y = 0; y < tile.rows; y += lanes) {
            Filter::template of<Vector>(
                // The window beside it is not asked for.
                [&](auto column, auto row)
                    IMKERNELS_INLINE_LAMBDA { return load_lanes(columns[std::min<int>(column, 2)] + row + y); },
                [&](auto beside, const Vector& result) IMKERNELS_INLINE_LAMBDA {
                    if constexpr (beside == 0) {
                        store_lanes(results + y, result);
                    }
                });
        }
        const MutablePlane target = out_.plane(tile.plane);
        write_(results, tile.rows, target.at(tile.row, tile.column + x), target.row_stride);
    }

    const WidePlanes& planes_;
    const ConstStack& image_;
    const MutableStack& out_;
    Window2D window_;
    Key fill_;
    detail::ResultWriter<Key> write_;
};

/// Columns of the output that are mostly enough for a vector beside those at the edges.
template <class Key>
inline constexpr index least_columns = 2 * lane_count<Key> + 2 * most_channels;

/// Calls `visit(Key{})` for the type of the keys if the image consists of such.
template <class Visit>
bool visit_keys(const ConstStack& image, Visit&& visit) {
    return visit_dtype(image.element.dtype, [&](auto tag) {
        using Key = OrderKey<typename decltype(tag)::type>;
        const bool keys = has_rows_of<Key>(image);
        if (keys) {
            visit(Key{});
        }
        return keys;
    });
}

template <class Filter>
void filter(const WidePlanes& planes, const std::byte* fill, int workers) {
    require(has_window_3x3(planes), "window_3x3: made for other windows and images");
    require(planes.out.element.dtype == planes.image.element.dtype, "window_3x3: the result has the type of the image");
    visit_keys(planes.image, [&](auto key) { Window3x3<decltype(key), Filter>(planes, fill).run(workers); });
}
}  // namespace

bool has_window_3x3(const WidePlanes& planes) {
    bool wide = false;
    const auto is_wide = [&](auto key) { wide = planes.out.first.columns >= least_columns<decltype(key)>; };
    const Window2D& window = planes.window;
    return window.rows.size == 3 && window.columns.size == 3 && window.rows.stride == 1 && window.columns.stride == 1 &&
           window.rows.dilation == 1 && visit_keys(planes.image, is_wide) && wide;
}

void median_3x3(const WidePlanes& planes, const std::byte* fill, int workers) {
    filter<Median>(planes, fill, workers);
}

void extremum_3x3(const WidePlanes& planes, Extremum extremum, const std::byte* fill, int workers) {
    if (extremum == Extremum::minimum) {
        filter<Best<detail::Lesser>>(planes, fill, workers);
    } else {
        filter<Best<detail::Greater>>(planes, fill, workers);
    }
}

}  // namespace imkernels
