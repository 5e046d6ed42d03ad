"""Means and sums against exact arithmetic, SciPy and OpenCV."""

import math
from fractions import Fraction

import imkernels as ik
import numpy as np
import pytest

from . import cases
from .cases import assert_same_bits, seeded_image
from .reference.box_blur import box_blur as reference
from .reference.windows import modulo, to_dtype, windows


def check(image, size, **keywords):
    """Compare means: those of integers are exact, those of floats within 4*eps*mean|x|."""
    means = ik.box_blur(image, size, **keywords)
    exact = reference(image, size, **keywords)
    if image.dtype.kind != "f":
        assert_same_bits(means, to_dtype(exact, image.dtype))
        return
    assert means.dtype == image.dtype
    keywords["cval"] = abs(keywords.get("cval", 0.0))
    assert_within(means, exact, 4 * reference(np.abs(image.astype(float)), size, **keywords))


def assert_within(actual, exact, roundings):
    """Hold |actual - exact| <= eps * roundings, or half the distance of subnormal numbers."""
    assert actual.shape == exact.shape
    limits = np.finfo(actual.dtype)
    error = np.abs(actual.astype(float) - exact.astype(float))
    allowed = float(limits.eps) * np.asarray(roundings, float) + float(limits.smallest_subnormal)
    assert (error <= allowed).all(), f"{(error / allowed).max()} of the error allowed"


def sum_of(image, size, **keywords):
    """Return the sums that `normalize=False` promises for integers: modulo 2**64."""
    exact = reference(image, size, normalize=False, **keywords)
    return modulo(exact, 64, signed=image.dtype.kind == "i")


# Values


@pytest.mark.parametrize("size", [1, 2, 3, 5, (4, 5), (6, 1)])
@pytest.mark.parametrize("dtype", cases.NUMBERS, ids=str)
def test_every_dtype(dtype, size):
    check(seeded_image((13, 21), dtype), size)


@pytest.mark.parametrize("dtype", ["u1", "i8", "f4"])
@pytest.mark.parametrize("size", cases.SMALL_SIZES)
def test_small_sizes(size, dtype):
    check(seeded_image((8, 10), dtype), size)


@pytest.mark.parametrize("size", [1, 2, 3, (4, 5), 7])
@pytest.mark.parametrize("dtype", cases.INTEGERS, ids=str)
def test_constant_integers_stay_as_they_are(dtype, size):
    limits = np.iinfo(dtype)
    for value in (limits.min, limits.min + 1, 0, 1, limits.max - 1, limits.max):
        image = np.full((9, 10), value, dtype)
        assert_same_bits(ik.box_blur(image, size), image)


@pytest.mark.parametrize("size", [1, 2, 3, (4, 5), 7, 31])
@pytest.mark.parametrize("value", [1.0, 0.1, -1 / 3, 6e4, 5.5e-7])
@pytest.mark.parametrize("dtype", cases.FLOATS, ids=str)
def test_constant_floats_stay_as_they_are(dtype, value, size):
    image = np.full((9, 10), value, dtype)
    assert_within(ik.box_blur(image, size), image, 4 * np.abs(image.astype(float)))


