"""Weighted sums: correlations and convolutions."""

import operator
from typing import Any

import numpy as np

import imkernels as ik
from imkernels import _core
from imkernels._arguments import Array, Result, deliver, fill_element, windows_last
from imkernels._dtypes import Dtype
from imkernels.compat.ndimage._arguments import FLOAT64, Common, Target, as_array, fill_of, native, target_of
from imkernels.compat.ndimage._results import cast, job_of
from imkernels.compat.ndimage._serving import Job, stand_in
from imkernels.compat.ndimage._weights import NO_TERMS, Kernel, Weights, kernel_of
from imkernels.compat.ndimage._windows import Step, as_plane, line_step, turned_origin, weights_step
from imkernels.convolution import Geometry
from imkernels.convolution import correlated as native_correlation
from imkernels.settings import resolve_workers


def _correlate_plan(common: Common, weights: Any, axes: Any, convolution: bool) -> Job | None:
    image, values = as_array(common.input), as_array(weights)
    if "c" in (image.dtype.kind, values.dtype.kind):
        return None
    values = np.asarray(values, dtype=FLOAT64)
    step = weights_step(image.ndim, common.origin, common.mode, axes, convolution, *values.shape)
    target = target_of(common.output, image)
    if target is None or step is None:
        return None
    if convolution:
        values = values[(slice(None, None, -1),) * values.ndim]
    return _correlation_job(image, target, step, Weights(as_plane(values, step), False), common.cval)


def _line_correlate_plan(common: Common, weights: Array, axis: Any) -> Job | None:
    image = as_array(common.input)
    if "c" in (image.dtype.kind, weights.dtype.kind):
        return None
    target = target_of(common.output, image)
    values = np.asarray(weights, dtype=FLOAT64)
    if values.ndim != 1 or values.size < 1:
        raise RuntimeError(f"no filter weights given: weights must have one axis, not empty, got shape {values.shape}")
    step = line_step(image.ndim, values.size, common.origin, common.mode, operator.index(axis))
    if target is None:
        return None
    return _correlation_job(image, target, step, Weights(as_plane(values, step), True), common.cval)


def _correlation_job(image: Array, target: Target, step: Step, weights: Weights, cval: Any) -> Job:
    """Return the job of correlating with a kernel."""
    fill_of(cval, False, image.dtype)  # raises for what is no number

    def filtered(step: Step, pixels: Array, out: Array | None) -> Array:
        return correlated(pixels, step, weights, cval, target.dtype, out)

    return job_of(image, target, (step,), filtered)


def correlated(pixels: Array, step: Step, weights: Weights, cval: Any, dtype: Dtype, out: Array | None) -> Array:
    """Return a correlation as an array of `dtype`; `out`, if it is given, has it and may be written to."""
    pixels, fill = numbers(pixels, step, cval)
    kernel = kernel_of(weights, native(pixels.dtype), dtype)
    out = out if kernel.result == dtype else None
    if kernel.ordered:
        return cast(ordered_sums(pixels, step, (kernel.terms, NO_TERMS), fill, kernel.result, out), dtype)
    if kernel.values.dtype.kind == "i":
        return cast(_whole_sums(pixels, step, kernel, fill, out), dtype)
    if not kernel.gaps:
        return _native_correlate(pixels, step, kernel, fill, out)
    sums = _native_correlate(pixels, step, kernel, fill, None)
    highest = np.maximum.reduce(sums, axis=None)
    if highest != highest:  # a NaN: what the pixels are that SciPy leaves out
        np.copyto(sums, ordered_sums(pixels, step, (kernel.terms, NO_TERMS), fill, dtype), where=np.isnan(sums))
    return sums


def numbers(pixels: Array, step: Step, cval: Any) -> tuple[Array, Any]:
    """Return pixels as numbers, of a dtype that has the value outside, and that value."""
    if pixels.dtype.kind == "b":
        pixels = pixels.view(np.uint8)
    fill = fill_of(cval, step.constant, pixels.dtype)
    return (pixels.astype(FLOAT64), float(cval)) if fill is None else (pixels, fill)


