// Weighted sums as a plain loop of float64 takes them: what SciPy cuts off to integers depends on their last bit.
//
// A tile's padded input lies in a buffer of float64 in which every tap of a row of outputs is a contiguous run (see
// rows/tile_loader.hpp). Each lane of a vector adds up the terms of its own output, one after the other; a
// multiplication and an addition per term and pixel, and as many loads. Vectors of outputs are computed together, so
// that additions need not wait for each other. The build keeps the compiler from fusing them with multiplications in
// this file (CMakeLists.txt).
//
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
/// Where a term finds its pixels, counted from the first tap of an output.
struct Place {
    index pixel, partner;
    double weight;
    bool paired;
};

constexpr index lanes = lane_count<double>;
constexpr int vectors = 4;
constexpr index together = vectors * lanes;

typedef std::int32_t Whole __attribute__((vector_size(lanes * 4)));

/// Stores sums as doubles, or cut off after the point: as integers, or as the doubles that those are.
template <bool cuts_off, class To>
IMKERNELS_INLINE void store_sums(Lanes<double> sums, To* target) {
    if constexpr (!cuts_off) {
        store_lanes(target, sums);
    } else {
        const Whole whole = __builtin_convertvector(sums, Whole);
        if constexpr (std::is_same_v<To, double>) {
            store_lanes(target, __builtin_convertvector(whole, Lanes<double>));
        } else {
            std::memcpy(target, &whole, sizeof(whole));
        }
    }
}

/// Computes `count` sums, and up to `together` more behind them.
template <bool cuts_off, bool subtracts, class To>
void sum_row(const double* first, index count, const std::vector<Place>& places, To* sums) {
    for (index x = 0; x < count; x += together) {
        Lanes<double> totals[vectors]{};
        for (const Place& place : places) {
            const double* const pixels = first + x + place.pixel;
            const double* const partners = first + x + place.partner;
            for (int v = 0; v < vectors; ++v) {
                Lanes<double> factor = load_lanes(pixels + v * lanes);
                if (place.paired) {
                    const Lanes<double> other = load_lanes(partners + v * lanes);
                    factor = subtracts ? factor - other : factor + other;
                }
                totals[v] += place.weight * factor;
            }
        }
        for (int v = 0; v < vectors; ++v) {
            store_sums<cuts_off>(totals[v], sums + x + v * lanes);
        }
    }
}

template <bool cuts_off, class To>
void sum_row(const double* first, index count, const std::vector<Place>& places, bool subtracts, To* sums) {
    if (subtracts) {
        sum_row<cuts_off, true>(first, count, places, sums);
    } else {
        sum_row<cuts_off, false>(first, count, places, sums);
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

/// `Result` is int32, which holds all sums, or double.
template <class Result>
class OrderedSums {
public:
    OrderedSums(const ConstStack& image, const MutableStack& out, const Window2D& window, const OrderedTerms& terms,
                const OrderedTerms& across, const std::byte* fill)
        : image_(image),
          out_(out),
          subtracts_(terms.subtracts),
          subtracts_across_(across.subtracts),
          twice_(!across.terms.empty()),
          reach_(window.columns.reach()),
          cost_(0.4 + 0.5 * static_cast<double>(terms.terms.size() + across.terms.size()) / static_cast<double>(lanes)),
          shape_(choose_tile(out.first.rows, out.first.columns, window, sizeof(double), cost_)),
          loader_(window, shape_.rows, shape_.columns, ColumnLayout::phases, row_reader<AsNumber, double>(image.element),
                  {read_double(fill), false}),
          write_(row_writer<FromNumber, Result>(out.element)) {
        require(write_ != nullptr, "ordered_sums: no loop for this element type of the result");
        for (const OrderedTerm& term : terms.terms) {
            const index width = twice_ ? 1 : window.columns.size;
            const auto offset = [&](index tap) { return loader_.tap(tap / width, tap % width); };
            places_.push_back(place_of(term, offset));
        }
        for (const OrderedTerm& term : across.terms) {
            places_across_.push_back(place_of(term, [](index tap) { return tap; }));
        }
    }

    void run(int workers) const {
        const std::size_t bytes = Scratch::bytes<double>(loader_.size()) + Scratch::bytes<double>(line_size()) +
                                  Scratch::bytes<Result>(shape_.columns + row_slack);
        const TileGrid grid(out_.planes(), out_.first.rows, out_.first.columns, shape_, cost_, image_.interleaved());
        grid.for_each(bytes, workers, [&](const Tile& tile, Scratch scratch) { sum(tile, scratch); });
    }

private:
    static constexpr bool whole = std::is_same_v<Result, std::int32_t>;
    static_assert(together <= row_slack);

    template <class Offset>
    static Place place_of(const OrderedTerm& term, const Offset& offset) {
        const bool paired = term.partner != OrderedTerm::none;
        return {offset(term.tap), paired ? offset(term.partner) : 0, term.weight, paired};
    }

    index line_size() const { return twice_ ? shape_.columns + reach_ - 1 + row_slack : 0; }

    void sum(const Tile& tile, Scratch scratch) const {
        double* const pixels = scratch.take<double>(loader_.size());
        double* const line = scratch.take<double>(line_size());
        Result* const sums = scratch.take<Result>(shape_.columns + row_slack);
        loader_.load(image_.plane(tile.plane), tile.row, tile.column, tile.rows, tile.columns, pixels);
        const MutablePlane target = out_.plane(tile.plane);
        for (index y = 0; y < tile.rows; ++y) {
            const double* first = pixels + y * loader_.output_pitch();
            if (twice_) {
                sum_row<whole>(first, tile.columns + reach_ - 1, places_, subtracts_, line);
                sum_row<whole>(line, tile.columns, places_across_, subtracts_across_, sums);
            } else {
                sum_row<whole>(first, tile.columns, places_, subtracts_, sums);
            }
            write(sums, tile.columns, target.at(tile.row + y, tile.column), target.column_stride);
        }
    }

    void write(Result* sums, index count, std::byte* target, index stride) const {
        if constexpr (!whole) {
            for (index x = 0; out_.element.dtype < Dtype::float16 && x < count; ++x) {
                sums[x] = std::trunc(sums[x]);
            }
        }
        write_(sums, count, target, stride);
    }

    const ConstStack& image_;
    const MutableStack& out_;
    bool subtracts_, subtracts_across_;
    bool twice_;
    index reach_;  // of the window, along the rows
    double cost_;
    TileShape shape_;
    TileLoader<double> loader_;
    WriteRun<Result> write_;
    std::vector<Place> places_, places_across_;
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
        OrderedSums<std::int32_t>(image, out, window, terms, across, fill).run(workers);
    } else {
        OrderedSums<double>(image, out, window, terms, across, fill).run(workers);
    }
}

}  // namespace imkernels
