// Sorted lists of vectors, and merging them by oblivious networks: every lane is sorted for itself.
//
// All sizes are constants, and loops are written out by the compiler, so that lists live in registers as far as there
// are any. A list stands for `total` sorted values, of which it keeps those that may still be the one sought; those
// that were dropped count as infinitely small or large.
//
// Lists are merged by Batcher's odd-even merge, for any two lengths (Knuth, The Art of Computer Programming 3, 5.3.4).
// The plan of a merge is computed while compiling, and minima and maxima that nobody reads are left out by the
// compiler.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

#include "simd/lanes.hpp"

namespace imkernels::detail {

template <int number>
using Constant = std::integral_constant<int, number>;

/// Calls `body` with the constants 0, 1, ..., count - 1: a loop that is written out.
template <int count, class Body>
IMKERNELS_INLINE constexpr void repeat(const Body& body) {
    [&]<int... i>(std::integer_sequence<int, i...>)
        IMKERNELS_INLINE_LAMBDA { (body(Constant<i>{}), ...); }(std::make_integer_sequence<int, count>{});
}

/// The same in one go, for expressions over all of the constants: `body` is a template for them, which the compiler has
/// to make once rather than for each of them.
template <int count, class Body>
IMKERNELS_INLINE constexpr void repeat_all(const Body& body) {
    [&]<int... i>(std::integer_sequence<int, i...>)
        IMKERNELS_INLINE_LAMBDA { body.template operator()<i...>(); }(std::make_integer_sequence<int, count>{});
}

/// The value of rank `rank` among `values`.
struct Sought {
    int values, rank;
};

/// Values [begin, begin + count) of `total` sorted ones.
struct Kept {
    int begin, count, total;

    /// Without those that have too many others below or above them.
    constexpr Kept cropped(Sought sought) const {
        const int first = std::max(begin, total - (sought.values - sought.rank));
        const int last = std::min(begin + count - 1, sought.rank);
        return {first, last - first + 1, total};
    }
    constexpr Kept with(Kept other) const { return {begin + other.begin, count + other.count, total + other.total}; }
};

constexpr Kept all(int count) {
    return {0, count, count};
}

template <class Vector, Kept kept>
struct Sorted {
    static constexpr Kept range = kept;
    Vector values[static_cast<std::size_t>(kept.count)];

    // Copied vector by vector, of which the compiler finds that most copies need not be made; it would call for
    // hundreds of bytes at once otherwise.
    Sorted() = default;
    IMKERNELS_INLINE explicit Sorted(const Vector& only) : values{only} {}
    IMKERNELS_INLINE Sorted(const Sorted& other) { *this = other; }
    // NOLINTNEXTLINE(bugprone-unhandled-self-assignment): the same vectors again
    IMKERNELS_INLINE Sorted& operator=(const Sorted& other) {
        repeat_all<kept.count>([&]<int... i>() IMKERNELS_INLINE_LAMBDA { ((values[i] = other.values[i]), ...); });
        return *this;
    }
};

/// How two lists that lie one behind the other are merged: what is compared and exchanged, and where the merged list
/// lies afterwards.
struct MergePlan {
    using Wires = std::vector<int>;
    std::vector<std::pair<int, int>> comparators;
    Wires order;

    constexpr MergePlan(int one, int other) {
        Wires wires[2];
        for (int i = 0; i < one + other; ++i) {
            wires[i < one ? 0 : 1].push_back(i);
        }
        order = merge(wires[0], wires[1]);
    }

private:
    // NOLINTNEXTLINE(misc-no-recursion): each half is half as long, and it runs in the compiler.
    constexpr Wires merge(const Wires& one, const Wires& other) {
        if (one.empty() || other.empty()) {
            return one.empty() ? other : one;
        }
        if (one.size() == 1 && other.size() == 1) {
            comparators.emplace_back(one[0], other[0]);
            return {one[0], other[0]};
        }
        const Wires odd = merge(every_other(one, 0), every_other(other, 0));  // the first, the third, ...
        const Wires even = merge(every_other(one, 1), every_other(other, 1));
        Wires merged{odd[0]};
        for (std::size_t i = 0; i < even.size() || i + 1 < odd.size(); ++i) {
            if (i < even.size() && i + 1 < odd.size()) {
                comparators.emplace_back(even[i], odd[i + 1]);
            }
            if (i < even.size()) {
                merged.push_back(even[i]);
            }
            if (i + 1 < odd.size()) {
                merged.push_back(odd[i + 1]);
            }
        }
        return merged;
    }

