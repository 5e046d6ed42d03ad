// Max pooling, with the position of every maximum where it is asked for.
#pragma once

#include "core/array_view.hpp"
#include "core/window.hpp"

namespace imkernels {

/// values[y, x] = the maximum of the window's pixels; with `argmax`, argmax[y, x] = its flat index row * W + column in
/// the image: the first in row-major order on ties, where the two zeros tie, and the first NaN where there is
/// one. Taps outside the image do not take part; every window must have one inside. `values` has the image's
/// element type (in either byte order), `argmax` is int64.
void max_pool(const ConstStack& image, const MutableStack& values, const MutableStack* argmax, const Window2D& window,
              int workers);

/// The same for windows that share the image out (adaptive_windows).
void adaptive_max_pool(const ConstStack& image, const MutableStack& values, const MutableStack* argmax, int workers);

}  // namespace imkernels