def _native_correlate(pixels: Array, step: Step, kernel: Kernel, fill: Any, out: Array | None) -> Array:
    geometry = Geometry(1, 1, "same", step.mode, step.origin, fill)
    wanted = Result(out, kernel.asked, "same_kind", None)
    return native_correlation(ik.correlate, pixels, step.axes, kernel.values, geometry, "auto", wanted)


def _whole_sums(pixels: Array, step: Step, kernel: Kernel, fill: Any, out: Array | None) -> Array:
    """Return sums of integers, modulo 2**64."""
    if pixels.dtype.kind == "u" and pixels.dtype.itemsize == 8:
        pixels = pixels.view(pixels.dtype.str.replace("u", "i"))
        fill = int(fill) - 2**64 * (fill >= 2**63)
    return _native_correlate(pixels, step, kernel, fill, out)


def ordered_sums(
    pixels: Array,
    step: Step,
    terms: tuple[_core.OrderedTerms, _core.OrderedTerms],
    fill: Any,
    dtype: Dtype,
    out: Array | None = None,
) -> Array:
    """Return sums in float64 with every bit as SciPy's, in integers cut off after the point.

    The second terms are for sums along the second axis of what the first ones gave, if there are any.
    """
    threads = resolve_workers(None)
    outside = fill_element(fill, FLOAT64)

    def compute(target: Array) -> None:
        planes, goal = windows_last(pixels, step.axes), windows_last(target, step.axes)
        _core.ordered_sums(planes, goal, step.window, *terms, outside, threads)

    return deliver(compute, pixels.shape, dtype, dtype, out, "same_kind", (pixels,), threads, rounds=True)


@stand_in
def correlate(
    input: Any,
    weights: Any,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Job | None:
    """Stand in for `scipy.ndimage.correlate`, by `imkernels.correlate`.

    Served for real weights that reach along at most two axes. Integers are SciPy's: sums are cut off after the point
    and wrap around, but those of whole weights are exact for 64 bits as well. A float32 image with a float32 result is
    computed in float32.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.correlate(np.array([3, 1, 2, 9, 2], np.uint8), [-1, 0, 1])
    array([254, 255,   8,   0, 249], dtype=uint8)
    """
    return _correlate_plan(Common(input, output, mode, cval, origin), weights, axes, convolution=False)


@stand_in
def convolve(
    input: Any,
    weights: Any,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Job | None:
    """Stand in for `scipy.ndimage.convolve`, by `imkernels.correlate`: `correlate` with all turned round.

    Unlike `imkernels.convolve` it turns the anchor of even weights round as well, as SciPy does.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.convolve(np.array([3, 1, 2, 9, 2], np.uint8), [-1, 0, 1])
    array([  2,   1, 248,   0,   7], dtype=uint8)
    """
    return _correlate_plan(Common(input, output, mode, cval, origin), weights, axes, convolution=True)


@stand_in
def correlate1d(
    input: Any,
    weights: Any,
    axis: Any = -1,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
) -> Job | None:
    """Stand in for `scipy.ndimage.correlate1d`, by `imkernels.correlate`; see `correlate`.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.correlate1d(np.array([3, 1, 2, 9, 2]), [0.5, 0.5])
    array([3, 2, 1, 5, 5])
    """
    return _line_correlate_plan(Common(input, output, mode, cval, origin), as_array(weights), axis)


@stand_in
def convolve1d(
    input: Any,
    weights: Any,
    axis: Any = -1,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
) -> Job | None:
    """Stand in for `scipy.ndimage.convolve1d`, by `imkernels.correlate`; see `convolve`.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.convolve1d(np.array([3, 1, 2, 9, 2]), [0.5, 0.5])
    array([2, 1, 5, 5, 2])
    """
    turned = as_array(weights)[::-1]
    return _line_correlate_plan(Common(input, output, mode, cval, turned_origin(origin, len(turned))), turned, axis)
