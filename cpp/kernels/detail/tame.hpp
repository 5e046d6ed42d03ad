// Which tiles may be transformed, and which results of them hold: those of windows that are not so small beside the
// rest of their tile that the error of a transform would show.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/scratch.hpp"
#include "simd/lanes.hpp"

namespace imkernels::detail {

/// What is known of the magnitudes of a tile's pixels.
struct Magnitudes {
    double squares = 0;  // their sum
    double largest = 0;
    double least = std::numeric_limits<double>::infinity();
    double least_cell = std::numeric_limits<double>::infinity();  // sum over a cell

    bool are_zero() const { return largest == 0; }
    /// Whether squares are neither infinite, nor NaNs, nor lost.
    bool have_squares() const { return std::isfinite(squares) && (are_zero() || squares > 1e-200); }

    Magnitudes operator+(const Magnitudes& other) const {
        return {squares + other.squares, std::max(largest, other.largest), std::min(least, other.least),
                std::min(least_cell, other.least_cell)};
    }

    void add(const double* pixels, index count) {
        constexpr index lanes = lane_count<double>;
        Lanes<double> square{};
        Lanes<double> high{};
        Lanes<double> low = broadcast(least);
        index x = 0;
        for (; x + lanes <= count; x += lanes) {
            const Lanes<double> pixel = load_lanes(pixels + x);
            const Lanes<double> size = pixel < 0 ? -pixel : pixel;
            square += pixel * pixel;
            high = high < size ? size : high;
            low = size < low ? size : low;
        }
        for (index lane = 0; lane < lanes; ++lane) {
            add(square[lane], high[lane], low[lane]);
        }
        for (; x < count; ++x) {
            const double size = std::abs(pixels[x]);
            add(size * size, size, size);
        }
    }

private:
    void add(double square, double high, double low) {
        squares += square;
        largest = std::max(largest, high);
        least = std::min(least, low);
    }
};

/// The sums of |x| over the cells of a tile, squares of `side` x `side` pixels.
class Cells {
public:
    static constexpr index largest_side = 8;
    static constexpr index size(index rows, index columns, index side) {
        return columns + row_slack + (side > 1 ? rows / side * (columns / side) : 0);
    }

    /// For a tile of `rows` x `columns` numbers, in `size(rows, columns, side)` of memory.
    Cells(double* memory, index rows, index columns, index side)
        : line_(memory),
          sums_(memory + columns + row_slack),
          columns_(columns),
          side_(side),
          down_(rows / side),
          across_(columns / side) {}

    index side() const { return side_; }
    index down() const { return down_; }
    index across() const { return across_; }
    double operator()(index row, index column) const { return sums_[row * across_ + column]; }

    /// Adds row `y` of the tile, zeros where it has no pixels. The rows come one after the other.
    void add_row(const double* pixels, index y) {
        for (index x = 0; x < columns_; ++x) {
            line_[x] = (y % side_ == 0 ? 0.0 : line_[x]) + std::abs(pixels[x]);
        }
        if (y % side_ == side_ - 1) {
            index count = columns_;
            for (index width = 1; width < side_; width *= 2) {
                count /= 2;
                add_pairs(line_, count);
            }
            std::copy_n(line_, across_, sums_ + y / side_ * across_);
        }
    }

    double least(index rows, index columns) const {
        double least = std::numeric_limits<double>::infinity();
        for (index row = 0; row < rows; ++row) {
            for (index column = 0; column < columns; ++column) {
                least = std::min(least, (*this)(row, column));
            }
        }
        return least;
    }

private:
    /// Replaces the first `count` pairs by their sums.
    static void add_pairs(double* numbers, index count) {
        for (index x = 0; x < count; x += lane_count<double>) {
            const Lanes<double> low = load_lanes(numbers + 2 * x);
            const Lanes<double> high = load_lanes(numbers + 2 * x + lane_count<double>);
            store_lanes(numbers + x, even_lanes<double>(low, high) + odd_lanes<double>(low, high));
        }
    }

