// Box blur of integers, fast.
#pragma once

#include "core/array_view.hpp"
#include "core/window.hpp"

namespace imkernels {

/// Whether there is a fast blur of this image: integers, where sums and quotients fit vectors.
bool has_integer_box(const ConstStack& image, const MutableStack& out, const Window2D& window);

/// As `box_blur`.
void integer_box(const ConstStack& image, const MutableStack& out, const Window2D& window, bool normalize,
                 const std::byte* fill, int workers);

}  // namespace imkernels
