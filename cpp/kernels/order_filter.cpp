// Order filters by selection: any window, any rank, any element type; O(K_h K_w) per pixel.
//
// Pixels become order-preserving integer keys (core/order_key.hpp), so four instantiations serve all types
// exactly. There are two ways to select (kernels/detail/select.hpp), and each tile takes the one that its pixels
// favour.
//
// In lanes: many windows at once, straight from the rows of the tile, tap after tap.
//
// Alone: window by window. The rows under a row of outputs are kept transposed, column after column, so that
// the window of an output is one contiguous stretch, shared with its neighbours; the row below replaces one key
// per column. A window that is not a rectangle is gathered tap by tap instead.
//
// NaNs are the largest key. A window with NaNs is a matter of its rank alone: the last one gives NaN. A tile
// without any (its loader knows) never looks for them.
#include "kernels/order_filter.hpp"

#include <algorithm>
#include <bit>
#include <type_traits>
#include <vector>

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
                 OrderRule rule, NanPolicy nan, const std::byte* fill)
        : image_(image),
          out_(out),
          window_(window),
          taps_(footprint.taps),
          rectangle_(taps_.empty()),
          values_(rectangle_ ? window.taps() : static_cast<index>(taps_.size())),
          rule_(rule),
          nan_(nan),
          cost_(std::min(cost_alone(), cost_in_lanes(8 * static_cast<int>(sizeof(Key))))),
          shape_(choose_tile(out.first.rows, out.first.columns, window, sizeof(Key), cost_)),
          dense_(loader(ColumnLayout::dense, fill)),
          phases_(loader(ColumnLayout::phases, fill)),
          write_(row_writer<FromOrderKey, Key>(out.element)) {
        if (values_ <= most_in_lanes && rectangle_) {
            for (index i = 0; i < values_; ++i) {
                offsets_.push_back(phases_.tap(i / window.columns.size, i % window.columns.size));
            }
        }
        for (const Footprint::Tap& tap : taps_) {
            offsets_.push_back(phases_.tap(tap.row, tap.column));
        }
    }

    void run(int workers) const {
        const std::size_t bytes = Scratch::bytes<Key>(block_size()) + Scratch::bytes<Key>(columns_size()) +
                                  Scratch::bytes<Key>(gathered_size()) + Scratch::bytes<Key>(values_ + 1) +
                                  2 * Scratch::bytes<Key>(shape_.columns + row_slack);
        const TileGrid grid(out_.planes(), out_.first.rows, out_.first.columns, shape_, cost_, image_.interleaved());
        grid.for_each(bytes, workers, [&](const Tile& tile, Scratch scratch) { filter(tile, scratch); });
    }

