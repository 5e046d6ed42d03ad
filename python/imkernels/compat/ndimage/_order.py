"""Order filters: medians, ranks, percentiles, minima and maxima."""

import functools
import math
import operator
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import imkernels as ik
from imkernels._arguments import Array, remembered
from imkernels.compat.ndimage._arguments import (
    Common,
    Target,
    check_one_mode,
    filtered_axes,
    one_per_axis,
    real_image,
    target_of,
)
from imkernels.compat.ndimage._results import cast, job_of
from imkernels.compat.ndimage._serving import Job, stand_in
from imkernels.compat.ndimage._windows import (
    Step,
    as_plane,
    check_extents,
    extents_of,
    fill_around,
    footprint_steps,
    line_of,
    line_step,
    separable_steps,
    steps_of,
)


def _order_job(
    native: Callable[..., Array], image: Array, target: Target, steps: tuple[Step, ...], mask: Array | None, cval: Any
) -> Job | None:
    """Return the job of an order filter of this package, one step after the other."""
    fill = fill_around(cval, steps, image.dtype, target.dtype)
    if fill is None:
        return None

    def filtered(step: Step, pixels: Array, out: Array | None) -> Array:
        size, footprint = (step.size, None) if mask is None else (None, as_plane(mask, step))
        result = native(
            pixels,
            size=size,
            footprint=footprint,
            axes=step.axes,
            mode=step.mode,
            cval=fill,
            origin=step.origin,
            out=out,
        )
        return cast(result, target.dtype)

    return job_of(image, target, steps, filtered)


@remembered
def _box_steps(ndim: int, size: Any, origin: Any, mode: Any, axes: Any, together: int) -> tuple[int, tuple[Step, ...]]:
    """Return the number of pixels of a box, and the steps that it is made of."""
    places = filtered_axes(axes, ndim)
    shape = [_extent(number) for number in one_per_axis(size, len(places), "size")]
    modes = dict(zip(places, one_per_axis(mode, len(places), "mode"), strict=True))
    lines = [line_of(*extent, modes[extent.axis]) for extent in extents_of(places, ndim, shape, origin)]
    return math.prod(shape), steps_of(ndim, [line for line in lines if line.size > 1], together)


def _extent(number: Any) -> int:
    if isinstance(number, (bool, np.bool_)):
        raise TypeError(f"size must be an integer or one per axis, got {number!r}")
    extent = operator.index(number)
    if extent < 0:
        raise ValueError(f"size must be positive, negative dimensions are not allowed, got {extent}")
    return extent


def _mask_of(footprint: Any) -> tuple[tuple[int, ...], Array | None, int]:
    """Return the shape of a footprint, its truth values unless all are true, and how many of them are."""
    mask = np.asarray(footprint, dtype=bool)
    count = int(np.count_nonzero(mask))
    return mask.shape, None if count == mask.size else mask, count


def _warn_of_both() -> None:
    warnings.warn("ignoring size because footprint is set", UserWarning, stacklevel=5)


# Ranks


def _rank_plan(rank_of: Callable[[int], int], common: Common, size: Any, footprint: Any, axes: Any) -> Job | None:
    """Plan a rank filter; `rank_of` gives the rank for a number of pixels."""
    if footprint is not None and size is not None:
        _warn_of_both()
    image = real_image(common.input)
    target = target_of(common.output, image)
    if target is None:
        return None
    mask = None
    steps: tuple[Step, ...] | None
    if footprint is not None:
        size, mask, count = _mask_of(footprint)
        check_extents(size, image.ndim if axes is None else len(filtered_axes(axes, image.ndim)), "footprint")
    elif size is None:
        raise RuntimeError("no footprint or filter size provided: one of them must be given")
    if mask is None:
        count, steps = _box_steps(image.ndim, size, common.origin, common.mode, axes, 2)
    else:
        steps = footprint_steps(image.ndim, common.origin, common.mode, axes, *mask.shape)
    rank = _checked_rank(rank_of(count), count)
    if rank in (0, count - 1):
        extremum = ik.minimum_filter if rank == 0 else ik.maximum_filter
        if mask is None and not target.same:
            _, steps = _box_steps(image.ndim, size, common.origin, common.mode, axes, 1)
        return None if steps is None else _order_job(extremum, image, target, steps, mask, common.cval)
    if type(common.mode) is not str:  # which the steps have checked
        check_one_mode(common.mode, "ranks between the lowest and the highest")
    if steps is None or len(steps) > 1:
        return None
    native = ik.median_filter if rank == count // 2 else functools.partial(ik.rank_filter, rank=rank)
    return _order_job(native, image, target, steps, mask, common.cval)


def _checked_rank(rank: int, count: int) -> int:
    if not -count <= rank < count:
        raise RuntimeError(f"rank not within filter footprint size: it must lie within {count} pixels, got {rank}")
    return rank % count


def _middle(count: int) -> int:
    return count // 2


def _percentile_rank(percentile: Any, count: int) -> int:
    share = percentile + 100.0 if percentile < 0.0 else percentile
    if share < 0 or share > 100:
        raise RuntimeError(f"invalid percentile: it must lie between -100 and 100, got {percentile!r}")
    return count - 1 if share == 100.0 else int(float(count) * share / 100.0)


