"""What is measured: every case once, and the builder of its input.

A case says nothing about who computes it (`benchmarks.rivals`) nor what must come out (`benchmarks.agreement`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import reference
from benchmarks.reference import Array

PLANE = (2048, 2048)
COLOUR = (2048, 2048, 3)
FEATURE_MAPS = (8, 64, 112, 112)
SMALL = (32, 32)

# Layers of networks: (label, images, K, output channels, stride, groups).
LAYERS = (
    ("-64to64", (8, 64, 56, 56), 3, 64, 1, 1),
    ("-256to256", (8, 256, 14, 14), 3, 256, 1, 1),
    ("-3to64s2", (8, 3, 224, 224), 7, 64, 2, 1),
    ("-256to64", (8, 256, 56, 56), 1, 64, 1, 1),
    ("-depthwise", (8, 128, 56, 56), 3, 128, 1, 128),
    ("-1to16", (8, 1, 256, 256), 3, 16, 1, 1),
)

# Odd extents, so that the quick run also checks the heads and tails of rows.
QUICK_SHAPES = {
    PLANE: (119, 307),
    COLOUR: (119, 307, 3),
    FEATURE_MAPS: (2, 8, 57, 57),
    SMALL: SMALL,
    **{shape: (2, shape[1], 17, 19) for _, shape, *_ in LAYERS},
}

# From the grey levels 0..255 to the range of the dtype. int64 stays below 2**53, where SciPy's median is exact.
GREY_SCALE = {"uint8": 1, "uint16": 257, "float32": 1, "int64": 2**32}

GAUSSIAN = "-gaussian"  # label of separable kernels


@dataclass(frozen=True)
class Case:
    """One line of the results table: a function, its parameters and its input."""

    function: str  # of imkernels
    size: int  # K, the side of the square window or kernel
    dtype: str  # of the image, its result and the gradient of a pooling; the kernel of a correlation is float32
    shape: tuple[int, ...] = PLANE  # of the image; in a backward pass, of the image that was pooled
    image: str = "photograph"  # with sensor noise; or noise, constant, activations (rectified noise), whole numbers
    interleaved: bool = False  # (H, W, C); otherwise (..., H, W)
    stride: int = 1
    padding: int = 0
    outputs: int = 0  # channels of the result of a convolution over channels
    groups: int = 1
    label: str = ""  # tells apart the cases that agree in function, size and dtype

    @property
    def name(self) -> str:
        """The key of the case in tables and result files; the same in a quick run."""
        return "-".join(filter(None, (self.function, f"k{self.size}{self.label}", self.dtype)))

    @property
    def axes(self) -> tuple[int, int]:
        """The window axes of the image."""
        return (0, 1) if self.interleaved else (-2, -1)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """The shape of the weights of a convolution over channels."""
        return self.outputs, self.shape[1] // self.groups, self.size, self.size

    @property
    def pixels(self) -> int:
        """Number of values of the image, which the rate refers to; a colour pixel counts three times."""
        return prod(self.shape)


def select(only: str = "", *, quick: bool = False) -> list[Case]:
    """Return the cases whose name the regular expression `only` matches somewhere, reduced where `quick`."""
    cases = [case for case in _cases() if re.search(only, case.name)]
    return [replace(case, shape=QUICK_SHAPES[case.shape]) for case in cases] if quick else cases


def _cases() -> Iterator[Case]:
    for dtype in ("uint8", "uint16", "float32", "int64"):
        for size in (3, 5, 7, 11):
            yield Case("median_filter", size, dtype)
    for image in ("noise", "constant"):
        yield Case("median_filter", 7, "uint8", image=image, label=f"-{image}")
    for size in (3, 5):
        yield Case("median_filter", size, "uint8", COLOUR, interleaved=True, label="-colour")
    yield Case("median_filter", 3, "uint8", SMALL, label="-small")

    for dtype in ("uint8", "float32"):
        for size in (3, 5, 7, 15, 31):
            yield Case("maximum_filter", size, dtype)

    for dtype in ("uint8", "float32"):
        for size in (3, 5, 15, 31, 101):
            yield Case("box_blur", size, dtype)
    yield Case("box_blur", 5, "uint8", COLOUR, interleaved=True, label="-colour")
    yield Case("box_blur", 3, "uint8", SMALL, label="-small")

    for dtype in ("float32", "uint8"):
        for size in (3, 5, 7, 11, 15, 31, 101):
            yield Case("correlate", size, dtype)
        for size in (3, 7, 15, 31):
            yield Case("correlate_separable", size, dtype)
        for size in (3, 5, 9, 15, 31):
            yield Case("correlate_separable", size, dtype, label=GAUSSIAN)
    for size in (3, 5, 7):
        yield Case("correlate", size, "float32", stride=2, label="s2")

    for function in ("max_pool", "max_pool_with_argmax", "max_pool_backward", "avg_pool", "avg_pool_backward"):
        for size, stride, padding in ((2, 2, 0), (3, 2, 1), (3, 1, 1)):
            yield Case(
                function, size, "float32", FEATURE_MAPS, "activations",
                stride=stride, padding=padding, label=f"s{stride}p{padding}",
            )  # fmt: skip
    for function in ("adaptive_avg_pool", "adaptive_max_pool_with_argmax"):
        for size in (1, 7):  # of the result
            yield Case(function, size, "float32", FEATURE_MAPS, "activations")

    for function, layers in (
        ("conv2d", LAYERS), ("conv2d_backward_input", LAYERS[:1]), ("conv2d_backward_weight", LAYERS[:1]),
    ):  # fmt: skip
        for label, shape, size, outputs, stride, groups in layers:
            yield Case(
                function, size, "float32", shape, "whole numbers",
                stride=stride, padding=size // 2, outputs=outputs, groups=groups, label=label,
            )  # fmt: skip


def inputs(case: Case) -> tuple[Array, ...]:
    """Build the arrays that the function of `case` takes, the same in every process."""
    image = _image(case)
    match case.function:
        case "correlate":
            return image, _weights((case.size, case.size), case.size, positive=case.dtype == "uint8")
        case "correlate_separable":
            if case.label == GAUSSIAN:  # symmetric, which some libraries make use of
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
    """Resize a photograph to `shape` and add sensor noise, in grey levels 0..255."""
    skimage: Any = import_module("skimage")  # Any, as its functions have no annotations
    photograph = skimage.data.camera() if len(shape) == 2 else skimage.data.astronaut()
    resized = skimage.transform.resize(photograph, shape, order=1, preserve_range=True)
    noisy: npt.NDArray[np.float64] = resized + np.random.default_rng(0).normal(scale=5.0, size=shape)
    return noisy.clip(0, 255)
