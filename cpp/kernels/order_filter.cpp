// Order filters by selection: any window, any rank, any element type; about 1.5 K_h K_w element steps per pixel.
//
// Pixels become order-preserving integer keys (core/order_key.hpp), so four instantiations serve all types exactly. The rows under a
// row of outputs are kept transposed, column after column: the window of an output is then one contiguous stretch,
// shared with its neighbours, and the row below replaces one key per column. A window that is
// not a rectangle is gathered tap by tap instead. Either way kernels/detail/select.hpp does the rest.
//
// NaNs are the largest key. A tile without any (its loader knows) never looks for them.
#include "kernels/order_filter.hpp"

#include <algorithm>
#include <type_traits>

#include "core/check.hpp"
#include "core/order_key.hpp"
#include "kernels/detail/select.hpp"
#include "rows/row_writer.hpp"
#include "rows/tile_grid.hpp"
#include "rows/tile_loader.hpp"

namespace imkernels {

namespace {
template <class Key>
class SelectFilter {
public:
    SelectFilter(const ConstStack& image, const MutableStack& out, const Window2D& window, const Footprint& footprint,
                 NanPolicy nan, const std::byte* fill)
        : image_(image),
          out_(out),
          window_(window),
          footprint_(footprint),
          nan_(nan),
          values_(footprint.taps.empty() ? window.taps() : static_cast<index>(footprint.taps.size())),
          cost_(15.0 + 1.5 * static_cast<double>(values_)),
          shape_(choose_tile(out.first.rows, out.first.columns, window, sizeof(Key), cost_)),
          loader_(window, shape_.rows, shape_.columns, ColumnLayout::dense, reader(image.element), fill_key(image.element, fill)),
          write_(row_writer<FromOrderKey, Key>(out.element)) {}

    void run(int workers) const {
        const std::size_t bytes = Scratch::bytes<Key>(loader_.size()) + Scratch::bytes<Key>(columns_size()) +
                                  2 * Scratch::bytes<Key>(values_ + 1) + Scratch::bytes<Key>(shape_.columns);
        const TileGrid grid(out_.planes(), out_.first.rows, out_.first.columns, shape_, image_.interleaved());
        grid.for_each(cost_, bytes, workers, [&](const Tile& tile, Scratch scratch) { filter(tile, scratch); });
    }

private:
    static ReadRun<Key> reader(ElementType element) {
        const ReadRun<Key> read = row_reader<AsOrderKey, Key>(element);
        require(read != nullptr, "median_filter: no loop for this element type");
        return read;
    }

    static Key fill_key(ElementType element, const std::byte* fill) {
        Key key;
        reader({element.dtype, false})(fill, 0, 1, &key);
        return key;
    }

    /// Keys of the transposed rows: all columns under a row of outputs, K_h keys each.
    index columns_size() const { return window_.rows.size * window_.columns.cover(shape_.columns); }

    void filter(const Tile& tile, Scratch scratch) const {
        Key* block = scratch.take<Key>(loader_.size());
        Key* columns = scratch.take<Key>(columns_size());
        Key* gathered = scratch.take<Key>(values_ + 1);
        Key* buffer = scratch.take<Key>(values_ + 1);
        Key* results = scratch.take<Key>(shape_.columns);
        const bool nan = loader_.load(image_.plane(tile.plane), tile.row, tile.column, tile.rows, tile.columns, block);
        const MutablePlane target = out_.plane(tile.plane);
        Key guess = block[0];
        index transposed = 0;  // rows of the block that have been in `columns`
        for (index y = 0; y < tile.rows; ++y) {
            const Key* first = block + y * loader_.output_pitch();
            if (footprint_.taps.empty()) {
                transpose_rows(block, y, tile.columns, transposed, columns);
            }
            for (index x = 0; x < tile.columns; ++x) {
                const index start = x * loader_.output_step();
                const Key* values = footprint_.taps.empty() ? columns + start * window_.rows.size
                                                            : gather(first + start, gathered);
                guess = nan ? select_with_nan(values, guess, buffer)
                            : detail::select(values, values_, values_ / 2, guess, buffer);
                results[x] = guess;
            }
            write_(results, tile.columns, target.at(tile.row + y, tile.column), target.column_stride);
        }
    }

    /// Brings `columns` from the rows under the output row above to those under output row `y`. Which row of keys
    /// a new one replaces does not matter to a rank: row r is kept at r modulo K_h.
    void transpose_rows(const Key* block, index y, index outputs, index& transposed, Key* columns) const {
        const index height = window_.rows.size;
        const index begin = y * window_.rows.step();
        for (index row = std::max(begin, transposed); row < begin + height; ++row) {
            const Key* source = block + row * loader_.pitch();
            Key* target = columns + row % height;
            for (index column = 0; column < window_.columns.cover(outputs); ++column) {
                target[column * height] = source[column];
            }
        }
        transposed = begin + height;
    }

    const Key* gather(const Key* first, Key* gathered) const {
        Key* next = gathered;
        for (const Footprint::Tap& tap : footprint_.taps) {
            *next++ = first[tap.row * loader_.pitch() + tap.column];
        }
        return gathered;
    }

    Key select_with_nan(const Key* values, Key guess, Key* buffer) const {
        if constexpr (sizeof(Key) == 1) {
            return detail::select(values, values_, values_ / 2, guess, buffer);
        } else {
            const index numbers = detail::count_around(values, values_, nan_key<Key>).below;
            if (numbers == 0 || (numbers < values_ && nan_ == NanPolicy::propagate)) {
                return nan_key<Key>;
            }
            return detail::select(values, values_, numbers / 2, guess, buffer);
        }
    }

    const ConstStack& image_;
    const MutableStack& out_;
    Window2D window_;
    const Footprint& footprint_;
    NanPolicy nan_;
    index values_;
    double cost_;
    TileShape shape_;
    TileLoader<Key> loader_;
    WriteRun<Key> write_;
};
}  // namespace

void median_filter(const ConstStack& image, const MutableStack& out, const Window2D& window, const Footprint& footprint,
                   NanPolicy nan, const std::byte* fill, int workers) {
    require(out.element.dtype == image.element.dtype, "median_filter: the result has the type of the image");
    visit_dtype(image.element.dtype, [&](auto tag) {
        using Key = OrderKey<typename decltype(tag)::type>;
        SelectFilter<Key>(image, out, window, footprint, nan, fill).run(workers);
    });
}

}  // namespace imkernels
