// Order filters of 8-bit pixels by histograms: the same time per pixel whatever the window.
//
// Every column of the window has a histogram. Going down a row, a pixel enters and one leaves each of them; going
// right, the histogram of a column enters that of the window and one leaves it (Perreault and Hebert, "Median filtering
// in constant time", IEEE TIP 16, 2007). The 256 values are 16 groups of 16: the window's counts of groups are kept up
// to date, and tell in which group the result lies. Of the values in a group only the counts that are asked for are
// brought up to date, from the column where they were asked for last: pictures stay in one group for a while.
//
// All counts are cumulative, "pixels of this value or below in the group", so that a search is one comparison of all 16
// counts with the rank: as many as are at most the rank lie below the result. Counters have 16 bits, which a window of
// up to 65535 pixels cannot overflow. Counts are whole numbers: the result is exact.
#include "kernels/histogram_filter.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "core/check.hpp"
#include "core/order_key.hpp"
#include "rows/row_writer.hpp"
#include "rows/tile_grid.hpp"
#include "rows/tile_loader.hpp"
#include "simd/lanes.hpp"

namespace imkernels {

namespace {
constexpr int groups = 16;
using Pixel = std::uint8_t;

/// steps[i] counts a pixel in place i of a group: 1 from there on.
constexpr auto steps = [] {
    std::array<std::array<std::uint16_t, groups>, groups> table{};
    std::ptrdiff_t place = 0;
    for (auto& counts : table) {
        std::fill(counts.begin() + place++, counts.end(), std::uint16_t{1});
    }
    return table;
}();

Counts step(int place) {
    return load_counts(steps[static_cast<std::size_t>(place)].data());
}

class HistogramFilter {
public:
    HistogramFilter(const ConstStack& image, const MutableStack& out, const Window2D& window, index rank,
                    const std::byte* fill)
        : image_(image),
          out_(out),
          window_(window),
          rank_(static_cast<std::uint16_t>(rank)),
          shape_(choose_shape(out.first.rows, out.first.columns, window)),
          columns_(window.columns.cover(shape_.columns)),
          loader_(window, shape_.rows, shape_.columns, ColumnLayout::dense,
                  row_reader<AsOrderKey, Pixel>(image.element),
                  read_fill<AsOrderKey, Pixel>(image.element.dtype, fill)),
          write_(row_writer<FromOrderKey, Pixel>(out.element)) {}

    void run(int workers) const {
        const std::size_t bytes = Scratch::bytes<Pixel>(loader_.size()) + Scratch::bytes<Pixel>(shape_.columns) +
                                  Scratch::bytes<Counts>(columns_) + Scratch::bytes<Counts>(groups * columns_);
        // Nanoseconds on one core (Zen 5).
        const double cost = 8 * static_cast<double>(window_.rows.cover(shape_.rows)) * static_cast<double>(columns_) /
                            static_cast<double>(shape_.rows * shape_.columns);
        const TileGrid grid(out_.planes(), out_.first.rows, out_.first.columns, shape_, cost, image_.interleaved());
        grid.for_each(bytes, workers, [&](const Tile& tile, Scratch scratch) { filter(tile, scratch); });
    }

private:
    /// Tall and wide beside the window, which is counted anew for each tile; the counts of its columns stay near.
    static TileShape choose_shape(index rows, index columns, const Window2D& window) {
        const auto beside = [](const WindowAxis& axis) { return std::max<index>(384, 3 * axis.size) / axis.step(); };
        return {std::clamp<index>(rows, 1, std::max<index>(1, beside(window.rows))),
                std::clamp<index>(columns, 1, std::max<index>(1, beside(window.columns)))};
    }

    /// Buffers of a tile, in its worker's scratch, and how many columns are in use.
    struct Buffers {
        Pixel* block;  // the tile's padded input
        Pixel* results;
        Counts* coarse;  // of the columns: pixels per group
        Counts* fine;    // [group][column]: pixels per value
        index columns;
    };

