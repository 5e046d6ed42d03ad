"""Medians, and extrema under structuring elements."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import imkernels as ik
from imkernels._arguments import Array, converted
from imkernels._dtypes import Dtype
from imkernels.compat.cv2._arguments import (
    BORDER_CONSTANT,
    BORDER_REPLICATE,
    Axes,
    Keywords,
    anchor_of,
    border_mode,
    image_of,
    int_of,
    matrix_of,
    place_of,
    real_of,
    refusing,
    size_of,
    target_for,
)


@refusing
def medianBlur(src: Any, ksize: int, dst: Any = None) -> Array:  # noqa: N802
    """Replace every pixel by the median of the square around it, as ``cv2.medianBlur`` does.

    Parameters
    ----------
    src : ndarray, shape (H, W) or (H, W, C)
        The image, of any dtype.
    ksize : int
        The side of the square: odd, 1 or more.
    {{dst}}

    Returns
    -------
    ndarray, shape of `src`
        The medians, an axis of one channel left out. Outside the image stand the pixels of its edge.

    Raises
    ------
    {{refusal}}

    Notes
    -----
    Equal to OpenCV bit for bit, but that a NaN in the window makes the result NaN. OpenCV takes uint8, uint16, int16
    and float32, and sides above 5 for uint8 alone; here all dtypes, sides and numbers of channels work.

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels.compat.cv2 as cv2
    >>> image = np.array([[1, 1, 1, 1], [1, 9, 1, 1], [1, 1, 1, 0]], dtype=np.uint8)
    >>> cv2.medianBlur(image, 3)
    array([[1, 1, 1, 1],
           [1, 1, 1, 1],
           [1, 1, 1, 1]], dtype=uint8)
    """
    pixels, axes = image_of(src)
    side = int_of(ksize, "ksize")
    if side < 1 or side % 2 == 0:
        raise ValueError(f"ksize must be odd and at least 1, got {ksize!r}")
    target = target_for(dst, pixels.shape, pixels.dtype)
    return target.handed_over(ik.median_filter(pixels, side, mode="nearest", axes=axes, out=target.out))


@refusing
def dilate(
    src: Any,
    kernel: Any,
    dst: Any = None,
    anchor: Any = (-1, -1),
    iterations: int = 1,
    borderType: int = BORDER_CONSTANT,
    borderValue: Any = None,
) -> Array:
    """Replace every pixel by the maximum under a structuring element, as ``cv2.dilate`` does.

    Parameters
    ----------
    {{morphology}}

    Returns
    -------
    ndarray, shape of `src`
        The maxima, an axis of one channel left out.

    Raises
    ------
    {{refusal}}

    Notes
    -----
    Equal to OpenCV bit for bit, but that a NaN under the element makes the result NaN. OpenCV takes uint8, uint16,
    int16, float32 and float64; here all dtypes work. Negative iterations and elements of zeros alone are refused.

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels.compat.cv2 as cv2
    >>> image = np.array([[0, 0, 5, 0, 0, 0]], dtype=np.uint8)
    >>> cv2.dilate(image, np.ones((1, 3), np.uint8))
    array([[0, 5, 5, 5, 0, 0]], dtype=uint8)
    """
    return _morphed(ik.maximum_filter, src, kernel, dst, anchor, iterations, borderType, borderValue)


@refusing
def erode(
    src: Any,
    kernel: Any,
    dst: Any = None,
    anchor: Any = (-1, -1),
    iterations: int = 1,
    borderType: int = BORDER_CONSTANT,
    borderValue: Any = None,
) -> Array:
    """Replace every pixel by the minimum under a structuring element, as ``cv2.erode`` does.

    Parameters
    ----------
    {{morphology}}

    Returns
    -------
    ndarray, shape of `src`
        The minima, an axis of one channel left out.

    Raises
    ------
    {{refusal}}

    Notes
    -----
    As `dilate`, with minima.

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels.compat.cv2 as cv2
    >>> image = np.array([[7, 7, 5, 7, 7, 7]], dtype=np.uint8)
    >>> cv2.erode(image, np.ones((1, 3), np.uint8))
    array([[7, 5, 5, 5, 7, 7]], dtype=uint8)
    """
    return _morphed(ik.minimum_filter, src, kernel, dst, anchor, iterations, borderType, borderValue)


class _Rectangle(NamedTuple):
    width: int
    height: int
    anchor: Any  # column and row


class _Element(NamedTuple):
    """A structuring element: rectangles around the anchor, of which it is the union, or a mask."""

    rectangles: tuple[_Rectangle, ...]
    mask: Array | None
    anchor: Any
    times: int

    def windows(self, border: Any, axes: Axes) -> list[Keywords]:
        """Return what order filters call the parts of the element, their place and what stands outside the image."""
        if self.mask is not None:
            height, width = self.mask.shape
            return [{"footprint": self.mask} | place_of(width, height, self.anchor, border, axes).keywords()]
        return [
            {"size": size_of(width, height)} | place_of(width, height, anchor, border, axes).keywords()
            for width, height, anchor in self.rectangles
        ]


def _element(kernel: Any, anchor: Any, times: int) -> _Element:
    if kernel is None or (isinstance(kernel, np.ndarray) and kernel.size == 0):
        return _Element((_Rectangle(1 + 2 * times, 1 + 2 * times, None),), None, None, 1)
    mask = matrix_of(kernel, "kernel")
    height, width = mask.shape
    count = np.count_nonzero(mask)
    if count == 0 and mask.size > 1:
        raise ValueError("kernel must have an element that is not 0, got zeros alone")
    if (count == mask.size and times == 1) or mask.size == 1:
        return _Element((_Rectangle(width, height, anchor),), None, None, 1)
    column, row = anchor_of(width, height, anchor)
    if count == mask.size or times == 0:
        grown = _Rectangle(1 + times * (width - 1), 1 + times * (height - 1), (column * times, row * times))
        return _Element((grown,), None, None, 1)
    mask = mask != 0
    rectangles = _rectangles(mask.tobytes(), width, column, row)
    return _Element(rectangles, None if rectangles else mask, anchor, times)


@functools.lru_cache(maxsize=256)
def _rectangles(mask: bytes, width: int, column: int, row: int) -> tuple[_Rectangle, ...]:
    """Return rectangles around the anchor whose union is the element, or none where that is not to be had.

    Extrema of rectangles take a time that hardly depends on their size. The union is found where the pixels of every
    row lie side by side and rows are the shorter the farther they are from the anchor, as in crosses and ellipses.
    """
    rows = [np.flatnonzero(line) for line in np.frombuffer(mask, bool).reshape(-1, width)]
    runs = [(int(line[0]), int(line[-1]) + 1) if line.size else None for line in rows]
    found = {}
    for line, run in enumerate(runs):
        if run is None:
            continue
        first, last = run
        holds = [other is not None and other[0] <= first and last <= other[1] for other in runs]
        grows = all(holds[min(line, row) : max(line, row) + 1])
        if rows[line].size < last - first or not first <= column < last or not grows:
            return ()
        top = next((above + 1 for above in range(row, -1, -1) if not holds[above]), 0)
        bottom = next((below for below in range(row, len(runs)) if not holds[below]), len(runs))
        found[run] = _Rectangle(last - first, bottom - top, (column - first, row - top))
    return tuple(found.values())


def _morphed(
    extremum: Callable[..., Array],
    src: Any,
    kernel: Any,
    dst: Any,
    anchor: Any,
    iterations: Any,
    border: Any,
    border_value: Any,
) -> Array:
    pixels, axes = image_of(src)
    times = int_of(1 if iterations is None else iterations, "iterations")
    if times < 0:
        raise ValueError(f"iterations must be at least 0, got {iterations!r}")
    element = _element(kernel, anchor, times)
    target = target_for(dst, pixels.shape, pixels.dtype)
    border = BORDER_CONSTANT if border is None else border
    outside: Keywords = {}
    if border_mode(border) == "constant" and border_value is not None:
        constants = _border_values(border_value, pixels)
        if len(set(constants)) > 1:
            return target.handed_over(_channelwise(extremum, pixels, element, constants, target.out))
        outside = {"cval": constants[0]}
    elif border_mode(border) == "constant" and element.mask is None:
        border = BORDER_REPLICATE  # repeats pixels that are in the rectangle anyway
    elif border_mode(border) == "constant":
        outside = {"cval": _neutral(extremum, pixels.dtype)}
    windows = [window | outside for window in element.windows(border, axes)]
    return target.handed_over(_repeated(extremum, pixels, element.times, windows, target.out))


def _repeated(
    extremum: Callable[..., Array], pixels: Array, times: int, windows: list[Keywords], out: Array | None
) -> Array:
    for _ in range(times - 1):
        pixels = _extremum(extremum, pixels, windows, None)
    return _extremum(extremum, pixels, windows, out)


def _extremum(extremum: Callable[..., Array], pixels: Array, windows: list[Keywords], out: Array | None) -> Array:
    """Return the extrema of all windows together."""
    if len(windows) == 1:
        return extremum(pixels, **windows[0], out=out)
    larger = np.maximum if extremum is ik.maximum_filter else np.minimum
    found = extremum(pixels, **windows[0])
    for window in windows[1:]:
        larger(found, extremum(pixels, **window), out=found)
    if out is None:
        return found
    np.copyto(out, found)
    return out


def _channelwise(
    extremum: Callable[..., Array], pixels: Array, element: _Element, constants: list[Any], out: Array | None
) -> Array:
    """Filter every channel with its own constant outside."""
    whole = np.empty(pixels.shape, pixels.dtype.newbyteorder("="))
    for channel, constant in enumerate(constants):
        windows = [window | {"cval": constant} for window in element.windows(BORDER_CONSTANT, None)]
        _repeated(extremum, pixels[:, :, channel], element.times, windows, whole[:, :, channel])
    if out is None:
        return whole
    np.copyto(out, whole)
    return out


@functools.cache
def _neutral(extremum: Callable[..., Array], dtype: Dtype) -> Any:
    """Return what OpenCV has outside by default: the last number that could be the extremum."""
    largest = extremum is ik.minimum_filter
    if dtype.kind == "b":
        return largest
    limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    return np.array(limits.max if largest else limits.min, dtype)[()]


def _border_values(value: Any, pixels: Array) -> list[Any]:
    """Return the constant of every channel: four go round, missing ones are 0."""
    numbers = [value] if np.ndim(value) == 0 else list(value)
    if len(numbers) > 4:
        raise ValueError(f"borderValue must be a number or up to four of them, got {value!r}")
    four = np.array([real_of(number, "borderValue") for number in numbers] + [0.0] * (4 - len(numbers)))
    held = converted(four.reshape(1, 4), pixels.dtype.newbyteorder("="))[0].tolist()
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    return [held[channel % 4] for channel in range(channels)]
