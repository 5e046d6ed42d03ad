// The loader: brings the part of an image that a tile of outputs needs into a small buffer.
//
// It takes care of everything that kernels do not see: borders, strides in memory, byte order, element type. Pixels
// that lie between windows (stride larger than the window) are neither read nor stored. Columns come in one of two
// layouts.
//
// Phases, for kernels that go through the taps and treat many outputs at once: with a column stride of s, tap t of
// outputs 0, 1, 2, ... lies in phase t % s, side by side from element t / s on. So the loop over outputs is contiguous
// whatever the stride.
//
// Dense, for kernels that go through the outputs and treat a whole window at once: the windows of neighbouring outputs
// start `output_step()` elements apart.
#pragma once

#include <algorithm>

#include "core/array_view.hpp"
#include "core/scratch.hpp"
#include "core/window.hpp"
#include "rows/row_reader.hpp"

namespace imkernels {

/// What stands outside the image in mode constant.
template <class Work>
struct Fill {
    Work value;
    bool nan;
};

/// Reads the fill from an element of the image's type in native byte order.
template <class Policy, class Work>
Fill<Work> read_fill(Dtype dtype, const std::byte* element) {
    Fill<Work> fill{};
    fill.nan = row_reader<Policy, Work>({dtype, false})(element, 0, 1, &fill.value);
    return fill;
}

enum class ColumnLayout { phases, dense };

template <class Work>
class TileLoader {
public:
    /// For tiles of at most `rows` x `columns` outputs. Of `channels` that lie side by side (rows/wide_planes.hpp)
    /// whole pixels are loaded, with stride 1. Rows of the buffer lie at least `least_pitch` elements apart.
    TileLoader(const Window2D& window, index rows, index columns, ColumnLayout layout, ReadRun<Work> read,
               Fill<Work> fill, index channels = 1, index least_pitch = 0)
        : window_(window),
          channels_(channels),
          read_(read),
          fill_(fill),
          dense_(layout == ColumnLayout::dense || columns == 1),  // one column of outputs needs no phases
          phases_(dense_ ? 1 : window.columns.step()),
          phase_pitch_(dense_ ? window.columns.cover(columns) : phase_extent(columns)),
          pitch_(std::max(least_pitch, phases_ * phase_pitch_ + row_slack)),
          size_(window.rows.cover(rows) * pitch_) {}

    /// Elements of the buffer that `load` fills.
    index size() const { return size_; }
    /// Elements from one row of the buffer to the next.
    index pitch() const { return pitch_; }
    /// Phases that a row of the buffer consists of.
    index phases() const { return phases_; }
    /// Elements from one phase to the next.
    index phase_pitch() const { return phase_pitch_; }
    /// Elements from the first tap of an output to that of the output below.
    index output_pitch() const { return window_.rows.step() * pitch_; }
    /// Elements from the first tap of an output to that of the output on its right.
    index output_step() const { return dense_ ? window_.columns.step() : 1; }

    /// Where tap (row, column) of output (0, 0) lies in the buffer.
    index tap(index row, index column) const {
        const index offset = column * window_.columns.dilation;
        const index stride = window_.columns.stride;
        const index in_row = dense_ ? offset : offset % stride * phase_pitch_ + offset / stride;
        return row * window_.rows.dilation * pitch_ + in_row;
    }

    /// The same for a window that starts `rows` and `columns` pixels further on.
    TileLoader shifted(index rows, index columns) const {
        TileLoader loader = *this;
        loader.window_.rows.before -= rows;
        loader.window_.columns.before -= columns;
        return loader;
    }

    /// Loads what the outputs [row, row + rows) x [column, column + columns) need; true if a NaN was among
    /// it.
    bool load(const ConstPlane& plane, index row, index column, index rows, index columns, Work* buffer) const {
        bool nan = false;
        for (index y = 0; y < window_.rows.cover(rows); ++y) {
            nan |= load_row(plane, row_position(row, rows, y), column, columns, buffer + y * pitch_);
        }
        return nan;
    }

