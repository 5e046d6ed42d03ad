// Correlation by way of Fourier transforms: the spectrum of a tile of the image times that of the kernel is the
// spectrum of their correlation, at some log N operations per pixel whatever the kernel (T. G. Stockham: High-speed
// convolution and correlation, AFIPS Spring Joint Computer Conference 1966). A tile overlaps its neighbours by the
// reach of the kernel ("overlap-save"): its results that the transform takes from both of its ends are left out.
//
// A tile has as many rows and columns as a transform has numbers, powers of two. Two tiles are transformed at once, one
// as real and one as imaginary parts: the kernel is real, so they stay apart. Where a row of the spectrum is known it
// is multiplied by the kernel's and transformed back; a tile stays in the second cache.
//
// Every pixel of a tile leaves an error in all of its results, so a window of small pixels may not lie in a tile of
// large ones. All is computed in double; with u its unit, the error of a result is at most
//
//     growth * u * max |W| * ||x||,    W the spectrum of the kernel, ||x|| the Euclidean norm of both tiles,
//
// and has to be at most what the contract allows, K_h * K_w * u * sum |w| |x| over the window, u being that of the
// result. That sum is bounded from below, for all windows of a tile: by sum |w| times the least |x| of the tile, and by
//
//     (the least sum of |x| over a cell of c x c pixels) * (sum over blocks of 2c - 1 x 2c - 1 taps of their least
//     |w|),
//
// since a block covers a whole cell wherever the window is (detail/tame.hpp). Tiles for which neither will do are not
// transformed but summed tap by tap (correlate.cpp), and so are those with a NaN or an infinity. What a tile holds
// decides that, so results depend neither on threads nor on the layout. Integers are rounded to what they are: no error
// comes near a half.
#include "kernels/correlate_fft.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <ranges>
#include <vector>

#include "core/accumulate.hpp"
#include "core/check.hpp"
#include "kernels/correlate.hpp"
#include "kernels/detail/fourier_tile.hpp"
#include "kernels/detail/kernel_bank.hpp"
#include "kernels/detail/tame.hpp"
#include "kernels/detail/weights.hpp"
#include "parallel/parallel_for.hpp"
#include "rows/row_writer.hpp"
#include "rows/tile_grid.hpp"
#include "rows/tile_loader.hpp"

namespace imkernels {

namespace {
using detail::Cells;
using detail::Complex;
using detail::FourierTile;
using detail::KernelBank;
using detail::Magnitudes;
using detail::WeightShares;

constexpr index longest_reach = 1024;
constexpr index smallest_transform = 16;
constexpr index largest_transform = 2048;

/// How an output is cut into tiles.
struct Plan {
    TileShape numbers;   // of a tile
    TileShape outputs;   // of a tile
    index down, across;  // tiles
    double cost;         // nanoseconds of two tiles, on one core (Zen 5)

