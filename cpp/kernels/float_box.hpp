// Box blur of doubles, and of floats in small windows.
#pragma once

#include "core/array_view.hpp"
#include "core/window.hpp"

namespace imkernels {

/// Whether `float_box` takes them: floats, to the same type.
bool has_float_box(const ConstStack& image, const MutableStack& out, const Window2D& window);

/// As `box_blur`. True if a result is no finite number; its window may still have a mean or a sum.
bool float_box(const ConstStack& image, const MutableStack& out, const Window2D& window, bool normalize,
               const std::byte* fill, int workers);

}  // namespace imkernels
