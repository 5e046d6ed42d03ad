// Direct convolution over channels: every output is the sum of C / groups correlations, C / groups * K_h * K_w
// multiply-adds.
//
// A tile's padded input of one channel at a time lies in a buffer in which every tap of a row of outputs is a
// contiguous run (see rows/tile_loader.hpp); a few output channels use it before the next channel replaces it. Each sum
// is added up channel by channel and tap by tap, wherever its pixel lies and whoever computes it. No buffer grows with
// the image.
#include "kernels/conv2d.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/check.hpp"
#include "kernels/detail/weighted_sum.hpp"
#include "kernels/detail/weights.hpp"
#include "rows/row_writer.hpp"
#include "rows/tile_grid.hpp"
#include "rows/tile_loader.hpp"
#include "rows/window_blocks.hpp"

namespace imkernels {

namespace {
/// Channels of images and of weights; one image has `groups` times as many.
struct Group {
    index in, out;
};

/// Output channels that share the loading of an input channel.
constexpr index most_together = 4;

index channels(index of_group, index together) {
    return (of_group + together - 1) / together;
}

template <class Result>
class Conv2d {
public:
    Conv2d(const ConstStack& x, const ConstStack& weight, const std::byte* bias, const MutableStack& out,
           const Window2D& window, index groups)
        : x_(x),
          weight_(weight),
          bias_(bias),
          out_(out),
          window_(window),
          groups_(groups),
          group_{x.leading.back().extent / groups, out.leading.back().extent / groups},
          together_(std::min(most_together, group_.out)),
          cost_(static_cast<double>(together_ * std::max<index>(1, group_.in)) *
                (0.3 + 0.05 * static_cast<double>(window.taps()))),
          shape_(choose_tile_for_blocks(out.first.rows, out.first.columns, window, sizeof(Work), cost_)),
          blocks_(window, shape_, sizeof(Work)),
          loader_(blocks_.first(), shape_.rows, shape_.columns, ColumnLayout::phases,
                  row_reader<AsNumber, Work>(x.element), Fill<Work>{}),
          write_(row_writer<FromNumber, Result>(out.element)),
          sums_pitch_(shape_.columns + row_slack) {
        require((row_reader<AsNumber, Work>(x.element) != nullptr) && write_ != nullptr,
                "conv2d: no loop for these element types");
        for (index row = 0; row < blocks_.first().rows.size; ++row) {
            for (index column = 0; column < blocks_.first().columns.size; ++column) {
                offsets_.push_back(loader_.tap(row, column));
            }
        }
    }

    void run(int workers) const {
        const index images = out_.planes() / out_.leading.back().extent;
        const index parts = images * groups_ * channels(group_.out, together_);
        const std::size_t bytes = Scratch::bytes<Work>(loader_.size()) + Scratch::bytes<Work>(blocks_.first().taps()) +
                                  Scratch::bytes<Work>(together_ * shape_.rows * sums_pitch_);
        const TileGrid grid(parts, out_.first.rows, out_.first.columns, shape_, cost_, 1);
        grid.for_each(bytes, workers, [&](const Tile& tile, Scratch scratch) { convolve(tile, scratch); });
    }

private:
    using Work = detail::Summand<Result>;

    /// What a tile computes: channels [first, first + count) of a group of an image.
    struct Part {
        index image, group;
        index first, count;
    };

    Part part(index number) const {
        const index blocks = channels(group_.out, together_);
        const index first = number % blocks * together_;
        return {number / (blocks * groups_), number / blocks % groups_, first, std::min(together_, group_.out - first)};
    }