    index tiles() const { return down * across; }
    index pairs() const { return ceil_div(tiles(), 2); }
    /// With the spectrum of the kernel, and the first touch of the memory that it and a tile lie in.
    double total() const { return cost * (1.5 + static_cast<double>(pairs())); }
};

double cost_of_pair(TileShape numbers) {
    const double count = static_cast<double>(numbers.rows * numbers.columns);
    constexpr double vectors = 8.0 / static_cast<double>(lane_count<double>);  // for as many numbers as at AVX-512
    constexpr double most_near = 256 * 256;                                    // numbers of a tile in the second cache
    return count * (3.0 + 0.1 * vectors * std::log2(count) + (count > most_near ? 1.5 : 0.0));
}

Plan choose_plan(const Window2D& window, index rows, index columns) {
    Plan best{};
    const auto most = [](const WindowAxis& axis, index size) { return (size - axis.reach()) / axis.stride + 1; };
    for (index down = smallest_transform; down <= largest_transform; down *= 2) {
        for (index across = smallest_transform; across <= largest_transform; across *= 2) {
            if (down < window.rows.reach() || across < window.columns.reach()) {
                continue;
            }
            Plan plan{{down, across}, {}, 0, 0, cost_of_pair({down, across})};
            plan.outputs = {evenly(rows, most(window.rows, down)), evenly(columns, most(window.columns, across))};
            plan.down = ceil_div(rows, plan.outputs.rows);
            plan.across = ceil_div(columns, plan.outputs.columns);
            if (best.cost == 0 || plan.total() < best.total()) {
                best = plan;
            }
        }
    }
    require(best.cost > 0, "correlate_fft: the window is too large");
    return best;
}

/// The spectra of the kernels of a bank.
class Spectra {
public:
    Spectra(const ConstStack& kernels, const Window2D& window, const FourierTile& tile, double cost, int workers)
        : window_(window), tile_(tile), distinct_(kernels), places_(kernels.leading) {
        std::erase_if(distinct_.leading, [](const auto& axis) { return axis.stride == 0; });
        index next = 1;
        for (auto& axis : std::views::reverse(places_)) {
            axis.stride = axis.stride == 0 ? 0 : next;
            next *= axis.stride == 0 ? 1 : axis.extent;
        }
        gains_.resize(static_cast<std::size_t>(distinct()));
        lines_.resize(static_cast<std::size_t>(distinct() * size() / Line::numbers_of_line));
        const std::size_t bytes = Scratch::bytes<double>(tile.size());
        parallel_for({distinct(), cost, bytes, workers}, [&](index number, Scratch scratch) {
            double* const spectrum = lines_.data()->numbers + number * size();
            transform(weights(number), scratch.take<double>(tile.size()), spectrum);
            gains_[static_cast<std::size_t>(number)] =
                largest_magnitude(spectrum) * static_cast<double>(tile.numbers());
        });
    }

    /// Kernels that are not the same one in memory.
    index distinct() const { return distinct_.planes(); }

    std::vector<double> weights(index distinct_number) const {
        const ConstPlane kernel = distinct_.plane(distinct_number);
        const ReadRun<double> read = row_reader<AsNumber, double>(distinct_.element);
        std::vector<double> weights(static_cast<std::size_t>(window_.taps()));
        for (index row = 0; row < kernel.rows; ++row) {
            read(kernel.at(row, 0), kernel.column_stride, kernel.columns, weights.data() + row * kernel.columns);
        }
        return weights;
    }

    /// The largest magnitude of a spectrum.
    double gain(index distinct_number) const { return gains_[static_cast<std::size_t>(distinct_number)]; }

    /// That of kernel `number` of the bank, block by block.
    const double* operator[](index number) const { return lines_.data()->numbers + place(number) * size(); }

    /// Which of the distinct ones kernel `number` of the bank is.
    index place(index number) const {
        index place = 0;
        for (const auto& axis : std::views::reverse(places_)) {
            place += number % axis.extent * axis.stride;
            number /= axis.extent;
        }
        return place;
    }

private:
    /// Doubles that begin on a cache line.
    struct alignas(cache_line) Line {
        static constexpr index numbers_of_line = cache_line / index{sizeof(double)};
        double numbers[numbers_of_line];
    };

    index size() const { return tile_.blocks() * tile_.block_size(); }

    void transform(const std::vector<double>& weights, double* tile, double* spectrum) const {
        std::fill_n(tile, tile_.size(), 0.0);
        // Backwards, for a correlation, and scaled for the way there and back.
        const auto before = [](index tap, const WindowAxis& axis, index size) {
            return (size - tap * axis.dilation) % size;
        };
        for (index tap = 0; tap < window_.taps(); ++tap) {
            const index y = before(tap / window_.columns.size, window_.rows, tile_.rows());
            const index x = before(tap % window_.columns.size, window_.columns, tile_.columns());
            tile[tile_.place(y, x, 0)] = weights[static_cast<std::size_t>(tap)] / static_cast<double>(tile_.numbers());
        }
        tile_.transform_columns(tile);
        for (index block = 0; block < tile_.blocks(); ++block) {
            tile_.transform_rows(tile, block, spectrum + block * tile_.block_size());
        }
    }

