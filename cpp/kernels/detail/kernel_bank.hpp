// How images and their kernels belong together: several kernels for one image, so that it is read once for all of them,
// and one kernel for the channels of a pixel.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <vector>

#include "core/array_view.hpp"
#include "rows/wide_planes.hpp"

namespace imkernels::detail {

/// Images, each with a bank of `kernels` and a result for each of those: kernel and result `i * kernels + k` belong to
/// image i.
struct KernelBank {
    ConstStack image;
    ConstStack kernel;
    MutableStack out;
    index kernels;

    /// Kernels that are taken together, so that one image is work for more than one thread.
    static constexpr index most_together = 8;

    /// The image with the leading axes of its results.
    ConstStack image_of_all() const {
        ConstStack all = image;
        for (std::size_t axis = image.leading.size(); axis < out.leading.size(); ++axis) {
            all.leading.push_back({out.leading[axis].extent, 0});
        }
        return all;
    }
};

/// Stacks with the same leading axes, ordered such that the axes along which the image does not change come last.
inline KernelBank kernel_bank(ConstStack image, ConstStack kernel, MutableStack out) {
    const std::vector<ConstStack::Axis> along = image.leading;
    index kernels = 1;
    const auto reorder = [&](auto& stack) {
        const auto axes = stack.leading;
        stack.leading.clear();
        for (const bool shared : {false, true}) {
            for (std::size_t axis = 0; axis < axes.size(); ++axis) {
                if ((along[axis].stride == 0) == shared) {
                    stack.leading.push_back(axes[axis]);
                }
            }
        }
    };
    reorder(kernel);
    reorder(out);
    for (const auto& axis : along) {
        kernels *= axis.stride == 0 ? axis.extent : 1;
    }
    std::erase_if(image.leading, [](const auto& axis) { return axis.stride == 0; });
    return {image, kernel, out, kernels};
}

/// The planes of an image and its result. Interleaved channels that share their kernels, or the factors of those, are
/// one wide image, and the kernels lose the axis of the channels.
inline WidePlanes planes_of_kernels(const ConstStack& image, const MutableStack& out, const Window2D& window,
                                    std::initializer_list<ConstStack*> kernels) {
    const auto is_shared = [](const ConstStack* kernel) {
        return !kernel->leading.empty() && kernel->leading.back().stride == 0;
    };
    if (!std::ranges::all_of(kernels, is_shared)) {
        return {image, out, window, 1};
    }
    const WidePlanes planes = wide_planes(image, out, window);
    for (ConstStack* const kernel : kernels) {
        if (planes.channels > 1) {
            kernel->leading.pop_back();
        }
    }
    return planes;
}

}  // namespace imkernels::detail
