// Writing numbers that become integers by another rule than half to even.
#pragma once

#include <cstdint>
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
            return cut_off<To>(value);
        } else {
            return to_result<To>(value);
        }
    }

private:
    template <class Integer, class Float>
    static Integer cut_off(Float value) {
        using Limits = std::numeric_limits<Integer>;
        constexpr Float lowest = static_cast<Float>(Limits::min());
        const Float number = value == value ? value : Float{0};
        const Float low = number < lowest ? lowest : number;
        if constexpr (sizeof(Integer) <= 2) {  // vectors hold as many integers of 32 bits as floats
            constexpr Float highest = static_cast<Float>(Limits::max());
            return static_cast<Integer>(static_cast<std::int32_t>(low < highest ? low : highest));
        } else {
            constexpr Float beyond = static_cast<Float>(Integer{1} << (Limits::digits - 1)) * 2;
            const Integer inside = static_cast<Integer>(low < beyond ? low : lowest);
            return low < beyond ? inside : Limits::max();
        }
    }
};

/// The writer of numbers for an element type, or nullptr where there is none.
template <class Work>
WriteRun<Work> number_writer(ElementType element, Rounding rounding) {
    return rounding == Rounding::toward_zero ? row_writer<FromNumberTowardZero, Work>(element)
                                             : row_writer<FromNumber, Work>(element);
}

}  // namespace imkernels
