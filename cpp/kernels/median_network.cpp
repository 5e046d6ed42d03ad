// Medians of square windows by networks in lanes along the row: 27, 86, 222, ... minima and maxima per pixel.
//
// Outputs are taken in pairs, one above the other, whose windows share most of their pixels
// (kernels/detail/median_tile.hpp says how). What the pairs of two rows share is done first: every column of the rows
// that both windows contain is sorted once. Larger tiles would share more, but spill registers (Zen 5). Rows that a
// stride skips are not computed: windows two rows apart still make pairs, others stand alone.
//
// Pixels are order-preserving keys (core/order_key.hpp), so four instantiations serve all types exactly. A network does
// not know NaNs: where a tile of the image has one (its loader knows), the windows that contain it are selected one by
// one.
#include "kernels/median_network.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/check.hpp"
#include "core/order_key.hpp"
#include "kernels/detail/median_3x3.hpp"
#include "kernels/detail/median_tile.hpp"
#include "kernels/detail/result_writer.hpp"
#include "kernels/median_3x3.hpp"
#include "rows/tile_grid.hpp"
#include "rows/tile_loader.hpp"
#include "rows/wide_planes.hpp"

namespace imkernels {

namespace {
/// `height` outputs in a column are computed together, `step` rows apart.
template <class Key, int K, int height, int step>
class MedianNetwork {
public:
    MedianNetwork(const WidePlanes& planes, NanPolicy nan, const std::byte* fill)
        : image_(planes.image),
          out_(planes.out),
          window_(planes.window),
          nan_(nan),
          cost_(0.007 * static_cast<double>(taps) * sizeof(Key)),
          shape_(choose_shape(out_.first.rows, out_.first.columns, window_, planes.channels)),
          loader_(window_, whole_groups(shape_.rows), shape_.columns, ColumnLayout::phases,
                  row_reader<AsOrderKey, Key>(image_.element), read_fill<AsOrderKey, Key>(image_.element.dtype, fill),
                  planes.channels, pitch),
          write_(out_) {
        require(height == 1 || window_.rows.step() == step, "MedianNetwork: made for another stride");
        require(loader_.pitch() == pitch && loader_.size() <= sorted_distance,
                "MedianNetwork: the buffer is too small");
        for (index column = 0; column < K; ++column) {
            offsets_[column] = loader_.tap(0, column);
        }
        last_offset_ = *std::max_element(offsets_, offsets_ + K);
        adjacent_ = offsets_[1] == 1 && last_offset_ == K - 1;
    }

    void run(int workers) const {
        const std::size_t bytes =
            Scratch::bytes<Key>(sorted_distance + loader_.size() + lanes) + Scratch::bytes<Key>(height * pitch);
        const TileGrid grid(out_.planes(), out_.first.rows, out_.first.columns, shape_, cost_, image_.interleaved());
        grid.for_each(bytes, workers, [&](const Tile& tile, Scratch scratch) {
            filter(tile, scratch);
            write_.finish();
        });
    }

private:
    static constexpr index taps = index{K} * K;
    static constexpr int core = K - (height - 1) * step;  // rows that all windows of a group contain
    static constexpr index reach = 2 * index{K} - core;   // rows that any of them contains
    using Vector = Lanes<Key>;
    static constexpr index lanes = lane_count<Key>;
    static constexpr bool from_columns = K == 3 && height == 2;

    // Rows of the buffers lie a constant distance apart, so that addresses need no computation.
    static constexpr index most_rows = 32;
    static constexpr index most_columns = std::min<index>(2048, (K == 3 ? 8192 : 2048) / sizeof(Key));
    static constexpr index pitch = (most_columns + (K - 1) * most_channels + row_slack + lanes - 1) / lanes * lanes;
    static constexpr index sorted_distance = (most_rows + step + reach) * pitch;

    static TileShape choose_shape(index rows, index columns, const Window2D& window, index channels) {
        const index phases = window.columns.step();
        return {std::clamp<index>(rows, 1, most_rows / window.rows.step()),
                std::clamp<index>(columns, 1, most_columns / phases / channels * channels)};
    }

    static index whole_groups(index rows) { return (rows + height - 1) / height * height; }

