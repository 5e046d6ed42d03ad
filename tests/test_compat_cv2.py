"""`imkernels.compat.cv2` against OpenCV itself, and against exact definitions where OpenCV refuses or errs."""

import doctest
import inspect
import itertools
import subprocess
import sys
from types import SimpleNamespace

import imkernels as ik
import imkernels.compat.cv2 as ours
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from . import cases, strategies
from .reference.box_blur import box_blur as exact_mean
from .reference.median_filter import median_filter as exact_median

NAMES = ("medianBlur", "blur", "boxFilter", "filter2D", "sepFilter2D", "GaussianBlur", "dilate", "erode")
FUNCTIONS = {name: getattr(ours, name) for name in NAMES}
DTYPES = ("u1", "u2", "i2", "f4", "f8")
SHAPES = ((17, 23), (9, 13, 3), (12, 8, 4), (9, 10, 1))
BORDERS = (ours.BORDER_CONSTANT, ours.BORDER_REPLICATE, ours.BORDER_REFLECT, ours.BORDER_REFLECT_101)
NARROW = ("u1", "u2", "i2")
AVX2 = 11  # cv2.CPU_AVX2, which Python does not see


@pytest.fixture(autouse=True)
def with_avx2(cv2):
    """Let tests run where OpenCV's vector loops are those whose rounding is followed."""
    if not cv2.checkHardwareSupport(AVX2):
        pytest.skip("OpenCV rounds in another way without AVX2")


@pytest.fixture
def both(cv2):
    """Return a function that calls OpenCV's function and ours with the same arguments."""

    def call(name, *args, **kwargs):
        return getattr(cv2, name)(*args, **kwargs), FUNCTIONS[name](*args, **kwargs)

    return call


