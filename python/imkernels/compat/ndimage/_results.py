"""Results: one stage after the other, by C's casts, in the place that the caller wants."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from imkernels._arguments import Array
from imkernels._dtypes import Dtype
from imkernels.compat.ndimage._arguments import Target
from imkernels.compat.ndimage._serving import Job

T = TypeVar("T")

_INT64, _UINT64 = np.dtype(np.int64), np.dtype(np.uint64)


def job_of(
    image: Array, target: Target, steps: Sequence[T], filtered: Callable[[T, Array, Array | None], Array]
) -> Job:
    """Return the job of filtering in steps, one after the other.

    `filtered` takes a step, pixels and an array or None. It may write to the array, which it then returns.
    """
    if not steps or image.size == 0:
        return lambda: _finish(image.copy(), target, image.shape)

    def job() -> Array:
        result = _planes(image)
        for step in steps[:-1]:
            result = filtered(step, result, None)
        goal = None if target.array is None or not target.same else _planes(target.array)
        return _finish(filtered(steps[-1], result, goal), target, image.shape)

    return job


def _planes(image: Array) -> Array:
    """Return an image of at least two axes."""
    return image if image.ndim >= 2 else image.reshape((1,) * (2 - image.ndim) + image.shape)


def _finish(result: Array, target: Target, shape: tuple[int, ...]) -> Array:
    """Return the result in the shape, the dtype and the place that the caller wants."""
    if target.array is None:
        result = cast(result, target.dtype)
        return result if result.ndim == len(shape) else result.reshape(shape)
    if not np.may_share_memory(result, target.array):
        target.array[...] = cast(result, target.dtype).reshape(shape)
    return target.array


def cast(values: Array, dtype: Dtype) -> Array:
    """Return values by C's casts: floats are cut off after the point, integers wrap around."""
    if values.dtype is dtype or values.dtype == dtype:
        return values
    if values.dtype.kind == "f" and dtype.kind in "biu" and dtype not in (_INT64, _UINT64):
        with np.errstate(invalid="ignore"):
            values = values.astype(_INT64)  # what C leaves open for narrower ones is so the same on all machines
    if dtype.kind == "b":
        values = values.astype(np.uint8)  # SciPy's truth values are bytes
    if values.dtype.kind in "biu":
        return values.astype(dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        return values.astype(dtype)
