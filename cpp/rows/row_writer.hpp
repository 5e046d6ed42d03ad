// Writing a run of results: the twin of row_reader.hpp. Rounding and saturation happen in row_writer.cpp alone.
#pragma once

#include <cstddef>

#include "core/array_view.hpp"
#include "core/sum_ending.hpp"

namespace imkernels {

/// Writes `count` results from `source` to elements that lie `stride` bytes apart.
template <class Work>
using WriteRun = void (*)(const Work* source, index count, std::byte* target, index stride);

/// Results as numbers: rounded half to even, saturated, NaN to 0 in integers. Truth values are no numbers.
struct FromNumber;
/// The same, but that what comes after the point is cut off.
struct FromNumberTowardZero;
/// Elements from the keys of row_reader.hpp.
struct FromOrderKey;

/// The writer for an element type, or nullptr where the policy has none; compiled as readers are.
template <class Policy, class Work>
WriteRun<Work> row_writer(ElementType element);

/// The writer of numbers that become integers by a rule.
template <class Work>
WriteRun<Work> number_writer(ElementType element, Rounding rounding) {
    return rounding == Rounding::toward_zero ? row_writer<FromNumberTowardZero, Work>(element)
                                             : row_writer<FromNumber, Work>(element);
}

}  // namespace imkernels
