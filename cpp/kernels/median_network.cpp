// Medians of square windows by networks in lanes along the row: 27, 86, 222, ... minima and maxima per pixel.
//
// Outputs are taken in tiles of 2 x 2, whose windows share most of their pixels (kernels/detail/median_tile.hpp says
// how); with stride 2 as well, where they share fewer. What the tiles of two rows share is done first: every column of
// the rows that all their windows contain is sorted once. Neighbouring tiles lie in neighbouring lanes, so that rows
// are dealt out to even and odd columns (pixels, where there are channels), straight from the image if it consists of
// keys. Larger tiles would share more, but spill registers (Zen 5), save for 11x11. Pairs of outputs, one above the
// other, serve for 3x3, and for 5x5 on images that are narrower than a vector; single ones for 3x3 with strides other
// than 2.
//
// Pixels are order-preserving keys (core/order_key.hpp), so four instantiations serve all types exactly. A network does
// not know NaNs: where a tile of the image has one (its loader knows), the windows that contain it are selected one by
// one.
#include "kernels/median_network.hpp"

#include <algorithm>
#include <array>

#include "core/check.hpp"
#include "core/order_key.hpp"
#include "kernels/detail/median_3x3.hpp"
#include "kernels/detail/median_tile.hpp"
#include "kernels/detail/mend.hpp"
#include "kernels/detail/phase_rows.hpp"
#include "kernels/detail/result_writer.hpp"
#include "kernels/window_3x3.hpp"
#include "rows/tile_grid.hpp"
#include "rows/wide_planes.hpp"

namespace imkernels {

namespace {
/// `width` x `height` outputs are computed together, which lie `step` pixels apart.
template <class Key, int K, int width, int height, int step>
class MedianNetwork {
public:
    MedianNetwork(const WidePlanes& planes, NanPolicy nan, const std::byte* fill)
        : image_(planes.image),
          out_(planes.out),
          window_(planes.window),
          channels_(planes.channels),
          nan_(nan),
          // Nanoseconds per output on one core (Zen 5); a row takes some by itself.
          cost_(0.007 * static_cast<double>(taps) * sizeof(Key) +
                25.0 / static_cast<double>(std::max<index>(1, out_.first.columns))),
          shape_(choose_shape(out_.first.rows, out_.first.columns)),
          phases_(width * window_.columns.step()),
          phase_pitch_(pitch / phases_),
          rows_(planes, shape_.columns, static_cast<int>(phases_), phase_pitch_, fill),
          write_(out_) {
        require((height == 1 || window_.rows.step() == step) && (width == 1 || window_.columns.step() == step),
                "MedianNetwork: made for another stride");
        for (index column = 0; column < columns; ++column) {
            offsets_[column] = rows_.place(column * channels_);
            farthest_ = std::max(farthest_, offsets_[column] % phase_pitch_);
        }
    }

    void run(int workers) const {
        const std::size_t bytes = Scratch::bytes<Key>(2 * sorted_distance) +
                                  Scratch::bytes<Key>(index{width} * height * pitch) +
                                  Scratch::bytes<Key>(rows_.room()) + rows_.bytes();
        const TileGrid grid(out_.planes(), out_.first.rows, out_.first.columns, shape_, cost_, image_.interleaved());
        grid.for_each(bytes, workers, [&](const Tile& tile, Scratch scratch) {
            filter(tile, scratch);
            write_.finish();
        });
    }

private:
    static constexpr index taps = index{K} * K;
    static constexpr int columns = K + (width - 1) * step;  // that a tile's windows cover
    static constexpr int core = K - (height - 1) * step;    // rows that all of them contain
    static constexpr index reach = 2 * index{K} - core;     // rows that any of them contains
    using Vector = Lanes<Key>;
    static constexpr index lanes = lane_count<Key>;
    static constexpr bool from_columns = K == 3 && height == 2 && step == 1;

    // Rows of the buffers lie a constant distance apart, so that addresses need no computation; no power of two, which
    // would have them in the same few lines of the nearest cache.
    static constexpr index most_rows = 32;
    static constexpr index most_columns = std::min<index>(2048, (K == 3 ? 8192 : 2048) / sizeof(Key));
    static constexpr index pitch = round_up(most_columns + K * most_channels + 2 * row_slack, lanes);
    // The last vector of a phase ends in it.
    static constexpr index most_phases = index{width} * step;
    static_assert(pitch / most_phases >= (most_columns + K * most_channels) / most_phases + lanes);
    static constexpr index sorted_distance = (most_rows + step + reach) * pitch;

    TileShape choose_shape(index rows, index across) const {
        const index together = width * channels_;
        return {std::clamp<index>(rows, 1, most_rows / window_.rows.step()),
                std::clamp<index>(across, 1, most_columns / window_.columns.step() / together * together)};
    }

