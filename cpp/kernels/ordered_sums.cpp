// Weighted sums as a plain loop of float64 takes them: what SciPy cuts off to integers depends on their last bit.
//
// A tile's padded input lies in a buffer in which every tap of a row of outputs is a contiguous run (see
// rows/tile_loader.hpp). Each lane of a vector adds up the terms of its own output, one after the other: a
// multiplication, an addition and a load or two per term and pixel. The build keeps the compiler from fusing
// additions with multiplications in this file (CMakeLists.txt).
//
// The bits are only needed where a sum is almost whole. So integers of few bits are first summed in float32, twice as
// many at once, and again in float64 where one of a block lies so close to a whole number that the error could matter.
// Of sums along both axes, those down the columns stay in a row of their own, cut off.
#include "kernels/ordered_sums.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <type_traits>

#include "core/check.hpp"
#include "kernels/detail/weights.hpp"
#include "rows/row_writer.hpp"
#include "rows/tile_grid.hpp"
#include "rows/tile_loader.hpp"
#include "simd/lanes.hpp"

namespace imkernels {

namespace {
/// The terms of a sum by where their pixels lie, counted from the first tap of an output.
struct Places {
    /// A weight in both types.
    struct Weight {
        double exact;
        float single;

        template <class Work>
        Work as() const {
            return std::is_same_v<Work, double> ? static_cast<Work>(exact) : static_cast<Work>(single);
        }
    };
    struct Single {
        index pixel;
        Weight weight;
    };
    struct Pair {
        index pixel, partner;
        Weight weight;
    };
    std::vector<Single> singles;
    std::vector<Pair> pairs;
    bool subtracts;

    template <class Offset>
    Places(const OrderedTerms& terms, const Offset& offset) : subtracts(terms.subtracts) {
        for (const OrderedTerm& term : terms.terms) {
            const Weight weight{term.weight, static_cast<float>(term.weight)};
            if (term.partner == OrderedTerm::none) {
                require(pairs.empty(), "ordered_sums: pairs come last");
                singles.push_back({offset(term.tap), weight});
            } else {
                pairs.push_back({offset(term.tap), offset(term.partner), weight});
            }
        }
    }
};

constexpr int vectors = 4;
constexpr index block = vectors * lane_count<float>;  // sums that are taken at once

/// Computes a block of sums, one vector's width of lanes after the other.
template <class Work, bool subtracts, class Pixel>
IMKERNELS_INLINE void sum_block(const Pixel* first, const Places& places, Work* sums) {
    constexpr index lanes = lane_count<Work>;
    for (index x = 0; x < block; x += vectors * lanes) {
        const auto pixels = [&](index place, int v) IMKERNELS_INLINE_LAMBDA {
            return load_widened<Work>(first + place + x + v * lanes);
        };
        Lanes<Work> totals[vectors]{};
        for (const auto& [pixel, weight] : places.singles) {
            for (int v = 0; v < vectors; ++v) {
                totals[v] += weight.template as<Work>() * pixels(pixel, v);
            }
        }
        for (const auto& [pixel, partner, weight] : places.pairs) {
            for (int v = 0; v < vectors; ++v) {
                const Lanes<Work> one = pixels(pixel, v);
                const Lanes<Work> other = pixels(partner, v);
                totals[v] += weight.template as<Work>() * (subtracts ? one - other : one + other);
            }
        }
        for (int v = 0; v < vectors; ++v) {
            store_lanes(sums + x + v * lanes, totals[v]);
        }
    }
}

/// Whether one of a block of sums lies less than `slack` from a whole number.
bool almost_whole(const float* sums, float slack) {
    constexpr float integers_only = 0x1.8p23F;  // added to a number, it leaves that without a fraction
    unsigned found = 0;
    for (index i = 0; i < block; ++i) {
        const float whole = sums[i] + integers_only - integers_only;
        found |= static_cast<unsigned>(std::abs(sums[i] - whole) < slack);
    }
    return found != 0;
}

/// Stores what comes before the point.
template <class Work, class To>
void cut_off(const Work* sums, To* target) {
    for (index i = 0; i < block; ++i) {
        target[i] = static_cast<To>(static_cast<std::int32_t>(sums[i]));
    }
}

/// Computes `count` sums and some behind them, cut off if they are not doubles. `slack` bounds the error of sums in
/// float32; 0 if they are not worth a try.
template <bool subtracts, class Pixel, class To>
void sum_row(const Pixel* first, index count, const Places& places, float slack, To* sums) {
    for (index x = 0; x < count; x += block) {
        if constexpr (std::is_same_v<To, double>) {
            sum_block<double, subtracts>(first + x, places, sums + x);
        } else {
            if (slack > 0) {
                float singles[block];
                sum_block<float, subtracts>(first + x, places, singles);
                if (!almost_whole(singles, slack)) {
                    cut_off(singles, sums + x);
                    continue;
                }
            }
            double doubles[block];
            sum_block<double, subtracts>(first + x, places, doubles);
            cut_off(doubles, sums + x);
        }
    }
}

template <class Pixel, class To>
void sum_row(const Pixel* first, index count, const Places& places, float slack, To* sums) {
    if (places.subtracts) {
        sum_row<true>(first, count, places, slack, sums);
    } else {
        sum_row<false>(first, count, places, slack, sums);
    }
}

double read_double(const std::byte* element) {
    double value;
    std::memcpy(&value, element, sizeof(value));
    return value;
}

double magnitude(const OrderedTerms& terms) {
    return std::accumulate(
        terms.terms.begin(), terms.terms.end(), 0.0, [](double sum, const OrderedTerm& term) {
            return sum + std::abs(term.weight) * (term.partner == OrderedTerm::none ? 1 : 2);
        });
}

/// A bound of the error of sums in float32 of pixels up to `bound`; 0 where most blocks had to be taken again.
float slack_of(const OrderedTerms& terms, double bound) {
    const double slack = static_cast<double>(terms.terms.size() + 4) * 0x1p-24 * magnitude(terms) * bound;
    return slack < 0x1p-9 ? static_cast<float>(slack) : 0;
}

/// Pixels are floats and results int32, which hold all of both, or they are doubles.
template <class Pixel, class Result>
class OrderedSums {
public:
    /// `bound`: of the magnitude of pixels, where sums in float32 may do.
    OrderedSums(const ConstStack& image, const MutableStack& out, const Window2D& window, const OrderedTerms& terms,
                const OrderedTerms& across, const std::byte* fill, double bound)
        : image_(image),
          out_(out),
          twice_(!across.terms.empty()),
          reach_(window.columns.reach()),
          cost_(0.4 + 0.5 * static_cast<double>(terms.terms.size() + across.terms.size()) /
                          static_cast<double>(lane_count<double>)),
          shape_(choose_tile(out.first.rows, out.first.columns, window, sizeof(Pixel), cost_)),
          loader_(window, shape_.rows, shape_.columns, ColumnLayout::phases, row_reader<AsNumber, Pixel>(image.element),
                  {static_cast<Pixel>(read_double(fill)), false}, 1, aligned_pitch(window, shape_)),
          write_(row_writer<FromNumber, Result>(out.element)),
          places_(terms, [&](index tap) { return place_of(tap, twice_ ? 1 : window.columns.size); }),
          places_across_(across, [](index tap) { return tap; }),
          slack_(slack_of(terms, bound)),
          slack_across_(slack_of(across, bound * std::max(1.0, magnitude(terms)))) {
        require(write_ != nullptr, "ordered_sums: no loop for this element type of the result");
    }

