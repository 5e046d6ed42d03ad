// Correlation: every output is the weighted sum of its K_h x K_w taps, K_h * K_w multiply-adds per pixel.
//
// A tile's padded input lies in a buffer in which every tap of a row of outputs is a contiguous run (see
// rows/tile_loader.hpp), so that stride and dilation are nothing but offsets. Sums are added up in registers, for a few
// rows of outputs at once (detail/sum_tile.hpp), tap by tap in row-major order wherever the pixel lies and whoever
// computes it, with an error of at most K_h * K_w rounding units of sum |w| |x|. Windows too large for a buffer are
// taken in blocks of taps.
//
// Integers are summed modulo 2^32 or 2^64, which is exact where no sum leaves the range; those below 2^24 as floats,
// which hold them as well and are multiplied and added at once.
#include "kernels/correlate.hpp"

#include <algorithm>
#include <vector>

#include "core/check.hpp"
#include "kernels/detail/kernel_bank.hpp"
#include "kernels/detail/near.hpp"
#include "kernels/detail/sum_tile.hpp"
#include "kernels/detail/weights.hpp"
#include "rows/row_writer.hpp"
#include "rows/tile_grid.hpp"
#include "rows/tile_loader.hpp"
#include "rows/wide_planes.hpp"
#include "rows/window_blocks.hpp"

namespace imkernels {

namespace {
/// Sums of `Work`s, stored as `Result`s of the same size; the kernel and the fill are `Weight`s.
template <class Work, class Result, class Weight>
class Correlation {
public:
    Correlation(const WidePlanes& planes, const ConstStack& kernel, index kernels, const std::byte* fill,
                const SumEnding& ending)
        : planes_(planes),
          kernel_(kernel),
          kernels_(kernels),
          together_(std::min(kernels, detail::KernelBank::most_together)),
          parts_(ceil_div(kernels, std::max<index>(1, together_))),
          window_(planes.window),
          square_(square_size()),
          cost_(cost_of_output()),
          shape_(choose_shape()),
          blocks_(window_, shape_, sizeof(Work)),
          loader_(blocks_.first(), shape_.rows, shape_.columns, ColumnLayout::phases, reader(),
                  {detail::read_weight<Weight, Work>(fill), false}, planes.channels, square_ > 0 ? square_pitch : 0),
          fill_(detail::read_weight<Weight, Work>(fill)),
          start_(detail::read_delta<Weight, Work>(ending)),
          write_(number_writer<Result>(planes.out.element, ending.rounding)),
          in_place_(blocks_.count() == 1 && stores_rows(planes.out) &&
                    !detail::cuts_off<Result>(ending, planes.out.element.dtype)),
          reads_in_place_(in_place_ && has_rows_of<Result>(planes.out) && has_rows_of<Work>(planes.image) &&
                          has_near_rows()),
          sums_pitch_(shape_.columns + row_slack) {
        require(reader() != nullptr && write_ != nullptr, "correlate: no loop for these element types");
        for (index column = 0; column < blocks_.first().columns.size; ++column) {
            offsets_.push_back(loader_.tap(0, column));
        }
    }

    void run(int workers) const {
        const std::size_t bytes = Scratch::bytes<Work>(loader_.size()) + Scratch::bytes<Work>(blocks_.first().taps()) +
                                  Scratch::bytes<Result>(sums_rows() * sums_pitch_) +
                                  Scratch::bytes<index>(reads_in_place_ ? loader_.pitch() : 0);
        const MutablePlane& out = planes_.out.first;
        const TileGrid grid(planes_.image.planes() * parts_, out.rows, out.columns, shape_, cost_of_kernels(),
                            kernels_ > 1 ? 1 : planes_.image.interleaved());
        grid.for_each(bytes, workers, [&](const Tile& tile, Scratch scratch) { correlate(tile, scratch); });
    }

private:
    static constexpr index lanes = lane_count<Work>;

    // Rows of outputs by vectors that are computed at once, such that the sums fit the registers.
    static constexpr int together = 4;
    static constexpr int vectors = vector_bytes == 64 ? 4 : 2;
    static constexpr int vectors_of_row = 4;
    static constexpr int vectors_of_square = 2;

