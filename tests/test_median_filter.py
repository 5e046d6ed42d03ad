"""Medians against the plain definition, SciPy and OpenCV."""

import imkernels as ik
import numpy as np
import pytest

from . import cases
from .cases import assert_same_bits, seeded_image
from .reference.median_filter import median_filter as reference
from .reference.windows import to_dtype

KEY_TYPES = ["u1", "u2", "f4", "f8"]  # one of every item size, as the compiled loops are
QUIET_NAN = {"f2": 0x7E00, "f4": 0x7FC00000, "f8": 0x7FF8000000000000}
NAN_PAYLOADS = {
    "f2": [0x7C01, 0x7E00, 0x7FFF, 0xFC01, 0xFE00, 0xFFFF],
    "f4": [0x7F800001, 0x7FC00000, 0x7FFFFFFF, 0xFF800001, 0xFFC00000, 0xFFFFFFFF],
    "f8": [0x7FF0000000000001, 0x7FF8000000000000, 0x7FFFFFFFFFFFFFFF, 0xFFF0000000000001, 0xFFFFFFFFFFFFFFFF],
}


def check(image, size=None, **keywords):
    assert_same_bits(ik.median_filter(image, size, **keywords), reference(image, size, **keywords))


def with_nans(image, share, seed=1):
    """Return the image with NaNs of all signs and payloads strewn in."""
    rng = np.random.default_rng(seed)
    image = image.copy()
    kind = image.dtype.str[1:]
    holes = rng.random(image.shape) < share
    image.view(f"u{image.itemsize}")[holes] = rng.choice(
        np.array(NAN_PAYLOADS[kind], f"u{image.itemsize}"), holes.sum()
    )
    return image


# Values


@pytest.mark.parametrize("size", [1, 3, 5, (4, 5), (6, 1)])
@pytest.mark.parametrize("dtype", cases.DTYPES, ids=str)
def test_every_dtype(dtype, size):
    check(seeded_image((13, 21), dtype), size)


@pytest.mark.parametrize("dtype", KEY_TYPES)
@pytest.mark.parametrize("size", cases.SMALL_SIZES)
def test_small_sizes(size, dtype):
    check(seeded_image((8, 10), dtype), size)


@pytest.mark.parametrize("dtype", KEY_TYPES)
def test_many_equal_values(dtype):
    check(np.random.default_rng(0).integers(0, 3, (20, 30)).astype(dtype), 5)


@pytest.mark.parametrize("dtype", cases.INTEGERS, ids=str)
def test_extreme_integers(dtype):
    limits = np.iinfo(dtype)
    image = np.random.default_rng(0).choice(
        np.array([limits.min, limits.min + 1, 0, limits.max - 1, limits.max], dtype), (9, 9)
    )
    check(image, 3)
    check(image, 4)


def test_neighbouring_64_bit_integers_stay_apart():
    # 2**53 + 1 is not a float64: what went through double would come back even.
    image = np.array([[2**53, 2**53 + 1, 2**53 + 2]])
    np.testing.assert_array_equal(ik.median_filter(image, (1, 3)), [[2**53, 2**53 + 1, 2**53 + 2]])


def test_bytes_of_bool_images_count_as_true_or_false():
    image = np.array([[0, 2, 255, 0, 128, 0]], np.uint8).view(bool)
    result = ik.median_filter(image, (1, 3))
    assert_same_bits(result, np.array([[False, True, True, True, False, False]]))


def test_even_windows_give_the_upper_middle_value():
    assert ik.median_filter(np.array([[4, 1, 3, 2]]), (1, 4), padding="valid") == [[3]]
    assert ik.median_filter(np.array([[1.0, 2.0]]), (1, 2), padding="valid") == [[2.0]]


# Extents


@pytest.mark.parametrize("dtype", KEY_TYPES)
@pytest.mark.parametrize("axis", ["height", "width"])
def test_every_extent_past_twice_the_widest_vector(axis, dtype):
    for extent in range(1, cases.VECTOR_EXTENTS[np.dtype(dtype).itemsize] + 1):
        check(seeded_image((extent, 4) if axis == "height" else (4, extent), dtype, extent), 3)


@pytest.mark.parametrize("size", [3, (9, 2)])
@pytest.mark.parametrize(
    "shape", [(height, 5) for height in cases.TILE_HEIGHTS] + [(4, width) for width in cases.TILE_WIDTHS]
)
def test_extents_around_tiles(shape, size):
    check(seeded_image(shape, "u2"), size)
    check(seeded_image(shape, "f4"), size, stride=(1, 2))