    /// The image row, or the row outside of it, that row `y` of the buffer holds.
    index row_position(index row, index rows, index y) const {
        const index step = window_.rows.step();
        const index output = std::min(step == 1 ? y : y / step, rows - 1);  // a division takes long
        return window_.rows.position(row + output) + y - output * step;
    }

    /// Loads one row of the buffer.
    bool load_row(const ConstPlane& plane, index position, index column, index columns, Work* target) const {
        const Run source = border_run(window_.rows.border, plane.rows, position);
        const bool outside = source.source == no_source;
        return load_columns(
            {outside ? nullptr : plane.data + source.source * plane.row_stride, plane.columns, plane.column_stride},
            column, columns, target);
    }

private:
    /// An image row; without data outside the image.
    struct Line {
        const std::byte* data;
        index extent, stride;
    };

    /// Elements of one phase for `columns` outputs.
    index phase_extent(index columns) const { return columns + (window_.columns.reach() - 1) / window_.columns.stride; }

    bool load_columns(const Line& line, index column, index columns, Work* target) const {
        const WindowAxis& axis = window_.columns;
        const index first = axis.position(column);
        bool nan = false;
        if (!dense_) {
            for (index phase = 0; phase < phases_; ++phase) {
                nan |= load_run(line, first + phase, axis.stride, phase_extent(columns), target + phase * phase_pitch_);
            }
        } else if (axis.step() == axis.stride) {
            nan = load_run(line, first, 1, axis.cover(columns), target);
        } else {
            for (index x = 0; x < columns; ++x) {
                nan |= load_run(line, axis.position(column + x), 1, axis.reach(), target + x * axis.reach());
            }
        }
        return nan;
    }

    /// Loads the `count` pixels at `position`, `position + stride`, ...
    bool load_run(const Line& line, index position, index stride, index count, Work* target) const {
        if (channels_ > 1) {
            return load_pixels(line, position / channels_, count / channels_, target);
        }
        bool nan = false;
        while (count > 0) {
            const Run run = line.data == nullptr ? Run{no_source, 0, count * stride}
                                                 : border_run(window_.columns.border, line.extent, position);
            const index here = std::min(count, (run.count - 1) / stride + 1);
            if (run.source == no_source) {
                std::fill_n(target, here, fill_.value);
                nan |= fill_.nan;
            } else {
                const index apart = here > 1 ? run.step * stride * line.stride : 0;
                nan |= read_(line.data + run.source * line.stride, apart, here, target);
            }
            position += here * stride;
            target += here;
            count -= here;
        }
        return nan;
    }

    /// Loads the channels of `count` pixels from `position` on.
    bool load_pixels(const Line& line, index position, index count, Work* target) const {
        bool nan = false;
        while (count > 0) {
            const Run run = line.data == nullptr
                                ? Run{no_source, 0, count}
                                : border_run(window_.columns.border, line.extent / channels_, position);
            const index here = std::min(count, run.count);
            if (run.source == no_source) {
                std::fill_n(target, here * channels_, fill_.value);
                nan |= fill_.nan;
            } else {
                // Forwards they are one run, otherwise pixel by pixel.
                const index together = run.step == 1 ? here : 1;
                for (index i = 0; i < here; i += together) {
                    const std::byte* pixel = line.data + (run.source + i * run.step) * channels_ * line.stride;
                    nan |= read_(pixel, line.stride, together * channels_, target + i * channels_);
                }
            }
            position += here;
            target += here * channels_;
            count -= here;
        }
        return nan;
    }

    Window2D window_;
    index channels_;
    ReadRun<Work> read_;
    Fill<Work> fill_;
    bool dense_;
    index phases_;
    index phase_pitch_;
    index pitch_;
    index size_;
};

}  // namespace imkernels
