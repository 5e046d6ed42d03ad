// Minima and maxima over rectangular windows.
#pragma once

#include "core/array_view.hpp"
#include "core/window.hpp"
#include "kernels/order_filter.hpp"

namespace imkernels {

enum class Extremum { minimum, maximum };

/// out[y, x] = the smallest or the largest pixel of the window; NaNs, types and `fill` as for `order_filter`.
void extremum_filter(const ConstStack& image, const MutableStack& out, const Window2D& window, Extremum extremum,
                     NanPolicy nan, const std::byte* fill, int workers);

}  // namespace imkernels
