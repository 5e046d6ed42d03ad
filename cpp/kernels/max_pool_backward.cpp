// Scattering to positions that come from outside, one step per value.
//
// A position is looked at as it is used; one outside the plane is passed over, and named when all others are done. To
// look through all of them first would take a quarter of the time. A plane is one worker's: the order of its sums is
// part of the result.
#include "kernels/max_pool_backward.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>

#include "core/check.hpp"
#include "core/order_key.hpp"
#include "rows/copy_element.hpp"
#include "rows/tile_grid.hpp"
#include "simd/lanes.hpp"

namespace imkernels {

namespace {
using Position = std::uint64_t;  // a negative one is huge

Position position_at(const std::byte* source) {
    return detail::load_element<Position, false>(source);
}

/// Throws for the first position that is not one of the pixels of `out`.
void refuse_argmax(const ConstStack& argmax, const MutablePlane& out) {
    const auto pixels = static_cast<Position>(out.rows) * static_cast<Position>(out.columns);
    for (index number = 0; number < argmax.planes(); ++number) {
        const ConstPlane plane = argmax.plane(number);
        for (index row = 0; row < plane.rows; ++row) {
            for (index column = 0; column < plane.columns; ++column) {
                const Position position = position_at(plane.at(row, column));
                if (position >= pixels) {
                    throw std::out_of_range("argmax must hold indices into the plane of " + std::to_string(out.rows) +
                                            " x " + std::to_string(out.columns) + " pixels, got " +
                                            std::to_string(static_cast<std::int64_t>(position)));
                }
            }
        }
    }
    throw std::out_of_range("argmax must not be written to while it is read");
}

/// What is done with a value where it belongs; `size` is that of an element.
template <class T>
struct AddElement {
    static constexpr index size = sizeof(T);
    void operator()(const std::byte* source, std::byte* target) const {
        using Sum = std::conditional_t<std::is_integral_v<T>, std::uint64_t, T>;
        const Sum sum = static_cast<Sum>(detail::load_element<T, false>(target)) +
                        static_cast<Sum>(detail::load_element<T, false>(source));
        detail::store_element<T, false>(target, static_cast<T>(sum));
    }
};
template <class T, bool swapped>
struct PutElement {
    static constexpr index size = sizeof(T);
    void operator()(const std::byte* source, std::byte* target) const {
        detail::copy_element<T, false, swapped>(source, target);
    }
};

/// One type stands for all integers of its size, which are added modulo that and copied alike.
template <class T>
using Integer = std::make_unsigned_t<OrderKey<T>>;

/// Elements at a constant distance.
template <class Byte>
struct Line {
    Byte* data;
    index stride;

    Byte* at(index number) const { return data + number * stride; }
};

template <class Put>
class Scatter {
public:
    Scatter(const ConstStack& values, const ConstStack& argmax, const MutableStack& out)
        : values_(values),
          argmax_(argmax),
          out_(out),
          pixels_(out.first.rows * out.first.columns),
          together_(planes_together(out)),
          rows_follow_(out.first.rows == 1 || out.first.row_stride == out.first.columns * out.first.column_stride),
          dense_(rows_follow_ && out.first.column_stride == size && values.first.column_stride == size &&
                 argmax.first.column_stride == position_size) {}

    void run(int workers) const {
        const index columns = values_.first.columns;
        const index width = std::min(columns, band_values);
        const index height = std::max<index>(1, band_values / std::max<index>(1, width * together_));
        const bool in_one_band = columns == width && values_.first.rows <= height && pixels_ <= band_values;
        if (!dense_ || !in_one_band) {
            zero(workers);
        }
        bool all_inside = true;
        for (index row = 0; row < values_.first.rows; row += height) {
            for (index column = 0; column < columns; column += width) {
                const Tile band{0, row, column, std::min(height, values_.first.rows - row),
                                std::min(width, columns - column)};
                all_inside = scatter_band(band, dense_ && in_one_band, workers) && all_inside;
            }
        }
        if (!all_inside) {
            refuse_argmax(argmax_, out_.first);
        }
    }

private:
    static constexpr index size = Put::size;
    static constexpr index position_size = sizeof(Position);
    static constexpr index band_values = index{1} << 22;
    static constexpr double cost_of_value = 0.8;  // nanoseconds, on one core (Zen 5)

    /// Planes that lie interleaved, pixel by pixel, and share cache lines.
    static index planes_together(const MutableStack& out) {
        constexpr index most = 16;
        if (out.leading.empty() || out.leading.back().stride != size || out.first.column_stride <= size) {
            return 1;
        }
        const index planes = out.leading.back().extent;
        index together = std::clamp<index>(planes, 1, most);
        while (planes % together != 0) {
            --together;
        }
        return together;
    }

    void zero(int workers) const {
        TileGrid(out_.planes(), out_.first.rows, out_.first.columns, part_of_row(out_.first.columns), 0.2, together_)
            .for_each(0, workers, [&](const Tile& part, Scratch) {
                const MutablePlane plane = out_.plane(part.plane);
                for (index column = part.column; column < part.column + part.columns; ++column) {
                    std::memset(plane.at(part.row, column), 0, size);
                }
            });
    }

