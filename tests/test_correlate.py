"""Correlations against exact arithmetic, SciPy, OpenCV and PyTorch."""

import itertools
import math

import imkernels as ik
import numpy as np
import pytest

from . import cases
from .cases import assert_same_bits, seeded_image
from .reference.correlate import correlate as reference
from .reference.correlate import magnitude
from .reference.windows import modulo, to_dtype

EIGHT_BITS = ["i1", "u1"]
SIGNED_64 = [dtype for dtype in cases.INTEGERS if dtype != np.uint64]  # those that int64 holds
PAIRS = [
    (image, kernel)
    for image, kernel in itertools.product(cases.DTYPES, cases.DTYPES)
    if image.kind == "f" or kernel.kind == "f" or (image in SIGNED_64 and kernel in SIGNED_64)
]


def check(image, kernel, **keywords):
    """Compare sums: those of integers are exact modulo their bits, those of floats within K*L*eps*sum|x||w|."""
    sums = ik.correlate(image, kernel, **keywords)
    exact = reference(image, kernel, **keywords)
    if exact.dtype == object:
        bits = 32 if image.itemsize == kernel.itemsize == 1 else 64
        assert_same_bits(sums, modulo(exact, bits))
        return
    assert sums.dtype == np.result_type(image, kernel)
    assert_within(sums, exact, magnitude(image, kernel, **keywords) * kernel.shape[-2] * kernel.shape[-1])


def assert_within(sums, exact, roundings):
    """Hold |sums - exact| <= eps * roundings; float16 computes in float32 and rounds once."""
    assert sums.shape == exact.shape
    error = np.abs(sums.astype(float) - exact)
    limits = np.finfo(sums.dtype)
    allowed = float(np.finfo(np.float32 if sums.dtype == np.float16 else sums.dtype).eps) * roundings
    if sums.dtype == np.float16:
        allowed = allowed + float(limits.eps) / 2 * np.abs(exact)
    allowed = allowed + float(limits.smallest_subnormal)
    assert (error <= allowed).all(), f"{(error / allowed).max()} of the error allowed"


def small_kernel(shape, dtype, seed=1):
    """Return a kernel of both signs (where there are any) whose sums with 16-bit images fit 32 bits."""
    dtype = np.dtype(dtype)
    rng = np.random.default_rng(seed)
    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    return rng.integers(0 if dtype.kind == "u" else -9, 10, shape).astype(dtype)


# Values


@pytest.mark.parametrize(("image", "kernel"), PAIRS, ids=str)
def test_every_pair_of_dtypes(image, kernel):
    pixels = seeded_image((9, 11), image)
    weights = seeded_image((3, 4), kernel, seed=1)
    if np.result_type(image, kernel) == np.float16:  # keep clear of its largest number
        pixels, weights = (pixels / 16).astype(image), (weights / 16).astype(kernel)
    check(pixels, weights)


@pytest.mark.parametrize("dtypes", [("u1", "i1"), ("i2", "i2"), ("i8", "i8"), ("f4", "f4"), ("f8", "f8")])
@pytest.mark.parametrize("size", cases.SMALL_SIZES)
def test_small_sizes(size, dtypes):
    image, kernel = dtypes
    check(seeded_image((8, 10), image), small_kernel(size, kernel))


@pytest.mark.parametrize("kernel", EIGHT_BITS)
@pytest.mark.parametrize("image", EIGHT_BITS)
def test_eight_by_eight_bits_do_not_wrap(image, kernel):
    for pixel, weight in itertools.product(*([np.iinfo(dtype).min, np.iinfo(dtype).max] for dtype in (image, kernel))):
        sums = ik.correlate(np.full((4, 4), pixel, image), np.full((3, 3), weight, kernel))
        assert_same_bits(sums, np.full((4, 4), 9 * int(pixel) * int(weight), np.int32))


def test_bytes_of_bool_images_count_as_0_or_1():
    image = np.array([[0, 2, 255, 0, 128]], np.uint8).view(bool)
    assert_same_bits(ik.correlate(image, np.ones((1, 2), "f4"), padding="valid"), np.array([[1, 2, 1, 1]], "f4"))


