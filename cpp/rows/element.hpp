// Single elements at any address, in either byte order.
#pragma once

#include <bit>
#include <cstddef>
#include <cstring>
#include <type_traits>

#include "core/order_key.hpp"

namespace imkernels::detail {

template <class T>
T swap_bytes(T value) {
    using U = std::make_unsigned_t<OrderKey<T>>;
    if constexpr (sizeof(T) == 2) {
        return std::bit_cast<T>(__builtin_bswap16(std::bit_cast<U>(value)));
    } else if constexpr (sizeof(T) == 4) {
        return std::bit_cast<T>(__builtin_bswap32(std::bit_cast<U>(value)));
    } else if constexpr (sizeof(T) == 8) {
        return std::bit_cast<T>(__builtin_bswap64(std::bit_cast<U>(value)));
    } else {
        return value;
    }
}

template <class T, bool swapped>
T load_element(const std::byte* source) {
    T value;
    std::memcpy(&value, source, sizeof(T));
    return swapped ? swap_bytes(value) : value;
}

template <class T, bool swapped>
void store_element(std::byte* target, T value) {
    value = swapped ? swap_bytes(value) : value;
    std::memcpy(target, &value, sizeof(T));
}
}  // namespace imkernels::detail
