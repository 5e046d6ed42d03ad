// What becomes of exact sums of integers. Means are integers by one of two ways to divide that vectors have, or by a
// division.
//
// With 16 bits: floor(t / n) = t * m >> (16 + k) for every t up to the largest, where m = ceil(2^(16 + k) / n), if
// t * (m * n - 2^(16 + k)) < 2^(16 + k) (Granlund and Montgomery, PLDI 1994; checked for each window).
//
// Otherwise in floating point: the error of s * (1 / n) is below s / n * 2^(1 - p), with p bits in the significand, and
// a mean that is not a tie is at least 1 / (2 n) away from one. So the product rounds as the mean does while
// s < 2^(p - 2), but for ties, of even n. It does for all sums of p bits where n is a power of two, which it is exact
// for. For all others it gives an even number near the mean; what remains, exactly, gives the number that is missing:
// a fraction of which ties are exact once it is rounded to multiples of 2^(6 - p), and which goes to the even neighbour
// as the whole does. None becomes a tie by that, as it is at least 1 / (2 n) from one, and n <= 2^(p - 7) where pixels
// have 7 bits or more. Where means are cut off, the remainder tells on which side of the exact one the rounded one
// lies.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "core/accumulate.hpp"
#include "simd/high_product.hpp"
#include "simd/lanes.hpp"

namespace imkernels::detail {

/// The sum itself.
template <class Number>
struct PlainSum {
    using Result = Number;
    template <class Sum>
    Number operator()(Sum sum) const {
        return static_cast<Number>(sum);
    }
};

/// A product in `Float`.
template <class Float>
struct Product {
    using Result = Float;
    Float factor;
    template <class Sum>
    Float operator()(Sum sum) const {
        return static_cast<Float>(sum) * factor;
    }
};

/// The mean in `Float`, of a quotient of doubles.
template <class Float>
struct FloatMean {
    using Result = Float;
    double count;
    template <class Sum>
    Float operator()(Sum sum) const {
        return static_cast<Float>(static_cast<double>(sum) / count);
    }
};

/// The magnitude that sums of so many pixels have at most.
template <class Pixel>
double largest_sum(index taps) {
    return static_cast<double>(taps) * std::ldexp(1.0, std::numeric_limits<Pixel>::digits);
}

/// How a mean becomes an integer.
enum class Mean : char {
    rounded,          // where the product rounds as the mean does
    rounded_to_even,  // of any pixels
    cut_off,
};

/// How the sum of at most 256 pixels of 8 bits, which has 16 bits, is divided.
struct ShortDivision {
    std::uint16_t count, added, factor, shift;

    ShortDivision(index taps, index delta)
        : count(static_cast<std::uint16_t>(taps)),
          added(static_cast<std::uint16_t>(delta)),
          factor(static_cast<std::uint16_t>(factor_of(taps))),
          shift(static_cast<std::uint16_t>(shift_of(taps))) {}

    /// Whether it is where `added` is added to sums.
    static bool is_exact(index taps, index added) {
        const index excess = factor_of(taps) * taps - (index{1} << (16 + shift_of(taps)));
        return taps > 1 && taps <= 256 && added < taps &&
               (255 * taps + added) * excess < index{1} << (16 + shift_of(taps));
    }

    /// 2^shift is the largest power of two below `taps`, so that the factor has 16 bits.
    static int shift_of(index taps) {
        return static_cast<int>(std::bit_width(static_cast<std::uint32_t>(taps - 1) / 2));
    }
    static index factor_of(index taps) { return ((index{1} << (16 + shift_of(taps))) + taps - 1) / taps; }
};

/// Means of sums, one in each lane. Those of signed pixels are taken as of pixels that are 128 larger, and so not cut
/// off.
template <class Pixel, Mean mean_of>
struct ShortMean {
    static_assert(sizeof(Pixel) == 1 && (std::is_unsigned_v<Pixel> || mean_of != Mean::cut_off));

    ShortDivision division;

    IMKERNELS_INLINE Lanes<std::uint16_t> operator()(Lanes<std::uint16_t> sums) const {
        constexpr std::uint16_t bias = std::is_signed_v<Pixel> ? 128 : 0;
        const Lanes<std::uint16_t> raised = sums + static_cast<std::uint16_t>(division.added + bias * division.count);
        Lanes<std::uint16_t> means = high_product(raised, broadcast(division.factor)) >> division.shift;
        if constexpr (mean_of == Mean::rounded_to_even) {  // a tie was rounded up
            means -= reinterpret_cast<Lanes<std::uint16_t>>(means * division.count == raised) & means & 1;
        }
        return means - bias;
    }
};

/// The mean of integers by the reciprocal of their count.
template <class Float, class Pixel, Mean mean_of>
class ReciprocalMean {
    static_assert(std::numeric_limits<Pixel>::digits >= 7);
    using Bits = std::conditional_t<sizeof(Float) == 4, std::uint32_t, std::uint64_t>;

public:
    ReciprocalMean(index taps, index delta)
        : count_(static_cast<Float>(taps)),
          reciprocal_(static_cast<Float>(1) / static_cast<Float>(taps)),
          added_(static_cast<Float>(delta)),
          most_(static_cast<Float>(largest_sum<Pixel>(taps)) - 1 - added_) {}