    void convolve(const Tile& tile, Scratch scratch) const {
        Work* buffer = scratch.take<Work>(loader_.size());
        Work* weights = scratch.take<Work>(blocks_.first().taps());
        Work* sums = scratch.take<Work>(together_ * shape_.rows * sums_pitch_);
        const Part part = this->part(tile.plane);
        const index first_out = part.group * group_.out + part.first;
        const index channel_sums = shape_.rows * sums_pitch_;
        for (index o = 0; o < part.count; ++o) {
            Work start{};
            if (bias_ != nullptr) {
                std::memcpy(&start, bias_ + (first_out + o) * static_cast<index>(sizeof(Work)), sizeof(Work));
            }
            std::fill_n(sums + o * channel_sums, tile.rows * sums_pitch_, start);
        }
        for (index c = 0; c < group_.in; ++c) {
            const ConstPlane source = x_.plane((part.image * groups_ + part.group) * group_.in + c);
            for (index i = 0; i < blocks_.count(); ++i) {
                const WindowBlocks::Block block = blocks_[i];
                loader_.shifted(block.row * window_.rows.dilation, block.column * window_.columns.dilation)
                    .load(source, tile.row, tile.column, tile.rows, tile.columns, buffer);
                for (index o = 0; o < part.count; ++o) {
                    detail::copy_weights(weight_.plane((first_out + o) * group_.in + c), block, weights);
                    add_block(tile, block, buffer, weights, sums + o * channel_sums);
                }
            }
        }
        for (index o = 0; o < part.count; ++o) {
            const MutablePlane target = out_.plane(part.image * groups_ * group_.out + first_out + o);
            for (index y = 0; y < tile.rows; ++y) {
                // Signed and unsigned types of one size may alias.
                write_(reinterpret_cast<const Result*>(sums + o * channel_sums + y * sums_pitch_), tile.columns,
                       target.at(tile.row + y, tile.column), target.column_stride);
            }
        }
    }

    void add_block(const Tile& tile, const WindowBlocks::Block& block, const Work* buffer, const Work* weights,
                   Work* sums) const {
        for (index y = 0; y < tile.rows; ++y) {
            detail::add_weighted_sum(buffer + y * loader_.output_pitch(), offsets_.data(), weights,
                                     block.rows * block.columns, tile.columns, sums + y * sums_pitch_);
        }
    }

    const ConstStack& x_;
    const ConstStack& weight_;
    const std::byte* bias_;
    const MutableStack& out_;
    Window2D window_;
    index groups_;
    Group group_;
    index together_;
    double cost_;
    TileShape shape_;
    WindowBlocks blocks_;
    TileLoader<Work> loader_;
    WriteRun<Result> write_;
    index sums_pitch_;
    std::vector<index> offsets_;  // of a block's taps in the buffer
};

/// The gradient of the weights: one product of rows per tap, output channel and input channel. Tiles of all images are
/// taken in order; the rows of a tile are multiplied in `Work` and added up in double.
template <class Work>
class WeightGradient {
public:
    WeightGradient(const ConstStack& grad, const ConstStack& x, const MutableStack& out, const Window2D& window,
                   index groups)
        : grad_(grad),
          x_(x),
          out_(out),
          window_(window),
          groups_(groups),
          group_{x.leading.back().extent / groups, grad.leading.back().extent / groups},
          together_(std::min(most_together, group_.out)),
          cost_(static_cast<double>(together_) * (0.5 + 0.1 * static_cast<double>(window.taps()))),
          shape_(choose_tile_for_blocks(grad.first.rows, grad.first.columns, window, sizeof(Work), cost_)),
          blocks_(window, shape_, sizeof(Work)),
          loader_(blocks_.first(), shape_.rows, shape_.columns, ColumnLayout::phases,
                  row_reader<AsNumber, Work>(x.element), Fill<Work>{}),
          read_grad_(row_reader<AsNumber, Work>(grad.element)),
          write_(row_writer<FromNumber, double>(out.element)) {
        require((row_reader<AsNumber, Work>(x.element) != nullptr) && read_grad_ != nullptr && write_ != nullptr,
                "conv2d_backward_weight: no loop for these element types");
    }