def test_largest_sums_of_32_bits():
    # 181 * 181 * 255 * 255 and -511 * 256 * 128 * 128 are just inside.
    assert ik.correlate(np.full((1, 1), 255, "u1"), np.full((181, 181), 255, "u1")).tolist() == [[2130284025]]
    assert ik.correlate(np.full((1, 1), -128, "i1"), np.full((511, 256), -128, "i1")).tolist() == [[2143289344]]
    assert ik.correlate(np.full((1, 1), -128, "i1"), np.full((511, 256), 127, "i1")).tolist() == [[-2126544896]]


@pytest.mark.parametrize(
    ("image", "pixel", "kernel"),
    [("u1", 255, np.full((182, 182), 255, "u1")), ("i1", -128, np.full((512, 256), -128, "i1"))],
)
def test_sums_beyond_32_bits_in_64(image, pixel, kernel):
    sums = ik.correlate(np.full((1, 1), pixel, image), kernel, dtype=np.int64)
    assert_same_bits(sums, np.array([[kernel.size * pixel * int(kernel[0, 0])]]))


@pytest.mark.parametrize("image", ["i2", "u2"])
@pytest.mark.parametrize("weight", [2**15 - 1, 2**15, 2**16 + 3, -(2**15), 2**31, -(2**62)])
def test_sixteen_bit_images_on_both_sides_of_32_bit_sums(image, weight):
    # 32-bit lanes are for kernels whose sums fit, whatever the dtypes say.
    pixels = np.random.default_rng(0).choice(np.array([np.iinfo(image).min, np.iinfo(image).max], image), (5, 6))
    check(pixels, np.array([[weight]]))
    check(pixels, np.array([[weight, 0, 1]]))
    check(pixels, np.array([[weight, -weight]]))


@pytest.mark.parametrize("image", ["i4", "u4", "i8"])
def test_sums_of_64_bits_wrap(image):
    limits = np.iinfo(image)
    pixels = np.random.default_rng(0).choice(np.array([limits.min, limits.max, limits.max - 1], image), (5, 6))
    kernel = np.array([[2**63 - 1, -(2**63), 3], [2**62, -5, 2**40]])
    check(pixels, kernel)


@pytest.mark.parametrize("dtype", cases.FLOATS, ids=str)
def test_whole_numbers_as_floats_are_exact(dtype):
    rng = np.random.default_rng(0)
    image = rng.integers(-100, 101, (20, 25)).astype(dtype)
    kernel = rng.integers(-50, 51, (7, 6)).astype(dtype)
    assert_same_bits(ik.correlate(image, kernel), to_dtype(reference(image, kernel), dtype))


def test_float16_rounds_once():
    # 2048 + 1 is a tie in float16 that the 2**-11 after it decides.
    image = np.array([[2048, 1, 2**-11]], np.float16)
    assert ik.correlate(image, np.ones((1, 3), np.float16), padding="valid") == [[2050]]
    assert ik.correlate(image, np.array([[1, 1, 0]], np.float16), padding="valid") == [[2048]]


def test_products_of_float16_do_not_overflow_on_the_way():
    image = np.array([[60000, 60000]], np.float16)
    assert ik.correlate(image, np.array([[2, -1.5]], np.float16), padding="valid") == [[30000]]


@pytest.mark.parametrize("dtype", cases.FLOATS, ids=str)
def test_nan_and_infinities(dtype):
    image = seeded_image((9, 10), dtype)
    image[2, 3] = np.nan
    image[6, [1, 7]] = np.inf
    image[7, 8] = -np.inf
    kernel = np.array([[1, 0.5, 2], [0, -1, 1]], dtype)
    with np.errstate(invalid="ignore"):
        expected = reference(image, kernel)
    sums = ik.correlate(image, kernel)
    np.testing.assert_array_equal(np.isnan(sums), np.isnan(expected))
    np.testing.assert_array_equal(sums[np.isinf(expected)], expected[np.isinf(expected)])
    assert np.isfinite(sums[np.isfinite(expected)]).all()


def test_nan_in_the_kernel():
    assert np.isnan(ik.correlate(np.ones((3, 4)), np.array([[1.0, np.nan]]))).all()


# Float error


@pytest.mark.parametrize("size", [(1, 1), (1, 101), (101, 1), (31, 31), (2, 64)])
@pytest.mark.parametrize("dtype", cases.FLOATS, ids=str)
def test_float_error(dtype, size):
    for seed, offset in ((1, 0), (2, 100)):
        image = (seeded_image((60, 70), dtype, seed) / 16 + offset).astype(dtype)
        kernel = small_kernel(size, dtype, seed)
        check(image, (kernel / kernel.size).astype(dtype), stride=(7, 9))


