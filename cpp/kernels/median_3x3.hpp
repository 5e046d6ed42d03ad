// Medians of 3x3 windows of integers, read from where the image lies.
#pragma once

#include "rows/wide_planes.hpp"

namespace imkernels {

/// Whether `median_3x3` takes these: a 3x3 window at every pixel, rows of integers side by side in native byte order.
bool has_median_3x3(const WidePlanes& planes);

/// As `median_network`. `fill` is an element of the image's type.
void median_3x3(const WidePlanes& planes, const std::byte* fill, int workers);

}  // namespace imkernels
