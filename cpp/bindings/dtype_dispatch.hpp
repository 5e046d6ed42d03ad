// From NumPy's dtypes to the package's element types.
#pragma once

#include <pybind11/numpy.h>

#include <bit>
#include <optional>
#include <stdexcept>

#include "core/dtype.hpp"

namespace imkernels::bindings {

namespace py = pybind11;

/// By kind and item size: `long` and `long long` are one type.
inline std::optional<Dtype> dtype_of(char kind, py::ssize_t item_size) {
    const auto by_size = [&](Dtype one, Dtype two, Dtype four, Dtype eight) -> std::optional<Dtype> {
        switch (item_size) {
            case 1: return one;
            case 2: return two;
            case 4: return four;
            case 8: return eight;
            default: return std::nullopt;
        }
    };
    switch (kind) {
        case 'b': return Dtype::boolean;
        case 'i': return by_size(Dtype::int8, Dtype::int16, Dtype::int32, Dtype::int64);
        case 'u': return by_size(Dtype::uint8, Dtype::uint16, Dtype::uint32, Dtype::uint64);
        case 'f':
            return item_size == 1 ? std::nullopt
                                  : by_size(Dtype::float16, Dtype::float16, Dtype::float32, Dtype::float64);
        default: return std::nullopt;
    }
}

inline ElementType element_type(const py::array& array) {
    const py::dtype dtype = array.dtype();
    const std::optional<Dtype> found = dtype_of(dtype.kind(), dtype.itemsize());
    if (!found) {
        throw std::invalid_argument("an array of bool, integers or floats of at most 64 bits is needed");
    }
    constexpr char foreign = std::endian::native == std::endian::little ? '>' : '<';
    return {*found, dtype.byteorder() == foreign};
}

}  // namespace imkernels::bindings
