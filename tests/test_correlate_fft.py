"""Correlation by Fourier transforms: within the bound whatever the image holds, exact for integers."""

import imkernels as ik
import numpy as np
import pytest
from hypothesis import given

from . import cases, strategies
from .cases import assert_same_bits, seeded_image
from .reference.correlate import correlate as reference
from .reference.correlate import magnitude
from .test_correlate_properties import calls, check_call


def fft(image, kernel, **keywords):
    return ik.correlate(image, kernel, method="fft", **keywords)


def direct(image, kernel, **keywords):
    return ik.correlate(image, kernel, method="direct", **keywords)


def assert_within_the_bound(found, image, kernel, stride=1):
    """Hold |found - exact| <= K * L * eps * sum |w| |x| over the windows inside of an image.

    Sums of float32 are exact enough in float64, those of float64 in 80 bits; their bound is a float64.
    """
    wide = np.float64 if found.dtype == np.float32 else np.longdouble
    windows = np.lib.stride_tricks.sliding_window_view(image.astype(wide), kernel.shape)[::stride, ::stride]
    sizes = np.lib.stride_tricks.sliding_window_view(abs(image).astype(np.float64), kernel.shape)[::stride, ::stride]
    exact, allowed = np.zeros(windows.shape[:2], wide), np.zeros(windows.shape[:2])
    assert found.shape == exact.shape
    with np.errstate(all="ignore"):
        for place, weight in np.ndenumerate(kernel):
            exact += windows[:, :, *place] * wide(weight)
            allowed += sizes[:, :, *place] * abs(float(weight))
        allowed *= kernel.size * np.finfo(found.dtype).eps
        known = np.isfinite(allowed)
        assert (abs(found - exact)[known] <= allowed[known]).all()
        assert not np.isfinite(found[~known]).any()


