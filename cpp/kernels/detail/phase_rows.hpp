// The rows that the windows of a tile of the image cover, for networks that compute tiles of a few outputs in lanes
// side by side: columns from one such tile to the next make up as many phases, each in a row of its own. They are dealt
// out straight from the image where that is possible.
#pragma once

#include <algorithm>

#include "core/order_key.hpp"
#include "kernels/detail/phases.hpp"
#include "rows/tile_grid.hpp"
#include "rows/tile_loader.hpp"
#include "rows/wide_planes.hpp"

namespace imkernels::detail {

template <class Key>
class PhaseRows {
public:
    /// For tiles of at most `columns` columns of outputs. Of channels (rows/wide_planes.hpp), which have one phase or
    /// two, whole pixels are dealt out. Phases lie `phase_pitch` keys apart.
    PhaseRows(const WidePlanes& planes, index columns, int phases, index phase_pitch, const std::byte* fill)
        : planes_(planes),
          image_(planes.image),
          window_(planes.window),
          phases_(phases),
          phase_pitch_(phase_pitch),
          has_keys_(has_rows_of<Key>(image_) && window_.columns.step() == window_.columns.stride),
          fill_(read_fill<AsOrderKey, Key>(image_.element.dtype, fill)),
          loader_(window_, 1, columns, ColumnLayout::dense, row_reader<AsOrderKey, Key>(image_.element), fill_,
                  planes.channels) {}

    /// Bytes of scratch that `columns` takes.
    static std::size_t bytes() { return 2 * Scratch::bytes<index>(most_single); }
    /// Keys of the room that `load` needs to take a row apart; more than a row of outputs has.
    index room() const { return 3 * std::max(loader_.pitch(), phases_ * phase_pitch_) + row_slack; }

    /// The image row, or the row outside of it, that row `y` of a tile of `rows` rows of outputs is.
    index position(const Tile& tile, index rows, index y) const { return loader_.row_position(tile.row, rows, y); }

    /// Where column `column` of a tile of the image lies in a row.
    index place(index column) const {
        const index pixel = column / planes_.channels;
        return pixel % phases_ * phase_pitch_ + pixel / phases_ * planes_.channels + column % planes_.channels;
    }

    /// What a tile needs of a row: the columns between `begin` and `end` as they stand in the image, and a few before
    /// and behind, which are taken one by one: the image has none at some of their places.
    struct Columns {
        index begin = 0, end = 0;
        index single = 0;
        index* places;   // in a row
        index* sources;  // in the image
    };

    Columns columns(const Tile& tile, Scratch& scratch) const {
        Columns columns;
        columns.places = scratch.take<index>(most_single);
        columns.sources = scratch.take<index>(most_single);
        const index together = phases_ * planes_.channels;
        const index first = window_.columns.position(tile.column);
        const index covered = window_.columns.cover(tile.columns);
        const index inside = image_.first.columns - first - read_behind_pixels<Key>(planes_.channels);
        const index begin = round_up(std::max<index>(0, -first), together);
        const index end = std::min(covered, inside) / together * together;
        if (!has_keys_ || begin >= end || begin + covered - end > most_single) {
            return columns;
        }
        columns.begin = begin;
        columns.end = end;
        const auto add = [&](index from, index to) {
            for (index column = from; column < to; ++column) {
                columns.places[columns.single] = place(column);
                columns.sources[columns.single++] = planes_.column_at(first + column);
            }
        };
        add(0, begin);
        add(end, covered);
        return columns;
    }

    /// Loads what stands at row `position`, in the image or outside; true if there was a NaN. Writes up to a vector
    /// behind each phase.
    bool load(const Tile& tile, const Columns& columns, index position, Key* row, Key* room) const {
        const ConstPlane source = image_.plane(tile.plane);
        const index at = border_run(window_.rows.border, source.rows, position).source;
        if (columns.begin == columns.end || at == no_source) {
            const bool nan = loader_.load_row(source, position, tile.column, tile.columns, phases_ == 1 ? row : room);
            if (phases_ > 1) {
                deal(room, ceil_div(window_.columns.cover(tile.columns), phases_ * planes_.channels), row,
                     room + loader_.pitch());
            }
            return nan;
        }
        const auto* const pixels = reinterpret_cast<const Key*>(source.at(at, 0));
        deal(pixels + window_.columns.position(tile.column) + columns.begin,
             (columns.end - columns.begin) / (phases_ * planes_.channels), row + columns.begin / phases_, room);
        for (index i = 0; i < columns.single; ++i) {
            row[columns.places[i]] = columns.sources[i] == no_source ? fill_.value : pixels[columns.sources[i]];
        }
        return false;
    }

private:
    static constexpr index most_single = 1024;

    /// Deals `count` pixels to each phase of a row.
    void deal(const Key* pixels, index count, Key* row, Key* room) const {
        if (phases_ == 1) {
            std::copy_n(pixels, count * planes_.channels, row);
        } else if (planes_.channels > 1) {
            split_pixels(pixels, planes_.channels, count, row, row + phase_pitch_);
        } else {
            split_phases(pixels, phases_, count, phase_pitch_, row, room);
        }
    }

    const WidePlanes& planes_;
    const ConstStack& image_;
    Window2D window_;
    int phases_;
    index phase_pitch_;
    bool has_keys_;
    Fill<Key> fill_;
    TileLoader<Key> loader_;
};

}  // namespace imkernels::detail
