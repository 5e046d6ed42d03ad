// Border modes: which pixel stands at a position outside the image.
//
// Positions are asked for in runs: from any position on, the longest stretch over which the source moves by a
// constant step (+1, -1 or 0). So a loader copies runs and never maps single positions, and windows and pads
// larger than the image need no case of their own.
#pragma once

#include <cstdint>
#include <limits>

#include "core/index.hpp"

namespace imkernels {

enum class Border : std::uint8_t {
    reflect,   // d c b a | a b c d | d c b a
    mirror,    //   d c b | a b c d | c b a
    nearest,   // a a a a | a b c d | d d d d
    wrap,      // a b c d | a b c d | a b c d
    constant,  // k k k k | a b c d | k k k k
};

struct Run {
    index source;  // pixel at the first position; outside the image (-1) for the constant
    index step;    // pixels that the source moves per position
    index count;   // positions
};

inline constexpr index no_source = -1;

constexpr index floor_mod(index value, index period) {
    const index remainder = value % period;
    return remainder < 0 ? remainder + period : remainder;
}

/// The run that starts at `position` of an axis of `extent` > 0 pixels.
constexpr Run border_run(Border border, index extent, index position) {
    constexpr index endless = std::numeric_limits<index>::max() / 4;
    if (position >= 0 && position < extent) {
        return {position, 1, extent - position};
    }
    const index outside = position < 0 ? -position : endless;
    switch (border) {
        case Border::constant: return {no_source, 0, outside};
        case Border::nearest: return {position < 0 ? 0 : extent - 1, 0, outside};
        case Border::wrap: {
            const index source = floor_mod(position, extent);
            return {source, 1, extent - source};
        }
        case Border::reflect: {
            const index phase = floor_mod(position, 2 * extent);
            return phase < extent ? Run{phase, 1, extent - phase} : Run{2 * extent - 1 - phase, -1, 2 * extent - phase};
        }
        case Border::mirror: break;
    }
    if (extent == 1) {
        return {0, 0, endless};
    }
    const index period = 2 * extent - 2;
    const index phase = floor_mod(position, period);
    return phase < extent - 1 ? Run{phase, 1, extent - 1 - phase} : Run{period - phase, -1, period - phase};
}

}  // namespace imkernels
