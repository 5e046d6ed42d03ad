// What the ways of computing a convolution over channels have in common.
#pragma once

#include <algorithm>
#include <vector>

#include "core/array_view.hpp"
#include "core/window.hpp"
#include "rows/zero_padded_tile.hpp"
#include "simd/lanes.hpp"

namespace imkernels::detail {

/// A layer of channels: those of an image fall into `groups`, of which each has `in` input and `out` output channels.
struct Layer {
    Window2D window;
    index images, groups;
    index in, out;

    /// For images x that give images y, or gradients of those; of y there are channels.
    Layer(const Window2D& moved, const auto& x, const auto& y, index group_count)
        : window(moved),
          images(y.planes() / y.leading.back().extent),
          groups(group_count),
          in(x.leading.back().extent / groups),
          out(y.leading.back().extent / groups) {}

    /// Taps that make up an output.
    index taps() const { return in * window.taps(); }
    /// The plane of a channel among those of all groups and images.
    index in_plane(index image, index group, index channel) const { return (image * groups + group) * in + channel; }
    index out_plane(index image, index group, index channel) const { return (image * groups + group) * out + channel; }
};

/// Whether so many output channels are worth vectors of their own.
template <class Work>
bool fill_lanes(index channels) {
    return 2 * channels > lane_count<Work>;
}

/// With as few taps, rows of outputs are faster than output channels that have to be transposed.
inline constexpr index few_taps = 16;

/// Whether rows of as many outputs are computed sooner than output channels: long ones bear more taps.
template <class Work>
bool prefer_rows(const Layer& layer, index columns) {
    return layer.taps() <= (columns >= 2 * lane_count<Work> ? 4 * few_taps : few_taps);
}

/// Where the taps of a window on `channels` tiles, one behind the other, lie.
template <class Work>
std::vector<index> tap_offsets(const ZeroPaddedTile<Work>& tile, const Window2D& window, index channels) {
    std::vector<index> offsets;
    for (index c = 0; c < channels; ++c) {
        for (index row = 0; row < window.rows.size; ++row) {
            for (index column = 0; column < window.columns.size; ++column) {
                offsets.push_back(c * tile.size() + tile.tap(row, column));
            }
        }
    }
    return offsets;
}

/// Whether the channels of images and weights fit together; the last leading axis counts them.
inline bool channels_fit(const StackView<const std::byte>& x, index out_channels, const auto& weight, index groups) {
    return !x.leading.empty() && weight.leading.size() == 2 && groups > 0 && out_channels % groups == 0 &&
           weight.leading[0].extent == out_channels && weight.leading[1].extent * groups == x.leading.back().extent;
}

/// Whether the axes before the channels are the same.
inline bool same_images(const auto& one, const auto& other) {
    return one.leading.size() == other.leading.size() &&
           std::equal(one.leading.begin(), one.leading.end() - 1, other.leading.begin(),
                      [](const auto& axis, const auto& twin) { return axis.extent == twin.extent; });
}
}  // namespace imkernels::detail