    void filter(const Tile& tile, Scratch scratch) const {
        const ConstPlane source = image_.plane(tile.plane);
        const MutablePlane target = out_.plane(tile.plane);
        // Where results are stored at multiples of the size of a vector, pixels are loaded from such.
        const index shift = write_.in_place() ? misplaced(target.at(tile.row, tile.column)) : 0;
        Key* const first_block = scratch.take<Key>(sorted_distance + loader_.size() + lanes) + shift;
        Key* const buffer = scratch.take<Key>(height * pitch);
        const index rows = whole_groups(tile.rows);
        bool nan = false;
        index loaded = 0;
        for (index y = 0; y < rows; y += height) {
            const index begin = y * window_.rows.step();
            for (; loaded < begin + reach; ++loaded) {  // when they are needed, so that they are near
                nan |= loader_.load_row(source, loader_.row_position(tile.row, rows, loaded), tile.column, tile.columns,
                                        first_block + loaded * pitch);
            }
            Key* const block = first_block + begin * pitch;
            const bool in_place = write_.in_place() && y + height <= tile.rows && tile.columns >= lanes;
            const Results results = in_place ? Results::in_place(target, tile.row + y, tile.column, tile.columns)
                                             : Results{buffer, pitch, tile.columns - 1, 0};
            sort_columns(block, tile.columns);
            compute(block, tile.columns, results, ahead_of(tile, loaded));
            for (index row = 0; row < std::min<index>(height, tile.rows - y) && !in_place; ++row) {
                Key* computed = results.first + row * results.pitch;
                if (nan) {
                    mend(block + row * step * pitch, tile.columns, computed);
                }
                write_(computed, tile.columns, target.at(tile.row + y + row, tile.column), target.column_stride);
            }
        }
    }

    /// Elements from a multiple of the size of a vector to an address, if it is worth a vector more in a row to store
    /// the others in one cache line each.
    static index misplaced(const std::byte* address) {
        const auto bytes = static_cast<index>(reinterpret_cast<std::uintptr_t>(address) % vector_bytes);
        return from_columns ? bytes / index{sizeof(Key)} : 0;
    }

    /// Where vectors of results are stored.
    struct Results {
        Key* first;  // row
        index pitch;
        index last;   // column that a vector may start in
        index begin;  // column of the first vector; one at 0 stands for it where it is negative

        static Results in_place(const MutablePlane& target, index row, index column, index columns) {
            constexpr index key = sizeof(Key);
            std::byte* const first = target.at(row, column);
            return {reinterpret_cast<Key*>(first), target.row_stride / key, columns - lanes, -misplaced(first)};
        }
    };

    /// Where the rows lie that will be read next.
    struct Ahead {
        std::array<const std::byte*, std::size_t{height} * step> rows;
        index apart;  // bytes from what an output begins with to the next
        index bytes;  // of a vector of outputs, the first few cache lines
    };

    Ahead ahead_of(const Tile& tile, index loaded) const {
        const ConstPlane source = image_.plane(tile.plane);
        const index column = std::min(tile.column * window_.columns.stride, source.columns - 1);
        Ahead ahead;
        ahead.apart = window_.columns.stride * source.column_stride;
        ahead.bytes = std::min(lanes * ahead.apart, 8 * cache_line);
        for (const std::byte*& row : ahead.rows) {
            const index position = loader_.row_position(tile.row, whole_groups(tile.rows), loaded++);
            row = source.at(std::clamp<index>(position, 0, source.rows - 1), column);
        }
        return ahead;
    }

    /// Sorts the columns that the windows of a group share, `sorted_distance` behind themselves.
    void sort_columns(Key* block, index columns) const {
        if constexpr (!from_columns) {
            const Key* const first = block + (K - core) * pitch;
            Key* const sorted = block + sorted_distance;
            for (index x = 0; x < last_offset_ + columns; x += lanes) {
                const auto column = detail::sort_all<detail::median_of<K>, 0, core>(
                    [&](auto row) IMKERNELS_INLINE_LAMBDA { return load_lanes(first + row * pitch + x); });
                detail::repeat<core>([&](auto row) { store_lanes(sorted + row * pitch + x, column.values[row]); });
            }
        }
    }

    void compute(const Key* block, index columns, const Results& results, const Ahead& ahead) const {
        if constexpr (K <= 5) {
            if (adjacent_) {
                return compute<true>(block, columns, results, ahead);
            }
        }
        compute<false>(block, columns, results, ahead);
    }