    void filter(const Tile& tile, Scratch scratch) const {
        const MutablePlane target = out_.plane(tile.plane);
        const auto whole = rows_.columns(tile, scratch);
        Key* const first_block = scratch.take<Key>(2 * sorted_distance);
        Key* const computed = scratch.take<Key>(index{width} * height * pitch);
        Key* const line = scratch.take<Key>(rows_.room());
        const index rows = round_up(tile.rows, height);
        const index tiles = width == 1 ? tile.columns : (tile.columns / channels_ + 1) / 2 * channels_;
        bool nan = false;
        index loaded = 0;
        for (index y = 0; y < rows; y += height) {
            const index begin = y * window_.rows.step();
            for (; loaded < begin + reach; ++loaded) {  // when they are needed, so that they are near
                nan |= rows_.load(tile, whole, rows_.position(tile, rows, loaded), first_block + loaded * pitch, line);
            }
            const Key* const block = first_block + begin * pitch;
            sort_columns(first_block + begin * pitch, tiles);
            compute(block, tiles, computed, ahead_of(tile, y, rows, loaded, computed));
            for (index row = 0; row < std::min<index>(height, tile.rows - y); ++row) {
                const bool in_place = width == 2 && write_.in_place();
                Key* const results = put_together(computed + row * width * pitch, tile.columns,
                                                  in_place ? result_row(tile, y + row) : line);
                if (nan) {
                    mend(block + row * step * pitch, tile.columns, results);
                }
                if (!in_place) {
                    write_(results, tile.columns, target.at(tile.row + y + row, tile.column), target.column_stride);
                }
            }
        }
    }

    /// The results of a row, side by side; in `line`, unless they already are.
    Key* put_together(Key* computed, index count, Key* line) const {
        if constexpr (width == 1) {
            return computed;
        } else {
            detail::join_pixels(computed, computed + pitch, channels_, count / channels_, line);
            return line;
        }
    }

    /// Row `y` of the results of a tile, where they are keys.
    Key* result_row(const Tile& tile, index y) const {
        return reinterpret_cast<Key*>(out_.plane(tile.plane).at(tile.row + y, tile.column));
    }

    /// Where the rows lie that will be read next, and those that will be written.
    struct Ahead {
        std::array<const std::byte*, std::size_t{height} * step> rows;
        index apart;  // bytes from what a tile begins with to the next
        index bytes;  // of a vector of tiles, the first few cache lines
        std::array<Key*, height> results;
    };

    Ahead ahead_of(const Tile& tile, index y, index rows, index loaded, Key* computed) const {
        const ConstPlane source = image_.plane(tile.plane);
        const index column = std::min(tile.column * window_.columns.stride, source.columns - 1);
        Ahead ahead;
        ahead.apart = width * window_.columns.stride * source.column_stride;
        ahead.bytes = std::min(lanes * ahead.apart, 8 * cache_line);
        for (const std::byte*& row : ahead.rows) {
            const index position = rows_.position(tile, rows, loaded++);
            row = source.at(std::clamp<index>(position, 0, std::max<index>(source.rows - 1, 0)), column);
        }
        for (index row = 0; row < height; ++row) {
            ahead.results[row] = write_.in_place() ? result_row(tile, std::min(y + row, tile.rows - 1)) : computed;
        }
        return ahead;
    }

    /// Sorts the columns that the windows of a row of tiles share, `sorted_distance` behind themselves.
    void sort_columns(Key* block, index tiles) const {
        if constexpr (!from_columns) {
            for (index begin = 0; begin < phases_ * phase_pitch_; begin += phase_pitch_) {
                const Key* const first = block + (K - core) * pitch + begin;
                Key* const sorted = block + sorted_distance + begin;
                for (index x = 0; x < farthest_ + tiles; x += lanes) {
                    const auto column = detail::sort_all<detail::median_of<K>, 0, core>(
                        [&](auto row) IMKERNELS_INLINE_LAMBDA { return load_lanes(first + row * pitch + x); });
                    detail::repeat<core>([&](auto row) { store_lanes(sorted + row * pitch + x, column.values[row]); });
                }
            }
        }
    }

