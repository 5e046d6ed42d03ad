"""3x3 filters of float32: floats are compared as they are where that orders them, and by keys where it does not."""

import imkernels as ik
import numpy as np
import pytest

MODES = {"reflect": "symmetric", "mirror": "reflect", "nearest": "edge", "wrap": "wrap", "constant": "constant"}
RANKS = {"minimum_filter": 0, "median_filter": 4, "maximum_filter": 8}
NAN = 2**40  # its key


def keys(image):
    """Return integers in the order of the floats: -0.0 before 0.0, and NaNs last."""
    bits = image.view(np.int32).astype(np.int64)
    return np.where(np.isnan(image), NAN, np.where(bits < 0, -(bits & 0x7FFFFFFF) - 1, bits))


def keys_of_results(image, rank, mode, cval):
    """Return the key of a rank among each window's nine, a NaN's where there is one."""
    width = [(0, 0)] * (image.ndim - 2) + [(1, 1), (1, 1)]
    border = {"constant_values": np.float32(cval)} if mode == "constant" else {}
    padded = keys(np.pad(image, width, MODES[mode], **border))
    shifted = [padded[..., y : y + image.shape[-2], x : x + image.shape[-1]] for y in range(3) for x in range(3)]
    ranked = np.sort(np.stack(shifted), axis=0)
    return np.where(ranked[8] == NAN, NAN, ranked[rank])


def spoiled(image, kind, rng):
    if kind == "a NaN":
        image[1, image.shape[1] // 2, image.shape[2] // 3] = np.nan
    elif kind == "NaNs with a sign in corners":
        image[:, [0, 0, -1, -1], [0, -1, 0, -1]] = -np.float32(np.nan)
    elif kind == "zeros of both signs":
        image[rng.random(image.shape) < 0.6] = 0.0
        image[rng.random(image.shape) < 0.3] = -0.0
    elif kind == "negative zeros at an edge":
        image[:] = np.abs(image)
        image[0, :, -1] = -0.0
    elif kind == "infinities":
        image[0, 0, 0] = np.inf
        image[1, -1, -1] = -np.inf
    return image


KINDS = [
    "plain",
    "a NaN",
    "NaNs with a sign in corners",
    "zeros of both signs",
    "negative zeros at an edge",
    "infinities",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(2, 66, 81), (2, 140, 67), (3, 5, 300), (2, 4, 2100)], ids=str)
@pytest.mark.parametrize("name", RANKS)
def test_each_pixel_is_ranked_among_its_own(name, shape, kind):
    rng = np.random.default_rng(len(kind) + sum(shape))
    image = spoiled(rng.standard_normal(shape, np.float32), kind, rng)
    for mode in MODES:
        result = getattr(ik, name)(image, 3, mode=mode)
        assert np.array_equal(keys(result), keys_of_results(image, RANKS[name], mode, 0.0)), mode


@pytest.mark.parametrize("cval", [-0.0, np.nan, np.inf])
@pytest.mark.parametrize("name", RANKS)
def test_what_surrounds_the_image_is_ranked_too(name, cval):
    image = np.abs(np.random.default_rng(5).standard_normal((70, 90), np.float32))
    image[:2] = 0.0
    result = getattr(ik, name)(image, 3, mode="constant", cval=cval)
    assert np.array_equal(keys(result), keys_of_results(image, RANKS[name], "constant", cval))


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_bands_that_are_left_out_come_out_right_beside_others(workers):
    image = np.random.default_rng(6).standard_normal((3, 400, 90, 4), np.float32)
    image[0, 130, 7, 2] = image[2, 399, 0, 0] = np.nan
    image[1, 200:300, 9] = -0.0
    result = ik.maximum_filter(image, 3, axes=(1, 2), workers=workers)
    expected = keys_of_results(np.moveaxis(image, 3, 1), 8, "reflect", 0.0)
    assert np.array_equal(keys(result), np.moveaxis(expected, 1, 3))
