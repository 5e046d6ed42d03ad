"""Relations that medians hold, and random calls against the plain definition."""

import imkernels as ik
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from . import cases, strategies
from .cases import assert_same_bits, seeded_image
from .reference.median_filter import median_filter as reference


def any_number(dtype):
    """Return a strategy for elements: floats with NaN, infinities and both zeros."""
    return npst.from_dtype(np.dtype(dtype))


@st.composite
def calls(draw):
    image = draw(strategies.images(cases.DTYPES, any_number))
    size = (draw(strategies.sides), draw(strategies.sides))
    keywords = draw(strategies.geometries(image.shape, size))
    if draw(st.booleans()):
        mask = draw(npst.arrays(bool, size))
        mask[draw(st.integers(0, size[0] - 1)), draw(st.integers(0, size[1] - 1))] = True
        keywords["footprint"] = mask
    else:
        keywords["size"] = size
    keywords["nan"] = draw(st.sampled_from(["propagate", "omit"]))
    keywords["cval"] = draw(any_number(image.dtype)).item()
    return image, keywords


def check_call(call):
    image, keywords = call
    assert_same_bits(ik.median_filter(image, **keywords), reference(image, **keywords))


@given(calls())
@strategies.few
def test_random_calls(call):
    check_call(call)


@pytest.mark.sweep
@given(calls())
@strategies.many
def test_many_random_calls(call):
    check_call(call)


sizes = pytest.mark.parametrize("size", [1, 2, 3, 4, 5, (2, 7), (6, 3)])
odd_sizes = pytest.mark.parametrize("size", [1, 3, 5, (3, 7), (9, 1)])


@sizes
@pytest.mark.parametrize("mode", cases.MODES[:-1])
def test_strictly_monotone_maps_commute(size, mode):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (20, 30)).astype(np.uint8)
    table = np.sort(rng.choice(2**62, 256, replace=False))
    assert_same_bits(ik.median_filter(table[image], size, mode=mode), table[ik.median_filter(image, size, mode=mode)])


@sizes
def test_maps_that_join_values_commute(size):
    image = seeded_image((20, 30), "i2")
    assert_same_bits(ik.median_filter(image // 1000, size), ik.median_filter(image, size) // 1000)


@sizes
@pytest.mark.parametrize("function", [np.cbrt, np.arctan, lambda x: np.float32(3) * x, np.sign], ids=str)
def test_monotone_functions_of_floats_commute(function, size):
    image = seeded_image((20, 30), "f4")
    assert_same_bits(ik.median_filter(function(image), size), function(ik.median_filter(image, size)))


@odd_sizes
@pytest.mark.parametrize("dtype", ["i2", "i4", "i8", "f2", "f4", "f8"])
def test_negative_images(dtype, size):
    image = seeded_image((20, 30), dtype)
    image[image == -image] = 1  # the lowest integer has no negative, and zeros have two
    assert_same_bits(ik.median_filter(-image, size), -ik.median_filter(image, size))


@odd_sizes
@pytest.mark.parametrize("mode", cases.MODES)
def test_complements(mode, size):
    image = seeded_image((20, 30), "u1")
    assert_same_bits(
        ik.median_filter(~image, size, mode=mode, cval=255), ~ik.median_filter(image, size, mode=mode, cval=0)
    )


@odd_sizes
@pytest.mark.parametrize("mode", cases.MODES)
@pytest.mark.parametrize("dtype", ["u1", "f4"])
def test_mirrored_images(dtype, mode, size):
    image = seeded_image((21, 32), dtype)
    medians = ik.median_filter(image, size, mode=mode)
    assert_same_bits(ik.median_filter(image[::-1, ::-1], size, mode=mode), medians[::-1, ::-1])


@sizes
@pytest.mark.parametrize("mode", cases.MODES)
@pytest.mark.parametrize("dtype", ["u2", "f8"])
def test_transposed_images(dtype, mode, size):
    image = seeded_image((21, 32), dtype)
    turned = size if isinstance(size, int) else size[::-1]
    assert_same_bits(ik.median_filter(image.T, turned, mode=mode), ik.median_filter(image, size, mode=mode).T)


@sizes
@pytest.mark.parametrize("dtype", ["u1", "i4", "f2", "f8"])
def test_rolled_images(dtype, size):
    image = seeded_image((40, 90), dtype)
    medians = ik.median_filter(image, size, mode="wrap")
    for shift in ((1, 0), (0, 1), (13, 57)):
        rolled = np.roll(image, shift, (0, 1))
        assert_same_bits(ik.median_filter(rolled, size, mode="wrap"), np.roll(medians, shift, (0, 1)))


@sizes
@pytest.mark.parametrize("dtype", cases.DTYPES, ids=str)
def test_constant_images(dtype, size):
    for value in (seeded_image((1, 1), dtype)[0, 0], np.zeros((), dtype)[()]):
        image = np.full((9, 70), value, dtype)
        assert_same_bits(ik.median_filter(image, size), image)


@pytest.mark.parametrize("size", [3, 5, (3, 7)])
def test_at_least_half_of_a_window_is_on_either_side(size):
    image = seeded_image((20, 30), "f4")
    medians = ik.median_filter(image, size, padding="valid")
    views = np.lib.stride_tricks.sliding_window_view(image, (size, size) if isinstance(size, int) else size)
    views = views.reshape(*medians.shape, -1)
    half = views.shape[-1] // 2 + 1
    assert ((views <= medians[..., None]).sum(-1) >= half).all()
    assert ((views >= medians[..., None]).sum(-1) >= half).all()


def test_a_nan_left_out_is_as_if_its_pixel_were_cut():
    image = seeded_image((1, 41), "f8")
    holes = image.copy()
    holes[:, ::2] = np.nan
    assert_same_bits(
        ik.median_filter(holes, (1, 5), nan="omit", padding="valid", stride=2),
        ik.median_filter(image[:, 1::2], (1, 2), padding="valid"),
    )


@sizes
def test_without_a_nan_there_is_nothing_to_leave_out(size):
    image = seeded_image((20, 30), "f8")
    assert_same_bits(ik.median_filter(image, size, nan="omit"), ik.median_filter(image, size))