@stand_in
def median_filter(
    input: Any,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Job | None:
    """Stand in for `scipy.ndimage.median_filter`, by `imkernels.median_filter`.

    Served for windows that reach along at most two axes. 64-bit integers are exact, a NaN makes the windows NaN that it
    lies in, and -0.0 comes before 0.0.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.median_filter(np.array([3, 1, 2, 9, 2]), size=3)
    array([3, 2, 2, 2, 2])
    """
    return _rank_plan(_middle, Common(input, output, mode, cval, origin), size, footprint, axes)


@stand_in
def rank_filter(
    input: Any,
    rank: Any,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Job | None:
    """Stand in for `scipy.ndimage.rank_filter`, by `imkernels.rank_filter`.

    Served for windows that reach along at most two axes, and for the lowest and the highest rank of boxes along any
    number. 64-bit integers, NaNs and zeros as in `median_filter`.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.rank_filter(np.array([3, 1, 2, 9, 2]), -2, size=3)
    array([3, 2, 2, 2, 2])
    """
    number = operator.index(rank)
    return _rank_plan(lambda count: number, Common(input, output, mode, cval, origin), size, footprint, axes)


@stand_in
def percentile_filter(
    input: Any,
    percentile: Any,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Job | None:
    """Stand in for `scipy.ndimage.percentile_filter`, by `imkernels.rank_filter`.

    Served as `rank_filter` is.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.percentile_filter(np.array([3, 1, 2, 9, 2]), 20, size=3)
    array([1, 1, 1, 2, 2])
    """
    rank_of = functools.partial(_percentile_rank, percentile)
    return _rank_plan(rank_of, Common(input, output, mode, cval, origin), size, footprint, axes)


# Minima and maxima


def _extremum_plan(native: Callable[..., Array], common: Common, size: Any, footprint: Any, axes: Any) -> Job | None:
    """Plan a filter of minima or maxima: along one axis after the other where the window is a box."""
    if footprint is not None and size is not None:
        _warn_of_both()
    mask = None
    if footprint is not None:
        size, mask, count = _mask_of(footprint)
        if count == 0:
            raise ValueError("footprint must have a true element: All-zero footprint is not supported.")
    elif size is None:
        raise RuntimeError("no footprint provided: size or footprint must be given")
    image = real_image(common.input)
    target = target_of(common.output, image)
    if target is None:
        return None
    steps: tuple[Step, ...] | None
    if mask is None:
        steps = separable_steps(image.ndim, size, common.origin, common.mode, axes, 2 if target.same else 1)
    else:
        steps = footprint_steps(image.ndim, common.origin, common.mode, axes, *mask.shape)
    return None if steps is None else _order_job(native, image, target, steps, mask, common.cval)


def _line_extremum_plan(native: Callable[..., Array], common: Common, size: Any, axis: Any) -> Job | None:
    image = real_image(common.input)
    step = line_step(image.ndim, size, common.origin, common.mode, operator.index(axis))
    target = target_of(common.output, image)
    return None if target is None else _order_job(native, image, target, (step,), None, common.cval)


@stand_in
def minimum_filter(
    input: Any,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Job | None:
    """Stand in for `scipy.ndimage.minimum_filter`, by `imkernels.minimum_filter`.

    Served for boxes along any number of axes, and for other footprints along at most two. 64-bit integers, NaNs and
    zeros as in `median_filter`.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.minimum_filter(np.array([3, 1, 2, 9, 2]), size=3)
    array([1, 1, 1, 2, 2])
    """
    return _extremum_plan(ik.minimum_filter, Common(input, output, mode, cval, origin), size, footprint, axes)


@stand_in
def maximum_filter(
    input: Any,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Job | None:
    """Stand in for `scipy.ndimage.maximum_filter`, by `imkernels.maximum_filter`.

    Served as `minimum_filter` is.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.maximum_filter(np.array([3, 1, 2, 9, 2]), size=3)
    array([3, 3, 9, 9, 9])
    """
    return _extremum_plan(ik.maximum_filter, Common(input, output, mode, cval, origin), size, footprint, axes)


@stand_in
def minimum_filter1d(
    input: Any, size: Any, axis: Any = -1, output: Any = None, mode: Any = "reflect", cval: Any = 0.0, origin: Any = 0
) -> Job | None:
    """Stand in for `scipy.ndimage.minimum_filter1d`, by `imkernels.minimum_filter`.

    64-bit integers, NaNs and zeros as in `median_filter`.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.minimum_filter1d(np.array([3, 1, 2, 9, 2]), 3)
    array([1, 1, 1, 2, 2])
    """
    return _line_extremum_plan(ik.minimum_filter, Common(input, output, mode, cval, origin), size, axis)


@stand_in
def maximum_filter1d(
    input: Any, size: Any, axis: Any = -1, output: Any = None, mode: Any = "reflect", cval: Any = 0.0, origin: Any = 0
) -> Job | None:
    """Stand in for `scipy.ndimage.maximum_filter1d`, by `imkernels.maximum_filter`.

    64-bit integers, NaNs and zeros as in `median_filter`.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.maximum_filter1d(np.array([3, 1, 2, 9, 2]), 3)
    array([3, 3, 9, 9, 9])
    """
    return _line_extremum_plan(ik.maximum_filter, Common(input, output, mode, cval, origin), size, axis)
