// The gradient of the weights of a convolution over channels: for every weight, the sum over images and pixels of
// gradient times the pixel that the weight met, in the two ways of kernels/conv2d.cpp.
//
// Products are added up in float (or double) over a tile or a few, those sums in double, in an order that the shapes
// alone decide: a task owns its weights and takes the tiles in order; where there are few tasks, the tiles are cut into
// parts with sums of their own, which are added up in the end.
#include <algorithm>
#include <vector>

#include "core/check.hpp"
#include "kernels/conv2d.hpp"
#include "kernels/detail/channel_lanes.hpp"
#include "kernels/detail/layer.hpp"
#include "kernels/detail/pixel_lanes.hpp"
#include "rows/row_reader.hpp"
#include "rows/row_writer.hpp"
#include "rows/tile_grid.hpp"
#include "rows/window_blocks.hpp"

namespace imkernels {

namespace {
/// The gradient of the weights with output channels in the lanes of vectors: the leaf loop of the forward direction,
/// summing over pixels where that sums over taps, with gradients for weights and taps for pixels. Runs of tiles are
/// multiplied and added up in `Work`, the runs in double.
template <class Work>
class ManyChannelsGradient {
public:
    ManyChannelsGradient(const ConstStack& grad, const ConstStack& x, const MutableStack& out,
                         const detail::Layer& layer)
        : grad_(grad),
          x_(x),
          out_(out),
          layer_(layer),
          shape_(choose_shape(grad, layer_.in)),
          tiles_(layer.images, grad.first.rows, grad.first.columns, shape_, 0, 1),
          tile_(layer.window, shape_.rows, shape_.columns, ColumnLayout::dense, x),
          together_(evenly(layer_.in, std::min(near / tile_.size(), near / (block_width * layer.window.taps())))),
          read_grad_(row_reader<AsNumber, Work>(grad.element)),
          write_(row_writer<FromNumber, double>(out.element)),
          taps_(detail::tap_offsets(tile_, layer.window, together_)),
          parts_(choose_parts()) {
        require(tile_.can_read() && read_grad_ != nullptr && write_ != nullptr,
                "conv2d_backward_weight: no loop for these element types");
    }

    /// Whether a tile of a channel and the sums of its taps are small enough.
    static bool suits(const ConstStack& grad, const Window2D& window) {
        const TileShape tile = choose_shape(grad, 1);
        return buffer_bytes(window, tile, sizeof(Work)) <= static_cast<double>(near * sizeof(Work)) &&
               window.taps() <= near / block_width;
    }

    void run(int workers) {
        sums_.resize(static_cast<std::size_t>(parts_ * sums_of_part()));
        const index tasks = layer_.groups * blocks() * ceil_div(layer_.in, together_);
        const double tile_cost = static_cast<double>(block_width * together_ * layer_.window.taps()) *
                                 static_cast<double>(shape_.rows * shape_.columns) / static_cast<double>(4 * lanes);
        // A part of the tiles is one worker's, since its order of addition is part of the result. They come in runs, so
        // that there is a moment between them to answer Ctrl-C.
        const index run = std::max<index>(1, static_cast<index>(longest_task / tile_cost));
        for (index done = 0; done < ceil_div(tiles_.tasks(), parts_); done += run) {
            parallel_for({parts_ * tasks, tile_cost * static_cast<double>(run), scratch_bytes(), workers},
                         [&](index item, Scratch scratch) {
                             const index part = item / tasks;
                             const index first = part * tiles_.tasks() / parts_ + done;
                             const index last = std::min(first + run, (part + 1) * tiles_.tasks() / parts_);
                             add_tiles(part, item % tasks, first, last, scratch);
                         });
        }
        const index octets = ceil_div(layer_.out, lane_count<double>);
        parallel_for({layer_.groups * octets, static_cast<double>(layer_.taps() * lane_count<double>),
                      Scratch::bytes<double>(lane_count<double> * line_pitch()), workers},
                     [&](index item, Scratch scratch) {
                         write(item / octets, item % octets * lane_count<double>, scratch.take<double>(0));
                     });
    }

private:
    static constexpr index lanes = lane_count<Work>;
    static constexpr index block_width = detail::most_vectors * lanes;
    static constexpr index near = index{512} * 1024 / static_cast<index>(sizeof(Work));
    static constexpr index most_pixels = 1024;  // of a tile, and that are added up in `Work`

    /// What a task computes: a block of output channels and some input channels.
    struct Task {
        index group;
        index out, width;  // channels from `out` on, up to whole vectors
        index in, count;
    };