    /// Planes come in bands, so that there is a moment between them to answer Ctrl-C. Says whether all positions lie in
    /// them, as all functions below.
    bool scatter_band(const Tile& band, bool zeroes, int workers) const {
        const double cost = cost_of_value * static_cast<double>(band.rows * band.columns * together_) +
                            (zeroes ? 0.1 * static_cast<double>(pixels_) : 0);
        std::atomic<bool> all_inside = true;
        parallel_for({out_.planes() / together_, cost, 0, workers}, [&](index group, Scratch) {
            bool inside = true;
            const index plane = group * together_;
            const MutablePlane target = out_.plane(plane);
            if (dense_) {
                if (zeroes) {
                    std::memset(target.data, 0, static_cast<std::size_t>(pixels_ * size));
                }
                inside = scatter_dense(plane, band, target.data);
            } else if (rows_follow_) {
                inside = scatter_rows(plane, band, [&](Position position, index) {
                    return target.data + static_cast<index>(position) * target.column_stride;
                });
            } else {
                const auto width = static_cast<Position>(target.columns);
                inside = scatter_rows(plane, band, [&](Position position, index) {
                    return target.at(static_cast<index>(position / width), static_cast<index>(position % width));
                });
            }
            if (!inside) {
                all_inside = false;
            }
        });
        return all_inside;
    }

    bool scatter_dense(index plane, const Tile& band, std::byte* out) const {
        constexpr index part = cache_line / std::min(size, position_size);  // of a line of values, or of positions
        constexpr index ahead = 512;
        ConstPlane values = values_.plane(plane);
        ConstPlane argmax = argmax_.plane(plane);
        values.data = values.at(band.row, band.column);
        argmax.data = argmax.at(band.row, band.column);
        values.rows = argmax.rows = band.rows;
        values.columns = argmax.columns = band.columns;
        const bool whole = values.columns == values_.first.columns;
        if (whole && with_long_rows(values).rows == 1 && with_long_rows(argmax).rows == 1) {
            values = with_long_rows(values);
            argmax = with_long_rows(argmax);
        }
        bool inside = true;
        for (index row = 0; row < values.rows; ++row) {
            for (index column = 0; column < values.columns; column += part) {
                const Line value_line{values.at(row, column), size};
                const Line position_line{argmax.at(row, column), position_size};
                for (index i = 0; i < part; i += cache_line / position_size) {
                    prefetch(position_line.data + (ahead + i) * position_size);
                }
                for (index i = 0; i < part; i += cache_line / size) {
                    prefetch(value_line.data + (ahead + i) * size);
                }
                inside &=
                    scatter_line(value_line, position_line, std::min(part, values.columns - column),
                                 [=](Position position, index) { return out + static_cast<index>(position) * size; });
            }
        }
        return inside;
    }

    /// The planes of a group, pixel by pixel.
    template <class Target>
    bool scatter_rows(index plane, const Tile& band, Target target) const {
        const ConstPlane values = values_.plane(plane);
        const ConstPlane argmax = argmax_.plane(plane);
        bool inside = true;
        for (index row = band.row; row < band.row + band.rows; ++row) {
            if (together_ == 1) {
                inside &= scatter_line(Line{values.at(row, band.column), values.column_stride},
                                       Line{argmax.at(row, band.column), argmax.column_stride}, band.columns, target);
                continue;
            }
            const index value_step = values_.leading.back().stride;
            const index position_step = argmax_.leading.back().stride;
            for (index column = band.column; column < band.column + band.columns; ++column) {
                inside &= scatter_line(
                    Line{values.at(row, column), value_step}, Line{argmax.at(row, column), position_step}, together_,
                    [&](Position position, index number) { return target(position, 0) + number * size; });
            }
        }
        return inside;
    }

    /// `target(position, i)` is where value `i` belongs.
    template <class Target>
    bool scatter_line(Line<const std::byte> values, Line<const std::byte> argmax, index count, Target target) const {
        const auto pixels = static_cast<Position>(pixels_);
        bool inside = true;
        for (index i = 0; i < count; ++i) {
            const Position position = position_at(argmax.at(i));
            if (position >= pixels) {
                inside = false;
                continue;
            }
            Put{}(values.at(i), target(position, i));
        }
        return inside;
    }

    const ConstStack& values_;
    const ConstStack& argmax_;
    const MutableStack& out_;
    index pixels_;    // of a plane of the output
    index together_;  // planes
    bool rows_follow_;
    bool dense_;
};

void require_positions(const ConstStack& values, const ConstStack& argmax) {
    require(argmax.element.dtype == Dtype::int64 && !argmax.element.swapped, "argmax is int64");
    require(argmax.first.rows == values.first.rows && argmax.first.columns == values.first.columns,
            "every value has a position");
}
}  // namespace

void max_pool_backward(const ConstStack& grad, const ConstStack& argmax, const MutableStack& out, int workers) {
    require(grad.element.dtype == out.element.dtype && !grad.element.swapped && !out.element.swapped,
            "max_pool_backward: grad and out have one type, in native byte order");
    require_positions(grad, argmax);
    visit_dtype(grad.element.dtype, [&](auto tag) {
        using T = typename decltype(tag)::type;
        if constexpr (std::is_integral_v<T>) {
            Scatter<AddElement<Integer<T>>>(grad, argmax, out).run(workers);
        } else if constexpr (std::is_floating_point_v<T>) {
            Scatter<AddElement<T>>(grad, argmax, out).run(workers);
        } else {
            require(false, "max_pool_backward: no loop for this element type");
        }
    });
}

void max_unpool(const ConstStack& values, const ConstStack& argmax, const MutableStack& out, int workers) {
    require(values.element.dtype == out.element.dtype, "max_unpool: values and out have one type");
    require_positions(values, argmax);
    visit_dtype(out.element.dtype, [&](auto tag) {
        using T = Integer<typename decltype(tag)::type>;
        if (sizeof(T) > 1 && values.element.swapped != out.element.swapped) {
            Scatter<PutElement<T, true>>(values, argmax, out).run(workers);
        } else {
            Scatter<PutElement<T, false>>(values, argmax, out).run(workers);
        }
    });
}

}  // namespace imkernels
