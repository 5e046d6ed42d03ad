// Reading a run of elements into a kernel's working type: any element type, byte order, alignment and stride.
#pragma once

#include <cstddef>

#include "core/array_view.hpp"

namespace imkernels {

/// Reads `count` elements, `stride` bytes apart, into `target`; true if one of them is a NaN.
template <class Work>
using ReadRun = bool (*)(const std::byte* source, index stride, index count, Work* target);

/// How elements become the working type. As floats and integers that it holds exactly, integers modulo its size; double
/// takes what comes.
struct AsNumber;
/// As unsigned integers in the order of the elements (core/order_key.hpp).
struct AsOrderKey;
/// As keys for the search for a maximum: of 32 bits or 64, and the two zeros are the same.
struct AsMaximumKey;

/// The reader for an element type, or nullptr where the policy has none. row_reader.cpp says of which types there are
/// readers; they are compiled there alone, as there are hundreds of loops.
template <class Policy, class Work>
ReadRun<Work> row_reader(ElementType element);

}  // namespace imkernels