def photograph(shape, dtype, seed=0):
    """Return smooth bright and dark parts, and noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    return (60 + 50 * np.sin(y / 17) * np.cos(x / 23) + rng.normal(0, 3, shape)).astype(dtype)


def rough(shape, dtype, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def smooth(shape, dtype):
    y, x = (np.linspace(-2, 2, extent) for extent in shape)
    return ((np.add.outer(y**2, x**2) - 1.1) * np.exp(-np.add.outer(y**2, x**2))).astype(dtype)


# Values


@pytest.mark.parametrize("size", [(31, 31), (20, 9), (1, 40), (40, 1), (2, 3)])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_floats_are_within_the_bound(dtype, size):
    for shape in [(41, 43), (190, 137)]:  # one tile, and several
        for kernel in (rough(size, dtype), smooth(size, dtype)):
            image = photograph(shape, dtype)
            assert_within_the_bound(fft(image, kernel, padding="valid"), image, kernel)


@pytest.mark.parametrize("dtypes", [("u1", "i1"), ("i1", "i1"), ("u2", "i2"), ("i2", "i2"), ("u1", "u1")])
def test_integers_are_exact(dtypes):
    image = seeded_image((140, 75), dtypes[0])
    for size in [(15, 15), (3, 40), (1, 1)]:
        kernel = seeded_image(size, "i1").astype(dtypes[1]) // 8
        assert_same_bits(fft(image, kernel), direct(image, kernel))


def test_largest_sums_of_32_bits():
    kernel = np.full((181, 181), 255, "u1")
    assert fft(np.full((1, 1), 255, "u1"), kernel).tolist() == [[2130284025]]
    kernel = np.full((511, 256), -128, "i1")
    assert fft(np.full((2, 2), -128, "i1"), kernel).tolist() == [[2143289344] * 2] * 2


@pytest.mark.parametrize("stride", [1, 2, (3, 1), (1, 70), 200])
@pytest.mark.parametrize("dilation", [1, (2, 3)])
@pytest.mark.parametrize("mode", [*cases.MODES, ("constant", "wrap")])
def test_geometry(mode, dilation, stride):
    image = photograph((73, 90), "f4")
    kernel = rough((12, 7), "f4")
    keywords = {"mode": mode, "dilation": dilation, "stride": stride, "cval": 3.5}
    for padding in ("same", "valid", ((0, 30), (7, 0))):
        found = fft(image, kernel, padding=padding, **keywords)
        expected = direct(image.astype(float), kernel.astype(float), padding=padding, **keywords)
        # The least window holds more than a hundredth of the largest pixel.
        bound = kernel.size * np.finfo("f4").eps * np.abs(kernel).sum() * image.max()
        np.testing.assert_allclose(found, expected, rtol=0, atol=bound / 100)


@pytest.mark.parametrize("dtypes", [("f2", "f4"), ("f4", "f2"), ("f2", "f2"), ("u1", "f4"), ("i4", "f8"), ("?", "f4")])
def test_dtypes_that_floats_hold(dtypes):
    image, kernel = seeded_image((50, 40), dtypes[0]), seeded_image((9, 12), dtypes[1], seed=1)
    image, kernel = (part if part.dtype != np.float16 else (part / 64).astype("f2") for part in (image, kernel))
    found = fft(image, kernel)
    assert found.dtype == np.result_type(image, kernel)
    exact, size = reference(image, kernel), magnitude(image, kernel)
    working = np.float32 if found.dtype == np.float16 else found.dtype
    rounding = np.finfo("f2").eps / 2 * abs(exact) + 2.0**-25 if found.dtype == np.float16 else 0
    assert (abs(found - exact) <= kernel.size * np.finfo(working).eps * size + rounding).all()


def test_results_in_other_dtypes():
    image, kernel = seeded_image((60, 50), "u1"), np.full((9, 11), 1 / 99, "f4")
    expected = np.clip(np.rint(reference(image, kernel)), 0, 255)
    assert (abs(fft(image, kernel, dtype="u1") - expected) <= 1).all()
    assert_same_bits(fft(image, np.ones((9, 9), "i1"), dtype="f8"), direct(image, np.ones((9, 9), "i1"), dtype="f8"))
    out = np.empty((60, 50), ">f4")
    assert fft(image, kernel, out=out) is out
    assert_same_bits(out.astype("f4"), fft(image, kernel))


@given(calls())
@strategies.few
def test_random_calls(call):
    image, kernel, _ = call
    if kernel.dtype.kind == "f" or image.dtype.itemsize == kernel.dtype.itemsize == 1:  # no sums of 64 bits
        check_call(call, "fft")


# What an image may hold


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, 1e30, -1e15, 1e9])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("kernel", [rough((21, 21), "f8"), smooth((21, 21), "f8")], ids=["rough", "smooth"])
def test_a_pixel_spoils_its_own_windows_alone(kernel, dtype, poison):
    kernel, image = kernel.astype(dtype), photograph((160, 150), dtype)
    image[80, 70] = poison
    found = fft(image, kernel, padding="valid")
    assert_within_the_bound(found, image, kernel)
    if not np.isfinite(poison):
        spoilt = np.zeros(found.shape, bool)
        spoilt[60:81, 50:71] = True
        assert_same_bits(~np.isfinite(found), spoilt)


@pytest.mark.parametrize("dark", [0.0, 1e-30, 1e-9, 1e-3])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize(
    "kernel", [rough((17, 17), "f8"), smooth((17, 17), "f8"), rough((35, 50), "f8")], ids=["rough", "smooth", "large"]
)
def test_dark_parts_of_an_image(kernel, stride, dtype, dark):
    kernel, image = kernel.astype(dtype), photograph((140, 180), dtype)
    image[20:120, 20:85] = dark
    image[:, 105:] *= np.dtype(dtype).type(dark)
    image[100, 140] = 3
    assert_within_the_bound(fft(image, kernel, padding="valid", stride=stride), image, kernel, stride)


@pytest.mark.parametrize("scale", [1e-42, 1e-38, 1e35])
def test_numbers_at_the_ends_of_float32(scale):
    image, kernel = (photograph((90, 80), "f4") / 100 * np.float32(scale)).astype("f4"), rough((9, 9), "f4")
    found, exact = fft(image, kernel), direct(image.astype(float), kernel.astype(float))
    allowed = kernel.size * (
        np.finfo("f4").eps * direct(abs(image).astype(float), abs(kernel).astype(float)) + 2.0**-149
    )
    assert (abs(found - exact) <= allowed).all()


@pytest.mark.parametrize("scale", [1e-320, 1e-200, 1e-100, 1e100, 1e200, 1e300])
def test_numbers_at_the_ends_of_float64(scale):
    image, kernel = photograph((90, 80), "f8"), smooth((9, 9), "f8")
    for one, other in [(image * scale, kernel), (image, kernel * scale)]:
        found, exact = fft(one, other), direct(one.astype(np.float64), other)
        size = direct(abs(one), abs(other))
        assert (abs(found - exact) <= 2 * kernel.size * (np.finfo("f8").eps * size + 2.0**-1074)).all()


def test_kernels_that_are_not_finite():
    image = np.zeros((20, 20))
    for weight in (np.nan, np.inf):
        kernel = np.ones((3, 3))
        kernel[1, 1] = weight
        assert np.isnan(fft(image, kernel)).all()
    assert_same_bits(fft(photograph((20, 20), "f8"), np.zeros((3, 3))), np.zeros((20, 20)))


@pytest.mark.parametrize("kernel", [rough((25, 25), "f4"), smooth((25, 25), "f4")], ids=["rough", "smooth"])
def test_black_stays_black(kernel):
    image = np.zeros((600, 700), "f4")
    assert_same_bits(fft(image, kernel), image)
    image[100:500, 150:530] = photograph((400, 380), "f4")
    found = fft(image, kernel)
    shadow = ik.maximum_filter(image != 0, 25, mode="constant")
    assert_same_bits(found[~shadow], image[~shadow])
    # Inside of it results are transformed, though tiles at its rim may be left to the sums.
    assert (found != direct(image, kernel))[105:495, 155:525].mean() > 0.5


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("size", [5, 21])
def test_hard_images(size, dtype):
    y, x = np.mgrid[:150, :140]
    lone = np.where((x == 60) & (y == 71), 1e4, 0)
    noise = np.random.default_rng(5).standard_normal(x.shape)
    images = [
        lone + noise,
        np.cos(0.001 * x * x * y),
        (x > 70) * 255.0 + 0.1,
        np.where((x % 16 == 3) & (y % 16 == 3), 1, 1e-3),
    ]
    kernels = [rough((size, size), dtype), smooth((size, size), dtype), np.full((size, size), 1 / size**2, dtype)]
    kernels.append(np.where(np.eye(size), 1, 1e-12).astype(dtype))
    for image in images:
        for kernel in kernels:
            pixels = image.astype(dtype)
            assert_within_the_bound(fft(pixels, kernel, padding="valid"), pixels, kernel)


# Kernels


def test_more_spectra_than_are_kept_at_once():
    image, bank = photograph((300, 200), "f4"), rough((70, 90, 80), "f4")
    found = fft(image, bank)
    for number in (0, 34, 35, 69):
        assert_same_bits(found[number], fft(image, bank[number]))


def test_channels():
    image = np.stack([photograph((90, 80), "f4", seed) for seed in range(3)], axis=-1)
    kernel = rough((15, 15), "f4")
    expected = np.stack([fft(np.ascontiguousarray(image[..., c]), kernel) for c in range(3)], axis=-1)
    assert_same_bits(fft(image, kernel, axes=(0, 1)), expected)


def test_convolve_turns_the_kernel_round():
    image, kernel = photograph((60, 70), "f4"), rough((12, 15), "f4")
    assert_same_bits(ik.convolve(image, kernel, method="fft"), fft(image, kernel[::-1, ::-1]))


@pytest.mark.parametrize("dtype", ["f4", "f8", "u1"])
def test_workers(dtype):
    image, kernel = photograph((300, 500), dtype), np.ones((25, 25), "i1" if dtype == "u1" else dtype)
    expected = fft(image, kernel, workers=1)
    for workers in (2, 3):
        assert_same_bits(fft(image, kernel, workers=workers), expected)


def test_layouts():
    image, kernel = photograph((150, 140), "f4"), rough((19, 19), "f4")
    expected = fft(image, kernel)
    for same in (np.asfortranarray(image), image[::-1][::-1], image.astype(">f4"), np.repeat(image, 2, 1)[:, ::2]):
        assert_same_bits(fft(same, kernel), expected)
    same = image[::-1, ::-1].copy()[::-1, ::-1]
    same.flags.writeable = False
    assert_same_bits(fft(same, kernel), expected)


# Which method


@pytest.mark.parametrize("dtypes", [("f4", "f4"), ("f8", "f8"), ("u1", "i1")])
def test_auto_takes_transforms_for_large_kernels(dtypes):
    image = photograph((400, 400), dtypes[0])
    for size, method in [(5, "direct"), (61, "fft")]:
        kernel = (10 * rough((size, size), "f8")).astype(dtypes[1])
        assert_same_bits(ik.correlate(image, kernel), ik.correlate(image, kernel, method=method))


def test_refusals():
    image = np.ones((5, 6))
    with pytest.raises(
        ValueError, match="'fft' computes floats and sums below 2\\*\\*31, got integers that may be larger"
    ):
        fft(image.astype(np.int32), np.ones((3, 3), int))
    fft(image, np.ones((1, 1024)))
    with pytest.raises(ValueError, match=r"at most 1024 pixels, dilation included, got a kernel of shape \(1, 1025\)"):
        fft(image, np.ones((1, 1025)))
    with pytest.raises(ValueError, match="at most 1024 pixels"):
        fft(image, np.ones((513, 1)), dilation=2)


def test_empty():
    assert fft(np.empty((0, 5, 6), "f4"), np.ones((3, 3), "f4")).shape == (0, 5, 6)
    assert fft(np.empty((5, 6), "f4"), np.ones((0, 3, 3), "f4")).shape == (0, 5, 6)


@pytest.mark.parametrize("kernel", [rough((31, 31), "f8"), smooth((31, 31), "f8")], ids=["rough", "smooth"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_photographs_are_tame(dtype, kernel):
    image, kernel = photograph((300, 200), dtype), kernel.astype(dtype)
    assert (fft(image, kernel) != direct(image, kernel)).mean() > 0.5  # no tile was left to the sums


@pytest.mark.parametrize("poison", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_what_is_not_finite_in_a_black_image(dtype, poison):
    image, kernel = np.zeros((200, 210), dtype), rough((31, 31), dtype)
    image[100, 101] = poison
    spoilt = ~np.isfinite(direct(image, kernel))
    assert spoilt.sum() == 31 * 31
    assert_same_bits(~np.isfinite(fft(image, kernel)), spoilt)
    outside = {"mode": "constant", "cval": np.nan}
    black = np.zeros((60, 70), dtype)
    assert_same_bits(np.isnan(fft(black, kernel, **outside)), np.isnan(direct(black, kernel, **outside)))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_kernel_gives_the_same_bits_among_others(dtype):
    # Black dots, which some kernels allow to be transformed and others do not.
    rng = np.random.default_rng(1)
    images = (rng.standard_normal((2, 1, 300, 300)) + 5).astype(dtype)
    images[..., ::9, ::9] = 0
    images[..., 100:130, 50:90] = 0
    kernels = rng.uniform(0.9, 1, (1, 10, 29, 28)).astype(dtype)
    kernels[0, 3] = 0
    kernels[0, 3, 5, 5] = 1
    kernels[0, 4] = rng.standard_normal((29, 28))
    expected = fft(images, np.broadcast_to(kernels, (2, 10, 29, 28)))
    assert_same_bits(fft(images, np.repeat(kernels, 2, 0)), expected)
    for number in range(10):
        assert_same_bits(fft(images[1, 0], kernels[0, number]), expected[1, number])


def test_spectra_of_banks_of_two_axes():
    image, bank = photograph((40, 50), "f8"), rough((3, 5, 4, 4), "f8")
    keywords = {"dilation": 170, "mode": "wrap"}  # 8 MiB each
    found = fft(image, bank, **keywords)
    for place in [(0, 0), (1, 4), (2, 2), (2, 3)]:
        assert_same_bits(found[place], fft(image, bank[place], **keywords))
