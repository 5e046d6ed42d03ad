"""Filters that give one value per window: order filters, means and Gaussian blur."""

import math
import operator
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from imkernels import _core
from imkernels._arguments import (
    LARGEST,
    Array,
    Axes,
    Casting,
    Delivery,
    IntOrPair,
    ModeOrPair,
    Padding,
    Pair,
    Result,
    as_array,
    as_image,
    choice,
    deliver,
    fill_element,
    flag,
    footprint_mask,
    pair,
    real_pair,
    result_dtype,
    result_shape,
    single_out,
    window_plan,
    windows_last,
)
from imkernels._dtypes import ALL, GAUSSIAN, MEAN, NUMBERS, ORDER, Dtype, refuse_bool
from imkernels._ufunc import kernel_function
from imkernels.convolution import correlate_separable
from imkernels.settings import resolve_workers

Nan = Literal["propagate", "omit"]
Method = Literal["auto", "network", "select"]


class OrderWindow(NamedTuple):
    """An image and the windows on it."""

    pixels: Array
    places: tuple[int, ...] | None
    window: _core.Window
    extents: Pair
    mask: Array | None
    values: int  # pixels of a window
    fill: Array


def _order_window(
    image: ArrayLike,
    size: Any,
    footprint: Any,
    axes: Axes,
    stride: Any,
    padding: Any,
    mode: Any,
    cval: Any,
    origin: Any,
    nan: Any,
) -> OrderWindow:
    pixels, places = as_image(image, axes, "image")
    choice(nan, "nan", ("propagate", "omit"))
    taps, mask = footprint_mask(size, footprint)
    name = "size" if footprint is None else "footprint"
    window, extents = window_plan(pixels, taps, stride=stride, padding=padding, mode=mode, origin=origin, name=name)
    rows, columns = pair(taps, name)
    values = rows * columns if mask is None else int(np.count_nonzero(mask))
    return OrderWindow(
        pixels, places, window, extents, mask, values, fill_element(cval, pixels.dtype.newbyteorder("="))
    )


Rule: TypeAlias = tuple[int | None, float]  # a rank, or where that is None a percentile

MEDIAN, MINIMUM, MAXIMUM = (None, 50.0), (None, 0.0), (None, 100.0)


def _order_filter(
    name: str, image: OrderWindow, rule: Rule, nan: Nan, wanted: Result, method: Method = "auto"
) -> Array:
    """Take the element that `rule` names of every window."""
    native = image.pixels.dtype.newbyteorder("=")
    allowed = ALL if native.kind == "b" else NUMBERS
    result = native if wanted.dtype is None else result_dtype(wanted.dtype, allowed, name)
    threads = resolve_workers(wanted.workers)
    chosen = _chosen_method(image, rule, method)

    def compute(target: Array) -> None:
        goal = windows_last(target, image.places)
        omit = nan == "omit"
        if chosen == "extremum":
            _core.extremum_filter(image.pixels, goal, image.window, rule == MAXIMUM, omit, image.fill, threads)
        elif chosen == "network":
            _core.median_network(image.pixels, goal, image.window, omit, image.fill, threads)
        else:
            _core.order_filter(image.pixels, goal, image.window, image.mask, *rule, omit, image.fill, threads)

    shape = result_shape(image.pixels.shape[:-2], image.extents, image.places)
    return deliver(compute, Delivery(shape, native, result, wanted.out, wanted.casting, (image.pixels,), threads))


