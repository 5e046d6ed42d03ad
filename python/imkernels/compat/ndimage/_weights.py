"""Weights: what the kernels take in their place, so that sums are SciPy's."""

import functools
from typing import NamedTuple

import numpy as np

from imkernels import _core
from imkernels._arguments import Array, Pair
from imkernels._dtypes import Dtype
from imkernels.compat.ndimage._arguments import FLOAT32, FLOAT64, SINGLE_INPUTS

_INT32, _INT64 = np.dtype(np.int32), np.dtype(np.int64)
_EPSILON = float(np.finfo(FLOAT64).eps)  # weights of `correlate` that are no larger do not count in SciPy


class Weights(NamedTuple):
    """Weights, and how SciPy adds up with them."""

    values: Array  # float64, (K, L)
    line: bool  # by `correlate1d`, else by `correlate`


class Kernel(NamedTuple):
    """How sums with weights are computed for an image of one dtype and a result of another."""

    values: Array  # (K, L), for `imkernels.correlate`
    result: Dtype  # of the sums
    asked: Dtype | None  # what `imkernels.correlate` is asked for, if the sums have not that dtype anyway
    ordered: bool  # whether every bit counts, so that sums are taken of the terms
    gaps: bool  # whether SciPy leaves pixels out of its sums of floats
    terms: _core.OrderedTerms


def kernel_of(weights: Weights, image: Dtype, result: Dtype) -> Kernel:
    """Return the kernel to correlate an image of a dtype with for a result of another, both in native byte order."""
    if weights.values.size > 256:
        return _new_kernel(weights, image, result)
    return _cached_kernel(weights.values.tobytes(), weights.values.shape, weights.line, image, result)


@functools.lru_cache(maxsize=256)
def _cached_kernel(data: bytes, shape: Pair, line: bool, image: Dtype, result: Dtype) -> Kernel:
    return _new_kernel(Weights(np.frombuffer(data).reshape(shape), line), image, result)


def _new_kernel(weights: Weights, image: Dtype, result: Dtype) -> Kernel:
    values, terms = weights.values, terms_of(weights)
    magnitudes = np.abs(values)
    if result.kind == "f":
        single = result == FLOAT32 and image.char in SINGLE_INPUTS and _single(magnitudes)
        gaps = image.kind == "f" and not weights.line and float(magnitudes.min()) <= _EPSILON
        working = FLOAT32 if single else FLOAT64
        return Kernel(values.astype(working), result, None if result == working else result, False, gaps, terms)
    if image.kind == "f":
        return Kernel(values, FLOAT64, None, True, False, terms)
    bounds = sum_bounds(values, image)
    if float(magnitudes.max()) < 2**31 and bool((values == np.rint(values)).all()):
        own = {"int8": _INT32, "int32": _INT64}
        narrow = "int8" if image.itemsize == 1 and magnitudes.max() < 128 else "int32"
        sums = holding(bounds, result, _INT64)
        return Kernel(values.astype(narrow), sums, None if sums == own[narrow] else sums, False, False, terms)
    return Kernel(values, holding(bounds, result, FLOAT64), None, True, False, terms)


def _single(magnitudes: Array) -> bool:
    """Return whether float32 has such weights."""
    return bool(((magnitudes == 0) | ((magnitudes > 2.0**-120) & (magnitudes < 2.0**120))).all())


def sum_bounds(values: Array, image: Dtype) -> tuple[float, float]:
    """Return what sums of integers lie between."""
    limits = np.iinfo(image)
    ups, downs = float(values[values > 0].sum()), float(values[values < 0].sum())
    return ups * limits.min + downs * limits.max, ups * limits.max + downs * limits.min


def holding(bounds: tuple[float, float], wanted: Dtype, other: Dtype) -> Dtype:
    """Return a dtype for sums that are cut off: the one that is wanted, int32, or if they pass that another."""
    for dtype in (wanted, _INT32):
        if dtype.kind in "iu" and dtype.itemsize <= 4:
            limits = np.iinfo(dtype)
            if limits.min - 1 < bounds[0] and bounds[1] < limits.max + 1:
                return dtype
    return other


def terms_of(weights: Weights) -> _core.OrderedTerms:
    """Return the products that SciPy adds up, in its order."""
    return _line_terms(weights.values.ravel()) if weights.line else _plane_terms(weights.values.ravel())


def _terms(taps: Array, partners: Array | int, weights: Array, subtracts: bool = False) -> _core.OrderedTerms:
    pairs = np.empty((len(taps), 2), np.int64)
    pairs[:, 0], pairs[:, 1] = taps, partners
    return _core.OrderedTerms(pairs, weights, subtracts)


NO_TERMS = _terms(np.empty(0), -1, np.empty(0))


def _plane_terms(weights: Array) -> _core.OrderedTerms:
    """Return the terms of `correlate`: row by row, without those of the smallest weights."""
    taps = np.flatnonzero(np.abs(weights) > _EPSILON)
    return _terms(taps, -1, weights[taps])


def _line_terms(weights: Array) -> _core.OrderedTerms:
    """Return the terms of `correlate1d`: the middle or the last one first, and mirrored weights in pairs."""
    last, half = len(weights) - 1, len(weights) // 2
    turned = weights[::-1]
    odd = len(weights) % 2 == 1
    same = odd and bool((np.abs(weights - turned) <= _EPSILON).all())
    opposite = odd and not same and bool((np.abs(weights + turned)[:half] <= _EPSILON).all())
    if not same and not opposite:
        taps = np.roll(np.arange(len(weights)), 1)
        return _terms(taps, -1, weights[taps])
    taps = np.roll(np.arange(half + 1), 1)
    partners = np.where(taps == half, -1, last - taps)
    return _terms(taps, partners, weights[taps], opposite)