    /// Tiles small enough for all channels to be near, if there are not too many of those.
    static TileShape choose_shape(const ConstStack& grad, index channels) {
        const index most = std::clamp<index>(near / channels, most_pixels / 4, most_pixels);
        const index columns = evenly(grad.first.columns, grad.first.rows == 1 ? most : most / 8);
        return {evenly(grad.first.rows, most / columns), columns};
    }

    index blocks() const { return ceil_div(layer_.out, block_width); }
    index padded_out() const { return round_up(layer_.out, lanes); }
    index sums_of_part() const { return layer_.groups * padded_out() * layer_.taps(); }
    /// Where the sums of a block of output channels start.
    index sums_at(index group, index out) const { return (group * padded_out() + out) * layer_.taps(); }
    index width_of_block(index out) const { return std::min(block_width, padded_out() - out); }

    /// Parts of the tiles that are added up on their own, so that there is work for many threads.
    index choose_parts() const {
        constexpr index wanted_items = 8;
        constexpr index most_sums = index{512} * 1024;
        const index tasks = layer_.groups * blocks() * ceil_div(layer_.in, together_);
        return std::clamp<index>(std::min(wanted_items / tasks, most_sums / std::max<index>(1, sums_of_part())), 1,
                                 std::max<index>(1, tiles_.tasks()));
    }

    Task task(index number) const {
        const index portions = ceil_div(layer_.in, together_);
        const index in = number % portions * together_;
        const index out = number / portions % blocks() * block_width;
        return {number / (portions * blocks()), out, width_of_block(out), in, std::min(together_, layer_.in - in)};
    }

    std::size_t scratch_bytes() const {
        const index pixels = shape_.rows * shape_.columns + lanes;
        return Scratch::bytes<Work>(tile_.sizes(together_)) + Scratch::bytes<Work>(pixels * block_width) +
               Scratch::bytes<Work>(pixels * lanes) + Scratch::bytes<index>(pixels) +
               Scratch::bytes<Work>(together_ * layer_.window.taps() * block_width);
    }

