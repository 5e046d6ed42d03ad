"""Gaussians and their derivatives."""

import numbers as kinds_of_numbers
from operator import index
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

import imkernels as ik
from imkernels import _core
from imkernels._arguments import Array, remembered
from imkernels._dtypes import Dtype
from imkernels.compat.ndimage._arguments import (
    FLOAT32,
    SINGLE_INPUTS,
    Target,
    as_array,
    fill_of,
    filtered_axes,
    one_per_axis,
    target_of,
)
from imkernels.compat.ndimage._results import job_of
from imkernels.compat.ndimage._serving import Job, stand_in
from imkernels.compat.ndimage._sums import correlated, numbers, ordered_sums
from imkernels.compat.ndimage._weights import Weights, terms_of
from imkernels.compat.ndimage._windows import Line, Step, as_plane, line_of, step_of


class Blur(NamedTuple):
    """One or two Gaussians, in the order of their axes."""

    step: Step
    factors: tuple[Array, Array]  # of the kernel
    singles: tuple[Array, Array]  # the same in float32
    lines: tuple[tuple[Step, Weights], ...]  # one after the other
    terms: tuple[_core.OrderedTerms, _core.OrderedTerms] | None  # of both at once; outside stands then no constant


class Blurs(NamedTuple):
    """The Gaussians along all axes."""

    pairs: tuple[Blur, ...]
    order: int  # the highest derivative


class Gaussian(NamedTuple):
    """A Gaussian along one axis, or a derivative of it."""

    line: Line
    order: int
    weights: Array


@remembered
def _blurs(ndim: int, sigma: Any, order: Any, mode: Any, truncate: Any, radius: Any, axes: Any) -> Blurs:
    """Return the Gaussians along axes; those of next to no width stay away."""
    places = filtered_axes(axes, ndim)
    named = {"sigma": sigma, "order": order, "mode": mode, "radius": radius}
    settings = zip(places, *(one_per_axis(value, len(places), name) for name, value in named.items()), strict=True)
    gaussians = [
        _gaussian(axis, deviation, derivative, border, truncate, reach)
        for axis, deviation, derivative, border, reach in settings
        if deviation > 1e-15
    ]
    return _blurs_of(ndim, gaussians)


@remembered
def _line_blurs(ndim: int, sigma: Any, order: Any, mode: Any, truncate: Any, radius: Any, axis: int) -> Blurs:
    """Return a Gaussian along one axis, of any width."""
    return _blurs_of(ndim, [_gaussian(normalize_axis_index(axis, ndim), sigma, order, mode, truncate, radius)])


def _gaussian(axis: int, sigma: Any, order: Any, mode: Any, truncate: Any, radius: Any) -> Gaussian:
    reach = int(truncate * float(sigma) + 0.5) if radius is None else radius
    if not isinstance(reach, kinds_of_numbers.Integral) or reach < 0:
        raise ValueError(f"Radius must be a nonnegative integer, got {reach!r}")
    line = line_of(axis, 2 * int(reach) + 1, 0, mode)
    return Gaussian(line, index(order), _gaussian_weights(sigma, index(order), int(reach)))


def _gaussian_weights(sigma: Any, order: int, reach: int) -> Array:
    """Return the weights of a correlation with a derivative of a Gaussian whose weights add up to 1."""
    if order < 0:
        raise ValueError(f"order must be non-negative, got {order}")
    positions = np.arange(-reach, reach + 1)
    weights: Array = np.exp(-0.5 / (sigma * sigma) * positions**2)
    weights /= weights.sum()
    # Derivatives of exp(-x**2 / 2) are Hermite's polynomials times it, odd ones with the sign turned; so is the kernel.
    weights *= np.polynomial.hermite_e.hermeval(positions / sigma, [0] * order + [1]) / sigma**order
    return weights


def _blurs_of(ndim: int, gaussians: list[Gaussian]) -> Blurs:
    # Outside stands the constant after every axis, as there; only for blurs it is also what the first axis makes of it.
    alone = any(gaussian.order > 0 and gaussian.line.mode.endswith("constant") for gaussian in gaussians)
    together = 1 if alone else 2
    order = max((gaussian.order for gaussian in gaussians), default=0)
    pairs = [gaussians[first : first + together] for first in range(0, len(gaussians), together)]
    return Blurs(tuple(_blur(ndim, pair) for pair in pairs), order)