    /// The same where the columns of a window are `adjacent` in the block, and where they are not.
    template <bool adjacent>
    void compute(const Key* block, index columns, const Results& results, const Ahead& ahead) const {
        for (index start = results.begin; start < columns; start += lanes) {
            const index x = std::clamp<index>(start, 0, results.last);
            for (const std::byte* row : ahead.rows) {
                if constexpr (adjacent) {
                    prefetch(row + x * index{sizeof(Key)});
                } else {
                    for (index byte = 0; byte < ahead.bytes; byte += cache_line) {
                        prefetch(row + x * ahead.apart + byte);
                    }
                }
            }
            const Key* column_starts[K];
            detail::repeat<K>([&](auto column) {
                column_starts[column] = adjacent ? block + x + column : opaque(block + x + offsets_[column]);
            });
            const auto pixel = [&](auto row, auto column)
                                   IMKERNELS_INLINE_LAMBDA { return load_lanes(column_starts[column] + row * pitch); };
            const auto store = [&](int row, const Vector& median) IMKERNELS_INLINE_LAMBDA {
                store_lanes(results.first + row * results.pitch + x, median);
            };
            if constexpr (from_columns) {
                detail::medians_of_3x3<Vector>(pixel, store);
            } else {
                const auto sorted_column = [&](auto column) IMKERNELS_INLINE_LAMBDA {
                    detail::Sorted<Vector, detail::all(core)> values;
                    detail::repeat<core>([&](auto row) {
                        values.values[row] = load_lanes(column_starts[column] + sorted_distance + row * pitch);
                    });
                    return values;
                };
                detail::medians_of_tile<Vector, K, 1, height, step>(
                    sorted_column, pixel,
                    [&](int, int row, const Vector& median) IMKERNELS_INLINE_LAMBDA { store(row, median); });
            }
        }
    }

    /// Selects the results of windows with NaNs; `block` begins with the first row of the windows.
    void mend(const Key* block, index columns, Key* results) const {
        if constexpr (sizeof(Key) > 1) {
            for (index x = 0; x < columns; ++x) {
                Key values[taps];
                for (index i = 0; i < taps; ++i) {
                    values[i] = block[i / K * pitch + offsets_[i % K] + x];
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
    Window2D window_;
    NanPolicy nan_;
    double cost_;
    TileShape shape_;
    TileLoader<Key> loader_;
    detail::ResultWriter<Key> write_;
    index offsets_[K];  // of the columns of a window in a row of the block
    index last_offset_;
    bool adjacent_;  // those columns
};

constexpr index largest_strided = 7;
#ifdef __SANITIZE_ADDRESS__
constexpr index largest = 7;  // the others take minutes to compile, and check nothing that these do not
#else
constexpr index largest = 11;
#endif

template <int K, class Key>
void filter_with(const WidePlanes& planes, NanPolicy nan, const std::byte* fill, int workers) {
    const index stride = planes.window.rows.stride;
    if constexpr (K <= largest_strided) {
        if constexpr (K > 3) {
            if (stride == 2) {
                return MedianNetwork<Key, K, 2, 2>(planes, nan, fill).run(workers);
            }
        }
        if (stride != 1) {
            return MedianNetwork<Key, K, 1, 1>(planes, nan, fill).run(workers);
        }
    }
    if constexpr (K <= largest) {
        MedianNetwork<Key, K, 2, 1>(planes, nan, fill).run(workers);
    }
}
}  // namespace

bool has_median_network(const Window2D& window) {
    const index size = window.rows.size;
    return size == window.columns.size && size % 2 == 1 && size >= 3 &&
           size <= (window.rows.stride == 1 ? largest : largest_strided);
}

void median_network(const ConstStack& image, const MutableStack& out, const Window2D& window, NanPolicy nan,
                    const std::byte* fill, int workers) {
    require(has_median_network(window), "median_network: no network for this window");
    require(out.element.dtype == image.element.dtype, "median_network: the result has the type of the image");
    const WidePlanes planes = wide_planes(image, out, window);
    if (has_median_3x3(planes)) {
        return median_3x3(planes, fill, workers);
    }
    visit_dtype(image.element.dtype, [&](auto tag) {
        using Key = OrderKey<typename decltype(tag)::type>;
        switch (window.rows.size) {
            case 3: return filter_with<3, Key>(planes, nan, fill, workers);
            case 5: return filter_with<5, Key>(planes, nan, fill, workers);
            case 7: return filter_with<7, Key>(planes, nan, fill, workers);
            case 9: return filter_with<9, Key>(planes, nan, fill, workers);
            default: return filter_with<11, Key>(planes, nan, fill, workers);
        }
    });
}

}  // namespace imkernels
