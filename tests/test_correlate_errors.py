"""What `correlate` refuses, and what it says."""

import imkernels as ik
import numpy as np
import pytest

from . import cases, refusals

pytestmark = pytest.mark.wrapper

IMAGE = np.zeros((6, 7), np.float32)
KERNEL = np.ones((3, 3), np.float32)


@pytest.mark.parametrize(("keywords", "error", "text"), refusals.FILTER_ERRORS)
def test_keywords(keywords, error, text):
    with pytest.raises(error, match=text):
        ik.correlate(IMAGE, KERNEL, **keywords)


@refusals.arrays_refused
def test_images(value, text):
    with pytest.raises(TypeError, match=f"image {text}"):
        ik.correlate(value, KERNEL)


@refusals.arrays_refused
def test_kernels(value, text):
    with pytest.raises(TypeError, match=f"kernel {text}"):
        ik.correlate(IMAGE, value)


@pytest.mark.parametrize("shape", [(), (7,)])
def test_too_few_dimensions(shape):
    with pytest.raises(ValueError, match=r"image must have at least (two|2) dimensions, got shape \("):
        ik.correlate(np.zeros(shape), KERNEL)


@pytest.mark.parametrize("shape", [(), (3,), (0, 3), (3, 0), (0, 0), (4, 0, 3)])
def test_kernels_without_taps(shape):
    with pytest.raises(ValueError, match=r"kernel must have two axes that are not empty, got shape \("):
        ik.correlate(IMAGE, np.zeros(shape))


@pytest.mark.parametrize(("images", "kernels"), [((3,), (4,)), ((2, 3), (2,)), ((5, 1, 2), (4, 3))])
def test_leading_axes_that_do_not_broadcast(images, kernels):
    shapes = r"image and kernel must broadcast over their leading axes, got shapes \(.*, 6, 7\) and \(.*, 3, 3\)"
    with pytest.raises(ValueError, match=shapes):
        ik.correlate(np.zeros((*images, 6, 7)), np.zeros((*kernels, 3, 3)))


@pytest.mark.parametrize(("keywords", "error", "text"), refusals.parameters(refusals.numbers_refused("dilation", 1)))
def test_dilations(keywords, error, text):
    with pytest.raises(error, match=text):
        ik.correlate(IMAGE, KERNEL, **keywords)


def test_dilations_too_large_for_the_kernel():
    text = r"kernel and dilation must keep the window within 2147483647 pixels, got .*3.* and 1073741824"
    with pytest.raises(ValueError, match=text):
        ik.correlate(IMAGE, KERNEL, dilation=2**30)


@refusals.window_too_large
def test_windows_larger_than_the_padded_image(size, padding, text):
    with pytest.raises(ValueError, match=f"^kernel {text}"):
        ik.correlate(IMAGE, np.zeros(size), padding=padding)


def test_dilated_windows_larger_than_the_padded_image():
    with pytest.raises(
        ValueError, match="kernel must not exceed the padded image: 9 pixels against 8 along window axis 0"
    ):
        ik.correlate(IMAGE, KERNEL, dilation=(4, 1), padding=1)


@refusals.pads_without_pixels
def test_pads_without_pixels(shape, mode, text):
    with pytest.raises(ValueError, match=text):
        ik.correlate(np.zeros(shape), KERNEL, padding=2, mode=mode)


@pytest.mark.parametrize("method", ["fast", None, 0])
def test_method(method):
    with pytest.raises(ValueError, match=f"method must be 'auto' or 'direct' or 'separable' or 'fft', got {method!r}"):
        ik.correlate(IMAGE, KERNEL, method=method)


@refusals.cvals_of_integers
def test_values_outside_the_image(dtype, cval):
    # A float kernel: what counts is the dtype of the image.
    with pytest.raises(ValueError, match=f"cval must be a value that {dtype} can hold, got"):
        ik.correlate(np.zeros((6, 7), dtype), KERNEL, mode="constant", cval=cval)


@pytest.mark.parametrize("other", cases.INTEGERS, ids=str)
def test_bool_and_integers(other):
    text = r" must hold numbers, got dtype bool; say {0}.astype\(numpy.uint8\)"
    with pytest.raises(TypeError, match="image" + text.format("image")):
        ik.correlate(np.zeros((6, 7), bool), np.zeros((3, 3), other))
    if other != np.uint64:
        with pytest.raises(TypeError, match="kernel" + text.format("kernel")):
            ik.correlate(np.zeros((6, 7), other), np.zeros((3, 3), bool))


def test_bool_and_bool():
    with pytest.raises(TypeError, match="image must hold numbers, got dtype bool"):
        ik.correlate(np.zeros((6, 7), bool), np.zeros((3, 3), bool))


@pytest.mark.parametrize("other", cases.INTEGERS, ids=str)
def test_uint64_and_integers(other):
    text = r" must fit int64, got dtype uint64; say {0}.astype\(numpy.int64\)"
    with pytest.raises(TypeError, match="image" + text.format("image")):
        ik.correlate(np.zeros((6, 7), np.uint64), np.zeros((3, 3), other))
    if other != np.uint64:
        with pytest.raises(TypeError, match="kernel" + text.format("kernel")):
            ik.correlate(np.zeros((6, 7), other), np.zeros((3, 3), np.uint64))


@pytest.mark.parametrize("image", ["i1", "u1"])
@pytest.mark.parametrize("kernel", ["i1", "u1"])
@pytest.mark.parametrize("keywords", [{}, {"dtype": np.int32}, {"dtype": np.int16}])
def test_sums_that_may_leave_32_bits(image, kernel, keywords):
    weight = 255 if kernel == "u1" else -128
    largest = 255 if image == "u1" else 128
    fits = (2**31 - 1) // (largest * abs(weight))
    pixels = np.zeros((1, 1), image)
    ik.correlate(pixels, np.full((1, fits), weight, kernel), **keywords)
    text = f"2\\*\\*31, got {(fits + 1) * largest * abs(weight)}; dtype=numpy.int64"
    with pytest.raises(ValueError, match=f"kernel must keep .* {text}"):
        ik.correlate(pixels, np.full((1, fits + 1), weight, kernel), **keywords)


@pytest.mark.parametrize(("out", "error", "text"), refusals.parameters(refusals.outs_refused("float32")))
def test_out(out, error, text):
    with pytest.raises(error, match=text):
        ik.correlate(IMAGE, KERNEL, out=out)


def test_out_may_not_add_loop_axes():
    with pytest.raises(ValueError, match=r"out must have the shape of the result, \(6, 7\), got \(2, 6, 7\)"):
        ik.correlate(IMAGE, KERNEL, out=np.empty((2, 6, 7), np.float32))
