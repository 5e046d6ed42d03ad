// Order filters of any type and any footprint by a sliding set of ranks: O(K) per pixel.
//
// The pixels of a tile are sorted once, and each is given its place in that order. A window is then a set of places,
// kept as bits; moving it by a pixel changes the bits of its two edges. The place of the result is the bit before which
// a given number of others are set: it is looked for from where the last one was, in words of 64 places (Suomela,
// "Median filtering is equivalent to sorting", arXiv 1406.1717, 2014, sorts in the same way). What is sorted are
// order-preserving keys (core/order_key.hpp) with their places, so that the result is exact for every type.
//
// Windows go to and fro, right along one row of outputs and left along the next, so that they never have to be filled
// anew.
//
// NaNs are the largest key: they have the last places, and a window counts those of its pixels that lie before.
#include "kernels/sliding_filter.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <utility>
#include <vector>

#include "core/check.hpp"
#include "core/order_key.hpp"
#include "rows/row_writer.hpp"
#include "rows/tile_grid.hpp"
#include "rows/tile_loader.hpp"

namespace imkernels {

namespace {
using Place = std::uint16_t;
using Word = std::uint64_t;
constexpr index word_bits = 64;
constexpr index most_pixels = index{1} << 16;  // that a place can number

/// A key and the pixel that it belongs to.
template <class Key>
struct Entry {
    std::make_unsigned_t<Key> bits;
    Place pixel;
};

template <class Key>
std::make_unsigned_t<Key> sortable(Key key) {
    using Bits = std::make_unsigned_t<Key>;
    const Bits sign = std::is_signed_v<Key> ? Bits{1} << (8 * sizeof(Key) - 1) : Bits{0};
    return static_cast<Bits>(static_cast<Bits>(key) ^ sign);
}

/// Sorts entries by their bits, byte by byte from the lowest; returns where they are: `entries` or `spare`.
template <class Key>
Entry<Key>* sort_entries(Entry<Key>* entries, Entry<Key>* spare, index count) {
    constexpr std::size_t digits = sizeof(Key);
    std::array<std::array<std::uint32_t, 256>, digits> counts{};
    for (index i = 0; i < count; ++i) {
        for (std::size_t digit = 0; digit < digits; ++digit) {
            ++counts[digit][entries[i].bits >> (8 * digit) & 255];
        }
    }
    for (std::size_t digit = 0; digit < digits; ++digit) {
        std::array<std::uint32_t, 256>& places = counts[digit];
        if (places[entries[0].bits >> (8 * digit) & 255] == static_cast<std::uint32_t>(count)) {
            continue;  // the same everywhere
        }
        std::uint32_t next = 0;
        for (std::uint32_t& place : places) {
            next += std::exchange(place, next);
        }
        for (index i = 0; i < count; ++i) {
            spare[places[entries[i].bits >> (8 * digit) & 255]++] = entries[i];
        }
        std::swap(entries, spare);
    }
    return entries;
}

/// The position of bit number `number` among those that are set.
int select_bit(Word word, int number) {
    int position = 0;
    for (int width = 32; width > 0; width /= 2) {
        const int below = std::popcount(word & ((Word{1} << width) - 1));
        const bool above = number >= below;
        number -= above ? below : 0;
        position += above ? width : 0;
        word >>= above ? width : 0;
    }
    return position;
}

/// The places of a window's pixels.
class PlaceSet {
public:
    PlaceSet(Word* words, index places) : words_(words) { std::fill_n(words, ceil_div(places, word_bits), Word{0}); }

    void insert(const Place* places, index count) {
        flip(places, count);
        below_ += count_below(places, count, first_);
    }
    void remove(const Place* places, index count) {
        flip(places, count);
        below_ -= count_below(places, count, first_);
    }

    /// The place before which `number` places of the set lie.
    index find(index number) {
        while (below_ > number) {
            first_ -= word_bits;
            below_ -= std::popcount(words_[first_ / word_bits]);
        }
        for (index here; below_ + (here = std::popcount(words_[first_ / word_bits])) <= number;) {
            below_ += here;
            first_ += word_bits;
        }
        return first_ + select_bit(words_[first_ / word_bits], static_cast<int>(number - below_));
    }

    static index count_below(const Place* places, index count, index limit) {
        if (limit >= most_pixels) {
            return count;
        }
        const auto end = static_cast<Place>(limit);
        Place below = 0;
        for (index i = 0; i < count; ++i) {
            below = static_cast<Place>(below + (places[i] < end ? 1 : 0));
        }
        return below;
    }

private:
    void flip(const Place* places, index count) {
        for (index i = 0; i < count; ++i) {
            words_[places[i] / word_bits] ^= Word{1} << places[i] % word_bits;
        }
    }

