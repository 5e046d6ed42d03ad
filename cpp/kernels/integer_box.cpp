// Box blur of integers: sums of columns, moved down the image by adding a row and subtracting one; along a row the sums
// of windows move on in the same way. Integers are exact whatever is subtracted, so the cost per pixel does not depend
// on the window. Sums are computed modulo the least power of two, from 2^16 to 2^128, that holds those of the window.
//
// Means over small windows of 8-bit and 16-bit pixels are sooner of sums in a tree (detail/split_sums.hpp). How sums
// are divided is told in detail/integer_means.hpp.
#include "kernels/integer_box.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <type_traits>

#include "core/accumulate.hpp"
#include "kernels/detail/integer_means.hpp"
#include "kernels/detail/result_writer.hpp"
#include "kernels/detail/running_sums.hpp"
#include "kernels/detail/split_sums.hpp"
#include "kernels/detail/tree_sums.hpp"
#include "kernels/detail/window_rows.hpp"
#include "simd/lanes.hpp"

namespace imkernels {

namespace {
__extension__ typedef unsigned __int128 uint128;

using detail::Mean;

/// Of sums modulo a power of two.
template <class Sum, bool is_signed>
struct NumberOfSum {
    using type = std::conditional_t<is_signed, std::make_signed_t<Sum>, Sum>;
};
template <bool is_signed>
struct NumberOfSum<uint128, is_signed> {
    using type = int128;  // which holds unsigned ones as well
};
template <class Sum, bool is_signed>
using NumberOf = typename NumberOfSum<Sum, is_signed>::type;

template <class Sum, class Finish, class Result>
void finish_row(const Sum* __restrict sums, index count, Finish finish, Result* __restrict results) {
    using Number = NumberOf<Sum, std::is_signed_v<Result> || sizeof(Result) < sizeof(Sum)>;
    for (index x = 0; x < count; ++x) {
        results[x] = finish(static_cast<Number>(sums[x]));
    }
}

/// Sums of columns, side by side.
template <class Column>
struct PlainSums {
    using Number = Column;

    Column* sums;

    PlainSums(Column* room, index /*pitch*/, index /*aligned*/) : sums(room) {}
    /// Numbers that it takes room for, where columns take `pitch`.
    static index room(index pitch) { return pitch; }