@pytest.mark.sweep
@pytest.mark.parametrize("dtype", KEY_TYPES)
@pytest.mark.parametrize("size", [2, 3, 5, 7])
def test_every_extent_with_every_size(size, dtype):
    for extent in range(1, 141):
        check(seeded_image((extent, 3), dtype, extent), size)
        check(seeded_image((3, extent), dtype, extent), size)


# Windows


@pytest.mark.parametrize("dtype", ["u1", "f8"])
@pytest.mark.parametrize(("shape", "size", "keywords"), cases.GEOMETRIES)
def test_geometry(shape, size, keywords, dtype):
    check(seeded_image(shape, dtype), size, **keywords)


@pytest.mark.parametrize("mode", ["constant", "grid-constant", ("constant", "mirror"), ("wrap", "constant")])
@pytest.mark.parametrize(
    ("dtype", "cval"),
    [*cases.INTEGER_CVALS, ("?", True), ("f2", 65504), ("f4", -0.0), ("f4", np.inf), ("f8", -np.inf), ("f8", 0.1)],
)
def test_value_outside_the_image(dtype, cval, mode):
    check(seeded_image((6, 7), dtype), (3, 4), mode=mode, cval=cval)
    check(seeded_image((6, 7), dtype), 3, mode=mode, cval=cval, padding=4)


@pytest.mark.parametrize(("alias", "mode"), cases.ALIASES.items())
def test_names_of_scipy(alias, mode):
    image = seeded_image((6, 7), "u2")
    assert_same_bits(ik.median_filter(image, 5, mode=alias), ik.median_filter(image, 5, mode=mode))
    assert_same_bits(
        ik.median_filter(image, 5, mode=(alias, "mirror")), ik.median_filter(image, 5, mode=(mode, "mirror"))
    )


FOOTPRINTS = {
    "cross": [[0, 1, 0], [1, 1, 1], [0, 1, 0]],
    "corner": [[0, 0, 0], [0, 0, 0], [0, 0, 1]],
    "even number of taps": [[1, 0, 1, 1], [0, 1, 0, 0]],
    "one column": [[1], [0], [1]],
    "disk": np.hypot(*np.ogrid[-3:4, -3:4]) < 3.5,
    "counts as mask": [[2.5, 0.0, -1.0]],
}


@pytest.mark.parametrize("dtype", KEY_TYPES)
@pytest.mark.parametrize("footprint", FOOTPRINTS.values(), ids=FOOTPRINTS)
def test_footprint(footprint, dtype):
    image = seeded_image((12, 17), dtype)
    check(image, footprint=footprint)
    check(image, footprint=footprint, stride=(2, 3), padding=((3, 1), (0, 5)), mode=("wrap", "nearest"))


@pytest.mark.parametrize("origin", [(-1, -2), (0, 1), (-1, 1)])
def test_footprint_with_origin(origin):
    check(seeded_image((7, 8), "i2"), footprint=FOOTPRINTS["even number of taps"], origin=origin)


def test_footprint_of_ones_is_a_size():
    image = seeded_image((9, 11), "f4")
    assert_same_bits(ik.median_filter(image, footprint=np.ones((4, 3))), ik.median_filter(image, (4, 3)))


@pytest.mark.parametrize("size", [1, 4, (7, 2)])
def test_methods_agree(size):
    image = seeded_image((20, 23), "f4")
    assert_same_bits(ik.median_filter(image, size, method="select"), ik.median_filter(image, size, method="auto"))


# NaN, infinities and the two zeros


