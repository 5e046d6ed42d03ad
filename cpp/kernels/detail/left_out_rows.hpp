// Rows of an output that one filter leaves to another.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <functional>
#include <vector>

#include "rows/tile_grid.hpp"
#include "rows/wide_planes.hpp"

namespace imkernels::detail {

/// Filters a part of an image, which is one plane.
using FilterPart = std::function<void(const WidePlanes&)>;

/// Bands of `band` rows, the height of the tiles.
class LeftOutRows {
public:
    LeftOutRows(const WidePlanes& planes, index band)
        : planes_(planes),
          band_(band),
          bands_(ceil_div(planes.out.first.rows, band)),
          left_out_(static_cast<std::size_t>(planes.out.planes() * bands_)) {}

    /// Any thread may call this.
    void leave(const Tile& tile) { left_out_[static_cast<std::size_t>(tile.plane * bands_ + tile.row / band_)] = true; }

    /// Calls `filter` for what was left, as much as lies together at a time.
    void pass_on(const FilterPart& filter) const {
        for (index plane = 0; plane < planes_.out.planes(); ++plane) {
            for (index begin = 0, end = 0; begin < bands_; begin = end + 1) {
                for (end = begin; end < bands_ && left_out_[static_cast<std::size_t>(plane * bands_ + end)];) {
                    ++end;
                }
                if (end > begin) {
                    filter(part(plane, begin * band_, std::min(end * band_, planes_.out.first.rows)));
                }
            }
        }
    }

private:
    /// The rows [begin, end) of a plane of the output.
    WidePlanes part(index plane, index begin, index end) const {
        WidePlanes part = planes_;
        part.image.leading.clear();
        part.image.first = planes_.image.plane(plane);
        part.out.leading.clear();
        part.out.first = planes_.out.plane(plane);
        part.out.first.data = part.out.first.at(begin, 0);
        part.out.first.rows = end - begin;
        part.window.rows.before -= begin * part.window.rows.stride;
        return part;
    }

    const WidePlanes& planes_;
    index band_, bands_;
    std::vector<std::atomic<bool>> left_out_;
};

}  // namespace imkernels::detail
