// The windows of pooling along an axis, clipped to the image, and what their sums are divided by.
#pragma once

#include <algorithm>
#include <vector>

#include "core/accumulate.hpp"
#include "core/window.hpp"

namespace imkernels {

/// Pixels [begin, end) along an axis.
struct Span {
    index begin, end;

    index size() const { return end - begin; }
    bool operator==(const Span&) const = default;
};

inline index longest(const std::vector<Span>& spans) {
    index most = 0;
    for (const Span& span : spans) {
        most = std::max(most, span.size());
    }
    return most;
}

/// One span per output, of which neither begins nor ends ever move back, and one divisor per output.
struct PoolAxis {
    std::vector<Span> spans;
    std::vector<index> divisors;

    /// The number of outputs.
    index outputs() const { return static_cast<index>(spans.size()); }
    const Span& span(index output) const { return spans[static_cast<std::size_t>(output)]; }
    index divisor(index output) const { return divisors[static_cast<std::size_t>(output)]; }
    index longest() const { return imkernels::longest(spans); }
};

/// Windows of one size. Each is divided by its pixels in the image, or, with `count_padding`, by those in the image and
/// `window.before` and `after` pixels around it.
inline PoolAxis regular_windows(const WindowAxis& window, index extent, index outputs, index after,
                                bool count_padding) {
    PoolAxis axis;
    for (index output = 0; output < outputs; ++output) {
        const index begin = window.position(output);
        const index end = begin + window.size;
        const Span inside{std::max<index>(begin, 0), std::min(end, extent)};
        axis.spans.push_back(inside);
        axis.divisors.push_back(count_padding ? std::min(end, extent + after) - begin : inside.size());
    }
    return axis;
}

/// Windows that share `extent` pixels out: [floor(i * extent / outputs), ceil((i + 1) * extent / outputs)).
inline PoolAxis adaptive_windows(index extent, index outputs) {
    PoolAxis axis;
    for (index output = 0; output < outputs; ++output) {
        const auto part = [&](index i) { return static_cast<int128>(i) * extent; };
        const Span span{static_cast<index>(part(output) / outputs),
                        static_cast<index>((part(output + 1) + outputs - 1) / outputs)};
        axis.spans.push_back(span);
        axis.divisors.push_back(span.size());
    }
    return axis;
}

/// For each of `extent` pixels the outputs whose windows it lies in: the way back of a gradient.
inline std::vector<Span> outputs_of_pixels(const PoolAxis& axis, index extent) {
    std::vector<Span> outputs;
    Span span{0, 0};
    for (index pixel = 0; pixel < extent; ++pixel) {
        while (span.end < axis.outputs() && axis.span(span.end).begin <= pixel) {
            ++span.end;
        }
        while (span.begin < span.end && axis.span(span.begin).end <= pixel) {
            ++span.begin;
        }
        outputs.push_back(span);
    }
    return outputs;
}

struct PoolWindows {
    PoolAxis rows, columns;
};

}  // namespace imkernels
