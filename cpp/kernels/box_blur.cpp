// Box blur, of what its faster forms leave over (integer_box.cpp, float_box.cpp, exact_box.cpp): sums along the rows of
// the windows, then sums of those, each by doubling.
//
// S_1 = x, S_2 = S_1 + S_1 shifted by 1, S_4 = S_2 + S_2 shifted by 2, ...; a window of K = 2^a + 2^b + ...
// is S_(2^a) + S_(2^b) shifted + ...: at most 2 log2 K additions per pixel and direction. Every output adds
// its own pixels in a tree of its own, of depth at most 2 log2 K; nothing is ever subtracted. So sums do not
// drift, a NaN stays in its windows, and the result does not depend on where a tile begins.
//
// Integers are summed exactly, in 64 or 128 bits, and floats in double. The mean is one division.
#include "kernels/box_blur.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "core/check.hpp"
#include "core/finite.hpp"
#include "kernels/detail/integer_means.hpp"
#include "kernels/detail/tree_sums.hpp"
#include "kernels/exact_box.hpp"
#include "kernels/float_box.hpp"
#include "kernels/integer_box.hpp"
#include "rows/row_writer.hpp"
#include "rows/tile_grid.hpp"
#include "rows/tile_loader.hpp"

namespace imkernels {

namespace {
/// sums[x] = line[x] + ... + line[x + size - 1] for 0 <= x < count. Uses up the line, of count + size - 1
/// elements.
template <class Sum>
void sum_along(Sum* __restrict line, index count, index size, Sum* __restrict sums) {
    index done = 0;  // taps already in `sums`
    index extent = count + size - 1;
    for (index power = 1;; power *= 2) {
        if ((size & power) != 0) {
            for (index x = 0; x < count; ++x) {
                sums[x] = done == 0 ? line[x] : sums[x] + line[x + done];
            }
            done += power;
        }
        if (done == size) {
            return;
        }
        extent -= power;
        for (index x = 0; x < extent; ++x) {
            line[x] += line[x + power];
        }
    }
}

/// The same down a block of rows of `columns` elements: the window of result row y starts at row y * step.
template <class Sum>
void sum_down(Sum* rows, index columns, index count, index step, index size, Sum* sums) {
    index done = 0;
    index extent = (count - 1) * step + size;
    for (index power = 1;; power *= 2) {
        if ((size & power) != 0) {
            for (index y = 0; y < count; ++y) {
                const Sum* row = rows + (y * step + done) * columns;
                if (done == 0) {
                    std::copy_n(row, columns, sums + y * columns);
                } else {
                    detail::add_row(row, columns, sums + y * columns);
                }
            }
            done += power;
        }
        if (done == size) {
            return;
        }
        extent -= power;
        for (index y = 0; y < extent; ++y) {
            detail::add_row(rows + (y + power) * columns, columns, rows + y * columns);
        }
    }
}

// What becomes of a sum: each of these gives the writer's `Result` for it.

/// `may_overflow`: the pixels are doubles whose sum may overflow though their mean does not.
template <bool may_overflow>
struct MeanInDouble {
    using Result = double;
    double count;
    template <class Sum>
    double operator()(Sum sum) const {
        return static_cast<double>(sum) / count;
    }
};

/// The same of integers, to whose sums something is added.
struct IntegerMeanInDouble {
    using Result = double;
    double count, delta;
    template <class Sum>
    double operator()(Sum sum) const {
        return (static_cast<double>(sum) + delta) / count;
    }
};

template <class Integer>
struct ExactMean {
    using Result = Integer;
    index count, delta;
    Rounding rounding;
    Integer operator()(int128 sum) const {
        sum += delta;
        return saturate_integer<Integer>(rounding == Rounding::toward_zero ? sum / count
                                                                           : rounded_quotient(sum, count));
    }
};

template <class Sum, class Finish>
class BoxBlur {
public:
    /// With `mend`, only results that are no finite numbers are computed, and put in the place of those.
    BoxBlur(const ConstStack& image, const MutableStack& out, const Window2D& window, const std::byte* fill,
            Finish finish, bool mend, Rounding rounding)
        : image_(image),
          out_(out),
          window_(window),
          finish_(finish),
          shape_(choose_shape(out.first.rows, out.first.columns, window)),
          loader_(window, 1, shape_.columns, ColumnLayout::dense, row_reader<AsNumber, Sum>(image.element),
                  read_fill<AsNumber, Sum>(image.element.dtype, fill)),
          write_(number_writer<Result>(out.element, rounding)),
          read_back_(mend ? row_reader<AsNumber, Result>(out.element) : nullptr) {
        require(write_ != nullptr, "box_blur: no loop for this element type of the result");
    }

