// Correlation of images with small kernels.
#pragma once

#include "core/array_view.hpp"
#include "core/sum_ending.hpp"
#include "core/window.hpp"

namespace imkernels {

/// out[y, x] = sum over taps (i, j) of kernel[i, j] * image at row y * stride - before + i * dilation, column
/// likewise.
///
/// `image`, `kernel` and `out` have the same leading axes. The element type of `kernel` is the type that is
/// computed in: int32 (the caller has made sure that no sum leaves it), int64 (modulo 2^64), float32 or
/// float64; `out` may be of any type but bool. `fill` is an element of the kernel's type that stands outside
/// the image in mode constant. `ending` may add to sums, within the same bounds, and cut them off.
void correlate(const ConstStack& image, const ConstStack& kernel, const MutableStack& out, const Window2D& window,
               const std::byte* fill, const SumEnding& ending, int workers);

/// Nanoseconds of a result on one core (Zen 5), with a kernel of `item_size` bytes per weight.
double cost_of_correlation(const Window2D& window, index item_size);

}  // namespace imkernels
