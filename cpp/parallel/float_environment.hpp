// Results must not depend on the floating-point mode that a thread happens to be in.
#pragma once

#include <cfenv>

namespace imkernels {

/// The default environment (round to nearest, subnormal numbers kept) for as long as it lives.
class FloatEnvironment {
public:
    FloatEnvironment() {
        std::fegetenv(&found_);
        std::fesetenv(FE_DFL_ENV);
    }
    ~FloatEnvironment() { std::fesetenv(&found_); }
    FloatEnvironment(const FloatEnvironment&) = delete;
    FloatEnvironment& operator=(const FloatEnvironment&) = delete;

private:
    std::fenv_t found_{};
};

}  // namespace imkernels
