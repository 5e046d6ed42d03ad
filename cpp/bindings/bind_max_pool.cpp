#include <stdexcept>

#include "bindings/array_conversion.hpp"
#include "bindings/register.hpp"
#include "kernels/max_pool.hpp"
#include "kernels/max_pool_backward.hpp"

namespace imkernels::bindings {

namespace {
/// Runs `scatter(values, argmax, out)` without the GIL, with its checks of memory and its error for a bad index.
template <class Scatter>
void scatter(const py::array& values, const py::array& argmax, py::array& out, const Scatter& function) {
    const ConstStack source = read_view(values);
    const ConstStack positions = read_view(argmax);
    const MutableStack target = write_view(out);
    require_same_leading(source, target);
    require_same_leading(positions, target);
    try {
        without_gil([&] { function(source, positions, target); });
    } catch (const std::out_of_range& error) {
        throw py::value_error(error.what());
    }
}

/// Runs `function(image, values, argmax)` without the GIL, with its checks of memory.
template <class Pool>
void pool(const py::array& image, py::array& values, std::optional<py::array>& argmax, const Pool& function) {
    const ConstStack source = read_view(image);
    const MutableStack maxima = write_view(values);
    const std::optional<MutableStack> positions = positions_view(argmax, maxima);
    require_same_leading(source, maxima);
    without_gil([&] { function(source, maxima, positions ? &*positions : nullptr); });
}
}  // namespace

void register_max_pool(py::module_& module) {
    module.def(
        "max_pool",
        [](const py::array& image, py::array& values, std::optional<py::array> argmax, const Window2D& window,
           int workers) {
            pool(image, values, argmax, [&](const auto& source, const auto& maxima, const auto* positions) {
                require_pixels(source, maxima, window);
                max_pool(source, maxima, positions, window, workers);
            });
        },
        py::arg("image"), py::arg("values"), py::arg("argmax").none(true), py::arg("window"), py::arg("workers"));

    module.def(
        "adaptive_max_pool",
        [](const py::array& image, py::array& values, std::optional<py::array> argmax, int workers) {
            pool(image, values, argmax, [&](const auto& source, const auto& maxima, const auto* positions) {
                adaptive_max_pool(source, maxima, positions, workers);
            });
        },
        py::arg("image"), py::arg("values"), py::arg("argmax").none(true), py::arg("workers"));

    module.def(
        "max_pool_backward",
        [](const py::array& grad, const py::array& argmax, py::array& out, int workers) {
            scatter(grad, argmax, out, [&](const auto& source, const auto& positions, const auto& target) {
                max_pool_backward(source, positions, target, workers);
            });
        },
        py::arg("grad"), py::arg("argmax"), py::arg("out"), py::arg("workers"));

    module.def(
        "max_unpool",
        [](const py::array& values, const py::array& argmax, py::array& out, int workers) {
            scatter(values, argmax, out, [&](const auto& source, const auto& positions, const auto& target) {
                max_unpool(source, positions, target, workers);
            });
        },
        py::arg("values"), py::arg("argmax"), py::arg("out"), py::arg("workers"));
}

}  // namespace imkernels::bindings
