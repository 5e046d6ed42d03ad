"""What every filter refuses: its errors are matched by argument, rule and value."""

import re

import numpy as np
import pytest


def numbers_refused(name, least):
    """Yield what is refused where an int or a pair of ints is wanted."""
    yield {name: least - 1}, ValueError, rf"{name} must be at least {least}, got {least - 1}"
    yield {name: (3, least - 1)}, ValueError, rf"{name} must be at least {least}, got \(3, {least - 1}\)"
    yield {name: -(2**70)}, ValueError, rf"{name} must be at least {least}, got -1180591620717411303424"
    for value in (2**31, 2**63, 2**70, (3, 2**31)):
        yield {name: value}, ValueError, rf"{name} must be at most 2147483647, got {re.escape(str(value))}"
    for value in ((3,), (3, 3, 3), ()):
        yield {name: value}, ValueError, rf"{name} must be an int or a pair of ints, got {re.escape(str(value))}"
    for value in (3.0, {"rows": 3, "columns": 3}, (3, 1.5), (3, None), True, (True, 3), np.float64(3)):
        yield {name: value}, TypeError, rf"{name} must be an int or a pair of ints, got {re.escape(repr(value))}"


def filter_errors():
    """Yield (keywords, error, text) for a (6, 7) image of float32 and a window of 3 by 3."""
    yield from numbers_refused("stride", 1)

    yield from numbers_refused("padding", 0)
    padding = "padding must be 'same', 'valid', an int, a pair of ints or a pair of pairs, got 'full'"
    yield {"padding": "full"}, ValueError, padding
    yield {"padding": ((0, -1), (0, 0))}, ValueError, "padding must be at least 0, got"
    yield {"padding": ((0, 1), (0, 2**31))}, ValueError, "padding must be at most 2147483647, got"
    yield {"padding": ((0, 1), (0,))}, ValueError, "padding must be"
    yield {"padding": ((0, 1), (0, 1), (0, 1))}, (TypeError, ValueError), "padding must be"
    yield {"padding": ((0, 1), 2)}, (TypeError, ValueError), "padding must be"
    yield {"padding": (2, (0, 1))}, (TypeError, ValueError), "padding must be"
    yield {"padding": ((0, 1.0), (0, 1))}, TypeError, "padding must be"
    yield {"padding": None}, TypeError, "padding must be"
    text = r"padding and size must leave a result that an array can hold, got shape \(429496729\d, 429496729\d\)"
    yield {"padding": 2**31 - 1, "mode": "constant"}, ValueError, text

    for mode in (
        "symmetric",
        "",
        "Reflect",
        3,
        None,
        ("reflect",),
        ("reflect", "edge"),
        ("wrap", "wrap", "wrap"),
        ("wrap", 1),
    ):
        names = "reflect, mirror, nearest, wrap, constant, grid-mirror, grid-wrap, grid-constant"
        yield (
            {"mode": mode},
            ValueError,
            rf"mode must be one of {names}, or a pair of them, got {re.escape(repr(mode))}",
        )

    for value in (1e39, -1e39, 2**200, 10**400):
        yield {"cval": value}, ValueError, rf"cval must be a value that float32 can hold, got {re.escape(repr(value))}"
    for value in ("7", None, 1j, [7.0], np.zeros(1), np.datetime64("2026-01-01")):
        yield {"cval": value}, TypeError, rf"cval must be a real number, got {re.escape(repr(value))}"

    for origin in (2, -2, (0, 2), (-2, 0)):
        one = origin if isinstance(origin, int) else sum(origin)
        yield {"origin": origin}, ValueError, rf"origin must lie between -1 and 1 for 3 taps, got {one}"
    for padding in ("valid", 1, ((1, 1), (1, 1))):
        text = rf"origin must be 0 unless padding is 'same', got \(1, 0\) with padding={re.escape(repr(padding))}"
        yield {"origin": (1, 0), "padding": padding}, ValueError, text
    for origin in (1.0, None, True, (1, 0.5)):
        yield {"origin": origin}, TypeError, rf"origin must be an int or a pair of ints, got {re.escape(repr(origin))}"

    for workers in (0, -2, 2**31, 1.0, True, "2", (2,)):
        text = rf"workers must be a positive number of threads or -1 for all, got {re.escape(repr(workers))}"
        yield {"workers": workers}, ValueError, text

    for axes in ((0, 0), (0, 2), (-3, 1), (1, -1)):
        text = rf"axes must be two different axes of image, which has 2, got {re.escape(repr(axes))}"
        yield {"axes": axes}, ValueError, text
    for axes in ((0,), (0, 1, 2), ()):
        yield {"axes": axes}, ValueError, rf"axes must be a pair of ints, got {re.escape(repr(axes))}"
    for axes in (1, (0, 1.0), ("0", "1"), "01", (True, 0), [(0, 1), (0, 1)]):
        yield {"axes": axes}, TypeError, rf"axes must be a pair of ints, got {re.escape(repr(axes))}"

    for dtype in ("c8", "O", "S3", "M8[s]", "g", "V4", [("a", "f4")]):
        yield {"dtype": dtype}, TypeError, r"dtype must be one that \w+ has a loop for \(int8, .*float64\), got "
    yield {"dtype": bool}, TypeError, "dtype must be one that .* has a loop for .*, got bool"
    yield {"dtype": "no such dtype"}, TypeError, "no such dtype"

    rule = "casting must be 'no', 'equiv', 'safe', 'same_kind' or 'unsafe', got 'same kind'"
    yield {"casting": "same kind"}, ValueError, rule
    yield {"casting": None}, TypeError, "casting must be a str, got None"


