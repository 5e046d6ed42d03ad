// Interleaved channels as one wide image.
#pragma once

#include "core/array_view.hpp"
#include "core/window.hpp"

namespace imkernels {

/// An image, its result and the window, where `channels` pixels side by side in a row belong to as many images: the
/// neighbour of a pixel is that many columns further on. Nothing needs to be taken apart or put together.
struct WidePlanes {
    ConstStack image;
    MutableStack out;
    Window2D window;
    index channels;

    /// The column of the image that stands at a position, or no_source.
    index column_at(index position) const {
        const index channel = floor_mod(position, channels);
        const Run run =
            border_run(window.columns.border, image.first.columns / channels, (position - channel) / channels);
        return run.source == no_source ? no_source : run.source * channels + channel;
    }
};

inline constexpr index most_channels = 16;  // that are taken for a pixel

/// The channels that lie side by side without a gap; 1 where there are none.
template <class Byte>
index channels_side_by_side(const StackView<Byte>& stack) {
    const index size = item_size_of(stack.element.dtype);
    if (stack.leading.empty()) {
        return 1;
    }
    const auto last = stack.leading.back();
    return last.stride == size && stack.first.column_stride == last.extent * size ? last.extent : 1;
}

/// The planes of those channels as one.
template <class Byte>
StackView<Byte> widened(StackView<Byte> stack, index channels) {
    stack.first.column_stride = stack.leading.back().stride;
    stack.first.columns *= channels;
    stack.leading.pop_back();
    return stack;
}

/// The same image and result, as wide planes where that is how they lie in memory and every column is asked for.
inline WidePlanes wide_planes(const ConstStack& image, const MutableStack& out, Window2D window) {
    const index channels = channels_side_by_side(image);
    if (channels < 2 || channels > most_channels || channels_side_by_side(out) != channels ||
        window.columns.stride != 1 || window.columns.dilation != 1) {
        return {image, out, window, 1};
    }
    window.columns.dilation = channels;
    window.columns.before *= channels;
    return {widened(image, channels), widened(out, channels), window, channels};
}

}  // namespace imkernels
