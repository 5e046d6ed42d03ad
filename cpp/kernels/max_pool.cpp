// Max pooling, K_h + K_w compare-and-selects per output, lanes along the outputs.
//
// A maximum of a window is that of the maxima of its rows, and its first place in row-major order is the first in the
// first row that has it: every row of the image is reduced once along the columns of the windows, then taken into the
// outputs whose windows it crosses. Rows of outputs in the making go round in a ring as high as a window.
//
// Only a greater pixel takes the place of the best so far, so that the first one stays; a NaN takes it from any number.
// A tap outside the image reads the lowest value, which is never greater; an output starts with its first tap inside
// the image, so that an outside tap cannot win even where all pixels are lowest. Places are kept in lanes as wide as
// the pixels, counted from the first row of a tile.
#include "kernels/max_pool.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <type_traits>

#include "core/check.hpp"
#include "rows/row_writer.hpp"
#include "rows/tile_grid.hpp"
#include "rows/tile_loader.hpp"
#include "rows/wide_planes.hpp"
#include "simd/lanes.hpp"

namespace imkernels {

namespace {
template <class Work>
using PlaceOf = std::conditional_t<sizeof(Work) == 8, std::int64_t, std::int32_t>;

/// The best pixels so far, and where they lie; without a use for places they are not computed.
template <class Work, bool places>
struct Best {
    Lanes<Work> value;
    Lanes<PlaceOf<Work>> place;

    void take(Lanes<Work> other, Lanes<PlaceOf<Work>> other_place) {
        if constexpr (std::is_floating_point_v<Work>) {
            take_where(~(other <= value) & (value == value), other, other_place);
        } else {
            take_where(other > value, other, other_place);
        }
    }

private:
    template <class Mask>
    void take_where(Mask better, Lanes<Work> other, Lanes<PlaceOf<Work>> other_place) {
        value = better ? other : value;
        if constexpr (places) {
            place = better ? other_place : place;
        }
    }
};

/// Rows of values, and of their places.
template <class Work>
struct BestRow {
    Work* values;
    PlaceOf<Work>* places;
};

/// What a row is reduced over: tap t of output x lies in pixels[offsets[t] + x], at places[t] from the first tap.
template <class Place>
struct Taps {
    const index* offsets;
    const Place* places;
    index count;
};

/// result[x] = the best tap of output x, for 0 <= x < count. With `goes_on`, of it and what is in `result` already;
/// otherwise the place of the first tap is first_places[x] + origin. Vectors end behind `count`, unless that is
/// `exact` and at least a vector.
template <bool places, index known_taps, class Work>
void reduce_along(const Work* pixels, const Taps<PlaceOf<Work>>& taps, index count, bool exact, bool goes_on,
                  const PlaceOf<Work>* first_places, PlaceOf<Work> origin, const BestRow<Work>& result) {
    using Place = PlaceOf<Work>;
    constexpr index lanes = lane_count<Work>;
    const index tap_count = known_taps > 0 ? known_taps : taps.count;
    for (index start = 0; start < count; start += lanes) {
        const index x = exact ? std::min(start, count - lanes) : start;
        Best<Work, places> best{};
        best.value = load_lanes((goes_on ? result.values : pixels + taps.offsets[0]) + x);
        if constexpr (places) {
            best.place = goes_on ? load_lanes(result.places + x) : load_lanes(first_places + x) + origin;
        }
        for (index t = goes_on ? 0 : 1; t < tap_count; ++t) {
            best.take(load_lanes(pixels + taps.offsets[t] + x), Lanes<Place>{} + (taps.places[t] + origin));
        }
        store_lanes(result.values + x, best.value);
        if constexpr (places) {
            store_lanes(result.places + x, best.place);
        }
    }
}

/// Takes the row `next`, further down, into `best`; reads and writes whole vectors.
template <bool places, class Work>
void take_row(const BestRow<Work>& best, const BestRow<Work>& next, index count) {
    for (index x = 0; x < count; x += lane_count<Work>) {
        Best<Work, places> lanes{};
        Best<Work, places> other{};
        lanes.value = load_lanes(best.values + x);
        other.value = load_lanes(next.values + x);
        if constexpr (places) {
            lanes.place = load_lanes(best.places + x);
            other.place = load_lanes(next.places + x);
        }
        lanes.take(other.value, other.place);
        store_lanes(best.values + x, lanes.value);
        if constexpr (places) {
            store_lanes(best.places + x, lanes.place);
        }
    }
}

/// The part of a row that a tile needs, its pixels dealt out by column stride so that tap t of outputs 0, 1, 2, ... lies
/// side by side. Of several channels whole pixels are taken for one.
template <class Work>
class PhaseLoader {
public:
    /// For at most `columns` outputs (pixels) and `taps` taps.
    PhaseLoader(const ConstStack& image, WindowAxis axis, index channels, index columns, index taps, ReadRun<Work> read)
        : axis_(axis),
          channels_(channels),
          dense_(has_rows_of<Work>(image)),
          columns_(columns),
          extent_(columns + (taps - 1) * axis.dilation / axis.stride),
          pitch_(extent_ * channels),
          loader_(row_window(axis, channels, taps), 1, channels == 1 ? columns : extent_ * axis.stride * channels,
                  channels == 1 ? ColumnLayout::phases : ColumnLayout::dense, read, Fill<Work>{lowest, false},
                  channels) {}

