"""Which pixels stand in which window, and rounding to a dtype, as plainly as it can be said."""

import math

import numpy as np


def pair(value):
    return (value, value) if isinstance(value, (int, str)) else tuple(value)


def sides(padding, size, dilation, origin):
    """Return (before, after) of one axis for a padding that is "same", "valid" or (before, after)."""
    if padding == "same":
        return dilation * (size // 2 + origin), dilation * ((size - 1) // 2 - origin)
    if padding == "valid":
        return 0, 0
    return padding


def both_sides(padding):
    """Return the padding of rows and that of columns, each as `sides` takes it."""
    if isinstance(padding, str):
        return padding, padding
    rows, columns = pair(padding)
    return pair(rows), pair(columns)


def source(position, extent, mode):
    """Return the pixel that stands at `position`, or `extent` for none."""
    if mode in ("constant", "grid-constant"):
        return position if 0 <= position < extent else extent
    if mode == "nearest":
        return min(max(position, 0), extent - 1)
    forth = list(range(extent))
    period = {
        "reflect": forth + forth[::-1],
        "grid-mirror": forth + forth[::-1],
        "mirror": forth + forth[-2:0:-1],
        "wrap": forth,
        "grid-wrap": forth,
    }[mode]
    return period[position % len(period)]


def taps(extent, size, stride, dilation, padding, mode, origin):
    """Return the pixels along one axis: a row per output, a column per tap."""
    before, after = sides(padding, size, dilation, origin)
    outputs = math.floor((extent + before + after - dilation * (size - 1) - 1) / stride) + 1
    table = np.empty((max(outputs, 0), size), int)
    for output in range(outputs):
        for tap in range(size):
            table[output, tap] = source(output * stride - before + tap * dilation, extent, mode)
    return table


def windows(image, size, *, stride=1, dilation=1, padding="same", mode="reflect", cval=0.0, origin=0):
    """Return every window of images (..., H, W): an array (..., P, Q, K, L)."""
    H, W = image.shape[-2:]
    framed = np.empty((*image.shape[:-2], H + 1, W + 1), image.dtype.newbyteorder("="))
    framed[...] = cval
    framed[..., :H, :W] = image
    axes = zip(*map(pair, (size, stride, dilation)), both_sides(padding), *map(pair, (mode, origin)), strict=True)
    rows, columns = (taps(extent, *axis) for extent, axis in zip((H, W), axes, strict=True))
    return framed[..., rows[:, None, :, None], columns[None, :, None, :]]


def to_dtype(values, dtype):
    """Return numbers in `dtype`: integers rounded half to even and saturated, NaN as 0."""
    values = np.asarray(values)
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):
            return values.astype(dtype)
    limits = np.iinfo(dtype)
    whole = [to_integer(value, int(limits.min), int(limits.max)) for value in values.ravel().tolist()]
    return np.array(whole, object).reshape(values.shape).astype(dtype)


def to_integer(value, lowest, highest):
    if value != value:
        return 0
    if math.isinf(value):
        return highest if value > 0 else lowest
    return min(max(round(value), lowest), highest)


def modulo(values, bits, signed=True):
    """Return whole numbers modulo 2**bits, in two's complement if `signed`."""
    lowest = -(2 ** (bits - 1)) if signed else 0
    wrapped = [(int(value) - lowest) % 2**bits + lowest for value in np.ravel(values).tolist()]
    return np.array(wrapped, object).reshape(np.shape(values)).astype(f"{'i' if signed else 'u'}{bits // 8}")