    void run(int workers) const {
        const index images = grad_.planes() / grad_.leading.back().extent;
        const index down = (grad_.first.rows + shape_.rows - 1) / shape_.rows;
        const index across = (grad_.first.columns + shape_.columns - 1) / shape_.columns;
        const index tiles = images * down * across;
        const index parts = groups_ * group_.in * channels(group_.out, together_);
        const std::size_t bytes =
            Scratch::bytes<Work>(loader_.size()) + Scratch::bytes<Work>(shape_.columns + row_slack);
        std::vector<double> sums(static_cast<std::size_t>(out_.planes() * window_.taps()));
        // A part is one worker's, since its order of addition is part of the result. Its tiles come in runs, so that
        // there is a moment between them to answer Ctrl-C.
        const double tile_cost = cost_ * static_cast<double>(shape_.rows * shape_.columns);
        const index run = std::max<index>(1, static_cast<index>(longest_task / tile_cost));
        for (index first = 0; first < tiles; first += run) {
            const index last = std::min(first + run, tiles);
            parallel_for({parts, tile_cost * static_cast<double>(last - first), bytes, workers},
                         [&](index part, Scratch scratch) {
                             for (index number = first; number < last; ++number) {
                                 const index row = number / across % down * shape_.rows;
                                 const index column = number % across * shape_.columns;
                                 const Tile tile{number / (across * down), row, column,
                                                 std::min(shape_.rows, grad_.first.rows - row),
                                                 std::min(shape_.columns, grad_.first.columns - column)};
                                 add_tile(part, tile, sums.data(), scratch);
                             }
                         });
        }
        write(sums.data());
    }

private:
    /// Adds what a tile (of the image tile.plane) gives to the weights of one input channel and a few output channels.
    void add_tile(index part, const Tile& tile, double* sums, Scratch scratch) const {
        Work* buffer = scratch.take<Work>(loader_.size());
        Work* gradients = scratch.take<Work>(shape_.columns + row_slack);
        const index first = part % channels(group_.out, together_) * together_;
        const index channel = part / channels(group_.out, together_);  // of all groups
        const index group = channel / group_.in;
        const ConstPlane source = x_.plane(tile.plane * groups_ * group_.in + channel);
        for (index i = 0; i < blocks_.count(); ++i) {
            const WindowBlocks::Block block = blocks_[i];
            loader_.shifted(block.row * window_.rows.dilation, block.column * window_.columns.dilation)
                .load(source, tile.row, tile.column, tile.rows, tile.columns, buffer);
            for (index o = first; o < std::min(first + together_, group_.out); ++o) {
                const index out = group * group_.out + o;
                const ConstPlane grad = grad_.plane(tile.plane * groups_ * group_.out + out);
                double* weights = sums + (out * group_.in + channel % group_.in) * window_.taps();
                for (index y = 0; y < tile.rows; ++y) {
                    read_grad_(grad.at(tile.row + y, tile.column), grad.column_stride, tile.columns, gradients);
                    add_row(block, buffer + y * loader_.output_pitch(), gradients, tile.columns, weights);
                }
            }
        }
    }

    void add_row(const WindowBlocks::Block& block, const Work* first, const Work* gradients, index count,
                 double* weights) const {
        for (index row = 0; row < block.rows; ++row) {
            for (index column = 0; column < block.columns; ++column) {
                weights[(block.row + row) * window_.columns.size + block.column + column] +=
                    detail::dot_product(first + loader_.tap(row, column), gradients, count);
            }
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
    index together_;
    double cost_;
    TileShape shape_;
    WindowBlocks blocks_;
    TileLoader<Work> loader_;
    ReadRun<Work> read_grad_;
    WriteRun<double> write_;
};

/// Whether the channels of images and weights fit together; the last leading axis counts them.
bool channels_fit(const StackView<const std::byte>& x, index out_channels, const auto& weight, index groups) {
    return !x.leading.empty() && weight.leading.size() == 2 && groups > 0 && out_channels % groups == 0 &&
           weight.leading[0].extent == out_channels && weight.leading[1].extent * groups == x.leading.back().extent;
}

/// Whether the axes before the channels are the same.
bool same_images(const auto& one, const auto& other) {
    return one.leading.size() == other.leading.size() &&
           std::equal(one.leading.begin(), one.leading.end() - 1, other.leading.begin(),
                      [](const auto& axis, const auto& twin) { return axis.extent == twin.extent; });
}
}  // namespace

void conv2d(const ConstStack& x, const ConstStack& weight, const std::byte* bias, const MutableStack& out,
            const Window2D& window, index groups, int workers) {
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
        Conv2d<typename decltype(tag)::type>(x, weight, bias, out, window, groups).run(workers);
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
    if (in_float) {
        WeightGradient<float>(grad, x, out, window, groups).run(workers);
    } else {
        WeightGradient<double>(grad, x, out, window, groups).run(workers);
    }
}

}  // namespace imkernels
