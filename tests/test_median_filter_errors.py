"""What `median_filter` refuses, and what it says."""

import imkernels as ik
import numpy as np
import pytest

from . import cases, refusals

pytestmark = pytest.mark.wrapper

IMAGE = np.zeros((6, 7), np.float32)


@pytest.mark.parametrize(("keywords", "error", "text"), refusals.FILTER_ERRORS)
def test_keywords(keywords, error, text):
    with pytest.raises(error, match=text):
        ik.median_filter(IMAGE, 3, **keywords)


@refusals.arrays_refused
def test_images(value, text):
    with pytest.raises(TypeError, match=f"image {text}"):
        ik.median_filter(value, 3)


@pytest.mark.parametrize("shape", [(), (7,)])
def test_too_few_dimensions(shape):
    with pytest.raises(ValueError, match=r"image must have at least (two|2) dimensions, got shape \("):
        ik.median_filter(np.zeros(shape), 3)


@pytest.mark.parametrize(("keywords", "error", "text"), refusals.parameters(refusals.numbers_refused("size", 1)))
def test_sizes(keywords, error, text):
    with pytest.raises(error, match=text):
        ik.median_filter(IMAGE, **keywords)


@refusals.window_too_large
def test_windows_larger_than_the_padded_image(size, padding, text):
    with pytest.raises(ValueError, match=f"^size {text}"):
        ik.median_filter(IMAGE, size, padding=padding)


def test_windows_of_too_many_pixels():
    with pytest.raises(ValueError, match=r"size must be a window of at most 2147483647 pixels, got \(65536, 32768\)"):
        ik.median_filter(IMAGE, (65536, 32768))


@refusals.pads_without_pixels
def test_pads_without_pixels(shape, mode, text):
    with pytest.raises(ValueError, match=text):
        ik.median_filter(np.zeros(shape), 3, padding=2, mode=mode)


@pytest.mark.parametrize("arguments", [{}, {"size": 3, "footprint": np.ones((3, 3))}])
def test_size_or_footprint(arguments):
    with pytest.raises(ValueError, match="exactly one of size and footprint must be given, got size="):
        ik.median_filter(IMAGE, **arguments)


@pytest.mark.parametrize(
    "footprint",
    [np.zeros((3, 3)), np.ones(3), np.ones((1, 3, 3)), np.ones((0, 3)), 3],
    ids=["without a tap", "1-D", "3-D", "empty", "number"],
)
def test_footprints(footprint):
    with pytest.raises(ValueError, match="footprint must be a two-dimensional array with a true element, got"):
        ik.median_filter(IMAGE, footprint=footprint)


@refusals.arrays_refused
def test_footprints_of_other_types(value, text):
    if value is None:
        pytest.skip("the default")
    with pytest.raises(TypeError, match=f"footprint {text}"):
        ik.median_filter(IMAGE, footprint=value)


@pytest.mark.parametrize("nan", ["raise", None, True, "Omit"])
def test_nan(nan):
    with pytest.raises(ValueError, match=f"nan must be 'propagate' or 'omit', got {nan!r}"):
        ik.median_filter(IMAGE, 3, nan=nan)


@pytest.mark.parametrize("method", ["fast", None, 0])
def test_method(method):
    with pytest.raises(ValueError, match=f"method must be 'auto' .*'select', got {method!r}"):
        ik.median_filter(IMAGE, 3, method=method)


@refusals.cvals_of_integers
def test_values_outside_the_image(dtype, cval):
    with pytest.raises(ValueError, match=f"cval must be a value that {dtype} can hold, got"):
        ik.median_filter(np.zeros((6, 7), dtype), 3, mode="constant", cval=cval)


@pytest.mark.parametrize(("out", "error", "text"), refusals.parameters(refusals.outs_refused("float32")))
def test_out(out, error, text):
    with pytest.raises(error, match=text):
        ik.median_filter(IMAGE, 3, out=out)


def test_refused_calls_leave_out_as_it_was():
    out = np.full((6, 7), 5.0, np.float32)
    with pytest.raises(TypeError, match="casting"):
        ik.median_filter(IMAGE, 3, out=out, casting="no", dtype=float)
    assert (out == 5).all()


@pytest.mark.parametrize("dtype", [dtype for dtype in cases.NUMBERS if dtype != np.uint8], ids=str)
def test_safe_casts_from_uint8_only(dtype):
    out = np.empty((6, 7), dtype)
    image = np.zeros((6, 7), np.uint8)
    if np.can_cast(np.uint8, dtype, "safe"):
        assert ik.median_filter(image, 3, out=out, casting="safe") is out
    else:
        with pytest.raises(TypeError, match=f"out must allow casting='safe' from uint8, got dtype {dtype}"):
            ik.median_filter(image, 3, out=out, casting="safe")
