// Sums of neighbours by trees: sums of a few elements, then of a few of those, ..., and at last of the few that make up
// a window. No element is added twice and none subtracted, and every sum has a tree of its own of depth O(log K).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <utility>

#include "core/check.hpp"
#include "core/index.hpp"
#include "kernels/detail/visit_count.hpp"

namespace imkernels::detail {

inline constexpr int most_terms = 8;  // of a sum in one go: their pointers fit the registers

template <class Term, class Sum>
void add_row(const Term* __restrict row, index length, Sum* __restrict sums) {
    for (index x = 0; x < length; ++x) {
        sums[x] = static_cast<Sum>(sums[x] + static_cast<Sum>(row[x]));
    }
}

/// The sum in a tree of least depth: two of the front make one at the end.
template <class Sum>
inline Sum tree_sum(Sum last) {
    return last;
}
template <class Sum, class... Sums>
inline Sum tree_sum(Sum one, Sum other, Sums... rest) {
    return tree_sum(rest..., static_cast<Sum>(one + other));
}

template <class Sum, class Finish, class Result, class Term, class... Terms>
__attribute__((noinline)) void add_rows(index length, Finish finish, Result* __restrict results,
                                        const Term* __restrict first, const Terms* __restrict... terms) {
#pragma GCC ivdep
    for (index x = 0; x < length; ++x) {
        results[x] = finish(tree_sum<Sum>(static_cast<Sum>(first[x]), static_cast<Sum>(terms[x])...));
    }
}

/// results[x] = finish(terms[0][x] + ... + terms[count - 1][x]), added as `Sum`s.
template <class Sum, class Term, class Finish, class Result>
void add_terms(const Term* const* terms, index count, index length, Finish finish, Result* results) {
    visit_count<most_terms>(count, [&](auto number) {
        [&]<std::size_t... i>(std::index_sequence<i...>) {
            add_rows<Sum>(length, finish, results, terms[i]...);
        }(std::make_index_sequence<static_cast<std::size_t>(number())>());
    });
}

/// How a window is made up. Level 0 is the pixels; an element of a level is the sum of `SumLevel::base` of the level
/// below. The window is some of the last level, then some of the one below, ..., and some pixels.
struct SumLevel {
    index base;   // elements of the level below in one of this
    index size;   // pixels in one of this
    index count;  // elements of this in the window
    index tail;   // pixels of the window that come after those
};

class SumPlan {
public:
    static constexpr index largest = 4096;
    static constexpr std::size_t most_levels = 8;

    explicit SumPlan(index size) {
        require(size <= largest, "SumPlan: the window is too large");
        levels_[0] = {1, 1, size, 0};
        for (index spent = 0; size + spent > most_terms;) {
            SumLevel& below = levels_[static_cast<std::size_t>(top_)];
            require(top_ + 1 < static_cast<int>(most_levels), "SumPlan: too many levels");
            const index base = size > few ? with_least_rest(size) : cheapest(size, spent).base;
            below.count = size % base;
            spent += below.count;
            size /= base;
            ++top_;
            levels_[static_cast<std::size_t>(top_)] = {base, below.size * base, size,
                                                       below.tail + below.count * below.size};
        }
    }

    int top() const { return top_; }
    const SumLevel& operator[](int level) const { return levels_[static_cast<std::size_t>(level)]; }

private:
    static constexpr index few = 512;  // that all ways are tried for

    struct Choice {
        double cost;
        index base;
    };

    /// The base that leaves the fewest elements beside, so that there are terms left for the levels above.
    static index with_least_rest(index size) {
        index best = 2;
        for (index base = 3; base <= most_terms; ++base) {
            best = size % base <= size % best ? base : best;
        }
        return best;
    }

    /// The base for the next level, where the window takes `size` elements of this one, and `spent` of those below. An
    /// element costs one, and a level another one and a half for its store.
    // NOLINTNEXTLINE(misc-no-recursion): sizes get smaller.
    static Choice cheapest(index size, index spent) {
        if (size + spent <= most_terms) {
            return {static_cast<double>(size), 1};
        }
        Choice best{std::numeric_limits<double>::infinity(), 2};
        for (index base = 2; base <= most_terms && base < size; ++base) {
            const index rest = size % base;
            const double cost = static_cast<double>(base + rest) + 1.5 + cheapest(size / base, spent + rest).cost;
            best = cost < best.cost ? Choice{cost, base} : best;
        }
        return best;
    }

    std::array<SumLevel, most_levels> levels_;
    int top_ = 0;
};

/// Sums along a row, of windows of elements that lie `apart` from each other.
template <class Sum>
class SumAlong {
public:
    SumAlong(index size, index apart) : plan_(size), apart_(apart) {}

    /// Elements of the room that `operator()` needs beside the row.
    index room(index pitch) const { return plan_.top() * pitch; }

    /// results[x] = finish(the sum of the window that starts at x) for 0 <= x < length.
    template <class Finish, class Result>
    void operator()(const Sum* row, index length, Sum* room, index pitch, Finish finish, Result* results) const {
        std::array<const Sum*, most_terms> terms{};
        std::size_t count = 0;
        const index covered = length + (window() - 1) * apart_;
        std::array<const Sum*, SumPlan::most_levels> lines{};
        lines[0] = row;
        for (int level = 1; level <= plan_.top(); ++level) {
            const SumLevel& here = plan_[level];
            const std::size_t below = static_cast<std::size_t>(level - 1);
            for (index i = 0; i < here.base; ++i) {
                terms[static_cast<std::size_t>(i)] = lines[below] + i * plan_[level - 1].size * apart_;
            }
            Sum* const line = room + (level - 1) * pitch;
            add_terms<Sum>(
                terms.data(), here.base, covered - (here.size - 1) * apart_, [](Sum sum) { return sum; }, line);
            lines[below + 1] = line;
        }
        for (int level = plan_.top(); level >= 0; --level) {
            const SumLevel& here = plan_[level];
            const index first = window() - here.tail - here.count * here.size;
            for (index i = 0; i < here.count; ++i) {
                terms[count++] = lines[static_cast<std::size_t>(level)] + (first + i * here.size) * apart_;
            }
        }
        add_terms<Sum>(terms.data(), static_cast<index>(count), length, finish, results);
    }

private:
    index window() const {
        const SumLevel& top = plan_[plan_.top()];
        return top.count * top.size + top.tail;
    }

    SumPlan plan_;
    index apart_;
};

}  // namespace imkernels::detail
