// Box blur of floats: sums of columns, then of those along the row, each by trees (detail/tree_sums.hpp). Large windows
// of float32 have a method of their own (exact_box.cpp).
//
// Nothing is subtracted, and every output adds its own pixels in one order, wherever it lies in a tile: sums do not
// drift, a NaN stays in its windows, and a stride changes no bit.
//
// float32 means of up to 8 x 8 pixels are within 8 roundings (4 eps) of the exact ones: three additions down, three
// along and a division.
#include "kernels/float_box.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <type_traits>

#include "core/finite.hpp"
#include "kernels/detail/column_sums.hpp"
#include "kernels/detail/near.hpp"
#include "kernels/detail/result_writer.hpp"
#include "kernels/detail/tree_sums.hpp"
#include "kernels/detail/window_rows.hpp"

namespace imkernels {

namespace {
constexpr index tall = 1024;  // rows of a window: of more, few columns are kept

// What becomes of a sum.

template <class Pixel>
struct MeanOf {
    Pixel count;
    template <class Sum>
    Sum operator()(Sum sum) const {
        return sum / count;
    }
};

template <class Pixel>
struct SumItself {
    template <class Sum>
    Sum operator()(Sum sum) const {
        return sum;
    }
};

/// Stores what becomes of sums, past the caches if it `streams`, and notes what is not finite. What lies `ahead` is
/// brought near: what finds streams of memory by itself stops at the end of a page.
template <class Pixel, class Finish, bool streams>
struct Results {
    Finish finish;
    Pixel* row = nullptr;
    const Pixel* ahead = nullptr;
    Lanes<Pixel> differences = {};  // of results from themselves: zeros, or NaN

    template <class Step, class Sum>
    IMKERNELS_INLINE void operator()(Step /*unused*/, index x, Sum sum) {
        prefetch(ahead + x);
        const Sum result = finish(sum);
        differences += result - result;
        if constexpr (streams && Step::is_aligned) {
            stream_lanes(row + x, result);
        } else {
            std::memcpy(row + x, &result, sizeof(result));
        }
    }

    bool all_finite() const {
        Pixel numbers[lane_count<Pixel>];
        std::memcpy(numbers, &differences, sizeof(numbers));
        return imkernels::all_finite(numbers, lane_count<Pixel>);
    }
};

template <class Pixel, class Finish>
class FloatBox {
public:
    FloatBox(const WidePlanes& planes, const std::byte* fill, Finish finish)
        : image_(planes.image),
          out_(planes.out),
          window_(planes.window),
          finish_(finish),
          shape_(choose_shape(planes)),
          rows_(planes, shape_.columns, fill),
          interleaved_(planes.image.interleaved()),
          along_(window_.columns.size, window_.columns.dilation),
          write_(out_, detail::large_output_of_boxes),
          in_place_(write_.keeps() && rows_.output_step() == 1) {}

    /// Whether a result is not finite.
    bool run(int workers) const {
        const index pitch = rows_.pitch();
        const std::size_t bytes = detail::WindowRows<Pixel>::bytes(window_) +
                                  ColumnSums::bytes(window_.rows.size, pitch) + Scratch::bytes<Pixel>(pitch) +
                                  Scratch::bytes<Pixel>(along_.room(pitch));
        const double cost = 0.2 * sizeof(Pixel);
        const TileGrid grid(out_.planes(), out_.first.rows, out_.first.columns, shape_, cost, interleaved_);
        const bool streams = in_place_ && write_.streams();
        std::atomic<bool> finite = true;
        grid.for_each(bytes, workers, [&](const Tile& tile, Scratch scratch) {
            if (!(streams ? blur<true>(tile, scratch) : blur<false>(tile, scratch))) {
                finite = false;
            }
            write_.finish();
        });
        return !finite;
    }

private:
    using ColumnSums = detail::ColumnSums<Pixel>;

    static TileShape choose_shape(const WidePlanes& planes) {
        constexpr index widest = 4096;  // few rows are interrupted: what comes next is best known within one
        constexpr index kept_bytes = index{512} * 1024;
        const Window2D& window = planes.window;
        const MutablePlane& out = planes.out.first;
        const index kept = ColumnSums::kept_sums(window.rows.size);
        const index most = std::clamp<index>(out.columns, 1, widest);
        TileShape shape{detail::rows_of_tile(out.rows, window.rows),
                        detail::width_of_tile(planes.image, window.columns, most)};
        // Columns beside a tile are summed for it as well. Those of tall windows take much memory.
        const index step = window.columns.step();
        const index besides = window.rows.size > 256 ? 1 : 2;
        const index wanted = window.rows.size > tall ? 128 / step : 128;
        const index narrowest = std::max<index>(1, besides * window.columns.reach() / step + wanted);
        while (shape.columns > narrowest &&
               kept * window.columns.cover(shape.columns) * index{sizeof(Pixel)} > kept_bytes) {
            shape.columns = (shape.columns + 1) / 2;
        }
        shape.columns = std::max(planes.channels, shape.columns / planes.channels * planes.channels);
        return shape;
    }

