// Weighted sums as a plain loop of float64 takes them: what SciPy cuts off to integers depends on their last bit.
//
// A tile's padded input lies in a buffer in which every tap of a row of outputs is a contiguous run (see
// rows/tile_loader.hpp). Each lane of a vector adds up the terms of its own output, one after the other: a
// multiplication, an addition and a load or two per term and pixel.
//
// The bits are only needed where a sum is almost whole. So integers of few bits are first summed as the package's own
// correlation sums them (detail/sum_tile.hpp), in float32 if its error is small, and again in order where one of a
// block lies so close to a whole number that the error could matter. Of sums along both axes, those down the columns
// stay in a row of their own, cut off.
#include "kernels/ordered_sums.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <type_traits>

#include "core/check.hpp"
#include "kernels/detail/sum_tile.hpp"
#include "kernels/detail/weights.hpp"
#include "rows/row_writer.hpp"
#include "rows/tile_grid.hpp"
#include "rows/tile_loader.hpp"
#include "simd/lanes.hpp"
#include "simd/rounded.hpp"

namespace imkernels {

namespace {
/// The terms of a sum by where their pixels lie, counted from the first tap of an output.
struct Places {
    struct Single {
        index pixel;
        double weight;
    };
    struct Pair {
        index pixel, partner;
        double weight;
    };
    std::vector<Single> singles;
    std::vector<Pair> pairs;
    bool subtracts;