    // Square windows of a constant size are for the type that most images and integer sums are computed in.
    static constexpr bool has_squares = std::is_same_v<Work, float>;
    static constexpr index largest_square = 7;
    static constexpr index most_columns = 2048;  // of a tile
    static constexpr index least_inner = 64;     // columns that are worth edges of their own
    static_assert(least_inner >= vectors_of_row * lanes);
    static constexpr index square_pitch = most_columns + largest_square * most_channels + row_slack + 32;

    ReadRun<Work> reader() const { return row_reader<AsNumber, Work>(planes_.image.element); }

    /// Whether sums are stored as `To`s as soon as they are computed. Not as all that could be: there are many loops.
    template <class To>
    static constexpr bool stores =
        std::is_same_v<To, Result> ||
        (has_squares &&
         (std::is_same_v<To, std::uint8_t> ||
          std::is_same_v<To, std::conditional_t<std::is_same_v<Result, float>, std::uint16_t, std::int16_t>>));

    template <class To>
    using Rows = detail::ResultRows<To, Work>;

    static bool stores_rows(const MutableStack& out) {
        return visit_dtype(out.element.dtype, [&](auto tag) {
            using To = typename decltype(tag)::type;
            if constexpr (stores<To>) {
                return has_rows_of<To>(out);
            } else {
                return false;
            }
        });
    }

    /// The size of a window that has a loop of its own, or 0.
    index square_size() const {
        const index size = window_.rows.size;
        const bool known = size == window_.columns.size && (size == 3 || size == 5 || size == largest_square);
        const bool near = window_.rows.dilation == 1 && window_.columns.dilation <= most_channels;
        const bool slow = window_.rows.stride <= 2 && window_.columns.stride <= 2;
        return has_squares && known && near && slow ? size : 0;
    }

    /// Whether the taps of neighbouring results lie in few rows of the image, side by side.
    bool has_near_rows() const {
        const auto& [rows, columns] = window_;
        // More rows, a power of two of bytes apart, would compete for places in the first cache.
        return rows.size <= largest_square && rows.stride == 1 && rows.dilation == 1 && columns.stride == 1;
    }

    /// Nanoseconds on one core (Zen 5).
    double cost_of_output() const {
        return 0.2 + 0.25 / static_cast<double>(lanes) * static_cast<double>(window_.taps());
    }

    /// The same for those that are taken together.
    double cost_of_kernels() const { return cost_ * static_cast<double>(together_); }

    TileShape choose_shape() const {
        constexpr double most_bytes = 512 * 1024;
        const MutablePlane& out = planes_.out.first;
        // Windows of one row have none in common, and long rows are what memory is read and written fastest in.
        const index longest = window_.rows.size == 1 ? 4 * most_columns : most_columns;
        const index columns = evenly(out.columns, longest / std::min(window_.columns.step(), longest));
        const index halo = (window_.rows.reach() - 1) / window_.rows.step();
        TileShape shape{std::clamp<index>(2 * halo, std::clamp<index>(32 * most_columns / columns, 8, 32), 128),
                        columns};
        if (buffer_bytes(window_, shape, sizeof(Work)) > most_bytes) {
            shape = choose_tile_for_blocks(out.rows, out.columns, window_, sizeof(Work), cost_);
        }
        shape.rows = std::clamp<index>(out.rows, 1, shape.rows);
        while (static_cast<double>(shape.rows * shape.columns) * cost_of_kernels() > longest_task && shape.rows > 1) {
            shape.rows = (shape.rows + 1) / 2;
        }
        shape.columns = round_up(shape.columns, planes_.channels);
        return shape;
    }

    /// Rows of results that are kept until they are written: all where they are added up block by block.
    index sums_rows() const { return blocks_.count() > 1 ? shape_.rows : together; }

    /// The buffers of a tile, in its worker's scratch.
    struct Buffers {
        Work* pixels;
        Work* weights;
        Result* sums;
        index* sources;  // of columns left and right of the image

