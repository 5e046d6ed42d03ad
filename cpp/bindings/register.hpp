// What each binding file offers to module.cpp.
#pragma once

#include <pybind11/pybind11.h>

namespace imkernels::bindings {

void register_window(pybind11::module_& module);
void register_order_filter(pybind11::module_& module);
void register_box_blur(pybind11::module_& module);
void register_correlate(pybind11::module_& module);
void register_ordered_sums(pybind11::module_& module);
void register_max_pool(pybind11::module_& module);
void register_window_pool(pybind11::module_& module);
void register_conv2d(pybind11::module_& module);
void register_convert(pybind11::module_& module);

}  // namespace imkernels::bindings
