// Running sums of integers, from which what leaves a window is subtracted again: exact, so that the cost of a pixel
// does not depend on the window.
//
// Along a row, the sum of a window is that of the one before, plus the column that enters, minus the one that leaves. A
// vector of those differences is added up within itself by doubling, and the end of the one before is added to all.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>

#include "simd/lanes.hpp"

namespace imkernels::detail {

template <class Pixel, class Column>
void replace_row(const Pixel* __restrict enters, const Pixel* __restrict leaves, index count,
                 Column* __restrict columns) {
    for (index x = 0; x < count; ++x) {
        columns[x] = static_cast<Column>(columns[x] + static_cast<Column>(enters[x]) - static_cast<Column>(leaves[x]));
    }
}

/// Lane i of the result is the sum of the `count` columns of channel i % channels.
template <index channels, class Sum, class Column>
IMKERNELS_INLINE Lanes<Sum> sum_channels(const Column* columns, index count) {
    constexpr index lanes = lane_count<Sum>;
    constexpr index step = lanes / channels * channels;
    const index length = count * channels;
    Lanes<Sum> sums{};
    index x = 0;
    for (; x + lanes <= length; x += step) {
        sums += load_widened<Sum>(columns + x);
    }
    Sum totals[lanes];
    store_lanes(totals, sums);
    Sum channel[channels] = {};
    for (index i = 0; i < step; ++i) {
        channel[i % channels] += totals[i];
    }
    for (; x < length; ++x) {
        channel[x % channels] += static_cast<Sum>(columns[x]);
    }
    for (index i = 0; i < lanes; ++i) {
        totals[i] = channel[i % channels];
    }
    return load_lanes(totals);
}

/// Lanes of channels, in blocks that are added up within themselves first.
template <index channels, index lanes>
struct LaneBlocks {
    /// AVX2 has registers of two halves, and takes long to move a lane from one to the other.
    static constexpr index size = vector_bytes == 32 && lanes / 2 % channels == 0 ? lanes / 2 : lanes;

    static constexpr index end_of_own(index lane) {
        return lane / size * size + size - channels + lane % size % channels;
    }
    static constexpr index in_the_other(index lane) { return (lane + size) % lanes; }
    /// Of two vectors, the second of which is put into the lower block.
    static constexpr index in_the_lower(index lane) { return lane < size ? lanes + lane : lane - size; }
};

/// Adds up lanes of channels from one vector to the next.
template <index channels, class Sum>
class LaneTotals {
public:
    /// `before[i]` is the total of channel i % channels.
    explicit LaneTotals(Lanes<Sum> before) : before_(before) {}

    /// Lane i of the result is the total of its channel up to lane i.
    IMKERNELS_INLINE Lanes<Sum> up_to(Lanes<Sum> terms) {
        const Lanes<Sum> sums = doubled(terms);
        const Lanes<Sum> ends = ordered<Blocks::end_of_own, Sum>(sums, sums);
        Lanes<Sum> totals = sums + before_;
        if constexpr (Blocks::size < lanes) {
            totals += ordered<Blocks::in_the_lower, Sum>(ends, Lanes<Sum>{});
            before_ += ends + ordered<Blocks::in_the_other, Sum>(ends, ends);
        } else if constexpr (lanes % channels == 0) {
            before_ += ends;
        } else {  // the next vector begins with another channel
            before_ = ordered<Blocks::end_of_own, Sum>(totals, totals);
        }
        return totals;
    }

private:
    static constexpr index lanes = lane_count<Sum>;
    static_assert(lanes <= 16);  // four doublings
    using Blocks = LaneBlocks<channels, lanes>;

    /// Each lane with all those of its channel below it in its block.
    static IMKERNELS_INLINE Lanes<Sum> doubled(Lanes<Sum> sums) {
        constexpr index size = Blocks::size;
        [&]<std::size_t... doubling>(std::index_sequence<doubling...>) IMKERNELS_INLINE_LAMBDA {
            ((channels << doubling < size ? sums += moved_up<Sum, std::min(channels << doubling, size), size>(sums)
                                          : sums),
             ...);
        }(std::make_index_sequence<4>());
        return sums;
    }

    Lanes<Sum> before_;
};

/// sums[x] = the sum of the window that begins with column x, for all of `count` windows and up to a vector behind.
template <index channels, class Sum, class Column>
void sum_windows(const Column* __restrict columns, index count, index size, Sum* __restrict sums) {
    constexpr index lanes = lane_count<Sum>;
    const Column* const enters = columns + (size - 1) * channels;
    LaneTotals<channels, Sum> totals(sum_channels<channels, Sum>(columns, size - 1));
    const Lanes<Sum> first = load_widened<Sum>(columns);  // in front of the first column is nothing
    store_lanes(sums, totals.up_to(load_widened<Sum>(enters) - moved_up<Sum, channels>(first)));
    for (index x = lanes; x < count; x += lanes) {
        store_lanes(sums + x, totals.up_to(load_widened<Sum>(enters + x) - load_widened<Sum>(columns + x - channels)));
    }
}

/// The same of many channels, one sum after the other.
template <class Sum, class Column>
void sum_windows_in_turn(const Column* columns, index count, index size, index channels, Sum* sums) {
    const Column* const enters = columns + (size - 1) * channels;
    std::fill_n(sums, channels, Sum{0});
    for (index i = 0; i < size; ++i) {
        for (index channel = 0; channel < channels; ++channel) {
            sums[channel] += static_cast<Sum>(columns[i * channels + channel]);
        }
    }
    for (index x = channels; x < count; ++x) {
        sums[x] = sums[x - channels] + static_cast<Sum>(enters[x]) - static_cast<Sum>(columns[x - channels]);
    }
}

/// The same of any number of channels, and of sums that no vector holds.
template <class Sum, index most = sizeof(Sum) <= 8 ? std::min<index>(4, lane_count<Sum>) : 0, class Column>
void sum_windows_of_channels(const Column* columns, index count, index size, index channels, Sum* sums) {
    if constexpr (most == 0) {
        sum_windows_in_turn(columns, count, size, channels, sums);
    } else if (channels == most) {
        sum_windows<most>(columns, count, size, sums);
    } else {
        sum_windows_of_channels<Sum, most - 1>(columns, count, size, channels, sums);
    }
}

}  // namespace imkernels::detail
