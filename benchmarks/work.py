"""What a case has to do whatever the method, and how long the machine needs for that at least.

A call has to read its arguments, write its results and, where a sum of products is asked for, carry out the
multiply-adds of its definition. A method may get by with fewer of those (Fourier transforms, symmetric kernels) and
then be faster than their limit; minima and medians have no such count, and only memory limits them here.
"""

from __future__ import annotations

from itertools import pairwise
from math import log, prod
from typing import Any, NamedTuple

import numpy as np

from benchmarks.cases import Case

INDEX_BYTES = 8
WEIGHT_BYTES = 4


class Work(NamedTuple):
    """Bytes and multiply-adds of one call."""

    read_bytes: int
    written_bytes: int
    multiply_adds: int


class Limit(NamedTuple):
    """The least time of a call, and whether "memory" or "arithmetic" asks for it."""

    seconds: float
    bound_by: str


def of(case: Case) -> Work:
    """Return what one call of `case` has to do."""
    item = np.dtype(case.dtype).itemsize
    image, result = item * case.pixels, item * _results(case)
    indices = INDEX_BYTES * _results(case) if "argmax" in case.function else 0
    match case.function:
        case "correlate":
            return Work(image + WEIGHT_BYTES * case.size**2, result, _results(case) * case.size**2)
        case "correlate_separable":
            return Work(image + 2 * WEIGHT_BYTES * case.size, result, _results(case) * 2 * case.size)
        case "max_pool_backward":
            return Work(result + INDEX_BYTES * _results(case), image, 0)
        case "avg_pool_backward":
            return Work(result, image, 0)
        case "conv2d" | "conv2d_backward_input" | "conv2d_backward_weight":
            weights = item * prod(case.weight_shape)
            arrays = {"x": image, "weight": weights, "grad": result}
            written = {"conv2d": "grad", "conv2d_backward_input": "x", "conv2d_backward_weight": "weight"}[
                case.function
            ]
            read = sum(arrays.values()) - arrays[written]
            return Work(read, arrays[written], _results(case) * prod(case.weight_shape[1:]))
        case _:
            return Work(image, result + indices, 0)


def _results(case: Case) -> int:
    """Return the number of values of the result; in a backward pass, of the gradient that goes in."""
    if case.filtered:
        return (
            case.pixels
            // prod(case.shape[axis] for axis in case.axes)
            * prod(-(-case.shape[axis] // case.stride) for axis in case.axes)
        )
    if case.function.startswith("adaptive"):
        return prod(case.shape[:-2]) * case.size**2
    extents = ((extent + 2 * case.padding - case.size) // case.stride + 1 for extent in case.shape[-2:])
    planes = case.shape[0] * case.outputs if case.outputs else prod(case.shape[:-2])
    return planes * prod(extents)


def limit(work: Work, measured: dict[str, Any]) -> Limit:
    """Return the longer of the times for memory and for multiply-adds, from what `benchmarks.probe` has measured."""
    arithmetic = 2 * work.multiply_adds / (measured["fma_gflops"] * 1e9)
    memory = _memory_seconds(work, measured["bandwidth"])
    return Limit(arithmetic, "arithmetic") if arithmetic > memory else Limit(memory, "memory")


def _memory_seconds(work: Work, bandwidth: list[dict[str, float]]) -> float:
    """Return the time to copy what is both read and written, and to read or write what is left.

    Repeated calls find in a cache what fits there; the rates are those of a working set of as many bytes.
    """
    read, written, _ = work
    both, every = min(read, written), read + written
    rates = {kind: 1e9 * _interpolated(bandwidth, every, f"{kind}_gb_s") for kind in ("copy", "read", "write")}
    rest = (read - both) / rates["read"] + (written - both) / rates["write"]
    return 2 * both / rates["copy"] + rest


def _interpolated(bandwidth: list[dict[str, float]], size: int, rate: str) -> float:
    """Return the rate at a working set of `size` bytes, between the two measured beside it."""
    if size <= bandwidth[0]["bytes"]:
        return bandwidth[0][rate]
    for left, right in pairwise(bandwidth):
        if size <= right["bytes"]:
            share = log(size / left["bytes"]) / log(right["bytes"] / left["bytes"])
            return left[rate] ** (1 - share) * right[rate] ** share
    return bandwidth[-1][rate]
