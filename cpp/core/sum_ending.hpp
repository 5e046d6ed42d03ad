// What becomes of weighted sums before they are stored.
#pragma once

#include <cstddef>
#include <cstdint>

namespace imkernels {

/// How numbers become integers.
enum class Rounding : std::uint8_t {
    half_to_even,
    toward_zero,
};

struct SumEnding {
    const std::byte* delta = nullptr;            // added to sums: an element of their weights' type, or 0
    Rounding rounding = Rounding::half_to_even;  // where results are integers
};

}  // namespace imkernels
