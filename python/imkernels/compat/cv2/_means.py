"""Means and sums of rectangles, rounded as OpenCV's code for AVX2 does."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from imkernels._arguments import Array, Ending, as_array
from imkernels._dtypes import Dtype
from imkernels._plans import carry_out
from imkernels.compat.cv2._arguments import (
    BORDER_DEFAULT,
    FLOAT32,
    FLOAT64,
    INT16,
    UINT8,
    UINT16,
    image_of,
    pair_of,
    place_of,
    refusing,
    result_dtype,
    size_of,
    target_for,
)
from imkernels.compat.cv2._rows import rest_of_rows
from imkernels.filters import box_plan


@refusing
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
    {{src}}
    ksize : pair of ints
        Columns and rows of the rectangle.
    {{dst}}
    anchor : pair of ints, default (-1, -1)
        Column and row of the rectangle that lie on the pixel; -1 is the centre, half the side.
    {{border}}

    Returns
    -------
    ndarray, shape of `src`
        The means in the dtype of `src`, an axis of one channel left out.

    Raises
    ------
    {{refusal}}

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


@refusing
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
    {{src}}
    {{ddepth}}
    ksize : pair of ints
        Columns and rows of the rectangle.
    {{dst}}
    anchor : pair of ints, default (-1, -1)
        Column and row of the rectangle that lie on the pixel; -1 is the centre, half the side.
    normalize : bool, default True
        False gives sums, saturated.
    {{border}}

    Returns
    -------
    ndarray, shape of `src`
        The means or sums, an axis of one channel left out.

    Raises
    ------
    {{refusal}}

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
    pixels, axes = image_of(src)
    result = result_dtype(ddepth, pixels.dtype)
    width, height = pair_of(ksize, "ksize")
    if width < 1 or height < 1:
        raise ValueError(f"ksize must be at least 1, got {ksize!r}")
    area, size = width * height, size_of(width, height)
    place = place_of(width, height, anchor, border, axes)
    target = target_for(dst, pixels.shape, result)
    mean = normalize is None or bool(normalize)
    rule = _rule(pixels.dtype.char, result.char, area if mean else 0)

    def compute(block: Array, name: str, out: Array | None) -> Array:
        ending = _ending(name, area if mean else 1)
        average = mean and ending.factor is None
        block = as_array(block, "src")
        window = size, axes, 1, "same", place.mode, place.origin
        plan = box_plan((block.dtype, *block.shape), window, (average, result, "same_kind"))
        return carry_out(plan, (block,), 0.0, out, None, ending)

    rest = None
    if rule.vector != rule.scalar:
        rest = rest_of_rows(pixels, width, _lanes(result), lambda block: compute(block, rule.scalar, None))
    found = compute(pixels, rule.vector, target.out)
    if rest is not None:
        rest.put_into(found)
    return target.handed_over(found)


@functools.lru_cache(maxsize=1024)
def _ending(rule: str, area: int) -> Ending:
    """Return what makes means by a rule."""
    if rule == "even":
        return Ending()
    if rule == "fixed":
        # Halves go up; where the area is a power of two, what lies 1 / area below as well.
        return Ending(delta=area // 2 + (area & (area - 1) == 0), toward_zero=True)
    return Ending(factor=np.array(1 / area, rule))


class _Rule(NamedTuple):
    """How OpenCV makes a mean of a sum: in its vector loops, and in those over the rest of a row.

    "even" rounds the exact mean half to even, "fixed" divides in fixed point, "float32" and "float64" multiply.
    """

    vector: str
    scalar: str


_EXACT = _Rule("even", "even")


@functools.lru_cache(maxsize=1024)
def _rule(source: str, result: str, area: int) -> _Rule:
    """Return OpenCV's rounding of means, or of sums (0); "even", as of `box_blur`, wherever results are the same."""
    pixels = np.dtype(source)
    if pixels.kind in "iu" and pixels.itemsize <= 4 and np.dtype(result) in (FLOAT32, FLOAT64):
        return _Rule(np.dtype(result).name, np.dtype(result).name)
    if pixels not in (UINT8, UINT16, INT16) or np.dtype(result).kind == "f" or area <= 1:
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
