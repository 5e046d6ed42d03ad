"""docs/modes.md: every row of its tables and every sentence below them, computed with the libraries that it names."""

import re
from pathlib import Path

import imkernels as ik
import numpy as np
import pytest

from tests.cases import ALIASES, MODES

PAGE = Path(__file__).parents[1] / "docs" / "modes.md"
ROW = np.array([[10.0, 11.0, 12.0, 13.0]])
OUTSIDE = 99.0
LETTERS = {"a": 10.0, "b": 11.0, "c": 12.0, "d": 13.0, "k": OUTSIDE}
LIBRARIES = ["ours", "scipy", "numpy", "opencv", "torch"]
ALL_NAMES = {
    "numpy": ["symmetric", "reflect", "edge", "wrap", "constant"],
    "scipy": ["reflect", "mirror", "nearest", "wrap", "constant", *ALIASES],
    "opencv": ["BORDER_REFLECT", "BORDER_REFLECT_101", "BORDER_REPLICATE", "BORDER_WRAP", "BORDER_CONSTANT"],
    "torch": ["reflect", "replicate", "circular", "constant"],
}


def tables():
    """Return the tables of the page: a list of rows each, without the head."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", PAGE.read_text(encoding="utf-8"), re.MULTILINE):
        rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in block.splitlines()]
        found.append([[cell.strip().replace(r"\|", "|") for cell in row] for row in rows[2:]])
    return found


def words(cell):
    """Return what stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


MODE_ROWS, ANCHOR_ROWS = tables()
MODE_CELLS = [
    pytest.param(library, name, row[1], id=f"{words(row[0])[0]}-{library}-{name}")
    for row in MODE_ROWS
    for library, cell in zip(LIBRARIES, [row[0], *row[2:]], strict=True)
    for name in words(cell)
]


class Padder:
    """Pads rows by the modes of other libraries."""

    def __init__(self, cv2, scipy_ndimage, torch):
        self.cv2 = cv2
        self.ndimage = scipy_ndimage
        self.torch = torch

    def ours(self, row, count, mode):
        return ik.correlate(row, [[1.0]], padding=(0, count), mode=mode, cval=OUTSIDE)

    def numpy(self, row, count, mode):
        keywords = {"constant_values": OUTSIDE} if mode == "constant" else {}
        return np.pad(row, ((0, 0), (count, count)), mode=mode, **keywords)

    def scipy(self, row, count, mode):
        """Let filters along the row read the pixels outside, one tap away each."""
        padded = np.empty((1, row.size + 2 * count))
        padded[:, count : count + row.size] = row
        for away in range(1, count + 1):
            first = np.eye(2 * away + 1)[0]
            padded[0, count - away] = self.ndimage.correlate1d(row, first, mode=mode, cval=OUTSIDE)[0, 0]
            padded[0, away - count - 1] = self.ndimage.correlate1d(row, first[::-1], mode=mode, cval=OUTSIDE)[0, -1]
        return padded

    def opencv(self, row, count, mode):
        return self.cv2.copyMakeBorder(row, 0, 0, count, count, getattr(self.cv2, mode), value=OUTSIDE)

    def torch_at_once(self, row, count, mode):
        keywords = {"value": OUTSIDE} if mode == "constant" else {}
        tensor = self.torch.from_numpy(row)[None, None]
        pads = (count, count, 0, 0)
        return self.torch.nn.functional.pad(tensor, pads, mode=mode, **keywords).numpy()[0, 0]


@pytest.fixture
def padder(cv2, scipy_ndimage, torch):
    return Padder(cv2, scipy_ndimage, torch)


def padded_by(padder, library, name):
    """Return what a library puts around ROW: four pixels on each side, three where it has no more."""
    if library != "torch":
        return getattr(padder, library)(ROW, 4, name)
    return padder.torch_at_once(ROW, 3 if name == "reflect" else 4, name)


def same_picture(padded, picture):
    """Whether a padded row is that of a picture, or its middle part."""
    drawn = [LETTERS[letter] for letter in picture.strip("`").replace("|", "").split()]
    cut = (len(drawn) - padded.size) // 2
    return padded[0].tolist() == drawn[cut : len(drawn) - cut]


def test_the_page_has_every_mode_and_every_name():
    assert sorted(name for row in MODE_ROWS for name in words(row[0])) == sorted([*MODES, *ALIASES])
    for number, library in enumerate(LIBRARIES[1:], 2):
        named = [name for row in MODE_ROWS for name in words(row[number])]
        assert len(named) == len(set(named))
        assert set(ALL_NAMES[library]) <= set(named)


@pytest.mark.parametrize(("library", "name", "picture"), MODE_CELLS)
def test_a_mode_gives_its_picture(padder, library, name, picture):
    assert same_picture(padded_by(padder, library, name), picture)