    void run(int workers) const {
        const std::size_t bytes = 2 * Scratch::bytes<Sum>(loader_.pitch()) + Scratch::bytes<Sum>(rows_size()) +
                                  (rescues ? 2 : 1) * Scratch::bytes<Sum>(sums_size()) +
                                  Scratch::bytes<Result>(shape_.columns);
        const double cost = tile_cost(window_, shape_) / static_cast<double>(shape_.rows * shape_.columns);
        const TileGrid grid(out_.planes(), out_.first.rows, out_.first.columns, shape_, cost, image_.interleaved());
        grid.for_each(bytes, workers, [&](const Tile& tile, Scratch scratch) { blur(tile, scratch); });
    }

private:
    using Result = typename Finish::Result;
    static constexpr bool rescues = std::is_same_v<Finish, MeanInDouble<true>>;

    // A sum of doubles that overflows is taken once more of pixels scaled down by a power of two that no number of taps
    // makes up for. That costs bits of subnormal pixels, which beside one that is large enough to overflow do not
    // count.
    static constexpr Sum scale_down = rescues ? static_cast<Sum>(0x1p-32) : Sum{1};

    /// Nanoseconds on one core (Zen 5): a tile loads and sums all pixels of its windows.
    static double tile_cost(const Window2D& window, TileShape shape) {
        return 0.5 * static_cast<double>(shape.rows * shape.columns) +
               static_cast<double>(window.rows.cover(shape.rows)) *
                   static_cast<double>(window.columns.cover(shape.columns));
    }

    /// Rows are summed as they are loaded: a tile keeps the rows of its windows, but only two lines of their columns.
    /// One that its window dwarfs takes more memory rather than load all for a few outputs.
    static TileShape choose_shape(index rows, index columns, const Window2D& window) {
        constexpr index line_bytes = index{256} * 1024;
        const double cost = static_cast<double>(window.rows.step() * window.columns.step());
        const auto halve = [](index& extent) { extent = (extent + 1) / 2; };
        TileShape shape = choose_tile(rows, columns, {window.rows, {}}, sizeof(Sum), cost);
        const index narrowest = std::max<index>(16, window.columns.size / window.columns.step() / 8);
        while (shape.columns > narrowest &&
               window.columns.cover(shape.columns) > line_bytes / static_cast<index>(sizeof(Sum))) {
            halve(shape.columns);
        }
        const index lowest = std::max<index>(1, window.rows.size / window.rows.step() / 8);
        shape.rows = std::max(shape.rows, std::min(rows, lowest));
        shape.columns = std::max(shape.columns, std::min(columns, narrowest));
        while (shape.rows > lowest && tile_cost(window, shape) > longest_task) {
            halve(shape.rows);
        }
        limit_kept_rows(shape, window.rows, sizeof(Sum));
        return shape;
    }

    /// Buffers of a tile, in its worker's scratch.
    struct Buffers {
        Sum* line;       // pixels of one row
        Sum* line_sums;  // their sums along the row
        Sum* rows;       // those sums for all rows of the tile's windows, one per column of outputs
    };

    index rows_size() const { return window_.rows.cover(shape_.rows) * shape_.columns; }
    index sums_size() const { return shape_.rows * shape_.columns; }

