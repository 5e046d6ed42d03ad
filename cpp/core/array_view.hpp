// Views of array memory: strides are in bytes and may be anything, zero and negative included.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "core/dtype.hpp"
#include "core/index.hpp"

namespace imkernels {

/// One image plane. `Byte` is `std::byte` where it is written to and `const std::byte` where it is only read.
template <class Byte>
struct PlaneView {
    Byte* data;
    index rows, columns;
    index row_stride, column_stride;

    Byte* at(index row, index column) const { return data + row * row_stride + column * column_stride; }
};

/// The same elements in a single row, if one row follows another.
template <class Byte>
PlaneView<Byte> with_long_rows(PlaneView<Byte> plane) {
    if (plane.row_stride == plane.columns * plane.column_stride) {
        plane.columns *= plane.rows;
        plane.rows = 1;
    }
    return plane;
}

/// A batch of planes `(..., H, W)`: the leading axes loop, the last two are the image.
template <class Byte>
struct StackView {
    struct Axis {
        index extent, stride;
    };

    PlaneView<Byte> first;
    std::vector<Axis> leading;
    ElementType element;

    index planes() const {
        index count = 1;
        for (const Axis& axis : leading) {
            count *= axis.extent;
        }
        return count;
    }

    /// Plane `number` in C order of the leading axes.
    PlaneView<Byte> plane(index number) const {
        PlaneView<Byte> view = first;
        for (std::size_t axis = leading.size(); axis > 1; --axis) {
            const auto [extent, stride] = leading[axis - 1];
            view.data += number % extent * stride;
            number /= extent;
        }
        if (!leading.empty()) {  // divisions take long
            view.data += number * leading.front().stride;
        }
        return view;
    }

    /// Planes that lie interleaved, pixel by pixel (the channels of an (H, W, C) image): 1 where none do.
    index interleaved() const {
        constexpr index most = 16;  // beyond it the planes share too few cache lines to be worth one task
        if (leading.empty() || leading.back().extent < 1 || leading.back().extent > most) {
            return 1;
        }
        const auto magnitude = [](index stride) { return stride < 0 ? -stride : stride; };
        const index apart = magnitude(leading.back().stride);
        return apart > 0 && apart < magnitude(first.column_stride) ? leading.back().extent : 1;
    }
};

/// Whether every row of the stack is an array of `T`s, and may be used as such.
template <class T, class Byte>
bool has_rows_of(const StackView<Byte>& stack) {
    constexpr index size = sizeof(T);
    const bool same =
        visit_dtype(stack.element.dtype, [](auto tag) { return std::is_same_v<typename decltype(tag)::type, T>; });
    index misaligned = static_cast<index>(reinterpret_cast<std::uintptr_t>(stack.first.data)) | stack.first.row_stride;
    for (const auto& axis : stack.leading) {
        misaligned |= axis.stride;
    }
    return same && !stack.element.swapped && stack.first.column_stride == size && misaligned % size == 0;
}

using ConstPlane = PlaneView<const std::byte>;
using MutablePlane = PlaneView<std::byte>;
using ConstStack = StackView<const std::byte>;
using MutableStack = StackView<std::byte>;

}  // namespace imkernels
