// Averages of planes of modest width, a band of rows of outputs at a time: the rows of a row of windows are added up
// column by column, then the columns of each window, K_h + K_w additions per output at most.
//
// Sums are doubles: those of float32 and of integers of 16 bits have 28 and more bits to spare. A number that lies in
// no window of a row is not read for it, so that NaNs stay in theirs.
//
// Feature maps are small: several planes make a task, and a plane is loaded, divided and stored in one run each where
// its rows follow each other.
#include "kernels/row_average.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/check.hpp"
#include "core/finite.hpp"
#include "core/scratch.hpp"
#include "kernels/detail/tree_sums.hpp"
#include "parallel/parallel_for.hpp"
#include "rows/row_reader.hpp"
#include "rows/row_writer.hpp"
#include "simd/lanes.hpp"

namespace imkernels {

namespace {
constexpr index lanes = lane_count<double>;
constexpr index widest = 4096;                 // columns of a plane
constexpr index most_loaded = index{1} << 17;  // numbers of a window's rows
constexpr index most_in_run = index{1} << 24;  // the same where those are a single span
constexpr index most_at_once = 4096;           // numbers of such a span that are added up before they meet the others

/// Whether rows are worth reading as they are: loops over short ones end in many small steps.
bool reads_in_place(const ConstStack& numbers) {
    constexpr index short_row = 64;
    return numbers.first.columns >= short_row && has_rows_of<float>(numbers);
}

/// How much of a stack lies in memory without gaps.
enum class Run { none, plane, stack };

Run run_of(const auto& stack) {
    index next = item_size_of(stack.element.dtype);
    const auto follows = [&](index extent, index stride) {
        const bool does = stride == next;
        next *= extent;
        return does;
    };
    if (!follows(stack.first.columns, stack.first.column_stride) ||
        !follows(stack.first.rows, stack.first.row_stride)) {
        return Run::none;
    }
    const bool all = std::all_of(stack.leading.rbegin(), stack.leading.rend(),
                                 [&](const auto& axis) { return follows(axis.extent, axis.stride); });
    return all ? Run::stack : Run::plane;
}

/// line[x] = the sum of `count` rows, which lie side by side up to a few; of more one after the other is read, as
/// memory likes it.
template <class Number>
void add_down(const Number* rows, index pitch, index count, index length, double* line) {
    const index first = count <= detail::most_terms ? count : 1;
    std::array<const Number*, detail::most_terms> terms{};
    for (index i = 0; i < first; ++i) {
        terms[static_cast<std::size_t>(i)] = rows + i * pitch;
    }
    if (first == 0) {
        std::fill_n(line, length, 0.0);
    } else {
        detail::add_terms(terms.data(), first, length, line);
    }
    for (index i = first; i < count; ++i) {
        detail::add_row(rows + i * pitch, length, line);
    }
}

/// The sum of at most `most_at_once` neighbours, in one order on all machines: 32 sums of every 32nd, then those.
template <class Number>
double sum_of_part(const Number* numbers, index count) {
    constexpr index sums = 32;
    constexpr index vectors = sums / lanes;
    constexpr index ahead = 8192 / static_cast<index>(sizeof(Number));  // past the end of a page, where hardware stops
    Lanes<double> sum[vectors] = {};
    index x = 0;
    for (; x + sums <= count; x += sums) {
        for (index i = 0; i < sums; i += cache_line / static_cast<index>(sizeof(Number))) {
            prefetch(numbers + x + ahead + i);
        }
        for (index i = 0; i < vectors; ++i) {
            sum[i] += load_widened<double>(numbers + x + i * lanes);
        }
    }
    Number last[lanes] = {};
    std::copy_n(numbers + count - (count - x) % lanes, (count - x) % lanes, last);
    for (index i = 0; i < vectors; ++i) {
        const index rest = count - x - i * lanes;
        if (rest >= lanes) {
            sum[i] += load_widened<double>(numbers + x + i * lanes);
        } else if (rest > 0) {
            sum[i] += load_widened<double>(last);
        }
    }
    for (index half = vectors / 2; half > 0; half /= 2) {
        for (index i = 0; i < half; ++i) {
            sum[i] += sum[i + half];
        }
    }
    double total[lanes];
    store_lanes(total, sum[0]);
    for (index half = lanes / 2; half > 0; half /= 2) {
        for (index i = 0; i < half; ++i) {
            total[i] += total[i + half];
        }
    }
    return total[0];
}

/// The same of any number of them.
template <class Number>
double sum_of_run(const Number* numbers, index count) {
    double sum = 0;
    for (index x = 0; x < count; x += most_at_once) {
        sum += sum_of_part(numbers + x, std::min(most_at_once, count - x));
    }
    return sum;
}

/// Sums of spans of a row, by the simplest loop that they allow.
class SumSpans {
public:
    SumSpans(const std::vector<Span>& spans, index extent)
        : spans_(spans),
          most_(imkernels::longest(spans)),
          zero_(round_up(extent, lanes)),
          before_(std::max<index>(0, spans.empty() ? 0 : most_ - spans.front().end)),
          way_(choose_way(extent)) {
        if (way_ != Way::some) {
            return;
        }
        for (index tap = 0; tap < most_; ++tap) {
            for (const Span& span : spans) {
                places_.push_back(static_cast<std::int32_t>(tap < span.size() ? span.begin + tap : zero_));
            }
        }
    }

