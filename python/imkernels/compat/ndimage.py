"""The filters of `scipy.ndimage`, by their names and rules, on this package's kernels.

``from imkernels.compat import ndimage`` takes the place of ``from scipy import ndimage``: signatures, defaults, dtypes
of results, truncation and wrapping of integers and classes of exceptions are SciPy's. What the kernels do not compute,
and every other name of `scipy.ndimage`, goes to SciPy if that is installed; `served` tells which. Where SciPy loses
bits or spreads NaNs, results are the right ones: docs/compat.md lists each such case.

Every function below is a plan: it checks its arguments and returns what computes the result, or None for SciPy's part.
"""

import functools
import importlib
import inspect
import math
import numbers
import operator
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, ParamSpec, TypeAlias, TypeVar

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

import imkernels as ik
from imkernels._arguments import Array, Pair
from imkernels._dtypes import Dtype

__all__ = [
    "convolve",
    "convolve1d",
    "correlate",
    "correlate1d",
    "gaussian_filter",
    "gaussian_filter1d",
    "maximum_filter",
    "maximum_filter1d",
    "median_filter",
    "minimum_filter",
    "minimum_filter1d",
    "percentile_filter",
    "rank_filter",
    "served",
    "uniform_filter",
    "uniform_filter1d",
]

P = ParamSpec("P")
T = TypeVar("T")
Job: TypeAlias = Callable[[], Array]
Stage: TypeAlias = Callable[[Array, Array | None], Array]  # may write to the second array, which it then returns

_DTYPES = frozenset("?bBhHiIlLqQfd")  # SciPy has no float16
_MODES = ("reflect", "grid-mirror", "mirror", "nearest", "wrap", "grid-wrap", "constant", "grid-constant")
_PAD_MODES: dict[str, Any] = {  # of `numpy.pad`
    "reflect": "symmetric",
    "grid-mirror": "symmetric",
    "mirror": "reflect",
    "nearest": "edge",
    "wrap": "wrap",
    "grid-wrap": "wrap",
}
_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
_LARGEST_FLOAT32 = float(np.finfo(_FLOAT32).max)
_INT32, _INT64, _UINT64 = np.dtype(np.int32), np.dtype(np.int64), np.dtype(np.uint64)
_SINGLE_INPUTS = frozenset("?bBhHf")  # whose values float32 holds

_plans: dict[str, Callable[..., Job | None]] = {}


# What is served, and what goes to SciPy


def _stand_in(plan: Callable[P, Job | None]) -> Callable[P, Array]:
    """Make the public function of a plan: the plan's job is run, and without one SciPy's function."""
    name = plan.__name__
    _plans[name] = plan

    @functools.wraps(plan)
    def function(*args: P.args, **kwargs: P.kwargs) -> Array:
        job = plan(*args, **kwargs)
        return _scipy(name)(*args, **kwargs) if job is None else job()

    function.__signature__ = inspect.signature(plan).replace(return_annotation=Array)  # type: ignore[attr-defined]
    return function


@functools.cache  # so that this module's functions can be put in place of SciPy's
def _scipy(name: str) -> Any:
    try:
        scipy_ndimage = importlib.import_module("scipy.ndimage")
    except ImportError:
        raise ImportError(
            f"{name}: what imkernels does not compute itself is left to SciPy, which is not installed; "
            "pip install 'imkernels[scipy]'"
        ) from None
    return getattr(scipy_ndimage, name)


def __getattr__(name: str) -> Any:
    """Return what this module has not from `scipy.ndimage`."""
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _scipy(name)


def served(name: str, *args: Any, **kwargs: Any) -> bool:
    """Return whether a call is computed by this package's kernels; otherwise SciPy computes it.

    Parameters
    ----------
    name : str
        The name of a function of `scipy.ndimage`.
    *args, **kwargs
        What it would be called with. Nothing is computed.

    Returns
    -------
    bool

    Raises
    ------
    Exception
        What the call would raise on account of its arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.served("median_filter", np.zeros((4, 9, 9)), size=(1, 3, 3))
    True
    >>> ndimage.served("median_filter", np.zeros((4, 9, 9)), size=3)
    False
    """
    plan = _plans.get(name)
    if plan is None:
        __getattr__(name)  # raises for what SciPy has not either
    return plan is not None and plan(*args, **kwargs) is not None


# Arguments that all functions take


class Common(NamedTuple):
    """The arguments that all functions take."""

    input: Any
    output: Any
    mode: Any
    cval: Any
    origin: Any


class Target(NamedTuple):
    """Where the result goes."""

    shape: tuple[int, ...]
    dtype: Dtype  # in native byte order
    array: Array | None  # None: what the kernels return
    same: bool  # whether the dtype is the image's


def _is_served(dtype: Dtype) -> bool:
    return dtype.char in _DTYPES


def _native(dtype: Dtype) -> Dtype:
    return dtype if dtype.isnative else dtype.newbyteorder("=")


def _array(value: Any) -> Array:
    return value if type(value) is np.ndarray else np.asarray(value)


def _real_image(value: Any) -> Array:
    image = _array(value)
    if image.dtype.kind == "c":
        raise TypeError(f"input must be real, got dtype {image.dtype}: Complex type not supported")
    return image


def _target(output: Any, image: Array) -> Target | None:
    """Return where `output` says that the result goes, or None if the kernels cannot write there."""
    native = _native(image.dtype)
    array = None
    if output is None:
        return Target(image.shape, native, None, True)
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
    if not _is_served(dtype):
        return None
    return Target(image.shape, _native(dtype), array, _native(dtype) == native)


def _axes(axes: Any, ndim: int) -> tuple[int, ...]:
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


def _sequence(value: Any, count: int, name: str) -> list[Any]:
    """Return one value per axis."""
    if isinstance(value, str) or not np.iterable(value):
        return [value] * count
    values = list(value)
    if len(values) != count:
        raise RuntimeError(
            f"{name}: sequence argument must have length equal to input rank (or to that of axes), {count}, "
            f"got {value!r}"
        )
    return values


def _one_mode(mode: Any, what: str) -> None:
    if not isinstance(mode, str) and isinstance(mode, Iterable):
        raise RuntimeError(f"mode: A sequence of modes is not supported for {what}, got {mode!r}")
    _check_mode(mode)


def _check_mode(mode: Any) -> None:
    if not isinstance(mode, str) or mode not in _MODES:
        raise RuntimeError(f"boundary mode not supported: mode must be one of {', '.join(_MODES)}, got {mode!r}")


# Windows


class Line(NamedTuple):
    """A window along one axis."""

    axis: int
    size: int
    origin: int
    mode: str


