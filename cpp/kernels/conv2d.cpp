// Direct convolution over channels: every output is the sum of C / groups correlations, C / groups * K_h * K_w
// multiply-adds, in one of two ways.
//
// Many output channels lie in the lanes of vectors. The leaf loop (detail/channel_lanes.hpp) meets a few pixels, each a
// number in all lanes, with the weights of one tap after the other, packed so that they follow each other; its sums
// stay in registers. Pixels are found by offsets in a tile of the padded input, or in a small image itself, so that
// strides, dilations and the width of an image cost nothing. This is the register blocking of Georganas et al.,
// "Anatomy of high-performance deep learning convolutions on SIMD architectures" (2018), without their blocked layouts:
// sums are transposed when they are written.
//
// With few output channels, or few taps, lanes are neighbouring pixels (detail/pixel_lanes.hpp).
//
// Each sum is added up in one order, wherever its pixel lies and whoever computes it: channel by channel and tap by
// tap, or tap by tap those of the channels that are loaded together. A tile of the input is cut by channels, and large
// windows by taps, so that no buffer but that of the packed weights grows.
#include "kernels/conv2d.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "core/check.hpp"
#include "kernels/detail/channel_lanes.hpp"
#include "kernels/detail/layer.hpp"
#include "kernels/detail/pixel_lanes.hpp"
#include "kernels/detail/result_writer.hpp"
#include "kernels/detail/weights.hpp"
#include "rows/tile_grid.hpp"
#include "rows/window_blocks.hpp"

namespace imkernels {

namespace {
/// Whether the weights of an output channel follow each other.
bool has_dense_channels(const ConstStack& weight, index size) {
    const ConstPlane& kernel = weight.first;
    return kernel.column_stride == size && kernel.row_stride == kernel.columns * size &&
           weight.leading[1].stride == kernel.rows * kernel.row_stride;
}

/// Copies the weights of an output channel, `count` of them.
template <class Work>
void copy_weights(const ConstStack& weight, index channel, index count, Work* target) {
    constexpr index size = sizeof(Work);
    ConstPlane kernel = weight.first;
    kernel.data += channel * weight.leading[0].stride;
    if (has_dense_channels(weight, size)) {
        std::memcpy(target, kernel.data, static_cast<std::size_t>(count * size));
        return;
    }
    for (const Work* const end = target + count; target < end; kernel.data += weight.leading[1].stride) {
        for (index row = 0; row < kernel.rows; ++row) {
            for (index column = 0; column < kernel.columns; ++column) {
                std::memcpy(target++, kernel.at(row, column), size);
            }
        }
    }
}

/// Writes the results of a tile of one channel, whose rows lie `pitch` elements apart.
template <class Result>
void write_tile(const detail::ResultWriter<Result, FromNumber>& write, const Tile& tile, const Result* results,
                index pitch, const MutablePlane& target) {
    const bool one_run = tile.columns == pitch && tile.columns == target.columns &&
                         target.row_stride == target.columns * target.column_stride;
    const index length = one_run ? tile.rows * tile.columns : tile.columns;
    for (index row = 0; row < (one_run ? 1 : tile.rows); ++row) {
        write(results + row * pitch, length, target.at(tile.row + row, tile.column), target.column_stride);
    }
}

/// Neighbouring pixels in the lanes of vectors: for few output channels, as in a depthwise convolution, and for few
/// taps.
template <class Result>
class FewChannels {
public:
    FewChannels(const ConstStack& x, const ConstStack& weight, const std::byte* bias, const MutableStack& out,
                const detail::Layer& layer)
        : x_(x),
          weight_(weight),
          out_(out),
          layer_(layer),
          shape_(choose_tile_for_blocks(out.first.rows, out.first.columns, layer.window, sizeof(Work), cost_of(layer))),
          blocks_(layer.window, shape_, sizeof(Work)),
          tile_(blocks_.first(), shape_.rows, shape_.columns, ColumnLayout::phases, x),
          together_(blocks_.count() > 1 ? 1 : std::clamp<index>(near / tile_.size(), 1, std::max<index>(1, layer_.in))),
          one_step_(blocks_.count() == 1 && together_ >= layer_.in),
          pitch_(one_step_ ? shape_.columns : shape_.columns + row_slack),
          write_(out),
          in_place_(one_step_ && has_rows_of<Result>(out) && !write_.streams()),
          offsets_(detail::tap_offsets(tile_, blocks_.first(), together_)),
          starts_(static_cast<std::size_t>(layer.groups * padded_out())) {
        require(tile_.can_read(), "conv2d: no loop for these element types");
        for (index o = 0; bias != nullptr && o < layer.groups * layer_.out; ++o) {
            std::memcpy(&starts_[static_cast<std::size_t>(o / layer_.out * padded_out() + o % layer_.out)],
                        bias + o * static_cast<index>(sizeof(Work)), sizeof(Work));
        }
    }

