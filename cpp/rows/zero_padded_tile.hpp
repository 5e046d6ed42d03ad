// The loader for images that stand among zeros: like rows/tile_loader.hpp, but without a gap between the rows of a
// tile, so that tiles of many channels stay small.
#pragma once

#include <algorithm>
#include <cstring>

#include "core/array_view.hpp"
#include "core/scratch.hpp"
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
          pixelwise_(is_pixelwise(window.rows) && is_pixelwise(window.columns)),
          size_(window.rows.cover(rows) * pitch_) {}

    /// Whether there are images of this type to read.
    bool can_read() const { return read_ != nullptr; }
    /// Elements of a tile, and of some that follow each other.
    index size() const { return size_; }
    index sizes(index tiles) const { return tiles * size_ + row_slack; }

    /// Where tap (row, column) of output (0, 0) lies in the tile.
    index tap(index row, index column) const {
        const index across = column * window_.columns.dilation;
        const index stride = window_.columns.stride;
        return row * window_.rows.dilation * pitch_ + (whole_rows_ ? across : across % stride * run_ + across / stride);
    }
    /// Elements from an output to the one below.
    index output_pitch() const { return window_.rows.step() * pitch_; }
    /// Elements from an output to the one on its right.
    index output_step() const { return whole_rows_ ? window_.columns.stride : 1; }

    /// Loads what the outputs [row, row + rows) x [column, column + columns) need for a window that starts `tap_row`
    /// and `tap_column` taps further on. Writes up to a cache line past the end.
    void load(const ConstPlane& plane, index row, index column, index rows, index columns, index tap_row,
              index tap_column, Work* tile) const {
        if (pixelwise_ && rows > 1 && columns == pitch_ && columns == plane.columns &&
            plane.row_stride == columns * plane.column_stride) {
            load_rows(with_long_rows(plane), 0, row * columns, 1, rows * columns, 0, 0, tile);
        } else {
            load_rows(plane, row, column, rows, columns, tap_row, tap_column, tile);
        }
    }

private:
    void load_rows(const ConstPlane& plane, index row, index column, index rows, index columns, index tap_row,
                   index tap_column, Work* tile) const {
        const WindowAxis& across = window_.columns;
        const index left = across.position(column, tap_column);
        const index length = whole_rows_ ? across.cover(columns) : columns + (across.reach() - 1) / across.stride;
        const Span whole = span(plane, left, 1, length);
        for (index output = 0; output < rows; ++output) {
            const index fresh = output + 1 < rows ? window_.rows.step() : window_.rows.reach();
            for (index y = 0; y < fresh; ++y, tile += pitch_) {
                const index line = window_.rows.position(row + output, tap_row) + y;
                if (line < 0 || line >= plane.rows) {
                    clear(tile, pitch_);
                    continue;
                }
                bring_near(plane, line, left, columns);
                if (whole_rows_) {
                    load_span(plane, line, whole, tile);
                } else {
                    for (index phase = 0; phase < across.step(); ++phase) {
                        load_span(plane, line, span(plane, left + phase, across.stride, length), tile + phase * run_);
                    }
                }
            }
        }
    }

    /// Has the pixels fetched that lie where those of a row do, a few kilobytes further down: rows are too short, and
    /// too many of them lie apart, for hardware to do so in time. To be inlined: GCC takes it for a function without
    /// effect.
    [[gnu::always_inline]] void bring_near(const ConstPlane& plane, index line, index left, index columns) const {
        constexpr index ahead = 4096 / static_cast<index>(sizeof(Work));
        if (native_ && plane.columns > 0) {
            const index first = std::max<index>(0, left);
            const index last = std::min(plane.columns, left + columns * window_.columns.stride);
            const std::byte* const pixels = plane.at(line + std::max<index>(1, ahead / plane.columns), 0);
            for (index i = first; i < last; i += at_once) {
                __builtin_prefetch(pixels + i * index{sizeof(Work)});
            }
        }
    }

    /// Whether outputs are the pixels in their places.
    static bool is_pixelwise(const WindowAxis& axis) { return axis.size == 1 && axis.stride == 1 && axis.before == 0; }

    /// Every `stride`-th pixel of a row from `first` on, and the zeros before and behind them.
    struct Span {
        index first, stride;
        index before, inside, behind;
    };

    static Span span(const ConstPlane& plane, index position, index stride, index count) {
        const auto before = [&](index pixel) {
            return pixel <= position ? 0 : std::min(count, ceil_div(pixel - position, stride));
        };
        const index zeros = before(0);
        const index inside = before(plane.columns) - zeros;
        return {position + zeros * stride, stride, zeros, inside, count - zeros - inside};
    }

    void load_span(const ConstPlane& plane, index line, const Span& span, Work* target) const {
        clear(target, span.before);
        target += span.before;
        if (span.inside > 0) {
            const std::byte* source = plane.at(line, span.first);
            if (native_ && span.stride == 1) {
                copy<at_once>(reinterpret_cast<const Work*>(source), span.inside, target);
            } else {
                read_(source, span.inside > 1 ? span.stride * plane.column_stride : 0, span.inside, target);
            }
        }
        clear(target + span.inside, span.behind);
    }

    /// Rows are short: cache lines, where a call would take longer than its work.
    static void clear(Work* target, index count) {
        for (index i = 0; i < count; i += at_once) {
            std::memset(target + i, 0, line_bytes);
        }
    }
    /// Pieces of `most` elements, the last of which begins where it ends with them all.
    template <index most>
    static void copy(const Work* source, index count, Work* target) {
        constexpr std::size_t bytes = static_cast<std::size_t>(most) * sizeof(Work);
        if constexpr (most > 1) {
            if (count < most) {
                return copy<most / 2>(source, count, target);
            }
        }
        for (index i = 0; i + most < count; i += most) {
            std::memcpy(target + i, source + i, bytes);
        }
        std::memcpy(target + count - most, source + count - most, bytes);
    }

    static constexpr std::size_t line_bytes = Scratch::line;
    static constexpr index at_once = static_cast<index>(line_bytes / sizeof(Work));

    Window2D window_;
    ReadRun<Work> read_;
    bool native_;  // elements are `Work`, side by side
    bool whole_rows_;
    index run_;  // elements of a row, or of a phase of it
    index pitch_;
    bool pixelwise_;
    index size_;
};

}  // namespace imkernels
