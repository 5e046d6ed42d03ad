"""Sums as stand-ins for other libraries ask for them: with something added, cut off, or multiplied as floats.

At every level and by every path, against Python's integers and fractions.
"""

from fractions import Fraction

import numpy as np
import pytest
from imkernels import _core

from tests.cases import INTEGERS, layouts, seeded_image
from tests.private_layer import Layer
from tests.reference.windows import windows

LEVELS = _core.available_levels()
# Below and above the widest vectors of bytes, small images that are taken together, and many channels of them.
SHAPES = [(1, 1), (3, 5), (2, 9, 17), (5, 33), (4, 130), (3, 300)]


def images(number, dtype=np.uint8):
    """Return two images, of shapes that vary with the number."""
    return [seeded_image(SHAPES[(number + other) % len(SHAPES)], dtype, number) for other in (0, 3)]


@pytest.fixture(params=LEVELS)
def layer(request):
    return Layer(_core.load_level(request.param))


def cut_off(quotient):
    return int(quotient)  # as Python does


def to_integers(values, dtype, rounded=round):
    """Return exact numbers as integers: rounded (by Python half to even), and saturated."""
    limits = np.iinfo(dtype)
    whole = [min(max(rounded(value), int(limits.min)), int(limits.max)) for value in values.ravel()]
    return np.array(whole, dtype).reshape(values.shape)


def exact_sums(image, size, **geometry):
    return windows(image, size, **geometry).astype(object).sum((-2, -1))


def quotients(sums, taps):
    return np.vectorize(lambda total: Fraction(total, taps), [object])(sums)


def extremes(shape, dtype, seed=0):
    """Return an image of small numbers and of the least and the largest."""
    limits = np.iinfo(dtype)
    rng = np.random.default_rng(seed)
    near = rng.integers(0, 4, shape)
    low = (int(limits.min) + near.astype(object)).astype(dtype)
    high = (int(limits.max) - near.astype(object)).astype(dtype)
    return np.choose(rng.integers(0, 3, shape), [near.astype(dtype), low, high])


# Means


