// Sums of columns of bytes in 16 bits, those of even columns apart from those of odd ones: a vector of bytes, taken for
// half as many numbers, gives both by a mask and a shift, and their means make a vector of bytes in the same way. The
// windows that begin with two neighbouring columns share all others.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "kernels/detail/tree_sums.hpp"
#include "kernels/detail/visit_count.hpp"
#include "kernels/detail/window_rows.hpp"
#include "simd/lanes.hpp"

namespace imkernels::detail {

using Short = std::uint16_t;

/// Two numbers in each place: of an even column and the next one.
struct ShortPairs {
    Lanes<Short> even, odd;
};

/// Those that the bytes of a vector are.
IMKERNELS_INLINE ShortPairs split(Lanes<std::uint8_t> bytes) {
    const auto pairs = reinterpret_cast<Lanes<Short>>(bytes);
    return {pairs & 0xff, pairs >> 8};
}

class SplitSums {
public:
    using Number = Short;

    /// `aligned` is the column whose number, and that of the next, begin a vector.
    SplitSums(Short* room, index pitch, index aligned)
        : halves_{room + lane_count<Short> - (aligned + 1) / 2 % lane_count<Short>,
                  room + room_of_half(pitch) + lane_count<Short> - aligned / 2 % lane_count<Short>} {}

    /// Numbers that it takes room for, where columns take `pitch`.
    static index room(index pitch) { return 2 * room_of_half(pitch); }

    Short& operator[](index column) const { return halves_[column & 1][column >> 1]; }
    /// The first of the sums of every second column from one on.
    const Short* from(index column) const { return &(*this)[column]; }

private:
    static index room_of_half(index pitch) { return round_up(pitch / 2, lane_count<Short>) + 2 * lane_count<Short>; }

    Short* halves_[2];  // NOLINT(modernize-use-default-member-init): it takes the rooms for constants
};

/// The first of a vector of bytes, and zeros.
IMKERNELS_INLINE Lanes<std::uint8_t> load_first(const std::uint8_t* row, index count) {
    std::uint8_t bytes[vector_bytes] = {};
    copy_few(row, count, bytes);
    return load_lanes(bytes);
}

/// Calls take(first byte, one vector of each of the rows), the last ones filled up with zeros.
template <class Take, class... Rows>
IMKERNELS_INLINE void for_vectors(index count, const Take& take, const Rows*... rows) {
    index x = 0;
    for (; x + vector_bytes <= count; x += vector_bytes) {
        take(x, load_lanes(rows + x)...);
    }
    if (x < count) {
        take(x, load_first(rows + x, count - x)...);
    }
}

/// Adds a row of bytes to the sums from column `first` on.
inline void add_row(const std::uint8_t* row, index count, const SplitSums& sums, index first) {
    Short* const even = &sums[first];
    Short* const odd = &sums[first + 1];
    const auto add = [&](index x, Lanes<std::uint8_t> bytes) IMKERNELS_INLINE_LAMBDA {
        const ShortPairs added = split(bytes);
        store_lanes(even + x / 2, load_lanes(even + x / 2) + added.even);
        store_lanes(odd + x / 2, load_lanes(odd + x / 2) + added.odd);
    };
    for_vectors(count, add, row);
}

/// Has one row in the sums from column `first` on in the place of another; what lies `ahead` bytes behind the one is
/// brought near.
inline void replace_row(const std::uint8_t* enters, const std::uint8_t* leaves, index count, const SplitSums& sums,
                        index first, index ahead) {
    Short* const even = &sums[first];
    Short* const odd = &sums[first + 1];
    const auto replace = [&](index x, Lanes<std::uint8_t> in, Lanes<std::uint8_t> out) IMKERNELS_INLINE_LAMBDA {
        prefetch(enters + ahead + x);
        const ShortPairs added = split(in);
        const ShortPairs taken = split(out);
        store_lanes(even + x / 2, load_lanes(even + x / 2) + (added.even - taken.even));
        store_lanes(odd + x / 2, load_lanes(odd + x / 2) + (added.odd - taken.odd));
    };
    for_vectors(count, replace, enters, leaves);
}

/// Stores sums as such.
struct KeptSums {
    Short* even;
    Short* odd;

    IMKERNELS_INLINE void operator()(index x, const ShortPairs& sums) const {
        store_lanes(even + x / 2, sums.even);
        store_lanes(odd + x / 2, sums.odd);
    }
};

/// Stores the means of `count` windows; what lies `ahead` bytes behind them is brought near.
template <class Mean>
struct KeptMeans {
    Mean mean;
    std::uint8_t* results;
    index count;
    index ahead;

