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

#include "core/check.hpp"
#include "kernels/correlate.hpp"
#include "kernels/detail/fourier_tile.hpp"
#include "kernels/detail/kernel_bank.hpp"
#include "kernels/detail/tame.hpp"
#include "parallel/parallel_for.hpp"
#include "rows/row_writer.hpp"
#include "rows/tile_grid.hpp"
#include "rows/tile_loader.hpp"

namespace imkernels {

namespace {
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
    const double* operator[](index number) const {
        index place = 0;
        for (const auto& axis : std::views::reverse(places_)) {
            place += number % axis.extent * axis.stride;
            number /= axis.extent;
        }
        return lines_.data()->numbers + place * size();
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

/// `Result` is what sums are rounded to.
template <class Result>
class FftCorrelation {
public:
    FftCorrelation(const KernelBank& bank, const Window2D& window, const std::byte* fill, int workers)
        : bank_(bank),
          window_(window),
          plan_(choose_plan(window, bank.out.first.rows, bank.out.first.columns)),
          fill_(fill),
          tile_(plan_.numbers.rows, plan_.numbers.columns),
          spectra_(bank.kernel, window, tile_, plan_.cost / 2, workers),
          loader_(window_of_tile(), 1, 1, ColumnLayout::dense, row_reader<AsNumber, double>(bank.image.element),
                  read_fill<AsNumber, double>(bank.kernel.element.dtype, fill)),
          write_(row_writer<FromNumber, Result>(bank.out.element)),
          together_(std::clamp<index>(static_cast<index>(longest_task / plan_.cost), 1,
                                      std::min(bank.kernels, KernelBank::most_together))) {
        require(row_reader<AsNumber, double>(bank.image.element) != nullptr && write_ != nullptr,
                "correlate_fft: no loop for these element types");
        const bool near = window.rows.dilation == 1 && window.columns.dilation == 1;
        const index side_by_side = near ? window.columns.size : 0;  // taps
        for (index number = 0; number < spectra_.distinct(); ++number) {
            shares_.add(spectra_.weights(number), window.rows.size, side_by_side, spectra_.gain(number));
        }
        cell_ = std::is_integral_v<Result> ? 1 : shares_.cell();
    }

    void run(int workers) {
        if (!shares_.are_regular()) {
            return correlate(bank_.image_of_all(), bank_.kernel, bank_.out, window_, fill_, workers);
        }
        const index images = bank_.image.planes();
        const index parts = ceil_div(bank_.kernels, together_);
        std::vector<char> left(static_cast<std::size_t>(images * plan_.tiles()));
        const index line = plan_.numbers.columns + row_slack;
        const std::size_t bytes = Scratch::bytes<double>(tile_.size()) + Scratch::bytes<double>(spectrum_size()) +
                                  Scratch::bytes<double>(tile_.block_size()) + 2 * Scratch::bytes<double>(line) +
                                  Scratch::bytes<Result>(line);
        const double cost = plan_.cost * (1 + static_cast<double>(together_)) / 2;
        parallel_for({images * parts * plan_.pairs(), cost, bytes, workers}, [&](index number, Scratch scratch) {
            const index first = number % parts * together_;
            const Task task{number / parts / plan_.pairs(), number / parts % plan_.pairs() * 2, first,
                            std::min(first + together_, bank_.kernels)};
            compute(task, Buffers(scratch, *this), left.data() + task.image * plan_.tiles());
        });
        for (index image = 0; image < images; ++image) {
            sum_directly(image, left.data() + image * plan_.tiles(), workers);
        }
    }

private:
    /// The tiles `tile` and `tile + 1` of an image, and kernels [first, last) of its bank.
    struct Task {
        index image;
        index tile;
        index first, last;
    };

    /// In a worker's scratch.
    struct Buffers {
        double* tile;
        double* spectrum;
        double* product;
        double* line;
        double* cells;
        Result* results;

        Buffers(Scratch scratch, const FftCorrelation& owner)
            : tile(scratch.take<double>(owner.tile_.size())),
              spectrum(scratch.take<double>(owner.spectrum_size())),
              product(scratch.take<double>(owner.tile_.block_size())),
              line(scratch.take<double>(owner.plan_.numbers.columns + row_slack)),
              cells(scratch.take<double>(owner.plan_.numbers.columns + row_slack)),
              results(scratch.take<Result>(owner.plan_.numbers.columns + row_slack)) {}
    };

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

    /// Marks the tiles that must not be transformed as `left`.
    void compute(const Task& task, const Buffers& buffers, char* left) const {
        Magnitudes pixels[2];
        bool takes[2] = {true, task.tile + 1 < plan_.tiles()};
        const auto drop = [&](index part) {
            clear(part, buffers);
            pixels[part] = {};
            if (takes[part] && task.first == 0) {  // those with other kernels find the same
                left[task.tile + part] = 1;
            }
            takes[part] = false;
        };
        for (index part = 0; part < 2; ++part) {
            if (takes[part]) {
                pixels[part] = load(task.image, tile_of(task.tile + part), part, buffers);
            }
            if (!takes[part] || !pixels[part].have_squares()) {
                drop(part);
            }
        }
        const Magnitudes both = pixels[0] + pixels[1];
        for (index part = 0; part < 2; ++part) {
            if (!pixels[part].are_zero() && !is_tame(pixels[part], both)) {
                drop(part);
            }
        }
        if (!pixels[0].are_zero() || !pixels[1].are_zero()) {
            transform(task, buffers);
        }
        for (index kernel = task.first; kernel < task.last; ++kernel) {
            if (!pixels[0].are_zero() || !pixels[1].are_zero()) {
                restore(task, kernel, buffers);
            }
            for (index part = 0; part < 2; ++part) {
                if (takes[part]) {
                    write(task.image * bank_.kernels + kernel, tile_of(task.tile + part), part, pixels[part].are_zero(),
                          buffers);
                }
            }
        }
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

    /// Of the pixels of one tile, transformed with those of `both`.
    bool is_tame(const Magnitudes& pixels, const Magnitudes& both) const {
        constexpr double unit = 0x1p-53;
        const double taps = static_cast<double>(window_.taps());
        const double mean = shares_.least_mean(pixels);
        // By theorem 24.2 of N. J. Higham: Accuracy and stability of numerical algorithms, for all three transforms.
        const double growth = 21 * std::log2(static_cast<double>(tile_.numbers()));
        const double norm = std::sqrt(both.squares);
        if constexpr (std::is_integral_v<Result>) {
            return growth * unit * shares_.largest_gain() * norm < 0.25;
        } else if constexpr (std::is_same_v<Result, float>) {
            constexpr double unit_of_result = 0x1p-24;
            return (taps - 1) * unit_of_result * mean >=
                   growth * unit * shares_.gain_share() * norm;  // and one rounding
        } else {
            // That is never so for doubles. The largest error seen, of smooth and rough kernels on noise, steps, combs,
            // lone pixels and chirps, was 8 u sum |w| |x| + 10 u max |W| max |x|.
            return (taps - 8) * mean >= 20 * shares_.gain_share() * both.largest;
        }
    }

    /// Zeros, for the real (0) or imaginary parts of a tile.
    void clear(index part, const Buffers& buffers) const {
        std::fill_n(buffers.line, tile_.columns(), 0.0);
        for (index y = 0; y < tile_.rows(); ++y) {
            tile_.put_row(buffers.line, y, part, buffers.tile);
        }
    }

    /// Loads a tile as real or imaginary parts.
    Magnitudes load(index image, const Tile& tile, index part, const Buffers& buffers) const {
        const Window2D window = window_of_tile();
        const ConstPlane source = bank_.image.plane(image);
        const index columns = window.columns.size;
        Magnitudes pixels;
        std::fill(buffers.line + columns, buffers.line + tile_.columns(), 0.0);
        for (index y = 0; y < tile_.rows(); ++y) {
            if (y < window.rows.size) {
                loader_.load_row(source, loader_.row_position(tile.row, 1, y), tile.column, 1, buffers.line);
                pixels.add_row(buffers.line, columns, y, cell_, buffers.cells);
            } else if (y == window.rows.size) {
                std::fill_n(buffers.line, columns, 0.0);
            }
            tile_.put_row(buffers.line, y, part, buffers.tile);
        }
        return pixels;
    }

    void write(index number, const Tile& tile, index part, bool zeros, const Buffers& buffers) const {
        const MutablePlane target = bank_.out.plane(number);
        const index stride = window_.columns.stride;
        std::fill_n(buffers.line, tile.columns, 0.0);
        for (index y = 0; y < tile.rows; ++y) {
            if (!zeros) {
                tile_.take_row(buffers.tile, y * window_.rows.stride, part, (tile.columns - 1) * stride + 1,
                               buffers.line);
            }
            for (index x = 0; x < tile.columns; ++x) {
                buffers.results[x] = to_result<Result>(buffers.line[x * stride]);
            }
            write_(buffers.results, tile.columns, target.at(tile.row + y, tile.column), target.column_stride);
        }
    }

    /// Sums the tiles of an image that are left tap by tap, those side by side at once.
    void sum_directly(index image, const char* left, int workers) const {
        for (index number = 0; number < plan_.tiles(); ++number) {
            if (left[number] == 0) {
                continue;
            }
            const Tile first = tile_of(number);
            while ((number + 1) % plan_.across != 0 && left[number + 1] != 0) {
                ++number;
            }
            const Tile last = tile_of(number);
            KernelBank bank = bank_.of_image(image);
            bank.out.first = {bank.out.first.at(first.row, first.column), first.rows,
                              last.column + last.columns - first.column, bank.out.first.row_stride,
                              bank.out.first.column_stride};
            Window2D window = window_;
            window.rows.before -= first.row * window.rows.stride;
            window.columns.before -= first.column * window.columns.stride;
            correlate(bank.image_of_all(), bank.kernel, bank.out, window, fill_, workers);
        }
    }

    const KernelBank& bank_;
    Window2D window_;
    Plan plan_;
    const std::byte* fill_;
    FourierTile tile_;
    Spectra spectra_;
    TileLoader<double> loader_;
    WriteRun<Result> write_;
    index together_;  // kernels
    WeightShares shares_{std::is_same_v<Result, double> ? 0.05 : 0.01};
    index cell_ = 1;
};

void run(const KernelBank& bank, const Window2D& window, const std::byte* fill, int workers) {
    switch (bank.kernel.element.dtype) {
        case Dtype::int32: return FftCorrelation<std::int32_t>(bank, window, fill, workers).run(workers);
        case Dtype::float32: return FftCorrelation<float>(bank, window, fill, workers).run(workers);
        case Dtype::float64: return FftCorrelation<double>(bank, window, fill, workers).run(workers);
        default: require(false, "correlate_fft: the kernel is int32, float32 or float64");
    }
}

/// An axis of kernels, and how many of them have spectra that are kept at once.
struct Part {
    std::size_t axis;
    index kernels;
};

/// The longest axis along which kernels differ, in parts that keep the spectra small.
Part choose_part(const ConstStack& kernel, double bytes_of_spectrum) {
    constexpr double most_bytes = 64 * 1024 * 1024;
    const auto kernels = [&](std::size_t axis) {
        return kernel.leading[axis].stride == 0 ? 1 : kernel.leading[axis].extent;
    };
    Part part{0, 1};
    for (std::size_t axis = 0; axis < kernel.leading.size(); ++axis) {
        part = kernels(axis) > part.kernels ? Part{axis, kernels(axis)} : part;
    }
    double bytes_of_others = bytes_of_spectrum / static_cast<double>(part.kernels);
    for (std::size_t axis = 0; axis < kernel.leading.size(); ++axis) {
        bytes_of_others *= static_cast<double>(kernels(axis));
    }
    return {part.axis, std::clamp(static_cast<index>(most_bytes / bytes_of_others), index{1}, part.kernels)};
}
}  // namespace

bool has_fft(const Window2D& window) {
    return std::max(window.rows.reach(), window.columns.reach()) <= longest_reach;
}

bool fft_is_faster(const Window2D& window, index rows, index columns, index item_size) {
    constexpr double clearly = 1.1;
    constexpr index most = index{1} << 31;
    rows = std::min(rows, most);
    columns = std::min(columns, most);
    const double outputs = static_cast<double>(rows) * static_cast<double>(columns);
    return has_fft(window) && rows > 0 && columns > 0 &&
           clearly * choose_plan(window, rows, columns).total() < outputs * cost_of_correlation(window, item_size);
}

void correlate_fft(const ConstStack& image, const ConstStack& kernel, const MutableStack& out, const Window2D& window,
                   const std::byte* fill, int workers) {
    require(kernel.first.rows == window.rows.size && kernel.first.columns == window.columns.size,
            "correlate_fft: the window has the shape of the kernel");
    require(has_fft(window), "correlate_fft: the window is too large");
    require(!kernel.element.swapped, "correlate_fft: the kernel is in native byte order");
    if (out.planes() * out.first.rows * out.first.columns == 0) {
        return;
    }
    const TileShape numbers = choose_plan(window, out.first.rows, out.first.columns).numbers;
    const Part part = choose_part(kernel, static_cast<double>(numbers.rows * numbers.columns) * 2 * sizeof(double));
    if (kernel.leading.empty() || kernel.leading[part.axis].stride == 0) {
        return run(detail::kernel_bank(image, kernel, out), window, fill, workers);
    }
    const index extent = kernel.leading[part.axis].extent;
    for (index first = 0; first < extent; first += part.kernels) {
        const auto some = [&](auto stack) {
            auto& axis = stack.leading[part.axis];
            stack.first.data += first * axis.stride;
            axis.extent = std::min(part.kernels, extent - first);
            return stack;
        };
        run(detail::kernel_bank(some(image), some(kernel), some(out)), window, fill, workers);
    }
}

}  // namespace imkernels
