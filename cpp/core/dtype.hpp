// The element types of the package, and the one switch over them.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "core/index.hpp"

namespace imkernels {

/// Truth values are read as `byte != 0`, whatever the byte is.
struct Bool {
    std::uint8_t byte;
};

/// IEEE binary16 by its bits; see half.hpp for its arithmetic.
struct Half {
    std::uint16_t bits;
};

enum class Dtype : std::uint8_t {
    boolean,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
    float16,
    float32,
    float64,
};

/// An element type as it lies in memory.
struct ElementType {
    Dtype dtype;
    bool swapped;  // the byte order is not the machine's
};

template <class T>
inline constexpr bool is_float = std::is_floating_point_v<T> || std::is_same_v<T, Half>;

/// Calls `function(std::type_identity<T>{})` with the type that `dtype` names.
template <class Function>
decltype(auto) visit_dtype(Dtype dtype, Function&& function) {
    switch (dtype) {
        case Dtype::boolean: return function(std::type_identity<Bool>{});
        case Dtype::int8: return function(std::type_identity<std::int8_t>{});
        case Dtype::int16: return function(std::type_identity<std::int16_t>{});
        case Dtype::int32: return function(std::type_identity<std::int32_t>{});
        case Dtype::int64: return function(std::type_identity<std::int64_t>{});
        case Dtype::uint8: return function(std::type_identity<std::uint8_t>{});
        case Dtype::uint16: return function(std::type_identity<std::uint16_t>{});
        case Dtype::uint32: return function(std::type_identity<std::uint32_t>{});
        case Dtype::uint64: return function(std::type_identity<std::uint64_t>{});
        case Dtype::float16: return function(std::type_identity<Half>{});
        case Dtype::float32: return function(std::type_identity<float>{});
        case Dtype::float64: break;
    }
    return function(std::type_identity<double>{});
}

/// Bytes of an element.
inline index item_size_of(Dtype dtype) {
    return visit_dtype(dtype, [](auto tag) { return static_cast<index>(sizeof(typename decltype(tag)::type)); });
}

}  // namespace imkernels
