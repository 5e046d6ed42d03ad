// The rows that the windows of a tile cover, for kernels that first sum up columns: pixels of those columns that lie in
// the image, read where they are if that is possible. Sums of the columns that a border mode puts outside are copies.
#pragma once

#include "rows/tile_grid.hpp"
#include "rows/tile_loader.hpp"
#include "rows/wide_planes.hpp"

namespace imkernels::detail {

/// The columns that the windows of a tile cover: `before` of them lie in front of the image, `behind` of them behind
/// it. Their number among those `inside` that stands there stands in `sources`.
struct TileColumns {
    bool direct;  // pixels are read from the image
    index first;  // column of the image
    index before, inside, behind;
    const index* sources;
};

/// Rows of a tile of an output of `rows`: many beside those that it only adds to its first sums.
inline index rows_of_tile(index rows, const WindowAxis& window) {
    const index tall = std::max<index>(128, 4 * window.size / window.step());
    return evenly(rows, tall);
}

template <class Pixel>
class WindowRows {
public:
    WindowRows(const WidePlanes& planes, index columns, const std::byte* fill)
        : planes_(planes),
          image_(planes.image),
          window_(planes.window),
          image_has_pixels_(has_rows_of<Pixel>(image_)),
          loader_(window_, 1, columns, ColumnLayout::dense, row_reader<AsNumber, Pixel>(image_.element),
                  read_fill<AsNumber, Pixel>(image_.element.dtype, fill), planes.channels) {}

    /// Room for a row of pixels, or of sums of columns.
    index pitch() const { return loader_.pitch(); }
    /// Columns from one output to the next.
    index output_step() const { return loader_.output_step(); }

    static std::size_t bytes(const Window2D& window) { return Scratch::bytes<index>(most_outside(window)); }

    TileColumns columns(const Tile& tile, Scratch& scratch) const {
        const WindowAxis& axis = window_.columns;
        const index covered = axis.cover(tile.columns);
        const index extent = image_.first.columns;
        auto* const sources = scratch.take<index>(most_outside(window_));
        if (!image_has_pixels_ || axis.step() != axis.stride) {
            return {false, 0, 0, covered, 0, sources};
        }
        const index position = axis.position(tile.column);
        const index before = std::clamp<index>(-position, 0, covered);
        const index behind = std::clamp<index>(position + covered - extent, 0, covered - before);
        const TileColumns columns{true, position + before, before, covered - before - behind, behind, sources};
        bool direct = before + behind <= most_outside(window_);
        for (index i = 0; i < before + behind && direct; ++i) {
            const index outside = position + (i < before ? i : i + columns.inside);
            sources[i] = planes_.column_at(outside) - columns.first;  // no_source lies far outside
            direct = sources[i] >= 0 && sources[i] < columns.inside;
        }
        return direct ? columns : TileColumns{false, 0, 0, covered, 0, sources};
    }

    /// The pixels inside of the row that lies `y` rows behind the first one of output row 0. `buffer` is room for a
    /// row.
    const Pixel* row(const Tile& tile, const TileColumns& columns, index y, Pixel* buffer) const {
        const index position = window_.rows.position(0) + y;
        const ConstPlane plane = image_.plane(tile.plane);
        if (columns.direct) {
            const Run run = border_run(window_.rows.border, plane.rows, position);
            if (run.source != no_source) {
                return reinterpret_cast<const Pixel*>(plane.at(run.source, columns.first));
            }
        }
        loader_.load_row(plane, position, tile.column, tile.columns, buffer);
        return buffer;
    }

    /// Puts the sums of columns that lie outside beside those inside.
    template <class Sum>
    static void complete(const TileColumns& columns, Sum* sums) {
        const Sum* const inside = sums + columns.before;
        Sum* const behind = sums + columns.before + columns.inside;
        for (index i = 0; i < columns.before; ++i) {
            sums[i] = inside[columns.sources[i]];
        }
        for (index i = 0; i < columns.behind; ++i) {
            behind[i] = inside[columns.sources[columns.before + i]];
        }
    }

    /// Keeps the first `count` of the results that are asked for.
    template <class Result>
    void pick(Result* results, index count) const {
        const index step = output_step();
        for (index x = 1; x < count && step > 1; ++x) {
            results[x] = results[x * step];
        }
    }

private:
    /// Columns outside of the image that a tile may have without being loaded.
    static index most_outside(const Window2D& window) { return 2 * std::min<index>(window.columns.reach() - 1, 4096); }

    const WidePlanes& planes_;
    const ConstStack& image_;
    Window2D window_;
    bool image_has_pixels_;
    TileLoader<Pixel> loader_;
};

}  // namespace imkernels::detail
