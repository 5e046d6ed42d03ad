"""Lists that many tests go through: import them, never repeat them."""

import numpy as np

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