    template <class Offset>
    Places(const OrderedTerms& terms, const Offset& offset) : subtracts(terms.subtracts) {
        for (const OrderedTerm& term : terms.terms) {
            if (term.partner == OrderedTerm::none) {
                require(pairs.empty(), "ordered_sums: pairs come last");
                singles.push_back({offset(term.tap), term.weight});
            } else {
                pairs.push_back({offset(term.tap), offset(term.partner), term.weight});
            }
        }
    }
};

constexpr int vectors = 4;
constexpr index block = vectors * lane_count<float>;  // sums that are finished together

/// Computes a block of sums in the order of their terms.
template <bool subtracts, class Pixel>
void sum_in_order(const Pixel* first, const Places& places, double* sums) {
    constexpr index lanes = lane_count<double>;
    for (index x = 0; x < block; x += vectors * lanes) {
        const auto pixels = [&](index place, int v)
                                IMKERNELS_INLINE_LAMBDA { return load_widened<double>(first + place + x + v * lanes); };
        Lanes<double> totals[vectors]{};
        for (const auto& [pixel, weight] : places.singles) {
            for (int v = 0; v < vectors; ++v) {
                totals[v] += rounded(weight * pixels(pixel, v));
            }
        }
        for (const auto& [pixel, partner, weight] : places.pairs) {
            for (int v = 0; v < vectors; ++v) {
                const Lanes<double> one = pixels(pixel, v);
                const Lanes<double> other = pixels(partner, v);
                totals[v] += rounded(weight * (subtracts ? one - other : one + other));
            }
        }
        for (int v = 0; v < vectors; ++v) {
            store_lanes(sums + x + v * lanes, totals[v]);
        }
    }
}

template <class Pixel>
void sum_in_order(const Pixel* first, const Places& places, double* sums) {
    places.subtracts ? sum_in_order<true>(first, places, sums) : sum_in_order<false>(first, places, sums);
}

/// Stores what comes before the point of `count` sums; true if one lies less than `slack` from a whole number.
template <class Work, class To>
IMKERNELS_INLINE bool cut_off(const Work* __restrict sums, index count, Work slack, To* __restrict target) {
    // Added to a number, it leaves that without a fraction.
    constexpr Work integers_only = static_cast<Work>(std::is_same_v<Work, float> ? 0x1.8p23 : 0x1.8p52);
    unsigned found = 0;
    for (index i = 0; i < count; ++i) {
        const Work whole = sums[i] + integers_only - integers_only;
        found |= static_cast<unsigned>(std::abs(sums[i] - whole) < slack);
        target[i] = static_cast<To>(static_cast<std::int32_t>(sums[i]));
    }
    return found != 0;
}

double magnitude(const OrderedTerms& terms) {
    return std::accumulate(terms.terms.begin(), terms.terms.end(), 0.0, [](double sum, const OrderedTerm& term) {
        return sum + std::abs(term.weight) * (term.partner == OrderedTerm::none ? 1 : 2);
    });
}

/// Whether all sums of pixels up to `bound` are exact in `Work`: of weights with few digits.
template <class Work>
bool is_exact(const OrderedTerms& terms, double bound) {
    constexpr int digits = std::numeric_limits<Work>::digits;
    const double most = magnitude(terms) * bound;
    int places = 0;  // behind the point
    const auto is_whole = [&](const OrderedTerm& term) {
        const double shifted = std::ldexp(term.weight, places);
        return shifted == std::trunc(shifted);
    };
    while (places < digits && !std::all_of(terms.terms.begin(), terms.terms.end(), is_whole)) {
        ++places;
    }
    return std::ldexp(most, places) <= std::ldexp(1.0, digits);
}

/// A bound of the error of sums in `Work`, of pixels up to `bound`.
template <class Work>
double slack_of(const OrderedTerms& terms, double bound) {
    if (is_exact<Work>(terms, bound)) {
        return 0;
    }
    double roundings = 2;
    for (const OrderedTerm& term : terms.terms) {
        roundings += term.partner == OrderedTerm::none ? 1 : 2;
    }
    return roundings * static_cast<double>(std::numeric_limits<Work>::epsilon()) / 2 * magnitude(terms) * bound;
}

/// Whether there are several weights and all are the same: many sums are then almost whole.
bool are_equal(const OrderedTerms& terms) {
    const auto& all = terms.terms;
    return all.size() > 1 && std::ranges::all_of(all, [&](const OrderedTerm& term) {
               return std::abs(term.weight) == std::abs(all.front().weight);
           });
}

/// Sums in the order of taps, many rows at once: they tell which of integers are not almost whole.
template <class Work>
class Estimate {
public:
    /// Pixels have magnitudes of at most `bound`; a row of taps lies `pitch` behind the one before.
    template <class Offset>
    Estimate(const OrderedTerms& terms, double bound, index rows, index columns, index pitch, const Offset& offset)
        : slack_(static_cast<Work>(slack_of<Work>(terms, bound))),
          weights_(static_cast<std::size_t>(rows * columns)),
          taps_{rows, columns, pitch, nullptr},
          at_once_(std::clamp<index>(rows, 1, most_rows)),
          useful_(slack_ == 0 || !are_equal(terms)) {
        for (const OrderedTerm& term : terms.terms) {
            const auto weight = static_cast<Work>(term.weight);
            weights_[static_cast<std::size_t>(term.tap)] = weight;
            if (term.partner != OrderedTerm::none) {
                weights_[static_cast<std::size_t>(term.partner)] = terms.subtracts ? -weight : weight;
            }
        }
        for (index column = 0; column < columns; ++column) {
            offsets_.push_back(offset(column));
        }
    }

    /// Makes integers of `count` estimates; false if they do not tell which.
    template <class To>
    IMKERNELS_INLINE bool cut_off(const Work* sums, index count, To* target) const {
        return useful_ && (count == block ? !imkernels::cut_off(sums, block, slack_, target)
                                          : !imkernels::cut_off(sums, count, slack_, target));
    }
    /// Rows of outputs that are computed together.
    index at_once() const { return at_once_; }

    /// Computes `rows` rows of sums, up to a whole block, of which each begins `pitch` behind the one before.
    void operator()(const Work* first, index rows, index count, Work* sums, index pitch) const {
        switch (useful_ ? rows : 0) {
            case 0: return;
            case 1: return sum<1>(first, count, sums, pitch);
            case 2: return sum<2>(first, count, sums, pitch);
            case 3: return sum<3>(first, count, sums, pitch);
            default: return sum<most_rows>(first, count, sums, pitch);
        }
    }

private:
    static constexpr int most_rows = 4;

    template <int rows>
    void sum(const Work* first, index count, Work* sums, index pitch) const {
        constexpr int wide = rows > 1 && vector_bytes < 64 ? 2 : vectors;
        const detail::Taps taps{taps_.rows, taps_.columns, taps_.pitch, offsets_.data()};
        const Work* const weights = weights_.data();
        detail::sum_rows<Work, Work, rows, wide>(
            round_up(count, block), detail::ResultRows<Work, Work>{sums, pitch, false, false},
            [&](index x, auto& tile) IMKERNELS_INLINE_LAMBDA { detail::add_taps(first + x, taps, weights, tile); });
    }

