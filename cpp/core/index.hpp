// The type of every extent, position and stride.
#pragma once

#include <cstddef>

namespace imkernels {

/// Signed, so that positions before an image and steps backwards need no case of their own.
using index = std::ptrdiff_t;

}  // namespace imkernels
