// Writing rows of results, past the caches where they would only push other things out.
#pragma once

#include <algorithm>

#include "rows/row_writer.hpp"
#include "simd/lanes.hpp"

namespace imkernels::detail {

/// The writer of an output that, if it is large and its rows are contiguous, is not read into the cache before it is
/// overwritten: that is a third of the traffic of a filter that does little else.
template <class Policy, class Work>
class ResultWriter {
public:
    explicit ResultWriter(const MutableStack& out)
        : write_(row_writer<Policy, Work>(out.element)), item_size_(size_of(out.element.dtype)) {
        constexpr index large = index{16} << 20;  // bytes: with its input more than stays in the last cache
        const index bytes = out.planes() * out.first.rows * out.first.columns * item_size_;
        streams_ = bytes >= large && out.first.column_stride == item_size_ && !out.element.swapped;
    }

    /// Whether there is a writer for the type of the output.
    bool exists() const { return write_ != nullptr; }

    void operator()(const Work* results, index count, std::byte* target, index stride) const {
        if (!streams_) {
            return write_(results, count, target, stride);
        }
        constexpr index line_bytes = 4096;
        alignas(64) std::byte line[line_bytes];
        const index most = line_bytes / item_size_;
        for (index i = 0; i < count; i += most) {
            const index here = std::min(most, count - i);
            write_(results + i, here, line, item_size_);
            stream(line, here * item_size_, target + i * item_size_);
        }
    }

    /// To be called before others may read what was written.
    void finish() const {
        if (streams_) {
            finish_streams();
        }
    }

private:
    static index size_of(Dtype dtype) {
        return visit_dtype(dtype, [](auto tag) { return static_cast<index>(sizeof(typename decltype(tag)::type)); });
    }

    WriteRun<Work> write_;
    index item_size_;
    bool streams_;
};

}  // namespace imkernels::detail
