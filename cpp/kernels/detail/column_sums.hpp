// Sums of columns of floats by blocks of rows, without a subtraction.
#pragma once

#include <algorithm>
#include <array>

#include "kernels/detail/tree_sums.hpp"
#include "kernels/detail/window_rows.hpp"

namespace imkernels::detail {

/// Sums of the columns of windows of `size` rows, one window after the other.
///
/// Few rows are added up as they are. Of more, windows consist of the end of a block, some whole blocks, and the
/// beginning of another: ends are summed up from below once per block, beginnings as rows come, and the whole blocks
/// once for all windows that begin in the same block. So a row costs about four additions whatever the size. Blocks
/// begin at fixed rows, so that sums do not depend on tiles. They are at most 2 log2(size) additions deep.
template <class Pixel, class Sum>
class ColumnSums {
public:
    ColumnSums(index size, index pitch) : size_(size), pitch_(pitch) {}

    /// Rows of sums and of pixels that are kept.
    static index kept_sums(index size) {
        return size <= most_terms ? 0 : slots(size) + block(size) + 1 + (whole(size) + most_terms - 1) / most_terms;
    }
    static index kept_pixels(index size) { return size <= most_terms ? size : 1; }

    void take(Scratch& scratch) {
        sums_ = scratch.take<Sum>(kept_sums(size_) * pitch_);
        pixels_ = scratch.take<Pixel>(kept_pixels(size_) * pitch_);
    }
    static std::size_t bytes(index size, index pitch) {
        return Scratch::bytes<Sum>(kept_sums(size) * pitch) + Scratch::bytes<Pixel>(kept_pixels(size) * pitch);
    }

    /// Sums of the window that begins with row `first`, later than the one before. `row(y, buffer)` gives the pixels of
    /// row `y`, `buffer` is room for them.
    template <class Row>
    void operator()(const Row& row, index first, index length, Sum* sums) {
        if (size_ <= most_terms) {
            return add_directly(row, first, length, sums);
        }
        const index block = ColumnSums::block(size_);
        const index begin = (first + block - 1) / block;  // whole blocks
        const index end = (first + size_) / block;
        add_beginnings(row, begin * block, first + size_, length);
        std::array<const Sum*, 4> terms{};
        std::size_t count = 0;
        if (first % block != 0) {
            terms[count++] = end_of_block(row, first, length);
        }
        terms[count++] = whole_blocks(begin, length);
        if (end - begin > whole(size_)) {
            terms[count++] = slot(end - 1);
        }
        if ((first + size_) % block != 0) {
            terms[count++] = slot(end);
        }
        add_terms<Sum>(terms.data(), static_cast<index>(count), length, [](Sum sum) { return sum; }, sums);
    }

private:
    static index block(index size) { return size < 64 ? 4 : 8; }
    /// Whole blocks that every window has; it may have one more.
    static index whole(index size) { return size / block(size) - 1; }
    static index slots(index size) { return whole(size) + 2; }

    /// The sum of a block, as far as it has come.
    Sum* slot(index number) const { return sums_ + number % slots(size_) * pitch_; }
    Sum* end_row(index number) const { return sums_ + (slots(size_) + number) * pitch_; }
    Sum* whole_row(index number) const { return end_row(block(size_) + number); }

    template <class Row>
    void add_directly(const Row& row, index first, index length, Sum* sums) {
        std::array<const Pixel*, most_terms> terms{};
        for (next_ = std::max(next_, first); next_ < first + size_; ++next_) {
            const index place = next_ % size_;
            rows_[static_cast<std::size_t>(place)] = row(next_, pixels_ + place * pitch_);
        }
        for (index y = 0; y < size_; ++y) {
            terms[static_cast<std::size_t>(y)] = rows_[static_cast<std::size_t>((first + y) % size_)];
        }
        add_terms<Sum>(terms.data(), size_, length, [](Sum sum) { return sum; }, sums);
    }

    /// Adds the rows up to `end` to their blocks, the first one beginning at `begin`.
    template <class Row>
    void add_beginnings(const Row& row, index begin, index end, index length) {
        const index block = ColumnSums::block(size_);
        for (next_ = std::max(next_, begin); next_ < end; ++next_) {
            const Pixel* const pixels = row(next_, pixels_);
            Sum* const sums = slot(next_ / block);
            if (next_ % block == 0) {
                std::copy_n(pixels, length, sums);
            } else {
                add_row(pixels, length, sums);
            }
        }
    }

    /// The sum from row `first` to the end of its block.
    template <class Row>
    const Sum* end_of_block(const Row& row, index first, index length) {
        const index block = ColumnSums::block(size_);
        if (ends_of_ != first / block) {
            ends_of_ = first / block;
            const index last = ends_of_ * block + block - 1;
            std::copy_n(row(last, pixels_), length, end_row(block - 1));
            for (index y = last - 1; y >= first; --y) {
                std::array<const Sum*, 1> below{end_row(y % block + 1)};
                add_rows<Sum>(length, [](Sum sum) { return sum; }, end_row(y % block), below[0], row(y, pixels_));
            }
        }
        return end_row(first % block);
    }

    /// The sum of the blocks that every window has which begins in the block before `begin`.
    const Sum* whole_blocks(index begin, index length) {
        if (whole_from_ != begin) {
            whole_from_ = begin;
            const auto same = [](Sum sum) { return sum; };
            std::array<const Sum*, most_terms> parts{};
            index count = 0;
            for (index done = 0; done < whole(size_); ++count) {
                std::array<const Sum*, most_terms> terms{};
                const index together = std::min<index>(most_terms, whole(size_) - done);
                for (index i = 0; i < together; ++i, ++done) {
                    terms[static_cast<std::size_t>(i)] = slot(begin + done);
                }
                parts[static_cast<std::size_t>(count)] = whole_row(count + 1);
                add_terms<Sum>(terms.data(), together, length, same, whole_row(count + 1));
            }
            add_terms<Sum>(parts.data(), count, length, same, whole_row(0));
        }
        return whole_row(0);
    }

    index size_;
    index pitch_;
    Sum* sums_ = nullptr;
    Pixel* pixels_ = nullptr;
    std::array<const Pixel*, most_terms> rows_{};  // the last ones, where they are few
    index next_ = 0;                               // row to be taken up
    index ends_of_ = -1;                           // the block whose ends are known
    index whole_from_ = -1;                        // the first of the blocks that are added up
};

}  // namespace imkernels::detail
