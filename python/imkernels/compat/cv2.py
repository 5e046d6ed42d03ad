"""The image filters of OpenCV 5, by its names, signatures and rules; OpenCV itself is not needed.

``import imkernels.compat.cv2 as cv2`` in place of ``import cv2``. Images are (H, W) or (H, W, C) arrays, `ksize` and
`anchor` are (columns, rows), ``dst`` is used where it fits and replaced where it does not, integer results are rounded
as OpenCV rounds them and saturated. ``docs/compat.md`` lists what differs.
"""

import functools
import operator
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, ParamSpec, TypeAlias

import numpy as np

import imkernels as ik
from imkernels._arguments import Array, converted
from imkernels._dtypes import Dtype

BORDER_CONSTANT = 0
BORDER_REPLICATE = 1
BORDER_REFLECT = 2
BORDER_WRAP = 3
BORDER_REFLECT_101 = BORDER_REFLECT101 = BORDER_DEFAULT = 4
BORDER_TRANSPARENT = 5
BORDER_ISOLATED = 16

CV_8U, CV_8S, CV_16U, CV_16S, CV_32S, CV_32F, CV_64F, CV_16F = range(8)
CV_64U, CV_64S, CV_32U = 10, 11, 12

_DEPTHS: dict[int, Dtype] = {
    CV_8U: np.dtype(np.uint8),
    CV_8S: np.dtype(np.int8),
    CV_16U: np.dtype(np.uint16),
    CV_16S: np.dtype(np.int16),
    CV_32S: np.dtype(np.int32),
    CV_32F: np.dtype(np.float32),
    CV_64F: np.dtype(np.float64),
    CV_16F: np.dtype(np.float16),
    CV_64U: np.dtype(np.uint64),
    CV_64S: np.dtype(np.int64),
    CV_32U: np.dtype(np.uint32),
}
_DEPTH_MASK = 31  # the rest of a type counts channels

_MODES = {
    BORDER_CONSTANT: "constant",
    BORDER_REPLICATE: "nearest",
    BORDER_REFLECT: "reflect",
    BORDER_REFLECT_101: "mirror",
}
_MODES |= {border | BORDER_ISOLATED: mode for border, mode in _MODES.items()}  # an array is never part of another

_UINT8 = np.dtype(np.uint8)
_INT16 = np.dtype(np.int16)
_UINT16 = np.dtype(np.uint16)
_INT64 = np.dtype(np.int64)
_FLOAT32 = np.dtype(np.float32)
_FLOAT64 = np.dtype(np.float64)

Axes: TypeAlias = tuple[int, int] | None
P = ParamSpec("P")


class error(ValueError):  # noqa: N801, N818  # OpenCV's name
    """What is raised for every argument that does not fit; where OpenCV is loaded, it is a `cv2.error` as well."""


@functools.cache
def _error_of_both(theirs: type[Exception] | None) -> type[error]:
    return error if theirs is None else type("error", (error, theirs), {"__module__": __name__})


def _refusing(function: Callable[P, Array]) -> Callable[P, Array]:
    """Raise `error` for every error of an argument, as OpenCV does."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Array:
        try:
            return function(*args, **kwargs)
        except (TypeError, ValueError) as refusal:
            theirs = getattr(sys.modules.get("cv2"), "error", None)
            raise _error_of_both(theirs)(f"{function.__name__}: {refusal}") from refusal

    return call


# Arguments


def _image(src: Any, name: str = "src") -> tuple[Array, Axes]:
    """Return the image as (H, W), or (H, W, C) of more than one channel, and the axes of its windows."""
    if not isinstance(src, np.ndarray):
        raise TypeError(f"{name} must be a numpy.ndarray, got {type(src).__name__}")
    if src.size == 0:
        raise ValueError(f"{name} must not be empty, got shape {src.shape}")
    if src.ndim == 2:
        return src, None
    if src.ndim == 3:
        return (src[:, :, 0], None) if src.shape[2] == 1 else (src, (0, 1))
    if src.ndim > 3:
        raise ValueError(f"{name} must have shape (H, W) or (H, W, C), got {src.shape}")
    return np.atleast_2d(src), None


def _number(value: Any, name: str) -> int:
    if type(value) is int:
        return value
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__") or np.ndim(value) > 0:
        raise TypeError(f"{name} must be an int, got {value!r}")
    return operator.index(value)


def _matrix(value: Any, name: str) -> Array:
    """Return a kernel as (rows, columns); one axis is a row."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} must be a numpy.ndarray, got {type(value).__name__}")
    matrix = value if value.ndim == 2 else value[:, :, 0] if value.shape[2:] == (1,) else np.atleast_2d(value)
    if matrix.ndim != 2 or matrix.size == 0:
        raise ValueError(f"{name} must be a matrix that is not empty, got shape {value.shape}")
    return matrix


