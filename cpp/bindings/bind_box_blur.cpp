#include <cstring>
#include <optional>

#include "bindings/array_conversion.hpp"
#include "bindings/register.hpp"
#include "kernels/box_blur.hpp"

namespace imkernels::bindings {

namespace {
/// An element of float32 or float64, in native byte order.
Factor factor_of(const py::array& factor) {
    const ElementType element = element_type(factor);
    require(factor.size() == 1 && !element.swapped, "factor is one element, in native byte order");
    require(element.dtype == Dtype::float32 || element.dtype == Dtype::float64, "factor is float32 or float64");
    if (element.dtype == Dtype::float64) {
        double value = 0;
        std::memcpy(&value, factor.data(), sizeof(value));
        return {Dtype::float64, value};
    }
    float value = 0;
    std::memcpy(&value, factor.data(), sizeof(value));
    return {Dtype::float32, value};
}
}  // namespace

void register_box_blur(py::module_& module) {
    module.def(
        "box_blur",
        [](const py::array& image, py::array& out, const Window2D& window, bool normalize, const py::array& fill,
           int workers, index delta, bool toward_zero, const std::optional<py::array>& factor, bool by_axis) {
            const ConstStack source = read_view(image);
            const MutableStack target = write_view(out);
            require_same_leading(source, target);
            require_pixels(source, target, window);
            require(window.rows.dilation == 1 && window.columns.dilation == 1, "box_blur: no dilation");
            const std::byte* outside = fill_of(fill, source.element.dtype);
            const Rounding rounding = toward_zero ? Rounding::toward_zero : Rounding::half_to_even;
            BoxEnding ending{normalize, delta, rounding, std::nullopt, by_axis};
            if (factor) {
                ending.factor = factor_of(*factor);
            }
            without_gil([&] { box_blur(source, target, window, ending, outside, workers); });
        },
        py::arg("image"), py::arg("out"), py::arg("window"), py::arg("normalize"), py::arg("fill"), py::arg("workers"),
        py::arg("delta") = 0, py::arg("toward_zero") = false, py::arg("factor") = py::none(),
        py::arg("by_axis") = false);
}

}  // namespace imkernels::bindings
