"""What `box_blur` refuses, and what it says."""

import imkernels as ik
import numpy as np
import pytest

from . import refusals

pytestmark = pytest.mark.wrapper

IMAGE = np.zeros((6, 7), np.float32)


@pytest.mark.parametrize(("keywords", "error", "text"), refusals.FILTER_ERRORS)
def test_keywords(keywords, error, text):
    with pytest.raises(error, match=text):
        ik.box_blur(IMAGE, 3, **keywords)


@refusals.arrays_refused
def test_images(value, text):
    with pytest.raises(TypeError, match=f"image {text}"):
        ik.box_blur(value, 3)


@pytest.mark.parametrize("keywords", [{}, {"normalize": False}, {"dtype": float}])
def test_bool_has_no_mean(keywords):
    with pytest.raises(TypeError, match=r"image must hold numbers, got dtype bool; say image.astype\(numpy.uint8\)"):
        ik.box_blur(np.zeros((6, 7), bool), 3, **keywords)


@pytest.mark.parametrize("shape", [(), (7,)])
def test_too_few_dimensions(shape):
    with pytest.raises(ValueError, match=r"image must have at least (two|2) dimensions, got shape \("):
        ik.box_blur(np.zeros(shape), 3)


@pytest.mark.parametrize(("keywords", "error", "text"), refusals.parameters(refusals.numbers_refused("size", 1)))
def test_sizes(keywords, error, text):
    with pytest.raises(error, match=text):
        ik.box_blur(IMAGE, **keywords)


def test_size_is_needed():
    with pytest.raises(TypeError, match="size"):
        ik.box_blur(IMAGE)
    with pytest.raises(TypeError, match="size must be an int or a pair of ints, got None"):
        ik.box_blur(IMAGE, None)


@refusals.window_too_large
def test_windows_larger_than_the_padded_image(size, padding, text):
    with pytest.raises(ValueError, match=f"^size {text}"):
        ik.box_blur(IMAGE, size, padding=padding)


def test_windows_of_too_many_pixels():
    with pytest.raises(ValueError, match=r"size must be a window of at most 2147483647 pixels, got \(65536, 32768\)"):
        ik.box_blur(IMAGE, (65536, 32768))


@refusals.pads_without_pixels
def test_pads_without_pixels(shape, mode, text):
    with pytest.raises(ValueError, match=text):
        ik.box_blur(np.zeros(shape), 3, padding=2, mode=mode)


@refusals.cvals_of_integers
def test_values_outside_the_image(dtype, cval):
    if dtype == "bool":
        pytest.skip("has no mean at all")
    with pytest.raises(ValueError, match=f"cval must be a value that {dtype} can hold, got"):
        ik.box_blur(np.zeros((6, 7), dtype), 3, mode="constant", cval=cval)


@pytest.mark.parametrize(("out", "error", "text"), refusals.parameters(refusals.outs_refused("float32")))
def test_out(out, error, text):
    with pytest.raises(error, match=text):
        ik.box_blur(IMAGE, 3, out=out)


def test_sums_have_a_dtype_of_their_own():
    image = np.full((6, 7), 255, np.uint8)
    with pytest.raises(TypeError, match="out must allow casting='safe' from uint64, got dtype uint8"):
        ik.box_blur(image, 3, normalize=False, out=np.empty_like(image), casting="safe")
