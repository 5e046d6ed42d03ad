// The loader: brings the part of an image that a tile of outputs needs into a small buffer.
//
// It takes care of everything that kernels do not see: borders, strides in memory, byte order, element type.
// Pixels that lie between windows (stride larger than the window) are neither read nor stored. Columns come in
// one of two layouts:
//
// - phases, for kernels that go through the taps and treat many outputs at once. With a column stride of s, tap
//   t of outputs 0, 1, 2, ... lies in phase t % s, side by side from element t / s on: the loop over outputs is
//   contiguous whatever the stride.
// - dense, for kernels that go through the outputs and treat a whole window at once. The windows of neighbouring
//   outputs start `output_step()` elements apart.
#pragma once

#include <algorithm>

#include "core/array_view.hpp"
#include "core/window.hpp"
#include "rows/row_reader.hpp"

namespace imkernels {

/// Elements of slack behind every row of a buffer: vector code may read and write past the end.
inline constexpr index row_slack = 64;

enum class ColumnLayout { phases, dense };

template <class Work>
class TileLoader {
public:
    /// For tiles of at most `rows` x `columns` outputs. `fill` stands outside the image in mode constant.
    TileLoader(const Window2D& window, index rows, index columns, ColumnLayout layout, ReadRun<Work> read, Work fill)
        : window_(window),
          read_(read),
          fill_(fill),
          dense_(layout == ColumnLayout::dense),
          phases_(dense_ ? 1 : window.columns.step()),
          phase_pitch_((dense_ ? window.columns.cover(columns) : phase_extent(columns)) + row_slack),
          pitch_(phases_ * phase_pitch_),
          size_(window.rows.cover(rows) * pitch_) {}

    /// Elements of the buffer that `load` fills.
    index size() const { return size_; }
    /// Elements from one row of the buffer to the next.
    index pitch() const { return pitch_; }
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

    /// Loads what the outputs [row, row + rows) x [column, column + columns) need; true if a NaN was among it.
    bool load(const ConstPlane& plane, index row, index column, index rows, index columns, Work* buffer) const {
        const index step = window_.rows.step();
        const index needed = window_.rows.cover(rows);
        bool nan = false;
        for (index y = 0; y < needed; ++y) {
            const index output = std::min(y / step, rows - 1);
            const index position = window_.rows.position(row + output) + y - output * step;
            const Run source = border_run(window_.rows.border, plane.rows, position);
            const bool outside = source.source == no_source;
            const Line line{outside ? nullptr : plane.data + source.source * plane.row_stride, plane.columns,
                            plane.column_stride};
            nan |= load_columns(line, column, columns, buffer + y * pitch_);
        }
        return nan;
    }

private:
    /// An image row; without data outside the image.
    struct Line {
        const std::byte* data;
        index extent, stride;
    };

    /// Elements of one phase for `columns` outputs.
    index phase_extent(index columns) const {
        return columns + (window_.columns.reach() - 1) / window_.columns.stride;
    }

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
        bool nan = false;
        while (count > 0) {
            const Run run = line.data == nullptr ? Run{no_source, 0, count * stride}
                                                 : border_run(window_.columns.border, line.extent, position);
            const index here = std::min(count, (run.count - 1) / stride + 1);
            if (run.source == no_source) {
                std::fill_n(target, here, fill_);
            } else {
                nan |= read_(line.data + run.source * line.stride, run.step * stride * line.stride, here, target);
            }
            position += here * stride;
            target += here;
            count -= here;
        }
        return nan;
    }

    Window2D window_;
    ReadRun<Work> read_;
    Work fill_;
    bool dense_;
    index phases_;
    index phase_pitch_;
    index pitch_;
    index size_;
};

}  // namespace imkernels
