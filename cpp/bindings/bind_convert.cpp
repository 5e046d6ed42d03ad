#include "bindings/array_conversion.hpp"
#include "bindings/register.hpp"
#include "kernels/convert.hpp"

namespace imkernels::bindings {

void register_convert(py::module_& module) {
    module.def(
        "convert",
        [](const py::array& source, py::array& out, int workers) {
            const ConstStack from = read_view(source);
            const MutableStack to = write_view(out);
            require_same_leading(from, to);
            without_gil([&] { convert(from, to, workers); });
        },
        py::arg("source"), py::arg("out"), py::arg("workers"));
}

}  // namespace imkernels::bindings