    double* line_;
    double* sums_;
    index columns_;
    index side_;
    index down_, across_;
};

/// What the weights of some kernels of one size allow to say of sum |w| |x| / sum |w|, the mean of a window.
///
/// A block of 2c - 1 x 2c - 1 taps covers a whole cell of c x c pixels wherever the window is. So the mean is at least
/// the sum, over blocks, of the block's least |w| times the cell's sum of |x|.
class WeightShares {
public:
    /// With cells of which the blocks of every kernel make up at least `least_share` of what even weights would.
    WeightShares(index rows, index columns, double least_share)
        : rows_(rows), columns_(columns), least_share_(least_share) {
        for (index kind = 0; kind < kinds; ++kind) {
            shares_[kind].assign(static_cast<std::size_t>((rows / block(kind)) * (columns / block(kind))), 1.0);
        }
    }

    /// `gain` is the largest magnitude of the spectrum of a kernel.
    void add(const std::vector<double>& weights, double gain) {
        double sum = 0;
        for (const double weight : weights) {
            sum += std::abs(weight);
        }
        are_regular_ = are_regular_ && (sum == 0 || (sum > 1e-150 && sum < 1e150));
        largest_gain_ = std::max(largest_gain_, gain);
        gain_share_ = sum > 0 ? std::max(gain_share_, gain / sum) : gain_share_;
        for (index kind = 0; kind < kinds && sum > 0; ++kind) {
            add_blocks(weights, sum, kind);
        }
    }

    double largest_gain() const { return largest_gain_; }
    /// The largest part of sum |w| that the gain of a kernel is.
    double gain_share() const { return gain_share_; }
    /// Whether no product with a weight is lost.
    bool are_regular() const { return are_regular_; }

    /// Takes the largest cells that will do; of one pixel where there are none. All kernels have been added.
    void choose_cell() {
        for (index kind = 0; kind < kinds; ++kind) {
            double share = 0;
            for (const double part : shares_[kind]) {
                share += part;
            }
            if (share * static_cast<double>(side(kind) * side(kind)) >= least_share_) {
                kind_ = kind;
                share_ = share;
            }
        }
    }
    index cell() const { return kind_ < 0 ? 1 : side(kind_); }

    /// A lower bound of the means of all windows among some pixels.
    double least_mean(const Magnitudes& pixels) const {
        return std::max(pixels.least, kind_ < 0 ? 0.0 : share_ * pixels.least_cell);
    }

    /// The same for the windows that begin in cell (row, column), of those within the first `down` x `across` cells.
    double least_mean(const Cells& cells, index row, index column, index down, index across) const {
        const auto first = [&](index number) { return ceil_div(number * block(kind_), cells.side()); };
        double mean = 0;
        const double* share = shares_[kind_].data();
        for (index j = 0; j < rows_ / block(kind_); ++j) {
            const index top = row + first(j);
            const index bottom = std::min(top + 1, down - 1);
            for (index i = 0; i < columns_ / block(kind_); ++i) {
                const index left = column + first(i);
                const index right = std::min(left + 1, across - 1);
                mean += *share++ *
                        std::min({cells(top, left), cells(top, right), cells(bottom, left), cells(bottom, right)});
            }
        }
        return mean;
    }

private:
    static constexpr index kinds = 3;  // of cells, of 2, 4 and 8 pixels a side
    static constexpr index side(index kind) { return index{2} << kind; }
    static constexpr index block(index kind) { return 2 * side(kind) - 1; }

    void add_blocks(const std::vector<double>& weights, double sum, index kind) {
        double* share = shares_[kind].data();
        for (index top = 0; top + block(kind) <= rows_; top += block(kind)) {
            for (index left = 0; left + block(kind) <= columns_; left += block(kind)) {
                *share = std::min(*share, least_weight(weights, top, left, block(kind)) / sum);
                ++share;
            }
        }
    }

    double least_weight(const std::vector<double>& weights, index top, index left, index extent) const {
        double least = std::numeric_limits<double>::infinity();
        for (index row = top; row < top + extent; ++row) {
            for (index column = left; column < left + extent; ++column) {
                least = std::min(least, std::abs(weights[static_cast<std::size_t>(row * columns_ + column)]));
            }
        }
        return least;
    }

    index rows_, columns_;
    double least_share_;
    double largest_gain_ = 0;
    double gain_share_ = 0;
    bool are_regular_ = true;
    std::vector<double> shares_[kinds];  // of sum |w| that the least weights of the blocks are
    index kind_ = -1;
    double share_ = 0;
};

}  // namespace imkernels::detail
