// Writing numbers that become integers by another rule than half to even.
#pragma once

#include <cmath>
#include <limits>
#include <type_traits>

#include "core/sum_ending.hpp"
#include "rows/row_writer.hpp"

namespace imkernels {

/// As `FromNumber`, but that what comes after the point is cut off.
struct FromNumberTowardZero {
    template <class Work, class To>
    static constexpr bool writes = FromNumber::writes<Work, To>;
    template <class To, class Work>
    static To convert(Work value) {
        if constexpr (std::is_integral_v<To> && std::is_floating_point_v<Work>) {
            return to_result<To>(toward_zero(value));
        } else {
            return to_result<To>(value);
        }
    }

private:
    /// As `std::trunc`, in steps that vectors can take at every level.
    template <class Float>
    static Float toward_zero(Float value) {
        constexpr Float whole = 1 / std::numeric_limits<Float>::epsilon();  // from here on all are
        const Float size = std::fabs(value);
        const Float nearest = (size + whole) - whole;
        const Float below = nearest - (nearest > size ? Float{1} : Float{0});
        return size < whole ? std::copysign(below, value) : value;
    }
};

/// The writer of numbers for an element type, or nullptr where there is none.
template <class Work>
WriteRun<Work> number_writer(ElementType element, Rounding rounding) {
    return rounding == Rounding::toward_zero ? row_writer<FromNumberTowardZero, Work>(element)
                                             : row_writer<FromNumber, Work>(element);
}

}  // namespace imkernels