    Word* words_;
    index first_ = 0;  // place of the word that the last search ended in
    index below_ = 0;  // members before it
};

template <class Key>
class SlidingFilter {
public:
    SlidingFilter(const ConstStack& image, const MutableStack& out, const Window2D& window, const Footprint& footprint,
                  OrderRule rule, NanPolicy nan, const std::byte* fill)
        : image_(image),
          out_(out),
          window_(window),
          values_(footprint.pixels(window)),
          rule_(rule),
          nan_(nan),
          shape_(choose_shape(out.first.rows, out.first.columns, window)),
          height_(window.rows.cover(shape_.rows)),
          width_(window.columns.cover(shape_.columns)),
          loader_(window, 1, shape_.columns, ColumnLayout::dense, row_reader<AsOrderKey, Key>(image.element),
                  read_fill<AsOrderKey, Key>(image.element.dtype, fill)),
          write_(row_writer<FromOrderKey, Key>(out.element)) {
        plan(footprint);
    }

    void run(int workers) const {
        const index pixels = height_ * width_;
        const std::size_t bytes = 2 * Scratch::bytes<Entry<Key>>(pixels) + Scratch::bytes<Place>(pixels) +
                                  Scratch::bytes<Word>(pixels / word_bits + 1) + Scratch::bytes<Key>(loader_.pitch()) +
                                  Scratch::bytes<Key>(shape_.columns);
        // Nanoseconds on one core (Zen 5).
        const double sorting = (3.0 + 2.0 * sizeof(Key)) * static_cast<double>(pixels);
        const double moving = 15 + 0.4 * static_cast<double>(right_.pixels);
        const double cost = sorting / static_cast<double>(shape_.rows * shape_.columns) + moving;
        const TileGrid grid(out_.planes(), out_.first.rows, out_.first.columns, shape_, cost, image_.interleaved());
        grid.for_each(bytes, workers, [&](const Tile& tile, Scratch scratch) { filter(tile, scratch); });
    }

private:
    /// Pixels one below the other: the first one's distance from that of the window's corner, and how many.
    struct Stretch {
        index first, count;
    };

    /// What enters a window and what leaves it as it moves to where it is.
    struct Move {
        std::vector<Stretch> enters, leaves;
        index pixels = 0;
    };

    /// About as large again as the window on each side, as far as places can number its pixels.
    static TileShape choose_shape(index rows, index columns, const Window2D& window) {
        const auto beside = [](const WindowAxis& axis) { return std::max<index>(48, 2 * axis.size) / axis.step() + 1; };
        TileShape shape{std::clamp<index>(rows, 1, beside(window.rows)),
                        std::clamp<index>(columns, 1, beside(window.columns))};
        constexpr index most = std::min(most_pixels, (index{1} << 20) / static_cast<index>(2 * sizeof(Entry<Key>)));
        while (window.rows.cover(shape.rows) * window.columns.cover(shape.columns) > most) {
            index& side =
                shape.rows * window.columns.size > shape.columns * window.rows.size ? shape.rows : shape.columns;
            index& other = &side == &shape.rows ? shape.columns : shape.rows;
            (side > 1 ? side : other) -= (side > 1 ? side : other) / 8 + 1;
        }
        return shape;
    }

    void plan(const Footprint& footprint) {
        const index rows = window_.rows.size;
        const index columns = window_.columns.size;
        std::vector<bool> member(static_cast<std::size_t>(rows * columns), footprint.taps.empty());
        for (const Footprint::Tap& tap : footprint.taps) {
            member[static_cast<std::size_t>(tap.row * columns + tap.column)] = true;
        }
        const auto contains = [&](index row, index column) {
            return row >= 0 && row < rows && column >= 0 && column < columns &&
                   member[static_cast<std::size_t>(row * columns + column)];
        };
        // The pixels of the window at (row, column) without those of the one at (other_row, other_column), seen from
        // the window at (seen_row, seen_column); each is a pair of distances from the first pixel of the window.
        const auto without = [&](index down, index right, index seen_down, index seen_right) {
            std::vector<Stretch> stretches;
            for (index column = 0; column < columns; ++column) {
                for (index row = 0; row < rows; ++row) {
                    if (contains(row, column) && !contains(row - down, column - right)) {
                        const index place = (column - seen_right) * height_ + row - seen_down;
                        if (!stretches.empty() && stretches.back().first + stretches.back().count == place) {
                            ++stretches.back().count;
                        } else {
                            stretches.push_back({place, 1});
                        }
                    }
                }
            }
            return stretches;
        };
        const index down = window_.rows.step();
        const index right = window_.columns.step();
        right_ = {without(0, -right, 0, 0), without(0, right, 0, right)};
        left_ = {without(0, right, 0, 0), without(0, -right, 0, -right)};
        down_ = {without(-down, 0, 0, 0), without(down, 0, down, 0)};
        whole_.enters = without(rows, columns, 0, 0);
        for (Move* move : {&right_, &left_, &down_}) {
            for (const Stretch& stretch : move->enters) {
                move->pixels += 2 * stretch.count;
            }
        }
    }

    /// Buffers of a tile, in its worker's scratch.
    struct Buffers {
        Entry<Key>* entries;
        Entry<Key>* spare;
        Place* places;  // of the tile's padded input, column after column
        Word* words;
        Key* line;
        Key* results;
    };

    /// A window on its way.
    struct Window {
        PlaceSet set;
        const Place* first;
        index numbers = 0;  // that are not NaN
    };

