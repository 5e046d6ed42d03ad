// Reading a run of elements into a kernel's working type: any element type, byte order, alignment and stride.
#pragma once

#include <bit>
#include <cstddef>
#include <cstring>
#include <type_traits>

#include "core/accumulate.hpp"
#include "core/array_view.hpp"
#include "core/dtype.hpp"
#include "core/order_key.hpp"

namespace imkernels {

namespace detail {
template <class T>
T swap_bytes(T value) {
    using U = std::make_unsigned_t<OrderKey<T>>;
    if constexpr (sizeof(T) == 2) {
        return std::bit_cast<T>(__builtin_bswap16(std::bit_cast<U>(value)));
    } else if constexpr (sizeof(T) == 4) {
        return std::bit_cast<T>(__builtin_bswap32(std::bit_cast<U>(value)));
    } else if constexpr (sizeof(T) == 8) {
        return std::bit_cast<T>(__builtin_bswap64(std::bit_cast<U>(value)));
    } else {
        return value;
    }
}

template <class T, bool swapped>
T load_element(const std::byte* source) {
    T value;
    std::memcpy(&value, source, sizeof(T));
    return swapped ? swap_bytes(value) : value;
}

template <class T, bool swapped>
void store_element(std::byte* target, T value) {
    value = swapped ? swap_bytes(value) : value;
    std::memcpy(target, &value, sizeof(T));
}
}  // namespace detail

/// Reads `count` elements, `stride` bytes apart, into `target`; true if one of them is a NaN.
template <class Work>
using ReadRun = bool (*)(const std::byte* source, index stride, index count, Work* target);

/// How elements become the working type. Each policy says which element types it can read.
struct AsNumber {
    /// Floats and integers that the working type holds exactly, as integers modulo its size; double takes what comes.
    template <class Work, class From>
    static constexpr bool reads =
        is_float<From> ? std::is_floating_point_v<Work> && sizeof(From) <= sizeof(Work)
                       : sizeof(From) <= sizeof(Work) / (std::is_floating_point_v<Work> ? 2 : 1) || sizeof(Work) == 8;
    template <class Work, class From>
    static Work convert(From value) {
        return to_number<Work>(value);
    }
};

struct AsOrderKey {
    template <class Work, class From>
    static constexpr bool reads = std::is_same_v<Work, OrderKey<From>>;
    template <class Work, class From>
    static Work convert(From value) {
        return to_key(value);
    }
};

/// Keys for the search for a maximum: 32 bits or 64, and the two zeros are the same.
struct AsMaximumKey {
    template <class Work, class From>
    static constexpr bool reads = (sizeof(From) == 8) == (sizeof(Work) == 8);
    template <class Work, class From>
    static Work convert(From value) {
        const Work key = to_key(value);
        if constexpr (is_float<From>) {
            return key == to_key(std::bit_cast<From>(flip_sign_of_zero<From>)) ? to_key(From{}) : key;
        } else {
            return key;
        }
    }

private:
    template <class From>
    static constexpr auto flip_sign_of_zero = detail::flip_sign(std::make_unsigned_t<OrderKey<From>>{0});
};

namespace detail {
template <class Policy, class Work, class From, bool swapped, index step>
bool read_spaced(const std::byte* __restrict source, index stride, index count, Work* __restrict target) {
    // A constant step lets the loop vectorise; 0 stands for any other.
    const index apart = step != 0 ? step * static_cast<index>(sizeof(From)) : stride;
    unsigned nan = 0;
    for (index i = 0; i < count; ++i) {
        const From value = load_element<From, swapped>(source + i * apart);
        nan |= static_cast<unsigned>(is_nan(value));
        target[i] = Policy::template convert<Work>(value);
    }
    return nan != 0;
}

template <class Policy, class Work, class From, bool swapped>
bool read_run(const std::byte* source, index stride, index count, Work* target) {
    constexpr index size = sizeof(From);
    if constexpr (!swapped) {
        switch (stride) {
            case size: return read_spaced<Policy, Work, From, false, 1>(source, stride, count, target);
            case 2 * size: return read_spaced<Policy, Work, From, false, 2>(source, stride, count, target);
            case 3 * size: return read_spaced<Policy, Work, From, false, 3>(source, stride, count, target);
            case 4 * size: return read_spaced<Policy, Work, From, false, 4>(source, stride, count, target);
            default: break;
        }
    }
    return read_spaced<Policy, Work, From, swapped, 0>(source, stride, count, target);
}
}  // namespace detail

/// The reader for an element type, or nullptr where the policy has none.
template <class Policy, class Work>
ReadRun<Work> row_reader(ElementType element) {
    return visit_dtype(element.dtype, [&](auto tag) -> ReadRun<Work> {
        using From = typename decltype(tag)::type;
        if constexpr (!Policy::template reads<Work, From>) {
            return nullptr;
        } else if constexpr (sizeof(From) == 1) {
            return detail::read_run<Policy, Work, From, false>;
        } else {
            return element.swapped ? detail::read_run<Policy, Work, From, true>
                                   : detail::read_run<Policy, Work, From, false>;
        }
    });
}

}  // namespace imkernels
