// Box blur of float32 and float16 by exact sums: sums of columns move down the image by adding a pixel and subtracting
// another, and sums of windows along the rows of those. Nothing drifts, since the pixels are integers
// (detail/fixed_point.hpp), of one digit in most tiles and of more where pixels differ by many powers of two.
//
// Sums are rounded to double, multiplied, and rounded to float. So every result is a function of the pixels of its
// window alone: tiles, layouts and digits change no bit. Pixels that are no finite numbers are counted instead.
#include "kernels/exact_box.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "kernels/detail/fixed_point.hpp"
#include "kernels/detail/near.hpp"
#include "kernels/detail/result_writer.hpp"
#include "kernels/detail/running_sums.hpp"
#include "kernels/detail/visit_count.hpp"
#include "kernels/detail/window_rows.hpp"

namespace imkernels {

namespace {
using detail::Digits;
using detail::DigitSum;

/// Columns of a tile, and columns or rows of a window. A column takes some 200 bytes of scratch memory, and a tile of
/// the tallest windows of the widest range half a second.
constexpr index largest = 4096;

/// Counts of pixels that are no finite numbers: positive ones in the low half of the bits, negative ones in the high
/// half; NaN is both, as the sum of two infinities is.
constexpr DigitSum one_positive = 1;
constexpr DigitSum one_negative = DigitSum{1} << 32;

DigitSum mark(float pixel) {
    const bool finite = pixel - pixel == 0;
    return (finite || pixel < 0 ? 0 : one_positive) + (finite || pixel > 0 ? 0 : one_negative);
}

void add_marks(const float* __restrict enters, index count, DigitSum* __restrict marks) {
    for (index x = 0; x < count; ++x) {
        marks[x] += mark(enters[x]);
    }
}

void remove_marks(const float* __restrict leaves, index count, DigitSum* __restrict marks) {
    for (index x = 0; x < count; ++x) {
        marks[x] -= mark(leaves[x]);
    }
}

/// Zeros for pixels that are marked.
void keep_finite(const float* pixels, index count, float* finite) {
    for (index x = 0; x < count; ++x) {
        finite[x] = mark(pixels[x]) == 0 ? pixels[x] : 0.0F;
    }
}

/// Puts what sums with marked pixels are in the place of those of the others.
void strike(const DigitSum* marks, index count, float* results) {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    for (index x = 0; x < count; ++x) {
        const bool positive = marks[x] % one_negative != 0;
        const bool negative = marks[x] / one_negative != 0;
        const float of_one_sign = negative ? -infinity : infinity;
        const float sum = positive && negative ? nan : of_one_sign;
        results[x] = marks[x] != 0 ? sum : results[x];
    }
}

/// Sums of the columns of a tile's windows, which move down the image, and of the windows along a row of those.
class RunningSums {
public:
    RunningSums(const WidePlanes& planes, index pitch, const detail::TileColumns& columns, Scratch& scratch)
        : window_(planes.window),
          channels_(planes.channels),
          pitch_(pitch),
          columns_(columns),
          enters_(scratch.take<float>(pitch)),
          leaves_(scratch.take<float>(pitch)),
          marks_(scratch.take<DigitSum>(pitch)),
          sums_(scratch.take<DigitSum>(Digits::most * pitch)),
          windows_(scratch.take<DigitSum>(Digits::most * pitch)),
          digits_({}, window_.taps()) {}

    static std::size_t bytes(index pitch) {
        return 2 * Scratch::bytes<float>(pitch) + Scratch::bytes<DigitSum>(pitch) +
               2 * Scratch::bytes<DigitSum>(Digits::most * pitch);
    }

