"""What is measured: every case once.

A case says nothing about its arrays (`benchmarks.inputs`), who computes it (`benchmarks.rivals`) nor what must come out
(`benchmarks.agreement`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Any

PLANE = (2048, 2048)
COLOUR = (2048, 2048, 3)
MIDDLE = (512, 512)  # for windows with which some rivals take minutes
SMALL = (32, 32)
TILES = (1000, 28, 28)  # a batch
FEATURE_MAPS = (8, 64, 112, 112)

# Square images besides PLANE, for speed against size.
SQUARES = (SMALL, (128, 128), MIDDLE, (8192, 8192))

# Layers of networks: (label, images, K, output channels, stride, groups).
LAYERS = (
    ("-64to64", (8, 64, 56, 56), 3, 64, 1, 1),  # ResNet-50 from here on, stage by stage
    ("-256to256", (8, 256, 14, 14), 3, 256, 1, 1),
    ("-3to64s2", (8, 3, 224, 224), 7, 64, 2, 1),
    ("-256to64", (8, 256, 56, 56), 1, 64, 1, 1),
    ("-128to128s2", (8, 128, 56, 56), 3, 128, 2, 1),
    ("-512to512", (8, 512, 7, 7), 3, 512, 1, 1),
    ("-64to64-single", (1, 64, 56, 56), 3, 64, 1, 1),
    ("-3to32s2", (8, 3, 224, 224), 3, 32, 2, 1),  # MobileNet
    ("-depthwise", (8, 128, 56, 56), 3, 128, 1, 128),
    ("-depthwise-s2", (8, 64, 112, 112), 3, 64, 2, 64),
    ("-512to512", (8, 512, 14, 14), 1, 512, 1, 1),
    ("-3to64", (8, 3, 224, 224), 3, 64, 1, 1),  # VGG
    ("-64to64-large", (2, 64, 224, 224), 3, 64, 1, 1),
    ("-1to16", (8, 1, 256, 256), 3, 16, 1, 1),  # grey images
)
TRAINED = ("-64to64", "-3to64s2", "-256to64", "-depthwise")  # whose gradients are measured too

# Odd extents, so that the quick run also checks the heads and tails of rows.
QUICK_SHAPES = {
    PLANE: (119, 195),
    COLOUR: (119, 195, 3),
    TILES: (5, 28, 28),
    FEATURE_MAPS: (2, 8, 57, 57),
    SMALL: SMALL,
    **{shape: (61, 67) for shape in SQUARES if shape != SMALL},
    **{shape: (2, shape[1], 17, 19) for _, shape, *_ in LAYERS},
}


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
    layout: str = "contiguous"  # or cropped from a wider image, or transposed
    symmetric: bool = False  # a kernel that reads the same backwards

    @property
    def name(self) -> str:
        """The key of the case in tables and result files; the same in a quick run."""
        return "-".join(filter(None, (self.function, f"k{self.size}{self.label}", self.dtype)))

    @property
    def axes(self) -> tuple[int, int]:
        """The window axes of the image."""
        return (0, 1) if self.interleaved else (-2, -1)

    @property
    def filtered(self) -> bool:
        """Whether the result has a value for every `stride`-th pixel of the image."""
        return self.function in ("median_filter", "maximum_filter", "box_blur", "correlate", "correlate_separable")

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """The shape of the weights of a convolution over channels."""
        return self.outputs, self.shape[1] // self.groups, self.size, self.size

    @property
    def pixels(self) -> int:
        """Number of values of the image, which the rate refers to; a colour pixel counts three times."""
        return prod(self.shape)


def select(only: str = "", *, quick: bool = False) -> list[Case]:
    """Return the cases whose name the regular expression `only` matches somewhere.

    Where `quick`, images are reduced, and of cases that differ by their size alone the first is kept.
    """
    every = [case for cases in (_order_filters, _linear_filters, _pooling, _layers) for case in cases()]
    cases = [case for case in every if re.search(only, case.name)]
    if not quick:
        return cases
    kept: dict[Case, Case] = {}
    for case in (replace(case, shape=QUICK_SHAPES[case.shape]) for case in cases):
        kept.setdefault(replace(case, label=""), case)
    return list(kept.values())


def _order_filters() -> Iterator[Case]:
    for dtype in ("uint8", "uint16", "float32", "int64"):
        for size in (3, 5, 7, 11):
            yield Case("median_filter", size, dtype)
    for size in (15, 31):
        yield Case("median_filter", size, "uint8")
    for dtype, sizes in (("uint8", (51, 101)), ("uint16", (15, 31)), ("float32", (15, 31, 51)), ("int64", (15,))):
        for size in sizes:
            yield Case("median_filter", size, dtype, **_square(MIDDLE))
    for image in ("noise", "constant"):
        yield Case("median_filter", 7, "uint8", image=image, label=f"-{image}")
    for size in (3, 5):
        yield Case("median_filter", size, "uint8", COLOUR, interleaved=True, label="-colour")
    for shape in SQUARES:
        yield Case("median_filter", 3, "uint8", **_square(shape))
    yield Case("median_filter", 3, "uint8", TILES, label="-batch")
    yield Case("median_filter", 5, "uint8", stride=2, label="s2")
    for layout in ("cropped", "transposed"):
        yield Case("median_filter", 5, "uint8", layout=layout, label=f"-{layout}")

    for dtype in ("uint8", "float32"):
        for size in (3, 5, 7, 15, 31, 101):
            yield Case("maximum_filter", size, dtype)
    yield Case("maximum_filter", 5, "uint16")


def _linear_filters() -> Iterator[Case]:
    for dtype in ("uint8", "float32"):
        for size in (3, 5, 15, 31, 101):
            yield Case("box_blur", size, dtype)
    yield Case("box_blur", 5, "uint16")
    yield Case("box_blur", 5, "uint8", COLOUR, interleaved=True, label="-colour")
    for shape in SQUARES:
        yield Case("box_blur", 3, "uint8", **_square(shape))
    yield Case("box_blur", 3, "uint8", TILES, label="-batch")
    yield Case("box_blur", 5, "float32", layout="transposed", label="-transposed")

    for dtype in ("float32", "uint8"):
        for size in (3, 5, 7, 11, 15, 31, 101):
            yield Case("correlate", size, dtype)
        for size in (3, 7, 15, 31):
            yield Case("correlate_separable", size, dtype)
        for size in (3, 5, 9, 15, 31):
            yield Case("correlate_separable", size, dtype, symmetric=True, label="-gaussian")
    for size in (3, 5, 7):
        yield Case("correlate", size, "float32", stride=2, label="s2")
    for shape in SQUARES:
        yield Case("correlate", 3, "float32", **_square(shape))
    yield Case("correlate", 5, "float32", layout="cropped", label="-cropped")


def _square(shape: tuple[int, int]) -> dict[str, Any]:
    return {"shape": shape, "label": "-small" if shape == SMALL else "-{}x{}".format(*shape)}


def _pooling() -> Iterator[Case]:
    for function in ("max_pool", "max_pool_with_argmax", "max_pool_backward", "avg_pool", "avg_pool_backward"):
        for size, stride, padding in ((2, 2, 0), (3, 2, 1), (3, 1, 1)):
            yield Case(
                function, size, "float32", FEATURE_MAPS, "activations",
                stride=stride, padding=padding, label=f"s{stride}p{padding}",
            )  # fmt: skip
    for function in ("adaptive_avg_pool", "adaptive_max_pool_with_argmax"):
        for size in (1, 7):  # of the result
            yield Case(function, size, "float32", FEATURE_MAPS, "activations")


def _layers() -> Iterator[Case]:
    for function in ("conv2d", "conv2d_backward_input", "conv2d_backward_weight"):
        for label, shape, size, outputs, stride, groups in LAYERS:
            if function == "conv2d" or label in TRAINED:
                yield Case(
                    function, size, "float32", shape, "whole numbers",
                    stride=stride, padding=size // 2, outputs=outputs, groups=groups, label=label,
                )  # fmt: skip
