"""The arguments that all functions take: arrays, outputs, axes, modes and the value outside the image."""

import functools
import math
import operator
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from imkernels._arguments import Array
from imkernels._dtypes import Dtype

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
SINGLE_INPUTS = frozenset("?bBhHf")  # whose values float32 holds

_DTYPES = frozenset("?bBhHiIlLqQfd")  # SciPy has no float16
_LARGEST_FLOAT32 = float(np.finfo(FLOAT32).max)
_MODES = ("reflect", "grid-mirror", "mirror", "nearest", "wrap", "grid-wrap", "constant", "grid-constant")


class Common(NamedTuple):
    """The arguments that all functions take."""

    input: Any
    output: Any
    mode: Any
    cval: Any
    origin: Any


# Arrays


class Target(NamedTuple):
    """Where the result goes."""

    dtype: Dtype  # in native byte order
    array: Array | None  # None: what the kernels return
    same: bool  # whether the dtype is the image's


def as_array(value: Any) -> Array:
    return value if type(value) is np.ndarray else np.asarray(value)


def real_image(value: Any) -> Array:
    """Return an image that is not complex: SciPy's order filters refuse those."""
    image = as_array(value)
    if image.dtype.kind == "c":
        raise TypeError(f"input must be real, got dtype {image.dtype}: Complex type not supported")
    return image


def target_of(output: Any, image: Array) -> Target | None:
    """Return where `output` says that the result goes; None if it or the image has a dtype that is not served."""
    if output is None:
        return _own_target(image.dtype)
    if isinstance(output, (type, np.dtype, str)):
        dtype = np.dtype(output)
        if isinstance(output, str) and not issubclass(dtype.type, np.number):
            raise RuntimeError(f"output must have numeric dtype, got {output!r}")
        array = None if dtype.isnative else np.empty(image.shape, dtype)
    else:
        array = np.asarray(output)
        dtype = array.dtype
        if array.shape != image.shape:
            raise RuntimeError(f"output shape not correct: it must be the input's, {image.shape}, got {array.shape}")
        if not array.flags.writeable:
            raise ValueError("output must be writeable, got a read-only array")
    if dtype.char not in _DTYPES or image.dtype.char not in _DTYPES:
        return None
    return Target(native(dtype), array, native(dtype) == native(image.dtype))


@functools.cache
def _own_target(dtype: Dtype) -> Target | None:
    return Target(native(dtype), None, True) if dtype.char in _DTYPES else None


def native(dtype: Dtype) -> Dtype:
    """Return the dtype in native byte order."""
    return dtype if dtype.isnative else dtype.newbyteorder("=")


# One value per axis


def filtered_axes(axes: Any, ndim: int) -> tuple[int, ...]:
    """Return axes as numbers from 0."""
    if axes is None:
        return tuple(range(ndim))
    given: Any = (axes,) if np.isscalar(axes) else axes
    if not isinstance(given, Iterable):
        raise ValueError(f"axes must be an integer, iterable of integers, or None, got {axes!r}")
    places = [operator.index(axis) for axis in given]
    for axis in places:
        if not -ndim <= axis < ndim:  # AxisError is both the ValueError and the IndexError that SciPy raises
            raise np.exceptions.AxisError(f"specified axis: {axis} is out of range for an input of {ndim} dimensions")
    places = [axis % ndim for axis in places]
    if len(set(places)) != len(places):
        raise ValueError(f"axes must be unique, got {axes!r}")
    return tuple(places)


def one_per_axis(value: Any, count: int, name: str) -> list[Any]:
    if isinstance(value, str) or not np.iterable(value):
        return [value] * count
    values = list(value)
    if len(values) != count:
        raise RuntimeError(
            f"{name}: sequence argument must have length equal to input rank (or to that of axes), {count}, "
            f"got {value!r}"
        )
    return values


def check_mode(mode: Any) -> None:
    if not isinstance(mode, str) or mode not in _MODES:
        raise RuntimeError(f"boundary mode not supported: mode must be one of {', '.join(_MODES)}, got {mode!r}")


def check_one_mode(mode: Any, what: str) -> None:
    """Raise unless there is a single mode, which `what` needs."""
    if not isinstance(mode, str) and isinstance(mode, Iterable):
        raise RuntimeError(f"mode: A sequence of modes is not supported for {what}, got {mode!r}")
    check_mode(mode)


# The value outside the image


def fill_of(cval: Any, constant: bool, dtype: Dtype) -> Any:
    """Return the value outside the image, or None if its dtype has no such value."""
    if type(cval) is float and cval == 0.0:
        return cval
    if isinstance(cval, str):
        raise TypeError(f"cval must be real number, not str, got {cval!r}")
    value = int(cval) if isinstance(cval, (int, np.integer)) else float(cval)
    if not constant:
        return 0.0
    if dtype.kind == "f":
        overflows = dtype.itemsize == 4 and _LARGEST_FLOAT32 < abs(value) < math.inf
        return None if overflows else value
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return int(value) if low <= value <= high and value == int(value) else None
