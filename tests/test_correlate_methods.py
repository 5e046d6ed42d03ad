"""The methods of `correlate` against each other and against what is known in closed form."""

import itertools
from math import fsum

import imkernels as ik
import numpy as np
import pytest
import scipy.ndimage
import scipy.signal

from .cases import assert_same_bits, seeded_image
from .reference.correlate import magnitude

METHODS = ["direct", "separable"]
BINOMIAL = np.array([1, 4, 6, 4, 1])
RANK_ONE = {
    "sobel": np.outer([1, 2, 1], [-1, 0, 1]),
    "binomial": np.outer(BINOMIAL, BINOMIAL),
    "box": np.ones((7, 4), int),
    "multiples": np.outer([6, -15, 0, 9], [10, 4]),
    "row": np.array([[3, 0, -2]]),
    "column": np.array([[3], [0], [-2]]),
    "zero": np.zeros((3, 3), int),
}
ranks_one = pytest.mark.parametrize("kernel", RANK_ONE.values(), ids=RANK_ONE)


# Methods


@ranks_one
@pytest.mark.parametrize("dtypes", [("u1", "i2"), ("i1", "i4"), ("u2", "i2"), ("i8", "i8"), ("f4", "f4"), ("u1", "f8")])
def test_whole_numbers_are_the_same_by_every_method(dtypes, kernel):
    image, weights = seeded_image((37, 70), "i1").astype(dtypes[0]), kernel.astype(dtypes[1])
    expected = ik.correlate(image, weights, method="direct")
    for method in ("auto", "separable", "fft") if expected.dtype == np.int32 else ("auto", "separable"):
        assert_same_bits(ik.correlate(image, weights, method=method), expected)
        assert_same_bits(ik.convolve(image, weights[::-1, ::-1], method=method), expected)


@pytest.mark.parametrize("keywords", [{"stride": 2}, {"dilation": (2, 3)}, {"mode": "constant", "cval": 3}])
@pytest.mark.parametrize("size", [(3, 3), (9, 9), (20, 5), (1, 31)])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_methods_agree_within_the_bound(dtype, size, keywords):
    rng = np.random.default_rng(1)
    image = rng.standard_normal((40, 45)).astype(dtype)
    kernel = np.outer(rng.standard_normal(size[0]), rng.standard_normal(size[1])).astype(dtype)
    one, other = (ik.correlate(image, kernel, method=method, **keywords) for method in METHODS)
    allowed = magnitude(image, kernel, **keywords) * kernel.size * np.finfo(dtype).eps
    assert (np.abs(one.astype(float) - other) <= 2 * allowed).all()


@pytest.mark.parametrize(
    "kernel",
    [
        np.eye(3),
        np.array([[1, 2], [2, 3]]),
        np.array([[1.0, 0.5], [0.5, 0.25 + 2**-50]]),
        np.array([[3.0, 6.0], [4.0, 8.5]]),
        np.array([[np.nan, 1.0]]),
        np.array([[np.inf]]),
        np.array([[-(2**63), 0], [0, 1]]),
    ],
)
def test_kernels_that_are_no_outer_product(kernel):
    with pytest.raises(ValueError, match="method 'separable' needs a kernel that is the outer product of a column"):
        ik.correlate(np.ones((5, 6)) if kernel.dtype.kind == "f" else np.ones((5, 6), int), kernel, method="separable")


def test_a_bank_is_separable_if_all_its_kernels_are():
    image = seeded_image((20, 30), "u1")
    bank = np.stack([np.outer([1, 2, 1], [-1, 0, 1]), np.outer([-1, 0, 1], [1, 2, 1])])
    assert_same_bits(ik.correlate(image, bank, method="separable"), ik.correlate(image, bank, method="direct"))
    with pytest.raises(ValueError, match="outer product"):
        ik.correlate(image, np.stack([bank[0], np.eye(3, dtype=int)]), method="separable")


