// Box blur of integers, fast.
#pragma once

#include "kernels/box_blur.hpp"

namespace imkernels {

/// Whether there is a fast blur of this image: integers, where sums and quotients fit vectors.
bool has_integer_box(const ConstStack& image, const MutableStack& out, const Window2D& window, const BoxEnding& ending);

/// As `box_blur`.
void integer_box(const ConstStack& image, const MutableStack& out, const Window2D& window, const BoxEnding& ending,
                 const std::byte* fill, int workers);

}  // namespace imkernels