    void blur(const Tile& tile, Scratch scratch) const {
        if (read_back_ != nullptr && is_finite(tile, scratch)) {
            return;
        }
        const Buffers buffers{scratch.take<Sum>(loader_.pitch()), scratch.take<Sum>(loader_.pitch()),
                              scratch.take<Sum>(rows_size())};
        Sum* sums = scratch.take<Sum>(sums_size());
        Result* results = scratch.take<Result>(shape_.columns);
        sum_windows(tile, Sum{1}, buffers, sums);
        Sum* scaled_sums = nullptr;
        if constexpr (rescues) {
            if (!all_finite(sums, tile.rows * tile.columns)) {
                scaled_sums = scratch.take<Sum>(sums_size());
                sum_windows(tile, scale_down, buffers, scaled_sums);
            }
        }
        const MutablePlane target = out_.plane(tile.plane);
        for (index y = 0; y < tile.rows; ++y) {
            for (index x = 0; x < tile.columns; ++x) {
                results[x] = result(sums, scaled_sums, y * tile.columns + x);
            }
            if (read_back_ == nullptr) {
                write_(results, tile.columns, target.at(tile.row + y, tile.column), target.column_stride);
            } else {
                mend_row(results, tile.columns, target.at(tile.row + y, tile.column), target.column_stride);
            }
        }
    }

    /// Whether all results of a tile are finite as they stand.
    bool is_finite(const Tile& tile, Scratch scratch) const {
        Result* const results = scratch.take<Result>(shape_.columns);
        const MutablePlane target = out_.plane(tile.plane);
        for (index y = 0; y < tile.rows; ++y) {
            read_back_(target.at(tile.row + y, tile.column), target.column_stride, tile.columns, results);
            if (!all_finite(results, tile.columns)) {
                return false;
            }
        }
        return true;
    }

    void mend_row(const Result* results, index count, std::byte* target, index stride) const {
        for (index x = 0; x < count; ++x) {
            Result standing;
            read_back_(target + x * stride, 0, 1, &standing);
            if (!all_finite(&standing, 1)) {
                write_(results + x, 1, target + x * stride, stride);
            }
        }
    }

    /// sums[y, x] = the sum of output (y, x)'s window, each pixel times `scale`.
    void sum_windows(const Tile& tile, Sum scale, const Buffers& buffers, Sum* sums) const {
        const index needed = window_.rows.cover(tile.rows);
        const index first = loader_.row_position(tile.row, tile.rows, 0);
        // Rows inside the image first: those outside may repeat them, which a copy does faster.
        for (const bool inside : {true, false}) {
            for (index y = 0; y < needed; ++y) {
                const index position = loader_.row_position(tile.row, tile.rows, y);
                if ((position >= 0 && position < image_.first.rows) != inside) {
                    continue;
                }
                Sum* row = buffers.rows + y * tile.columns;
                const index twin = border_run(window_.rows.border, image_.first.rows, position).source - first;
                if (!inside && window_.rows.step() == window_.rows.stride && twin >= std::max<index>(0, -first) &&
                    twin < needed) {
                    std::copy_n(buffers.rows + twin * tile.columns, tile.columns, row);
                } else {
                    sum_row(tile, position, scale, buffers, row);
                }
            }
        }
        sum_down(buffers.rows, tile.columns, tile.rows, window_.rows.step(), window_.rows.size, sums);
    }

    void sum_row(const Tile& tile, index position, Sum scale, const Buffers& buffers, Sum* row) const {
        const index dense = (tile.columns - 1) * loader_.output_step() + 1;
        loader_.load_row(image_.plane(tile.plane), position, tile.column, tile.columns, buffers.line);
        if constexpr (rescues) {
            if (scale != 1) {
                for (index x = 0; x < dense + window_.columns.size - 1; ++x) {
                    buffers.line[x] *= scale;
                }
            }
        }
        sum_along(buffers.line, dense, window_.columns.size, buffers.line_sums);
        for (index x = 0; x < tile.columns; ++x) {
            row[x] = buffers.line_sums[x * loader_.output_step()];
        }
    }

    Result result(const Sum* sums, const Sum* scaled_sums, index i) const {
        if constexpr (rescues) {
            if (scaled_sums != nullptr && !std::isfinite(sums[i])) {
                return finish_(scaled_sums[i]) / scale_down;
            }
        }
        (void)scaled_sums;
        return finish_(sums[i]);
    }

