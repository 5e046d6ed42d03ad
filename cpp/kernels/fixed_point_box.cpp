// Box blur of floats as integers of 64 bits: sums of columns move down the image, and sums of windows along the rows of
// those, by adding a pixel and subtracting another. What is added and subtracted is exact: nothing drifts.
//
// A float becomes the integer part of its product with a power of two, so small that sums fit and so large that nearly
// all pixels are integers then. A sample of the image tells which. The others are
// - pixels that do not fit: too large, NaN, infinite, or such that nothing of them would be left. Windows that hold
//   such a one, told by another running sum, become NaN;
// - pixels of which a part is cut off, less than 1. Their number in a tile, which mostly is 0, bounds the error of a
//   sum. One that is not 2^24 times as large becomes NaN, but a sum of zeros.
// The caller computes those windows anew. All others are exact but for 2^-24 of themselves, and the rounding of a mean.
#include "kernels/fixed_point_box.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>

#include "core/finite.hpp"
#include "kernels/detail/near.hpp"
#include "kernels/detail/result_writer.hpp"
#include "kernels/detail/running_sums.hpp"
#include "kernels/detail/window_rows.hpp"
#include "simd/lanes.hpp"

namespace imkernels {

namespace {
using Sum = std::uint64_t;  // modulo 2^64, of signed numbers

constexpr index few_of_sample = 8;  // pixels

/// What is to be known of pixels that were added.
struct Seen {
    bool unfit = false;     // some are too large, no numbers, or would all be cut off
    bool negative = false;  // some are
    index cut = 0;          // number of those of which a part may be cut off

    void add(const Seen& other) {
        unfit |= other.unfit;
        negative |= other.negative;
        cut += other.cut;
    }
};

/// Which pixels fit, by their bits: those of magnitudes are in the order of those.
class Fitting {
public:
    explicit Fitting(const FixedPoint& point)
        : one_(std::bit_cast<std::uint32_t>(1 / point.scale)),
          count_(std::bit_cast<std::uint32_t>(point.limit) - one_) {}

    static std::uint32_t magnitude(float pixel) { return std::bit_cast<std::uint32_t>(pixel) & 0x7fffffffU; }

    /// Of a magnitude that is not 0.
    bool operator()(std::uint32_t magnitude) const { return magnitude - one_ < count_; }

private:
    std::uint32_t one_, count_;
};

/// Adds the pixels of a row to sums of columns, and subtracts those of another one where `replaces`.
template <bool replaces>
Seen add_row(const float* __restrict enters, [[maybe_unused]] const float* __restrict leaves, index count,
             const FixedPoint& point, Sum* __restrict columns) {
    const Fitting fitting(point);
    const std::uint32_t precise = Fitting::magnitude(point.least);
    const auto integer = [scale = point.scale](float pixel) {
        return static_cast<Sum>(static_cast<std::int64_t>(pixel * scale));
    };
    std::uint32_t unfit = 0;
    std::uint32_t signs = 0;
    std::uint32_t cut = 0;
    for (index x = 0; x < count; ++x) {
        const std::uint32_t magnitude = Fitting::magnitude(enters[x]);
        const bool fits = fitting(magnitude);
        unfit |= fits ? 0 : magnitude;
        signs |= std::bit_cast<std::uint32_t>(enters[x]) ^ magnitude;
        cut += magnitude - 1 < precise - 1 ? 1U : 0U;  // but zeros
        Sum change = integer(fits ? enters[x] : 0.0F);
        if constexpr (replaces) {
            change -= integer(leaves[x]);
        }
        columns[x] += change;
    }
    return {unfit != 0, signs != 0, static_cast<index>(cut)};
}

/// Sums of columns, which move down the image, and those of windows along the row.
class RunningSums {
public:
    RunningSums(Scratch& scratch, index pitch, const detail::TileColumns& columns, const FixedPoint& point)
        : sums_(scratch.take<Sum>(pitch)), columns_(columns), point_(point) {}

    static std::size_t bytes(index pitch) { return Scratch::bytes<Sum>(pitch); }

    void clear() { std::fill_n(sums_ + columns_.before, columns_.inside, Sum{0}); }

