"""Filters that give one value per window: order filters, means and Gaussian blur."""

import math
import operator
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from imkernels import _core
from imkernels._arguments import (
    LARGEST,
    Array,
    Axes,
    Casting,
    Group,
    IntOrPair,
    ModeOrPair,
    Padding,
    Pair,
    Result,
    array_key,
    array_of,
    as_array,
    check_casting,
    choice,
    core_axes,
    flag,
    footprint_mask,
    pair,
    real_pair,
    remembered,
    remembered_by_groups,
    result_dtype,
    result_shape,
    shape_with_last,
    window_plan,
)
from imkernels._dtypes import ALL, GAUSSIAN, MEAN, NUMBERS, ORDER, Dtype, refuse_bool
from imkernels._plans import Plan, carry_out
from imkernels._ufunc import kernel_function
from imkernels.convolution import Geometry, separable

Nan = Literal["propagate", "omit"]
Method = Literal["auto", "extremum", "network", "histogram", "sliding", "select"]
METHODS = get_args(Method)


# Order filters


class OrderWindow(NamedTuple):
    """The windows of an order filter."""

    window: _core.Window
    extents: Pair
    mask: Array | None
    values: int  # pixels of a window


Rule: TypeAlias = tuple[int | None, float]  # a rank, or where that is None a percentile

MEDIAN, MINIMUM, MAXIMUM = (None, 50.0), (None, 0.0), (None, 100.0)


def _order_filter(
    name: str,
    element: Any,
    image: ArrayLike,
    size: Any,
    footprint: Any,
    place: Group,
    asked: Group,
    cval: Any,
    out: Any,
    workers: int | None,
) -> Array:
    """Give the `element`, a rank or else a percentile, of every window; the rest as in `_order_plan`."""
    pixels = as_array(image, "image")
    mask = footprint_mask(size, footprint)
    windows = (size,) if mask is None else array_key(mask)
    plan = _order_plan((name, element), (pixels.dtype, *pixels.shape), windows, place, asked)
    return carry_out(plan, (pixels,), cval, out, workers)


@remembered_by_groups
def _order_plan(order: Group, image: Group, windows: Group, place: Group, asked: Group) -> Plan:
    """Plan an order filter.

    Parameters
    ----------
    order : tuple
        The name of the filter, and the rank or else the percentile that it takes.
    image : tuple
        The dtype and the shape.
    windows : tuple
        The size, or the `array_key` of a footprint's truth values.
    place : tuple
        The axes, stride, padding, mode and origin.
    asked : tuple
        The keywords `nan`, `method`, `dtype` and `casting`.
    """
    name, element = order
    pixels, shape = image[0], image[1:]
    axes, *sides = place
    nan, method, dtype, casting = asked
    places = core_axes(shape, axes, "image")
    planes = shape_with_last(shape, places)
    choice(nan, "nan", ("propagate", "omit"))
    size, mask = (windows[0], None) if len(windows) == 1 else (None, array_of(*windows))
    window = _order_window(planes, size, mask, *sides)
    choice(method, "method", METHODS)
    rule = _rule(name, element, window.values, nan)
    check_casting(casting)
    native = np.dtype(pixels.char)  # in native byte order, without metadata
    allowed = ALL if native.kind == "b" else NUMBERS
    result = native if dtype is None else result_dtype(dtype, allowed, name)
    compute, settings = _order_kernel(_method(window, rule, native, method), window, rule, native, nan == "omit")
    goods = result_shape(planes[:-2], window.extents, places), native, result, casting, False
    return Plan(places, planes[:-2], native, native, *goods, compute, (), (window.window, *settings))


def _order_window(
    shape: tuple[int, ...], size: Any, footprint: Array | None, stride: Any, padding: Any, mode: Any, origin: Any
) -> OrderWindow:
    """Return the windows of a size, or of the truth values of a footprint."""
    taps, name = (size, "size") if footprint is None else (footprint.shape, "footprint")
    window, extents = window_plan(shape, taps, stride=stride, padding=padding, mode=mode, origin=origin, name=name)
    rows, columns = pair(taps, name)
    values = rows * columns if footprint is None else int(np.count_nonzero(footprint))
    return OrderWindow(window, extents, None if values == rows * columns else footprint, values)


