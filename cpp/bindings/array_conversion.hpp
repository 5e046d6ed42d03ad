// From NumPy arrays to views, with the checks that memory depends on.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <exception>
#include <optional>

#include "bindings/dtype_dispatch.hpp"
#include "core/array_view.hpp"
#include "core/check.hpp"
#include "core/window.hpp"
#include "parallel/float_environment.hpp"
#include "parallel/parallel_for.hpp"

namespace imkernels::bindings {

template <class Byte>
StackView<Byte> stack_of(const py::array& array, Byte* data) {
    const py::ssize_t dimensions = array.ndim();
    require(dimensions >= 2, "an array of at least two dimensions is needed");
    StackView<Byte> stack;
    stack.element = element_type(array);
    // The stride of an axis of one element is never taken, and may be any number: too large to compute with. Here it is
    // the one of an array without gaps, so that kernels see that there are none.
    index next = array.itemsize();
    const auto stride = [&](py::ssize_t axis) {
        const index taken = array.shape(axis) != 1 ? array.strides(axis) : next;
        next = static_cast<index>(static_cast<std::size_t>(array.shape(axis)) * static_cast<std::size_t>(taken));
        return taken;
    };
    const index column_stride = stride(dimensions - 1);
    const index row_stride = stride(dimensions - 2);
    stack.first = {data, array.shape(dimensions - 2), array.shape(dimensions - 1), row_stride, column_stride};
    stack.leading.resize(static_cast<std::size_t>(dimensions - 2));
    for (py::ssize_t axis = dimensions - 3; axis >= 0; --axis) {
        stack.leading[static_cast<std::size_t>(axis)] = {array.shape(axis), stride(axis)};
    }
    return stack;
}

inline ConstStack read_view(const py::array& array) {
    return stack_of(array, static_cast<const std::byte*>(array.data()));
}

inline MutableStack write_view(py::array& array) {
    require(array.writeable(), "out is read-only");
    return stack_of(array, static_cast<std::byte*>(array.mutable_data()));
}

/// The view of an array of positions that are asked for, one per value.
inline std::optional<MutableStack> positions_view(std::optional<py::array>& argmax, const MutableStack& values) {
    if (!argmax.has_value()) {
        return std::nullopt;
    }
    MutableStack positions = write_view(*argmax);
    require(positions.first.rows == values.first.rows && positions.first.columns == values.first.columns &&
                positions.leading.size() == values.leading.size() &&
                std::equal(positions.leading.begin(), positions.leading.end(), values.leading.begin(),
                           [](const auto& one, const auto& other) { return one.extent == other.extent; }),
            "values and argmax have one shape");
    return positions;
}

/// Kernels pair planes by number: the leading axes of all arrays must be the same.
inline void require_same_leading(const ConstStack& input, const MutableStack& out) {
    require(input.leading.size() == out.leading.size(), "input and out have the same number of axes");
    for (std::size_t axis = 0; axis < out.leading.size(); ++axis) {
        require(input.leading[axis].extent == out.leading[axis].extent, "input and out have the same leading axes");
    }
}

/// An element that stands outside the image, with the element type of `like`, in native byte order.
inline const std::byte* fill_of(const py::array& fill, Dtype like) {
    const ElementType element = element_type(fill);
    require(element.dtype == like && !element.swapped, "fill has the type of the image, in native byte order");
    require(fill.size() == 1, "fill is one element");
    return static_cast<const std::byte*>(fill.data());
}

/// An image axis without pixels has nothing that a border could repeat.
inline void require_pixels(const ConstStack& image, const MutableStack& out, const Window2D& window) {
    const bool outputs = out.planes() > 0 && out.first.rows > 0 && out.first.columns > 0;
    const auto known = [](index extent, const WindowAxis& axis) {
        return extent > 0 || axis.border == Border::constant;
    };
    require(!outputs || (known(image.first.rows, window.rows) && known(image.first.columns, window.columns)),
            "an empty image has no border");
}

/// Python's number for its main thread, noted when the module is loaded; no other runs signal handlers.
inline unsigned long main_thread = 0;

/// Runs a kernel with the GIL released; no Python object may be touched in `function`.
///
/// The GIL is taken again by a plain call, and only the main thread asks for it in between (see module.cpp): when the
/// interpreter ends, it ends a daemon thread that asks for the GIL by unwinding it, which neither a destructor nor
/// `catch (...)` survives.
template <class Function>
void without_gil(Function&& function) {
    std::exception_ptr error;
    PyThreadState* const state = PyEval_SaveThread();
    try {
        const FloatEnvironment environment;
        function();
    } catch (...) {
        error = std::current_exception();
    }
    PyEval_RestoreThread(state);
    try {
        if (error) {
            std::rethrow_exception(error);
        }
    } catch (const Interrupted&) {
        throw py::error_already_set();  // by the handler that the interrupt hook ran
    }
}

}  // namespace imkernels::bindings
