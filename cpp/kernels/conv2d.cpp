// Direct convolution over channels: every output is the sum of C / groups correlations, C / groups * K_h * K_w
// multiply-adds.
//
// A tile's padded input of one channel at a time lies in a buffer in which every tap of a row of outputs is a
// contiguous run (see rows/tile_loader.hpp); a few output channels use it before the next channel replaces it. Each sum
// is added up channel by channel and tap by tap, wherever its pixel lies and whoever computes it. No buffer grows with
// the image.
#include "kernels/conv2d.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "core/check.hpp"
#include "kernels/detail/channel_lanes.hpp"
#include "kernels/detail/pixel_lanes.hpp"
#include "kernels/detail/weights.hpp"
#include "rows/row_writer.hpp"
#include "rows/tile_grid.hpp"
#include "rows/window_blocks.hpp"
#include "rows/zero_padded_tile.hpp"

namespace imkernels {

namespace {
/// Channels of images and of weights; one image has `groups` times as many.
struct Group {
    index in, out;
};

/// Whether so many output channels are worth vectors of their own.
template <class Work>
bool fill_lanes(index channels) {
    return 2 * channels > lane_count<Work>;
}

/// With as few taps, rows of outputs are faster than output channels that have to be transposed.
constexpr index few_taps = 16;

/// Output channels that share the loading of an input channel.
constexpr index most_together = 4;

index channels(index of_group, index together) {
    return (of_group + together - 1) / together;
}

/// Copies `count` weights of an output channel, from number `first` of those of all its input channels on.
template <class Work>
void copy_weights(const ConstStack& weight, index channel, index first, index count, Work* target) {
    constexpr index size = sizeof(Work);
    const ConstPlane& kernel = weight.first;
    const index taps = kernel.rows * kernel.columns, apart = weight.leading[1].stride;
    const std::byte* weights = kernel.data + channel * weight.leading[0].stride;
    if (kernel.column_stride == size && kernel.row_stride == kernel.columns * size && apart == taps * size) {
        std::memcpy(target, weights + first * size, static_cast<std::size_t>(count * size));
        return;
    }
    index channel_in = first / taps, row = first % taps / kernel.columns, column = first % kernel.columns;
    for (index i = 0; i < count; ++i) {
        std::memcpy(target++, weights + channel_in * apart + row * kernel.row_stride + column * kernel.column_stride,
                    size);
        if (++column == kernel.columns) {
            column = 0;
            if (++row == kernel.rows) {
                row = 0;
                ++channel_in;
            }
        }
    }
}

/// Where the taps of a window on `channels` tiles, one behind the other, lie.
template <class Work>
std::vector<index> tap_offsets(const ZeroPaddedTile<Work>& tile, const Window2D& window, index channels) {
    std::vector<index> offsets;
    for (index c = 0; c < channels; ++c) {
        for (index row = 0; row < window.rows.size; ++row) {
            for (index column = 0; column < window.columns.size; ++column) {
                offsets.push_back(c * tile.size() + tile.tap(row, column));
            }
        }
    }
    return offsets;
}

/// Whether an output with its input is more than stays in the last cache.
bool is_large(const MutableStack& out, index size) {
    constexpr index large = index{16} << 20;
    return out.planes() * out.first.rows * out.first.columns * size >= large;
}

/// Writes results of a tile that follow each other row by row, past the caches if they would only push out others.
template <class Result>
class TileWriter {
public:
    explicit TileWriter(const MutableStack& out)
        : write_(row_writer<FromNumber, Result>(out.element)),
          streams_(has_rows_of<Result>(out) && is_large(out, sizeof(Result))) {}

    bool can_write() const { return write_ != nullptr; }

    /// Rows of `results` lie `pitch` elements apart.
    void operator()(const Tile& tile, const Result* results, index pitch, const MutablePlane& target) const {
        const bool one_run = tile.columns == pitch && tile.columns == target.columns &&
                             target.row_stride == target.columns * target.column_stride;
        const index length = one_run ? tile.rows * tile.columns : tile.columns;
        for (index row = 0; row < (one_run ? 1 : tile.rows); ++row) {
            std::byte* first = target.at(tile.row + row, tile.column);
            if (streams_) {
                stream(reinterpret_cast<const std::byte*>(results + row * pitch),
                       length * static_cast<index>(sizeof(Result)), first);
            } else {
                write_(results + row * pitch, length, first, target.column_stride);
            }
        }
    }

    /// To be called before others may read what was written.
    void finish() const {
        if (streams_) {
            finish_streams();
        }
    }

private:
    WriteRun<Result> write_;
    bool streams_;
};

/// Neighbouring pixels in the lanes of vectors: for few output channels, as in a depthwise convolution, and for few
/// taps.
template <class Result>
class FewChannels {
public:
    FewChannels(const ConstStack& x, const ConstStack& weight, const std::byte* bias, const MutableStack& out,
                const Window2D& window, index groups)
        : x_(x),
          weight_(weight),
          out_(out),
          window_(window),
          groups_(groups),
          group_{x.leading.back().extent / groups, out.leading.back().extent / groups},
          shape_(
              choose_tile_for_blocks(out.first.rows, out.first.columns, window, sizeof(Work), cost_of(group_, window))),
          blocks_(window, shape_, sizeof(Work)),
          tile_(blocks_.first(), shape_.rows, shape_.columns, ColumnLayout::phases, x),
          together_(blocks_.count() > 1 ? 1 : std::clamp<index>(near / tile_.size(), 1, std::max<index>(1, group_.in))),
          one_step_(blocks_.count() == 1 && together_ >= group_.in),
          pitch_(one_step_ ? shape_.columns : shape_.columns + row_slack),
          write_(out),
          offsets_(tap_offsets(tile_, blocks_.first(), together_)),
          starts_(static_cast<std::size_t>(groups * padded_out())) {
        require(tile_.can_read() && write_.can_write(), "conv2d: no loop for these element types");
        for (index o = 0; bias != nullptr && o < groups * group_.out; ++o) {
            std::memcpy(&starts_[static_cast<std::size_t>(o / group_.out * padded_out() + o % group_.out)],
                        bias + o * static_cast<index>(sizeof(Work)), sizeof(Work));
        }
    }