    /// Moves on to the windows that begin with row `first`. `row(y, buffer)` gives the pixels of row `y`, `buffer` is
    /// room for them. False if there are some that the sums cannot hold: to be done again after `fit`, which they then
    /// can.
    template <class Row>
    bool move_to(index first, const Row& row) {
        const bool anew = first >= end_;
        if (anew) {
            clear();
            end_ = first;
        }
        for (; end_ < first + window_.rows.size; ++end_) {
            const float* enters = row(end_, enters_);
            const float* leaves = anew ? nullptr : row(end_ - window_.rows.size, leaves_);
            if (marked_) {
                enters = mark_and_keep_finite(enters, add_marks, enters_);
                leaves = anew ? nullptr : mark_and_keep_finite(leaves, remove_marks, leaves_);
            }
            if (end_ >= surveyed_) {
                const detail::Survey entering = detail::survey(enters, columns_.inside);
                if (!entering.finite || !digits_.hold(entering.places)) {
                    end_ = 0;
                    return false;
                }
            }
            detail::visit_count<Digits::most>(digits_.count(), [&](auto digits) {
                if (anew) {
                    detail::add_digits<digits, false>(enters, nullptr, columns_.inside, digits_, inside(sums_), pitch_);
                } else {
                    detail::add_digits<digits, true>(enters, leaves, columns_.inside, digits_, inside(sums_), pitch_);
                }
            });
        }
        return true;
    }

    /// Makes the sums hold all windows from those that begin with row `first` to those that begin with row `last`.
    template <class Row>
    void fit(index first, index last, const Row& row) {
        detail::Places places;
        surveyed_ = first;
        for (index window = first; window <= last; window += window_.rows.stride) {
            for (surveyed_ = std::max(surveyed_, window); surveyed_ < window + window_.rows.size; ++surveyed_) {
                const float* const pixels = row(surveyed_, enters_);
                detail::Survey found = detail::survey(pixels, columns_.inside);
                if (!found.finite) {
                    marked_ = true;
                    keep_finite(pixels, columns_.inside, enters_);
                    found = detail::survey(enters_, columns_.inside);
                }
                places.add(found.places);
            }
        }
        digits_ = Digits(places, window_.taps());
    }

    /// results[x] = the sum of the window that begins with column x, times the factor, for 0 <= x < count.
    void finish(index count, double factor, float* results) {
        detail::visit_count<Digits::most>(digits_.count(), [&](auto digits) {
            for (index digit = 0; digit < digits; ++digit) {
                sum_windows(sums_ + digit * pitch_, count, windows_ + digit * pitch_);
            }
            finish(count, detail::SumOfDigits<digits>(digits_, factor), results);
        });
        if (marked_) {
            sum_windows(marks_, count, windows_);
            strike(windows_, count, results);
        }
    }

private:
    DigitSum* inside(DigitSum* sums) const { return sums + columns_.before; }

    void clear() {
        std::fill_n(inside(marks_), columns_.inside, DigitSum{0});
        for (index digit = 0; digit < digits_.count(); ++digit) {
            std::fill_n(inside(sums_ + digit * pitch_), columns_.inside, DigitSum{0});
        }
    }

    template <class Mark>
    const float* mark_and_keep_finite(const float* pixels, const Mark& move_marks, float* finite) {
        move_marks(pixels, columns_.inside, inside(marks_));
        keep_finite(pixels, columns_.inside, finite);
        return finite;
    }

    void sum_windows(DigitSum* columns, index count, DigitSum* windows) const {
        columns_.complete(columns);
        detail::sum_windows_of_channels(columns, count, window_.columns.size, channels_, windows);
    }

    template <class Sum>
    void finish(index count, Sum sum, float* results) const {
        constexpr index lanes = lane_count<double>;
        const auto finished = [&, windows = windows_, pitch = pitch_](index x) IMKERNELS_INLINE_LAMBDA {
            return __builtin_convertvector(sum(windows + x, pitch), detail::Fewer<double, float>);
        };
        index x = 0;
        for (; x + lanes <= count; x += lanes) {
            const auto sums = finished(x);
            std::memcpy(results + x, &sums, sizeof(sums));
        }
        if (x < count) {
            const auto sums = finished(x);
            std::memcpy(results + x, &sums, static_cast<std::size_t>(count - x) * sizeof(float));
        }
    }

    Window2D window_;
    index channels_;
    index pitch_;
    const detail::TileColumns& columns_;
    float* enters_;
    float* leaves_;
    DigitSum* marks_;
    DigitSum* sums_;     // of columns, for each digit
    DigitSum* windows_;  // the same
    Digits digits_;      // at first for numbers about one: many images need no others
    bool marked_ = false;
    index end_ = 0;       // of the rows that are in the sums
    index surveyed_ = 0;  // end of those that the digits are known to hold
};

class ExactBox {
public:
    ExactBox(const WidePlanes& planes, const std::byte* fill, double factor, int workers)
        : planes_(planes),
          out_(planes.out),
          window_(planes.window),
          factor_(factor),
          shape_(choose_shape(planes, workers)),
          workers_(workers),
          rows_(planes, shape_.columns, fill),
          write_(out_, detail::large_output_of_boxes) {}