@pytest.mark.parametrize("dtype", cases.INTEGERS, ids=str)
def test_ties_go_to_the_even_neighbour(dtype):
    limits = np.iinfo(dtype)
    for low in (limits.min, limits.min + 1, 0, 1, 2, limits.max // 2, limits.max - 2, limits.max - 1):
        low = int(low)
        pair = np.array([[low, low + 1]], dtype)
        even = low + low % 2
        assert ik.box_blur(pair, (1, 2), padding="valid").tolist() == [[even]]


@pytest.mark.parametrize("dtype", cases.INTEGERS, ids=str)
def test_ties_of_larger_windows(dtype):
    # Means k + 1/2 of both signs: four zeros and ones (or two and threes, ...) in every order.
    rng = np.random.default_rng(0)
    image = (rng.integers(0, 2, (30, 30)) * 2 - (dtype.kind == "i")).astype(dtype)
    check(image, 2)
    check(image, (4, 4))


@pytest.mark.parametrize("size", [2, 3, (4, 5)])
@pytest.mark.parametrize("dtype", cases.INTEGERS, ids=str)
def test_extreme_integers(dtype, size):
    limits = np.iinfo(dtype)
    ends = np.array([limits.min, limits.min + 1, limits.max - 1, limits.max], dtype)
    check(np.random.default_rng(0).choice(ends, (9, 11)), size)


# Taps from which on sums leave 32 bits (of 16-bit and of 8-bit pixels) and 52 bits (of 32-bit pixels), and one more.
LARGE_SIZES = [(128, 256), (181, 182), (512, 1024), (725, 725), (2048, 4096), (2902, 2903)]


@pytest.mark.parametrize("size", LARGE_SIZES)
@pytest.mark.parametrize("dtype", cases.INTEGERS, ids=str)
def test_integer_means_of_large_windows(dtype, size):
    for value in (np.iinfo(dtype).max, np.iinfo(dtype).min):
        assert ik.box_blur(np.full((1, 1), value, dtype), size).tolist() == [[int(value)]]


@pytest.mark.parametrize("size", [(1, 256), (2, 33), (257, 256), (337, 6223), (2048, 4097)])
@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "u4", "i8", "u8"])
def test_integer_means_a_hair_beside_a_tie(dtype, size):
    # Half of the pixels are n, half n + 1; one more of either decides. Of 32-bit pixels, 2**23 are enough for
    # float64 to take the mean for the tie.
    highest = int(np.iinfo(dtype).max)
    taps = size[0] * size[1]
    for n in (highest - 1, highest - 2):
        for more in (-1, 0, 1):
            image = np.full(size, n, dtype)
            image.reshape(-1)[: taps // 2 + more] += 1
            exact = Fraction(n * taps + taps // 2 + more, taps)
            assert ik.box_blur(image, size, padding="valid").tolist() == [[round(exact)]]


@pytest.mark.parametrize("size", [*range(2, 17), (1, 240), (1, 255), (1, 256), (16, 16), (3, 85), (5, 50)])
@pytest.mark.parametrize("dtype", ["u1", "i1"])
def test_every_sum_of_few_8_bit_pixels(dtype, size):
    # One window for every sum that there is: of pixels at one end of the range, at the other, and one between.
    limits = np.iinfo(dtype)
    taps = size * size if isinstance(size, int) else size[0] * size[1]
    sums = np.arange(255 * taps + 1)
    pixels = np.clip(sums[:, None] - 255 * np.arange(taps), 0, 255) + int(limits.min)
    shape = (len(sums), size, size) if isinstance(size, int) else (len(sums), *size)
    means = ik.box_blur(pixels.astype(dtype).reshape(shape), size, padding="valid")[:, 0, 0]
    doubled = 2 * sums + taps
    expected = doubled // (2 * taps)
    expected -= (doubled % (2 * taps) == 0) & (expected % 2 == 1)
    np.testing.assert_array_equal(means, expected + int(limits.min))


@pytest.mark.parametrize(
    "size", [(1, 2), (1, 7), (6, 8), (7, 8), (8, 8), (9, 7), (15, 15), (100, 64), (101, 101), (180, 181)]
)
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4"])
def test_sums_beside_every_kind_of_rounding(dtype, size):
    # Sums that are a multiple of half the taps, one less and one more, from one end of the range to the other.
    limits = np.iinfo(dtype)
    taps = size[0] * size[1]
    means = np.unique(np.linspace(int(limits.min), int(limits.max) - 1, 21).astype(object))
    for low in means:
        for more in {0, 1, taps // 2 - 1, taps // 2, (taps + 1) // 2, taps // 2 + 1, taps - 1}:
            if 0 <= more <= taps:
                image = np.full(size, low, dtype)
                image.reshape(-1)[:more] += 1
                expected = round(Fraction(int(low) * taps + more, taps))
                assert ik.box_blur(image, size, padding="valid").tolist() == [[expected]]


@pytest.mark.parametrize("dtype", ["i8", "u8"])
def test_64_bit_means_do_not_go_through_doubles(dtype):
    image = np.array([[2**60 + 1, 2**60 + 3, 2**60 + 5]], dtype)
    assert ik.box_blur(image, (1, 3), padding="valid").tolist() == [[2**60 + 3]]


# Sums


@pytest.mark.parametrize("size", [1, 3, (4, 5)])
@pytest.mark.parametrize("dtype", cases.INTEGERS, ids=str)
def test_sums_of_integers(dtype, size):
    image = seeded_image((9, 11), dtype)
    sums = ik.box_blur(image, size, normalize=False)
    assert sums.dtype == (np.int64 if dtype.kind == "i" else np.uint64)
    assert_same_bits(sums, sum_of(image, size))


@pytest.mark.parametrize("dtype", ["i8", "u8"])
def test_sums_wrap_modulo_2_to_the_64(dtype):
    image = np.full((5, 5), np.iinfo(dtype).max, dtype)
    assert_same_bits(ik.box_blur(image, 3, normalize=False), image * 9)
    assert_same_bits(ik.box_blur(image, 16, normalize=False), image * 256)


@pytest.mark.parametrize("dtype", cases.FLOATS, ids=str)
def test_sums_of_floats(dtype):
    image = seeded_image((9, 11), dtype)
    sums = ik.box_blur(image, (4, 3), normalize=False)
    assert sums.dtype == dtype
    magnitudes = reference(np.abs(image), (4, 3), normalize=False)
    assert_within(sums, reference(image, (4, 3), normalize=False), 4 * magnitudes)


def sums_of_whole_numbers(image, size):
    """Return the sums of the windows inside of an image, by differences of integers that were added up."""
    height, width = (size, size) if isinstance(size, int) else size
    totals = np.pad(image.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    rows = totals[height:] - totals[:-height]
    return rows[:, width:] - rows[:, :-width]


FAR_SIZES = [
    (241, 600),
    (256, 257),
    (257, 256),
    (300, 301),
    (1023, 3),
    (1024, 5),
    (1025, 2),
    (3, 4096),
    (2, 4097),
    (4096, 2),
]


@pytest.mark.parametrize("size", [(3, 5), (31, 31), *FAR_SIZES])
@pytest.mark.parametrize("dtype", ["f4", "f8", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"])
def test_windows_of_any_size(dtype, size):
    least = -5 if dtype[0] == "i" else 0
    image = np.random.default_rng(3).integers(least, 9, (size[0] + 40, size[1] + 90)).astype(dtype)
    image[20, 30:] = 100
    sums = sums_of_whole_numbers(image, size)
    found = ik.box_blur(image, size, normalize=False, padding="valid")
    np.testing.assert_array_equal(found, sums)
    means = ik.box_blur(image, size, padding="valid")
    if image.dtype.kind == "f":
        assert (abs(means - sums / math.prod(size)) <= 2 * np.finfo(dtype).eps * sums / math.prod(size)).all()
        part = ik.box_blur(image[7:, 13:], size, padding="valid", stride=(5, 1))
        assert_same_bits(part, means[7::5, 13:])
    else:
        quotients, rests = np.divmod(sums, math.prod(size))
        up = 2 * rests + (quotients & 1) > math.prod(size)
        np.testing.assert_array_equal(means, quotients + up)
        unrounded = ik.box_blur(image, size, padding="valid", dtype=np.float64)
        np.testing.assert_array_equal(unrounded, sums / math.prod(size))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_every_width(dtype):
    line = np.random.default_rng(4).integers(0, 9, 4200).astype(dtype)
    totals = np.pad(line.astype(np.int64).cumsum(), (1, 0))
    for width in range(1, 4101):
        starts = np.array([0, 1, 50, 99])
        found = ik.box_blur(line[None, : width + 99], (1, width), normalize=False, padding="valid", workers=1)
        np.testing.assert_array_equal(found[0, starts], totals[starts + width] - totals[starts])


@pytest.mark.parametrize("size", [(3, 3), (31, 20), (101, 101)])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4"])
def test_largest_and_least_sums(dtype, size):
    for value in (np.iinfo(dtype).min, np.iinfo(dtype).max):
        image = np.full((5, 70), value, dtype)
        for result, working in [(None, "u8" if dtype[0] == "u" else "i8"), ("i4", "i4"), ("u2", "u2")]:
            found = ik.box_blur(image, size, normalize=False, dtype=result)
            limits = np.iinfo(working)
            total = min(max(int(value) * math.prod(size), int(limits.min)), int(limits.max))
            assert found.dtype == working
            assert (found == total).all()
        colour = np.repeat(image[..., None], 3, -1)
        assert (ik.box_blur(colour, size, normalize=False, axes=(0, 1)) == int(value) * math.prod(size)).all()


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_sums_that_overflow_on_the_way(dtype):
    large = np.finfo(dtype).max
    image = np.array([[large, large, -large, 1, 2, 3, large, large, large, 0, np.inf, -np.inf, np.nan, 0, 0]], dtype)
    found = ik.box_blur(image, (1, 3), normalize=False, padding="valid")
    with np.errstate(all="ignore"):
        wide = image.astype(np.longdouble)
        expected = (wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]).astype(dtype)
    first = 1 if dtype == "f8" else 0  # whose sum of two may be infinite already
    assert_same_bits(found[:, first:].copy(), expected[:, first:].copy())


@pytest.mark.parametrize("result", cases.NUMBERS, ids=str)
@pytest.mark.parametrize("dtype", ["i1", "u1", "u2", "i4"])
def test_dtype_of_sums(dtype, result):
    image = seeded_image((5, 6), dtype)
    sums = ik.box_blur(image, 3, normalize=False, dtype=result)
    expected = to_dtype(reference(image, 3, normalize=False), result)
    if np.dtype(result).kind == "f":
        assert_within(
            sums[np.isfinite(expected)], expected[np.isfinite(expected)], np.abs(expected)[np.isfinite(expected)]
        )
        assert_same_bits(np.isinf(sums), np.isinf(expected))
    else:
        assert_same_bits(sums, expected)


# Float error


def hard_images(dtype):
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((130, 140))
    yield "noise", noise.astype(dtype)
    yield "large offset", (1000 + noise).astype(dtype)
    yield "ramp", np.linspace(1, 2000, noise.size).reshape(noise.shape).astype(dtype)
    yield "magnitudes", (noise * 2.0 ** rng.integers(-12, 13, noise.shape)).astype(dtype)
    yield "cancelling", np.where(np.indices(noise.shape).sum(0) % 2, -1, 1 + 2.0**-9).astype(dtype)
    yield "one third", np.full(noise.shape, 1 / 3, dtype)
    yield "heavy tails", np.exp2(np.clip(4 * noise, -14, 14)).astype(dtype)
    yield "a few bright", np.where(rng.random(noise.shape) < 0.001, 60000, 1 + rng.random(noise.shape)).astype(dtype)
    yield "black in part", np.where(noise > 0, 0, (0.3 + noise).clip(0, None)).astype(dtype)
    yield "dim in part", (np.where(np.indices(noise.shape)[1] < 70, 1, 2.0**-12) * noise).astype(dtype)
    yield "hardly any", np.where(rng.random(noise.shape) < 0.001, noise, 0).astype(dtype)
    yield "dust", np.where(rng.random(noise.shape) < 0.01, 2.0**-20 * rng.random(noise.shape), 1).astype(dtype)
    yield "subnormal", (noise * 2.0 ** {"e": -16, "f": -130, "d": -1026}[np.dtype(dtype).char]).astype(dtype)
    if dtype != "f8":  # whose sums would be too large for the definition
        yield "nearly the largest", (np.finfo(dtype).max * (0.9 - 0.1 * rng.random(noise.shape))).astype(dtype)


@pytest.mark.parametrize("size", [2, 3, 15, 31, 64, 101, (1, 101), (101, 1), (127, 5)])
@pytest.mark.parametrize("dtype", cases.FLOATS, ids=str)
def test_float_means_are_within_4_eps(dtype, size):
    sparse = {"padding": "valid", "stride": (11, 13)}  # a large window costs the definition 10 ms
    for _, image in hard_images(dtype):
        check(image, size, **sparse)


@pytest.mark.parametrize(
    "size", [7, 9, 15, 31, 33, 64, 101, (3, 160), (161, 5), (165, 9), (1, 300), (250, 2), (257, 1)]
)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_error_of_every_row_of_a_block(dtype, size):
    # Windows that begin at each of the rows of a block, and end so.
    rng = np.random.default_rng(1)
    image = (rng.random((330, 340)) * 2.0 ** rng.integers(-20, 1, (330, 340))).astype(dtype)
    part = image[: (size if isinstance(size, int) else size[0]) + 9]
    check(part, size, padding="valid", stride=(1, 67))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, 1e4, 1e-30])
@pytest.mark.parametrize("size", [3, 8, 9, 15, 31, (40, 6), (5, 101), 101])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_pixel_changes_no_bit_outside_of_its_windows(dtype, size, value):
    height, width = (size, size) if isinstance(size, int) else size
    image = seeded_image((230, 250), dtype)
    before = ik.box_blur(image, size, padding="valid")
    image[117, 131] = value
    after = ik.box_blur(image, size, padding="valid")
    window = (slice(max(0, 118 - height), 118), slice(max(0, 132 - width), 132))
    if not math.isfinite(value):
        assert not np.isfinite(after[window]).any()
    before[window] = after[window] = 0
    assert_same_bits(after, before)


@pytest.mark.parametrize("size", [3, 9, (20, 31), 101])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i4", "f4", "f8"])
@pytest.mark.parametrize("mode", cases.MODES)
def test_layouts_and_cuts_change_no_bit(mode, dtype, size):
    image = seeded_image((150, 170), dtype)
    means = ik.box_blur(image, size, mode=mode)
    assert_same_bits(ik.box_blur(image[::-1, ::-1].copy()[::-1, ::-1], size, mode=mode), means)
    swapped = image.astype(image.dtype.newbyteorder())
    assert_same_bits(ik.box_blur(swapped, size, mode=mode).astype(image.dtype), means)
    side = np.zeros((170, 1024), dtype)
    side[:, :150] = image.T
    assert_same_bits(ik.box_blur(side[:, :150].T, size, mode=mode), means)
    for channels in (2, 3, 4, 5):
        colour = np.stack([image, *[image[::-1]] * (channels - 1)], -1)
        assert_same_bits(ik.box_blur(colour, size, mode=mode, axes=(0, 1))[..., 0].copy(), means)
    padded = np.pad(image, ((0, 500), (0, 0)))
    fits = ik.box_blur(padded, size, mode=mode)[60:90]
    assert_same_bits(fits, means[60:90])


def images_of_any_range():
    """Yield images whose sums take from 24 to 280 binary places, and such as round badly when added up in parts."""
    rng = np.random.default_rng(0)
    shape = (34, 45)
    noise = rng.standard_normal(shape)
    yield "noise", noise
    yield "zeros", np.zeros(shape)
    yield "least numbers", rng.integers(-5, 6, shape) * 2.0**-149
    yield "largest numbers", rng.choice([-1, 1, 0.3], shape) * float(np.finfo("f4").max)
    for span in (20, 40, 80, 120, 149):
        yield f"2**-{span} to 2**{span}", noise * np.exp2(rng.integers(-span, min(span, 125), shape))
    rows, columns = np.indices(shape) - 17
    yield "a spot", np.exp(-(rows**2 + columns**2) / 4)
    yield "ties", rng.choice([0, 2.0**60, 2.0**6, 2.0**7], shape)
    yield "beside ties", rng.choice([0, 2.0**60, 2.0**6, 2.0**-100, -(2.0**-140)], shape)
    yield "cancelling", rng.choice([2.0**100, -(2.0**100), 2.0**-20, 2.0**48, 2.0**47 + 2.0**30, -(2.0**47)], shape)
    lone = noise.copy()
    lone[20, 20], lone[5, 5], lone[9, 30] = 1e30, -1e30, 1e-40
    yield "some far off", lone


@pytest.mark.parametrize("size", [9, (10, 13), (1, 9), (9, 1), (3, 20), 31])
def test_float32_means_of_large_windows_are_exact_sums_rounded(size):
    height, width = (size, size) if isinstance(size, int) else size
    for name, numbers in images_of_any_range():
        image = numbers.astype("f4")
        views = windows(image, (height, width), padding="valid")
        sums = np.array([math.fsum(view.ravel()) for row in views.astype(float) for view in row])
        with np.errstate(over="ignore"):  # of the largest ones
            expected = (sums * (1 / (height * width))).astype("f4"), sums.astype("f4")
        shape = views.shape[:2]
        means = ik.box_blur(image, size, padding="valid")
        np.testing.assert_array_equal(means, expected[0].reshape(shape), err_msg=name)
        sums = ik.box_blur(image, size, padding="valid", normalize=False)
        np.testing.assert_array_equal(sums, expected[1].reshape(shape), err_msg=name)


def test_exact_sums_of_all_floats():
    rng = np.random.default_rng(0)
    image = (rng.standard_normal((521, 522)) * np.exp2(rng.integers(-149, 125, (521, 522)))).astype("f4")
    means = ik.box_blur(image, 520, padding="valid")
    for y, x in np.ndindex(means.shape):
        exact = math.fsum(image[y : y + 520, x : x + 520].astype(float).ravel())
        assert means[y, x] == np.float32(exact * (1 / 520**2))


@pytest.mark.parametrize("dtype", ["f2", "f4"])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_surrounds_a_window_changes_no_bit(channels, dtype):
    # Rows of which each differs more from those above than the sums of those may hold, and no numbers among them.
    rng = np.random.default_rng(0)
    magnitudes = np.exp2(rng.integers(-24, 13, 700) if dtype == "f2" else rng.permutation(np.linspace(-149, 120, 700)))
    image = (rng.standard_normal((700, 64, channels)) * magnitudes[:, None, None]).astype(dtype)
    image[:300] = rng.random((300, 64, channels))
    image[150, 20], image[420, 40] = np.nan, -np.inf
    keywords = {"axes": (0, 1), "padding": "valid"}
    means = ik.box_blur(image, (20, 9), **keywords)
    for first in range(0, 660, 23):
        part = image[first : first + 30, first % 31 : first % 31 + 21]
        expected = means[first : first + 11, first % 31 : first % 31 + 13]
        assert_same_bits(ik.box_blur(part, (20, 9), **keywords), expected)
    assert_same_bits(ik.box_blur(image, (20, 9), stride=(7, 3), **keywords), means[::7, ::3])
    assert_same_bits(ik.box_blur(image[:, :, 0], (20, 9), padding="valid"), means[:, :, 0])


def test_rows_between_windows_do_not_count():
    image = np.random.default_rng(0).random((1300, 40)).astype("f4")
    means = ik.box_blur(image, 9, stride=(100, 1), padding="valid")
    image[150::100] = 1e-30
    image[151::100] = np.nan
    assert_same_bits(ik.box_blur(image, 9, stride=(100, 1), padding="valid"), means)


@pytest.mark.parametrize("shape", [(40, 9000), (3000, 20), (600, 600)])
@pytest.mark.parametrize("workers", [1, 3])
def test_tiles_of_large_windows_fit_together(workers, shape):
    rng = np.random.default_rng(0)
    image = (rng.standard_normal(shape) * 2.0 ** rng.integers(-30, 30, shape)).astype("f4")
    means = ik.box_blur(image, (9, 11), padding="valid", workers=workers)
    height, width = means.shape
    for y, x in zip(rng.integers(0, height, 400), rng.integers(0, width, 400), strict=True):
        exact = math.fsum(image[y : y + 9, x : x + 11].astype(float).ravel())
        assert means[y, x] == np.float32(exact * (1 / 99))


@pytest.mark.parametrize("size", [(1, 4096), (4096, 1), (1024, 4096), (2, 4097), (1025, 4096)])
def test_limits_of_exact_sums(size):
    rng = np.random.default_rng(0)
    image = (rng.standard_normal((size[0] + 1, size[1] + 2)) * 2.0 ** rng.integers(-20, 20, size[1] + 2)).astype("f4")

    def mean_of(pixels):
        views = np.lib.stride_tricks.sliding_window_view(pixels.astype(float), size)
        return np.array([[math.fsum(view.ravel().tolist()) / view.size for view in row] for row in views])

    assert_within(ik.box_blur(image, size, padding="valid"), mean_of(image), 4 * mean_of(np.abs(image)))


@pytest.mark.parametrize("channels", [2, 3, 4, 5, 8, 17])
@pytest.mark.parametrize("dtype", ["f4", "u1", "i4"])
def test_channels_are_images_of_their_own(dtype, channels):
    image = np.random.default_rng(0).integers(0, 100, (30, 40, channels)).astype(dtype)
    for size in (3, 12, (2, 37)):
        apart = [ik.box_blur(image[..., channel], size) for channel in range(channels)]
        assert_same_bits(ik.box_blur(image, size, axes=(0, 1)), np.stack(apart, -1))


@pytest.mark.parametrize("size", [(9, 9), (2, 40)])
def test_infinities_in_large_windows(size):
    rng = np.random.default_rng(0)
    image = rng.choice(
        np.array([1, 1e30, np.inf, -np.inf, np.nan], "f4"), (300, 70), p=[0.98, 0.01, 0.004, 0.004, 0.002]
    )
    means = ik.box_blur(image, size, padding="valid")
    with np.errstate(invalid="ignore"):
        exact = windows(image.astype(float), size, padding="valid").mean((2, 3))
    assert {np.inf, -np.inf, 1} <= set(means.ravel().tolist())
    np.testing.assert_array_equal(np.isnan(means), np.isnan(exact))
    infinite = np.isinf(exact)
    np.testing.assert_array_equal(np.isinf(means), infinite)
    np.testing.assert_array_equal(means[infinite], exact[infinite])


@pytest.mark.parametrize("offset", [1e8, 1e15, 1e30])
def test_large_offsets_in_float64(offset):
    image = offset + np.random.default_rng(0).standard_normal((60, 60)) * offset * 1e-12
    check(image, (21, 33), stride=5)


@pytest.mark.parametrize("size", [(1, 2), (1, 3), 3, (4, 5)])
def test_means_of_the_largest_float64(size):
    # The sum of the window is no float64, the mean is.
    image = np.array([[1.7e308, 1.6e308, 1.5e308, -1.7e308, 1.7e308]] * 3)
    means = ik.box_blur(image, size)
    values = windows(image, size)
    for where, mean in np.ndenumerate(means):
        pixels = [Fraction(pixel) for pixel in values[where].ravel().tolist()]
        allowed = 4 * Fraction(float(np.finfo(float).eps)) * sum(map(abs, pixels)) / len(pixels)
        assert math.isfinite(mean)
        assert abs(Fraction(float(mean)) - sum(pixels) / len(pixels)) <= allowed


@pytest.mark.parametrize("value", [np.inf, np.nan, 1.7e308])
def test_subnormal_numbers_beside_what_overflows(value):
    image = np.random.default_rng(0).integers(1, 99, (5, 40)) * np.finfo(float).smallest_subnormal
    means = ik.box_blur(image, 3)
    image[:, 37:] = value
    assert_same_bits(ik.box_blur(image, 3)[:, :36], means[:, :36])


@pytest.mark.parametrize("dtype", ["f2", "f4"])
def test_means_of_the_largest_small_floats(dtype):
    image = np.full((6, 6), np.finfo(dtype).max)
    assert_within(ik.box_blur(image, 5), image, 4 * image.astype(float))


@pytest.mark.parametrize("dtype", cases.FLOATS, ids=str)
def test_subnormal_numbers(dtype):
    smallest = np.finfo(dtype).smallest_subnormal
    image = np.random.default_rng(0).integers(-8, 9, (9, 9)).astype(dtype) * smallest
    check(image, 2)


@pytest.mark.parametrize("dtype", cases.FLOATS, ids=str)
def test_whole_numbers_are_summed_exactly(dtype):
    image = np.random.default_rng(0).integers(-20, 21, (12, 13)).astype(dtype)
    sums = ik.box_blur(image, (5, 7), normalize=False)
    assert_same_bits(sums, reference(image, (5, 7), normalize=False).astype(dtype))


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("dtype", cases.FLOATS, ids=str)
def test_nan_and_infinities(dtype, normalize):
    image = seeded_image((12, 14), dtype)
    image[3, 4] = np.nan
    image[8, [2, 6]] = np.inf
    image[9, 9] = -np.inf
    means = ik.box_blur(image, (3, 4), normalize=normalize)
    with np.errstate(invalid="ignore"):
        expected = windows(image, (3, 4)).astype(float).sum((-2, -1))
    np.testing.assert_array_equal(np.isnan(means), np.isnan(expected))
    np.testing.assert_array_equal(means[np.isinf(expected)], expected[np.isinf(expected)])
    assert np.isfinite(means[np.isfinite(expected)]).all()


# Extents


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "i8"])
@pytest.mark.parametrize("axis", ["height", "width"])
def test_every_extent_past_twice_the_widest_vector(axis, dtype):
    for extent in range(1, cases.VECTOR_EXTENTS[np.dtype(dtype).itemsize] + 1):
        check(seeded_image((extent, 2) if axis == "height" else (2, extent), dtype, extent), 3)


@pytest.mark.parametrize("size", [3, (6, 2)])
@pytest.mark.parametrize(
    "shape", [(height, 3) for height in cases.TILE_HEIGHTS] + [(2, width) for width in cases.TILE_WIDTHS]
)
def test_extents_around_tiles(shape, size):
    check(seeded_image(shape, "u1"), size)
    check(seeded_image(shape, "f4"), size, stride=(1, 2))


@pytest.mark.sweep
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "i8"])
@pytest.mark.parametrize("size", [2, 3, 5, 7])
def test_every_extent_with_every_size(size, dtype):
    for extent in range(1, 141):
        check(seeded_image((extent, 3), dtype, extent), size)
        check(seeded_image((3, extent), dtype, extent), size)


