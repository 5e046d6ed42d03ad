// Pooling over windows of any extents: averages with their gradient, and maxima.
#pragma once

#include "core/array_view.hpp"
#include "core/pool_windows.hpp"

namespace imkernels {

/// out[y, x] = the sum of the pixels of window (y, x), divided by windows.rows.divisors[y] *
/// windows.columns.divisors[x]. Integers are summed exactly and rounded half to even to an integer `out`, unrounded to
/// a float one. Pixels are of any type but bool; no window is empty.
void average_windows(const ConstStack& image, const MutableStack& out, const PoolWindows& windows, int workers);

/// The gradient of `average_windows`: every pixel of `out` is the sum of `grad`, divided as there, over the windows
/// that it lies in. `grad` and `out` are floats.
void average_windows_backward(const ConstStack& grad, const MutableStack& out, const PoolWindows& windows, int workers);

/// values[y, x] = the maximum of window (y, x); with `argmax`, of int64, its flat index row * W + column as well. Ties
/// and NaNs as in max_pool.hpp; `values` has the image's element type. No window is empty.
void maximum_of_windows(const ConstStack& image, const MutableStack& values, const MutableStack* argmax,
                        const PoolWindows& windows, int workers);

}  // namespace imkernels