    /// Elements of a row with zeros around it, and how far behind its beginning number 0 is.
    index room() const { return margin() + zero_ + 2 * most_taps + 2 * lanes; }
    index margin() const { return round_up(std::max<index>(before_, most_taps), lanes); }

    index longest() const { return most_; }
    /// Whether the row is one span, for which there is `sum_of_run`.
    bool whole() const { return way_ == Way::whole; }

    /// Writes up to two vectors past the end.
    void operator()(const double* line, double* sums) const {
        switch (way_) {
            case Way::every: return taps<1>(line, sums);
            case Way::every_other: return taps<2>(line, sums);
            case Way::in_turn: return in_turn(line, sums);
            case Way::some: return some(line, sums);
            default: return many(line, sums);
        }
    }

private:
    static constexpr index most_taps = 16;

    enum class Way {
        every,        // windows of one size begin one element after the other,
        every_other,  // or two
        in_turn,      // two kinds of them in turn, one element after the other: the way back of a stride of two
        whole,        // the row is one span
        some,         // short spans of any kind
        many          // long ones
    };

    struct Turn {
        index begin, size;
    };

    Way choose_way(index extent) {
        const auto all = [&](auto span_of) {
            for (index x = 0; x < count(); ++x) {
                if (span(x) != span_of(x)) {
                    return false;
                }
            }
            return true;
        };
        const auto inside = [&](index begin, index size) {
            return Span{std::max<index>(begin, 0), std::min(begin + size, extent)};
        };
        if (count() == 1 && span(0) == Span{0, extent}) {
            return Way::whole;
        }
        if (most_ > most_taps) {
            return Way::many;
        }
        for (const Way way : {Way::every, Way::every_other}) {
            const index stride = way == Way::every ? 1 : 2;
            if (all([&](index x) { return inside(x * stride - before_, most_); })) {
                return way;
            }
        }
        if (count() < 4) {
            return Way::some;
        }
        const index middle = count() / 4 * 2;  // even
        for (index i = 0; i < 2; ++i) {
            const Span& example = span(middle + i);
            turns_[static_cast<std::size_t>(i)] = {example.begin - middle / 2, example.size()};
        }
        const bool near = std::min(turns_[0].begin, turns_[1].begin) >= -most_taps;
        if (near && all([&](index x) { return inside(x / 2 + turn_of(x).begin, turn_of(x).size); })) {
            return Way::in_turn;
        }
        return Way::some;
    }

