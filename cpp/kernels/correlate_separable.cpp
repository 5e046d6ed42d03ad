// Correlation with outer products: sums of columns, K multiply-adds per pixel, and of those along the row L more.
//
// A few rows of sums of columns are added up at once (detail/sum_tile.hpp), from the rows of the image where they lie,
// or from rows that a loader has brought. They stay in the first cache and are summed along at once. Sums of columns
// that a border mode puts outside are copies of others. Every sum adds up its taps from the top down, then from left to
// right, wherever it lies in a tile, with an error of at most K + L rounding units of sum |w| |x|.
#include "kernels/correlate_separable.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

#include "core/check.hpp"
#include "kernels/detail/kernel_bank.hpp"
#include "kernels/detail/near.hpp"
#include "kernels/detail/phases.hpp"
#include "kernels/detail/result_writer.hpp"
#include "kernels/detail/sum_tile.hpp"
#include "kernels/detail/weights.hpp"
#include "kernels/detail/window_rows.hpp"
#include "rows/row_writer.hpp"
#include "rows/tile_grid.hpp"
#include "rows/tile_loader.hpp"
#include "rows/wide_planes.hpp"

namespace imkernels {

namespace {
/// Sums of `Work`s, stored as `Result`s of the same size or rounded to what is asked for; the factors and the fill are
/// `Weight`s.
template <class Work, class Result, class Weight>
class SeparableCorrelation {
public:
    SeparableCorrelation(const WidePlanes& planes, const ConstStack& column, const ConstStack& row,
                         const std::byte* fill, const SumEnding& ending)
        : planes_(planes),
          column_(column),
          row_(row),
          window_(planes.window),
          at_once_(rows_at_once()),
          kept_((at_once_ - 1) * window_.rows.step() + window_.rows.reach()),
          shape_(choose_shape()),
          keeps_(may_keep(shape_.columns)),
          block_(choose_block()),
          fill_(detail::read_weight<Weight, Work>(fill)),
          loader_({window_.rows, block_}, 1, shape_.columns, ColumnLayout::phases,
                  row_reader<AsNumber, Work>(planes.image.element), {fill_, false}, planes.channels),
          pitch_(round_up(loader_.pitch(), lanes)),
          start_(detail::read_delta<Weight, Work>(ending)),
          write_(planes.out),
          cut_off_(detail::cuts_off<Result>(ending, planes.out.element.dtype)
                       ? number_writer<Result>(planes.out.element, ending.rounding)
                       : nullptr),
          sum_image_lines_(reads_in_place() ? sum_lines_of(planes.image) : nullptr),
          store_windows_(write_.streams() ? nullptr : store_windows_of(planes.out, cut_off_ != nullptr)) {
        require(row_reader<AsNumber, Work>(planes.image.element) != nullptr,
                "correlate_separable: no loop for this element type of the image");
        for (index tap = 0; tap < block_.size; ++tap) {
            offsets_.push_back(loader_.tap(0, tap));
        }
    }

    void run(int workers) const {
        const std::size_t bytes = Scratch::bytes<Work>(taps_kept()) + Scratch::bytes<Work>(block_.size) +
                                  Scratch::bytes<Work>((keeps_ ? kept_ : 1) * pitch_) +
                                  Scratch::bytes<Work>(sums_kept()) + Scratch::bytes<Work>(phases_kept()) +
                                  Scratch::bytes<Result>(shape_.columns + row_slack) +
                                  Scratch::bytes<const std::byte*>(lines_kept()) + Scratch::bytes<index>(most_outside);
        const MutablePlane& out = planes_.out.first;
        const TileGrid grid(planes_.image.planes(), out.rows, out.columns, shape_, cost_of_output(shape_.columns),
                            planes_.image.interleaved());
        grid.for_each(bytes, workers, [&](const Tile& tile, Scratch scratch) {
            if (keeps_) {
                correlate(tile, scratch);
            } else {
                correlate_in_blocks(tile, scratch);
            }
            write_.finish();
        });
    }

private:
    static constexpr index lanes = lane_count<Work>;

    // Rows of sums of columns by vectors that are computed at once, such that they fit the registers.
    static constexpr int together = 4;
    static constexpr int vectors = 2;
    static constexpr int vectors_of_row = 4;
    static constexpr index narrowest = vectors_of_row * lanes;  // row that may be taken where it lies

