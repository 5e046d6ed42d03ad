"""From what a person passes to what the compiled kernels take, with errors that teach.

Every check raises with the argument, the rule and the value. C++ checks again what protects memory, and no more.
"""

import functools
import math
import operator
import sys
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from imkernels import _core
from imkernels._dtypes import ALL, Dtype

T = TypeVar("T")
Array: TypeAlias = NDArray[Any]
Pair: TypeAlias = tuple[int, int]
Pairs: TypeAlias = tuple[Pair, Pair]
IntOrPair: TypeAlias = int | Sequence[int]
Padding: TypeAlias = str | int | Sequence[int] | Sequence[Sequence[int]]
ModeOrPair: TypeAlias = str | Sequence[str]
Casting: TypeAlias = Literal["no", "equiv", "safe", "same_kind", "unsafe"]
Axes: TypeAlias = Sequence[int] | None
Group: TypeAlias = tuple[Any, ...]
Places: TypeAlias = tuple[int, ...] | None

LARGEST = 2**31 - 1  # of every number of a window: sums and products of them then fit 64 bits
LARGEST_EXTENT = LARGEST**2  # of an image

_MODES = {name: name for name in ("reflect", "mirror", "nearest", "wrap", "constant")} | {
    "grid-mirror": "reflect",
    "grid-wrap": "wrap",
    "grid-constant": "constant",
}

# Arrays that live elsewhere: computing on them here would pull them into memory behind the user's back.
_ADAPTERS = {
    "dask": "imkernels.pipeline.dask, or dask.array.apply_gufunc",
    "xarray": "xarray.apply_ufunc",
    "cupy": "cupyx.scipy.ndimage, or cupy.asnumpy",
    "jax": "numpy.asarray",
    "jaxlib": "numpy.asarray",
}


# What is computed from arguments alone


_DTYPES = frozenset(type(np.dtype(character)) for character in ALL)
_PLAIN = frozenset((int, float, bool, str, bytes, type(None), np.int64, np.float64, type)) | _DTYPES
_SEQUENCES = frozenset((tuple, list))
_PLAIN_OR_SEQUENCE = _PLAIN | _SEQUENCES
_MOST_RESULTS = 1024  # that are remembered of a function
_MOST_BYTES = 2**14  # of the arrays in one of them


def remembered(function: Callable[..., T], grouped: bool = False) -> Callable[..., T]:
    """Remember what a function gave for numbers, strings, dtypes, None, and tuples and lists of them and of each other.

    Zeros of both signs are one key. What is raised is not remembered, nor are results that hold large arrays. A
    function of `grouped` arguments takes tuples alone, of what others take one by one.
    """
    results: dict[tuple[Any, ...], tuple[T]] = {}

    @functools.wraps(function)
    def found(*args: Any) -> T:
        kinds = tuple(map(type, chain.from_iterable(args) if grouped else args))
        key: tuple[Any, ...] = kinds, args
        if not _SEQUENCES.isdisjoint(kinds):
            key = _nested_key(args, tuple(chain.from_iterable(args)) if grouped else args, kinds)
        try:
            known = results.get(key)
        except TypeError:  # arrays have no hash
            return function(*args)
        if known is not None:
            return known[0]
        result = function(*args)
        *levels, last = key[:-1]
        plain = all(map(_PLAIN_OR_SEQUENCE.issuperset, levels)) and _PLAIN.issuperset(last)
        if plain and _bytes_of(result) <= _MOST_BYTES:
            if len(results) >= _MOST_RESULTS:
                results.clear()
            results[key] = (result,)
        return result

    return found


remembered_by_groups = functools.partial(remembered, grouped=True)


def _nested_key(args: tuple[Any, ...], parts: tuple[Any, ...], kinds: tuple[type, ...]) -> tuple[Any, ...]:
    """Return the types of parts, of what is in them and in that, and the arguments: 3, 3.0 and True are equal."""
    inner = tuple(map(type, chain.from_iterable(_sequences_among(kinds)(parts))))
    levels: tuple[tuple[type, ...], ...] = kinds, inner
    if not _SEQUENCES.isdisjoint(inner):  # padding may be a pair of pairs; nothing goes deeper
        parts = tuple(chain.from_iterable(_sequences_among(kinds)(parts)))
        levels += (tuple(map(type, chain.from_iterable(_sequences_among(inner)(parts)))),)
    if list in kinds or list in inner:
        args = _without_lists(args)
    return *levels, args