@pytest.mark.parametrize("row", MODE_ROWS, ids=lambda row: words(row[0])[0])
def test_what_a_row_does_not_name_gives_another_picture(padder, row):
    for number, library in enumerate(LIBRARIES[1:], 2):
        assert (row[number] == "-") == (not words(row[number]))
        for name in set(ALL_NAMES[library]) - set(words(row[number])):
            assert not same_picture(padded_by(padder, library, name), row[1]), (library, name)


# What else differs


def test_defaults(cv2, scipy_ndimage, torch):
    image = np.random.default_rng(1).random((6, 7))
    mean = np.full((3, 3), 1 / 9)
    found = ik.correlate(image, mean)
    np.testing.assert_allclose(found, ik.correlate(image, mean, mode="reflect"), rtol=0)
    np.testing.assert_allclose(found, scipy_ndimage.correlate(image, mean))
    np.testing.assert_allclose(cv2.filter2D(image, -1, mean), ik.correlate(image, mean, mode="mirror"))
    padded = ik.correlate(image, [[1.0]], padding=2, mode="constant")
    np.testing.assert_array_equal(np.pad(image, 2), padded)
    np.testing.assert_array_equal(torch.nn.functional.pad(torch.from_numpy(image), (2, 2, 2, 2)).numpy(), padded)


def test_the_median_of_opencv_is_that_of_nearest(cv2):
    image = np.random.default_rng(2).integers(0, 256, (9, 8), dtype=np.uint8)
    for size in (3, 5, 7):
        found = cv2.medianBlur(image, size)
        np.testing.assert_array_equal(found, ik.median_filter(image, size, mode="nearest"))
        assert (found != ik.median_filter(image, size, mode="mirror")).any()


@pytest.mark.parametrize("extent", [1, 2, 4])
@pytest.mark.parametrize("mode", MODES)
def test_pads_larger_than_the_image(padder, mode, extent):
    names = next(row for row in MODE_ROWS if mode in words(row[0]))
    row = ROW[:, :extent]
    found = padder.ours(row, 11, mode)
    np.testing.assert_array_equal(found, padder.scipy(row, 11, words(names[2])[0]))
    np.testing.assert_array_equal(found, padder.numpy(row, 11, words(names[3])[0]))


def test_pads_that_pytorch_refuses(padder):
    for name, most in (("reflect", 3), ("circular", 4)):
        assert padder.torch_at_once(ROW, most, name).size == 4 + 2 * most
        with pytest.raises(RuntimeError, match="Padding"):
            padder.torch_at_once(ROW, most + 1, name)
    with pytest.raises(RuntimeError, match="Padding"):
        padder.torch_at_once(ROW[:, :1], 1, "reflect")
    np.testing.assert_array_equal(padder.ours(ROW[:, :1], 1, "mirror"), [[10, 10, 10]])


def test_wrap_has_another_period_where_scipy_interpolates(scipy_ndimage):
    places = [[-1, -2, 4, 5]]
    found = ik.correlate(ROW, [[1.0]], padding=(0, 2), mode="wrap")[0, [1, 0, 6, 7]]
    grid = scipy_ndimage.map_coordinates(ROW[0], places, order=0, mode="grid-wrap")
    np.testing.assert_array_equal(found, grid)
    assert (scipy_ndimage.map_coordinates(ROW[0], places, order=0, mode="wrap") != grid).all()
    shifted = ik.correlate(ROW, [[1.0]], padding=((0, 0), (2, 0)), mode="wrap")[0, :4]
    np.testing.assert_array_equal(scipy_ndimage.shift(ROW[0], 2, order=0, mode="grid-wrap"), shifted)
    assert (scipy_ndimage.shift(ROW[0], 2, order=0, mode="wrap") != shifted).any()


def test_filters_of_opencv_refuse_to_wrap(cv2):
    for call in (
        lambda: cv2.filter2D(ROW, -1, np.ones((1, 3)), borderType=cv2.BORDER_WRAP),
        lambda: cv2.GaussianBlur(ROW, (3, 1), 1, borderType=cv2.BORDER_WRAP),
    ):
        with pytest.raises(cv2.error):
            call()


@pytest.mark.parametrize("modes", [("reflect", "wrap"), ("wrap", "nearest"), ("constant", "mirror")])
def test_a_mode_for_rows_and_another_for_columns(scipy_ndimage, modes):
    image = np.random.default_rng(3).random((5, 6))
    found = ik.box_blur(image, (3, 4), mode=modes)
    np.testing.assert_allclose(found, scipy_ndimage.uniform_filter(image, (3, 4), mode=modes))
    for one in modes:
        assert (found != ik.box_blur(image, (3, 4), mode=one)).any()
    with pytest.raises(RuntimeError, match="sequence of modes is not supported"):
        scipy_ndimage.median_filter(image, (3, 4), mode=modes)
    # Each axis by itself: rows are padded by the one mode, columns by the other.
    padded = image
    for axis, mode in enumerate(modes):
        pads = tuple((2, 2) if axis == along else (0, 0) for along in (0, 1))
        padded = ik.correlate(padded, [[1.0]], padding=pads, mode=mode)
    wanted = ik.median_filter(padded, (3, 4), padding="valid")[1:6, :6]
    np.testing.assert_array_equal(ik.median_filter(image, (3, 4), mode=modes), wanted)