    Column& operator[](index column) const { return sums[column]; }
};

template <class Pixel, class Column>
void set_row(const Pixel* row, index count, const PlainSums<Column>& sums, index first, index /*ahead*/) {
    std::copy_n(row, count, &sums[first]);
}

template <class Pixel, class Column>
void add_row(const Pixel* row, index count, const PlainSums<Column>& sums, index first) {
    detail::add_row(row, count, &sums[first]);
}

template <class Pixel, class Column>
void replace_row(const Pixel* enters, const Pixel* leaves, index count, const PlainSums<Column>& sums, index first,
                 index /*ahead*/) {
    detail::replace_row(enters, leaves, count, &sums[first]);
}

/// What sums of columns are computed in, modulo its size: of few rows, and of many.
template <class Pixel>
using ColumnOf =
    std::conditional_t<sizeof(Pixel) == 1, std::conditional_t<std::is_signed_v<Pixel>, std::int16_t, std::uint16_t>,
                       std::conditional_t<sizeof(Pixel) == 2, std::uint32_t, std::uint64_t>>;
template <class Pixel>
using WideColumnOf = std::conditional_t<sizeof(Pixel) <= 4, std::uint64_t, uint128>;

/// What means over small windows are made of.
template <class Pixel>
using SplitSumsOf = detail::SplitSums<std::conditional_t<sizeof(Pixel) == 1, std::uint16_t, std::uint32_t>>;

/// Whether means of so many pixels are products of floats, rather than of doubles.
template <class Pixel>
bool has_float_means(index taps) {
    // Where nothing multiplies and adds at once, a second product takes longer than wider numbers do.
    const bool sooner =
        vector_bytes > 16 || taps % 2 == 0 || detail::ReciprocalMean<float, Pixel, Mean::rounded>::is_exact(taps);
    return sooner && detail::ReciprocalMean<float, Pixel, Mean::cut_off>::is_exact(taps);
}

/// Columns of the widest windows that are sooner added up than moved along, as measured: of 16 bits, in one go.
template <class Pixel>
index most_columns_added(index apart) {
    if (sizeof(Pixel) == 1) {
        return 24;
    }
    return apart == 1 ? detail::most_terms : 6;
}

/// Whether means are made of split sums.
template <class Pixel>
bool has_split_sums(const Window2D& window, const BoxEnding& ending) {
    if (window.columns.size > most_columns_added<Pixel>(window.columns.dilation)) {
        return false;
    }
    const index taps = ending.by_axis ? window.columns.size : window.taps();
    if constexpr (sizeof(Pixel) == 1) {
        const bool cut_off = ending.rounding == Rounding::toward_zero;
        return window.rows.size <= 256 && !(cut_off && std::is_signed_v<Pixel>) &&
               detail::ShortDivision::is_exact(taps, cut_off ? ending.delta : taps / 2);
    } else {
        return has_float_means<Pixel>(taps) && detail::largest_sum<Pixel>(window.rows.size) <= 0x1p31;
    }
}

/// `Result` is that of the pixels for means, of 64 bits for sums, and a float for products. `Sums` are those of
/// columns.
template <class Pixel, class Result, class Sums>
class IntegerBox {
public:
    IntegerBox(const WidePlanes& planes, const BoxEnding& ending, const std::byte* fill, int workers)
        : planes_(planes),
          out_(planes.out),
          window_(planes.window),
          channels_(planes.channels),
          by_axis_(ending.by_axis),
          taps_(by_axis_ ? window_.columns.size : window_.taps()),
          delta_(ending.delta),
          cut_off_(ending.rounding == Rounding::toward_zero),
          factor_(ending.factor),
          shape_(choose_shape(planes, workers)),
          workers_(workers),
          rows_(planes, shape_.columns, fill),
          interleaved_(planes.image.interleaved()),
          fill_(read_fill<AsNumber, Pixel>(planes.image.element.dtype, fill).value),
          together_(choose_together(planes)),
          short_(taps_, cut_off_ ? delta_ : taps_ / 2),
          along_(is_split ? window_.columns.size : 1, window_.columns.dilation),
          write_(out_) {}

    void run() const {
        if (together_ > 0) {
            return run_together();
        }
        const index pitch = rows_.pitch();
        const std::size_t bytes =
            detail::WindowRows<Pixel>::bytes(window_) + 2 * Scratch::bytes<Pixel>(pitch) + bytes_of_lines(pitch);
        const auto pixels = static_cast<double>(window_.rows.step() * window_.columns.step());
        const TileGrid grid(out_.planes(), out_.first.rows, out_.first.columns, shape_, 0.1 * sizeof(Pixel) * pixels,
                            interleaved_);
        grid.for_each(bytes, workers_, [&](const Tile& tile, Scratch scratch) {
            blur(tile, scratch);
            write_.finish();
        });
    }

private:
    using Column = typename Sums::Number;
    using Sum = std::conditional_t<sizeof(Column) <= 4, std::uint32_t, Column>;
    template <class Float, Mean mean_of>
    using MeanIn = detail::ReciprocalMean<Float, Pixel, mean_of>;
    template <Mean mean_of>
    using ShortMean = detail::ShortMean<Pixel, mean_of>;
    static constexpr index most_together = 8;
    static constexpr index most_covered = 128;  // columns of those
    static constexpr bool is_split = std::is_same_v<Sums, detail::SplitSums<Column>>;
    static constexpr bool is_sum = sizeof(Pixel) == 8 ? sizeof(Column) == 8 : !std::is_same_v<Result, Pixel>;

    static TileShape choose_shape(const WidePlanes& planes, int workers) {
        const auto& [rows, columns] = planes.window;
        const MutablePlane& out = planes.out.first;
        const index most = std::clamp<index>(out.columns, 1, std::max<index>(4096, columns.reach()) / columns.step());
        const index width = detail::width_of_tile(planes.image, columns, most);
        return {detail::rows_of_tile(out.rows, rows, planes.out.planes(), workers),
                std::max(planes.channels, width / planes.channels * planes.channels)};
    }

