"""`imkernels.compat.skimage` against scikit-image itself, and against exact definitions where SciPy loses bits."""

import doctest
import inspect
import itertools
import subprocess
import sys

import imkernels.compat.skimage as ours
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from . import cases, strategies
from .conftest import peer
from .reference.median_filter import median_filter as exact_median

pytestmark = pytest.mark.wrapper

FUNCTIONS = {"median": ours.median, "gaussian": ours.gaussian, "block_reduce": ours.block_reduce}
MODES = ("nearest", "reflect", "mirror", "wrap", "constant")
DTYPES = ("?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8")


def theirs():
    """Return scikit-image's functions by their names."""
    filters, measure = peer("skimage.filters"), peer("skimage.measure")
    return {"median": filters.median, "gaussian": filters.gaussian, "block_reduce": measure.block_reduce}


def image(dtype, shape, seed=0):
    """Return an image of numbers that SciPy, which computes in float64, holds exactly."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    if dtype == "?":
        return rng.random(shape) < 0.5
    limits = np.iinfo(dtype)
    return rng.integers(max(limits.min, -(2**50)), min(limits.max, 2**50), shape, dtype=dtype)


def assert_same(found, expected):
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def assert_close(found, expected, scale):
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert np.all(np.abs(found - expected) <= 20 * np.finfo(found.dtype).eps * scale)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arguments_are_those_of_scikit_image(name):
    wanted = inspect.signature(theirs()[name]).parameters
    found = inspect.signature(FUNCTIONS[name]).parameters
    assert list(found) == list(wanted)
    for parameter in wanted.values():
        assert (found[parameter.name].default, found[parameter.name].kind) == (parameter.default, parameter.kind)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_examples_run(name):
    test = doctest.DocTestParser().get_doctest(inspect.getdoc(FUNCTIONS[name]), {}, name, None, 0)
    report = []
    results = doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    assert results.attempted >= 3
    assert not results.failed, "".join(report)


DISK = np.array([[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 0], [0, 1, 0, 0]])
FOOTPRINTS = {
    (17, 19): [None, np.ones((3, 3)), np.ones((4, 5)), DISK, np.ones((1, 7), bool)],
    (9, 11, 3): [np.ones((3, 3, 1)), DISK[:, :, None], DISK[:, None], np.ones((1, 3, 1)), None, np.ones((2, 2, 2))],
    (15,): [None, np.ones(4)],
}


@pytest.mark.parametrize("shape", FOOTPRINTS)
@pytest.mark.parametrize("dtype", DTYPES[:9] + DTYPES[10:])
def test_medians(dtype, shape):
    source = image(dtype, shape)
    for footprint, mode in itertools.product(FOOTPRINTS[shape], MODES):
        expected = theirs()["median"](source, footprint, mode=mode, cval=1)
        assert_same(ours.median(source, footprint, mode=mode, cval=1), expected)


def test_medians_into_out():
    source = image("u2", (9, 10))
    expected = theirs()["median"](source, DISK)
    for out in (np.zeros((9, 10), np.uint16), np.zeros((9, 20), np.uint16)[:, ::2], source.copy()):
        assert ours.median(source, DISK, out) is out
        np.testing.assert_array_equal(out, expected)
    row = np.zeros(10, np.uint16)
    assert ours.median(source[0], out=row) is row
    np.testing.assert_array_equal(row, theirs()["median"](source[0]))
    wider = np.zeros((9, 10))
    ours.median(source, DISK, wider)
    np.testing.assert_array_equal(wider, expected)


@pytest.mark.parametrize("dtype", ["i8", "u8", "f2"])
def test_medians_where_scipy_loses_bits_or_refuses(dtype):
    source = cases.seeded_image((8, 9), dtype)
    assert_same(ours.median(source), exact_median(source, (3, 3), mode="nearest").astype(dtype))


def test_medians_of_one_dimension():
    """SciPy's code for one axis is wrong for holes in a footprint of four or more, and for images below its size."""
    source, footprint = np.array([5, 1, 9, 2, 8, 3, 7]), np.array([True, False, True, False, False, True])
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(source, (3, 2), mode="edge"), 6)
    exact = np.sort(windows[:, footprint], axis=1)[:, 1].tolist()
    assert ours.median(source, footprint).tolist() == exact
    assert theirs()["median"](source, footprint).tolist() != exact  # as of SciPy 1.17
    assert ours.median([100], [1, 1, 1, 1], mode="mirror").tolist() == [100]