    void run(int workers) {
        pack_weights();
        const index images = out_.planes() / out_.leading.back().extent;
        const std::size_t bytes = Scratch::bytes<Work>(tile_.sizes(together_)) +
                                  Scratch::bytes<Work>((one_step_ ? most_outs : most_width) * channel_pitch());
        const TileGrid grid(images * groups_ * channels(group_.out, most_width), out_.first.rows, out_.first.columns,
                            shape_, cost_of(group_, window_), 1);
        grid.for_each(bytes, workers, [&](const Tile& tile, Scratch scratch) { convolve(tile, scratch); });
    }

private:
    using Work = detail::Summand<Result>;

    static constexpr index most_outs = 4;   // output channels of a leaf loop
    static constexpr index most_width = 8;  // and of a task
    static constexpr index near = index{256 * 1024} / static_cast<index>(sizeof(Work));

    /// Nanoseconds per pixel of the output channels of a task.
    static double cost_of(Group group, const Window2D& window) {
        return 0.5 +
               static_cast<double>(std::min(group.out, most_width) * std::max<index>(1, group.in * window.taps())) /
                   static_cast<double>(2 * lane_count<Work>);
    }

    index padded_out() const { return channels(group_.out, most_outs) * most_outs; }
    index channel_pitch() const { return shape_.rows * pitch_ + row_slack; }
    /// Output channels from `first` on that are computed together: 1, 2 or 4.
    index outs_from(index first) const { return group_.out - first > 2 ? 4 : group_.out - first; }

    /// Brings the weights of output channels that are computed together together, tap by tap.
    void pack_weights() {
        const index taps = group_.in * window_.taps();
        packed_.resize(static_cast<std::size_t>(groups_ * padded_out() * taps));
        std::vector<Work> line(static_cast<std::size_t>(taps));
        for (index group = 0; group < groups_; ++group) {
            for (index o = 0; o < group_.out; ++o) {
                const index first = o / most_outs * most_outs, outs = outs_from(first);
                copy_weights(weight_, group * group_.out + o, 0, taps, line.data());
                Work* target = packed_.data() + (group * padded_out() + first) * taps + (o - first);
                for (const Work weight : line) {
                    *target = weight;
                    target += outs;
                }
            }
        }
    }

    void convolve(const Tile& tile, Scratch scratch) const {
        Work* inputs = scratch.take<Work>(tile_.sizes(together_));
        Work* sums = scratch.take<Work>((one_step_ ? most_outs : most_width) * channel_pitch());
        const index portions = channels(group_.out, most_width);
        const index number = tile.plane / portions;  // of a group of an image
        const index first = tile.plane % portions * most_width, last = std::min(first + most_width, group_.out);
        for (index c = 0; c == 0 || c < group_.in; c += together_) {
            const index count = std::min(together_, group_.in - c);
            for (index i = 0; i < blocks_.count(); ++i) {
                const WindowBlocks::Block block = blocks_[i];
                for (index j = 0; j < count; ++j) {
                    tile_.load(x_.plane(number * group_.in + c + j), tile.row, tile.column, tile.rows, tile.columns,
                               block.row, block.column, inputs + j * tile_.size());
                }
                const index tap = c * window_.taps() + block.row * window_.columns.size + block.column;
                for (index o = first; o < last; o += most_outs) {
                    Work* target = sums + (one_step_ ? 0 : (o - first) * channel_pitch());
                    add_block(tile, number % groups_ * padded_out() + o, inputs, tap,
                              count * block.rows * block.columns, outs_from(o), target);
                    if (one_step_) {
                        write(tile, number * group_.out + o, std::min(most_outs, last - o), target);
                    }
                }
            }
        }
        if (!one_step_) {
            write(tile, number * group_.out + first, last - first, sums);
        }
        write_.finish();
    }

    /// Adds `count` taps from `tap` on of `outs` output channels, of which packed weights and starts begin at `out`.
    void add_block(const Tile& tile, index out, const Work* inputs, index tap, index count, index outs,
                   Work* sums) const {
        const Work* weights = packed_.data() + out * group_.in * window_.taps() + tap * outs;
        const Work* starts = tap == 0 ? starts_.data() + out : nullptr;
        const auto leaf = outs == 1   ? detail::add_weighted_rows<Work, 1>
                          : outs == 2 ? detail::add_weighted_rows<Work, 2>
                                      : detail::add_weighted_rows<Work, 4>;
        // In a single step rows of sums follow each other, and what is written past the end of one is overwritten.
        const index pitch = one_step_ ? tile.columns : pitch_;
        for (index row = 0; row < tile.rows; ++row) {
            leaf(inputs + row * tile_.output_pitch(), offsets_.data(), count, weights, starts, tile.columns,
                 sums + row * pitch, channel_pitch());
        }
    }

    void write(const Tile& tile, index channel, index count, const Work* sums) const {
        for (index o = 0; o < count; ++o) {
            // Signed and unsigned types of one size may alias.
            write_(tile, reinterpret_cast<const Result*>(sums + o * channel_pitch()), one_step_ ? tile.columns : pitch_,
                   out_.plane(channel + o));
        }
    }

