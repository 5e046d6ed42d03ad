// Means and sums over rectangular windows.
#pragma once

#include <optional>

#include "core/array_view.hpp"
#include "core/dtype.hpp"
#include "core/sum_ending.hpp"
#include "core/window.hpp"

namespace imkernels {

/// A float32 or float64.
struct Factor {
    Dtype dtype;
    double value;
};

/// What becomes of the sum of a window.
struct BoxEnding {
    bool normalize;                // divide it by the number of pixels
    index delta;                   // add this to a sum of integers before, 0 to that number
    Rounding rounding;             // where a mean becomes an integer
    std::optional<Factor> factor;  // multiply a sum of integers by it, in its type
    bool by_axis;                  // cut the means down the columns off before those along the rows
};

/// out[y, x] = the mean of the window's pixels, or their sum. Means of integers are exact and rounded once (to an
/// integer `out`) or unrounded (to a float one); sums of integers are taken modulo 2^64; `out` is then int64 or uint64,
/// or holds them. Products with a factor are rounded half to even where `out` is of integers. Pixels are of any type
/// but bool. `fill` is an element of the image's type in native byte order that stands outside the image in mode
/// constant.
void box_blur(const ConstStack& image, const MutableStack& out, const Window2D& window, const BoxEnding& ending,
              const std::byte* fill, int workers);

}  // namespace imkernels
