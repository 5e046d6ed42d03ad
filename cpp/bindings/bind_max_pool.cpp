#include <stdexcept>

#include "bindings/array_conversion.hpp"
#include "bindings/register.hpp"
#include "kernels/max_pool.hpp"

namespace imkernels::bindings {

void register_max_pool(py::module_& module) {
    module.def(
        "max_pool_with_argmax",
        [](const py::array& image, py::array& values, py::array& argmax, const Window2D& window, int workers) {
            const ConstStack source = read_view(image);
            const MutableStack maxima = write_view(values);
            const MutableStack positions = write_view(argmax);
            require_same_leading(source, maxima);
            require_same_leading(source, positions);
            require(maxima.first.rows == positions.first.rows && maxima.first.columns == positions.first.columns,
                    "max_pool_with_argmax: values and argmax have one shape");
            require_pixels(source, maxima, window);
            without_gil([&] { max_pool_with_argmax(source, maxima, positions, window, workers); });
        },
        py::arg("image"), py::arg("values"), py::arg("argmax"), py::arg("window"), py::arg("workers"));

    module.def(
        "max_pool_backward",
        [](const py::array& grad, const py::array& argmax, py::array& out, int workers) {
            const ConstStack gradient = read_view(grad);
            const ConstStack positions = read_view(argmax);
            const MutableStack target = write_view(out);
            require_same_leading(gradient, target);
            require_same_leading(positions, target);
            try {
                without_gil([&] { max_pool_backward(gradient, positions, target, workers); });
            } catch (const std::out_of_range& error) {
                throw py::value_error(error.what());
            }
        },
        py::arg("grad"), py::arg("argmax"), py::arg("out"), py::arg("workers"));
}

}  // namespace imkernels::bindings