    /// Small images of a batch whose rows are put side by side, so that loops over rows are long enough; 0 for others.
    static index choose_together(const WidePlanes& planes) {
        constexpr index most_rows = 64;
        const auto& [rows, columns] = planes.window;
        const MutablePlane& out = planes.out.first;
        const index covered = columns.cover(out.columns);
        const bool small = out.rows <= most_rows && covered <= most_covered && rows.size <= most_rows / 2;
        const bool simple = rows.stride == 1 && columns.stride == 1 && planes.channels == 1 &&
                            has_rows_of<Pixel>(planes.image) && planes.image.interleaved() == 1;
        const index images = std::min(most_together, planes.out.planes());
        return small && simple && images > 1 ? images : 0;
    }

    // Small images: the windows of each cover a part of a row that is so wide, and so many rows of pixels are kept.
    index part() const { return window_.columns.cover(out_.first.columns); }
    index pitch_together() const { return together_ * part() + 2 * row_slack; }
    index rows_together() const { return window_.rows.size + 1; }

    /// What a row of sums becomes, and what it does on the way.
    struct Lines {
        index pitch;
        Result* results;
        Column* sums;
        Column* means;  // of columns
        Column* room;
        Sum* wide;
    };

    std::size_t bytes_of_lines(index pitch) const {
        return Scratch::bytes<Result>(pitch) + 2 * Scratch::bytes<Column>(Sums::room(pitch)) +
               Scratch::bytes<Column>(along_.room(pitch)) + Scratch::bytes<Sum>(pitch);
    }

    Lines lines_of(index pitch, Scratch& scratch) const {
        return {pitch,
                scratch.take<Result>(pitch),
                scratch.take<Column>(Sums::room(pitch)),
                scratch.take<Column>(Sums::room(pitch)),
                scratch.take<Column>(along_.room(pitch)),
                scratch.take<Sum>(pitch)};
    }

    /// Blurs `together_` small images at once.
    void run_together() const {
        const index pitch = pitch_together();
        const std::size_t bytes = Scratch::bytes<index>(most_covered) + Scratch::bytes<Pixel>(rows_together() * pitch) +
                                  bytes_of_lines(pitch);
        const TileShape whole{out_.first.rows, out_.first.columns};
        const double cost = 0.5 * static_cast<double>(together_);
        const TileGrid grid(ceil_div(out_.planes(), together_), whole.rows, whole.columns, whole, cost, 1);
        grid.for_each(bytes, workers_, [&](const Tile& tile, Scratch scratch) {
            const index first = tile.plane * together_;
            blur_together(first, std::min(together_, out_.planes() - first), scratch);
        });
    }

    void blur_together(index first, index images, Scratch scratch) const {
        const Tile tile{first, 0, 0, out_.first.rows, out_.first.columns};
        auto* const sources = scratch.take<index>(most_covered);
        // Whole images with a stride of 1: what stands outside is the fill, or in the image.
        const detail::TileColumns columns = detail::columns_of_tile(planes_, tile, sources, most_covered);
        const index span = part();
        const index pitch = pitch_together();
        const index kept = rows_together();
        auto* const pixels = scratch.take<Pixel>(kept * pitch);
        const Lines lines = lines_of(pitch, scratch);
        const Sums sums(lines.sums, pitch, 0);
        ConstPlane from[most_together];
        MutablePlane to[most_together];
        for (index i = 0; i < images; ++i) {
            from[i] = planes_.image.plane(first + i);
            to[i] = out_.plane(first + i);
        }
        const auto row = [&](index y) { return pixels + y % kept * pitch; };
        const auto load = [&](index y) {
            const index source = border_run(window_.rows.border, from[0].rows, window_.rows.position(0) + y).source;
            for (index i = 0; i < images; ++i) {
                Pixel* const part = row(y) + i * span;
                if (source == no_source) {
                    std::fill_n(part, span, fill_);
                } else {
                    const auto* const own = reinterpret_cast<const Pixel*>(from[i].at(source, columns.first));
                    detail::copy_few(own, columns.inside, part + columns.before);
                    columns.complete(part, fill_);
                }
            }
        };
        // Loops end with a whole vector, in the room behind rows.
        const index count = round_up(images * span - window_.columns.reach() + 1, lane_count<Pixel>);
        const index covered = count + window_.columns.reach() - 1;
        const index width = round_up(covered, lane_count<Pixel>);
        std::fill_n(pixels, kept * pitch, Pixel{0});
        std::fill_n(lines.sums, Sums::room(pitch), Column{0});
        for (index y = 0; y < window_.rows.size - 1; ++y) {
            load(y);
            add_row(row(y), width, sums, 0);
        }
        for (index y = 0; y < tile.rows; ++y) {
            const index last = y + window_.rows.size - 1;
            load(last);
            if (y == 0) {
                add_row(row(last), width, sums, 0);
            } else {
                replace_row(row(last), row(y - 1), width, sums, 0, 0);
            }
            finish(sums, 0, covered, lines, lines.results);
            for (index i = 0; i < images; ++i) {
                write_row(lines.results + i * span, tile.columns, to[i].at(y, 0), to[i].column_stride);
            }
        }
    }