    void run(int workers) {
        pack_weights();
        const std::size_t bytes = Scratch::bytes<Work>(tile_.sizes(together_)) +
                                  Scratch::bytes<Work>((one_step_ ? most_outs : most_width) * channel_pitch());
        const TileGrid grid(layer_.images * layer_.groups * ceil_div(layer_.out, most_width), out_.first.rows,
                            out_.first.columns, shape_, cost_of(layer_), 1);
        grid.for_each(bytes, workers, [&](const Tile& tile, Scratch scratch) { convolve(tile, scratch); });
    }

private:
    using Work = detail::Summand<Result>;

    static constexpr index most_outs = detail::most_outs;
    static constexpr index most_width = 2 * most_outs;  // output channels of a task
    static constexpr index near = index{256} * 1024 / static_cast<index>(sizeof(Work));

    /// Nanoseconds per pixel of the output channels of a task.
    static double cost_of(const detail::Layer& layer) {
        return 0.5 + static_cast<double>(std::min(layer.out, most_width) * std::max<index>(1, layer.taps())) /
                         static_cast<double>(2 * lane_count<Work>);
    }

    index padded_out() const { return round_up(layer_.out, most_outs); }
    index channel_pitch() const { return shape_.rows * pitch_ + row_slack; }
    /// Output channels from `first` on that are computed together: 1, 2, 4 or 8.
    index outs_from(index first) const {
        const index left = layer_.out - first;
        if (left >= most_outs) {
            return most_outs;
        }
        return left > 2 ? 4 : left;
    }

    /// Brings the weights of output channels that are computed together together, tap by tap.
    void pack_weights() {
        const index taps = layer_.taps();
        packed_.resize(static_cast<std::size_t>(layer_.groups * padded_out() * taps));
        std::vector<Work> line(static_cast<std::size_t>(taps));
        for (index group = 0; group < layer_.groups; ++group) {
            for (index first = 0; first < layer_.out; first += outs_from(first)) {
                const index outs = outs_from(first);
                for (index o = 0; o < std::min(outs, layer_.out - first); ++o) {
                    copy_weights(weight_, group * layer_.out + first + o, taps, line.data());
                    Work* target = packed_.data() + (group * padded_out() + first) * taps + o;
                    for (const Work weight : line) {
                        *target = weight;
                        target += outs;
                    }
                }
            }
        }
    }

    void convolve(const Tile& tile, Scratch scratch) const {
        Work* inputs = scratch.take<Work>(tile_.sizes(together_));
        Work* sums = scratch.take<Work>((one_step_ ? most_outs : most_width) * channel_pitch());
        const index portions = ceil_div(layer_.out, most_width);
        const index number = tile.plane / portions;  // of a group of an image
        const index first = tile.plane % portions * most_width;
        const index last = std::min(first + most_width, layer_.out);
        for (index c = 0; c == 0 || c < layer_.in; c += together_) {
            const index count = std::min(together_, layer_.in - c);
            for (index i = 0; i < blocks_.count(); ++i) {
                const WindowBlocks::Block block = blocks_[i];
                for (index j = 0; j < count; ++j) {
                    tile_.load(x_.plane(number * layer_.in + c + j), tile.row, tile.column, tile.rows, tile.columns,
                               block.row, block.column, inputs + j * tile_.size());
                }
                const index tap = c * layer_.window.taps() + block.row * layer_.window.columns.size + block.column;
                for (index o = first; o < last; o += outs_from(o)) {
                    const Part part{number % layer_.groups * padded_out() + o, outs_from(o), count, tap};
                    if (fits_in_place(tile, part, last - o)) {
                        add_block(tile, part, block, inputs, results(tile, number * layer_.out + o));
                        continue;
                    }
                    const Sums target = one_step_ ? Sums{sums, tile.columns, channel_pitch()}
                                                  : Sums{sums + (o - first) * channel_pitch(), pitch_, channel_pitch()};
                    add_block(tile, part, block, inputs, target);
                    if (one_step_) {
                        write(tile, number * layer_.out + o, std::min(part.outs, last - o), sums);
                    }
                }
            }
        }
        if (!one_step_) {
            write(tile, number * layer_.out + first, last - first, sums);
        }
        write_.finish();
    }

    /// Where sums are added up: rows lie `row_pitch` elements apart, channels `channel_pitch`. In a single step rows
    /// may follow each other: what is written past the end of one is overwritten.
    struct Sums {
        Work* first;
        index row_pitch, channel_pitch;
    };

    /// A tile of results from a channel on. Signed and unsigned types of one size may alias.
    Sums results(const Tile& tile, index channel) const {
        constexpr index size = sizeof(Work);
        return {reinterpret_cast<Work*>(out_.plane(channel).at(tile.row, tile.column)), out_.first.row_stride / size,
                out_.leading.back().stride / size};
    }

