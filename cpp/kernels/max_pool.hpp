// Max pooling with the position of every maximum, and the way back.
#pragma once

#include "core/array_view.hpp"
#include "core/window.hpp"

namespace imkernels {

/// values[y, x] = the maximum of the window's pixels, argmax[y, x] = its flat index row * W + column in the
/// image: the first in row-major order on ties, where the two zeros tie, and the first NaN where there is
/// one. Taps outside the image do not take part; every window must have one inside. `values` has the image's
/// element type (in either byte order), `argmax` is int64.
void max_pool_with_argmax(const ConstStack& image, const MutableStack& values, const MutableStack& argmax,
                          const Window2D& window, int workers);

/// out[index] += grad for every pair of `grad` and `argmax`, plane by plane and in row-major order; `out` is
/// zeroed first. Throws std::out_of_range, with nothing written outside `out`, for an index that is not in
/// the plane. `grad` and `out` are of the same type in native byte order and not bool; integers wrap around.
void max_pool_backward(const ConstStack& grad, const ConstStack& argmax, const MutableStack& out, int workers);

}  // namespace imkernels
