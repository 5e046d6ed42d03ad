#include <optional>

#include "bindings/array_conversion.hpp"
#include "bindings/register.hpp"
#include "kernels/correlate.hpp"
#include "kernels/correlate_fft.hpp"
#include "kernels/correlate_separable.hpp"

namespace imkernels::bindings {

namespace {
/// What becomes of sums; `delta` is an element of the type of the weights, or None.
SumEnding ending_of(const std::optional<py::array>& delta, bool toward_zero, Dtype weights) {
    return {delta ? fill_of(*delta, weights) : nullptr, toward_zero ? Rounding::toward_zero : Rounding::half_to_even};
}

/// A method for whole kernels.
void def_correlation(py::module_& module, const char* name, decltype(correlate)& method) {
    module.def(
        name,
        [&method](const py::array& image, const py::array& kernel, py::array& out, const Window2D& window,
                  const py::array& fill, int workers, const std::optional<py::array>& delta, bool toward_zero) {
            const ConstStack source = read_view(image);
            const ConstStack weights = read_view(kernel);
            const MutableStack target = write_view(out);
            require_same_leading(source, target);
            require_same_leading(weights, target);
            require_pixels(source, target, window);
            const std::byte* outside = fill_of(fill, weights.element.dtype);
            const SumEnding ending = ending_of(delta, toward_zero, weights.element.dtype);
            without_gil([&] { method(source, weights, target, window, outside, ending, workers); });
        },
        py::arg("image"), py::arg("kernel"), py::arg("out"), py::arg("window"), py::arg("fill"), py::arg("workers"),
        py::arg("delta") = py::none(), py::arg("toward_zero") = false);
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
           const Window2D& window, const py::array& fill, int workers, const std::optional<py::array>& delta,
           bool toward_zero) {
            const ConstStack source = read_view(image);
            const ConstStack down = read_view(column);
            const ConstStack across = read_view(row);
            const MutableStack target = write_view(out);
            require_same_leading(source, target);
            require_same_leading(down, target);
            require_same_leading(across, target);
            require_pixels(source, target, window);
            const std::byte* outside = fill_of(fill, down.element.dtype);
            const SumEnding ending = ending_of(delta, toward_zero, down.element.dtype);
            without_gil([&] { correlate_separable(source, down, across, target, window, outside, ending, workers); });
        },
        py::arg("image"), py::arg("column"), py::arg("row"), py::arg("out"), py::arg("window"), py::arg("fill"),
        py::arg("workers"), py::arg("delta") = py::none(), py::arg("toward_zero") = false);
}

}  // namespace imkernels::bindings
