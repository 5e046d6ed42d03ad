"""The methods of order filters: each gives the bits of ``method="select"`` wherever it applies."""

import itertools
import math

import imkernels as ik
import numpy as np
import pytest
from imkernels import filters
from imkernels.filters import MAXIMUM, MEDIAN

from tests.cases import DTYPES, MIXED_MODES, MODES, TILE_HEIGHTS, TILE_WIDTHS, assert_same_bits, random_image
from tests.processes import ROOT

SIZES = [3, 5, 7]
METHODS = ["network", "histogram", "sliding"]
WINDOWS = [(1, 2), (2, 1), (2, 2), (3, 3), (4, 3), (1, 9), (9, 1), (5, 6), (9, 9), (3, 17), (12, 11), (16, 15), (21, 4)]
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


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "i8"])
@pytest.mark.parametrize("size", SIZES)
def test_strides_at_the_ends_of_tiles(size, dtype):
    rng = np.random.default_rng(28)
    for columns in (250, 507, 1021, 2050, 2310):
        image = with_nans(rng, (19, columns), dtype)
        every = ik.median_filter(image, size, method="network")
        found = ik.median_filter(image, size, method="network", stride=2)
        assert_same_bits(found, np.ascontiguousarray(every[::2, ::2]))


def test_every_binary_window_of_nine():
    """By the 0-1 principle a network that is right for these is right for all."""
    windows = (np.arange(2**9)[:, None] >> np.arange(9)) & 1
    images = windows.reshape(-1, 3, 3).astype(np.uint8)
    medians = ik.median_filter(images, 3, padding="valid", method="network")
    np.testing.assert_array_equal(medians[:, 0, 0], windows.sum(axis=1) >= 5)


def test_every_binary_window_of_nine_in_a_wide_image():
    """Wide rows are read where they lie, two at once."""
    windows = (np.arange(2**9)[:, None] >> np.arange(9)) & 1
    image = np.zeros((4, 3 * 2**9), np.uint8)
    for top in (0, 1):
        image[top : top + 3] = windows.reshape(-1, 3, 3).swapaxes(0, 1).reshape(3, -1)
        medians = ik.median_filter(image, 3, padding="valid", method="network")
        np.testing.assert_array_equal(medians[top, ::3], windows.sum(axis=1) >= 5)


@pytest.mark.parametrize("dtype", ["?", "u1", "i2", "u2", "i4", "u8"])
@pytest.mark.parametrize("mode", BORDERS, ids=str)
def test_wide_windows_of_3x3(mode, dtype):
    rng = np.random.default_rng(29)
    places = itertools.cycle([{}, {"padding": "valid"}, {"padding": ((0, 3), (5, 0))}, {"origin": (1, -1)}])
    extrema = itertools.cycle([0.0, 100.0])
    heights = [1, 2, 3, 64, 67, 130]
    shapes = [(height, width) for height in heights for width in (40, 160, 161, 333)] + [(3, 8193), (2, 20_000)]
    for shape in shapes:
        image = random_image(rng, shape, dtype)
        place = {"mode": mode, "cval": 1, **next(places)}
        if place.get("padding") == "valid" and shape[0] < 3:
            continue  # no output
        for percentile in (50.0, next(extrema)):
            selected = ik.percentile_filter(image, percentile, 3, method="select", **place)
            assert_same_bits(ik.percentile_filter(image, percentile, 3, **place), selected)
            out = np.zeros((2 * selected.shape[0], 2 * selected.shape[1]), dtype)[::-2, ::2]
            assert_same_bits(ik.percentile_filter(image, percentile, 3, out=out, **place), selected)


@pytest.mark.parametrize("dtype", ["u1", "i8", "f4"])
@pytest.mark.parametrize("extents", [(4, 2), (6, 12), (1, 10), (3, 1), (0, 5), (0, 50), (5, 0)], ids=str)
@pytest.mark.parametrize("padding", [100, ((6, 6), (0, 200)), ((6, 6), (200, 0)), ((90, 0), (70, 70))], ids=str)
def test_images_that_are_smaller_than_their_padding(padding, extents, dtype):
    image = random_image(np.random.default_rng(30), extents, dtype)
    for percentile, size in itertools.product([0.0, 50.0, 100.0], [3, 5, 7]):
        mode = "constant" if image.size == 0 else "reflect"
        keywords = {"padding": padding, "mode": mode, "cval": 3}
        selected = ik.percentile_filter(image, percentile, size, method="select", **keywords)
        assert_same_bits(ik.percentile_filter(image, percentile, size, **keywords), selected)
        colour = np.repeat(image[:, :, None], 3, axis=2)
        found = ik.percentile_filter(colour, percentile, size, axes=(0, 1), **keywords)
        assert_same_bits(np.ascontiguousarray(found[..., 1]), selected)


