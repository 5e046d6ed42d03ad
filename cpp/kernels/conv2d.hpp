// Convolution as neural networks learn it, and the gradient of its weights.
#pragma once

#include "core/array_view.hpp"
#include "core/window.hpp"

namespace imkernels {

/// out[n, o] = bias[o] + sum over the channels c of o's group of the correlation of x[n, c] with weight[o, c], zeros
/// outside. The axis before the last two of `x` and `out` counts channels, those before it images; `weight` has the
/// leading axes (O, C / groups). The element type of `weight` is the type that is computed in, as for `correlate`.
/// `bias` holds O elements of that type side by side, or is nullptr.
void conv2d(ConstStack x, const ConstStack& weight, const std::byte* bias, MutableStack out, const Window2D& window,
            index groups, int workers);

/// The gradient of `weight` for the gradient `grad` of `out` above. `out` has the leading axes (O, C / groups).
/// Multiplied in float where that holds the values of `grad` and `x`, else in double, and so summed up over a few
/// thousand pixels at most; those sums are summed up in double. The shapes alone decide the order.
void conv2d_backward_weight(const ConstStack& grad, const ConstStack& x, const MutableStack& out,
                            const Window2D& window, index groups, int workers);

}  // namespace imkernels