    index count() const { return static_cast<index>(spans_.size()); }
    const Span& span(index number) const { return spans_[static_cast<std::size_t>(number)]; }
    const Turn& turn_of(index number) const { return turns_[static_cast<std::size_t>(number % 2)]; }

    template <index stride>
    void taps(const double* line, double* sums) const {
        const double* const first = line - before_;
        for (index x = 0; x < count(); x += lanes) {
            Lanes<double> sum{};
            for (index tap = 0; tap < most_; ++tap) {
                const double* const source = first + x * stride + tap;
                if constexpr (stride == 1) {
                    sum += load_lanes(source);
                } else {
                    sum += even_lanes<double>(load_lanes(source), load_lanes(source + lanes));
                }
            }
            store_lanes(sums + x, sum);
        }
    }

    void in_turn(const double* line, double* sums) const {
        for (index x = 0; x < count(); x += 2 * lanes) {
            Lanes<double> turn[2] = {};
            for (index i = 0; i < 2; ++i) {
                for (index tap = 0; tap < turns_[static_cast<std::size_t>(i)].size; ++tap) {
                    turn[i] += load_lanes(line + x / 2 + turns_[static_cast<std::size_t>(i)].begin + tap);
                }
            }
            store_lanes(sums + x, low_pairs<double>(turn[0], turn[1]));
            store_lanes(sums + x + lanes, high_pairs<double>(turn[0], turn[1]));
        }
    }

    void some(const double* line, double* sums) const {
        for (index tap = 0; tap < most_; ++tap) {
            const std::int32_t* const places = places_.data() + tap * count();
            for (index x = 0; x < count(); ++x) {
                sums[x] = (tap == 0 ? 0.0 : sums[x]) + line[places[x]];
            }
        }
    }

    void many(const double* line, double* sums) const {
        for (const Span& span : spans_) {
            constexpr index parts = 4;
            double part[parts] = {};
            index x = span.begin;
            for (; x + parts <= span.end; x += parts) {
                for (index i = 0; i < parts; ++i) {
                    part[i] += line[x + i];
                }
            }
            for (; x < span.end; ++x) {
                part[0] += line[x];
            }
            *sums++ = (part[0] + part[1]) + (part[2] + part[3]);
        }
    }

    const std::vector<Span>& spans_;
    index most_;
    index zero_;                   // a place behind the row that holds nothing
    index before_;                 // elements in front of the row that the first window has, where windows are regular
    std::array<Turn, 2> turns_{};  // of spans that come in turn, from half the number of the sum on
    Way way_;
    std::vector<std::int32_t> places_;  // of the taps of all spans, one tap after the other
};

class RowAverage {
public:
    RowAverage(const ConstStack& numbers, const MutableStack& out, const SummedSpans& spans,
               const PoolWindows& divisors, Divided divided)
        : numbers_(numbers),
          out_(out),
          spans_(spans),
          divisors_(divisors),
          uniform_(all_same(divisors.rows.divisors) && all_same(divisors.columns.divisors)),
          divided_(uniform_ && has_fewer_sums() ? Divided::sums : divided),
          number_run_(run_of(numbers)),
          out_run_(run_of(out)),
          tallest_(longest(spans.rows)),
          along_(spans.columns, numbers.first.columns),
          in_place_(divided_ == Divided::sums && can_read_in_place()),
          in_parts_(along_.whole() && !in_place_ && tallest_ * numbers.first.columns > most_loaded),
          read_(row_reader<AsNumber, double>(numbers.element)),
          write_(row_writer<FromNumber, double>(out.element)),
          column_divisors_(divisors.columns.divisors.begin(), divisors.columns.divisors.end()),
          band_(choose_band()),
          loaded_(choose_loaded()),
          together_(choose_together()) {
        require(read_ != nullptr && write_ != nullptr, "row_average: no loop for these element types");
    }