    void filter(const Tile& tile, Scratch scratch) const {
        const index pixels = height_ * width_;
        const Buffers buffers{scratch.take<Entry<Key>>(pixels),   scratch.take<Entry<Key>>(pixels),
                              scratch.take<Place>(pixels),        scratch.take<Word>(pixels / word_bits + 1),
                              scratch.take<Key>(loader_.pitch()), scratch.take<Key>(shape_.columns)};
        const index count = window_.rows.cover(tile.rows) * window_.columns.cover(tile.columns);
        index numbers = count;
        const bool nan = load(tile, buffers);
        const Entry<Key>* sorted = sort_entries<Key>(buffers.entries, buffers.spare, count);
        for (index i = 0; i < count; ++i) {
            buffers.places[sorted[i].pixel] = static_cast<Place>(i);
        }
        if constexpr (sizeof(Key) > 1) {
            if (nan) {
                const auto is_number = [](const Entry<Key>& entry) { return entry.bits < sortable(nan_key<Key>); };
                numbers = std::partition_point(sorted, sorted + count, is_number) - sorted;
            }
        }
        Window window{PlaceSet(buffers.words, count), buffers.places};
        const index step = window_.columns.step() * height_;
        move(whole_, nan, numbers, window);
        for (index y = 0; y < tile.rows; ++y) {
            const bool to_right = y % 2 == 0;
            if (y > 0) {
                window.first += window_.rows.step();
                move(down_, nan, numbers, window);
            }
            for (index i = 0; i < tile.columns; ++i) {
                if (i > 0) {
                    window.first += to_right ? step : -step;
                    move(to_right ? right_ : left_, nan, numbers, window);
                }
                buffers.results[to_right ? i : tile.columns - 1 - i] = result(sorted, nan, window);
            }
            const MutablePlane target = out_.plane(tile.plane);
            write_(buffers.results, tile.columns, target.at(tile.row + y, tile.column), target.column_stride);
        }
    }

    /// Numbers the pixels; true if one is NaN. Equal ones come in the order of rows: those of a column, which enter and
    /// leave together, then lie in different words.
    bool load(const Tile& tile, const Buffers& buffers) const {
        const index columns = window_.columns.cover(tile.columns);
        bool nan = false;
        Entry<Key>* entry = buffers.entries;
        for (index y = 0; y < window_.rows.cover(tile.rows); ++y) {
            const index position = loader_.row_position(tile.row, tile.rows, y);
            nan |= loader_.load_row(image_.plane(tile.plane), position, tile.column, tile.columns, buffers.line);
            for (index x = 0; x < columns; ++x) {
                *entry++ = {sortable(buffers.line[x]), static_cast<Place>(x * height_ + y)};
            }
        }
        return nan;
    }

    void move(const Move& move, bool nan, index numbers, Window& window) const {
        for (const Stretch& stretch : move.leaves) {
            const Place* places = window.first + stretch.first;
            window.set.remove(places, stretch.count);
            window.numbers -= nan ? PlaceSet::count_below(places, stretch.count, numbers) : stretch.count;
        }
        for (const Stretch& stretch : move.enters) {
            const Place* places = window.first + stretch.first;
            window.set.insert(places, stretch.count);
            window.numbers += nan ? PlaceSet::count_below(places, stretch.count, numbers) : stretch.count;
        }
    }

    Key result(const Entry<Key>* sorted, bool nan, Window& window) const {
        if constexpr (sizeof(Key) > 1) {
            if (nan && (window.numbers == 0 || (window.numbers < values_ && nan_ == NanPolicy::propagate))) {
                return nan_key<Key>;
            }
        }
        const auto bits = sorted[window.set.find(rule_.rank(window.numbers))].bits;
        return static_cast<Key>(sortable(static_cast<Key>(bits)));
    }

    const ConstStack& image_;
    const MutableStack& out_;
    Window2D window_;
    index values_;
    OrderRule rule_;
    NanPolicy nan_;
    TileShape shape_;
    index height_, width_;  // of a tile's padded input
    TileLoader<Key> loader_;
    WriteRun<Key> write_;
    Move right_, left_, down_, whole_;
};
}  // namespace

bool has_sliding(const Window2D& window) {
    constexpr index few = 8;
    return window.rows.cover(few) <= most_pixels && window.columns.cover(few) <= most_pixels &&
           window.rows.cover(few) * window.columns.cover(few) <= most_pixels / 2;
}

void sliding_filter(const ConstStack& image, const MutableStack& out, const Window2D& window,
                    const Footprint& footprint, OrderRule rule, NanPolicy nan, const std::byte* fill, int workers) {
    require(has_sliding(window), "sliding_filter: the window is too large");
    require_rule(rule, footprint.pixels(window), nan);
    require(out.element.dtype == image.element.dtype, "sliding_filter: the result has the type of the image");
    visit_dtype(image.element.dtype, [&](auto tag) {
        using Key = OrderKey<typename decltype(tag)::type>;
        SlidingFilter<Key>(image, out, window, footprint, rule, nan, fill).run(workers);
    });
}

}  // namespace imkernels
