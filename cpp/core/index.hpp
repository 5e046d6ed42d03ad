// The type of every extent, position and stride.
#pragma once

#include <cstddef>

namespace imkernels {

/// Signed, so that positions before an image and steps backwards need no case of their own.
using index = std::ptrdiff_t;

/// The quotient of two numbers that are not negative, rounded up.
constexpr index ceil_div(index number, index divisor) {
    return (number + divisor - 1) / divisor;
}

/// The least multiple that is not less than a number that is not negative.
constexpr index round_up(index number, index multiple) {
    return ceil_div(number, multiple) * multiple;
}

}  // namespace imkernels
