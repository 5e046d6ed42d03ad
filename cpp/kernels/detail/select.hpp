// Selection: which of the values of a window has a given rank.
//
// Two ways, one answer. `select` looks at one window: introselect, whose cost hardly depends on the width of
// the keys. `select_lanes` looks at as many neighbouring windows as two vectors hold: bisection over those
// bits of the key in which the pixels differ, at a cost of taps times bits. Narrow keys, small windows and
// pictures of few values favour it.
//
// Introselect: count the values below and up to a pivot; unless the pivot is the answer, keep the side that
// the answer is on and choose a new pivot from it. The first pivot is the answer of the neighbouring window,
// which in a photograph is the answer again or close to it. Counting and keeping have no branches on the
// data: a mispredicted branch costs more than several values. Bad luck with the pivots ends after a fixed
// number of rounds in a bisection over the bits of the key, which no input can slow down.
//
// C. A. R. Hoare, "Algorithm 65: Find", CACM 4 (1961); D. R. Musser, "Introspective sorting and selection
// algorithms", Software: Practice and Experience 27 (1997).
#pragma once

#include <algorithm>
#include <bit>
#include <limits>
#include <type_traits>

#include "core/index.hpp"
#include "core/scratch.hpp"
#include "simd/lanes.hpp"

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
    IMKERNELS_UNROLL_4
    for (index i = 0; i < count; ++i) {
        const Key value = values[i];
        *kept = value;
        kept += below ? value < pivot : value > pivot;
    }
}

/// The smallest, the middle or the largest of three values, as the answer's rank among `count` of their kind
/// is low, middling or high: each further split starts where the answer is to be expected.
template <class Key>
Key likely_pivot(Key a, Key b, Key c, index rank, index count) {
    const Key low = std::min(std::min(a, b), c);
    const Key middle = std::max(std::min(a, b), std::min(std::max(a, b), c));
    const Key high = std::max(std::max(a, b), c);
    const Key upper = 4 * rank >= 3 * count ? high : middle;
    return 4 * rank < count ? low : upper;
}

/// The bits of a key as a number in the order of the keys, and back.
template <class Key>
constexpr std::make_unsigned_t<Key> bits_of_key(Key key) {
    using Bits = std::make_unsigned_t<Key>;
    return static_cast<Bits>(static_cast<Bits>(key) ^ static_cast<Bits>(std::numeric_limits<Key>::min()));
}
template <class Key>
constexpr Key key_of_bits(std::make_unsigned_t<Key> bits) {
    return static_cast<Key>(bits_of_key(static_cast<Key>(bits)));
}

/// The answer's bits from the highest down: a bit is set if no more than `rank` values lie below the key that
/// has it set.
template <class Key>
Key select_by_bisection(const Key* values, index count, index rank) {
    using Bits = std::make_unsigned_t<Key>;
    Bits answer = 0;
    for (Bits bit = Bits{1} << (8 * sizeof(Key) - 1); bit != 0; bit = static_cast<Bits>(bit >> 1)) {
        const Bits tried = static_cast<Bits>(answer | bit);
        answer = count_around(values, count, key_of_bits<Key>(tried)).below <= rank ? tried : answer;
    }
    return key_of_bits<Key>(answer);
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
        pivot = likely_pivot(values[0], values[count / 2], values[count - 1], rank, count);
    }
    return select_by_bisection(values, count, rank);
}

/// Bits in which keys differ from one of them; the others they share.
template <class Bits>
struct Spread {
    Bits one;        // a key's bits, as `bits_of_key` gives them
    Bits differing;  // set where some key has another bit
};

template <class Key>
void widen(Spread<std::make_unsigned_t<Key>>& spread, const Key* keys, index count) {
    std::make_unsigned_t<Key> differing = 0;
    for (index i = 0; i < count; ++i) {
        differing = static_cast<std::make_unsigned_t<Key>>(differing | (bits_of_key(keys[i]) ^ spread.one));
    }
    spread.differing = static_cast<std::make_unsigned_t<Key>>(spread.differing | differing);
}

/// results[x] = the value of rank ranks[x] among first[offsets[t] + x] over the taps t, for as many x as `vectors`
/// hold.
template <index vectors, class Key>
void select_group(const Key* first, const index* offsets, index taps, const Key* ranks,
                  Spread<std::make_unsigned_t<Key>> spread, Key* results) {
    using Bits = std::make_unsigned_t<Key>;
    constexpr Key flip = std::numeric_limits<Key>::min();
    constexpr index lanes = lane_count<Key>;
    Lanes<Bits> answer[vectors];
    for (index v = 0; v < vectors; ++v) {
        answer[v] = Lanes<Bits>{} + static_cast<Bits>(spread.one & ~spread.differing);
    }
    for (Bits left = spread.differing; left != 0;) {
        const Bits bit = std::bit_floor(left);
        left = static_cast<Bits>(left ^ bit);
        Lanes<Key> pivot[vectors];
        Lanes<Bits> below[vectors]{};
        for (index v = 0; v < vectors; ++v) {
            pivot[v] = reinterpret_cast<Lanes<Key>>(answer[v] | bit) ^ flip;
        }
        for (index t = 0; t < taps; ++t) {
            for (index v = 0; v < vectors; ++v) {
                below[v] -= reinterpret_cast<Lanes<Bits>>(load_lanes(first + offsets[t] + v * lanes) < pivot[v]);
            }
        }
        for (index v = 0; v < vectors; ++v) {
            const Lanes<Bits> rank = load_lanes(reinterpret_cast<const Bits*>(ranks) + v * lanes);
            answer[v] = below[v] <= rank ? answer[v] | bit : answer[v];
        }
    }
    for (index v = 0; v < vectors; ++v) {
        store_lanes(results + v * lanes, reinterpret_cast<Lanes<Key>>(answer[v]) ^ flip);
    }
}

/// The same for 0 <= x < count. There are fewer taps than a counter as wide as a key can count. Reads and writes up to
/// `row_slack` elements past the end.
template <class Key>
void select_lanes(const Key* first, const index* offsets, index taps, const Key* ranks,
                  Spread<std::make_unsigned_t<Key>> spread, index count, Key* results) {
    constexpr index lanes = lane_count<Key>;
    static_assert(2 * lanes <= row_slack);
    index x = 0;
    for (; x + lanes < count; x += 2 * lanes) {  // two vectors hide the latency of counting
        select_group<2>(first + x, offsets, taps, ranks + x, spread, results + x);
    }
    if (x < count) {
        select_group<1>(first + x, offsets, taps, ranks + x, spread, results + x);
    }
}

}  // namespace imkernels::detail
