// Max pooling, K_h + K_w compare-and-selects per output, lanes along the outputs.
//
// A maximum of a window is that of the maxima of its rows, and its first place in row-major order is the first in the
// first row that has it: every row of the image is reduced once along the columns of the windows, then taken into the
// outputs whose windows it crosses. Rows of outputs in the making go round in a ring as high as a window.
//
// Only a greater pixel takes the place of the best so far, so that the first one stays; a NaN takes it from any number,
// which costs a second comparison, so rows are looked through for NaNs first. A tap outside the image reads the lowest
// value, which is never greater; an output starts with its first tap inside the image, so that an outside tap cannot
// win even where all pixels are lowest. Places are kept in lanes as wide as the pixels, counted from the first row of a
// tile.
#include "kernels/max_pool.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <type_traits>
#include <vector>

#include "core/check.hpp"
#include "core/finite.hpp"
#include "core/order_key.hpp"
#include "kernels/window_pool.hpp"
#include "rows/row_reader.hpp"
#include "rows/row_writer.hpp"
#include "rows/tile_grid.hpp"
#include "rows/tile_loader.hpp"
#include "rows/wide_planes.hpp"
#include "simd/lanes.hpp"

namespace imkernels {

namespace {
template <class Work>
using PlaceOf = std::conditional_t<sizeof(Work) == 8, std::int64_t, std::int32_t>;

/// What a tap outside the image reads.
template <class Work>
constexpr Work lowest =
    std::is_floating_point_v<Work> ? -std::numeric_limits<Work>::infinity() : std::numeric_limits<Work>::min();

/// What a loop is about: without a use for places they are not computed, and without NaNs a comparison is enough.
struct Search {
    bool places, nans;
};

/// The best pixels so far, and where they lie.
template <class Work, Search search>
struct Best {
    Lanes<Work> value;
    Lanes<PlaceOf<Work>> place;

