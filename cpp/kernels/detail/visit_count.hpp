// From a number that is known when a program runs to one that is a template's argument.
#pragma once

#include <type_traits>

#include "core/index.hpp"

namespace imkernels::detail {

/// Calls visit(std::integral_constant) for a count from 1 to `most`.
template <index most, class Visit>
void visit_count(index count, const Visit& visit) {
    if constexpr (most > 1) {
        if (count < most) {
            return visit_count<most - 1>(count, visit);
        }
    }
    visit(std::integral_constant<index, most>{});
}

}  // namespace imkernels::detail