    static constexpr index most_columns = 2048;  // of a tile: what is kept of few rows of them stays near
    static constexpr index most_outside = 2048;  // columns of a tile that are copied

    using Lines = const std::byte* const*;
    template <class To, Rounding rounding = Rounding::half_to_even>
    using Rows = detail::ResultRows<To, Work, rounding>;

    /// Adds up `rows` rows of `count` sums of columns, whose taps `lines` are.
    using SumLines = void (*)(Lines lines, index taps, const Work* weights, index rows, index count,
                              const Rows<Work>& sums);
    /// Adds up a row of sums along.
    using StoreWindows = void (*)(const Work* line, const index* offsets, index taps, const Work* weights, index count,
                                  std::byte* target, Work start);

    // What follows is called while members are set: each uses those before it alone.

    /// Nanoseconds on one core (Zen 5), in tiles of `columns`.
    double cost_of_output(index columns) const {
        const double covered = static_cast<double>(window_.columns.cover(columns)) / static_cast<double>(columns);
        const double down = static_cast<double>(window_.rows.size) * covered;
        const double loads = may_keep(columns) ? 0 : 0.1 * down;  // every row for every tap
        return 0.2 + 0.25 / static_cast<double>(lanes) * (down + static_cast<double>(window_.columns.size)) + loads;
    }

    /// Rows of sums that have most of their taps in common.
    index rows_at_once() const {
        const bool near = window_.rows.stride == 1 && window_.rows.dilation == 1;
        return near ? std::min<index>(window_.rows.size, together) : 1;
    }

    /// Whether rows of the image may be read where they lie: they do not compete for places in the first cache, as many
    /// rows do that lie a power of two apart.
    bool reads_in_place() const {
        constexpr index period = 4096;  // bytes after which places recur
        constexpr index places = 14;
        const index apart = planes_.image.first.row_stride % period * (window_.rows.dilation % period) % period;
        const index rows = window_.rows.size + at_once_ - 1;
        const index different = period / std::gcd(apart == 0 ? period : apart, period);  // rows that do not compete
        const index phases = loader_.phases();
        const bool lie_so = phases == 1 && (window_.columns.stride == 1 || shape_.columns == 1);
        const bool split = (phases == 2 || phases == 4) && phases == window_.columns.stride;
        return keeps_ && (lie_so || split) && ceil_div(rows, different) <= places;
    }

    /// Whether the rows that a few rows of sums need may be kept, in tiles of `columns`.
    bool may_keep(index columns) const {
        constexpr double most_bytes = 1.5 * 1024 * 1024;
        constexpr index most_taps = 1024;         // whose pointers are kept as well
        const index rows = kept_ + at_once_ + 2;  // with the sums, one row of them in phases, and the weights along
        const double covered = static_cast<double>(window_.columns.cover(columns) + row_slack);
        return static_cast<double>(rows) * covered * double{sizeof(Work)} <= most_bytes &&
               window_.rows.size <= most_taps;
    }

    TileShape choose_shape() const {
        const MutablePlane& out = planes_.out.first;
        const index widest = most_columns / std::min(window_.columns.step(), most_columns);
        TileShape shape{128 / at_once_ * at_once_, evenly(out.columns, widest)};
        while (!may_keep(shape.columns) && shape.columns > narrowest) {
            shape.columns = (shape.columns + 1) / 2;
        }
        shape.rows = std::clamp<index>(out.rows, 1, shape.rows);
        const double cost = cost_of_output(shape.columns);
        while (static_cast<double>(shape.rows * shape.columns) * cost > longest_task && shape.rows > 1) {
            shape.rows = (shape.rows + 1) / 2;
        }
        shape.columns = round_up(shape.columns, planes_.channels);
        return shape;
    }

    /// The taps along the row that are taken at once: all where their columns may be kept.
    WindowAxis choose_block() const {
        constexpr index most = index{32} * 1024;  // columns
        WindowAxis block = window_.columns;
        if (!keeps_ && block.cover(shape_.columns) > most) {
            block.size = std::clamp<index>((most - shape_.columns * block.step()) / block.dilation, 1, block.size);
        }
        return block;
    }

    index taps_kept() const { return keeps_ ? window_.rows.size : 1; }
    index sums_kept() const { return (keeps_ ? at_once_ : 1) * pitch_ + lanes; }
    index phases_kept() const { return sum_image_lines_ != nullptr && loader_.phases() > 1 ? pitch_ : 0; }
    index lines_kept() const { return taps_kept() + at_once_ - 1; }

