// What weighted sums are computed in, and their weights.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <type_traits>

#include "core/array_view.hpp"
#include "core/dtype.hpp"
#include "core/sum_ending.hpp"
#include "rows/window_blocks.hpp"

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

/// What is added to sums, of the type of the weights: nothing by default.
template <class Weight, class Work>
Work read_delta(const SumEnding& ending) {
    return ending.delta == nullptr ? Work{} : read_weight<Weight, Work>(ending.delta);
}

/// Whether what comes after the point of `Result`s is cut off where they are stored.
template <class Result>
bool cuts_off(const SumEnding& ending, Dtype stored) {
    return std::is_floating_point_v<Result> && ending.rounding == Rounding::toward_zero && stored < Dtype::float16;
}

/// Brings the weights of a block of taps together.
template <class Weight, class Work>
void copy_weights(const ConstPlane& kernel, const WindowBlocks::Block& block, Work* weights) {
    for (index row = 0; row < block.rows; ++row) {
        for (index column = 0; column < block.columns; ++column) {
            *weights++ = read_weight<Weight, Work>(kernel.at(block.row + row, block.column + column));
        }
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

/// The largest magnitude of a sum with kernels of int32, or with the outer products of factors; infinity for others.
inline double largest_result(Dtype image, std::initializer_list<const ConstStack*> factors, const SumEnding& ending) {
    double sum = 1;
    for (const ConstStack* const factor : factors) {
        if (factor->element.dtype != Dtype::int32) {
            return std::numeric_limits<double>::infinity();
        }
        sum *= largest_sum(*factor);
    }
    return sum * largest_magnitude(image) + std::abs(read_delta<std::int32_t, double>(ending));
}

/// Calls `function` with what sums are computed in, what they stand for, and the type of the weights, whose `dtype`
/// this is. Sums of int32 of at most `largest` are computed as floats where those hold them.
template <class Function>
void visit_sums(Dtype dtype, double largest, const Function& function) {
    switch (dtype) {
        case Dtype::float32: return function.template operator()<float, float, float>();
        case Dtype::float64: return function.template operator()<double, double, double>();
        case Dtype::int64: return function.template operator()<std::uint64_t, std::int64_t, std::int64_t>();
        default: break;
    }
    if (largest <= 0x1p24) {
        return function.template operator()<float, std::int32_t, std::int32_t>();
    }
    function.template operator()<std::uint32_t, std::int32_t, std::int32_t>();
}

}  // namespace imkernels::detail