    const ConstStack& x_;
    const ConstStack& weight_;
    const MutableStack& out_;
    Window2D window_;
    index groups_;
    Group group_;
    TileShape shape_;
    WindowBlocks blocks_;
    ZeroPaddedTile<Work> tile_;
    index together_;  // input channels that are loaded together
    bool one_step_;   // they are all
    index pitch_;     // of rows of sums
    TileWriter<Result> write_;
    std::vector<index> offsets_;  // of the taps of a block in the channels
    std::vector<Work> starts_;    // the bias
    std::vector<Work> packed_;
};

/// Output channels in the lanes of vectors: a number of the image meets the weights of a tap for all of them. Output
/// pixels can lie anywhere, so that no lane is ever idle for the sake of a short row.
template <class Result>
class ManyChannels {
public:
    ManyChannels(const ConstStack& x, const ConstStack& weight, const std::byte* bias, const MutableStack& out,
                 const Window2D& window, index groups)
        : x_(x),
          weight_(weight),
          bias_(bias),
          out_(out),
          window_(window),
          groups_(groups),
          group_{x.leading.back().extent / groups, out.leading.back().extent / groups},
          width_(choose_width()),
          cost_(static_cast<double>(width_ * std::max<index>(1, group_.in * window.taps())) /
                static_cast<double>(4 * lanes)),
          shape_(choose_shape()),
          blocks_(window, shape_, sizeof(Work)),
          tile_(blocks_.first(), shape_.rows, shape_.columns, ColumnLayout::dense, x),
          together_(choose_together()),
          write_(out),
          offsets_(tap_offsets(tile_, blocks_.first(), together_)) {
        require(tile_.can_read() && write_.can_write(), "conv2d: no loop for these element types");
    }

    void run(int workers) {
        pack_weights(workers);
        const index images = out_.planes() / out_.leading.back().extent;
        const index parts = images * groups_ * channels(group_.out, width_);
        const std::size_t bytes = Scratch::bytes<Work>(tile_.sizes(together_)) +
                                  Scratch::bytes<Work>((most_sums() + slack) * width_) +
                                  Scratch::bytes<Work>(lanes * results_pitch());
        const TileGrid grid(parts, out_.first.rows, out_.first.columns, shape_, cost_, 1);
        grid.for_each(bytes, workers, [&](const Tile& tile, Scratch scratch) { convolve(tile, scratch); });
    }

private:
    using Work = detail::Summand<Result>;

    static constexpr index lanes = lane_count<Work>;
    static constexpr index block_width = detail::most_vectors * lanes;
    static constexpr index most_width = 256 / block_width * block_width;  // output channels of a task
    static constexpr index slack = std::max(lanes, detail::sums_slack);
    static constexpr index few_tasks = 8;      // below which threads would have nothing to do
    static constexpr index most_pixels = 128;  // that are not worth a task of their own
    /// What of the inputs, of the weights and of the sums is near while it is used.
    static constexpr index near = index{512 * 1024} / static_cast<index>(sizeof(Work));

    static index round_up(index count, index multiple) { return (count + multiple - 1) / multiple * multiple; }
    static index evenly(index extent, index most) {
        const index parts = std::max<index>(1, (extent + most - 1) / most);
        return std::max<index>(1, (extent + parts - 1) / parts);
    }

    index outputs() const {
        return out_.planes() / out_.leading.back().extent * groups_ * out_.first.rows * out_.first.columns;
    }

    /// Many output channels share the loading of the input, but not at the price of idle threads.
    index choose_width() const {
        const index most = outputs() >= few_tasks * most_pixels ? most_width : block_width;
        return std::min(round_up(group_.out, lanes), most);
    }

    TileShape choose_shape() const {
        // Inputs and sums are near; tiles are wide, but not so wide that windows overlap in a single row of them.
        const index fair = outputs() * channels(group_.out, width_) / few_tasks;
        const index room = std::min(near / width_, std::max<index>(256, near / std::max<index>(1, group_.in)));
        const index in_time = static_cast<index>(longest_task / cost_);
        const index most = std::max<index>(1, std::min({room, std::max<index>(fair, 64), in_time}));
        const index widest = out_.first.rows == 1 ? most : std::min(most, std::max<index>(32, most / 8));
        const index columns = evenly(out_.first.columns, widest);
        return {evenly(out_.first.rows, std::max<index>(1, most / columns)), columns};
    }

    index choose_together() const {
        const index most =
            blocks_.count() > 1 ? 1 : std::min(near / tile_.size(), near / (block_width * window_.taps()));
        return evenly(group_.in, std::max<index>(1, most));
    }

    index most_sums() const { return shape_.rows * shape_.columns; }
    index results_pitch() const { return round_up(most_sums(), lanes); }

    /// Weights of a block of output channels start here; tap by tap those of all channels, up to whole vectors.
    index packed_at(index group, index first) const {
        return (group * round_up(group_.out, lanes) + first) * group_.in * window_.taps();
    }

    static index width_of_block(index first, index last) {
        return std::min(block_width, round_up(last - first, lanes));
    }

    void pack_weights(int workers) {
        packed_.resize(static_cast<std::size_t>(packed_at(groups_, 0) + cache_line));
        first_packed_ = packed();
        const index blocks = channels(group_.out, lanes);
        const double cost = static_cast<double>(lanes * group_.in * window_.taps());
        parallel_for({groups_ * blocks, cost, 0, workers},
                     [&](index number, Scratch) { pack_lanes(number / blocks, number % blocks * lanes); });
    }