@pytest.mark.parametrize("method", ["direct", "fft"])
@pytest.mark.parametrize("size", [(3, 3), (14, 15)])
@pytest.mark.parametrize("count", [1, 3, 11])
def test_a_bank_is_one_kernel_after_the_other(count, size, method):
    rng = np.random.default_rng(6)
    images = rng.uniform(50, 200, (2, 100, 70)).astype(np.float32)
    bank = rng.standard_normal((count, *size)).astype(np.float32)

    def filtered(image, kernels):
        return ik.correlate(image, kernels, method=method)

    expected = np.stack([[filtered(image, kernel) for kernel in bank] for image in images])
    assert_same_bits(filtered(images[:, None], bank), expected)
    assert_same_bits(filtered(images, bank[:, None]), expected.swapaxes(0, 1))
    assert_same_bits(filtered(images[0], bank), expected[0])


@pytest.mark.parametrize("method", ["direct", "fft"])
def test_a_kernel_for_each_image(method):
    rng = np.random.default_rng(7)
    images = rng.uniform(50, 200, (2, 3, 50, 70)).astype(np.float32)
    kernels = rng.standard_normal((3, 14, 15)).astype(np.float32)
    pairs = [zip(row, kernels, strict=True) for row in images]
    expected = [[ik.correlate(image, kernel, method=method) for image, kernel in row] for row in pairs]
    assert_same_bits(ik.correlate(images, kernels, method=method), np.array(expected))


def test_a_bank_of_kernels_that_are_taken_in_blocks():
    image = seeded_image((2, 40), "u1")
    bank = np.random.default_rng(8).integers(0, 3, (3, 1, 300_001)).astype(np.float32)
    found = ik.correlate(image, bank, method="direct")
    assert_same_bits(found, np.stack([ik.correlate(image, kernel, method="direct") for kernel in bank]))


