// Products of which only the upper half counts.
#pragma once

#include <cstdint>

#include "simd/lanes.hpp"

namespace imkernels {

/// The upper halves of products.
IMKERNELS_INLINE Lanes<std::uint16_t> high_product(Lanes<std::uint16_t> one, Lanes<std::uint16_t> other) {
#if defined(__SSE2__) && !defined(__clang__)
    typedef short Words __attribute__((vector_size(vector_bytes)));
    const auto left = reinterpret_cast<Words>(one);
    const auto right = reinterpret_cast<Words>(other);
#if defined(__AVX512F__)
    return reinterpret_cast<Lanes<std::uint16_t>>(__builtin_ia32_pmulhuw512_mask(left, right, Words{}, -1));
#elif defined(__AVX2__)
    return reinterpret_cast<Lanes<std::uint16_t>>(__builtin_ia32_pmulhuw256(left, right));
#else
    return reinterpret_cast<Lanes<std::uint16_t>>(__builtin_ia32_pmulhuw128(left, right));
#endif
#else
    typedef std::uint32_t Wide __attribute__((vector_size(2 * vector_bytes)));
    const Wide product = __builtin_convertvector(one, Wide) * __builtin_convertvector(other, Wide);
    return __builtin_convertvector(product >> 16, Lanes<std::uint16_t>);
#endif
}

}  // namespace imkernels
