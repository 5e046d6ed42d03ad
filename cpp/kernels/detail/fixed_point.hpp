// Floats as integers, without a rounding: as digits of a few dozen binary places each, so short that sums over a window
// fit 64 bits. Such sums are exact whatever was added and subtracted before, and one rounding makes a number of them.
//
// Adding 3/2 * 2^52 units to a double rounds it to a multiple of the unit, whose number stands in the lowest bits
// (Knuth, The Art of Computer Programming, volume 2, 4.2.2).
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "core/index.hpp"
#include "simd/lanes.hpp"

namespace imkernels::detail {

/// Of digits: signed numbers, modulo 2^64.
using DigitSum = std::uint64_t;

/// The binary places that numbers take: all are multiples of 2^low, and of a magnitude below 2^top.
struct Places {
    int low = std::numeric_limits<int>::max();
    int top = std::numeric_limits<int>::min();

    void add(const Places& other) {
        low = std::min(low, other.low);
        top = std::max(top, other.top);
    }
};

/// What numbers are like.
struct Survey {
    Places places;  // none if all are zeros
    bool finite;    // all are
};

inline Survey survey(const float* numbers, index count) {
    constexpr int precision = std::numeric_limits<float>::digits;
    constexpr std::uint32_t infinity = std::bit_cast<std::uint32_t>(std::numeric_limits<float>::infinity());
    // Bits of magnitudes are in the order of those. Of zeros, those of the least of others are none.
    std::uint32_t most = 0;
    std::uint32_t least_less_one = ~std::uint32_t{0};
    for (index x = 0; x < count; ++x) {
        const std::uint32_t magnitude = std::bit_cast<std::uint32_t>(numbers[x]) & 0x7fffffffU;
        most = std::max(most, magnitude);
        least_less_one = std::min(least_less_one, magnitude - 1);
    }
    const auto exponent = [](std::uint32_t magnitude) {
        const int biased = static_cast<int>(magnitude >> (precision - 1));
        return std::max(biased, 1) - (std::numeric_limits<float>::max_exponent - 1);
    };
    if (most == 0) {
        return {{}, true};
    }
    return {{exponent(least_less_one + 1) - (precision - 1), exponent(most) + 1}, most < infinity};
}

/// How numbers are written.
class Digits {
public:
    /// Terms of a sum. Digits have 31 places then, and 9 of them the 277 of all floats.
    static constexpr index most_terms = index{1} << 22;
    static constexpr index most = 9;

    /// Of numbers that take those places, for sums of so many.
    Digits(const Places& taken, index terms) {
        const int carries = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(terms - 1)));
        const int single = std::min(51, 63 - carries);
        const int width = taken.top < taken.low ? 0 : taken.top - taken.low;
        if (width <= single) {  // what is spare is mostly put below: pixels are sooner small than large
            const int spare = single - width;
            low_ = (width == 0 ? 0 : taken.low) - (spare - std::min(spare / 4, 4));
            top_ = low_ + single;
            return;
        }
        const int last = std::min(51, 52 - carries);
        places_ = std::min(51, 53 - carries);
        count_ = 1 + (width - last + places_ - 1) / places_;
        low_ = taken.low;
        top_ = low_ + (count_ - 1) * places_ + last;
    }

    bool hold(const Places& taken) const { return low_ <= taken.low && taken.top <= top_; }
    index count() const { return count_; }
    /// What a digit counts; number 0 is the lowest.
    double unit(index digit) const { return std::ldexp(1.0, low_ + static_cast<int>(digit) * places_); }

private:
    int low_ = 0;
    int top_ = 0;
    int places_ = 0;  // of a digit below another one
    int count_ = 1;
};

/// Added to a number, it leaves that rounded to a multiple of the unit.
inline double rounding_to(double unit) {
    return 0x1.8p52 * unit;
}