@pytest.mark.parametrize("size", [3, 5, 7, 9, (4, 6), (1, 7), (7, 1), (2, 2)])
@pytest.mark.parametrize("stride", [1, 2, 3, (1, 2), (2, 1)])
@pytest.mark.parametrize("dtypes", [("u1", "i1"), ("u1", "i2"), ("f4", "f4"), ("f8", "f8"), ("i2", "i8")])
def test_loops_of_their_own_agree_with_shifted_sums(dtypes, stride, size):
    # The smallest and the largest tiles, rows that do not fill a group, and columns that do not fill a vector.
    down, right = (size, size) if isinstance(size, int) else size
    kernel = np.random.default_rng(0).integers(0, 4, (down, right)).astype(dtypes[1])
    for shape in [(1, 1), (3, 5), (33, 66), (70, 131), (9, 2100)]:
        image = seeded_image(shape, "i1").astype(dtypes[0])
        padded = np.pad(image, ((down // 2, (down - 1) // 2), (right // 2, (right - 1) // 2)), "symmetric")
        windows = np.lib.stride_tricks.sliding_window_view(padded.astype(np.int64), (down, right))
        sums = np.einsum("yxij,ij->yx", windows, kernel.astype(np.int64))
        steps = (stride, stride) if isinstance(stride, int) else stride
        found = ik.correlate(image, kernel, stride=stride, method="direct")
        np.testing.assert_array_equal(found, sums[:: steps[0], :: steps[1]])


@pytest.mark.parametrize("size", [3, 5, 7, (1, 3), (3, 1), (2, 2), (4, 6), (7, 2), (1, 1)])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_images_read_where_they_lie_give_the_bits_of_copies(dtype, size):
    # Long rows of an image are read in place where they lie side by side, and of another layout by way of a buffer.
    rng = np.random.default_rng(9)
    kernel = rng.standard_normal((size, size) if isinstance(size, int) else size).astype(dtype)
    for height, width, keywords in [
        (5, 256, {}),
        (12, 261, {"mode": "wrap"}),
        (40, 300, {"mode": "constant", "cval": 2}),
        (150, 2500, {}),
        (21, 400, {"padding": "valid"}),
        (30, 290, {"padding": ((0, 9), (20, 3))}),
        (30, 290, {"dilation": (1, 3)}),
        (30, 290, {"dilation": (3, 1)}),
        (60, 700, {"stride": (1, 2)}),
        (60, 700, {"stride": (3, 1)}),
    ]:
        image = rng.standard_normal((2, height, width)).astype(dtype)
        swapped = image.astype(image.dtype.newbyteorder())
        expected = ik.correlate(swapped, kernel, method="direct", **keywords).astype(dtype)
        assert_same_bits(ik.correlate(image, kernel, method="direct", **keywords), expected)
        upside_down = image[:, ::-1].copy()[:, ::-1]
        rows = np.zeros((2, 2 * expected.shape[1], expected.shape[2] + 3), dtype)
        out = ik.correlate(upside_down, kernel, method="direct", out=rows[:, ::2, 1:-2], **keywords)
        assert_same_bits(out.copy(), expected)
        assert not rows[:, 1::2].any()
        assert not rows[:, :, [0, -2, -1]].any()


@pytest.mark.parametrize("kernel", [np.full((3, 3), 14, "i1"), np.full((3, 3), 15, "i1"), np.full((9, 9), 127, "i1")])
def test_sums_on_both_sides_of_16_bits(kernel):
    for pixel, dtype in ((255, "u1"), (-128, "i1")):
        sums = ik.correlate(np.full((9, 40), pixel, dtype), kernel)
        assert_same_bits(sums, np.full((9, 40), pixel * int(kernel.astype(int).sum()), np.int32))


@pytest.mark.parametrize(
    ("weight", "pixel"), [(1, 65535), (255, 65535), (257, 65535), (512, -(2**15)), (513, -(2**15))]
)
def test_sums_on_both_sides_of_24_bits(weight, pixel):
    image = np.full((9, 40), pixel, "u2" if pixel > 0 else "i2")
    image[4, 7] = 1
    kernel = np.array([[weight - 1, 1]])
    expected = (weight - 1) * np.pad(image.astype(int), ((0, 0), (1, 0)), "edge")[:, :-1] + image
    assert_same_bits(ik.correlate(image, kernel), expected)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2"])
def test_floats_as_small_integers_round_half_to_even_and_saturate(dtype):
    limits = np.iinfo(dtype)
    values = [limits.min, limits.min - 0.5, limits.max + 0.5, limits.max - 0.5, 0.5, 1.5, 2.5, -0.5, -1.5, 0.49999997]
    values += [limits.max + 1e5, 1e30, -1e30, np.inf, -np.inf, np.nan]
    image = np.array([values], np.float32)
    expected = np.clip(np.rint(np.nan_to_num(image.astype(float))), limits.min, limits.max).astype(dtype)
    assert_same_bits(ik.correlate(image, np.ones((1, 1), "f4"), dtype=dtype), expected)


# Known answers


def step_edge():
    image = np.zeros((8, 12), np.float32)
    image[:, 6:] = 1
    return image


@pytest.mark.parametrize("kernel", [[[-1, 1], [-1, 1]], [[-1, 0, 1]] * 3, [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]])
def test_edges_from_dark_to_bright_are_positive(kernel):
    kernel = np.array(kernel, np.float32)
    response = ik.correlate(step_edge(), kernel)
    assert (response >= 0).all()
    assert response.max() == kernel[kernel > 0].sum()
    assert set(np.nonzero(response.any(axis=0))[0]) <= {5, 6}
    assert_same_bits(ik.correlate(1 - step_edge(), kernel), -response + 0.0)
    np.testing.assert_array_equal(ik.correlate(step_edge().T, kernel), np.zeros((12, 8), np.float32))


@pytest.mark.parametrize("method", [*METHODS, "fft"])
def test_sobel_of_a_plane_is_its_slope(method):
    y, x = np.mgrid[:20, :30]
    sobel = np.outer([1, 2, 1], [-1, 0, 1]).astype(np.int16)
    inside = {"padding": "valid", "method": method}
    assert (ik.correlate((3 * x + 5 * y).astype(np.uint8), sobel, **inside) == 8 * 3).all()
    assert (ik.correlate((3 * x + 5 * y).astype(np.uint8), sobel.T, **inside) == 8 * 5).all()


def test_laplacian_of_a_paraboloid_is_constant():
    y, x = np.mgrid[:20, :30]
    laplacian = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.int32)
    assert (ik.correlate(x * x + 2 * y * y, laplacian, padding="valid") == 2 + 4).all()
    assert (ik.correlate(3 * x - 7 * y, laplacian, padding="valid") == 0).all()


def test_variances_of_gaussians_add_up():
    image = np.zeros((81, 81))
    image[40, 40] = 1
    twice = ik.gaussian_filter(ik.gaussian_filter(image, 3.0, truncate=6), 4.0, truncate=6)
    x = np.arange(81) - 40
    assert twice.sum() == pytest.approx(1, abs=1e-12)
    assert (twice.sum(axis=0) * x**2).sum() == pytest.approx(25, rel=1e-6)
    np.testing.assert_allclose(twice, ik.gaussian_filter(image, 5.0, truncate=6), atol=1e-6)


@pytest.mark.parametrize("stride", range(1, 41))
def test_output_extents(stride):
    for width, size in itertools.product(range(1, 41), repeat=2):
        if size > width:
            continue
        found = ik.correlate(
            np.zeros((1, width), np.uint8), np.ones((1, size), np.uint8), stride=stride, padding="valid"
        )
        assert found.shape == (1, 1 + (width - size) // stride)


@pytest.mark.parametrize("size", range(1, 9))
def test_convolutions_of_numpy_and_scipy(size):
    rng = np.random.default_rng(size)
    line, taps = rng.integers(-9, 10, (1, 30)), rng.integers(-9, 10, (1, size))
    ours = ik.convolve(line, taps, mode="constant")
    assert_same_bits(ours[0], np.convolve(line[0], taps[0], "same"))
    image, kernel = rng.integers(-9, 10, (15, 20)), rng.integers(-9, 10, (size, size))
    ours = ik.convolve(image, kernel, mode="constant")
    np.testing.assert_array_equal(ours, scipy.signal.convolve(image, kernel, "same", "direct"))
    theirs = scipy.ndimage.convolve(image, kernel, mode="constant")
    if size % 2:
        np.testing.assert_array_equal(ours, theirs)
    else:  # one pixel up and left
        np.testing.assert_array_equal(ours[1:, 1:], theirs[:-1, :-1])


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [3, 5, 9, 31])
def test_a_pixel_changes_no_bit_outside_its_windows(size, method, poison):
    rng = np.random.default_rng(2)
    image = rng.standard_normal((80, 150)).astype(np.float32)
    kernel = np.outer(rng.integers(1, 9, size), rng.integers(1, 9, size)).astype(np.float32)
    clean = ik.correlate(image, kernel, method=method)
    image[40, 70] = poison
    with np.errstate(all="ignore"):
        found = ik.correlate(image, kernel, method=method)
    changed = np.zeros(image.shape, bool)
    reach = size // 2
    changed[40 - reach : 41 + reach, 70 - reach : 71 + reach] = True
    assert_same_bits(found[~changed], clean[~changed])
    assert (found[changed] != clean[changed]).all()


@pytest.mark.parametrize("method", METHODS)
def test_translation(method):
    image = np.random.default_rng(3).standard_normal((60, 90)).astype(np.float32)
    kernel = np.outer([1, 3, 3, 1, 2], [2, 1, -1]).astype(np.float32)
    whole = ik.correlate(image, kernel, padding="valid", method=method)
    for down, right in itertools.product((1, 2, 7), (1, 5, 33)):
        part = ik.correlate(image[down:, right:], kernel, padding="valid", method=method)
        assert_same_bits(part, whole[down:, right:])


@pytest.mark.parametrize("method", [*METHODS, "fft"])
@pytest.mark.parametrize("size", [7, 15, 31])
def test_errors_against_exact_sums(size, method):
    rng = np.random.default_rng(4)
    image = (rng.standard_normal((size + 3, size + 40)) + 100).astype(np.float32)
    row, column = rng.integers(-9, 10, (2, size)) / 64
    kernel = np.outer(column, row).astype(np.float32)
    found = ik.correlate(image, kernel, padding="valid", method=method)
    for y, x in np.ndindex(found.shape):
        products = image[y : y + size, x : x + size].astype(float) * kernel
        error = abs(found[y, x] - fsum(products.ravel()))
        assert error <= size * size * np.finfo(np.float32).eps * np.abs(products).sum()
