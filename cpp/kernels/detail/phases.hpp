// Rows whose elements are dealt out in turn to several rows (phases), and put together again.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "simd/lanes.hpp"

namespace imkernels::detail {

/// Calls vector(first) for vectors of elements that make up `count`, at least one, of which the last two may overlap,
/// so that no element is left.
template <class T, class Vector>
IMKERNELS_INLINE void in_vectors(index count, const Vector& vector) {
    for (index i = 0; i < count; i += lane_count<T>) {
        vector(std::min(i, count - lane_count<T>));
    }
}

/// Two phases of `count` elements each, as many as a vector has lanes or more.
template <class T>
void split_two(const T* source, index count, T* even, T* odd) {
    in_vectors<T>(count, [=](index i) IMKERNELS_INLINE_LAMBDA {
        const Lanes<T> low = load_lanes(source + 2 * i);
        const Lanes<T> high = load_lanes(source + 2 * i + lane_count<T>);
        store_lanes(even + i, even_lanes<T>(low, high));
        store_lanes(odd + i, odd_lanes<T>(low, high));
    });
}

/// Four, `pitch` elements apart.
template <class T>
void split_four(const T* source, index count, T* target, index pitch) {
    in_vectors<T>(count, [=](index i) IMKERNELS_INLINE_LAMBDA {
        Lanes<T> parts[4];
        for (index part = 0; part < 4; ++part) {
            parts[part] = load_lanes(source + 4 * i + part * lane_count<T>);
        }
        const Lanes<T> even[2] = {even_lanes<T>(parts[0], parts[1]), even_lanes<T>(parts[2], parts[3])};
        const Lanes<T> odd[2] = {odd_lanes<T>(parts[0], parts[1]), odd_lanes<T>(parts[2], parts[3])};
        store_lanes(target + i, even_lanes<T>(even[0], even[1]));
        store_lanes(target + pitch + i, even_lanes<T>(odd[0], odd[1]));
        store_lanes(target + 2 * pitch + i, odd_lanes<T>(even[0], even[1]));
        store_lanes(target + 3 * pitch + i, odd_lanes<T>(odd[0], odd[1]));
    });
}

/// The inverse of `split_two`, for any count.
template <class T>
void join_two(const T* even, const T* odd, index count, T* target) {
    if (count < lane_count<T>) {
        for (index i = 0; i < count; ++i) {
            target[2 * i] = even[i];
            target[2 * i + 1] = odd[i];
        }
        return;
    }
    in_vectors<T>(count, [=](index i) IMKERNELS_INLINE_LAMBDA {
        const Lanes<T> first = load_lanes(even + i);
        const Lanes<T> second = load_lanes(odd + i);
        store_lanes(target + 2 * i, low_pairs<T>(first, second));
        store_lanes(target + 2 * i + lane_count<T>, high_pairs<T>(first, second));
    });
}

/// target[phase * pitch + i] = source[i * phases + phase] for i < count. `spare` is room for 2 * phases *
/// count elements, needed where there are more than four phases.
template <class T>
// NOLINTNEXTLINE(misc-no-recursion): each half has half as many phases.
void split_phases(const T* source, int phases, index count, index pitch, T* target, T* spare) {
    if (phases == 1) {
        std::memcpy(target, source, static_cast<std::size_t>(count) * sizeof(T));
    } else if (phases % 2 != 0 || count < lane_count<T>) {
        for (int phase = 0; phase < phases; ++phase) {
            for (index i = 0; i < count; ++i) {
                target[phase * pitch + i] = source[i * phases + phase];
            }
        }
    } else if (phases == 2) {
        split_two(source, count, target, target + pitch);
    } else if (phases == 4) {
        split_four(source, count, target, pitch);
    } else {
        // Halves of the halves: the even phases, and the odd ones.
        const index half = phases / 2 * count;
        split_two(source, half, spare, spare + half);
        for (int odd = 0; odd < 2; ++odd) {
            split_phases(spare + odd * half, phases / 2, count, 2 * pitch, target + odd * pitch, spare + 2 * half);
        }
    }
}

/// The inverse, for a number of phases that is a power of two: target[i * phases + phase] = source[phase * pitch + i].
/// As much room is needed where there are more than two phases.
template <class T>
// NOLINTNEXTLINE(misc-no-recursion): each half has half as many phases.
void join_phases(const T* source, int phases, index count, index pitch, T* target, T* spare) {
    if (phases == 1) {
        std::memcpy(target, source, static_cast<std::size_t>(count) * sizeof(T));
    } else if (phases == 2) {
        join_two(source, source + pitch, count, target);
    } else {
        const index half = phases / 2 * count;
        for (int odd = 0; odd < 2; ++odd) {
            join_phases(source + odd * pitch, phases / 2, count, 2 * pitch, spare + odd * half, spare + 2 * half);
        }
        join_two(spare, spare + half, half, target);
    }
}

/// Pixels of `size` bytes that a vector is made of, an even number.
template <index size>
inline constexpr index pixels_together = vector_bytes / (2 * size) * 2;

/// target[i] = source[2 * i] for pixels of `size` bytes and i < count, at least `pixels_together`. Reads up to
/// `read_behind` bytes behind those between, writes up to a vector behind them.
template <index size>
void take_every_other(const std::uint8_t* source, index count, std::uint8_t* target) {
    constexpr index together = pixels_together<size>;
    constexpr auto place = [](index byte) { return byte < together * size ? byte / size * 2 * size + byte % size : 0; };
    for (index i = 0; i < count; i += together) {
        const index pixel = std::min(i, count - together);
        const std::uint8_t* const from = source + 2 * pixel * size;
        store_lanes(target + pixel * size,
                    ordered<place, std::uint8_t>(load_lanes(from), load_lanes(from + vector_bytes)));
    }
}

template <index size>
inline constexpr index read_behind = 2 * (vector_bytes - pixels_together<size> * size);

/// target[i] = (i % 2 == 0 ? even : odd)[i / 2] for pixels of `size` bytes and i < count, at least `pixels_together`.
/// Reads up to a vector behind them.
template <index size>
void take_in_turn(const std::uint8_t* even, const std::uint8_t* odd, index count, std::uint8_t* target) {
    constexpr index together = pixels_together<size>;
    constexpr auto place = [](index byte) {
        const index pixel = byte / size;
        return byte < together * size ? pixel % 2 * vector_bytes + pixel / 2 * size + byte % size : 0;
    };
    const auto pixels = [&](index i) {
        const index from = i / 2 * size;
        return ordered<place, std::uint8_t>(load_lanes(even + from), load_lanes(odd + from));
    };
    // Even numbers of pixels, the last of which overlap with those before; an odd one is left.
    index i = 0;
    for (; i * size + vector_bytes <= count * size; i += together) {
        store_lanes(target + i * size, pixels(i));
    }
    const index last = (count - together) / 2 * 2;
    const Lanes<std::uint8_t> rest = pixels(last);
    std::memcpy(target + last * size, &rest, together * size);
    if (count % 2 != 0) {
        std::memcpy(target + (count - 1) * size, even + count / 2 * size, size);
    }
}

/// Calls copy(size), with a constant where pixels are of a common size.
template <class Copy>
void with_pixel_size(index size, Copy&& copy) {
    switch (size) {
        case 2: return copy(std::integral_constant<index, 2>{});
        case 3: return copy(std::integral_constant<index, 3>{});
        case 4: return copy(std::integral_constant<index, 4>{});
        case 6: return copy(std::integral_constant<index, 6>{});
        case 8: return copy(std::integral_constant<index, 8>{});
        case 12: return copy(std::integral_constant<index, 12>{});
        case 16: return copy(std::integral_constant<index, 16>{});
        default: return copy(size);
    }
}

/// Whether vectors put pixels in order: their size is a constant, and a few fit in.
template <class Size>
constexpr bool ordered_by_vector() {
    if constexpr (std::is_same_v<Size, index>) {
        return false;
    } else {
        return orders_bytes && 4 * Size::value <= vector_bytes;
    }
}

/// Elements behind the pixels that `split_pixels` reads.
template <class T>
index read_behind_pixels(index channels) {
    index bytes = 0;
    with_pixel_size(channels * index{sizeof(T)}, [&](auto size) {
        if constexpr (ordered_by_vector<decltype(size)>()) {
            bytes = read_behind<size> + size;
        }
    });
    return channels == 1 ? 0 : ceil_div(bytes, sizeof(T));
}

/// Pixels of `channels` elements, more than one, in turn to two rows: `count` to each. Writes up to a vector behind
/// them.
template <class T>
void split_pixels(const T* source, index channels, index count, T* even, T* odd) {
    with_pixel_size(channels * index{sizeof(T)}, [=](auto size) {
        const auto* const from = reinterpret_cast<const std::uint8_t*>(source);
        auto* const to_even = reinterpret_cast<std::uint8_t*>(even);
        auto* const to_odd = reinterpret_cast<std::uint8_t*>(odd);
        if constexpr (ordered_by_vector<decltype(size)>()) {
            if (count >= pixels_together<size>) {
                take_every_other<size>(from, count, to_even);
                take_every_other<size>(from + size, count, to_odd);
                return;
            }
        }
        for (index i = 0; i < count; ++i) {
            std::memcpy(to_even + i * size, from + 2 * i * size, static_cast<std::size_t>(size));
            std::memcpy(to_odd + i * size, from + (2 * i + 1) * size, static_cast<std::size_t>(size));
        }
    });
}

/// The inverse: the first `count` pixels, of any number of channels, in turn from two rows.
template <class T>
void join_pixels(const T* even, const T* odd, index channels, index count, T* target) {
    if (channels == 1) {
        join_two(even, odd, count / 2, target);
        if (count % 2 != 0) {
            target[count - 1] = even[count / 2];
        }
        return;
    }
    with_pixel_size(channels * index{sizeof(T)}, [=](auto size) {
        const auto* const from_even = reinterpret_cast<const std::uint8_t*>(even);
        const auto* const from_odd = reinterpret_cast<const std::uint8_t*>(odd);
        auto* const to = reinterpret_cast<std::uint8_t*>(target);
        if constexpr (ordered_by_vector<decltype(size)>()) {
            if (count >= pixels_together<size>) {
                return take_in_turn<size>(from_even, from_odd, count, to);
            }
        }
        for (index i = 0; i < count; ++i) {
            std::memcpy(to + i * size, (i % 2 == 0 ? from_even : from_odd) + i / 2 * size,
                        static_cast<std::size_t>(size));
        }
    });
}

}  // namespace imkernels::detail
