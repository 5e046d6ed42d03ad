// Means and sums over rectangular windows.
#pragma once

#include "core/array_view.hpp"
#include "core/window.hpp"

namespace imkernels {

/// out[y, x] = the mean of the window's pixels, or their sum. Means of integers are exact and rounded half to
/// even (to an integer `out`) or unrounded (to a float one); sums of integers are taken modulo 2^64; `out` is
/// then int64 or uint64. Pixels are of any type but bool. `fill` is an element of the image's type in native
/// byte order that stands outside the image in mode constant.
void box_blur(const ConstStack& image, const MutableStack& out, const Window2D& window, bool normalize,
              const std::byte* fill, int workers);

}  // namespace imkernels