def image(dtype, shape, seed=0, least=None, most=None):
    """Return an image over the whole range of an integer dtype, or between `least` and `most`."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    limits = np.iinfo(dtype)
    low, high = limits.min if least is None else least, limits.max if most is None else most
    return rng.integers(low, high, shape, dtype=dtype, endpoint=True)


def few_values(dtype, shape, seed=0):
    """Return images whose means are often half way between two integers, at either end of the range."""
    limits = np.iinfo(dtype)
    yield image(dtype, shape, seed)
    yield image(dtype, shape, seed, most=limits.min + 3)
    yield image(dtype, shape, seed, least=limits.max - 3)


def assert_same(found, expected):
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def assert_close(found, expected, scale):
    """Compare floats: within a few roundings of the sum of magnitudes."""
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert np.all(np.abs(found - expected) <= 60 * np.finfo(found.dtype).eps * scale)


# Names, constants, signatures


def test_constants_are_those_of_opencv(cv2):
    names = [name for name in dir(ours) if name.startswith(("BORDER_", "CV_"))]
    assert {"BORDER_REFLECT_101", "BORDER_ISOLATED", "CV_16S", "CV_64F", "CV_32U"} <= set(names)
    assert {name: getattr(ours, name) for name in names} == {name: getattr(cv2, name) for name in names}


@pytest.mark.parametrize("name", NAMES)
def test_arguments_have_the_names_and_the_order_of_opencv(name, cv2):
    stated = getattr(cv2, name).__doc__.split("->")[0].split("(")[1].split(")")[0]
    wanted = stated.replace("[", "").replace("]", "").replace(" ", "").split(",")
    parameters = inspect.signature(FUNCTIONS[name]).parameters.values()
    assert [parameter.name for parameter in parameters] == wanted
    required = stated.split("[")[0].replace(" ", "").strip(",").split(",")
    assert [parameter.name for parameter in parameters if parameter.default is parameter.empty] == required


@pytest.mark.parametrize("name", NAMES)
def test_none_is_the_default(name, both):
    first = {"medianBlur": (3,), "blur": ((3, 2),), "boxFilter": (-1, (3, 2)), "filter2D": (-1, np.eye(3))}
    first |= {"GaussianBlur": ((3, 5), 0.8)}
    first |= {"sepFilter2D": (-1, np.ones(3) / 4, np.ones(2) / 2), "dilate": (None,), "erode": (None,)}
    source = image("u1", (8, 16))
    count = len(inspect.signature(FUNCTIONS[name]).parameters) - 1 - len(first[name])
    expected, found = both(name, source, *first[name], *[None] * count)
    assert_same(found, expected)
    assert_same(FUNCTIONS[name](source, *first[name]), expected)


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_run(name):
    test = doctest.DocTestParser().get_doctest(inspect.getdoc(FUNCTIONS[name]), {}, name, None, 0)
    report = []
    results = doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    assert results.attempted >= 3
    assert not results.failed, "".join(report)


# Order filters


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("dtype", "sides"), [("u1", (1, 3, 5, 7, 11, 31)), ("u2", (3, 5)), ("i2", (3, 5)), ("f4", (3, 5))]
)
def test_medians(dtype, sides, shape, both):
    for side in sides:
        expected, found = both("medianBlur", image(dtype, shape), side)
        assert_same(found, expected)


@pytest.mark.parametrize("dtype", cases.DTYPES)
def test_medians_of_every_dtype_and_of_sides_that_opencv_refuses(dtype):
    source = cases.seeded_image((9, 10), dtype)
    for side in (3, 7):
        assert_same(ours.medianBlur(source, side), exact_median(source, (side, side), mode="nearest").astype(dtype))
    many = np.repeat(source[..., None], 130, axis=2)
    assert_same(ours.medianBlur(many, 3)[..., 129], ours.medianBlur(source, 3))


ELEMENTS = {
    "none": None,
    "square": np.ones((3, 3), np.uint8),
    "wide": np.ones((2, 5), np.float32),
    "even": np.ones((4, 4), bool),
    "cross": np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0], [0, 1, 0]], np.uint8),
    "steps": np.array([[0, 0, 0, 1], [0, 0, 1, 1], [0, 1, 1, 1]], np.uint8),
    "octagon": np.array([[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 0]], np.uint8),
    "ring": np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8),
    "corner": np.array([[1, 0, 0], [0, 0, 0]], np.uint8),
    "row": np.array([0, 1, 1], np.uint8),
    "nothing": np.zeros((1, 1), np.uint8),
}


@pytest.mark.parametrize("element", ELEMENTS)
@pytest.mark.parametrize("name", ["dilate", "erode"])
def test_extrema(name, element, both):
    keywords = [{"borderType": border} for border in (*BORDERS, ours.BORDER_REFLECT | ours.BORDER_ISOLATED)]
    keywords += [
        {"borderType": 0, "borderValue": value} for value in (0, 7.5, -300, 1e6, (3, 100, -4, 90), [9, 8, 7, 6])
    ]
    for (dtype, shape), more, times in itertools.product(
        zip(DTYPES, (*SHAPES, (6, 5)), strict=True), keywords, (0, 1, 2, 3)
    ):
        for anchor in ((-1, -1), (0, 0)):
            source = image(dtype, shape, 3)
            expected, found = both(name, source, ELEMENTS[element], anchor=anchor, iterations=times, **more)
            assert_same(found, expected)


@pytest.mark.parametrize("dtype", [np.dtype(kind) for kind in ("?", "i1", "i4", "u4", "i8", "u8", "f2")])
def test_extrema_of_dtypes_that_opencv_refuses(dtype):
    source = cases.seeded_image((7, 9, 2), dtype)
    padded = np.pad(source, ((1, 1), (1, 1), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))
    assert_same(ours.dilate(source, None), windows.max(axis=(-2, -1)))
    assert_same(ours.erode(source, None), windows.min(axis=(-2, -1)))
    cross = windows[..., [0, 1, 1, 1, 2], [1, 0, 1, 2, 1]]
    assert_same(ours.erode(source, ELEMENTS["cross"][:3]), cross.min(axis=-1))


def test_a_border_value_for_each_of_many_channels():
    """OpenCV lets four values go round along the row, so that the fifth channel of the next pixel has another one."""
    found = ours.dilate(np.zeros((1, 2, 5), np.uint8), None, borderValue=(9, 8, 7, 6))
    assert found.tolist() == [[[9, 8, 7, 6, 9], [9, 8, 7, 6, 9]]]


def test_a_nan_in_the_window_is_the_result():
    source = np.zeros((5, 9), np.float32)
    source[2, 3] = np.nan
    square = np.zeros((5, 9), bool)
    square[1:4, 2:5] = True
    for found in (ours.medianBlur(source, 3), ours.dilate(source, None), ours.blur(source, (3, 3))):
        np.testing.assert_array_equal(np.isnan(found), square)
    square[1:4, 2:5] = ELEMENTS["cross"][:3]
    np.testing.assert_array_equal(np.isnan(ours.erode(source, ELEMENTS["cross"][:3])), square)


def test_the_outside_is_left_out_of_infinite_images():
    """OpenCV puts the largest finite number there, which comes out of erosions of infinities."""
    assert np.isposinf(ours.erode(np.full((2, 3), np.inf, np.float32), None)).all()


# Means


SIZES = [(1, 1), (2, 1), (1, 2), (2, 2), (3, 2), (3, 3), (4, 4), (5, 5), (6, 5), (7, 7), (8, 8), (9, 9), (15, 15)]
SIZES += [(16, 16), (17, 16), (18, 18), (20, 20), (31, 31), (40, 41), (51, 51), (128, 128), (181, 182), (256, 257)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", NARROW)
def test_means_of_integers_are_rounded_as_by_opencv(dtype, size, both):
    """At every width of a row's rest, which is rounded in another way, and for every integer result."""
    largest = {"u1": 2**23, "u2": 2**15, "i2": 2**16}[dtype]
    for shape in ((20, 67), (11, 41, 3), (10, 31, 4), (20, 64)):
        for source, depth in itertools.product(few_values(dtype, shape), (-1, 0, 2, 3, 4)):
            if (depth == 4 and size[0] * size[1] > largest) or (dtype == "i2" and depth in (0, 2)):
                continue  # refused; wrong (below)
            expected, found = both("boxFilter", source, depth, size)
            differ = found != expected
            if dtype == "u1" and size in ((1, 2), (2, 1)):
                assert (found[differ] == 255).all()  # where OpenCV's 256 becomes 0
            else:
                assert not differ.any()
            assert found.dtype == expected.dtype