    const ConstStack& image_;
    const MutableStack& out_;
    Window2D window_;
    Finish finish_;
    TileShape shape_;
    TileLoader<Sum> loader_;
    WriteRun<Result> write_;
    ReadRun<Result> read_back_;  // to mend
};

/// Calls run(type of the sums, what becomes of them) for integer pixels.
template <class Pixel, class Run>
void blur_integers(bool to_float, const BoxEnding& ending, index taps, const Run& run) {
    using Wide = std::conditional_t<std::is_signed_v<Pixel>, std::int64_t, std::uint64_t>;
    using Exact = std::conditional_t<sizeof(Pixel) == 8, int128, std::int64_t>;
    const IntegerMeanInDouble mean_in_double{static_cast<double>(taps), static_cast<double>(ending.delta)};
    const ExactMean<Wide> exact_mean{taps, ending.delta, ending.rounding};
    if (ending.factor && ending.factor->dtype == Dtype::float32) {
        run(std::type_identity<Exact>{}, detail::Product<float>{static_cast<float>(ending.factor->value)});
    } else if (ending.factor) {
        run(std::type_identity<Exact>{}, detail::Product<double>{ending.factor->value});
    } else if (!ending.normalize && to_float) {
        run(std::type_identity<Exact>{}, detail::PlainSum<double>{});
    } else if (!ending.normalize) {
        run(std::type_identity<std::uint64_t>{}, detail::PlainSum<Wide>{});
    } else if (to_float) {
        run(std::type_identity<Exact>{}, mean_in_double);
    } else {
        run(std::type_identity<Exact>{}, exact_mean);
    }
}
}  // namespace

void box_blur(const ConstStack& image, const MutableStack& out, const Window2D& window, const BoxEnding& ending,
              const std::byte* fill, int workers) {
    const index taps = window.taps();
    const bool to_float = out.element.dtype >= Dtype::float16;
    require(ending.delta == 0 || (ending.normalize && ending.delta > 0 && ending.delta <= taps),
            "box_blur: delta is for means, and at most the number of pixels");
    require(!ending.factor || (!ending.normalize && ending.rounding == Rounding::half_to_even),
            "box_blur: a factor is for sums, which are rounded");
    require(image.element.dtype < Dtype::float16 || (ending.delta == 0 && !ending.factor),
            "box_blur: delta and factor are for integers");
    require(!ending.by_axis || (ending.normalize && ending.delta == 0 && ending.rounding == Rounding::toward_zero),
            "box_blur: means by axis are cut off");
    if (has_integer_box(image, out, window, ending)) {
        return integer_box(image, out, window, ending, fill, workers);
    }
    require(!ending.by_axis, "box_blur: means by axis are of integers that fit vectors");
    bool mend = false;
    if (has_float_box(image, out, window)) {
        mend = float_box(image, out, window, ending.normalize, fill, workers);
        if (!mend) {
            return;
        }
    } else if (has_exact_box(image, out, window)) {
        return exact_box(image, out, window, ending.normalize, fill, workers);
    }
    visit_dtype(image.element.dtype, [&](auto tag) {
        using Pixel = typename decltype(tag)::type;
        const auto run = [&]<class Sum>(std::type_identity<Sum>, auto finish) {
            BoxBlur<Sum, decltype(finish)>(image, out, window, fill, finish, mend, ending.rounding).run(workers);
        };
        const MeanInDouble<std::is_same_v<Pixel, double>> mean_in_double{static_cast<double>(taps)};
        if constexpr (std::is_same_v<Pixel, Bool>) {
            require(false, "box_blur: truth values have no mean");
        } else if constexpr (is_float<Pixel>) {
            if (!ending.normalize) {
                run(std::type_identity<double>{}, detail::PlainSum<double>{});
            } else {
                run(std::type_identity<double>{}, mean_in_double);
            }
        } else {
            blur_integers<Pixel>(to_float, ending, taps, run);
        }
    });
}

}  // namespace imkernels