    /// Output channels that are computed together, of which packed weights and starts begin at `out`, and the input
    /// channels that are loaded, of which the weights begin at `tap`.
    struct Part {
        index out, outs;
        index channels, tap;
    };

    /// Whether the sums of a part, for `outs` channels, can be added up where results go: of a row long enough the last
    /// vectors overlap, so that nothing is written past its end.
    bool fits_in_place(const Tile& tile, const Part& part, index outs) const {
        return in_place_ && tile.columns >= 2 * lane_count<Work> && part.outs <= outs;
    }

    void add_block(const Tile& tile, const Part& part, const WindowBlocks::Block& block, const Work* inputs,
                   const Sums& sums) const {
        const Work* weights = packed_.data() + part.out * layer_.taps() + part.tap * part.outs;
        const Work* starts = part.tap == 0 ? starts_.data() + part.out : nullptr;
        const detail::OutputRows rows{tile.rows, tile.columns, tile_.output_pitch(), sums.row_pitch};
        const detail::Taps taps{block.rows, block.columns, tile_.tap(1, 0), offsets_.data()};
        if (part.outs == 1 && taps.pitch == rows.pixel_pitch) {
            return add_rows(rows, {taps, part.channels, tile_.size()}, weights, inputs, starts, sums.first);
        }
        auto* leaf = detail::add_weighted_vectors<Work, most_outs>;
        if (part.outs == 1) {
            leaf = detail::add_weighted_vectors<Work, 1>;
        } else if (part.outs == 2) {
            leaf = detail::add_weighted_vectors<Work, 2>;
        } else if (part.outs < most_outs) {
            leaf = detail::add_weighted_vectors<Work, 4>;
        }
        leaf(inputs, offsets_.data(), part.channels * block.rows * block.columns, weights, starts, rows, sums.first,
             sums.channel_pitch);
    }

    /// Adds up a few rows of outputs at a time.
    static void add_rows(const detail::OutputRows& outputs, const detail::ChannelTaps& taps, const Work* weights,
                         const Work* inputs, const Work* start, Work* sums) {
        const index together = std::min(detail::most_rows, taps.taps.rows);
        for (index row = 0; row < outputs.rows; row += together) {
            detail::with_count<detail::most_rows>(std::min(together, outputs.rows - row), [&](auto rows) {
                auto* leaf = outputs.columns > lane_count<Work> ? detail::add_weighted_rows<Work, rows, 2>
                                                                : detail::add_weighted_rows<Work, rows, 1>;
                leaf(inputs + row * outputs.pixel_pitch, taps, weights, start, outputs, sums + row * outputs.sum_pitch);
            });
        }
    }

    void write(const Tile& tile, index channel, index count, const Work* sums) const {
        for (index o = 0; o < count; ++o) {
            // Signed and unsigned types of one size may alias.
            write_tile(write_, tile, reinterpret_cast<const Result*>(sums + o * channel_pitch()),
                       one_step_ ? tile.columns : pitch_, out_.plane(channel + o));
        }
    }

    const ConstStack& x_;
    const ConstStack& weight_;
    const MutableStack& out_;
    detail::Layer layer_;
    TileShape shape_;
    WindowBlocks blocks_;
    ZeroPaddedTile<Work> tile_;
    index together_;  // input channels that are loaded together
    bool one_step_;   // they are all
    index pitch_;     // of rows of sums
    detail::ResultWriter<Result, FromNumber> write_;
    bool in_place_;               // sums are added up where results go
    std::vector<index> offsets_;  // of the taps of a block in the channels
    std::vector<Work> starts_;    // the bias
    std::vector<Work> packed_;
};

/// Neighbouring outputs along an axis whose windows have the taps [begin, end) on the image.
struct OutputRun {
    index first, count;
    index begin, end;
};

/// The runs of the outputs [first, first + count), those counted from 0; how many there are.
index find_runs(const WindowAxis& axis, index extent, index first, index count, OutputRun* runs) {
    index number = 0;
    for (index i = 0; i < count; ++i) {
        const index position = axis.position(first + i);
        const index end = std::clamp<index>(ceil_div(extent - position, axis.dilation), 0, axis.size);
        const index begin = std::min(axis.first_tap_inside(first + i), end);
        if (number > 0 && runs[number - 1].begin == begin && runs[number - 1].end == end) {
            ++runs[number - 1].count;
        } else {
            runs[number++] = {i, 1, begin, end};
        }
    }
    return number;
}

/// Output channels in the lanes of vectors: a number of the image meets the weights of a tap for all of them. Output
/// pixels can lie anywhere, so that no lane is ever idle for the sake of a short row. Those whose windows have the same
/// taps on the image are computed together, without the others, which would meet zeros.
template <class Result>
class ManyChannels {
public:
    ManyChannels(const ConstStack& x, const ConstStack& weight, const std::byte* bias, const MutableStack& out,
                 const detail::Layer& layer)
        : x_(x),
          weight_(weight),
          bias_(bias),
          out_(out),
          layer_(layer),
          batch_(choose_batch()),
          width_(choose_width()),
          cost_(static_cast<double>(width_ * std::max<index>(1, layer.taps())) / static_cast<double>(4 * lanes)),
          shape_(choose_shape()),
          blocks_(layer.window, shape_, sizeof(Work)),
          tile_(blocks_.first(), shape_.rows, shape_.columns, ColumnLayout::dense, x),
          together_(blocks_.count() > 1 ? 1 : choose_together()),
          in_place_(can_read_in_place()),
          packs_late_(batches() == 1 && blocks_.count() == 1 && is_whole_image()),
          write_(out) {
        require(tile_.can_read(), "conv2d: no loop for these element types");
    }