def _chosen_method(image: OrderWindow, rule: Rule, method: Method) -> str:
    network = image.mask is None and rule == MEDIAN and _core.has_median_network(image.window)
    if method == "network" and not network:
        raise ValueError(
            "method must be 'auto' or 'select' for this window, got 'network': there are networks for size 3, 5 and 7, "
            "whole squares, and strides that leave no row out"
        )
    if method == "select":
        return "select"
    if network:
        return "network"
    return "extremum" if image.mask is None and rule in (MINIMUM, MAXIMUM) else "select"


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
    method : {"auto", "network", "select"}, default "auto"
        How it is computed; every method gives the same bits. ``"network"`` runs the pixels of many windows through
        minima and maxima: for squares of size 3, 5 and 7. ``"select"`` selects in every window, by introselect or,
        where pixels have few bits, by bisection over them: for any window. ``"auto"`` takes the network where there is
        one.
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

    Networks after Batcher, "Sorting networks and their applications", AFIPS 32 (1968) and Adams, "Fast median filters
    using separable sorting networks", ACM Transactions on Graphics 40 (2021). Selection after Hoare, "Algorithm 65:
    Find", CACM 4 (1961) and Musser, "Introspective sorting and selection algorithms", Software: Practice and Experience
    27 (1997), without branches on the data.

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
    window = _order_window(image, size, footprint, axes, stride, padding, mode, cval, origin, nan)
    choice(method, "method", ("auto", "network", "select"))
    wanted = Result(single_out(out), dtype, casting, workers)
    return _order_filter("median_filter", window, MEDIAN, nan, wanted, method)


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
    method: Literal["auto", "select"] = "auto",
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

    Selection after Hoare, "Algorithm 65: Find", CACM 4 (1961) and Musser, "Introspective sorting and selection
    algorithms", Software: Practice and Experience 27 (1997), without branches on the data.

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels as ik
    >>> image = np.array([[3, 1, 2, 9]], dtype=np.uint8)
    >>> ik.rank_filter(image, -2, size=(1, 3))
    array([[3, 2, 2, 9]], dtype=uint8)
    """
    window = _order_window(image, size, footprint, axes, stride, padding, mode, cval, origin, nan)
    choice(method, "method", ("auto", "select"))
    rule = _rank_rule(rank, window.values, nan)
    wanted = Result(single_out(out), dtype, casting, workers)
    return _order_filter("rank_filter", window, rule, nan, wanted, method)


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
    method: Literal["auto", "select"] = "auto",
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

    Selection after Hoare, "Algorithm 65: Find", CACM 4 (1961) and Musser, "Introspective sorting and selection
    algorithms", Software: Practice and Experience 27 (1997), without branches on the data.

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels as ik
    >>> image = np.array([[3, 1, 2, 9]], dtype=np.uint8)
    >>> ik.percentile_filter(image, 25, size=(1, 3))
    array([[1, 1, 1, 2]], dtype=uint8)
    """
    window = _order_window(image, size, footprint, axes, stride, padding, mode, cval, origin, nan)
    choice(method, "method", ("auto", "select"))
    rule = (None, _percentile(percentile))
    wanted = Result(single_out(out), dtype, casting, workers)
    return _order_filter("percentile_filter", window, rule, nan, wanted, method)


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
    window = _order_window(image, size, footprint, axes, stride, padding, mode, cval, origin, nan)
    return _order_filter("minimum_filter", window, MINIMUM, nan, Result(single_out(out), dtype, casting, workers))


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
    window = _order_window(image, size, footprint, axes, stride, padding, mode, cval, origin, nan)
    return _order_filter("maximum_filter", window, MAXIMUM, nan, Result(single_out(out), dtype, casting, workers))


def _rank_rule(rank: Any, values: int, nan: Nan) -> Rule:
    if isinstance(rank, (bool, np.bool_)) or not hasattr(rank, "__index__") or np.ndim(rank) > 0:
        raise TypeError(f"rank must be an int, got {rank!r}")
    number = operator.index(rank)
    if not -values <= number < values:
        raise ValueError(f"rank must lie between {-values} and {values - 1} for {values} values, got {rank}")
    if nan == "omit" and number not in (0, -1):
        raise ValueError(f"rank must be 0 or -1 with nan='omit', where the number of values varies, got {rank}")
    number %= values
    return MINIMUM if number == 0 else MAXIMUM if number == values - 1 else (number, 0.0)


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
    Floats are summed in float64, in a tree over the window's own pixels: nothing drifts along a row, and a NaN or
    an infinity stays in its windows. The cost grows with the logarithm of the size.

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
    pixels, places = as_image(image, axes, "image")
    refuse_bool("image", pixels.dtype)
    window, extents = window_plan(pixels, size, stride=stride, padding=padding, mode=mode, origin=origin)
    native = pixels.dtype.newbyteorder("=")
    fill = fill_element(cval, native)
    threads = resolve_workers(workers)
    mean = flag(normalize, "normalize")
    computed = native if mean else _sum_dtype(native)

    def compute(target: Array) -> None:
        _core.box_blur(pixels, windows_last(target, places), window, mean, fill, threads)

    result = computed if dtype is None else result_dtype(dtype, NUMBERS, "box_blur")
    shape = result_shape(pixels.shape[:-2], extents, places)
    return deliver(
        compute, Delivery(shape, computed, result, single_out(out), casting, (pixels,), threads, rounds=True)
    )


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
    sigmas = real_pair(sigma, "sigma", least=0.0)
    cut = real_pair(truncate, "truncate", least=0.0, single=True)[0]
    column, row = (_gaussian_weights(deviation, cut).astype(loop) for deviation in sigmas)
    return correlate_separable(
        pixels,
        column,
        row,
        stride=stride,
        padding=padding,
        mode=mode,
        cval=cval,
        out=out,
        axes=axes,
        dtype=dtype,
        casting=casting,
        workers=workers,
    )


def _gaussian_weights(sigma: float, truncate: float) -> Array:
    if sigma == 0:
        return np.ones(1)
    reach = truncate * sigma + 0.5
    if reach > LARGEST // 2:
        raise ValueError(f"sigma and truncate must keep the window within {LARGEST} pixels, got {sigma} and {truncate}")
    positions = np.arange(-int(reach), int(reach) + 1)
    # In units of sigma: the square of a tiny sigma would be 0.
    weights = np.exp(-0.5 * (positions / sigma) ** 2)
    return weights / math.fsum(weights)