    /// Adds a row of pixels, and subtracts the one that leaves, if one does.
    Seen move(const float* enters, const float* leaves) {
        Sum* const inside = sums_ + columns_.before;
        return leaves == nullptr ? add_row<false>(enters, nullptr, columns_.inside, point_, inside)
                                 : add_row<true>(enters, leaves, columns_.inside, point_, inside);
    }

    /// results[x] = finish(the sum of the window that begins with column x) for 0 <= x < count.
    template <class Finish>
    void finish(index count, const detail::RunningWindow& window, const Finish& finish, float* results) {
        columns_.complete(sums_);
        detail::running_windows<Sum>(sums_, count, window, [&](index x, Lanes<Sum> windows) IMKERNELS_INLINE_LAMBDA {
            const auto lanes = finish(windows);
            if (x + lane_count<Sum> <= count) {
                std::memcpy(results + x, &lanes, sizeof(lanes));
            } else {
                std::memcpy(results + x, &lanes, static_cast<std::size_t>(count - x) * sizeof(float));
            }
        });
    }

private:
    Sum* sums_;
    const detail::TileColumns& columns_;
    FixedPoint point_;
};

// What becomes of sums: floats, in as many lanes.

typedef float Results __attribute__((vector_size(lane_count<Sum> * sizeof(float))));

IMKERNELS_INLINE Lanes<double> as_doubles(Lanes<Sum> sums) {
    return __builtin_convertvector(reinterpret_cast<Lanes<std::int64_t>>(sums), Lanes<double>);
}

struct Scaled {
    double factor;

    Results operator()(Lanes<Sum> sums) const { return __builtin_convertvector(as_doubles(sums) * factor, Results); }
};

/// The same; of small sums, NaN.
class ScaledUnlessSmall {
public:
    /// Those of a magnitude of at most `small`, but zeros unless `zeros` may be small sums as well.
    ScaledUnlessSmall(double factor, Sum small, bool zeros)
        : factor_(factor), shift_(zeros ? small : ~Sum{0}), count_(zeros ? 2 * small + 1 : small) {}

    Results operator()(Lanes<Sum> sums) const {
        const Lanes<double> nan = broadcast(std::numeric_limits<double>::quiet_NaN());
        return __builtin_convertvector(sums + shift_ < count_ ? nan : as_doubles(sums) * factor_, Results);
    }

private:
    double factor_;
    Sum shift_, count_;
};

/// 0 for 0, and NaN for others.
struct Struck {
    Results operator()(Lanes<Sum> sums) const {
        const Lanes<double> nan = broadcast(std::numeric_limits<double>::quiet_NaN());
        return __builtin_convertvector(sums == 0 ? Lanes<double>{} : nan, Results);
    }
};

/// A row of pixels; and a row with a 1 for each that does not fit, which becomes 0.
class Row {
public:
    Row(Scratch& scratch, index pitch)
        : loaded_(scratch.take<float>(pitch)),
          fitting_(scratch.take<float>(pitch)),
          unfit_(scratch.take<float>(pitch)) {}

    static std::size_t bytes(index pitch) { return 3 * Scratch::bytes<float>(pitch); }

    /// Room to load pixels to.
    float* room() { return loaded_; }
    void take(const float* pixels) { pixels_ = pixels; }

    void tell_unfit(index count, const FixedPoint& point) {
        split(pixels_, count, Fitting(point), fitting_, unfit_);
        pixels_ = fitting_;
    }

    const float* pixels() const { return pixels_; }
    const float* unfit() const { return unfit_; }

private:
    static void split(const float* __restrict pixels, index count, Fitting fits, float* __restrict fitting,
                      float* __restrict unfit) {
        for (index x = 0; x < count; ++x) {
            const std::uint32_t magnitude = Fitting::magnitude(pixels[x]);
            fitting[x] = fits(magnitude) ? pixels[x] : 0.0F;
            unfit[x] = fits(magnitude) || magnitude == 0 ? 0.0F : 1.0F;
        }
    }

    float* loaded_;
    float* fitting_;
    float* unfit_;
    const float* pixels_ = nullptr;
};

class FixedPointBox {
public:
    FixedPointBox(const WidePlanes& planes, const std::byte* fill, const FixedPoint& point, double divisor)
        : image_(planes.image),
          out_(planes.out),
          window_(planes.window),
          along_{window_.columns.size, planes.channels},
          point_(point),
          factor_(1 / (divisor * static_cast<double>(point.scale))),
          shape_(choose_shape(out_.first.rows, out_.first.columns, window_, planes.channels)),
          rows_(planes, shape_.columns, fill),
          interleaved_(planes.image.interleaved()),
          write_(out_) {}