# Windows


@pytest.mark.parametrize("dtype", ["i2", "f4"])
@pytest.mark.parametrize(("shape", "size", "keywords"), cases.GEOMETRIES)
def test_geometry(shape, size, keywords, dtype):
    check(seeded_image(shape, dtype), size, **keywords)


@pytest.mark.parametrize("mode", ["constant", "grid-constant", ("constant", "mirror"), ("wrap", "constant")])
@pytest.mark.parametrize(
    ("dtype", "cval"),
    [*cases.INTEGER_CVALS, ("f2", 65504), ("f4", -2.5), ("f8", 0.1)],
)
def test_value_outside_the_image(dtype, cval, mode):
    check(seeded_image((6, 7), dtype), (3, 4), mode=mode, cval=cval)
    check(seeded_image((6, 7), dtype), 3, mode=mode, cval=cval, padding=4)


@pytest.mark.parametrize("size", [3, 9])
@pytest.mark.parametrize("cval", [np.nan, np.inf, -np.inf])
def test_no_number_outside_the_image(cval, size):
    image = seeded_image((37, 38), "f4")
    means = ik.box_blur(image, size, mode="constant", cval=cval)
    inside = (slice(size // 2, -(size // 2)),) * 2
    assert_same_bits(means[inside], ik.box_blur(image, size, padding="valid"))
    means[inside] = cval
    np.testing.assert_array_equal(means, np.full((37, 38), cval, "f4"))


@pytest.mark.parametrize(("alias", "mode"), cases.ALIASES.items())
def test_names_of_scipy(alias, mode):
    image = seeded_image((6, 7), "u2")
    assert_same_bits(ik.box_blur(image, 5, mode=alias), ik.box_blur(image, 5, mode=mode))
    assert_same_bits(ik.box_blur(image, 5, mode=(alias, "mirror")), ik.box_blur(image, 5, mode=(mode, "mirror")))


# dtype


@pytest.mark.parametrize("result", cases.INTEGERS, ids=str)
@pytest.mark.parametrize("dtype", cases.NUMBERS, ids=str)
def test_integer_results(dtype, result):
    image = seeded_image((7, 9), dtype)
    if dtype.kind == "f":
        # Means of two whole numbers are exact, so that ties are ties.
        image = np.random.default_rng(0).integers(-300, 301, (7, 9)).astype(dtype)
        image[5] = [np.inf, -np.inf, 0, np.nan, 1, np.inf, np.inf, 0, -np.inf]
    means = reference(image, (1, 2))
    assert_same_bits(ik.box_blur(image, (1, 2), dtype=result), to_dtype(means, result))


@pytest.mark.parametrize("size", [(1, 2), 3, (4, 5)])
@pytest.mark.parametrize("result", cases.FLOATS, ids=str)
@pytest.mark.parametrize("dtype", cases.NUMBERS, ids=str)
def test_float_results_are_unrounded(dtype, result, size):
    image = seeded_image((7, 9), dtype)
    means = ik.box_blur(image, size, dtype=result)
    assert means.dtype == result
    exact = reference(image, size).astype(float)
    overflow = np.abs(exact) > float(np.finfo(result).max)
    assert np.isinf(means[overflow]).all()
    roundings = 4 * reference(np.abs(image.astype(float)), size)
    assert_within(means[~overflow], exact[~overflow], roundings[~overflow])


@pytest.mark.parametrize("dtype", cases.INTEGERS, ids=str)
def test_unrounded_means_of_integers_round_once(dtype):
    image = seeded_image((9, 9), dtype)
    exact = reference(image, 3).astype(float)
    assert_within(ik.box_blur(image, 3, dtype=float), exact, np.abs(exact))


# Other libraries


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, (2, 7), (6, 3)])
@pytest.mark.parametrize("mode", cases.MODES)
def test_scipy(scipy_ndimage, mode, size):
    # Whole numbers, so that SciPy's running sums do not drift.
    image = np.random.default_rng(0).integers(-1000, 1000, (10, 12)).astype(float)
    expected = scipy_ndimage.uniform_filter(image, size, mode=mode, cval=7)
    np.testing.assert_allclose(ik.box_blur(image, size, mode=mode, cval=7), expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("mode", cases.MODES)
@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_scipy_origins(scipy_ndimage, size, mode):
    image = np.random.default_rng(0).integers(-1000, 1000, (8, 9)).astype(float)
    for origin in range(-(size // 2), (size - 1) // 2 + 1):
        expected = scipy_ndimage.uniform_filter(image, size, mode=mode, origin=origin)
        np.testing.assert_allclose(ik.box_blur(image, size, mode=mode, origin=origin), expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, (2, 7), (6, 3), 15])
@pytest.mark.parametrize(("mode", "border"), [("reflect", 2), ("nearest", 1), ("mirror", 4)])
def test_opencv(cv2, mode, border, size):
    assert (cv2.BORDER_REPLICATE, cv2.BORDER_REFLECT, cv2.BORDER_REFLECT_101) == (1, 2, 4)
    image = seeded_image((41, 53), "f4")
    height, width = (size, size) if isinstance(size, int) else size
    expected = cv2.blur(image, (width, height), borderType=border)
    np.testing.assert_allclose(ik.box_blur(image, size, mode=mode), expected, rtol=0, atol=1e-4)


# Batches of small images


@pytest.mark.parametrize(
    "keywords",
    [{"mode": mode, "cval": 3} for mode in cases.MODES]
    + [
        {"padding": ((20, 0), (3, 31))},
        {"padding": "valid"},
        {"origin": (-1, 1)},
        {"normalize": False},
        {"stride": (2, 1)},
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [1, 3, (2, 5), (4, 4), (7, 6), (32, 5), (40, 41)], ids=str)
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i4"])
def test_images_of_a_batch_are_blurred_as_by_themselves(dtype, size, keywords):
    batch = cases.seeded_image((19, 28, 25), dtype)
    if keywords == {"padding": "valid"} and max(np.ravel(size)) > 25:
        size = (28, 25)
    if "origin" in keywords and size == 1:
        size = 9
    alone = np.stack([ik.box_blur(image, size, **keywords) for image in batch])
    assert_same_bits(ik.box_blur(batch, size, **keywords), alone)
    assert_same_bits(ik.box_blur(batch[:3], size, **keywords), alone[:3])
    turned = ik.box_blur(batch[::-1], size, **keywords, workers=3)
    assert_same_bits(turned[::-1], alone)
    out = np.zeros((*alone.shape, 2), alone.dtype)[..., 0]
    ik.box_blur(batch.reshape(19, 1, 28, 25), size, out=out[:, None], **keywords)
    assert_same_bits(out, alone)