    void run(int workers) const {
        const index bands = ceil_div(out_.first.rows, band_);
        const index planes = out_.planes();
        const std::size_t bytes = Scratch::bytes<double>(together_ * loaded_ + row_slack) +
                                  Scratch::bytes<double>(along_.room()) +
                                  Scratch::bytes<double>(together_ * band_ * out_.first.columns + row_slack);
        const double cost = band_cost(band_) * static_cast<double>(together_);
        parallel_for({ceil_div(planes, together_) * bands, cost, bytes, workers}, [&](index item, Scratch scratch) {
            const index first = item / bands * together_;
            average({first, std::min(together_, planes - first)}, item % bands * band_, scratch);
        });
    }

private:
    static constexpr index most_results = 8192;  // of a task
    static constexpr index most_numbers = 16384;
    static constexpr double longest_band = 1e6;  // nanoseconds

    static bool all_same(const std::vector<index>& divisors) {
        return std::ranges::adjacent_find(divisors, std::not_equal_to<>()) == divisors.end();
    }

    bool has_fewer_sums() const {
        return out_.first.rows * out_.first.columns <= numbers_.first.rows * numbers_.first.columns;
    }

    bool can_read_in_place() const {
        return along_.whole() ? number_run_ != Run::none && has_rows_of<float>(numbers_) : reads_in_place(numbers_);
    }

    /// Nanoseconds of `rows` rows of outputs on one core (Zen 5), with the rows of the first.
    double band_cost(index rows) const {
        const double down = static_cast<double>(tallest_ * numbers_.first.columns);
        const double along = static_cast<double>((along_.longest() + 4) * out_.first.columns);
        return static_cast<double>(rows) * (0.1 * down + 0.2 * along) + 20;
    }

    index choose_band() const {
        index band = std::clamp<index>(most_results / std::max<index>(1, out_.first.columns), 1,
                                       std::max<index>(1, out_.first.rows));
        const auto too_many = [&] {  // spans may lie far apart
            return !in_place_ && !in_parts_ && rows_of(0, band).size() * numbers_.first.columns > most_numbers;
        };
        while (band > 1 && (too_many() || band_cost(band) > longest_band)) {
            band = (band + 1) / 2;
        }
        return band;
    }

    /// Numbers of a plane that a task loads at most.
    index choose_loaded() const {
        if (in_place_ || in_parts_) {
            return in_parts_ ? most_at_once : 0;
        }
        index most = 0;
        for (index row = 0; row < out_.first.rows; row += band_) {
            most = std::max(most, rows_of(row, band_).size());
        }
        return most * numbers_.first.columns;
    }

    /// Small planes that make a task, few enough for all workers to have some.
    index choose_together() const {
        constexpr double enough = 5000;  // nanoseconds
        if (band_ < out_.first.rows) {
            return 1;
        }
        const index most = std::min({static_cast<index>(enough / band_cost(band_)), out_.planes(),
                                     most_numbers / std::max<index>(1, loaded_),
                                     most_results / std::max<index>(1, band_ * out_.first.columns)});
        return std::max<index>(1, most);
    }

    /// The rows of numbers that the outputs of a band are made of.
    Span rows_of(index row, index count) const {
        const index last = std::min(row + count, static_cast<index>(spans_.rows.size())) - 1;
        const Span& first = spans_.rows[static_cast<std::size_t>(row)];
        return {first.begin, std::max(first.begin, spans_.rows[static_cast<std::size_t>(last)].end)};
    }

    struct Planes {
        index first, count;
    };