    /// The buffers of a tile, in its worker's scratch.
    struct Buffers {
        Work* down;    // weights
        Work* across;  // weights
        Work* pixels;
        Work* sums;
        Work* phases;  // of a row of sums
        Result* results;
        const std::byte** lines;
        index* sources;

        Buffers(Scratch scratch, const SeparableCorrelation& owner)
            : down(scratch.take<Work>(owner.taps_kept())),
              across(scratch.take<Work>(owner.block_.size)),
              pixels(scratch.take<Work>((owner.keeps_ ? owner.kept_ : 1) * owner.pitch_)),
              sums(scratch.take<Work>(owner.sums_kept())),
              phases(scratch.take<Work>(owner.phases_kept())),
              results(scratch.take<Result>(owner.shape_.columns + row_slack)),
              lines(scratch.take<const std::byte*>(owner.lines_kept())),
              sources(scratch.take<index>(most_outside)) {}
    };

    void correlate(const Tile& tile, Scratch scratch) const {
        const Buffers buffers(scratch, *this);
        detail::copy_weights<Weight>(column_.plane(tile.plane), {0, 0, window_.rows.size, 1}, buffers.down);
        detail::copy_weights<Weight>(row_.plane(tile.plane), {0, 0, 1, window_.columns.size}, buffers.across);
        const ConstPlane source = planes_.image.plane(tile.plane);
        const detail::TileColumns columns = inner_columns(tile, buffers);
        const auto inside =
            columns.direct ? window_.rows.inside(tile.row, tile.rows, source.rows) : WindowAxis::Range{};
        const Work outside = columns.direct && columns.has_fill ? sum_of_fill(buffers) : Work{};
        index loaded = 0;
        for (index y = 0; y < tile.rows;) {
            const index count = y + at_once_ <= tile.rows ? at_once_ : 1;
            const bool in_place = y >= inside.begin && y + count <= inside.end;
            if (in_place) {
                sum_down_inside(tile, columns, outside, y, count, buffers);
            } else {
                sum_down(tile, y, count, buffers, loaded);
            }
            for (index row = 0; row < count; ++row) {
                bring_near(tile, y + count + row);
                const Work* const sums = (in_place ? sums_inside(columns, buffers) : buffers.sums) + row * pitch_;
                sum_along(tile, y + row, in_place ? in_phases(sums, buffers) : sums, buffers);
            }
            y += count;
        }
    }

    /// The columns of a tile that may be read from the image.
    detail::TileColumns inner_columns(const Tile& tile, const Buffers& buffers) const {
        detail::TileColumns columns{};
        if (sum_image_lines_ != nullptr) {
            columns = detail::columns_of_tile(planes_, tile, buffers.sources, most_outside);
            columns.direct = columns.direct && columns.inside >= narrowest;
        }
        return columns;
    }

    /// The sum of a column of the fill.
    Work sum_of_fill(const Buffers& buffers) const {
        Work pixels[narrowest];
        Work sums[narrowest];
        std::fill_n(pixels, narrowest, fill_);
        std::fill_n(buffers.lines, window_.rows.size, reinterpret_cast<const std::byte*>(pixels));
        sum_lines<Work>(buffers.lines, window_.rows.size, buffers.down, 1, narrowest, {sums, 0, true, false});
        return sums[0];
    }

    /// Where sums of columns begin, such that those of the columns inside are aligned.
    static Work* sums_inside(const detail::TileColumns& columns, const Buffers& buffers) {
        return buffers.sums + round_up(columns.before, lanes) - columns.before;
    }

    /// Sums of columns from rows of the image where they lie.
    void sum_down_inside(const Tile& tile, const detail::TileColumns& columns, Work outside, index y, index count,
                         const Buffers& buffers) const {
        const ConstPlane source = planes_.image.plane(tile.plane);
        const index first = window_.rows.position(tile.row + y);
        for (index line = 0; line < window_.rows.size + count - 1; ++line) {
            buffers.lines[line] = source.at(first + line * window_.rows.dilation, columns.first);
        }
        Work* const sums = sums_inside(columns, buffers);
        sum_image_lines_(buffers.lines, window_.rows.size, buffers.down, count, columns.inside,
                         {sums + columns.before, pitch_, true, false});
        for (index row = 0; row < count; ++row) {
            columns.complete(sums + row * pitch_, outside);
        }
    }