    Work slack_;
    std::vector<Work> weights_;
    detail::Taps taps_;
    index at_once_;
    bool useful_;
    std::vector<index> offsets_;
};

/// Sums are computed in `Pixel`s, which hold the image's. Results are int32, which holds all sums, or double.
template <class Pixel, class Result>
class OrderedSums {
public:
    /// Pixels have magnitudes of at most `bound`, the sums down the columns of at most `bound_across`.
    OrderedSums(const ConstStack& image, const MutableStack& out, const Window2D& window, const OrderedTerms& terms,
                const OrderedTerms& across, const std::byte* fill, double bound, double bound_across)
        : image_(image),
          out_(out),
          twice_(!across.terms.empty()),
          reach_(window.columns.reach()),
          cost_(0.4 + 0.5 * static_cast<double>(terms.terms.size() + across.terms.size()) /
                          static_cast<double>(lane_count<double>)),
          shape_(choose_tile(out.first.rows, out.first.columns, window, sizeof(Pixel), cost_)),
          loader_(window, shape_.rows, shape_.columns, ColumnLayout::phases, row_reader<AsNumber, Pixel>(image.element),
                  {static_cast<Pixel>(detail::read_weight<double, double>(fill)), false}, 1,
                  aligned_pitch(window, shape_)),
          write_(row_writer<FromNumber, Result>(out.element)),
          places_(terms, [&](index tap) { return place_of(tap, twice_ ? 1 : window.columns.size); }),
          places_across_(across, [](index tap) { return tap; }),
          estimate_(terms, bound, window.rows.size, twice_ ? 1 : window.columns.size,
                    window.rows.dilation * loader_.pitch(), [&](index column) { return loader_.tap(0, column); }),
          estimate_across_(across, bound_across, 1, twice_ ? window.columns.size : 0, 0,
                           [](index column) { return column; }),
          at_once_(window.rows.stride == 1 && window.rows.dilation == 1 ? estimate_.at_once() : 1),
          pitch_(round_up(shape_.columns + reach_ + row_slack, lane_count<float>)) {
        require(write_ != nullptr, "ordered_sums: no loop for this element type of the result");
    }

    void run(int workers) const {
        const std::size_t bytes = Scratch::bytes<Pixel>(loader_.size()) + Scratch::bytes<Pixel>(at_once_ * pitch_) +
                                  Scratch::bytes<Pixel>(pitch_) + Scratch::bytes<Result>(pitch_);
        const TileGrid grid(out_.planes(), out_.first.rows, out_.first.columns, shape_, cost_, image_.interleaved());
        grid.for_each(bytes, workers, [&](const Tile& tile, Scratch scratch) { sum(tile, scratch); });
    }

private:
    static constexpr bool whole = std::is_same_v<Result, std::int32_t>;
    static_assert(block <= row_slack);

    /// Rows of the buffer that begin where a vector may: loads down the columns then lie in one cache line each.
    static index aligned_pitch(const Window2D& window, TileShape shape) {
        return window.columns.stride == 1 ? round_up(window.columns.cover(shape.columns) + row_slack, lane_count<Pixel>)
                                          : 0;
    }

    index place_of(index tap, index width) const { return loader_.tap(tap / width, tap % width); }

