// The loader for images that stand among zeros: like rows/tile_loader.hpp, but without a gap between the rows of a
// tile, so that tiles of many channels stay small.
#pragma once

#include <algorithm>
#include <cstring>

#include "core/array_view.hpp"
#include "core/window.hpp"
#include "rows/row_reader.hpp"
#include "rows/tile_loader.hpp"

namespace imkernels {

template <class Work>
class ZeroPaddedTile {
public:
    /// For tiles of at most `rows` x `columns` outputs. Pixels between windows (stride larger than the window) are left
    /// out, for which there are phases in both layouts.
    ZeroPaddedTile(const Window2D& window, index rows, index columns, ColumnLayout layout, const ConstStack& images)
        : window_(window),
          read_(row_reader<AsNumber, Work>(images.element)),
          native_(has_rows_of<Work>(images)),
          whole_rows_(window.columns.stride == 1 ||
                      (layout == ColumnLayout::dense && window.columns.step() == window.columns.stride)),
          run_(whole_rows_ ? window.columns.cover(columns)
                           : columns + (window.columns.reach() - 1) / window.columns.stride),
          pitch_(whole_rows_ ? run_ : window.columns.step() * run_),
          size_(window.rows.cover(rows) * pitch_) {}

    /// Whether there are images of this type to read.
    bool can_read() const { return read_ != nullptr; }
    /// Elements of a tile.
    index size() const { return size_; }

    /// Where tap (row, column) of output (0, 0) lies in the tile.
    index tap(index row, index column) const {
        const index across = column * window_.columns.dilation, stride = window_.columns.stride;
        return row * window_.rows.dilation * pitch_ + (whole_rows_ ? across : across % stride * run_ + across / stride);
    }
    /// Elements from an output to the one below.
    index output_pitch() const { return window_.rows.step() * pitch_; }
    /// Elements from an output to the one on its right.
    index output_step() const { return whole_rows_ ? window_.columns.stride : 1; }

    /// Loads what the outputs [row, row + rows) x [column, column + columns) need for a window that starts `tap_row`
    /// and `tap_column` taps further on.
    void load(const ConstPlane& plane, index row, index column, index rows, index columns, index tap_row,
              index tap_column, Work* tile) const {
        const WindowAxis& across = window_.columns;
        const index left = across.position(column, tap_column);
        const index length = whole_rows_ ? across.cover(columns) : columns + (across.reach() - 1) / across.stride;
        for (index output = 0; output < rows; ++output) {
            const index fresh = output + 1 < rows ? window_.rows.step() : window_.rows.reach();
            for (index y = 0; y < fresh; ++y, tile += pitch_) {
                const index line = window_.rows.position(row + output, tap_row) + y;
                const bool inside = line >= 0 && line < plane.rows;
                const std::byte* source = inside ? plane.data + line * plane.row_stride : nullptr;
                if (whole_rows_) {
                    load_run(source, plane, left, 1, length, tile);
                } else {
                    for (index run = 0; run < across.step(); ++run) {
                        load_run(source, plane, left + run, across.stride, length, tile + run * run_);
                    }
                }
            }
        }
    }

private:
    /// Loads the `count` pixels at `position`, `position + stride`, ... of a row; without a source zeros.
    void load_run(const std::byte* source, const ConstPlane& plane, index position, index stride, index count,
                  Work* target) const {
        if (source == nullptr) {
            std::fill_n(target, count, Work{});
            return;
        }
        const auto outputs_before = [&](index pixel) {
            return pixel <= position ? 0 : std::min(count, (pixel - position + stride - 1) / stride);
        };
        const index before = outputs_before(0), inside = outputs_before(plane.columns) - before;
        std::fill_n(target, before, Work{});
        if (inside > 0) {
            const std::byte* first = source + (position + before * stride) * plane.column_stride;
            if (native_ && stride == 1) {
                std::memcpy(target + before, first, static_cast<std::size_t>(inside) * sizeof(Work));
            } else {
                read_(first, inside > 1 ? stride * plane.column_stride : 0, inside, target + before);
            }
        }
        std::fill_n(target + before + inside, count - before - inside, Work{});
    }

    Window2D window_;
    ReadRun<Work> read_;
    bool native_;  // elements are `Work`, side by side
    bool whole_rows_;
    index run_;  // elements of a row, or of a phase of it
    index pitch_;
    index size_;
};

}  // namespace imkernels