    void run(int workers) const {
        const std::size_t bytes = Scratch::bytes<Pixel>(loader_.size()) + Scratch::bytes<Pixel>(line_size()) +
                                  Scratch::bytes<Result>(shape_.columns + row_slack);
        const TileGrid grid(out_.planes(), out_.first.rows, out_.first.columns, shape_, cost_, image_.interleaved());
        grid.for_each(bytes, workers, [&](const Tile& tile, Scratch scratch) { sum(tile, scratch); });
    }

private:
    static_assert(block <= row_slack);

    /// Rows of the buffer that begin where a vector may: loads down the columns then lie in one cache line each.
    static index aligned_pitch(const Window2D& window, TileShape shape) {
        return window.columns.stride == 1
                   ? round_up(window.columns.cover(shape.columns) + row_slack, lane_count<Pixel>)
                   : 0;
    }

    index place_of(index tap, index width) const { return loader_.tap(tap / width, tap % width); }

    index line_size() const { return twice_ ? shape_.columns + reach_ - 1 + row_slack : 0; }

    void sum(const Tile& tile, Scratch scratch) const {
        Pixel* const pixels = scratch.take<Pixel>(loader_.size());
        Pixel* const line = scratch.take<Pixel>(line_size());
        Result* const sums = scratch.take<Result>(shape_.columns + row_slack);
        loader_.load(image_.plane(tile.plane), tile.row, tile.column, tile.rows, tile.columns, pixels);
        const MutablePlane target = out_.plane(tile.plane);
        for (index y = 0; y < tile.rows; ++y) {
            const Pixel* first = pixels + y * loader_.output_pitch();
            if (twice_) {
                sum_row(first, tile.columns + reach_ - 1, places_, slack_, line);
                sum_row(line, tile.columns, places_across_, slack_across_, sums);
            } else {
                sum_row(first, tile.columns, places_, slack_, sums);
            }
            write(sums, tile.columns, target.at(tile.row + y, tile.column), target.column_stride);
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
    float slack_, slack_across_;
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
    const double bound = std::max(detail::largest_magnitude(image.element.dtype), std::abs(read_double(fill)));
    const double largest = bound * std::max(1.0, magnitude(terms)) * (twice ? std::max(1.0, magnitude(across)) : 1.0);
    const bool whole = largest < 0x1p31 && out.element.dtype < Dtype::float16;
    require(!twice || (whole && window.rows.step() == 1 && window.columns.step() == 1 && window.columns.dilation == 1 &&
                       window.rows.stride == 1 && window.columns.stride == 1),
            "ordered_sums: sums along both axes are of few bits, at every pixel");
    if (whole) {
        OrderedSums<float, std::int32_t>(image, out, window, terms, across, fill, bound).run(workers);
    } else {
        OrderedSums<double, double>(image, out, window, terms, across, fill, bound).run(workers);
    }
}

}  // namespace imkernels