def test_the_last_tile_of_a_row_may_have_no_window_inside():
    image = np.random.default_rng(31).integers(-9, 9, (1, 1_047_553))
    assert_same_bits(ik.median_filter(image, 3), ik.median_filter(image, 3, method="sliding"))


@pytest.mark.parametrize("size", [5, 7, 9, 11])
@pytest.mark.parametrize("rows", [1, 2, 3, 4])
def test_binary_windows(size, rows):
    """Around the middle, where one pixel decides, and at every place in a network's tile."""
    rng = np.random.default_rng(size)
    ones = rng.integers(size**2 // 2 - 2, size**2 // 2 + 4, 20_000)
    pixels = (rng.random((20_000, size**2)).argsort(axis=1) < ones[:, None]).astype(np.uint8)
    images = np.zeros((20_000, size + rows - 1, size), np.uint8)
    images[:, -size:] = pixels.reshape(-1, size, size)
    medians = ik.median_filter(images, size, padding="valid", method="network")
    np.testing.assert_array_equal(medians[:, -1, 0], ones > size**2 // 2)
    side_by_side = images.swapaxes(0, 1).reshape(size + rows - 1, -1)
    medians = ik.median_filter(side_by_side, size, padding="valid", method="network")
    np.testing.assert_array_equal(medians[-1, ::size], ones > size**2 // 2)


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


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("method", METHODS)
def test_methods_give_the_bits_of_selection(method, dtype):
    """Any rectangle, any rank and percentile, every place of the window."""
    if method == "histogram" and dtype.itemsize > 1:
        return
    rng = np.random.default_rng(20)
    places = itertools.cycle(itertools.product(BORDERS, POLICIES, [1, 2, 3, (3, 1), (1, 5), (9, 40)]))
    sizes = itertools.cycle(WINDOWS)
    for shape in [(1, 1), (1, 70), (70, 1), (9, 13), (2, 34, 133), (40, 300)]:
        for _ in range(8):
            size = next(sizes)
            mode, nan, stride = next(places)
            image = with_nans(rng, shape, dtype)
            keywords = {"mode": mode, "nan": nan, "stride": stride}
            percentile = rng.choice([0, 1, 30, 50, 77.7, 100])
            selected = ik.percentile_filter(image, percentile, size, method="select", **keywords)
            found = ik.percentile_filter(image, percentile, size, method=method, **keywords)
            assert_same_bits(found, selected)
            if nan == "propagate":
                rank = int(rng.integers(0, size[0] * size[1]))
                selected = ik.rank_filter(image, rank, size, method="select", **keywords)
                assert_same_bits(ik.rank_filter(image, rank, size, method=method, **keywords), selected)


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "i8"])
@pytest.mark.parametrize("size", range(1, 34))
def test_medians_of_every_size(size, dtype):
    """Whatever "auto" takes, and everything else."""
    image = with_nans(np.random.default_rng(size), (37, 41), dtype, share=0.002)
    selected = ik.median_filter(image, size, method="select")
    assert_same_bits(ik.median_filter(image, size), selected)
    for method in METHODS:
        if (method != "histogram" or dtype == "u1") and (method != "network" or size > 1):
            assert_same_bits(ik.median_filter(image, size, method=method), selected)


@pytest.mark.parametrize("extents", [(900, 5), (5, 2100), (430, 450)])
@pytest.mark.parametrize("place", [{}, {"padding": "valid"}, {"padding": ((9, 1), (0, 12))}, {"stride": 2}], ids=str)
def test_methods_at_the_ends_of_tiles(extents, place):
    image = random_image(np.random.default_rng(21), extents, "u1")
    for size in [(5, 4), (1, 5), (5, 1)]:
        selected = ik.rank_filter(image, 1, size, method="select", **place)
        for method in METHODS:
            assert_same_bits(ik.rank_filter(image, 1, size, method=method, **place), selected)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_sliding_set_takes_any_footprint(dtype):
    rng = np.random.default_rng(22)
    for _ in range(20):
        image = with_nans(rng, (31, 37), dtype)
        footprint = rng.random(rng.integers(1, 12, 2)) < rng.choice([0.1, 0.5, 0.9])
        footprint[tuple(rng.integers(0, footprint.shape))] = True
        keywords = {
            "footprint": footprint,
            "nan": rng.choice(POLICIES),
            "stride": tuple(rng.integers(1, 4, 2)),
            "mode": rng.choice(MODES),
        }
        percentile = rng.uniform(0, 100)
        selected = ik.percentile_filter(image, percentile, method="select", **keywords)
        assert_same_bits(ik.percentile_filter(image, percentile, method="sliding", **keywords), selected)


ADVERSARIES = {
    "constant": lambda n: np.zeros(n),
    "two values": lambda n: np.arange(n) % 2,
    "ramp": np.arange,
    "falling ramp": lambda n: -np.arange(n),
    "organ pipe": lambda n: np.minimum(np.arange(n), np.arange(n)[::-1]),
    "saw": lambda n: np.arange(n) * 7919 % 251,
    "one peak": lambda n: np.arange(n) == n // 2,
}


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("pattern", ADVERSARIES)
def test_pictures_that_are_hard_for_a_method(pattern, order):
    """By rows and by columns; what is right is told by sorting."""
    image = ADVERSARIES[pattern](60 * 70).reshape((60, 70), order=order)
    for dtype in ("u1", "i2", "f4", "f8"):
        pixels = image.astype(dtype)
        windows = np.lib.stride_tricks.sliding_window_view(pixels, (15, 15)).reshape(46, 56, -1)
        medians = np.sort(windows, axis=-1)[..., 112]
        for method in ("auto", "select", *METHODS):
            if method != "histogram" or dtype == "u1":
                np.testing.assert_array_equal(ik.median_filter(pixels, 15, padding="valid", method=method), medians)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [(9, 9), (4, 6), (21, 3)])