    void write_row(const Result* results, index count, std::byte* target, index stride) const {
        if (write_.keeps()) {
            return detail::copy_few(results, count, reinterpret_cast<Result*>(target));
        }
        write_(results, count, target, stride);
    }

    void blur(const Tile& tile, Scratch scratch) const {
        const index pitch = rows_.pitch();
        const detail::TileColumns columns = rows_.columns(tile, scratch);
        auto* const enters = scratch.take<Pixel>(pitch);
        auto* const leaves = scratch.take<Pixel>(pitch);
        const Lines lines = lines_of(pitch, scratch);
        const Sums sums(lines.sums, pitch, columns.before);
        const index size = window_.rows.size;
        const index covered = window_.columns.cover(tile.columns);
        const MutablePlane target = out_.plane(tile.plane);
        const bool in_place = write_.in_place() && rows_.output_step() == 1;
        index begin = 0;  // the rows [begin, end) are in the sums
        index end = 0;
        for (index y = 0; y < tile.rows; ++y) {
            const index first = (tile.row + y) * window_.rows.stride;
            if (y == 0 || first >= end) {
                begin = end = first;
            }
            for (; end < first + size; ++end) {
                const Pixel* const row = rows_.row(tile, columns, end, enters);
                if (begin == end) {
                    set_row(row, columns.inside, sums, columns.before, planes_.image.first.row_stride);
                } else if (begin < first) {
                    const Pixel* const left = rows_.row(tile, columns, begin++, leaves);
                    replace_row(row, left, columns.inside, sums, columns.before, planes_.image.first.row_stride);
                } else {
                    add_row(row, columns.inside, sums, columns.before);
                }
            }
            columns.complete(sums);
            auto* const to = target.at(tile.row + y, tile.column);
            Result* const results = in_place ? reinterpret_cast<Result*>(to) : lines.results;
            finish(sums, columns.before, covered, lines, results);
            if (!in_place) {
                rows_.pick(results, tile.columns);
                write_(results, tile.columns, to, target.column_stride);
            }
        }
    }

    /// Puts the means of columns, cut off, in the place of their sums.
    void take_column_means(const Column* sums, index count, Column* means) const {
        const index size = window_.rows.size;
        if constexpr (std::is_same_v<Pixel, std::uint8_t> && std::is_same_v<Column, std::uint16_t>) {
            if (detail::ShortDivision::is_exact(size, 0)) {
                const ShortMean<Mean::cut_off> mean{detail::ShortDivision(size, 0)};
                for (index x = 0; x < count; x += lane_count<Column>) {
                    store_lanes(means + x, mean(load_lanes(sums + x)));
                }
                return;
            }
        }
        const auto take = [&](auto mean) {
            // Of wider pixels sums fit signed numbers, which vectors convert sooner.
            using Number = std::conditional_t<std::is_same_v<Pixel, std::uint8_t>, Column, NumberOf<Column, true>>;
            for (index x = 0; x < count; ++x) {
                means[x] = static_cast<Column>(mean(static_cast<Number>(sums[x])));
            }
        };
        if constexpr (sizeof(Pixel) <= 2) {
            if (MeanIn<float, Mean::cut_off>::is_exact(size)) {
                return take(MeanIn<float, Mean::cut_off>(size, 0));
            }
        }
        take(MeanIn<double, Mean::cut_off>(size, 0));
    }

