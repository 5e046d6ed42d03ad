// Direct correlation: every output is the weighted sum of its K_h x K_w taps, K_h * K_w multiply-adds per
// pixel.
//
// A tile's padded input lies in a buffer in which every tap of a row of outputs is a contiguous run (see
// rows/tile_loader.hpp), so that stride and dilation are nothing but offsets. Lanes run along the outputs:
// each sum is added up tap by tap in row-major order, wherever its pixel lies and whoever computes it, with
// an error of at most K_h * K_w rounding units of sum |w| |x|. Integers are summed modulo 2^32 or 2^64, which
// is exact where the caller has bounded the sums. Windows too large for a buffer are taken in blocks of taps.
#include "kernels/correlate.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/check.hpp"
#include "kernels/detail/weighted_sum.hpp"
#include "kernels/detail/weights.hpp"
#include "rows/row_writer.hpp"
#include "rows/tile_grid.hpp"
#include "rows/tile_loader.hpp"
#include "rows/window_blocks.hpp"

namespace imkernels {

namespace {
template <class Result>
class Correlation {
public:
    Correlation(const ConstStack& image, const ConstStack& kernel, const MutableStack& out, const Window2D& window,
                const std::byte* fill)
        : image_(image),
          kernel_(kernel),
          out_(out),
          window_(window),
          cost_(0.3 + 0.05 * static_cast<double>(window.taps())),
          shape_(choose_tile_for_blocks(out.first.rows, out.first.columns, window, sizeof(Work), cost_)),
          blocks_(window, shape_, sizeof(Work)),
          loader_(blocks_.first(), shape_.rows, shape_.columns, ColumnLayout::phases,
                  row_reader<AsNumber, Work>(image.element), read_weight(fill)),
          write_(row_writer<FromNumber, Result>(out.element)),
          sums_pitch_(shape_.columns + row_slack) {
        require((row_reader<AsNumber, Work>(image.element) != nullptr) && write_ != nullptr,
                "correlate: no loop for these element types");
        for (index row = 0; row < blocks_.first().rows.size; ++row) {
            for (index column = 0; column < blocks_.first().columns.size; ++column) {
                offsets_.push_back(loader_.tap(row, column));
            }
        }
    }

    void run(int workers) const {
        const std::size_t bytes = Scratch::bytes<Work>(loader_.size()) + Scratch::bytes<Work>(blocks_.first().taps()) +
                                  Scratch::bytes<Work>(shape_.rows * sums_pitch_);
        const TileGrid grid(out_.planes(), out_.first.rows, out_.first.columns, shape_, cost_, image_.interleaved());
        grid.for_each(bytes, workers, [&](const Tile& tile, Scratch scratch) { correlate(tile, scratch); });
    }

private:
    using Work = detail::Summand<Result>;

    static Fill<Work> read_weight(const std::byte* element) {
        Fill<Work> fill{};
        std::memcpy(&fill.value, element, sizeof(fill.value));
        return fill;
    }

    void correlate(const Tile& tile, Scratch scratch) const {
        Work* buffer = scratch.take<Work>(loader_.size());
        Work* weights = scratch.take<Work>(blocks_.first().taps());
        Work* sums = scratch.take<Work>(shape_.rows * sums_pitch_);
        std::fill_n(sums, tile.rows * sums_pitch_, Work{0});
        for (index i = 0; i < blocks_.count(); ++i) {
            const WindowBlocks::Block block = blocks_[i];
            loader_.shifted(block.row * window_.rows.dilation, block.column * window_.columns.dilation)
                .load(image_.plane(tile.plane), tile.row, tile.column, tile.rows, tile.columns, buffer);
            detail::copy_weights(kernel_.plane(tile.plane), block, weights);
            for (index y = 0; y < tile.rows; ++y) {
                detail::add_weighted_sum(buffer + y * loader_.output_pitch(), offsets_.data(), weights,
                                         block.rows * block.columns, tile.columns, sums + y * sums_pitch_);
            }
        }
        const MutablePlane target = out_.plane(tile.plane);
        for (index y = 0; y < tile.rows; ++y) {
            // Signed and unsigned types of one size may alias.
            write_(reinterpret_cast<const Result*>(sums + y * sums_pitch_), tile.columns,
                   target.at(tile.row + y, tile.column), target.column_stride);
        }
    }

    const ConstStack& image_;
    const ConstStack& kernel_;
    const MutableStack& out_;
    Window2D window_;
    double cost_;
    TileShape shape_;
    WindowBlocks blocks_;
    TileLoader<Work> loader_;
    WriteRun<Result> write_;
    index sums_pitch_;
    std::vector<index> offsets_;  // of a block's taps in the buffer
};
}  // namespace

void correlate(const ConstStack& image, const ConstStack& kernel, const MutableStack& out, const Window2D& window,
               const std::byte* fill, int workers) {
    require(kernel.first.rows == window.rows.size && kernel.first.columns == window.columns.size,
            "correlate: the window has the shape of the kernel");
    require(!kernel.element.swapped, "correlate: the kernel is in native byte order");
    const bool known = detail::visit_weights(kernel.element.dtype, [&](auto tag) {
        Correlation<typename decltype(tag)::type>(image, kernel, out, window, fill).run(workers);
    });
    require(known, "correlate: the kernel is int32, int64, float32 or float64");
}

}  // namespace imkernels
