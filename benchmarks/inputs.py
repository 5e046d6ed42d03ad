"""The arrays that a case is measured on, the same in every process."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import reference
from benchmarks.cases import Case
from benchmarks.reference import Array

# From the grey levels 0..255 to the range of the dtype. int64 stays below 2**53, where SciPy's median is exact.
GREY_SCALE = {"uint8": 1, "uint16": 257, "float32": 1, "int64": 2**32}

LARGEST_SCENE = 2048  # pixels a side; larger photographs repeat it


def build(case: Case) -> tuple[Array, ...]:
    """Return the arrays that the function of `case` takes, the same in every process."""
    image = _laid_out(_image(case), case.layout)
    match case.function:
        case "correlate":
            return image, _weights((case.size, case.size), case.size, positive=case.dtype == "uint8")
        case "correlate_separable":
            if case.symmetric:  # which some libraries make use of
                taps = _gaussian(case.size)
                return image, taps, taps
            column, row = (_weights((case.size,), seed, positive=True) for seed in (1, 2))
            return image, column, row
        case "avg_pool_backward":
            shape = reference.avg_pool(image, case.size, case.stride, case.padding).shape
            return (np.random.default_rng(case.size).integers(-8, 9, shape).astype(case.dtype),)
        case "max_pool_backward":
            _, argmax = reference.max_pool_with_argmax(image, case.size, case.stride, case.padding)
            return _whole_numbers(argmax.shape, case.dtype), argmax
        case "conv2d":
            return image, _whole_numbers(case.weight_shape, case.dtype)
        case "conv2d_backward_input":
            return _gradient(case), _whole_numbers(case.weight_shape, case.dtype)
        case "conv2d_backward_weight":
            return _gradient(case), image
        case _:
            return (image,)


def _laid_out(image: Array, layout: str) -> Array:
    """Return the same values as a view of another array: cut out of wider rows, or by columns."""
    match layout:
        case "contiguous":
            return image
        case "cropped":
            return np.pad(image, ((0, 0), (32, 32)))[:, 32:-32]
        case "transposed":
            return np.ascontiguousarray(image.T).T
        case unknown:
            raise ValueError(f"unknown layout {unknown!r}")


def _weights(shape: tuple[int, ...], seed: int, *, positive: bool) -> Array:
    weights = np.random.default_rng(seed).normal(size=shape)
    weights = np.abs(weights) if positive else weights
    return (weights / np.abs(weights).sum()).astype(np.float32)


def _gaussian(size: int) -> Array:
    distances = np.arange(size) - size // 2
    weights = np.exp(-18.0 * (distances / size) ** 2)  # three standard deviations to each end
    return (weights / weights.sum()).astype(np.float32)


def _whole_numbers(shape: tuple[int, ...], dtype: str) -> Array:
    """Return numbers whose float sums are exact in whatever order a library adds them."""
    return np.random.default_rng(len(shape)).integers(-8, 9, shape).astype(dtype)


def _gradient(case: Case) -> Array:
    extents = ((pixels + 2 * case.padding - case.size) // case.stride + 1 for pixels in case.shape[2:])
    return _whole_numbers((case.shape[0], case.outputs, *extents), case.dtype)


def _image(case: Case) -> Array:
    rng = np.random.default_rng(0)
    match case.image:
        case "photograph":
            grey = _photograph(case.shape)
        case "noise":
            grey = rng.uniform(0, 255, case.shape)
        case "constant":
            grey = np.full(case.shape, 100.0)
        case "activations":
            return np.maximum(rng.standard_normal(case.shape, dtype=np.float32), 0)
        case "whole numbers":
            return _whole_numbers(case.shape, case.dtype)
        case unknown:
            raise ValueError(f"case {case.name}: unknown image {unknown!r}")
    scaled = grey * GREY_SCALE[case.dtype]
    return (scaled if case.dtype == "float32" else np.rint(scaled)).astype(case.dtype)


@lru_cache
def _photograph(shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Resize a photograph to `shape` and add sensor noise, in grey levels 0..255; a batch cuts tiles out of it."""
    if shape[0] > LARGEST_SCENE:
        return np.tile(_photograph((LARGEST_SCENE, LARGEST_SCENE)), [extent // LARGEST_SCENE for extent in shape])
    if len(shape) == 3 and shape[2] > 3:
        scene = _photograph((shape[1] * 32, shape[2] * 32)).reshape(32, shape[1], 32, shape[2])
        return scene.swapaxes(1, 2).reshape(-1, *shape[1:])[: shape[0]]
    skimage: Any = import_module("skimage")  # Any, as its functions have no annotations
    photograph = skimage.data.camera() if len(shape) == 2 else skimage.data.astronaut()
    resized = skimage.transform.resize(photograph, shape, order=1, preserve_range=True)
    noisy: npt.NDArray[np.float64] = resized + np.random.default_rng(0).normal(scale=5.0, size=shape)
    return noisy.clip(0, 255)