    /// Whether a result is not finite.
    bool run(int workers) const {
        constexpr double cost = 1;  // nanoseconds per pixel
        const index pitch = rows_.pitch();
        const std::size_t bytes = detail::WindowRows<float>::bytes(window_) + 2 * Row::bytes(pitch) +
                                  2 * RunningSums::bytes(pitch) + 2 * Scratch::bytes<float>(pitch);
        const TileGrid grid(out_.planes(), out_.first.rows, out_.first.columns, shape_, cost, interleaved_);
        std::atomic<bool> finite = true;
        grid.for_each(bytes, workers, [&](const Tile& tile, Scratch scratch) {
            Outcome outcome = blur<false>(tile, scratch);
            if (outcome == Outcome::unfit_pixel) {
                outcome = blur<true>(tile, scratch);
            }
            if (outcome != Outcome::finite) {
                finite = false;
            }
            write_.finish();
        });
        return !finite;
    }

private:
    enum class Outcome : char { finite, not_finite, unfit_pixel };

    /// How many times what is cut off of pixels a sum has to be.
    static constexpr Sum far_larger = Sum{1} << 24;

    static TileShape choose_shape(index rows, index columns, const Window2D& window, index channels) {
        const index wide = std::max<index>(4096, 4 * window.columns.reach());
        return {detail::rows_of_tile(rows, window.rows),
                std::max(channels, std::clamp<index>(columns, 1, wide / window.columns.step()) / channels * channels)};
    }

    /// Blurs a tile up to the first pixel that does not fit; with `tells_unfit`, all of it.
    template <bool tells_unfit>
    Outcome blur(const Tile& tile, Scratch scratch) const {
        const index pitch = rows_.pitch();
        const detail::TileColumns columns = rows_.columns(tile, scratch);
        RunningSums sums(scratch, pitch, columns, point_);
        RunningSums unfit(scratch, pitch, columns, {.scale = 1, .least = 1, .limit = 2});
        Row newest(scratch, pitch);
        Row oldest(scratch, pitch);
        auto* const buffer = scratch.take<float>(pitch);
        auto* const struck = scratch.take<float>(pitch);
        const auto load = [&](index y, Row& row) {
            row.take(rows_.row(tile, columns, y, row.room()));
            if (tells_unfit) {
                row.tell_unfit(columns.inside, point_);
            }
        };
        const index size = window_.rows.size;
        const index count = window_.columns.cover(tile.columns) - window_.columns.reach() + 1;
        const bool in_place = write_.in_place() && rows_.output_step() == 1;
        Seen seen;
        bool finite = true;
        index end = 0;  // of the rows that are in the sums
        for (index y = 0; y < tile.rows; ++y) {
            const index first = (tile.row + y) * window_.rows.stride;
            const bool anew = y == 0 || first >= end;
            if (anew) {
                sums.clear();
                unfit.clear();
                end = first;
            }
            for (; end < first + size; ++end) {
                load(end, newest);
                if (!anew) {
                    load(end - size, oldest);
                }
                seen.add(sums.move(newest.pixels(), anew ? nullptr : oldest.pixels()));
                if (seen.unfit) {
                    return Outcome::unfit_pixel;
                }
                if (tells_unfit) {
                    unfit.move(newest.unfit(), anew ? nullptr : oldest.unfit());
                }
            }
            detail::bring_pixels_near(image_, window_.columns, tile, tile.plane,
                                      window_.rows.position(tile.row + y + 1, size - 1));
            const MutablePlane target = out_.plane(tile.plane);
            auto* const to = target.at(tile.row + y, tile.column);
            float* const results = in_place ? reinterpret_cast<float*>(to) : buffer;
            finish(sums, seen, count, results);
            if (tells_unfit) {
                unfit.finish(count, along_, Struck{}, struck);
                for (index x = 0; x < count; ++x) {
                    results[x] += struck[x];
                }
            }
            finite &= all_finite(results, count);
            if (!in_place) {
                rows_.pick(results, tile.columns);
                write_(results, tile.columns, to, target.column_stride);
            }
        }
        return finite ? Outcome::finite : Outcome::not_finite;
    }

