#include "rows/row_writer.hpp"

#include <cstdint>
#include <limits>
#include <type_traits>

#include "core/accumulate.hpp"
#include "core/dtype.hpp"
#include "core/order_key.hpp"
#include "rows/element.hpp"

namespace imkernels {

struct FromNumber {
    template <class Work, class To>
    static constexpr bool writes = !std::is_same_v<To, Bool>;
    template <class To, class Work>
    static To convert(Work value) {
        return to_result<To>(value);
    }
};

struct FromNumberTowardZero {
    template <class Work, class To>
    static constexpr bool writes = FromNumber::writes<Work, To>;
    template <class To, class Work>
    static To convert(Work value) {
        if constexpr (std::is_integral_v<To> && std::is_floating_point_v<Work>) {
            return cut_off<To>(value);
        } else {
            return to_result<To>(value);
        }
    }

private:
    template <class Integer, class Float>
    static Integer cut_off(Float value) {
        using Limits = std::numeric_limits<Integer>;
        constexpr Float lowest = static_cast<Float>(Limits::min());
        const Float number = value == value ? value : Float{0};
        const Float low = number < lowest ? lowest : number;
        if constexpr (sizeof(Integer) <= 2) {  // vectors hold as many integers of 32 bits as floats
            constexpr Float highest = static_cast<Float>(Limits::max());
            return static_cast<Integer>(static_cast<std::int32_t>(low < highest ? low : highest));
        } else {
            constexpr Float beyond = static_cast<Float>(Integer{1} << (Limits::digits - 1)) * 2;
            const Integer inside = static_cast<Integer>(low < beyond ? low : lowest);
            return low < beyond ? inside : Limits::max();
        }
    }
};

struct FromOrderKey {
    template <class Work, class To>
    static constexpr bool writes = std::is_same_v<Work, OrderKey<To>>;
    template <class To, class Work>
    static To convert(Work key) {
        return from_key<To>(key);
    }
};

namespace {
template <class Policy, class Work, class To, bool swapped, index step>
void write_spaced(const Work* __restrict source, index count, std::byte* __restrict target, index stride) {
    const index apart = step != 0 ? step * static_cast<index>(sizeof(To)) : stride;
    for (index i = 0; i < count; ++i) {
        detail::store_element<To, swapped>(target + i * apart, Policy::template convert<To>(source[i]));
    }
}

template <class Policy, class Work, class To, bool swapped>
void write_run(const Work* source, index count, std::byte* target, index stride) {
    if (!swapped && stride == static_cast<index>(sizeof(To))) {
        write_spaced<Policy, Work, To, swapped, 1>(source, count, target, stride);
    } else {
        write_spaced<Policy, Work, To, swapped, 0>(source, count, target, stride);
    }
}
}  // namespace

template <class Policy, class Work>
WriteRun<Work> row_writer(ElementType element) {
    return visit_dtype(element.dtype, [&](auto tag) -> WriteRun<Work> {
        using To = typename decltype(tag)::type;
        if constexpr (!Policy::template writes<Work, To>) {
            return nullptr;
        } else if constexpr (sizeof(To) == 1) {
            return write_run<Policy, Work, To, false>;
        } else {
            return element.swapped ? write_run<Policy, Work, To, true> : write_run<Policy, Work, To, false>;
        }
    });
}

template WriteRun<std::int8_t> row_writer<FromNumber, std::int8_t>(ElementType);
template WriteRun<std::int16_t> row_writer<FromNumber, std::int16_t>(ElementType);
template WriteRun<std::int32_t> row_writer<FromNumber, std::int32_t>(ElementType);
template WriteRun<std::int64_t> row_writer<FromNumber, std::int64_t>(ElementType);
template WriteRun<std::uint8_t> row_writer<FromNumber, std::uint8_t>(ElementType);
template WriteRun<std::uint16_t> row_writer<FromNumber, std::uint16_t>(ElementType);
template WriteRun<std::uint32_t> row_writer<FromNumber, std::uint32_t>(ElementType);
template WriteRun<std::uint64_t> row_writer<FromNumber, std::uint64_t>(ElementType);
template WriteRun<float> row_writer<FromNumber, float>(ElementType);
template WriteRun<double> row_writer<FromNumber, double>(ElementType);

template WriteRun<std::int16_t> row_writer<FromNumberTowardZero, std::int16_t>(ElementType);
template WriteRun<std::int32_t> row_writer<FromNumberTowardZero, std::int32_t>(ElementType);
template WriteRun<std::int64_t> row_writer<FromNumberTowardZero, std::int64_t>(ElementType);
template WriteRun<std::uint64_t> row_writer<FromNumberTowardZero, std::uint64_t>(ElementType);
template WriteRun<float> row_writer<FromNumberTowardZero, float>(ElementType);
template WriteRun<double> row_writer<FromNumberTowardZero, double>(ElementType);

template WriteRun<std::uint8_t> row_writer<FromOrderKey, std::uint8_t>(ElementType);
template WriteRun<std::uint16_t> row_writer<FromOrderKey, std::uint16_t>(ElementType);
template WriteRun<std::int32_t> row_writer<FromOrderKey, std::int32_t>(ElementType);
template WriteRun<std::int64_t> row_writer<FromOrderKey, std::int64_t>(ElementType);

}  // namespace imkernels
