"""Outer products on images wide enough to be read where they lie, beside borders, buffers and blocks."""

import imkernels as ik
import numpy as np
import pytest

from . import cases
from .cases import assert_same_bits, seeded_image

SIZES = [(1, 3), (3, 1), (2, 2), (3, 3), (5, 4), (7, 7), (4, 9), (16, 5), (12, 33)]
sizes = pytest.mark.parametrize("size", SIZES, ids=str)


def factors(size, largest, seed=0):
    """Return a column and a row of whole numbers."""
    rng = np.random.default_rng(seed)
    return tuple(rng.integers(-largest, largest + 1, extent) for extent in size)


def exact_sums(image, column, row, mode="reflect", cval=0):
    """Return the sums by shifted copies of the padded image, in 64-bit integers."""
    before = [(len(factor) // 2, (len(factor) - 1) // 2) for factor in (column, row)]
    fill = {"constant_values": cval} if mode == "constant" else {}
    padded = np.pad(image.astype(np.int64), before, cases.NUMPY_PAD[mode], **fill)
    height, width = image.shape
    down = sum(int(weight) * padded[i : i + height] for i, weight in enumerate(column))
    return sum(int(weight) * down[:, j : j + width] for j, weight in enumerate(row))


@sizes
@pytest.mark.parametrize("mode", cases.MODES)
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "f4"])
def test_whole_numbers_are_exact(dtype, mode, size):
    image = seeded_image((37, 165), "i1" if dtype == "f4" else dtype).astype(dtype)
    column, row = factors(size, 3)
    weights = "f4" if dtype == "f4" else "i1"
    found = ik.correlate_separable(image, column.astype(weights), row.astype(weights), mode=mode, cval=3)
    np.testing.assert_array_equal(found, exact_sums(image, column, row, mode, 3))


@pytest.mark.parametrize("result", ["u1", "i1", "u2", "i2"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "f4"])
@sizes
def test_results_are_rounded_half_to_even_and_saturated(size, dtype, result):
    image = seeded_image((30, 140), "u1").astype(dtype)
    column, row = factors(size, 7)
    exact = exact_sums(image, column, row) / 64  # sums of few bits, exact in float32
    found = ik.correlate_separable(
        image, (column / 8).astype("f4"), (row / 8).astype("f4"), dtype=result, casting="unsafe"
    )
    limits = np.iinfo(result)
    np.testing.assert_array_equal(found, np.rint(exact).clip(limits.min, limits.max))
    assert found.dtype == result


@pytest.mark.parametrize("result", ["u1", "i1", "u2", "i2"])
def test_what_is_no_number_of_the_result(result):
    image = np.zeros((5, 200), np.float32)
    image[:, 20:80:20] = np.nan, np.inf, -np.inf
    found = ik.correlate_separable(image, np.ones(1, "f4"), np.ones(1, "f4"), dtype=result, casting="unsafe")
    limits = np.iinfo(result)
    np.testing.assert_array_equal(found[:, 20:80:20], np.tile([0, limits.max, limits.min], (5, 1)))
    assert np.count_nonzero(found) == (10 if limits.min < 0 else 5)


@sizes
@pytest.mark.parametrize("result", ["u1", "i4"])
def test_narrow_sums_of_bytes(result, size):
    image = seeded_image((33, 260), "u1")
    column, row = factors(size, 1)  # below 2^15: 16 bits are enough
    exact = exact_sums(image, column, row)
    found = ik.correlate_separable(image, column.astype("i1"), row.astype("i1"), dtype=result, casting="unsafe")
    np.testing.assert_array_equal(found, exact.clip(0, 255) if result == "u1" else exact)


@pytest.mark.parametrize("mode", cases.MODES)
@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "f2", "f4", "f8"])
def test_bits_do_not_depend_on_how_the_image_lies(dtype, mode):
    image = seeded_image((41, 300), dtype)
    if image.dtype.kind == "f":
        image[np.abs(image) > 1e4] = 1
    rng = np.random.default_rng(2)
    for size in [(3, 3), (5, 8), (13, 7)]:
        column, row = (rng.standard_normal(extent).astype("f8" if dtype == "f8" else "f4") for extent in size)
        expected = ik.correlate_separable(image, column, row, mode=mode, cval=2)
        for _, other in cases.layouts(image):
            assert_same_bits(ik.correlate_separable(other, column, row, mode=mode, cval=2), expected)
        part = ik.correlate_separable(image[:, 100:170].copy(), column, row, mode=mode, cval=2)
        assert_same_bits(part[:, 8:-8], expected[:, 108:162])


