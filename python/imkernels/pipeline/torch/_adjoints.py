"""The ways back that the package itself does not have: of windows beyond borders, and of medians.

All take and return arrays; what goes forward is ``filter(pad(image))[::stride]``, so the way back spreads the gradient
out by the stride, filters it, and folds the border.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

import imkernels as ik
from imkernels._arguments import Array, Pair, Pairs

# What NumPy calls the modes.
_PAD_MODES: dict[str, Any] = {"reflect": "symmetric", "mirror": "reflect", "nearest": "edge", "wrap": "wrap"}
_NOWHERE = 2**32 - 1  # the position of what is no pixel


class Placement(NamedTuple):
    """Where windows stand, and what is outside the image."""

    stride: Sequence[int]
    around: Pairs
    modes: tuple[str, str]
    cval: float

    def keywords(self) -> dict[str, Any]:
        """Return the same by the names of the functions' keywords."""
        return {"stride": self.stride, "padding": self.around, "mode": self.modes, "cval": self.cval}

    def padded(self, extent: Sequence[int]) -> Pair:
        """Return the extents of an image with its border."""
        rows, columns = (pixels + sum(sides) for pixels, sides in zip(extent, self.around, strict=True))
        return rows, columns


def box_blur_backward(
    grad: Array, extent: Sequence[int], size: Sequence[int], placement: Placement, normalize: bool, workers: int
) -> Array:
    """Return the gradient of a box blur: a box is its own mirror image."""
    spread, padding = _full(grad, extent, size, (1, 1), placement)
    padded = ik.box_blur(spread, size, padding=padding, mode="constant", normalize=normalize, workers=workers)
    return _folded(padded, placement)


def correlate_backward(
    grad: Array, extent: Sequence[int], kernel: Array, dilation: Sequence[int], placement: Placement, workers: int
) -> Array:
    """Return the gradient of a correlation for its image: the convolution with the same kernel."""
    spread, padding = _full(grad, extent, kernel.shape, dilation, placement)
    padded = ik.convolve(
        spread, kernel, dilation=dilation, padding=padding, mode="constant", dtype=grad.dtype, workers=workers
    )
    return _folded(padded, placement)


def correlate_backward_kernel(
    grad: Array,
    image: Array,
    size: Sequence[int],
    dilation: Sequence[int],
    placement: Placement,
    workers: int,
) -> Array:
    """Return the gradient of a correlation for its kernel: that of a convolution of one channel."""
    weight = ik.conv2d_backward_weight(
        grad[..., None, :, :],
        _padded(image, placement)[..., None, :, :],
        (1, 1, *size),
        stride=placement.stride,
        dilation=dilation,
        workers=workers,
    )
    return np.asarray(weight[0, 0])


def median_filter_backward(grad: Array, image: Array, size: Sequence[int], placement: Placement, workers: int) -> Array:
    """Return the gradient of a median filter: of every window to the pixel that was selected.

    Medians are taken of keys that hold the value, and below it the position. So equal values are ordered by position,
    and the key that is selected tells where it stood.
    """
    if image.size >= 2**31:  # a key has 32 bits for each of the two
        raise ValueError(f"image must have less than 2**31 pixels for the gradient of medians, got shape {image.shape}")
    values, fill = _ordered(image, placement.cval)
    height, width = image.shape[-2:]
    keys = values << 32 | np.arange(height * width).reshape(height, width)
    geometry = placement._replace(cval=int(fill) << 32 | _NOWHERE).keywords()
    selected = ik.median_filter(keys, size, workers=workers, **geometry)
    nan = np.iinfo(np.int32).max
    if (values == nan).any() or fill == nan:
        largest = ik.maximum_filter(keys, size, workers=workers, **geometry)
        selected = np.where(largest >> 32 == nan, largest, selected)
    positions = selected & _NOWHERE
    inside = positions != _NOWHERE
    grad = np.where(inside, grad, np.zeros((), grad.dtype))
    return ik.max_pool_backward(grad, positions * inside, (height, width), workers=workers)


def _ordered(image: Array, cval: float) -> tuple[Array, Array]:
    """Return numbers of 32 bits, as int64, in the order of the pixels and of what is around them; the largest for NaN.

    The bits of a float, read as an integer, are in order but for those of negative ones, which run backwards.
    """
    floats = np.append(image, np.asarray(cval, image.dtype))
    floats = floats if floats.dtype == np.float64 else floats.astype(np.float32)
    bits: Array = floats.view(np.int32 if floats.dtype == np.float32 else np.int64)
    ordered = np.where(bits < 0, bits ^ np.iinfo(bits.dtype).max, bits)
    if ordered.dtype == np.int64:
        ordered = np.unique(ordered, return_inverse=True)[1]
    numbers = np.where(np.isnan(floats), np.iinfo(np.int32).max, ordered).astype(np.int64)
    return numbers[:-1].reshape(image.shape), numbers[-1]


def _full(
    grad: Array, extent: Sequence[int], size: Sequence[int], dilation: Sequence[int], placement: Placement
) -> tuple[Array, Pairs]:
    """Return the gradient with zeros between the strides, and the padding that has windows end at every pixel."""
    stride = placement.stride
    rows, columns = (max(0, (count - 1) * step + 1) for count, step in zip(grad.shape[-2:], stride, strict=True))
    if tuple(stride) != (1, 1):
        spread = np.zeros((*grad.shape[:-2], rows, columns), grad.dtype)
        spread[..., :: stride[0], :: stride[1]] = grad
        grad = spread
    height, width = placement.padded(extent)
    reach = [step * (taps - 1) for taps, step in zip(size, dilation, strict=True)]
    return grad, ((reach[0], height - rows), (reach[1], width - columns))


def _folded(padded: Array, placement: Placement) -> Array:
    """Return the image part of a padded gradient, the border added to the pixels that it repeats."""
    for axis, (before, after), mode in zip((-2, -1), placement.around, placement.modes, strict=True):
        whole = np.moveaxis(padded, axis, 0)
        end = len(whole) - after
        inner = whole[before:end]
        if mode != "constant":
            for place, source in _sources(len(inner), before, after, mode):
                inner[source] += whole[place]
        padded = np.moveaxis(inner, 0, axis)
    return padded


@lru_cache(maxsize=256)
def _sources(pixels: int, before: int, after: int, mode: str) -> list[Pair]:
    """Return the places of a border along an axis, and of each the pixel that it repeats."""
    line = np.pad(np.arange(pixels), (before, after), _PAD_MODES[mode]).tolist()
    return [(place, line[place]) for place in (*range(before), *range(before + pixels, len(line)))]


def _padded(image: Array, placement: Placement) -> Array:
    for axis, around, mode in zip((-2, -1), placement.around, placement.modes, strict=True):
        sides = [(0, 0)] * image.ndim
        sides[axis] = around
        if mode == "constant":
            image = np.pad(image, sides, constant_values=placement.cval)
        else:
            image = np.pad(image, sides, _PAD_MODES[mode])
    return image