    /// Packs the weights of as many output channels as a vector has lanes.
    void pack_lanes(index group, index first) const {
        const index block = first / block_width * block_width, width = width_of_block(block, group_.out);
        const index taps = group_.in * window_.taps();
        Work* target = first_packed_ + packed_at(group, block) + (first - block);
        Work rows[lanes * lanes] = {}, columns[lanes * lanes];
        for (index t = 0; t < taps; t += lanes, target += lanes * width) {
            const index count = std::min(lanes, taps - t);
            for (index o = 0; o < std::min(lanes, group_.out - first); ++o) {
                copy_weights(weight_, group * group_.out + first + o, t, count, rows + o * lanes);
            }
            detail::transpose_square(rows, lanes, columns, lanes);
            for (index i = 0; i < count; ++i) {
                std::copy_n(columns + i * lanes, lanes, target + i * width);
            }
        }
    }

    /// Where packed weights start: on a cache line.
    Work* packed() {
        const auto address = reinterpret_cast<std::uintptr_t>(packed_.data());
        return packed_.data() + (cache_line - address % cache_line) % cache_line / sizeof(Work);
    }

    void convolve(const Tile& tile, Scratch scratch) const {
        Work* inputs = scratch.take<Work>(tile_.sizes(together_));
        Work* sums = scratch.take<Work>((most_sums() + slack) * width_);
        Work* results = scratch.take<Work>(lanes * results_pitch());
        const index chunks = channels(group_.out, width_);
        const index image = tile.plane / (chunks * groups_), group = tile.plane / chunks % groups_;
        const index first = tile.plane % chunks * width_, last = std::min(first + width_, group_.out);
        start(group * group_.out + first, last - first, tile.rows * tile.columns, sums);
        for (index c = 0; c < group_.in; c += together_) {
            const index count = std::min(together_, group_.in - c);
            for (index i = 0; i < blocks_.count(); ++i) {
                const WindowBlocks::Block block = blocks_[i];
                for (index j = 0; j < count; ++j) {
                    tile_.load(x_.plane((image * groups_ + group) * group_.in + c + j), tile.row, tile.column,
                               tile.rows, tile.columns, block.row, block.column, inputs + j * tile_.size());
                }
                const index tap = c * window_.taps() + block.row * window_.columns.size + block.column;
                for (index o = first; o < last; o += block_width) {
                    const index width = width_of_block(o, group_.out);
                    detail::with_count<detail::most_vectors>(width / lanes, [&](auto vectors) {
                        add_block<vectors>(tile, inputs, count * block.rows * block.columns,
                                           first_packed_ + packed_at(group, o) + tap * width, sums + (o - first));
                    });
                }
            }
        }
        for (index o = first; o < last; o += lanes) {
            write(tile, (image * groups_ + group) * group_.out + o, std::min(lanes, last - o), sums + (o - first),
                  results);
        }
        write_.finish();
    }

    /// Puts the bias where sums will be.
    void start(index channel, index count, index pixels, Work* sums) const {
        std::fill_n(sums, width_, Work{});
        if (bias_ != nullptr) {
            std::memcpy(sums, bias_ + channel * static_cast<index>(sizeof(Work)),
                        static_cast<std::size_t>(count) * sizeof(Work));
        }
        for (index i = 1; i < pixels + slack; ++i) {
            std::copy_n(sums, width_, sums + i * width_);
        }
    }

    template <index vectors>
    void add_block(const Tile& tile, const Work* inputs, index count, const Work* weights, Work* sums) const {
        constexpr index together = detail::sums_together<vectors>;
        const Work* pixels[together];
        index row = 0, column = 0;
        for (index done = 0; done < tile.rows * tile.columns; done += together) {
            for (const Work*& pixel : pixels) {
                pixel = inputs + row * tile_.output_pitch() + column * tile_.output_step();
                if (++column == tile.columns && row + 1 < tile.rows) {
                    column = 0;
                    ++row;
                }
                column = std::min(column, tile.columns - 1);  // past the end: the last one again
            }
            detail::add_products<Work, vectors>(pixels, offsets_.data(), count, weights, sums + done * width_, width_);
        }
    }

    /// Writes the results of `count` channels from `channel` on.
    void write(const Tile& tile, index channel, index count, const Work* sums, Work* results) const {
        const index pixels = tile.rows * tile.columns;
        for (index i = 0; i < pixels; i += lanes) {
            detail::transpose_square(sums + i * width_, width_, results + i, results_pitch());
        }
        for (index o = 0; o < count; ++o) {
            // Signed and unsigned types of one size may alias.
            write_(tile, reinterpret_cast<const Result*>(results + o * results_pitch()), tile.columns,
                   out_.plane(channel + o));
        }
    }

    const ConstStack& x_;
    const ConstStack& weight_;
    const std::byte* bias_;
    const MutableStack& out_;
    Window2D window_;
    index groups_;
    Group group_;
    index width_;  // of a row of sums: output channels of a task, up to whole vectors
    double cost_;
    TileShape shape_;
    WindowBlocks blocks_;
    ZeroPaddedTile<Work> tile_;
    index together_;  // input channels that are loaded together
    TileWriter<Result> write_;
    std::vector<index> offsets_;  // of the taps of a block in those channels
    std::vector<Work> packed_;
    Work* first_packed_ = nullptr;
};

/// The gradient of the weights with output channels in the lanes of vectors: the leaf loop of the forward direction,
/// summing over pixels where that sums over taps, with gradients for weights and taps for pixels. Runs of tiles are
/// multiplied and added up in `Work`, the runs in double.
template <class Work>
class ManyChannelsGradient {
public:
    ManyChannelsGradient(const ConstStack& grad, const ConstStack& x, const MutableStack& out, const Window2D& window,
                         index groups)
        : grad_(grad),
          x_(x),
          out_(out),
          window_(window),
          groups_(groups),
          group_{x.leading.back().extent / groups, grad.leading.back().extent / groups},
          shape_(choose_shape()),
          tile_(window, shape_.rows, shape_.columns, ColumnLayout::dense, x),
          together_(evenly(group_.in, std::min(near / tile_.size(), 2 * near / (block_width * window.taps())))),
          read_grad_(row_reader<AsNumber, Work>(grad.element)),
          write_(row_writer<FromNumber, double>(out.element)),
          taps_(tap_offsets(tile_, window, together_)),
          down_(count_of(grad.first.rows, shape_.rows)),
          across_(count_of(grad.first.columns, shape_.columns)),
          tiles_(grad.planes() / grad.leading.back().extent * down_ * across_),
          parts_(choose_parts()) {
        require(tile_.can_read() && read_grad_ != nullptr && write_ != nullptr,
                "conv2d_backward_weight: no loop for these element types");
    }

