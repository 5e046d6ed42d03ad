#include "bindings/array_conversion.hpp"
#include "bindings/register.hpp"
#include "kernels/box_blur.hpp"

namespace imkernels::bindings {

void register_box_blur(py::module_& module) {
    module.def(
        "box_blur",
        [](const py::array& image, py::array& out, const Window2D& window, bool normalize, const py::array& fill,
           int workers) {
            const ConstStack source = read_view(image);
            const MutableStack target = write_view(out);
            require_same_leading(source, target);
            require_pixels(source, target, window);
            require(window.rows.dilation == 1 && window.columns.dilation == 1, "box_blur: no dilation");
            const std::byte* outside = fill_of(fill, source.element.dtype);
            without_gil([&] { box_blur(source, target, window, normalize, outside, workers); });
        },
        py::arg("image"), py::arg("out"), py::arg("window"), py::arg("normalize"), py::arg("fill"), py::arg("workers"));
}

}  // namespace imkernels::bindings