@pytest.mark.parametrize("nan", ["propagate", "omit"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("dtype", cases.FLOATS, ids=str)
def test_nan(dtype, share, nan):
    image = with_nans(seeded_image((12, 15), dtype), share)
    for size in (1, 2, 3, (5, 4)):
        check(image, size, nan=nan)
    check(image, footprint=FOOTPRINTS["even number of taps"], nan=nan)
    check(image, 3, nan=nan, stride=2, padding=5, mode="wrap")


@pytest.mark.parametrize("dtype", cases.FLOATS, ids=str)
def test_nan_of_a_result_is_the_quiet_one(dtype):
    kind = dtype.str[1:]
    for payload in NAN_PAYLOADS[kind]:
        image = np.full((3, 3), payload, f"u{dtype.itemsize}").view(dtype)
        for nan in ("propagate", "omit"):
            assert (cases.bits(ik.median_filter(image, 3, nan=nan)) == QUIET_NAN[kind]).all()


def test_nan_in_one_tile_of_many():
    # Tiles without a NaN take another way than tiles with one; so do windows that reach into the neighbouring tile.
    image = seeded_image((70, 1100), "f4")
    image[33, [0, 511, 512, 700, 1099]] = np.nan
    check(image, 3)
    check(image, 3, nan="omit")


@pytest.mark.parametrize("nan", ["propagate", "omit"])
@pytest.mark.parametrize("mode", ["constant", ("constant", "reflect"), ("reflect", "constant")])
@pytest.mark.parametrize("dtype", cases.FLOATS, ids=str)
def test_nan_outside_the_image(dtype, mode, nan):
    image = seeded_image((6, 7), dtype)
    check(image, 3, mode=mode, cval=np.nan, nan=nan)
    check(image, (4, 5), mode=mode, cval=np.nan, nan=nan, padding=6)


@pytest.mark.parametrize("dtype", cases.FLOATS, ids=str)
def test_infinities_are_numbers(dtype):
    rng = np.random.default_rng(0)
    image = rng.choice(np.array([-np.inf, -1, 0, 1, np.inf], dtype), (15, 15))
    check(image, 3)
    check(with_nans(image, 0.2), 3, nan="omit")


@pytest.mark.parametrize("dtype", cases.FLOATS, ids=str)
def test_minus_zero_comes_before_zero(dtype):
    image = np.array([[0.0, -0.0, 0.0, -0.0, -0.0]], dtype)
    medians = ik.median_filter(image, (1, 3), padding="valid")
    np.testing.assert_array_equal(np.signbit(medians), [[False, True, True]])
    zeros = np.random.default_rng(0).choice(np.array([-0.0, 0.0, 1.0], dtype), (20, 20))
    check(zeros, 3)


@pytest.mark.parametrize("dtype", cases.FLOATS, ids=str)
def test_subnormal_numbers(dtype):
    smallest = np.finfo(dtype).smallest_subnormal
    image = np.random.default_rng(0).integers(-3, 4, (9, 9)).astype(dtype) * smallest
    check(image, 3)


# dtype


@pytest.mark.parametrize("result", cases.NUMBERS, ids=str)
@pytest.mark.parametrize("dtype", cases.DTYPES, ids=str)
def test_dtype_of_the_result(dtype, result):
    image = seeded_image((7, 9), dtype)
    if dtype.kind == "f":
        image[2:5, 2:6] = [[-2.5, -1.5, -0.5, 0.5], [1.5, 2.5, 126.5, 127.5], [-128.5, 254.5, 255.5, 1e4]]
        image[6, 5:] = [np.inf, -np.inf, np.nan, np.nan]
    medians = reference(image, (1, 2))
    assert_same_bits(ik.median_filter(image, (1, 2), dtype=result), to_dtype(medians, result))


def test_dtype_of_bool_images():
    image = seeded_image((5, 6), bool)
    assert_same_bits(ik.median_filter(image, 3, dtype=bool), reference(image, 3))


# Other libraries


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, (2, 7), (6, 3)])
@pytest.mark.parametrize("mode", cases.MODES)
@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "f8"])
def test_scipy(scipy_ndimage, dtype, mode, size):
    image = seeded_image((10, 12), dtype)
    expected = scipy_ndimage.median_filter(image, size, mode=mode, cval=7)
    assert_same_bits(ik.median_filter(image, size, mode=mode, cval=7), expected)


@pytest.mark.parametrize("mode", cases.MODES)
@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_scipy_origins(scipy_ndimage, size, mode):
    image = seeded_image((8, 9), "f8")
    for row in range(-(size // 2), (size - 1) // 2 + 1):
        for column in range(-(size // 2), (size - 1) // 2 + 1):
            expected = scipy_ndimage.median_filter(image, size, mode=mode, origin=(row, column))
            assert_same_bits(ik.median_filter(image, size, mode=mode, origin=(row, column)), expected)


@pytest.mark.parametrize("footprint", FOOTPRINTS.values(), ids=FOOTPRINTS)
def test_scipy_footprints(scipy_ndimage, footprint):
    image = seeded_image((12, 13), "f4")
    expected = scipy_ndimage.median_filter(image, footprint=np.asarray(footprint).astype(bool))
    assert_same_bits(ik.median_filter(image, footprint=footprint), expected)


@pytest.mark.parametrize(
    ("size", "dtype"),
    [(size, dtype) for size in (3, 5) for dtype in ("u1", "u2", "f4")] + [(size, "u1") for size in (7, 9, 15, 31)],
)
def test_opencv(cv2, size, dtype):
    image = seeded_image((67, 83), dtype)
    assert_same_bits(ik.median_filter(image, size, mode="nearest"), cv2.medianBlur(image, size))
