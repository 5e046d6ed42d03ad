// Medians of 3x3, 5x5 and 7x7 windows by networks: 18, 82 and 182 minima and maxima per pixel, in lanes along the row.
//
// Outputs are taken in tiles of a few rows of one column, whose windows share most of their pixels
// (kernels/detail/median_tile.hpp says how). What the tiles of a row of tiles share is done first: every column of the
// rows that all their windows contain is sorted once.
//
// Pixels are order-preserving keys (core/order_key.hpp), so four instantiations serve all types exactly. A network does
// not know NaNs: where a tile of the image has one (its loader knows), the windows that contain it are selected one by
// one.
#include "kernels/median_network.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "core/check.hpp"
#include "core/order_key.hpp"
#include "kernels/detail/median_tile.hpp"
#include "kernels/detail/result_writer.hpp"
#include "kernels/detail/select.hpp"
#include "rows/tile_grid.hpp"
#include "rows/tile_loader.hpp"
#include "rows/wide_planes.hpp"

namespace imkernels {

namespace {
/// Rows of outputs in a tile of the network: as many as still pay, measured (Zen 5).
template <int K>
inline constexpr int tile_height = K == 3 ? 2 : 4;

template <class Key, int K>
class MedianNetwork {
public:
    MedianNetwork(const WidePlanes& planes, NanPolicy nan, const std::byte* fill)
        : image_(planes.image),
          out_(planes.out),
          row_stride_(planes.window.rows.stride),
          window_(every_row(planes.window)),
          nan_(nan),
          cost_(0.003 * static_cast<double>(taps) * sizeof(Key) * static_cast<double>(row_stride_)),
          shape_(choose_shape(out_.first.rows, out_.first.columns, row_stride_, planes.channels)),
          loader_(window_, group_rows(shape_.rows), shape_.columns, ColumnLayout::phases,
                  row_reader<AsOrderKey, Key>(image_.element), read_fill<AsOrderKey, Key>(image_.element.dtype, fill),
                  planes.channels),
          write_(out_),
          pitch_(shape_.columns + row_slack) {
        for (index column = 0; column < K; ++column) {
            offsets_[column] = loader_.tap(0, column);
        }
    }

    void run(int workers) const {
        const std::size_t bytes = Scratch::bytes<Key>(loader_.size()) + Scratch::bytes<Key>(core * loader_.pitch()) +
                                  Scratch::bytes<Key>(height * pitch_);
        const TileGrid grid(out_.planes(), out_.first.rows, out_.first.columns, shape_, cost_, image_.interleaved());
        grid.for_each(bytes, workers, [&](const Tile& tile, Scratch scratch) {
            filter(tile, scratch);
            write_.finish();
        });
    }

private:
    static constexpr int height = tile_height<K>;
    static constexpr index taps = index{K} * K;
    static constexpr int core = K - height + 1;  // rows that all windows of a network's tile contain
    using Vector = Lanes<Key>;
    static constexpr index lanes = lane_count<Key>;

    /// Networks compute every row, and those between two strides are left out when it is written.
    static Window2D every_row(Window2D window) {
        window.rows.stride = 1;
        return window;
    }

    static TileShape choose_shape(index rows, index columns, index stride, index channels) {
        constexpr index most = std::min<index>(2048, 8192 / static_cast<index>(sizeof(Key)));
        return {std::clamp<index>(rows, 1, std::max<index>(1, 32 / stride)),
                std::clamp<index>(columns, 1, most / channels * channels)};
    }

    /// Rows that the network computes for `rows` of a tile.
    index group_rows(index rows) const { return ((rows - 1) * row_stride_ + height) / height * height; }

    /// Buffers of a tile, in its worker's scratch.
    struct Buffers {
        Key* block;   // the tile's padded input
        Key* sorted;  // the rows of the core, sorted column by column
        Key* results;
    };

    void filter(const Tile& tile, Scratch scratch) const {
        const Buffers buffers{scratch.take<Key>(loader_.size()), scratch.take<Key>(core * loader_.pitch()),
                              scratch.take<Key>(height * pitch_)};
        const ConstPlane source = image_.plane(tile.plane);
        const index rows = group_rows(tile.rows);
        const index first = tile.row * row_stride_;
        bool nan = false;
        index loaded = 0;
        for (index y = 0; y < rows; y += height) {
            for (; loaded < y + height + K - 1; ++loaded) {  // when they are needed, so that they are near
                nan |= loader_.load_row(source, loader_.row_position(first, rows, loaded), tile.column, tile.columns,
                                        buffers.block + loaded * loader_.pitch());
            }
            const Key* block = buffers.block + y * loader_.pitch();
            sort_columns(block, buffers.sorted);
            compute(block, tile.columns, buffers, ahead_of(tile, y, loaded));
            for (index row = 0; row < height; ++row) {
                Key* results = buffers.results + row * pitch_;
                const index output = (y + row) / row_stride_;
                if ((y + row) % row_stride_ == 0 && output < tile.rows) {
                    if (nan) {
                        mend(block + row * loader_.pitch(), tile.columns, results);
                    }
                    const MutablePlane target = out_.plane(tile.plane);
                    write_(results, tile.columns, target.at(tile.row + output, tile.column), target.column_stride);
                }
            }
        }
    }