@functools.lru_cache(maxsize=1024)
def _sequences_among(kinds: tuple[type, ...]) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """Return what takes the tuples and lists out of values of these types."""
    first, *others = (place for place, kind in enumerate(kinds) if kind in (tuple, list))
    return operator.itemgetter(first, *others) if others else operator.itemgetter(slice(first, first + 1))


def _without_lists(values: Sequence[Any], depth: int = 3) -> tuple[Any, ...]:
    """Return values, what is in them and in that with tuples in place of lists."""
    return tuple(
        _without_lists(value, depth - 1) if type(value) in _SEQUENCES and depth > 0 else value for value in values
    )


def _bytes_of(value: Any) -> int:
    """Return the memory of the arrays in a result; those that are spread out take no more than before."""
    if isinstance(value, np.ndarray):
        own = (extent for extent, stride in zip(value.shape, value.strides, strict=True) if stride != 0)
        return value.itemsize * int(math.prod(own))
    return sum(map(_bytes_of, value)) if isinstance(value, (tuple, list)) else 0


# Arrays


def as_array(value: ArrayLike, name: str) -> Array:
    """Return an input as an array, or raise if that would compute, copy from a device or lose a mask."""
    array = value if type(value) is np.ndarray else _foreign_array(value, name)
    if array.dtype.char not in _SUPPORTED:
        raise TypeError(f"{name} must hold bool, integers or floats of at most 64 bits, got dtype {array.dtype}")
    return array


_SUPPORTED = frozenset(ALL + "qQ" + "lL")


def _foreign_array(value: Any, name: str) -> Array:
    _refuse_foreign(value, name)
    for part in value if isinstance(value, (list, tuple)) else ():
        _refuse_foreign(part, name)
    try:
        return np.asarray(value)
    except (RuntimeError, TypeError, ValueError) as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{name} must be what numpy.asarray takes, got {type(value).__name__}: {error}") from None


def _refuse_foreign(value: Any, name: str) -> None:
    kind = type(value)
    home = kind.__module__.partition(".")[0]
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} must not be a MaskedArray, since its mask would be lost; pass value.filled(...)")
    if home in _ADAPTERS:
        raise TypeError(f"{name} must be an array in this process's memory, got {kind.__name__}; use {_ADAPTERS[home]}")
    if getattr(kind, "__array_ufunc__", True) is None:
        raise TypeError(f"{name} is a {kind.__name__}, which refuses array functions (__array_ufunc__ is None)")


def as_image(value: ArrayLike, axes: Any, name: str, count: int = 2) -> tuple[Array, Places]:
    """Return a view of an input with its `count` core axes last, and those axes counted from the end (None: the last).

    The core axes are the window axes; in learned convolution that of the channels comes before them.
    """
    array = as_array(value, name)
    places = core_axes(array.shape, axes, name, count)
    return windows_last(array, places), places


def core_axes(shape: tuple[int, ...], axes: Any, name: str, count: int = 2) -> Places:
    """Return the `count` core axes of an input of `shape`, counted from the end (None: the last)."""
    ndim = len(shape)
    if ndim < count:
        raise ValueError(f"{name} must have at least {count} dimensions, got shape {shape}")
    if axes is None:
        return None
    rule = "axes must be a pair of ints" if count == 2 else f"axes must be {count} ints"
    numbers = ints(axes, count, rule)
    places = tuple(axis - ndim if axis >= 0 else axis for axis in numbers)
    if len(set(places)) < count or not all(-ndim <= axis < 0 for axis in places):
        number = "two" if count == 2 else str(count)
        raise ValueError(f"axes must be {number} different axes of {name}, which has {ndim}, got {axes!r}")
    return places


def windows_last(array: Array, axes: Places) -> Array:
    """Return a view of `array` with its core axes last."""
    return array if axes is None else array.transpose(_with_last(array.ndim, axes))


