// The loader and the writer with nothing between them. Every number fits one of three working types.
#include "kernels/convert.hpp"

#include <algorithm>

#include "core/check.hpp"
#include "rows/row_reader.hpp"
#include "rows/row_writer.hpp"
#include "rows/tile_grid.hpp"

namespace imkernels {

namespace {
template <class Work>
void convert_in(const ConstStack& source, const MutableStack& out, int workers) {
    constexpr index piece = 1024;
    const ReadRun<Work> read = row_reader<AsNumber, Work>(source.element);
    const WriteRun<Work> write = row_writer<FromNumber, Work>(out.element);
    require(read != nullptr && write != nullptr, "convert: no loop for these element types");
    const TileGrid rows(out.planes(), out.first.rows, out.first.columns, part_of_row(out.first.columns), 1.0, 1);
    rows.for_each(Scratch::bytes<Work>(piece), workers, [&](const Tile& part, Scratch scratch) {
        Work* line = scratch.take<Work>(piece);
        const ConstPlane from = source.plane(part.plane);
        const MutablePlane to = out.plane(part.plane);
        const index end = part.column + part.columns;
        for (index x = part.column; x < end; x += piece) {
            const index count = std::min(piece, end - x);
            read(from.at(part.row, x), from.column_stride, count, line);
            write(line, count, to.at(part.row, x), to.column_stride);
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
