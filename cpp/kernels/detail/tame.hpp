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

    /// The squares of a NaN are one, too.
    bool are_zero() const { return largest == 0 && squares == 0; }
    /// Whether squares are neither infinite, nor NaNs, nor lost.
    bool have_squares() const { return std::isfinite(squares) && (are_zero() || squares > 1e-200); }

    Magnitudes operator+(const Magnitudes& other) const {
        return {squares + other.squares, std::max(largest, other.largest), std::min(least, other.least)};
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

/// The sums of |x| over the cells of a tile: squares of 2 x 2, 4 x 4 and 8 x 8 pixels.
class Cells {
public:
    static constexpr int kinds = 3;
    static constexpr index side(int kind) { return index{2} << kind; }
    static constexpr int largest = kinds - 1;

    /// Doubles for a tile of `rows` x `columns` numbers.
    static constexpr index size(index rows, index columns) {
        return columns + row_slack + rows / 2 * (columns / 2) + rows / 4 * (columns / 4) + rows / 8 * (columns / 8);
    }

    /// In as much memory.
    Cells(double* memory, index rows, index columns) : line_(memory), columns_(columns), rows_(rows) {
        double* next = memory + columns + row_slack;
        for (int kind = 0; kind < kinds; ++kind) {
            sums_[kind] = next;
            next += rows / side(kind) * (columns / side(kind));
        }
    }

    index down(int kind) const { return rows_ / side(kind); }
    index across(int kind) const { return columns_ / side(kind); }
    double operator()(int kind, index row, index column) const { return sums_[kind][row * across(kind) + column]; }

    /// Adds row `y` of the tile, zeros where it has no pixels. The rows come one after the other.
    void add_row(const double* pixels, index y) {
        for (index x = 0; x < columns_; ++x) {
            line_[x] = (y % 2 == 0 ? 0.0 : line_[x]) + std::abs(pixels[x]);
        }
        if (y % 2 == 1) {
            add_pairs(line_, across(0));
            std::copy_n(line_, across(0), sums_[0] + y / 2 * across(0));
        }
    }

    /// After the last row.
    void finish() {
        for (int kind = 1; kind < kinds; ++kind) {
            for (index row = 0; row < down(kind); ++row) {
                const double* const upper = sums_[kind - 1] + 2 * row * across(kind - 1);
                const double* const lower = upper + across(kind - 1);
                for (index column = 0; column < across(kind); ++column) {
                    sums_[kind][row * across(kind) + column] =
                        (upper[2 * column] + upper[2 * column + 1]) + (lower[2 * column] + lower[2 * column + 1]);
                }
            }
        }
    }

    /// The least of the cells that lie within the first `rows` x `columns` pixels.
    double least(int kind, index rows, index columns) const {
        double least = std::numeric_limits<double>::infinity();
        for (index row = 0; row < rows / side(kind); ++row) {
            for (index column = 0; column < columns / side(kind); ++column) {
                least = std::min(least, (*this)(kind, row, column));
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
    double* sums_[kinds];
    index columns_, rows_;
};

/// What the weights of a kernel allow to say of sum |w| |x| / sum |w|, the mean of a window.
///
/// A block of 2c - 1 x 2c - 1 taps covers a whole cell of c x c pixels wherever the window is. So the mean is at least
/// the sum, over blocks, of the block's least |w| times the cell's sum of |x|.
class WeightShares {
public:
    /// For the weights of `rows` x `columns` taps, with a spectrum of at most `gain`. Of cells those are taken for
    /// which the blocks make up at least `least_share` of what even weights would, of up to kind `largest`; without
    /// cells
    /// (-1) only the least pixel counts.
    WeightShares(const std::vector<double>& weights, index rows, index columns, double gain, double least_share,
                 int largest)
        : rows_(rows), columns_(columns), gain_(gain) {
        double sum = 0;
        for (const double weight : weights) {
            sum += std::abs(weight);
        }
        is_regular_ = sum == 0 || (sum > 1e-150 && sum < 1e150);
        gain_share_ = sum > 0 ? gain / sum : 0;
        for (int kind = 0; kind <= largest && sum > 0 && is_regular_; ++kind) {
            shares_[kind] = shares_of(weights, sum, kind);
            double share = 0;
            for (const double part : shares_[kind]) {
                share += part;
            }
            if (share * static_cast<double>(Cells::side(kind) * Cells::side(kind)) >= least_share) {
                kind_ = kind;
                share_ = share;
            }
        }
    }

    double gain() const { return gain_; }
    double gain_share() const { return gain_share_; }
    /// Whether no product with a weight is lost.
    bool is_regular() const { return is_regular_; }
    /// Of the cells that say something of a whole tile; -1 where there are none.
    int kind() const { return kind_; }
    /// Whether there are cells that say something of a few windows in a short time. They are smaller, since no sum of
    /// blocks is lost by a black cell.
    bool has_few() const { return kind_ >= 1; }

    /// A lower bound of the means of all windows among some pixels, of which `least_cell` is the least.
    double least_mean(const Magnitudes& pixels, double least_cell) const {
        return std::max(pixels.least, kind_ < 0 ? 0.0 : share_ * least_cell);
    }

    /// The same for the windows that begin in the square (row, column) of `extent` x `extent` pixels, among the first
    /// `down` x `across` pixels.
    double least_mean(const Cells& cells, index row, index column, index extent, index down, index across) const {
        const int kind = std::max(rows_, columns_) < 64 ? 1 : kind_;
        const index side = Cells::side(kind);
        double mean = 0;
        const double* share = shares_[kind].data();
        for (index j = 0; j < rows_ / block(kind); ++j) {
            const index start = row * extent + j * block(kind);
            const index top = ceil_div(start, side);
            const index bottom = std::min(ceil_div(start + extent - 1, side), down / side - 1);
            for (index i = 0; i < columns_ / block(kind); ++i) {
                const index begin = column * extent + i * block(kind);
                const index left = ceil_div(begin, side);
                const index right = std::min(ceil_div(begin + extent - 1, side), across / side - 1);
                double least = std::numeric_limits<double>::infinity();
                for (index y = top; y <= bottom; ++y) {
                    for (index x = left; x <= right; ++x) {
                        least = std::min(least, cells(kind, y, x));
                    }
                }
                mean += *share++ * least;
            }
        }
        return mean;
    }

private:
    static constexpr index block(int kind) { return 2 * Cells::side(kind) - 1; }

    /// The parts of sum |w| that the least weights of the blocks are.
    std::vector<double> shares_of(const std::vector<double>& weights, double sum, int kind) const {
        std::vector<double> shares;
        for (index top = 0; top + block(kind) <= rows_; top += block(kind)) {
            for (index left = 0; left + block(kind) <= columns_; left += block(kind)) {
                shares.push_back(least_weight(weights, top, left, block(kind)) / sum);
            }
        }
        return shares;
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
    double gain_;
    double gain_share_ = 0;
    bool is_regular_ = true;
    int kind_ = -1;
    double share_ = 0;  // of the sum of all blocks
    std::vector<double> shares_[Cells::kinds];
};

}  // namespace imkernels::detail
