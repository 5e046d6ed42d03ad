// One extension module per instruction-set level: IMKERNELS_MODULE names it, IMKERNELS_LEVEL is its level.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings/array_conversion.hpp"
#include "bindings/register.hpp"
#include "cpu/isa_level.hpp"
#include "parallel/parallel_for.hpp"
#include "parallel/process.hpp"

namespace imkernels::bindings {

namespace py = pybind11;

namespace {
/// Runs pending signal handlers, which Python does in its main thread alone; true if one of them raised
/// (KeyboardInterrupt).
bool interrupted() {
    if (PyThread_get_thread_ident() != main_thread) {
        return false;
    }
    const py::gil_scoped_acquire acquired;
    return PyErr_CheckSignals() != 0;
}

py::str compiler() {
#if defined(__clang__)
    return "Clang " __clang_version__;
#elif defined(__GNUC__)
    return "GCC " __VERSION__;
#else
    return "unknown";
#endif
}
}  // namespace

PYBIND11_MODULE(IMKERNELS_MODULE, module, py::mod_gil_not_used()) {
    main_thread = py::module_::import("threading").attr("main_thread")().attr("ident").cast<unsigned long>();
    const py::object os = py::module_::import("os");
    if (py::hasattr(os, "register_at_fork")) {  // the thread that forks is the child's main thread
        os.attr("register_at_fork")(py::arg("after_in_child") =
                                        py::cpp_function([] { main_thread = PyThread_get_thread_ident(); }));
    }
    watch_forks();
    set_interrupt_hook(interrupted);
    module.attr("level") = IMKERNELS_LEVEL;
    module.attr("compiler") = compiler();
    module.attr("openmp") = openmp_date();
    module.def("supported_levels", supported_levels, "Levels that this machine can run, worst first.");
    module.def("forked", forked, "Whether this process is the child of a fork, where every call runs serially.");
    register_window(module);
    register_order_filter(module);
    register_box_blur(module);
    register_correlate(module);
    register_ordered_sums(module);
    register_max_pool(module);
    register_window_pool(module);
    register_conv2d(module);
    register_convert(module);
}

}  // namespace imkernels::bindings