    void run(int workers) {
        if (!packs_late_) {
            pack_weights(workers);
        }
        const index parts = batches() * layer_.groups * ceil_div(layer_.out, width_);
        const TileGrid grid(parts, out_.first.rows, out_.first.columns, shape_, cost_ * static_cast<double>(batch_), 1);
        grid.for_each(scratch_bytes(), workers, [&](const Tile& tile, Scratch scratch) { convolve(tile, scratch); });
    }

private:
    using Work = detail::Summand<Result>;

    static constexpr index lanes = lane_count<Work>;
    static constexpr index block_width = detail::most_vectors * lanes;
    static constexpr index most_width = 256 / block_width * block_width;  // output channels of a task
    static constexpr index few_tasks = 8;      // below which threads would have nothing to do
    static constexpr index most_pixels = 512;  // of small images that share a task
    /// What of the inputs, of the weights and of the sums is near while it is used.
    static constexpr index near = index{512} * 1024 / static_cast<index>(sizeof(Work));

    index pixels() const { return out_.first.rows * out_.first.columns; }

    /// Small images share a task, so that they share the loading of the weights, and so that none of them leaves a part
    /// of the sums that registers hold idle: the more the better, as long as there are tasks for many threads.
    index choose_batch() const {
        const index fair = layer_.images * layer_.groups * ceil_div(layer_.out, block_width) / few_tasks;
        const index size = std::max<index>(1, pixels());
        return evenly(layer_.images, std::min(most_pixels / size, std::max(most_pixels / 2 / size, fair)));
    }
    index batches() const { return ceil_div(layer_.images, batch_); }

    /// Many output channels share the loading of the input, but not at the price of idle threads.
    index choose_width() const {
        const index parts = batches() * layer_.groups * ceil_div(pixels(), most_pixels / 2);
        index width = most_width;
        while (width > block_width && parts * ceil_div(layer_.out, width) < few_tasks) {
            width = round_up(width / 2, block_width);
        }
        return std::min(round_up(layer_.out, lanes), width);
    }

    TileShape choose_shape() const {
        // Inputs and sums are near; tiles are wide, but not so wide that windows overlap in a single row of them.
        const index fair = batches() * layer_.groups * pixels() * ceil_div(layer_.out, width_) / few_tasks;
        const index room = std::min(near / width_, std::max<index>(256, near / std::max<index>(1, choose_together())));
        const index in_time = static_cast<index>(longest_task / (cost_ * static_cast<double>(batch_)));
        const index most = std::max<index>(1, std::min({room, std::max<index>(fair, 64), in_time}));
        const index widest = out_.first.rows == 1 ? most : std::min(most, std::max<index>(32, most / 8));
        const index columns = evenly(out_.first.columns, widest);
        return {evenly(out_.first.rows, std::max<index>(1, most / columns)), columns};
    }

    /// As many as there is room for their weights; the order of addition hangs on it, and so on nothing else.
    index choose_together() const {
        constexpr index most = 256;
        return evenly(layer_.in, std::clamp<index>(near / 2 / (block_width * layer_.window.taps()), 1, most));
    }

    index most_sums() const { return batch_ * shape_.rows * shape_.columns; }
    index results_pitch() const { return round_up(most_sums(), lanes); }

    /// Weights of a block of output channels start here; tap by tap those of all channels, up to whole vectors.
    index packed_at(index group, index first) const {
        return (group * round_up(layer_.out, lanes) + first) * layer_.taps();
    }

    static index width_of_block(index first, index last) {
        return std::min(block_width, round_up(last - first, lanes));
    }

    bool is_whole_image() const { return shape_.rows == out_.first.rows && shape_.columns == out_.first.columns; }

    /// Input channels from `c` on that are loaded together.
    index channels_from(index c) const { return std::min(together_, layer_.in - c); }

