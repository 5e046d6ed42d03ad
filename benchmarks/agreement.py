"""What a case must give, and how far the result of a side may be from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks import reference
from benchmarks.cases import Case
from benchmarks.reference import Array

BLOCK_VALUES = 2**17  # that are compared at a time

Arrays = tuple[Array, ...]
Expected = Callable[[Case, Arrays], Arrays]


class DisagreementError(AssertionError):
    """A side computes something else than the reference."""


def expected(case: Case, inputs: Arrays) -> Arrays:
    """Return the reference results of `case` for its inputs."""
    match case.function, inputs:
        case ("median_filter" | "maximum_filter" | "box_blur") as function, (image,):
            planes = np.moveaxis(image, case.axes, (-2, -1))
            filtered = [
                getattr(reference, function)(plane, case.size) for plane in planes.reshape(-1, *planes.shape[-2:])
            ]
            every = np.moveaxis(np.reshape(filtered, planes.shape), (-2, -1), case.axes)
            return (every[_thinned(case, every.ndim)],)
        case "correlate", (image, kernel):
            return (reference.correlate(image, kernel)[_thinned(case, 2)],)
        case "correlate_separable", (image, column, row):
            return (reference.correlate(image, np.outer(column.astype(np.float64), row)),)
        case "max_pool", (image,):
            return reference.max_pool_with_argmax(image, case.size, case.stride, case.padding)[:1]
        case "max_pool_with_argmax", (image,):
            return reference.max_pool_with_argmax(image, case.size, case.stride, case.padding)
        case "max_pool_backward", (grad, argmax):
            return (reference.max_pool_backward(grad, argmax, case.shape),)
        case "conv2d", (x, weight):
            return (reference.conv2d(x, weight, case.stride, case.padding, case.groups),)
        case "conv2d_backward_input", (grad, weight):
            layer = case.stride, case.padding, case.groups
            return (reference.conv2d_backward_input(grad, weight, case.shape, *layer),)
        case "conv2d_backward_weight", (grad, x):
            layer = case.stride, case.padding, case.groups
            return (reference.conv2d_backward_weight(grad, x, case.weight_shape, *layer),)
        case "avg_pool", (image,):
            return (reference.avg_pool(image, case.size, case.stride, case.padding),)
        case "avg_pool_backward", (grad,):
            return (reference.avg_pool_backward(grad, case.shape, case.size, case.stride, case.padding),)
        case "adaptive_avg_pool", (image,):
            return (reference.adaptive_avg_pool(image, case.size),)
        case "adaptive_max_pool_with_argmax", (image,):
            return reference.adaptive_max_pool_with_argmax(image, case.size)
    raise ValueError(f"no reference for {case.name}")


def check(case: Case, inputs: Arrays, wanted: Arrays, found: Arrays, *, interior: bool, mean_error: int) -> None:
    """Raise a `DisagreementError` where what was found differs from what is wanted by more than is allowed.

    Order filters, pooling, argmax and layers of whole numbers agree exactly, means of integers up to `mean_error`, sums
    of floats up to the rounding of their additions. `interior` leaves out the pixels whose window reaches over the
    border.
    """
    for want, got in zip(wanted, found, strict=True):
        if (want.shape, want.dtype) != (got.shape, got.dtype):
            raise DisagreementError(f"is {got.dtype}{got.shape}, not {want.dtype}{want.shape}")
        allowed = np.broadcast_to(_allowed(case, inputs, want, mean_error), want.shape)
        if interior:
            want, got, allowed = (_interior(array, case) for array in (want, got, allowed))
        count, first = 0, None
        for block in _blocks(want):
            outside = _outside(want[block], got[block], allowed[block])
            if first is None and outside.any():
                row, *rest = (int(index) for index in np.argwhere(outside)[0])
                first = (block.start + row, *rest)
            count += int(outside.sum())
        if count:
            part = "interior" if interior else "result"
            raise DisagreementError(f"{count} values differ, the first at {first} of the {part}")


def _blocks(array: Array) -> Iterator[slice]:
    """Yield parts of the first axis that the cache can hold."""
    rows = max(1, BLOCK_VALUES * len(array) // max(array.size, 1))
    return (slice(start, start + rows) for start in range(0, len(array), rows))


def _outside(want: Array, got: Array, allowed: Array) -> Array:
    """Tell for every value whether the difference is larger than allowed."""
    exact = np.float64 if want.dtype.kind == "f" else np.int64
    return np.asarray(~(np.abs(got.astype(exact) - want) <= allowed))  # so that NaN is outside too


def _allowed(case: Case, inputs: Arrays, want: Array, mean_error: int) -> Any:
    epsilon = float(np.finfo(want.dtype).eps) if want.dtype.kind == "f" else 0.0
    match case.function:
        case "box_blur":  # two passes of K additions; the images have no negative values
            return 2 * case.size * epsilon * want if epsilon else mean_error
        case "correlate" | "correlate_separable":  # K*K additions; of integers one more or less
            image, *kernel = inputs
            weights = np.prod([np.abs(part).sum() for part in kernel])
            return case.size**2 * epsilon * float(np.abs(image).max() * weights) if epsilon else 1
        case "avg_pool" | "avg_pool_backward":  # K*K additions; gradients are at most 8
            return case.size**2 * epsilon * max(8.0, float(np.abs(want).max()))
        case "adaptive_avg_pool":  # as many additions as a window has pixels, none of them negative
            return np.prod(case.shape[-2:]) / case.size**2 * epsilon * want
        case _:
            return 0


def _thinned(case: Case, axes: int) -> tuple[slice, ...]:
    """Return the index of every `stride`-th pixel of an array with so many axes."""
    every = [slice(None)] * axes
    for axis in case.axes:
        every[axis] = slice(None, None, case.stride)
    return tuple(every)


def _interior(array: Array, case: Case) -> Array:
    halo = -(-(case.size // 2) // case.stride)
    cut = [slice(None)] * array.ndim
    for axis in case.axes:
        cut[axis] = slice(halo, array.shape[axis] - halo)
    return array[tuple(cut)]