    /// A row of sums as the loader lays out columns.
    const Work* in_phases(const Work* sums, const Buffers& buffers) const {
        if (loader_.phases() == 1) {
            return sums;
        }
        detail::split_phases(sums, static_cast<int>(loader_.phases()), loader_.phase_pitch(), loader_.phase_pitch(),
                             buffers.phases, buffers.phases);  // so few need no other room
        return buffers.phases;
    }

    /// Has the last row fetched that row `y` of the results of a tile needs, and that row of results itself.
    IMKERNELS_INLINE void bring_near(const Tile& tile, index y) const {
        const index row = window_.rows.position(tile.row + y, window_.rows.size - 1);
        detail::bring_pixels_near(planes_.image, window_.columns, tile, tile.plane, row);
        if (store_windows_ != nullptr) {
            detail::bring_results_near(planes_.out, tile, y);
        }
    }

    /// Sums of columns from rows that are loaded, of which `loaded` counts those that have been.
    void sum_down(const Tile& tile, index y, index count, const Buffers& buffers, index& loaded) const {
        const ConstPlane source = planes_.image.plane(tile.plane);
        const index first = y * window_.rows.step();
        const index end = first + (count - 1) * window_.rows.step() + window_.rows.reach();
        for (loaded = std::max(loaded, first); loaded < end; ++loaded) {
            const index position = loader_.row_position(tile.row, tile.rows, loaded);
            loader_.load_row(source, position, tile.column, tile.columns, buffers.pixels + loaded % kept_ * pitch_);
        }
        for (index line = 0; line < window_.rows.size + count - 1; ++line) {
            const index place = (first + line * window_.rows.dilation) % kept_;
            buffers.lines[line] = reinterpret_cast<const std::byte*>(buffers.pixels + place * pitch_);
        }
        sum_lines<Work>(buffers.lines, window_.rows.size, buffers.down, count, loader_.pitch() - row_slack,
                        {buffers.sums, pitch_, false, false});
    }

    void sum_along(const Tile& tile, index y, const Work* sums, const Buffers& buffers) const {
        const MutablePlane target = planes_.out.plane(tile.plane);
        std::byte* const to = target.at(tile.row + y, tile.column);
        const index taps = window_.columns.size;
        if (store_windows_ != nullptr && tile.columns >= narrowest) {
            return store_windows_(sums, offsets_.data(), taps, buffers.across, tile.columns, to, start_);
        }
        sum_windows(sums, offsets_.data(), taps, buffers.across, tile.columns,
                    Rows<Result>{buffers.results, 0, false, false, start_});
        write(buffers.results, tile.columns, to, target.column_stride);
    }

    void write(const Result* results, index count, std::byte* target, index stride) const {
        if (cut_off_ != nullptr) {
            return cut_off_(results, count, target, stride);
        }
        write_(results, count, target, stride);
    }

    /// For windows of which too little can be kept: row by row, and tap by tap.
    void correlate_in_blocks(const Tile& tile, Scratch scratch) const {
        const Buffers buffers(scratch, *this);
        const ConstPlane source = planes_.image.plane(tile.plane);
        const MutablePlane target = planes_.out.plane(tile.plane);
        for (index y = 0; y < tile.rows; ++y) {
            for (index tap = 0; tap < window_.columns.size; tap += block_.size) {
                const index taps = std::min(block_.size, window_.columns.size - tap);
                const TileLoader<Work> loader = loader_.shifted(0, tap * window_.columns.dilation);
                for (index i = 0; i < window_.rows.size; ++i) {
                    loader.load_row(source, window_.rows.position(tile.row + y, i), tile.column, tile.columns,
                                    buffers.pixels);
                    const auto* const line = reinterpret_cast<const std::byte*>(buffers.pixels);
                    detail::copy_weights<Weight>(column_.plane(tile.plane), {i, 0, 1, 1}, buffers.down);
                    sum_lines<Work>(&line, 1, buffers.down, 1, loader_.pitch() - row_slack,
                                    {buffers.sums, pitch_, false, i > 0});
                }
                detail::copy_weights<Weight>(row_.plane(tile.plane), {0, tap, 1, taps}, buffers.across);
                sum_windows(buffers.sums, offsets_.data(), taps, buffers.across, tile.columns,
                            Rows<Result>{buffers.results, 0, false, tap > 0, start_});
            }
            write(buffers.results, tile.columns, target.at(tile.row + y, tile.column), target.column_stride);
        }
    }