    /// Small images whose channels follow each other are near as they are.
    bool can_read_in_place() const {
        const ConstPlane& image = x_.first;
        constexpr index size = sizeof(Work);
        return is_whole_image() && blocks_.count() == 1 && has_rows_of<Result>(x_) &&
               image.rows * image.columns <= most_pixels &&
               (image.rows == 1 || image.row_stride == image.columns * size) &&
               x_.leading.back().stride == image.rows * image.columns * size;
    }

    index packed_together() const { return block_width * together_ * layer_.window.taps(); }

    /// Packs all weights. Where one task alone needs those of an output channel, it does so itself, a part at a time,
    /// so that they need not be brought from afar again.
    void pack_weights(int workers) {
        packed_ =
            std::make_unique_for_overwrite<Work[]>(static_cast<std::size_t>(packed_at(layer_.groups, 0) + cache_line));
        first_packed_ = packed();
        const index blocks = ceil_div(layer_.out, block_width);
        const index parts = ceil_div(layer_.in, together_);
        parallel_for({layer_.groups * blocks * parts, static_cast<double>(packed_together()), 0, workers},
                     [&](index number, Scratch) {
                         const index group = number / parts / blocks;
                         const index first = number / parts % blocks * block_width;
                         const index c = number % parts * together_;
                         const index at =
                             packed_at(group, first) + c * layer_.window.taps() * width_of_block(first, layer_.out);
                         pack(group, first, c, first_packed_ + at);
                     });
    }

    /// Packs the weights of a block of output channels and of the input channels from `c` on that are loaded together:
    /// tap by tap those of all these.
    void pack(index group, index block, index c, Work* target) const {
        const index first = group * layer_.out + block;
        const index width = width_of_block(block, layer_.out);
        const index outs = std::min(width, layer_.out - block);
        const Work* const dense = dense_weights(first);
        const bool fill_square = dense != nullptr && channels_from(c) * layer_.window.taps() >= lanes;
        const index in_squares = fill_square ? outs / lanes * lanes : 0;
        for (index o = 0; o < in_squares; o += lanes) {
            pack_dense(dense + o * layer_.taps(), c, width, target + o);
        }
        if (in_squares < outs) {
            pack_others(first + in_squares, outs - in_squares, c, width, target + in_squares);
        }
    }

    /// Packs those of as many output channels as a vector has lanes, which follow each other, channel by channel.
    void pack_dense(const Work* weights, index c, index width, Work* target) const {
        const index taps = layer_.window.taps();
        const index count = channels_from(c);
        Work square[lanes * lanes];
        index channel = 0;
        index tap = 0;
        for (index done = 0; done < count * taps; done += lanes) {
            const index first = std::min(done, count * taps - lanes);  // the last ones with some of those before
            detail::transpose_square(weights + c * taps + first, layer_.taps(), square, lanes);
            for (index i = done - first; i < lanes; ++i) {
                std::copy_n(square + i * lanes, lanes, target + (tap * count + channel) * width);
                if (++tap == taps) {
                    tap = 0;
                    ++channel;
                }
            }
        }
    }

    /// Packs those of `outs` output channels, with zeros up to whole vectors. In the weights of a gradient they lie
    /// near each other, and input channels far apart.
    void pack_others(index first, index outs, index c, index width, Work* target) const {
        const index count = channels_from(c);
        const index apart = weight_.leading[0].stride;
        for (index channel = 0; channel < count; ++channel) {
            ConstPlane kernel = weight_.first;
            kernel.data += first * apart + (c + channel) * weight_.leading[1].stride;
            for (index tap = 0; tap < layer_.window.taps(); ++tap) {
                const std::byte* source = kernel.at(tap / kernel.columns, tap % kernel.columns);
                Work* const row = target + (tap * count + channel) * width;
                for (index o = 0; o < outs; ++o, source += apart) {
                    std::memcpy(row + o, source, sizeof(Work));
                }
                std::fill(row + outs, row + round_up(outs, lanes), Work{});
            }
        }
    }

    /// Where the weights of an output channel lie, if those of all channels follow each other; nullptr otherwise.
    const Work* dense_weights(index channel) const {
        constexpr index size = sizeof(Work);
        const bool dense = has_rows_of<Result>(weight_) && has_dense_channels(weight_, size) &&
                           weight_.leading[0].stride == layer_.taps() * size;
        // Signed and unsigned types of one size may alias.
        return dense ? reinterpret_cast<const Work*>(weight_.first.data) + channel * layer_.taps() : nullptr;
    }

    /// Where packed weights start: on a cache line.
    Work* packed() {
        constexpr index size = sizeof(Work);
        const auto address = static_cast<index>(reinterpret_cast<std::uintptr_t>(packed_.get()) % cache_line);
        const index skipped = (cache_line - address) % cache_line / size;
        return packed_.get() + skipped;
    }