    static constexpr Wires every_other(const Wires& wires, std::size_t first) {
        Wires half;
        for (std::size_t i = first; i < wires.size(); i += 2) {
            half.push_back(wires[i]);
        }
        return half;
    }
};

/// How many comparators that takes.
// NOLINTNEXTLINE(misc-no-recursion): the lists are halved.
constexpr int comparators_of(int one, int other) {
    if (one == 0 || other == 0) {
        return 0;
    }
    if (one == 1 && other == 1) {
        return 1;
    }
    const int behind = (one + other - 1) / 2;  // both halves
    return comparators_of((one + 1) / 2, (other + 1) / 2) + comparators_of(one / 2, other / 2) + behind;
}

/// The plan in arrays, which outlive the compilation.
template <int one, int other>
struct MergeNetwork {
    static constexpr int count = comparators_of(one, other);
    std::pair<int, int> comparators[static_cast<std::size_t>(count)]{};
    int order[static_cast<std::size_t>(one + other)]{};

    constexpr MergeNetwork() {
        const MergePlan plan(one, other);
        std::copy(plan.comparators.begin(), plan.comparators.end(), comparators);
        std::copy(plan.order.begin(), plan.order.end(), order);
    }
};

template <int one, int other>
inline constexpr MergeNetwork<one, other> merge_network;

template <class Vector>
IMKERNELS_INLINE void compare_exchange(Vector& low, Vector& high) {
    const Vector least = low < high ? low : high;
    high = low < high ? high : low;
    low = least;
}

/// The merged list, without what cannot be the value sought.
template <Sought sought, class Vector, Kept one, Kept other>
IMKERNELS_INLINE auto merge(const Sorted<Vector, one>& first, const Sorted<Vector, other>& second) {
    constexpr const auto& network = merge_network<one.count, other.count>;
    constexpr Kept both = one.with(other);
    constexpr Kept kept = both.cropped(sought);
    Vector wires[static_cast<std::size_t>(both.count)];
    repeat_all<one.count>([&]<int... i>() IMKERNELS_INLINE_LAMBDA { ((wires[i] = first.values[i]), ...); });
    repeat_all<other.count>([&]<int... i>()
                                IMKERNELS_INLINE_LAMBDA { ((wires[one.count + i] = second.values[i]), ...); });
    repeat_all<network.count>([&]<int... i>() IMKERNELS_INLINE_LAMBDA {
        // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it does not know that these are constants
        (compare_exchange(wires[network.comparators[i].first], wires[network.comparators[i].second]), ...);
    });
    Sorted<Vector, kept> merged;
    constexpr int before = kept.begin - both.begin;
    repeat_all<kept.count>(
        [&]<int... i>() IMKERNELS_INLINE_LAMBDA { ((merged.values[i] = wires[network.order[i + before]]), ...); });
    return merged;
}

/// Merges the lists `list(i)` for the constants i in [first, first + count).
template <Sought sought, int first, int count, class List>
IMKERNELS_INLINE auto merge_all(const List& list) {
    if constexpr (count == 1) {
        return list(Constant<first>{});
    } else {
        return merge<sought>(merge_all<sought, first, count / 2>(list),
                             merge_all<sought, first + count / 2, count - count / 2>(list));
    }
}

/// Sorts the values `value(i)` in the same way.
template <Sought sought, int first, int count, class Value>
IMKERNELS_INLINE auto sort_all(const Value& value) {
    using Vector = std::remove_cvref_t<decltype(value(Constant<first>{}))>;
    return merge_all<sought, first, count>([&](auto i) { return Sorted<Vector, all(1)>(value(i)); });
}

}  // namespace imkernels::detail
