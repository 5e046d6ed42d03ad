// Results must not depend on the floating-point mode that a thread happens to be in.
#pragma once

#include <cfenv>

namespace imkernels {

/// The default mode (round to nearest, subnormal numbers kept) for as long as it lives.
class FloatEnvironment {
public:
    FloatEnvironment() { set_default(found_); }
    ~FloatEnvironment() { set(found_); }
    FloatEnvironment(const FloatEnvironment&) = delete;
    FloatEnvironment& operator=(const FloatEnvironment&) = delete;

private:
#ifdef FE_DFL_MODE
    // The control words alone: all of the environment takes as long as a small image. Flags that are raised stay so.
    using Mode = femode_t;
    static void set_default(Mode& found) {
        fegetmode(&found);
        fesetmode(FE_DFL_MODE);
    }
    static void set(const Mode& mode) { fesetmode(&mode); }
#else
    using Mode = std::fenv_t;
    static void set_default(Mode& found) {
        std::fegetenv(&found);
        std::fesetenv(FE_DFL_ENV);
    }
    static void set(const Mode& mode) { std::fesetenv(&mode); }
#endif

    Mode found_{};
};

}  // namespace imkernels
