// Medians (kernels/detail/median_3x3.hpp) and extrema of 3x3 windows of pixels that are read where the image lies.
//
// They take about as long as to copy the pixels would. So vectors are loaded from the image and stored in the
// output; a row outside the image is another one of its rows, or one of fill. That leaves the few outputs of a row
// whose windows reach over the left or right edge: the columns that they need are gathered, and lanes run down those.
//
// float32 is read there too. Extrema compare it as it is, medians by keys that they make in registers, since processors
// compare integers at a higher rate. Bands of rows with floats for which that is not right
// (kernels/detail/plain_floats.hpp) are left to others.
#include "kernels/window_3x3.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <type_traits>

#include "core/check.hpp"
#include "core/order_key.hpp"
#include "kernels/detail/better.hpp"
#include "kernels/detail/median_3x3.hpp"
#include "kernels/detail/plain_floats.hpp"
#include "kernels/detail/result_writer.hpp"
#include "rows/tile_grid.hpp"

namespace imkernels {

namespace {
// The filters: each calls store(row, result) for a window, row 0, and the one below it, row 1, given their pixels
// pixel(row, column), which are `Compared`.

struct Median {
    template <class Pixel>
    using Compared = OrderKey<Pixel>;
    /// Whether columns are sorted once for all windows: where one instruction moves lanes on (AVX-512).
    template <class Key>
    static constexpr bool shares_columns = sizeof(Key) >= 4 && vector_bytes == 64;

    template <class Vector, class Pixel, class Store>
    static IMKERNELS_INLINE void of(const Pixel& pixel, const Store& store) {
        detail::medians_of_3x3<Vector>(pixel, store);
    }
};

template <class Better>
struct Best {
    template <class Pixel>
    using Compared = Pixel;
    template <class Key>
    static constexpr bool shares_columns = false;

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

/// Floats to their keys, or keys to their floats; other numbers stay as they are.
template <class To, class From>
IMKERNELS_INLINE Lanes<To> as_compared(const Lanes<From>& numbers) {
    if constexpr (std::is_same_v<To, From>) {
        return numbers;
    } else {
        using Bits = std::conditional_t<std::is_integral_v<To>, To, From>;
        const auto bits = std::bit_cast<Lanes<Bits>>(numbers);
        const auto folded = bits ^ ((bits >> (8 * sizeof(Bits) - 1)) & std::numeric_limits<Bits>::max());
        return std::bit_cast<Lanes<To>>(folded);
    }
}

/// `Pixel` is a type of keys, or float.
template <class Pixel, class Filter>
class Window3x3 {
public:
    Window3x3(const WidePlanes& planes, const std::byte* fill)
        : planes_(planes), image_(planes.image), out_(planes.out), window_(planes.window), write_(out_) {
        std::memcpy(&fill_, fill, sizeof(fill_));
    }

    void run(int workers, const detail::FilterPart& by_keys) const {
        constexpr double cost = 0.06 * sizeof(Pixel);  // nanoseconds per output on one core (Zen 5)
        const index columns = out_.first.columns;
        const TileShape shape{std::clamp<index>(out_.first.rows, 1, most_rows), evenly(columns, most_columns)};
        const std::size_t bytes = 3 * Scratch::bytes<Pixel>(row_size) + 4 * Scratch::bytes<Pixel>(edge_size);
        const TileGrid grid(out_.planes(), out_.first.rows, columns, shape, cost, image_.interleaved());
        detail::LeftOutRows left_out(planes_, shape.rows);
        grid.for_each(bytes, workers, [&](const Tile& tile, Scratch scratch) {
            if (!filter(tile, scratch)) {
                left_out.leave(tile);
            }
            write_.finish();
        });
        left_out.pass_on(by_keys);
    }

private:
    using Compared = typename Filter::template Compared<Pixel>;
    using Vector = Lanes<Compared>;
    using PlainFloats = detail::PlainFloats<Pixel, std::is_same_v<Pixel, Compared>>;
    static constexpr index lanes = lane_count<Pixel>;
    static constexpr index most_rows = 64;
    static constexpr index most_columns = 8192 / sizeof(Pixel);
    static constexpr index row_size = most_columns + 2 * most_channels;
    static constexpr index edge_size = most_rows + 2 + lanes;
    /// The rows of the image that a tile's windows need, from their column 0 on; nullptr stands for a row of fill.
    using Rows = std::array<const Pixel*, most_rows + 2>;

