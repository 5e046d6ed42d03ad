// Rows whose elements are dealt out in turn to several rows (phases), and put together again.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "core/index.hpp"

namespace imkernels {

namespace detail {
/// An unsigned number of the size of two elements.
template <class T>
using PairOf =
    std::conditional_t<sizeof(T) == 1, std::uint16_t, std::conditional_t<sizeof(T) == 2, std::uint32_t, std::uint64_t>>;

/// Two phases of `count` elements each. As halves of wider numbers, which compilers can vectorise at any size.
template <class T>
void split_pairs(const T* __restrict source, index count, T* __restrict even, T* __restrict odd) {
    if constexpr (sizeof(T) < 8 && std::endian::native == std::endian::little) {
        using Bits = std::make_unsigned_t<T>;
        for (index i = 0; i < count; ++i) {
            PairOf<T> pair;
            std::memcpy(&pair, source + 2 * i, sizeof(pair));
            even[i] = static_cast<T>(static_cast<Bits>(pair));
            odd[i] = static_cast<T>(static_cast<Bits>(pair >> (8 * sizeof(T))));
        }
    } else {
        for (index i = 0; i < count; ++i) {
            even[i] = source[2 * i];
            odd[i] = source[2 * i + 1];
        }
    }
}

template <class T>
void join_pairs(const T* __restrict even, const T* __restrict odd, index count, T* __restrict target) {
    if constexpr (sizeof(T) < 8 && std::endian::native == std::endian::little) {
        using Bits = std::make_unsigned_t<T>;
        for (index i = 0; i < count; ++i) {
            const PairOf<T> low = static_cast<Bits>(even[i]);
            const PairOf<T> high = static_cast<Bits>(odd[i]);
            const PairOf<T> pair = static_cast<PairOf<T>>(low | (high << (8 * sizeof(T))));
            std::memcpy(target + 2 * i, &pair, sizeof(pair));
        }
    } else {
        for (index i = 0; i < count; ++i) {
            target[2 * i] = even[i];
            target[2 * i + 1] = odd[i];
        }
    }
}

/// Calls copy(bytes) with as many bytes as a pixel has, or with a constant that is not less: pixels that are copied one
/// after the other overwrite what was too much of the one before.
template <class Copy>
void with_pixel_bytes(index pixel, Copy&& copy) {
    if (pixel <= 4) {
        copy(std::integral_constant<std::size_t, 4>{});
    } else if (pixel <= 16) {
        copy(std::integral_constant<std::size_t, 16>{});
    } else {
        copy(static_cast<std::size_t>(pixel));
    }
}
}  // namespace detail

/// target[phase * pitch + i] = source[i * phases + phase] for i < count. `spare` is room for phases * (count + 1)
/// elements, needed where there are more than two phases.
template <class T>
// NOLINTNEXTLINE(misc-no-recursion): each half has half as many phases.
void split_phases(const T* source, int phases, index count, index pitch, T* target, T* spare) {
    if (phases == 1) {
        std::memcpy(target, source, static_cast<std::size_t>(count) * sizeof(T));
    } else if (phases == 2) {
        detail::split_pairs(source, count, target, target + pitch);
    } else if (phases % 2 == 0) {
        // Halves of the halves: the even phases, and the odd ones.
        const index half = phases / 2 * count;
        detail::split_pairs(source, half, spare, spare + half);
        for (int odd = 0; odd < 2; ++odd) {
            split_phases(spare + odd * half, phases / 2, count, 2 * pitch, target + odd * pitch, spare + 2 * half);
        }
    } else {
        for (int phase = 0; phase < phases; ++phase) {
            for (index i = 0; i < count; ++i) {
                target[phase * pitch + i] = source[i * phases + phase];
            }
        }
    }
}

/// The inverse, for a number of phases that is a power of two: target[i * phases + phase] = source[phase * pitch + i].
template <class T>
// NOLINTNEXTLINE(misc-no-recursion): each half has half as many phases.
void join_phases(const T* source, int phases, index count, index pitch, T* target, T* spare) {
    if (phases == 1) {
        std::memcpy(target, source, static_cast<std::size_t>(count) * sizeof(T));
    } else if (phases == 2) {
        detail::join_pairs(source, source + pitch, count, target);
    } else {
        const index half = phases / 2 * count;
        for (int odd = 0; odd < 2; ++odd) {
            join_phases(source + odd * pitch, phases / 2, count, 2 * pitch, spare + odd * half, spare + 2 * half);
        }
        detail::join_pairs(spare, spare + half, half, target);
    }
}

/// Pixels of `channels` elements in turn to two rows: `count` to each. May write up to 16 bytes behind them.
template <class T>
void split_pixels(const T* __restrict source, index channels, index count, T* __restrict even, T* __restrict odd) {
    if (channels == 1) {
        return detail::split_pairs(source, count, even, odd);
    }
    detail::with_pixel_bytes(channels * index{sizeof(T)}, [&](auto bytes) {
        for (index i = 0; i < count; ++i) {
            std::memcpy(even + i * channels, source + 2 * i * channels, bytes);
            std::memcpy(odd + i * channels, source + (2 * i + 1) * channels, bytes);
        }
    });
}

/// The inverse: the first `count` pixels, in turn from two rows. May write up to 16 bytes behind them where there are
/// channels.
template <class T>
void join_pixels(const T* __restrict even, const T* __restrict odd, index channels, index count, T* __restrict target) {
    if (channels == 1) {
        detail::join_pairs(even, odd, count / 2, target);
        if (count % 2 != 0) {
            target[count - 1] = even[count / 2];
        }
        return;
    }
    detail::with_pixel_bytes(channels * index{sizeof(T)}, [&](auto bytes) {
        for (index i = 0; i < count; ++i) {
            std::memcpy(target + i * channels, (i % 2 == 0 ? even : odd) + i / 2 * channels, bytes);
        }
    });
}

}  // namespace imkernels