    /// Elements of the buffer that `load` fills.
    index size() const { return loader_.size() + (splits() ? axis_.stride * pitch_ + row_slack : 0); }

    /// Where tap `tap` of output 0 lies.
    index tap(index tap) const {
        if (channels_ == 1) {
            return loader_.tap(0, tap);
        }
        const index offset = tap * axis_.dilation;
        return offset % axis_.stride * pitch_ + offset / axis_.stride * channels_;
    }

    /// Whether the pixels for taps [first, first + taps) of `columns` outputs may be read from the image itself.
    const Work* in_place(const ConstPlane& plane, index row, index column, index columns, index first,
                         index taps) const {
        const index begin = axis_.position(column, first);
        const index end = axis_.position(column + columns - 1, first + taps - 1) + 1;
        const bool inside = begin >= 0 && end * channels_ <= plane.columns;
        return dense_ && axis_.stride == 1 && inside && columns * channels_ >= lane_count<Work>
                   ? reinterpret_cast<const Work*>(plane.at(row, begin * channels_))
                   : nullptr;
    }

    /// Loads the pixels for `columns` outputs, from tap `first` on.
    const Work* load(const ConstPlane& plane, index row, index column, index columns, index first, Work* buffer) const {
        if (channels_ == 1) {
            loader_.shifted(0, first * axis_.dilation).load_row(plane, row, column, columns, buffer);
            return buffer;
        }
        const index pixels = (columns + extent_ - columns_) * axis_.stride;
        const index begin = column * axis_.stride + first * axis_.dilation;
        loader_.load_row(plane, row, begin * channels_, pixels * channels_, buffer);
        return splits() ? split(buffer, pixels, buffer + loader_.size()) : buffer;
    }

private:
    static constexpr Work lowest =
        std::is_floating_point_v<Work> ? -std::numeric_limits<Work>::infinity() : std::numeric_limits<Work>::min();

    /// Of many channels every pixel is loaded.
    static Window2D row_window(WindowAxis axis, index channels, index taps) {
        if (channels == 1) {
            axis.size = taps;
            return {{}, axis};
        }
        return {{}, {.before = axis.before * channels}};
    }

    bool splits() const { return channels_ > 1 && axis_.stride > 1; }

    const Work* split(const Work* pixels, index count, Work* phases) const {
        for (index phase = 0; phase < axis_.stride; ++phase) {
            Work* target = phases + phase * pitch_;
            for (index x = phase; x < count; x += axis_.stride) {
                target = std::copy_n(pixels + x * channels_, channels_, target);
            }
        }
        return phases;
    }

    WindowAxis axis_;
    index channels_;
    bool dense_;
    index columns_;
    index extent_;  // pixels of a phase
    index pitch_;
    TileLoader<Work> loader_;
};

/// Image and results, with channels that lie side by side as one wide plane.
struct Planes {
    ConstStack image;
    MutableStack values;
    std::optional<MutableStack> argmax;
    index channels;
};

Planes planes_of(const ConstStack& image, const MutableStack& values, const MutableStack* argmax,
                 const WindowAxis& columns) {
    const index channels = channels_side_by_side(image);
    Planes planes{image, values, argmax == nullptr ? std::nullopt : std::optional(*argmax), 1};
    const bool together = channels_side_by_side(values) == channels &&
                          (argmax == nullptr || channels_side_by_side(*argmax) == channels);
    if (channels > 1 && together && columns.stride <= 2 * columns.reach()) {
        planes.channels = channels;
        planes.image = widened(image, channels);
        planes.values = widened(values, channels);
        if (argmax != nullptr) {
            planes.argmax = widened(*argmax, channels);
        }
    }
    return planes;
}

template <class Work, bool places>
class MaxPool {
public:
    MaxPool(const Planes& planes, const Window2D& window, ReadRun<Work> read, WriteRun<Work> write)
        : planes_(planes),
          window_(window),
          block_taps_(std::clamp<index>(most_line / (window.columns.dilation * planes.channels), 1,
                                        window.columns.size)),
          shape_(choose_shape()),
          loader_(planes.image, window.columns, planes.channels, shape_.columns / planes.channels, block_taps_, read),
          write_(write),
          pitch_((shape_.columns + lanes - 1) / lanes * lanes),
          ring_(std::min(in_the_making(window.rows), shape_.rows)) {}