def test_cancelling_sums():
    image = np.where(np.indices((40, 40)).sum(0) % 2, 1.0, 1 + 2.0**-20).astype(np.float32)
    signs = np.where(np.indices((15, 15)).sum(0) % 2, 1, -1).astype(np.float32)
    check(image, signs)


# Extents


@pytest.mark.parametrize("dtypes", [("u1", "i1"), ("u2", "i2"), ("f4", "f4"), ("i8", "i8"), ("f8", "f8")])
@pytest.mark.parametrize("axis", ["height", "width"])
def test_every_extent_past_twice_the_widest_vector(axis, dtypes):
    image, kernel = dtypes
    weights = small_kernel((3, 3), kernel)
    for extent in range(1, 141 if axis == "width" and image == "u1" else 41):
        check(seeded_image((extent, 2) if axis == "height" else (2, extent), image, extent), weights)


@pytest.mark.parametrize("size", [(3, 3), (6, 2)])
@pytest.mark.parametrize(
    "shape", [(height, 3) for height in cases.TILE_HEIGHTS] + [(2, width) for width in cases.TILE_WIDTHS]
)
def test_extents_around_tiles(shape, size):
    check(seeded_image(shape, "u1"), small_kernel(size, "i1"))
    check(seeded_image(shape, "f4"), small_kernel(size, "f4"), stride=(1, 2))


@pytest.mark.parametrize("size", [(1, 2), (1, 7), (1, 64), (1, 101), (2, 1), (9, 1), (101, 1)])
@pytest.mark.parametrize("dtypes", [("u1", "i1"), ("f4", "f4"), ("i4", "i8")])
def test_kernels_of_one_row_or_column(size, dtypes):
    image, kernel = dtypes
    check(seeded_image((6, 17), image), small_kernel(size, kernel))


@pytest.mark.parametrize("dtypes", [("u1", "i1"), ("f8", "f8")])
def test_kernels_cut_into_blocks(dtypes):
    # Windows beyond the loader's buffer are taken in blocks of taps.
    image, kernel = dtypes
    check(seeded_image((5, 200), image), small_kernel((120, 90), kernel), stride=(3, 41))
    check(seeded_image((3, 6), image), small_kernel((3, 4), kernel), dilation=(900, 1100))


@pytest.mark.sweep
@pytest.mark.parametrize("dtypes", [("u1", "i1"), ("u2", "i2"), ("f4", "f4"), ("i8", "i8"), ("f8", "f8")])
@pytest.mark.parametrize("size", [(2, 2), (3, 3), (5, 5), (1, 7), (7, 1)])
def test_every_extent_with_every_size(size, dtypes):
    image, kernel = dtypes
    weights = small_kernel(size, kernel)
    for extent in range(1, 141):
        check(seeded_image((extent, 3), image, extent), weights)
        check(seeded_image((3, extent), image, extent), weights)


# Windows


@pytest.mark.parametrize("dtypes", [("u1", "i1"), ("f4", "f4")])
@pytest.mark.parametrize(("shape", "size", "keywords"), cases.GEOMETRIES)
def test_geometry(shape, size, keywords, dtypes):
    image, kernel = dtypes
    check(seeded_image(shape, image), small_kernel(size, kernel), **keywords)


@pytest.mark.parametrize("padding", ["same", "valid", 4, ((9, 0), (3, 11))])
@pytest.mark.parametrize("mode", cases.MODES)
@pytest.mark.parametrize("stride", [1, 2, (3, 1), (2, 5)])
@pytest.mark.parametrize("dilation", [2, 3, (1, 4), (3, 2)])
def test_dilation(dilation, stride, mode, padding):
    image = seeded_image((12, 15), "i2")
    check(image, small_kernel((3, 4), "i2"), dilation=dilation, stride=stride, mode=mode, padding=padding)


@pytest.mark.parametrize("mode", cases.MODES)
@pytest.mark.parametrize("dilation", [20, 1001, 2**20, 2**29 - 1])
def test_dilation_far_beyond_the_image(dilation, mode):
    check(seeded_image((4, 5), "i2"), small_kernel((3, 4), "i2"), dilation=dilation, mode=mode)
    check(seeded_image((4, 5), "f4"), small_kernel((2, 3), "f4"), dilation=dilation, mode=mode, stride=(3, 2))


