#include "cpu/isa_level.hpp"

namespace imkernels {

std::vector<std::string> supported_levels() {
    std::vector<std::string> levels{"baseline"};
#if defined(__x86_64__)
    // The compiler's runtime asks for every feature of a level and whether the operating system saves its
    // registers.
    __builtin_cpu_init();
    if (__builtin_cpu_supports("x86-64-v3")) {
        levels.emplace_back("x86-64-v3");
    }
    if (__builtin_cpu_supports("x86-64-v4")) {
        levels.emplace_back("x86-64-v4");
    }
#endif
    return levels;
}

}  // namespace imkernels
