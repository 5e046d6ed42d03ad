// Pooling over windows of any extents, K_h + K_w / s steps per output: the rows of a row of windows are reduced column
// by column, then the columns of each window from left to right.
//
// What a window has reduced to is a state: a sum, or the best pixel so far and where it lies. Reductions of states
// always go from top to bottom and from left to right, so that neither blocks nor threads show in a result. Integers
// are summed exactly, in 64 or 128 bits; float16 and float32 in double; doubles with the error of every addition kept
// (Knuth, The Art of Computer Programming 2, 4.2.2), since windows may be as large as the image.
//
// Windows of more than a few million pixels are cut into bands of rows, whose states are put together afterwards.
#include "kernels/window_pool.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/check.hpp"
#include "core/finite.hpp"
#include "kernels/row_average.hpp"
#include "parallel/parallel_for.hpp"
#include "rows/copy_element.hpp"
#include "rows/row_reader.hpp"
#include "rows/row_writer.hpp"

namespace imkernels {

namespace {
// States, each with `add` for the state of what lies to the right or below; sums also for a pixel.

template <class Number>
struct PlainSum {
    Number sum{};

    void add(Number pixel) { sum += pixel; }
    void add(const PlainSum& next) { sum += next.sum; }
    Number value() const { return sum; }
};

struct CompensatedSum {
    double sum = 0;
    double error = 0;

    void add(double number) {
        const double total = sum + number;
        const double part = total - sum;
        error += (sum - (total - part)) + (number - part);
        sum = total;
    }
    void add(const CompensatedSum& next) {
        add(next.sum);
        error += next.error;
    }
    double value() const { return std::isfinite(sum) ? sum + error : sum; }
};

/// For means: a sum may overflow though its mean does not.
struct ScaledSum {
    static constexpr double scale = 0x1p-64;
    CompensatedSum plain, scaled;

    void add(double pixel) {
        plain.add(pixel);
        scaled.add(pixel * scale);
    }
    void add(const ScaledSum& next) {
        plain.add(next.plain);
        scaled.add(next.scaled);
    }
};

template <class Key>
struct Maximum {
    static constexpr index nowhere = std::numeric_limits<index>::max();
    Key key = std::numeric_limits<Key>::min();
    index row = nowhere;
    index column = nowhere;

    void add(const Maximum& next) {
        // On ties the first in row-major order: what comes from the right may lie further up.
        const bool better = next.key > key || (next.key == key && next.row < row);
        *this = better ? next : *this;
    }
};

// The states of neighbouring columns, each with `add` for the next row of pixels.

template <class Pixel, class State>
class SumColumns {
public:
    static std::size_t bytes(index count) { return Scratch::bytes<State>(count); }
    SumColumns(index count, Scratch& scratch) : states_(scratch.take<State>(count)) {}

    void start(index count, index /*row*/) { std::fill_n(states_, count, State{}); }
    void add(const Pixel* line, index count, index /*row*/) {
        for (index x = 0; x < count; ++x) {
            states_[x].add(line[x]);
        }
    }
    const State& state(index x, index /*column*/) const { return states_[x]; }

private:
    State* states_;
};

/// Keys and rows apart, in lanes of one width.
template <class Key>
class MaximumColumns {
public:
    static std::size_t bytes(index count) { return 2 * Scratch::bytes<Key>(count); }
    MaximumColumns(index count, Scratch& scratch) : keys_(scratch.take<Key>(count)), rows_(scratch.take<Key>(count)) {}

    void start(index count, index row) {
        std::fill_n(keys_, count, std::numeric_limits<Key>::min());
        std::fill_n(rows_, count, Key{0});
        first_row_ = row;
    }
    void add(const Key* __restrict line, index count, index row) {
        Key* __restrict keys = keys_;
        Key* __restrict rows = rows_;
        const Key number = static_cast<Key>(row - first_row_);
        for (index x = 0; x < count; ++x) {
            const bool greater = line[x] > keys[x];
            keys[x] = greater ? line[x] : keys[x];
            rows[x] = greater ? number : rows[x];
        }
    }
    Maximum<Key> state(index x, index column) const { return {keys_[x], first_row_ + rows_[x], column}; }

private:
    Key* keys_;
    Key* rows_;
    index first_row_ = 0;
};

/// Outputs [column, column + columns) of one row, reduced over rows [begin, end) of the image.
struct Block {
    index plane;
    index row, column;
    index columns;
    index begin, end;
};

/// Reduces windows to states. `Reduction` says how to read pixels and what to do with the states.
template <class Reduction>
class WindowPool {
public:
    using Pixel = typename Reduction::Pixel;
    using State = typename Reduction::State;
    using Columns = typename Reduction::Columns;