MEANS = [(1, 1), (1, 2), (2, 2), (3, 3), (1, 7), (4, 4), (5, 6), (16, 16), (15, 17), (1, 100), (300, 2)]


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_means_that_are_cut_off(dtype, layer):
    for number, size in enumerate(MEANS):
        taps = size[0] * size[1]
        for image in (*images(number, dtype), extremes((5, 33), dtype, number)):
            sums = exact_sums(image, size)
            for delta in (0, taps // 2, taps):
                found = layer.box_blur(image, size, toward_zero=True, delta=delta)
                np.testing.assert_array_equal(found, to_integers(quotients(sums + delta, taps), dtype, cut_off))


def test_every_number_of_bytes_whose_mean_is_cut_off(layer):
    """A row of pixels in blocks, each of them a window: beside all steps from mean to mean."""
    for taps in range(1, 257):
        steps = np.arange(0, 256) * taps
        sums = np.concatenate([steps - 1, steps, steps + 1]).clip(0, 255 * taps)
        low, more = sums // taps, sums % taps
        blocks = (low[:, None] + (np.arange(taps) < more[:, None])).astype(np.uint8)
        window = layer.module.Window((1, taps), (1, taps), (1, 1), (0, 0), ("reflect", "reflect"))
        for delta in {0, taps // 2, taps // 2 + 1, taps}:
            out = np.empty((1, len(sums)), np.uint8)
            layer.module.box_blur(blocks.reshape(1, -1), out, window, True, np.zeros((1, 1), np.uint8), 1, delta, True)
            np.testing.assert_array_equal(out[0], np.minimum((sums + delta) // taps, 255))


NARROW = ["i1", "i2", "u1", "u2"]  # whose sums over few columns are made of those of even columns and of odd ones


@pytest.mark.parametrize("dtype", NARROW)
def test_rounded_means_over_few_columns(dtype, layer):
    for number, size in enumerate(
        [(1, 1), (2, 2), (3, 3), (5, 6), (7, 7), (9, 9), (40, 6), (85, 3), (2, 23), (300, 2)]
    ):
        taps = size[0] * size[1]
        for image in (*images(number, dtype), extremes((2, 5, 33), dtype, number), extremes((2, 300), dtype, number)):
            for mode in ("mirror", "constant"):
                sums = windows(image, size, mode=mode, cval=7).astype(object).sum((-2, -1))
                found = layer.box_blur(image, size, mode=mode, cval=7)
                np.testing.assert_array_equal(found, to_integers(quotients(sums, taps), dtype))


@pytest.mark.parametrize(
    "size", [(1, 2), (1, 9), (2, 12), (6, 6), (9, 7), (8, 8), (15, 15), (15, 17), (14, 18), (16, 16)]
)
@pytest.mark.parametrize("dtype", NARROW)
def test_means_around_every_tie(dtype, size, layer):
    """Windows side by side, each of pixels of two neighbouring values, some of the one and some of the other."""
    limits = np.iinfo(dtype)
    rows, columns = size
    taps = rows * columns
    lows = np.unique(np.linspace(limits.min, limits.max - 1, 2000 // taps + 5).astype(np.int64))[:, None]
    more = np.arange(taps + 1)
    pixels = (lows[..., None] + (np.arange(taps) < more[:, None])).reshape(-1, rows, columns)
    image = np.ascontiguousarray(np.moveaxis(pixels, 1, 0)).reshape(rows, -1).astype(dtype)
    for step in (1, columns):
        out = np.empty((1, (image.shape[1] - columns) // step + 1), dtype)
        window = layer.module.Window(size, (rows, step), (1, 1), (0, 0), ("reflect", "reflect"))
        layer.module.box_blur(image, out, window, True, np.zeros((1, 1), dtype), 1)
        expected = lows + (2 * more + (lows % 2 != 0) > taps)
        np.testing.assert_array_equal(out[0, :: columns // step], expected.ravel())


@pytest.mark.parametrize(
    "ending", [{}, {"toward_zero": True, "delta": 2}, {"toward_zero": True, "by_axis": True}], ids=str
)
@pytest.mark.parametrize("dtype", NARROW)
def test_channels_of_small_windows_are_blurred_as_by_themselves(dtype, ending, layer):
    for size, channels in [((3, 3), 3), ((2, 6), 4), ((4, 9), 2), ((7, 4), 5)]:
        colour = extremes((19, 150, channels), dtype, channels)
        out = np.empty_like(colour)
        planes = [np.moveaxis(pixels, -1, 0) for pixels in (colour, out)]
        layer.module.box_blur(*planes, layer.window(size), True, np.zeros((1, 1), dtype), 1, **ending)
        for channel in range(channels):
            alone = layer.box_blur(np.ascontiguousarray(colour[..., channel]), size, **ending)
            np.testing.assert_array_equal(out[..., channel], alone)


@pytest.mark.parametrize(("dtype", "rows"), [("u1", [256, 257, 258, 300]), ("u2", [32768, 32769, 40000])])
def test_sums_of_many_pixels_down_a_column(dtype, rows, layer):
    for count in rows:
        image = np.full((count, 9), np.iinfo(dtype).max, dtype)
        means = layer.box_blur(image, (count, 3), stride=(count, 1), toward_zero=True, by_axis=True)
        assert (means == image.max()).all()


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_means_to_which_something_is_added(dtype, layer):
    for size in [(2, 2), (3, 5)]:
        image = extremes((5, 40), dtype)
        exact = quotients(exact_sums(image, size) + 3, size[0] * size[1])
        np.testing.assert_array_equal(layer.box_blur(image, size, delta=3), to_integers(exact, dtype))
        found = layer.box_blur(image, size, delta=3, dtype=np.float64)
        np.testing.assert_allclose(found, exact.astype(float), rtol=1e-15)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_means_of_floats_that_are_cut_off(dtype, layer):
    image = seeded_image((6, 50), dtype)
    found = layer.box_blur(image, (1, 4), toward_zero=True, dtype=np.int16)
    exact = windows(image, (1, 4)).astype(np.float64).mean((-2, -1))
    np.testing.assert_array_equal(found, np.trunc(exact))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_products_of_sums(dtype, kind, layer):
    """NumPy rounds a sum of integers to the float, then the product."""
    for number, size in enumerate([(3, 3), (5, 4), (1, 100), (300, 2)]):
        factor = kind(1) / kind(size[0] * size[1])
        for image in images(number, dtype):
            sums = exact_sums(image, size)
            wide = np.array([kind(int(total)) for total in sums.ravel()], kind).reshape(sums.shape)
            products = wide * factor
            keywords = {"normalize": False, "factor": np.array(factor)}
            np.testing.assert_array_equal(layer.box_blur(image, size, dtype=kind, **keywords), products)
            found = layer.box_blur(image, size, dtype=np.int16, **keywords)
            np.testing.assert_array_equal(found, to_integers(products, np.int16))


# Correlations


def dyadic(shape, step, largest, seed=0):
    """Return weights that are multiples of `step`, so that sums are exact."""
    return np.random.default_rng(seed).integers(-largest, largest + 1, shape) * step


RESULTS = ["i1", "u1", "i2", "u2", "i4", "i8"]


@pytest.mark.parametrize("result", RESULTS)
@pytest.mark.parametrize("working", [np.float32, np.float64])
def test_sums_of_floats_that_are_cut_off(working, result, layer):
    for number, size in enumerate([(1, 1), (3, 3), (5, 5), (7, 7), (2, 4), (4, 1), (1, 9)]):
        kernel = dyadic(size, 1 / 8, 16).astype(working)
        for image in images(number):
            sums = (windows(image, size).astype(float) * kernel).sum((-2, -1)) - 40.625
            found = layer.correlate(image, kernel, delta=-40.625, toward_zero=True, dtype=result)
            np.testing.assert_array_equal(found, to_integers(sums, result, cut_off))
            found = layer.correlate(image, kernel, delta=-40.625, dtype=result)
            np.testing.assert_array_equal(found, to_integers(sums, result))


@pytest.mark.parametrize("result", [*RESULTS, "f4"])
@pytest.mark.parametrize("working", [np.int32, np.int64, np.float32, np.float64])
def test_separable_sums(working, result, layer):
    whole = np.dtype(working).kind == "i"
    step, delta = (1, -40) if whole else (1 / 4, -40.625)
    for number, (height, width) in enumerate([(1, 1), (3, 3), (5, 5), (7, 3), (2, 4), (1, 9), (20, 1)]):
        column, row = (dyadic(taps, step, 6, taps).astype(working) for taps in (height, width))
        for image in images(number):
            weights = np.multiply.outer(column, row).astype(float)
            sums = (windows(image, (height, width)) * weights).sum((-2, -1)) + delta
            for toward_zero in (False, True):
                found = layer.correlate_separable(
                    image, column, row, delta=delta, toward_zero=toward_zero, dtype=result
                )
                if result == "f4":
                    np.testing.assert_array_equal(found, sums.astype(result))
                else:
                    np.testing.assert_array_equal(found, to_integers(sums, result, cut_off if toward_zero else round))


@pytest.mark.parametrize("working", [np.int32, np.int64])
@pytest.mark.parametrize("magnitude", [1, 1000, 2**20])
def test_sums_of_integers_to_which_something_is_added(working, magnitude, layer):
    """They are computed in floats or in 16, 32 or 64 bits, as they fit."""
    image = seeded_image((2, 9, 70), np.uint8)
    kernel = np.array([[1, 2, 1], [-1, 5, 0], [0, -2, 1]], working)
    expected = (windows(image, (3, 3)).astype(np.int64) * kernel).sum((-2, -1)) + 33 * magnitude
    np.testing.assert_array_equal(layer.correlate(image, kernel, delta=33 * magnitude), expected)
    column, row = np.array([1, -2, 1], working), np.array([1, 3, 2], working)
    weights = np.multiply.outer(column, row)
    expected = (windows(image, (3, 3)).astype(np.int64) * weights).sum((-2, -1)) - 33 * magnitude
    np.testing.assert_array_equal(layer.correlate_separable(image, column, row, delta=-33 * magnitude), expected)


def test_windows_that_are_summed_in_blocks(layer):
    image = seeded_image((9, 10), np.uint8)
    kernel = dyadic((400, 301), 1 / 4, 2).astype(np.float64)
    sums = (windows(image, kernel.shape).astype(float) * kernel).sum((-2, -1)) + 0.75
    found = layer.correlate(image, kernel, delta=0.75, toward_zero=True, dtype=np.int32)
    np.testing.assert_array_equal(found, to_integers(sums, np.int32, cut_off))
    column, row = dyadic(1100, 1 / 4, 2).astype(np.float64), dyadic(33001, 1 / 4, 2).astype(np.float64)
    line = seeded_image((1, 5), np.uint8)
    sums = (windows(line, (1, 33001))[0, :, 0].astype(float) @ row) * column.sum() + 0.75
    found = layer.correlate_separable(line, column, row, delta=0.75, toward_zero=True, dtype=np.int64)
    np.testing.assert_array_equal(found[0], to_integers(sums, np.int64, cut_off))


@pytest.mark.parametrize("working", [np.int32, np.float32, np.float64])
def test_transformed_sums(working, layer):
    """Whole ones come out exact; a part of the image is zeros, and another so small that it is summed directly."""
    image = seeded_image((90, 120), np.uint8)
    image[:, 60:] = 0
    image[:40, :30] = 0
    image[10, 10] = 1
    kernel = dyadic((15, 15), 1, 9).astype(working)
    expected = (windows(image, (15, 15)).astype(np.int64) * kernel.astype(np.int64)).sum((-2, -1)) + 77
    np.testing.assert_array_equal(np.rint(layer.correlate_fft(image, kernel, delta=77)), expected)
    assert (layer.correlate_fft(np.zeros_like(image), kernel, delta=77) == 77).all()


@pytest.mark.parametrize("working", ["f4", "f8"])
def test_transformed_sums_of_floats_are_not_cut_off(working, layer):
    image, kernel = seeded_image((90, 120), np.uint8), np.ones((15, 15), working)
    with pytest.raises(ValueError, match="cut off"):
        layer.correlate_fft(image, kernel, toward_zero=True, dtype=np.int32)


def test_neither_layouts_nor_workers_show(layer):
    image = seeded_image((150, 333), np.int16)
    kernel, row = np.full((3, 3), 0.3, np.float32), np.full(5, 0.3, np.float32)

    def results(array):
        yield layer.box_blur(array, (4, 5), toward_zero=True, delta=7)
        yield layer.box_blur(array, (4, 5), normalize=False, factor=np.array(0.05, np.float32))
        yield layer.correlate(array, kernel, delta=0.25, toward_zero=True, dtype=np.int16)
        yield layer.correlate_separable(array, row, row, delta=0.25, toward_zero=True, dtype=np.int16)

    expected = list(results(image))
    for workers in (1, 3):
        layer.workers = workers
        for name, array in layouts(image):
            for found, right in zip(results(array), expected, strict=True):
                np.testing.assert_array_equal(found, right, err_msg=name)


@pytest.mark.parametrize(
    ("image", "ending"),
    [
        ("u1", {"delta": -1}),
        ("u1", {"delta": 10}),  # of 9 pixels
        ("u1", {"delta": 2**62}),
        ("u1", {"delta": 1, "normalize": False}),
        ("f4", {"delta": 1}),
        ("f4", {"factor": np.array(1.0), "normalize": False}),
        ("u1", {"factor": np.array(1.0)}),
        ("u1", {"factor": np.array(1, np.float16), "normalize": False}),
        ("u1", {"factor": np.ones(2), "normalize": False}),
        ("u1", {"factor": np.array(1.0), "normalize": False, "toward_zero": True}),
    ],
)
def test_endings_of_boxes_that_are_refused(image, ending, layer):
    with pytest.raises(ValueError, match=r"box_blur|factor|delta"):
        layer.box_blur(np.zeros((4, 5), image), (3, 3), **ending)


def test_deltas_of_another_type_are_refused(layer):
    image, kernel = np.zeros((4, 5), np.uint8), np.ones((3, 3), np.float32)
    out, window = np.zeros((4, 5), np.float32), layer.window((3, 3))
    for delta in (np.zeros((1, 1)), np.zeros((1, 2), np.float32), np.zeros((1, 1), ">f4")):
        with pytest.raises(ValueError, match="fill"):
            layer.module.correlate(image, kernel, out, window, np.zeros((1, 1), np.float32), 1, delta)
