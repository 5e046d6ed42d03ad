"""Plain definitions of the measured functions: written for trust, in NumPy, with sums in float64 or int64.

The border is 'reflect', the default of imkernels, which NumPy calls 'symmetric'.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

BAND_VALUES = 2**21  # that are sorted at a time


def median_filter(image: Array, size: int) -> Array:
    """Sort every window of a plane and take the middle."""
    middle = size * size // 2
    if image.dtype == np.uint8:  # of which NumPy partitions one at a time, of wider integers many
        return median_filter(image.astype(np.uint16), size).astype(np.uint8)
    padded = np.pad(image, size // 2, mode="symmetric")
    rows = max(1, BAND_VALUES // (image.shape[1] * size**2))
    medians = []
    for start in range(0, len(image), rows):
        windows = np.lib.stride_tricks.sliding_window_view(padded[start : start + rows + size - 1], (size, size))
        medians.append(np.partition(windows.reshape(-1, size * size), middle)[:, middle])
    return np.concatenate(medians).reshape(image.shape)


def maximum_filter(image: Array, size: int) -> Array:
    """Take the largest element of every window of a plane."""
    height, width = image.shape
    padded = np.pad(image, size // 2, mode="symmetric")
    rows = reduce(np.maximum, (padded[row : row + height] for row in range(size)))
    return reduce(np.maximum, (rows[:, column : column + width] for column in range(size)))


def box_blur(image: Array, size: int) -> Array:
    """Divide the sum of every window of a plane by the number of its pixels; no half is met, as that number is odd."""
    integer = image.dtype.kind in "iu"
    height, width = image.shape
    padded = np.pad(image, size // 2, mode="symmetric").astype(np.int64 if integer else np.float64)
    rows = reduce(np.add, (padded[row : row + height] for row in range(size)))
    mean = reduce(np.add, (rows[:, column : column + width] for column in range(size))) / size**2
    return (np.rint(mean) if integer else mean).astype(image.dtype)


def correlate(image: Array, kernel: Array) -> Array:
    """Sum the products of kernel and window of a plane: each row of pixels with every row of the kernel."""
    height, width = image.shape
    size = len(kernel)
    padded = np.pad(image.astype(np.float64), size // 2, mode="symmetric")
    sums = np.zeros((height + 2 * (size - 1), width))  # with rows for windows that begin above or end below the image
    for row, pixels in enumerate(padded):
        windows = np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(pixels, size))
        sums[row : row + size] += (windows @ kernel[::-1].T).T
    sums = sums[size - 1 : size - 1 + height]
    return (np.rint(sums).clip(0, 255) if image.dtype == np.uint8 else sums).astype(image.dtype)


def max_pool_with_argmax(image: Array, size: int, stride: int, padding: int) -> tuple[Array, Array]:
    """Take the first maximum of every window and its flat index in the unpadded plane."""
    height, width = image.shape[-2:]
    rows = np.arange(0, height + 2 * padding - size + 1, stride)[:, None]
    columns = np.arange(0, width + 2 * padding - size + 1, stride)
    margins = [(0, 0)] * (image.ndim - 2) + [(padding, padding)] * 2
    padded = np.pad(image, margins, constant_values=-np.inf)
    values = np.full((*image.shape[:-2], len(rows), len(columns)), -np.inf, image.dtype)
    argmax = np.zeros(values.shape, np.intp)
    for row, column in np.ndindex(size, size):
        tap = padded[..., rows + row, columns + column]
        index = (rows + row - padding) * width + columns + column - padding
        argmax = np.where(tap > values, index, argmax)
        values = np.maximum(tap, values)
    return values, argmax


def max_pool_backward(grad: Array, argmax: Array, shape: tuple[int, ...]) -> Array:
    """Add every gradient to the pixel that was its maximum, in an image of `shape`."""
    *batch, height, width = shape
    planes = np.arange(np.prod(batch)).reshape(*batch, 1, 1)
    pixels = planes * (height * width) + argmax
    sums = np.bincount(pixels.ravel(), weights=grad.ravel(), minlength=int(np.prod(shape)))
    return sums.reshape(shape).astype(grad.dtype)


def conv2d(x: Array, weight: Array, stride: int, padding: int, groups: int) -> Array:
    """Sum the products of weights and pixels, tap by tap."""
    padded = np.pad(x.astype(np.float64), [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    kernels = _by_group(weight.astype(np.float64), groups, 0)
    result: Any = 0
    for tap, pixels in _taps(padded.shape, weight.shape, stride):
        result = result + np.einsum(
            "goc,ngcyx->ngoyx", kernels[..., *tap], _by_group(padded[..., *pixels], groups, 1), optimize=True
        )
    return np.asarray(result.reshape(len(x), len(weight), *result.shape[-2:]).astype(x.dtype))


def conv2d_backward_input(
    grad: Array, weight: Array, shape: tuple[int, ...], stride: int, padding: int, groups: int
) -> Array:
    """Send every gradient back to the pixels that it comes from, in images of `shape`."""
    height, width = shape[-2:]
    padded = np.zeros((*shape[:2], height + 2 * padding, width + 2 * padding))
    kernels = _by_group(weight.astype(np.float64), groups, 0)
    gradients = _by_group(grad.astype(np.float64), groups, 1)
    for tap, pixels in _taps(padded.shape, weight.shape, stride):
        share = np.einsum("goc,ngoyx->ngcyx", kernels[..., *tap], gradients, optimize=True)
        padded[..., *pixels] += share.reshape(*shape[:2], *grad.shape[-2:])
    return padded[..., padding : padding + height, padding : padding + width].astype(grad.dtype)


def conv2d_backward_weight(
    grad: Array, x: Array, shape: tuple[int, ...], stride: int, padding: int, groups: int
) -> Array:
    """Multiply every gradient with the pixels that it comes from, and add up per weight, of which there are `shape`."""
    padded = np.pad(x.astype(np.float64), [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    gradients = _by_group(grad.astype(np.float64), groups, 1)
    result = np.empty(shape)
    for tap, pixels in _taps(padded.shape, shape, stride):
        sums = np.einsum("ngoyx,ngcyx->goc", gradients, _by_group(padded[..., *pixels], groups, 1), optimize=True)
        result[..., *tap] = sums.reshape(shape[:2])
    return result.astype(grad.dtype)


def _taps(
    padded: tuple[int, ...], weight: tuple[int, ...], stride: int
) -> Iterator[tuple[tuple[int, int], tuple[slice, slice]]]:
    """Yield every tap of the kernels with the pixels of padded images that it meets."""
    for row, column in np.ndindex(*weight[2:]):
        bottom, right = (extent - size + 1 for extent, size in zip(padded[2:], weight[2:], strict=True))
        yield (row, column), (slice(row, row + bottom, stride), slice(column, column + right, stride))


def _by_group(array: Array, groups: int, axis: int) -> Array:
    """Split an axis of channels into groups and the channels of each."""
    return array.reshape(*array.shape[:axis], groups, array.shape[axis] // groups, *array.shape[axis + 1 :])


def avg_pool(image: Array, size: int, stride: int, padding: int) -> Array:
    """Divide the sum of every window of the image, padded with zeros, by the number of its taps."""
    margins = [(0, 0)] * (image.ndim - 2) + [(padding, padding)] * 2
    padded = np.pad(image.astype(np.float64), margins)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (-2, -1))[..., ::stride, ::stride, :, :]
    return windows.mean(axis=(-2, -1)).astype(image.dtype)


def avg_pool_backward(grad: Array, shape: tuple[int, ...], size: int, stride: int, padding: int) -> Array:
    """Spread every gradient evenly over its window, in an image of `shape`."""
    height, width = shape[-2:]
    sums = np.zeros((*shape[:-2], height + 2 * padding + size, width + 2 * padding + size))
    rows, columns = (stride * extent for extent in grad.shape[-2:])
    for row, column in np.ndindex(size, size):
        sums[..., row : row + rows : stride, column : column + columns : stride] += grad / size**2
    return sums[..., padding : padding + height, padding : padding + width].astype(grad.dtype)


def adaptive_avg_pool(image: Array, size: int) -> Array:
    """Take the averages of size x size windows that share the image out."""
    result = np.empty((*image.shape[:-2], size, size), image.dtype)
    for row, column in np.ndindex(size, size):
        window = _adaptive_window(image, size, row, column)
        result[..., row, column] = window.mean(axis=(-2, -1), dtype=np.float64)
    return result


def adaptive_max_pool_with_argmax(image: Array, size: int) -> tuple[Array, Array]:
    """Take the first maxima of size x size windows that share the image out, and their flat indices."""
    pixels = np.arange(image.shape[-2] * image.shape[-1]).reshape(image.shape[-2:])
    argmax = np.empty((*image.shape[:-2], size, size), np.intp)
    for row, column in np.ndindex(size, size):
        window = _adaptive_window(image, size, row, column)
        first = window.reshape(*window.shape[:-2], -1).argmax(axis=-1)
        argmax[..., row, column] = _adaptive_window(pixels, size, row, column).ravel()[first]
    flat = image.reshape(*image.shape[:-2], -1)
    values = np.take_along_axis(flat, argmax.reshape(*argmax.shape[:-2], -1), axis=-1)
    return values.reshape(argmax.shape), argmax


def _adaptive_window(image: Array, size: int, row: int, column: int) -> Array:
    height, width = image.shape[-2:]
    rows = slice(row * height // size, -(-(row + 1) * height // size))
    return image[..., rows, column * width // size : -(-(column + 1) * width // size)]
