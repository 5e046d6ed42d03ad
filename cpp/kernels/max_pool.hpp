// Max pooling, with the position of every maximum where it is asked for, and the ways back.
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

/// out[index] += grad for every pair of `grad` and `argmax`, plane by plane and in row-major order; `out` is
/// zeroed first. Throws std::out_of_range, with nothing written outside `out`, for an index that is not in
/// the plane. `grad` and `out` are of the same type in native byte order and not bool; integers wrap around.
void max_pool_backward(const ConstStack& grad, const ConstStack& argmax, const MutableStack& out, int workers);

/// out[index] = value for every pair of `values` and `argmax`, and zero elsewhere: the last one in row-major order
/// where an index repeats. As `max_pool_backward`, for every type; the byte order of `out` may be its own.
void max_unpool(const ConstStack& values, const ConstStack& argmax, const MutableStack& out, int workers);

}  // namespace imkernels