    double largest_magnitude(const double* spectrum) const {
        Lanes<double> largest{};
        for (index i = 0; i < size(); i += Complex::extent) {
            const Complex number = Complex::load(spectrum + i);
            const Lanes<double> square = number.re * number.re + number.im * number.im;
            largest = largest < square ? square : largest;
        }
        double all = 0;
        for (index lane = 0; lane < FourierTile::lanes; ++lane) {
            all = std::max(all, largest[lane]);
        }
        return std::sqrt(all);
    }

    Window2D window_;
    const FourierTile& tile_;
    ConstStack distinct_;
    std::vector<ConstStack::Axis> places_;  // of the spectrum of every kernel
    std::vector<Line> lines_;
    std::vector<double> gains_;
};

/// What becomes of a block of results.
enum class Outcome : char {
    transformed,
    zero,  // as are all pixels of its windows
    left,  // to be summed tap by tap
};

/// `Result` is what sums are rounded to.
template <class Result>
class FftCorrelation {
public:
    FftCorrelation(const KernelBank& bank, const Window2D& window, const Plan& plan, const std::byte* fill,
                   const SumEnding& ending, int workers)
        : bank_(bank),
          window_(window),
          plan_(plan),
          fill_(fill),
          ending_(ending),
          delta_(detail::read_delta<Result, double>(ending)),
          tile_(plan_.numbers.rows, plan_.numbers.columns),
          spectra_(bank.kernel, window, tile_, plan_.cost / 2, workers),
          loader_(window_of_tile(), 1, 1, ColumnLayout::dense, row_reader<AsNumber, double>(bank.image.element),
                  read_fill<AsNumber, double>(bank.kernel.element.dtype, fill)),
          write_(row_writer<FromNumber, Result>(bank.out.element)),
          together_(std::clamp<index>(static_cast<index>(longest_task / plan_.cost), 1,
                                      std::min(bank.kernels, KernelBank::most_together))),
          down_(ceil_div((plan_.outputs.rows - 1) * window.rows.stride + 1, side)),
          across_(ceil_div((plan_.outputs.columns - 1) * window.columns.stride + 1, side)) {
        require(row_reader<AsNumber, double>(bank.image.element) != nullptr && write_ != nullptr,
                "correlate_fft: no loop for these element types");
        require(!detail::cuts_off<Result>(ending, bank.out.element.dtype), "correlate_fft: no cut off sums of floats");
        for (index number = 0; number < spectra_.distinct(); ++number) {
            shares_.emplace_back(spectra_.weights(number), window.rows.size, window.columns.size, spectra_.gain(number),
                                 least_share, has_cells() ? Cells::largest : -1);
        }
    }

    void run(int workers) {
        const auto is_regular = [](const WeightShares& shares) { return shares.is_regular(); };
        if (!std::ranges::all_of(shares_, is_regular)) {
            return correlate(bank_.image_of_all(), bank_.kernel, bank_.out, window_, fill_, ending_, workers);
        }
        const index images = bank_.image.planes();
        const index parts = ceil_div(bank_.kernels, together_);
        std::vector<Outcome> outcomes(static_cast<std::size_t>(images * bank_.kernels * outcomes_of_kernel()));
        const double cost = plan_.cost * (1 + static_cast<double>(together_)) / 2;
        parallel_for({images * parts * plan_.pairs(), cost, Buffers::bytes(*this), workers},
                     [&](index number, Scratch scratch) {
                         const index first = number % parts * together_;
                         const Task task{number / parts / plan_.pairs(), number / parts % plan_.pairs() * 2, first,
                                         std::min(first + together_, bank_.kernels)};
                         compute(task, Buffers(scratch, *this), outcomes.data());
                     });
        for (index number = 0; number < images * bank_.kernels; ++number) {
            for (const Tile& piece : pieces_left(outcomes.data() + number * outcomes_of_kernel())) {
                sum_directly(number, piece, workers);
            }
        }
    }

private:
    static constexpr index side = 8;           // of the blocks of outputs that share an outcome
    static constexpr index cost_of_piece = 8;  // beside that of the same outputs in a whole tile