    /// False where floats are not plain: the results are of no use.
    bool filter(const Tile& tile, Scratch scratch) const {
        PlainFloats plain;
        const ConstPlane source = image_.plane(tile.plane);
        Rows rows;
        for (index y = 0; y < tile.rows + 2; ++y) {
            const Run run = border_run(window_.rows.border, source.rows, window_.rows.position(tile.row + y));
            rows[y] = run.source == no_source ? nullptr : reinterpret_cast<const Pixel*>(source.at(run.source, 0));
        }
        auto [begin, end] = window_.columns.inside(tile.column, tile.columns, source.columns);
        if (end - begin >= lanes) {
            filter_rows(tile, rows, begin, end, plain, scratch);
        } else {
            begin = end = tile.columns;  // every column by itself
        }
        for (index x = 0; x < begin; ++x) {
            filter_column(tile, rows, x, plain, scratch);
        }
        for (index x = end; x < tile.columns; ++x) {
            filter_column(tile, rows, x, plain, scratch);
        }
        return plain.all_plain();
    }

    /// The outputs [begin, end) of every row, whose windows lie between the edges.
    void filter_rows(const Tile& tile, const Rows& rows, index begin, index end, PlainFloats& plain,
                     Scratch scratch) const {
        const MutablePlane target = out_.plane(tile.plane);
        const index first = window_.columns.position(tile.column + begin);
        const index count = end - begin;
        Pixel* const outside = scratch.take<Pixel>(row_size);
        Pixel* const buffers[2] = {scratch.take<Pixel>(row_size), scratch.take<Pixel>(row_size)};
        if (window_.rows.border == Border::constant) {
            std::fill_n(outside, row_size, fill_);
        }
        const auto output = [&](index y) { return target.at(tile.row + y, tile.column + begin); };
        const auto pair_at = [&](index y) {
            Pair pair;
            for (index i = 0; i < 4; ++i) {
                const Pixel* const row = rows[std::min(y + i, tile.rows + 1)];
                pair.rows[i] = row == nullptr ? outside : row + first;
            }
            for (index i = 0; i < 2; ++i) {
                const bool in_place = write_.in_place() && y + i < tile.rows;
                pair.results[i] = in_place ? reinterpret_cast<Pixel*>(output(y + i)) : buffers[i];
            }
            return pair;
        };
        const index apart = window_.columns.dilation;
        for (const Pixel* row : {pair_at(0).rows[0], pair_at(0).rows[1]}) {
            plain.look(row, count + 2 * apart);
        }
        for (index y = 0; y < tile.rows; y += 2) {
            const Pair pair = pair_at(y);
            for (const Pixel* row : {pair.rows[2], pair.rows[3]}) {
                plain.look(row + count, 2 * apart);  // `compute` looks at the rest
            }
            if (apart == 1) {
                compute<true>(pair, pair_at(y + 2), count, plain);
            } else {
                compute<false>(pair, pair_at(y + 2), count, plain);
            }
            for (index i = 0; i < 2 && y + i < tile.rows && !write_.in_place(); ++i) {
                write_(pair.results[i], count, output(y + i), target.column_stride);
            }
        }
    }

    /// Two rows of outputs, and the four rows that they are computed from.
    struct Pair {
        const Pixel* rows[4];
        Pixel* results[2];
    };

    /// What the next pair reads and writes is brought near.
    template <bool adjacent>
    void compute(const Pair& pair, const Pair& next, index count, PlainFloats& all) const {
        PlainFloats plain = all;  // in registers
        const index apart = adjacent ? 1 : window_.columns.dilation;
        const auto look_ahead = [&](index x) IMKERNELS_INLINE_LAMBDA {
            for (index i = 0; i < 2; ++i) {
                prefetch(next.rows[2 + i] + x);
                prefetch_to_write(next.results[i] + x);
                plain.look(load_lanes(pair.rows[2 + i] + x));
            }
        };
        const auto store_at = [&](index x) IMKERNELS_INLINE_LAMBDA {
            return [&pair, x](int row, const Vector& result)
                       IMKERNELS_INLINE_LAMBDA { store(pair.results[row] + x, result); };
        };
        // Results are stored at multiples of the size of a vector, but for those at the ends.
        const auto misplaced = static_cast<index>(reinterpret_cast<std::uintptr_t>(pair.results[0]) % vector_bytes);
        for (index start = -misplaced / index{sizeof(Pixel)}; start < count; start += lanes) {
            if constexpr (adjacent && Filter::template shares_columns<Compared>) {
                start = start < 0 ? start : compute_from_columns(pair, start, count, look_ahead, store_at);
            }
            const index x = std::clamp<index>(start, 0, count - lanes);
            look_ahead(x);
            Filter::template of<Vector>(
                [&](auto row, auto column)
                    IMKERNELS_INLINE_LAMBDA { return load(pair.rows[row] + x + column * apart); },
                store_at(x));
        }
        all = plain;
    }