        Buffers(Scratch scratch, const Correlation& owner)
            : pixels(scratch.take<Work>(owner.loader_.size())),
              weights(scratch.take<Work>(owner.blocks_.first().taps())),
              sums(scratch.take<Result>(owner.sums_rows() * owner.sums_pitch_)),
              sources(scratch.take<index>(owner.reads_in_place_ ? owner.loader_.pitch() : 0)) {}
    };

    /// Computes a tile for the kernels of a part of a bank, which use one buffer of pixels.
    void correlate(Tile tile, Scratch scratch) const {
        const Buffers buffers(scratch, *this);
        const index image = tile.plane / parts_;
        const index first = image * kernels_ + tile.plane % parts_ * together_;
        const index last = std::min(first + together_, (image + 1) * kernels_);
        const Tile inner = reads_in_place_ ? inner_part(tile) : Tile{};
        if (inner.rows > 0) {
            return correlate_around(tile, inner, first, last, buffers);
        }
        correlate(tile, first, last, buffers);
    }

    /// The part of a tile whose windows lie within the image; without rows if it is not worth its edges.
    Tile inner_part(const Tile& tile) const {
        const ConstPlane& image = planes_.image.first;
        const auto rows = window_.rows.inside(tile.row, tile.rows, image.rows);
        const auto columns = window_.columns.inside(tile.column, tile.columns, image.columns);
        const index least =
            std::max(least_inner, window_.columns.reach());  // so that the edges fit a row of the buffer
        const bool large = rows.end - rows.begin >= together && columns.end - columns.begin >= least;
        return large ? Tile{tile.plane, tile.row + rows.begin, tile.column + columns.begin, rows.end - rows.begin,
                            columns.end - columns.begin}
                     : Tile{};
    }

    /// Computes the inner part of a tile from the image itself, and its edges from a buffer.
    void correlate_around(const Tile& tile, const Tile& inner, index first, index last, const Buffers& buffers) const {
        const index above = inner.row - tile.row;
        const index bottom = inner.row + inner.rows;
        const Tile edges[] = {
            {0, tile.row, tile.column, above, tile.columns},
            {0, bottom, tile.column, tile.rows - above - inner.rows, tile.columns},
        };
        for (const Tile& edge : edges) {
            if (edge.rows > 0) {
                correlate(edge, first, last, buffers);
            }
        }
        Tile own = inner;
        for (own.plane = first; own.plane < last; ++own.plane) {
            detail::copy_weights<Weight>(kernel_.plane(own.plane), blocks_[0], buffers.weights);
            correlate_inside(own, buffers.weights);
            if (inner.columns < tile.columns) {
                correlate_beside(tile, own, buffers, own.plane == first);
            }
        }
    }

    /// Computes what lies left and right of the inner part of a tile, side by side in a buffer, of pixels that have to
    /// be brought there or are there.
    void correlate_beside(const Tile& tile, const Tile& inner, const Buffers& buffers, bool loads) const {
        const index left = inner.column - tile.column;
        const index right = tile.columns - left - inner.columns;
        const index halo = window_.columns.reach() - 1;
        const index second = left > 0 ? left + halo : 0;  // where those on the right begin
        const index count = second + (right > 0 ? right : -halo);
        for (index i = 0; loads && i < count + halo; ++i) {
            const index column = i < second ? tile.column + i : inner.column + inner.columns + i - second;
            buffers.sources[i] = planes_.column_at(window_.columns.position(column));
        }
        const ConstPlane source = planes_.image.plane(inner.plane / kernels_);
        const MutablePlane target = planes_.out.plane(inner.plane);
        const index pitch = count + halo + row_slack;
        const detail::Taps taps{window_.rows.size, window_.columns.size, pitch, offsets_.data()};
        index loaded = 0;
        for (index y = 0; y < inner.rows;) {
            const index here = y + together <= inner.rows ? rows_at_once(blocks_[0]) : 1;
            for (; loads && loaded < y + here + window_.rows.size - 1; ++loaded) {
                const index row = window_.rows.position(inner.row) + loaded;
                gather(reinterpret_cast<const Work*>(source.at(row, 0)), buffers.sources, count + halo,
                       buffers.pixels + loaded * pitch);
            }
            const Rows<Result> results{buffers.sums, sums_pitch_, false, false, start_};
            sum_windows(buffers.pixels + y * pitch, taps, buffers.weights, here, count, results);
            for (index row = 0; row < here; ++row, ++y) {
                const Result* const sums = buffers.sums + row * sums_pitch_;
                auto* const to = reinterpret_cast<Result*>(target.at(inner.row + y, tile.column));
                std::copy_n(sums, left, to);
                std::copy_n(sums + second, right, to + left + inner.columns);
            }
        }
    }

