// Correlation of images with kernels that are outer products.
#pragma once

#include "core/array_view.hpp"
#include "core/sum_ending.hpp"
#include "core/window.hpp"

namespace imkernels {

/// The same as `correlate` with the outer product of `column`, kernels of K rows and one column, and `row`, of one row
/// and L columns. For integers the caller has bounded the sums by the product of both bounds.
void correlate_separable(const ConstStack& image, ConstStack column, ConstStack row, const MutableStack& out,
                         const Window2D& window, const std::byte* fill, const SumEnding& ending, int workers);

/// Whether it takes less time than `correlate` to find out if a kernel has factors and to use them, for a number of
/// results (Zen 5).
bool separable_is_faster(const Window2D& window, double results);

}  // namespace imkernels
