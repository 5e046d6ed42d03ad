// Whether numbers are finite, and which NaN a NaN becomes.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "core/index.hpp"

namespace imkernels {

/// Whether none of them is a NaN or infinite.
template <class Number>
__attribute__((noinline)) bool all_finite(const Number* numbers, index count) {
    if constexpr (std::is_floating_point_v<Number>) {
        using Bits = std::conditional_t<sizeof(Number) == 4, std::uint32_t, std::uint64_t>;
        constexpr Bits exponent = std::bit_cast<Bits>(std::numeric_limits<Number>::infinity());
        constexpr Bits least = exponent & (~exponent + 1);
        Bits found = 0;
        for (index x = 0; x < count; ++x) {
            found |= (std::bit_cast<Bits>(numbers[x]) & exponent) + least;  // reaches the sign where all bits are set
        }
        return found <= exponent;
    } else {
        return true;
    }
}

/// The same number, or the quiet NaN for every NaN.
inline double quiet(double number) {
    return number == number ? number : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace imkernels
