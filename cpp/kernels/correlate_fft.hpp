// Correlation of images with large kernels by way of Fourier transforms.
#pragma once

#include "core/array_view.hpp"
#include "core/sum_ending.hpp"
#include "core/window.hpp"

namespace imkernels {

/// Whether `correlate_fft` takes a window: not one that reaches over more than 1024 pixels.
bool has_fft(const Window2D& window);

/// Whether it takes less time than `correlate` for `rows` x `columns` results of a kernel with `item_size` bytes per
/// weight.
bool fft_is_faster(const Window2D& window, index rows, index columns, index item_size);

/// The same as `correlate`, within its bound; exact for integers; float sums are not cut off, since what is whole may
/// come out a little less. The element type of `kernel` is int32, float32 or float64. Takes 16 bytes per number of a
/// tile for each worker, twice that for a bank of kernels, and 16 for each spectrum of a kernel, of which it keeps at
/// most 64 MiB.
void correlate_fft(const ConstStack& image, const ConstStack& kernel, const MutableStack& out, const Window2D& window,
                   const std::byte* fill, const SumEnding& ending, int workers);

}  // namespace imkernels
