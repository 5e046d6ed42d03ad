"""The methods of order filters: each gives the bits of ``method="select"`` wherever it applies."""

import itertools

import imkernels as ik
import numpy as np
import pytest

from tests.cases import DTYPES, MIXED_MODES, MODES, TILE_HEIGHTS, TILE_WIDTHS, assert_same_bits, random_image

SIZES = [3, 5, 7]
EXTREMA = [(ik.rank_filter, 0), (ik.rank_filter, -1), (ik.percentile_filter, 0), (ik.percentile_filter, 100)]


BORDERS = [*MODES, *MIXED_MODES]
POLICIES = ["propagate", "omit"]
ENDS = [*((height, 17) for height in TILE_HEIGHTS), *((9, width) for width in TILE_WIDTHS)]


def with_nans(rng, shape, dtype, share=0.03):
    image = random_image(rng, shape, dtype)
    if image.dtype.kind == "f":
        image[rng.random(shape) < share] = np.nan
        image[rng.random(shape) < share] = rng.choice([np.inf, -np.inf, 0.0, -0.0])
    return image


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("size", SIZES)
def test_networks_give_the_bits_of_selection(size, dtype):
    rng = np.random.default_rng(size)
    places = itertools.cycle(itertools.product(BORDERS, POLICIES, [1, 2, 3, (3, 1), (1, 5)]))
    for shape in [(1, 1), (1, 70), (70, 1), (9, 13), (2, 34, 133), (40, 300)]:
        for _ in range(7):
            mode, nan, stride = next(places)
            image = with_nans(rng, shape, dtype)
            keywords = {"mode": mode, "nan": nan, "stride": stride}
            selected = ik.median_filter(image, size, method="select", **keywords)
            assert_same_bits(ik.median_filter(image, size, method="network", **keywords), selected)


@pytest.mark.parametrize("extents", ENDS)
@pytest.mark.parametrize("place", [{"padding": "valid"}, {"padding": ((9, 1), (0, 12))}, {"origin": (-1, 1)}], ids=str)
def test_networks_at_the_ends_of_tiles(extents, place):
    image = random_image(np.random.default_rng(1), extents, "u2")
    selected = ik.median_filter(image, 5, method="select", **place)
    assert_same_bits(ik.median_filter(image, 5, method="network", **place), selected)


def test_every_binary_window_of_nine():
    """By the 0-1 principle a network that is right for these is right for all."""
    windows = (np.arange(2**9)[:, None] >> np.arange(9)) & 1
    images = windows.reshape(-1, 3, 3).astype(np.uint8)
    medians = ik.median_filter(images, 3, padding="valid", method="network")
    np.testing.assert_array_equal(medians[:, 0, 0], windows.sum(axis=1) >= 5)


@pytest.mark.parametrize("size", [5, 7])
@pytest.mark.parametrize("rows", [1, 2, 3, 4])
def test_binary_windows(size, rows):
    """Around the middle, where one pixel decides, and in every row of a network's tile."""
    rng = np.random.default_rng(size)
    ones = rng.integers(size**2 // 2 - 2, size**2 // 2 + 4, 20_000)
    pixels = (rng.random((20_000, size**2)).argsort(axis=1) < ones[:, None]).astype(np.uint8)
    images = np.zeros((20_000, size + rows - 1, size), np.uint8)
    images[:, -size:] = pixels.reshape(-1, size, size)
    medians = ik.median_filter(images, size, padding="valid", method="network")
    np.testing.assert_array_equal(medians[:, -1, 0], ones > size**2 // 2)


@pytest.mark.sweep
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_every_window_of_special_values(dtype):
    """All windows of 3 x 3 over seven values, 40 million of them."""
    values = np.array([np.nan, -np.inf, -1.0, -0.0, 0.0, 1.0, np.inf], dtype)
    digits = np.indices((7,) * 6).reshape(6, -1)
    for first in itertools.product(range(7), repeat=3):
        windows = np.empty((digits.shape[1], 9), dtype)
        windows[:, :3] = values[list(first)]
        windows[:, 3:] = values[digits.T]
        images = windows.reshape(-1, 3, 3)
        for nan in ("propagate", "omit"):
            keywords = {"padding": "valid", "nan": nan}
            selected = ik.median_filter(images, 3, method="select", **keywords)
            assert_same_bits(ik.median_filter(images, 3, method="network", **keywords), selected)
        lowest, highest = (ik.percentile_filter(images, p, 3, padding="valid") for p in (0, 100))
        has_nan = np.isnan(windows).any(axis=1)
        np.testing.assert_array_equal(np.isnan(lowest).ravel(), has_nan)
        np.testing.assert_array_equal(lowest.ravel()[~has_nan], windows[~has_nan].min(axis=1))
        np.testing.assert_array_equal(highest.ravel()[~has_nan], windows[~has_nan].max(axis=1))


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("size", [3, 5])
def test_opencv(cv2, size, dtype):
    image = np.abs(random_image(np.random.default_rng(7), (61, 143), dtype))
    np.testing.assert_array_equal(ik.median_filter(image, size, mode="nearest"), cv2.medianBlur(image, size))


@pytest.mark.parametrize(
    "keywords",
    [
        {"size": 9},
        {"size": (3, 5)},
        {"size": 1},
        {"size": 4},
        {"size": 3, "stride": (4, 1)},
        {"footprint": [[0, 1, 0], [1, 1, 1], [0, 1, 0]]},
    ],
    ids=str,
)
def test_windows_without_a_network(keywords):
    image = np.zeros((12, 12), np.uint8)
    with pytest.raises(ValueError, match="method must be 'auto' or 'select' for this window, got 'network': there are"):
        ik.median_filter(image, method="network", **keywords)
    ik.median_filter(image, **keywords)


def test_a_footprint_of_the_whole_square_has_a_network():
    image = random_image(np.random.default_rng(8), (12, 12), "i4")
    found = ik.median_filter(image, footprint=np.ones((3, 3), bool), method="network")
    assert_same_bits(found, ik.median_filter(image, 3, method="select"))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    ("function", "which"), EXTREMA, ids=[f"{function.__name__}-{which}" for function, which in EXTREMA]
)
def test_scans_give_the_bits_of_selection(function, which, dtype):
    rng = np.random.default_rng(9)
    sizes = itertools.cycle([(1, 1), (2, 3), (3, 2), (5, 1), (1, 6), (7, 9), (31, 17), (50, 4), (4, 4), (9, 64)])
    places = itertools.cycle(itertools.product(BORDERS, POLICIES, [1, 2, (1, 5), (40, 3)]))
    for shape in [(1, 1), (1, 70), (70, 1), (9, 13), (2, 34, 133), (40, 300)]:
        for _ in range(5):
            mode, nan, stride = next(places)
            image = with_nans(rng, shape, dtype)
            size = next(sizes)
            keywords = {"mode": mode, "nan": nan, "stride": stride}
            selected = function(image, which, size, method="select", **keywords)
            assert_same_bits(function(image, which, size, **keywords), selected)


@pytest.mark.parametrize("extents", [(2500, 3), (3, 5000), (300, 2100)])
@pytest.mark.parametrize("size", [3, 4, 5, 31])
def test_scans_at_the_ends_of_tiles(extents, size, scipy_ndimage):
    image = random_image(np.random.default_rng(10), extents, "i2")
    np.testing.assert_array_equal(ik.maximum_filter(image, size), scipy_ndimage.maximum_filter(image, size))
    np.testing.assert_array_equal(ik.minimum_filter(image, size), scipy_ndimage.minimum_filter(image, size))