@pytest.mark.parametrize("origin", [(-1, -2), (0, 1), (1, -1)])
def test_dilation_with_origin(origin):
    check(seeded_image((9, 10), "i2"), small_kernel((3, 4), "i2"), dilation=(2, 3), origin=origin)


@pytest.mark.parametrize("mode", ["constant", "grid-constant", ("constant", "mirror"), ("wrap", "constant")])
@pytest.mark.parametrize(("dtype", "cval"), [*cases.INTEGER_CVALS[:-1], ("f2", 0.5), ("f8", 0.1)])
def test_value_outside_the_image(dtype, cval, mode):
    kernel = small_kernel((3, 4), "f8" if np.dtype(dtype).kind == "f" else "i1")
    check(seeded_image((6, 7), dtype), kernel, mode=mode, cval=cval)
    check(seeded_image((6, 7), dtype), kernel, mode=mode, cval=cval, padding=4)


@pytest.mark.parametrize(("dtype", "cval"), [("u1", 255), ("i8", 2**53 - 1), ("?", 1)])
def test_value_outside_an_integer_image_with_a_float_kernel(dtype, cval):
    check(seeded_image((5, 6), dtype), small_kernel((3, 3), "f4"), mode="constant", cval=cval)


@pytest.mark.parametrize("cval", [np.nan, np.inf, -np.inf])
def test_no_number_outside_the_image(cval):
    image, kernel = seeded_image((7, 8), "f4"), np.ones((3, 3), "f4")
    sums = ik.correlate(image, kernel, mode="constant", cval=cval)
    assert_same_bits(sums[1:-1, 1:-1], ik.correlate(image, kernel, padding="valid"))
    sums[1:-1, 1:-1] = cval
    np.testing.assert_array_equal(sums, np.full((7, 8), cval, "f4"))


@pytest.mark.parametrize(("alias", "mode"), cases.ALIASES.items())
def test_names_of_scipy(alias, mode):
    image, kernel = seeded_image((6, 7), "i2"), small_kernel((5, 5), "i2")
    assert_same_bits(ik.correlate(image, kernel, mode=alias), ik.correlate(image, kernel, mode=mode))
    mixed = ik.correlate(image, kernel, mode=(alias, "mirror"))
    assert_same_bits(mixed, ik.correlate(image, kernel, mode=(mode, "mirror")))


def test_methods_agree():
    image, kernel = seeded_image((20, 30), "f4"), small_kernel((5, 4), "f4")
    check(image, kernel, dilation=2)
    assert_same_bits(ik.correlate(image, kernel, method="direct"), ik.correlate(image, kernel, method="auto"))


# Kernel banks


BANKS = {
    "one image, many kernels": ((7, 8), (4, 3, 2)),
    "many images, one kernel": ((5, 7, 8), (3, 2)),
    "a kernel per image": ((5, 7, 8), (5, 3, 2)),
    "all with all": ((5, 1, 7, 8), (4, 3, 2)),
    "both broadcast": ((2, 1, 3, 7, 8), (4, 1, 3, 2)),
    "more axes on the kernel": ((3, 7, 8), (2, 4, 3, 3, 2)),
}


@pytest.mark.parametrize("dtypes", [("u1", "i1"), ("f4", "f4")])
@pytest.mark.parametrize(("shape", "kernels"), BANKS.values(), ids=BANKS)
def test_kernel_banks(shape, kernels, dtypes):
    shape = shape if len(kernels) < 5 else (4, *shape)  # (4, 3) of images against (2, 4, 3) of kernels
    check(seeded_image(shape, dtypes[0]), small_kernel(kernels, dtypes[1]))


@pytest.mark.parametrize(("shape", "kernels"), [((7, 8), (0, 3, 2)), ((0, 7, 8), (3, 2)), ((0, 7, 8), (4, 1, 3, 2))])
def test_empty_banks(shape, kernels):
    sums = ik.correlate(np.ones(shape), np.ones(kernels))
    assert sums.shape == (*np.broadcast_shapes(shape[:-2], kernels[:-2]), 7, 8)
    assert sums.dtype == np.float64