@functools.lru_cache(maxsize=256)
def _with_last(ndim: int, axes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the axes from 0, `axes` last."""
    last = tuple(axis + ndim for axis in axes)
    return tuple(axis for axis in range(ndim) if axis not in last) + last


def shape_with_last(shape: tuple[int, ...], axes: Places) -> tuple[int, ...]:
    """Return the shape that `windows_last` gives an array."""
    return shape if axes is None else tuple(shape[axis] for axis in _with_last(len(shape), axes))


def spread(planes: Array, leading: tuple[int, ...]) -> Array:
    """Return planes with these leading axes."""
    if not leading or planes.shape[:-2] == leading:
        return planes
    return np.broadcast_to(planes, leading + planes.shape[-2:])


def result_shape(loop: tuple[int, ...], extents: tuple[int, ...], axes: Places) -> tuple[int, ...]:
    """Return the shape of a result whose core axes stand where `axes`, counted from the end, says."""
    if axes is None:
        return loop + extents
    ndim = len(loop) + len(extents)
    places = [axis + ndim for axis in axes]
    rest = iter(loop)
    return tuple(extents[places.index(axis)] if axis in places else next(rest) for axis in range(ndim))


# The window


def choice(value: Any, name: str, names: Sequence[str]) -> None:
    """Raise unless `value` is one of `names`."""
    if not isinstance(value, str) or value not in names:
        raise ValueError(f"{name} must be {' or '.join(map(repr, names))}, got {value!r}")


def flag(value: Any, name: str) -> bool:
    """Return a truth value as a bool; a string, say, is none."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def ints(value: Any, count: int, rule: str) -> tuple[int, ...]:
    """Return a sequence of ints as a tuple; bools are no numbers here."""
    if isinstance(value, (str, bytes)) or not isinstance(value, (Sequence, np.ndarray)):
        raise TypeError(f"{rule}, got {value!r}")
    try:
        numbers = tuple(value)
        if any(isinstance(number, (bool, np.bool_)) for number in numbers):
            raise TypeError
        numbers = tuple(operator.index(number) for number in numbers)
    except TypeError:
        raise TypeError(f"{rule}, got {value!r}") from None
    if len(numbers) != count:
        raise ValueError(f"{rule}, got {value!r}")
    return numbers


def pair(value: Any, name: str, least: int | None = None) -> Pair:
    """Return an int or a pair of ints as a pair of numbers of at least `least`."""
    if type(value) is int:  # soon answered: small images take no longer than the checks below
        rows = columns = value
    else:
        single = hasattr(value, "__index__") and not isinstance(value, (bool, np.bool_)) and np.ndim(value) == 0
        rows, columns = ints((value, value) if single else value, 2, f"{name} must be an int or a pair of ints")
    if least is not None and min(rows, columns) < least:
        raise ValueError(f"{name} must be at least {least}, got {value!r}")
    if max(rows, columns) > LARGEST:
        raise ValueError(f"{name} must be at most {LARGEST}, got {value!r}")
    return rows, columns


def real_pair(value: Any, name: str, least: float = -math.inf, single: bool = False) -> tuple[float, float]:
    """Return a real number, or unless `single` a pair of them, as a pair of finite floats of at least `least`."""
    rule = f"{name} must be a real number" + ("" if single else " or a pair of them")
    value = value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value
    values = tuple(value) if isinstance(value, (tuple, list, np.ndarray)) and not single else (value, value)
    if len(values) != 2:
        raise ValueError(f"{rule}, got {value!r}")
    if not all(isinstance(number, (int, float, np.integer, np.floating)) for number in values):
        raise TypeError(f"{rule}, got {value!r}")
    if any(isinstance(number, bool) for number in values):
        raise TypeError(f"{rule}, got {value!r}")
    if not all(abs(number) <= sys.float_info.max and number >= least for number in values):
        bound = "finite" if least == -math.inf else f"finite and at least {least:g}"
        raise ValueError(f"{name} must be {bound}, got {value!r}")
    return float(values[0]), float(values[1])


def mode_pair(mode: Any) -> tuple[str, str]:
    """Return the border modes of rows and columns by their plain names."""
    modes = (mode, mode) if isinstance(mode, str) else tuple(mode) if isinstance(mode, Sequence) else ()
    if len(modes) != 2 or not all(isinstance(name, str) and name in _MODES for name in modes):
        raise ValueError(f"mode must be one of {', '.join(_MODES)}, or a pair of them, got {mode!r}")
    return _MODES[modes[0]], _MODES[modes[1]]


def pads(padding: Any, size: Pair, dilation: Pair, origin: Pair) -> Pairs:
    """Return ((top, bottom), (left, right))."""
    rule = "padding must be 'same', 'valid', an int, a pair of ints or a pair of pairs"
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f"{rule}, got {padding!r}")
        if padding == "valid":
            return (0, 0), (0, 0)
        top, left = (d * (k // 2 + o) for k, d, o in zip(size, dilation, origin, strict=True))
        return (top, dilation[0] * (size[0] - 1) - top), (left, dilation[1] * (size[1] - 1) - left)
    sides = padding.tolist() if isinstance(padding, np.ndarray) else padding
    if isinstance(sides, Sequence) and len(sides) == 2:
        nested = [_is_nested(side) for side in sides]
        if all(nested):
            return pair(sides[0], "padding", 0), pair(sides[1], "padding", 0)
        if any(nested):
            raise TypeError(f"{rule}, got {padding!r}")
    around = pair(sides, "padding", 0)
    return (around[0], around[0]), (around[1], around[1])


def _is_nested(side: Any) -> bool:
    """Return whether this is a sequence; it asks no NumPy function, which PyTorch's compiler could not trace."""
    if isinstance(side, np.ndarray):
        return side.ndim > 0
    return isinstance(side, Sequence) and not isinstance(side, (str, bytes))


def check_origin(origin: Pair, size: Pair, padding: Any) -> None:
    if origin != (0, 0) and not (isinstance(padding, str) and padding == "same"):
        raise ValueError(f"origin must be 0 unless padding is 'same', got {origin!r} with padding={padding!r}")
    for k, o in zip(size, origin, strict=True):
        if not -(k // 2) <= o <= (k - 1) // 2:
            raise ValueError(f"origin must lie between {-(k // 2)} and {(k - 1) // 2} for {k} taps, got {o}")


def check_taps(sizes: Pair, given: Any, name: str) -> None:
    """Raise for a window of more taps than C++ can number."""
    if sizes[0] * sizes[1] > LARGEST:
        raise ValueError(f"{name} must be a window of at most {LARGEST} pixels, got {given!r}")


def outputs_along(
    axis: int, pixels: int, pads: Pair, size: int, stride: int, dilation: int, name: str, spare: int = 0
) -> int:
    """Return the number of outputs along a window axis; `spare` pixels may be missing behind the last."""
    reach = dilation * (size - 1) + 1
    if reach > LARGEST:
        raise ValueError(f"{name} and dilation must keep the window within {LARGEST} pixels, got {size} and {dilation}")
    if pixels > LARGEST_EXTENT:
        raise ValueError(f"image must have at most {LARGEST_EXTENT} pixels along window axis {axis}, got {pixels}")
    count = _core.output_extent(pixels, pads[0], pads[1] + spare, reach, stride)
    if count < 0 and pixels > 0:
        raise ValueError(
            f"{name} must not exceed the padded image: {reach} pixels against {pixels + sum(pads)} "
            f"along window axis {axis}"
        )
    return max(count, 0)


@remembered
def _plan(
    rows: int,
    columns: int,
    size: Any,
    stride: Any,
    dilation: Any,
    padding: Any,
    mode: Any,
    origin: Any,
    name: str,
) -> tuple[_core.Window, Pair]:
    sizes = pair(size, name, 1)
    strides = pair(stride, "stride", 1)
    dilations = pair(dilation, "dilation", 1)
    origins = pair(origin, "origin")
    modes = mode_pair(mode)
    check_origin(origins, sizes, padding)
    check_taps(sizes, size, name)
    padded = pads(padding, sizes, dilations, origins)
    outputs = []
    for axis, pixels in enumerate((rows, columns)):
        count = outputs_along(axis, pixels, padded[axis], sizes[axis], strides[axis], dilations[axis], name)
        if count > 0 and pixels == 0 and modes[axis] != "constant":
            raise ValueError(f"padding must be 0 or mode 'constant' for an empty image, got {padding!r} and {mode!r}")
        outputs.append(count)
    window = _core.Window(sizes, strides, dilations, (padded[0][0], padded[1][0]), modes)
    return window, (outputs[0], outputs[1])


def window_plan(
    shape: tuple[int, ...],
    size: Any,
    *,
    stride: Any,
    dilation: Any = 1,
    padding: Any,
    mode: Any = "constant",
    origin: Any = 0,
    name: str = "size",
) -> tuple[_core.Window, Pair]:
    """Return the geometry of a window on the last two axes of an image of `shape` and the extents of the result.

    `name` is what errors call `size`.
    """
    return _plan(*shape[-2:], size, stride, dilation, padding, mode, origin, name)


def footprint_mask(size: Any, footprint: Any) -> NDArray[np.bool_] | None:
    """Return a copy of the truth values of a footprint, or None if `size` is given in its place."""
    if (size is None) == (footprint is None):
        raise ValueError(
            f"exactly one of size and footprint must be given, got size={size!r} and footprint={footprint!r}"
        )
    if footprint is None:
        return None
    mask = as_array(footprint, "footprint")
    if mask.ndim != 2 or np.count_nonzero(mask) == 0:
        raise ValueError(f"footprint must be a two-dimensional array with a true element, got {footprint!r}")
    return mask.astype(bool)


_FEW_BYTES = 4096  # soon compared, and few for all the results that are remembered


def array_key(array: Array) -> Group:
    """Return what tells a small array from others, by which plans are remembered; of a large one, the array itself."""
    values = array.tobytes() if array.nbytes <= _FEW_BYTES else array
    return values, array.dtype, *array.shape


def array_of(values: bytes | Array, dtype: Dtype, *shape: int) -> Array:
    """Return the array that `array_key` was given."""
    return np.frombuffer(values, dtype).reshape(shape) if isinstance(values, bytes) else values


_zero_fills: dict[str, Array] = {}


def fill_element(cval: Any, dtype: Dtype) -> Array:
    """Return `cval` as an array of one element of `dtype`, in native byte order."""
    if type(cval) is float and cval == 0.0 and math.copysign(1.0, cval) > 0:
        character = dtype.char
        if character not in _zero_fills:
            _zero_fills[character] = np.zeros((1, 1), character)
        return _zero_fills[character]
    value = np.asarray(cval) if np.isscalar(cval) or isinstance(cval, np.ndarray) else np.empty(0)
    if value.ndim != 0 or value.dtype.kind not in "biuf" + ("O" if isinstance(cval, int) else ""):
        raise TypeError(f"cval must be a real number, got {cval!r}")
    with np.errstate(all="ignore"):
        element = _exact_element(cval, value, dtype)
    if element is None:
        raise ValueError(f"cval must be a value that {dtype} can hold, got {cval!r}")
    return element


def _exact_element(cval: Any, value: Array, dtype: Dtype) -> Array | None:
    """Return the element, rounded if `dtype` is a float; None if `dtype` has no such value."""
    native = dtype.newbyteorder("=")
    if native.kind == "f":
        try:
            exact = np.full((1, 1), float(cval))
        except OverflowError:
            return None
        element = np.empty((1, 1), native)
        _core.convert(exact, element, 1)
        return element if np.isfinite(element[0, 0]) or not math.isfinite(cval) else None
    if value.dtype.kind == "f" and not float(cval).is_integer():
        return None
    whole = int(cval)
    lowest, highest = (0, 1) if native.kind == "b" else (int(np.iinfo(native).min), int(np.iinfo(native).max))
    return np.full((1, 1), whole, native) if lowest <= whole <= highest else None


# The result


class Ending(NamedTuple):
    """What becomes of sums before they are stored. Only functions that stand in for other libraries' choose it."""

    delta: float = 0  # added to sums; to those of means of integers a whole number, at most that of the pixels
    toward_zero: bool = False  # integers are cut off, not rounded half to even
    factor: Array | None = None  # what sums of integers in boxes are multiplied by: one float32 or float64, in that
    by_axis: bool = False  # means of boxes are cut off down the columns before they are taken along the rows


class Result(NamedTuple):
    """What a caller says about the result."""

    out: Any
    dtype: DTypeLike | None
    casting: Casting
    workers: int | None
    ending: Ending = Ending()


def result_dtype(dtype: DTypeLike, allowed: str, name: str) -> Dtype:
    """Return the argument `dtype` as a dtype, or raise if the function has no results of it."""
    try:
        wanted = np.dtype(dtype)
    except TypeError as error:
        raise TypeError(f"dtype must be a dtype, got {dtype!r}: {error}") from None
    if wanted.char not in allowed and np.dtype(wanted.str).char not in allowed:
        names = ", ".join(str(np.dtype(character)) for character in allowed)
        raise TypeError(f"dtype must be one that {name} has a loop for ({names}), got {wanted}")
    return np.dtype(wanted.str).newbyteorder("=")  # one for both 64-bit integers of C


def check_casting(casting: Any) -> None:
    """Raise unless `casting` is one of NumPy's rules; it is checked whether or not there is an `out` to cast to."""
    if not isinstance(casting, str):
        raise TypeError(f"casting must be a str, got {casting!r}")
    if casting not in ("no", "equiv", "safe", "same_kind", "unsafe"):
        raise ValueError(f"casting must be 'no', 'equiv', 'safe', 'same_kind' or 'unsafe', got {casting!r}")


def single_out(out: Any) -> Any:
    """Return `out` of a function of one result, which like a ufunc's may be a tuple of one."""
    if not isinstance(out, tuple):
        return out
    if len(out) != 1:
        raise ValueError(f"out must be an array or a tuple of one, got {len(out)} of them")
    return out[0]


def check_out(out: Any, shape: tuple[int, ...], dtype: Dtype, casting: Casting, name: str) -> Array:
    """Return `out` if a result of `shape` and `dtype` can go there."""
    if type(out) is not np.ndarray:
        _refuse_foreign(out, name)
    if not isinstance(out, np.ndarray):
        raise TypeError(f"{name} must be a numpy.ndarray, got {type(out).__name__}")
    if out.shape != shape:
        raise ValueError(f"{name} must have the shape of the result, {shape}, got {out.shape}")
    if dtype != out.dtype:
        if not np.can_cast(dtype, out.dtype, casting):
            raise TypeError(f"{name} must allow casting={casting!r} from {dtype}, got dtype {out.dtype}")
        if out.dtype.char not in _SUPPORTED:
            raise TypeError(f"{name} must hold bool, integers or floats of at most 64 bits, got dtype {out.dtype}")
    flags = out.flags
    if not flags.writeable:
        raise ValueError(f"{name} must be writeable, got a read-only array")
    if not flags.c_contiguous and _overlaps_itself(out):
        raise ValueError(f"{name} must not overlap itself, got strides {out.strides} for shape {out.shape}")
    return np.asarray(out)


def _overlaps_itself(array: Array) -> bool:
    """Whether two elements share a byte of memory."""
    steps = sorted(
        (abs(stride), extent) for stride, extent in zip(array.strides, array.shape, strict=True) if extent > 1
    )
    if array.size == 0:
        return False
    covered = array.itemsize
    for stride, extent in steps:
        if stride < covered:
            break
        covered += stride * (extent - 1)
    else:
        return False
    if array.size > 2**20 or any(stride == 0 for stride, _ in steps):
        return True  # as good as sure, and too many elements to look at each
    offsets = np.zeros((), np.int64)
    for stride, extent in steps:
        offsets = np.add.outer(offsets, stride * np.arange(extent))
    return bool((np.diff(np.sort(offsets, axis=None)) < array.itemsize).any())


def shares_memory(target: Array, inputs: Sequence[Array]) -> bool:
    """Whether `target` overlaps one of the inputs, or may do so."""
    for array in inputs:  # noqa: SIM110  # `any` takes as long as the checks
        if _overlap(target, array):
            return True
    return False


def _overlap(one: Array, other: Array) -> bool:
    # Arrays that own their memory share none: soon answered, for small images.
    if (one is not other and one.flags.owndata and other.flags.owndata) or not np.may_share_memory(one, other):
        return False
    try:
        return np.shares_memory(one, other, max_work=10_000)  # type: ignore[arg-type]  # the stub knows -1 and 0
    except np.exceptions.TooHardError:
        return True


class Delivery:
    """The way of a result from a kernel to the user: computed into `work`, handed over by `finish`.

    Parameters
    ----------
    shape : tuple of int
        The shape of the result.
    computed, result : dtype
        What the kernel writes by itself, and the dtype of the result. They differ where the user asks for a dtype.
    out : ndarray or None
        Where the user wants the result.
    casting : str
        The casts allowed from `result` to `out`.
    inputs : sequence of ndarray
        What `out` may overlap.
    workers : int
        The number of threads of a conversion.
    rounds : bool
        Whether the kernel writes every dtype, rounding and saturating; else it writes `computed` alone.
    native : bool
        Whether the kernel needs an array in native byte order.
    name : str
        What errors call `out`.
    """

    __slots__ = ("_out", "_result", "_target", "_workers", "work")

    def __init__(
        self,
        shape: tuple[int, ...],
        computed: Dtype,
        result: Dtype,
        out: Array | None,
        casting: Casting,
        inputs: Sequence[Array],
        workers: int,
        rounds: bool = False,
        native: bool = False,
        name: str = "out",
    ) -> None:
        check_casting(casting)
        self._out = out
        self._result = result
        self._workers = workers
        straight = rounds or result == computed
        if out is None:
            target = _new_array(shape, result)
        else:
            target = check_out(out, shape, result, casting, name)
            same = target.dtype == result or (not native and target.dtype.newbyteorder("=") == result)
            straight = straight and same and not shares_memory(target, inputs)
        self._target = target
        self.work = target if straight else np.empty(shape, result if rounds else computed)

    def finish(self) -> Array:
        """Return the result, brought to `out` if it is not there yet."""
        if self.work is not self._target:
            step = self.work
            if self._result not in (step.dtype, self._target.dtype):
                step = converted(step, self._result, self._workers)
            _convert(step, self._target, self._workers)
        return self._target if self._out is None else self._out


def _new_array(shape: tuple[int, ...], dtype: Dtype) -> Array:
    try:
        return np.empty(shape, dtype)
    except ValueError:
        raise ValueError(f"padding and size must leave a result that an array can hold, got shape {shape}") from None


def deliver(
    compute: Callable[[Array], None],
    shape: tuple[int, ...],
    computed: Dtype,
    result: Dtype,
    out: Array | None,
    casting: Casting,
    inputs: Sequence[Array],
    workers: int,
    rounds: bool = False,
    native: bool = False,
) -> Array:
    """Return the result of `compute`, which writes it into the array that it is given; the rest as in `Delivery`."""
    check_casting(casting)
    work, delivery = destination(shape, computed, result, out, casting, inputs, workers, rounds, native)
    if work.size > 0:
        compute(work)
    return work if delivery is None else delivery.finish()


def destination(
    shape: tuple[int, ...],
    computed: Dtype,
    result: Dtype,
    out: Array | None,
    casting: Casting,
    inputs: Sequence[Array],
    workers: int,
    rounds: bool = False,
    native: bool = False,
) -> tuple[Array, Delivery | None]:
    """Return the array to compute a result into, and how it gets to the user from there; None if it is the one to have.

    The parameters are those of `Delivery`; `casting` is a rule that there is.
    """
    if rounds or result == computed:  # mostly, and soon found out, for small images
        if out is None:
            return _new_array(shape, result), None
        if type(out) is np.ndarray and out.dtype == result:
            check_out(out, shape, result, casting, "out")
            if not shares_memory(out, inputs):
                return out, None
    delivery = Delivery(shape, computed, result, out, casting, inputs, workers, rounds, native)
    return delivery.work, delivery


def _convert(source: Array, target: Array, workers: int) -> None:
    """Copy `source` into `target`: rounded half to even and saturated, NaN to 0 in integers."""
    if source.dtype == target.dtype or target.dtype.kind == "b":
        np.copyto(target, source, casting="unsafe")
    elif source.size > 0:
        if source.flags.c_contiguous and target.flags.c_contiguous:  # long rows, whatever the last axis is
            source, target = (array.reshape(array.shape[0], -1) for array in (source, target))
        _core.convert(source, target, workers)


def converted(source: Array, dtype: Dtype, workers: int = 1) -> Array:
    """Return `source`, an array of two or more dimensions, as an array of `dtype` by the package's rule."""
    if source.dtype == dtype:
        return source
    target = np.empty(source.shape, dtype)
    _convert(source, target, workers)
    return target
