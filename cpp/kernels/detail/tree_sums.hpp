// Sums of neighbours by trees: sums of a few elements, then of a few of those, ..., and at last of the few that make up
// a window. No element is added twice and none subtracted, and every sum has a tree of its own of depth O(log K).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#include "core/check.hpp"
#include "core/index.hpp"
#include "kernels/detail/visit_count.hpp"
#include "simd/lanes.hpp"

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

template <class Sum, class Term, class... Terms>
__attribute__((noinline)) void add_rows(index length, Sum* __restrict sums, const Term* __restrict first,
                                        const Terms* __restrict... terms) {
#pragma GCC ivdep
    for (index x = 0; x < length; ++x) {
        sums[x] = tree_sum<Sum>(static_cast<Sum>(first[x]), static_cast<Sum>(terms[x])...);
    }
}

/// sums[x] = terms[0][x] + ... + terms[count - 1][x]
template <class Sum, class Term>
void add_terms(const Term* const* terms, index count, index length, Sum* sums) {
    visit_count<most_terms>(count, [&](auto number) {
        [&]<std::size_t... i>(std::index_sequence<i...>) {
            add_rows(length, sums, terms[i]...);
        }(std::make_index_sequence<static_cast<std::size_t>(number())>());
    });
}

/// What a row of numbers is taken by: a number, a vector, or a vector whose address is a multiple of its size.
template <class Taken, bool aligned = false>
struct Step {
    using type = Taken;
    static constexpr bool is_aligned = aligned;

    template <class Number>
    static IMKERNELS_INLINE Taken load(const Number* source) {
        Taken taken;
        std::memcpy(&taken, source, sizeof(taken));
        return taken;
    }
};

/// How many numbers an address lies behind a multiple of a vector's size.
template <class Number>
index past_vector(const Number* address) {
    return static_cast<index>(reinterpret_cast<std::uintptr_t>(address) % vector_bytes / sizeof(Number));
}

/// Calls take(Step, x) for steps that cover a row: aligned vectors and, at the ends, others that may overlap those; or
/// numbers if there are fewer than in a vector.
template <class Number, class Take>
IMKERNELS_INLINE void for_steps(const Number* row, index length, const Take& take) {
    constexpr index lanes = lane_count<Number>;
    if (length < lanes) {
        for (index x = 0; x < length; ++x) {
            take(Step<Number>{}, x);
        }
        return;
    }
    const index past = past_vector(row);
    if (past != 0) {
        take(Step<Lanes<Number>>{}, 0);
    }
    index x = past == 0 ? 0 : lanes - past;
    for (; x + lanes <= length; x += lanes) {
        take(Step<Lanes<Number>, true>{}, x);
    }
    if (x < length) {
        take(Step<Lanes<Number>>{}, length - lanes);
    }
}

/// Calls keep(Step, x, terms[0][x] + ... + terms[count - 1][x]) for the steps of `row`.
template <class Number, class Keep, class... Terms>
__attribute__((noinline)) void keep_sums(const Number* row, index length, Keep& keeper, const Terms*... terms) {
    Keep keep = keeper;  // in registers
    for_steps(row, length, [&](auto step, index x) IMKERNELS_INLINE_LAMBDA {
        keep(step, x, tree_sum<typename decltype(step)::type>(step.load(terms + x)...));
    });
    keeper = keep;
}

template <class Number, class Keep>
void keep_sums_of(const Number* const* terms, index count, const Number* row, index length, Keep& keep) {
    visit_count<most_terms>(count, [&](auto number) {
        [&]<std::size_t... i>(std::index_sequence<i...>) {
            keep_sums(row, length, keep, terms[i]...);
        }(std::make_index_sequence<static_cast<std::size_t>(number())>());
    });
}

/// Stores sums as such.
template <class Number>
struct StoredSums {
    Number* sums;

    template <class Step, class Sum>
    IMKERNELS_INLINE void operator()(Step /*unused*/, index x, Sum sum) const {
        std::memcpy(sums + x, &sum, sizeof(sum));
    }
};

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

    /// Calls keep(Step, x, the sum of the window that starts at x) for the steps of `results`.
    template <class Keep>
    void operator()(const Sum* row, index length, Sum* room, index pitch, const Sum* results, Keep& keep) const {
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
            add_terms(terms.data(), here.base, covered - (here.size - 1) * apart_, line);
            lines[below + 1] = line;
        }
        for (int level = plan_.top(); level >= 0; --level) {
            const SumLevel& here = plan_[level];
            const index first = window() - here.tail - here.count * here.size;
            for (index i = 0; i < here.count; ++i) {
                terms[count++] = lines[static_cast<std::size_t>(level)] + (first + i * here.size) * apart_;
            }
        }
        keep_sums_of(terms.data(), static_cast<index>(count), results, length, keep);
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