    WindowPool(const PoolAxis& rows, const PoolAxis& columns, index planes, const Reduction& reduction)
        : rows_(rows),
          columns_(columns),
          planes_(planes),
          reduction_(reduction),
          // Each output adds up the columns of its window.
          outputs_(std::clamp<index>(most_pixels / std::max<index>(1, columns.longest()), 1, most_outputs)),
          across_(ceil_div(columns.outputs(), outputs_)) {
        for (index first = 0; first < columns.outputs(); first += outputs_) {
            const index end = std::min(first + outputs_, columns.outputs());
            widest_ = std::max(widest_, columns.span(end - 1).end - columns.span(first).begin);
            add_runs(first, end);
        }
        band_rows_ = std::max<index>(1, most_pixels / std::max<index>(1, widest_));
        bands_ = std::max<index>(1, ceil_div(rows.longest(), band_rows_));
    }

    void run(int workers) const {
        const index blocks = planes_ * rows_.outputs() * across_;
        const double rows = static_cast<double>(std::min(rows_.longest(), band_rows_));
        const double cost = cost_of_pixel * (rows * static_cast<double>(widest_) +
                                             static_cast<double>(outputs_) * static_cast<double>(columns_.longest()));
        const std::size_t bytes =
            Scratch::bytes<Pixel>(segment) + Columns::bytes(segment) + Scratch::bytes<State>(most_outputs);
        if (bands_ == 1) {
            return parallel_for({blocks, cost, bytes, workers}, [&](index item, Scratch scratch) {
                const Block block = block_of(item, 0);
                State* states = scratch.take<State>(most_outputs);
                reduce(block, states, scratch);
                reduction_.deliver(block.plane, block.row, block.column, block.columns, states);
            });
        }
        std::vector<State> partial(static_cast<std::size_t>(blocks * bands_ * outputs_));
        const auto states_of = [&](index item) { return partial.data() + item * outputs_; };
        parallel_for({blocks * bands_, cost, bytes, workers}, [&](index item, Scratch scratch) {
            reduce(block_of(item / bands_, item % bands_), states_of(item), scratch);
        });
        parallel_for({blocks, static_cast<double>(bands_ * outputs_), 0, workers}, [&](index item, Scratch) {
            const Block block = block_of(item, 0);
            State* states = states_of(item * bands_);
            for (index band = 1; band < bands_; ++band) {
                for (index i = 0; i < block.columns; ++i) {
                    states[i].add(states_of(item * bands_ + band)[i]);
                }
            }
            reduction_.deliver(block.plane, block.row, block.column, block.columns, states);
        });
    }

private:
    static constexpr index most_outputs = 256;
    static constexpr index most_pixels = index{1} << 24;
    static constexpr index segment = 2048;        // columns that are reduced together
    static constexpr double cost_of_pixel = 1.0;  // nanoseconds, on one core (Zen 5)

    Block block_of(index number, index band) const {
        const index column = number % across_ * outputs_;
        const index row = number / across_ % rows_.outputs();
        const Span span = rows_.span(row);
        const index begin = std::min(span.end, span.begin + band * band_rows_);
        return {
            number / (across_ * rows_.outputs()),  row, column, std::min(outputs_, columns_.outputs() - column), begin,
            std::min(span.end, begin + band_rows_)};
    }

    /// Outputs of a row whose windows touch each other, and the columns that those cover; what lies between others is
    /// not read.
    struct Run {
        Span outputs, columns;
    };

    /// Adds the runs of the outputs [first, end).
    void add_runs(index first, index end) {
        std::vector<Run>& runs = runs_.emplace_back();
        for (index output = first; output < end; ++output) {
            const Span& span = columns_.span(output);
            if (runs.empty() || span.begin > runs.back().columns.end) {
                runs.push_back({{output, output}, span});
            }
            runs.back().outputs.end = output + 1;
            runs.back().columns.end = std::max(runs.back().columns.end, span.end);
        }
    }

