// Box blur of floats of up to 32 bits by integers of 64: the cost of a pixel does not depend on the window.
#pragma once

#include <optional>

#include "core/array_view.hpp"
#include "core/window.hpp"

namespace imkernels {

/// How floats become integers: times a power of two.
struct FixedPoint {
    float scale;
    float least;  // of smaller ones a part may be cut off
    float limit;  // of this magnitude and larger ones, sums may not fit 64 bits
};

/// What suits sums over a window, by a sample of the image; nothing where there is no such thing, or trees are as fast.
/// It is meant for levels that have the conversion (`converts_to_int64`).
std::optional<FixedPoint> fixed_point_of(const ConstStack& image, const Window2D& window);

/// As `float_box`, but what cannot be told with the precision of a float is NaN.
bool fixed_point_box(const ConstStack& image, const MutableStack& out, const Window2D& window, const FixedPoint& point,
                     bool normalize, const std::byte* fill, int workers);

}  // namespace imkernels
