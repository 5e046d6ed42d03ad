// Writing a run of results: the twin of row_reader.hpp. Rounding and saturation happen here and nowhere else.
#pragma once

#include "rows/row_reader.hpp"

namespace imkernels {

/// Writes `count` results from `source` to elements that lie `stride` bytes apart.
template <class Work>
using WriteRun = void (*)(const Work* source, index count, std::byte* target, index stride);

/// Results as numbers: rounded half to even, saturated, NaN to 0 in integers. Truth values are no numbers.
struct FromNumber {
    template <class Work, class To>
    static constexpr bool writes = !std::is_same_v<To, Bool>;
    template <class To, class Work>
    static To convert(Work value) {
        return to_result<To>(value);
    }
};

struct FromOrderKey {
    template <class Work, class To>
    static constexpr bool writes = std::is_same_v<Work, OrderKey<To>>;
    template <class To, class Work>
    static To convert(Work key) {
        return from_key<To>(key);
    }
};

namespace detail {
template <class Policy, class Work, class To, bool swapped, index step>
void write_spaced(const Work* __restrict source, index count, std::byte* __restrict target, index stride) {
    const index apart = step != 0 ? step * static_cast<index>(sizeof(To)) : stride;
    for (index i = 0; i < count; ++i) {
        store_element<To, swapped>(target + i * apart, Policy::template convert<To>(source[i]));
    }
}

template <class Policy, class Work, class To, bool swapped>
void write_run(const Work* source, index count, std::byte* target, index stride) {
    if (!swapped && stride == static_cast<index>(sizeof(To))) {
        write_spaced<Policy, Work, To, swapped, 1>(source, count, target, stride);
    } else {
        write_spaced<Policy, Work, To, swapped, 0>(source, count, target, stride);
    }
}
}  // namespace detail

/// The writer for an element type, or nullptr where the policy has none.
template <class Policy, class Work>
WriteRun<Work> row_writer(ElementType element) {
    return visit_dtype(element.dtype, [&](auto tag) -> WriteRun<Work> {
        using To = typename decltype(tag)::type;
        if constexpr (!Policy::template writes<Work, To>) {
            return nullptr;
        } else if constexpr (sizeof(To) == 1) {
            return detail::write_run<Policy, Work, To, false>;
        } else {
            return element.swapped ? detail::write_run<Policy, Work, To, true>
                                   : detail::write_run<Policy, Work, To, false>;
        }
    });
}

}  // namespace imkernels