    /// What a task computes: some output channels of a group, of some images.
    struct Task {
        index image, images;
        index group;
        index first, last;
    };

    Task task(const Tile& tile) const {
        const index chunks = ceil_div(layer_.out, width_);
        const index image = tile.plane / (chunks * layer_.groups) * batch_;
        const index first = tile.plane % chunks * width_;
        return {image, std::min(batch_, layer_.images - image), tile.plane / chunks % layer_.groups, first,
                std::min(first + width_, layer_.out)};
    }

    /// Room of a task.
    struct Buffers {
        Work* inputs;
        const Work** planes;
        index* offsets;
        Work* packed;
        Work* start;
        Work* sums;
        Work* results;
        OutputRun* rows;
        OutputRun* columns;
    };

    std::size_t scratch_bytes() const {
        return Scratch::bytes<Work>(tile_.sizes(batch_ * together_)) + Scratch::bytes<const Work*>(batch_) +
               Scratch::bytes<index>(together_ * blocks_.first().taps()) +
               Scratch::bytes<Work>(packs_late_ ? packed_together() : 0) + Scratch::bytes<Work>(width_) +
               Scratch::bytes<Work>(results_pitch() * width_) + Scratch::bytes<Work>(lanes * results_pitch()) +
               Scratch::bytes<OutputRun>(shape_.rows) + Scratch::bytes<OutputRun>(shape_.columns);
    }

    Buffers buffers(Scratch scratch) const {
        // In braces they are taken in order.
        return {scratch.take<Work>(tile_.sizes(batch_ * together_)),
                scratch.take<const Work*>(batch_),
                scratch.take<index>(together_ * blocks_.first().taps()),
                scratch.take<Work>(packs_late_ ? packed_together() : 0),
                scratch.take<Work>(width_),
                scratch.take<Work>(results_pitch() * width_),
                scratch.take<Work>(lanes * results_pitch()),
                scratch.take<OutputRun>(shape_.rows),
                scratch.take<OutputRun>(shape_.columns)};
    }

    void convolve(const Tile& tile, Scratch scratch) const {
        const Task task = this->task(tile);
        const Buffers buffers = this->buffers(scratch);
        load_bias(task.group * layer_.out + task.first, task.last - task.first, buffers.start);
        const Runs runs = find_runs(tile, task.images, buffers.rows, buffers.columns);
        for (index c = 0; c < layer_.in; c += together_) {
            for (index i = 0; i < blocks_.count(); ++i) {
                add_block(tile, task, runs, c, blocks_[i], buffers);
            }
        }
        for (index o = task.first; o < task.last; o += lanes) {
            write(tile, layer_.out_plane(task.image, task.group, o), task.images, std::min(lanes, task.last - o),
                  buffers.sums + (o - task.first), buffers.results);
        }
        write_.finish();
    }

    /// Loads what the sums of `count` channels start with.
    void load_bias(index channel, index count, Work* start) const {
        std::fill_n(start, width_, Work{});
        if (bias_ != nullptr) {
            std::memcpy(start, bias_ + channel * static_cast<index>(sizeof(Work)),
                        static_cast<std::size_t>(count) * sizeof(Work));
        }
    }

    /// The rows and columns of a tile, by the taps that lie on the image.
    struct Runs {
        const OutputRun* rows;
        index row_count;
        const OutputRun* columns;
        index column_count;
        bool padded;  // some taps lie outside nevertheless
    };

    /// What is added to the sums at a time: a block of taps of some input channels of some images.
    struct Part {
        const Work* const* planes;  // the first tap of the first output of each image
        index pitch, step;          // from an output to the one below and to the one on its right
        const index* offsets;       // of the taps, of each for all channels
        index images, channels;
        WindowBlocks::Block block;
    };

    /// Adds what a block of taps of the input channels from `c` on gives to all sums of a task.
    void add_block(const Tile& tile, const Task& task, const Runs& runs, index c, const WindowBlocks::Block& block,
                   const Buffers& buffers) const {
        const Part part =
            in_place_ && !runs.padded ? find_inputs(task, c, buffers) : load_inputs(tile, task, c, block, buffers);
        const index tap = c * layer_.window.taps() + block.row * layer_.window.columns.size + block.column;
        for (index o = task.first; o < task.last; o += block_width) {
            const index width = width_of_block(o, layer_.out);
            if (packs_late_) {
                pack(task.group, o, c, buffers.packed);
            }
            const Work* const weights =
                packs_late_ ? buffers.packed : first_packed_ + packed_at(task.group, o) + tap * width;
            const index number = o - task.first;
            detail::with_count<detail::most_vectors>(width / lanes, [&](auto vectors) {
                add_part<vectors>(tile, runs, part, weights, tap == 0 ? buffers.start + number : nullptr,
                                  buffers.sums + number);
            });
        }
    }