FILTER_ERRORS = [
    pytest.param(*error, id="-".join(f"{name}={str(value)[:30]}" for name, value in error[0].items()))
    for error in filter_errors()
]


class RefusesArrayFunctions:
    __array_ufunc__ = None

    def __array__(self, dtype=None, copy=None):
        return np.zeros((6, 7))


def elsewhere(module):
    """Return a stand-in for an array of a package that computes elsewhere."""
    return type(
        "Array", (), {"__module__": module, "__array__": lambda self, dtype=None, copy=None: np.zeros((6, 7))}
    )()


HOLDS_NUMBERS = "must hold bool, integers or floats of at most 64 bits, got dtype"
IN_MEMORY = "must be an array in this process's memory, got Array; use"

# What is refused as an image or as a kernel, with the message behind the argument's name. All are TypeErrors.
ARRAYS_REFUSED = {
    "complex": (np.zeros((6, 7), complex), f"{HOLDS_NUMBERS} complex128"),
    "objects": (np.zeros((6, 7), object), f"{HOLDS_NUMBERS} object"),
    "strings": (np.zeros((6, 7), "U3"), f"{HOLDS_NUMBERS} <U3"),
    "dates": (np.zeros((6, 7), "M8[s]"), f"{HOLDS_NUMBERS} datetime64"),
    "records": (np.zeros((6, 7), "u1,u1"), HOLDS_NUMBERS),
    "long doubles": (np.zeros((6, 7), "g"), HOLDS_NUMBERS),
    "None": (None, f"{HOLDS_NUMBERS} object"),
    "masked": (np.ma.masked_array(np.zeros((6, 7))), r"must not be a MaskedArray, .* value.filled\(...\)"),
    "refuses": (RefusesArrayFunctions(), "is a RefusesArrayFunctions, which refuses array functions"),
    "dask": (elsewhere("dask.array.core"), f"{IN_MEMORY} imkernels.pipeline.dask"),
    "xarray": (elsewhere("xarray.core.dataarray"), f"{IN_MEMORY} xarray.apply_ufunc"),
    "cupy": (elsewhere("cupy"), f"{IN_MEMORY} cupyx.scipy.ndimage"),
    "jax": (elsewhere("jaxlib._jax"), f"{IN_MEMORY} numpy.asarray"),
}
arrays_refused = pytest.mark.parametrize(("value", "text"), ARRAYS_REFUSED.values(), ids=ARRAYS_REFUSED)