    void filter(const Tile& tile, Scratch scratch) const {
        const Buffers buffers{scratch.take<Pixel>(loader_.size()), scratch.take<Pixel>(shape_.columns),
                              scratch.take<Counts>(columns_), scratch.take<Counts>(groups * columns_),
                              window_.columns.cover(tile.columns)};
        loader_.load(image_.plane(tile.plane), tile.row, tile.column, tile.rows, tile.columns, buffers.block);
        std::fill_n(buffers.coarse, columns_, Counts{});
        std::fill_n(buffers.fine, groups * columns_, Counts{});
        for (index row = 0; row < window_.rows.size; ++row) {
            enter(buffers.block + row * loader_.pitch(), buffers);
        }
        for (index y = 0; y < tile.rows; ++y) {
            if (y > 0) {
                const index step = window_.rows.step();
                for (index row = (y - 1) * step; row < y * step; ++row) {
                    const Pixel* leaving = buffers.block + row * loader_.pitch();
                    exchange(leaving + window_.rows.size * loader_.pitch(), leaving, buffers);
                }
            }
            sweep(tile.columns, buffers);
            const MutablePlane target = out_.plane(tile.plane);
            write_(buffers.results, tile.columns, target.at(tile.row + y, tile.column), target.column_stride);
        }
    }

    void enter(const Pixel* row, const Buffers& buffers) const {
        for (index x = 0; x < buffers.columns; ++x) {
            buffers.coarse[x] += step(row[x] / groups);
            buffers.fine[row[x] / groups * columns_ + x] += step(row[x] % groups);
        }
    }

    void exchange(const Pixel* entering, const Pixel* leaving, const Buffers& buffers) const {
        for (index x = 0; x < buffers.columns; ++x) {
            buffers.coarse[x] += step(entering[x] / groups) - step(leaving[x] / groups);
            buffers.fine[entering[x] / groups * columns_ + x] += step(entering[x] % groups);
            buffers.fine[leaving[x] / groups * columns_ + x] -= step(leaving[x] % groups);
        }
    }

    /// Counts of the window's columns, those of some of which may be out of date.
    struct WindowCounts {
        Counts sum{};
        index first = 0;  // the column of the window when they were counted
        bool counted = false;

        void move_to(index column, const Counts* columns, index size) {
            if (!counted || 2 * (column - first) >= size) {
                sum = Counts{};
                for (index x = column; x < column + size; ++x) {
                    sum += columns[x];
                }
            } else {
                for (index x = first; x < column; ++x) {
                    sum += columns[x + size] - columns[x];
                }
            }
            first = column;
            counted = true;
        }
    };

    /// The results of a row of outputs, when the columns have been counted.
    void sweep(index outputs, const Buffers& buffers) const {
        const index size = window_.columns.size;
        WindowCounts coarse;
        WindowCounts fine[groups];
        for (index x = 0; x < outputs; ++x) {
            const index column = x * window_.columns.step();
            coarse.move_to(column, buffers.coarse, size);
            const int group = count_at_most(coarse.sum, rank_);
            const std::uint16_t below = group == 0 ? std::uint16_t{0} : coarse.sum[group - 1];
            fine[group].move_to(column, buffers.fine + group * columns_, size);
            const int place = count_at_most(fine[group].sum, static_cast<std::uint16_t>(rank_ - below));
            buffers.results[x] = static_cast<Pixel>(group * groups + place);
        }
    }

    const ConstStack& image_;
    const MutableStack& out_;
    Window2D window_;
    std::uint16_t rank_;
    TileShape shape_;
    index columns_;
    TileLoader<Pixel> loader_;
    WriteRun<Pixel> write_;
};
}  // namespace

bool has_histogram(const Window2D& window) {
    constexpr index longest = 512;  // so that the counts of a tile's columns stay near
    return window.rows.size <= longest && window.columns.size <= longest &&
           window.taps() <= std::numeric_limits<std::uint16_t>::max();
}

void histogram_filter(const ConstStack& image, const MutableStack& out, const Window2D& window, OrderRule rule,
                      const std::byte* fill, int workers) {
    require(has_histogram(window), "histogram_filter: too many pixels to count");
    require(row_reader<AsOrderKey, Pixel>(image.element) != nullptr, "histogram_filter: pixels have 8 bits");
    require_rule(rule, window.taps(), NanPolicy::propagate);
    require(out.element.dtype == image.element.dtype, "histogram_filter: the result has the type of the image");
    HistogramFilter(image, out, window, rule.rank(window.taps()), fill).run(workers);
}

}  // namespace imkernels