def _two(value: Any, name: str) -> tuple[int, int]:
    """Return (columns, rows)."""
    if not isinstance(value, (Sequence, np.ndarray)) or isinstance(value, str) or len(value) != 2:
        raise TypeError(f"{name} must be two ints, columns and rows, got {value!r}")
    return _number(value[0], name), _number(value[1], name)


def _real(value: Any, name: str) -> float:
    if not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a real number, got {value!r}")
    return float(value)


def _mode(border: Any) -> str:
    """Return the mode of a border; None is OpenCV's default everywhere."""
    mode = _MODES.get(BORDER_DEFAULT if border is None else border)
    if mode is None:
        raise ValueError(
            "borderType must be BORDER_CONSTANT, BORDER_REPLICATE, BORDER_REFLECT or BORDER_REFLECT_101, "
            f"with or without BORDER_ISOLATED, got {border!r}"
        )
    return mode


def _result_dtype(ddepth: Any, source: Dtype) -> Dtype:
    depth = -1 if ddepth is None else _number(ddepth, "ddepth")
    if depth < 0:
        return source.newbyteorder("=")
    if depth & _DEPTH_MASK not in _DEPTHS:
        raise ValueError(f"ddepth must be -1 or a depth such as CV_16S or CV_32F, got {ddepth!r}")
    return _DEPTHS[depth & _DEPTH_MASK]


class _Target(NamedTuple):
    """Where a result goes: into `out`, which is `dst` or a view of it, or into a new array."""

    dst: Any
    out: Array | None

    def handed_over(self, result: Array) -> Array:
        """Return what OpenCV returns."""
        return result if self.out is None else self.dst


def _target(dst: Any, shape: tuple[int, ...], dtype: Dtype) -> _Target:
    """Return `dst` if shape and dtype are those of the result, as OpenCV does: others are left alone."""
    if dst is None:
        return _Target(None, None)
    if not isinstance(dst, np.ndarray):
        raise TypeError(f"dst must be a numpy.ndarray, got {type(dst).__name__}")
    out = dst[:, :, 0] if dst.ndim == 3 and dst.shape[2] == 1 else dst
    return _Target(dst, out if out.shape == shape and out.dtype == dtype else None)


# Windows


Keywords: TypeAlias = dict[str, Any]


def _size(width: int, height: int) -> int | tuple[int, int]:
    return width if width == height else (height, width)


def _window(width: int, height: int, anchor: Any, border: Any, axes: Axes) -> Keywords:
    """Return what this package's functions call the place of a window and what stands outside the image."""
    keywords = {"mode": _mode(border), "origin": 0, "axes": axes}
    if anchor is not None and not (type(anchor) is tuple and anchor == (-1, -1)):
        column, row = _anchor(width, height, anchor)
        origin = row - height // 2, column - width // 2
        keywords["origin"] = 0 if origin == (0, 0) else origin
    return keywords