def test_kernel_bank_with_axes():
    image, kernels = seeded_image((7, 8, 5), "f4"), small_kernel((5, 3, 2), "f4")
    channels_last = ik.correlate(image, kernels, axes=(0, 1))
    assert_same_bits(channels_last, np.moveaxis(ik.correlate(np.moveaxis(image, -1, 0), kernels), 0, -1))


def test_the_largest_kernel_of_a_bank_decides():
    # The second kernel's sums leave 32 bits, the first one's do not.
    image = np.full((1, 1), 2**15 - 1, np.int16)
    kernels = np.array([[[1]], [[2**20]]])
    assert ik.correlate(image, kernels).ravel().tolist() == [2**15 - 1, (2**15 - 1) * 2**20]


@pytest.mark.parametrize("dtype", ["i1", "i8", "f4", "f8"])
def test_kernels_of_any_layout(dtype):
    image, kernel = seeded_image((9, 10), dtype), small_kernel((3, 5), dtype)
    expected = ik.correlate(image, kernel)
    for _, other in cases.layouts(kernel):
        before = other.tobytes()
        assert_same_bits(ik.correlate(image, other), expected)
        assert other.tobytes() == before


def test_kernel_of_zero_strides():
    image = seeded_image((6, 7), "i2")
    assert_same_bits(ik.correlate(image, np.broadcast_to(3, (2, 4))), ik.correlate(image, np.full((2, 4), 3)))


def test_kernel_as_a_list():
    assert_same_bits(ik.correlate(np.arange(4.0).reshape(1, 4), [[1, 0, -1]]), np.array([[-1.0, -2.0, -2.0, -1.0]]))


def test_out_may_overlap_the_kernel():
    both = np.arange(60.0)
    image = seeded_image((4, 5), float)
    kernel = both[:15].reshape(3, 5)
    expected = ik.correlate(image, kernel.copy())
    out = both[3:23].reshape(4, 5)
    assert ik.correlate(image, kernel, out=out) is out
    assert_same_bits(out, expected)


# dtype


@pytest.mark.parametrize("result", cases.INTEGERS, ids=str)
@pytest.mark.parametrize("dtypes", [("u1", "i1"), ("i2", "i4"), ("f2", "f2"), ("f4", "f4"), ("f8", "i8")])
def test_integer_results_are_rounded_and_saturated(dtypes, result):
    image, kernel = dtypes
    pixels = np.random.default_rng(0).integers(0, 100, (7, 9)).astype(image)
    weights = np.array([[0.5, -1, 2]] if kernel[0] == "f" else [[3, -1, 2]], kernel)  # halves: ties
    if pixels.dtype.kind == "f":
        pixels[3, [1, 7]] = [np.inf, np.nan]
    with np.errstate(invalid="ignore"):
        expected = to_dtype(reference(pixels, weights), result)
    assert_same_bits(ik.correlate(pixels, weights, dtype=result), expected)


@pytest.mark.parametrize("dtypes", [("u1", "i1"), ("i2", "u2"), ("i1", "f2"), ("f2", "f2"), ("f2", "f4")])
def test_wider_float_results_are_computed_wider(dtypes):
    image, kernel = seeded_image((7, 9), dtypes[0]), small_kernel((3, 4), dtypes[1])
    sums = ik.correlate(image, kernel, dtype=float)
    assert sums.dtype == np.float64
    assert_within(sums, reference(image, kernel).astype(float), 12 * magnitude(image, kernel))


@pytest.mark.parametrize("dtypes", [("f8", "f8"), ("f8", "f4"), ("i4", "f4")])
@pytest.mark.parametrize("result", [np.float32, np.float16])
def test_narrower_float_results_are_rounded_once(dtypes, result):
    image, kernel = np.random.default_rng(0).integers(-9, 10, (7, 9)).astype(dtypes[0]), small_kernel((3, 4), dtypes[1])
    assert_same_bits(ik.correlate(image, kernel, dtype=result), ik.correlate(image, kernel).astype(result))


@pytest.mark.parametrize("dtypes", [("u1", "u1"), ("i1", "u1"), ("u1", "i1"), ("i1", "i1")])
def test_eight_by_eight_bits_in_64(dtypes):
    image, kernel = (seeded_image((5, 6), dtype) for dtype in dtypes)
    assert_same_bits(ik.correlate(image, kernel, dtype=np.int64), modulo(reference(image, kernel), 64))


