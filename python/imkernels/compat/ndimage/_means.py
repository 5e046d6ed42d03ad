"""Means of boxes."""

import operator
from typing import Any

import numpy as np

from imkernels._arguments import Array, Ending
from imkernels._dtypes import Dtype
from imkernels._plans import carry_out
from imkernels.compat.ndimage._arguments import FLOAT64, Target, as_array, native, target_of
from imkernels.compat.ndimage._results import cast, job_of
from imkernels.compat.ndimage._serving import Job, stand_in
from imkernels.compat.ndimage._windows import Step, fill_around, line_step, separable_steps
from imkernels.filters import box_plan

_ROUNDED, _CUT_OFF, _CUT_OFF_TWICE = Ending(), Ending(toward_zero=True), Ending(toward_zero=True, by_axis=True)


def _mean_job(image: Array, target: Target, steps: tuple[Step, ...], cval: Any, ending: Ending) -> Job | None:
    """Return the job of taking means; `ending` is for those of integers."""
    fill = fill_around(cval, steps, image.dtype, target.dtype)
    if fill is None:
        return None

    def filtered(step: Step, pixels: Array, out: Array | None) -> Array:
        pixels = pixels.view(np.uint8) if pixels.dtype.kind == "b" else pixels
        if pixels.dtype.kind != "f" and target.dtype.kind != "f":
            means = _box_means(pixels, step, fill, native(pixels.dtype), ending, out)
        else:
            means = _box_means(pixels, step, fill, target.dtype if target.dtype.kind == "f" else FLOAT64, _ROUNDED, out)
        return cast(means, target.dtype)

    return job_of(image, target, steps, filtered)


def _box_means(pixels: Array, step: Step, fill: Any, dtype: Dtype, ending: Ending, out: Array | None) -> Array:
    out = out if out is not None and out.dtype == dtype else None
    window = step.size, step.axes, 1, "same", step.mode, step.origin
    plan = box_plan((pixels.dtype, *pixels.shape), window, (True, dtype, "same_kind"))
    return carry_out(plan, (pixels,), fill, out, None, ending)


def _is_cut_off_twice(image: Dtype, target: Dtype, steps: tuple[Step, ...]) -> bool:
    """Return whether the kernel takes the means along both axes at once."""
    kept = target == image if image.kind == "b" else np.can_cast(image, target)
    near = all([max(step.extents) <= 4096 for step in steps])
    pixels = [image, *[target] * (len(steps) - 1)]  # of the steps
    return kept and near and all([dtype.itemsize <= 4 for dtype in pixels])


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
    steps = separable_steps(image.ndim, size, origin, mode, axes, 2)
    if target.dtype.kind == "f":
        return _mean_job(image, target, steps, cval, _ROUNDED)
    if axes is None and _is_cut_off_twice(native(image.dtype), target.dtype, steps):
        return _mean_job(image, target, steps, cval, _CUT_OFF_TWICE)
    return _mean_job(image, target, separable_steps(image.ndim, size, origin, mode, axes, 1), cval, _CUT_OFF)


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
    return _mean_job(image, target, (step,), cval, _CUT_OFF)