    void add_tiles(index part, index number, index first, index last, Scratch scratch) {
        const Task task = this->task(number);
        const index pixels = shape_.rows * shape_.columns + lanes;
        Work* inputs = scratch.take<Work>(tile_.sizes(together_));
        Work* gradients = scratch.take<Work>(pixels * block_width);
        Work* rows = scratch.take<Work>(pixels * lanes);
        index* offsets = scratch.take<index>(pixels);
        Work* sums = scratch.take<Work>(together_ * layer_.window.taps() * block_width);
        double* total = sums_.data() + part * sums_of_part() + sums_at(task.group, task.out) +
                        task.in * layer_.window.taps() * task.width;
        const index count = task.count * layer_.window.taps();
        index pixels_since = 0;
        for (index t = first; t < last; ++t) {
            if (pixels_since == 0) {
                std::fill_n(sums, count * task.width, Work{});
            }
            const Tile tile = tiles_.first_of(t);  // its plane is the image
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

    /// Loads the pixels that a tile (of the image tile.plane) sees, and its gradients, pixel by pixel those of all
    /// output channels.
    void load(const Task& task, const Tile& tile, Work* inputs, Work* gradients, Work* rows) const {
        const index channel = layer_.in_plane(tile.plane, task.group, task.in);
        for (index c = 0; c < task.count; ++c) {
            tile_.load(x_.plane(channel + c), tile.row, tile.column, tile.rows, tile.columns, 0, 0,
                       inputs + c * tile_.size());
        }
        const index pixels = tile.rows * tile.columns;
        const index pitch = round_up(pixels, lanes);
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
        if (out >= layer_.out) {  // a lane that no channel is left for
            std::fill_n(target, tile.rows * tile.columns, Work{});
            return;
        }
        const ConstPlane grad = grad_.plane(layer_.out_plane(tile.plane, task.group, out));
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
        Work* targets[together];
        for (index first = 0; first < count; first += together) {
            for (index i = 0; i < together; ++i) {
                const index tap = std::min(first + i, count - 1);  // past the end: the last one again
                taps[i] = inputs + taps_[static_cast<std::size_t>(tap)];
                targets[i] = sums + tap * vectors * lanes;
            }
            detail::add_products<Work, vectors>(taps, offsets, {0, pixels, 1, 0}, gradients, nullptr, targets);
        }
    }

    /// Input channels whose weights are written together, and the room for those of an output channel.
    index written_together() const {
        return std::clamp<index>(near / block_width / layer_.window.taps(), 1, layer_.in);
    }
    index line_pitch() const { return round_up(written_together() * layer_.window.taps(), lane_count<double>); }

    /// Adds up the parts and writes the weights of the output channels of a vector.
    void write(index group, index out, double* lines) {
        for (index in = 0; in < layer_.in; in += written_together()) {
            const index count = std::min(written_together(), layer_.in - in);
            add_parts(group, out, in * layer_.window.taps(), count * layer_.window.taps(), lines);
            for (index o = 0; o < std::min(lane_count<double>, layer_.out - out); ++o) {
                write_line((group * layer_.out + out + o) * layer_.in + in, count, lines + o * line_pitch());
            }
        }
    }

    void add_parts(index group, index out, index first, index count, double* lines) const {
        constexpr index octet = lane_count<double>;
        const index block = out / block_width * block_width;
        const index width = width_of_block(block);
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
            return write_(line, count * layer_.window.taps(), out_.plane(first).data, kernel.column_stride);
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
    detail::Layer layer_;
    TileShape shape_;
    TileGrid tiles_;
    ZeroPaddedTile<Work> tile_;
    index together_;  // input channels of a task
    ReadRun<Work> read_grad_;
    WriteRun<double> write_;
    std::vector<index> taps_;  // where they lie in the tiles of those channels
    index parts_;
    std::vector<double> sums_;
};

/// The gradient of the weights with neighbouring pixels in the lanes of vectors: one product of a tile of gradients
/// with a tile of pixels per tap. Tiles of all images are taken in order; each is multiplied and added up in `Work`,
/// the tiles in double.
template <class Work>
class FewChannelsGradient {
public:
    FewChannelsGradient(const ConstStack& grad, const ConstStack& x, const MutableStack& out,
                        const detail::Layer& layer)
        : grad_(grad),
          x_(x),
          out_(out),
          layer_(layer),
          together_(std::min(most_together, layer_.out)),
          cost_(static_cast<double>(together_) *
                (0.1 + static_cast<double>(layer.window.taps()) / static_cast<double>(2 * lanes))),
          shape_(choose_tile_for_blocks(grad.first.rows, grad.first.columns, layer.window, sizeof(Work), cost_)),
          tiles_(layer.images, grad.first.rows, grad.first.columns, shape_, cost_, 1),
          blocks_(layer.window, shape_, sizeof(Work)),
          tile_(blocks_.first(), shape_.rows, shape_.columns, ColumnLayout::phases, x),
          in_place_(has_rows_of<Work>(grad)),
          gradient_tile_({}, shape_.rows, shape_.columns, ColumnLayout::dense, grad),
          write_(row_writer<FromNumber, double>(out.element)),
          offsets_(detail::tap_offsets(tile_, blocks_.first(), 1)) {
        require(tile_.can_read() && gradient_tile_.can_read() && write_ != nullptr,
                "conv2d_backward_weight: no loop for these element types");
    }

    void run(int workers) const {
        const index parts = layer_.groups * layer_.in * ceil_div(layer_.out, together_);
        const index neighbours = ceil_div(parts, wanted_tasks);  // whose planes follow each other in memory
        const std::size_t bytes =
            Scratch::bytes<Work>(tile_.sizes(1)) + Scratch::bytes<Work>(gradient_tile_.sizes(together_));
        std::vector<double> sums(static_cast<std::size_t>(out_.planes() * layer_.window.taps()));
        // A part is one worker's, since its order of addition is part of the result. Its tiles come in runs, so that
        // there is a moment between them to answer Ctrl-C.
        const double tile_cost = cost_ * static_cast<double>(shape_.rows * shape_.columns * neighbours);
        const index run = std::max<index>(1, static_cast<index>(longest_task / tile_cost));
        for (index first = 0; first < tiles_.tasks(); first += run) {
            const index last = std::min(first + run, tiles_.tasks());
            parallel_for({ceil_div(parts, neighbours), tile_cost * static_cast<double>(last - first), bytes, workers},
                         [&](index task, Scratch scratch) {
                             Work* pixels = scratch.take<Work>(tile_.sizes(1));
                             Work* gradients = scratch.take<Work>(gradient_tile_.sizes(together_));
                             const index begin = task * neighbours;
                             for (index number = first; number < last; ++number) {
                                 for (index part = begin; part < std::min(begin + neighbours, parts); ++part) {
                                     add_tile(part, tiles_.first_of(number), sums.data(), pixels, gradients);
                                 }
                             }
                         });
        }
        write(sums.data());
    }

private:
    static constexpr index lanes = lane_count<Work>;
    static constexpr index most_together = detail::most_gradients;
    static constexpr index wanted_tasks = 32;

    /// Adds what a tile (of the image tile.plane) gives to the weights of one input channel and a few output channels.
    void add_tile(index part, const Tile& tile, double* sums, Work* pixels, Work* gradients) const {
        const index first = part % ceil_div(layer_.out, together_) * together_;
        const index channel = part / ceil_div(layer_.out, together_);  // of all groups
        const index group = channel / layer_.in;
        const index out = group * layer_.out + first;
        const index count = std::min(together_, layer_.out - first);
        const ConstPlane source = x_.plane(layer_.in_plane(tile.plane, 0, channel));
        detail::TwoTiles<Work> tiles = this->gradients(tile, out, count, gradients);
        tiles.pixels = pixels;
        tiles.pixel_pitch = tile_.output_pitch();
        for (index i = 0; i < blocks_.count(); ++i) {
            const WindowBlocks::Block block = blocks_[i];
            tile_.load(source, tile.row, tile.column, tile.rows, tile.columns, block.row, block.column, pixels);
            double* const weights = sums + (out * layer_.in + channel % layer_.in) * layer_.window.taps();
            detail::with_count<most_together>(count, [&](auto outs) { add_block<outs>(tiles, block, weights); });
        }
    }

    /// The gradients of `count` channels from `out` on, where they lie or loaded.
    detail::TwoTiles<Work> gradients(const Tile& tile, index out, index count, Work* loaded) const {
        const index plane = layer_.out_plane(tile.plane, 0, out);
        if (in_place_ && tile.columns >= lanes) {
            constexpr index size = sizeof(Work);
            const ConstPlane grad = grad_.plane(plane);
            return {nullptr,
                    0,
                    reinterpret_cast<const Work*>(grad.at(tile.row, tile.column)),
                    grad.row_stride / size,
                    grad_.leading.back().stride / size,
                    tile.rows,
                    tile.columns};
        }
        for (index o = 0; o < count; ++o) {
            gradient_tile_.load(grad_.plane(plane + o), tile.row, tile.column, tile.rows, tile.columns, 0, 0,
                                loaded + o * gradient_tile_.size());
        }
        return {nullptr, 0, loaded, gradient_tile_.output_pitch(), gradient_tile_.size(), tile.rows, tile.columns};
    }

    template <index outs>
    void add_block(const detail::TwoTiles<Work>& tiles, const WindowBlocks::Block& block, double* weights) const {
        const index taps = block.rows * block.columns;
        const index leaves = ceil_div(taps, detail::most_taps);
        weights += block.row * layer_.window.columns.size + block.column;
        for (index leaf = 0; leaf < leaves; ++leaf) {
            const index first = leaf * taps / leaves;
            const index last = (leaf + 1) * taps / leaves;
            detail::with_count<detail::most_taps>(last - first, [&](auto count) {
                detail::add_tile_products<Work, count, outs>(tiles, offsets_.data() + first, weights + first,
                                                             layer_.taps());
            });
        }
    }

    void write(const double* sums) const {
        for (index plane = 0; plane < out_.planes(); ++plane) {
            const MutablePlane target = out_.plane(plane);
            for (index row = 0; row < target.rows; ++row) {
                write_(sums + plane * layer_.window.taps() + row * target.columns, target.columns, target.at(row, 0),
                       target.column_stride);
            }
        }
    }

    const ConstStack& grad_;
    const ConstStack& x_;
    const MutableStack& out_;
    detail::Layer layer_;
    index together_;  // output channels that share the loading of an input channel
    double cost_;
    TileShape shape_;
    TileGrid tiles_;
    WindowBlocks blocks_;
    ZeroPaddedTile<Work> tile_;
    bool in_place_;  // gradients are read where they lie
    ZeroPaddedTile<Work> gradient_tile_;
    WriteRun<double> write_;
    std::vector<index> offsets_;  // of the taps of a block
};
}  // namespace

void conv2d_backward_weight(const ConstStack& grad, const ConstStack& x, const MutableStack& out,
                            const Window2D& window, index groups, int workers) {
    require(!grad.leading.empty() && detail::channels_fit(x, grad.leading.back().extent, out, groups) &&
                detail::same_images(x, grad),
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
    const detail::Layer layer(window, x, grad, groups);
    const auto run = [&](auto tag) {
        using Work = typename decltype(tag)::type;
        if (detail::fill_lanes<Work>(layer.out) && layer.taps() > detail::few_taps &&
            ManyChannelsGradient<Work>::suits(grad, window)) {
            ManyChannelsGradient<Work>(grad, x, out, layer).run(workers);
        } else {
            FewChannelsGradient<Work>(grad, x, out, layer).run(workers);
        }
    };
    if (in_float) {
        run(std::type_identity<float>{});
    } else {
        run(std::type_identity<double>{});
    }
}

}  // namespace imkernels