    // Of what even weights would give: below, cells say too little. Transforms of what is rounded to float err so
    // little that nearly any will do, and large ones are seldom black.
    static constexpr double least_share = std::is_same_v<Result, double> ? 0.05 : 1e-3;

    /// The tiles `tile` and `tile + 1` of an image, and kernels [first, last) of its bank.
    struct Task {
        index image;
        index tile;
        index first, last;
    };

    /// One of the two tiles that are transformed at once.
    struct Half {
        bool exists;
        Tile tile;  // of outputs
        Magnitudes pixels;
        Cells cells;
        double least_cell[Cells::kinds];
    };

    /// In a worker's scratch.
    struct Buffers {
        double* tile;
        double* spectrum;
        double* product;
        double* line;
        double* cells[2];
        Result* results;

        static std::size_t bytes(const FftCorrelation& owner) {
            return Scratch::bytes<double>(owner.tile_.size()) + Scratch::bytes<double>(owner.spectrum_size()) +
                   Scratch::bytes<double>(owner.tile_.block_size()) + Scratch::bytes<double>(owner.line_size()) +
                   2 * Scratch::bytes<double>(owner.cells_size()) + Scratch::bytes<Result>(owner.line_size());
        }

        Buffers(Scratch scratch, const FftCorrelation& owner)
            : tile(scratch.take<double>(owner.tile_.size())),
              spectrum(scratch.take<double>(owner.spectrum_size())),
              product(scratch.take<double>(owner.tile_.block_size())),
              line(scratch.take<double>(owner.line_size())),
              cells{scratch.take<double>(owner.cells_size()), scratch.take<double>(owner.cells_size())},
              results(scratch.take<Result>(owner.line_size())) {}
    };

    /// Whether the taps of a block lie side by side.
    bool has_cells() const {
        return !std::is_integral_v<Result> && window_.rows.dilation == 1 && window_.columns.dilation == 1;
    }

    index line_size() const { return plan_.numbers.columns + row_slack; }
    index cells_size() const { return Cells::size(tile_.rows(), tile_.columns()); }
    index blocks() const { return down_ * across_; }
    index outcomes_of_kernel() const { return plan_.tiles() * blocks(); }
    /// Of the spectrum of a tile, all is kept for a bank of kernels.
    index spectrum_size() const { return tile_.block_size() * (together_ > 1 ? tile_.blocks() : 1); }

    /// A tile as the window of one output.
    Window2D window_of_tile() const {
        const auto all = [](WindowAxis axis, index outputs) {
            axis.size = (outputs - 1) * axis.stride + axis.reach();
            axis.dilation = 1;
            return axis;
        };
        return {all(window_.rows, plan_.outputs.rows), all(window_.columns, plan_.outputs.columns)};
    }

    Tile tile_of(index number) const {
        const MutablePlane& out = bank_.out.first;
        const index row = number / plan_.across * plan_.outputs.rows;
        const index column = number % plan_.across * plan_.outputs.columns;
        return {0, row, column, std::min(plan_.outputs.rows, out.rows - row),
                std::min(plan_.outputs.columns, out.columns - column)};
    }

    void compute(const Task& task, const Buffers& buffers, Outcome* outcomes) const {
        Half halves[2] = {load_half(task, 0, buffers), load_half(task, 1, buffers)};
        Magnitudes both;
        for (index part = 0; part < 2; ++part) {
            if (halves[part].exists && halves[part].pixels.have_squares()) {
                both = both + halves[part].pixels;
            } else {
                clear(part, buffers);
            }
        }
        const auto outcomes_of = [&](index kernel, index part) {
            return outcomes + (task.image * bank_.kernels + kernel) * outcomes_of_kernel() +
                   (task.tile + part) * blocks();
        };
        bool any = false;
        for (index kernel = task.first; kernel < task.last; ++kernel) {
            any |= decide(task, kernel, halves, both, outcomes_of);
        }
        if (any) {
            transform(task, buffers);
        }
        for (index kernel = task.first; kernel < task.last; ++kernel) {
            if (any) {
                restore(task, kernel, buffers);
            }
            for (index part = 0; part < 2; ++part) {
                if (halves[part].exists) {
                    write(task.image * bank_.kernels + kernel, part, halves[part].tile, outcomes_of(kernel, part),
                          buffers);
                }
            }
        }
    }