    IMKERNELS_INLINE void operator()(index x, const ShortPairs& sums) const {
        const auto means = reinterpret_cast<Lanes<std::uint8_t>>(mean(sums.even) | mean(sums.odd) << 8);
        prefetch_to_write(results + ahead + x);
        if (x + vector_bytes <= count) {
            std::memcpy(results + x, &means, sizeof(means));
        } else {
            std::uint8_t rest[vector_bytes];
            std::memcpy(rest, &means, sizeof(means));
            copy_few(rest, count - x, results + x);
        }
    }
};

/// Keeps the sums of `size` columns from each of `count` on.
template <index size, class Keep>
__attribute__((noinline)) void add_neighbours(const SplitSums& sums, index count, const Keep& keeper) {
    const Keep keep = keeper;  // in registers
    const Short* const streams[2] = {sums.from(0), sums.from(1)};
    for (index x = 0; x < count; x += vector_bytes) {
        const auto column = [&](std::size_t i) IMKERNELS_INLINE_LAMBDA {
            return load_lanes(streams[i % 2] + (x + static_cast<index>(i)) / 2);
        };
        [&]<std::size_t... i>(std::index_sequence<i...>) IMKERNELS_INLINE_LAMBDA {
            if constexpr (size == 1) {
                keep(x, {column(0), column(1)});
            } else {
                const Lanes<Short> shared = tree_sum(column(i + 1)...);
                keep(x, {column(0) + shared, column(size) + shared});
            }
        }(std::make_index_sequence<static_cast<std::size_t>(std::max<index>(1, size - 1))>());
    }
}

/// Terms of a sum: where each begins for even columns, and for odd ones.
struct SplitTerms {
    std::array<const Short*, most_terms> even, odd;
    index count = 0;

    void add(const SplitSums& sums, index column) {
        even[static_cast<std::size_t>(count)] = sums.from(column);
        odd[static_cast<std::size_t>(count)] = sums.from(column + 1);
        ++count;
    }
};

/// Keeps the sums of `size` terms.
template <index size, class Keep>
__attribute__((noinline)) void add_terms(const SplitTerms& terms, index count, const Keep& keeper) {
    const Keep keep = keeper;  // in registers
    [&]<std::size_t... i>(std::index_sequence<i...>) IMKERNELS_INLINE_LAMBDA {
        const std::array even{terms.even[i]...};
        const std::array odd{terms.odd[i]...};
        for (index x = 0; x < count; x += vector_bytes) {
            keep(x, {tree_sum(load_lanes(even[i] + x / 2)...), tree_sum(load_lanes(odd[i] + x / 2)...)});
        }
    }(std::make_index_sequence<static_cast<std::size_t>(size)>());
}

/// Sums along a row, of windows of `size` columns that lie `apart` from each other.
class SplitSumsAlong {
public:
    SplitSumsAlong(index size, index apart) : plan_(size), apart_(apart) {}

    /// Numbers of the room that `operator()` needs.
    index room(index pitch) const { return plan_.top() * SplitSums::room(pitch); }

    /// Keeps the sums of the windows that start at the columns [0, count).
    template <class Keep>
    void operator()(const SplitSums& sums, index count, Short* room, index pitch, const Keep& keep) const {
        if (plan_.top() == 0 && apart_ == 1) {
            return visit_count<most_terms>(plan_[0].count, [&](auto size) { add_neighbours<size>(sums, count, keep); });
        }
        const SumLevel& top = plan_[plan_.top()];
        const index window = top.count * top.size + top.tail;
        const index covered = count + (window - 1) * apart_;
        SplitTerms terms;
        SplitSums below = sums;
        for (int level = 0;; ++level) {
            const SumLevel& here = plan_[level];
            for (index i = 0; i < here.count; ++i) {
                terms.add(below, (window - here.tail - (i + 1) * here.size) * apart_);
            }
            if (level == plan_.top()) {
                break;
            }
            below = sum_neighbours(below, plan_[level + 1], covered, room + level * SplitSums::room(pitch), pitch);
        }
        visit_count<most_terms>(terms.count, [&](auto size) { add_terms<size>(terms, count, keep); });
    }

private:
    /// The elements of a level, made up of those below.
    SplitSums sum_neighbours(const SplitSums& below, const SumLevel& level, index covered, Short* room,
                             index pitch) const {
        const SplitSums sums(room, pitch, 0);
        SplitTerms terms;
        for (index i = 0; i < level.base; ++i) {
            terms.add(below, i * level.size / level.base * apart_);
        }
        const KeptSums keep{&sums[0], &sums[1]};
        visit_count<most_terms>(level.base,
                                [&](auto size) { add_terms<size>(terms, covered - (level.size - 1) * apart_, keep); });
        return sums;
    }

    SumPlan plan_;
    index apart_;
};

}  // namespace imkernels::detail
