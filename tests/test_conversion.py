"""The one conversion from what is computed to what is asked for: round half to even, saturate, NaN to 0."""

from fractions import Fraction

import imkernels as ik
import numpy as np
import pytest

from tests import cases

# Around every place where a double changes its spacing or an integer type ends.
POWERS = [7, 8, 15, 16, 23, 24, 31, 32, 50, 51, 52, 53, 62, 63, 64]
EDGES = [
    sign * (2.0**power + step) for power in POWERS for step in (-1.5, -1, -0.5, 0, 0.5, 1, 1.5) for sign in (1, -1)
]
VALUES = np.array([[*EDGES, 0.0, -0.0, 0.5, -0.5, 1.5, 2.5, 0.49999999999999994, np.inf, -np.inf, np.nan, 5e-324]])


def half_to_even(value):
    return round(Fraction(value))  # Python's rule for exact fractions


@pytest.mark.parametrize("dtype", cases.INTEGERS, ids=str)
def test_doubles_become_integers(dtype):
    limits = np.iinfo(dtype)
    found = ik.median_filter(VALUES, 1, dtype=dtype)
    for value, got in zip(VALUES[0], found[0].tolist(), strict=True):
        if np.isnan(value):
            wanted = 0
        elif np.isinf(value):
            wanted = limits.max if value > 0 else limits.min
        else:
            wanted = min(max(half_to_even(value), limits.min), limits.max)
        assert got == wanted, value


def test_doubles_become_halves_by_one_rounding():
    # Just above the middle of two halves: rounding to float32 first would land on the middle and then go to even.
    above = 1 + 2.0**-11 + 2.0**-40
    values = np.array([[above, -above, 1 + 2.0**-11, 1 + 3 * 2.0**-11, 65519.99, 65520.0, 2.0**-25, 2.0**-25 * 1.0001]])
    found = ik.box_blur(values, 1, dtype=np.float16)
    assert found.tolist() == [[1 + 2.0**-10, -1 - 2.0**-10, 1.0, 1 + 2.0**-9, 65504.0, np.inf, 0.0, 2.0**-24]]


@pytest.mark.parametrize(("dtype", "pixel"), [("i8", 2**62), ("u8", 2**63), ("i4", -(2**31)), ("u1", 255)])
def test_sums_of_integers_do_not_wrap_on_their_way_to_floats(dtype, pixel):
    image = np.full((3, 40), pixel, dtype)
    found = ik.box_blur(image, (1, 4), normalize=False, dtype=np.float64)
    assert (found == 4.0 * pixel).all()


def test_integer_sums_are_rounded_to_float32_once():
    image = np.array([[65535, 65535]], np.uint16)
    kernel = np.array([[29999, -29998]], np.int16)  # the products alone have more bits than float32
    assert ik.correlate(image, kernel, padding="valid", dtype=np.float32).tolist() == [[65535.0]]
