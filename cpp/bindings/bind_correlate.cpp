#include "bindings/array_conversion.hpp"
#include "bindings/register.hpp"
#include "kernels/correlate.hpp"
#include "kernels/correlate_fft.hpp"
#include "kernels/correlate_separable.hpp"

namespace imkernels::bindings {

namespace {
/// A method for whole kernels.
void def_correlation(py::module_& module, const char* name, decltype(correlate)& method) {
    module.def(
        name,
        [&method](const py::array& image, const py::array& kernel, py::array& out, const Window2D& window,
                  const py::array& fill, int workers) {
            const ConstStack source = read_view(image);
            const ConstStack weights = read_view(kernel);
            const MutableStack target = write_view(out);
            require_same_leading(source, target);
            require_same_leading(weights, target);
            require_pixels(source, target, window);
            const std::byte* outside = fill_of(fill, weights.element.dtype);
            without_gil([&] { method(source, weights, target, window, outside, workers); });
        },
        py::arg("image"), py::arg("kernel"), py::arg("out"), py::arg("window"), py::arg("fill"), py::arg("workers"));
}
}  // namespace

void register_correlate(py::module_& module) {
    def_correlation(module, "correlate", correlate);

    module.def("has_fft", has_fft, py::arg("window"));
    module.def("fft_is_faster", fft_is_faster, py::arg("window"), py::arg("rows"), py::arg("columns"),
               py::arg("item_size"));

    def_correlation(module, "correlate_fft", correlate_fft);

    module.def("separable_is_faster", separable_is_faster, py::arg("window"), py::arg("results"));
    module.def(
        "correlate_separable",
        [](const py::array& image, const py::array& column, const py::array& row, py::array& out,
           const Window2D& window, const py::array& fill, int workers) {
            const ConstStack source = read_view(image);
            const ConstStack down = read_view(column);
            const ConstStack across = read_view(row);
            const MutableStack target = write_view(out);
            require_same_leading(source, target);
            require_same_leading(down, target);
            require_same_leading(across, target);
            require_pixels(source, target, window);
            const std::byte* outside = fill_of(fill, down.element.dtype);
            without_gil([&] { correlate_separable(source, down, across, target, window, outside, workers); });
        },
        py::arg("image"), py::arg("column"), py::arg("row"), py::arg("out"), py::arg("window"), py::arg("fill"),
        py::arg("workers"));
}

}  // namespace imkernels::bindings