    template <class Pixel>
    static void sum_lines(Lines lines, index taps, const Work* weights, index rows, index count,
                          const Rows<Work>& sums) {
        const auto* const pixels = reinterpret_cast<const Pixel* const*>(lines);
        switch (rows) {
            case 1: return sum_lines<Pixel, 1, vectors_of_row>(pixels, taps, weights, count, sums);
            case 2: return sum_lines<Pixel, 2, vectors>(pixels, taps, weights, count, sums);
            case 3: return sum_lines<Pixel, 3, vectors>(pixels, taps, weights, count, sums);
            default: return sum_lines<Pixel, together, vectors>(pixels, taps, weights, count, sums);
        }
    }

    template <class Pixel, int rows, int wide>
    static __attribute__((noinline)) void sum_lines(const Pixel* const* lines, index taps, const Work* weights,
                                                    index count, const Rows<Work>& sums) {
        detail::sum_rows<Work, Work, rows, wide>(count, sums, [=](index x, auto& tile) IMKERNELS_INLINE_LAMBDA {
            detail::add_lines(lines, taps, x, weights, tile);
        });
    }

    /// The function for rows of an image that need not be loaded, or nullptr.
    static SumLines sum_lines_of(const ConstStack& image) {
        SumLines found = nullptr;
        const auto look = [&]<class Pixel> {
            if (has_rows_of<Pixel>(image)) {
                found = sum_lines<Pixel>;
            }
        };
        look.template operator()<Work>();
        if constexpr (std::is_same_v<Work, float>) {
            look.template operator()<std::int16_t>();
            look.template operator()<std::uint16_t>();
        }
        if constexpr (std::is_same_v<Work, float> || sizeof(Work) == 2) {
            look.template operator()<std::uint8_t>();
        }
        return found;
    }

    template <class To, Rounding rounding>
    static void sum_windows(const Work* line, const index* offsets, index taps, const Work* weights, index count,
                            const Rows<To, rounding>& results) {
        if constexpr (detail::SumTile<Work, 1, vectors_of_row>::has_pairs) {
            if (taps > 1 && offsets[1] == 1) {  // and so for the others
                switch (taps) {
                    case 3: return sum_pairs<3>(line, taps, weights, count, results);
                    case 5: return sum_pairs<5>(line, taps, weights, count, results);
                    case 7: return sum_pairs<7>(line, taps, weights, count, results);
                    default: return sum_pairs<0>(line, taps, weights, count, results);
                }
            }
        }
        switch (taps) {
            case 3: return sum_taps<3>(line, offsets, taps, weights, count, results);
            case 5: return sum_taps<5>(line, offsets, taps, weights, count, results);
            case 7: return sum_taps<7>(line, offsets, taps, weights, count, results);
            default: return sum_taps<0>(line, offsets, taps, weights, count, results);
        }
    }

    /// `known` taps, or any number of them if that is 0.
    template <int known, class To, Rounding rounding>
    static __attribute__((noinline)) void sum_taps(const Work* line, const index* offsets, index taps,
                                                   const Work* weights, index count,
                                                   const Rows<To, rounding>& results) {
        Work own[known + 1];  // copies that no store can change
        const Work* starts[known + 1];
        for (int tap = 0; tap < known; ++tap) {
            own[tap] = weights[tap];
            starts[tap] = line + offsets[tap];
        }
        detail::sum_rows<Work, Result, 1, vectors_of_row>(
            count, results, [&](index x, auto& tile) IMKERNELS_INLINE_LAMBDA {
                detail::repeat<known>(
                    [&](auto tap) IMKERNELS_INLINE_LAMBDA { tile.template add<0, 1>(starts[tap] + x, own + tap, 1); });
                for (index tap = 0; known == 0 && tap < taps; ++tap) {
                    tile.template add<0, 1>(line + offsets[tap] + x, weights + tap, 1);
                }
            });
    }

