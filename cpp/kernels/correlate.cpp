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
#include <type_traits>
#include <vector>

#include "core/check.hpp"
#include "kernels/detail/weighted_sum.hpp"
#include "rows/row_writer.hpp"
#include "rows/tile_grid.hpp"
#include "rows/tile_loader.hpp"
#include "rows/window_blocks.hpp"

namespace imkernels {

namespace {
/// Integers wrap around as unsigned numbers and are written as what they stand for, signed.
template <class T, bool integer = std::is_integral_v<T>>
struct Modular {
    using type = T;
};
template <class T>
struct Modular<T, true> {
    using type = std::make_unsigned_t<T>;
};

/// A block of taps with the loader for it and its offsets in the loader's buffer.
template <class Work>
struct TapBlock {
    TileLoader<Work> loader;
    std::vector<index> offsets;
    index first_tap;
};

template <class Work>
std::vector<TapBlock<Work>> tap_blocks(const Window2D& window, TileShape tile, ReadRun<Work> read, Fill<Work> fill) {
    std::vector<TapBlock<Work>> blocks;
    for (const WindowBlock& part : window_blocks(window, tile, sizeof(Work))) {
        const TileLoader<Work> loader(part.window, tile.rows, tile.columns, ColumnLayout::phases, read, fill);
        std::vector<index> offsets;
        for (index row = 0; row < part.window.rows.size; ++row) {
            for (index column = 0; column < part.window.columns.size; ++column) {
                offsets.push_back(loader.tap(row, column));
            }
        }
        blocks.push_back({loader, std::move(offsets), part.row * window.columns.size + part.column});
    }
    return blocks;
}

template <class Work>
void copy_weights(const ConstPlane& kernel, Work* weights) {
    for (index row = 0; row < kernel.rows; ++row) {
        for (index column = 0; column < kernel.columns; ++column) {
            std::memcpy(weights++, kernel.at(row, column), sizeof(Work));
        }
    }
}

template <class Result>
void correlate_in(const ConstStack& image, const ConstStack& kernel, const MutableStack& out, const Window2D& window,
                  const std::byte* fill_element, int workers) {
    using Work = typename Modular<Result>::type;
    const ReadRun<Work> read = row_reader<AsNumber, Work>(image.element);
    const WriteRun<Result> write = row_writer<FromNumber, Result>(out.element);
    require(read != nullptr && write != nullptr, "correlate: no loop for these element types");
    Fill<Work> fill{};
    std::memcpy(&fill.value, fill_element, sizeof(fill.value));

    const double cost = 0.3 + 0.05 * static_cast<double>(window.taps());
    const TileShape shape = choose_tile(out.first.rows, out.first.columns, window, sizeof(Work), cost);
    const std::vector<TapBlock<Work>> blocks = tap_blocks<Work>(window, shape, read, fill);
    const index sums_pitch = shape.columns + row_slack;
    const auto larger = [](const TapBlock<Work>& a, const TapBlock<Work>& b) {
        return a.loader.size() < b.loader.size();
    };
    const index buffer_size = std::max_element(blocks.begin(), blocks.end(), larger)->loader.size();
    const std::size_t scratch_bytes = Scratch::bytes<Work>(buffer_size) + Scratch::bytes<Work>(window.taps()) +
                                      Scratch::bytes<Work>(shape.rows * sums_pitch);

    const TileGrid grid(out.planes(), out.first.rows, out.first.columns, shape, image.interleaved());
    grid.for_each(cost, scratch_bytes, workers, [&](const Tile& tile, Scratch scratch) {
        Work* buffer = scratch.take<Work>(buffer_size);
        Work* weights = scratch.take<Work>(window.taps());
        Work* sums = scratch.take<Work>(shape.rows * sums_pitch);
        copy_weights(kernel.plane(tile.plane), weights);
        std::fill_n(sums, tile.rows * sums_pitch, Work{0});
        const ConstPlane source = image.plane(tile.plane);
        for (const TapBlock<Work>& block : blocks) {
            block.loader.load(source, tile.row, tile.column, tile.rows, tile.columns, buffer);
            for (index y = 0; y < tile.rows; ++y) {
                detail::add_weighted_sum(buffer + y * block.loader.output_pitch(), block.offsets.data(),
                                         weights + block.first_tap, static_cast<index>(block.offsets.size()),
                                         tile.columns, sums + y * sums_pitch);
            }
        }
        const MutablePlane target = out.plane(tile.plane);
        for (index y = 0; y < tile.rows; ++y) {
            // Signed and unsigned types of one size may alias.
            write(reinterpret_cast<const Result*>(sums + y * sums_pitch), tile.columns,
                  target.at(tile.row + y, tile.column), target.column_stride);
        }
    });
}
}  // namespace

void correlate(const ConstStack& image, const ConstStack& kernel, const MutableStack& out, const Window2D& window,
               const std::byte* fill, int workers) {
    require(kernel.first.rows == window.rows.size && kernel.first.columns == window.columns.size,
            "correlate: the window has the shape of the kernel");
    require(!kernel.element.swapped, "correlate: the kernel is in native byte order");
    switch (kernel.element.dtype) {
        case Dtype::int32: return correlate_in<std::int32_t>(image, kernel, out, window, fill, workers);
        case Dtype::int64: return correlate_in<std::int64_t>(image, kernel, out, window, fill, workers);
        case Dtype::float32: return correlate_in<float>(image, kernel, out, window, fill, workers);
        case Dtype::float64: return correlate_in<double>(image, kernel, out, window, fill, workers);
        default: require(false, "correlate: the kernel is int32, int64, float32 or float64");
    }
}

}  // namespace imkernels