    void average(const Planes& planes, index row, Scratch scratch) const {
        auto* const loaded = scratch.take<double>(together_ * loaded_ + row_slack);
        auto* const line = scratch.take<double>(along_.room());
        std::fill_n(line, along_.room(), 0.0);
        auto* const results = scratch.take<double>(together_ * band_ * out_.first.columns + row_slack);
        const index count = std::min(band_, out_.first.rows - row);
        const Span rows = rows_of(row, count);
        if (!in_place_ && !in_parts_) {
            load(planes, rows, loaded);
        }
        const index columns = numbers_.first.columns;
        ConstPlane plane{};
        for (index i = 0; i < planes.count; ++i) {
            double* const sums = results + i * count * out_.first.columns;
            if (in_parts_) {
                for (index y = 0; y < count; ++y) {
                    sums[y] = sum_in_parts(planes.first + i, spans_.rows[static_cast<std::size_t>(row + y)], loaded);
                }
            } else if (in_place_) {
                plane = i == 0 || number_run_ != Run::stack ? numbers_.plane(planes.first + i) : next_plane(plane);
                const auto* const first = reinterpret_cast<const float*>(plane.at(rows.begin, 0));
                sum_plane(first, plane.row_stride / index{sizeof(float)}, {row, row + count}, line, sums);
            } else {
                sum_plane(loaded + i * rows.size() * columns, columns, {row, row + count}, line, sums);
            }
        }
        write(planes, row, count, results);
    }

    static ConstPlane next_plane(ConstPlane plane) {
        plane.data += plane.rows * plane.columns * index{sizeof(float)};
        return plane;
    }

    /// The sum of whole rows, in the order of `sum_of_run`.
    double sum_in_parts(index number, const Span& rows, double* part) const {
        const ConstPlane plane = numbers_.plane(number);
        double sum = 0;
        index filled = 0;
        for (index row = rows.begin; row < rows.end; ++row) {
            for (index column = 0; column < plane.columns;) {
                const index count = std::min(most_at_once - filled, plane.columns - column);
                read_(plane.at(row, column), plane.column_stride, count, part + filled);
                column += count;
                filled += count;
                if (filled == most_at_once || (row + 1 == rows.end && column == plane.columns)) {
                    sum += sum_of_part(part, filled);
                    filled = 0;
                }
            }
        }
        return sum;
    }

    /// The sums of the outputs of some rows; `numbers` begins with the first row that they need.
    template <class Number>
    void sum_plane(const Number* numbers, index pitch, const Span& outputs, double* line, double* sums) const {
        const index width = out_.first.columns;
        const index begin = spans_.rows[static_cast<std::size_t>(outputs.begin)].begin;
        for (index y = outputs.begin; y < outputs.end;) {
            const Span& span = spans_.rows[static_cast<std::size_t>(y)];
            sum_row(numbers + (span.begin - begin) * pitch, pitch, span.size(), line + along_.margin(), sums);
            index same = 1;
            for (; y + same < outputs.end && spans_.rows[static_cast<std::size_t>(y + same)] == span; ++same) {
            }
            for (index done = 1; done < same; done *= 2) {
                std::copy_n(sums, std::min(done, same - done) * width, sums + done * width);
            }
            sums += same * width;
            y += same;
        }
    }

    /// The sums of the windows of `count` rows, which are `length` columns wide, whatever is in those too many.
    template <class Number>
    void sum_row(const Number* rows, index pitch, index count, double* line, double* sums) const {
        const index columns = numbers_.first.columns;
        if (along_.whole()) {
            *sums = sum_of_run(rows, count * columns);
            return;
        }
        // Of loaded rows whole vectors are taken, which end in the next row.
        const index length = std::is_same_v<Number, double> ? round_up(columns, lanes) : columns;
        add_down(rows, pitch, count, length, line);
        std::fill(line + columns, line + length, 0.0);
        along_(line, sums);
    }

