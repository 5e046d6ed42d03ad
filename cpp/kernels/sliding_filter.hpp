// Order filters of any window by a set that slides over the image, in a time that grows with the window's edge.
#pragma once

#include "kernels/order_filter.hpp"

namespace imkernels {

/// Whether the windows of a few outputs lie in a tile whose pixels 16 bits can number.
bool has_sliding(const Window2D& window);

/// The same as `order_filter`, for windows that are not too large.
void sliding_filter(const ConstStack& image, const MutableStack& out, const Window2D& window,
                    const Footprint& footprint, OrderRule rule, NanPolicy nan, const std::byte* fill, int workers);

}  // namespace imkernels
