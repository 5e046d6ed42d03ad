// The geometry of a window on an image, and the rules for extents.
#pragma once

#include <algorithm>
#include <cstddef>

#include "core/border.hpp"

namespace imkernels {

/// A window along one axis: `size` taps, `dilation` pixels apart, moved by `stride` pixels per output; the
/// first tap of output 0 lies `before` pixels in front of pixel 0. The Python layer keeps every number below
/// 2^31.
struct WindowAxis {
    index size = 1;
    index stride = 1;
    index dilation = 1;
    index before = 0;
    Border border = Border::constant;

    /// Pixels from the first tap to the last, both counted.
    constexpr index reach() const { return dilation * (size - 1) + 1; }
    /// Pixels between the starts of neighbouring windows once those that lie between windows are left out.
    constexpr index step() const { return std::min(stride, reach()); }
    /// Pixels that `outputs` neighbouring windows cover, those between windows left out.
    constexpr index cover(index outputs) const { return (outputs - 1) * step() + reach(); }
    /// The virtual position of tap `tap` of output `output`.
    constexpr index position(index output, index tap = 0) const { return output * stride - before + tap * dilation; }

    struct Range {
        index begin, end;
    };
    /// Which of the outputs first, first + 1, ..., first + outputs - 1, counted from 0, have windows that lie within an
    /// axis of `extent` pixels.
    constexpr Range inside(index first, index outputs, index extent) const {
        const index start = position(first);
        const index begin = std::clamp<index>((stride - 1 - start) / stride, 0, outputs);
        const index end = extent - reach() < start ? 0 : (extent - reach() - start) / stride + 1;
        return {begin, std::clamp<index>(end, begin, outputs)};
    }

    /// The first tap of output `output` that does not lie before the image.
    constexpr index first_tap_inside(index output) const {
        const index start = position(output);
        return start >= 0 ? 0 : ceil_div(-start, dilation);
    }
    /// Whether the windows of all `outputs` have a tap on an axis of `extent` pixels.
    constexpr bool meets(index extent, index outputs) const {
        // A window that starts behind the front of the image has its first tap as its best, so the last one
        // decides.
        if (outputs > 0 && position(outputs - 1) >= extent) {
            return false;
        }
        // One that starts before it may straddle the image between two taps. Where its taps fall repeats
        // after at most `dilation` outputs, but the earliest is the one that may end too soon.
        const index straddling = extent >= dilation ? 1 : dilation;
        for (index output = 0; output < std::min(outputs, straddling) && position(output) < 0; ++output) {
            const index first = first_tap_inside(output);
            if (first >= size || position(output, first) >= extent) {
                return false;
            }
        }
        return true;
    }
};

struct Window2D {
    WindowAxis rows;
    WindowAxis columns;

    constexpr index taps() const { return rows.size * columns.size; }
};

/// Outputs along an axis of `extent` pixels padded by `before` and `after`; negative where not even one fits.
constexpr index output_extent(index extent, index before, index after, index reach, index stride) {
    const index room = extent + before + after - reach;
    return room < 0 ? -1 : room / stride + 1;
}

}  // namespace imkernels
