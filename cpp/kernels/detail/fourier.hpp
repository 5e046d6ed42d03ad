// Fourier transforms of a power of two of complex numbers, one transform in every lane of a vector.
//
// A transform of R * M numbers is M transforms of R numbers that lie M apart, a turn of each result, and R transforms
// of M numbers in what were the places of the first M, the next M and so on (J. W. Cooley, J. W. Tukey: An algorithm
// for the machine calculation of complex Fourier series, Mathematics of Computation 19, 1965). Nothing is moved to
// where it belongs: the frequencies stay in the order in which the steps leave them, which is all the same for a
// product of two spectra, and the inverse takes the same steps backwards.
#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>
#include <ranges>
#include <utility>
#include <vector>

#include "kernels/detail/sorted_lanes.hpp"
#include "simd/lanes.hpp"

namespace imkernels::detail {

/// Complex numbers, one in every lane.
struct Complex {
    Lanes<double> re, im;

    /// Real parts and behind them imaginary ones, as they lie in memory.
    static constexpr index extent = 2 * lane_count<double>;

    static IMKERNELS_INLINE Complex load(const double* source) {
        return {load_lanes(source), load_lanes(source + lane_count<double>)};
    }
    IMKERNELS_INLINE void store(double* target) const {
        store_lanes(target, re);
        store_lanes(target + lane_count<double>, im);
    }

    /// A transform of numbers with their parts exchanged is the inverse with its parts exchanged.
    IMKERNELS_INLINE Complex exchanged() const { return {im, re}; }

    IMKERNELS_INLINE Complex operator+(const Complex& other) const { return {re + other.re, im + other.im}; }
    IMKERNELS_INLINE Complex operator-(const Complex& other) const { return {re - other.re, im - other.im}; }
    IMKERNELS_INLINE Complex operator*(const Complex& other) const {
        return {re * other.re - im * other.im, re * other.im + im * other.re};
    }
    /// Times cos + i sin.
    IMKERNELS_INLINE Complex times(double cos, double sin) const { return {re * cos - im * sin, re * sin + im * cos}; }
};

/// A number times exp(-2 pi i k / R).
template <int k, int R>
IMKERNELS_INLINE Complex turned(const Complex& number) {
    constexpr double diagonal = std::numbers::sqrt2 / 2;
    const auto& [re, im] = number;
    if constexpr (k == 0) {
        return number;
    } else if constexpr (4 * k == R) {
        return {im, -re};
    } else if constexpr (8 * k == R) {
        return {(im + re) * diagonal, (im - re) * diagonal};
    } else {
        static_assert(8 * k == 3 * R);
        return {(im - re) * diagonal, -(im + re) * diagonal};
    }
}

/// The transform of R numbers, in place.
template <int R>
IMKERNELS_INLINE void transform(Complex (&numbers)[R]) {
    if constexpr (R > 1) {
        Complex even[R / 2];
        Complex odd[R / 2];
        repeat<R / 2>([&](auto k) IMKERNELS_INLINE_LAMBDA {
            even[k] = numbers[2 * k];
            odd[k] = numbers[2 * k + 1];
        });
        transform(even);
        transform(odd);
        repeat<R / 2>([&](auto k) IMKERNELS_INLINE_LAMBDA {
            const Complex other = turned<k, R>(odd[k]);
            numbers[k] = even[k] + other;
            numbers[k + R / 2] = even[k] - other;
        });
    }
}

class Fourier {
public:
    /// For transforms of `size` numbers, a power of two.
    explicit Fourier(index size) : size_(size) {
        for (index left = size; left > 1; left /= steps_.back().radix) {
            steps_.push_back({radix_for(left), left, static_cast<index>(turns_.size())});
            add_turns(steps_.back());
        }
    }

    index size() const { return size_; }

    /// Transforms size() numbers, in place; to frequencies in an order of their own.
    void forward(double* numbers) const {
        for (const Step& step : steps_) {
            run<true>(step, numbers);
        }
    }

    /// From those back to size() times the numbers.
    void inverse(double* numbers) const {
        for (const Step& step : std::views::reverse(steps_)) {
            run<false>(step, numbers);
        }
    }

private:
    /// Transforms of `length` numbers, by transforms of `radix` numbers.
    struct Step {
        int radix;
        index length;
        index turns;  // where its turns begin
    };

    /// Eight numbers at once where the registers hold them, and otherwise only if fours would leave a two.
    static int radix_for(index length) {
        if constexpr (vector_registers == 32) {
            return length == 2 || length == 4 || length == 16 ? static_cast<int>(std::min<index>(length, 4)) : 8;
        } else {
            const bool is_power_of_four = (static_cast<std::size_t>(length) & 0x5555555555555555U) != 0;
            return is_power_of_four || length == 2 ? static_cast<int>(std::min<index>(length, 4)) : 8;
        }
    }

    /// exp(-2 pi i j k / length) for all j and for k from 1 on, as cosines and sines.
    void add_turns(const Step& step) {
        for (index j = 0; j < step.length / step.radix; ++j) {
            for (index k = 1; k < step.radix; ++k) {
                const long double angle = -2 * std::numbers::pi_v<long double> * static_cast<long double>(j * k) /
                                          static_cast<long double>(step.length);
                turns_.push_back(static_cast<double>(std::cos(angle)));
                turns_.push_back(static_cast<double>(std::sin(angle)));
            }
        }
    }

    template <bool forward>
    void run(const Step& step, double* numbers) const {
        const double* const turns = turns_.data() + step.turns;
        switch (step.length == step.radix ? -step.radix : step.radix) {
            case 8: return run<8, forward, true>(step.length, turns, numbers);
            case -8: return run<8, forward, false>(step.length, turns, numbers);
            case 4: return run<4, forward, true>(step.length, turns, numbers);
            case -4: return run<4, forward, false>(step.length, turns, numbers);
            default: return run<2, forward, false>(step.length, turns, numbers);
        }
    }

    template <int R, bool forward, bool turns_numbers>
    __attribute__((noinline)) void run(index length, const double* turns, double* numbers) const {
        const index apart = length / R;
        const auto place = [&](index k) { return k * apart * Complex::extent; };
        for (index j = 0; j < apart; ++j, turns += index{2} * (R - 1)) {
            for (index base = j; base < size_; base += length) {
                double* const places = numbers + base * Complex::extent;
                Complex own[R];
                repeat<R>([&](auto k) IMKERNELS_INLINE_LAMBDA {
                    own[k] = Complex::load(places + place(k));
                    own[k] = forward ? own[k] : own[k].exchanged();
                });
                const auto turn = [&] IMKERNELS_INLINE_LAMBDA {
                    repeat<R - 1>([&](auto k) IMKERNELS_INLINE_LAMBDA {
                        own[k + 1] = own[k + 1].times(turns[2 * k], turns[2 * k + 1]);
                    });
                };
                if constexpr (turns_numbers && !forward) {
                    turn();
                }
                transform(own);
                if constexpr (turns_numbers && forward) {
                    turn();
                }
                repeat<R>([&](auto k) IMKERNELS_INLINE_LAMBDA {
                    own[k] = forward ? own[k] : own[k].exchanged();
                    own[k].store(places + place(k));
                });
            }
        }
    }

    index size_;
    std::vector<Step> steps_;
    std::vector<double> turns_;
};

}  // namespace imkernels::detail