    /// The means, or the sums, of all windows in a row of sums of columns, or of their means.
    void finish(const Sums& sums, index aligned, index covered, const Lines& lines, Result* results) const {
        if (!by_axis_) {
            return finish_columns(sums, covered, lines, results);
        }
        take_column_means(lines.sums, Sums::room(is_split ? lines.pitch : covered), lines.means);
        finish_columns(Sums(lines.means, lines.pitch, aligned), covered, lines, results);
    }

    void finish_columns(const Sums& sums, index covered, const Lines& lines, Result* results) const {
        const index count = covered - window_.columns.reach() + 1;
        if constexpr (is_split) {
            const auto keep_means = [&](auto mean) {
                const detail::KeptMeans<Pixel, decltype(mean)> keep{mean, results, count, out_.first.row_stride};
                along_(sums, count, lines.room, lines.pitch, keep);
            };
            if constexpr (sizeof(Pixel) == 1) {
                finish_short(keep_means);
            } else {
                finish_in<float>(keep_means);
            }
        } else {
            finish_wide(&sums[0], count, lines.wide, results);
        }
    }

    void finish_wide(const Column* sums, index count, Sum* line, Result* results) const {
        detail::sum_windows_of_channels(sums, count, window_.columns.size, channels_, line);
        if constexpr (std::is_floating_point_v<Result>) {
            if (factor_) {
                finish_row(line, count, detail::Product<Result>{static_cast<Result>(factor_->value)}, results);
            } else {
                finish_row(line, count, detail::FloatMean<Result>{static_cast<double>(taps_)}, results);
            }
        } else if constexpr (is_sum) {
            finish_row(line, count, detail::PlainSum<Result>{}, results);
        } else {
            finish_means(line, count, results);
        }
    }

    void finish_means(const Sum* line, index count, Result* results) const {
        const auto finish = [&](auto mean) { finish_row(line, count, mean, results); };
        if constexpr (sizeof(Pixel) <= 2) {
            if (has_float_means<Pixel>(taps_)) {
                return finish_in<float>(finish);
            }
        }
        if constexpr (sizeof(Pixel) <= 4) {
            if (MeanIn<double, Mean::cut_off>::is_exact(taps_)) {
                return finish_in<double>(finish);
            }
        }
        if (cut_off_) {
            return finish(detail::CutOffMean<Pixel>{taps_, delta_});
        }
        finish(detail::DividedMean<Pixel>(taps_));
    }

    /// Calls `finish` with what makes means of sums, by products of floats.
    template <class Float, class Finish>
    void finish_in(const Finish& finish) const {
        if (cut_off_) {
            finish(MeanIn<Float, Mean::cut_off>(taps_, delta_));
        } else if (MeanIn<Float, Mean::rounded>::is_exact(taps_)) {
            finish(MeanIn<Float, Mean::rounded>(taps_, 0));
        } else {
            finish(MeanIn<Float, Mean::rounded_to_even>(taps_, 0));
        }
    }

    /// The same by products of integers.
    template <class Finish>
    void finish_short(const Finish& finish) const {
        if constexpr (std::is_unsigned_v<Pixel>) {
            if (cut_off_) {
                return finish(ShortMean<Mean::cut_off>{short_});
            }
        }
        if (taps_ % 2 == 1) {
            finish(ShortMean<Mean::rounded>{short_});
        } else {
            finish(ShortMean<Mean::rounded_to_even>{short_});
        }
    }

