"""The stand-in for `scipy.ndimage` against SciPy itself, and where SciPy errs against definitions."""

import doctest
import inspect
import itertools
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imkernels.compat import ndimage

from tests.cases import random_image
from tests.conftest import peer
from tests.strategies import few

pytestmark = pytest.mark.wrapper

ROOT = Path(__file__).parents[1]
RANKS = ["median_filter", "rank_filter", "percentile_filter"]
EXTREMES = ["minimum_filter", "maximum_filter", "minimum_filter1d", "maximum_filter1d"]
MEANS = ["uniform_filter", "uniform_filter1d"]
SUMS = ["correlate", "convolve", "correlate1d", "convolve1d"]
BLURS = ["gaussian_filter", "gaussian_filter1d"]
NAMES = [*RANKS, *EXTREMES, *MEANS, *SUMS, *BLURS]
FIRST = {"rank_filter": 1, "percentile_filter": 30, "gaussian_filter": 1.0, "gaussian_filter1d": 1.0}
MODES = ["reflect", "mirror", "nearest", "wrap", "constant", "grid-mirror", "grid-wrap", "grid-constant"]
X = np.arange(12.0).reshape(3, 4)
DTYPES = [np.dtype(kind) for kind in ("?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")]


def image_of(rng, shape, dtype):
    """Return an image whose sums SciPy holds in double, and in the 32 bits that C's casts are defined for."""
    if dtype.kind in "iu" and dtype.itemsize > 1:
        return rng.integers(-5000 if dtype.kind == "i" else 0, 5000, shape).astype(dtype)
    return random_image(rng, shape, dtype)


def result(library, name, image, args, kwargs):
    """Return what a call gives, or its exception; outputs are filled anew for each library."""
    image, kwargs = image.copy(order="K"), dict(kwargs)
    if isinstance(kwargs.get("output"), np.ndarray):
        kwargs["output"] = np.ones_like(kwargs["output"])
    try:
        found = getattr(library, name)(image, *args, **kwargs)
    except Exception as error:
        return error
    if isinstance(kwargs.get("output"), np.ndarray):
        assert found is kwargs["output"]
    return found


def assert_scipys(name, image, *args, **kwargs):
    """Compare a call with SciPy's: exactly but for sums and means as floats."""
    wanted, found = (result(library, name, image, args, kwargs) for library in (peer("scipy.ndimage"), ndimage))
    if isinstance(wanted, Exception):
        assert isinstance(found, type(wanted)), f"{found!r} in place of {wanted!r}"
        return
    assert isinstance(found, np.ndarray), repr(found)
    assert found.dtype == wanted.dtype
    if wanted.dtype.kind == "f" and name in MEANS + SUMS + BLURS:
        magnitudes = [np.abs(array[np.isfinite(array)].astype(float)).max(initial=0) for array in (image, wanted)]
        error = float(np.finfo(wanted.dtype).eps) * 200 * (1 + max(magnitudes))  # derivatives may be larger
        np.testing.assert_allclose(found, wanted, rtol=0, atol=error * (50 if name in SUMS else 1))
    else:
        wanted = wanted.view(np.uint8) != 0 if wanted.dtype.kind == "b" else wanted
        np.testing.assert_array_equal(found, wanted)


# Any call


