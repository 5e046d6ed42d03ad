// Copying arrays with the package's conversion rule.
#pragma once

#include "core/array_view.hpp"

namespace imkernels {

/// Copies `source` to `out`, of the same shape: rounded half to even and saturated, NaN to 0, where `out` is
/// an integer type.
void convert(const ConstStack& source, const MutableStack& out, int workers);

}  // namespace imkernels
