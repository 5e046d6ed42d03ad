// Order-preserving keys: one integer type per item size stands for every element type of that size, so that
// order filters compare integers only. Signs and IEEE floats go through bit maps that keep their order, -0.0
// before 0.0; all NaNs become one key above +inf, which maps back to the quiet NaN.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "core/dtype.hpp"

namespace imkernels {

namespace detail {
template <std::size_t item_size>
struct KeyOfSize;
template <>
struct KeyOfSize<1> {
    using type = std::uint8_t;
};
template <>
struct KeyOfSize<2> {
    using type = std::uint16_t;
};
template <>
struct KeyOfSize<4> {
    using type = std::int32_t;
};
template <>
struct KeyOfSize<8> {
    using type = std::int64_t;
};

/// Bits of IEEE floats: `Bits` holds them unsigned, `infinity` is the pattern of +inf.
template <class T>
struct FloatBits;
template <>
struct FloatBits<Half> {
    using Bits = std::uint16_t;
    static constexpr Bits infinity = 0x7c00, quiet_nan = 0x7e00;
};
template <>
struct FloatBits<float> {
    using Bits = std::uint32_t;
    static constexpr Bits infinity = 0x7f800000, quiet_nan = 0x7fc00000;
};
template <>
struct FloatBits<double> {
    using Bits = std::uint64_t;
    static constexpr Bits infinity = 0x7ff0000000000000, quiet_nan = 0x7ff8000000000000;
};

/// Flips the sign bit: the map between signed and unsigned order.
template <class U>
constexpr U flip_sign(U bits) {
    return static_cast<U>(bits ^ (U{1} << (sizeof(U) * 8 - 1)));
}

/// Sign-magnitude to two's complement order and back (it is its own inverse).
template <class U>
constexpr U fold_negative(U bits) {
    constexpr U magnitude = static_cast<U>(~U{0}) >> 1;
    const U negative = static_cast<U>(-static_cast<U>(bits >> (sizeof(U) * 8 - 1)));
    return static_cast<U>(bits ^ (negative & magnitude));
}
}  // namespace detail

template <class T>
using OrderKey = typename detail::KeyOfSize<sizeof(T)>::type;

template <class T>
constexpr bool is_nan(T value) {
    if constexpr (std::is_same_v<T, Half>) {
        return (value.bits & 0x7fffu) > 0x7c00u;
    } else if constexpr (std::is_floating_point_v<T>) {
        return value != value;
    } else {
        return false;
    }
}

template <class T>
constexpr OrderKey<T> to_key(T value) {
    using Key = OrderKey<T>;
    using U = std::make_unsigned_t<Key>;
    if constexpr (std::is_same_v<T, Bool>) {
        return value.byte != 0;
    } else {
        U bits = std::bit_cast<U>(value);
        bool flip = std::is_signed_v<Key> != std::is_signed_v<T>;
        if constexpr (is_float<T>) {
            bits = is_nan(value) ? detail::FloatBits<T>::quiet_nan : bits;
            bits = detail::fold_negative(bits);
            flip = !std::is_signed_v<Key>;
        }
        return static_cast<Key>(flip ? detail::flip_sign(bits) : bits);
    }
}

template <class T>
constexpr T from_key(OrderKey<T> key) {
    using Key = OrderKey<T>;
    using U = std::make_unsigned_t<Key>;
    if constexpr (std::is_same_v<T, Bool>) {
        return Bool{key};
    } else {
        U bits = static_cast<U>(key);
        if constexpr (is_float<T>) {
            bits = std::is_signed_v<Key> ? bits : detail::flip_sign(bits);
            bits = detail::fold_negative(bits);
        } else {
            bits = std::is_signed_v<Key> != std::is_signed_v<T> ? detail::flip_sign(bits) : bits;
        }
        return std::bit_cast<T>(bits);
    }
}

/// The key of every NaN of a type with that key type; integers have none.
template <class Key>
inline constexpr Key nan_key =
    to_key(std::numeric_limits<std::conditional_t<sizeof(Key) == 8, double, float>>::quiet_NaN());
template <>
inline constexpr std::uint16_t nan_key<std::uint16_t> = to_key(Half{0x7e00});

/// Whether a key is no NaN's; those of bytes are none.
template <class Key>
constexpr bool is_number(Key key) {
    if constexpr (sizeof(Key) == 1) {
        return true;
    } else {
        return key < nan_key<Key>;
    }
}

}  // namespace imkernels
