// Sums of columns in twice the bits of their pixels, those of even columns apart from those of odd ones: a vector of
// pixels, taken for half as many numbers, gives both by shifts, and their means make a vector of pixels in the same
// way. The windows that begin with two neighbouring columns share all others.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#include "kernels/detail/tree_sums.hpp"
#include "kernels/detail/visit_count.hpp"
#include "kernels/detail/window_rows.hpp"
#include "simd/lanes.hpp"

namespace imkernels::detail {

/// Two numbers in each place: of an even column and the next one.
template <class Number>
struct NumberPairs {
    Lanes<Number> even, odd;
};

/// Those that the pixels of a vector are, of half as many bits.
template <class Number, class Pixel>
IMKERNELS_INLINE NumberPairs<Number> split(Lanes<Pixel> pixels) {
    static_assert(sizeof(Number) == 2 * sizeof(Pixel));
    constexpr int bits = 8 * sizeof(Pixel);
    using Signed = std::make_signed_t<Number>;
    using Bits = std::conditional_t<std::is_signed_v<Pixel>, Signed, Number>;  // which fill up with zeros, or the sign
    const auto pairs = reinterpret_cast<Lanes<Bits>>(pixels);
    return {reinterpret_cast<Lanes<Number>>(pairs << bits >> bits), reinterpret_cast<Lanes<Number>>(pairs >> bits)};
}

/// Sums of columns, modulo the size of a number.
template <class Sum>
class SplitSums {
public:
    using Number = Sum;

    /// `aligned` is the column whose number, and that of the next, begin a vector.
    SplitSums(Number* room, index pitch, index aligned)
        : halves_{room + lane_count<Number> - (aligned + 1) / 2 % lane_count<Number>,
                  room + room_of_half(pitch) + lane_count<Number> - aligned / 2 % lane_count<Number>} {}

    /// Numbers that it takes room for, where columns take `pitch`.
    static index room(index pitch) { return 2 * room_of_half(pitch); }

    Number& operator[](index column) const { return halves_[column & 1][column >> 1]; }
    /// The first of the sums of every second column from one on.
    const Number* from(index column) const { return &(*this)[column]; }

private:
    static index room_of_half(index pitch) { return round_up(pitch / 2, lane_count<Number>) + 2 * lane_count<Number>; }

    Number* halves_[2];  // NOLINT(modernize-use-default-member-init): it takes the rooms for constants
};

/// The first of a vector of pixels, and zeros.
template <class Pixel>
IMKERNELS_INLINE Lanes<Pixel> load_first(const Pixel* row, index count) {
    Pixel pixels[lane_count<Pixel>] = {};
    copy_few(row, count, pixels);
    return load_lanes(pixels);
}

/// Calls take(first pixel, one vector of each of the rows), the last ones filled up with zeros.
template <class Take, class Pixel, class... Rows>
IMKERNELS_INLINE void for_vectors(index count, const Take& take, const Pixel* first, const Rows*... others) {
    constexpr index lanes = lane_count<Pixel>;
    index x = 0;
    for (; x + lanes <= count; x += lanes) {
        take(x, load_lanes(first + x), load_lanes(others + x)...);
    }
    if (x < count) {
        take(x, load_first(first + x, count - x), load_first(others + x, count - x)...);
    }
}

/// Has a row of pixels for the sums from column `first` on; what lies `ahead` bytes behind it is brought near.
template <class Pixel, class Number>
void set_row(const Pixel* row, index count, const SplitSums<Number>& sums, index first, index ahead) {
    Number* const even = &sums[first];
    Number* const odd = &sums[first + 1];
    const auto set = [&](index x, Lanes<Pixel> pixels) IMKERNELS_INLINE_LAMBDA {
        prefetch(reinterpret_cast<const std::byte*>(row + x) + ahead);
        const auto numbers = split<Number, Pixel>(pixels);
        store_lanes(even + x / 2, numbers.even);
        store_lanes(odd + x / 2, numbers.odd);
    };
    for_vectors(count, set, row);
}

/// Adds a row of pixels to the sums from column `first` on.
template <class Pixel, class Number>
void add_row(const Pixel* row, index count, const SplitSums<Number>& sums, index first) {
    Number* const even = &sums[first];
    Number* const odd = &sums[first + 1];
    const auto add = [&](index x, Lanes<Pixel> pixels) IMKERNELS_INLINE_LAMBDA {
        const auto added = split<Number, Pixel>(pixels);
        store_lanes(even + x / 2, load_lanes(even + x / 2) + added.even);
        store_lanes(odd + x / 2, load_lanes(odd + x / 2) + added.odd);
    };
    for_vectors(count, add, row);
}

/// Has one row in the sums from column `first` on in the place of another; what lies `ahead` bytes behind the one is
/// brought near.
template <class Pixel, class Number>
void replace_row(const Pixel* enters, const Pixel* leaves, index count, const SplitSums<Number>& sums, index first,
                 index ahead) {
    Number* const even = &sums[first];
    Number* const odd = &sums[first + 1];
    const auto replace = [&](index x, Lanes<Pixel> in, Lanes<Pixel> out) IMKERNELS_INLINE_LAMBDA {
        prefetch(reinterpret_cast<const std::byte*>(enters + x) + ahead);
        const auto added = split<Number, Pixel>(in);
        const auto taken = split<Number, Pixel>(out);
        store_lanes(even + x / 2, load_lanes(even + x / 2) + (added.even - taken.even));
        store_lanes(odd + x / 2, load_lanes(odd + x / 2) + (added.odd - taken.odd));
    };
    for_vectors(count, replace, enters, leaves);
}

/// Stores sums as such.
template <class Number>
struct KeptSums {
    Number* even;
    Number* odd;