    void reduce(const Block& block, State* states, Scratch scratch) const {
        Pixel* line = scratch.take<Pixel>(segment);
        Columns columns(segment, scratch);
        std::fill_n(states, block.columns, State{});
        for (const auto& [outputs, run] : runs_[static_cast<std::size_t>(block.column / outputs_)]) {
            const index first = outputs.begin - block.column;
            const index last = outputs.end - block.column;
            for (index begin = run.begin; begin < run.end; begin += segment) {
                const Span part{begin, std::min(begin + segment, run.end)};
                reduce_columns(block, part, line, columns);
                for (index i = first; i < last; ++i) {
                    const Span& span = columns_.span(block.column + i);
                    for (index x = std::max(span.begin, part.begin); x < std::min(span.end, part.end); ++x) {
                        states[i].add(columns.state(x - part.begin, x));
                    }
                }
            }
        }
    }

    void reduce_columns(const Block& block, const Span& part, Pixel* line, Columns& columns) const {
        columns.start(part.size(), block.begin);
        for (index row = block.begin; row < block.end; ++row) {
            reduction_.read(block.plane, row, part, line);
            columns.add(line, part.size(), row);
        }
    }

    const PoolAxis& rows_;
    const PoolAxis& columns_;
    index planes_;
    const Reduction& reduction_;
    std::vector<std::vector<Run>> runs_;  // of the blocks of a row
    index outputs_;                       // of a block
    index across_;
    index widest_ = 0;
    index band_rows_ = 1;
    index bands_ = 1;
};

constexpr index group = 64;  // results that are written together

template <class Pixel>
void read_pixels(const ConstStack& image, ReadRun<Pixel> read, index plane, index row, const Span& columns,
                 Pixel* line) {
    const ConstPlane source = image.plane(plane);
    read(source.at(row, columns.begin), source.column_stride, columns.size(), line);
}

/// `Result` is an integer for exact means, double for all others.
template <class PixelType, class StateType, class Result>
class Average {
public:
    using Pixel = PixelType;
    using State = StateType;
    using Columns = SumColumns<Pixel, State>;

    Average(const ConstStack& image, const MutableStack& out, const PoolWindows& windows)
        : image_(image),
          out_(out),
          windows_(windows),
          read_(row_reader<AsNumber, Pixel>(image.element)),
          write_(row_writer<FromNumber, Result>(out.element)) {
        require(read_ != nullptr && write_ != nullptr, "average_windows: no loop for these element types");
    }

    void read(index plane, index row, const Span& columns, Pixel* line) const {
        read_pixels(image_, read_, plane, row, columns, line);
    }

    void deliver(index plane, index row, index column, index count, const State* states) const {
        const MutablePlane target = out_.plane(plane);
        for (index first = 0; first < count; first += group) {
            Result results[group];
            const index here = std::min(group, count - first);
            for (index i = 0; i < here; ++i) {
                const index x = column + first + i;
                results[i] = mean(states[first + i], windows_.rows.divisor(row) * windows_.columns.divisor(x));
            }
            write_(results, here, target.at(row, column + first), target.column_stride);
        }
    }

private:
    static Result mean(const State& state, index divisor) {
        if constexpr (std::is_integral_v<Result>) {
            return saturate_integer<Result>(rounded_quotient(state.value(), divisor));
        } else if constexpr (std::is_same_v<State, ScaledSum>) {
            const double count = static_cast<double>(divisor);
            return quiet(std::isfinite(state.plain.sum) ? state.plain.value() / count
                                                        : state.scaled.value() / count / ScaledSum::scale);
        } else {
            return quiet(static_cast<double>(state.value()) / static_cast<double>(divisor));
        }
    }

    const ConstStack& image_;
    const MutableStack& out_;
    const PoolWindows& windows_;
    ReadRun<Pixel> read_;
    WriteRun<Result> write_;
};

template <class StateType>
class AverageGradient {
public:
    using Pixel = double;
    using State = StateType;
    using Columns = SumColumns<double, State>;

    AverageGradient(const ConstStack& grad, const MutableStack& out, const PoolWindows& windows)
        : grad_(grad),
          out_(out),
          windows_(windows),
          read_(row_reader<AsNumber, double>(grad.element)),
          write_(row_writer<FromNumber, double>(out.element)),
          column_divisors_(windows.columns.divisors.begin(), windows.columns.divisors.end()) {
        require(read_ != nullptr && write_ != nullptr, "average_windows_backward: no loop for these element types");
    }