    void run() const {
        const auto cost = static_cast<double>(window_.rows.step() * window_.columns.step());  // nanoseconds
        const index pitch = rows_.pitch();
        const std::size_t bytes =
            detail::WindowRows<float>::bytes(window_) + RunningSums::bytes(pitch) + Scratch::bytes<float>(pitch);
        const TileGrid grid(out_.planes(), out_.first.rows, out_.first.columns, shape_, cost,
                            planes_.image.interleaved());
        grid.for_each(bytes, workers_, [&](const Tile& tile, Scratch scratch) {
            blur(tile, scratch);
            write_.finish();
        });
    }

private:
    static TileShape choose_shape(const WidePlanes& planes, int workers) {
        const auto& [rows, columns] = planes.window;
        const MutablePlane& out = planes.out.first;
        const index most = std::clamp<index>(out.columns, 1, largest / columns.step());
        const index width = detail::width_of_tile(planes.image, columns, most);
        return {detail::rows_of_tile(out.rows, rows, planes.out.planes(), workers),
                std::max(planes.channels, width / planes.channels * planes.channels)};
    }

    void blur(const Tile& tile, Scratch scratch) const {
        const detail::TileColumns columns = rows_.columns(tile, scratch);
        RunningSums sums(planes_, rows_.pitch(), columns, scratch);
        auto* const buffer = scratch.take<float>(rows_.pitch());
        const index count = window_.columns.cover(tile.columns) - window_.columns.reach() + 1;
        const bool in_place = write_.in_place() && rows_.output_step() == 1;
        const auto row = [&](index y, float* room) { return rows_.row(tile, columns, y, room); };
        const auto first_row = [&](index y) { return (tile.row + y) * window_.rows.stride; };
        for (index y = 0; y < tile.rows; ++y) {
            if (!sums.move_to(first_row(y), row)) {
                // The first rows mostly tell what the others are like. Where they do not, all the others do.
                sums.fit(first_row(y), first_row(y == 0 ? 0 : tile.rows - 1), row);
                sums.move_to(first_row(y), row);
            }
            detail::bring_pixels_near(planes_.image, window_.columns, tile, tile.plane,
                                      window_.rows.position(tile.row + y + 1, window_.rows.size - 1));
            const MutablePlane target = out_.plane(tile.plane);
            auto* const to = target.at(tile.row + y, tile.column);
            float* const results = in_place ? reinterpret_cast<float*>(to) : buffer;
            if (in_place) {
                detail::bring_results_near(out_, tile, y + 1);
            }
            sums.finish(count, factor_, results);
            if (!in_place) {
                rows_.pick(results, tile.columns);
                write_(results, tile.columns, to, target.column_stride);
            }
        }
    }

    const WidePlanes& planes_;
    const MutableStack& out_;
    Window2D window_;
    double factor_;
    TileShape shape_;
    int workers_;
    detail::WindowRows<float> rows_;
    detail::ResultWriter<float, FromNumber> write_;
};
}  // namespace

bool has_exact_box(const ConstStack& image, const MutableStack& out, const Window2D& window) {
    const Dtype dtype = image.element.dtype;
    return (dtype == Dtype::float16 || dtype == Dtype::float32) && out.element.dtype == dtype &&
           std::max(window.rows.size, window.columns.size) <= largest && window.taps() <= Digits::most_terms;
}

void exact_box(const ConstStack& image, const MutableStack& out, const Window2D& window, bool normalize,
               const std::byte* fill, int workers) {
    WidePlanes planes = wide_planes(image, out, window);
    if (planes.window.columns.reach() > largest) {
        planes = {image, out, window, 1};
    }
    ExactBox(planes, fill, normalize ? 1 / static_cast<double>(window.taps()) : 1, workers).run();
}

}  // namespace imkernels