    void sum(const Tile& tile, Scratch scratch) const {
        Pixel* const pixels = scratch.take<Pixel>(loader_.size());
        Pixel* const estimates = scratch.take<Pixel>(at_once_ * pitch_);
        Pixel* const line = scratch.take<Pixel>(pitch_);
        Result* const sums = scratch.take<Result>(pitch_);
        loader_.load(image_.plane(tile.plane), tile.row, tile.column, tile.rows, tile.columns, pixels);
        const MutablePlane target = out_.plane(tile.plane);
        const index count = twice_ ? tile.columns + reach_ - 1 : tile.columns;
        for (index y = 0; y < tile.rows;) {
            const index rows = std::min(at_once_, tile.rows - y);
            if constexpr (whole) {
                estimate_(pixels + y * loader_.output_pitch(), rows, count, estimates, pitch_);
            }
            for (index i = 0; i < rows; ++i, ++y) {
                const Pixel* const first = pixels + y * loader_.output_pitch();
                Pixel* const own = estimates + i * pitch_;
                if (twice_) {
                    finish(first, places_, own, estimate_, count, line);
                    if constexpr (whole) {
                        estimate_across_(line, 1, tile.columns, own, pitch_);
                    }
                    finish(line, places_across_, own, estimate_across_, tile.columns, sums);
                } else {
                    finish(first, places_, own, estimate_, count, sums);
                }
                write(sums, tile.columns, target.at(tile.row + y, tile.column), target.column_stride);
            }
        }
    }

    /// Makes a row of sums of estimates, or of the terms where those do not tell.
    template <class To>
    static void finish(const Pixel* first, const Places& places, const Pixel* estimates,
                       const Estimate<Pixel>& estimate, index count, To* sums) {
        for (index x = 0; x < count; x += block) {
            const index here = std::min(block, count - x);
            double doubles[block];
            if constexpr (!whole) {
                sum_in_order(first + x, places, doubles);
                std::copy_n(doubles, here, sums + x);
            } else if (!estimate.cut_off(estimates + x, here, sums + x)) {
                sum_in_order(first + x, places, doubles);
                cut_off(doubles, here, 0.0, sums + x);
            }
        }
    }

    void write(Result* sums, index count, std::byte* target, index stride) const {
        if constexpr (std::is_same_v<Result, double>) {
            for (index x = 0; out_.element.dtype < Dtype::float16 && x < count; ++x) {
                sums[x] = std::trunc(sums[x]);
            }
        }
        write_(sums, count, target, stride);
    }

    const ConstStack& image_;
    const MutableStack& out_;
    bool twice_;
    index reach_;  // of the window, along the rows
    double cost_;
    TileShape shape_;
    TileLoader<Pixel> loader_;
    WriteRun<Result> write_;
    Places places_, places_across_;
    Estimate<Pixel> estimate_, estimate_across_;
    index at_once_;  // rows
    index pitch_;    // of rows of sums
};

void require_taps(const OrderedTerms& terms, index taps) {
    for (const OrderedTerm& term : terms.terms) {
        require(term.tap >= 0 && term.tap < taps && term.partner >= OrderedTerm::none && term.partner < taps,
                "ordered_sums: terms have taps of the window");
    }
}
}  // namespace

void ordered_sums(const ConstStack& image, const MutableStack& out, const Window2D& window, const OrderedTerms& terms,
                  const OrderedTerms& across, const std::byte* fill, int workers) {
    const bool twice = !across.terms.empty();
    require_taps(terms, twice ? window.rows.size : window.taps());
    require_taps(across, window.columns.size);
    const double bound =
        std::max(detail::largest_magnitude(image.element.dtype), std::abs(detail::read_weight<double, double>(fill)));
    const double bound_across = bound * std::max(1.0, magnitude(terms));
    const double largest = bound_across * std::max(1.0, magnitude(across));
    const bool whole = largest < 0x1p31 && out.element.dtype < Dtype::float16;
    require(!twice || (whole && window.rows.stride == 1 && window.rows.dilation == 1 && window.columns.stride == 1 &&
                       window.columns.dilation == 1),
            "ordered_sums: sums along both axes are of few bits, at every pixel");
    constexpr double rare = 0x1p-9;  // most blocks have no sum that lies so close to a whole number
    const double slack = std::max(slack_of<float>(terms, bound), slack_of<float>(across, bound_across));
    const auto run = [&]<class Pixel, class Result> {
        OrderedSums<Pixel, Result>(image, out, window, terms, across, fill, bound, bound_across).run(workers);
    };
    const bool few = slack == 0 || (slack < rare && !are_equal(terms) && !are_equal(across));
    if (whole && few) {
        run.template operator()<float, std::int32_t>();
    } else if (whole) {
        run.template operator()<double, std::int32_t>();
    } else {
        run.template operator()<double, double>();
    }
}

}  // namespace imkernels
