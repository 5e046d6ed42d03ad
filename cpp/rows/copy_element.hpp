// Copying single elements between arrays of one type.
#pragma once

#include "core/order_key.hpp"
#include "rows/element.hpp"

namespace imkernels {

/// Copies one element; every NaN becomes the quiet one.
using CopyElement = void (*)(const std::byte* source, std::byte* target);

namespace detail {
template <class T, bool from_swapped, bool to_swapped>
void copy_element(const std::byte* source, std::byte* target) {
    const T value = from_key<T>(to_key(load_element<T, from_swapped>(source)));
    store_element<T, to_swapped>(target, value);
}

}  // namespace detail

/// The copier between two arrays of one element type, each in its byte order.
inline CopyElement element_copier(ElementType from, ElementType to) {
    return visit_dtype(from.dtype, [&](auto tag) -> CopyElement {
        using T = typename decltype(tag)::type;
        if (from.swapped) {
            return to.swapped ? detail::copy_element<T, true, true> : detail::copy_element<T, true, false>;
        }
        return to.swapped ? detail::copy_element<T, false, true> : detail::copy_element<T, false, false>;
    });
}

}  // namespace imkernels
