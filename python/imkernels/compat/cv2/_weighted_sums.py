"""Correlations with given weights."""

import functools
from typing import Any, NamedTuple

import numpy as np

import imkernels as ik
from imkernels._arguments import Array, Ending, Result, as_array
from imkernels._dtypes import Dtype
from imkernels.compat.cv2._arguments import (
    BORDER_DEFAULT,
    FLOAT32,
    FLOAT64,
    INT16,
    INT64,
    UINT8,
    Place,
    image_of,
    matrix_of,
    place_of,
    real_of,
    refusing,
    result_dtype,
    target_for,
)
from imkernels.compat.cv2._rows import Rest, rest_of_rows
from imkernels.convolution import correlated, separable


@refusing
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
    {{src}}
    {{ddepth}}
    kernel : ndarray, shape (K, L)
        The weights, the same for every channel.
    {{dst}}
    anchor : pair of ints, default (-1, -1)
        Column and row of the kernel that lie on the pixel; -1 is the centre, ``L // 2`` or ``K // 2``.
    delta : float, default 0.0
        What is added to the sums.
    {{border}}

    Returns
    -------
    ndarray, shape of `src`
        The sums, rounded half to even and saturated where they become integers; an axis of one channel left out.

    Raises
    ------
    {{refusal}}

    Notes
    -----
    Both sum in float32, or in float64 where `src` or the result is. Integer results are those of OpenCV bit for bit
    where its sums are exact, as those of whole weights are, and where it sums tap by tap (kernels below 130 taps for
    uint8 to uint8 or int16, below 50 otherwise); else a sum within float error of a half may be rounded the other way.
    Kernels of an integer dtype on integer images are summed exactly. Every depth can be made of every dtype.

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels.compat.cv2 as cv2
    >>> image = np.array([[10, 10, 10, 40, 40, 40]], dtype=np.uint8)
    >>> cv2.filter2D(image, cv2.CV_16S, np.array([[1.0, 0.0, -1.0]]))
    array([[  0,   0, -30, -30,   0,   0]], dtype=int16)
    """
    pixels, axes = image_of(src)
    result = result_dtype(ddepth, pixels.dtype)
    matrix = matrix_of(kernel, "kernel")
    height, width = matrix.shape
    added = _delta(delta)
    weights = matrix.astype(_loop_dtype(matrix.dtype, pixels.dtype, result, added), copy=False)
    place = place_of(width, height, anchor, borderType, axes)
    target = target_for(dst, pixels.shape, result)
    pixels = as_array(pixels, "src")
    method = _method(pixels.dtype, result, weights)
    wanted = Result(target.out, result, "same_kind", None, Ending(added))
    return target.handed_over(correlated(ik.correlate, pixels, axes, weights, place.geometry(), method, wanted))


def _loop_dtype(kernel: Dtype, source: Dtype, result: Dtype, delta: float = 0.0) -> Dtype:
    """Return the dtype of the weights, by which the sums are computed."""
    whole = float(delta).is_integer() and abs(delta) < 2**53
    if kernel.kind in "biu" and source.kind in "iu" and result.kind in "iu":
        return INT64 if whole else FLOAT64
    return FLOAT64 if FLOAT64 in (source, result) or source.itemsize == 8 else FLOAT32


def _method(source: Dtype, result: Dtype, weights: Array) -> str:
    """Return "direct" where OpenCV's results depend on the order in which it sums."""
    if result.kind == "f" or weights.dtype == INT64:
        return "auto"
    most = 130 if source == UINT8 and result in (UINT8, INT16) else 50  # then it sums by Fourier transforms
    return "direct" if weights.size < most else "auto"


def _delta(delta: Any) -> float:
    return 0.0 if delta is None else real_of(delta, "delta")


@refusing
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
    {{src}}
    {{ddepth}}
    kernelX, kernelY : ndarray, shape (L,) or (K,), or a matrix of one row or column
        The weights along the rows and down the columns, of the same dtype.
    {{dst}}
    anchor : pair of ints, default (-1, -1)
        The weights of row and column that lie on the pixel; -1 is the centre, ``L // 2`` or ``K // 2``.
    delta : float, default 0.0
        What is added to the sums.
    {{border}}

    Returns
    -------
    ndarray, shape of `src`
        The sums, rounded half to even and saturated where they become integers; an axis of one channel left out.

    Raises
    ------
    {{refusal}}

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
    pixels, axes = image_of(src)
    result = result_dtype(ddepth, pixels.dtype)
    row, column = _vector(kernelX, "kernelX"), _vector(kernelY, "kernelY")
    if row.dtype != column.dtype:
        raise ValueError(f"kernelX and kernelY must have the same dtype, got {row.dtype} and {column.dtype}")
    place = place_of(row.size, column.size, anchor, borderType, axes)
    target = target_for(dst, pixels.shape, result)
    added = _delta(delta)
    rest = None
    if pixels.dtype == UINT8 and place.origin == 0:
        kinds = _kind(row.tobytes(), row.dtype.char), _kind(column.tobytes(), column.dtype.char)
        if result == UINT8 and kinds[0].fixed is not None and kinds[1].fixed is not None:
            row, column = kinds[0].fixed, kinds[1].fixed
            rest = _fixed_rest(pixels, (column, row), added, place)
        elif result == INT16 and kinds[0].whole and kinds[1].whole:
            added = float(np.rint(added))
    loop = _loop_dtype(row.dtype, pixels.dtype, result, added)
    wanted = Result(target.out, result, "same_kind", None, Ending(added))
    found = separated(pixels, (column.astype(loop, copy=False), row.astype(loop, copy=False)), place, wanted)
    if rest is not None:
        rest.put_into(found)
    return target.handed_over(found)


def separated(pixels: Array, factors: tuple[Array, Array], place: Place, wanted: Result) -> Array:
    """Correlate with the outer product of a column and a row."""
    return separable(ik.correlate_separable, pixels, place.axes, factors, place.geometry(), wanted, "weights")


def _vector(value: Any, name: str) -> Array:
    matrix = matrix_of(value, name)
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


def _fixed_rest(pixels: Array, factors: tuple[Array, Array], delta: float, place: Place) -> Rest | None:
    """Return what OpenCV rounds half up."""

    def compute(block: Array) -> Array:
        wide = factors[0].astype(FLOAT64), factors[1].astype(FLOAT64)
        ending = Ending(float(np.rint(delta * 2**16)) / 2**16 + 0.5, toward_zero=True)
        return separated(block, wide, place, Result(None, UINT8, "same_kind", None, ending))

    return rest_of_rows(pixels, factors[1].size, _FIXED_LANES, compute)