    template <bool streams>
    bool blur(const Tile& tile, Scratch scratch) const {
        const index pitch = rows_.pitch();
        const detail::TileColumns columns = rows_.columns(tile, scratch);
        ColumnSums column_sums(window_.rows.size, pitch);
        column_sums.take(scratch);
        auto* const buffer = scratch.take<Pixel>(pitch);
        auto* const room = scratch.take<Pixel>(along_.room(pitch));
        const index count = window_.columns.cover(tile.columns) - window_.columns.reach() + 1;
        const auto row = [&](index y, Pixel* to) { return rows_.row(tile, columns, y, to); };
        const MutablePlane target = out_.plane(tile.plane);
        Results<Pixel, Finish, streams> results{finish_};
        for (index y = 0; y < tile.rows; ++y) {
            Pixel* const sums = column_sums(row, (tile.row + y) * window_.rows.stride, columns.before, columns.inside);
            columns.complete(sums);
            auto* const to = target.at(tile.row + y, tile.column);
            results.row = in_place_ ? reinterpret_cast<Pixel*>(to) : buffer;
            results.ahead = pixels_ahead(tile, y, columns, results.row);
            along_(sums, count, room, pitch, results.row, results);
            if (!in_place_) {
                rows_.pick(buffer, tile.columns);
                write_(buffer, tile.columns, to, target.column_stride);
            }
        }
        return results.all_finite();
    }

    /// Where pixels lie that the next row of results needs, as far behind as that one lies behind `results`, which it
    /// is if there are none to be brought near.
    const Pixel* pixels_ahead(const Tile& tile, index y, const detail::TileColumns& columns,
                              const Pixel* results) const {
        const index last = window_.rows.size - 1 + ColumnSums::rows_ahead(window_.rows.size);
        const index next = (tile.row + y + 1) * window_.rows.stride + last;
        const Pixel* const pixels = rows_.pixels_in_place(columns, next);
        if (pixels != nullptr) {
            return pixels - columns.before;
        }
        detail::bring_pixels_near(image_, window_.columns, tile, tile.plane, window_.rows.position(0) + next);
        return results;
    }

    const ConstStack& image_;
    const MutableStack& out_;
    Window2D window_;
    Finish finish_;
    TileShape shape_;
    detail::WindowRows<Pixel> rows_;
    index interleaved_;
    detail::SumAlong<Pixel> along_;
    detail::ResultWriter<Pixel, FromNumber> write_;
    bool in_place_;  // results are computed where they shall lie
};

/// Whether what is kept of the columns of tall windows takes little memory. It must not depend on how images lie.
bool keeps_little(const Window2D& window) {
    constexpr index most_bytes = index{2} << 20;
    const index columns = 2 * window.columns.size + 128;  // of the narrowest tile
    const index bytes = detail::ColumnSums<double>::kept_sums(window.rows.size) * columns * index{sizeof(double)};
    return window.rows.size <= tall || bytes <= most_bytes;
}
}  // namespace

bool has_float_box(const ConstStack& image, const MutableStack& out, const Window2D& window) {
    const bool is_double = image.element.dtype == Dtype::float64;
    const index most_rows = is_double ? detail::ColumnSums<double>::largest : detail::most_terms;
    const index most_columns = is_double ? detail::SumPlan::largest : detail::most_terms;
    return image.element.dtype >= Dtype::float16 && out.element.dtype == image.element.dtype &&
           window.rows.size <= most_rows && window.columns.size <= most_columns && keeps_little(window);
}

bool float_box(const ConstStack& image, const MutableStack& out, const Window2D& window, bool normalize,
               const std::byte* fill, int workers) {
    const WidePlanes planes = wide_planes(image, out, window);
    const auto run = [&]<class Pixel>(std::type_identity<Pixel>) {
        const MeanOf<Pixel> mean{static_cast<Pixel>(window.taps())};
        return normalize ? FloatBox<Pixel, MeanOf<Pixel>>(planes, fill, mean).run(workers)
                         : FloatBox<Pixel, SumItself<Pixel>>(planes, fill, {}).run(workers);
    };
    return image.element.dtype == Dtype::float64 ? run(std::type_identity<double>{}) : run(std::type_identity<float>{});
}

}  // namespace imkernels
