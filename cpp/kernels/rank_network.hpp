// Order filters with any rectangle and any rank by sorting networks that are planned when they are asked for.
#pragma once

#include "kernels/order_filter.hpp"

namespace imkernels {

/// Whether a network of the window stays small enough to run from the caches.
bool has_rank_network(const Window2D& window);

/// The same as `order_filter` of the whole rectangle, for windows with a network.
void rank_network(const ConstStack& image, const MutableStack& out, const Window2D& window, OrderRule rule,
                  NanPolicy nan, const std::byte* fill, int workers);

}  // namespace imkernels