private:
    using Bits = std::make_unsigned_t<Key>;

    /// Buffers of a tile, in its worker's scratch.
    struct Buffers {
        Key* block;     // the tile's padded input
        Key* columns;   // the rows under a row of outputs, transposed
        Key* gathered;  // the values of one window
        Key* kept;      // those that introselect has kept
        Key* ranks;     // one per output of a row
        Key* results;
    };

    /// Values that a lane can count.
    static constexpr index most_in_lanes = sizeof(Key) == 1 ? 255 : 65535;

    TileLoader<Key> loader(ColumnLayout layout, const std::byte* fill) const {
        const ReadRun<Key> read = row_reader<AsOrderKey, Key>(image_.element);
        require(read != nullptr, "order_filter: no loop for this element type");
        return {window_, shape_.rows, shape_.columns,
                layout,  read,        read_fill<AsOrderKey, Key>(image_.element.dtype, fill)};
    }

    // Nanoseconds per output, measured on one core (Zen 5); they need to be right within a factor of two.
    double cost_alone() const { return sizeof(Key) == 1 ? 21 + 0.33 * values() : 22 + 1.35 * values(); }
    double cost_in_lanes(int bits) const { return 0.5 * (bits + 1) * values() / static_cast<double>(lane_count<Key>); }
    double values() const { return static_cast<double>(values_); }

    index block_size() const { return std::max(dense_.size(), phases_.size()); }
    index columns_size() const { return rectangle_ ? window_.rows.size * window_.columns.cover(shape_.columns) : 0; }
    index gathered_size() const { return rectangle_ ? 0 : values_; }

    void filter(const Tile& tile, Scratch scratch) const {
        Buffers buffers{};
        buffers.block = scratch.take<Key>(block_size());
        buffers.columns = scratch.take<Key>(columns_size());
        buffers.gathered = scratch.take<Key>(gathered_size());
        buffers.kept = scratch.take<Key>(values_ + 1);
        buffers.ranks = scratch.take<Key>(shape_.columns + row_slack);
        buffers.results = scratch.take<Key>(shape_.columns + row_slack);
        const ConstPlane source = image_.plane(tile.plane);
        const bool nan = phases_.load(source, tile.row, tile.column, tile.rows, tile.columns, buffers.block);
        if (values_ <= most_in_lanes && cost_in_lanes(0) < cost_alone()) {
            const detail::Spread<Bits> spread = spread_of(tile, buffers.block);
            if (cost_in_lanes(std::popcount(spread.differing)) < cost_alone()) {
                return filter_in_lanes(tile, spread, nan, buffers);
            }
        }
        if (window_.columns.stride > 1) {  // with stride 1 the two layouts are one
            dense_.load(source, tile.row, tile.column, tile.rows, tile.columns, buffers.block);
        }
        filter_alone(tile, nan, buffers);
    }

    detail::Spread<Bits> spread_of(const Tile& tile, const Key* block) const {
        detail::Spread<Bits> spread{detail::bits_of_key(block[offsets_[0]]), 0};
        for (index y = 0; y < tile.rows; ++y) {
            // Below the first row of outputs a rectangle meets new pixels in its last rows only.
            const index rows_met = y == 0 || !rectangle_ ? 0 : window_.rows.size - window_.rows.step();
            for (index t = rows_met * window_.columns.size; t < values_; ++t) {
                detail::widen(spread, block + y * phases_.output_pitch() + offsets_[static_cast<std::size_t>(t)],
                              tile.columns);
            }
        }
        return spread;
    }

    void filter_in_lanes(const Tile& tile, detail::Spread<Bits> spread, bool nan, const Buffers& buffers) const {
        std::fill_n(buffers.ranks, shape_.columns + row_slack, static_cast<Key>(rank_among(values_)));
        for (index y = 0; y < tile.rows; ++y) {
            const Key* first = buffers.block + y * phases_.output_pitch();
            if (nan) {
                for (index x = 0; x < tile.columns; ++x) {
                    buffers.ranks[x] = static_cast<Key>(rank_among(numbers_at(first + x)));
                }
            }
            detail::select_lanes(first, offsets_.data(), values_, buffers.ranks, spread, tile.columns, buffers.results);
            write_row(tile, y, buffers.results);
        }
    }

    /// The rank of the result in a window, `numbers` of whose values are not NaN.
    index rank_among(index numbers) const { return rank_among_nans(rule_, values_, numbers, nan_); }

    /// Values of the window at `first` that are not NaN.
    index numbers_at(const Key* first) const {
        index numbers = 0;
        for (const index offset : offsets_) {
            numbers += is_number(first[offset]);
        }
        return numbers;
    }

    void filter_alone(const Tile& tile, bool nan, const Buffers& buffers) const {
        const index step = dense_.output_step();
        Key guess = buffers.block[0];
        index transposed = 0;  // rows of the block that have been in `columns`
        for (index y = 0; y < tile.rows; ++y) {
            const Key* first = buffers.block + y * dense_.output_pitch();
            if (rectangle_) {
                transpose_rows(buffers.block, y, tile.columns, transposed, buffers.columns);
            }
            for (index x = 0; x < tile.columns; ++x) {
                const Key* values = rectangle_ ? buffers.columns + x * step * window_.rows.size
                                               : gather(first + x * step, buffers.gathered);
                const index numbers = nan ? std::count_if(values, values + values_, is_number<Key>) : values_;
                guess = detail::select(values, values_, rank_among(numbers), guess, buffers.kept);
                buffers.results[x] = guess;
            }
            write_row(tile, y, buffers.results);
        }
    }

    /// Brings `columns` from the rows under the output row above to those under output row `y`. Which row of
    /// keys a new one replaces does not matter to a rank: row r is kept at r modulo K_h.
    void transpose_rows(const Key* block, index y, index outputs, index& transposed, Key* columns) const {
        const index height = window_.rows.size;
        const index begin = y * window_.rows.step();
        for (index row = std::max(begin, transposed); row < begin + height; ++row) {
            const Key* source = block + row * dense_.pitch();
            Key* target = columns + row % height;
            for (index column = 0; column < window_.columns.cover(outputs); ++column) {
                target[column * height] = source[column];
            }
        }
        transposed = begin + height;
    }

    const Key* gather(const Key* first, Key* gathered) const {
        Key* next = gathered;
        for (const Footprint::Tap& tap : taps_) {
            *next++ = first[tap.row * dense_.pitch() + tap.column];
        }
        return gathered;
    }

    void write_row(const Tile& tile, index y, const Key* results) const {
        const MutablePlane target = out_.plane(tile.plane);
        write_(results, tile.columns, target.at(tile.row + y, tile.column), target.column_stride);
    }

    const ConstStack& image_;
    const MutableStack& out_;
    Window2D window_;
    const std::vector<Footprint::Tap>& taps_;  // none for the whole rectangle
    bool rectangle_;
    index values_;
    OrderRule rule_;
    NanPolicy nan_;
    double cost_;
    TileShape shape_;
    TileLoader<Key> dense_;
    TileLoader<Key> phases_;
    std::vector<index> offsets_;
    WriteRun<Key> write_;
};
}  // namespace

index OrderRule::rank(index n) const {
    if (const Rank* rank = std::get_if<Rank>(&rule)) {
        return rank->number;
    }
    return std::min(n - 1, static_cast<index>(static_cast<double>(n) * std::get<Percentile>(rule).value / 100.0));
}

index rank_among_nans(OrderRule rule, index pixels, index numbers, NanPolicy nan) {
    const bool gives_nan = numbers == 0 || (numbers < pixels && nan == NanPolicy::propagate);
    return gives_nan ? pixels - 1 : rule.rank(numbers);
}

void require_rule(OrderRule rule, index pixels, NanPolicy nan) {
    const index rank = rule.rank(pixels);
    require(rank >= 0 && rank < pixels, "order filters: the rank is one of the window's pixels");
    require(nan == NanPolicy::propagate || !std::holds_alternative<OrderRule::Rank>(rule.rule),
            "order filters: without NaNs the number of pixels varies, and a rank may not be there");
}

void order_filter(const ConstStack& image, const MutableStack& out, const Window2D& window, const Footprint& footprint,
                  OrderRule rule, NanPolicy nan, const std::byte* fill, int workers) {
    require_rule(rule, footprint.pixels(window), nan);
    require(out.element.dtype == image.element.dtype, "order_filter: the result has the type of the image");
    visit_dtype(image.element.dtype, [&](auto tag) {
        using Key = OrderKey<typename decltype(tag)::type>;
        SelectFilter<Key>(image, out, window, footprint, rule, nan, fill).run(workers);
    });
}

}  // namespace imkernels