    Half load_half(const Task& task, index part, const Buffers& buffers) const {
        const index number = task.tile + part;
        const bool exists = number < plan_.tiles();
        Half half{exists,
                  exists ? tile_of(number) : Tile{},
                  {},
                  Cells(buffers.cells[part], tile_.rows(), tile_.columns()),
                  {}};
        if (exists) {
            load(task.image, part, buffers, half);
        }
        return half;
    }

    /// Whether the spectrum of a tile is kept for one kernel after another.
    bool keeps() const { return together_ > 1; }
    double* spectrum(const Buffers& buffers, index block) const {
        return buffers.spectrum + (keeps() ? block * tile_.block_size() : 0);
    }

    void restore_rows(const Task& task, index kernel, index block, const Buffers& buffers) const {
        const double* const factors = spectra_[task.image * bank_.kernels + kernel] + block * tile_.block_size();
        tile_.restore_rows(spectrum(buffers, block), factors, block, buffers.product, buffers.tile);
    }

    void transform(const Task& task, const Buffers& buffers) const {
        tile_.transform_columns(buffers.tile);
        for (index block = 0; block < tile_.blocks(); ++block) {
            tile_.transform_rows(buffers.tile, block, spectrum(buffers, block));
            if (!keeps()) {
                restore_rows(task, task.first, block, buffers);
            }
        }
    }

    void restore(const Task& task, index kernel, const Buffers& buffers) const {
        for (index block = 0; keeps() && block < tile_.blocks(); ++block) {
            restore_rows(task, kernel, block, buffers);
        }
        tile_.restore_columns(buffers.tile);
    }

    // What may be transformed

    /// Decides on the blocks of two tiles, for a kernel; whether any of them is transformed.
    template <class OutcomesOf>
    bool decide(const Task& task, index kernel, const Half (&halves)[2], const Magnitudes& both,
                const OutcomesOf& outcomes_of) const {
        const auto place = static_cast<std::size_t>(spectra_.place(task.image * bank_.kernels + kernel));
        bool any = false;
        for (index part = 0; part < 2; ++part) {
            if (halves[part].exists) {
                Outcome* const outcomes = outcomes_of(kernel, part);
                decide(shares_[place], halves[part], both, outcomes);
                any |= std::find(outcomes, outcomes + blocks(), Outcome::transformed) != outcomes + blocks();
            }
        }
        return any;
    }

    void decide(const WeightShares& shares, const Half& half, const Magnitudes& both, Outcome* outcomes) const {
        const Magnitudes& pixels = half.pixels;
        const auto set_all = [&](Outcome outcome) { std::fill_n(outcomes, blocks(), outcome); };
        if (pixels.are_zero()) {
            return set_all(Outcome::zero);
        }
        if (!pixels.have_squares()) {
            return set_all(Outcome::left);
        }
        const double least_cell = shares.kind() < 0 ? 0.0 : half.least_cell[shares.kind()];
        if (is_tame(shares, shares.least_mean(pixels, least_cell), both)) {
            return set_all(Outcome::transformed);
        }
        // Looking at each block takes too long for doubles, or for small cells.
        if (std::is_same_v<Result, double> || !shares.has_few()) {
            return set_all(Outcome::left);
        }
        const Window2D window = window_of_tile();
        index left = 0;
        for (index row = 0; row < down_; ++row) {
            for (index column = 0; column < across_; ++column) {
                const double mean =
                    shares.least_mean(half.cells, row, column, side, window.rows.size, window.columns.size);
                const Outcome rest = is_black(half.cells, row, column) ? Outcome::zero : Outcome::left;
                outcomes[row * across_ + column] = is_tame(shares, mean, both) ? Outcome::transformed : rest;
                left += outcomes[row * across_ + column] == Outcome::left ? 1 : 0;
            }
        }
        if (left * cost_of_piece > blocks()) {
            set_all(Outcome::left);
        }
    }

