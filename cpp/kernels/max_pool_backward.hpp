// The ways back from maxima to the pixels that they were taken from.
#pragma once

#include "core/array_view.hpp"

namespace imkernels {

/// out[index] += grad for every pair of `grad` and `argmax`, plane by plane and in row-major order; `out` is
/// zeroed first. Throws std::out_of_range, with nothing written, for an index that is not in the plane. `grad` and
/// `out` are of the same type in native byte order and not bool; integers wrap around.
void max_pool_backward(const ConstStack& grad, const ConstStack& argmax, const MutableStack& out, int workers);

/// out[index] = value for every pair of `values` and `argmax`, and zero elsewhere: the last one in row-major order
/// where an index repeats. As `max_pool_backward`, for every type; the byte order of `out` may be its own.
void max_unpool(const ConstStack& values, const ConstStack& argmax, const MutableStack& out, int workers);

}  // namespace imkernels
