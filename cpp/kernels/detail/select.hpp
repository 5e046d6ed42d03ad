// Selection in one window: which of its values has a given rank.
//
// Introselect: count the values below and up to a pivot; unless the pivot is the answer, keep the side that the
// answer is on and choose a new pivot from it. The first pivot is the answer of the neighbouring window, which in
// a photograph is the answer again or close to it. Counting and keeping have no branches on the data: a
// mispredicted branch costs more than several values. Bad luck with the pivots ends after a fixed number of rounds in a bisection over
// the bits of the key, which no input can slow down.
//
// C. A. R. Hoare, "Algorithm 65: Find", CACM 4 (1961); D. R. Musser, "Introspective sorting and selection
// algorithms", Software: Practice and Experience 27 (1997).
#pragma once

#include <algorithm>
#include <limits>
#include <type_traits>

#include "core/border.hpp"

namespace imkernels::detail {

struct Split {
    index below, up_to;  // values < pivot and values <= pivot
};

template <class Key>
Split count_around(const Key* values, index count, Key pivot) {
    // Counters as wide as the keys fill the vectors; blocks keep them from overflowing.
    using Counter = std::make_unsigned_t<Key>;
    constexpr index block = sizeof(Key) == 1 ? 255 : 65535;
    Split split{0, 0};
    for (index begin = 0; begin < count; begin += block) {
        const index end = std::min(begin + block, count);
        Counter below = 0;
        Counter up_to = 0;
        for (index i = begin; i < end; ++i) {
            below = static_cast<Counter>(below + (values[i] < pivot));
            up_to = static_cast<Counter>(up_to + (values[i] <= pivot));
        }
        split.below += static_cast<index>(below);
        split.up_to += static_cast<index>(up_to);
    }
    return split;
}

/// Moves the values below (or above) the pivot to the front of `kept`, which may be `values` itself.
template <bool below, class Key>
void keep(const Key* values, index count, Key pivot, Key* kept) {
    for (index i = 0; i < count; ++i) {
        const Key value = values[i];
        *kept = value;
        kept += below ? value < pivot : value > pivot;
    }
}

template <class Key>
Key median_of_three(Key a, Key b, Key c) {
    return std::max(std::min(a, b), std::min(std::max(a, b), c));
}

/// The answer's bits from the highest down: a bit is set if too few values lie below the key that has it set.
template <class Key>
Key select_by_bisection(const Key* values, index count, index rank) {
    using Bits = std::make_unsigned_t<Key>;
    const auto key = [](Bits bits) {
        return static_cast<Key>(static_cast<Bits>(bits + static_cast<Bits>(std::numeric_limits<Key>::min())));
    };
    Bits answer = 0;
    for (Bits bit = Bits{1} << (8 * sizeof(Key) - 1); bit != 0; bit = static_cast<Bits>(bit >> 1)) {
        const Bits tried = static_cast<Bits>(answer | bit);
        answer = count_around(values, count, key(tried)).below <= rank ? tried : answer;
    }
    return key(answer);
}

/// The value of rank `rank` (0 for the smallest) of `count` values. `guess` is any key, best one close to the
/// answer. `buffer` has room for `count` values and one more.
template <class Key>
Key select(const Key* values, index count, index rank, Key guess, Key* buffer) {
    constexpr int rounds = 24;
    Key pivot = guess;
    for (int round = 0; round < rounds; ++round) {
        const Split split = count_around(values, count, pivot);
        if (rank < split.below) {
            keep<true>(values, count, pivot, buffer);
            count = split.below;
        } else if (rank >= split.up_to) {
            keep<false>(values, count, pivot, buffer);
            count -= split.up_to;
            rank -= split.up_to;
        } else {
            return pivot;
        }
        values = buffer;
        pivot = median_of_three(values[0], values[count / 2], values[count - 1]);
    }
    return select_by_bisection(values, count, rank);
}

}  // namespace imkernels::detail
