// Order filters: the element of a given rank among the pixels of a window.
#pragma once

#include <vector>

#include "core/array_view.hpp"
#include "core/window.hpp"

namespace imkernels {

/// What a window with NaNs in it gives: NaN, or the rule applied to the other values (NaN if there are none).
enum class NanPolicy { propagate, omit };

/// A window of any form: the taps (row, column) of a rectangle that belong to it.
struct Footprint {
    struct Tap {
        index row, column;
    };
    std::vector<Tap> taps;
};

/// out[y, x] = sorted(window)[n / 2]: the median, the upper middle one for even n. `footprint` without taps
/// stands for the whole rectangle. Works on every type; `out` has the image's type in either byte order.
/// Floats are ordered -0.0 before 0.0. `fill` is an element of the image's type in native byte order that
/// stands outside the image in mode constant.
void median_filter(const ConstStack& image, const MutableStack& out, const Window2D& window, const Footprint& footprint,
                   NanPolicy nan, const std::byte* fill, int workers);

}  // namespace imkernels