    /// The outputs from `start` on, as far as there are vectors behind them to share columns with; returns how far.
    template <class LookAhead, class StoreAt>
    static IMKERNELS_INLINE index compute_from_columns(const Pair& pair, index start, index count,
                                                       const LookAhead& look_ahead, const StoreAt& store_at) {
        const auto columns_at = [&](index x) IMKERNELS_INLINE_LAMBDA {
            return detail::sorted_columns<Vector>([&](auto row)
                                                      IMKERNELS_INLINE_LAMBDA { return load(pair.rows[row] + x); });
        };
        const index end = count + 2 - 2 * lanes;
        if (start <= end) {
            detail::SortedColumns<Vector> columns = columns_at(start);
            for (; start <= end; start += lanes) {
                look_ahead(start);
                const detail::SortedColumns<Vector> beside = columns_at(start + lanes);
                detail::medians_of_columns(columns, detail::moved_on<1, Compared>(columns, beside),
                                           detail::moved_on<2, Compared>(columns, beside), store_at(start));
                columns = beside;
            }
        }
        return start;
    }

    static IMKERNELS_INLINE Vector load(const Pixel* pixels) {
        return as_compared<Compared, Pixel>(load_lanes(pixels));
    }
    static IMKERNELS_INLINE void store(Pixel* results, const Vector& compared) {
        store_lanes(results, as_compared<Pixel, Compared>(compared));
    }

    /// Output `x` of every row.
    void filter_column(const Tile& tile, const Rows& rows, index x, PlainFloats& plain, Scratch scratch) const {
        Pixel* const results = scratch.take<Pixel>(edge_size);
        Pixel* columns[3];
        for (index i = 0; i < 3; ++i) {
            columns[i] = scratch.take<Pixel>(edge_size);
            const index column = planes_.column_at(window_.columns.position(tile.column + x, i));
            for (index y = 0; y < tile.rows + 2; ++y) {
                columns[i][y] = column == no_source || rows[y] == nullptr ? fill_ : rows[y][column];
            }
            plain.look(columns[i], tile.rows + 2);
        }
        for (index y = 0; y < tile.rows; y += lanes) {
            Filter::template of<Vector>(
                // The window beside it is not asked for.
                [&](auto line, auto place)
                    IMKERNELS_INLINE_LAMBDA { return load(columns[std::min<int>(line, 2)] + place + y); },
                [&](auto beside, const Vector& result) IMKERNELS_INLINE_LAMBDA {
                    if constexpr (beside == 0) {
                        store(results + y, result);
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
    Pixel fill_;
    detail::ResultWriter<Pixel, std::conditional_t<std::is_integral_v<Pixel>, FromOrderKey, FromNumber>> write_;
};

/// Columns of the output that are mostly enough for a vector beside those at the edges.
template <class Key>
inline constexpr index least_columns = 2 * lane_count<Key> + 2 * most_channels;

/// Calls `visit(Key{})` for the type of the pixels if the image consists of keys or float32.
template <class Visit>
bool visit_keys(const ConstStack& image, Visit&& visit) {
    return visit_dtype(image.element.dtype, [&](auto tag) {
        using Pixel = typename decltype(tag)::type;
        using Key = std::conditional_t<std::is_same_v<Pixel, float>, float, OrderKey<Pixel>>;
        const bool keys = has_rows_of<Key>(image);
        if (keys) {
            visit(Key{});
        }
        return keys;
    });
}

template <class Filter>
void filter(const WidePlanes& planes, const std::byte* fill, int workers, const detail::FilterPart& by_keys) {
    require(has_window_3x3(planes), "window_3x3: made for other windows and images");
    require(planes.out.element.dtype == planes.image.element.dtype, "window_3x3: the result has the type of the image");
    visit_keys(planes.image, [&](auto key) { Window3x3<decltype(key), Filter>(planes, fill).run(workers, by_keys); });
}
}  // namespace

bool has_window_3x3(const WidePlanes& planes) {
    bool wide = false;
    const auto is_wide = [&](auto key) { wide = planes.out.first.columns >= least_columns<decltype(key)>; };
    const Window2D& window = planes.window;
    return window.rows.size == 3 && window.columns.size == 3 && window.rows.stride == 1 && window.columns.stride == 1 &&
           window.rows.dilation == 1 && visit_keys(planes.image, is_wide) && wide;
}

void median_3x3(const WidePlanes& planes, const std::byte* fill, int workers, const detail::FilterPart& by_keys) {
    filter<Median>(planes, fill, workers, by_keys);
}

void extremum_3x3(const WidePlanes& planes, Extremum extremum, const std::byte* fill, int workers,
                  const detail::FilterPart& by_keys) {
    if (extremum == Extremum::minimum) {
        filter<Best<detail::Lesser>>(planes, fill, workers, by_keys);
    } else {
        filter<Best<detail::Greater>>(planes, fill, workers, by_keys);
    }
}

}  // namespace imkernels