    /// Whether a tile of a channel and the sums of its taps are small enough.
    static bool suits(const Window2D& window, TileShape tile) {
        return buffer_bytes(window, tile, sizeof(Work)) <= static_cast<double>(near * sizeof(Work)) &&
               window.taps() <= 2 * near / block_width;
    }
    static bool suits(const ConstStack& grad, const Window2D& window) {
        return suits(window, tile_of(grad.first.rows, grad.first.columns));
    }

    void run(int workers) {
        sums_.resize(static_cast<std::size_t>(parts_ * sums_of_part()));
        const index tasks = groups_ * blocks() * count_of(group_.in, together_);
        const double tile_cost = static_cast<double>(block_width * together_ * window_.taps()) *
                                 static_cast<double>(shape_.rows * shape_.columns) / static_cast<double>(4 * lanes);
        // A part of the tiles is one worker's, since its order of addition is part of the result. They come in runs, so
        // that there is a moment between them to answer Ctrl-C.
        const index run = std::max<index>(1, static_cast<index>(longest_task / tile_cost));
        for (index done = 0; done < count_of(tiles_, parts_); done += run) {
            parallel_for({parts_ * tasks, tile_cost * static_cast<double>(run), scratch_bytes(), workers},
                         [&](index item, Scratch scratch) {
                             const index part = item / tasks;
                             const index first = part * tiles_ / parts_ + done;
                             const index last = std::min(first + run, (part + 1) * tiles_ / parts_);
                             add_tiles(part, item % tasks, first, last, scratch);
                         });
        }
        const index octets = count_of(group_.out, lane_count<double>);
        parallel_for({groups_ * octets, static_cast<double>(group_.in * window_.taps() * lane_count<double>),
                      Scratch::bytes<double>(lane_count<double> * line_pitch()), workers},
                     [&](index item, Scratch scratch) {
                         write(item / octets, item % octets * lane_count<double>, scratch.take<double>(0));
                     });
    }

private:
    static constexpr index lanes = lane_count<Work>;
    static constexpr index block_width = detail::most_vectors * lanes;
    static constexpr index near = index{256 * 1024} / static_cast<index>(sizeof(Work));
    static constexpr index most_pixels = 1024;  // of a tile, and that are added up in `Work`

    /// What a task computes: a block of output channels and some input channels.
    struct Task {
        index group;
        index out, width;  // channels from `out` on, up to whole vectors
        index in, count;
    };

    static index count_of(index extent, index part) { return (extent + part - 1) / part; }
    static index evenly(index extent, index most) {
        const index parts = std::max<index>(1, count_of(extent, std::max<index>(1, most)));
        return std::max<index>(1, count_of(extent, parts));
    }
    static TileShape tile_of(index rows, index columns) {
        const index across = evenly(columns, rows == 1 ? most_pixels : most_pixels / 8);
        return {evenly(rows, most_pixels / across), across};
    }
    TileShape choose_shape() const { return tile_of(grad_.first.rows, grad_.first.columns); }

    index blocks() const { return count_of(group_.out, block_width); }
    index padded_out() const { return count_of(group_.out, lanes) * lanes; }
    index sums_of_part() const { return groups_ * padded_out() * group_.in * window_.taps(); }
    /// Where the sums of a block of output channels start.
    index sums_at(index group, index out) const { return (group * padded_out() + out) * group_.in * window_.taps(); }
    index width_of_block(index out) const { return std::min(block_width, padded_out() - out); }

    /// Parts of the tiles that are added up on their own, so that there is work for many threads.
    index choose_parts() const {
        constexpr index wanted_items = 8, most_sums = index{512} * 1024;
        const index tasks = groups_ * blocks() * count_of(group_.in, together_);
        return std::clamp<index>(std::min(wanted_items / tasks, most_sums / std::max<index>(1, sums_of_part())), 1,
                                 std::max<index>(1, tiles_));
    }

    Task task(index number) const {
        const index portions = count_of(group_.in, together_);
        const index in = number % portions * together_;
        const index out = number / portions % blocks() * block_width;
        return {number / (portions * blocks()), out, width_of_block(out), in, std::min(together_, group_.in - in)};
    }

    std::size_t scratch_bytes() const {
        const index pixels = shape_.rows * shape_.columns + lanes;
        return Scratch::bytes<Work>(tile_.sizes(together_)) + Scratch::bytes<Work>(pixels * block_width) +
               Scratch::bytes<Work>(pixels * lanes) + Scratch::bytes<index>(pixels) +
               Scratch::bytes<Work>((together_ * window_.taps() + detail::sums_slack) * block_width);
    }