def _order_kernel(
    method: str, windows: OrderWindow, rule: Rule, native: Dtype, omit: bool
) -> tuple[Callable[..., None], tuple[Any, ...]]:
    """Return the compiled function of a method, and its settings but the window."""
    match method:
        case "extremum":
            return _core.extremum_filter, (rule == MAXIMUM, omit)
        case "histogram":
            return _core.histogram_filter, rule
        case "sliding":
            return _core.sliding_filter, (windows.mask, *rule, omit)
        case "select":
            return _core.order_filter, (windows.mask, *rule, omit)
    if rule == MEDIAN and _core.has_median_network(windows.window, native.itemsize):
        return _core.median_network, (omit,)
    return _core.rank_network, (*rule, omit)


class Crossover(NamedTuple):
    """Pixels of a window from which on another method is faster."""

    network_most: int  # then histograms for 8 bits, else the sliding set
    sliding_least: int  # below selects, where there is no network


# By level and bytes of an element. Measured by `python -m benchmarks.crossovers` on one core of a Zen 5.
CROSSOVERS = {
    "baseline": {1: Crossover(37**2, 256), 2: Crossover(33**2, 120), 4: Crossover(19**2, 40), 8: Crossover(9**2, 25)},
    "x86-64-v3": {1: Crossover(23**2, 256), 2: Crossover(60**2, 440), 4: Crossover(45**2, 40), 8: Crossover(25**2, 25)},
    "x86-64-v4": {1: Crossover(33**2, 256), 2: Crossover(60**2, 999), 4: Crossover(60**2, 90), 8: Crossover(37**2, 21)},
}
NARROW = 8  # outputs in a row that leave most lanes of a network idle


def _applies(method: str, windows: OrderWindow, rule: Rule, native: Dtype) -> bool:
    """Return whether a method can compute this."""
    whole = windows.mask is None
    match method:
        case "extremum":
            return whole and (rule in (MINIMUM, MAXIMUM) or windows.values == 1)
        case "network":
            return whole and _core.has_rank_network(windows.window)
        case "histogram":
            return whole and native.itemsize == 1 and _core.has_histogram(windows.window)
        case "sliding":
            return _core.has_sliding(windows.window)
    return method == "select"


def _method(windows: OrderWindow, rule: Rule, native: Dtype, method: Method) -> str:
    """Return the method to use: the one that was asked for, or the fastest."""
    if method != "auto":
        if not _applies(method, windows, rule, native):
            names = [name for name in METHODS if _applies(name, windows, rule, native)]
            raise ValueError(
                f"method must be one that computes this window, rank and dtype ({', '.join(names)}), got {method!r}"
            )
        return method
    crossover = CROSSOVERS[_core.level][native.itemsize]
    if _applies("extremum", windows, rule, native):
        return "extremum"
    fills_lanes = windows.extents[1] >= NARROW
    if fills_lanes and windows.values <= crossover.network_most and _applies("network", windows, rule, native):
        return "network"
    if _applies("histogram", windows, rule, native):
        return "histogram"
    applies = windows.values >= crossover.sliding_least and _applies("sliding", windows, rule, native)
    return "sliding" if applies else "select"


@kernel_function("(h,w)->(p,q)", ORDER)
def median_filter(
    image: ArrayLike,
    size: IntOrPair | None = None,
    *,
    footprint: ArrayLike | None = None,
    stride: IntOrPair = 1,
    padding: Padding = "same",
    mode: ModeOrPair = "reflect",
    cval: float = 0.0,
    origin: IntOrPair = 0,
    nan: Nan = "propagate",
    method: Method = "auto",
    out: Array | None = None,
    axes: Axes = None,
    dtype: DTypeLike | None = None,
    casting: Casting = "same_kind",
    workers: int | None = None,
) -> Array:
    """Replace every pixel by the median of a window around it.

    The median of an even number of values is the upper middle one, ``sorted(values)[n // 2]``, so that every
    result is a value of the window.

    Parameters
    ----------
    {{image}}
    {{window_size}}
    {{footprint}}
    {{stride}}
    {{padding}}
    {{mode}}
    {{origin}}
    {{nan}}
    {{method}}
    {{out}}
    {{axes}}
    {{same_dtype}}
    {{casting}}

    Returns
    -------
    ndarray, shape (..., P, Q)
        The medians.
    {{same_size}}

    Raises
    ------
    {{window_errors}}

    Notes
    -----
    {{dtypes}}

    Every dtype of the package, in either byte order, is filtered exactly, 64-bit integers included. Floats are
    ordered -0.0 before 0.0; the NaN of a result is the quiet one.

    {{method_notes}}

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels as ik
    >>> image = np.array([[1, 1, 1, 1], [1, 9, 1, 1], [1, 1, 1, 0]], dtype=np.uint8)
    >>> ik.median_filter(image, size=3)
    array([[1, 1, 1, 1],
           [1, 1, 1, 1],
           [1, 1, 1, 1]], dtype=uint8)
    """
    place = axes, stride, padding, mode, origin
    asked = nan, method, dtype, casting
    return _order_filter("median_filter", 50.0, image, size, footprint, place, asked, cval, out, workers)


