// Order filters of 8-bit images by histograms, in constant time per pixel.
#pragma once

#include "kernels/order_filter.hpp"

namespace imkernels {

/// Whether counters of 16 bits hold the pixels of the window, and no side of it is very long.
bool has_histogram(const Window2D& window);

/// The same as `order_filter` of the whole rectangle, for windows with a histogram on images of bool, int8 or uint8.
void histogram_filter(const ConstStack& image, const MutableStack& out, const Window2D& window, OrderRule rule,
                      const std::byte* fill, int workers);

}  // namespace imkernels