    void run(int workers) const {
        const std::size_t bytes = Scratch::bytes<Work>(loader_.size()) + Scratch::bytes<Work>((ring_ + 1) * pitch_) +
                                  Scratch::bytes<Place>((ring_ + 3) * pitch_) +
                                  Scratch::bytes<std::int64_t>(pitch_) + Scratch::bytes<index>(block_taps_) +
                                  Scratch::bytes<Place>(block_taps_);
        const double cost = tile_cost(shape_) / static_cast<double>(shape_.rows * shape_.columns);
        const MutablePlane& out = planes_.values.first;
        const TileGrid grid(planes_.values.planes(), out.rows, out.columns, shape_, cost, planes_.image.interleaved());
        grid.for_each(bytes, workers, [&](const Tile& tile, Scratch scratch) { pool(tile, Buffers(*this, scratch)); });
    }

private:
    using Place = PlaceOf<Work>;
    static constexpr index lanes = lane_count<Work>;
    static constexpr index most_line = index{1} << 16;  // elements of a row that are loaded for one output

    struct Buffers {
        Work* line;
        BestRow<Work> ring, next;
        Place* first_places;  // of every output of a row: how far its first tap in the image is from its first,
        Place* origins;       // and where that one is
        std::int64_t* flat;
        index* offsets;
        Place* tap_places;

        Buffers(const MaxPool& pool, Scratch scratch)
            : line(scratch.take<Work>(pool.loader_.size())),
              ring{scratch.take<Work>((pool.ring_ + 1) * pool.pitch_), scratch.take<Place>((pool.ring_ + 3) * pool.pitch_)},
              next{ring.values + pool.ring_ * pool.pitch_, ring.places + pool.ring_ * pool.pitch_},
              first_places(next.places + pool.pitch_),
              origins(first_places + pool.pitch_),
              flat(scratch.take<std::int64_t>(pool.pitch_)),
              offsets(scratch.take<index>(pool.block_taps_)),
              tap_places(scratch.take<Place>(pool.block_taps_)) {}
    };

    /// Rows of outputs whose windows overlap.
    static index in_the_making(const WindowAxis& rows) { return (rows.reach() - 1) / rows.stride + 1; }

    /// Nanoseconds on one core (Zen 5).
    double tile_cost(TileShape shape) const {
        const double step = 0.02 * sizeof(Work) * static_cast<double>(shape.columns);
        const double rows = static_cast<double>(window_.rows.cover(shape.rows));
        const double along = static_cast<double>(window_.columns.size + 2 * window_.columns.step());
        return step * (rows * along + static_cast<double>(shape.rows * (window_.rows.size + 6)));
    }

    TileShape choose_shape() const {
        const MutablePlane& out = planes_.values.first;
        const index channels = planes_.channels;
        const auto halve = [](index& extent) { extent = (extent + 1) / 2; };
        constexpr index wide = 1024;
        constexpr index most_kept = index{32} * 1024;  // elements in the making
        index pixels = std::clamp<index>(wide / channels, 1, std::max<index>(1, out.columns / channels));
        while (pixels > 1 && pixels * channels * window_.columns.step() > most_line) {
            halve(pixels);
        }
        const index halo = window_.rows.reach() / window_.rows.step();
        index rows = std::clamp<index>(out.rows, 1, std::max<index>(32, 4 * halo));
        const auto kept = [&] { return std::min(in_the_making(window_.rows), rows) * pixels * channels; };
        while (kept() > most_kept && pixels * channels > 64 && pixels > 1) {
            halve(pixels);
        }
        while (kept() > most_kept && rows > 1) {
            halve(rows);
        }
        const auto too_long = [&] { return tile_cost({rows, pixels * channels}) > longest_task; };
        while (rows > 1 && (too_long() || !places_fit(rows))) {
            halve(rows);
        }
        while (pixels > 1 && too_long()) {
            halve(pixels);
        }
        return {rows, pixels * channels};
    }