@kernel_function("(h,w)->(p,q)", ORDER)
def rank_filter(
    image: ArrayLike,
    rank: int,
    size: IntOrPair | None = None,
    *,
    footprint: ArrayLike | None = None,
    stride: IntOrPair = 1,
    padding: Padding = "same",
    mode: ModeOrPair = "reflect",
    cval: float = 0.0,
    origin: IntOrPair = 0,
    nan: Nan = "propagate",
    method: Method = "auto",
    out: Array | None = None,
    axes: Axes = None,
    dtype: DTypeLike | None = None,
    casting: Casting = "same_kind",
    workers: int | None = None,
) -> Array:
    """Replace every pixel by the value of a given rank in a window around it.

    Parameters
    ----------
    {{image}}
    rank : int
        Which of the window's n sorted values is taken, from 0 for the smallest to ``n - 1``; a negative one counts from
        the largest, -1. With ``nan="omit"`` the number of values varies: only 0 and -1 are accepted.
    {{window_size}}
    {{footprint}}
    {{stride}}
    {{padding}}
    {{mode}}
    {{origin}}
    {{nan}}
    {{method}}
    {{out}}
    {{axes}}
    {{same_dtype}}
    {{casting}}

    Returns
    -------
    ndarray, shape (..., P, Q)
        The values of that rank.
    {{same_size}}

    Raises
    ------
    {{window_errors}}

    Notes
    -----
    {{dtypes}}

    Every dtype of the package, in either byte order, is filtered exactly, 64-bit integers included. Floats are
    ordered -0.0 before 0.0; the NaN of a result is the quiet one.

    {{method_notes}}

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels as ik
    >>> image = np.array([[3, 1, 2, 9]], dtype=np.uint8)
    >>> ik.rank_filter(image, -2, size=(1, 3))
    array([[3, 2, 2, 9]], dtype=uint8)
    """
    place = axes, stride, padding, mode, origin
    asked = nan, method, dtype, casting
    return _order_filter("rank_filter", rank, image, size, footprint, place, asked, cval, out, workers)


@kernel_function("(h,w)->(p,q)", ORDER)
def percentile_filter(
    image: ArrayLike,
    percentile: float,
    size: IntOrPair | None = None,
    *,
    footprint: ArrayLike | None = None,
    stride: IntOrPair = 1,
    padding: Padding = "same",
    mode: ModeOrPair = "reflect",
    cval: float = 0.0,
    origin: IntOrPair = 0,
    nan: Nan = "propagate",
    method: Method = "auto",
    out: Array | None = None,
    axes: Axes = None,
    dtype: DTypeLike | None = None,
    casting: Casting = "same_kind",
    workers: int | None = None,
) -> Array:
    """Replace every pixel by a percentile of a window around it.

    A percentile p of n sorted values is the one of number ``int(n * p / 100)``, the last one for p = 100: SciPy's rule,
    by which every result is a value of the window.

    Parameters
    ----------
    {{image}}
    percentile : float
        Between 0 and 100; a negative one, down to -100, counts from 100.
    {{window_size}}
    {{footprint}}
    {{stride}}
    {{padding}}
    {{mode}}
    {{origin}}
    {{nan}}
    {{method}}
    {{out}}
    {{axes}}
    {{same_dtype}}
    {{casting}}

    Returns
    -------
    ndarray, shape (..., P, Q)
        The percentiles.
    {{same_size}}

    Raises
    ------
    {{window_errors}}

    Notes
    -----
    {{dtypes}}

    Every dtype of the package, in either byte order, is filtered exactly, 64-bit integers included. Floats are
    ordered -0.0 before 0.0; the NaN of a result is the quiet one.

    {{method_notes}}

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels as ik
    >>> image = np.array([[3, 1, 2, 9]], dtype=np.uint8)
    >>> ik.percentile_filter(image, 25, size=(1, 3))
    array([[1, 1, 1, 2]], dtype=uint8)
    """
    place = axes, stride, padding, mode, origin
    asked = nan, method, dtype, casting
    return _order_filter("percentile_filter", percentile, image, size, footprint, place, asked, cval, out, workers)