# Other libraries


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 3), (4, 4), (5, 2), (2, 7)])
@pytest.mark.parametrize("mode", cases.MODES)
def test_scipy(scipy_ndimage, mode, size):
    image, kernel = seeded_image((10, 12), float), small_kernel(size, float)
    expected = scipy_ndimage.correlate(image, kernel, mode=mode, cval=0.75)
    bound = magnitude(image, kernel, mode=mode, cval=0.75) * kernel.size
    assert_within(ik.correlate(image, kernel, mode=mode, cval=0.75), expected, 2 * bound)


@pytest.mark.parametrize("mode", cases.MODES)
@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_scipy_origins(scipy_ndimage, size, mode):
    image = np.random.default_rng(0).integers(-99, 100, (8, 9)).astype(float)
    kernel = np.random.default_rng(1).integers(-99, 100, (size, size)).astype(float)
    for row in range(-(size // 2), (size - 1) // 2 + 1):
        for column in range(-(size // 2), (size - 1) // 2 + 1):
            expected = scipy_ndimage.correlate(image, kernel, mode=mode, origin=(row, column))
            np.testing.assert_array_equal(ik.correlate(image, kernel, mode=mode, origin=(row, column)), expected)


@pytest.mark.parametrize(("mode", "border"), [("reflect", 2), ("nearest", 1), ("mirror", 4), ("constant", 0)])
@pytest.mark.parametrize("size", [(3, 3), (5, 5), (1, 4), (6, 3)])
def test_opencv(cv2, size, mode, border):
    assert (cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE, cv2.BORDER_REFLECT, cv2.BORDER_REFLECT_101) == (0, 1, 2, 4)
    image, kernel = seeded_image((21, 33), "f4"), small_kernel(size, "f4")
    expected = cv2.filter2D(image, -1, kernel, borderType=border)
    assert_within(
        ik.correlate(image, kernel, mode=mode), expected, 2 * kernel.size * magnitude(image, kernel, mode=mode)
    )


@pytest.mark.parametrize("dilation", [1, 2, (3, 1)])
@pytest.mark.parametrize("stride", [1, 2, (1, 3)])
@pytest.mark.parametrize("padding", [0, 3, (1, 4)])
def test_pytorch(torch, padding, stride, dilation):
    rng = np.random.default_rng(0)
    image, kernel = (rng.integers(-99, 100, shape).astype(float) for shape in ((13, 14), (3, 4)))
    tensors = (torch.from_numpy(array)[None, None] for array in (image, kernel))
    expected = torch.nn.functional.conv2d(*tensors, stride=stride, padding=padding, dilation=dilation)[0, 0].numpy()
    keywords = {"stride": stride, "padding": padding, "dilation": dilation, "mode": "constant"}
    np.testing.assert_array_equal(ik.correlate(image, kernel, **keywords), expected)


@pytest.mark.parametrize("dtype", ["f4", "i1"])
def test_kernels_that_are_changed_between_calls(dtype):
    """What is remembered of a kernel are its weights, not the array."""
    image = seeded_image((9, 10), dtype)
    kernel = np.arange(-4, 5).reshape(3, 3).astype(dtype)
    for kernel[1, 1] in (1, 2, 1, -0.0, 0.0):
        check(image, kernel)
        check(image, kernel.astype(kernel.dtype.newbyteorder()))
        check(image, kernel.T)
    check(image, np.ascontiguousarray(kernel.reshape(1, 9)))
    check(image, np.ascontiguousarray(kernel.reshape(9, 1)))


@pytest.mark.parametrize("shape", [(2, 3, 3), (1, 2, 3, 3), (2, 40, 3)])
def test_banks_that_are_changed_between_calls(shape):
    image = seeded_image((9, 10), "f4")
    bank = np.arange(math.prod(shape), dtype="f4").reshape(shape)
    for bank[..., 1, 1] in (1, 2, 1):
        each = [ik.correlate(image, kernel, padding=20) for kernel in bank.reshape(-1, *shape[-2:])]
        expected = np.reshape(each, (*shape[:-2], *each[0].shape))
        np.testing.assert_allclose(ik.correlate(image, bank, padding=20), expected, rtol=1e-4)
