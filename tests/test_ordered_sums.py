"""Sums of products in a stated order, at every level: with the bits of a loop in float64, cut off where integers want.

NumPy multiplies and adds whole arrays, so that each product is rounded before it is added.
"""

import itertools

import numpy as np
import pytest
from imkernels import _core

from tests.cases import random_image
from tests.private_layer import Layer
from tests.reference.windows import windows

INTEGERS = ["i1", "u1", "i2", "u2", "i4", "u4"]
SHAPES = [(1, 1), (7, 5), (2, 9, 70), (5, 300)]


@pytest.fixture(params=_core.available_levels())
def layer(request):
    return Layer(_core.load_level(request.param))


def images(shape, dtype):
    """Return noise, and an image of the same numbers wherever a window looks: its sums are almost whole."""
    native = np.dtype(dtype).newbyteorder("=")
    noise = random_image(np.random.default_rng(1), shape, native).astype(dtype)
    if np.dtype(dtype).kind in "iu":
        noise = noise // 4  # so that no sum is saturated
    return noise, np.full(shape, 45, dtype)


def loop(image, size, terms, sign, **geometry):
    pixels = windows(image, size, **geometry).astype(np.float64)
    pixels = pixels.reshape(*image.shape, -1)
    total = np.zeros(image.shape)
    for tap, partner, weight in terms:
        factor = pixels[..., tap] if partner < 0 else pixels[..., tap] + sign * pixels[..., partner]
        total = total + factor * weight
    return total


def all_taps(rng, count):
    weights = rng.random(count)
    return [(int(tap), -1, weight / weights.sum()) for tap, weight in enumerate(weights)]


def mirrored(rng, count):
    weights = rng.random(count // 2 + 1)
    weights /= 2 * weights.sum() - weights[0]
    half = count // 2
    return [(half, -1, weights[0])] + [(tap, count - 1 - tap, weights[1 + tap]) for tap in range(half)]


CASES = {
    "plane": ((3, 4), all_taps, 1),
    "large plane": ((7, 7), all_taps, 1),
    "some taps, backwards": ((3, 3), lambda rng, count: all_taps(rng, count)[::-2], 1),
    "row": ((1, 9), mirrored, 1),
    "column": ((9, 1), mirrored, 1),
    "differences": ((1, 5), mirrored, -1),
    "no tap": ((2, 2), lambda rng, count: [], 1),
}


@pytest.mark.parametrize(("size", "terms", "sign"), CASES.values(), ids=list(CASES))
@pytest.mark.parametrize("dtype", [*INTEGERS, "i8", "u8", "f4", "f8", ">i2", ">f8"])
def test_sums_have_the_bits_of_a_loop(dtype, size, terms, sign, layer):
    terms = terms(np.random.default_rng(2), size[0] * size[1])
    for shape, mode in itertools.product(SHAPES, ["reflect", "constant"]):
        for image in images(shape, dtype):
            wanted = loop(image, size, terms, sign, mode=mode, cval=7)
            found = layer.ordered_sums(image, size, terms, sign, mode=mode, cval=7, dtype=np.float64)
            np.testing.assert_array_equal(found, wanted)
            if np.dtype(dtype).kind in "iu" and np.dtype(dtype).itemsize <= 4:
                for integer in (np.dtype(dtype).newbyteorder("="), np.int32, np.int64):
                    limits = np.iinfo(integer)
                    if limits.min <= wanted.min() and wanted.max() <= limits.max:
                        found = layer.ordered_sums(image, size, terms, sign, mode=mode, cval=7, dtype=integer)
                        np.testing.assert_array_equal(found, np.trunc(wanted))


@pytest.mark.parametrize("dtype", INTEGERS[:4])
def test_sums_along_both_axes_are_cut_off_after_each(dtype, layer):
    for down, across in ((3, 9), (9, 5), (13, 1)):
        rng = np.random.default_rng(3)
        columns, rows = mirrored(rng, down), mirrored(rng, across)
        for shape in SHAPES:
            for image in images(shape, dtype):
                first = np.trunc(loop(image, (down, 1), columns, 1)).astype(dtype)
                wanted = np.trunc(loop(first, (1, across), rows, 1)).astype(dtype)
                found = layer.ordered_sums(image, (down, across), columns, 1, rows, dtype=dtype)
                np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_means_along_both_axes_are_cut_off_after_each(dtype, layer):
    for size in [(3, 3), (2, 5), (4, 4), (15, 15), (100, 2), (200, 1), (1, 7)]:
        for shape, mode in itertools.product(SHAPES, ["reflect", "constant"]):
            limits = np.iinfo(dtype)
            for image in (*images(shape, dtype), np.full(shape, limits.min, dtype), np.full(shape, limits.max, dtype)):
                first = cut_off_means(image, (size[0], 1), mode)
                found = layer.box_blur(image, size, mode=mode, cval=7, toward_zero=True, by_axis=True)
                np.testing.assert_array_equal(found, cut_off_means(first, (1, size[1]), mode))


def cut_off_means(image, size, mode):
    count = size[0] * size[1]
    sums = windows(image, size, mode=mode, cval=7).astype(np.int64).sum((-2, -1))
    return (np.sign(sums) * (np.abs(sums) // count)).astype(image.dtype)