def _blur(ndim: int, gaussians: list[Gaussian]) -> Blur:
    step = step_of(ndim, [gaussian.line for gaussian in gaussians])
    factors = [gaussian.weights for gaussian in sorted(gaussians)]
    if len(factors) == 1:
        factors.insert(int(step.extents[0] > 1), np.ones(1))
    column, row = factors
    steps = [step_of(ndim, [gaussian.line]) for gaussian in gaussians]
    lines = [
        (step, Weights(as_plane(gaussian.weights, step), True)) for step, gaussian in zip(steps, gaussians, strict=True)
    ]
    terms = None
    downwards = len(gaussians) == 2 and gaussians[0].line.axis < gaussians[1].line.axis
    if downwards and not step.lines[1].mode.endswith("constant"):
        terms = terms_of(lines[0][1]), terms_of(lines[1][1])
    return Blur(step, (column, row), (column.astype(FLOAT32), row.astype(FLOAT32)), tuple(lines), terms)


def _gaussian_job(image: Array, target: Target | None, blurs: Blurs, cval: Any) -> Job | None:
    # The weights of derivatives may differ from SciPy's in the last bit, and with them what integers are cut off to.
    if target is None or (target.dtype.kind != "f" and blurs.order > 0):
        return None
    fill_of(cval, False, image.dtype)  # raises for what is no number
    blurred = _blurred if target.dtype.kind == "f" else _cut_off_blurred

    def filtered(blur: Blur, pixels: Array, out: Array | None) -> Array:
        return blurred(blur, cval, target.dtype, pixels, out)

    return job_of(image, target, blurs.pairs, filtered)


def _blurred(blur: Blur, cval: Any, dtype: Dtype, pixels: Array, out: Array | None) -> Array:
    """Return floats: an image correlated with the outer product of two factors."""
    step = blur.step
    pixels, fill = numbers(pixels, step, cval)
    column, row = blur.singles if pixels.dtype.char in SINGLE_INPUTS and dtype == FLOAT32 else blur.factors
    return ik.correlate_separable(
        pixels, column, row, axes=step.axes, mode=step.mode, cval=fill, origin=step.origin, dtype=dtype, out=out
    )


def _cut_off_blurred(blur: Blur, cval: Any, dtype: Dtype, pixels: Array, out: Array | None) -> Array:
    """Return integers: an image correlated along one axis after the other, and cut off after each."""
    pixels, fill = numbers(pixels, blur.step, cval)
    narrow = pixels.dtype.kind != "f" and pixels.dtype.itemsize <= 2 and dtype.itemsize <= 4
    if blur.terms is not None and narrow and np.can_cast(pixels.dtype, dtype):
        return ordered_sums(pixels, blur.step, blur.terms, fill, dtype, out)
    for step, weights in blur.lines[:-1]:
        pixels = correlated(pixels, step, weights, cval, dtype, None)
    return correlated(pixels, *blur.lines[-1], cval, dtype, out)


@stand_in
def gaussian_filter(
    input: Any,
    sigma: Any,
    order: Any = 0,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    truncate: Any = 4.0,
    *,
    radius: Any = None,
    axes: Any = None,
) -> Job | None:
    """Stand in for `scipy.ndimage.gaussian_filter`, by `imkernels.correlate_separable`.

    Served along any number of axes, but for derivatives as integers. A float32 image with a float32 result is computed
    in float32.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.gaussian_filter(np.array([0.0, 0, 1, 0, 0]), 1).round(3)
    array([0.058, 0.242, 0.399, 0.242, 0.058])
    """
    image = as_array(input)
    target = target_of(output, image)
    return _gaussian_job(image, target, _blurs(image.ndim, sigma, order, mode, truncate, radius, axes), cval)


@stand_in
def gaussian_filter1d(
    input: Any,
    sigma: Any,
    axis: Any = -1,
    order: Any = 0,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    truncate: Any = 4.0,
    *,
    radius: Any = None,
) -> Job | None:
    """Stand in for `scipy.ndimage.gaussian_filter1d`, by `imkernels.correlate_separable`; see `gaussian_filter`.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.gaussian_filter1d(np.array([0.0, 0, 1, 0, 0]), 1, order=1).round(3)
    array([ 0.095,  0.241,  0.   , -0.241, -0.095])
    """
    image = as_array(input)
    blurs = _line_blurs(image.ndim, sigma, order, mode, truncate, radius, index(axis))
    return _gaussian_job(image, target_of(output, image), blurs, cval)