    /// Where the rows lie that will be read next, and those that will be written.
    using Ahead = std::array<const std::byte*, 2 * std::size_t{height}>;

    Ahead ahead_of(const Tile& tile, index y, index loaded) const {
        const ConstPlane source = image_.plane(tile.plane);
        const MutablePlane target = out_.plane(tile.plane);
        Ahead ahead;
        for (index row = 0; row < height; ++row) {
            const index position = loader_.row_position(tile.row * row_stride_, group_rows(tile.rows), loaded + row);
            const index output = std::min((y + row) / row_stride_, tile.rows - 1);
            const index column = std::min(tile.column * window_.columns.stride, source.columns - 1);
            ahead[static_cast<std::size_t>(row)] = source.at(std::clamp<index>(position, 0, source.rows - 1), column);
            ahead[static_cast<std::size_t>(height + row)] = target.at(tile.row + output, tile.column);
        }
        return ahead;
    }

    /// Sorts the columns of the core of a row of tiles.
    void sort_columns(const Key* block, Key* sorted) const {
        const index pitch = loader_.pitch();
        const Key* first = block + (height - 1) * pitch;
        for (index x = 0; x < pitch - row_slack; x += lanes) {
            const auto column = detail::sort_all<detail::median_of<K>, 0, core>(
                [&](auto row) IMKERNELS_INLINE_LAMBDA { return load_lanes(first + row * pitch + x); });
            detail::repeat<core>([&](auto row) { store_lanes(sorted + row * pitch + x, column.values[row]); });
        }
    }

    void compute(const Key* block, index columns, const Buffers& buffers, const Ahead& ahead) const {
        const index pitch = loader_.pitch();
        const auto pixel = [&](const Key* rows, index row, index column)
                               IMKERNELS_INLINE_LAMBDA { return load_lanes(rows + row * pitch + offsets_[column]); };
        for (index x = 0; x < columns; x += lanes) {
            for (const std::byte* row : ahead) {
                prefetch(row + x * static_cast<index>(sizeof(Key)));
            }
            detail::medians_of_tile<Vector, K, 1, height>(
                [&](auto column) IMKERNELS_INLINE_LAMBDA {
                    detail::Sorted<Vector, detail::all(core)> values;
                    detail::repeat<core>(
                        [&](auto row) { values.values[row] = pixel(buffers.sorted + x, row, column); });
                    return values;
                },
                [&](auto row, auto column) IMKERNELS_INLINE_LAMBDA { return pixel(block + x, row, column); },
                [&](int, int row, const Vector& median)
                    IMKERNELS_INLINE_LAMBDA { store_lanes(buffers.results + row * pitch_ + x, median); });
        }
    }

    /// Selects the results of windows with NaNs; `block` begins with the first row of the windows.
    void mend(const Key* block, index columns, Key* results) const {
        if constexpr (sizeof(Key) > 1) {
            for (index x = 0; x < columns; ++x) {
                Key values[taps];
                for (index i = 0; i < taps; ++i) {
                    values[i] = block[i / K * loader_.pitch() + offsets_[i % K] + x];
                }
                const index numbers = std::count_if(values, values + taps, [](Key key) { return key < nan_key<Key>; });
                if (numbers < taps) {
                    const bool gives_nan = numbers == 0 || nan_ == NanPolicy::propagate;
                    std::nth_element(values, values + numbers / 2, values + taps);
                    results[x] = gives_nan ? nan_key<Key> : values[numbers / 2];
                }
            }
        }
    }

    const ConstStack& image_;
    const MutableStack& out_;
    index row_stride_;
    Window2D window_;
    NanPolicy nan_;
    double cost_;
    TileShape shape_;
    TileLoader<Key> loader_;
    detail::ResultWriter<FromOrderKey, Key> write_;
    index pitch_;
    index offsets_[K];  // of the columns of a window in a row of the block
};

template <class Function>
void visit_size(index size, Function&& function) {
    switch (size) {
        case 3: return function(detail::Constant<3>{});
        case 5: return function(detail::Constant<5>{});
        case 7: return function(detail::Constant<7>{});
        default: require(false, "median_network: no network for this window");
    }
}
}  // namespace

bool has_median_network(const Window2D& window) {
    const index size = window.rows.size;
    return size == window.columns.size && (size == 3 || size == 5 || size == 7) &&
           window.rows.stride <= size;  // rows between windows would be computed for nothing
}

void median_network(const ConstStack& image, const MutableStack& out, const Window2D& window, NanPolicy nan,
                    const std::byte* fill, int workers) {
    require(has_median_network(window), "median_network: no network for this window");
    require(out.element.dtype == image.element.dtype, "median_network: the result has the type of the image");
    const WidePlanes planes = wide_planes(image, out, window);
    visit_dtype(image.element.dtype, [&](auto tag) {
        using Key = OrderKey<typename decltype(tag)::type>;
        visit_size(window.rows.size,
                   [&](auto size) { MedianNetwork<Key, decltype(size)::value>(planes, nan, fill).run(workers); });
    });
}

}  // namespace imkernels
