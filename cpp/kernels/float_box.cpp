// Box blur of floats: sums of columns, then of those along the row, each by trees (detail/tree_sums.hpp).
//
// Nothing is subtracted, and every output adds its own pixels in one order, wherever it lies in a tile: sums do not
// drift, a NaN stays in its windows, and a stride changes no bit.
//
// float32 means are within 8 roundings (4 eps) of the exact ones: windows of up to 8 x 8 pixels take three additions
// down, three along and a division. Of larger ones the sums are computed in double and rounded once; sums of columns
// may be kept in float32 between, and added up to a few in it (`SumPlan::most_depth` additions deep).
#include "kernels/float_box.hpp"

#include <algorithm>
#include <atomic>

#include "core/finite.hpp"
#include "kernels/detail/column_sums.hpp"
#include "kernels/detail/near.hpp"
#include "kernels/detail/result_writer.hpp"
#include "kernels/detail/tree_sums.hpp"
#include "kernels/detail/window_rows.hpp"

namespace imkernels {

namespace {
// What becomes of a sum: its mean or itself, from one of the pixels' own type and from one in double.

template <class Pixel>
struct MeanOf {
    Pixel count;
    Pixel operator()(Pixel sum) const { return sum / count; }
};

struct SumItself {
    template <class Pixel>
    Pixel operator()(Pixel sum) const {
        return sum;
    }
};

/// A reciprocal's error is far below the rounding to float.
struct RoundedMean {
    double reciprocal;
    float operator()(double sum) const { return static_cast<float>(sum * reciprocal); }
};

struct RoundedSum {
    float operator()(double sum) const { return static_cast<float>(sum); }
};

/// Sums of columns are computed in `Sum` and kept in `Line`, and so are sums of a few of those; windows in `Sum` again.
template <class Pixel, class Line, class Sum, class Finish>
class FloatBox {
public:
    FloatBox(const WidePlanes& planes, const std::byte* fill, Finish finish)
        : image_(planes.image),
          out_(planes.out),
          window_(planes.window),
          finish_(finish),
          shape_(choose_shape(out_.first.rows, out_.first.columns, window_, planes.channels)),
          rows_(planes, shape_.columns, fill),
          interleaved_(planes.image.interleaved()),
          along_(window_.columns.size, window_.columns.dilation),
          write_(out_) {}

    /// Whether a result is not finite.
    bool run(int workers) const {
        const index pitch = rows_.pitch();
        const std::size_t bytes = detail::WindowRows<Pixel>::bytes(window_) +
                                  ColumnSums::bytes(window_.rows.size, pitch) + Scratch::bytes<Pixel>(pitch) +
                                  Scratch::bytes<Line>(along_.room(pitch));
        const double cost = 0.2 * sizeof(Pixel);
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
    using ColumnSums = detail::ColumnSums<Pixel, Sum, Line>;

    static TileShape choose_shape(index rows, index columns, const Window2D& window, index channels) {
        constexpr index kept_bytes = index{512} * 1024;
        const index kept = ColumnSums::kept_sums(window.rows.size);
        TileShape shape{detail::rows_of_tile(rows, window.rows), std::clamp<index>(columns, 1, 2048)};
        // Columns beside a tile are summed for it as well. Those of tall windows take much memory.
        const index besides = window.rows.size > 256 ? 1 : 2;
        const index narrowest = besides * window.columns.reach() / window.columns.step() + 128;
        while (shape.columns > narrowest &&
               kept * window.columns.cover(shape.columns) * index{sizeof(Sum)} > kept_bytes) {
            shape.columns = (shape.columns + 1) / 2;
        }
        shape.columns = std::max(channels, shape.columns / channels * channels);
        return shape;
    }

    bool blur(const Tile& tile, Scratch scratch) const {
        const index pitch = rows_.pitch();
        const detail::TileColumns columns = rows_.columns(tile, scratch);
        ColumnSums column_sums(window_.rows.size, pitch);
        column_sums.take(scratch);
        auto* const buffer = scratch.take<Pixel>(pitch);
        auto* const room = scratch.take<Line>(along_.room(pitch));
        const index count = window_.columns.cover(tile.columns) - window_.columns.reach() + 1;
        const bool in_place = write_.in_place() && rows_.output_step() == 1;
        const auto row = [&](index y, Pixel* to) { return rows_.row(tile, columns, y, to); };
        bool finite = true;
        for (index y = 0; y < tile.rows; ++y) {
            Line* const sums = column_sums(row, (tile.row + y) * window_.rows.stride, columns.before, columns.inside);
            columns.complete(sums);
            const MutablePlane target = out_.plane(tile.plane);
            auto* const to = target.at(tile.row + y, tile.column);
            Pixel* const results = in_place ? reinterpret_cast<Pixel*>(to) : buffer;
            detail::bring_pixels_near(image_, window_.columns, tile, tile.plane,
                                      window_.rows.position(tile.row + y + 1, window_.rows.size - 1));
            along_(sums, count, room, pitch, finish_, results);
            finite &= all_finite(results, count);
            if (!in_place) {
                rows_.pick(results, tile.columns);
                write_(results, tile.columns, to, target.column_stride);
            }
        }
        return finite;
    }

    const ConstStack& image_;
    const MutableStack& out_;
    Window2D window_;
    Finish finish_;
    TileShape shape_;
    detail::WindowRows<Pixel> rows_;
    index interleaved_;
    detail::SumAlong<Line, Sum> along_;
    detail::ResultWriter<Pixel, FromNumber> write_;
};
}  // namespace

bool has_float_box(const ConstStack& image, const MutableStack& out, const Window2D& window) {
    return image.element.dtype >= Dtype::float16 && out.element.dtype == image.element.dtype &&
           window.rows.size <= detail::ColumnSums<float, double, double>::largest &&
           window.columns.size <= detail::SumPlan::largest;
}

bool float_box(const ConstStack& image, const MutableStack& out, const Window2D& window, bool normalize,
               const std::byte* fill, int workers) {
    const WidePlanes planes = wide_planes(image, out, window);
    const auto taps = static_cast<double>(window.taps());
    const auto run = [&]<class Pixel, class Line, class Sum>(auto mean, auto sum) {
        return normalize ? FloatBox<Pixel, Line, Sum, decltype(mean)>(planes, fill, mean).run(workers)
                         : FloatBox<Pixel, Line, Sum, decltype(sum)>(planes, fill, sum).run(workers);
    };
    if (image.element.dtype == Dtype::float64) {
        return run.template operator()<double, double, double>(MeanOf<double>{taps}, SumItself{});
    }
    if (std::max(window.rows.size, window.columns.size) <= detail::most_terms) {
        return run.template operator()<float, float, float>(MeanOf<float>{static_cast<float>(taps)}, SumItself{});
    }
    if (window.columns.size <= detail::SumPlan::shallow) {
        return run.template operator()<float, float, double>(RoundedMean{1 / taps}, RoundedSum{});
    }
    return run.template operator()<float, double, double>(RoundedMean{1 / taps}, RoundedSum{});
}

}  // namespace imkernels
