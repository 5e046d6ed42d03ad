// Sums of columns of floats, of one window after the other, without a subtraction.
//
// Few rows are added up as they are. A window of more consists of up to three rows, whole blocks of four rows, and up
// to three rows again. The sum of a block is computed once, and so is the sum of the blocks between, for all windows
// that begin in one block: it is a window of blocks, made up in the same way. So the cost of a row hardly depends on
// the size. Blocks begin at fixed rows, so that sums do not depend on tiles. They are about 2 log2(size) additions
// deep.
#pragma once

#include <algorithm>
#include <array>
#include <type_traits>

#include "core/scratch.hpp"
#include "kernels/detail/tree_sums.hpp"

namespace imkernels::detail {

/// `Pixel`s are added up in `Sum`.
template <class Pixel, class Sum>
class ColumnSums {
public:
    /// Windows of more rows are no longer summed while what is kept of them is near.
    static constexpr index largest = 1024;

    /// Windows of `size` rows, and rows of at most `pitch` columns.
    ColumnSums(index size, index pitch) : size_(size), pitch_(pitch) {}

    static std::size_t bytes(index size, index pitch) {
        return Scratch::bytes<Sum>(kept_sums(size) * pitch) + Scratch::bytes<Pixel>(kept_pixels * pitch);
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
        Sum* rows = scratch.take<Sum>(kept_sums(size_) * pitch_);
        pixels_ = scratch.take<Pixel>(kept_pixels * pitch_);
        index span = 1;
        for (index window = size_; window > most_terms; window = between(window)) {
            span *= block;
            const index slots = size_ / span + 1;
            levels_[static_cast<std::size_t>(top_++)] = {between(window), span, slots, rows, rows + slots * pitch_, -1};
            rows += (slots + 1) * pitch_;
        }
    }

    /// Sums of the window that begins with row `first`, behind that of the one before. `row(y, buffer)` gives the
    /// pixels of row `y`, `buffer` is room for them.
    template <class Row, class Result>
    void operator()(const Row& row, index first, index length, Result* sums) {
        const auto finish = [](Sum sum) { return static_cast<Result>(sum); };
        Terms<Pixel> pixels;
        if (top_ == 0) {
            take_up(row, first, first + size_, length);
            for (index y = first; y < first + size_; ++y) {
                pixels.add(newest(y));
            }
            return add_terms<Sum>(pixels.rows.data(), pixels.count, length, finish, sums);
        }
        const index begin = ceil_div(first, block);
        const index end = (first + size_) / block;
        take_up(row, begin * block, first + size_, length);
        Terms<Sum> blocks;
        blocks.add(window_of_blocks(0, begin, length));
        if (end - begin > levels_[0].window) {
            blocks.add(levels_[0].row(end - 1, pitch_));
        }
        if (first % block != 0) {
            take_up_again(row, first);
        }
        for (index y = first; y < begin * block; ++y) {
            pixels.add(oldest_[static_cast<std::size_t>(y % block)]);
        }
        for (index y = end * block; y < first + size_; ++y) {
            pixels.add(newest(y));
        }
        add_both(blocks, pixels, length, finish, sums);
    }

private:
    static constexpr index block = 4;
    static constexpr index kept_newest = 2 * block;  // at least most_terms
    static constexpr index kept_pixels = kept_newest + block;
    static_assert(kept_newest >= most_terms);

    /// Whole blocks that every window of `size` rows has; it may have one more.
    static index between(index size) { return size / block - 1; }

    template <class Number>
    struct Terms {
        std::array<const Number*, most_terms> rows{};
        index count = 0;

        void add(const Number* row) { rows[static_cast<std::size_t>(count++)] = row; }
    };

    /// Sums of blocks of `span` rows.
    struct Level {
        index window;  // that are added up for the level below
        index span;
        index slots;
        Sum* rows;
        Sum* sums;   // of the window
        index from;  // that begins with this one

        Sum* row(index number, index pitch) const { return rows + number % slots * pitch; }
    };

    const Pixel* newest(index y) const { return newest_[static_cast<std::size_t>(y % kept_newest)]; }

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
        const auto same = [](Sum sum) { return sum; };
        for (int level = 0; level < top_; ++level) {
            const Level& here = levels_[static_cast<std::size_t>(level)];
            const index number = next_ / here.span;
            if ((next_ + 1) % here.span != 0 || number * here.span < run_begin_) {
                return;
            }
            Sum* const sums = here.row(number, pitch_);
            if (level == 0) {
                Terms<Pixel> terms;
                for (index i = 0; i < block; ++i) {
                    terms.add(newest(number * block + i));
                }
                add_terms<Sum, block>(terms.rows.data(), block, length, same, sums);
            } else {
                Terms<Sum> terms;
                for (index i = 0; i < block; ++i) {
                    terms.add(levels_[static_cast<std::size_t>(level - 1)].row(number * block + i, pitch_));
                }
                add_terms<Sum, block>(terms.rows.data(), block, length, same, sums);
            }
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

    /// The sum of the window of a level's blocks that begins with number `first`.
    // NOLINTNEXTLINE(misc-no-recursion): levels are few.
    const Sum* window_of_blocks(int level, index first, index length) {
        Level& here = levels_[static_cast<std::size_t>(level)];
        if (here.from == first) {
            return here.sums;
        }
        here.from = first;
        Terms<Sum> terms;
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
        add_terms<Sum>(terms.rows.data(), terms.count, length, [](Sum sum) { return sum; }, here.sums);
        return here.sums;
    }

    template <class Finish, class Result>
    static void add_both(const Terms<Sum>& blocks, const Terms<Pixel>& pixels, index length, Finish finish,
                         Result* sums) {
        if constexpr (std::is_same_v<Pixel, Sum>) {
            Terms<Sum> terms = blocks;
            for (index i = 0; i < pixels.count; ++i) {
                terms.add(pixels.rows[static_cast<std::size_t>(i)]);
            }
            add_terms<Sum>(terms.rows.data(), terms.count, length, finish, sums);
        } else if (blocks.count == 1) {
            add_terms_to<Sum, 2 * (block - 1)>(pixels.rows.data(), pixels.count, length, finish, sums, blocks.rows[0]);
        } else {
            add_terms_to<Sum, 2 * (block - 1)>(pixels.rows.data(), pixels.count, length, finish, sums, blocks.rows[0],
                                               blocks.rows[1]);
        }
    }

    index size_;
    index pitch_;
    Pixel* pixels_ = nullptr;
    std::array<Level, 5> levels_{};
    int top_ = 0;
    std::array<const Pixel*, kept_newest> newest_{};
    std::array<const Pixel*, block> oldest_{};
    index next_ = -1;          // row to be taken up
    index run_begin_ = -1;     // from where on all were
    index oldest_block_ = -1;  // whose rows are the oldest
};

}  // namespace imkernels::detail