    const WidePlanes& planes_;
    const MutableStack& out_;
    Window2D window_;
    index channels_;
    bool by_axis_;  // means of columns are cut off
    index taps_;    // of a mean along the rows, or of the window
    index delta_;
    bool cut_off_;
    std::optional<Factor> factor_;
    TileShape shape_;
    int workers_;
    detail::WindowRows<Pixel> rows_;
    index interleaved_;
    Pixel fill_;
    index together_;  // images
    detail::ShortDivision short_;
    detail::SplitSumsAlong<Column> along_;
    detail::ResultWriter<Result, FromNumber> write_;
};

/// Columns of a window that rows in scratch memory are long enough for.
constexpr index most_columns(index item_size) {
    return 32768 / item_size;
}

bool fits_rows(const Window2D& window, index item_size) {
    return window.rows.size <= 65536 && window.columns.size <= most_columns(item_size);
}

/// Calls visit(std::type_identity) for the type that results are computed in.
template <class Pixel, class Visit>
void visit_result(Dtype out, const BoxEnding& ending, const Visit& visit) {
    if (ending.factor || out >= Dtype::float16) {
        const Dtype computed = ending.factor ? ending.factor->dtype : out;
        return computed == Dtype::float32 ? visit(std::type_identity<float>{}) : visit(std::type_identity<double>{});
    }
    if constexpr (sizeof(Pixel) < 8) {
        if (!ending.normalize) {
            using Wide = std::conditional_t<std::is_signed_v<Pixel>, std::int64_t, std::uint64_t>;
            return visit(std::type_identity<Wide>{});
        }
    }
    visit(std::type_identity<Pixel>{});
}

/// Whether sums fit the narrower types.
template <class Pixel>
bool has_short_sums(const Window2D& window, const BoxEnding& ending) {
    switch (sizeof(Pixel)) {
        case 1: return window.rows.size <= 256 && detail::largest_sum<Pixel>(window.taps()) <= 0x1p31;
        case 2: return window.rows.size <= 65536 && detail::largest_sum<Pixel>(window.taps()) <= 0x1p31;
        default: return !ending.normalize;  // 64 bits hold sums modulo 2^64
    }
}
}  // namespace

bool has_integer_box(const ConstStack& image, const MutableStack& out, const Window2D& window,
                     const BoxEnding& ending) {
    const Dtype dtype = image.element.dtype;
    const index size = item_size_of(dtype);
    const bool is_float = out.element.dtype >= Dtype::float16;
    const bool is_plain_sum = !ending.normalize && !ending.factor;
    const bool is_cut_off = ending.normalize && ending.rounding == Rounding::toward_zero;
    if (dtype == Dtype::boolean || dtype >= Dtype::float16 || out.element.dtype == Dtype::boolean ||
        (is_float && is_plain_sum) || (ending.delta != 0 && (is_float || !is_cut_off))) {
        return false;
    }
    if (size == 8) {  // sums of 128 bits are for means
        return !ending.factor && !ending.by_axis && fits_rows(window, size);
    }
    return std::ldexp(static_cast<double>(window.taps()), static_cast<int>(8 * size)) <= 0x1p62 &&
           fits_rows(window, size);
}

void integer_box(const ConstStack& image, const MutableStack& out, const Window2D& window, const BoxEnding& ending,
                 const std::byte* fill, int workers) {
    visit_dtype(image.element.dtype, [&](auto tag) {
        using Pixel = typename decltype(tag)::type;
        if constexpr (std::is_integral_v<Pixel>) {
            WidePlanes planes = wide_planes(image, out, window);
            if (planes.window.columns.reach() > most_columns(sizeof(Pixel))) {
                planes = {image, out, window, 1};
            }
            const auto run = [&]<class Result, class Sums>(std::type_identity<Result>, std::type_identity<Sums>) {
                IntegerBox<Pixel, Result, Sums>(planes, ending, fill, workers).run();
            };
            if constexpr (sizeof(Pixel) <= 2) {
                const bool is_integer_mean = ending.normalize && out.element.dtype < Dtype::float16;
                if (is_integer_mean && has_split_sums<Pixel>(planes.window, ending)) {
                    return run(std::type_identity<Pixel>{}, std::type_identity<SplitSumsOf<Pixel>>{});
                }
            }
            visit_result<Pixel>(out.element.dtype, ending, [&](auto result) {
                if (has_short_sums<Pixel>(window, ending)) {
                    run(result, std::type_identity<PlainSums<ColumnOf<Pixel>>>{});
                } else {
                    run(result, std::type_identity<PlainSums<WideColumnOf<Pixel>>>{});
                }
            });
        }
    });
}

}  // namespace imkernels
