// What weighted sums are computed in, and their weights.
#pragma once

#include <type_traits>

#include "core/dtype.hpp"

namespace imkernels::detail {

template <class T, bool integer = std::is_integral_v<T>>
struct Modular {
    using type = T;
};
template <class T>
struct Modular<T, true> {
    using type = std::make_unsigned_t<T>;
};

/// Integers wrap around as unsigned numbers and are written as what they stand for, signed.
template <class Result>
using Summand = typename Modular<Result>::type;

/// Calls `function(std::type_identity<Result>{})` for the type that weights of `dtype` are computed in; false if there
/// is none.
template <class Function>
bool visit_weights(Dtype dtype, Function&& function) {
    switch (dtype) {
        case Dtype::int32: function(std::type_identity<std::int32_t>{}); return true;
        case Dtype::int64: function(std::type_identity<std::int64_t>{}); return true;
        case Dtype::float32: function(std::type_identity<float>{}); return true;
        case Dtype::float64: function(std::type_identity<double>{}); return true;
        default: return false;
    }
}

}  // namespace imkernels::detail