def test_learned_convolutions_stand_in_zeros(torch):
    x = np.random.default_rng(5).random((2, 4, 5))
    layer = torch.nn.Conv2d(2, 3, 3, padding=2, padding_mode="zeros", bias=False, dtype=torch.float64)
    weight = layer.weight.detach()
    wanted = layer(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(ik.conv2d(x, weight, padding=2), wanted, atol=1e-12)


def test_pooling_has_nothing_outside():
    image = np.full((2, 2), -3.0)
    assert (ik.max_pool(image, 2, padding=1) == -3).all()
    assert (ik.avg_pool(image, 2, padding=1, count_include_pad=False) == -3).all()
    for function in (ik.max_pool, ik.max_pool_with_argmax, ik.avg_pool, ik.conv2d):
        assert "mode" not in function.__signature__.parameters


# Anchors


def pixels_before(correlate, size):
    """Return how many pixels before its own a window begins: where its first tap finds the one pixel that is set."""
    image = np.zeros((1, 41))
    image[0, 20] = 1
    first = np.zeros((1, size))
    first[0, 0] = 1
    return int(np.argmax(np.asarray(correlate(image, first)))) - 20


def correlate_of(name, cv2, ndimage, torch):
    if name.startswith("PyTorch"):
        convolve = torch.nn.functional.conv2d
        return lambda image, taps: convolve(*(torch.from_numpy(a)[None, None] for a in (image, taps)), padding="same")
    if name.startswith("OpenCV"):
        return lambda image, taps: cv2.filter2D(image, -1, taps, anchor=(-1, -1))
    return ik.correlate if name.startswith("here") else ndimage.correlate


SIZES = range(1, 9)


def value(formula, size):
    """Return the value of a formula of the page, which knows K alone."""
    return eval(formula, {"__builtins__": {}}, {"K": size})


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize("row", ANCHOR_ROWS, ids=lambda row: row[0].split(",")[0].strip("`").split("`")[0])
def test_anchors(row, cv2, scipy_ndimage, torch):
    correlate = correlate_of(row[0].strip("`"), cv2, scipy_ndimage, torch)
    formula, picture, origin = (words(cell)[0] for cell in row[1:])
    for size in SIZES:
        before = value(formula, size)
        assert pixels_before(correlate, size) == before

        def placed(image, taps, size=size):
            return ik.correlate(image, taps, origin=(0, value(origin, size)))

        assert pixels_before(placed, size) == before
    assert picture.split().index("[x]") == value(formula, 4)


def test_the_table_of_anchors_is_whole():
    assert [row[0].strip("`").split("`")[0].split(",")[0] for row in ANCHOR_ROWS] == [
        "here",
        "scipy.ndimage",
        "OpenCV",
        "PyTorch",
    ]


def test_origins_as_anchors_of_opencv(cv2, scipy_ndimage):
    image = np.random.default_rng(6).random((9, 11))
    kernel = np.random.default_rng(7).random((4, 5))
    for origin in ((-2, -2), (0, 1), (1, 2), (1, -1)):
        anchor = (5 // 2 + origin[1], 4 // 2 + origin[0])  # columns come first
        found = ik.correlate(image, kernel, origin=origin)
        wanted = cv2.filter2D(image, -1, kernel, anchor=anchor, borderType=cv2.BORDER_REFLECT)
        np.testing.assert_allclose(found, wanted)
        np.testing.assert_allclose(found, scipy_ndimage.correlate(image, kernel, origin=origin))


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
def test_the_padding_that_is_pytorchs_same(torch):
    x = np.random.default_rng(8).random((2, 7, 8))
    for size in SIZES:
        weight = np.random.default_rng(9).random((3, 2, size, size))
        sides = ((size - 1) // 2, size // 2)
        found = ik.conv2d(x, weight, padding=(sides, sides))
        wanted = torch.nn.functional.conv2d(torch.from_numpy(x)[None], torch.from_numpy(weight), padding="same")
        np.testing.assert_allclose(found, wanted[0].numpy())


def test_anchors_of_convolution(scipy_ndimage):
    from scipy import signal

    image = np.random.default_rng(10).random((9, 11))
    row = image[0]
    for size in SIZES:
        taps = np.random.default_rng(11).random(size)
        found = ik.convolve(row[None], taps[None], mode="constant")[0]
        np.testing.assert_allclose(found, np.convolve(row, taps, mode="same"))
        kernel = np.outer(taps, taps[::-1] + 0.5)
        found = ik.convolve(image, kernel, mode="constant")
        np.testing.assert_allclose(found, signal.convolve2d(image, kernel, mode="same"))
        theirs = scipy_ndimage.convolve(image, kernel, mode="constant")
        origin = -1 if size % 2 == 0 else 0
        np.testing.assert_allclose(ik.convolve(image, kernel, mode="constant", origin=origin), theirs)
        assert np.allclose(found, theirs) == (size % 2 == 1)