class Step(NamedTuple):
    """The window of one call of a kernel: along two axes, of which one may be of size 1.

    `size`, `origin` and `mode` are single values where both axes have the same, which the kernels' functions take
    faster than pairs.
    """

    axes: Pair | None
    size: int | Pair
    origin: int | Pair
    mode: str | tuple[str, str]
    extents: Pair
    constant: bool


def _line(axis: int, size: int, origin: Any, mode: Any) -> Line:
    if not 0 <= size // 2 + origin < size:
        raise ValueError(
            f"invalid origin: origin must lie between {-(size // 2)} and {(size - 1) // 2} for size {size}, "
            f"got {origin!r}"
        )
    return Line(axis, size, operator.index(origin), mode)


def _step(ndim: int, lines: Sequence[Line]) -> Step:
    """Return the step that one or two lines, or none, make on an image of `ndim` axes, as `_planes` shows it."""
    for line in lines:
        _check_mode(line.mode)
    lines = [line._replace(axis=line.axis + max(2 - ndim, 0)) for line in lines]
    ndim = max(ndim, 2)
    for axis in (ndim - 1, ndim - 2):
        if len(lines) < 2 and axis not in [line.axis for line in lines]:
            lines.append(Line(axis, 1, 0, lines[0].mode if lines else "reflect"))
    first, second = sorted(lines)
    extents = first.size, second.size
    return Step(
        None if first.axis == ndim - 2 else (first.axis, second.axis),
        first.size if first.size == second.size else extents,
        first.origin if first.origin == second.origin else (first.origin, second.origin),
        first.mode if first.mode == second.mode else (first.mode, second.mode),
        extents,
        any(line.mode.endswith("constant") for line in lines),
    )


def _planes(image: Array) -> Array:
    """Return an image of at least two axes."""
    return image if image.ndim >= 2 else image.reshape((1,) * (2 - image.ndim) + image.shape)


def _steps(ndim: int, lines: Sequence[Line], together: int) -> tuple[Step, ...]:
    return tuple(_step(ndim, lines[first : first + together]) for first in range(0, len(lines), together))


def _remembered(geometry: Callable[..., T]) -> Callable[..., T]:
    """Remember what a function of a number of axes, sizes, an origin, a mode and axes gave for plain arguments."""
    cached = functools.lru_cache(maxsize=1024)(geometry)

    @functools.wraps(geometry)
    def found(ndim: int, size: Any, origin: Any, mode: Any, axes: Any, *rest: Any) -> T:
        # Exact types only: 3, 3.0 and True are the same key.
        simple = type(size) is int or (type(size) is tuple and all(type(number) is int for number in size))
        plain = simple and type(origin) is int and type(mode) is str and axes is None
        return (cached if plain else geometry)(ndim, size, origin, mode, axes, *rest)

    return found


@_remembered
def _separable_steps(ndim: int, size: Any, origin: Any, mode: Any, axes: Any, together: int) -> tuple[Step, ...]:
    """Return the steps of a filter of one size per axis; those of size 1 or less stay as they are."""
    places = _axes(axes, ndim)
    count = len(places)
    settings = zip(
        places,
        _sequence(size, count, "size"),
        _sequence(origin, count, "origin"),
        _sequence(mode, count, "mode"),
        strict=True,
    )
    lines = [_line(axis, int(size), origin, mode) for axis, size, origin, mode in settings if size > 1]
    return _steps(ndim, lines, together)


def _check_extents(shape: Sequence[int], count: int, name: str) -> None:
    if len(shape) != count or 0 in shape:
        raise RuntimeError(f"{name}.ndim ({len(shape)}) must match len(axes) ({count}), no extent be 0, got {shape}")


class Extent(NamedTuple):
    """The size of a window along one axis, as it was given."""

    axis: int
    size: int
    origin: Any


def _footprint_extents(
    places: Sequence[int], ndim: int, shape: Sequence[int], origin: Any, name: str = "footprint"
) -> list[Extent]:
    """Return the extents of a footprint or of weights, in the order of the image's axes.

    That is the order of a footprint's axes whatever the order of `axes`, and of origins if all axes are filtered.
    """
    count = len(places)
    _check_extents(shape, count, name)
    origins = _sequence(origin, count, "origin")
    if count < ndim:
        origins = [value for _, value in sorted(zip(places, origins, strict=True), key=operator.itemgetter(0))]
    return [Extent(*extent) for extent in zip(sorted(places), shape, origins, strict=True)]


@_remembered
def _line_step(ndim: int, size: Any, origin: Any, mode: Any, axes: None, axis: int) -> Step:
    """Return the step of a filter along one axis; `axes` are those of the functions of many, None."""
    place = normalize_axis_index(axis, ndim)
    if size < 1:
        raise RuntimeError(f"incorrect filter size: size must be at least 1, got {size!r}")
    return _step(ndim, [_line(place, operator.index(size), origin, mode)])


def _fill(cval: Any, steps: Sequence[Step], dtype: Dtype) -> Any:
    """Return the value outside the image, or None if its dtype has no such value."""
    if type(cval) is float and cval == 0.0:
        return cval
    if isinstance(cval, str):
        raise TypeError(f"cval must be real number, not str, got {cval!r}")
    value = int(cval) if isinstance(cval, (int, np.integer)) else float(cval)
    if not any(step.constant for step in steps):
        return 0.0
    if dtype.kind == "f":
        overflows = dtype.itemsize == 4 and _LARGEST_FLOAT32 < abs(value) < math.inf
        return None if overflows else value
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return int(value) if low <= value <= high and value == int(value) else None


# Results


def _goal(target: Target) -> Array | None:
    """Return what a kernel may write to by itself, as `_planes` shows it."""
    return _planes(target.array) if target.array is not None and target.same else None


def _finish(result: Array, target: Target) -> Array:
    """Return the result in the shape, the dtype and the place that the caller wants."""
    if target.array is None:
        result = _cast(result, target.dtype)
        return result if result.ndim == len(target.shape) else result.reshape(target.shape)
    if not np.may_share_memory(result, target.array):
        target.array[...] = _cast(result, target.dtype).reshape(target.shape)
    return target.array


def _cast(values: Array, dtype: Dtype) -> Array:
    """Return values by C's casts: floats are cut off after the point, integers wrap around."""
    if values.dtype is dtype or values.dtype == dtype:
        return values
    with np.errstate(invalid="ignore", over="ignore"):
        if values.dtype.kind == "f" and dtype.kind in "biu" and dtype not in (_INT64, _UINT64):
            values = values.astype(_INT64)  # what C leaves open for narrower ones is so the same on all machines
        if dtype.kind == "b":
            values = values.astype(np.uint8)  # SciPy's truth values are bytes
        return values.astype(dtype)