@kernel_function("(h,w)->(p,q)", ORDER)
def minimum_filter(
    image: ArrayLike,
    size: IntOrPair | None = None,
    *,
    footprint: ArrayLike | None = None,
    stride: IntOrPair = 1,
    padding: Padding = "same",
    mode: ModeOrPair = "reflect",
    cval: float = 0.0,
    origin: IntOrPair = 0,
    nan: Nan = "propagate",
    out: Array | None = None,
    axes: Axes = None,
    dtype: DTypeLike | None = None,
    casting: Casting = "same_kind",
    workers: int | None = None,
) -> Array:
    """Replace every pixel by the minimum of a window around it.

    With a footprint this is grey erosion by a flat structuring element.

    Parameters
    ----------
    {{image}}
    {{window_size}}
    {{footprint}}
    {{stride}}
    {{padding}}
    {{mode}}
    {{origin}}
    {{nan}}
    {{out}}
    {{axes}}
    {{same_dtype}}
    {{casting}}

    Returns
    -------
    ndarray, shape (..., P, Q)
        The minima.
    {{same_size}}

    Raises
    ------
    {{window_errors}}

    Notes
    -----
    {{dtypes}}

    Every dtype of the package, in either byte order, is filtered exactly, 64-bit integers included. Floats are
    ordered -0.0 before 0.0; the NaN of a result is the quiet one.

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels as ik
    >>> image = np.array([[3, 1, 2, 9]], dtype=np.uint8)
    >>> ik.minimum_filter(image, size=(1, 3))
    array([[1, 1, 1, 2]], dtype=uint8)
    """
    place = axes, stride, padding, mode, origin
    asked = nan, "auto", dtype, casting
    return _order_filter("minimum_filter", 0.0, image, size, footprint, place, asked, cval, out, workers)


@kernel_function("(h,w)->(p,q)", ORDER)
def maximum_filter(
    image: ArrayLike,
    size: IntOrPair | None = None,
    *,
    footprint: ArrayLike | None = None,
    stride: IntOrPair = 1,
    padding: Padding = "same",
    mode: ModeOrPair = "reflect",
    cval: float = 0.0,
    origin: IntOrPair = 0,
    nan: Nan = "propagate",
    out: Array | None = None,
    axes: Axes = None,
    dtype: DTypeLike | None = None,
    casting: Casting = "same_kind",
    workers: int | None = None,
) -> Array:
    """Replace every pixel by the maximum of a window around it.

    With a footprint this is grey dilation by a flat structuring element, mirrored.

    Parameters
    ----------
    {{image}}
    {{window_size}}
    {{footprint}}
    {{stride}}
    {{padding}}
    {{mode}}
    {{origin}}
    {{nan}}
    {{out}}
    {{axes}}
    {{same_dtype}}
    {{casting}}

    Returns
    -------
    ndarray, shape (..., P, Q)
        The maxima.
    {{same_size}}

    Raises
    ------
    {{window_errors}}

    Notes
    -----
    {{dtypes}}

    Every dtype of the package, in either byte order, is filtered exactly, 64-bit integers included. Floats are
    ordered -0.0 before 0.0; the NaN of a result is the quiet one.

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels as ik
    >>> image = np.array([[3, 1, 2, 9]], dtype=np.uint8)
    >>> ik.maximum_filter(image, size=(1, 3))
    array([[3, 3, 9, 9]], dtype=uint8)
    """
    place = axes, stride, padding, mode, origin
    asked = nan, "auto", dtype, casting
    return _order_filter("maximum_filter", 100.0, image, size, footprint, place, asked, cval, out, workers)


def _rule(name: str, element: Any, values: int, nan: Any) -> Rule:
    """Return which element of `values` sorted ones the filter `name` takes."""
    if name == "rank_filter":
        return _rank_rule(element, values, nan)
    return None, _percentile(element) if name == "percentile_filter" else element