    bool places_fit(index rows) const {
        const index columns = planes_.image.first.columns / planes_.channels;
        return static_cast<double>(window_.rows.cover(rows) + 1) * static_cast<double>(columns) <
               static_cast<double>(std::numeric_limits<Place>::max());
    }

    BestRow<Work> slot(const Buffers& buffers, index y) const {
        const index row = y % ring_ * pitch_;
        return {buffers.ring.values + row, buffers.ring.places + row};
    }

    void pool(const Tile& tile, const Buffers& buffers) const {
        const WindowAxis& axis = window_.rows;
        const ConstPlane image = planes_.image.plane(tile.plane);
        if constexpr (places) {
            prepare_places(tile, buffers);
        }
        const index first = axis.position(tile.row);
        const index end = std::min(first + axis.stride * (tile.rows - 1) + axis.reach(), image.rows);
        index done = 0;  // rows of outputs
        for (index row = std::max<index>(first, 0); row < end; ++row) {
            const index offset = row - first;
            for (; done * axis.stride + axis.reach() <= offset; ++done) {
                deliver(tile, done, buffers);
            }
            row = std::max(row, first + done * axis.stride);  // no window lies between
            take(tile, image, row, done, buffers);
        }
        for (; done < tile.rows; ++done) {
            deliver(tile, done, buffers);
        }
    }

    /// Takes an image row into the outputs whose windows have it, of which `begin` is the first that is not done.
    void take(const Tile& tile, const ConstPlane& image, index row, index begin, const Buffers& buffers) const {
        const WindowAxis& axis = window_.rows;
        const index offset = row - axis.position(tile.row);
        const index last = std::min(tile.rows - 1, offset / axis.stride);
        const auto has = [&](index y) { return axis.dilation == 1 || (offset - y * axis.stride) % axis.dilation == 0; };
        const auto is_first = [&](index y) {
            return axis.position(tile.row + y, axis.first_tap_inside(tile.row + y)) == row;
        };
        index y = begin;
        while (y <= last && !has(y)) {
            ++y;
        }
        if (y > last) {
            return;
        }
        const bool into_last = has(last) && is_first(last);
        const BestRow<Work> next = into_last ? slot(buffers, last) : buffers.next;
        reduce(tile, image, row, buffers, next);
        for (; y <= last - static_cast<index>(into_last); ++y) {
            if (has(y)) {
                is_first(y) ? copy_row(next, slot(buffers, y), tile.columns)
                            : take_row<places>(slot(buffers, y), next, tile.columns);
            }
        }
    }

    void copy_row(const BestRow<Work>& source, const BestRow<Work>& target, index count) const {
        std::copy_n(source.values, count, target.values);
        if constexpr (places) {
            std::copy_n(source.places, count, target.places);
        }
    }

    /// Reduces an image row to the best of every output.
    void reduce(const Tile& tile, const ConstPlane& image, index row, const Buffers& buffers,
                const BestRow<Work>& result) const {
        const index channels = planes_.channels;
        const index column = tile.column / channels;
        const index columns = tile.columns / channels;
        const index image_columns = image.columns / channels;
        const Place origin = static_cast<Place>((row - window_.rows.position(tile.row)) * image_columns);
        for (index first = 0; first < window_.columns.size; first += block_taps_) {
            const index count = std::min(block_taps_, window_.columns.size - first);
            for (index t = 0; t < count; ++t) {
                buffers.tap_places[t] = static_cast<Place>((first + t) * window_.columns.dilation);
                buffers.offsets[t] = loader_.tap(t);
            }
            const Taps<Place> taps{buffers.offsets, buffers.tap_places, count};
            const Work* const in_place = loader_.in_place(image, row, column, columns, first, count);
            const Work* const pixels =
                in_place != nullptr ? in_place : loader_.load(image, row, column, columns, first, buffers.line);
            const auto reduce = [&](auto known_taps) {
                reduce_along<places, known_taps>(pixels, taps, tile.columns, in_place != nullptr, first > 0,
                                                 buffers.first_places, origin, result);
            };
            switch (first > 0 ? 0 : count) {
                case 2: reduce(std::integral_constant<index, 2>{}); break;
                case 3: reduce(std::integral_constant<index, 3>{}); break;
                default: reduce(std::integral_constant<index, 0>{}); break;
            }
        }
    }

    void prepare_places(const Tile& tile, const Buffers& buffers) const {
        const WindowAxis& axis = window_.columns;
        const index channels = planes_.channels;
        for (index x = 0; x < tile.columns / channels; ++x) {
            const index column = tile.column / channels + x;
            const index first = axis.first_tap_inside(column) * axis.dilation;
            std::fill_n(buffers.first_places + x * channels, channels, static_cast<Place>(first));
            std::fill_n(buffers.origins + x * channels, channels, static_cast<Place>(axis.position(column)));
        }
    }

