// Products that are rounded before they are added to something.
#pragma once

#include "simd/lanes.hpp"

namespace imkernels {

/// The same vector, as a number of its own: compilers do not fuse the multiplication that gave it with an addition.
template <class Vector>
IMKERNELS_INLINE Vector rounded(Vector lanes) {
#if defined(__SSE2__)
    asm("" : "+v"(lanes));  // NOLINT(hicpp-no-assembler,portability-no-assembler): no instruction
#else
    asm("" : "+m"(lanes));  // NOLINT(hicpp-no-assembler,portability-no-assembler): for registers of any name
#endif
    return lanes;
}

}  // namespace imkernels
