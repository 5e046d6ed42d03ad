"""Relations that correlations hold, and random calls against exact arithmetic."""

import imkernels as ik
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from . import cases, strategies
from .cases import assert_same_bits, seeded_image
from .reference.correlate import correlate as reference
from .reference.correlate import magnitude
from .reference.windows import modulo

LOOPS = [("u1", "i1"), ("u1", "u1"), ("i2", "u1"), ("u2", "i4"), ("i8", "i8"), ("u4", "i8")]
LOOPS += [("f2", "f2"), ("f4", "f4"), ("f8", "f8"), ("u1", "f4"), ("i4", "f8"), ("?", "f4")]


@st.composite
def calls(draw):
    image_dtype, kernel_dtype = draw(st.sampled_from(LOOPS))
    image = draw(strategies.images([image_dtype]))
    size = (draw(st.integers(1, 6)), draw(st.integers(1, 6)))
    if kernel_dtype[0] == "f":
        kernel = draw(npst.arrays(kernel_dtype, size, elements=st.floats(-2, 2, width=16)))
    else:
        kernel = draw(npst.arrays(kernel_dtype, size))
    dilation = (draw(st.integers(1, 5)), draw(st.integers(1, 5)))
    keywords = draw(strategies.geometries(image.shape, size, dilation))
    keywords["dilation"] = dilation
    keywords["cval"] = draw(strategies.numbers(image.dtype))
    return image, kernel, keywords


def check_call(call, method="auto"):
    image, kernel, keywords = call
    sums = ik.correlate(image, kernel, method=method, **keywords)
    exact = reference(image, kernel, **keywords)
    if exact.dtype == object:
        bits = 32 if image.itemsize == kernel.itemsize == 1 else 64
        assert_same_bits(sums, modulo(exact, bits))
        return
    assert sums.dtype == np.result_type(image, kernel)
    limits = np.finfo(sums.dtype)
    magnitudes = magnitude(image, kernel, **keywords)
    fits = magnitudes < float(limits.max) / 2
    allowed = kernel.size * float(limits.eps) * magnitudes + float(limits.smallest_subnormal)
    assert (np.abs(sums - exact)[fits] <= allowed[fits]).all()


@given(calls())
@strategies.few
def test_random_calls(call):
    check_call(call)


@pytest.mark.sweep
@given(calls())
@strategies.many
def test_many_random_calls(call):
    check_call(call)


def whole_numbers(shape, dtype, seed):
    return np.random.default_rng(seed).integers(-50, 51, shape).astype(dtype)


dtypes = pytest.mark.parametrize("dtype", ["i2", "i8", "f4", "f8"])
sizes = pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 3), (4, 5), (7, 2), (1, 6)])


@dtypes
@sizes
@pytest.mark.parametrize("mode", cases.MODES)
def test_linear_in_the_image(mode, size, dtype):
    one, two = (whole_numbers((21, 32), dtype, seed) for seed in (1, 2))
    kernel = whole_numbers(size, dtype, 3)
    sums = [ik.correlate(image, kernel, mode=mode) for image in (one, two, one + 3 * two)]
    assert_same_bits(sums[0] + 3 * sums[1], sums[2])


@dtypes
@sizes
def test_linear_in_the_kernel(size, dtype):
    image = whole_numbers((21, 32), dtype, 1)
    one, two = (whole_numbers(size, dtype, seed) for seed in (2, 3))
    sums = [ik.correlate(image, kernel) for kernel in (one, two, one + 3 * two)]
    assert_same_bits(sums[0] + 3 * sums[1], sums[2])