def _rank_rule(rank: Any, values: int, nan: Nan) -> Rule:
    if isinstance(rank, (bool, np.bool_)) or not hasattr(rank, "__index__") or np.ndim(rank) > 0:
        raise TypeError(f"rank must be an int, got {rank!r}")
    number = operator.index(rank)
    if not -values <= number < values:
        raise ValueError(f"rank must lie between {-values} and {values - 1} for {values} values, got {rank}")
    if nan == "omit" and number not in (0, -1):
        raise ValueError(f"rank must be 0 or -1 with nan='omit', where the number of values varies, got {rank}")
    named = {values // 2: MEDIAN, values - 1: MAXIMUM, 0: MINIMUM}  # of one value all are the same
    return named.get(number % values, (number % values, 0.0))


def _percentile(percentile: Any) -> float:
    value = real_pair(percentile, "percentile", single=True)[0]
    if not -100 <= value <= 100:
        raise ValueError(f"percentile must lie between -100 and 100, got {percentile!r}")
    return value + 100 if value < 0 else value


@kernel_function("(h,w)->(p,q)", MEAN)
def box_blur(
    image: ArrayLike,
    size: IntOrPair,
    *,
    stride: IntOrPair = 1,
    padding: Padding = "same",
    mode: ModeOrPair = "reflect",
    cval: float = 0.0,
    origin: IntOrPair = 0,
    normalize: bool = True,
    out: Array | None = None,
    axes: Axes = None,
    dtype: DTypeLike | None = None,
    casting: Casting = "same_kind",
    workers: int | None = None,
) -> Array:
    """Replace every pixel by the mean of a rectangular window around it.

    Parameters
    ----------
    {{image}}
    {{window_size}}
    {{stride}}
    {{padding}}
    {{mode}}
    {{origin}}
    normalize : bool, default True
        False gives the sum in place of the mean.
    {{out}}
    {{axes}}
    dtype : dtype, optional
        The dtype of the result. By default means have the image's dtype, sums of integers are int64 or uint64. Integer
        means are rounded half to even; a float dtype gives means and sums as they are.
    {{casting}}

    Returns
    -------
    ndarray, shape (..., P, Q)
        The means.
    {{same_size}}

    Raises
    ------
    {{window_errors}}

    Notes
    -----
    {{dtypes}}

    Means of integers are exact for every possible sum, 64-bit ones included; sums of integers are taken modulo 2**64.
    Of float16 and float32 in windows of more than 8 rows or columns, up to 4096 of each and 2**22 pixels, the exact sum
    is rounded to float64, multiplied and rounded again: pixels are integers there, which is no rounding, and their sums
    run along. Other floats are summed in trees over the window's own pixels. Nothing drifts along a row, and a NaN or
    an infinity stays in its windows. The cost does not depend on the size; that of float64 grows with its logarithm.

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels as ik
    >>> image = np.array([[0, 0, 0], [0, 9, 0], [0, 0, 0]], dtype=np.uint8)
    >>> ik.box_blur(image, size=3)
    array([[1, 1, 1],
           [1, 1, 1],
           [1, 1, 1]], dtype=uint8)
    >>> ik.box_blur(image, size=(1, 2), dtype=np.float32)
    array([[0. , 0. , 0. ],
           [0. , 4.5, 4.5],
           [0. , 0. , 0. ]], dtype=float32)
    """
    pixels = as_array(image, "image")
    window = size, axes, stride, padding, mode, origin
    plan = box_plan((pixels.dtype, *pixels.shape), window, (normalize, dtype, casting))
    return carry_out(plan, (pixels,), cval, out, workers)


@remembered_by_groups
def box_plan(image: Group, window: Group, asked: Group) -> Plan:
    """Plan means or sums over rectangles.

    Parameters
    ----------
    image : tuple
        The dtype and the shape.
    window : tuple
        The size, axes, stride, padding, mode and origin.
    asked : tuple
        The keywords `normalize`, `dtype` and `casting`.
    """
    pixels, shape = image[0], image[1:]
    size, axes, stride, padding, mode, origin = window
    normalize, dtype, casting = asked
    places = core_axes(shape, axes, "image")
    refuse_bool("image", pixels)
    planes = shape_with_last(shape, places)
    geometry, extents = window_plan(planes, size, stride=stride, padding=padding, mode=mode, origin=origin)
    native = np.dtype(pixels.char)  # in native byte order, without metadata
    mean = flag(normalize, "normalize")
    check_casting(casting)
    computed = native if mean else _sum_dtype(native)
    result = computed if dtype is None else result_dtype(dtype, NUMBERS, "box_blur")
    goods = result_shape(planes[:-2], extents, places), computed, result, casting, True
    return Plan(places, planes[:-2], native, native, *goods, _core.box_blur, (), (geometry, mean))


def _sum_dtype(dtype: Dtype) -> Dtype:
    return {"i": np.dtype(np.int64), "u": np.dtype(np.uint64)}.get(dtype.kind, dtype)


@kernel_function("(h,w)->(p,q)", GAUSSIAN)
def gaussian_filter(
    image: ArrayLike,
    sigma: float | tuple[float, float],
    *,
    truncate: float = 4.0,
    stride: IntOrPair = 1,
    padding: Padding = "same",
    mode: ModeOrPair = "reflect",
    cval: float = 0.0,
    out: Array | None = None,
    axes: Axes = None,
    dtype: DTypeLike | None = None,
    casting: Casting = "same_kind",
    workers: int | None = None,
) -> Array:
    """Blur images by a Gaussian, sampled at the pixels and cut off.

    Parameters
    ----------
    {{image}}
    sigma : float or pair of floats
        The standard deviation in pixels, one for rows (the first axis) and one for columns; 0 leaves an axis as it is.
    truncate : float, default 4.0
        Where the Gaussian is cut off, in standard deviations: at ``int(truncate * sigma + 0.5)`` pixels, as in SciPy.
    {{stride}}
    {{padding}}
    {{mode}}
    {{out}}
    {{axes}}
    dtype : dtype, optional
        The dtype of the result. A wider one is computed in; results that a narrower one cannot hold are rounded half to
        even and saturated.
    {{casting}}

    Returns
    -------
    ndarray, shape (..., P, Q)
        The blurred images.
    {{same_size}}

    Raises
    ------
    {{window_errors}}

    Notes
    -----
    {{dtypes}}

    {{nan_stays}}

    It is `correlate_separable` with weights proportional to ``exp(-x**2 / (2 * sigma**2))`` that add up to 1, which
    count as float32 for the dtype of the result.

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels as ik
    >>> image = np.zeros((1, 5), np.float32)
    >>> image[0, 2] = 1
    >>> ik.gaussian_filter(image, (0, 1), truncate=1).round(3)
    array([[0.   , 0.274, 0.452, 0.274, 0.   ]], dtype=float32)
    """
    pixels = as_array(image, "image")
    loop = gaussian_filter.loop((pixels.dtype,))[-1]
    if dtype is not None and result_dtype(dtype, NUMBERS, "gaussian_filter") == np.float64:
        loop = np.dtype(np.float64)
    weights = _gaussian_factors(loop, sigma, truncate)
    geometry = Geometry(stride, 1, padding, mode, 0, cval)
    wanted = Result(out, dtype, casting, workers)
    return separable(gaussian_filter, pixels, axes, weights, geometry, wanted, "sigma and truncate")


@remembered
def _gaussian_factors(dtype: Dtype, sigma: Any, truncate: Any) -> tuple[Array, Array]:
    """Return the column and the row of a Gaussian."""
    sigmas = real_pair(sigma, "sigma", least=0.0)
    cut = real_pair(truncate, "truncate", least=0.0, single=True)[0]
    column, row = (gaussian_weights(deviation, cut).astype(dtype) for deviation in sigmas)
    return column, row


def gaussian_weights(sigma: float, truncate: float) -> Array:
    """Return the weights of a Gaussian along one axis, of sum 1."""
    if sigma == 0:
        return np.ones(1)
    reach = truncate * sigma + 0.5
    if reach > LARGEST // 2:
        raise ValueError(f"sigma and truncate must keep the window within {LARGEST} pixels, got {sigma} and {truncate}")
    positions = np.arange(-int(reach), int(reach) + 1)
    # In units of sigma: the square of a tiny sigma would be 0.
    with np.errstate(over="ignore"):
        weights = np.exp(-0.5 * (positions / sigma) ** 2)
    return weights / math.fsum(weights)