    void finish(RunningSums& sums, const Seen& seen, index count, float* results) const {
        if (seen.cut == 0) {
            return sums.finish(count, along_, Scaled{factor_}, results);
        }
        const Sum small = static_cast<Sum>(seen.cut) * far_larger;
        sums.finish(count, along_, ScaledUnlessSmall(factor_, small, seen.negative), results);
    }

    const ConstStack& image_;
    const MutableStack& out_;
    Window2D window_;
    detail::RunningWindow along_;
    FixedPoint point_;
    double factor_;
    TileShape shape_;
    detail::WindowRows<float> rows_;
    index interleaved_;
    detail::ResultWriter<float, FromNumber> write_;
};

/// Some pixels from all over the images.
struct Sample {
    static constexpr index count = 256;
    std::array<float, count> magnitudes{};  // in descending order; 0 for what is no finite number
    index negative = 0;
    index not_finite = 0;

    explicit Sample(const ConstStack& image) {
        const ReadRun<float> read = row_reader<AsNumber, float>(image.element);
        const index columns = image.first.columns;
        const index plane = image.first.rows * columns;
        const index all = image.planes() * plane;
        const index step = std::max<index>(1, all / count);
        for (index i = 0; i < count; ++i) {
            // Not at equal distances, which may be those of rows.
            const index place = (i * step + i * 40503 % step) % all;
            float pixel = 0;
            read(image.plane(place / plane).at(place % plane / columns, place % columns), 0, 1, &pixel);
            const bool finite = std::isfinite(pixel);
            magnitudes[static_cast<std::size_t>(i)] = finite ? std::fabs(pixel) : 0.0F;
            negative += pixel < 0 ? 1 : 0;
            not_finite += finite ? 0 : 1;
        }
        std::ranges::sort(magnitudes, std::greater<>());
    }

    index misfits(const FixedPoint& point) const {
        return not_finite + std::ranges::count_if(magnitudes, [&](float magnitude) {
                   return magnitude >= point.limit || (magnitude > 0 && magnitude < point.least);
               });
    }
};

/// By how many powers of two pixels may be larger than most in a sample, where `room` of them are above the smallest
/// pixel that fits. Sums of pixels of both signs may be small beside those.
int headroom(const Sample& sample, int room) {
    constexpr int least = 4;
    return sample.negative >= few_of_sample ? least : std::clamp(room - 14, least, 16);
}
}  // namespace

std::optional<FixedPoint> fixed_point_of(const ConstStack& image, const Window2D& window) {
    constexpr int precision = std::numeric_limits<float>::digits;
    constexpr int least_room = 20;
    constexpr index fewest_pixels = 16384;  // that are worth a sample
    const auto taps = static_cast<std::uint64_t>(window.taps());
    const int bits = 62 - static_cast<int>(std::bit_width(taps - 1));  // of a pixel
    const int room = bits - precision;
    const index pixels = image.planes() * image.first.rows * image.first.columns;
    if (image.element.dtype == Dtype::float64 || room < least_room || pixels < fewest_pixels) {
        return std::nullopt;
    }
    const Sample sample(image);
    const float usual = sample.magnitudes[few_of_sample / 2];  // which no single pixel decides
    const int top = usual > 0 ? std::ilogb(usual) + 1 + headroom(sample, room) : 0;
    const int shift = bits - top;
    if (usual == 0 || shift < 0 || shift > std::numeric_limits<float>::max_exponent - 2) {
        return std::nullopt;
    }
    const FixedPoint point{std::ldexp(1.0F, shift), std::ldexp(1.0F, precision - 1 - shift), std::ldexp(1.0F, top)};
    return sample.misfits(point) < few_of_sample ? std::optional(point) : std::nullopt;
}

bool fixed_point_box(const ConstStack& image, const MutableStack& out, const Window2D& window, const FixedPoint& point,
                     bool normalize, const std::byte* fill, int workers) {
    WidePlanes planes = wide_planes(image, out, window);
    if (planes.channels > detail::most_running_channels<Sum>) {
        planes = {image, out, window, 1};
    }
    const double divisor = normalize ? static_cast<double>(window.taps()) : 1;
    return FixedPointBox(planes, fill, point, divisor).run(workers);
}

}  // namespace imkernels