    void load(const Planes& planes, const Span& rows, double* loaded) const {
        const index columns = numbers_.first.columns;
        const index size = rows.size() * columns;
        const index number_size = item_size_of(numbers_.element.dtype);
        if (number_run_ == Run::stack && rows.size() == numbers_.first.rows) {
            read_(numbers_.plane(planes.first).data, number_size, planes.count * size, loaded);
        } else {
            const index runs = number_run_ == Run::none ? rows.size() : 1;
            const index stride = number_run_ == Run::none ? numbers_.first.column_stride : number_size;
            for (index i = 0; i < planes.count; ++i) {
                const ConstPlane plane = numbers_.plane(planes.first + i);
                for (index row = 0; row < runs; ++row) {
                    read_(plane.at(rows.begin + row, 0), stride, size / runs, loaded + i * size + row * columns);
                }
            }
        }
        if (divided_ == Divided::numbers) {
            divide(loaded, planes.count, rows.begin, rows.size(), columns);
        }
    }

    /// Divides `count` rows of each of some planes, `row` the first of them.
    void divide(double* numbers, index planes, index row, index count, index columns) const {
        if (uniform_) {
            const double divisor = static_cast<double>(divisors_.rows.divisor(0)) * column_divisors_[0];
            for (index x = 0; x < planes * count * columns; ++x) {
                numbers[x] /= divisor;
            }
            return;
        }
        for (index y = 0; y < planes * count; ++y, numbers += columns) {
            const auto down = static_cast<double>(divisors_.rows.divisor(row + y % count));
            for (index x = 0; x < columns; ++x) {
                numbers[x] /= down * column_divisors_[static_cast<std::size_t>(x)];
            }
        }
    }

    void write(const Planes& planes, index row, index count, double* results) const {
        const index columns = out_.first.columns;
        const index size = count * columns;
        if (divided_ == Divided::sums) {
            divide(results, planes.count, row, count, columns);
        }
        for (index x = 0; x < planes.count * size; ++x) {
            results[x] = quiet(results[x]);
        }
        const index result_size = item_size_of(out_.element.dtype);
        if (out_run_ == Run::stack && count == out_.first.rows) {
            return write_(results, planes.count * size, out_.plane(planes.first).data, result_size);
        }
        const index runs = out_run_ == Run::none ? count : 1;
        const index stride = out_run_ == Run::none ? out_.first.column_stride : result_size;
        for (index i = 0; i < planes.count; ++i) {
            const MutablePlane plane = out_.plane(planes.first + i);
            for (index y = 0; y < runs; ++y) {
                write_(results + i * size + y * columns, size / runs, plane.at(row + y, 0), stride);
            }
        }
    }

    const ConstStack& numbers_;
    const MutableStack& out_;
    const SummedSpans& spans_;
    const PoolWindows& divisors_;
    bool uniform_;  // divisors: either may be divided
    Divided divided_;
    Run number_run_, out_run_;
    index tallest_;  // span of rows
    SumSpans along_;
    bool in_place_;  // numbers are read
    bool in_parts_;  // they are loaded, since there are so many
    ReadRun<double> read_;
    WriteRun<double> write_;
    std::vector<double> column_divisors_;
    index band_;      // rows of outputs of a task
    index loaded_;    // numbers that it loads of a plane at most
    index together_;  // planes of a task
};
}  // namespace

bool has_row_average(const ConstStack& numbers, const SummedSpans& spans, Divided divided) {
    const bool known = visit_dtype(numbers.element.dtype, [](auto tag) {
        using T = typename decltype(tag)::type;
        return !std::is_same_v<T, Bool> && (is_float<T> ? sizeof(T) <= 4 : sizeof(T) <= 2);
    });
    // Whatever the layout, which must not show in the sums.
    const index columns = numbers.first.columns;
    const bool whole = divided == Divided::sums && spans.columns == std::vector{Span{0, columns}};
    return known && columns <= widest && static_cast<index>(spans.columns.size()) <= widest &&
           longest(spans.rows) * columns <= (whole ? most_in_run : most_loaded);
}

void row_average(const ConstStack& numbers, const MutableStack& out, const SummedSpans& spans,
                 const PoolWindows& divisors, Divided divided, int workers) {
    if (out.planes() * out.first.rows * out.first.columns > 0) {
        RowAverage(numbers, out, spans, divisors, divided).run(workers);
    }
}

}  // namespace imkernels
