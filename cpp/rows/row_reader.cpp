#include "rows/row_reader.hpp"

#include <bit>
#include <cstdint>
#include <type_traits>

#include "core/accumulate.hpp"
#include "core/dtype.hpp"
#include "core/order_key.hpp"
#include "rows/element.hpp"

namespace imkernels {

// Each policy says which element types it can read.

struct AsNumber {
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

namespace {
template <class Policy, class Work, class From, bool swapped, index step>
bool read_spaced(const std::byte* __restrict source, index stride, index count, Work* __restrict target) {
    // A constant step lets the loop vectorise; 0 stands for any other.
    const index apart = step != 0 ? step * static_cast<index>(sizeof(From)) : stride;
    unsigned nan = 0;
    for (index i = 0; i < count; ++i) {
        const From value = detail::load_element<From, swapped>(source + i * apart);
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
}  // namespace

template <class Policy, class Work>
ReadRun<Work> row_reader(ElementType element) {
    return visit_dtype(element.dtype, [&](auto tag) -> ReadRun<Work> {
        using From = typename decltype(tag)::type;
        if constexpr (!Policy::template reads<Work, From>) {
            return nullptr;
        } else if constexpr (sizeof(From) == 1) {
            return read_run<Policy, Work, From, false>;
        } else {
            return element.swapped ? read_run<Policy, Work, From, true> : read_run<Policy, Work, From, false>;
        }
    });
}

template ReadRun<std::int8_t> row_reader<AsNumber, std::int8_t>(ElementType);
template ReadRun<std::int16_t> row_reader<AsNumber, std::int16_t>(ElementType);
template ReadRun<std::int32_t> row_reader<AsNumber, std::int32_t>(ElementType);
template ReadRun<std::int64_t> row_reader<AsNumber, std::int64_t>(ElementType);
template ReadRun<std::uint8_t> row_reader<AsNumber, std::uint8_t>(ElementType);
template ReadRun<std::uint16_t> row_reader<AsNumber, std::uint16_t>(ElementType);
template ReadRun<std::uint32_t> row_reader<AsNumber, std::uint32_t>(ElementType);
template ReadRun<std::uint64_t> row_reader<AsNumber, std::uint64_t>(ElementType);
template ReadRun<int128> row_reader<AsNumber, int128>(ElementType);
template ReadRun<float> row_reader<AsNumber, float>(ElementType);
template ReadRun<double> row_reader<AsNumber, double>(ElementType);

template ReadRun<std::uint8_t> row_reader<AsOrderKey, std::uint8_t>(ElementType);
template ReadRun<std::uint16_t> row_reader<AsOrderKey, std::uint16_t>(ElementType);
template ReadRun<std::int32_t> row_reader<AsOrderKey, std::int32_t>(ElementType);
template ReadRun<std::int64_t> row_reader<AsOrderKey, std::int64_t>(ElementType);

template ReadRun<std::int32_t> row_reader<AsMaximumKey, std::int32_t>(ElementType);
template ReadRun<std::int64_t> row_reader<AsMaximumKey, std::int64_t>(ElementType);

}  // namespace imkernels