    /// The input channels from `c` on where they lie. Taps outside the images are left out.
    Part find_inputs(const Task& task, index c, const Buffers& buffers) const {
        const WindowAxis& down = layer_.window.rows;
        const WindowAxis& across = layer_.window.columns;
        const index pitch = x_.first.columns;
        for (index i = 0; i < task.images; ++i) {
            const ConstPlane plane = x_.plane(layer_.in_plane(task.image + i, task.group, c));
            // Signed and unsigned types of one size may alias.
            buffers.planes[i] = reinterpret_cast<const Work*>(plane.data) - down.before * pitch - across.before;
        }
        const WindowBlocks::Block block = blocks_[0];
        find_offsets(block, channels_from(c), pitch * x_.first.rows, buffers.offsets,
                     [&](index row, index column) { return row * down.dilation * pitch + column * across.dilation; });
        return {buffers.planes, down.stride * pitch, across.stride, buffers.offsets,
                task.images,    channels_from(c),    block};
    }

    /// Loads a tile of each of the input channels from `c` on, with zeros around the images.
    Part load_inputs(const Tile& tile, const Task& task, index c, const WindowBlocks::Block& block,
                     const Buffers& buffers) const {
        const index count = channels_from(c);
        Work* inputs = buffers.inputs;
        for (index i = 0; i < task.images; ++i) {
            buffers.planes[i] = inputs;
            const index first = layer_.in_plane(task.image + i, task.group, c);
            for (index plane = first; plane < first + count; ++plane, inputs += tile_.size()) {
                tile_.load(x_.plane(plane), tile.row, tile.column, tile.rows, tile.columns, block.row, block.column,
                           inputs);
            }
        }
        find_offsets(block, count, tile_.size(), buffers.offsets,
                     [&](index row, index column) { return tile_.tap(row, column); });
        return {buffers.planes, tile_.output_pitch(), tile_.output_step(), buffers.offsets, task.images, count, block};
    }

    template <class Tap>
    static void find_offsets(const WindowBlocks::Block& block, index channels, index size, index* offsets,
                             const Tap& tap) {
        for (index row = 0; row < block.rows; ++row) {
            for (index column = 0; column < block.columns; ++column) {
                for (index c = 0; c < channels; ++c) {
                    *offsets++ = tap(row, column) + c * size;
                }
            }
        }
    }

    /// Those rows and columns, if less is multiplied in them than in all outputs as one: a few pixels fill no
    /// registers.
    Runs find_runs(const Tile& tile, index images, OutputRun* rows, OutputRun* columns) const {
        const WindowAxis& down = layer_.window.rows;
        const WindowAxis& across = layer_.window.columns;
        const Runs runs{rows, imkernels::find_runs(down, x_.first.rows, tile.row, tile.rows, rows), columns,
                        imkernels::find_runs(across, x_.first.columns, tile.column, tile.columns, columns), false};
        const auto groups = [](index outputs) {
            return ceil_div(outputs, detail::sums_together<detail::most_vectors>);
        };
        index products = 0;
        for (index i = 0; i < runs.row_count * runs.column_count; ++i) {
            const OutputRun& row = rows[i / runs.column_count];
            const OutputRun& column = columns[i % runs.column_count];
            products += groups(images * row.count * column.count) * (row.end - row.begin) * (column.end - column.begin);
        }
        if (products < groups(images * tile.rows * tile.columns) * layer_.window.taps()) {
            return runs;
        }
        const auto cut = [](index taps, const OutputRun& run) { return run.end - run.begin < taps; };
        const bool padded =
            runs.row_count > 1 || runs.column_count > 1 || cut(down.size, rows[0]) || cut(across.size, columns[0]);
        rows[0] = {0, tile.rows, 0, down.size};
        columns[0] = {0, tile.columns, 0, across.size};
        return {rows, 1, columns, 1, padded};
    }

    /// The taps of a part that lie on the image for some outputs; of a window that is cut, all.
    static detail::FactorRuns taps_inside(const OutputRun& rows, const OutputRun& columns, const Part& part, bool cut) {
        const WindowBlocks::Block& block = part.block;
        if (cut || (rows.end - rows.begin == block.rows && columns.end - columns.begin == block.columns)) {
            return {0, block.rows * block.columns * part.channels, 1, 0};
        }
        const index apart = block.columns * part.channels;
        return {rows.begin * apart + columns.begin * part.channels, (columns.end - columns.begin) * part.channels,
                rows.end - rows.begin, apart};
    }