@pytest.mark.parametrize("shape", [(17, 19), (9, 11, 3), (6, 7, 8), (2, 5, 6, 3), (15,)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_gaussians(dtype, shape):
    source = image(dtype, shape)
    each = [0.7 * axis for axis in range(len(shape))]
    keywords = [{}, {"sigma": 2.5}, {"sigma": 0}, {"sigma": each}, {"preserve_range": True}, {"truncate": 2}]
    if len(shape) > 1:
        keywords += [{"channel_axis": -1}, {"channel_axis": 0, "sigma": 2}, {"channel_axis": 1, "sigma": each[1:]}]
    for more, mode in itertools.product(keywords, MODES):
        expected = theirs()["gaussian"](source, mode=mode, cval=0.5, **more)
        largest = max(1.0, float(np.abs(expected).max()), float(source.max() if "preserve_range" in more else 4.0))
        assert_close(ours.gaussian(source, mode=mode, cval=0.5, **more), expected, largest)


def test_gaussians_into_out():
    source = image("f4", (9, 10))
    for out in (np.zeros((9, 10), np.float32), np.zeros((9, 10)), np.zeros((9, 20), np.float32)[:, ::2]):
        assert ours.gaussian(source, 2, out=out) is out
        np.testing.assert_allclose(out, theirs()["gaussian"](source, 2), rtol=1e-5, atol=1e-6)
    row = np.zeros(10)
    assert ours.gaussian(image("u1", (10,)), out=row) is row
    np.testing.assert_allclose(row, theirs()["gaussian"](image("u1", (10,))), rtol=1e-13)


def test_a_nan_stays_in_its_windows():
    source = np.zeros((1, 30))
    source[0, 10] = np.nan
    assert np.flatnonzero(np.isnan(ours.gaussian(source, (0, 1)))).tolist() == list(range(6, 15))


BLOCKS = {
    (17, 19): [1, 2, 3, (2, 5), 20, (1, 4)],
    (9, 11, 3): [2, (2, 3, 1), (1, 4, 2), (3, 1, 1), 1],
    (15,): [2, 4, (3,)],
}


@pytest.mark.parametrize("function", [np.max, np.min, np.mean, np.sum, np.amax, np.median], ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", DTYPES)
def test_blocks(dtype, function):
    for shape, cval in itertools.product(BLOCKS, (0, 1, -1)):
        source = image(dtype, shape)
        for blocks in BLOCKS[shape]:
            expected = theirs()["block_reduce"](source, blocks, function, cval)
            found = ours.block_reduce(source, blocks, function, cval)
            if function in (np.max, np.amax, np.min, np.median) or found.dtype.kind in "iu":
                assert_same(found, expected)
            else:
                largest = max(1.0, float(np.abs(source.astype(float)).max()))
                assert_close(found, expected, largest * (source.size if function is np.sum else 1))


def test_the_padding_takes_part_in_a_maximum():
    source = np.full((3, 4), -5)
    assert ours.block_reduce(source, 2, np.max).tolist() == [[-5, -5], [0, 0]]
    assert ours.block_reduce(source, (2, 3), np.max, cval=-9).tolist() == [[-5, -5], [-5, -5]]
    assert ours.block_reduce(source, (2, 3), np.min, cval=-9).tolist() == [[-5, -9], [-9, -9]]


SOURCE = np.arange(42, dtype=np.uint8).reshape(6, 7)
REFUSED = {
    "footprint of a number": lambda f: f["median"](SOURCE, 3),
    "footprint of a row": lambda f: f["median"](SOURCE, np.ones(3)),
    "footprint of zeros": lambda f: f["median"](SOURCE, np.zeros((3, 3))),
    "mode": lambda f: f["median"](SOURCE, mode="circular"),
    "modes": lambda f: f["median"](SOURCE, mode=["nearest", "wrap"]),
    "complex": lambda f: f["median"](SOURCE.astype(complex)),
    "out of another shape": lambda f: f["median"](SOURCE, out=np.zeros((2, 2), np.uint8)),
    "read-only out": lambda f: f["median"](SOURCE, out=np.broadcast_to(np.uint8(0), (6, 7))),
    "negative sigma": lambda f: f["gaussian"](SOURCE, -1),
    "sigmas": lambda f: f["gaussian"](SOURCE, (1, 2, 3)),
    "integer out": lambda f: f["gaussian"](SOURCE, out=np.zeros((6, 7), int)),
    "out of another shape for a Gaussian": lambda f: f["gaussian"](SOURCE, out=np.zeros((2, 7))),
    "mode of a Gaussian": lambda f: f["gaussian"](SOURCE, mode="circular"),
    "complex Gaussian": lambda f: f["gaussian"](SOURCE.astype(complex)),
    "block 0": lambda f: f["block_reduce"](SOURCE, 0),
    "blocks": lambda f: f["block_reduce"](SOURCE, (2, 2, 2)),
    "block of a float": lambda f: f["block_reduce"](SOURCE, 2.5, np.max),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_scikit_image_refuses_is_refused_by_the_same_class(what):
    with pytest.raises(Exception) as refusal:  # noqa: PT011  # whichever it is
        REFUSED[what](theirs())
    with pytest.raises(refusal.type):
        REFUSED[what](FUNCTIONS)


def test_what_is_left_to_scikit_image():
    source = image("u1", (8, 9))
    same = [
        ("gaussian", (source,), {"mode": ["nearest", "wrap"]}),
        ("median", (source,), {"behavior": "rank", "footprint": np.ones((3, 3))}),
        ("median", (source,), {"mode": "constant", "cval": 0.5}),
        ("block_reduce", (source, 2, np.mean), {"func_kwargs": {"dtype": np.float32}}),
        ("block_reduce", (source, 4, np.max), {"cval": 1.5}),
        ("block_reduce", (source, 4, np.std), {}),
    ]
    for name, arguments, keywords in same:
        expected = theirs()[name](*arguments, **keywords)
        assert_same(FUNCTIONS[name](*arguments, **keywords), expected)


def test_without_scikit_image_the_extra_is_named():
    program = (
        "import sys; sys.modules['skimage'] = None\n"
        "import numpy as np, imkernels.compat.skimage as skimage\n"
        "image = np.eye(4)\n"
        "print(skimage.median(image).sum(), skimage.gaussian(image).shape, skimage.block_reduce(image, 2).sum())\n"
        "for call in (lambda: skimage.median(image, behavior='rank'), lambda: skimage.gaussian(image, mode=['wrap']),\n"
        "             lambda: skimage.block_reduce(image, 2, np.std)):\n"
        "    try: call()\n"
        '    except ImportError as error: print("imkernels[skimage]" in str(error))\n'
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["2.0 (4, 4) 4.0", "True", "True", "True"]


@given(
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 2**32),
    data=st.data(),
)
@strategies.few
def test_any_blocks_and_footprints(shape, dtype, seed, data):
    source = image(dtype, shape, seed)
    blocks = tuple(data.draw(st.integers(1, 4)) for _ in shape)
    for function in (np.max, np.min):
        expected = theirs()["block_reduce"](source, blocks, function)
        assert_same(ours.block_reduce(source, blocks, function), expected)
    if dtype != "f2" and len(shape) > 1:  # SciPy's medians along one axis are wrong, see below
        footprint = np.random.default_rng(seed).random(blocks) < 0.7
        footprint.flat[-1] = True
        mode = data.draw(st.sampled_from(MODES))
        assert_same(ours.median(source, footprint, mode=mode), theirs()["median"](source, footprint, mode=mode))