    void read(index plane, index row, const Span& columns, double* line) const {
        read_pixels(grad_, read_, plane, row, columns, line);
        const double row_divisor = static_cast<double>(windows_.rows.divisor(row));
        const double* const column_divisors = column_divisors_.data() + columns.begin;
        for (index x = 0; x < columns.size(); ++x) {
            line[x] /= row_divisor * column_divisors[x];
        }
    }

    void deliver(index plane, index row, index column, index count, const State* states) const {
        const MutablePlane target = out_.plane(plane);
        for (index first = 0; first < count; first += group) {
            double results[group];
            const index here = std::min(group, count - first);
            for (index i = 0; i < here; ++i) {
                results[i] = quiet(states[first + i].value());
            }
            write_(results, here, target.at(row, column + first), target.column_stride);
        }
    }

private:
    const ConstStack& grad_;
    const MutableStack& out_;
    const PoolWindows& windows_;
    ReadRun<double> read_;
    WriteRun<double> write_;
    std::vector<double> column_divisors_;
};

template <class Key>
class MaximumSearch {
public:
    using Pixel = Key;
    using State = Maximum<Key>;
    using Columns = MaximumColumns<Key>;

    MaximumSearch(const ConstStack& image, const MutableStack& values, const MutableStack* argmax)
        : image_(image),
          values_(values),
          argmax_(argmax),
          read_(row_reader<AsMaximumKey, Key>(image.element)),
          copy_(element_copier(image.element, values.element)) {}

    void read(index plane, index row, const Span& columns, Key* line) const {
        read_pixels(image_, read_, plane, row, columns, line);
    }

    void deliver(index plane, index row, index column, index count, const State* states) const {
        const ConstPlane source = image_.plane(plane);
        const MutablePlane values = values_.plane(plane);
        for (index i = 0; i < count; ++i) {
            copy_(source.at(states[i].row, states[i].column), values.at(row, column + i));
            if (argmax_ != nullptr) {
                const std::int64_t flat = states[i].row * source.columns + states[i].column;
                std::memcpy(argmax_->plane(plane).at(row, column + i), &flat, sizeof(flat));
            }
        }
    }

    /// The maximum of a plane, which is its only window.
    State search_plane(index plane) const {
        const ConstPlane source = with_long_rows(image_.plane(plane));
        const index columns = image_.first.columns;
        Key keys[part];
        State best{std::numeric_limits<Key>::min(), 0, 0};
        for (index row = 0; row < source.rows; ++row) {
            for (index column = 0; column < source.columns; column += part) {
                const index count = std::min(part, source.columns - column);
                read_(source.at(row, column), source.column_stride, count, keys);
                Key most = keys[0];
                for (index i = 1; i < count; ++i) {
                    most = std::max(most, keys[i]);
                }
                if (most > best.key) {
                    best = {most, row, column + (std::find(keys, keys + count, most) - keys)};
                }
            }
        }
        best.row += best.column / columns;
        best.column %= columns;
        return best;
    }

private:
    static constexpr index part = 256;  // of a plane, that is searched at once