    /// Adds a part, run by run of outputs with the same taps on the image.
    template <index vectors>
    void add_part(const Tile& tile, const Runs& runs, const Part& part, const Work* weights, const Work* start,
                  Work* sums) const {
        constexpr index together = detail::sums_together<vectors>;
        const Work* pixels[together];
        Work* targets[together];
        for (index i = 0; i < runs.row_count * runs.column_count; ++i) {
            const OutputRun& rows = runs.rows[i / runs.column_count];
            const OutputRun& columns = runs.columns[i % runs.column_count];
            const detail::FactorRuns taps = taps_inside(rows, columns, part, blocks_.count() > 1);
            const index all = part.images * rows.count * columns.count;
            index image = 0;
            index row = 0;
            index column = 0;
            for (index done = 0; done < all; done += together) {
                for (index j = 0; j < together; ++j) {
                    const index y = rows.first + row;
                    const index x = columns.first + column;
                    pixels[j] = part.planes[image] + y * part.pitch + x * part.step;
                    targets[j] = sums + ((image * tile.rows + y) * tile.columns + x) * width_;
                    if (done + j + 1 < all && ++column == columns.count) {  // past the end: the last one again
                        column = 0;
                        if (++row == rows.count) {
                            row = 0;
                            ++image;
                        }
                    }
                }
                detail::add_products<Work, vectors>(pixels, part.offsets, taps, weights, start, targets);
            }
        }
    }

    /// Writes the results of `count` channels of every image, from that of plane `first` of the result on.
    void write(const Tile& tile, index first, index images, index count, const Work* sums, Work* results) const {
        const index pixels = tile.rows * tile.columns;
        for (index i = 0; i < images * pixels; i += lanes) {
            detail::transpose_square(sums + i * width_, width_, results + i, results_pitch());
        }
        for (index i = 0; i < images * count; ++i) {
            const index image = i / count;
            const Work* of_channel = results + i % count * results_pitch() + image * pixels;
            // Signed and unsigned types of one size may alias.
            write_tile(write_, tile, reinterpret_cast<const Result*>(of_channel), tile.columns,
                       out_.plane(first + image * layer_.groups * layer_.out + i % count));
        }
    }

    const ConstStack& x_;
    const ConstStack& weight_;
    const std::byte* bias_;
    const MutableStack& out_;
    detail::Layer layer_;
    index batch_;  // images of a task
    index width_;  // of a row of sums: output channels of a task, up to whole vectors
    double cost_;
    TileShape shape_;
    WindowBlocks blocks_;
    ZeroPaddedTile<Work> tile_;
    index together_;   // input channels that are loaded together
    bool in_place_;    // or read where they lie, if padding is left out
    bool packs_late_;  // each task its weights
    detail::ResultWriter<Result, FromNumber> write_;
    std::unique_ptr<Work[]> packed_;
    Work* first_packed_ = nullptr;
};

/// Whether an output sees nothing but the pixel in its place.
bool is_one_pixel(const Window2D& window) {
    const auto trivial = [](const WindowAxis& axis) { return axis.size == 1 && axis.stride == 1 && axis.before == 0; };
    return trivial(window.rows) && trivial(window.columns);
}

/// Whether two images of the same extents lie in memory without gaps between their rows.
bool same_pixels(const auto& one, const auto& other) {
    const auto dense = [](const auto& plane) { return plane.row_stride == plane.columns * plane.column_stride; };
    return one.rows == other.rows && one.columns == other.columns && dense(one) && dense(other);
}
}  // namespace

void conv2d(ConstStack x, const ConstStack& weight, const std::byte* bias, MutableStack out, const Window2D& window,
            index groups, int workers) {
    if (is_one_pixel(window) && same_pixels(x.first, out.first)) {
        x.first = with_long_rows(x.first);
        out.first = with_long_rows(out.first);
    }
    require(!out.leading.empty() && detail::channels_fit(x, out.leading.back().extent, weight, groups) &&
                detail::same_images(x, out),
            "conv2d: images, channels and weights fit together");
    require(weight.first.rows == window.rows.size && weight.first.columns == window.columns.size,
            "conv2d: the window has the shape of the weights");
    require(!weight.element.swapped, "conv2d: the weights are in native byte order");
    require(window.rows.border == Border::constant && window.columns.border == Border::constant,
            "conv2d: zeros stand outside the images");
    if (out.planes() == 0) {
        return;
    }
    const detail::Layer layer(window, x, out, groups);
    const bool known = detail::visit_weights(weight.element.dtype, [&](auto tag) {
        using Result = typename decltype(tag)::type;
        if (detail::fill_lanes<Result>(layer.out) && !detail::prefer_rows<Result>(layer, out.first.columns)) {
            ManyChannels<Result>(x, weight, bias, out, layer).run(workers);
        } else {
            FewChannels<Result>(x, weight, bias, out, layer).run(workers);
        }
    });
    require(known, "conv2d: weights are int32, int64, float32 or float64");
}

}  // namespace imkernels
