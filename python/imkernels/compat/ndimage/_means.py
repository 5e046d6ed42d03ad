"""Means of boxes."""

import functools
import operator
from typing import Any

import numpy as np

import imkernels as ik
from imkernels._arguments import Array
from imkernels._dtypes import Dtype
from imkernels.compat.ndimage._arguments import FLOAT32, FLOAT64, Target, as_array, fill_of, native, target_of
from imkernels.compat.ndimage._results import cast, job_of
from imkernels.compat.ndimage._serving import Job, stand_in
from imkernels.compat.ndimage._windows import Step, line_step, separable_steps


def _mean_job(image: Array, target: Target, steps: tuple[Step, ...], cval: Any) -> Job | None:
    """Return the job of taking means, over one axis after the other where they are cut off to integers."""
    constant = any([step.constant for step in steps])
    fill = fill_of(cval, constant, image.dtype)
    if fill is None or (len(steps) > 1 and fill_of(cval, constant, target.dtype) is None):
        return None
    whole = target.dtype.kind != "f"

    def filtered(step: Step, pixels: Array, out: Array | None) -> Array:
        pixels = pixels.view(np.uint8) if pixels.dtype.kind == "b" else pixels
        if whole and pixels.dtype.kind != "f":
            return cast(_cut_off_means(pixels, step, fill), target.dtype)
        return cast(_box_blur(pixels, step, fill, dtype=FLOAT64 if whole else target.dtype, out=out), target.dtype)

    return job_of(image, target, [functools.partial(filtered, step) for step in steps])


def _box_blur(pixels: Array, step: Step, fill: Any, **arguments: Any) -> Array:
    return ik.box_blur(pixels, step.size, axes=step.axes, mode=step.mode, cval=fill, origin=step.origin, **arguments)


def _cut_off_means(pixels: Array, step: Step, fill: Any) -> Array:
    """Return the means of integers along a line, cut off after the point."""
    size = max(step.extents)
    dtype = native(pixels.dtype)
    largest = size * 2 ** (8 * dtype.itemsize)
    if largest >= 2**53:
        return _cut_off_long_means(pixels, step, fill)
    sums = _box_blur(pixels, step, fill, normalize=False, dtype=_holding(-largest, largest, dtype.kind))
    means = np.empty(sums.shape, dtype)
    if dtype.kind == "u":
        np.floor_divide(sums, sums.dtype.type(size), out=means, casting="unsafe")
        return means
    # A quotient is rounded up to a whole number only if the sum has more bits than the float.
    working = FLOAT32 if largest < 2**24 else FLOAT64
    return np.divide(sums, size, out=means, dtype=working, casting="unsafe")


def _cut_off_long_means(pixels: Array, step: Step, fill: Any) -> Array:
    """Do the same for sums that float64 does not hold: from the rounded means and the remainders they leave."""
    size = max(step.extents)
    means = _box_blur(pixels, step, fill)
    sums = _box_blur(pixels, step, fill, normalize=False)
    one = means.dtype.type(1)
    rest = (sums - means.astype(sums.dtype) * sums.dtype.type(size)).view(np.int64)
    means -= one * ((means > 0) & (rest < 0))
    means += one * ((means < 0) & (rest > 0))
    return means


@functools.cache
def _holding(low: int, high: int, kind: str) -> Dtype:
    """Return the smallest integer dtype of a kind, and of 16 bits or more, that holds the sums from `low` to `high`."""
    for bits in (16, 32):
        limits = np.iinfo(f"{kind}{bits // 8}")
        if high <= limits.max and (kind == "u" or limits.min <= low):
            return limits.dtype
    return np.dtype(f"{kind}8")


@stand_in
def uniform_filter(
    input: Any,
    size: Any = 3,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Job | None:
    """Stand in for `scipy.ndimage.uniform_filter`, by `imkernels.box_blur`.

    Served along any number of axes. Means of integers are cut off after every axis, as there, but 64-bit ones are
    exact; floats do not drift along a line, and a NaN stays in its windows.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.uniform_filter(np.array([3, 1, 2, 9, 2]), size=3)
    array([2, 2, 4, 4, 4])
    """
    image = as_array(input)
    target = target_of(output, image)
    if target is None:
        return None
    together = 2 if target.dtype.kind == "f" else 1
    return _mean_job(image, target, separable_steps(image.ndim, size, origin, mode, axes, together), cval)


@stand_in
def uniform_filter1d(
    input: Any, size: Any, axis: Any = -1, output: Any = None, mode: Any = "reflect", cval: Any = 0.0, origin: Any = 0
) -> Job | None:
    """Stand in for `scipy.ndimage.uniform_filter1d`, by `imkernels.box_blur`; see `uniform_filter`.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.uniform_filter1d(np.array([3, 1, 2, 9, 2]), 3)
    array([2, 2, 4, 4, 4])
    """
    image = as_array(input)
    step = line_step(image.ndim, size, origin, mode, operator.index(axis))
    target = target_of(output, image)
    if target is None:
        return None
    return _mean_job(image, target, (step,), cval)
