// What weighted sums are computed in, and their weights.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "core/array_view.hpp"
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

/// A weight as a number that is computed with.
template <class Weight, class Work>
Work read_weight(const std::byte* element) {
    Weight weight;
    std::memcpy(&weight, element, sizeof(weight));
    return static_cast<Work>(weight);
}

/// Brings `count` weights of a column or a row together, from the one with number `first` on.
template <class Weight, class Work>
void copy_weights(const ConstPlane& factor, index first, index count, Work* weights) {
    const index stride = factor.columns == 1 ? factor.row_stride : factor.column_stride;
    for (index i = 0; i < count; ++i) {
        weights[i] = read_weight<Weight, Work>(factor.data + (first + i) * stride);
    }
}

/// The largest sum of magnitudes of kernels of int32.
inline double largest_sum(const ConstStack& kernels) {
    double largest = 0;
    for (index number = 0; number < kernels.planes(); ++number) {
        const ConstPlane kernel = kernels.plane(number);
        double sum = 0;
        for (index row = 0; row < kernel.rows; ++row) {
            for (index column = 0; column < kernel.columns; ++column) {
                sum += std::abs(read_weight<std::int32_t, double>(kernel.at(row, column)));
            }
        }
        largest = std::max(largest, sum);
    }
    return largest;
}

/// The largest magnitude of an element, or of as many bits as need not be looked at.
inline double largest_magnitude(Dtype dtype) {
    return visit_dtype(dtype, [](auto tag) {
        using T = typename decltype(tag)::type;
        if constexpr (std::is_integral_v<T> && sizeof(T) <= 2) {
            return std::is_signed_v<T> ? -static_cast<double>(std::numeric_limits<T>::min())
                                       : static_cast<double>(std::numeric_limits<T>::max());
        } else {
            return std::numeric_limits<double>::infinity();
        }
    });
}

}  // namespace imkernels::detail