    /// The same for taps side by side.
    template <int known, class To, Rounding rounding>
    static __attribute__((noinline)) void sum_pairs(const Work* line, index taps, const Work* weights, index count,
                                                    const Rows<To, rounding>& results) {
        Work copy[known + 1];  // that no store can change
        std::copy_n(weights, known, copy);
        const Work* const own = known > 0 ? copy : weights;
        detail::sum_rows<Work, Result, 1, vectors_of_row>(
            count, results, [=](index x, auto& tile) IMKERNELS_INLINE_LAMBDA {
                const Work* const first = line + x;
                detail::repeat<known / 2>(
                    [&](auto pair) IMKERNELS_INLINE_LAMBDA { tile.add_pair(first + 2 * pair, own + 2 * pair); });
                for (index tap = 0; known == 0 && tap + 1 < taps; tap += 2) {
                    tile.add_pair(first + tap, own + tap);
                }
                if (taps % 2 != 0) {
                    tile.template add<0, 1>(first + taps - 1, own + taps - 1, 1);
                }
            });
    }

    /// The function for rows of results that need not be written, or nullptr.
    static StoreWindows store_windows_of(const MutableStack& out, bool cuts_off) {
        StoreWindows found = nullptr;
        visit_dtype(out.element.dtype, [&](auto tag) {
            using To = typename decltype(tag)::type;
            if constexpr (detail::stores_results<Work, Result, To>) {
                if (has_rows_of<To>(out)) {
                    found = store_windows<To, Rounding::half_to_even>;
                    if constexpr (std::is_same_v<Result, float> && std::is_integral_v<To>) {
                        found = cuts_off ? store_windows<To, Rounding::toward_zero> : found;
                    }
                }
            }
        });
        return found;
    }

    template <class To, Rounding rounding>
    static void store_windows(const Work* line, const index* offsets, index taps, const Work* weights, index count,
                              std::byte* target, Work start) {
        const Rows<To, rounding> results{reinterpret_cast<To*>(target), 0, true, false, start};
        sum_windows(line, offsets, taps, weights, count, results);
    }

    const WidePlanes& planes_;
    const ConstStack& column_;
    const ConstStack& row_;
    Window2D window_;
    index at_once_;  // rows of sums
    index kept_;     // rows of pixels that those need
    TileShape shape_;
    bool keeps_;
    WindowAxis block_;  // of taps along the row
    Work fill_;
    TileLoader<Work> loader_;
    index pitch_;
    Work start_;  // of sums
    detail::ResultWriter<Result, FromNumber> write_;
    WriteRun<Result> cut_off_;  // writes what is to be rounded toward zero
    SumLines sum_image_lines_;
    StoreWindows store_windows_;
    std::vector<index> offsets_;  // of a block's taps
};

void run(const WidePlanes& planes, const ConstStack& column, const ConstStack& row, const std::byte* fill,
         const SumEnding& ending, int workers) {
    const auto with = [&]<class Work, class Result, class Weight> {
        SeparableCorrelation<Work, Result, Weight>(planes, column, row, fill, ending).run(workers);
    };
    const double largest = detail::largest_result(planes.image.element.dtype, {&column, &row}, ending);
    if (largest < 0x1p15) {
        return with.template operator()<std::uint16_t, std::int16_t, std::int32_t>();
    }
    detail::visit_sums(column.element.dtype, largest, with);
}
}  // namespace

void correlate_separable(const ConstStack& image, ConstStack column, ConstStack row, const MutableStack& out,
                         const Window2D& window, const std::byte* fill, const SumEnding& ending, int workers) {
    require(column.first.rows == window.rows.size && column.first.columns == 1 && row.first.rows == 1 &&
                row.first.columns == window.columns.size,
            "correlate_separable: the window has the shape of the outer product");
    require(row.element.dtype == column.element.dtype && !row.element.swapped && !column.element.swapped,
            "correlate_separable: both factors have one type, in native byte order");
    require(detail::visit_weights(column.element.dtype, [](auto) {}),
            "correlate_separable: the factors are int32, int64, float32 or float64");
    const WidePlanes planes = detail::planes_of_kernels(image, out, window, {&column, &row});
    run(planes, column, row, fill, ending, workers);
}

bool separable_is_faster(const Window2D& window, double results) {
    constexpr double cost_of_tap = 0.01;      // nanoseconds
    constexpr double cost_of_factors = 15e3;  // which have to be found
    const auto down = static_cast<double>(window.rows.size);
    const auto across = static_cast<double>(window.columns.size);
    const double taps = down * static_cast<double>(window.columns.step()) + across;  // of a result
    return 2 * down * across >= 3 * taps && cost_of_tap * (down * across - taps) * results >= cost_of_factors;
}

}  // namespace imkernels