def test_white_stays_white(cv2):
    white = np.full((3, 5), 255, np.uint8)
    assert cv2.blur(white, (1, 2)).max() == 0  # as of OpenCV 5.0
    assert_same(ours.blur(white, (1, 2)), white)


def test_negative_means_become_0_in_unsigned_results(cv2):
    source = np.full((4, 16), -9, np.int16)
    assert cv2.boxFilter(source, cv2.CV_8U, (3, 3)).min() == 255  # as of OpenCV 5.0
    assert_same(ours.boxFilter(source, ours.CV_8U, (3, 3)), np.zeros((4, 16), np.uint8))
    for size in ((3, 3), (4, 4), (6, 5)):
        source = image("i2", (9, 32), 5)
        exact = ours.boxFilter(source, ours.CV_16S, size)
        assert_same(ours.boxFilter(source, ours.CV_16U, size), exact.clip(0, None).astype(np.uint16))


@pytest.mark.parametrize("dtype", ["i1", "u4", "i4", "i8", "u8"])
def test_means_of_other_integers_are_exact(dtype):
    source = cases.seeded_image((6, 7), dtype)
    expected = exact_mean(source, (3, 2), mode="mirror")
    assert ours.blur(source, (2, 3)).tolist() == [[round(value) for value in row] for row in expected]


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_means_and_sums_with_anchors_and_borders(dtype, border, normalize, both):
    for shape, size, depth in itertools.product(SHAPES, ((3, 3), (5, 2), (4, 7), (30, 31)), (-1, 5, 6)):
        source = image(dtype, shape, 6)
        for anchor in ((-1, -1), (0, size[1] - 1), (-1, 0)):
            keywords = {"anchor": anchor, "normalize": normalize, "borderType": border}
            expected, found = both("boxFilter", source, depth, size, **keywords)
            if found.dtype.kind == "f":
                area = 1 if normalize else size[0] * size[1]
                assert_close(found, expected, area * np.abs(source).max().astype(float))
            else:
                assert_same(found, expected)


