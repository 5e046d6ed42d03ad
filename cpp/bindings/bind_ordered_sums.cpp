#include <cstring>

#include "bindings/array_conversion.hpp"
#include "bindings/register.hpp"
#include "kernels/ordered_sums.hpp"

namespace imkernels::bindings {

namespace {
using Indices = py::array_t<std::int64_t, py::array::c_style>;
using Weights = py::array_t<double, py::array::c_style>;

/// Terms from arrays (n, 2), of taps and their partners, and (n,), of weights.
OrderedTerms terms_of(const Indices& taps, const Weights& weights, bool subtracts) {
    require(taps.ndim() == 2 && taps.shape(1) == 2 && weights.ndim() == 1 && weights.shape(0) == taps.shape(0),
            "every term has two taps and a weight");
    OrderedTerms found{{}, subtracts};
    for (py::ssize_t i = 0; i < taps.shape(0); ++i) {
        found.terms.push_back({taps.at(i, 0), taps.at(i, 1), weights.at(i)});
    }
    return found;
}
}  // namespace

void register_ordered_sums(py::module_& module) {
    py::class_<OrderedTerms>(module, "OrderedTerms", py::module_local(), "The terms of a sum, in their order.")
        .def(py::init(&terms_of), py::arg("taps"), py::arg("weights"), py::arg("subtracts"));

    module.def(
        "ordered_sums",
        [](const py::array& image, py::array& out, const Window2D& window, const OrderedTerms& terms,
           const OrderedTerms& across, const py::array& fill, int workers) {
            const ConstStack source = read_view(image);
            const MutableStack target = write_view(out);
            require_same_leading(source, target);
            require_pixels(source, target, window);
            const std::byte* outside = fill_of(fill, Dtype::float64);
            without_gil([&] { ordered_sums(source, target, window, terms, across, outside, workers); });
        },
        py::arg("image"), py::arg("out"), py::arg("window"), py::arg("terms"), py::arg("across"), py::arg("fill"),
        py::arg("workers"));
}

}  // namespace imkernels::bindings