    void deliver(const Tile& tile, index y, const Buffers& buffers) const {
        const BestRow<Work> best = slot(buffers, y);
        if constexpr (std::is_floating_point_v<Work>) {
            for (index x = 0; x < tile.columns; ++x) {
                best.values[x] =
                    best.values[x] == best.values[x] ? best.values[x] : std::numeric_limits<Work>::quiet_NaN();
            }
        }
        const MutablePlane values = planes_.values.plane(tile.plane);
        write_(best.values, tile.columns, values.at(tile.row + y, tile.column), values.column_stride);
        if constexpr (places) {
            const index image_columns = planes_.image.first.columns / planes_.channels;
            const std::int64_t origin = window_.rows.position(tile.row) * image_columns;
            for (index x = 0; x < tile.columns; ++x) {
                buffers.flat[x] = origin + best.places[x] + buffers.origins[x];
            }
            const MutablePlane argmax = planes_.argmax->plane(tile.plane);
            std::byte* const target = argmax.at(tile.row + y, tile.column);
            if (argmax.column_stride == static_cast<index>(sizeof(std::int64_t))) {
                std::memcpy(target, buffers.flat, static_cast<std::size_t>(tile.columns) * sizeof(std::int64_t));
            } else {
                for (index x = 0; x < tile.columns; ++x) {
                    std::memcpy(target + x * argmax.column_stride, buffers.flat + x, sizeof(std::int64_t));
                }
            }
        }
    }

    const Planes& planes_;
    Window2D window_;
    index block_taps_;  // columns of taps that are loaded together
    TileShape shape_;
    PhaseLoader<Work> loader_;
    WriteRun<Work> write_;
    index pitch_;
    index ring_;  // rows of outputs in the making
};

template <class Work, class Read, class Write>
void pool(const Planes& planes, const Window2D& window, int workers) {
    const ElementType from = planes.image.element;
    ElementType to = planes.values.element;
    if constexpr (std::is_same_v<Write, FromNumber>) {
        to.dtype = to.dtype == Dtype::boolean ? Dtype::uint8 : to.dtype;
    }
    const ReadRun<Work> read = row_reader<Read, Work>(from);
    const WriteRun<Work> write = row_writer<Write, Work>(to);
    if (planes.argmax) {
        if constexpr (sizeof(Work) >= 4) {
            MaxPool<Work, true>(planes, window, read, write).run(workers);
        }
    } else {
        MaxPool<Work, false>(planes, window, read, write).run(workers);
    }
}
}  // namespace

void max_pool(const ConstStack& image, const MutableStack& values, const MutableStack* argmax, const Window2D& window,
              int workers) {
    require(values.element.dtype == image.element.dtype, "max_pool: values have the type of the image");
    require(argmax == nullptr || (argmax->element.dtype == Dtype::int64 && !argmax->element.swapped),
            "max_pool: argmax is int64");
    require(window.rows.border == Border::constant && window.columns.border == Border::constant,
            "max_pool: nothing stands outside the image");
    require(window.rows.meets(image.first.rows, values.first.rows) &&
                window.columns.meets(image.first.columns, values.first.columns),
            "max_pool: every window has a tap inside the image");
    const Planes planes = planes_of(image, values, argmax, window.columns);
    // A place in a tile must fit into 32 bits, or a lane has 64.
    const double farthest = static_cast<double>(window.rows.reach() + 1) *
                            static_cast<double>(image.first.columns + window.columns.reach());
    const bool wide = argmax != nullptr && farthest >= 0x1p31;
    visit_dtype(image.element.dtype, [&](auto tag) {
        using T = typename decltype(tag)::type;
        if constexpr (is_float<T>) {
            sizeof(T) == 8 || wide ? pool<double, AsNumber, FromNumber>(planes, window, workers)
                                   : pool<float, AsNumber, FromNumber>(planes, window, workers);
        } else if (sizeof(T) < 4 && argmax != nullptr && !wide) {
            pool<std::int32_t, AsNumber, FromNumber>(planes, window, workers);
        } else if (sizeof(T) < 8 && wide) {
            pool<std::int64_t, AsNumber, FromNumber>(planes, window, workers);
        } else {
            pool<OrderKey<T>, AsOrderKey, FromOrderKey>(planes, window, workers);
        }
    });
}

}  // namespace imkernels
