// Box blur of floats, fast.
#pragma once

#include "core/array_view.hpp"
#include "core/window.hpp"

namespace imkernels {

/// Whether there is a fast blur for means of this image: floats, to the same type.
bool has_float_box(const ConstStack& image, const MutableStack& out, const Window2D& window);

/// As `box_blur`, means only. True if a result is no finite number; its window may still have a mean.
bool float_box(const ConstStack& image, const MutableStack& out, const Window2D& window, const std::byte* fill,
               int workers);

}  // namespace imkernels
