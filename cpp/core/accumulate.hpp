// From the type that a kernel computes in to the type of the result: rounded half to even and saturated once;
// NaN becomes 0 where the result is an integer.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "core/dtype.hpp"
#include "core/half.hpp"
#include "core/index.hpp"
#include "core/order_key.hpp"

namespace imkernels {

/// Sums of 64-bit integers, exact.
__extension__ typedef __int128 int128;

/// Rounds half to even. `value` must be a number.
inline double round_half_even(double value) {
    constexpr double integers_only = 0x1p52;  // from here on every double is whole
    const double shift = std::copysign(integers_only, value);
    const double rounded = (value + shift) - shift;
    return value < integers_only && value > -integers_only ? rounded : value;
}

template <class Integer>
Integer saturate(double value) {
    constexpr double lowest = static_cast<double>(std::numeric_limits<Integer>::min());
    // One past the largest: a power of two, so exact, where the largest itself may not be.
    constexpr double beyond = static_cast<double>(Integer{1} << (std::numeric_limits<Integer>::digits - 1)) * 2;
    const double whole = round_half_even(value == value ? value : 0.0);
    const double low = whole < lowest ? lowest : whole;
    const Integer inside = static_cast<Integer>(low < beyond ? low : lowest);
    return low < beyond ? inside : std::numeric_limits<Integer>::max();
}

template <class Integer, class Work>
Integer saturate_integer(Work value);

/// The same for integers of 8 or 16 bits, in steps that as many lanes can take as there are floats in a vector.
template <class Integer>
Integer saturate(float value) {
    constexpr float whole = 0x1.8p23F;  // a sum with it has no fraction: it rounds half to even
    constexpr auto bits_of = [](float number) { return std::bit_cast<std::int32_t>(number); };
    constexpr std::int32_t beyond = bits_of(0x1p20F);
    // Bits of floats without a sign are ordered as they are, and compared in fewer steps.
    const std::int32_t bits = value == value ? bits_of(value) : 0;
    std::int32_t inside = 0;
    if constexpr (std::is_signed_v<Integer>) {
        const std::int32_t size = bits & std::numeric_limits<std::int32_t>::max();
        inside = (size > beyond ? beyond : size) | (bits & std::numeric_limits<std::int32_t>::min());
    } else {
        const std::int32_t low = bits < 0 ? 0 : bits;
        inside = low > beyond ? beyond : low;
    }
    return saturate_integer<Integer>(bits_of(std::bit_cast<float>(inside) + whole) - bits_of(whole));
}

template <class Integer, class Work>
Integer saturate_integer(Work value) {
    constexpr Work zero = 0;
    using Limits = std::numeric_limits<Integer>;
    constexpr bool has_sign = std::is_same_v<Work, int128> || std::is_signed_v<Work>;
    constexpr bool fits_above =
        sizeof(Work) > sizeof(Integer) || (sizeof(Work) == sizeof(Integer) && has_sign <= std::is_signed_v<Integer>);
    if constexpr (has_sign && !std::is_signed_v<Integer>) {
        value = value < zero ? zero : value;
    } else if constexpr (has_sign && sizeof(Work) > sizeof(Integer)) {
        constexpr Work lowest = static_cast<Work>(Limits::min());
        value = value < lowest ? lowest : value;
    }
    if constexpr (fits_above) {
        constexpr Work highest = static_cast<Work>(Limits::max());
        value = value > highest ? highest : value;
    }
    return static_cast<Integer>(value);
}

/// The value of a result of type `To` for a computed `value`.
template <class To, class Work>
To to_result(Work value) {
    if constexpr (std::is_same_v<To, Half>) {
        if constexpr (std::is_same_v<Work, float>) {
            return to_half(value);
        } else {
            return to_half(static_cast<double>(value));
        }
    } else if constexpr (std::is_floating_point_v<To>) {
        return static_cast<To>(value);
    } else if constexpr (std::is_same_v<Work, float> && sizeof(To) <= 2) {
        return saturate<To>(value);
    } else if constexpr (std::is_floating_point_v<Work>) {
        return saturate<To>(static_cast<double>(value));
    } else {
        return saturate_integer<To>(value);
    }
}

/// The number that an element stands for, in a type that a kernel computes in.
template <class Work, class From>
Work to_number(From value) {
    if constexpr (std::is_same_v<From, Bool>) {
        return static_cast<Work>(value.byte != 0);
    } else if constexpr (std::is_same_v<From, Half>) {
        return static_cast<Work>(to_float(value));
    } else {
        return static_cast<Work>(value);
    }
}

/// The quotient rounded half to even; `count` > 0.
inline int128 rounded_quotient(int128 sum, index count) {
    int128 quotient = sum / count;
    int128 remainder = sum % count;
    if (remainder < 0) {
        quotient -= 1;
        remainder += count;
    }
    const int128 twice = 2 * remainder;
    const bool up = twice > count || (twice == count && (quotient & 1) != 0);
    return quotient + static_cast<int128>(up);
}

}  // namespace imkernels