def test_sums_do_not_wrap(cv2):
    source = np.full((2, 300), 65535, np.uint16)
    total = 300 * 300 * 65535
    assert cv2.boxFilter(source, 6, (300, 300), normalize=False)[0, 0] == total % 2**32  # as of OpenCV 5.0
    assert ours.boxFilter(source, 6, (300, 300), normalize=False)[0, 0] == total
    large = np.full((4, 4), 2**40)
    assert ours.blur(large, (3, 3)).tolist() == large.tolist()


# Weighted sums


def kernels(shape, seed):
    """Return weights of every kind: means, whole numbers as floats and as integers, both signs."""
    weights = np.random.default_rng(seed).standard_normal(shape)
    yield np.abs(weights) / np.abs(weights).sum()
    yield np.rint(3 * weights)
    yield np.rint(3 * weights).astype(np.int32)
    yield (weights / np.abs(weights).sum()).astype(np.float32)


DEPTHS = {"u1": (-1, 2, 3, 5, 6), "u2": (-1, 5, 6), "i2": (-1, 5, 6), "f4": (-1,), "f8": (-1,)}


def magnitude(source, kernel, border):
    """Return the largest sum of magnitudes."""
    return ours.filter2D(np.abs(source.astype(float)), -1, np.abs(kernel).astype(float), borderType=border).max()


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (5, 5), (2, 4), (1, 7), (4, 1), (7, 7)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_correlation_tap_by_tap(dtype, shape, both):
    """OpenCV fuses products and sums but in the last (W * C) % 4 numbers of a row: widths are multiples of 4."""
    anchors = ((-1, -1), (0, shape[0] - 1))
    for number, kernel in enumerate(kernels(shape, 7)):
        for size, depth, anchor in itertools.product(((19, 24), (9, 12, 3), (10, 16, 4)), DEPTHS[dtype], anchors):
            source, border = image(dtype, size, number), BORDERS[number]
            for delta in (0, -7, 0.3):
                keywords = {"anchor": anchor, "delta": delta, "borderType": border}
                expected, found = both("filter2D", source, depth, kernel, **keywords)
                if found.dtype.kind == "f":
                    assert_close(found, expected, magnitude(source, kernel, border) + abs(delta))
                elif number in (1, 2) or ik.isa_level() != "baseline":  # without fused products others are exact
                    assert_same(found, expected)


def nearly_a_half(exact, bound):
    return np.abs(exact - np.floor(exact) - 0.5) <= bound


@pytest.mark.parametrize("shape", [(9, 9), (11, 12), (13, 13), (21, 21)])
@pytest.mark.parametrize("dtype", NARROW)
def test_correlation_where_opencv_transforms(dtype, shape, both):
    """Whole weights are exact here; others are rounded as the exact sum, but near a half."""
    for number, kernel in enumerate(kernels(shape, 8)):
        source = image(dtype, (30, 33), number)
        keywords = {"delta": 0.5 if number == 2 else 0.0, "borderType": ours.BORDER_CONSTANT}
        expected, found = both("filter2D", source, -1, kernel, **keywords)
        assert np.abs(found.astype(int) - expected).max() <= 1
        exact = ours.filter2D(source, 6, kernel.astype(float), **keywords)
        limits = np.iinfo(source.dtype)
        differ = found != np.rint(exact).clip(limits.min, limits.max)
        bound = kernel.size * np.finfo(np.float32).eps * magnitude(source, kernel, ours.BORDER_CONSTANT)
        assert not differ.any() if kernel.dtype == np.int32 else nearly_a_half(exact, bound)[differ].all()


@pytest.mark.parametrize("delta", [0, 3, -7.5])
def test_delta_is_added_before_the_sum_is_rounded(delta, both):
    source, kernel = image("u1", (20, 32)), np.array([[1, -2, 1], [2, 5, -3], [0, 1, -1]])
    for weights in (kernel, kernel.astype(np.float32), kernel / 4):
        for depth in (-1, 3, 5):
            expected, found = both("filter2D", source, depth, weights, delta=delta)
            assert_same(found, expected)


def test_wide_integers_are_summed_exactly():
    source = np.array([[2**53 + 1, 2**53 + 3, 5]])
    assert ours.filter2D(source, -1, np.array([[1, 0, 0]])).tolist() == [[2**53 + 3, 2**53 + 1, 2**53 + 3]]