    void gather(const Work* row, const index* sources, index count, Work* pixels) const {
        for (index i = 0; i < count; ++i) {
            pixels[i] = sources[i] == no_source ? fill_ : row[sources[i]];
        }
    }

    void correlate_inside(const Tile& tile, const Work* weights) const {
        const ConstPlane source = planes_.image.plane(tile.plane / kernels_);
        const MutablePlane target = planes_.out.plane(tile.plane);
        const index pitch = source.row_stride / index{sizeof(Work)};
        const index at_once = rows_at_once(blocks_[0]);
        const index column = window_.columns.position(tile.column);
        for (index y = 0; y < tile.rows;) {
            const index count = y + at_once <= tile.rows ? at_once : 1;
            const auto* first = reinterpret_cast<const Work*>(source.at(window_.rows.position(tile.row + y), column));
            const Rows<Result> results{reinterpret_cast<Result*>(target.at(tile.row + y, tile.column)),
                                       target.row_stride / index{sizeof(Result)}, true, false, start_};
            const detail::Taps taps{window_.rows.size, window_.columns.size, pitch, offsets_.data()};
            sum_windows(first, taps, weights, count, tile.columns, results);
            y += count;
        }
    }

    /// Computes a tile for kernels [first, last) by way of a buffer.
    void correlate(Tile tile, index first, index last, const Buffers& buffers) const {
        for (tile.plane = first; tile.plane < last; ++tile.plane) {
            for (index i = 0; i < blocks_.count(); ++i) {
                correlate(tile, buffers, blocks_[i], tile.plane == first || blocks_.count() > 1);
            }
            for (index y = 0; blocks_.count() > 1 && y < tile.rows; ++y) {
                write(tile, y, buffers.sums + y * sums_pitch_);
            }
        }
    }

    /// Correlates with the taps of a block, of pixels that have to be loaded or are there.
    void correlate(const Tile& tile, const Buffers& buffers, const WindowBlocks::Block& block, bool loads) const {
        detail::copy_weights<Weight>(kernel_.plane(tile.plane), block, buffers.weights);
        const TileLoader<Work> loader =
            loader_.shifted(block.row * window_.rows.dilation, block.column * window_.columns.dilation);
        const index at_once = rows_at_once(block);
        const index apart = window_.rows.stride == 1 ? window_.rows.dilation : 1;
        index loaded = 0;
        const auto compute = [&](index y, index count) {
            const index last = y + (count - 1) * apart;
            const index end = last * blocks_.first().rows.step() + blocks_.first().rows.reach();
            for (; loads && loaded < end; ++loaded) {  // when they are needed, so that they are near
                load_row(tile, loader, loaded, buffers);
            }
            sum_rows(tile, buffers, block, y, count, apart);
        };
        // Outputs that lie a dilation apart have rows of taps in common.
        for (index start = 0; start < tile.rows; start += at_once * apart) {
            for (index y = start; y < std::min(start + apart, tile.rows); ++y) {
                if (y + (at_once - 1) * apart < tile.rows) {
                    compute(y, at_once);
                } else {
                    for (index single = y; single < tile.rows; single += apart) {
                        compute(single, 1);
                    }
                }
            }
        }
    }

    /// Outputs of a column that are computed together, by the rows of taps that they have in common.
    index rows_at_once(const WindowBlocks::Block& block) const {
        if (square_ > 0) {
            return together;
        }
        if (window_.rows.stride > 1 || block.rows == 1) {
            return 1;
        }
        return std::min<index>(block.rows, together);
    }