    /// Not a part of its caller, whose numbers would take registers from it.
    __attribute__((noinline)) void compute(const Key* block, index tiles, Key* computed, const Ahead& ahead) const {
        for (index x = 0; x < tiles; x += lanes) {
            for (const std::byte* row : ahead.rows) {
                for (index byte = 0; byte < ahead.bytes; byte += cache_line) {
                    prefetch(row + x * ahead.apart + byte);
                }
            }
            for (const Key* row : ahead.results) {
                for (index vector = 0; vector < width; ++vector) {
                    prefetch_to_write(row + width * x + vector * lanes);
                }
            }
            const Key* starts[columns];
            detail::repeat<columns>([&](auto column) { starts[column] = opaque(block + x + offsets_[column]); });
            const auto pixel = [&](auto row, auto column)
                                   IMKERNELS_INLINE_LAMBDA { return load_lanes(starts[column] + row * pitch); };
            const auto store = [&](int column, int row, const Vector& median) IMKERNELS_INLINE_LAMBDA {
                store_lanes(computed + (row * width + column) * pitch + x, median);
            };
            if constexpr (from_columns) {
                detail::medians_of_3x3<Vector>(
                    pixel, [&](int row, const Vector& median) IMKERNELS_INLINE_LAMBDA { store(0, row, median); });
            } else {
                const auto sorted_column = [&](auto column) IMKERNELS_INLINE_LAMBDA {
                    detail::Sorted<Vector, detail::all(core)> values;
                    detail::repeat<core>([&](auto row) {
                        values.values[row] = load_lanes(starts[column] + sorted_distance + row * pitch);
                    });
                    return values;
                };
                detail::medians_of_tile<Vector, K, width, height, step>(sorted_column, pixel, store);
            }
        }
    }

    /// Selects the results of windows with NaNs; `block` begins with the first row of the windows.
    void mend(const Key* block, index count, Key* results) const {
        for (index x = 0; x < count; ++x) {
            Key values[taps];
            for (index i = 0; i < taps; ++i) {
                values[i] = block[i / K * pitch + rows_.place(x * window_.columns.step() + i % K * channels_)];
            }
            detail::mend_result(values, taps, {OrderRule::Percentile{50}}, nan_, results[x]);
        }
    }

    const ConstStack& image_;
    const MutableStack& out_;
    Window2D window_;
    index channels_;
    NanPolicy nan_;
    double cost_;
    TileShape shape_;
    index phases_;  // columns from one tile to the next
    index phase_pitch_;
    detail::PhaseRows<Key> rows_;
    detail::ResultWriter<Key> write_;
    index offsets_[columns];  // of the columns of a tile in a row of the block
    index farthest_ = 0;      // of them, within its phase
};

/// The largest window that has a network. Few lanes, and few registers for them, are better used by planned ones.
constexpr index largest([[maybe_unused]] index item_size) {
#ifdef __SANITIZE_ADDRESS__
    return 7;  // larger ones take minutes to compile, and check nothing that these do not
#else
    return item_size > 1 && vector_bytes < 32 && vector_registers < 32 ? 7 : 11;
#endif
}

/// Whether windows are as far apart in both directions.
bool has_stride(const Window2D& window, index stride) {
    return window.rows.stride == stride && window.columns.stride == stride;
}

template <int K, class Key>
void filter_with(const WidePlanes& planes, NanPolicy nan, const std::byte* fill, int workers) {
    const bool narrow = planes.out.first.columns <= lane_count<Key>;
    constexpr bool has_network = K <= largest(sizeof(Key));
    if constexpr (has_network) {
        if (has_stride(planes.window, 2)) {
            return MedianNetwork<Key, K, 2, 2, 2>(planes, nan, fill).run(workers);
        }
    }
    if constexpr (K == 3) {
        if (planes.window.rows.stride != 1) {
            return MedianNetwork<Key, K, 1, 1, 1>(planes, nan, fill).run(workers);
        }
    }
    if constexpr (K <= 5) {
        if (K == 3 || narrow) {
            return MedianNetwork<Key, K, 1, 2, 1>(planes, nan, fill).run(workers);
        }
    }
    if constexpr (K > 3 && has_network) {
        MedianNetwork<Key, K, 2, 2, 1>(planes, nan, fill).run(workers);
    }
}
}  // namespace

bool has_median_network(const Window2D& window, index item_size) {
    const index size = window.rows.size;
    return size == window.columns.size && size % 2 == 1 && size >= 3 && size <= largest(item_size) &&
           (size == 3 || has_stride(window, 1) || has_stride(window, 2));
}

void median_network(const ConstStack& image, const MutableStack& out, const Window2D& window, NanPolicy nan,
                    const std::byte* fill, int workers) {
    const index item_size = item_size_of(image.element.dtype);
    require(has_median_network(window, item_size), "median_network: no network for this window and type");
    require(out.element.dtype == image.element.dtype, "median_network: the result has the type of the image");
    const WidePlanes planes = wide_planes(image, out, window);
    if (has_window_3x3(planes)) {
        return median_3x3(planes, fill, workers, [&](const WidePlanes& part) {
            filter_with<3, OrderKey<float>>(part, nan, fill, workers);  // no other type has numbers without keys
        });
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
