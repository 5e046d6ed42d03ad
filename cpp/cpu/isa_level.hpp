// Which instruction-set levels this machine can run.
#pragma once

#include <string>
#include <vector>

namespace imkernels {

/// The names of the levels of cmake/isa_levels.cmake that processor and operating system support, worst
/// first.
std::vector<std::string> supported_levels();

}  // namespace imkernels