    /// Whether all windows that begin in a block are zeros.
    bool is_black(const Cells& cells, index row, index column) const {
        constexpr int kind = Cells::largest;
        static_assert(Cells::side(kind) == side);
        const index bottom = std::min(row + ceil_div(window_.rows.size - 1, side) + 1, cells.down(kind));
        const index right = std::min(column + ceil_div(window_.columns.size - 1, side) + 1, cells.across(kind));
        for (; row < bottom; ++row) {
            for (index x = column; x < right; ++x) {
                if (cells(kind, row, x) != 0) {
                    return false;
                }
            }
        }
        return true;
    }

    /// Of windows with a mean |w| |x| / sum |w|, transformed with the pixels of `both`.
    bool is_tame(const WeightShares& shares, double mean, const Magnitudes& both) const {
        constexpr double unit = 0x1p-53;
        const double taps = static_cast<double>(window_.taps());
        // By theorem 24.2 of N. J. Higham: Accuracy and stability of numerical algorithms, for all three transforms.
        const double growth = 21 * std::log2(static_cast<double>(tile_.numbers()));
        const double norm = std::sqrt(both.squares);
        if constexpr (std::is_integral_v<Result>) {
            return growth * unit * shares.gain() * norm < 0.25;
        } else if constexpr (std::is_same_v<Result, float>) {
            constexpr double unit_of_result = 0x1p-24;
            return (taps - 1) * unit_of_result * mean >=
                   growth * unit * shares.gain_share() * norm;  // and one rounding
        } else {
            // That bound never suffices for doubles. The largest error seen, of smooth and rough kernels on noise,
            // steps, combs, lone pixels and chirps, was 8 u sum |w| |x| + 10 u max |W| max |x|.
            return (taps - 8) * mean >= 20 * shares.gain_share() * both.largest;
        }
    }

    // Pixels and results

    /// Zeros, for the real (0) or imaginary parts of a tile.
    void clear(index part, const Buffers& buffers) const {
        std::fill_n(buffers.line, tile_.columns(), 0.0);
        for (index y = 0; y < tile_.rows(); ++y) {
            tile_.put_row(buffers.line, y, part, buffers.tile);
        }
    }

    /// Loads a tile as real or imaginary parts.
    void load(index image, index part, const Buffers& buffers, Half& half) const {
        const Window2D window = window_of_tile();
        const ConstPlane source = bank_.image.plane(image);
        const index columns = window.columns.size;
        std::fill(buffers.line + columns, buffers.line + tile_.columns(), 0.0);
        for (index y = 0; y < tile_.rows(); ++y) {
            if (y < window.rows.size) {
                loader_.load_row(source, loader_.row_position(half.tile.row, 1, y), half.tile.column, 1, buffers.line);
                half.pixels.add(buffers.line, columns);
            } else if (y == window.rows.size) {
                std::fill_n(buffers.line, columns, 0.0);
            }
            if (has_cells()) {
                half.cells.add_row(buffers.line, y);
            }
            tile_.put_row(buffers.line, y, part, buffers.tile);
        }
        if (has_cells()) {
            half.cells.finish();
            for (int kind = 0; kind < Cells::kinds; ++kind) {
                half.least_cell[kind] = half.cells.least(kind, window.rows.size, columns);
            }
        }
    }

    /// The first output of block `number` of a tile, of `count` outputs.
    index first_output(index number, index stride, index count) const {
        return std::min(ceil_div(number * side, stride), count);
    }

