#include "bindings/array_conversion.hpp"
#include "bindings/register.hpp"
#include "kernels/extremum_filter.hpp"
#include "kernels/histogram_filter.hpp"
#include "kernels/median_network.hpp"
#include "kernels/order_filter.hpp"
#include "kernels/rank_network.hpp"
#include "kernels/sliding_filter.hpp"

namespace imkernels::bindings {

namespace {
/// The taps of a boolean array; none for None.
Footprint footprint_of(const py::object& object, const Window2D& window) {
    Footprint footprint;
    if (object.is_none()) {
        return footprint;
    }
    const auto mask = py::cast<py::array_t<bool, py::array::c_style>>(object);
    require(mask.ndim() == 2 && mask.shape(0) == window.rows.size && mask.shape(1) == window.columns.size,
            "footprint has the shape of the window");
    for (index row = 0; row < window.rows.size; ++row) {
        for (index column = 0; column < window.columns.size; ++column) {
            if (mask.at(row, column)) {
                footprint.taps.push_back({row, column});
            }
        }
    }
    require(!footprint.taps.empty(), "footprint has a true element");
    return footprint;
}

OrderRule rule_of(std::optional<index> rank, double percentile) {
    if (rank.has_value()) {
        return {OrderRule::Rank{*rank}};
    }
    require(percentile >= 0 && percentile <= 100, "percentile lies between 0 and 100");
    return {OrderRule::Percentile{percentile}};
}
NanPolicy nan_policy(bool omit) {
    return omit ? NanPolicy::omit : NanPolicy::propagate;
}

/// What all order filters take, checked.
struct Call {
    Call(const py::array& image, py::array& out, const Window2D& window, const py::array& fill)
        : source(read_view(image)), target(write_view(out)), outside(fill_of(fill, source.element.dtype)) {
        require_same_leading(source, target);
        require_pixels(source, target, window);
        require(window.rows.dilation == 1 && window.columns.dilation == 1, "order filters have no dilation");
    }

    ConstStack source;
    MutableStack target;
    const std::byte* outside;
};

constexpr const char* rule_doc = "`percentile` counts unless `rank` is given.";

/// A filter that takes any footprint and any rule.
void def_rule_filter(py::module_& module, const char* name, decltype(order_filter)& filter) {
    module.def(
        name,
        [&filter](const py::array& image, py::array& out, const Window2D& window, const py::object& footprint,
                  std::optional<index> rank, double percentile, bool omit_nan, const py::array& fill, int workers) {
            const Call call(image, out, window, fill);
            const Footprint taps = footprint_of(footprint, window);
            const OrderRule rule = rule_of(rank, percentile);
            without_gil([&] {
                filter(call.source, call.target, window, taps, rule, nan_policy(omit_nan), call.outside, workers);
            });
        },
        rule_doc, py::arg("image"), py::arg("out"), py::arg("window"), py::arg("footprint").none(true),
        py::arg("rank").none(true), py::arg("percentile"), py::arg("omit_nan"), py::arg("fill"), py::arg("workers"));
}
}  // namespace

void register_order_filter(py::module_& module) {
    def_rule_filter(module, "order_filter", order_filter);

    module.def("has_sliding", has_sliding, py::arg("window"));

    def_rule_filter(module, "sliding_filter", sliding_filter);

    module.def("has_rank_network", has_rank_network, py::arg("window"));

    module.def(
        "rank_network",
        [](const py::array& image, py::array& out, const Window2D& window, std::optional<index> rank, double percentile,
           bool omit_nan, const py::array& fill, int workers) {
            const Call call(image, out, window, fill);
            const OrderRule rule = rule_of(rank, percentile);
            without_gil([&] {
                rank_network(call.source, call.target, window, rule, nan_policy(omit_nan), call.outside, workers);
            });
        },
        rule_doc, py::arg("image"), py::arg("out"), py::arg("window"), py::arg("rank").none(true),
        py::arg("percentile"), py::arg("omit_nan"), py::arg("fill"), py::arg("workers"));

    module.def("has_histogram", has_histogram, py::arg("window"));

    module.def(
        "histogram_filter",
        [](const py::array& image, py::array& out, const Window2D& window, std::optional<index> rank, double percentile,
           const py::array& fill, int workers) {
            const Call call(image, out, window, fill);
            const OrderRule rule = rule_of(rank, percentile);
            without_gil([&] { histogram_filter(call.source, call.target, window, rule, call.outside, workers); });
        },
        rule_doc, py::arg("image"), py::arg("out"), py::arg("window"), py::arg("rank").none(true),
        py::arg("percentile"), py::arg("fill"), py::arg("workers"));

    module.def("has_median_network", has_median_network, py::arg("window"), py::arg("item_size"));

    module.def(
        "median_network",
        [](const py::array& image, py::array& out, const Window2D& window, bool omit_nan, const py::array& fill,
           int workers) {
            const Call call(image, out, window, fill);
            without_gil(
                [&] { median_network(call.source, call.target, window, nan_policy(omit_nan), call.outside, workers); });
        },
        py::arg("image"), py::arg("out"), py::arg("window"), py::arg("omit_nan"), py::arg("fill"), py::arg("workers"));

    module.def(
        "extremum_filter",
        [](const py::array& image, py::array& out, const Window2D& window, bool maximum, bool omit_nan,
           const py::array& fill, int workers) {
            const Call call(image, out, window, fill);
            const Extremum extremum = maximum ? Extremum::maximum : Extremum::minimum;
            without_gil([&] {
                extremum_filter(call.source, call.target, window, extremum, nan_policy(omit_nan), call.outside,
                                workers);
            });
        },
        py::arg("image"), py::arg("out"), py::arg("window"), py::arg("maximum"), py::arg("omit_nan"), py::arg("fill"),
        py::arg("workers"));
}

}  // namespace imkernels::bindings