@dtypes
@sizes
def test_a_single_tap_moves_the_image(size, dtype):
    image = seeded_image((13, 75), dtype) if dtype[0] == "f" else whole_numbers((13, 75), dtype, 1)
    for row, column in np.ndindex(size):
        kernel = np.zeros(size, dtype)
        kernel[row, column] = 1
        moved = np.roll(image, (size[0] // 2 - row, size[1] // 2 - column), (0, 1))
        np.testing.assert_array_equal(ik.correlate(image, kernel, mode="wrap"), moved)


@dtypes
def test_a_single_tap_in_the_middle_is_the_identity(dtype):
    image = seeded_image((21, 70), dtype)
    for mode in cases.MODES:
        np.testing.assert_array_equal(ik.correlate(image, np.ones((1, 1), dtype), mode=mode), image)
        np.testing.assert_array_equal(ik.correlate(image, np.eye(1, 3, 1, dtype), mode=mode), image)


@dtypes
@sizes
@pytest.mark.parametrize("dilation", [1, 2, (1, 3)])
def test_adjoint(dilation, size, dtype):
    # <correlate(x, k), y> = <x, correlate(y, k flipped)>, with zeros around x and around y.
    down, right = (dilation, dilation) if isinstance(dilation, int) else dilation
    x = whole_numbers((17, 23), dtype, 1)
    kernel = whole_numbers(size, dtype, 2)
    reach = (down * (size[0] - 1), right * (size[1] - 1))
    before = (reach[0] // 3, reach[1] - reach[1] // 4)
    forth = tuple((b, r - b) for b, r in zip(before, reach, strict=True))
    back = tuple((r - b, b) for b, r in zip(before, reach, strict=True))
    keywords = {"mode": "constant", "dilation": dilation}
    y = whole_numbers((17, 23), dtype, 3)
    one = np.vdot(ik.correlate(x, kernel, padding=forth, **keywords).astype(float), y.astype(float))
    two = np.vdot(x.astype(float), ik.correlate(y, kernel[::-1, ::-1], padding=back, **keywords).astype(float))
    assert one == two


@dtypes
@sizes
def test_correlations_one_after_the_other_commute(size, dtype):
    image = whole_numbers((21, 32), dtype, 1)
    one, two = whole_numbers(size, dtype, 2), np.sign(whole_numbers((3, 2), dtype, 3))
    first = ik.correlate(ik.correlate(image, one, padding="valid"), two, padding="valid")
    second = ik.correlate(ik.correlate(image, two, padding="valid"), one, padding="valid")
    assert_same_bits(first, second)


@dtypes
@pytest.mark.parametrize("mode", cases.MODES)
def test_an_outer_product_is_a_column_and_a_row(mode, dtype):
    image = whole_numbers((21, 32), dtype, 1)
    column, row = np.sign(whole_numbers((5, 1), dtype, 2)) + 1, whole_numbers((1, 4), dtype, 3)
    full = ik.correlate(image, column * row, mode=mode)
    assert_same_bits(ik.correlate(ik.correlate(image, column, mode=mode), row, mode=mode), full)


@dtypes
@pytest.mark.parametrize("dilation", [2, 3, (1, 4)])
@pytest.mark.parametrize("padding", ["same", "valid", 5])
def test_dilation_is_a_kernel_with_holes(padding, dilation, dtype):
    image, kernel = whole_numbers((21, 32), dtype, 1), whole_numbers((3, 3), dtype, 2)
    down, right = (dilation, dilation) if isinstance(dilation, int) else dilation
    holes = np.zeros((2 * down + 1, 2 * right + 1), dtype)
    holes[::down, ::right] = kernel
    assert_same_bits(
        ik.correlate(image, kernel, dilation=dilation, padding=padding), ik.correlate(image, holes, padding=padding)
    )


@dtypes
@pytest.mark.parametrize("size", [(1, 1), (3, 3), (5, 7)])
@pytest.mark.parametrize("mode", cases.MODES)
def test_mirrored_images_and_kernels(mode, size, dtype):
    image, kernel = whole_numbers((21, 32), dtype, 1), whole_numbers(size, dtype, 2)
    sums = ik.correlate(image, kernel, mode=mode)
    assert_same_bits(ik.correlate(image[::-1, ::-1], kernel[::-1, ::-1], mode=mode), sums[::-1, ::-1])


@dtypes
@sizes
def test_transposed_images_and_kernels(size, dtype):
    image, kernel = whole_numbers((21, 32), dtype, 1), whole_numbers(size, dtype, 2)
    assert_same_bits(ik.correlate(image.T, kernel.T), ik.correlate(image, kernel).T)


@sizes
@pytest.mark.parametrize("image_dtype", ["i1", "u1", "i2", "u2"])
def test_integers_in_32_and_in_64_bits_and_as_floats_agree(image_dtype, size):
    image, kernel = seeded_image((21, 32), image_dtype), whole_numbers(size, "i1", 2)
    sums = ik.correlate(image, kernel).astype(np.int64)
    assert_same_bits(ik.correlate(image.astype(np.int64), kernel), sums)
    np.testing.assert_array_equal(ik.correlate(image.astype(float), kernel), sums)
