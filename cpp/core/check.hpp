// What C++ checks again because memory depends on it; what a person reads is said by the Python layer.
#pragma once

#include <stdexcept>

namespace imkernels {

inline void require(bool condition, const char* rule) {
    if (!condition) {
        throw std::invalid_argument(rule);
    }
}

}  // namespace imkernels