    void write(index number, index part, const Tile& tile, const Outcome* of_blocks, const Buffers& buffers) const {
        const MutablePlane target = bank_.out.plane(number);
        const auto& [plane, top, left, rows, columns] = tile;
        for (index y = 0; y < rows; ++y) {
            const Outcome* const outcomes = of_blocks + y * window_.rows.stride / side * across_;
            bring_results(y, part, tile, buffers);
            for (index block = 0, next = 0; block < across_; block = next) {
                const Outcome outcome = outcomes[block];
                while (next < across_ && outcomes[next] == outcome) {
                    ++next;
                }
                const index begin = first_output(block, window_.columns.stride, columns);
                const index end = first_output(next, window_.columns.stride, columns);
                if (outcome == Outcome::zero) {
                    std::fill(buffers.results + begin, buffers.results + end, to_result<Result>(delta_));
                }
                if (outcome != Outcome::left) {
                    write_(buffers.results + begin, end - begin, target.at(top + y, left + begin),
                           target.column_stride);
                }
            }
        }
    }

    /// Brings a row of results, of which some columns are asked for.
    void bring_results(index y, index part, const Tile& tile, const Buffers& buffers) const {
        const index stride = window_.columns.stride;
        tile_.take_row(buffers.tile, y * window_.rows.stride, part, (tile.columns - 1) * stride + 1, buffers.line);
        for (index x = 0; x < tile.columns; ++x) {
            buffers.results[x] = to_result<Result>(buffers.line[x * stride] + delta_);
        }
    }

    // What is left

    /// The outputs of a plane that are left, in rectangles; marks them as transformed.
    std::vector<Tile> pieces_left(Outcome* outcomes) const {
        std::vector<Tile> pieces;
        for (index number = 0; number < plan_.tiles(); ++number, outcomes += blocks()) {
            for (index block = 0; block < blocks(); ++block) {
                if (outcomes[block] != Outcome::left) {
                    continue;
                }
                const Tile piece = take_piece(outcomes, block, tile_of(number));
                const bool joins = !pieces.empty() && pieces.back().row == piece.row &&
                                   pieces.back().rows == piece.rows &&
                                   pieces.back().column + pieces.back().columns == piece.column;
                if (joins) {
                    pieces.back().columns += piece.columns;
                } else {
                    pieces.push_back(piece);
                }
            }
        }
        return pieces;
    }

    /// The outputs of the blocks that are left on the right of a block, it included, and as many below each other.
    Tile take_piece(Outcome* outcomes, index block, const Tile& tile) const {
        const index row = block / across_;
        const index column = block % across_;
        const auto is_left = [&](index y, index x) { return outcomes[y * across_ + x] == Outcome::left; };
        index right = column;
        while (right < across_ && is_left(row, right)) {
            ++right;
        }
        const auto are_left = [&](index y) {
            for (index x = column; x < right; ++x) {
                if (!is_left(y, x)) {
                    return false;
                }
            }
            return true;
        };
        index bottom = row;
        for (; bottom < down_ && are_left(bottom); ++bottom) {
            std::fill_n(outcomes + bottom * across_ + column, right - column, Outcome::transformed);
        }
        const index top = first_output(row, window_.rows.stride, tile.rows);
        const index left = first_output(column, window_.columns.stride, tile.columns);
        return {0, tile.row + top, tile.column + left, first_output(bottom, window_.rows.stride, tile.rows) - top,
                first_output(right, window_.columns.stride, tile.columns) - left};
    }

    void sum_directly(index number, const Tile& piece, int workers) const {
        MutablePlane target = bank_.out.plane(number);
        target.data = target.at(piece.row, piece.column);
        target.rows = piece.rows;
        target.columns = piece.columns;
        Window2D window = window_;
        window.rows.before -= piece.row * window.rows.stride;
        window.columns.before -= piece.column * window.columns.stride;
        const auto alone = [](auto plane, const auto& stack) {
            return std::decay_t<decltype(stack)>{plane, {}, stack.element};
        };
        correlate(alone(bank_.image.plane(number / bank_.kernels), bank_.image),
                  alone(bank_.kernel.plane(number), bank_.kernel), alone(target, bank_.out), window, fill_, ending_,
                  workers);
    }