/// Adds the digits of numbers to sums, which lie so far apart, and subtracts those of others where `replaces`. Up to a
/// vector behind the sums is written as well.
template <index count, bool replaces>
void add_digits(const float* enters, [[maybe_unused]] const float* leaves, index length, const Digits& digits,
                DigitSum* sums, index apart) {
    constexpr index lanes = lane_count<double>;
    double roundings[count];
    for (index digit = 0; digit < count; ++digit) {
        roundings[digit] = rounding_to(digits.unit(digit));
    }
    const auto add = [&](Lanes<double> added, Lanes<double> taken, DigitSum* to) IMKERNELS_INLINE_LAMBDA {
        for (index digit = count - 1; digit >= 0; --digit) {
            DigitSum* const sum = to + digit * apart;
            const Lanes<double> more = added + roundings[digit];
            const Lanes<double> less = taken + roundings[digit];
            store_lanes(sum, load_lanes(sum) +
                                 (reinterpret_cast<Lanes<DigitSum>>(more) - reinterpret_cast<Lanes<DigitSum>>(less)));
            added -= more - roundings[digit];  // what remains are the digits below
            taken -= less - roundings[digit];
        }
    };
    index x = 0;
    for (; x + lanes <= length; x += lanes) {
        add(load_widened<double>(enters + x), replaces ? load_widened<double>(leaves + x) : Lanes<double>{}, sums + x);
    }
    if (x < length) {
        const auto load_last = [&](const float* numbers) {
            float last[lanes] = {};
            std::copy_n(numbers + x, length - x, last);
            return load_widened<double>(last);
        };
        add(load_last(enters), replaces ? load_last(leaves) : Lanes<double>{}, sums + x);
    }
}

/// Signed numbers, rounded.
IMKERNELS_INLINE Lanes<double> as_doubles(Lanes<DigitSum> sums) {
    if constexpr (vector_bytes == 64) {
        return __builtin_convertvector(reinterpret_cast<Lanes<std::int64_t>>(sums), Lanes<double>);
    } else {  // there is no instruction: the halves of a number, put into the lowest bits of large ones
        constexpr DigitSum sign = DigitSum{1} << 31;
        const auto low = reinterpret_cast<Lanes<double>>((sums & 0xffffffffU) | std::bit_cast<DigitSum>(0x1p52));
        const auto high = reinterpret_cast<Lanes<double>>((sums >> 32) ^ (std::bit_cast<DigitSum>(0x1p84) | sign));
        return high - (0x1p84 + 0x1p63 + 0x1p52) + low;
    }
}

/// Sums of numbers, by those of their digits, which lie so far apart: rounded to double, and multiplied. The number of
/// digits makes no difference.
template <index count>
class SumOfDigits {
public:
    SumOfDigits(const Digits& digits, double factor) : factor_(factor) {
        for (index digit = 0; digit < count; ++digit) {
            units_[digit] = digits.unit(digit);
        }
    }

    IMKERNELS_INLINE Lanes<double> operator()(const DigitSum* sums, index apart) const {
        if constexpr (count == 1) {
            return as_doubles(load_lanes(sums)) * (units_[0] * factor_);
        } else {
            Lanes<double> parts[count];
            for (index digit = 0; digit < count; ++digit) {
                parts[digit] = as_doubles(load_lanes(sums + digit * apart)) * units_[digit];
            }
            return total(parts) * factor_;
        }
    }

private:
    IMKERNELS_INLINE Lanes<double> total(Lanes<double> (&parts)[count]) const {
        if constexpr (count == 2) {
            return parts[0] + parts[1];
        }
        for (index digit = 1; digit < count; ++digit) {
            const double rounding = rounding_to(units_[digit]);
            const Lanes<double> carry = parts[digit - 1] + rounding - rounding;
            parts[digit - 1] -= carry;
            parts[digit] += carry;
        }
        // A part is at most half a unit of the next one. So parts add up exactly while a double holds the sum. The
        // others only decide to which side of a double the sum is rounded.
        Lanes<double> sum = parts[count - 1];
        Lanes<double> rest{};
        for (index digit = count - 2; digit >= 0; --digit) {
            const Lanes<double> before = sum;
            sum += parts[digit];
            rest = to_odd(rest, parts[digit] - (sum - before));
        }
        return sum + rest;
    }

    /// The sum of a number and a smaller one. If that is no double, it is the one of its neighbours whose last bit is
    /// set, which to another rounding is as good as the sum (Boldo and Melquiond, IEEE Transactions on Computers 57,
    /// 2008).
    static IMKERNELS_INLINE Lanes<double> to_odd(Lanes<double> large, Lanes<double> small) {
        using Bits = Lanes<std::int64_t>;
        const Lanes<double> sum = large + small;
        const Lanes<double> error = small - (sum - large);
        const auto bits = reinterpret_cast<Bits>(sum);
        const Bits away =
            (bits ^ reinterpret_cast<Bits>(error)) >= 0 ? broadcast(std::int64_t{1}) : broadcast(std::int64_t{-1});
        return reinterpret_cast<Lanes<double>>((error != 0) & ((bits & 1) == 0) ? bits + away : bits);
    }

    double factor_;
    double units_[count];
};

}  // namespace imkernels::detail
