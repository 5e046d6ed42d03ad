// Weighted sums whose every rounding is stated, for results that depend on the last bit.
#pragma once

#include <vector>

#include "core/array_view.hpp"
#include "core/window.hpp"

namespace imkernels {

/// A product of a sum: the weight times a pixel of the window, or times the sum or the difference of two.
struct OrderedTerm {
    static constexpr index none = -1;

    index tap;      // number of the pixel's tap in row-major order
    index partner;  // that of the other pixel, or none
    double weight;
};

/// The terms of a sum, in the order in which they are added.
struct OrderedTerms {
    std::vector<OrderedTerm> terms;
    bool subtracts = false;  // partners, instead of adding them
};

/// out[y, x] = the sum in float64 of the terms over the window's pixels: each product is rounded before it is added to
/// those before it. To an integer `out` it is cut off after the point and saturated.
///
/// With terms `across` those of `terms` lie in a window of one column, and the sums are taken once more along the
/// rows of what the first ones are cut off to; `out` has then integers of 32 bits at most, pixels 16, and the window is
/// moved by one pixel and without dilation. `fill` is a float64 that stands outside the image in mode constant.
void ordered_sums(const ConstStack& image, const MutableStack& out, const Window2D& window, const OrderedTerms& terms,
                  const OrderedTerms& across, const std::byte* fill, int workers);

}  // namespace imkernels
