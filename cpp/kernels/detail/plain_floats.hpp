// Floats that need no keys: plain ones compare as their keys do (core/order_key.hpp). A NaN does not, nor does -0.0,
// which equals 0.0 but comes before it. Infinities are left out too, since that is how NaNs are found fastest.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "core/index.hpp"
#include "simd/lanes.hpp"

namespace imkernels::detail {

/// Whether all numbers that it was shown are plain; keys are. -0.0 may be allowed: only a NaN has no key as it stands.
template <class Number, bool refuses_zero = true>
class PlainFloats {
public:
    void look(const Lanes<Number>& numbers) {
        if constexpr (is_float) {
            products_ += numbers * broadcast(Number{0});
            if constexpr (refuses_zero) {
                const auto bits = std::bit_cast<Lanes<Bits>>(numbers);
                lowest_ = bits < lowest_ ? bits : lowest_;
            }
        }
    }

    void look(const Number* numbers, index count) {
        if constexpr (is_float) {
            index done = 0;
            for (; done + lane_count<Number> <= count; done += lane_count<Number>) {
                look(load_lanes(numbers + done));
            }
            for (; done < count; ++done) {
                look(broadcast(numbers[done]));
            }
        }
    }

    bool all_plain() const {
        bool plain = true;
        if constexpr (is_float) {
            for (index lane = 0; lane < lane_count<Number>; ++lane) {
                plain &= products_[lane] == 0 && lowest_[lane] != negative_zero;
            }
        }
        return plain;
    }

private:
    static constexpr bool is_float = std::is_floating_point_v<Number>;
    using Bits = std::conditional_t<sizeof(Number) == 4, std::int32_t, std::int64_t>;
    static constexpr Bits negative_zero = std::numeric_limits<Bits>::min();

    Lanes<Number> products_{};  // with 0, added up: a NaN where one is, or an infinity
    Lanes<Bits> lowest_{};      // of the bits, of which those of -0.0 are the lowest
};

}  // namespace imkernels::detail
