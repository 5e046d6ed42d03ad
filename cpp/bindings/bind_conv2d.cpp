#include "bindings/array_conversion.hpp"
#include "bindings/register.hpp"
#include "kernels/conv2d.hpp"

namespace imkernels::bindings {

void register_conv2d(py::module_& module) {
    module.def(
        "conv2d",
        [](const py::array& x, const py::array& weight, std::optional<py::array> bias, py::array& out,
           const Window2D& window, index groups, int workers) {
            const ConstStack images = read_view(x);
            const ConstStack weights = read_view(weight);
            const MutableStack target = write_view(out);
            const std::byte* start = nullptr;
            if (bias.has_value()) {
                require(bias->ndim() == 1 && !target.leading.empty() &&
                            bias->shape(0) == target.leading.back().extent &&
                            element_type(*bias).dtype == weights.element.dtype && !element_type(*bias).swapped &&
                            (bias->flags() & py::array::c_style) != 0,
                        "bias has one element of the weights' type per output channel");
                start = static_cast<const std::byte*>(bias->data());
            }
            without_gil([&] { conv2d(images, weights, start, target, window, groups, workers); });
        },
        py::arg("x"), py::arg("weight"), py::arg("bias").none(true), py::arg("out"), py::arg("window"),
        py::arg("groups"), py::arg("workers"));

    module.def(
        "conv2d_backward_weight",
        [](const py::array& grad, const py::array& x, py::array& out, const Window2D& window, index groups,
           int workers) {
            const ConstStack gradients = read_view(grad);
            const ConstStack images = read_view(x);
            const MutableStack target = write_view(out);
            without_gil([&] { conv2d_backward_weight(gradients, images, target, window, groups, workers); });
        },
        py::arg("grad"), py::arg("x"), py::arg("out"), py::arg("window"), py::arg("groups"), py::arg("workers"));
}

}  // namespace imkernels::bindings
