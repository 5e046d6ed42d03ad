// From vectors of sums to results of another type, as core/accumulate.hpp does it number by number.
#pragma once

#include <limits>
#include <type_traits>

#include "core/sum_ending.hpp"
#include "simd/lanes.hpp"
#include "simd/packed_bytes.hpp"

namespace imkernels::detail {

/// Whether `store_results` stores sums of `Work`s that stand for `Result`s as `To`s.
template <class Work, class Result, class To>
inline constexpr bool stores_results =
    std::is_same_v<To, Result> || (std::is_same_v<Work, float> && std::is_integral_v<To> && sizeof(To) <= 2) ||
    (std::is_same_v<Result, std::int16_t> && (std::is_same_v<To, std::uint8_t> || std::is_same_v<To, std::int32_t>));

/// Floats, saturated; NaN becomes 0.
template <class To>
IMKERNELS_INLINE Lanes<float> in_range(Lanes<float> sums) {
    const Lanes<float> lowest = broadcast<float>(std::numeric_limits<To>::min());
    const Lanes<float> highest = broadcast<float>(std::numeric_limits<To>::max());
    if constexpr (std::is_signed_v<To>) {  // otherwise the comparison makes it 0
        sums = sums == sums ? sums : Lanes<float>{};
    }
    return smaller(larger(sums, lowest), highest);
}

/// The same, rounded, in the low bits of what is a number above them or a whole one.
template <class To, Rounding rounding>
IMKERNELS_INLINE auto in_low_bits(Lanes<float> sums) {
    if constexpr (rounding == Rounding::toward_zero) {
        return __builtin_convertvector(in_range<To>(sums), Lanes<std::int32_t>);
    } else {
        constexpr float whole = 0x1.8p23F;  // a sum with it has no fraction
        return in_range<To>(sums) + whole;
    }
}

/// Stores the low half of every lane.
template <class Wide, class To>
IMKERNELS_INLINE void store_low_halves(Lanes<Wide> lanes, To* target) {
    static_assert(sizeof(Wide) == 2 * sizeof(To));
    typedef To Halves __attribute__((vector_size(vector_bytes / 2)));
    const Halves halves = __builtin_convertvector(lanes, Halves);
    std::memcpy(target, &halves, sizeof(halves));
}

/// Stores an even number of vectors of sums.
template <class Result, class Work, Rounding rounding = Rounding::half_to_even, int vectors, class To>
IMKERNELS_INLINE void store_results(const Lanes<Work> (&sums)[vectors], To* target) {
    static_assert(stores_results<Work, Result, To> && vectors % 2 == 0);
    constexpr index lanes = lane_count<Work>;
    if constexpr (std::is_same_v<To, Result>) {
        for (int v = 0; v < vectors; ++v) {
            store_lanes(target + v * lanes, __builtin_convertvector(sums[v], Lanes<To>));
        }
    } else if constexpr (has_packed_bytes && std::is_same_v<Work, float> && std::is_same_v<To, std::uint8_t> &&
                         vectors % 4 == 0) {
        for (int v = 0; v < vectors; v += 4) {
            const auto inside = [&](int i) IMKERNELS_INLINE_LAMBDA { return in_range<To>(sums[v + i]); };
            store_lanes(target + v * lanes,
                        packed_bytes<rounding == Rounding::toward_zero>(inside(0), inside(1), inside(2), inside(3)));
        }
    } else if constexpr (std::is_same_v<Work, float>) {
        for (int v = 0; v < vectors; v += 2) {
            using Half = std::uint16_t;
            const auto halves = even_lanes<Half>(reinterpret_cast<Lanes<Half>>(in_low_bits<To, rounding>(sums[v])),
                                                 reinterpret_cast<Lanes<Half>>(in_low_bits<To, rounding>(sums[v + 1])));
            if constexpr (sizeof(To) == sizeof(Half)) {
                store_lanes(target + v * lanes, reinterpret_cast<Lanes<To>>(halves));
            } else {
                store_low_halves<Half>(halves, target + v * lanes);
            }
        }
    } else {
        for (int v = 0; v < vectors; ++v) {
            const auto numbers = reinterpret_cast<Lanes<Result>>(sums[v]);
            if constexpr (sizeof(To) == 1) {
                const Lanes<Result> lowest{};
                const Lanes<Result> highest = broadcast<Result>(std::numeric_limits<To>::max());
                const Lanes<Result> low = numbers > lowest ? numbers : lowest;
                store_low_halves<Result>(low < highest ? low : highest, target + v * lanes);
            } else {
                Result few[lanes];
                store_lanes(few, numbers);
                store_lanes(target + v * lanes, load_widened<To>(few));
                store_lanes(target + v * lanes + lanes / 2, load_widened<To>(few + lanes / 2));
            }
        }
    }
}

}  // namespace imkernels::detail