    /// Brings row `y` of the buffer.
    void load_row(const Tile& tile, const TileLoader<Work>& loader, index y, const Buffers& buffers) const {
        const ConstPlane source = planes_.image.plane(tile.plane / kernels_);
        detail::bring_pixels_near(planes_.image, window_.columns, tile, tile.plane / kernels_,
                                  loader.row_position(tile.row, tile.rows, y + 1));
        loader.load_row(source, loader.row_position(tile.row, tile.rows, y), tile.column, tile.columns,
                        buffers.pixels + y * loader.pitch());
    }

    /// Computes the outputs y, y + apart, ... of a tile, `count` of them, from rows that have been loaded.
    void sum_rows(const Tile& tile, const Buffers& buffers, const WindowBlocks::Block& block, index y, index count,
                  index apart) const {
        const detail::Taps taps{block.rows, block.columns, window_.rows.dilation * loader_.pitch(), offsets_.data()};
        const Work* const first = buffers.pixels + y * loader_.output_pitch();
        if (in_place_ && tile.columns >= vectors_of_row * lanes) {
            const MutablePlane target = planes_.out.plane(tile.plane);
            std::byte* const to = target.at(tile.row + y, tile.column);
            return visit_dtype(planes_.out.element.dtype, [&](auto tag) {
                using To = typename decltype(tag)::type;
                if constexpr (stores<To>) {
                    const index pitch = count > 1 ? apart * target.row_stride / index{sizeof(To)} : 0;
                    sum_windows<To>(first, taps, buffers.weights, count, tile.columns,
                                    {reinterpret_cast<To*>(to), pitch, true, false, start_});
                }
            });
        }
        const bool adds = blocks_.count() > 1;
        Rows<Result> results{buffers.sums, sums_pitch_, false, false, start_};
        if (adds) {
            results.first += y * sums_pitch_;
            results.pitch *= apart;
            results.adds = block.row + block.column > 0;
        }
        sum_windows<Result>(first, taps, buffers.weights, count, tile.columns, results);
        for (index row = 0; row < count && !adds; ++row) {
            write(tile, y + row * apart, buffers.sums + row * sums_pitch_);
        }
    }

    template <class To>
    void sum_windows(const Work* first, const detail::Taps& taps, const Work* weights, index rows, index columns,
                     const Rows<To>& results) const {
        if (rows == 1) {
            return sum_taps<1, vectors_of_row>(first, taps, weights, columns, results);
        }
        if constexpr (has_squares) {
            switch (square_) {
                case 3: return sum_square<3>(first, taps, weights, columns, results);
                case 5: return sum_square<5>(first, taps, weights, columns, results);
                case largest_square: return sum_square<largest_square>(first, taps, weights, columns, results);
                default: break;
            }
        }
        if (rows == 2) {
            return sum_taps<2, vectors_of_row>(first, taps, weights, columns, results);
        }
        if (rows == 3) {
            return sum_taps<3, vectors_of_row>(first, taps, weights, columns, results);
        }
        sum_taps<together, vectors>(first, taps, weights, columns, results);
    }

    template <int rows, int wide, class To>
    static __attribute__((noinline)) void sum_taps(const Work* first, const detail::Taps& taps, const Work* weights,
                                                   index columns, const Rows<To>& results) {
        const detail::Taps own = taps;  // a copy that no store can change
        detail::sum_rows<Work, Result, rows, wide>(columns, results, [&](index x, auto& tile) IMKERNELS_INLINE_LAMBDA {
            detail::add_taps(first + x, own, weights, tile);
        });
    }

    template <int K, class To>
    void sum_square(const Work* first, const detail::Taps& taps, const Work* weights, index columns,
                    const Rows<To>& results) const {
        if constexpr (std::is_same_v<To, Result>) {
            if (taps.pitch != square_pitch) {
                const index apart = window_.columns.dilation;
                return apart == 1 ? sum_square_inside<K, 1>(first, taps.pitch, apart, weights, columns, results)
                                  : sum_square_inside<K, 0>(first, taps.pitch, apart, weights, columns, results);
            }
        }
        if (window_.rows.stride == 1) {
            sum_square<K, 1>(first, weights, columns, results);
        } else {
            sum_square<K, 2>(first, weights, columns, results);
        }
    }