    const KernelBank& bank_;
    Window2D window_;
    Plan plan_;
    const std::byte* fill_;
    SumEnding ending_;
    double delta_;
    FourierTile tile_;
    Spectra spectra_;
    TileLoader<double> loader_;
    WriteRun<Result> write_;
    index together_;       // kernels
    index down_, across_;  // blocks of a tile
    std::vector<WeightShares> shares_;
};

void run(const KernelBank& bank, const Window2D& window, const Plan& plan, const std::byte* fill,
         const SumEnding& ending, int workers) {
    switch (bank.kernel.element.dtype) {
        case Dtype::int32: return FftCorrelation<std::int32_t>(bank, window, plan, fill, ending, workers).run(workers);
        case Dtype::float32: return FftCorrelation<float>(bank, window, plan, fill, ending, workers).run(workers);
        case Dtype::float64: return FftCorrelation<double>(bank, window, plan, fill, ending, workers).run(workers);
        default: require(false, "correlate_fft: the kernel is int32, float32 or float64");
    }
}

/// How many kernels along each axis have spectra that are kept at once.
std::vector<index> choose_part(const ConstStack& kernel, double bytes_of_spectrum) {
    constexpr double most_bytes = 64 * 1024 * 1024;
    std::vector<index> part;
    part.reserve(kernel.leading.size());
    for (const auto& axis : kernel.leading) {
        part.push_back(axis.stride == 0 ? 1 : axis.extent);
    }
    const auto bytes = [&] {
        double all = bytes_of_spectrum;
        for (const index kernels : part) {
            all *= static_cast<double>(kernels);
        }
        return all;
    };
    while (bytes() > most_bytes) {
        index& longest = *std::ranges::max_element(part);
        if (longest == 1) {
            break;
        }
        longest = (longest + 1) / 2;
    }
    for (std::size_t axis = 0; axis < part.size(); ++axis) {
        part[axis] = kernel.leading[axis].stride == 0 ? kernel.leading[axis].extent : part[axis];
    }
    return part;
}
}  // namespace

bool has_fft(const Window2D& window) {
    return std::max(window.rows.reach(), window.columns.reach()) <= longest_reach;
}

bool fft_is_faster(const Window2D& window, index rows, index columns, index item_size) {
    constexpr double clearly = 1.1;
    constexpr index least_taps = 49;  // fewer are never worth a look at the plans
    constexpr index most = index{1} << 31;
    rows = std::min(rows, most);
    columns = std::min(columns, most);
    const double outputs = static_cast<double>(rows) * static_cast<double>(columns);
    return window.taps() >= least_taps && has_fft(window) && rows > 0 && columns > 0 &&
           clearly * choose_plan(window, rows, columns).total() < outputs * cost_of_correlation(window, item_size);
}

void correlate_fft(const ConstStack& image, const ConstStack& kernel, const MutableStack& out, const Window2D& window,
                   const std::byte* fill, const SumEnding& ending, int workers) {
    require(kernel.first.rows == window.rows.size && kernel.first.columns == window.columns.size,
            "correlate_fft: the window has the shape of the kernel");
    require(has_fft(window), "correlate_fft: the window is too large");
    require(!kernel.element.swapped, "correlate_fft: the kernel is in native byte order");
    if (out.planes() * out.first.rows * out.first.columns == 0) {
        return;
    }
    const Plan plan = choose_plan(window, out.first.rows, out.first.columns);
    const std::vector<index> part =
        choose_part(kernel, static_cast<double>(plan.numbers.rows * plan.numbers.columns) * 2 * sizeof(double));
    std::vector<index> first(part.size());
    const auto some = [&](auto stack) {
        for (std::size_t axis = 0; axis < part.size(); ++axis) {
            stack.first.data += first[axis] * stack.leading[axis].stride;
            stack.leading[axis].extent = std::min(part[axis], stack.leading[axis].extent - first[axis]);
        }
        return stack;
    };
    for (bool more = true; more;) {
        run(detail::kernel_bank(some(image), some(kernel), some(out)), window, plan, fill, ending, workers);
        more = false;
        for (std::size_t axis = 0; axis < part.size() && !more; ++axis) {
            first[axis] += part[axis];
            more = first[axis] < kernel.leading[axis].extent;
            first[axis] = more ? first[axis] : 0;
        }
    }
}

}  // namespace imkernels