    IMKERNELS_INLINE void operator()(index x, const NumberPairs<Number>& sums) const {
        store_lanes(even + x / 2, sums.even);
        store_lanes(odd + x / 2, sums.odd);
    }
};

/// Stores the means of `count` windows; what lies `ahead` bytes behind them is brought near.
template <class Pixel, class Mean>
struct KeptMeans {
    Mean mean;
    Pixel* results;
    index count;
    index ahead;

    template <class Number>
    IMKERNELS_INLINE void operator()(index x, const NumberPairs<Number>& sums) const {
        constexpr int bits = 8 * sizeof(Pixel);
        constexpr Number low = std::numeric_limits<std::make_unsigned_t<Pixel>>::max();
        const auto means = reinterpret_cast<Lanes<Pixel>>((mean(sums.even) & low) | mean(sums.odd) << bits);
        prefetch_to_write(reinterpret_cast<std::byte*>(results + x) + ahead);
        if (x + lane_count<Pixel> <= count) {
            store_lanes(results + x, means);
        } else {
            Pixel rest[lane_count<Pixel>];
            store_lanes(rest, means);
            copy_few(rest, count - x, results + x);
        }
    }
};

/// Keeps the sums of `size` columns from each of `count` on.
template <index size, class Number, class Keep>
__attribute__((noinline)) void add_neighbours(const SplitSums<Number>& sums, index count, const Keep& keeper) {
    const Keep keep = keeper;  // in registers
    const Number* const streams[2] = {sums.from(0), sums.from(1)};
    for (index x = 0; x < count; x += 2 * lane_count<Number>) {
        const auto column = [&](std::size_t i) IMKERNELS_INLINE_LAMBDA {
            return load_lanes(streams[i % 2] + (x + static_cast<index>(i)) / 2);
        };
        [&]<std::size_t... i>(std::index_sequence<i...>) IMKERNELS_INLINE_LAMBDA {
            if constexpr (size == 1) {
                keep(x, NumberPairs<Number>{column(0), column(1)});
            } else {
                const Lanes<Number> shared = tree_sum(column(i + 1)...);
                keep(x, NumberPairs<Number>{column(0) + shared, column(size) + shared});
            }
        }(std::make_index_sequence<static_cast<std::size_t>(std::max<index>(1, size - 1))>());
    }
}

/// Terms of a sum: where each begins for even columns, and for odd ones.
template <class Number>
struct SplitTerms {
    std::array<const Number*, most_terms> even, odd;
    index count = 0;

    void add(const SplitSums<Number>& sums, index column) {
        even[static_cast<std::size_t>(count)] = sums.from(column);
        odd[static_cast<std::size_t>(count)] = sums.from(column + 1);
        ++count;
    }
};

/// Keeps the sums of `size` terms.
template <index size, class Number, class Keep>
__attribute__((noinline)) void add_terms(const SplitTerms<Number>& terms, index count, const Keep& keeper) {
    const Keep keep = keeper;  // in registers
    [&]<std::size_t... i>(std::index_sequence<i...>) IMKERNELS_INLINE_LAMBDA {
        const std::array even{terms.even[i]...};
        const std::array odd{terms.odd[i]...};
        for (index x = 0; x < count; x += 2 * lane_count<Number>) {
            keep(x, NumberPairs<Number>{tree_sum(load_lanes(even[i] + x / 2)...),
                                        tree_sum(load_lanes(odd[i] + x / 2)...)});
        }
    }(std::make_index_sequence<static_cast<std::size_t>(size)>());
}

/// Sums along a row, of windows of `size` columns that lie `apart` from each other.
template <class Number>
class SplitSumsAlong {
    using Sums = SplitSums<Number>;

public:
    SplitSumsAlong(index size, index apart) : plan_(size), apart_(apart) {}

    /// Numbers of the room that `operator()` needs.
    index room(index pitch) const { return plan_.top() * Sums::room(pitch); }

    /// Keeps the sums of the windows that start at the columns [0, count).
    template <class Keep>
    void operator()(const Sums& sums, index count, Number* room, index pitch, const Keep& keep) const {
        if (plan_.top() == 0 && apart_ == 1) {
            return visit_count<most_terms>(plan_[0].count, [&](auto size) { add_neighbours<size>(sums, count, keep); });
        }
        const SumLevel& top = plan_[plan_.top()];
        const index window = top.count * top.size + top.tail;
        const index covered = count + (window - 1) * apart_;
        SplitTerms<Number> terms;
        Sums below = sums;
        for (int level = 0;; ++level) {
            const SumLevel& here = plan_[level];
            for (index i = 0; i < here.count; ++i) {
                terms.add(below, (window - here.tail - (i + 1) * here.size) * apart_);
            }
            if (level == plan_.top()) {
                break;
            }
            below = sum_neighbours(below, plan_[level + 1], covered, room + level * Sums::room(pitch), pitch);
        }
        visit_count<most_terms>(terms.count, [&](auto size) { add_terms<size>(terms, count, keep); });
    }

private:
    /// The elements of a level, made up of those below.
    Sums sum_neighbours(const Sums& below, const SumLevel& level, index covered, Number* room, index pitch) const {
        const Sums sums(room, pitch, 0);
        SplitTerms<Number> terms;
        for (index i = 0; i < level.base; ++i) {
            terms.add(below, i * level.size / level.base * apart_);
        }
        const KeptSums<Number> keep{&sums[0], &sums[1]};
        visit_count<most_terms>(level.base,
                                [&](auto size) { add_terms<size>(terms, covered - (level.size - 1) * apart_, keep); });
        return sums;
    }

    SumPlan plan_;
    index apart_;
};

}  // namespace imkernels::detail
