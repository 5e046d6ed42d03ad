// Order filters: the element of a given rank among the pixels of a window.
#pragma once

#include <variant>
#include <vector>

#include "core/array_view.hpp"
#include "core/window.hpp"

namespace imkernels {

/// What a window with NaNs in it gives: NaN, or the rule applied to the other values (NaN if there are none).
enum class NanPolicy { propagate, omit };

/// A window of any form: the taps (row, column) of a rectangle that belong to it.
struct Footprint {
    struct Tap {
        index row, column;
    };
    std::vector<Tap> taps;

    /// Pixels of a window; without taps it is the whole rectangle.
    index pixels(const Window2D& window) const {
        return taps.empty() ? window.taps() : static_cast<index>(taps.size());
    }
};

/// Which of n sorted values is the result.
struct OrderRule {
    /// The one of that number, counted from 0.
    struct Rank {
        index number;
    };
    /// Element int(n * value / 100), the last one for 100: 0 is the minimum, 50 the median (the upper middle one of an
    /// even n), 100 the maximum.
    struct Percentile {
        double value;
    };
    std::variant<Rank, Percentile> rule;

    index rank(index n) const;
};

/// The place of the result among the `pixels` of a window, `numbers` of which are not NaN; NaNs are the last ones.
index rank_among_nans(OrderRule rule, index pixels, index numbers, NanPolicy nan);

/// Throws unless the rule names one of the `pixels` of a window, and for NanPolicy::omit of fewer.
void require_rule(OrderRule rule, index pixels, NanPolicy nan);

/// out[y, x] = sorted(window)[rule.rank(n)] for the n pixels of the window. `footprint` without taps stands for the
/// whole rectangle. Works on every type; `out` has the image's type in either byte order. Floats are ordered -0.0
/// before 0.0. `fill` is an element of the image's type in native byte order that stands outside the image in mode
/// constant. A `Rank` below n is the caller's to see to, and for NanPolicy::omit there is none.
void order_filter(const ConstStack& image, const MutableStack& out, const Window2D& window, const Footprint& footprint,
                  OrderRule rule, NanPolicy nan, const std::byte* fill, int workers);

}  // namespace imkernels
