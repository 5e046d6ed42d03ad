"""Relations that means and sums hold, and random calls against exact arithmetic."""

import imkernels as ik
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from . import cases, strategies
from .cases import assert_same_bits, seeded_image
from .reference.box_blur import box_blur as reference
from .reference.windows import modulo, to_dtype


@st.composite
def calls(draw):
    image = draw(strategies.images(cases.NUMBERS))
    size = (draw(strategies.sides), draw(strategies.sides))
    keywords = draw(strategies.geometries(image.shape, size))
    keywords["cval"] = draw(strategies.numbers(image.dtype))
    keywords["normalize"] = draw(st.booleans())
    return image, size, keywords


def check_call(call):
    image, size, keywords = call
    means = ik.box_blur(image, size, **keywords)
    exact = reference(image, size, **keywords)
    if image.dtype.kind == "f":
        keywords["cval"] = abs(keywords["cval"])
        magnitudes = reference(np.abs(image.astype(float)), size, **keywords)
        limits = np.finfo(image.dtype)
        fits = magnitudes < float(limits.max) / 2
        allowed = 4 * float(limits.eps) * magnitudes + float(limits.smallest_subnormal)
        assert means.dtype == image.dtype
        assert (np.abs(means - exact)[fits] <= allowed[fits]).all()
    elif keywords["normalize"]:
        assert_same_bits(means, to_dtype(exact, image.dtype))
    else:
        assert_same_bits(means, modulo(exact, 64, signed=image.dtype.kind == "i"))


@given(calls())
@strategies.few
def test_random_calls(call):
    check_call(call)


@pytest.mark.sweep
@given(calls())
@strategies.many
def test_many_random_calls(call):
    check_call(call)


def whole_numbers(seed, shape=(21, 32)):
    return np.random.default_rng(seed).integers(-(2**20), 2**20, shape).astype(float)


sizes = pytest.mark.parametrize("size", [1, 2, 3, 4, 5, (2, 7), (6, 3), 15])
odd_sizes = pytest.mark.parametrize("size", [1, 3, 5, (3, 7), (9, 1)])


@sizes
@pytest.mark.parametrize("mode", cases.MODES)
def test_the_sum_of_two_images(mode, size):
    one, two = whole_numbers(1), whole_numbers(2)
    keywords = {"size": size, "mode": mode, "normalize": False}
    assert_same_bits(ik.box_blur(one + two, **keywords), ik.box_blur(one, **keywords) + ik.box_blur(two, **keywords))
    assert_same_bits(ik.box_blur(one * 3, **keywords), ik.box_blur(one, **keywords) * 3)


@sizes
@pytest.mark.parametrize("dtype", ["i8", "u8"])
def test_the_sum_of_two_images_modulo_2_to_the_64(dtype, size):
    one, two = seeded_image((21, 32), dtype, 1), seeded_image((21, 32), dtype, 2)
    sums = [ik.box_blur(image, size, normalize=False) for image in (one, two, one + two)]
    assert_same_bits(sums[0] + sums[1], sums[2])


@pytest.mark.parametrize("size", [(2, 3), (5, 4), (7, 7)])
@pytest.mark.parametrize("mode", cases.MODES)
def test_rows_and_columns_one_after_the_other(mode, size):
    image = seeded_image((21, 32), "i4")
    rows = ik.box_blur(image, (size[0], 1), mode=mode, normalize=False)
    assert_same_bits(
        ik.box_blur(rows, (1, size[1]), mode=mode, normalize=False),
        ik.box_blur(image, size, mode=mode, normalize=False),
    )


@pytest.mark.parametrize("parts", [(1, 1), (2, 3), (4, 8), (7, 6)])
def test_a_window_is_the_sum_of_its_parts(parts):
    image = seeded_image((40, 60), "i4")
    one, two = parts
    keywords = {"padding": "valid", "normalize": False}
    left = ik.box_blur(image, (3, one), **keywords)[:, : -two or None]
    right = ik.box_blur(image, (3, two), **keywords)[:, one:]
    assert_same_bits(ik.box_blur(image, (3, one + two), **keywords), left + right)


@sizes
@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "f4", "f8"])
def test_sums_are_correlations_with_ones(dtype, size):
    image = np.random.default_rng(0).integers(0, 100, (21, 32)).astype(dtype)
    kernel = np.ones((size, size) if isinstance(size, int) else size, "f8" if dtype[0] == "f" else "i8")
    sums = ik.box_blur(image, size, normalize=False)
    np.testing.assert_array_equal(sums, ik.correlate(image, kernel).astype(sums.dtype))


@sizes
@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8"])
def test_adding_a_constant(dtype, size):
    # Whole offsets move means by as much, but the tie of an even n goes the other way for odd ones.
    image = np.random.default_rng(0).integers(-50, 50, (21, 32)).astype(dtype)
    assert_same_bits(ik.box_blur(image + np.array(20, dtype), size), ik.box_blur(image, size) + np.array(20, dtype))


@sizes
@pytest.mark.parametrize("dtype", ["i1", "i4", "f2", "f4", "f8"])
def test_negative_images(dtype, size):
    image = seeded_image((21, 32), dtype)
    if image.dtype.kind == "i":
        image[image == np.iinfo(dtype).min] = 0
    np.testing.assert_array_equal(ik.box_blur(-image, size), -ik.box_blur(image, size))


@pytest.mark.parametrize("dtype", ["u1", "i8"])
@sizes
def test_rolled_images(dtype, size):
    image = seeded_image((40, 90), dtype)
    means = ik.box_blur(image, size, mode="wrap")
    for shift in ((1, 0), (0, 1), (13, 57)):
        rolled = np.roll(image, shift, (0, 1))
        assert_same_bits(ik.box_blur(rolled, size, mode="wrap"), np.roll(means, shift, (0, 1)))


@odd_sizes
@pytest.mark.parametrize("mode", cases.MODES)
@pytest.mark.parametrize("dtype", ["u1", "i8"])
def test_mirrored_images(dtype, mode, size):
    image = seeded_image((21, 32), dtype)
    means = ik.box_blur(image, size, mode=mode)
    assert_same_bits(ik.box_blur(image[::-1, ::-1], size, mode=mode), means[::-1, ::-1])


@sizes
@pytest.mark.parametrize("mode", cases.MODES)
def test_transposed_images(mode, size):
    image = seeded_image((21, 32), "u2")
    turned = size if isinstance(size, int) else size[::-1]
    assert_same_bits(ik.box_blur(image.T, turned, mode=mode), ik.box_blur(image, size, mode=mode).T)


@pytest.mark.parametrize("dtype", ["u1", "i8", "f4", "f8"])
@pytest.mark.parametrize("size", [(3, 5), (4, 4), (21, 32), (50, 70)])
def test_wrapped_sums_keep_the_total(dtype, size):
    # Under "wrap" every pixel stands in exactly K*L windows.
    image = np.random.default_rng(0).integers(0, 100, (21, 32)).astype(dtype)
    sums = ik.box_blur(image, size, mode="wrap", normalize=False)
    assert sums.sum(dtype=float) == image.sum(dtype=float) * size[0] * size[1]


@sizes
@pytest.mark.parametrize("dtype", cases.NUMBERS, ids=str)
def test_means_lie_between_the_extremes(dtype, size):
    image = seeded_image((12, 20), dtype)
    means = ik.box_blur(image, size)
    assert image.min() <= means.min()
    assert means.max() <= image.max()
