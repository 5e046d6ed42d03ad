// The interpreter of network programs: what each kind of step does to the slots, each of which is a vector.
#pragma once

#include <array>
#include <cstddef>
#include <utility>

#include "kernels/detail/better.hpp"
#include "kernels/detail/network_program.hpp"
#include "kernels/detail/sorted_lanes.hpp"

namespace imkernels::detail {

template <class Vector>
class NetworkSteps {
    using Function = void (*)(const Step&, Vector*);

public:
    static void run(const std::vector<Step>& steps, Vector* slots) {
        static constexpr std::array<Function, Step::kinds> table = make_table();
        for (const Step& step : steps) {
            table[step.kind](step, slots);
        }
    }

private:
    /// A list in its slots.
    struct List {
        const Vector* first;
        std::ptrdiff_t apart;
        const Vector& operator[](std::ptrdiff_t i) const { return first[i * apart]; }
    };

    static List first_of(const Step& step, const Vector* slots) { return {slots + step.first, step.first_step}; }
    static List second_of(const Step& step, const Vector* slots) { return {slots + step.second, step.second_step}; }

    static void pairs(const Step& step, Vector* slots) {
        const List even = first_of(step, slots);
        const List odd = second_of(step, slots);
        const std::ptrdiff_t count = step.count;  // a copy that no store can change
        const std::uint16_t behind = step.alone[1];
        Vector* result = slots + step.result;
        if (step.alone[0] != Step::none) {
            *result++ = slots[step.alone[0]];
        }
        IMKERNELS_UNROLL_4
        for (std::ptrdiff_t i = 0; i < count; ++i) {
            const Vector one = even[i];
            const Vector other = odd[i];
            result[2 * i] = Lesser::of(one, other);
            result[2 * i + 1] = Greater::of(one, other);
        }
        if (behind != Step::none) {
            result[2 * count] = slots[behind];
        }
    }

    static void pick(const Step& step, Vector* slots) {
        const List one = first_of(step, slots);
        const List other = second_of(step, slots);
        const std::ptrdiff_t count = step.count;
        std::ptrdiff_t begin = 0;
        Vector least;
        if (step.alone[0] != Step::none) {
            least = slots[step.alone[0]];
        } else if (step.alone[1] != Step::none) {
            least = slots[step.alone[1]];
        } else {
            least = Greater::of(one[0], other[0]);
            begin = 1;
        }
        for (std::ptrdiff_t i = begin; i < count; ++i) {
            least = Lesser::of(least, Greater::of(one[i], other[i]));
        }
        if (step.alone[1] != Step::none) {
            least = Lesser::of(least, slots[step.alone[1]]);
        }
        slots[step.result] = least;
    }

    template <int count>
    static void sort(const Step& step, Vector* slots) {
        constexpr Sought any{1 << 20, 1 << 19};  // so many that none is dropped
        const List list = first_of(step, slots);
        const auto sorted = sort_all<any, 0, count>([&](auto i) IMKERNELS_INLINE_LAMBDA { return list[i]; });
        repeat_all<count>([&]<int... i>()
                              IMKERNELS_INLINE_LAMBDA { ((slots[step.result + i] = sorted.values[i]), ...); });
    }

    template <int one, int other>
    static void merge(const Step& step, Vector* slots) {
        constexpr const auto& network = merge_network<one, other>;
        const List first = first_of(step, slots);
        const List second = second_of(step, slots);
        Vector wires[static_cast<std::size_t>(one + other)];
        repeat_all<one>([&]<int... i>() IMKERNELS_INLINE_LAMBDA { ((wires[i] = first[i]), ...); });
        repeat_all<other>([&]<int... i>() IMKERNELS_INLINE_LAMBDA { ((wires[one + i] = second[i]), ...); });
        repeat_all<network.count>([&]<int... i>() IMKERNELS_INLINE_LAMBDA {
            (compare_exchange(wires[network.comparators[i].first], wires[network.comparators[i].second]), ...);
        });
        repeat_all<one + other>(
            [&]<int... i>() IMKERNELS_INLINE_LAMBDA { ((slots[step.result + i] = wires[network.order[i]]), ...); });
    }

    static constexpr std::array<Function, Step::kinds> make_table() {
        std::array<Function, Step::kinds> functions{};
        functions[Step::pairs] = pairs;
        functions[Step::pick] = pick;
        repeat<Step::most - 1>([&](auto i) { functions[Step::sort + i + 2] = sort<i + 2>; });
        repeat<Step::most>([&](auto one) {
            repeat<Step::most - one>([&](auto more) {
                functions[Step::merge + one * Step::most + one + more] = merge<one + 1, one + more + 1>;
            });
        });
        return functions;
    }
};

}  // namespace imkernels::detail