    void add_tiles(index part, index number, index first, index last, Scratch scratch) {
        const Task task = this->task(number);
        const index pixels = shape_.rows * shape_.columns + lanes;
        Work* inputs = scratch.take<Work>(tile_.sizes(together_));
        Work* gradients = scratch.take<Work>(pixels * block_width);
        Work* rows = scratch.take<Work>(pixels * lanes);
        index* offsets = scratch.take<index>(pixels);
        Work* sums = scratch.take<Work>((together_ * window_.taps() + detail::sums_slack) * block_width);
        double* total = sums_.data() + part * sums_of_part() + sums_at(task.group, task.out) +
                        task.in * window_.taps() * task.width;
        const index count = task.count * window_.taps();
        index pixels_since = 0;
        for (index t = first; t < last; ++t) {
            if (pixels_since == 0) {
                std::fill_n(sums, (count + detail::sums_slack) * task.width, Work{});
            }
            const Tile tile = this->tile(t);
            load(task, tile, inputs, gradients, rows);
            for (index y = 0; y < tile.rows; ++y) {
                for (index x = 0; x < tile.columns; ++x) {
                    offsets[y * tile.columns + x] = y * tile_.output_pitch() + x * tile_.output_step();
                }
            }
            detail::with_count<detail::most_vectors>(task.width / lanes, [&](auto vectors) {
                add_tile<vectors>(inputs, offsets, tile.rows * tile.columns, gradients, count, sums);
            });
            pixels_since += tile.rows * tile.columns;
            if (pixels_since >= most_pixels * 3 / 4 || t + 1 == last) {
                for (index i = 0; i < count * task.width; ++i) {
                    total[i] += static_cast<double>(sums[i]);
                }
                pixels_since = 0;
            }
        }
    }

    Tile tile(index number) const {
        const index row = number / across_ % down_ * shape_.rows, column = number % across_ * shape_.columns;
        return {number / (across_ * down_), row, column, std::min(shape_.rows, grad_.first.rows - row),
                std::min(shape_.columns, grad_.first.columns - column)};
    }

    /// Loads the pixels that a tile (of the image tile.plane) sees, and its gradients, pixel by pixel those of all
    /// output channels.
    void load(const Task& task, const Tile& tile, Work* inputs, Work* gradients, Work* rows) const {
        const index channel = (tile.plane * groups_ + task.group) * group_.in + task.in;
        for (index c = 0; c < task.count; ++c) {
            tile_.load(x_.plane(channel + c), tile.row, tile.column, tile.rows, tile.columns, 0, 0,
                       inputs + c * tile_.size());
        }
        const index pixels = tile.rows * tile.columns, pitch = count_of(pixels, lanes) * lanes;
        for (index o = 0; o < task.width; o += lanes) {
            for (index lane = 0; lane < lanes; ++lane) {
                load_gradients(tile, task, task.out + o + lane, rows + lane * pitch);
            }
            for (index i = 0; i < pixels; i += lanes) {
                detail::transpose_square(rows + i, pitch, gradients + i * task.width + o, task.width);
            }
        }
    }

    void load_gradients(const Tile& tile, const Task& task, index out, Work* target) const {
        if (out >= group_.out) {  // a lane that no channel is left for
            std::fill_n(target, tile.rows * tile.columns, Work{});
            return;
        }
        const ConstPlane grad = grad_.plane((tile.plane * groups_ + task.group) * group_.out + out);
        const bool one_run = tile.columns == grad.columns && grad.row_stride == grad.columns * grad.column_stride;
        const index length = one_run ? tile.rows * tile.columns : tile.columns;
        for (index y = 0; y < (one_run ? 1 : tile.rows); ++y) {
            read_grad_(grad.at(tile.row + y, tile.column), grad.column_stride, length, target + y * length);
        }
    }

    template <index vectors>
    void add_tile(const Work* inputs, const index* offsets, index pixels, const Work* gradients, index count,
                  Work* sums) const {
        constexpr index together = detail::sums_together<vectors>;
        const Work* taps[together];
        for (index first = 0; first < count; first += together) {
            for (index i = 0; i < together; ++i) {
                taps[i] = inputs + taps_[static_cast<std::size_t>(std::min(first + i, count - 1))];
            }
            detail::add_products<Work, vectors>(taps, offsets, pixels, gradients, sums + first * vectors * lanes,
                                                vectors * lanes);
        }
    }

    /// Input channels whose weights are written together, and the room for those of an output channel.
    index written_together() const { return std::clamp<index>(2 * near / block_width / window_.taps(), 1, group_.in); }
    index line_pitch() const {
        return count_of(written_together() * window_.taps(), lane_count<double>) * lane_count<double>;
    }

    /// Adds up the parts and writes the weights of the output channels of a vector.
    void write(index group, index out, double* lines) {
        for (index in = 0; in < group_.in; in += written_together()) {
            const index count = std::min(written_together(), group_.in - in);
            add_parts(group, out, in * window_.taps(), count * window_.taps(), lines);
            for (index o = 0; o < std::min(lane_count<double>, group_.out - out); ++o) {
                write_line((group * group_.out + out + o) * group_.in + in, count, lines + o * line_pitch());
            }
        }
    }

    void add_parts(index group, index out, index first, index count, double* lines) const {
        constexpr index octet = lane_count<double>;
        const index block = out / block_width * block_width, width = width_of_block(block);
        for (index t = 0; t < count; t += octet) {
            double square[octet * octet] = {};
            for (index part = 0; part < parts_; ++part) {
                const double* sums = sums_.data() + part * sums_of_part() + sums_at(group, block) + (out - block);
                for (index i = 0; i < std::min(octet, count - t); ++i) {
                    for (index lane = 0; lane < octet; ++lane) {
                        square[i * octet + lane] += sums[(first + t + i) * width + lane];
                    }
                }
            }
            detail::transpose_square(square, octet, lines + t, line_pitch());
        }
    }

