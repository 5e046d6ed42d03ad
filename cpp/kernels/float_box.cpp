// Box blur of floats: sums of columns, then of those along the row, each by trees (detail/tree_sums.hpp).
//
// Nothing is subtracted, and every output adds its own pixels in one order, wherever it lies in a tile: sums do not
// drift, a NaN stays in its windows, and a stride changes no bit.
//
// float32 means are within 8 roundings (4 eps) of the exact ones: windows of up to 8 x 8 pixels take three additions
// down, three along and a division. For larger ones sums down the columns take up to seven additions in float32
// (`SumPlan::largest`); they are put together, and added up along the row, in double, and rounded once.
#include "kernels/float_box.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <limits>
#include <type_traits>

#include "kernels/detail/result_writer.hpp"
#include "kernels/detail/tree_sums.hpp"
#include "kernels/detail/window_rows.hpp"

namespace imkernels {

namespace {
/// The mean from a sum of the pixels' own type, and from one in double.
template <class Pixel>
struct MeanOf {
    Pixel count;
    Pixel operator()(Pixel sum) const { return sum / count; }
};

/// A reciprocal's error is far below the rounding to float.
struct RoundedMean {
    double reciprocal;
    float operator()(double sum) const { return static_cast<float>(sum * reciprocal); }
};

template <class Number>
__attribute__((noinline)) bool all_finite(const Number* numbers, index count) {
    using Bits = std::conditional_t<sizeof(Number) == 4, std::uint32_t, std::uint64_t>;
    constexpr Bits exponent = std::bit_cast<Bits>(std::numeric_limits<Number>::infinity());
    constexpr Bits least = exponent & (~exponent + 1);
    Bits found = 0;
    for (index x = 0; x < count; ++x) {
        found |= (std::bit_cast<Bits>(numbers[x]) & exponent) + least;  // reaches the sign where all bits are set
    }
    return found <= exponent;
}

/// Pixels, and sums of a few of them, as `Pixel`; sums along the row as `Sum`.
template <class Pixel, class Sum, class Finish>
class FloatBox {
public:
    FloatBox(const WidePlanes& planes, const std::byte* fill, Finish finish)
        : out_(planes.out),
          window_(planes.window),
          finish_(finish),
          down_(window_.rows.size),
          shape_(choose_shape(out_.first.rows, out_.first.columns, planes.channels)),
          rows_(planes, shape_.columns, fill),
          interleaved_(planes.image.interleaved()),
          along_(window_.columns.size, window_.columns.dilation),
          write_(out_) {}

    /// Whether a result is not finite.
    bool run(int workers) const {
        const index pitch = rows_.pitch();
        const std::size_t bytes = detail::WindowRows<Pixel>::bytes(window_) +
                                  Scratch::bytes<Pixel>(kept_rows() * pitch) + Scratch::bytes<Pixel>(pitch) +
                                  Scratch::bytes<Sum>(pitch) + Scratch::bytes<Sum>(along_.room(pitch));
        const double cost = 0.1 * sizeof(Pixel) * static_cast<double>(1 + down_.top());
        const TileGrid grid(out_.planes(), out_.first.rows, out_.first.columns, shape_, cost, interleaved_);
        std::atomic<bool> finite = true;
        grid.for_each(bytes, workers, [&](const Tile& tile, Scratch scratch) {
            if (!blur(tile, scratch)) {
                finite = false;
            }
            write_.finish();
        });
        return !finite;
    }

private:
    TileShape choose_shape(index rows, index columns, index channels) const {
        constexpr index kept_bytes = index{512} * 1024;
        const index tall = std::max<index>(128, 8 * window_.rows.size / window_.rows.step());
        TileShape shape{std::clamp<index>(rows, 1, tall), std::clamp<index>(columns, 1, 2048)};
        const index narrowest = 2 * window_.columns.reach() / window_.columns.step() + 128;
        while (shape.columns > narrowest &&
               kept_rows() * window_.columns.cover(shape.columns) * index{sizeof(Pixel)} > kept_bytes) {
            shape.columns = (shape.columns + 1) / 2;
        }
        shape.columns = std::max(channels, shape.columns / channels * channels);
        return shape;
    }

    /// Rows of a level that are needed at a time: those that a row of the next one is made of, and for the last one
    /// those in a window.
    index kept_rows(int level) const {
        const detail::SumLevel& here = down_[level];
        const bool last = level == down_.top();
        const index end = last ? window_.rows.size : down_[level + 1].tail + down_[level + 1].size;
        return end - here.tail - here.size + 1;
    }
    index kept_rows() const {
        index rows = 0;
        for (int level = 0; level <= down_.top(); ++level) {
            rows += kept_rows(level);
        }
        return rows;
    }

    /// The rows of all levels that are still needed, those of level `l` at their number modulo `kept_rows(l)`.
    struct Levels {
        std::array<Pixel*, detail::SumPlan::most_levels> rows;
        std::array<index, detail::SumPlan::most_levels> kept;
        std::array<const Pixel*, 2 * detail::most_terms> pixels;  // rows of level 0, which may lie in the image
    };

