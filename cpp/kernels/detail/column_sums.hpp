// Sums of columns of floats, of one window after the other, without a subtraction.
//
// Few rows are added up as they are. Four windows of more rows that begin in one block of four rows have most rows in
// common: they consist of the rest of that block, whole blocks, and a few rows more. The sum of a block is computed
// once, and so is the sum of the blocks that the four have in common: it is a window of blocks, made up in the same
// way. So the cost of a row hardly depends on the size. Blocks begin at fixed rows, so that sums do not depend on
// tiles. They are about 2 log2(size) additions deep.
#pragma once

#include <algorithm>
#include <array>

#include "core/scratch.hpp"
#include "kernels/detail/tree_sums.hpp"
#include "simd/lanes.hpp"

namespace imkernels::detail {

template <class Number>
class ColumnSums {
public:
    static constexpr index largest = 4096;  // rows of a window

    /// Windows of `size` rows, and rows of at most `pitch` columns.
    ColumnSums(index size, index pitch) : size_(size), pitch_(pitch) {}

    static std::size_t bytes(index size, index pitch) {
        return Scratch::bytes<Number>(kept_sums(size) * pitch) + Scratch::bytes<Number>(kept_pixels * pitch) +
               Scratch::bytes<Number>(block * pitch);
    }

    /// Rows of sums that are kept.
    static index kept_sums(index size) {
        index rows = 0;
        index span = 1;
        for (index window = size; window > most_terms; window = between(window)) {
            span *= block;
            rows += size / span + 2;  // sums of blocks, and that of a window of them
        }
        return rows;
    }

    void take(Scratch& scratch) {
        Number* rows = scratch.take<Number>(kept_sums(size_) * pitch_);
        pixels_ = scratch.take<Number>(kept_pixels * pitch_);
        results_ = scratch.take<Number>(block * pitch_);
        index span = 1;
        for (index window = size_; window > most_terms; window = between(window)) {
            span *= block;
            const index slots = size_ / span + 1;
            levels_[static_cast<std::size_t>(top_++)] = {between(window), span, slots, rows, rows + slots * pitch_, -1};
            rows += (slots + 1) * pitch_;
        }
    }

    /// Rows behind those of a window that are taken up with them.
    static index rows_ahead(index size) { return size > most_terms ? block - 1 : 0; }

    /// Sums of the window that begins with row `first`, behind that of the one before: `length` of them, behind room
    /// for `before` others. They stay until the next call. `row(y, buffer)` gives the pixels of row `y`, `buffer` is
    /// room for them.
    template <class Row>
    Number* operator()(const Row& row, index first, index before, index length) {
        if (top_ == 0) {
            take_up(row, first, first + size_, length);
            Terms pixels;
            for (index y = first; y < first + size_; ++y) {
                pixels.add(newest(y));
            }
            StoredSums<Number> stored{results_ + before};
            keep_sums_of(pixels.rows.data(), size_, newest(first), length, stored);
            return results_;
        }
        if (group_ != first / block) {
            group_ = first / block;
            add_group(row, before, length);
        }
        return results_ + first % block * pitch_;
    }

private:
    static constexpr index block = 4;
    static constexpr index kept_newest = 2 * block;  // at least most_terms
    static constexpr index kept_pixels = kept_newest + block;
    static_assert(kept_newest >= most_terms);

    /// Whole blocks that every window of `size` rows has; it may have one more.
    static index between(index size) { return size / block - 1; }

    struct Terms {
        std::array<const Number*, most_terms> rows{};
        index count = 0;

        void add(const Number* row) { rows[static_cast<std::size_t>(count++)] = row; }
    };

    static void add_up(const Terms& terms, index length, Number* sums) {
        add_terms(terms.rows.data(), terms.count, length, sums);
    }

    /// Sums of blocks of `span` rows.
    struct Level {
        index window;  // that are added up for the level below
        index span;
        index slots;
        Number* rows;
        Number* sums;  // of the window
        index from;    // that begins with this one

        Number* row(index number, index pitch) const { return rows + number % slots * pitch; }
    };

    const Number* newest(index y) const { return newest_[static_cast<std::size_t>(y % kept_newest)]; }

    /// Takes up the rows to `end`, those before `begin` left out, and adds up the blocks that end there.
    template <class Row>
    void take_up(const Row& row, index begin, index end, index length) {
        if (next_ < begin) {
            next_ = run_begin_ = begin;
        }
        for (; next_ < end; ++next_) {
            const index place = next_ % kept_newest;
            newest_[static_cast<std::size_t>(place)] = row(next_, pixels_ + place * pitch_);
            if (top_ > 0 && next_ % block == block - 1) {
                add_blocks(length);
            }
        }
    }

    /// Adds up the blocks of all levels that end with row `next_`.
    void add_blocks(index length) {
        for (int level = 0; level < top_; ++level) {
            const Level& here = levels_[static_cast<std::size_t>(level)];
            const index number = next_ / here.span;
            if ((next_ + 1) % here.span != 0 || number * here.span < run_begin_) {
                return;
            }
            Terms terms;
            for (index i = number * block; i < (number + 1) * block; ++i) {
                terms.add(level == 0 ? newest(i) : levels_[static_cast<std::size_t>(level - 1)].row(i, pitch_));
            }
            add_up(terms, length, here.row(number, pitch_));
        }
    }