def _job(image: Array, target: Target, stages: Sequence[Stage]) -> Job:
    """Return the job of filtering in stages, one after the other."""
    if not stages or image.size == 0:
        return lambda: _finish(image.copy(), target)

    def job() -> Array:
        result = _planes(image)
        for stage in stages[:-1]:
            result = stage(result, None)
        return _finish(stages[-1](result, _goal(target)), target)

    return job


# Order filters


@_remembered
def _box_steps(ndim: int, size: Any, origin: Any, mode: Any, axes: Any, together: int) -> tuple[int, tuple[Step, ...]]:
    """Return the number of pixels of a box, and the steps that it is made of."""
    places = _axes(axes, ndim)
    shape = [_extent(number) for number in _sequence(size, len(places), "size")]
    modes = dict(zip(places, _sequence(mode, len(places), "mode"), strict=True))
    lines = [_line(*extent, modes[extent.axis]) for extent in _footprint_extents(places, ndim, shape, origin)]
    return math.prod(shape), _steps(ndim, [line for line in lines if line.size > 1], together)


def _extent(number: Any) -> int:
    if isinstance(number, (bool, np.bool_)):
        raise TypeError(f"size must be an integer or one per axis, got {number!r}")
    extent = operator.index(number)
    if extent < 0:
        raise ValueError(f"size must be positive, negative dimensions are not allowed, got {extent}")
    return extent


@_remembered
def _footprint_step(ndim: int, shape: Any, origin: Any, mode: Any, axes: Any) -> tuple[Step, ...] | None:
    """Return the step of a footprint that is not a box, or None if it reaches along more than two axes."""
    lines = [_line(*extent, mode) for extent in _footprint_extents(_axes(axes, ndim), ndim, shape, origin)]
    _one_mode(mode, "footprints that are no boxes")
    active = [line for line in lines if line.size > 1]
    return (_step(ndim, active),) if len(active) <= 2 else None


def _order_job(
    native: Callable[..., Array], image: Array, target: Target, steps: tuple[Step, ...], mask: Array | None, cval: Any
) -> Job | None:
    """Return the job of an order filter of this package, one step after the other."""
    fill = _fill(cval, steps, image.dtype)
    if fill is None or (len(steps) > 1 and _fill(cval, steps, target.dtype) is None):
        return None

    def filtered(step: Step, pixels: Array, out: Array | None) -> Array:
        size, footprint = (step.size, None) if mask is None else (None, mask.reshape(step.extents))
        result = native(
            pixels,
            size,
            footprint=footprint,
            axes=step.axes,
            mode=step.mode,
            cval=fill,
            origin=step.origin,
            out=out,
        )
        return _cast(result, target.dtype)

    return _job(image, target, [functools.partial(filtered, step) for step in steps])


def _extremum_plan(native: Callable[..., Array], common: Common, size: Any, footprint: Any, axes: Any) -> Job | None:
    """Plan a filter of minima or maxima: along one axis after the other where the window is a box."""
    _warn_of_both(size, footprint)
    mask = None
    if footprint is not None:
        mask = np.asarray(footprint, dtype=bool)
        count = np.count_nonzero(mask)
        if count == 0:
            raise ValueError("footprint must have a true element: All-zero footprint is not supported.")
        size, mask = (mask.shape, None) if count == mask.size else (mask.shape, mask)
    elif size is None:
        raise RuntimeError("no footprint provided: size or footprint must be given")
    image = _real_image(common.input)
    target = _target(common.output, image)
    if target is None or not _is_served(image.dtype):
        return None
    steps: tuple[Step, ...] | None
    if mask is None:
        steps = _separable_steps(image.ndim, size, common.origin, common.mode, axes, 2 if target.same else 1)
    else:
        steps = _footprint_step(image.ndim, size, common.origin, common.mode, axes)
    return None if steps is None else _order_job(native, image, target, steps, mask, common.cval)


def _rank_plan(rank_of: Callable[[int], int], common: Common, size: Any, footprint: Any, axes: Any) -> Job | None:
    """Plan a rank filter; `rank_of` gives the rank for a number of pixels."""
    _warn_of_both(size, footprint)
    image = _real_image(common.input)
    target = _target(common.output, image)
    if target is None or not _is_served(image.dtype):
        return None
    mask = None
    steps: tuple[Step, ...] | None
    if footprint is not None:
        mask = np.asarray(footprint, dtype=bool)
        _check_extents(mask.shape, len(_axes(axes, image.ndim)), "footprint")
        count, size = int(np.count_nonzero(mask)), mask.shape
        mask = None if count == mask.size else mask
    elif size is None:
        raise RuntimeError("no footprint or filter size provided: one of them must be given")
    window = image.ndim, size, common.origin, common.mode, axes
    if mask is None:
        count, steps = _box_steps(*window, 2)
    else:
        steps = _footprint_step(*window)
    rank = _checked_rank(rank_of(count), count)
    if rank in (0, count - 1):
        extremum = ik.minimum_filter if rank == 0 else ik.maximum_filter
        if mask is None and not target.same:
            _, steps = _box_steps(*window, 1)
        return None if steps is None else _order_job(extremum, image, target, steps, mask, common.cval)
    _one_mode(common.mode, "ranks between the lowest and the highest")
    if steps is None or len(steps) > 1:
        return None
    native = ik.median_filter if rank == count // 2 else functools.partial(_ranked, rank)
    return _order_job(native, image, target, steps, mask, common.cval)


def _ranked(rank: int, image: Array, size: Any, **arguments: Any) -> Array:
    return ik.rank_filter(image, rank, size, **arguments)


def _checked_rank(rank: int, count: int) -> int:
    if not -count <= rank < count:
        raise RuntimeError(f"rank not within filter footprint size: it must lie within {count} pixels, got {rank}")
    return rank % count


def _percentile_rank(percentile: Any, count: int) -> int:
    share = percentile + 100.0 if percentile < 0.0 else percentile
    if share < 0 or share > 100:
        raise RuntimeError(f"invalid percentile: it must lie between -100 and 100, got {percentile!r}")
    return count - 1 if share == 100.0 else int(float(count) * share / 100.0)


def _warn_of_both(size: Any, footprint: Any) -> None:
    if size is not None and footprint is not None:
        warnings.warn("ignoring size because footprint is set", UserWarning, stacklevel=5)


