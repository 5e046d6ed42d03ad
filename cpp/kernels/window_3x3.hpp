// Medians and extrema of 3x3 windows of pixels that are compared as they are, read from where the image lies.
#pragma once

#include "kernels/detail/left_out_rows.hpp"
#include "kernels/extremum_filter.hpp"

namespace imkernels {

/// Whether the functions below take these: a 3x3 window at every pixel, rows of pixels that are their own keys
/// (unsigned of 8 or 16 bits, signed of 32 or 64) or float32 side by side in native byte order.
bool has_window_3x3(const WidePlanes& planes);

/// As `median_network`. `fill` is an element of the image's type, `by_keys` filters where floats are not plain.
void median_3x3(const WidePlanes& planes, const std::byte* fill, int workers, const detail::FilterPart& by_keys);

/// As `extremum_filter`.
void extremum_3x3(const WidePlanes& planes, Extremum extremum, const std::byte* fill, int workers,
                  const detail::FilterPart& by_keys);

}  // namespace imkernels
