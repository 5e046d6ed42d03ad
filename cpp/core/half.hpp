// IEEE binary16 to and from binary32 and binary64 by bit arithmetic, without branches, so that loops over it
// vectorise at every instruction-set level.
#pragma once

#include <bit>
#include <cstdint>

#include "core/dtype.hpp"

namespace imkernels {

inline float to_float(Half half) {
    const std::uint32_t magnitude = half.bits & 0x7fffu;
    const std::uint32_t sign = (half.bits & 0x8000u) << 16;
    // The exponent of binary16 is biased by 15, that of binary32 by 127: a product with 2^112 moves it, and
    // turns subnormal numbers into normal ones on the way.
    const std::uint32_t finite = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude << 13) * 0x1p112f);
    const std::uint32_t special = (magnitude << 13) | 0x7f800000u;
    return std::bit_cast<float>(sign | (magnitude >= 0x7c00u ? special : finite));
}

/// Rounds to nearest, ties to even; every NaN becomes the quiet one.
inline Half to_half(float value) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t magnitude = bits & 0x7fffffffu;
    const std::uint32_t sign = (bits >> 16) & 0x8000u;
    // Below 2^-14 the result is subnormal: adding 1/2 lets the sum's rounding drop the right bits.
    const std::uint32_t small =
        std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - std::bit_cast<std::uint32_t>(0.5f);
    const std::uint32_t odd = (magnitude >> 13) & 1u;
    const std::uint32_t normal = (magnitude - (112u << 23) + 0xfffu + odd) >> 13;
    const std::uint32_t special = magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u;
    std::uint32_t result = magnitude < 0x38800000u ? small : normal;
    result = magnitude >= 0x47800000u ? special : result;
    return Half{static_cast<std::uint16_t>(sign | result)};
}

/// Rounds once: binary32 serves as a halfway house only if what it drops is kept in its last bit (round to
/// odd).
inline Half to_half(double value) {
    const float nearest = static_cast<float>(value);
    const double back = static_cast<double>(nearest);
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(nearest);
    const bool away = (value < 0 ? -back : back) > (value < 0 ? -value : value);
    const bool inexact = back != value && value == value;
    // Past the largest binary32 the nearest is infinite, and binary16 is infinite as well: leave it.
    const bool finite = (bits & 0x7fffffffu) < 0x7f800000u;
    const std::uint32_t odd = (bits - (away ? 1u : 0u)) | 1u;
    return to_half(std::bit_cast<float>(inexact && finite ? odd : bits));
}

}  // namespace imkernels
