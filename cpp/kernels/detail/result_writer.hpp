// Writing rows of results: where they shall lie from the start if they can, past the caches if they would only push
// other things out.
#pragma once

#include <algorithm>

#include "core/check.hpp"
#include "rows/row_writer.hpp"
#include "simd/lanes.hpp"

namespace imkernels::detail {

inline constexpr index large_output = index{16} << 20;  // bytes
/// Of boxes of floats, which are computed so fast that they wait for memory soonest.
inline constexpr index large_output_of_boxes = index{8} << 20;

/// Writes order-preserving keys, or numbers. An output that is large and whose rows are contiguous is not read into the
/// cache before it is overwritten: that is a third of the traffic of a filter that does little else.
template <class Key, class Policy = FromOrderKey>
class ResultWriter {
public:
    /// Outputs of `large` bytes go past the caches: those that with their input do not stay in the last one.
    explicit ResultWriter(const MutableStack& out, index large = large_output)
        : write_(row_writer<Policy, Key>(out.element)), keys_(has_rows_of<Key>(out) || has_rows_of<Bool>(out)) {
        require(write_ != nullptr, "no loop for this element type of the result");
        streams_ = out.planes() * out.first.rows * out.first.columns * item_size >= large &&
                   out.first.column_stride == item_size && !out.element.swapped &&
                   (keys_ || std::is_same_v<Policy, FromOrderKey>);
    }

    bool streams() const { return streams_; }
    /// Whether the elements of the output are results as they are, side by side.
    bool keeps() const { return keys_; }
    /// Whether results are computed where they shall lie, and need not be written.
    bool in_place() const { return keys_ && !streams_; }

    void operator()(const Key* results, index count, std::byte* target, index stride) const {
        if (!streams_ || stride != item_size) {  // a column, say
            return write_(results, count, target, stride);
        }
        if (keys_) {
            return stream(reinterpret_cast<const std::byte*>(results), count * item_size, target);
        }
        constexpr index line_bytes = 4096;
        alignas(64) std::byte line[line_bytes];
        constexpr index most = line_bytes / item_size;
        for (index i = 0; i < count; i += most) {
            const index here = std::min(most, count - i);
            write_(results + i, here, line, item_size);
            stream(line, here * item_size, target + i * item_size);
        }
    }

    /// To be called before others may read what was written.
    void finish() const {
        if (streams_) {
            finish_streams();
        }
    }

private:
    static constexpr index item_size = sizeof(Key);

    WriteRun<Key> write_;
    bool keys_;  // are elements of the output
    bool streams_;
};

}  // namespace imkernels::detail
