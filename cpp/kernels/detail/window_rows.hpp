// The rows that the windows of a tile cover, for kernels that first sum up columns: pixels of those columns that lie in
// the image, read where they are if that is possible. Sums of the columns that a border mode puts outside are copies.
#pragma once

#include <type_traits>
#include <utility>

#include "rows/tile_grid.hpp"
#include "rows/tile_loader.hpp"
#include "rows/wide_planes.hpp"
#include "simd/lanes.hpp"

namespace imkernels::detail {

/// The columns that the windows of a tile cover: `before` of them lie in front of the image, `inside` in it, `behind`
/// behind it. For each of those outside, `sources` has the number of the column inside that stands there, or no_source
/// for the fill.
struct TileColumns {
    bool direct;  // pixels are read from the image
    bool has_fill;
    index first;  // column of the image
    index before, inside, behind;
    const index* sources;
    const std::byte* begin = nullptr;  // column `first` of row 0 of the image, if direct

    /// Puts the sums of columns that lie outside beside those inside.
    template <class Sums, class Sum = std::remove_cvref_t<decltype(std::declval<Sums>()[0])>>
    void complete(const Sums& sums, Sum fill = {}) const {
        for (index i = 0; i < before + behind; ++i) {
            sums[i < before ? i : i + inside] = sources[i] == no_source ? fill : sums[before + sources[i]];
        }
    }
};

/// The columns of a tile whose windows leave none out; direct if what stands outside is copied from those inside, of at
/// most `most` columns. `sources` is room for them.
inline TileColumns columns_of_tile(const WidePlanes& planes, const Tile& tile, index* sources, index most) {
    const WindowAxis& axis = planes.window.columns;
    const index covered = axis.cover(tile.columns);
    const index position = axis.position(tile.column);
    const index extent = planes.image.first.columns;
    const index before = std::clamp<index>(-position, 0, covered);
    const index behind = std::clamp<index>(position + covered - extent, 0, covered - before);
    const index inside = covered - before - behind;
    TileColumns columns{before + behind <= most, false, position + before, before, inside, behind, sources};
    for (index i = 0; i < before + behind && columns.direct; ++i) {
        const index source = planes.column_at(position + (i < before ? i : i + inside));
        sources[i] = source == no_source ? no_source : source - columns.first;
        columns.has_fill |= source == no_source;
        columns.direct = source == no_source || (sources[i] >= 0 && sources[i] < inside);
    }
    return columns;
}

/// Copies elements that mostly are few, and so not worth the call of a function.
template <class T>
IMKERNELS_INLINE void copy_few(const T* source, index count, T* target) {
    constexpr index together = 16 / sizeof(T);
    typedef T Few __attribute__((vector_size(16)));
    if (count < together) {
        std::copy_n(source, count, target);
        return;
    }
    for (index i = 0; i < count; i += together) {
        const index x = std::min(i, count - together);  // the last ones may overlap
        Few few;
        std::memcpy(&few, source + x, sizeof(few));
        std::memcpy(target + x, &few, sizeof(few));
    }
}

/// Rows of a tile of an output of `rows`: many beside those that it only adds to its first sums, unless there would be
/// too few tiles for the workers.
inline index rows_of_tile(index rows, const WindowAxis& window, index planes = 1, int workers = 1) {
    const index tiles = workers > 1 ? ceil_div(2 * index{workers}, std::max<index>(1, planes)) : 1;
    const auto outputs = [&](index pixels) { return std::max<index>(1, pixels / window.step()); };
    const index least = outputs(std::max<index>(128, window.size));
    const index most = outputs(std::max<index>(128, 4 * window.size));
    return evenly(rows, std::clamp(ceil_div(rows, tiles), least, most));
}

/// Columns of a tile, at most `most`. Few where an image lies on its side, and a row has each pixel in a line of its
/// own, all of which compete for few places in the caches: so that the rows below find those lines there.
inline index width_of_tile(const ConstStack& image, const WindowAxis& window, index most) {
    constexpr index few = 128;
    constexpr index competing = 1024;  // bytes from one line to the next, or a multiple of that
    const index rows_apart = image.first.row_stride;
    const index apart = image.first.column_stride;
    const bool in_line = -cache_line < rows_apart && rows_apart < cache_line;
    if (!in_line || apart == 0 || apart % competing != 0) {
        return most;
    }
    return std::clamp<index>(std::max(few, 2 * window.reach()) / window.step(), 1, most);
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
        auto* const sources = scratch.take<index>(most_outside(window_));
        if (image_has_pixels_ && axis.step() == axis.stride) {
            TileColumns columns = columns_of_tile(planes_, tile, sources, most_outside(window_));
            if (columns.direct && !columns.has_fill) {
                columns.begin = image_.plane(tile.plane).at(0, columns.first);
                return columns;
            }
        }
        return {false, false, 0, 0, axis.cover(tile.columns), 0, sources};
    }

    /// The pixels inside of the row that lies `y` rows behind the first one of output row 0. `buffer` is room for a
    /// row.
    IMKERNELS_INLINE const Pixel* row(const Tile& tile, const TileColumns& columns, index y, Pixel* buffer) const {
        const Pixel* const pixels = pixels_in_place(columns, y);
        return pixels != nullptr ? pixels : row_outside(tile, columns, window_.rows.position(0) + y, buffer);
    }

    /// Where the pixels are that `row` gives, if it need not load them; nullptr for a row outside the image, too.
    IMKERNELS_INLINE const Pixel* pixels_in_place(const TileColumns& columns, index y) const {
        const index position = window_.rows.position(0) + y;
        const bool in_place = columns.direct && position >= 0 && position < image_.first.rows;
        return in_place ? pixels_at(columns, position) : nullptr;
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
    const Pixel* pixels_at(const TileColumns& columns, index row) const {
        return reinterpret_cast<const Pixel*>(columns.begin + row * image_.first.row_stride);
    }

    /// The row at a position that lies outside the image, or that has to be loaded.
    __attribute__((noinline)) const Pixel* row_outside(const Tile& tile, const TileColumns& columns, index position,
                                                       Pixel* buffer) const {
        if (columns.direct) {
            const Run run = border_run(window_.rows.border, image_.first.rows, position);
            if (run.source != no_source) {
                return pixels_at(columns, run.source);
            }
        }
        loader_.load_row(image_.plane(tile.plane), position, tile.column, tile.columns, buffer);
        return buffer;
    }

    /// Columns outside of the image that a tile may have without being loaded.
    static index most_outside(const Window2D& window) { return 2 * std::min<index>(window.columns.reach() - 1, 4096); }

    const WidePlanes& planes_;
    const ConstStack& image_;
    Window2D window_;
    bool image_has_pixels_;
    TileLoader<Pixel> loader_;
};

}  // namespace imkernels::detail