    const ConstStack& image_;
    const MutableStack& values_;
    const MutableStack* argmax_;
    ReadRun<Key> read_;
    CopyElement copy_;
};

template <class Pixel, class State, class Result>
void average(const ConstStack& image, const MutableStack& out, const PoolWindows& windows, int workers) {
    const Average<Pixel, State, Result> reduction(image, out, windows);
    WindowPool(windows.rows, windows.columns, out.planes(), reduction).run(workers);
}

/// Whether the only window is the plane, and not so large that it should be cut.
bool is_whole_plane(const PoolWindows& windows, const ConstPlane& plane) {
    constexpr double largest = 0x1p24;  // pixels
    return windows.rows.spans == std::vector{Span{0, plane.rows}} &&
           windows.columns.spans == std::vector{Span{0, plane.columns}} &&
           static_cast<double>(plane.rows) * static_cast<double>(plane.columns) <= largest;
}

/// Windows are clipped to the image, and every output has one.
void require_windows(const PoolWindows& windows, index rows, index columns, const MutableStack& out) {
    const auto inside = [](const PoolAxis& axis, index extent, index outputs) {
        return axis.outputs() == outputs && std::ranges::all_of(axis.spans, [&](const Span& span) {
                   return span.begin >= 0 && span.begin < span.end && span.end <= extent;
               });
    };
    require(inside(windows.rows, rows, out.first.rows) && inside(windows.columns, columns, out.first.columns),
            "every window has a pixel of the image");
}
}  // namespace

void average_windows(const ConstStack& image, const MutableStack& out, const PoolWindows& windows, int workers) {
    require_windows(windows, image.first.rows, image.first.columns, out);
    const SummedSpans spans{windows.rows.spans, windows.columns.spans};
    if (has_row_average(image, spans, Divided::sums)) {
        return row_average(image, out, spans, windows, Divided::sums, workers);
    }
    const bool to_float = out.element.dtype >= Dtype::float16;
    visit_dtype(image.element.dtype, [&](auto tag) {
        using Pixel = typename decltype(tag)::type;
        if constexpr (std::is_same_v<Pixel, Bool>) {
            require(false, "average_windows: truth values have no mean");
        } else if constexpr (std::is_same_v<Pixel, double>) {
            average<double, ScaledSum, double>(image, out, windows, workers);
        } else if constexpr (is_float<Pixel>) {
            average<double, PlainSum<double>, double>(image, out, windows, workers);
        } else {
            using Wide = std::conditional_t<std::is_signed_v<Pixel>, std::int64_t, std::uint64_t>;
            // So many pixels of at most 32 bits have a sum of 64, and of 16 bits one below 2^52, where the quotient of
            // doubles is exact enough to be rounded rightly (see box_blur.cpp).
            const bool few =
                static_cast<double>(windows.rows.longest()) * static_cast<double>(windows.columns.longest()) <= 0x1p31;
            if (sizeof(Pixel) == 8 || !few) {
                to_float ? average<int128, PlainSum<int128>, double>(image, out, windows, workers)
                         : average<int128, PlainSum<int128>, Wide>(image, out, windows, workers);
            } else if (sizeof(Pixel) <= 2 || to_float) {
                average<std::int64_t, PlainSum<std::int64_t>, double>(image, out, windows, workers);
            } else {
                average<std::int64_t, PlainSum<std::int64_t>, Wide>(image, out, windows, workers);
            }
        }
    });
}

void average_windows_backward(const ConstStack& grad, const MutableStack& out, const PoolWindows& windows,
                              int workers) {
    require(grad.element.dtype >= Dtype::float16, "average_windows_backward: gradients are floats");
    require(windows.rows.outputs() == grad.first.rows && windows.columns.outputs() == grad.first.columns,
            "average_windows_backward: one gradient per window");
    const SummedSpans spans{outputs_of_pixels(windows.rows, out.first.rows),
                            outputs_of_pixels(windows.columns, out.first.columns)};
    if (has_row_average(grad, spans, Divided::numbers)) {
        return row_average(grad, out, spans, windows, Divided::numbers, workers);
    }
    const PoolAxis rows{spans.rows, {}};
    const PoolAxis columns{spans.columns, {}};
    const auto run = [&](const auto& reduction) { WindowPool(rows, columns, out.planes(), reduction).run(workers); };
    if (grad.element.dtype == Dtype::float64) {
        run(AverageGradient<CompensatedSum>(grad, out, windows));
    } else {
        run(AverageGradient<PlainSum<double>>(grad, out, windows));
    }
}

void maximum_of_windows(const ConstStack& image, const MutableStack& values, const MutableStack* argmax,
                        const PoolWindows& windows, int workers) {
    require(values.element.dtype == image.element.dtype, "maximum_of_windows: values have the type of the image");
    require(argmax == nullptr || (argmax->element.dtype == Dtype::int64 && !argmax->element.swapped),
            "maximum_of_windows: argmax is int64");
    require_windows(windows, image.first.rows, image.first.columns, values);
    visit_dtype(image.element.dtype, [&](auto tag) {
        using Key = std::conditional_t<sizeof(typename decltype(tag)::type) == 8, std::int64_t, std::int32_t>;
        const MaximumSearch<Key> reduction(image, values, argmax);
        if (is_whole_plane(windows, image.first)) {
            const double cost = 0.3 * static_cast<double>(image.first.rows * image.first.columns) + 30;
            return parallel_for({values.planes(), cost, 0, workers}, [&](index plane, Scratch) {
                const Maximum<Key> best = reduction.search_plane(plane);
                reduction.deliver(plane, 0, 0, 1, &best);
            });
        }
        WindowPool(windows.rows, windows.columns, values.planes(), reduction).run(workers);
    });
}

}  // namespace imkernels