    void take(Lanes<Work> other, Lanes<PlaceOf<Work>> other_place) {
        if constexpr (search.nans) {
            take_where(~(other <= value) & (value == value), other, other_place);
        } else {
            take_where(other > value, other, other_place);
        }
    }

private:
    template <class Mask>
    void take_where(Mask better, Lanes<Work> other, Lanes<PlaceOf<Work>> other_place) {
        value = better ? other : value;
        if constexpr (search.places) {
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

/// What a row is reduced over: tap t of output x lies `stride` * x elements behind pixels[offsets[t]], and places[t]
/// columns from the first tap.
template <class Place>
struct Taps {
    const index* offsets;
    const Place* places;
    index count;
};

/// Tap `offset` of neighbouring outputs, `stride` elements apart.
template <index stride, class Work>
IMKERNELS_INLINE Lanes<Work> load_tap(const Work* pixels, index offset) {
    if constexpr (stride == 1) {
        return load_lanes(pixels + offset);
    } else {
        const index odd = offset % 2;
        const Work* const pairs = pixels + (offset - odd);
        const Lanes<Work> low = load_lanes(pairs);
        const Lanes<Work> high = load_lanes(pairs + lane_count<Work>);
        return odd != 0 ? odd_lanes<Work>(low, high) : even_lanes<Work>(low, high);
    }
}

/// Where a row of outputs is reduced to, and from where.
template <class Work>
struct RowTask {
    const Work* pixels;
    index count;  // of outputs
    const PlaceOf<Work>* first_places;
    PlaceOf<Work> origin;
    BestRow<Work> result;
};

/// result[x] = the best tap of every output x. With `goes_on`, of it and what is in `result` already; otherwise the
/// place of the first tap is first_places[x] + origin. Reads and writes whole vectors.
template <Search search, index stride, index known_taps, class Work>
void reduce_along(const RowTask<Work>& task, const Taps<PlaceOf<Work>>& taps, bool goes_on) {
    using Place = PlaceOf<Work>;
    constexpr index lanes = lane_count<Work>;
    constexpr bool known = known_taps > 0;
    const index tap_count = known ? known_taps : taps.count;
    const BestRow<Work> result = task.result;
    index known_offsets[known ? known_taps : 1];
    Place known_places[known ? known_taps : 1];
    if constexpr (known) {  // kept in registers
        std::copy_n(taps.offsets, known_taps, known_offsets);
        std::copy_n(taps.places, known_taps, known_places);
    }
    const index* const offsets = known ? known_offsets : taps.offsets;
    const Place* const tap_places = known ? known_places : taps.places;
    for (index x = 0; x < task.count; x += lanes) {
        const Work* const pixels = task.pixels + x * stride;
        Best<Work, search> best{};
        best.value = goes_on ? load_lanes(result.values + x) : load_tap<stride>(pixels, offsets[0]);
        if constexpr (search.places) {
            best.place = goes_on ? load_lanes(result.places + x) : load_lanes(task.first_places + x) + task.origin;
        }
        for (index t = goes_on ? 0 : 1; t < tap_count; ++t) {
            best.take(load_tap<stride>(pixels, offsets[t]), Lanes<Place>{} + (tap_places[t] + task.origin));
        }
        store_lanes(result.values + x, best.value);
        if constexpr (search.places) {
            store_lanes(result.places + x, best.place);
        }
    }
}

/// Takes the row `next`, further down, into `best`; reads and writes whole vectors.
template <Search search, class Work>
void take_row(const BestRow<Work>& best, const BestRow<Work>& next, index count) {
    for (index x = 0; x < count; x += lane_count<Work>) {
        Best<Work, search> lanes{};
        Best<Work, search> other{};
        lanes.value = load_lanes(best.values + x);
        other.value = load_lanes(next.values + x);
        if constexpr (search.places) {
            lanes.place = load_lanes(best.places + x);
            other.place = load_lanes(next.places + x);
        }
        lanes.take(other.value, other.place);
        store_lanes(best.values + x, lanes.value);
        if constexpr (search.places) {
            store_lanes(best.places + x, lanes.place);
        }
    }
}

/// The part of a row that a tile needs, its pixels dealt out by column stride so that tap t of outputs 0, 1, 2, ...
/// lies side by side. Of several channels whole pixels are taken for one.
template <class Work>
class PhaseLoader {
public:
    /// For at most `columns` outputs (pixels) and `taps` taps.
    PhaseLoader(WindowAxis axis, index channels, index columns, index taps, ReadRun<Work> read)
        : axis_(axis),
          channels_(channels),
          columns_(columns),
          extent_(columns + (taps - 1) * axis.dilation / axis.stride),
          pitch_(extent_ * channels),
          loader_(row_window(axis, channels, taps), 1, channels == 1 ? columns : extent_ * axis.stride * channels,
                  channels == 1 ? ColumnLayout::phases : ColumnLayout::dense, read, Fill<Work>{lowest<Work>, false},
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

    /// Loads the pixels for `columns` outputs, from tap `first` on.
    const Work* load(const ConstPlane& plane, index row, index column, index columns, index first, Work* buffer) const {
        if (channels_ == 1) {
            const index shift = first * axis_.dilation;
            shift == 0 ? loader_.load_row(plane, row, column, columns, buffer)
                       : loader_.shifted(0, shift).load_row(plane, row, column, columns, buffer);
            return buffer;
        }
        const index pixels = (columns + extent_ - columns_) * axis_.stride;
        const index begin = column * axis_.stride + first * axis_.dilation;
        loader_.load_row(plane, row, begin * channels_, pixels * channels_, buffer);
        return splits() ? split(buffer, pixels, buffer + loader_.size()) : buffer;
    }

private:
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
    const bool together =
        channels_side_by_side(values) == channels && (argmax == nullptr || channels_side_by_side(*argmax) == channels);
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
          block_taps_(
              std::clamp<index>(most_line / (window.columns.dilation * planes.channels), 1, window.columns.size)),
          shape_(choose_shape()),
          loader_(window.columns, planes.channels, shape_.columns / planes.channels, block_taps_, read),
          write_(write),
          pitch_(round_up(shape_.columns, lanes)),
          ring_(std::min(in_the_making(window.rows), shape_.rows)),
          rows_as_they_are_(has_rows_of<Work>(planes.image) && block_taps_ == window.columns.size &&
                            window.columns.stride <= (planes.channels == 1 ? 2 : 1)),
          line_size_(rows_as_they_are_ ? 2 * line_pitch() : loader_.size()),
          values_as_they_are_(has_rows_of<Work>(planes.values)) {
        for (index t = 0; t < block_taps_; ++t) {
            const index offset = t * window.columns.dilation;
            offsets_.push_back(rows_as_they_are_ ? offset * planes.channels : loader_.tap(t));
            tap_places_.push_back(static_cast<Place>(offset));
        }
    }

    void run(int workers) const {
        const std::size_t bytes = Scratch::bytes<Work>(line_size_) + Scratch::bytes<Work>((ring_ + 1) * pitch_) +
                                  Scratch::bytes<Place>((ring_ + 3) * pitch_) + Scratch::bytes<std::int64_t>(pitch_);
        const double cost = tile_cost(shape_) / static_cast<double>(shape_.rows * shape_.columns);
        const MutablePlane& out = planes_.values.first;
        const TileGrid grid(planes_.values.planes(), out.rows, out.columns, shape_, cost, planes_.image.interleaved());
        grid.for_each(bytes, workers, [&](const Tile& tile, Scratch scratch) { pool(TileTask(*this, tile, scratch)); });
    }

private:
    using Place = PlaceOf<Work>;
    static constexpr Search without_nans{places, false};
    static constexpr Search with_nans{places, std::is_floating_point_v<Work>};
    static constexpr index lanes = lane_count<Work>;
    static constexpr index most_line = index{1} << 16;  // elements of a row that are loaded for one output

    /// A tile with its planes and buffers.
    struct TileTask {
        Tile tile;
        ConstPlane image;
        MutablePlane values, argmax;
        Work* line;
        BestRow<Work> ring, next;
        Place* first_places;  // of every output of a row: how far its first tap in the image is from its first,
        Place* origins;       // and where that one is
        std::int64_t* flat;
        index copied = no_source;  // the last row that was copied to its line
        bool nans = false;         // may be among the pixels so far

        TileTask(const MaxPool& pool, const Tile& outputs, Scratch scratch)
            : tile(outputs),
              image(pool.planes_.image.plane(tile.plane)),
              values(pool.planes_.values.plane(tile.plane)),
              argmax(pool.planes_.argmax ? pool.planes_.argmax->plane(tile.plane) : MutablePlane{}),
              line(scratch.take<Work>(pool.line_size_)),
              ring{scratch.take<Work>((pool.ring_ + 1) * pool.pitch_),
                   scratch.take<Place>((pool.ring_ + 3) * pool.pitch_)},
              next{ring.values + pool.ring_ * pool.pitch_, ring.places + pool.ring_ * pool.pitch_},
              first_places(next.places + pool.pitch_),
              origins(first_places + pool.pitch_),
              flat(scratch.take<std::int64_t>(pool.pitch_)) {}
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
        const index span = (rows - 1) * window_.rows.stride + window_.rows.reach();
        return static_cast<double>(span + 1) * static_cast<double>(columns) <
               static_cast<double>(std::numeric_limits<Place>::max());
    }

    /// Elements of a row that `columns` outputs need where a row is taken as it is, and those to the end of a vector.
    index line_extent(index columns) const {
        const index vectors = round_up(columns, lanes);
        return (vectors + planes_.channels * window_.columns.reach()) * window_.columns.stride;
    }
    index line_pitch() const { return line_extent(shape_.columns) + lanes; }

    BestRow<Work> slot(const TileTask& task, index y) const {
        const index row = y % ring_ * pitch_;
        return {task.ring.values + row, task.ring.places + row};
    }

    void pool(TileTask task) const {
        const WindowAxis& axis = window_.rows;
        if (rows_as_they_are_) {
            std::fill_n(task.line, line_size_, lowest<Work>);
        }
        if constexpr (places) {
            prepare_places(task);
        }
        const index first = axis.position(task.tile.row);
        const index end = std::min(first + axis.stride * (task.tile.rows - 1) + axis.reach(), task.image.rows);
        index done = 0;  // rows of outputs
        for (index row = std::max<index>(first, 0); row < end; ++row) {
            for (; done * axis.stride + axis.reach() <= row - first; ++done) {
                deliver(task, done);
            }
            row = std::max(row, first + done * axis.stride);  // no window lies between
            take(task, row, done);
        }
        for (; done < task.tile.rows; ++done) {
            deliver(task, done);
        }
    }

    /// Takes an image row into the outputs whose windows have it, of which `begin` is the first that is not done.
    void take(TileTask& task, index row, index begin) const {
        const WindowAxis& axis = window_.rows;
        const index offset = row - axis.position(task.tile.row);
        const index last = std::min(task.tile.rows - 1, offset / axis.stride);
        const auto has = [&](index y) { return axis.dilation == 1 || (offset - y * axis.stride) % axis.dilation == 0; };
        const auto is_first = [&](index y) {
            const index output = task.tile.row + y;
            return axis.position(output, axis.first_tap_inside(output)) == row;
        };
        index y = begin;
        while (y <= last && !has(y)) {
            ++y;
        }
        if (y > last) {
            return;
        }
        const bool into_last = has(last) && is_first(last);
        const BestRow<Work> next = into_last ? slot(task, last) : task.next;
        reduce(task, row, next);
        for (; y <= last - static_cast<index>(into_last); ++y) {
            if (has(y)) {
                is_first(y) ? copy_row(next, slot(task, y)) : take(task, slot(task, y), next);
            }
        }
    }

    void take(const TileTask& task, const BestRow<Work>& best, const BestRow<Work>& next) const {
        task.nans ? take_row<with_nans>(best, next, task.tile.columns)
                  : take_row<without_nans>(best, next, task.tile.columns);
    }

    void copy_row(const BestRow<Work>& source, const BestRow<Work>& target) const {
        std::copy_n(source.values, pitch_, target.values);
        if constexpr (places) {
            std::copy_n(source.places, pitch_, target.places);
        }
    }

    /// Reduces an image row to the best of every output.
    void reduce(TileTask& task, index row, const BestRow<Work>& result) const {
        const index channels = planes_.channels;
        const Place origin =
            static_cast<Place>((row - window_.rows.position(task.tile.row)) * (task.image.columns / channels));
        RowTask<Work> along{task.line, task.tile.columns, task.first_places, origin, result};
        if (rows_as_they_are_) {
            along.pixels = pixels_of(task, row);
            window_.columns.stride == 2 ? reduce_taps<2>(task, along, 0, block_taps_)
                                        : reduce_taps<1>(task, along, 0, block_taps_);
            return;
        }
        task.nans = std::is_floating_point_v<Work>;
        for (index first = 0; first < window_.columns.size; first += block_taps_) {
            along.origin = static_cast<Place>(origin + first * window_.columns.dilation);
            along.pixels = loader_.load(task.image, row, task.tile.column / channels, task.tile.columns / channels,
                                        first, task.line);
            reduce_taps<1>(task, along, first, std::min(block_taps_, window_.columns.size - first));
        }
    }

    /// Where the pixels of a row lie: in the image, if it has all of them and vectors that end behind the last
    /// one stay in it, or in a copy.
    const Work* pixels_of(TileTask& task, index row) const {
        const ConstPlane& image = task.image;
        const index begin = window_.columns.position(task.tile.column / planes_.channels) * planes_.channels;
        const index end = begin + line_extent(task.tile.columns);
        const index inside = std::max<index>(begin, 0);
        if constexpr (std::is_floating_point_v<Work>) {
            const auto* const pixels = reinterpret_cast<const Work*>(image.at(row, inside));
            task.nans = task.nans || !all_finite(pixels, std::min(end, image.columns) - inside);
        }
        const index outputs = task.tile.columns / planes_.channels;
        const index windows_end =
            begin + ((outputs - 1) * window_.columns.stride + window_.columns.reach()) * planes_.channels;
        const bool goes_on = row + 1 < image.rows && image.row_stride >= image.columns * image.column_stride;
        if (begin >= 0 && windows_end <= image.columns && end <= (goes_on ? 2 : 1) * image.columns) {
            return reinterpret_cast<const Work*>(image.at(row, begin));
        }
        // A row ahead: what was stored just before cannot be loaded yet at another offset.
        for (index y : {row, std::min(row + 1, image.rows - 1)}) {
            if (task.copied < y) {
                const auto* const pixels = reinterpret_cast<const Work*>(image.at(y, inside));
                std::copy_n(pixels, std::min(end, image.columns) - inside, line_of(task, y) + (inside - begin));
                task.copied = y;
            }
        }
        return line_of(task, row);
    }

    Work* line_of(const TileTask& task, index row) const { return task.line + row % 2 * line_pitch(); }

    template <index stride>
    void reduce_taps(const TileTask& task, const RowTask<Work>& along, index first, index count) const {
        const Taps<Place> taps{offsets_.data(), tap_places_.data(), count};
        switch (first > 0 || task.nans ? 0 : count) {
            case 2: return reduce_along<without_nans, stride, 2>(along, taps, false);
            case 3: return reduce_along<without_nans, stride, 3>(along, taps, false);
            default: return reduce_along<with_nans, stride, 0>(along, taps, first > 0);
        }
    }

    void prepare_places(const TileTask& task) const {
        const WindowAxis& axis = window_.columns;
        const index channels = planes_.channels;
        for (index x = 0; x < task.tile.columns / channels; ++x) {
            const index column = task.tile.column / channels + x;
            const index first = axis.first_tap_inside(column) * axis.dilation;
            std::fill_n(task.first_places + x * channels, channels, static_cast<Place>(first));
            std::fill_n(task.origins + x * channels, channels, static_cast<Place>(axis.position(column)));
        }
    }

    void deliver(const TileTask& task, index y) const {
        const BestRow<Work> best = slot(task, y);
        const index count = task.tile.columns;
        std::byte* const target = task.values.at(task.tile.row + y, task.tile.column);
        if (values_as_they_are_ && count >= lanes) {
            deliver_values(best.values, count, true, reinterpret_cast<Work*>(target));
        } else {
            deliver_values(best.values, count, false, best.values);
            write_(best.values, count, target, task.values.column_stride);
        }
        if constexpr (places) {
            deliver_places(task, y, best.places);
        }
    }

    /// With every NaN as the quiet one.
    static void deliver_values(const Work* best, index count, bool exact, Work* target) {
        for (index start = 0; start < count; start += lanes) {
            const index x = exact ? std::min(start, count - lanes) : start;
            Lanes<Work> value = load_lanes(best + x);
            if constexpr (std::is_floating_point_v<Work>) {
                value = value == value ? value : Lanes<Work>{} + std::numeric_limits<Work>::quiet_NaN();
            }
            store_lanes(target + x, value);
        }
    }

    void deliver_places(const TileTask& task, index y, const Place* best) const {
        const index image_columns = task.image.columns / planes_.channels;
        const std::int64_t origin = window_.rows.position(task.tile.row) * image_columns;
        const auto flatten = [&](std::int64_t* __restrict target) {
            for (index x = 0; x < task.tile.columns; ++x) {
                target[x] = origin + (best[x] + task.origins[x]);
            }
        };
        constexpr index size = sizeof(std::int64_t);
        std::byte* const target = task.argmax.at(task.tile.row + y, task.tile.column);
        if (task.argmax.column_stride == size && reinterpret_cast<std::uintptr_t>(target) % size == 0) {
            return flatten(reinterpret_cast<std::int64_t*>(target));
        }
        flatten(task.flat);
        for (index x = 0; x < task.tile.columns; ++x) {
            std::memcpy(target + x * task.argmax.column_stride, task.flat + x, size);
        }
    }

    const Planes& planes_;
    Window2D window_;
    index block_taps_;  // columns of taps that are loaded together
    TileShape shape_;
    PhaseLoader<Work> loader_;
    WriteRun<Work> write_;
    index pitch_;
    index ring_;             // rows of outputs in the making
    bool rows_as_they_are_;  // are read by the leaf loops
    index line_size_;
    bool values_as_they_are_;  // are elements of the output
    std::vector<index> offsets_;
    std::vector<Place> tap_places_;
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

/// Whether windows are so few and large that they are better searched one by one (window_pool.cpp). The loops here
/// need a moment for each row of the image and each tap, the others for each output, its columns, and each pixel.
bool are_few(const Window2D& window, const ConstPlane& image, const MutablePlane& values) {
    constexpr double row_of_taps = 10;  // nanoseconds on one core (Zen 5)
    constexpr double tap = 0.23;
    constexpr double output = 20;
    constexpr double column = 3;
    constexpr double pixel = 0.35;
    const bool plain = window.rows.dilation == 1 && window.columns.dilation == 1;
    const auto outputs = static_cast<double>(values.rows) * static_cast<double>(values.columns);
    const auto taps = static_cast<double>(window.columns.size);
    const double here =
        static_cast<double>(image.rows) * taps * std::max(row_of_taps, tap * static_cast<double>(values.columns));
    const double one_by_one =
        outputs * (output + column * taps) +
        pixel * static_cast<double>(values.rows * window.rows.size) * static_cast<double>(image.columns);
    return plain && here > one_by_one;
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
    if (are_few(window, image.first, values.first)) {
        const PoolWindows windows{regular_windows(window.rows, image.first.rows, values.first.rows, 0, false),
                                  regular_windows(window.columns, image.first.columns, values.first.columns, 0, false)};
        return maximum_of_windows(image, values, argmax, windows, workers);
    }
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

void adaptive_max_pool(const ConstStack& image, const MutableStack& values, const MutableStack* argmax, int workers) {
    const ConstPlane& pixels = image.first;
    const MutablePlane& outputs = values.first;
    const bool share = outputs.rows > 0 && outputs.columns > 0 && pixels.rows % outputs.rows == 0 &&
                       pixels.columns % outputs.columns == 0;
    if (share && pixels.rows > 0 && pixels.columns > 0) {
        const WindowAxis rows{pixels.rows / outputs.rows, pixels.rows / outputs.rows};
        const WindowAxis columns{pixels.columns / outputs.columns, pixels.columns / outputs.columns};
        return max_pool(image, values, argmax, {rows, columns}, workers);
    }
    const PoolWindows windows{adaptive_windows(pixels.rows, outputs.rows),
                              adaptive_windows(pixels.columns, outputs.columns)};
    maximum_of_windows(image, values, argmax, windows, workers);
}

}  // namespace imkernels
