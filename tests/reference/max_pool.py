"""Max pooling and its backward pass by their definitions: window by window, tap by tap."""

from fractions import Fraction
from math import ceil, floor

import numpy as np


def windows_along(pixels, size, stride, before, after, dilation, ceil_mode):
    """Return, for every window along one axis, the pixels under its taps (those in the padding left out)."""
    room = pixels + before + after - (dilation * (size - 1) + 1)
    count = (ceil if ceil_mode else floor)(Fraction(room, stride)) + 1
    if ceil_mode and (count - 1) * stride >= pixels + before:
        count -= 1
    windows = []
    for output in range(count):
        taps = [output * stride - before + tap * dilation for tap in range(size)]
        windows.append([tap for tap in taps if 0 <= tap < pixels])
    return windows


def max_pool(image, size, stride, padding, dilation=(1, 1), ceil_mode=False):
    """Return values and argmax of `image` (..., H, W).

    Pairs are (rows, columns), `padding` is ((top, bottom), (left, right)).
    """
    height, width = image.shape[-2:]
    rows = windows_along(height, size[0], stride[0], *padding[0], dilation[0], ceil_mode)
    columns = windows_along(width, size[1], stride[1], *padding[1], dilation[1], ceil_mode)
    values = np.zeros((*image.shape[:-2], len(rows), len(columns)), image.dtype)
    argmax = np.zeros(values.shape, np.intp)
    for plane in np.ndindex(image.shape[:-2]):
        pixels = image[plane].tolist()
        for p, window_rows in enumerate(rows):
            for q, window_columns in enumerate(columns):
                row, column = first_maximum(pixels, window_rows, window_columns)
                values[plane][p, q] = image[plane][row, column]
                argmax[plane][p, q] = row * width + column
    return values, argmax


def first_maximum(pixels, rows, columns):
    """Return where the maximum lies, the first one on ties; a NaN is larger than any number and ties with NaN."""
    best = None
    for row in rows:
        for column in columns:
            value = pixels[row][column]
            if best is None or value > best or (value != value and best == best):
                best = value
                found = row, column
    return found


def max_pool_backward(grad, argmax, shape):
    """Return zeros of `shape` with each gradient added where its maximum was; float16 is summed in float32."""
    native = grad.dtype.newbyteorder("=")
    gradients = grad.astype(np.float32 if native == np.float16 else native)
    result = np.zeros((*grad.shape[:-2], *shape), gradients.dtype)
    with np.errstate(all="ignore"):  # integers wrap, floats overflow to infinity
        for place in np.ndindex(grad.shape):
            row, column = divmod(int(argmax[place]), shape[1])
            result[*place[:-2], row, column] += gradients[place]
        return result.astype(native)
