// The loader and the writer with nothing between them. Every number fits one of three working types.
#include "kernels/convert.hpp"

#include <algorithm>

#include "core/check.hpp"
#include "parallel/parallel_for.hpp"
#include "rows/row_writer.hpp"

namespace imkernels {

namespace {
template <class Work>
void convert_in(const ConstStack& source, const MutableStack& out, int workers) {
    constexpr index piece = 1024;
    const ReadRun<Work> read = row_reader<AsNumber, Work>(source.element);
    const WriteRun<Work> write = row_writer<FromNumber, Work>(out.element);
    require(read != nullptr && write != nullptr, "convert: no loop for these element types");
    const index rows = out.first.rows;
    const index columns = out.first.columns;
    const double cost = static_cast<double>(columns);
    parallel_for({out.planes() * rows, cost, Scratch::bytes<Work>(piece), workers}, [&](index item, Scratch scratch) {
        Work* line = scratch.take<Work>(piece);
        const ConstPlane from = source.plane(item / rows);
        const MutablePlane to = out.plane(item / rows);
        for (index x = 0; x < columns; x += piece) {
            const index count = std::min(piece, columns - x);
            read(from.at(item % rows, x), from.column_stride, count, line);
            write(line, count, to.at(item % rows, x), to.column_stride);
        }
    });
}
}  // namespace

void convert(const ConstStack& source, const MutableStack& out, int workers) {
    require(source.first.rows == out.first.rows && source.first.columns == out.first.columns, "convert: one shape");
    visit_dtype(source.element.dtype, [&](auto tag) {
        using From = typename decltype(tag)::type;
        if constexpr (is_float<From>) {
            convert_in<double>(source, out, workers);
        } else if constexpr (std::is_same_v<From, std::uint64_t>) {
            convert_in<std::uint64_t>(source, out, workers);
        } else {
            convert_in<std::int64_t>(source, out, workers);
        }
    });
}

}  // namespace imkernels
