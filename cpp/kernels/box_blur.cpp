// Box blur: sums of the window's rows, then sums of those, each by doubling.
//
// S_1 = x, S_2 = S_1 + S_1 shifted by 1, S_4 = S_2 + S_2 shifted by 2, ...; a window of K = 2^a + 2^b + ... is
// S_(2^a) + S_(2^b) shifted + ...: at most 2 log2 K additions per pixel and direction, whatever the width of the window. Every output
// adds its own pixels in a tree of its own, of depth at most 2 log2 K; nothing is ever subtracted. So sums do not
// drift, a NaN stays in its windows, and the result does not depend on where a tile begins.
//
// Integers are summed exactly, in 32, 64 or 128 bits as the window asks. Floats are summed in double. The mean is
// one division; below 2^52 that of doubles is exact enough to round every integer mean rightly, since a quotient
// s / n that is not a tie is at least 1 / (2 n) away from one.
#include "kernels/box_blur.hpp"

#include <cmath>
#include <type_traits>

#include "core/check.hpp"
#include "rows/row_writer.hpp"
#include "rows/tile_grid.hpp"
#include "rows/tile_loader.hpp"

namespace imkernels {

namespace {
/// sums[x] = line[x] + ... + line[x + size - 1] for 0 <= x < count. Uses up the line, of count + size - 1 elements.
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

template <class Sum>
void add_row(const Sum* __restrict row, index count, Sum* __restrict sums) {
    for (index x = 0; x < count; ++x) {
        sums[x] += row[x];
    }
}

/// The same down a block of rows: result row y starts at row y * step. Results are `pitch` apart like the rows.
template <class Sum>
void sum_down(Sum* rows, index pitch, index columns, index count, index step, index size, Sum* sums) {
    index done = 0;
    index extent = (count - 1) * step + size;
    for (index power = 1;; power *= 2) {
        if ((size & power) != 0) {
            for (index y = 0; y < count; ++y) {
                const Sum* row = rows + (y * step + done) * pitch;
                if (done == 0) {
                    std::copy_n(row, columns, sums + y * pitch);
                } else {
                    add_row(row, columns, sums + y * pitch);
                }
            }
            done += power;
        }
        if (done == size) {
            return;
        }
        extent -= power;
        for (index y = 0; y < extent; ++y) {
            add_row(rows + (y + power) * pitch, columns, rows + y * pitch);
        }
    }
}

/// The quotient rounded half to even; `count` > 0.
int128 rounded_quotient(int128 sum, index count) {
    int128 quotient = sum / count;
    int128 remainder = sum % count;
    if (remainder < 0) {
        quotient -= 1;
        remainder += count;
    }
    const int128 twice = 2 * remainder;
    const bool up = twice > count || (twice == count && (quotient & 1) != 0);
    return quotient + static_cast<int128>(up);
}

/// From sums to what the writer takes.
struct MeanInDouble {
    using Result = double;
    double count;
    template <class Sum>
    double operator()(Sum sum) const {
        return static_cast<double>(sum) / count;
    }
};

template <class Integer>
struct ExactMean {
    using Result = Integer;
    index count;
    Integer operator()(int128 sum) const { return static_cast<Integer>(rounded_quotient(sum, count)); }
};

template <class Number>
struct PlainSum {
    using Result = Number;
    template <class Sum>
    Number operator()(Sum sum) const {
        return static_cast<Number>(sum);
    }
};

template <class Sum, class Finish>
void blur(const ConstStack& image, const MutableStack& out, const Window2D& window, const std::byte* fill_element,
          int workers, Finish finish) {
    using Result = typename Finish::Result;
    const ReadRun<Sum> read = row_reader<AsNumber, Sum>(image.element);
    const WriteRun<Result> write = row_writer<FromNumber, Result>(out.element);
    require(read != nullptr && write != nullptr, "box_blur: no loop for these element types");
    Sum fill;
    row_reader<AsNumber, Sum>({image.element.dtype, false})(fill_element, 0, 1, &fill);

    constexpr double cost = 1.5;
    const TileShape shape = choose_tile(out.first.rows, out.first.columns, window, sizeof(Sum), cost);
    const TileLoader<Sum> loader(window, shape.rows, shape.columns, ColumnLayout::dense, read, fill);
    const index pitch = loader.pitch();
    const index block_size = loader.size();
    const index sums_size = shape.rows * pitch;
    const std::size_t scratch_bytes =
        Scratch::bytes<Sum>(block_size) + Scratch::bytes<Sum>(sums_size) + Scratch::bytes<Result>(shape.columns);

    const TileGrid grid(out.planes(), out.first.rows, out.first.columns, shape, image.interleaved());
    grid.for_each(cost, scratch_bytes, workers, [&](const Tile& tile, Scratch scratch) {
        Sum* block = scratch.take<Sum>(block_size);
        Sum* sums = scratch.take<Sum>(sums_size);
        Result* results = scratch.take<Result>(shape.columns);
        loader.load(image.plane(tile.plane), tile.row, tile.column, tile.rows, tile.columns, block);
        const index dense = (tile.columns - 1) * loader.output_step() + 1;
        for (index y = 0; y < window.rows.cover(tile.rows); ++y) {
            sum_along(block + y * pitch, dense, window.columns.size, sums);
            for (index x = 0; x < tile.columns; ++x) {
                block[y * pitch + x] = sums[x * loader.output_step()];
            }
        }
        sum_down(block, pitch, tile.columns, tile.rows, window.rows.step(), window.rows.size, sums);
        const MutablePlane target = out.plane(tile.plane);
        for (index y = 0; y < tile.rows; ++y) {
            for (index x = 0; x < tile.columns; ++x) {
                results[x] = finish(sums[y * pitch + x]);
            }
            write(results, tile.columns, target.at(tile.row + y, tile.column), target.column_stride);
        }
    });
}

/// Bits that the sum of `count` integers of `size` bytes needs, the sign included.
int sum_bits(std::size_t size, index count) {
    int bits = static_cast<int>(8 * size) + 1;
    for (; count > 1; count = (count + 1) / 2) {
        ++bits;
    }
    return bits;
}
}  // namespace

void box_blur(const ConstStack& image, const MutableStack& out, const Window2D& window, bool normalize,
              const std::byte* fill, int workers) {
    visit_dtype(image.element.dtype, [&](auto tag) {
        using Pixel = typename decltype(tag)::type;
        const auto run = [&]<class Sum>(std::type_identity<Sum>, auto finish) {
            blur<Sum>(image, out, window, fill, workers, finish);
        };
        const index taps = window.taps();
        const MeanInDouble mean_in_double{static_cast<double>(taps)};
        if constexpr (std::is_same_v<Pixel, Bool>) {
            require(false, "box_blur: truth values have no mean");
        } else if constexpr (is_float<Pixel>) {
            if (normalize) {
                run(std::type_identity<double>{}, mean_in_double);
            } else {
                run(std::type_identity<double>{}, PlainSum<double>{});
            }
        } else {
            using Wide = std::conditional_t<std::is_signed_v<Pixel>, std::int64_t, std::uint64_t>;
            const bool to_float = out.element.dtype >= Dtype::float16;
            const int bits = sum_bits(sizeof(Pixel), taps);
            if (!normalize) {
                run(std::type_identity<std::uint64_t>{}, PlainSum<Wide>{});
            } else if constexpr (sizeof(Pixel) == 8) {
                if (to_float) {
                    run(std::type_identity<int128>{}, mean_in_double);
                } else {
                    run(std::type_identity<int128>{}, ExactMean<Wide>{taps});
                }
            } else if (bits <= 52 || to_float) {
                if constexpr (sizeof(Pixel) <= 2) {
                    if (bits <= 32) {
                        return run(std::type_identity<std::int32_t>{}, mean_in_double);
                    }
                }
                run(std::type_identity<std::int64_t>{}, mean_in_double);
            } else {
                run(std::type_identity<std::int64_t>{}, ExactMean<Wide>{taps});
            }
        }
    });
}

}  // namespace imkernels