    /// Writes the weights of `count` input channels from plane `first` of the result on.
    void write_line(index first, index count, const double* line) const {
        const MutablePlane& kernel = out_.first;
        const bool one_run = kernel.row_stride == kernel.columns * kernel.column_stride &&
                             out_.leading[1].stride == kernel.rows * kernel.row_stride;
        if (one_run) {
            return write_(line, count * window_.taps(), out_.plane(first).data, kernel.column_stride);
        }
        for (index c = 0; c < count; ++c) {
            const MutablePlane target = out_.plane(first + c);
            for (index row = 0; row < target.rows; ++row, line += target.columns) {
                write_(line, target.columns, target.at(row, 0), target.column_stride);
            }
        }
    }

    const ConstStack& grad_;
    const ConstStack& x_;
    const MutableStack& out_;
    Window2D window_;
    index groups_;
    Group group_;
    TileShape shape_;
    ZeroPaddedTile<Work> tile_;
    index together_;  // input channels of a task
    ReadRun<Work> read_grad_;
    WriteRun<double> write_;
    std::vector<index> taps_;  // where they lie in the tiles of those channels
    index down_, across_, tiles_;
    index parts_;
    std::vector<double> sums_;
};

/// The gradient of the weights with neighbouring pixels in the lanes of vectors: one product of a tile of gradients
/// with a tile of pixels per tap. Tiles of all images are taken in order; each is multiplied and added up in `Work`,
/// the tiles in double.
template <class Work>
class FewChannelsGradient {
public:
    FewChannelsGradient(const ConstStack& grad, const ConstStack& x, const MutableStack& out, const Window2D& window,
                        index groups)
        : grad_(grad),
          x_(x),
          out_(out),
          window_(window),
          groups_(groups),
          group_{x.leading.back().extent / groups, grad.leading.back().extent / groups},
          together_(std::min(most_together, group_.out)),
          cost_(static_cast<double>(together_) *
                (0.1 + static_cast<double>(window.taps()) / static_cast<double>(2 * lanes))),
          shape_(choose_tile_for_blocks(grad.first.rows, grad.first.columns, window, sizeof(Work), cost_)),
          blocks_(window, shape_, sizeof(Work)),
          tile_(blocks_.first(), shape_.rows, shape_.columns, ColumnLayout::phases, x),
          pitch_((shape_.columns + lanes - 1) / lanes * lanes),
          read_grad_(row_reader<AsNumber, Work>(grad.element)),
          write_(row_writer<FromNumber, double>(out.element)),
          offsets_(tap_offsets(tile_, blocks_.first(), 1)) {
        require(tile_.can_read() && read_grad_ != nullptr && write_ != nullptr,
                "conv2d_backward_weight: no loop for these element types");
    }

    void run(int workers) const {
        const index images = grad_.planes() / grad_.leading.back().extent;
        const index down = (grad_.first.rows + shape_.rows - 1) / shape_.rows;
        const index across = (grad_.first.columns + shape_.columns - 1) / shape_.columns;
        const index tiles = images * down * across;
        const index parts = groups_ * group_.in * channels(group_.out, together_);
        const std::size_t bytes = Scratch::bytes<Work>(tile_.sizes(1)) + Scratch::bytes<Work>(shape_.rows * pitch_);
        std::vector<double> sums(static_cast<std::size_t>(out_.planes() * window_.taps()));
        // A part is one worker's, since its order of addition is part of the result. Its tiles come in runs, so that
        // there is a moment between them to answer Ctrl-C.
        const double tile_cost = cost_ * static_cast<double>(shape_.rows * shape_.columns);
        const index run = std::max<index>(1, static_cast<index>(longest_task / tile_cost));
        for (index first = 0; first < tiles; first += run) {
            const index last = std::min(first + run, tiles);
            parallel_for({parts, tile_cost * static_cast<double>(last - first), bytes, workers},
                         [&](index part, Scratch scratch) {
                             Work* pixels = scratch.take<Work>(tile_.sizes(1));
                             Work* gradients = scratch.take<Work>(shape_.rows * pitch_);
                             for (index number = first; number < last; ++number) {
                                 const index row = number / across % down * shape_.rows;
                                 const index column = number % across * shape_.columns;
                                 const Tile tile{number / (across * down), row, column,
                                                 std::min(shape_.rows, grad_.first.rows - row),
                                                 std::min(shape_.columns, grad_.first.columns - column)};
                                 add_tile(part, tile, sums.data(), pixels, gradients);
                             }
                         });
        }
        write(sums.data());
    }

private:
    static constexpr index lanes = lane_count<Work>;

    /// Adds what a tile (of the image tile.plane) gives to the weights of one input channel and a few output channels.
    void add_tile(index part, const Tile& tile, double* sums, Work* pixels, Work* gradients) const {
        const index first = part % channels(group_.out, together_) * together_;
        const index channel = part / channels(group_.out, together_);  // of all groups
        const index group = channel / group_.in;
        const ConstPlane source = x_.plane(tile.plane * groups_ * group_.in + channel);
        for (index i = 0; i < blocks_.count(); ++i) {
            const WindowBlocks::Block block = blocks_[i];
            tile_.load(source, tile.row, tile.column, tile.rows, tile.columns, block.row, block.column, pixels);
            for (index o = first; o < std::min(first + together_, group_.out); ++o) {
                const index out = group * group_.out + o;
                load_gradients(grad_.plane(tile.plane * groups_ * group_.out + out), tile, gradients);
                add_block(tile, block, pixels, gradients,
                          sums + (out * group_.in + channel % group_.in) * window_.taps());
            }
        }
    }

