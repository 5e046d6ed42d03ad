// Box blur of floats of up to 32 bits by exact sums: the cost of a pixel does not depend on the window.
#pragma once

#include "core/array_view.hpp"
#include "core/window.hpp"

namespace imkernels {

/// Whether `exact_box` takes them. Small windows are done sooner by `float_box`.
bool has_exact_box(const ConstStack& image, const MutableStack& out, const Window2D& window);

/// Means of windows, or sums.
void exact_box(const ConstStack& image, const MutableStack& out, const Window2D& window, bool normalize,
               const std::byte* fill, int workers);

}  // namespace imkernels