@st.composite
def calls(draw, name):
    """Draw an image of one to four axes and the arguments of a call."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    ndim = draw(st.integers(1, 4))
    dtype = draw(st.sampled_from(DTYPES))
    image = image_of(rng, tuple(int(side) for side in rng.integers(1, [40, 13, 8, 6][ndim - 1], ndim)), dtype)
    image = draw(st.sampled_from([image, np.asfortranarray(image), np.flip(image)]))
    kwargs = {"mode": draw(st.sampled_from(MODES)), "cval": draw(st.sampled_from([0.0, 1, 0.5, 7, 300, -2]))}
    if name.endswith("1d"):
        kwargs["axis"] = draw(st.integers(-ndim, ndim - 1))
        count = 1
    elif draw(st.booleans()):
        kwargs["axes"] = tuple(draw(st.permutations(range(-ndim, 0)))[: draw(st.integers(1, ndim))])
        count = len(kwargs["axes"])
    else:
        count = ndim
    if not name.endswith("1d") and draw(st.integers(0, 3)) == 0:  # refused by those that take no sequence
        kwargs["mode"] = draw(st.lists(st.sampled_from(MODES), min_size=count, max_size=count))
    if draw(st.booleans()):
        if ndim > 1 or name not in RANKS:  # where SciPy writes past the end of an output of another dtype
            dtype = np.dtype(draw(st.sampled_from(["i2", "u1", "i4", "i8", "f4", "f8"])))
        kwargs["output"] = draw(st.sampled_from([dtype, dtype.name, np.empty(image.shape, dtype)]))
        if dtype.kind == "b":
            kwargs["output"] = dtype
    args = _window(draw, rng, name, count, kwargs)
    if name in RANKS and ndim == 1 and image.size < 6:  # where SciPy reads past images smaller than the window
        kwargs.pop("origin", None)
    if name in BLURS and image.dtype.kind == "b":  # where SciPy has bytes other than 0 and 1 between two axes
        kwargs["cval"] = 1
    return image, args, kwargs


def _window(draw, rng, name, count, kwargs):
    """Return the first arguments of a call; sizes and origins go to `kwargs`."""
    if name in BLURS:
        kwargs |= draw(st.sampled_from([{}, {"order": 1}, {"order": 2}, {"radius": 2}, {"truncate": 2.0}]))
        return (draw(st.sampled_from([0.5, 1.0, 1.7])),)
    size = tuple(int(extent) for extent in rng.integers(1, [7, 5, 4, 3][count - 1], count))
    if draw(st.booleans()):
        origins = [int(rng.integers(-(extent // 2), (extent - 1) // 2 + 1)) for extent in size]
        kwargs["origin"] = origins[0] if name.endswith("1d") else origins
    if name in SUMS:
        weights = [
            rng.integers(-3, 4, size),
            rng.integers(0, 5, size).astype(np.uint8),
            rng.standard_normal(size),
            rng.standard_normal(size).astype(np.float32),
            np.ones(size) / np.prod(size),
            rng.integers(-9, 9, size) / 8,
            np.where(rng.random(size) < 0.3, 1e-17, 0.2),
        ][draw(st.integers(0, 6))]
        return (weights + weights[::-1] if name.endswith("1d") and draw(st.booleans()) else weights,)
    pixels = int(np.prod(size))
    if name not in MEANS and not name.endswith("1d") and len(size) > 1 and draw(st.booleans()):
        kwargs["footprint"] = rng.random(size) < 0.6
        pixels = int(kwargs["footprint"].sum())
    else:
        kwargs["size"] = size[0] if name.endswith("1d") else size
    if name == "rank_filter":
        return (draw(st.integers(-pixels, max(pixels - 1, 0))),)
    return (draw(st.sampled_from([0, 10, 33.3, 50, 99, 100, -20])),) if name == "percentile_filter" else ()


@pytest.mark.parametrize("name", NAMES)
def test_any_call_is_scipys(scipy_ndimage, name):
    @settings(few, max_examples=150)
    @given(call=calls(name))
    def check(call):
        image, args, kwargs = call
        assert_scipys(name, image, *args, **kwargs)

    check()


# All dtypes, modes and shapes


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_dtypes(scipy_ndimage, name, dtype):
    rng = np.random.default_rng(1)
    weights = {"correlate": [[1, -2, 1], [0, 3, 1]], "convolve": [[1, -2, 1], [0, 3, 1]]}.get(name, [1, -2, 2])
    args = (weights,) if name in SUMS else (FIRST[name],) if name in FIRST else ()
    size = {"size": 4} if name in [*RANKS, *EXTREMES, *MEANS] else {}
    for shape in ((17, 21), (40,)) if name not in ("correlate", "convolve") else ((17, 21),):
        image = image_of(rng, shape, dtype)
        assert_scipys(name, image, *args, **size)
        if len(shape) == 2:  # SciPy's ranks of one axis take native floats alone
            assert_scipys(name, image.astype(image.dtype.newbyteorder()), *args, **size)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NAMES)
def test_windows_beyond_the_image(scipy_ndimage, name, mode):
    rng = np.random.default_rng(2)
    for shape in ((1, 1), (2, 3), (1, 9), (5, 4)):
        image = random_image(rng, shape, np.int16)
        args = (rng.integers(-3, 4, (9, 8) if name in ("correlate", "convolve") else 9),) if name in SUMS else ()
        args = (FIRST[name],) if name in FIRST else args
        size = {"size": 9} if name in [*RANKS, *EXTREMES, *MEANS] else {}
        assert_scipys(name, image, *args, **size, mode=mode, cval=5)


KERNELS = {
    "mean": np.ones((3, 3)) / 9,
    "mean of 15 by 15": np.ones((15, 15)) / 225,
    "ring": np.where(np.arange(9).reshape(3, 3) == 4, 0, 1 / 8.3),
    "dyadic": np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16,
    "float32": np.float32([[0.1, 0.2, 0.1], [0.2, -0.4, 0.2], [0.1, 0.2, 0.1]]),
    "tenths": np.array([[1, 1, 1], [1, 2, 1], [1, 1, 1]]) / 10,
    "one of many digits": np.array([[0.1]]),
    "Gaussian": np.exp(-(np.add.outer(np.arange(-3, 4) ** 2, np.arange(-3, 4) ** 2)) / 3) / 9,
    "tiny": np.full((2, 2), 1e-17),
    "zero": np.zeros((2, 2)),
    "large": np.array([[1e4 / 3, -1e4 / 3]]),
}


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=list(KERNELS))
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "i4", "u4", "i8", "f4", "f8"])
def test_fractions_are_cut_off_where_scipy_does(scipy_ndimage, dtype, kernel):
    """What a sum is cut off to depends on its last bit wherever it is almost whole."""
    rng = np.random.default_rng(3)
    dtype = np.dtype(dtype)
    noise = image_of(rng, (40, 50), dtype)
    flat = np.full((40, 50), 45, dtype)
    stripes = np.where(np.arange(50) % 8 < 4, 90, 18).astype(dtype) * np.ones((40, 1), dtype)
    few_flat = np.where(np.arange(40)[:, None] < 12, noise, flat * np.ones((40, 1), dtype)).astype(dtype)
    output = np.dtype(np.int32) if dtype.kind == "f" else None
    for image in (noise, flat, stripes, few_flat, np.stack([flat, noise])):
        weights = kernel.reshape((1,) * (image.ndim - 2) + kernel.shape)
        for name in ("correlate", "convolve"):
            assert_scipys(name, image, weights, output=output, mode="mirror")
        for line in (kernel[0], kernel[0] + kernel[0][::-1], kernel[0] - kernel[0][::-1]):
            for axis in (0, -1):
                assert_scipys("correlate1d", image, line, axis=axis, output=output, mode="wrap")
        assert_scipys("correlate", image, weights, output=output, mode="constant", cval=0.3)


def test_weights_of_a_cut_off_correlation_of_many_pixels(scipy_ndimage):
    """Large enough for blocks of rows, and for the Fourier transforms that sums as floats may take."""
    rng = np.random.default_rng(4)
    image = np.where(rng.random((300, 400)) < 0.5, 200, rng.integers(0, 256, (300, 400))).astype(np.uint8)
    for weights in (np.exp(-(np.add.outer(np.arange(-9, 10) ** 2, np.arange(-9, 10) ** 2)) / 40) / 121, np.eye(25) / 7):
        assert_scipys("correlate", image, weights)
    assert_scipys("gaussian_filter", image, 2.5)
    assert_scipys("gaussian_filter", np.full((200, 300), 77, np.uint16), (3, 1), mode=("wrap", "nearest"))


def test_stacks_and_any_two_axes(scipy_ndimage):
    rng = np.random.default_rng(5)
    stack = rng.integers(0, 99, (5, 6, 7, 4), dtype=np.uint8)
    for axes in itertools.permutations(range(-2, 4), 2):
        if len({axis % 4 for axis in axes}) == 2:
            for name in ("median_filter", "maximum_filter", "uniform_filter"):
                assert_scipys(name, stack, 3, axes=axes)
                assert ndimage.served(name, stack, 3, axes=axes)
            assert_scipys("correlate", stack, rng.integers(0, 3, (2, 3)), axes=axes, origin=(-1, 1))


def test_one_axis_as_an_int():
    for name in ("median_filter", "minimum_filter", "uniform_filter", "gaussian_filter"):
        for axis in (0, 1, -1, -2):
            found = getattr(ndimage, name)(X, 2, axes=axis)
            np.testing.assert_array_equal(found, getattr(ndimage, name)(X, 2, axes=(axis,)))


# Where SciPy errs


def windows(image, size, mode="symmetric"):
    """Return the pixels of the windows, as Python's ints, along the last axis."""
    pads = [(0, 0)] * (image.ndim - 1) + [(size // 2, (size - 1) // 2)]
    return np.lib.stride_tricks.sliding_window_view(np.pad(image, pads, mode=mode), size, axis=-1).astype(object)


@pytest.mark.parametrize("dtype", ["i8", "u8"])
def test_64_bit_integers_are_exact(dtype):
    rng = np.random.default_rng(6)
    image = random_image(rng, (7, 30), dtype)
    image[0, :9] = [np.iinfo(dtype).max, np.iinfo(dtype).min, 2**53 + 1] * 3
    for size in (2, 3, 5, 8):
        pixels = windows(image, size)
        ordered = np.sort(pixels, axis=-1)
        np.testing.assert_array_equal(ndimage.median_filter(image, (1, size)), ordered[..., size // 2])
        np.testing.assert_array_equal(ndimage.minimum_filter1d(image, size), ordered[..., 0])
        np.testing.assert_array_equal(ndimage.maximum_filter(image, (1, size)), ordered[..., -1])
        sums = pixels.sum(axis=-1)
        cut_off = np.where(sums < 0, -(-sums // size), sums // size).astype(dtype)
        np.testing.assert_array_equal(ndimage.uniform_filter1d(image, size), cut_off)
        weights = rng.integers(-9, 9, size)
        wrapped = ((pixels * weights.astype(object)).sum(axis=-1) % 2**64).astype(np.uint64).view(dtype)
        np.testing.assert_array_equal(ndimage.correlate1d(image, weights), wrapped)
        np.testing.assert_array_equal(ndimage.correlate(image, weights[None]), wrapped)


def test_64_bit_values_outside():
    image = np.array([[3, 2**63 + 5, 1]], np.uint64)
    outside = np.uint64(2**64 - 1)
    found = ndimage.correlate1d(image, [1, 0, 2], mode="constant", cval=outside)
    assert found.tolist() == [[(2**64 - 1 + 2**64 + 10) % 2**64, 5, (2**63 + 5 + 2**65 - 2) % 2**64]]
    assert ndimage.maximum_filter(image, 3, mode="constant", cval=outside).max() == outside


@pytest.mark.parametrize("output", ["i4", "i8", "u8", "f8"])
@pytest.mark.parametrize("size", [2, (2, 1, 2, 2), (3, 2, 1, 1)])
def test_means_along_four_axes_with_a_wider_output(scipy_ndimage, size, output):
    image = np.random.default_rng(8).integers(0, 1000, (3, 4, 5, 6)).astype(np.int16)
    found = ndimage.uniform_filter(image, size, output=output)
    np.testing.assert_allclose(found, scipy_ndimage.uniform_filter(image, size, output=output), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["i1", "u1", "u2", "i4", "u4"])
def test_means_of_windows_far_larger_than_the_image(scipy_ndimage, dtype):
    image = random_image(np.random.default_rng(9), (7, 11), dtype)
    for size in ((301, 301), (4096, 3), (2, 4097), (1, 30000)):
        means = ndimage.uniform_filter(image, size)
        np.testing.assert_array_equal(means, scipy_ndimage.uniform_filter(image, size), err_msg=str(size))


def test_sums_past_32_bits_wrap_around_in_narrow_integers():
    image = np.full((4, 5), 60000, np.uint16)
    assert (ndimage.correlate(image, [[100000]]) == 6_000_000_000 % 2**16).all()
    assert (ndimage.correlate(image, [[100000.5]]) == 6_000_030_000 % 2**16).all()
    assert (ndimage.correlate(image, [[-100000]], output=np.int32) == -6_000_000_000 + 2**32).all()


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_nans_stay_in_their_windows(dtype):
    image = np.ones((9, 11), dtype)
    image[4, 5] = np.nan
    lost = np.zeros(image.shape, bool)
    lost[3:6, 4:7] = True
    for found in (
        ndimage.uniform_filter(image, 3),
        ndimage.median_filter(image, 3),
        ndimage.minimum_filter(image, 3),
        ndimage.percentile_filter(image, 20, 3),
        ndimage.gaussian_filter(image, 1, radius=1),
    ):
        np.testing.assert_array_equal(np.isnan(found), lost)
        np.testing.assert_allclose(found[~lost], 1, rtol=1e-6)
    lines = ndimage.uniform_filter1d(image, 3, axis=0)
    np.testing.assert_array_equal(np.isnan(lines).sum(axis=0), np.where(np.arange(11) == 5, 3, 0))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_nothing_under_a_weight_of_zero_counts(scipy_ndimage, dtype):
    rng = np.random.default_rng(7)
    image = rng.standard_normal((3, 9, 11)).astype(dtype)
    image[0, 4, 5], image[1, 0, 0], image[2, 8, 10] = np.nan, np.inf, -np.inf
    for weights in ([[0, 1, 0], [1, -4, 1], [0, 1, 0]], [[-1, 0, 1], [-2, 0, 2]]):
        for name in ("correlate", "convolve"):
            assert_scipys(name, image, weights, axes=(1, 2), mode="constant", cval=np.inf)
            assert_scipys(name, image, np.array(weights)[:, None], axes=(0, 1, 2), mode="wrap")
        for axis in range(3):  # but here it does
            assert_scipys("correlate1d", image, weights[0], axis=axis)
    in_place = image.copy()
    wanted = scipy_ndimage.correlate(image, weights, axes=(1, 2))
    ndimage.correlate(in_place, weights, axes=(1, 2), output=in_place)
    np.testing.assert_allclose(in_place, wanted, atol=1e-5)


def test_ranks_of_one_axis_know_footprints_and_outputs():
    """Where SciPy takes footprints for full ones, writes past outputs of narrower dtypes and reads past one pixel."""
    rng = np.random.default_rng(8)
    image = rng.integers(-99, 99, 50)
    for footprint in ([1, 0, 1], [1, 1, 0, 1], [0, 0, 1, 1, 1]):
        wanted = ndimage.median_filter(image[None], footprint=[footprint])[0]
        np.testing.assert_array_equal(ndimage.median_filter(image, footprint=footprint), wanted)
    found = ndimage.median_filter(image, 3, output=np.int8)
    np.testing.assert_array_equal(found, ndimage.median_filter(image, 3))
    assert found.dtype == np.int8
    assert ndimage.median_filter(image[:1], 6, origin=2) == image[:1]
    swapped = image.astype(">f4")
    np.testing.assert_array_equal(ndimage.median_filter(swapped, 3), ndimage.median_filter(image, 3))


# Outputs


@pytest.mark.parametrize("name", NAMES)
def test_outputs(scipy_ndimage, name):
    rng = np.random.default_rng(9)
    image = rng.integers(0, 99, (13, 15)).astype(np.int16)
    args = ([[1, 2, -1]] if name in ("correlate", "convolve") else [1, 2, -1],) if name in SUMS else ()
    args = (FIRST[name],) if name in FIRST else args
    size = {"size": 3} if name in [*RANKS, *EXTREMES, *MEANS] else {}
    function = getattr(ndimage, name)
    plain = function(image, *args, **size)
    for output in (np.int16, "int16", np.dtype("int16"), np.empty(image.shape, np.int16), np.empty((15, 13), ">i2").T):
        found = function(image, *args, **size, output=output)
        np.testing.assert_array_equal(found, plain)
        assert found is output or not isinstance(output, np.ndarray)
    for output in (float, "float32", np.uint8, np.empty(image.shape), np.empty((13, 30), np.int32)[:, ::2]):
        assert_scipys(name, image, *args, **size, output=output)
    assert function(image, *args, **size, output=">i4").dtype == np.dtype(">i4")
    np.testing.assert_array_equal(function(image, *args, **size, output=[[0] * 15] * 13), plain)
    memory = np.zeros((14, 15), np.int16)  # an output that lies one row further down
    memory[:13] = image
    np.testing.assert_array_equal(function(memory[:13], *args, **size, output=memory[1:]), plain)
    np.testing.assert_array_equal(function(image, *args, **size, output=image), plain)
    assert image is not plain


# Bad input

REFUSED = [
    ("median_filter", (X, 3), {"origin": 0.0}),
    ("median_filter", (X, 3), {"origin": 2}),
    ("median_filter", (X, [3, 1]), {"origin": [1, 1]}),
    ("median_filter", (X, 3), {"origin": "a"}),
    ("median_filter", (X, 3), {"origin": [0]}),
    ("median_filter", (X, 3.0), {}),
    ("median_filter", (X, "3"), {}),
    ("median_filter", (X, True), {}),
    ("median_filter", (X, 0), {}),
    ("median_filter", (X, -1), {}),
    ("median_filter", (X, (3, 3, 3)), {}),
    ("median_filter", (X,), {}),
    ("median_filter", (X, 3), {"mode": "edge"}),
    ("median_filter", (X, 3), {"mode": None}),
    ("median_filter", (X, 3), {"mode": ["reflect", "wrap"]}),
    ("median_filter", (X, 3), {"cval": "a"}),
    ("median_filter", (X, 3), {"cval": None}),
    ("median_filter", (X, 3), {"cval": 1j}),
    ("median_filter", (X, 3), {"output": "bool"}),
    ("median_filter", (X, 3), {"output": "U5"}),
    ("median_filter", (X, 3), {"output": complex}),
    ("median_filter", (X, 3), {"output": np.float16}),
    ("median_filter", (X, 3), {"output": np.zeros((4, 3))}),
    ("median_filter", (X, 3), {"output": 7}),
    ("median_filter", (X, 3), {"output": np.broadcast_to(0.0, X.shape)}),
    ("median_filter", (X, 3), {"axes": (0, 0)}),
    ("median_filter", (X, 3), {"axes": 2}),
    ("median_filter", (X, 3), {"axes": (0, 2)}),
    ("median_filter", (X, 3), {"axes": 1.0}),
    ("median_filter", (X, 3), {"axes": object()}),
    ("median_filter", (1j * X, 3), {}),
    ("median_filter", (X.astype(np.float16), 3), {}),
    ("median_filter", (X.astype(object), 3), {}),
    ("median_filter", (X,), {"footprint": np.zeros((3, 3))}),
    ("median_filter", (X,), {"footprint": np.zeros((0, 3))}),
    ("median_filter", (X,), {"footprint": [1, 1, 1]}),
    ("rank_filter", (X, 9, 3), {}),
    ("rank_filter", (X, -10, 3), {}),
    ("rank_filter", (X, 0.5, 3), {}),
    ("percentile_filter", (X, 101, 3), {}),
    ("percentile_filter", (X, -101, 3), {}),
    ("percentile_filter", (X, np.nan, 3), {}),
    ("percentile_filter", (X, "a", 3), {}),
    ("minimum_filter", (X,), {}),
    ("minimum_filter", (X, "a"), {}),
    ("minimum_filter", (X, 3), {"mode": ["reflect"]}),
    ("minimum_filter", (X,), {"footprint": np.zeros((3, 3))}),
    ("minimum_filter", (X,), {"footprint": [1, 0, 1]}),
    ("minimum_filter", (X,), {"footprint": [1, 1, 1]}),
    ("maximum_filter", (X,), {"footprint": [[1, 0, 1]], "mode": ["reflect", "wrap"]}),
    ("minimum_filter1d", (X, 3.0), {}),
    ("minimum_filter1d", (X, 0), {}),
    ("minimum_filter1d", (X, 3), {"axis": 2}),
    ("minimum_filter1d", (X, 3), {"axis": 1.0}),
    ("maximum_filter1d", (1j * X, 3), {}),
    ("uniform_filter", (X, None), {}),
    ("uniform_filter", (X, 3), {"origin": 0.5}),
    ("uniform_filter", (X, 3), {"output": complex}),
    ("uniform_filter", (X.astype(np.longdouble), 3), {}),
    ("uniform_filter1d", (X, 0), {}),
    ("uniform_filter1d", (X, 1.5), {}),
    ("uniform_filter1d", (X, 3), {"mode": ["reflect"]}),
    ("uniform_filter1d", (X, 3), {"origin": 2}),
    ("correlate", (X, [1, 2, 1]), {}),
    ("correlate", (X, np.zeros((0, 3))), {}),
    ("correlate", (X, "a"), {}),
    ("correlate", (X, np.ones((3, 3))), {"mode": ["reflect", "wrap"]}),
    ("correlate", (X, np.ones((3, 3))), {"origin": 2}),
    ("correlate", (X, np.ones((1, 1))), {"mode": "edge"}),
    ("correlate", (X, np.ones((3, 3))), {"output": np.zeros((2, 2))}),
    ("convolve", (X, np.ones((2, 2))), {"origin": 1}),
    ("correlate1d", (X, 3), {}),
    ("correlate1d", (X, []), {}),
    ("correlate1d", (X, [[1]]), {}),
    ("correlate1d", (X, [1, 2]), {"axis": 5}),
    ("correlate1d", (X, [1, 2]), {"origin": 1}),
    ("convolve1d", (X, [1, 2]), {"origin": 1}),
    ("convolve1d", (X, 3), {}),
    ("gaussian_filter", (X, "a"), {}),
    ("gaussian_filter", (X, [1, 2, 3]), {}),
    ("gaussian_filter", (X, 1), {"order": -1}),
    ("gaussian_filter", (X, 1), {"radius": 1.5}),
    ("gaussian_filter", (X, 1), {"mode": "edge"}),
    ("gaussian_filter1d", (X, -1), {}),
    ("gaussian_filter1d", (X, 0), {}),
    ("gaussian_filter1d", (X, 1), {"order": 1.5}),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), REFUSED, ids=range(len(REFUSED)))
def test_what_scipy_refuses_is_refused_alike(scipy_ndimage, name, args, kwargs):
    with pytest.raises(Exception) as wanted:  # noqa: PT011 (what it is is not known before)
        getattr(scipy_ndimage, name)(*args, **kwargs)
    with pytest.raises(wanted.type):
        getattr(ndimage, name)(*args, **kwargs)


def test_size_and_footprint():
    with pytest.warns(UserWarning, match="ignoring size because footprint is set") as warned:
        ndimage.median_filter(X, 5, footprint=np.ones((1, 3)))
    assert warned[0].filename == __file__
    with pytest.warns(UserWarning, match="ignoring size because footprint is set") as warned:
        ndimage.minimum_filter(X, 5, footprint=np.ones((1, 3)))
    assert warned[0].filename == __file__


@pytest.mark.parametrize("shape", [(), (0,), (0, 4), (3, 0, 2)])
def test_no_axes_and_no_pixels(scipy_ndimage, shape):
    for name in ("median_filter", "minimum_filter", "uniform_filter"):
        assert_scipys(name, np.full(shape, 3.5), 3)
    assert_scipys("correlate", np.full(shape, 3.5), np.full((3,) * len(shape), 2.0))
    assert_scipys("gaussian_filter", np.full(shape, 3.5), 1)


# What is served


def test_examples():
    failed, tried = doctest.testmod(ndimage)
    assert failed == 0
    assert tried > 3 * len(NAMES) - 1


@pytest.mark.parametrize("name", NAMES)
def test_signatures(scipy_ndimage, name):
    def form(function):
        return [(one.name, one.kind, one.default) for one in inspect.signature(function).parameters.values()]

    assert form(getattr(ndimage, name)) == form(getattr(scipy_ndimage, name))
    assert pickle.loads(pickle.dumps(getattr(ndimage, name))) is getattr(ndimage, name)


def test_served():
    stack = np.zeros((4, 9, 9), np.uint8)
    assert ndimage.served("median_filter", stack, (1, 3, 3))
    assert ndimage.served("median_filter", stack, 3, axes=(0, 2))
    assert ndimage.served("uniform_filter", stack, 3)
    assert ndimage.served("minimum_filter", stack, 3)
    assert ndimage.served("gaussian_filter", stack, 3)
    assert ndimage.served("rank_filter", stack, -1, 3)
    assert ndimage.served("correlate", stack, np.ones((3, 1, 3)))
    assert not ndimage.served("median_filter", stack, 3)
    assert not ndimage.served("minimum_filter", stack, footprint=np.eye(27)[:3].reshape(3, 3, 9))
    assert not ndimage.served("correlate", stack, np.ones((3, 3, 3)))
    assert not ndimage.served("correlate1d", stack, [1j, 2])
    assert not ndimage.served("uniform_filter", stack * 1j, 3)
    assert not ndimage.served("median_filter", stack, (1, 3, 3), mode="constant", cval=0.5)
    assert not ndimage.served("gaussian_filter", stack, 1, order=1)
    with pytest.raises(RuntimeError, match="boundary mode not supported"):
        ndimage.served("median_filter", stack, (1, 3, 3), mode="edge")


def test_the_rest_goes_to_scipy(scipy_ndimage):
    rng = np.random.default_rng(10)
    stack = rng.random((5, 6, 7))
    for name, args in (
        ("median_filter", (stack, 3)),
        ("correlate", (stack, rng.random((3, 3, 3)))),
        ("uniform_filter", (stack * 1j, 3)),
        ("label", (stack > 0.5,)),
    ):
        assert not ndimage.served(name, *args)
        found, wanted = (getattr(library, name)(*args) for library in (ndimage, scipy_ndimage))
        np.testing.assert_array_equal(found[0], wanted[0])
    with pytest.raises(AttributeError, match="median_filte"):
        ndimage.served("median_filte", stack)


def run(program):
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_scipy_is_imported_only_where_it_is_needed():
    assert run(
        "import sys\nimport numpy as np\nfrom imkernels.compat import ndimage\n"
        "ndimage.median_filter(np.zeros((9, 9)), 3)\nprint('scipy' in sys.modules)\n"
    ) == ["False"]


def test_without_scipy():
    program = """
import sys
sys.modules["scipy"] = sys.modules["scipy.ndimage"] = None
import numpy as np
from imkernels.compat import ndimage
image = np.arange(8).reshape(2, 2, 2)
print(ndimage.uniform_filter(np.arange(5), 3).sum(), ndimage.served("median_filter", image, 3))
for call in (lambda: ndimage.median_filter(image, 3), lambda: ndimage.label):
    try:
        call()
    except ImportError as error:
        print("'imkernels[scipy]'" in str(error))
"""
    assert run(program) == ["9", "False", "True", "True"]


# SciPy's own tests


@pytest.mark.slow
def test_scipys_own_tests_pass(scipy_ndimage, tmp_path):
    test_file = Path(scipy_ndimage.__file__).parent / "tests" / "test_filters.py"
    if not test_file.exists():
        pytest.skip("a build of SciPy without its tests")
    command = [sys.executable, "-m", "pytest", str(test_file), "-p", "tests.ndimage_in_place", "-q"]
    options = ["-c", os.devnull, "--rootdir", str(tmp_path), "-p", "no:cacheprovider"]
    done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-5000:]
    passed = int(re.search(r"(\d+) passed, 11 deselected", done.stdout)[1])
    assert passed > 2000