    /// Takes up again the rows from `first` to the end of its block.
    template <class Row>
    void take_up_again(const Row& row, index first) {
        if (oldest_block_ != first / block) {
            oldest_block_ = first / block;
            for (index y = first; y < (oldest_block_ + 1) * block; ++y) {
                oldest_[static_cast<std::size_t>(y % block)] = row(y, pixels_ + (kept_newest + y % block) * pitch_);
            }
        }
    }

    /// Computes the sums of the windows that begin in block `group_`.
    template <class Row>
    void add_group(const Row& row, index before, index length) {
        const index begin = group_ * block;
        const index end = begin + size_ / block * block;  // of the blocks that they have in common
        const index rest = size_ % block;
        take_up(row, begin, end + rest + block - 1, length);
        take_up_again(row, begin + 1);
        Group group{window_of_blocks(0, group_ + 1, length),
                    levels_[0].row(group_, pitch_),
                    levels_[0].row(end / block, pitch_),
                    {oldest_[1], oldest_[2], oldest_[3]},
                    {},
                    {}};
        for (index i = 0; i < rest + block - 1; ++i) {
            group.behind[i] = newest(end + i);
        }
        for (index i = 0; i < block; ++i) {
            group.results[i] = results_ + i * pitch_ + before;
        }
        switch (rest) {
            case 0: return add_group<0>(group, length);
            case 1: return add_group<1>(group, length);
            case 2: return add_group<2>(group, length);
            default: return add_group<3>(group, length);
        }
    }

    /// What four windows consist of.
    struct Group {
        const Number* common;
        const Number* first;  // block, of the first window
        const Number* last;   // block, of those that have four rows or more behind the common ones
        const Number* in_front[block - 1];
        const Number* behind[2 * (block - 1)];
        Number* results[block];
    };

    /// The first window has `rest` rows behind the common ones, each other one more.
    template <int rest>
    static __attribute__((noinline)) void add_group(const Group& group, index length) {
        const Group own = group;  // a copy that no store can change
#pragma GCC ivdep
        for (index x = 0; x < length; ++x) {
            const auto behind = [&]<int count>(Number sum) IMKERNELS_INLINE_LAMBDA {
                const auto pixel = [&](int i) IMKERNELS_INLINE_LAMBDA { return own.behind[i][x]; };
                if constexpr (count == 0) {
                    return sum;
                } else if constexpr (count < block) {
                    Number rows = pixel(0);
                    for (int i = 1; i < count; ++i) {
                        rows += pixel(i);
                    }
                    return sum + rows;
                } else {
                    Number rows = own.last[x];
                    for (int i = block; i < count; ++i) {
                        rows += pixel(i);
                    }
                    return sum + rows;
                }
            };
            const Number common = own.common[x];
            const Number one = own.in_front[2][x];
            const Number two = own.in_front[1][x] + one;
            const Number three = own.in_front[0][x] + two;
            own.results[0][x] = behind.template operator()<rest>(own.first[x] + common);
            own.results[1][x] = behind.template operator()<rest + 1>(three + common);
            own.results[2][x] = behind.template operator()<rest + 2>(two + common);
            own.results[3][x] = behind.template operator()<rest + 3>(one + common);
        }
    }

    /// The sum of the window of a level's blocks that begins with number `first`.
    // NOLINTNEXTLINE(misc-no-recursion): levels are few.
    const Number* window_of_blocks(int level, index first, index length) {
        Level& here = levels_[static_cast<std::size_t>(level)];
        if (here.from == first) {
            return here.sums;
        }
        here.from = first;
        Terms terms;
        index next = first;
        if (level + 1 < top_) {
            const Level& above = levels_[static_cast<std::size_t>(level) + 1];
            const index begin = ceil_div(first, block);
            const index end = (first + here.window) / block;
            for (; next < begin * block; ++next) {
                terms.add(here.row(next, pitch_));
            }
            terms.add(window_of_blocks(level + 1, begin, length));
            if (end - begin > above.window) {
                terms.add(above.row(end - 1, pitch_));
            }
            next = end * block;
        }
        for (; next < first + here.window; ++next) {
            terms.add(here.row(next, pitch_));
        }
        add_up(terms, length, here.sums);
        return here.sums;
    }

    index size_;
    index pitch_;
    Number* pixels_ = nullptr;
    Number* results_ = nullptr;  // of a group
    index group_ = -1;           // the block that its windows begin in
    std::array<Level, 5> levels_{};
    int top_ = 0;
    std::array<const Number*, kept_newest> newest_{};
    std::array<const Number*, block> oldest_{};
    index next_ = -1;          // row to be taken up
    index run_begin_ = -1;     // from where on all were
    index oldest_block_ = -1;  // whose rows are the oldest
};

}  // namespace imkernels::detail