def outs_refused(dtype):
    """Yield (out, error, text) for a result of shape (6, 7) and this dtype, a float."""
    yield [[0.0] * 7] * 6, TypeError, "out must be a numpy.ndarray.*, got list"
    yield np.ma.zeros((6, 7), dtype), TypeError, "out must .*mask"
    yield (), ValueError, "out must be an array or a tuple of one, got 0 of them"
    yield (np.empty((6, 7), dtype),) * 2, ValueError, "out must be an array or a tuple of one, got 2 of them"
    for shape in ((7, 6), (1, 6, 7), (6,), (6, 8), ()):
        text = rf"out must have the shape of the result, \(6, 7\), got {re.escape(str(shape))}"
        yield np.empty(shape, dtype), ValueError, text
    yield np.empty((6, 7), np.int64), TypeError, rf"out must allow casting='same_kind' from {dtype}, got dtype int64"
    yield np.empty((6, 7), bool), TypeError, rf"out must allow casting='same_kind' from {dtype}, got dtype bool"
    yield np.empty((6, 7), complex), TypeError, f"out {HOLDS_NUMBERS} complex128"
    yield np.empty((6, 7), object), TypeError, f"out {HOLDS_NUMBERS} object"
    frozen = np.empty((6, 7), dtype)
    frozen.flags.writeable = False
    yield frozen, ValueError, "out must be writeable, got a read-only array"
    for out in self_overlapping(dtype):
        yield out, ValueError, rf"out must not overlap itself, got strides {re.escape(str(out.strides))}"


def self_overlapping(dtype):
    """Yield writeable arrays of shape (6, 7) of which two elements share a byte."""
    memory = np.zeros(200, dtype)
    size = memory.itemsize
    for strides in (
        (0, size),
        (7 * size, 0),
        (0, 0),
        (size, size),
        (6 * size, size),
        (size, 5 * size),
        (2 * size, 3 * size),
    ):
        yield np.lib.stride_tricks.as_strided(memory, (6, 7), strides)
    yield np.lib.stride_tricks.as_strided(memory[100:], (6, 7), (-6 * size, size))
    yield np.ndarray((6, 7), dtype, memory.data, strides=(7 * size, size - 1))


def parameters(errors):
    """Return pytest's parameters for (what is given, error, text)."""
    return [pytest.param(*error, id=str(number)) for number, error in enumerate(errors)]


window_too_large = pytest.mark.parametrize(
    ("size", "padding", "text"),
    [
        ((7, 3), "valid", "must not exceed the padded image: 7 pixels against 6 along window axis 0"),
        ((3, 8), "valid", "must not exceed the padded image: 8 pixels against 7 along window axis 1"),
        ((3, 10), 1, "must not exceed the padded image: 10 pixels against 9 along window axis 1"),
        ((12, 3), ((0, 5), (0, 0)), "must not exceed the padded image: 12 pixels against 11 along window axis 0"),
    ],
)
pads_without_pixels = pytest.mark.parametrize(
    ("shape", "mode", "text"),
    [
        ((0, 5), "reflect", "padding must be 0 or mode 'constant' for an empty image, got 2 and 'reflect'"),
        ((5, 0), "wrap", "padding must be 0 or mode 'constant' for an empty image, got 2 and 'wrap'"),
        ((0, 0), ("constant", "nearest"), "padding must be 0 or mode 'constant' for an empty image, got 2 and"),
    ],
)
CVALS_REFUSED = {
    "bool": [2, -1, 0.5],
    "uint8": [256, -1, 0.5, np.nan],
    "int8": [128, -129],
    "int16": [np.inf, -np.inf],
    "uint16": [65536.0],
    "int32": [2**31],
    "int64": [2**63, 2.0**63, -(2**63) - 1, 10**400],
    "uint64": [2**64, 1e300],
}
cvals_of_integers = pytest.mark.parametrize(
    ("dtype", "cval"),
    [
        pytest.param(dtype, cval, id=f"{dtype}-{str(cval)[:30]}")
        for dtype in CVALS_REFUSED
        for cval in CVALS_REFUSED[dtype]
    ],
)