def test_order_filters_commute_with_what_keeps_the_order(size, method):
    image = random_image(np.random.default_rng(23), (50, 60), "u1")
    n = size[0] * size[1]
    for rank in (0, 1, n // 2, n - 3):
        found = ik.rank_filter(image, rank, size, method=method)
        rising = (np.arange(256) // 3).astype("u1")
        np.testing.assert_array_equal(ik.rank_filter(rising[image], rank, size, method=method), rising[found])
        # The complement turns the order round.
        np.testing.assert_array_equal(255 - ik.rank_filter(255 - image, n - 1 - rank, size, method=method), found)
        # A crop with what its windows see is filtered as it is within the whole.
        top, left = size[0] // 2, size[1] // 2
        crop = image[10 - top : 30 + size[0], 12 - left : 40 + size[1]]
        np.testing.assert_array_equal(
            ik.rank_filter(crop, rank, size, method=method)[top : top + 20, left : left + 28], found[10:30, 12:40]
        )


@pytest.mark.parametrize("size", [7, 9, 15, 31, 51, 101])
def test_opencv_with_large_windows(cv2, size):
    image = random_image(np.random.default_rng(24), (121, 143), "u1")
    found = ik.median_filter(image, size, mode="nearest")
    np.testing.assert_array_equal(found, cv2.medianBlur(image, size))
    for method in ("histogram", "sliding"):
        np.testing.assert_array_equal(ik.median_filter(image, size, mode="nearest", method=method), found)


@pytest.mark.parametrize(
    ("keywords", "others"),
    [
        ({"size": 61, "method": "network"}, "histogram, sliding, select"),
        ({"size": 1, "method": "network"}, "extremum, histogram, sliding, select"),
        ({"size": 3, "method": "extremum"}, "network, histogram, sliding, select"),
        ({"size": 257, "method": "histogram"}, "select"),
        ({"size": (513, 1), "method": "histogram"}, "sliding, select"),
        ({"size": 255, "method": "sliding"}, "histogram, select"),
        ({"footprint": [[0, 1, 0], [1, 1, 1], [0, 1, 0]], "method": "network"}, "sliding, select"),
    ],
    ids=str,
)
def test_methods_that_do_not_apply(keywords, others):
    image = np.zeros((12, 12), np.uint8)
    text = rf"^method must be one that computes this window, rank and dtype \({others}\), got '{keywords['method']}'"
    with pytest.raises(ValueError, match=text):
        ik.median_filter(image, **keywords)
    ik.median_filter(image, **keywords | {"method": "auto"})


def test_histograms_are_for_8_bits():
    with pytest.raises(ValueError, match=r"^method must be one that .* \(network, sliding, select\), got 'histogram'"):
        ik.median_filter(np.zeros((9, 9), "u2"), 3, method="histogram")


def chosen(image, rule=MEDIAN, **keywords):
    """Return what "auto" takes."""
    defaults = {"size": None, "footprint": None, "stride": 1, "padding": "same", "mode": "reflect", "origin": 0}
    windows = filters._order_window(image.shape, **defaults | keywords)
    return filters._method(windows, rule, image.dtype, "auto")


@pytest.mark.parametrize("item_size", [1, 2, 4, 8])
def test_the_choice_follows_the_table(item_size):
    image = np.zeros((99, 99), f"i{item_size}")
    crossover = filters.CROSSOVERS[ik.isa_level()][item_size]
    side = min(math.isqrt(crossover.network_most), 60)
    later = "histogram" if item_size == 1 else "sliding"
    assert chosen(image, size=2) == "network"
    assert chosen(image, size=side) == "network"
    assert chosen(image, size=side + 1) == later
    assert chosen(image[:, :7], size=side) == later
    assert chosen(image, size=1) == "extremum"
    assert chosen(image, rule=MAXIMUM, size=200) == "extremum"
    assert chosen(image, size=400) == "select"
    row = np.ones((1, crossover.sliding_least), bool)
    row[0, 1] = False  # a footprint
    assert chosen(image, footprint=row) == "select"
    assert chosen(image, footprint=np.append(row, [[True]], axis=1)) == "sliding"


def test_the_table_has_every_level():
    assert set(filters.CROSSOVERS) == {"baseline", "x86-64-v3", "x86-64-v4"}
    assert all(set(row) == {1, 2, 4, 8} for row in filters.CROSSOVERS.values())


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


def test_the_page_has_the_table_of_the_code():
    page = (ROOT / "docs" / "order_filters.md").read_text()
    for level, row in filters.CROSSOVERS.items():
        numbers = (f"{crossover.network_most}, {crossover.sliding_least}" for crossover in row.values())
        assert f"| {level} | {' | '.join(numbers)} |" in page


@pytest.mark.parametrize("shift", [0, 1, 40])
@pytest.mark.parametrize("function", [ik.median_filter, ik.maximum_filter, ik.minimum_filter])
@pytest.mark.parametrize(("dtype", "extents"), [("f8", (1500, 1501)), ("i8", (1500, 1501)), ("u1", (4100, 4101))])
def test_large_results_are_those_of_their_parts(dtype, extents, function, shift):
    """They are written past the caches, whatever the address."""
    image = np.random.default_rng(25).integers(0, 200, extents).astype(dtype)
    memory = np.zeros(image.nbytes + 64, np.uint8)
    out = memory[shift : shift + image.nbytes].view(dtype).reshape(extents)
    out = function(image, 3, out=out, workers=2)
    for top in range(0, extents[0], 300):
        crop = image[max(0, top - 1) : top + 301]
        part = function(crop, 3)[min(top, 1) :][:300]
        np.testing.assert_array_equal(out[top : top + 300], part)
    assert not memory[:shift].any()
    assert not memory[shift + image.nbytes :].any()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("channels", [2, 3, 4, 16, 17])
def test_interleaved_channels_are_filtered_where_they_lie(channels, dtype):
    rng = np.random.default_rng(26)
    borders = itertools.cycle([*MODES, *MIXED_MODES])
    for extents in [(1, 1), (5, 1), (1, 7), (13, 40), (17, 500)]:
        for function, window in [
            (ik.median_filter, {"size": 3}),
            (ik.median_filter, {"size": 5, "padding": ((2, 9), (11, 0))}),
            (ik.median_filter, {"size": 7, "stride": (2, 1), "nan": "omit"}),
            (ik.maximum_filter, {"size": (4, 9), "origin": (1, -3)}),
            (ik.minimum_filter, {"size": (2, 31), "stride": (1, 2)}),
        ]:
            image = with_nans(rng, (2, *extents, channels), dtype)
            keywords = {**window, "mode": next(borders)}
            planes = function(np.ascontiguousarray(np.moveaxis(image, -1, 1)), **keywords)
            found = function(image, axes=(1, 2), **keywords)
            assert_same_bits(np.ascontiguousarray(np.moveaxis(found, -1, 1)), planes)
            part = function(image[..., : channels - 1], axes=(1, 2), **keywords)  # with a gap
            assert_same_bits(np.ascontiguousarray(np.moveaxis(part, -1, 1)), np.ascontiguousarray(planes[:, :-1]))


@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "f4", "i8"])
def test_results_lie_where_they_are_asked_for(dtype):
    """Outputs at every misalignment of bytes and of rows, narrower than a vector and a little wider than some."""
    rng = np.random.default_rng(27)
    filters = [(50.0, size) for size in (3, 5, 7, 9, 11)] + [(100.0, 3), (0.0, (2, 5)), (100.0, 9), (0.0, 10)]
    shifts = itertools.cycle(range(0, 70, 3))
    for width in (1, 7, 63, 64, 65, 127, 130, 200):
        for percentile, size in filters:
            image = random_image(rng, (9, width), dtype)
            shift, gap = next(shifts), next(shifts)
            row_bytes = width * image.itemsize + gap
            memory = np.zeros(shift + 9 * row_bytes + 256, np.uint8)
            out = np.ndarray(image.shape, dtype, memory, shift, (row_bytes, image.itemsize))
            ik.percentile_filter(image, percentile, size, out=out)
            assert_same_bits(out.copy(), ik.percentile_filter(image, percentile, size, method="select"))
            out[...] = 0
            assert not memory.any()  # nothing was written anywhere else