@pytest.mark.parametrize("dtype", ["u1", "f4", "f8"])
@pytest.mark.parametrize("size", [3, 9, 31])
def test_rows_a_power_of_two_apart(size, dtype):
    image = seeded_image((70, 4096 // np.dtype(dtype).itemsize), dtype)
    weights = np.random.default_rng(3).standard_normal(size).astype("f8" if dtype == "f8" else "f4")
    apart = np.zeros((70, image.shape[1] + 48), dtype)[:, : image.shape[1]]
    apart[...] = image
    found = ik.correlate_separable(image, weights, weights)
    assert_same_bits(ik.correlate_separable(apart, weights, weights), found)


@pytest.mark.parametrize("place", [(0, 0), (20, 90), (39, 299), (5, 64)])
@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e30])
def test_what_a_pixel_spoils_stays_in_its_windows(poison, place):
    image = seeded_image((40, 300), "f4")
    column, row = (np.random.default_rng(4).standard_normal(extent).astype("f4") for extent in (5, 9))
    clean = ik.correlate_separable(image, column, row, mode="constant")
    image[place] = poison
    spoilt = ik.correlate_separable(image, column, row, mode="constant")
    y, x = place
    inside = np.zeros(image.shape, bool)
    inside[max(0, y - 2) : y + 3, max(0, x - 4) : x + 5] = True
    assert_same_bits(spoilt[~inside], clean[~inside])
    assert (spoilt[inside] != clean[inside]).all()


@pytest.mark.parametrize(
    ("size", "keywords"),
    [
        ((1500, 3), {}),  # more rows than are kept
        ((3, 5000), {}),
        ((5, 40_000), {}),  # along in blocks
        ((1200, 4000), {"stride": (7, 9)}),
        ((4, 3), {"dilation": (700, 900)}),
        ((3, 4), {"dilation": (2, 20_000)}),
        ((9, 7), {"dilation": (3, 2)}),
        ((6, 5), {"stride": (2, 3)}),
        ((2, 2), {"stride": (5, 7)}),
        ((3, 3), {"stride": (1, 2), "dilation": (2, 1)}),
    ],
    ids=str,
)
@pytest.mark.parametrize("mode", ["wrap", "constant"])
def test_windows_of_all_extents(mode, size, keywords):
    image = seeded_image((29, 150), "u1") % 4
    column, row = (factor.astype("i1") for factor in factors(size, 1))
    geometry = {"mode": mode, "cval": 1, **keywords}
    found = ik.correlate_separable(image, column, row, **geometry)
    dilation, step = keywords.get("dilation", (1, 1)), keywords.get("stride", (1, 1))
    offsets = [(np.arange(len(f)) - len(f) // 2) * apart for f, apart in zip((column, row), dilation, strict=True)]
    expected = image.astype(int) - (1 if mode == "constant" else 0)
    for factor, places, extent in zip((column, row), offsets, image.shape, strict=True):
        matrix = np.zeros((extent, extent), int)  # of the weights of pixels in results
        results, taps = np.mgrid[:extent, : len(factor)]
        pixels = results + places[taps]
        pixels = pixels % extent if mode == "wrap" else pixels
        inside = (pixels >= 0) & (pixels < extent)
        np.add.at(matrix, (results[inside], pixels[inside]), factor[taps[inside]])
        expected = (matrix @ expected).T
    if mode == "constant":  # what stands outside is 1: the sum of all weights, and what the image differs from 1
        expected = expected + int(column.astype(int).sum()) * int(row.astype(int).sum())
    np.testing.assert_array_equal(found, expected[:: step[0], :: step[1]])


@pytest.mark.parametrize("dtype", ["u1", "f4"])
def test_channels_side_by_side(dtype):
    image = seeded_image((31, 90, 3), "u1").astype(dtype)
    column, row = (factor.astype("i1" if dtype == "u1" else "f4") for factor in factors((5, 7), 2))
    found = ik.correlate_separable(image, column, row, axes=(0, 1))
    for channel in range(3):
        np.testing.assert_array_equal(found[..., channel], exact_sums(image[..., channel], column, row))


def test_results_that_go_past_the_caches():
    image = seeded_image((1030, 4100), "u1").astype("f4")
    column, row = factors((4, 5), 3)
    found = ik.correlate_separable(image, column.astype("f4"), row.astype("f4"), mode="mirror")
    np.testing.assert_array_equal(found, exact_sums(image, column, row, "mirror"))


@pytest.mark.parametrize("columns", [1, 2, 3, 4, 70])
@pytest.mark.parametrize("stride", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["u1", "f4", "i8"])
def test_few_results_in_a_row(dtype, stride, columns):
    for taps in [1, 2, 4, 5, 6, 8, 11, 13, 100, 130, 301]:
        image = seeded_image((6, (columns - 1) * stride + taps), "i1").view("u1" if dtype == "u1" else "i1")
        column, row = factors((2, taps), 5, seed=taps)
        windows = np.lib.stride_tricks.sliding_window_view(image.astype(np.int64), (2, taps))[:, ::stride]
        weights = dtype if dtype != "u1" else "i2"
        found = ik.correlate_separable(
            image.astype(dtype), column.astype(weights), row.astype(weights), stride=(1, stride), padding="valid"
        )
        np.testing.assert_array_equal(found, np.einsum("yxij,i,j->yx", windows, column, row))


def test_dilated_windows_over_long_rows():
    image = seeded_image((9, 60_000), "u1")
    kernel = np.array([[1, -2, 3], [0, 4, 1], [2, 2, -1]], np.int8)
    places = np.arange(60_000 - 2 * 20_000)
    expected = sum(
        int(kernel[i, j]) * image[i : i + 7].astype(int)[:, places + 20_000 * j] for i in range(3) for j in range(3)
    )
    found = ik.correlate(image, kernel, dilation=(1, 20_000), padding="valid", method="direct")
    np.testing.assert_array_equal(found, expected)