    /// Whether it is the mean of so many pixels, to whose sum at most their number is added.
    static bool is_exact(index taps) {
        const bool has_ties = taps % 2 == 0 && !std::has_single_bit(static_cast<std::size_t>(taps));
        const int most = digits - (mean_of == Mean::rounded && taps % 2 != 0 ? 2 : 0);
        return (mean_of != Mean::rounded || !has_ties) && largest_sum<Pixel>(taps + 1) <= std::ldexp(1.0, most);
    }

    template <class Sum>
    Pixel operator()(Sum sum) const {
        return static_cast<Pixel>(divided<Bits>(static_cast<Float>(sum)));
    }

    /// The same of the sum in each lane, as the lowest bits there. Sums are signed, or as small as such.
    IMKERNELS_INLINE Lanes<Bits> operator()(Lanes<Bits> sums) const {
        const auto numbers = reinterpret_cast<Lanes<std::make_signed_t<Bits>>>(sums);
        return divided<Lanes<Bits>>(__builtin_convertvector(numbers, Lanes<Float>));
    }

private:
    static constexpr int digits = std::numeric_limits<Float>::digits;
    // Added to a number, these leave that rounded in the lowest bits: to integers, to even ones, to small fractions.
    static constexpr Float integers_only = static_cast<Float>(Bits{3} << (digits - 2));
    static constexpr Float evens_only = 2 * integers_only;
    static constexpr Float fractions_only = 48;  // of 2^(6 - digits)

    /// Of a float, or of one in each lane.
    template <class Result, class Value>
    IMKERNELS_INLINE Result divided(Value sum) const {
        if constexpr (mean_of == Mean::cut_off) {
            return cut_off<Result>(sum);
        } else if constexpr (mean_of == Mean::rounded) {
            return std::bit_cast<Result>(sum * reciprocal_ + integers_only);
        } else {
            const Value even = sum * reciprocal_ + evens_only - evens_only;
            const Value rest = (sum - even * count_) * reciprocal_ + fractions_only;
            return std::bit_cast<Result>(even + (rest + (integers_only - fractions_only)));
        }
    }

    template <class Result, class Value>
    IMKERNELS_INLINE Result cut_off(Value sum) const {
        const Value most = Value{} + most_;
        const Value value = (sum < most ? sum : most) + added_;  // others are saturated
        const Value rounded = value * reciprocal_ + integers_only;
        const Value rest = value - (rounded - integers_only) * count_;
        auto bits = std::bit_cast<Result>(rounded);
        bits += where(value > 0) & where(rest < 0);
        bits -= where(value < 0) & where(rest > 0);
        return bits;
    }

    static Bits where(bool is_so) { return is_so ? ~Bits{0} : Bits{0}; }
    template <class Lane>
    static Lanes<Bits> where(Lane are_so) {
        return reinterpret_cast<Lanes<Bits>>(are_so);
    }

    Float count_, reciprocal_, added_, most_;
};

/// The mean of integers whose sum may have 128 bits, by a division of that.
template <class Pixel>
struct CutOffMean {
    index count, delta;

    Pixel operator()(int128 sum) const { return saturate_integer<Pixel>((sum + delta) / count); }
};

/// The same, rounded half to even: by a quotient of doubles, which is some 2^12 off at most, and another one of what
/// remains. Modulo 2^64, which holds what remains and the mean.
template <class Pixel>
struct DividedMean {
    index count;
    double reciprocal;

    explicit DividedMean(index taps) : count(taps), reciprocal(1 / static_cast<double>(taps)) {}

    Pixel operator()(int128 sum) const {
        constexpr int left_out = 11;  // bits of the first quotient, so that it fits
        const auto low = static_cast<std::uint64_t>(sum);
        const double high = static_cast<double>(static_cast<std::int64_t>(sum >> 64)) * 0x1p64;
        const double about = (high + static_cast<double>(low)) * reciprocal;
        const auto first = static_cast<std::int64_t>(std::ldexp(1.0, -left_out) * about);
        std::uint64_t quotient = static_cast<std::uint64_t>(first) << left_out;
        index rest = static_cast<index>(low - quotient * static_cast<std::uint64_t>(count));
        const auto second = static_cast<index>(static_cast<double>(rest) * reciprocal);
        rest -= second * count;
        const index step = static_cast<index>(rest >= count) - static_cast<index>(rest < 0);  // no jump: it is random
        rest -= step * count;
        quotient += static_cast<std::uint64_t>(second + step);
        const std::uint64_t odd = quotient & 1;
        quotient +=
            static_cast<std::uint64_t>(2 * rest > count) | (static_cast<std::uint64_t>(2 * rest == count) & odd);
        return static_cast<Pixel>(quotient);
    }
};

}  // namespace imkernels::detail