    /// Loads the gradients of a tile, rows filled up with zeros.
    void load_gradients(const ConstPlane& grad, const Tile& tile, Work* target) const {
        for (index y = 0; y < tile.rows; ++y, target += pitch_) {
            read_grad_(grad.at(tile.row + y, tile.column), grad.column_stride, tile.columns, target);
            std::fill(target + tile.columns, target + pitch_, Work{});
        }
    }

    void add_block(const Tile& tile, const WindowBlocks::Block& block, const Work* pixels, const Work* gradients,
                   double* weights) const {
        const index taps = block.rows * block.columns;
        const index leaves = (taps + detail::most_taps - 1) / detail::most_taps;
        const detail::TwoTiles<Work> tiles{pixels, tile_.output_pitch(), gradients, pitch_, tile.rows, tile.columns};
        weights += block.row * window_.columns.size + block.column;
        for (index leaf = 0; leaf < leaves; ++leaf) {
            const index first = leaf * taps / leaves, last = (leaf + 1) * taps / leaves;
            detail::with_count<detail::most_taps>(last - first, [&](auto count) {
                detail::add_tile_products<Work, count>(tiles, offsets_.data() + first, weights + first);
            });
        }
    }

    void write(const double* sums) const {
        for (index plane = 0; plane < out_.planes(); ++plane) {
            const MutablePlane target = out_.plane(plane);
            for (index row = 0; row < target.rows; ++row) {
                write_(sums + plane * window_.taps() + row * target.columns, target.columns, target.at(row, 0),
                       target.column_stride);
            }
        }
    }

    const ConstStack& grad_;
    const ConstStack& x_;
    const MutableStack& out_;
    Window2D window_;
    index groups_;
    Group group_;
    index together_;  // output channels that share the loading of an input channel
    double cost_;
    TileShape shape_;
    WindowBlocks blocks_;
    ZeroPaddedTile<Work> tile_;
    index pitch_;  // of rows of gradients
    ReadRun<Work> read_grad_;
    WriteRun<double> write_;
    std::vector<index> offsets_;  // of the taps of a block
};

/// Whether the channels of images and weights fit together; the last leading axis counts them.
bool channels_fit(const StackView<const std::byte>& x, index out_channels, const auto& weight, index groups) {
    return !x.leading.empty() && weight.leading.size() == 2 && groups > 0 && out_channels % groups == 0 &&
           weight.leading[0].extent == out_channels && weight.leading[1].extent * groups == x.leading.back().extent;
}

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

/// Such an image as a single row.
auto one_row(auto plane) {
    plane.columns *= plane.rows;
    plane.rows = 1;
    return plane;
}

/// Whether the axes before the channels are the same.
bool same_images(const auto& one, const auto& other) {
    return one.leading.size() == other.leading.size() &&
           std::equal(one.leading.begin(), one.leading.end() - 1, other.leading.begin(),
                      [](const auto& axis, const auto& twin) { return axis.extent == twin.extent; });
}
}  // namespace

void conv2d(const ConstStack& images, const ConstStack& weight, const std::byte* bias, const MutableStack& results,
            const Window2D& window, index groups, int workers) {
    ConstStack x = images;
    MutableStack out = results;
    if (is_one_pixel(window) && same_pixels(x.first, out.first)) {
        x.first = one_row(x.first);
        out.first = one_row(out.first);
    }
    require(!out.leading.empty() && channels_fit(x, out.leading.back().extent, weight, groups) && same_images(x, out),
            "conv2d: images, channels and weights fit together");
    require(weight.first.rows == window.rows.size && weight.first.columns == window.columns.size,
            "conv2d: the window has the shape of the weights");
    require(!weight.element.swapped, "conv2d: the weights are in native byte order");
    require(window.rows.border == Border::constant && window.columns.border == Border::constant,
            "conv2d: zeros stand outside the images");
    if (out.planes() == 0) {
        return;
    }
    const bool known = detail::visit_weights(weight.element.dtype, [&](auto tag) {
        using Result = typename decltype(tag)::type;
        if (fill_lanes<Result>(out.leading.back().extent / groups) &&
            weight.leading[1].extent * window.taps() > few_taps) {
            ManyChannels<Result>(x, weight, bias, out, window, groups).run(workers);
        } else {
            FewChannels<Result>(x, weight, bias, out, window, groups).run(workers);
        }
    });
    require(known, "conv2d: weights are int32, int64, float32 or float64");
}

void conv2d_backward_weight(const ConstStack& grad, const ConstStack& x, const MutableStack& out,
                            const Window2D& window, index groups, int workers) {
    require(!grad.leading.empty() && channels_fit(x, grad.leading.back().extent, out, groups) && same_images(x, grad),
            "conv2d_backward_weight: images, channels and weights fit together");
    require(out.first.rows == window.rows.size && out.first.columns == window.columns.size,
            "conv2d_backward_weight: the window has the shape of the weights");
    require(window.rows.border == Border::constant && window.columns.border == Border::constant,
            "conv2d_backward_weight: zeros stand outside the images");
    if (out.planes() == 0) {
        return;
    }
    const bool in_float =
        row_reader<AsNumber, float>(grad.element) != nullptr && row_reader<AsNumber, float>(x.element) != nullptr;
    const auto run = [&](auto tag) {
        using Work = typename decltype(tag)::type;
        if (fill_lanes<Work>(grad.leading.back().extent / groups) && out.leading[1].extent * window.taps() > few_taps &&
            ManyChannelsGradient<Work>::suits(grad, window)) {
            ManyChannelsGradient<Work>(grad, x, out, window, groups).run(workers);
        } else {
            FewChannelsGradient<Work>(grad, x, out, window, groups).run(workers);
        }
    };
    if (in_float) {
        run(std::type_identity<float>{});
    } else {
        run(std::type_identity<double>{});
    }
}

}  // namespace imkernels