    template <int K, int step, class To>
    __attribute__((noinline)) void sum_square(const Work* first, const Work* weights, index columns,
                                              const Rows<To>& results) const {
        constexpr bool in_registers = K * K <= 25 && vector_bytes == 64;  // the weights
        Work own[K * K];                                                  // a copy that no store can change
        std::copy_n(weights, K * K, own);
        const Work* starts[K];
        detail::repeat<K>([&](auto column) { starts[column] = first + offsets_[column]; });
        detail::sum_rows<Work, Result, together, vectors_of_square>(
            columns, results, [&](index x, auto& tile) IMKERNELS_INLINE_LAMBDA {
                const Work* taps[K];
                detail::repeat<K>([&](auto column) { taps[column] = opaque(starts[column] + x); });
                detail::add_square<K, step, square_pitch>(taps, in_registers ? own : opaque(weights), tile);
            });
    }

    /// The same from rows of an image, of taps that lie `near` elements apart in a row, or if that is 0 `apart`.
    template <int K, index near, class To>
    static __attribute__((noinline)) void sum_square_inside(const Work* first, index pitch, index apart,
                                                            const Work* weights, index columns,
                                                            const Rows<To>& results) {
        constexpr bool in_registers = K * K <= 25 && vector_bytes == 64;  // the weights
        Work own[K * K];                                                  // a copy that no store can change
        std::copy_n(weights, K * K, own);
        detail::sum_rows<Work, Result, together, vectors_of_square>(
            columns, results, [&](index x, auto& tile) IMKERNELS_INLINE_LAMBDA {
                const Work* lines[together + K - 1];
                detail::repeat<together + K - 1>([&](auto row) { lines[row] = opaque(first + row * pitch + x); });
                detail::add_square<K>(lines, near != 0 ? near : apart, in_registers ? own : opaque(weights), tile);
            });
    }

    void write(const Tile& tile, index y, const Result* sums) const {
        const MutablePlane target = planes_.out.plane(tile.plane);
        write_(sums, tile.columns, target.at(tile.row + y, tile.column), target.column_stride);
    }

    const WidePlanes& planes_;
    const ConstStack& kernel_;
    index kernels_;   // of an image
    index together_;  // of those
    index parts_;     // of a bank
    Window2D window_;
    index square_;
    double cost_;
    TileShape shape_;
    WindowBlocks blocks_;
    TileLoader<Work> loader_;
    Work fill_;
    Work start_;  // of sums
    WriteRun<Result> write_;
    bool in_place_;
    bool reads_in_place_;
    index sums_pitch_;
    std::vector<index> offsets_;  // of a block's taps in a row of the buffer
};

void run(const WidePlanes& planes, const ConstStack& kernel, index kernels, const std::byte* fill,
         const SumEnding& ending, int workers) {
    const auto with = [&]<class Work, class Result, class Weight> {
        Correlation<Work, Result, Weight>(planes, kernel, kernels, fill, ending).run(workers);
    };
    const double largest = detail::largest_result(planes.image.element.dtype, {&kernel}, ending);
    detail::visit_sums(kernel.element.dtype, largest, with);
}
}  // namespace

double cost_of_correlation(const Window2D& window, index item_size) {
    return 0.2 + 0.127 * static_cast<double>(window.taps()) * static_cast<double>(item_size) /
                     static_cast<double>(vector_bytes);
}

void correlate(const ConstStack& image, const ConstStack& kernel, const MutableStack& out, const Window2D& window,
               const std::byte* fill, const SumEnding& ending, int workers) {
    require(kernel.first.rows == window.rows.size && kernel.first.columns == window.columns.size,
            "correlate: the window has the shape of the kernel");
    require(!kernel.element.swapped, "correlate: the kernel is in native byte order");
    require(detail::visit_weights(kernel.element.dtype, [](auto) {}),
            "correlate: the kernel is int32, int64, float32 or float64");
    ConstStack weights = kernel;
    WidePlanes planes = detail::planes_of_kernels(image, out, window, {&weights});
    const detail::KernelBank bank = detail::kernel_bank(planes.image, weights, planes.out);
    planes.image = bank.image;
    planes.out = bank.out;
    run(planes, bank.kernel, bank.kernels, fill, ending, workers);
}

}  // namespace imkernels