@_stand_in
def median_filter(
    input: Any,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Job | None:
    """Stand in for `scipy.ndimage.median_filter`, by `imkernels.median_filter`.

    Served for windows that reach along at most two axes. 64-bit integers are exact, a NaN makes the windows NaN that it
    lies in, and -0.0 comes before 0.0.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.median_filter(np.array([3, 1, 2, 9, 2]), size=3)
    array([3, 2, 2, 2, 2])
    """
    return _rank_plan(_middle, Common(input, output, mode, cval, origin), size, footprint, axes)


def _middle(count: int) -> int:
    return count // 2


@_stand_in
def rank_filter(
    input: Any,
    rank: Any,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Job | None:
    """Stand in for `scipy.ndimage.rank_filter`, by `imkernels.rank_filter`.

    Served for windows that reach along at most two axes, and for the lowest and the highest rank of boxes along any
    number. 64-bit integers, NaNs and zeros as in `median_filter`.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.rank_filter(np.array([3, 1, 2, 9, 2]), -2, size=3)
    array([3, 2, 2, 2, 2])
    """
    number = operator.index(rank)
    return _rank_plan(lambda count: number, Common(input, output, mode, cval, origin), size, footprint, axes)


@_stand_in
def percentile_filter(
    input: Any,
    percentile: Any,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Job | None:
    """Stand in for `scipy.ndimage.percentile_filter`, by `imkernels.rank_filter`.

    Served as `rank_filter` is.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.percentile_filter(np.array([3, 1, 2, 9, 2]), 20, size=3)
    array([1, 1, 1, 2, 2])
    """
    rank_of = functools.partial(_percentile_rank, percentile)
    return _rank_plan(rank_of, Common(input, output, mode, cval, origin), size, footprint, axes)


@_stand_in
def minimum_filter(
    input: Any,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Job | None:
    """Stand in for `scipy.ndimage.minimum_filter`, by `imkernels.minimum_filter`.

    Served for boxes along any number of axes, and for other footprints along at most two. 64-bit integers, NaNs and
    zeros as in `median_filter`.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.minimum_filter(np.array([3, 1, 2, 9, 2]), size=3)
    array([1, 1, 1, 2, 2])
    """
    return _extremum_plan(ik.minimum_filter, Common(input, output, mode, cval, origin), size, footprint, axes)


@_stand_in
def maximum_filter(
    input: Any,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Job | None:
    """Stand in for `scipy.ndimage.maximum_filter`, by `imkernels.maximum_filter`.

    Served as `minimum_filter` is.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.maximum_filter(np.array([3, 1, 2, 9, 2]), size=3)
    array([3, 3, 9, 9, 9])
    """
    return _extremum_plan(ik.maximum_filter, Common(input, output, mode, cval, origin), size, footprint, axes)


@_stand_in
def minimum_filter1d(
    input: Any, size: Any, axis: Any = -1, output: Any = None, mode: Any = "reflect", cval: Any = 0.0, origin: Any = 0
) -> Job | None:
    """Stand in for `scipy.ndimage.minimum_filter1d`, by `imkernels.minimum_filter`.

    64-bit integers, NaNs and zeros as in `median_filter`.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.minimum_filter1d(np.array([3, 1, 2, 9, 2]), 3)
    array([1, 1, 1, 2, 2])
    """
    return _line_extremum_plan(ik.minimum_filter, Common(input, output, mode, cval, origin), size, axis)


@_stand_in
def maximum_filter1d(
    input: Any, size: Any, axis: Any = -1, output: Any = None, mode: Any = "reflect", cval: Any = 0.0, origin: Any = 0
) -> Job | None:
    """Stand in for `scipy.ndimage.maximum_filter1d`, by `imkernels.maximum_filter`.

    64-bit integers, NaNs and zeros as in `median_filter`.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.maximum_filter1d(np.array([3, 1, 2, 9, 2]), 3)
    array([3, 3, 9, 9, 9])
    """
    return _line_extremum_plan(ik.maximum_filter, Common(input, output, mode, cval, origin), size, axis)


def _line_extremum_plan(native: Callable[..., Array], common: Common, size: Any, axis: Any) -> Job | None:
    image = _real_image(common.input)
    step = _line_step(image.ndim, size, common.origin, common.mode, None, operator.index(axis))
    target = _target(common.output, image)
    if target is None or not _is_served(image.dtype):
        return None
    return _order_job(native, image, target, (step,), None, common.cval)


# Means


def _mean_job(image: Array, target: Target, steps: tuple[Step, ...], cval: Any) -> Job | None:
    """Return the job of taking means, over one axis after the other where they are cut off to integers."""
    fill = _fill(cval, steps, image.dtype)
    if fill is None or (len(steps) > 1 and _fill(cval, steps, target.dtype) is None):
        return None
    whole = target.dtype.kind != "f"

    def filtered(step: Step, pixels: Array, out: Array | None) -> Array:
        pixels = pixels.view(np.uint8) if pixels.dtype.kind == "b" else pixels
        if whole and pixels.dtype.kind != "f":
            return _cast(_cut_off_means(pixels, step, fill), target.dtype)
        return _cast(_box_blur(pixels, step, fill, dtype=_FLOAT64 if whole else target.dtype, out=out), target.dtype)

    return _job(image, target, [functools.partial(filtered, step) for step in steps])


def _box_blur(pixels: Array, step: Step, fill: Any, **arguments: Any) -> Array:
    return ik.box_blur(pixels, step.size, axes=step.axes, mode=step.mode, cval=fill, origin=step.origin, **arguments)


def _cut_off_means(pixels: Array, step: Step, fill: Any) -> Array:
    """Return the means of integers along a line, cut off after the point."""
    size = max(step.extents)
    dtype = _native(pixels.dtype)
    largest = size * 2 ** (8 * dtype.itemsize)
    if largest >= 2**53:
        return _cut_off_long_means(pixels, step, fill)
    sums = _box_blur(pixels, step, fill, normalize=False, dtype=_holding(-largest, largest, dtype.kind))
    means = np.empty(sums.shape, dtype)
    if dtype.kind == "u":
        np.floor_divide(sums, sums.dtype.type(size), out=means, casting="unsafe")
        return means
    # A quotient is rounded up to a whole number only if the sum has more bits than the float.
    working = _FLOAT32 if largest < 2**24 else _FLOAT64
    return np.divide(sums, size, out=means, dtype=working, casting="unsafe")


def _cut_off_long_means(pixels: Array, step: Step, fill: Any) -> Array:
    """Do the same for sums that float64 does not hold: from the rounded means and the remainders they leave."""
    size = max(step.extents)
    means = _box_blur(pixels, step, fill)
    sums = _box_blur(pixels, step, fill, normalize=False)
    one = means.dtype.type(1)
    rest = (sums - means.astype(sums.dtype) * sums.dtype.type(size)).view(np.int64)
    means -= one * ((means > 0) & (rest < 0))
    means += one * ((means < 0) & (rest > 0))
    return means


@functools.cache
def _holding(low: int, high: int, kind: str) -> Dtype:
    """Return the smallest integer dtype of a kind, and of 16 bits or more, that holds the sums from `low` to `high`."""
    for bits in (16, 32):
        limits = np.iinfo(f"{kind}{bits // 8}")
        if high <= limits.max and (kind == "u" or limits.min <= low):
            return limits.dtype
    return np.dtype(f"{kind}8")


@_stand_in
def uniform_filter(
    input: Any,
    size: Any = 3,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Job | None:
    """Stand in for `scipy.ndimage.uniform_filter`, by `imkernels.box_blur`.

    Served along any number of axes. Means of integers are cut off after every axis, as there, but 64-bit ones are
    exact; floats do not drift along a line, and a NaN stays in its windows.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.uniform_filter(np.array([3, 1, 2, 9, 2]), size=3)
    array([2, 2, 4, 4, 4])
    """
    image = _array(input)
    target = _target(output, image)
    if target is None or not _is_served(image.dtype):
        return None
    together = 2 if target.dtype.kind == "f" else 1
    return _mean_job(image, target, _separable_steps(image.ndim, size, origin, mode, axes, together), cval)


@_stand_in
def uniform_filter1d(
    input: Any, size: Any, axis: Any = -1, output: Any = None, mode: Any = "reflect", cval: Any = 0.0, origin: Any = 0
) -> Job | None:
    """Stand in for `scipy.ndimage.uniform_filter1d`, by `imkernels.box_blur`; see `uniform_filter`.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.uniform_filter1d(np.array([3, 1, 2, 9, 2]), 3)
    array([2, 2, 4, 4, 4])
    """
    image = _array(input)
    step = _line_step(image.ndim, size, origin, mode, None, operator.index(axis))
    target = _target(output, image)
    if target is None or not _is_served(image.dtype):
        return None
    return _mean_job(image, target, (step,), cval)


# Correlations


class Weights(NamedTuple):
    """Weights, and how SciPy adds up with them."""

    values: Array  # float64, (K, L)
    line: bool  # by `correlate1d`, else by `correlate`


def _correlate_plan(common: Common, weights: Any, axes: Any, convolution: bool) -> Job | None:
    image, values = _array(common.input), _array(weights)
    if "c" in (image.dtype.kind, values.dtype.kind):
        return None
    values = np.asarray(values, dtype=_FLOAT64)
    step = _weights_step(image.ndim, values.shape, common.origin, common.mode, axes, convolution)
    target = _target(common.output, image)
    if target is None or not _is_served(image.dtype) or step is None:
        return None
    if convolution:
        values = values[(slice(None, None, -1),) * values.ndim]
    return _correlation_job(image, target, (step,), [Weights(values.reshape(step.extents), False)], common.cval)


@_remembered
def _weights_step(ndim: int, shape: Any, origin: Any, mode: Any, axes: Any, convolution: bool) -> Step | None:
    """Return the step of weights, or None if they reach along more than two axes."""
    extents = _footprint_extents(_axes(axes, ndim), ndim, shape, origin, "weights")
    if convolution:
        extents = [extent._replace(origin=_turned(extent.origin, extent.size)) for extent in extents]
    lines = [_line(*extent, mode) for extent in extents]
    _one_mode(mode, "weights")
    active = [line for line in lines if line.size > 1]
    return _step(ndim, active) if len(active) <= 2 else None


def _line_correlate_plan(common: Common, weights: Array, axis: Any) -> Job | None:
    image = _array(common.input)
    if "c" in (image.dtype.kind, weights.dtype.kind):
        return None
    target = _target(common.output, image)
    values = np.asarray(weights, dtype=_FLOAT64)
    if values.ndim != 1 or values.size < 1:
        raise RuntimeError(f"no filter weights given: weights must have one axis, not empty, got shape {values.shape}")
    step = _line_step(image.ndim, values.size, common.origin, common.mode, None, operator.index(axis))
    if target is None or not _is_served(image.dtype):
        return None
    return _correlation_job(image, target, (step,), [Weights(values.reshape(step.extents), True)], common.cval)


def _turned(origin: Any, size: int) -> Any:
    """Return the origin of a window that is turned round."""
    return -origin - (1 - size % 2)


def _correlation_job(image: Array, target: Target, steps: Sequence[Step], weights: Sequence[Weights], cval: Any) -> Job:
    """Return the job of correlating with one kernel after the other."""
    _fill(cval, (), image.dtype)

    def filtered(step: Step, weights: Weights, pixels: Array, out: Array | None) -> Array:
        return _correlated(pixels, step, weights, cval, target.dtype, out)

    return _job(image, target, [functools.partial(filtered, *stage) for stage in zip(steps, weights, strict=True)])


def _correlated(
    pixels: Array, step: Step, weights: Weights, cval: Any, dtype: Dtype, out: Array | None = None
) -> Array:
    """Return a correlation as an array of `dtype`; `out`, if it is given, has it and may be written to."""
    pixels, fill = _numbers(pixels, step, cval)
    kernel = _kernel(weights, _native(pixels.dtype), dtype)
    if kernel.values.dtype.kind == "i":
        return _cast(_whole_sums(pixels, step, kernel, fill, out if kernel.result == dtype else None), dtype)
    if dtype.kind != "f":
        return _cut_off_sums(pixels, step, weights, kernel, fill, dtype)
    if weights.line or not kernel.gaps:
        return _native_correlate(pixels, step, kernel, fill, out)
    sums = _native_correlate(pixels, step, kernel, fill, None)
    if np.isnan(sums.max()):
        lost = np.isnan(sums)
        sums[lost] = _Taps(pixels, step, weights, fill).sums_at(lost)
    return sums


def _numbers(pixels: Array, step: Step, cval: Any) -> tuple[Array, Any]:
    """Return pixels as numbers, of a dtype that has the value outside, and that value."""
    if pixels.dtype.kind == "b":
        pixels = pixels.view(np.uint8)
    fill = _fill(cval, (step,), pixels.dtype)
    return (pixels.astype(_FLOAT64), float(cval)) if fill is None else (pixels, fill)


def _native_correlate(pixels: Array, step: Step, kernel: "Kernel", fill: Any, out: Array | None) -> Array:
    return ik.correlate(
        pixels,
        kernel.values,
        axes=step.axes,
        mode=step.mode,
        cval=fill,
        origin=step.origin,
        method="direct" if kernel.exact else "auto",
        dtype=kernel.result,
        out=out,
    )


def _whole_sums(pixels: Array, step: Step, kernel: "Kernel", fill: Any, out: Array | None) -> Array:
    """Return sums of integers, modulo 2**64."""
    if pixels.dtype.kind == "u" and pixels.dtype.itemsize == 8:
        pixels = pixels.view(pixels.dtype.str.replace("u", "i"))
        fill = int(fill) - 2**64 * (fill >= 2**63)
    return _native_correlate(pixels, step, kernel, fill, out)


def _cut_off_sums(pixels: Array, step: Step, weights: Weights, kernel: "Kernel", fill: Any, dtype: Dtype) -> Array:
    """Return sums in float64, cut off after the point, as SciPy's order of additions gives them.

    Products that are exact, added up one after the other, give SciPy's bits; sums of others differ in the last ones.
    Only where a whole number lies so close that this could matter those are taken again, one weight after the other.
    """
    pixels = pixels.astype(_FLOAT64, copy=False) if pixels.dtype.kind == "f" else pixels  # whatever the value outside
    largest = kernel.total * _largest(pixels, fill)
    counts = _INT32 if largest < 2**31 - 1 else _INT64
    if kernel.exact:
        if kernel.factor != 1.0:
            pixels, fill = pixels * kernel.factor, fill * kernel.factor
        return _cast(_native_correlate(pixels, step, kernel, fill, None).astype(counts), dtype)
    slack = _SLACK * kernel.values.size * float(np.finfo(kernel.values.dtype).eps) * largest
    taps = _Taps(pixels, step, weights, fill)
    if not slack < 0.25:
        return _cast(taps.all_sums(), dtype)
    sums = _native_correlate(pixels, step, kernel, fill, None)
    with np.errstate(invalid="ignore"):
        low, high = (bound(sums, slack, out=np.empty(sums.shape, counts), casting="unsafe") for bound in _BOUNDS)
    doubtful = low != high
    number = np.count_nonzero(doubtful)
    if number > sums.size // 32:
        return _cast(taps.all_sums(), dtype)
    if number > 0:
        low[doubtful] = _cast(taps.sums_at(doubtful), counts)
    return _cast(low, dtype)


_SLACK = 4  # per weight: the bound of `imkernels.correlate`, and what is rounded besides
_BOUNDS = np.subtract, np.add


def _largest(pixels: Array, fill: Any) -> float:
    """Return a bound for the magnitude of pixels."""
    if pixels.dtype.kind in "iu" and pixels.dtype.itemsize < 8:
        return float(2 ** (8 * pixels.dtype.itemsize))
    return float(max(np.abs(pixels.astype(_FLOAT64)).max(), abs(fill)))


class _Taps:
    """The pixels under weights, to be added up in SciPy's order."""

    def __init__(self, pixels: Array, step: Step, weights: Weights, fill: Any) -> None:
        self._pixels = pixels
        self._weights = weights
        self._fill = fill
        self._axes = (pixels.ndim - 2, pixels.ndim - 1) if step.axes is None else step.axes
        origins = step.origin if isinstance(step.origin, tuple) else (step.origin, step.origin)
        modes = step.mode if isinstance(step.mode, tuple) else (step.mode, step.mode)
        extents = [pixels.shape[axis] for axis in self._axes]
        self._sources = [_sources(*line) for line in zip(extents, step.extents, origins, modes, strict=True)]

    def sums_at(self, mask: Array) -> Array:
        """Return the sums where the mask is true."""
        places = np.unravel_index(np.flatnonzero(mask), mask.shape)  # faster than `nonzero` of an array of more axes

        def pixels(*tap: int) -> Array:
            taken = list(places)
            outside = np.zeros(len(places[0]), bool)
            for axis, sources, shift in zip(self._axes, self._sources, tap, strict=True):
                taken[axis] = sources[places[axis] + shift]
                outside |= taken[axis] < 0
            return np.where(outside, float(self._fill), self._pixels[tuple(taken)].astype(_FLOAT64))

        return self._sums(pixels)

    def all_sums(self) -> Array:
        """Return the sums of all windows, block by block of rows that stay in the cache."""
        sums = np.empty(self._pixels.shape)
        axis = self._axes[0]
        rows = max(1, 2**15 * sums.shape[axis] // sums.size)
        for first in range(0, sums.shape[axis], rows):
            block = (slice(None),) * axis + (slice(first, first + rows),)
            sums[block] = self._block_sums(first, sums[block].shape)
        return sums

    def _block_sums(self, first: int, shape: tuple[int, ...]) -> Array:
        needed = shape[self._axes[0]] + self._weights.values.shape[0] - 1
        padded = self._pixels
        for axis, sources in self._lines(first, needed):
            padded = padded.take(sources, axis=axis)
        padded = padded.astype(_FLOAT64)
        for axis, sources in self._lines(first, needed):
            np.moveaxis(padded, axis, 0)[sources < 0] = self._fill

        def pixels(*tap: int) -> Array:
            window = [slice(None)] * padded.ndim
            for axis, shift in zip(self._axes, tap, strict=True):
                window[axis] = slice(shift, shift + shape[axis])
            return padded[tuple(window)]

        return self._sums(pixels)

    def _lines(self, first: int, needed: int) -> list[tuple[int, Array]]:
        rows, columns = self._sources
        return [(self._axes[0], rows[first : first + needed]), (self._axes[1], columns)]

    def _sums(self, pixels: Callable[[int, int], Array]) -> Array:
        with np.errstate(all="ignore"):
            total = np.zeros(pixels(0, 0).shape)
            for term in self._line_terms(pixels) if self._weights.line else self._terms(pixels):
                total += term
        return total

    def _terms(self, pixels: Callable[[int, int], Array]) -> Iterator[Array]:
        """Yield the products of `correlate`: row by row, without those of the smallest weights."""
        for (row, column), weight in np.ndenumerate(self._weights.values):
            if abs(weight) > _EPSILON:
                yield pixels(row, column) * weight

    def _line_terms(self, pixels: Callable[[int, int], Array]) -> Iterator[Array]:
        """Yield the products of `correlate1d`: the middle or the last one first, and mirrored weights in pairs."""
        weights = self._weights.values.ravel()
        down = self._weights.values.shape[1] == 1

        def along(number: int) -> Array:
            return pixels(number, 0) if down else pixels(0, number)

        half, turned = len(weights) // 2, weights[::-1]
        last = len(weights) - 1
        sign = 0
        if len(weights) % 2 == 1:
            if (np.abs(weights - turned) <= _EPSILON).all():
                sign = 1
            elif (np.abs(weights + turned)[:half] <= _EPSILON).all():
                sign = -1
        if sign == 0:
            yield along(last) * weights[last]
            for number in range(last):
                yield along(number) * weights[number]
            return
        yield along(half) * weights[half]
        for number in range(half):
            yield (along(number) + sign * along(last - number)) * weights[number]


def _sources(extent: int, size: int, origin: int, mode: str) -> Array:
    """Return the pixels that the windows along an axis see, one after the other; -1 for the value outside."""
    before = size // 2 + origin
    pads = before, size - 1 - before
    if mode.endswith("constant"):
        return np.pad(np.arange(extent), pads, constant_values=-1)
    return np.pad(np.arange(extent), pads, mode=_PAD_MODES[mode])


class Kernel(NamedTuple):
    """Weights as the package's kernels take them."""

    values: Array  # (K, L)
    result: Dtype | None  # the dtype to ask for, if it is not that of `imkernels.correlate`
    total: float  # of the magnitudes of weights
    exact: bool = False  # whether sums of floats must be taken directly, and have then SciPy's bits
    factor: float = 1.0  # to multiply pixels by
    gaps: bool = False  # whether SciPy leaves pixels out of its sums


def _kernel(weights: Weights, image: Dtype, dtype: Dtype) -> Kernel:
    """Return the kernel to correlate an image of one dtype with for a result of another."""
    if weights.values.size > 256:
        return _new_kernel(weights, image, dtype)
    return _cached_kernel(weights.values.tobytes(), weights.values.shape, weights.line, image, dtype)


@functools.lru_cache(maxsize=256)
def _cached_kernel(data: bytes, shape: Pair, line: bool, image: Dtype, dtype: Dtype) -> Kernel:
    return _new_kernel(Weights(np.frombuffer(data).reshape(shape), line), image, dtype)


_EPSILON = float(np.finfo(_FLOAT64).eps)  # weights of `correlate` that are no larger do not count in SciPy


def _new_kernel(weights: Weights, image: Dtype, dtype: Dtype) -> Kernel:
    values = weights.values
    magnitudes = np.abs(values)
    total, largest = float(magnitudes.sum()), float(magnitudes.max())
    if dtype.kind == "f":
        single = dtype == _FLOAT32 and image.char in _SINGLE_INPUTS and _single(magnitudes)
        gaps = image.kind == "f" and float(magnitudes.min()) <= _EPSILON
        working = _FLOAT32 if single else _FLOAT64
        return Kernel(values.astype(working), None if dtype == working else dtype, total, gaps=gaps)
    if image.kind == "f":
        return Kernel(values, None, total)
    if largest < 2**31 and bool((values == np.rint(values)).all()):
        return _whole_kernel(values, image, dtype)
    return _fraction_kernel(weights, image)


def _single(magnitudes: Array) -> bool:
    """Return whether float32 has such weights."""
    return bool(((magnitudes == 0) | ((magnitudes > 2.0**-120) & (magnitudes < 2.0**120))).all())


def _fraction_kernel(weights: Weights, image: Dtype) -> Kernel:
    """Return a kernel for sums of integers with weights that are not whole."""
    values = weights.values
    if not weights.line:
        values = np.where(np.abs(values) <= _EPSILON, 0.0, values)
    used = np.abs(values[values != 0])
    total = float(used.sum())
    largest = 2.0 ** (8 * image.itemsize)  # pixel
    mantissas, exponents = np.frexp(used)
    digits = (mantissas * 2.0**53).astype(np.int64)
    lowest = digits & -digits  # digit that is not 0
    unit = np.ldexp(lowest.astype(_FLOAT64), exponents - 53).min(initial=math.inf)
    for working, bits in ((_FLOAT32, 24), (_FLOAT64, 53)):
        if total * largest <= unit * 2.0**bits:  # all sums are exact
            return Kernel(values.astype(working), None, total, exact=True)
    if not weights.line and ((digits // lowest) * largest <= 2.0**53).all():  # all products are
        return Kernel(values, None, total, exact=True)
    if not weights.line and (used == used[0]).all():  # all are, of the multiplied pixels
        return Kernel(np.sign(values), None, total, exact=True, factor=float(used[0]))
    single = _single(used) and _SLACK * values.size * 2.0**-23 * total * largest < 2**-7
    working = _FLOAT32 if single else _FLOAT64
    return Kernel(values.astype(working), None, total)


def _whole_kernel(values: Array, image: Dtype, dtype: Dtype) -> Kernel:
    """Return a kernel of integers, and the dtype that holds the sums best."""
    bounds = np.iinfo(image)
    ups, downs = float(values[values > 0].sum()), float(values[values < 0].sum())
    low, high = ups * bounds.min + downs * bounds.max, ups * bounds.max + downs * bounds.min
    narrow = "int8" if image.itemsize == 1 and np.abs(values).max() < 128 else "int32"
    fits = dtype.kind in "iu" and np.iinfo(dtype).min <= low and high <= min(np.iinfo(dtype).max, 2**31 - 1)
    result = dtype if fits else _holding(int(low), int(high), "i")
    return Kernel(values.astype(narrow), result, ups - downs)


@_stand_in
def correlate(
    input: Any,
    weights: Any,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Job | None:
    """Stand in for `scipy.ndimage.correlate`, by `imkernels.correlate`.

    Served for real weights that reach along at most two axes. Integers are SciPy's: sums are cut off after the point
    and wrap around, but those of whole weights are exact for 64 bits as well. A float32 image with a float32 result is
    computed in float32.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.correlate(np.array([3, 1, 2, 9, 2], np.uint8), [-1, 0, 1])
    array([254, 255,   8,   0, 249], dtype=uint8)
    """
    return _correlate_plan(Common(input, output, mode, cval, origin), weights, axes, convolution=False)


@_stand_in
def convolve(
    input: Any,
    weights: Any,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Job | None:
    """Stand in for `scipy.ndimage.convolve`, by `imkernels.correlate`: `correlate` with all turned round.

    Unlike `imkernels.convolve` it turns the anchor of even weights round as well, as SciPy does.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.convolve(np.array([3, 1, 2, 9, 2], np.uint8), [-1, 0, 1])
    array([  2,   1, 248,   0,   7], dtype=uint8)
    """
    return _correlate_plan(Common(input, output, mode, cval, origin), weights, axes, convolution=True)


@_stand_in
def correlate1d(
    input: Any,
    weights: Any,
    axis: Any = -1,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
) -> Job | None:
    """Stand in for `scipy.ndimage.correlate1d`, by `imkernels.correlate`; see `correlate`.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.correlate1d(np.array([3, 1, 2, 9, 2]), [0.5, 0.5])
    array([3, 2, 1, 5, 5])
    """
    return _line_correlate_plan(Common(input, output, mode, cval, origin), _array(weights), axis)


@_stand_in
def convolve1d(
    input: Any,
    weights: Any,
    axis: Any = -1,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    origin: Any = 0,
) -> Job | None:
    """Stand in for `scipy.ndimage.convolve1d`, by `imkernels.correlate`; see `convolve`.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.convolve1d(np.array([3, 1, 2, 9, 2]), [0.5, 0.5])
    array([2, 1, 5, 5, 2])
    """
    turned = _array(weights)[::-1]
    return _line_correlate_plan(Common(input, output, mode, cval, _turned(origin, len(turned))), turned, axis)


# Gaussians


class Gaussian(NamedTuple):
    """A Gaussian along one axis, or a derivative of it."""

    line: Line
    order: int
    weights: Array


def _gaussian(axis: int, sigma: Any, order: Any, mode: Any, truncate: Any, radius: Any) -> Gaussian:
    reach = int(truncate * float(sigma) + 0.5) if radius is None else radius
    if not isinstance(reach, numbers.Integral) or reach < 0:
        raise ValueError(f"Radius must be a nonnegative integer, got {reach!r}")
    line = _line(axis, 2 * int(reach) + 1, 0, mode)
    return Gaussian(line, operator.index(order), _gaussian_weights(sigma, operator.index(order), int(reach)))


def _gaussian_weights(sigma: Any, order: int, reach: int) -> Array:
    """Return the weights of a correlation with a derivative of a Gaussian whose weights add up to 1."""
    if order < 0:
        raise ValueError(f"order must be non-negative, got {order}")
    positions = np.arange(-reach, reach + 1)
    weights: Array = np.exp(-0.5 / (sigma * sigma) * positions**2)
    weights /= weights.sum()
    # Derivatives of exp(-x**2 / 2) are Hermite's polynomials times it, odd ones with the sign turned; so is the kernel.
    weights *= np.polynomial.hermite_e.hermeval(positions / sigma, [0] * order + [1]) / sigma**order
    return weights


def _gaussian_plan(image: Array, target: Target | None, gaussians: Sequence[Gaussian], cval: Any) -> Job | None:
    if target is None or not _is_served(image.dtype):
        return None
    # The weights of derivatives may differ from SciPy's in the last bit, and with them what integers are cut off to.
    if target.dtype.kind != "f" and any(gaussian.order > 0 for gaussian in gaussians):
        return None
    if target.dtype.kind != "f":
        steps = [_step(image.ndim, [gaussian.line]) for gaussian in gaussians]
        kernels = [gaussian.weights.reshape(step.extents) for gaussian, step in zip(gaussians, steps, strict=True)]
        return _correlation_job(image, target, steps, [Weights(kernel, True) for kernel in kernels], cval)
    _fill(cval, (), image.dtype)
    # Outside stands the constant after every axis, as there; only for blurs it is also what the first axis makes of it.
    alone = any(gaussian.order > 0 and gaussian.line.mode.endswith("constant") for gaussian in gaussians)
    together = 1 if alone else 2
    pairs = [sorted(gaussians[first : first + together]) for first in range(0, len(gaussians), together)]
    return _job(
        image, target, [functools.partial(_blurred, *_factors(image, pair), cval, target.dtype) for pair in pairs]
    )


def _factors(image: Array, gaussians: Sequence[Gaussian]) -> tuple[Step, list[Array]]:
    """Return one or two Gaussians, in the order of their axes, as a step and the factors of its kernel."""
    step = _step(image.ndim, [gaussian.line for gaussian in gaussians])
    factors = [gaussian.weights for gaussian in gaussians]
    if len(factors) == 1:
        factors.insert(int(step.extents[0] > 1), np.ones(1))
    return step, factors


def _blurred(step: Step, factors: Sequence[Array], cval: Any, dtype: Dtype, pixels: Array, out: Array | None) -> Array:
    """Return floats: an image correlated with the outer product of two factors."""
    pixels, fill = _numbers(pixels, step, cval)
    single = pixels.dtype.char in _SINGLE_INPUTS and dtype == _FLOAT32
    column, row = (factor.astype(_FLOAT32 if single else _FLOAT64) for factor in factors)
    return ik.correlate_separable(
        pixels, column, row, axes=step.axes, mode=step.mode, cval=fill, origin=step.origin, dtype=dtype, out=out
    )


@_stand_in
def gaussian_filter(
    input: Any,
    sigma: Any,
    order: Any = 0,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    truncate: Any = 4.0,
    *,
    radius: Any = None,
    axes: Any = None,
) -> Job | None:
    """Stand in for `scipy.ndimage.gaussian_filter`, by `imkernels.correlate_separable`.

    Served along any number of axes, but for derivatives as integers. A float32 image with a float32 result is computed
    in float32.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.gaussian_filter(np.array([0.0, 0, 1, 0, 0]), 1).round(3)
    array([0.058, 0.242, 0.399, 0.242, 0.058])
    """
    image = _array(input)
    target = _target(output, image)
    places = _axes(axes, image.ndim)
    named = {"sigma": sigma, "order": order, "mode": mode, "radius": radius}
    settings = zip(places, *(_sequence(value, len(places), name) for name, value in named.items()), strict=True)
    gaussians = [
        _gaussian(axis, deviation, derivative, border, truncate, reach)
        for axis, deviation, derivative, border, reach in settings
        if deviation > 1e-15
    ]
    return _gaussian_plan(image, target, gaussians, cval)


@_stand_in
def gaussian_filter1d(
    input: Any,
    sigma: Any,
    axis: Any = -1,
    order: Any = 0,
    output: Any = None,
    mode: Any = "reflect",
    cval: Any = 0.0,
    truncate: Any = 4.0,
    *,
    radius: Any = None,
) -> Job | None:
    """Stand in for `scipy.ndimage.gaussian_filter1d`, by `imkernels.correlate_separable`; see `gaussian_filter`.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.gaussian_filter1d(np.array([0.0, 0, 1, 0, 0]), 1, order=1).round(3)
    array([ 0.095,  0.241,  0.   , -0.241, -0.095])
    """
    image = _array(input)
    gaussian = _gaussian(normalize_axis_index(axis, image.ndim), sigma, order, mode, truncate, radius)
    return _gaussian_plan(image, _target(output, image), [gaussian], cval)
