// Max pooling: K_h x K_w compare-and-selects per output, lanes along the outputs.
//
// Pixels are compared as integer keys (32 bits, or 64 for 64-bit pixels) in which every NaN is the largest
// key and the two zeros are one, so that "strictly greater" alone keeps the first maximum and lets the first
// NaN win. Each output remembers the number of its best tap in a lane as wide as the key. A tap outside the
// image reads the lowest key, which never is strictly greater; an output starts with its first tap inside the
// image, so that an outside tap cannot win even where all pixels are lowest. Values are then copied from
// where the maxima were found.
#include "kernels/max_pool.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>

#include "core/check.hpp"
#include "rows/copy_element.hpp"
#include "rows/row_writer.hpp"
#include "rows/tile_grid.hpp"
#include "rows/tile_loader.hpp"
#include "rows/window_blocks.hpp"

namespace imkernels {

namespace {
template <class Key>
void keep_greater(const Key* __restrict tap, Key number, index count, Key* __restrict best, Key* __restrict best_tap) {
    for (index x = 0; x < count; ++x) {
        const bool greater = tap[x] > best[x];
        best[x] = greater ? tap[x] : best[x];
        best_tap[x] = greater ? number : best_tap[x];
    }
}

template <class Key>
class MaxPool {
public:
    MaxPool(const ConstStack& image, const MutableStack& values, const MutableStack* argmax, const Window2D& window)
        : image_(image),
          values_(values),
          argmax_(argmax),
          window_(window),
          cost_(2.0 + 0.2 * static_cast<double>(window.taps())),
          shape_(choose_tile_for_blocks(values.first.rows, values.first.columns, window, sizeof(Key), cost_)),
          blocks_(window, shape_, sizeof(Key)),
          loader_(blocks_.first(), shape_.rows, shape_.columns, ColumnLayout::phases,
                  row_reader<AsMaximumKey, Key>(image.element), Fill<Key>{lowest, false}),
          pitch_(shape_.columns + row_slack),
          copy_(element_copier(image.element, values.element)) {}

    void run(int workers) const {
        const std::size_t bytes = Scratch::bytes<Key>(loader_.size()) + 2 * Scratch::bytes<Key>(shape_.rows * pitch_);
        const TileGrid grid(values_.planes(), values_.first.rows, values_.first.columns, shape_, cost_,
                            image_.interleaved());
        grid.for_each(bytes, workers, [&](const Tile& tile, Scratch scratch) {
            Key* buffer = scratch.take<Key>(loader_.size());
            Key* best = scratch.take<Key>(shape_.rows * pitch_);
            Key* best_tap = scratch.take<Key>(shape_.rows * pitch_);
            start(tile, best, best_tap);
            for (index i = 0; i < blocks_.count(); ++i) {
                search(tile, blocks_[i], buffer, best, best_tap);
            }
            for (index y = 0; y < tile.rows; ++y) {
                deliver(tile, y, best_tap + y * pitch_);
            }
        });
    }

private:
    static constexpr Key lowest = std::numeric_limits<Key>::min();

    void start(const Tile& tile, Key* best, Key* best_tap) const {
        std::fill_n(best, tile.rows * pitch_, lowest);
        for (index y = 0; y < tile.rows; ++y) {
            const index row = window_.rows.first_tap_inside(tile.row + y) * window_.columns.size;
            for (index x = 0; x < tile.columns; ++x) {
                best_tap[y * pitch_ + x] = static_cast<Key>(row + window_.columns.first_tap_inside(tile.column + x));
            }
        }
    }

    void search(const Tile& tile, const WindowBlocks::Block& block, Key* buffer, Key* best, Key* best_tap) const {
        loader_.shifted(block.row * window_.rows.dilation, block.column * window_.columns.dilation)
            .load(image_.plane(tile.plane), tile.row, tile.column, tile.rows, tile.columns, buffer);
        for (index y = 0; y < tile.rows; ++y) {
            for (index row = 0; row < block.rows; ++row) {
                for (index column = 0; column < block.columns; ++column) {
                    const index number = (block.row + row) * window_.columns.size + block.column + column;
                    keep_greater(buffer + y * loader_.output_pitch() + loader_.tap(row, column),
                                 static_cast<Key>(number), tile.columns, best + y * pitch_, best_tap + y * pitch_);
                }
            }
        }
    }

    void deliver(const Tile& tile, index y, const Key* best_tap) const {
        const ConstPlane source = image_.plane(tile.plane);
        const MutablePlane values = values_.plane(tile.plane);
        for (index x = 0; x < tile.columns; ++x) {
            const index number = static_cast<index>(best_tap[x]);
            const index row = window_.rows.position(tile.row + y, number / window_.columns.size);
            const index column = window_.columns.position(tile.column + x, number % window_.columns.size);
            copy_(source.at(row, column), values.at(tile.row + y, tile.column + x));
            if (argmax_ != nullptr) {
                const std::int64_t flat = row * source.columns + column;
                std::memcpy(argmax_->plane(tile.plane).at(tile.row + y, tile.column + x), &flat, sizeof(flat));
            }
        }
    }

    const ConstStack& image_;
    const MutableStack& values_;
    const MutableStack* argmax_;
    Window2D window_;
    double cost_;
    TileShape shape_;
    WindowBlocks blocks_;
    TileLoader<Key> loader_;
    index pitch_;
    CopyElement copy_;
};
}  // namespace

void max_pool(const ConstStack& image, const MutableStack& values, const MutableStack* argmax, const Window2D& window,
              int workers) {
    require(values.element.dtype == image.element.dtype, "max_pool: values have the type of the image");
    require(argmax == nullptr || (argmax->element.dtype == Dtype::int64 && !argmax->element.swapped),
            "max_pool: argmax is int64");
    require(window.rows.border == Border::constant && window.columns.border == Border::constant,
            "max_pool: nothing stands outside the image");
    require(window.rows.meets(image.first.rows, values.first.rows) &&
                window.columns.meets(image.first.columns, values.first.columns),
            "max_pool: every window has a tap inside the image");
    visit_dtype(image.element.dtype, [&](auto tag) {
        using Key = std::conditional_t<sizeof(typename decltype(tag)::type) == 8, std::int64_t, std::int32_t>;
        MaxPool<Key>(image, values, argmax, window).run(workers);
    });
}

}  // namespace imkernels
