"""Lists that many tests go through: import them, never repeat them."""

import itertools

import numpy as np
import pytest

INTEGERS = [np.dtype(kind) for kind in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")]
FLOATS = [np.dtype(kind) for kind in ("f2", "f4", "f8")]
NUMBERS = INTEGERS + FLOATS
DTYPES = [np.dtype(bool), *NUMBERS]
MODES = ["reflect", "mirror", "nearest", "wrap", "constant"]
NUMPY_PAD = {"reflect": "symmetric", "mirror": "reflect", "nearest": "edge", "wrap": "wrap", "constant": "constant"}


def random_image(rng, shape, dtype):
    """Return an image over the whole range of an integer dtype, or of mixed magnitudes and signs for floats."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind == "f":
        return (rng.standard_normal(shape) * 2.0 ** rng.integers(-6, 7, shape)).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)


def seeded_image(shape, dtype, seed=0):
    """Return the same random image every time."""
    return random_image(np.random.default_rng(seed), shape, dtype)


def layouts(array):
    """Yield (name, array) pairs: the same values in other memory layouts."""
    yield "as is", array
    yield "Fortran order", np.asfortranarray(array)
    yield "negative strides", np.ascontiguousarray(array[..., ::-1, ::-1])[..., ::-1, ::-1]
    wide = np.zeros((*array.shape[:-1], 3 * array.shape[-1]), array.dtype)
    wide[..., ::3] = array
    yield "every third column", wide[..., ::3]
    raw = np.zeros(array.nbytes + 1, np.uint8)[1:].view(np.uint8)
    shifted = np.ndarray(array.shape, array.dtype, buffer=raw.data, offset=0)
    shifted[...] = array
    yield "unaligned", shifted
    yield "other byte order", array.astype(array.dtype.newbyteorder())
    read_only = array.copy()
    read_only.flags.writeable = False
    yield "read-only", read_only
    record = np.zeros(array.shape, np.dtype([("flag", "u1"), ("value", array.dtype)]))
    record["value"] = array
    yield "packed field", record["value"]


def bits(array):
    """Return the elements as unsigned integers of the same bits: tells -0.0 from 0.0 and one NaN from another."""
    native = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    return native.view(f"u{native.itemsize}").reshape(array.shape)


def assert_same_bits(actual, expected):
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    differ = np.argwhere(bits(actual) != bits(expected))
    if len(differ) > 0:
        first = tuple(differ[0])
        raise AssertionError(
            f"{len(differ)} elements of shape {actual.shape} differ, the first at {first}: "
            f"{actual[first]!r} in place of {expected[first]!r}"
        )


# Windows: shape of the image, size of the window, and the keywords that place it.

SMALL_SIZES = list(itertools.product(range(1, 8), range(1, 8)))

MIXED_MODES = [("reflect", "wrap"), ("wrap", "mirror"), ("constant", "nearest"), ("mirror", "constant")]
ALIASES = {"grid-mirror": "reflect", "grid-wrap": "wrap", "grid-constant": "constant"}

_BORDERS = [(mode, {"mode": mode}) for mode in [*MODES, *MIXED_MODES]]
_FAR_PADS = ((30, 0), (2, 41))  # several images away, and not the same on any two sides


def _geometries():
    for name, border in _BORDERS:
        yield f"{name}", (7, 9), (4, 5), border
        yield f"{name}-window-of-several-images", (2, 3), (13, 16), border
        yield f"{name}-one-pixel", (1, 1), (3, 4), border
        yield f"{name}-far-pads", (5, 7), (3, 2), {**border, "padding": _FAR_PADS}
        yield f"{name}-strided-far-pads", (5, 7), (3, 2), {**border, "padding": _FAR_PADS, "stride": (4, 3)}
    for shape in ((1, 11), (11, 1), (1, 2), (2, 1)):
        yield f"image-{shape}", shape, (5, 5), {"mode": "mirror"}
    for padding in ("same", "valid", 0, 1, 6, (2, 5), (0, 3), ((1, 0), (0, 4)), ((0, 2), (3, 0)), [[9, 0], [0, 0]]):
        yield f"padding-{padding}", (8, 9), (3, 4), {"padding": padding}
    for stride in (2, 3, 4, 5, (2, 3), (5, 1), (1, 7), (30, 30)):
        for padding in ("same", "valid", 3):
            yield f"stride-{stride}-{padding}", (11, 13), (3, 4), {"stride": stride, "padding": padding}
    yield "windows-far-apart-in-pads", (3, 4), (2, 3), {"stride": (7, 9), "padding": 20, "mode": "wrap"}
    for size in (1, 2, 3, 4, 5):
        lowest, highest = -(size // 2), (size - 1) // 2
        for origin in range(lowest, highest + 1):
            origins = (origin, highest - (origin - lowest))
            yield f"origin-{origin}-of-{size}", (6, 7), (size, size), {"origin": origins}
    yield "origin-strided", (9, 8), (5, 4), {"origin": (-2, 1), "stride": (2, 3), "mode": "nearest"}


GEOMETRIES = [
    pytest.param(shape, size, keywords, id=name.replace(" ", "")) for name, shape, size, keywords in _geometries()
]

# Values outside the image that only just fit their dtype.
INTEGER_CVALS = [("u1", 255), ("i1", -128), ("u2", 65535.0), ("i4", -(2**31)), ("i8", -(2**63)), ("u8", 2**64 - 1)]

# Extents up to past twice the widest vector (64 bytes), and on both sides of a tile's bound.
VECTOR_EXTENTS = {1: 140, 2: 70, 4: 40, 8: 20}
TILE_WIDTHS = [511, 512, 513, 514, 1023, 1024, 1025]
TILE_HEIGHTS = [31, 32, 33, 34, 63, 64, 65]
