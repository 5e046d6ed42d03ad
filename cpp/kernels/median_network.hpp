// Medians of small square windows by networks of minima and maxima.
#pragma once

#include "core/array_view.hpp"
#include "core/window.hpp"
#include "kernels/order_filter.hpp"

namespace imkernels {

/// Whether there is a network for the window, and pixels of so many bytes.
bool has_median_network(const Window2D& window, index item_size);

/// The median of `order_filter` with the whole rectangle as its footprint, for windows that have a network.
void median_network(const ConstStack& image, const MutableStack& out, const Window2D& window, NanPolicy nan,
                    const std::byte* fill, int workers);

}  // namespace imkernels
