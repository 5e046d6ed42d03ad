#include <algorithm>
#include <optional>

#include "bindings/array_conversion.hpp"
#include "bindings/register.hpp"
#include "kernels/window_pool.hpp"

namespace imkernels::bindings {

namespace {
using Pair = std::pair<index, index>;

/// Adaptive windows where there is no `window`; every other argument is then without meaning.
struct Windows {
    const std::optional<Window2D>& window;
    Pair after;
    bool count_padding;
    index divisor;  // 0 for the number of pixels

    PoolWindows on(index rows, index columns, index outputs_down, index outputs_across) const {
        PoolWindows windows;
        if (!window) {
            return {adaptive_windows(rows, outputs_down), adaptive_windows(columns, outputs_across)};
        }
        require(window->rows.dilation == 1 && window->columns.dilation == 1, "averages have no dilation");
        constexpr index largest = (index{1} << 31) - 1;
        require(divisor >= 0 && divisor <= largest, "a divisor is positive and below 2^31");
        require(std::min(after.first, after.second) >= 0 && std::max(after.first, after.second) <= largest,
                "a padding is out of range");
        windows.rows = regular_windows(window->rows, rows, outputs_down, after.first, count_padding);
        windows.columns = regular_windows(window->columns, columns, outputs_across, after.second, count_padding);
        if (divisor > 0) {
            std::ranges::fill(windows.rows.divisors, divisor);
            std::ranges::fill(windows.columns.divisors, 1);
        }
        return windows;
    }
};
}  // namespace

void register_window_pool(py::module_& module) {
    module.def(
        "avg_pool",
        [](const py::array& image, py::array& out, const std::optional<Window2D>& window, Pair after,
           bool count_padding, index divisor, int workers) {
            const ConstStack source = read_view(image);
            const MutableStack target = write_view(out);
            require_same_leading(source, target);
            const Windows windows{window, after, count_padding, divisor};
            without_gil([&] {
                average_windows(
                    source, target,
                    windows.on(source.first.rows, source.first.columns, target.first.rows, target.first.columns),
                    workers);
            });
        },
        "Adaptive where `window` is None.", py::arg("image"), py::arg("out"), py::arg("window").none(true),
        py::arg("after"), py::arg("count_padding"), py::arg("divisor"), py::arg("workers"));

    module.def(
        "avg_pool_backward",
        [](const py::array& grad, py::array& out, const std::optional<Window2D>& window, Pair after, bool count_padding,
           index divisor, int workers) {
            const ConstStack source = read_view(grad);
            const MutableStack target = write_view(out);
            require_same_leading(source, target);
            const Windows windows{window, after, count_padding, divisor};
            without_gil([&] {
                average_windows_backward(
                    source, target,
                    windows.on(target.first.rows, target.first.columns, source.first.rows, source.first.columns),
                    workers);
            });
        },
        "Adaptive where `window` is None.", py::arg("grad"), py::arg("out"), py::arg("window").none(true),
        py::arg("after"), py::arg("count_padding"), py::arg("divisor"), py::arg("workers"));
}

}  // namespace imkernels::bindings