WEIGHTS = {
    "1/4": np.array([0.25, 0.5, 0.25]),
    "1/16": np.array([1, 4, 6, 4, 1]) / 16,
    "1/256": np.array([1, 8, 28, 56, 70, 56, 28, 8, 1]) / 256,
    "nearly 1/4": np.array([0.25 + 2e-7, 0.5 - 4e-7, 0.25 + 2e-7]),
    "one": np.array([1.0]),
    "even": np.array([0.5, 0.5]),
    "not symmetric": np.array([0.5, 0.25, 0.25]),
    "whole": np.array([1.0, 2.0, 1.0]),
    "difference": np.array([-1.0, 0.0, 1.0]),
}


@pytest.mark.parametrize("down", WEIGHTS)
@pytest.mark.parametrize("across", WEIGHTS)
def test_separable_correlation_of_exact_sums(across, down, both):
    """In fixed point or not: OpenCV rounds what is left of a row in another way then."""
    row, column = WEIGHTS[across], WEIGHTS[down]
    fixed = all(name.removeprefix("nearly ").startswith("1/") for name in (across, down))
    if "nearly 1/4" in (across, down) and not fixed:
        return  # not exact
    for shape, delta in itertools.product(((20, 47), (11, 21, 3), (10, 31, 4)), (0, 3)):
        for source in few_values("u1", shape):
            for depth in (-1,) if "nearly 1/4" in (across, down) else (-1, 2, 3):
                expected, found = both("sepFilter2D", source, depth, row, column, delta=delta)
                assert_same(found, expected)