def _anchor(width: int, height: int, anchor: Any) -> tuple[int, int]:
    """Return column and row of the anchor; -1 is the centre."""
    column, row = (-1, -1) if anchor is None else _two(anchor, "anchor")
    column, row = (width // 2 if column == -1 else column), (height // 2 if row == -1 else row)
    if not (0 <= column < width and 0 <= row < height):
        raise ValueError(f"anchor must lie in the window of {width} columns and {height} rows, got {anchor!r}")
    return column, row


# Order filters


@_refusing
def medianBlur(src: Any, ksize: int, dst: Any = None) -> Array:  # noqa: N802
    """Replace every pixel by the median of the square around it, as ``cv2.medianBlur`` does.

    Parameters
    ----------
    src : ndarray, shape (H, W) or (H, W, C)
        The image, of any dtype.
    ksize : int
        The side of the square: odd, 1 or more.
    dst : ndarray, optional
        Where the result goes if it has its shape and dtype.

    Returns
    -------
    ndarray, shape of `src`
        The medians, an axis of one channel left out. Outside the image stand the pixels of its edge.

    Raises
    ------
    error
        If an argument does not fit.

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
    pixels, axes = _image(src)
    side = _number(ksize, "ksize")
    if side < 1 or side % 2 == 0:
        raise ValueError(f"ksize must be odd and at least 1, got {ksize!r}")
    target = _target(dst, pixels.shape, pixels.dtype)
    return target.handed_over(ik.median_filter(pixels, side, mode="nearest", axes=axes, out=target.out))


@_refusing
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
    src : ndarray, shape (H, W) or (H, W, C)
        The image, of any dtype.
    kernel : ndarray, shape (K, L), or None
        The structuring element: what is not 0 belongs to it. It is not mirrored. None is the 3 x 3 square.
    dst : ndarray, optional
        Where the result goes if it has its shape and dtype.
    anchor : pair of ints, default (-1, -1)
        Column and row of the element that lie on the pixel; -1 is the centre, ``L // 2`` or ``K // 2``.
    iterations : int, default 1
        How often: a rectangle is made larger once, as in OpenCV, other elements are applied again and again.
    borderType : int, default 0
        What stands outside the image: BORDER_CONSTANT, BORDER_REPLICATE, BORDER_REFLECT or BORDER_REFLECT_101.
    borderValue : number or sequence of up to four, optional
        The constant, rounded and saturated; one for each channel, missing ones are 0. Without it the outside is left
        out.

    Returns
    -------
    ndarray, shape of `src`
        The maxima, an axis of one channel left out.

    Raises
    ------
    error
        If an argument does not fit.

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


@_refusing
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
    src : ndarray, shape (H, W) or (H, W, C)
        The image, of any dtype.
    kernel : ndarray, shape (K, L), or None
        The structuring element: what is not 0 belongs to it. None is the 3 x 3 square.
    dst : ndarray, optional
        Where the result goes if it has its shape and dtype.
    anchor : pair of ints, default (-1, -1)
        Column and row of the element that lie on the pixel; -1 is the centre, ``L // 2`` or ``K // 2``.
    iterations : int, default 1
        How often: a rectangle is made larger once, as in OpenCV, other elements are applied again and again.
    borderType : int, default 0
        What stands outside the image: BORDER_CONSTANT, BORDER_REPLICATE, BORDER_REFLECT or BORDER_REFLECT_101.
    borderValue : number or sequence of up to four, optional
        The constant, rounded and saturated; one for each channel, missing ones are 0. Without it the outside is left
        out.

    Returns
    -------
    ndarray, shape of `src`
        The minima, an axis of one channel left out.

    Raises
    ------
    error
        If an argument does not fit.

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
            return [{"footprint": self.mask} | _window(width, height, self.anchor, border, axes)]
        return [
            {"size": _size(width, height)} | _window(width, height, anchor, border, axes)
            for width, height, anchor in self.rectangles
        ]


def _element(kernel: Any, anchor: Any, times: int) -> _Element:
    if kernel is None or (isinstance(kernel, np.ndarray) and kernel.size == 0):
        return _Element((_Rectangle(1 + 2 * times, 1 + 2 * times, None),), None, None, 1)
    mask = _matrix(kernel, "kernel")
    height, width = mask.shape
    count = np.count_nonzero(mask)
    if count == 0 and mask.size > 1:
        raise ValueError("kernel must have an element that is not 0, got zeros alone")
    if (count == mask.size and times == 1) or mask.size == 1:
        return _Element((_Rectangle(width, height, anchor),), None, None, 1)
    column, row = _anchor(width, height, anchor)
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
    pixels, axes = _image(src)
    times = _number(1 if iterations is None else iterations, "iterations")
    if times < 0:
        raise ValueError(f"iterations must be at least 0, got {iterations!r}")
    element = _element(kernel, anchor, times)
    target = _target(dst, pixels.shape, pixels.dtype)
    border = BORDER_CONSTANT if border is None else border
    outside: Keywords = {}
    if _mode(border) == "constant" and border_value is not None:
        constants = _border_values(border_value, pixels)
        if len(set(constants)) > 1:
            return target.handed_over(_channelwise(extremum, pixels, element, constants, target.out))
        outside = {"cval": constants[0]}
    elif _mode(border) == "constant" and element.mask is None:
        border = BORDER_REPLICATE  # repeats pixels that are in the rectangle anyway
    elif _mode(border) == "constant":
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
    four = np.array([_real(number, "borderValue") for number in numbers] + [0.0] * (4 - len(numbers)))
    held = converted(four.reshape(1, 4), pixels.dtype.newbyteorder("="))[0].tolist()
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    return [held[channel % 4] for channel in range(channels)]


# Means


@_refusing
def blur(
    src: Any,
    ksize: Sequence[int],
    dst: Any = None,
    anchor: Any = (-1, -1),
    borderType: int = BORDER_DEFAULT,
) -> Array:
    """Replace every pixel by the mean of a rectangle around it, as ``cv2.blur`` does.

    Parameters
    ----------
    src : ndarray, shape (H, W) or (H, W, C)
        The image: integers or floats.
    ksize : pair of ints
        Columns and rows of the rectangle.
    dst : ndarray, optional
        Where the result goes if it has its shape and dtype.
    anchor : pair of ints, default (-1, -1)
        Column and row of the rectangle that lie on the pixel; -1 is the centre, half the side.
    borderType : int, default 4
        What stands outside the image: BORDER_CONSTANT (zeros), BORDER_REPLICATE, BORDER_REFLECT or BORDER_REFLECT_101.

    Returns
    -------
    ndarray, shape of `src`
        The means in the dtype of `src`, an axis of one channel left out.

    Raises
    ------
    error
        If an argument does not fit.

    Notes
    -----
    Bit for bit OpenCV's means of uint8, uint16 and int16, as its code for AVX2 rounds them; floats are within float
    error of it. Other integers give the exact mean, rounded half to even, where OpenCV refuses them, sums modulo 2**32
    or makes int32 of 64 bits.

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels.compat.cv2 as cv2
    >>> image = np.array([[0, 0, 3, 0, 0, 0]], dtype=np.uint8)
    >>> cv2.blur(image, (3, 1))
    array([[0, 1, 1, 1, 0, 0]], dtype=uint8)
    """
    return _boxed(src, -1, ksize, dst, anchor, True, borderType)


@_refusing
def boxFilter(  # noqa: N802
    src: Any,
    ddepth: int,
    ksize: Sequence[int],
    dst: Any = None,
    anchor: Any = (-1, -1),
    normalize: bool = True,
    borderType: int = BORDER_DEFAULT,
) -> Array:
    """Replace every pixel by the mean or the sum of a rectangle around it, as ``cv2.boxFilter`` does.

    Parameters
    ----------
    src : ndarray, shape (H, W) or (H, W, C)
        The image: integers or floats.
    ddepth : int
        The result's depth, CV_16S or CV_32F for instance; -1 is that of `src`.
    ksize : pair of ints
        Columns and rows of the rectangle.
    dst : ndarray, optional
        Where the result goes if it has its shape and dtype.
    anchor : pair of ints, default (-1, -1)
        Column and row of the rectangle that lie on the pixel; -1 is the centre, half the side.
    normalize : bool, default True
        False gives sums, saturated.
    borderType : int, default 4
        What stands outside the image: BORDER_CONSTANT (zeros), BORDER_REPLICATE, BORDER_REFLECT or BORDER_REFLECT_101.

    Returns
    -------
    ndarray, shape of `src`
        The means or sums, an axis of one channel left out.

    Raises
    ------
    error
        If an argument does not fit.

    Notes
    -----
    Rounded as `blur`; every depth can be made of every dtype.

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels.compat.cv2 as cv2
    >>> image = np.array([[0, 0, 200, 200, 0, 0]], dtype=np.uint8)
    >>> cv2.boxFilter(image, -1, (3, 1), normalize=False)
    array([[  0, 200, 255, 255, 200,   0]], dtype=uint8)
    >>> cv2.boxFilter(image, cv2.CV_32F, (3, 1), normalize=False)
    array([[  0., 200., 400., 400., 200.,   0.]], dtype=float32)
    """
    return _boxed(src, ddepth, ksize, dst, anchor, normalize, borderType)


def _boxed(src: Any, ddepth: Any, ksize: Any, dst: Any, anchor: Any, normalize: Any, border: Any) -> Array:
    pixels, axes = _image(src)
    result = _result_dtype(ddepth, pixels.dtype)
    width, height = _two(ksize, "ksize")
    if width < 1 or height < 1:
        raise ValueError(f"ksize must be at least 1, got {ksize!r}")
    size, keywords = _size(width, height), _window(width, height, anchor, border, axes)
    target = _target(dst, pixels.shape, result)
    mean = normalize is None or bool(normalize)
    if pixels.dtype.kind in "iu" and pixels.itemsize <= 4 and result in (_FLOAT32, _FLOAT64):
        sums = ik.box_blur(pixels, size, normalize=False, **keywords)
        return target.handed_over(_scaled(sums, 1 / (width * height) if mean else 1.0, result, target.out))
    rule = _mean_rule(pixels.dtype.char, result.char, width * height) if mean else _EXACT
    if rule != _EXACT:
        return target.handed_over(_rounded_means(pixels, (height, width), result, rule, target.out, keywords))
    dtype = None if mean and result == pixels.dtype else result
    return target.handed_over(ik.box_blur(pixels, size, normalize=mean, dtype=dtype, out=target.out, **keywords))


def _scaled(sums: Array, factor: float, result: Dtype, out: Array | None) -> Array:
    """Return whole sums as floats, times a factor."""
    found = sums.astype(result) if out is None else out
    if out is not None:
        np.copyto(out, sums, casting="same_kind")
    if factor != 1:
        found *= factor
    return found


class _Rule(NamedTuple):
    """How OpenCV makes a mean of a sum: in its vector loops, and in those over the rest of a row."""

    vector: str
    scalar: str


_EXACT = _Rule("even", "even")


@functools.lru_cache(maxsize=1024)
def _mean_rule(source: str, result: str, area: int) -> _Rule:
    """Return OpenCV's rounding of means of integers; "even", as of `box_blur`, wherever the results are the same."""
    if np.dtype(source) not in (_UINT8, _UINT16, _INT16) or np.dtype(result).kind == "f" or area == 1:
        return _EXACT
    if source == result == "B" and area <= 256:
        names = _Rule("fixed", "fixed")
    elif area <= {"B": 2**23, "H": 2**15, "h": 2**16}[source]:
        names = _Rule("float32", "float64")
    else:
        names = _Rule("float64", "float64")
    limits = np.iinfo(source)
    # Every rule is a staircase: equal ones are equal beside every step, half way from mean to mean.
    halves = np.arange(2 * limits.min + 1, 2 * limits.max, 2) * area
    sums = np.concatenate([-(-halves // 2) - 1, halves // 2, halves // 2 + 1])
    exact = _means(sums, area, "even")
    return _Rule(*("even" if (_means(sums, area, name) == exact).all() else name for name in names))


def _lanes(result: Dtype) -> int:
    """Return how many means OpenCV's vector loops make at once."""
    return 8 if result.itemsize <= 2 else 4


def _means(sums: Array, area: int, rule: str) -> Array:
    """Return means of whole sums by one of OpenCV's rules, not yet saturated."""
    if rule == "even":
        means, rest = sums // area, sums % area
        means += (2 * rest > area) | ((2 * rest == area) & (means % 2 == 1))
    elif rule == "fixed":
        # A mean is (sum + half) * (2**23 / area) >> 23, in whole numbers: powers of two come out larger by 1 / area.
        factor, left = divmod(2**23, area)
        down = 2 * left < area
        means = ((sums + (area // 2 + down)) * (factor + (not down))) >> 23
    else:
        means = sums.astype(rule)
        means *= 1 / area
        np.rint(means, out=means)
    return means


def _rounded_means(
    pixels: Array, size: tuple[int, int], result: Dtype, rule: _Rule, out: Array | None, keywords: Keywords
) -> Array:
    area = size[0] * size[1]
    limits = np.iinfo(result)

    def compute(block: Array, name: str) -> Array:
        sums = ik.box_blur(block, size, normalize=False, **keywords)
        means = _means(sums.view(np.int64), area, name)
        return means.clip(limits.min, limits.max, out=means)

    rest = None
    if rule.vector != rule.scalar:
        rest = _rest_of_rows(pixels, size[1], _lanes(result), lambda block: compute(block, rule.scalar))
    if rule.vector == "even":
        found = ik.box_blur(pixels, size, dtype=result, out=out, **keywords)
    elif rule.vector == "fixed":
        sums = ik.box_blur(pixels, size, normalize=False, dtype=np.uint16, **keywords)
        found = _fixed_means(sums, area, out)
    else:
        found = np.empty(pixels.shape, result) if out is None else out
        np.copyto(found, compute(pixels, rule.vector), casting="unsafe")
    if rest is not None:
        rest.put_into(found)
    return found


def _fixed_means(sums: Array, area: int, out: Array | None) -> Array:
    """Return the means by the rule "fixed", which is a division for every sum of an even area."""
    sums += area // 2 + (area & (area - 1) == 0)
    if area & (area - 1) == 0:
        sums >>= area.bit_length() - 1
    else:
        sums //= area
    if area == 2:
        np.minimum(sums, 255, out=sums)
    if out is None:
        return sums.astype(np.uint8)
    np.copyto(out, sums, casting="unsafe")
    return out


class _Rest(NamedTuple):
    """The numbers at the end of each row that OpenCV computes one by one."""

    values: Array  # (H, n) or (H, n, C)
    chosen: Array  # (n) or (n, C)

    def put_into(self, image: Array) -> None:
        columns = image[:, image.shape[1] - self.values.shape[1] :]
        np.copyto(columns, self.values, where=self.chosen, casting="unsafe")


def _rest_of_rows(pixels: Array, width: int, lanes: int, compute: Callable[[Array], Array]) -> _Rest | None:
    """Return what `compute` gives for the last (W * C) % lanes numbers of rows, by windows of `width` columns."""
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    count = pixels.shape[1] * channels % lanes
    if count == 0:
        return None
    columns = -(-count // channels)
    block = pixels[:, max(0, pixels.shape[1] - columns - width) :]
    chosen = np.arange(columns * channels) >= columns * channels - count
    return _Rest(compute(block)[:, -columns:], chosen.reshape((columns, *pixels.shape[2:])))


# Weighted sums


@_refusing
def filter2D(  # noqa: N802
    src: Any,
    ddepth: int,
    kernel: Any,
    dst: Any = None,
    anchor: Any = (-1, -1),
    delta: float = 0.0,
    borderType: int = BORDER_DEFAULT,
) -> Array:
    """Correlate an image with a kernel, as ``cv2.filter2D`` does.

    Parameters
    ----------
    src : ndarray, shape (H, W) or (H, W, C)
        The image: integers or floats.
    ddepth : int
        The result's depth, CV_16S or CV_32F for instance; -1 is that of `src`.
    kernel : ndarray, shape (K, L)
        The weights, the same for every channel.
    dst : ndarray, optional
        Where the result goes if it has its shape and dtype.
    anchor : pair of ints, default (-1, -1)
        Column and row of the kernel that lie on the pixel; -1 is the centre, ``L // 2`` or ``K // 2``.
    delta : float, default 0.0
        What is added to the sums.
    borderType : int, default 4
        What stands outside the image: BORDER_CONSTANT (zeros), BORDER_REPLICATE, BORDER_REFLECT or BORDER_REFLECT_101.

    Returns
    -------
    ndarray, shape of `src`
        The sums, rounded half to even and saturated where they become integers; an axis of one channel left out.

    Raises
    ------
    error
        If an argument does not fit.

    Notes
    -----
    Both sum in float32, or in float64 where `src` or the result is. Integer results are those of OpenCV bit for bit
    where its sums are exact, as those of whole weights are, and where it sums tap by tap (kernels below 130 taps for
    uint8 to uint8 or int16, below 50 otherwise) without `delta`; else a sum within float error of a half may be rounded
    the other way. Kernels of an integer dtype on integer images are summed exactly. Every depth can be made of every
    dtype.

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels.compat.cv2 as cv2
    >>> image = np.array([[10, 10, 10, 40, 40, 40]], dtype=np.uint8)
    >>> cv2.filter2D(image, cv2.CV_16S, np.array([[1.0, 0.0, -1.0]]))
    array([[  0,   0, -30, -30,   0,   0]], dtype=int16)
    """
    pixels, axes = _image(src)
    result = _result_dtype(ddepth, pixels.dtype)
    matrix = _matrix(kernel, "kernel")
    height, width = matrix.shape
    weights = matrix.astype(_weight_dtype(matrix.dtype, pixels.dtype, result), copy=False)
    target = _target(dst, pixels.shape, result)
    correlate = functools.partial(
        ik.correlate,
        pixels,
        weights,
        method=_method(pixels.dtype, result, weights),
        **_window(width, height, anchor, borderType, axes),
    )
    return target.handed_over(_sums(correlate, weights.dtype, result, _delta(delta), target.out))


def _weight_dtype(kernel: Dtype, source: Dtype, result: Dtype) -> Dtype:
    """Return the dtype of the weights, by which the sums are computed."""
    if kernel.kind in "biu" and source.kind in "iu" and result.kind in "iu":
        return _INT64
    return _FLOAT64 if _FLOAT64 in (source, result) or source.itemsize == 8 else _FLOAT32


def _method(source: Dtype, result: Dtype, weights: Array) -> str:
    """Return "direct" where OpenCV's results depend on the order in which it sums."""
    if result.kind == "f" or weights.dtype == _INT64:
        return "auto"
    most = 130 if source == _UINT8 and result in (_UINT8, _INT16) else 50  # then it sums by Fourier transforms
    return "direct" if weights.size < most else "auto"


def _delta(delta: Any) -> float:
    return 0.0 if delta is None else _real(delta, "delta")


def _sums(correlate: Callable[..., Array], loop: Dtype, result: Dtype, delta: float, out: Array | None) -> Array:
    """Return sums and `delta`, rounded once."""
    if delta == 0:
        return correlate(dtype=result, out=out)
    sums: Array = correlate(dtype=_FLOAT64 if loop == _INT64 else loop)
    with np.errstate(over="ignore", invalid="ignore"):
        sums += delta
    found = converted(sums, result)
    if out is None:
        return found
    np.copyto(out, found)
    return out


@_refusing
def sepFilter2D(  # noqa: N802
    src: Any,
    ddepth: int,
    kernelX: Any,
    kernelY: Any,
    dst: Any = None,
    anchor: Any = (-1, -1),
    delta: float = 0.0,
    borderType: int = BORDER_DEFAULT,
) -> Array:
    """Correlate an image with a row and a column of weights, as ``cv2.sepFilter2D`` does.

    Parameters
    ----------
    src : ndarray, shape (H, W) or (H, W, C)
        The image: integers or floats.
    ddepth : int
        The result's depth, CV_16S or CV_32F for instance; -1 is that of `src`.
    kernelX, kernelY : ndarray, shape (L,) or (K,), or a matrix of one row or column
        The weights along the rows and down the columns, of the same dtype.
    dst : ndarray, optional
        Where the result goes if it has its shape and dtype.
    anchor : pair of ints, default (-1, -1)
        The weights of row and column that lie on the pixel; -1 is the centre, ``L // 2`` or ``K // 2``.
    delta : float, default 0.0
        What is added to the sums.
    borderType : int, default 4
        What stands outside the image: BORDER_CONSTANT (zeros), BORDER_REPLICATE, BORDER_REFLECT or BORDER_REFLECT_101.

    Returns
    -------
    ndarray, shape of `src`
        The sums, rounded half to even and saturated where they become integers; an axis of one channel left out.

    Raises
    ------
    error
        If an argument does not fit.

    Notes
    -----
    Both sum in float32, or in float64 where `src` or the result is, in different orders. Integer results are those of
    OpenCV bit for bit where the sums are exact, as those of whole weights are; else a sum within float error of a half
    may be rounded the other way. From uint8 to uint8 with symmetric, not negative multiples of 1/256 that add up to 1,
    OpenCV computes in fixed point and rounds half up the last (W * C) % 16 numbers of a row; so does this function.
    Every depth can be made of every dtype.

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels.compat.cv2 as cv2
    >>> image = np.array([[10, 10, 10, 40, 40, 40]], dtype=np.uint8)
    >>> cv2.sepFilter2D(image, -1, np.array([0.25, 0.5, 0.25]), np.array([1.0]))
    array([[10, 10, 18, 32, 40, 40]], dtype=uint8)
    """
    pixels, axes = _image(src)
    result = _result_dtype(ddepth, pixels.dtype)
    row, column = _vector(kernelX, "kernelX"), _vector(kernelY, "kernelY")
    if row.dtype != column.dtype:
        raise ValueError(f"kernelX and kernelY must have the same dtype, got {row.dtype} and {column.dtype}")
    keywords = _window(row.size, column.size, anchor, borderType, axes)
    target = _target(dst, pixels.shape, result)
    added = _delta(delta)
    rest = None
    if pixels.dtype == _UINT8 and keywords["origin"] == 0:
        kinds = _kind(row.tobytes(), row.dtype.char), _kind(column.tobytes(), column.dtype.char)
        if result == _UINT8 and kinds[0].fixed is not None and kinds[1].fixed is not None:
            row, column = kinds[0].fixed, kinds[1].fixed
            rest = _fixed_rest(pixels, column, row, added, keywords)
        elif result == _INT16 and kinds[0].whole and kinds[1].whole:
            added = float(np.rint(added))
    loop = _weight_dtype(row.dtype, pixels.dtype, result)
    factors = column.astype(loop, copy=False), row.astype(loop, copy=False)
    correlate = functools.partial(ik.correlate_separable, pixels, *factors, **keywords)
    found = _sums(correlate, loop, result, added, target.out)
    if rest is not None:
        rest.put_into(found)
    return target.handed_over(found)


def _vector(value: Any, name: str) -> Array:
    matrix = _matrix(value, name)
    if 1 not in matrix.shape:
        raise ValueError(f"{name} must have one row or one column, got shape {value.shape}")
    return matrix.ravel()


class _Kind(NamedTuple):
    """What makes OpenCV compute with whole numbers."""

    fixed: Array | None  # the weights in fixed point, if they are a symmetric mean with a fraction of 8 bits
    whole: bool  # whether they are whole, and symmetric or antisymmetric


@functools.lru_cache(maxsize=1024)
def _kind(weights: bytes, dtype: str) -> _Kind:
    values = np.frombuffer(weights, dtype).astype(np.float64)
    odd = values.size % 2 == 1
    whole = bool((values == np.rint(values)).all())
    symmetric = odd and bool((values == values[::-1]).all())
    epsilon = float(np.finfo(np.float32).eps)
    total = values.sum()
    mean = (values >= 0).all() and abs(total - 1) <= epsilon * (abs(total) + 1)
    fixed = np.rint(values * 256)
    close = (np.abs(values * 256 - fixed) <= 2560 * epsilon).all()
    return _Kind(
        (fixed / 256).astype(np.float32) if symmetric and mean and close and not whole else None,
        whole and (symmetric or (odd and bool((values == -values[::-1]).all()))),
    )


_FIXED_LANES = 16


def _fixed_rest(pixels: Array, column: Array, row: Array, delta: float, keywords: Keywords) -> _Rest | None:
    """Return what OpenCV rounds half up."""

    def compute(block: Array) -> Array:
        sums = ik.correlate_separable(block, column, row, dtype=np.float64, **keywords)
        sums += np.rint(delta * 2**16) / 2**16 + 0.5
        whole: Array = np.floor(sums).clip(0, 255)
        return whole

    return _rest_of_rows(pixels, row.size, _FIXED_LANES, compute)


@_refusing
def GaussianBlur(  # noqa: N802
    src: Any,
    ksize: Sequence[int],
    sigmaX: float,
    dst: Any = None,
    sigmaY: float = 0.0,
    borderType: int = BORDER_DEFAULT,
    hint: int = 0,
) -> Array:
    """Blur an image by a Gaussian, as ``cv2.GaussianBlur`` does.

    Parameters
    ----------
    src : ndarray, shape (H, W) or (H, W, C)
        The image: integers or floats.
    ksize : pair of ints
        Columns and rows of the window, odd; 0 takes the number from the standard deviation.
    sigmaX : float
        The standard deviation along the rows, in pixels; 0 takes it from `ksize`.
    dst : ndarray, optional
        Where the result goes if it has its shape and dtype.
    sigmaY : float, default 0.0
        The standard deviation down the columns; 0 is that of the rows.
    borderType : int, default 4
        What stands outside the image: BORDER_CONSTANT (zeros), BORDER_REPLICATE, BORDER_REFLECT, BORDER_REFLECT_101 or
        BORDER_WRAP.
    hint : int, default 0
        Of no effect, as in OpenCV's build for x86-64.

    Returns
    -------
    ndarray, shape of `src`
        The blurred image in the dtype of `src`, an axis of one channel left out.

    Raises
    ------
    error
        If an argument does not fit.

    Notes
    -----
    Bit for bit OpenCV's of uint8 and uint16, which computes in fixed point: weights of 8 or 16 bits, whose errors are
    handed on from the ends to the middle, and sums rounded half up. Other dtypes are those of `sepFilter2D`.

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels.compat.cv2 as cv2
    >>> cv2.GaussianBlur(np.array([[0, 0, 200, 0, 0, 0]], dtype=np.uint8), (3, 1), 0)
    array([[  0,  50, 100,  50,   0,   0]], dtype=uint8)
    """
    pixels, axes = _image(src)
    width, height = _two(ksize, "ksize")
    across = _real(sigmaX, "sigmaX")
    down = 0.0 if sigmaY is None else _real(sigmaY, "sigmaY")
    bits = {_UINT8: 8, _UINT16: 16}.get(pixels.dtype.newbyteorder("="))
    reach = 3 if bits == 8 else 4
    row = _gaussian(width, across, reach, bits)
    column = _gaussian(height, down if down > 0 else across, reach, bits)
    result = pixels.dtype.newbyteorder("=")
    target = _target(dst, pixels.shape, result)
    wraps = borderType == BORDER_WRAP
    keywords = _window(1, 1, None, BORDER_REPLICATE if wraps else borderType, axes) | (
        {"mode": "wrap"} if wraps else {}
    )
    loop = _FLOAT64 if bits == 16 else _weight_dtype(row.dtype, pixels.dtype, result)
    factors = column.astype(loop), row.astype(loop)
    correlate = functools.partial(ik.correlate_separable, pixels, *factors, **keywords)
    if bits is None:
        return target.handed_over(_sums(correlate, loop, result, 0.0, target.out))
    sums = correlate(dtype=loop)  # exact
    sums += 0.5
    out = np.empty(pixels.shape, result) if target.out is None else target.out
    np.copyto(out, sums, casting="unsafe")
    return target.handed_over(out)


# Weights where sigma is not given.
_BINOMIAL = {
    1: (1.0,),
    3: (0.25, 0.5, 0.25),
    5: (0.0625, 0.25, 0.375, 0.25, 0.0625),
    7: (0.03125, 0.109375, 0.21875, 0.28125, 0.21875, 0.109375, 0.03125),
    9: tuple(number / 256 for number in (4, 13, 30, 51, 60, 51, 30, 13, 4)),
}


@functools.lru_cache(maxsize=1024)
def _gaussian(taps: int, sigma: float, reach: int, bits: int | None) -> Array:
    """Return a Gaussian's weights, of which `bits` are a fraction's."""
    if taps <= 0 and 0 < sigma < 2**20:
        taps = round(2 * reach * sigma + 1) | 1
    if taps < 1 or taps % 2 == 0:
        raise ValueError(f"ksize must be odd, or 0 where sigma is positive, got {taps} and {sigma}")
    if sigma <= 0 and taps in _BINOMIAL:
        weights = np.array(_BINOMIAL[taps])
    else:
        deviation = sigma if sigma > 0 else 0.3 * ((taps - 1) / 2 - 1) + 0.8
        weights = np.exp(-0.5 * ((np.arange(taps) - (taps - 1) / 2) / deviation) ** 2)
        weights /= weights.sum()
    if bits is None:
        return weights
    whole, error = np.zeros(taps), 0.0
    for tap in range(taps // 2):
        exact = weights[tap] * 2**bits + error
        whole[tap] = whole[-1 - tap] = np.rint(exact)
        error = exact - whole[tap]
    whole[taps // 2] = 2**bits - whole.sum()
    whole /= 2**bits
    return whole
