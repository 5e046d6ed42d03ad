// Which tiles may be transformed: those of which no window is so small beside the rest that the error of a transform
// would show.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

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

    /// Adds pixels. `cells`, of sums of the columns of a row of cells of which this is row `y`, is only used where
    /// cells have more than one pixel.
    void add_row(const double* pixels, index count, index y, index cell, double* cells) {
        add_pixels(pixels, count);
        if (cell > 1) {
            for (index x = 0; x < count; ++x) {
                cells[x] = (y % cell == 0 ? 0.0 : cells[x]) + std::abs(pixels[x]);
            }
        }
        if (cell > 1 && y % cell == cell - 1) {
            for (index width = 1; width < cell; width *= 2, count /= 2) {
                add_pairs(cells, count / 2);
            }
            least_cell = std::min(least_cell, *std::min_element(cells, cells + count));
        }
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

    void add_pixels(const double* pixels, index count) {
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

    void add(double square, double high, double low) {
        squares += square;
        largest = std::max(largest, high);
        least = std::min(least, low);
    }
};

/// What the weights of some kernels of one size allow to say of sum |w| |x| over any window.
class WeightShares {
public:
    /// With cells of which the blocks of every kernel make up at least `least_share` of what even weights would.
    explicit WeightShares(double least_share) : least_share_(least_share) {}

    /// `gain` is the largest magnitude of the spectrum of a kernel.
    void add(const std::vector<double>& weights, index rows, index columns, double gain) {
        double sum = 0;
        for (const double weight : weights) {
            sum += std::abs(weight);
        }
        largest_gain_ = std::max(largest_gain_, gain);
        gain_share_ = sum > 0 ? std::max(gain_share_, gain / sum) : gain_share_;
        are_regular_ = are_regular_ && (sum == 0 || (sum > 1e-150 && sum < 1e150));
        for (index i = 0; i < kinds && sum > 0; ++i) {
            shares_[i] = std::min(shares_[i], sum_of_least(weights, rows, columns, (index{4} << i) - 1) / sum);
        }
    }

    double largest_gain() const { return largest_gain_; }
    /// The largest part of sum |w| that the gain of a kernel is.
    double gain_share() const { return gain_share_; }
    /// Whether no product with a weight is lost.
    bool are_regular() const { return are_regular_; }

    /// The side of the largest cells that will do; 1 where there are none.
    index cell() const {
        index cell = 1;
        for (index i = 0; i < kinds; ++i) {
            const index side = index{2} << i;
            cell = shares_[i] * static_cast<double>(side * side) >= least_share_ ? side : cell;
        }
        return cell;
    }

    /// A lower bound of sum |w| |x| / sum |w| for all windows among some pixels.
    double least_mean(const Magnitudes& pixels) const {
        double mean = pixels.least;
        for (index i = 0; i < kinds; ++i) {
            mean = (index{2} << i) == cell() ? std::max(mean, shares_[i] * pixels.least_cell) : mean;
        }
        return mean;
    }

private:
    static constexpr index kinds = 3;  // of cells, of 2, 4 and 8 pixels a side

    /// The sum, over blocks of `side` x `side` taps, of their least magnitudes.
    static double sum_of_least(const std::vector<double>& weights, index rows, index columns, index side) {
        double sum = 0;
        for (index top = 0; top + side <= rows; top += side) {
            for (index left = 0; left + side <= columns; left += side) {
                double least = std::numeric_limits<double>::infinity();
                for (index row = top; row < top + side; ++row) {
                    for (index column = left; column < left + side; ++column) {
                        least = std::min(least, std::abs(weights[static_cast<std::size_t>(row * columns + column)]));
                    }
                }
                sum += least;
            }
        }
        return sum;
    }

    double least_share_;
    double largest_gain_ = 0;
    double gain_share_ = 0;
    bool are_regular_ = true;
    double shares_[kinds] = {1, 1, 1};  // of sum |w| that the least weights of the blocks make up
};

}  // namespace imkernels::detail