@pytest.mark.parametrize("delta", [0.5, 1.5, -7.5])
def test_whole_weights_have_a_whole_delta(delta, both):
    source = image("u1", (9, 20))
    for weights in (WEIGHTS["whole"], np.array([1.0, 2.0, 5.0, 2.0, 1.0])):
        expected, found = both("sepFilter2D", source, ours.CV_16S, WEIGHTS["difference"], weights, delta=delta)
        assert_same(found, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_separable_correlation(dtype, both):
    rng = np.random.default_rng(9)
    for shape, (width, height), border in itertools.product(SHAPES, ((3, 3), (9, 4), (1, 7)), BORDERS):
        source = image(dtype, shape)
        row, column = (rng.standard_normal(taps).astype(np.float32) for taps in (width, height))
        kernel = np.outer(column, row).astype(float)
        for depth in DEPTHS[dtype]:
            keywords = {"anchor": (0, -1), "borderType": border}
            expected, found = both("sepFilter2D", source, depth, row[None], column[:, None], **keywords)
            scale = magnitude(source, kernel, border)
            if found.dtype.kind == "f":
                assert_close(found, expected, scale)
                continue
            differ = found != expected
            exact = ours.filter2D(source, 6, kernel, **keywords)
            bound = 20 * np.finfo(np.float32).eps * scale
            assert nearly_a_half(exact, bound)[differ].all()


SIGMAS = [(0, 0), (0.5, 0), (1.3, 2.1), (3, 0), (0, 2), (-1, 0), (7.7, 0)]


@pytest.mark.parametrize("sigmas", SIGMAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_gaussians(dtype, sigmas, both):
    """In fixed point of uint8 and uint16, halves up; as separable correlation of others."""
    sizes = [(3, 3), (5, 5), (7, 7), (9, 9), (11, 7), (1, 3), (31, 21), (1, 1)]
    sizes += [(0, 0), (0, 5), (-3, 3)] if sigmas[0] > 0 else []
    for shape, size, border in itertools.product(SHAPES, sizes, BORDERS):
        for source in few_values(dtype, shape) if dtype in ("u1", "u2") else [image(dtype, shape)]:
            expected, found = both("GaussianBlur", source, size, sigmas[0], sigmaY=sigmas[1], borderType=border)
            if dtype in ("u1", "u2"):
                assert_same(found, expected)
            elif dtype == "i2":
                assert np.abs(found.astype(int) - expected).max() <= 1
            else:
                assert_close(found, expected, np.abs(source).max())


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_gaussians_of_images_that_repeat(dtype, both):
    """The only function that takes BORDER_WRAP, and of these dtypes alone; here of all."""
    source = image(dtype, (9, 10))
    expected, found = both("GaussianBlur", source, (5, 7), 1.2, borderType=ours.BORDER_WRAP)
    assert_same(found, expected)
    twice = np.tile(source, (3, 3)).astype(np.float32)
    whole = ours.GaussianBlur(twice, (5, 7), 1.2)[9:18, 10:20]
    np.testing.assert_array_equal(ours.GaussianBlur(twice[:9, :10], (5, 7), 1.2, borderType=ours.BORDER_WRAP), whole)


# dst


CALLS = {
    "medianBlur": lambda f, source, **more: f.medianBlur(source, 3, **more),
    "blur": lambda f, source, **more: f.blur(source, (4, 4), **more),
    "boxFilter": lambda f, source, **more: f.boxFilter(source, -1, (3, 5), normalize=False, **more),
    "filter2D": lambda f, source, **more: f.filter2D(source, -1, np.eye(3, 4) / 2, delta=2, **more),
    "sepFilter2D": lambda f, source, **more: f.sepFilter2D(source, -1, WEIGHTS["1/4"], WEIGHTS["1/16"], **more),
    "GaussianBlur": lambda f, source, **more: f.GaussianBlur(source, (5, 3), 1, **more),
    "dilate": lambda f, source, **more: f.dilate(source, None, **more),
    "erode": lambda f, source, **more: f.erode(source, ELEMENTS["ring"], iterations=2, **more),
    "dilate by channels": lambda f, source, **more: f.dilate(source, None, borderValue=(9, 200, 0, 0), **more),
}


@pytest.mark.parametrize("shape", [(8, 9), (8, 9, 3), (8, 9, 1)])
@pytest.mark.parametrize("name", CALLS)
def test_dst_is_used_where_it_fits(name, shape, cv2):
    source = image("u1", shape)
    expected = CALLS[name](cv2, source)
    squeezed = shape if shape[-1] != 1 else shape[:2]
    for dst in (np.zeros(squeezed, np.uint8), np.zeros((8, 20, *squeezed[2:]), np.uint8)[:, 5:14], source.copy()):
        theirs = dst.copy()
        assert CALLS[name](cv2, source, dst=theirs) is theirs
        assert CALLS[name](ours, source, dst=dst) is dst
        np.testing.assert_array_equal(dst.reshape(squeezed), expected)
    for dst in (np.zeros((7, 9), np.uint8), np.zeros(squeezed, np.float32)):
        before = dst.copy()
        assert CALLS[name](cv2, source, dst=dst) is not dst
        found = CALLS[name](ours, source, dst=dst)
        assert_same(found, expected)
        np.testing.assert_array_equal(dst, before)
    aliased = source.copy()
    assert CALLS[name](ours, aliased, dst=aliased) is aliased
    np.testing.assert_array_equal(aliased.reshape(squeezed), expected)


@pytest.mark.parametrize("name", CALLS)
def test_dst_may_overlap_or_lie_anywhere(name):
    """OpenCV refuses a dst that is not dense along its rows."""
    source = image("u1", (9, 10))
    expected = CALLS[name](ours, source)
    for dst in (
        np.zeros((9, 20), np.uint8)[:, ::2],
        np.zeros((9, 10), np.uint8, order="F"),
        np.zeros((9, 10), "u1")[::-1],
    ):
        assert CALLS[name](ours, source, dst=dst) is dst
        np.testing.assert_array_equal(dst, expected)
    both = np.zeros((12, 10), np.uint8)
    both[3:] = source
    np.testing.assert_array_equal(CALLS[name](ours, both[3:], dst=both[:9]), expected)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f8"])
@pytest.mark.parametrize("name", CALLS)
def test_images_of_any_layout(name, dtype):
    """OpenCV reads arrays of the other byte order as if they were of its own."""
    source = image(dtype, (8, 9))
    expected = CALLS[name](ours, source)
    for _, array in cases.layouts(source):
        assert_same(CALLS[name](ours, array), expected)


def test_images_of_one_dimension_are_rows(both):
    for name, *arguments in (("blur", (3, 1)), ("medianBlur", 3), ("dilate", None), ("filter2D", -1, np.ones(3))):
        expected, found = both(name, np.arange(9, dtype=np.uint8), *arguments)
        assert_same(found, expected)


# Refusals

SOURCE = np.arange(42, dtype=np.uint8).reshape(6, 7)
EYE = np.eye(3)
REFUSED = {
    "no array": lambda f: f.blur([[1, 2], [3, 4]], (3, 3)),
    "None": lambda f: f.medianBlur(None, 3),
    "empty": lambda f: f.dilate(SOURCE[:0], None),
    "four dimensions": lambda f: f.blur(np.zeros((2, 5, 6, 3), np.uint8), (3, 3)),
    "complex": lambda f: f.blur(SOURCE.astype(complex), (3, 3)),
    "bool mean": lambda f: f.blur(SOURCE > 3, (3, 3)),
    "ksize of a number": lambda f: f.blur(SOURCE, 3),
    "ksize of three": lambda f: f.blur(SOURCE, (3, 3, 3)),
    "ksize of floats": lambda f: f.boxFilter(SOURCE, -1, (3.0, 3.0)),
    "ksize 0": lambda f: f.blur(SOURCE, (0, 3)),
    "even side": lambda f: f.medianBlur(SOURCE, 4),
    "side 0": lambda f: f.medianBlur(SOURCE, 0),
    "side -3": lambda f: f.medianBlur(SOURCE, -3),
    "side 3.0": lambda f: f.medianBlur(SOURCE, 3.0),
    "side True": lambda f: f.medianBlur(SOURCE, True),
    "anchor outside": lambda f: f.blur(SOURCE, (3, 3), anchor=(3, 0)),
    "anchor -2": lambda f: f.filter2D(SOURCE, -1, EYE, anchor=(-2, 0)),
    "anchor of a number": lambda f: f.blur(SOURCE, (3, 3), anchor=1),
    "anchor outside an element": lambda f: f.erode(SOURCE, np.ones((3, 3)), anchor=(0, 3)),
    "wrap": lambda f: f.blur(SOURCE, (3, 3), borderType=f.BORDER_WRAP),
    "transparent": lambda f: f.filter2D(SOURCE, -1, EYE, borderType=f.BORDER_TRANSPARENT),
    "border 77": lambda f: f.dilate(SOURCE, None, borderType=77),
    "ddepth of a dtype": lambda f: f.filter2D(SOURCE, np.float32, EYE),
    "ddepth 8": lambda f: f.filter2D(SOURCE, 8, EYE),
    "no kernel": lambda f: f.filter2D(SOURCE, -1, None),
    "empty kernel": lambda f: f.filter2D(SOURCE, -1, EYE[:0]),
    "kernel of a list": lambda f: f.filter2D(SOURCE, -1, [[1, 2]]),
    "kernel of channels": lambda f: f.filter2D(SOURCE, -1, np.ones((3, 3, 3))),
    "element of channels": lambda f: f.dilate(SOURCE, np.ones((3, 3, 3), np.uint8)),
    "matrix for a row": lambda f: f.sepFilter2D(SOURCE, -1, EYE, np.ones(3)),
    "two dtypes": lambda f: f.sepFilter2D(SOURCE, -1, np.ones(3), np.ones(3, np.float32)),
    "even Gaussian": lambda f: f.GaussianBlur(SOURCE, (4, 3), 1),
    "Gaussian of no size": lambda f: f.GaussianBlur(SOURCE, (0, 0), 0),
    "delta": lambda f: f.filter2D(SOURCE, -1, EYE, delta="3"),
    "iterations 1.5": lambda f: f.dilate(SOURCE, None, iterations=1.5),
    "iterations -1": lambda f: f.dilate(SOURCE, None, iterations=-1),
    "five border values": lambda f: f.dilate(SOURCE, None, borderValue=(1, 2, 3, 4, 5)),
    "border value": lambda f: f.dilate(SOURCE, None, borderValue="a"),
    "dst of a list": lambda f: f.blur(SOURCE, (3, 3), dst=[[1]]),
    "read-only dst": lambda f: f.blur(SOURCE, (3, 3), dst=np.broadcast_to(np.uint8(0), SOURCE.shape)),
    "a missing argument": lambda f: f.blur(SOURCE),
    "an unknown argument": lambda f: f.blur(SOURCE, (3, 3), border=3),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_opencv_refuses_is_refused_by_the_same_class(what, cv2):
    with pytest.raises(cv2.error):
        REFUSED[what](cv2)
    with pytest.raises(cv2.error, match=r"^\w+: .*\w{3}"):
        REFUSED[what](ours)
    with pytest.raises(ours.error):
        REFUSED[what](ours)


def test_what_opencv_reads_out_of_bounds_is_refused():
    with pytest.raises(
        ours.error, match=r"^blur: anchor must lie in the window of 3 columns and 3 rows, got \(-2, 0\)$"
    ):
        ours.blur(SOURCE, (3, 3), anchor=(-2, 0))
    with pytest.raises(ours.error, match=r"^dilate: kernel must have an element that is not 0"):
        ours.dilate(SOURCE, np.zeros((3, 3), np.uint8))
    with pytest.raises(ours.error, match=r"^erode: iterations must be at least 0, got -1"):
        ours.erode(SOURCE, np.ones((1, 3)), iterations=-1)


def test_opencv_is_not_needed():
    program = (
        "import sys; sys.modules['cv2'] = None\n"
        "import numpy as np, imkernels.compat.cv2 as cv2\n"
        "assert cv2.blur(np.full((3, 3), 7, np.uint8), (3, 3)).tolist() == [[7] * 3] * 3\n"
        "try: cv2.medianBlur(np.zeros((3, 3)), 2)\n"
        "except cv2.error as error: print(type(error).__mro__[:2] == (cv2.error, ValueError), error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "True medianBlur: ksize must be odd and at least 1, got 2\n"


# Anything


@st.composite
def calls(draw):
    """Draw an image, a window on it and what both functions take."""
    channels = draw(st.sampled_from([(), (1,), (2,), (3,), (4,), (5,)]))
    shape = (draw(strategies.sides), draw(strategies.sides), *channels)
    width, height = draw(strategies.sides), draw(strategies.sides)
    seed = draw(st.integers(0, 2**32))
    return SimpleNamespace(
        seed=seed,
        source=image(draw(st.sampled_from(DTYPES)), shape, seed),
        size=(width, height),
        keywords={
            "anchor": (draw(st.integers(-1, width - 1)), draw(st.integers(-1, height - 1))),
            "borderType": draw(st.sampled_from(BORDERS)),
        },
    )


@given(call=calls())
@strategies.few
def test_any_mean(call):
    import cv2

    expected = cv2.blur(call.source, call.size, **call.keywords)
    found = ours.blur(call.source, call.size, **call.keywords)
    if found.dtype.kind == "f":
        assert_close(found, expected, np.abs(call.source).max())
    elif call.source.dtype != np.uint8 or sorted(call.size) != [1, 2]:
        assert_same(found, expected)


@given(call=calls(), times=st.integers(0, 3), full=st.booleans())
@strategies.few
def test_any_extremum(call, times, full):
    import cv2

    element = np.random.default_rng(call.seed).random(call.size[::-1]) < (1 if full else 0.6)
    element[-1, -1] = True
    for name in ("dilate", "erode"):
        arguments = (call.source, element.astype(np.uint8))
        expected = getattr(cv2, name)(*arguments, iterations=times, **call.keywords)
        assert_same(FUNCTIONS[name](*arguments, iterations=times, **call.keywords), expected)


@given(call=calls(), delta=st.integers(-9, 9))
@strategies.few
def test_any_correlation_with_whole_weights(call, delta):
    import cv2

    kernel = np.random.default_rng(call.seed).integers(-4, 5, call.size[::-1]).astype(np.float32)
    expected = cv2.filter2D(call.source, -1, kernel, delta=delta, **call.keywords)
    found = ours.filter2D(call.source, -1, kernel, delta=delta, **call.keywords)
    if found.dtype.kind == "f":
        assert_close(found, expected, magnitude(call.source, kernel, ours.BORDER_REPLICATE) + abs(delta))
    else:
        assert_same(found, expected)
