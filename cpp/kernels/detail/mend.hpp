// NaNs beside a network, which does not know them.
#pragma once

#include <algorithm>

#include "core/order_key.hpp"
#include "kernels/order_filter.hpp"

namespace imkernels::detail {

/// Puts what `rule` gives for a window in the place of `result` if there are NaNs among its `pixels` keys, which may
/// change places.
template <class Key>
void mend_result(Key* window, index pixels, OrderRule rule, NanPolicy nan, Key& result) {
    const index numbers = std::count_if(window, window + pixels, is_number<Key>);
    if (numbers < pixels) {
        const index rank = rank_among_nans(rule, pixels, numbers, nan);
        std::nth_element(window, window + rank, window + pixels);
        result = window[rank];
    }
}

}  // namespace imkernels::detail