    bool blur(const Tile& tile, Scratch scratch) const {
        const index pitch = rows_.pitch();
        const detail::TileColumns columns = rows_.columns(tile, scratch);
        Levels levels;
        for (int level = 0; level <= down_.top(); ++level) {
            const auto i = static_cast<std::size_t>(level);
            levels.kept[i] = kept_rows(level);
            levels.rows[i] = scratch.take<Pixel>(levels.kept[i] * pitch);
        }
        auto* const buffer = scratch.take<Pixel>(pitch);
        auto* const sums = scratch.take<Sum>(pitch);
        auto* const room = scratch.take<Sum>(along_.room(pitch));
        const index step = window_.rows.step();
        const index count = window_.columns.cover(tile.columns) - window_.columns.reach() + 1;
        const bool in_place = write_.in_place() && rows_.output_step() == 1;
        index loaded = 0;
        bool finite = true;
        for (index y = 0; y < tile.rows; ++y) {
            for (; loaded < y * step + window_.rows.size; ++loaded) {
                add_row(tile, columns, loaded, levels);
            }
            sum_columns(columns, loaded, levels, sums + columns.before);
            rows_.complete(columns, sums);
            const MutablePlane target = out_.plane(tile.plane);
            auto* const to = target.at(tile.row + y, tile.column);
            Pixel* const results = in_place ? reinterpret_cast<Pixel*>(to) : buffer;
            along_(sums, count, room, pitch, finish_, results);
            finite &= all_finite(results, count);
            if (!in_place) {
                pick(results, tile.columns);
                write_(results, tile.columns, to, target.column_stride);
            }
        }
        return finite;
    }

    /// Row `number` of a level.
    const Pixel* row(const Levels& levels, int level, index number) const {
        const auto i = static_cast<std::size_t>(level);
        const index place = number % levels.kept[i];
        return level == 0 ? levels.pixels[static_cast<std::size_t>(place)] : levels.rows[i] + place * rows_.pitch();
    }

    /// Takes up row `number` of the windows: the sums that end with it.
    void add_row(const Tile& tile, const detail::TileColumns& columns, index number, Levels& levels) const {
        const index slot = number % levels.kept[0];
        levels.pixels[static_cast<std::size_t>(slot)] =
            rows_.row(tile, columns, number, levels.rows[0] + slot * rows_.pitch());
        for (int level = 1; level <= down_.top(); ++level) {
            const detail::SumLevel& here = down_[level];
            const index first = number + 1 - here.tail - here.size;
            if (first < 0) {
                return;
            }
            std::array<const Pixel*, detail::most_terms> terms;
            for (index i = 0; i < here.base; ++i) {
                terms[static_cast<std::size_t>(i)] = row(levels, level - 1, first + i * down_[level - 1].size);
            }
            const auto i = static_cast<std::size_t>(level);
            detail::add_terms<Pixel>(
                terms.data(), here.base, columns.inside, [](Pixel sum) { return sum; },
                levels.rows[i] + first % levels.kept[i] * rows_.pitch());
        }
    }

    /// Sums of columns of the window that ends before row `end`.
    void sum_columns(const detail::TileColumns& columns, index end, const Levels& levels, Sum* sums) const {
        std::array<const Pixel*, detail::most_terms> terms;
        std::size_t count = 0;
        for (int level = down_.top(); level >= 0; --level) {
            const detail::SumLevel& here = down_[level];
            for (index i = here.count; i > 0; --i) {
                terms[count++] = row(levels, level, end - here.tail - i * here.size);
            }
        }
        detail::add_terms<Sum>(
            terms.data(), static_cast<index>(count), columns.inside, [](Sum sum) { return sum; }, sums);
    }

    /// Keeps the results of the columns that are asked for.
    void pick(Pixel* results, index count) const {
        const index step = rows_.output_step();
        for (index x = 1; x < count && step > 1; ++x) {
            results[x] = results[x * step];
        }
    }

    const MutableStack& out_;
    Window2D window_;
    Finish finish_;
    detail::SumPlan down_;
    TileShape shape_;
    detail::WindowRows<Pixel> rows_;
    index interleaved_;
    detail::SumAlong<Sum> along_;
    detail::ResultWriter<Pixel, FromNumber> write_;
};
}  // namespace

bool has_float_box(const ConstStack& image, const MutableStack& out, const Window2D& window) {
    return image.element.dtype >= Dtype::float16 && out.element.dtype == image.element.dtype &&
           std::max(window.rows.size, window.columns.size) <= detail::SumPlan::largest;
}

bool float_box(const ConstStack& image, const MutableStack& out, const Window2D& window, const std::byte* fill,
               int workers) {
    const WidePlanes planes = wide_planes(image, out, window);
    const auto taps = static_cast<double>(window.taps());
    if (image.element.dtype == Dtype::float64) {
        return FloatBox<double, double, MeanOf<double>>(planes, fill, {taps}).run(workers);
    }
    if (std::max(window.rows.size, window.columns.size) <= detail::most_terms) {
        return FloatBox<float, float, MeanOf<float>>(planes, fill, {static_cast<float>(taps)}).run(workers);
    }
    return FloatBox<float, double, RoundedMean>(planes, fill, {1 / taps}).run(workers);
}

}  // namespace imkernels
