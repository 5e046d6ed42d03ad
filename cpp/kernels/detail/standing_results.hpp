// Results that a faster way has computed already, of which only those that are no finite numbers are replaced.
#pragma once

#include <optional>

#include "core/array_view.hpp"
#include "core/finite.hpp"
#include "rows/row_reader.hpp"
#include "rows/tile_grid.hpp"

namespace imkernels::detail {

template <class Result>
class StandingResults {
public:
    explicit StandingResults(const MutableStack& out) : out_(out), read_(row_reader<AsNumber, Result>(out.element)) {}

    /// Whether none of a tile is to be replaced. `row` is room for a row of it.
    bool are_finite(const Tile& tile, Result* row) const {
        for (index y = 0; y < tile.rows; ++y) {
            load(tile, y, row);
            if (!all_finite(row, tile.columns)) {
                return false;
            }
        }
        return true;
    }

    /// Puts what stands in row `y` of a tile in the place of results, where it is finite.
    void keep(const Tile& tile, index y, Result* row, Result* results) const {
        load(tile, y, row);
        for (index x = 0; x < tile.columns; ++x) {
            results[x] = is_finite(row[x]) ? row[x] : results[x];
        }
    }

private:
    void load(const Tile& tile, index y, Result* row) const {
        const MutablePlane plane = out_.plane(tile.plane);
        read_(plane.at(tile.row + y, tile.column), plane.column_stride, tile.columns, row);
    }

    const MutableStack& out_;
    ReadRun<Result> read_;
};

}  // namespace imkernels::detail
