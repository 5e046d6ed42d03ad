#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>
#include <utility>

#include "bindings/register.hpp"
#include "core/check.hpp"
#include "core/window.hpp"

namespace imkernels::bindings {

namespace py = pybind11;

namespace {
Border border_named(const std::string& mode) {
    constexpr std::pair<const char*, Border> names[] = {{"reflect", Border::reflect},
                                                        {"mirror", Border::mirror},
                                                        {"nearest", Border::nearest},
                                                        {"wrap", Border::wrap},
                                                        {"constant", Border::constant}};
    for (const auto& [name, border] : names) {
        if (mode == name) {
            return border;
        }
    }
    throw std::invalid_argument("unknown border mode " + mode);
}

constexpr index most = (index{1} << 31) - 1;

WindowAxis axis_of(index size, index stride, index dilation, index before, const std::string& mode) {
    const auto small = [](index value, index least) { return value >= least && value <= most; };
    require(small(size, 1) && small(stride, 1) && small(dilation, 1) && small(before, -most),
            "a number of the window is out of range");
    require(dilation * (size - 1) < most, "the window reaches too far");
    return {size, stride, dilation, before, border_named(mode)};
}
}  // namespace

void register_window(py::module_& module) {
    module.def(
        "output_extent",
        [](index extent, index before, index after, index reach, index stride) {
            require(extent >= 0 && extent <= most * most, "an extent is out of range");
            require(before >= 0 && before <= most && after >= 0 && after <= 2 * most, "a padding is out of range");
            require(reach >= 1 && reach <= most && stride >= 1, "a number of the window is out of range");
            return output_extent(extent, before, after, reach, stride);
        },
        "Outputs along an axis; -1 where the padded axis is shorter than the window.", py::arg("extent"),
        py::arg("before"), py::arg("after"), py::arg("reach"), py::arg("stride"));

    module.def(
        "covers",
        [](index size, index stride, index dilation, index before, index extent, index outputs) {
            return axis_of(size, stride, dilation, before, "constant").meets(extent, outputs);
        },
        "Whether every window along an axis of `extent` pixels has a tap on it.", py::arg("size"), py::arg("stride"),
        py::arg("dilation"), py::arg("before"), py::arg("extent"), py::arg("outputs"));

    using Pair = std::pair<index, index>;
    py::class_<Window2D>(module, "Window", py::module_local(), "The geometry of a window; pairs are (rows, columns).")
        .def(py::init([](Pair size, Pair stride, Pair dilation, Pair before,
                         const std::pair<std::string, std::string>& mode) {
                 require(size.first < 1 || size.second <= most / size.first, "the window has too many taps");
                 return Window2D{axis_of(size.first, stride.first, dilation.first, before.first, mode.first),
                                 axis_of(size.second, stride.second, dilation.second, before.second, mode.second)};
             }),
             py::arg("size"), py::arg("stride"), py::arg("dilation"), py::arg("before"), py::arg("mode"));
}

}  // namespace imkernels::bindings
