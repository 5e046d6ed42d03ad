"""Weighted sums: correlation and convolution with given kernels, and convolution as neural networks learn it."""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from imkernels import _core
from imkernels._arguments import (
    LARGEST,
    LARGEST_EXTENT,
    Array,
    Axes,
    Casting,
    Ending,
    Group,
    IntOrPair,
    ModeOrPair,
    Padding,
    Pair,
    Pairs,
    Result,
    array_key,
    array_of,
    as_array,
    as_image,
    check_casting,
    check_taps,
    choice,
    converted,
    core_axes,
    deliver,
    ints,
    outputs_along,
    pads,
    pair,
    remembered_by_groups,
    result_dtype,
    result_shape,
    shape_with_last,
    single_out,
    spread,
    window_plan,
    windows_last,
)
from imkernels._dtypes import (
    CONVOLUTION,
    CONVOLUTION_BACKWARD,
    FLOATS,
    NUMBERS,
    SEPARABLE_SUM,
    SUM,
    Dtype,
)
from imkernels._plans import Plan, carry_out
from imkernels._ufunc import KernelFunction, kernel_function
from imkernels.settings import resolve_workers

_INT32 = np.dtype(np.int32)
_INT64 = np.dtype(np.int64)
_SUM_TYPES = {loop[-1] for loop in SUM.types}
_COMPUTE: dict[str, Callable[..., None]] = {
    "direct": _core.correlate,
    "separable": _core.correlate_separable,
    "fft": _core.correlate_fft,
}
_METHODS = ("auto", *_COMPUTE)


class Geometry(NamedTuple):
    """The keywords that place a kernel on an image."""

    stride: Any
    dilation: Any
    padding: Any
    mode: Any
    origin: Any
    cval: Any = 0.0


@kernel_function("(h,w),(k,l)->(p,q)", SUM)
def correlate(
    image: ArrayLike,
    kernel: ArrayLike,
    *,
    stride: IntOrPair = 1,
    dilation: IntOrPair = 1,
    padding: Padding = "same",
    mode: ModeOrPair = "reflect",
    cval: float = 0.0,
    origin: IntOrPair = 0,
    method: str = "auto",
    out: Array | None = None,
    axes: Axes = None,
    dtype: DTypeLike | None = None,
    casting: Casting = "same_kind",
    workers: int | None = None,
) -> Array:
    """Correlate images with kernels: every pixel becomes the weighted sum of a window around it.

    The kernel is not flipped: at stride and dilation 1, ``out[y, x]`` is the sum of
    ``kernel[i, j] * image[y + i - K // 2, x + j - L // 2]``.

    Parameters
    ----------
    {{image}}
    kernel : array_like, shape (..., K, L)
        The weights. Its leading axes broadcast with those of the image.
    {{stride}}
    {{dilation}}
    {{padding}}
    {{mode}}
    {{origin}}
    {{correlation_method}}
    {{out}}
    {{axes}}
    dtype : dtype, optional
        The dtype of the result. A wider one is computed in; results that a narrower one cannot hold are rounded half to
        even and saturated.
    {{casting}}

    Returns
    -------
    ndarray, shape (..., P, Q)
        The sums. ``P = ceil(H / stride)`` for ``padding="same"``, else ``(H + top + bottom - dilation * (K - 1) - 1) //
        stride + 1``; Q likewise.

    Raises
    ------
    {{window_errors}}

    Notes
    -----
    {{dtypes}}

    {{nan_stays}}

    Integers are exact: int32 results are refused where ``sum(abs(kernel))`` times the largest magnitude of the image's
    dtype can pass 2**31 (``dtype=numpy.int64`` is the way out).

    {{correlation_notes}}

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels as ik
    >>> image = np.array([[1, 2, 4, 8]], dtype=np.uint8)
    >>> ik.correlate(image, np.array([[-1, 0, 1]], dtype=np.int8))
    array([[1, 3, 6, 4]], dtype=int32)
    """
    pixels = as_array(image, "image")
    weights = _kernel(kernel, "kernel", 2)
    geometry = Geometry(stride, dilation, padding, mode, origin, cval)
    wanted = Result(out, dtype, casting, workers)
    return correlated(correlate, pixels, axes, weights, geometry, method, wanted)


@kernel_function("(h,w),(k,l)->(p,q)", SUM)
def convolve(
    image: ArrayLike,
    kernel: ArrayLike,
    *,
    stride: IntOrPair = 1,
    dilation: IntOrPair = 1,
    padding: Padding = "same",
    mode: ModeOrPair = "reflect",
    cval: float = 0.0,
    origin: IntOrPair = 0,
    method: str = "auto",
    out: Array | None = None,
    axes: Axes = None,
    dtype: DTypeLike | None = None,
    casting: Casting = "same_kind",
    workers: int | None = None,
) -> Array:
    """Convolve images with kernels: correlation with the kernel turned round on both axes.

    At stride and dilation 1, ``out[y, x]`` is the sum of
    ``kernel[K - 1 - i, L - 1 - j] * image[y + i - K // 2, x + j - L // 2]``.

    Parameters
    ----------
    {{image}}
    kernel : array_like, shape (..., K, L)
        The weights. Its leading axes broadcast with those of the image.
    {{stride}}
    {{dilation}}
    {{padding}}
    {{mode}}
    {{origin}}
    {{correlation_method}}
    {{out}}
    {{axes}}
    dtype : dtype, optional
        The dtype of the result. A wider one is computed in; results that a narrower one cannot hold are rounded half to
        even and saturated.
    {{casting}}

    Returns
    -------
    ndarray, shape (..., P, Q)
        The sums. ``P = ceil(H / stride)`` for ``padding="same"``, else ``(H + top + bottom - dilation * (K - 1) - 1) //
        stride + 1``; Q likewise.

    Raises
    ------
    {{window_errors}}

    Notes
    -----
    {{dtypes}}

    {{nan_stays}}

    The anchor is that of `correlate`: the window of an even kernel reaches one pixel further up and left. So the result
    is that of `numpy.convolve` and of `scipy.signal.convolve` in mode "same", and for even kernels one pixel off
    `scipy.ndimage.convolve`, which turns the anchor round as well.

    {{correlation_notes}}

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels as ik
    >>> image = np.array([[0, 0, 1, 0, 0]], dtype=np.uint8)
    >>> ik.convolve(image, np.array([[1, 2, 3]], dtype=np.int8))
    array([[0, 1, 2, 3, 0]], dtype=int32)
    """
    pixels = as_array(image, "image")
    weights = _kernel(kernel, "kernel", 2)[..., ::-1, ::-1]
    geometry = Geometry(stride, dilation, padding, mode, origin, cval)
    wanted = Result(out, dtype, casting, workers)
    return correlated(convolve, pixels, axes, weights, geometry, method, wanted)


@kernel_function("(h,w),(k),(l)->(p,q)", SEPARABLE_SUM)
def correlate_separable(
    image: ArrayLike,
    column: ArrayLike,
    row: ArrayLike,
    *,
    stride: IntOrPair = 1,
    dilation: IntOrPair = 1,
    padding: Padding = "same",
    mode: ModeOrPair = "reflect",
    cval: float = 0.0,
    origin: IntOrPair = 0,
    out: Array | None = None,
    axes: Axes = None,
    dtype: DTypeLike | None = None,
    casting: Casting = "same_kind",
    workers: int | None = None,
) -> Array:
    """Correlate images with kernels that are outer products: first down the columns, then along the rows.

    The result is that of `correlate` with ``kernel[i, j] = column[i] * row[j]``, at K + L multiplications per pixel in
    place of K * L.

    Parameters
    ----------
    {{image}}
    column : array_like, shape (..., K)
        The weights along the first window axis, from the top down. Leading axes broadcast with those of the image.
    row : array_like, shape (..., L)
        The weights along the second window axis.
    {{stride}}
    {{dilation}}
    {{padding}}
    {{mode}}
    {{origin}}
    {{out}}
    {{axes}}
    dtype : dtype, optional
        The dtype of the result. A wider one is computed in; results that a narrower one cannot hold are rounded half to
        even and saturated.
    {{casting}}

    Returns
    -------
    ndarray, shape (..., P, Q)
        The sums, of the extents of `correlate`.

    Raises
    ------
    {{window_errors}}

    Notes
    -----
    {{dtypes}}

    {{nan_stays}}

    Floats are rounded between the two steps. The bound for int32 is that of `correlate`: ``sum(abs(column)) *
    sum(abs(row))`` times the largest magnitude of the image's dtype.

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels as ik
    >>> image = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], dtype=np.uint8)
    >>> ik.correlate_separable(image, np.array([1, 2, 1], np.int8), np.array([-1, 0, 1], np.int8))
    array([[ 1,  0, -1],
           [ 2,  0, -2],
           [ 1,  0, -1]], dtype=int32)
    """
    geometry = Geometry(stride, dilation, padding, mode, origin, cval)
    wanted = Result(out, dtype, casting, workers)
    return separable(correlate_separable, image, axes, (column, row), geometry, wanted, "column and row")


def separable(
    function: KernelFunction[Any, Any],
    image: ArrayLike,
    axes: Axes,
    factors: tuple[ArrayLike, ArrayLike],
    geometry: Geometry,
    wanted: Result,
    name: str,
) -> Array:
    """Correlate with the outer product of a column and a row; `name` is what errors call them."""
    pixels = as_array(image, "image")
    down, across = _kernel(factors[0], "column", 1), _kernel(factors[1], "row", 1)
    weights = array_key(down), array_key(across)
    asked = wanted.dtype, wanted.casting, wanted.ending.delta
    names = function.__name__, name
    plan = _separable_plan(names, (pixels.dtype, *pixels.shape), *weights, (axes, *geometry[:-1]), asked)
    ending = _ending(wanted.ending, plan.working)
    return carry_out(plan, (pixels, down, across), geometry.cval, wanted.out, wanted.workers, ending)


@remembered_by_groups
def _separable_plan(names: Group, image: Group, column: Group, row: Group, place: Group, asked: Group) -> Plan:
    """Plan a correlation with the outer product of a column and a row.

    Parameters
    ----------
    names : tuple
        What errors call the function and the weights.
    image : tuple
        The dtype and the shape.
    column, row : tuple
        Their `array_key`.
    place : tuple
        The axes and a `Geometry` without the value outside.
    asked : tuple
        The keywords `dtype` and `casting`, and what is added to sums.
    """
    function, name = names
    pixels, shape = image[0], image[1:]
    axes, *geometry = place
    dtype, casting, delta = asked
    places = core_axes(shape, axes, "image")
    planes = shape_with_last(shape, places)
    down, across = array_of(*column), array_of(*row)
    window, extents = _window(planes, (down.shape[-1], across.shape[-1]), Geometry(*geometry), name)
    own = correlate_separable.loop((pixels, down.dtype, across.dtype))[-1]
    loop = _loop_dtype(own, dtype, function)
    working = _working_dtype(loop, pixels, _magnitude(down, 1) * _magnitude(across, 1), name, abs(delta))
    down, across = down[..., :, None], across[..., None, :]
    leading = _broadcast(planes, down.shape, across.shape, names="image, column and row")
    weights = tuple(spread(converted(factor, working), leading) for factor in (down, across))
    check_casting(casting)
    result = loop if dtype is None else result_dtype(dtype, NUMBERS, function)
    goods = result_shape(leading, extents, places), loop, result, casting, True
    return Plan(places, leading, pixels, working, *goods, _core.correlate_separable, weights, (window,))


def _ending(ending: Ending, working: Dtype) -> tuple[Array | None, bool]:
    """Return what the compiled correlations take at last."""
    return None if ending.delta == 0 else _element(ending.delta, working), ending.toward_zero


@functools.lru_cache(maxsize=256)
def _element(value: float, dtype: Dtype) -> Array:
    return converted(np.full((1, 1), value), dtype)


# Given kernels


def _kernel(kernel: ArrayLike, name: str, count: int) -> Array:
    weights = as_array(kernel, name)
    if weights.ndim < count or 0 in weights.shape[-count:]:
        axes = "an axis that is" if count == 1 else "two axes that are"
        raise ValueError(f"{name} must have {axes} not empty, got shape {weights.shape}")
    return weights


def _broadcast(*shapes: tuple[int, ...], names: str) -> tuple[int, ...]:
    """Return what the leading axes of arrays broadcast to."""
    try:
        return np.broadcast_shapes(*(shape[:-2] for shape in shapes))
    except ValueError:
        found = " and ".join(map(str, shapes))
        raise ValueError(f"{names} must broadcast over their leading axes, got shapes {found}") from None


def _window(shape: tuple[int, ...], size: Pair, geometry: Geometry, name: str) -> tuple[_core.Window, Pair]:
    """Return the window of a kernel, and the extents of the result."""
    height, width = size
    return window_plan(
        shape,
        height if height == width else (height, width),
        stride=geometry.stride,
        dilation=geometry.dilation,
        padding=geometry.padding,
        mode=geometry.mode,
        origin=geometry.origin,
        name=name,
    )


class Correlation(NamedTuple):
    """What is decided of a correlation before a pixel is looked at."""

    window: _core.Window
    extents: Pair
    leading: tuple[int, ...]
    loop: Dtype  # of the sums
    working: Dtype  # in which they are computed
    method: str
    parts: tuple[Array, ...]  # what the method takes in place of kernels


def plan_correlation(
    function: KernelFunction[Any, Any],
    image: Dtype,
    shape: tuple[int, ...],
    weights: Array,
    geometry: Geometry,
    method: str,
    dtype: DTypeLike | None,
    ending: Ending = Ending(),  # noqa: B008  # a tuple
) -> Correlation:
    """Decide how `function`, a correlation, is computed on images of these dtype and shape."""
    choice(method, "method", _METHODS)
    window, extents = _window(shape, weights.shape[-2:], geometry, "kernel")
    loop = _loop_dtype(function.loop((image, weights.dtype))[-1], dtype, function.__name__)
    working = _working_dtype(loop, image, _magnitude(weights, 2), "kernel", abs(ending.delta))
    leading = _broadcast(shape, weights.shape, names="image and kernel")
    if method == "auto" and ending.toward_zero and working.kind == "f":
        method = "direct"  # others may leave a whole sum a little smaller
    chosen, parts = _method(method, window, extents, converted(weights, working), leading)
    return Correlation(window, extents, leading, loop, working, chosen, parts)


def correlated(
    function: KernelFunction[Any, Any],
    pixels: Array,
    axes: Axes,
    weights: Array,
    geometry: Geometry,
    method: str,
    wanted: Result,
) -> Array:
    """Correlate with kernels; what `function`, a correlation, is called stands in errors."""
    kernel = array_key(weights)
    asked = method, wanted.dtype, wanted.casting, wanted.ending.delta, wanted.ending.toward_zero
    names = (function.__name__,)
    plan = _correlation_plan(names, (pixels.dtype, *pixels.shape), kernel, (axes, *geometry[:-1]), asked)
    ending = _ending(wanted.ending, plan.working)
    return carry_out(plan, (pixels, weights), geometry.cval, wanted.out, wanted.workers, ending)


@remembered_by_groups
def _correlation_plan(names: Group, image: Group, kernel: Group, place: Group, asked: Group) -> Plan:
    """Plan a correlation with a kernel.

    Parameters
    ----------
    names : tuple
        What errors call the function.
    image : tuple
        The dtype and the shape.
    kernel : tuple
        Its `array_key`.
    place : tuple
        The axes and a `Geometry` without the value outside.
    asked : tuple
        The keywords `method`, `dtype` and `casting`, and of an `Ending` the first two.
    """
    (name,) = names
    pixels, shape = image[0], image[1:]
    axes, *geometry = place
    method, dtype, casting, *ending = asked
    places = core_axes(shape, axes, "image")
    planes = shape_with_last(shape, places)
    weights = array_of(*kernel)
    function = convolve if name == "convolve" else correlate
    chosen = plan_correlation(function, pixels, planes, weights, Geometry(*geometry), method, dtype, Ending(*ending))
    check_casting(casting)
    result = chosen.loop if dtype is None else result_dtype(dtype, NUMBERS, name)
    leading, parts = chosen.leading, tuple(spread(part, chosen.leading) for part in chosen.parts)
    goods = result_shape(leading, chosen.extents, places), chosen.loop, result, casting, True
    compute = _COMPUTE[chosen.method]
    return Plan(places, leading, pixels, chosen.working, *goods, compute, parts, (chosen.window,))


def _method(
    method: str, window: _core.Window, extents: Pair, weights: Array, leading: tuple[int, ...]
) -> tuple[str, tuple[Array, ...]]:
    """Return the method to use, and what it takes in place of kernels of the dtype that is computed in."""
    results = math.prod((*leading, *extents)) / max(1, math.prod(weights.shape[:-2]))  # of a kernel
    if method == "separable" or (method == "auto" and _core.separable_is_faster(window, results)):
        factors = _rank_one_factors(weights)
        if factors is not None:
            return "separable", factors
        if method == "separable":
            raise ValueError(
                "method 'separable' needs a kernel that is the outer product of a column and a row, of whole numbers "
                f"if the kernel is, got a kernel of shape {weights.shape} that is none"
            )
    if method == "fft":
        if weights.dtype == _INT64:
            raise ValueError("method 'fft' computes floats and sums below 2**31, got integers that may be larger")
        if not _core.has_fft(window):
            raise ValueError(
                "method 'fft' needs a kernel that reaches over at most 1024 pixels, dilation included, "
                f"got a kernel of shape {weights.shape}"
            )
        return "fft", (weights,)
    if method == "auto" and weights.dtype != _INT64 and _core.fft_is_faster(window, *extents, weights.itemsize):
        return "fft", (weights,)
    return "direct", (weights,)


def _rank_one_factors(weights: Array) -> tuple[Array, Array] | None:
    """Return columns (..., K, 1) and rows (..., 1, L) whose products are the kernels, or None if one has none.

    Parameters
    ----------
    weights : ndarray, shape (..., K, L)
        Kernels of one of the dtypes that are computed in.
    """
    if weights.size == 0 or not np.isfinite(weights).all():
        return None
    exact = weights.dtype.kind == "i" or bool((weights == np.rint(weights)).all() and np.abs(weights).max() < 2**53)
    flat = weights.reshape(-1, *weights.shape[-2:])
    columns = np.empty((len(flat), flat.shape[-2], 1), weights.dtype)
    rows = np.empty((len(flat), 1, flat.shape[-1]), weights.dtype)
    for number, kernel in enumerate(flat):
        column, row = _whole_factors(kernel.astype(np.int64)) if exact else _cross_factors(kernel)
        product = column * row
        if exact and not (product == kernel).all():
            return None
        # The three weights that a product is made of, the quotient and the weight itself are rounded: 5 * eps / 2.
        if not exact and not (np.abs(product - kernel) <= 3 * np.finfo(kernel.dtype).eps * np.abs(kernel)).all():
            return None
        columns[number], rows[number] = column, row
    leading = weights.shape[:-2]
    return columns.reshape(*leading, -1, 1), rows.reshape(*leading, 1, -1)


def _cross(kernel: Array) -> tuple[Array, Array, Any]:
    """Return the column and the row that cross at the weight of largest magnitude, and that weight."""
    i, j = np.unravel_index(np.argmax(np.abs(kernel)), kernel.shape)
    return kernel[:, j, None], kernel[None, i], kernel[i, j]


def _cross_factors(kernel: Array) -> tuple[Array, Array]:
    column, row, pivot = _cross(kernel)
    return column / pivot, row


def _whole_factors(kernel: Array) -> tuple[Array, Array]:
    """Return whole numbers: where the rank is 1, every row is a multiple of the pivot's divided by what it shares."""
    column, row, pivot = _cross(kernel)
    if pivot == 0:
        return column, row
    shared = np.gcd.reduce(row, axis=None)
    return column // (pivot // shared), row // shared


def _loop_dtype(own: Dtype, dtype: DTypeLike | None, name: str) -> Dtype:
    """Return the dtype of the sums: `dtype` if there is a loop for it and it is wider than their own."""
    if dtype is None:
        return own
    wanted = result_dtype(dtype, NUMBERS, name)
    # Wider is what holds every value of the own sums: int32 ones are not computed in float32.
    return wanted if np.can_cast(own, wanted, "safe") and wanted.char in _SUM_TYPES else own


def _working_dtype(loop: Dtype, image: Dtype, magnitude: float, name: str, offset: float = 0.0) -> Dtype:
    """Return the dtype to compute in: int32 for integers whose sums fit, float32 for float16.

    `magnitude` is the sum of the magnitudes of the weights, the largest one where there are several kernels; `offset`
    that of what is added to the sums.
    """
    if loop.kind == "f":
        return np.dtype(np.float32) if loop == np.float16 else loop
    limits = np.iinfo(image)
    largest = int(magnitude) * max(-int(limits.min), int(limits.max)) + int(offset)
    fits = image.itemsize <= 2 and largest < 2**31
    if loop == _INT32 and not fits:
        names, bias = (name, "") if offset == 0 else (f"{name} and bias", "abs(bias) + ")
        raise ValueError(
            f"{names} must keep {bias}sum(abs({name})) times the image's largest magnitude below 2**31, "
            f"got {largest}; dtype=numpy.int64 computes it"
        )
    return _INT32 if fits else _INT64


def _magnitude(weights: Array, count: int) -> float:
    """Return the largest sum of magnitudes over the last `count` axes; 0 for floats, which have no bound."""
    if weights.size == 0 or weights.dtype.kind == "f":
        return 0.0
    axes = tuple(range(-count, 0))
    return float(np.abs(weights.astype(np.float64)).sum(axis=axes).max())


# Convolution as neural networks learn it


class Layer(NamedTuple):
    """The geometry of a convolution over channels."""

    sizes: Pair
    strides: Pair
    dilations: Pair
    around: Pairs
    groups: int

    def outputs(self, extent: Pair, name: str) -> Pair:
        """Return the extents of the forward result for images of `extent`."""
        rows, columns = (
            outputs_along(axis, pixels, self.around[axis], size, stride, dilation, name)
            for axis, (pixels, size, stride, dilation) in enumerate(
                zip(extent, self.sizes, self.strides, self.dilations, strict=True)
            )
        )
        return rows, columns

    def window(self) -> _core.Window:
        """Return the window of the forward direction."""
        before = (self.around[0][0], self.around[1][0])
        return _core.Window(self.sizes, self.strides, self.dilations, before, ("constant", "constant"))


def _layer(shape: tuple[int, ...], stride: Any, padding: Any, dilation: Any, groups: Any, name: str) -> Layer:
    """Return the geometry for weights of `shape`."""
    height, width = shape[-2:]
    strides, dilations = pair(stride, "stride", 1), pair(dilation, "dilation", 1)
    check_taps((height, width), shape, name)
    reach = max(d * (k - 1) + 1 for k, d in zip((height, width), dilations, strict=True))
    if reach > LARGEST:
        raise ValueError(
            f"{name} and dilation must keep the window within {LARGEST} pixels, got shape {shape} and {dilation!r}"
        )
    if isinstance(groups, (bool, np.bool_)) or not hasattr(groups, "__index__") or np.ndim(groups) > 0:
        raise TypeError(f"groups must be an int, got {groups!r}")
    number = int(groups)
    if number < 1:
        raise ValueError(f"groups must be at least 1, got {groups}")
    if shape[0] % number != 0:
        raise ValueError(f"groups must divide the {shape[0]} channels that {name} comes first with, got {groups}")
    return Layer((height, width), strides, dilations, pads(padding, (height, width), dilations, (0, 0)), number)


def _weights(weight: ArrayLike, name: str = "weight") -> Array:
    weights = as_array(weight, name)
    if weights.ndim != 4 or 0 in weights.shape[-2:]:
        raise ValueError(f"{name} must have shape (channels, channels, kernel height, width), got {weights.shape}")
    return weights


def _check_channels(found: int, wanted: int, name: str, weights: tuple[int, ...], groups: int) -> None:
    if found != wanted:
        raise ValueError(
            f"{name} must have {wanted} channels for weights of shape {weights} and groups={groups}, got {found}"
        )


def _bias(bias: ArrayLike, channels: int, loop: Dtype) -> Array:
    """Return the bias as an array if it fits."""
    values = as_array(bias, "bias")
    if values.shape != (channels,):
        raise ValueError(f"bias must have shape ({channels},), one number per output channel, got {values.shape}")
    if not np.can_cast(values.dtype, loop, "same_kind") or (loop.kind == "i" and values.dtype == np.uint64):
        raise TypeError(f"bias must be cast to {loop} by casting='same_kind', got dtype {values.dtype}")
    return values


@kernel_function("(c,h,w),(o,d,k,l)->(o,p,q)", CONVOLUTION)
def conv2d(
    x: ArrayLike,
    weight: ArrayLike,
    *,
    bias: ArrayLike | None = None,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    out: Array | None = None,
    axes: Axes = None,
    dtype: DTypeLike | None = None,
    casting: Casting = "same_kind",
    workers: int | None = None,
) -> Array:
    """Convolve images of several channels with learned weights, as neural networks do.

    ``out[o, y, x] = bias[o] + sum(weight[o, c, i, j] * x[c, y * stride + i * dilation - top, ...])`` over the channels
    c of o's group and the taps i and j; the weights are not turned round.

    Parameters
    ----------
    x : array_like, shape (..., C, H, W)
        The images; all axes before the channels loop.
    weight : array_like, shape (O, C / groups, K, L)
        The weights.
    bias : array_like, shape (O,), optional
        What is added to every pixel of an output channel.
    stride : int or pair of ints, default 1
        Pixels that the window moves from one output to the next.
    {{zero_padding}}
    {{dilation}}
    {{groups}}
    {{out}}
    {{channel_axes}}
    dtype : dtype, optional
        The dtype of the result. A wider one is computed in; results that a narrower one cannot hold are rounded half to
        even and saturated.
    {{casting}}

    Returns
    -------
    ndarray, shape (..., O, P, Q)
        The sums: ``P = (H + top + bottom - dilation * (K - 1) - 1) // stride + 1``; Q likewise.

    Raises
    ------
    {{window_errors}}

    Notes
    -----
    {{dtypes}}

    {{nan_stays}}

    The bias takes part in the last dtype and does not choose it. The weights are packed in every call; no buffer grows
    with the size of the image.

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels as ik
    >>> x = np.arange(8.0).reshape(2, 2, 2)
    >>> ik.conv2d(x, np.ones((1, 2, 2, 2)), bias=[0.5])
    array([[[28.5]]])
    """
    images, places = as_image(x, axes, "x", 3)
    weights = _weights(weight)
    layer = _layer(weights.shape, stride, padding, dilation, groups, "weight")
    _check_channels(images.shape[-3], weights.shape[1] * layer.groups, "x", weights.shape, layer.groups)
    extents = layer.outputs(images.shape[-2:], "weight")
    loop = _loop_dtype(conv2d.loop((images.dtype, weights.dtype))[-1], dtype, "conv2d")
    working, start = _arithmetic(loop, images.dtype, _magnitude(weights, 3), bias, weights.shape[0])
    bank = converted(weights, working)
    window = layer.window()
    threads = resolve_workers(workers)

    def compute(target: Array) -> None:
        _core.conv2d(images, bank, start, windows_last(target, places), window, layer.groups, threads)

    result = loop if dtype is None else result_dtype(dtype, NUMBERS, "conv2d")
    shape = result_shape(images.shape[:-3], (weights.shape[0], *extents), places)
    inputs = (images, weights)
    return deliver(compute, shape, loop, result, single_out(out), casting, inputs, threads, rounds=True)


def _arithmetic(
    loop: Dtype, image: Dtype, magnitude: float, bias: ArrayLike | None, channels: int
) -> tuple[Dtype, Array | None]:
    """Return the dtype to compute in and the bias in it; `magnitude` is that of the weights of an output."""
    if bias is None:
        return _working_dtype(loop, image, magnitude, "weight"), None
    values = _bias(bias, channels, loop)
    working = _working_dtype(loop, image, magnitude, "weight", _magnitude(values[:, None], 1))
    return working, np.array(converted(values[None], working)[0])  # a copy: `out` may overlap it


def _shape(value: Any, name: str, count: int | None = None) -> tuple[int, ...]:
    """Return a whole shape, of `count` axes unless that is None."""
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"{name} must be a shape, a tuple of ints, got {value!r}")
    number = "" if count is None else f"{count} "
    shape = ints(value, len(value) if count is None else count, f"{name} must be a shape, a tuple of {number}ints")
    if not all(0 <= extent <= LARGEST_EXTENT for extent in shape):
        raise ValueError(f"{name} must hold extents from 0 to {LARGEST_EXTENT}, got {value!r}")
    return shape


@kernel_function("(o,p,q),(o,d,k,l)->(c,h,w)", CONVOLUTION_BACKWARD)
def conv2d_backward_input(
    grad: ArrayLike,
    weight: ArrayLike,
    input_shape: Sequence[int],
    *,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    out: Array | None = None,
    axes: Axes = None,
    dtype: DTypeLike | None = None,
    casting: Casting = "same_kind",
    workers: int | None = None,
) -> Array:
    """Give the gradient of `conv2d` with respect to its images.

    Parameters
    ----------
    grad : array_like, shape (..., O, P, Q)
        The gradient with respect to the result of `conv2d`.
    weight : array_like, shape (O, C / groups, K, L)
        The weights.
    input_shape : tuple of ints
        The whole shape of the images, ``x.shape``.
    stride : int or pair of ints, default 1
        Pixels that the window moves from one output to the next.
    {{zero_padding}}
    {{dilation}}
    {{groups}}
    {{out}}
    {{channel_axes}}
    dtype : dtype, optional
        The dtype of the result, the gradient's by default.
    {{casting}}

    Returns
    -------
    ndarray of shape `input_shape`
        The gradient.

    Raises
    ------
    {{window_errors}}

    Notes
    -----
    {{dtypes}}

    {{nan_stays}}

    Pixels of one place within the stride see the same taps: they are computed together, as a convolution of the
    gradient with those taps, and no zeros are multiplied.

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels as ik
    >>> ik.conv2d_backward_input(np.ones((1, 1, 1)), np.arange(4.0).reshape(1, 1, 2, 2), (1, 2, 2))
    array([[[0., 1.],
            [2., 3.]]])
    """
    gradient, places = as_image(grad, axes, "grad", 3)
    weights = _weights(weight)
    layer = _layer(weights.shape, stride, padding, dilation, groups, "weight")
    _check_channels(gradient.shape[-3], weights.shape[0], "grad", weights.shape, layer.groups)
    shape = _shape(input_shape, "input_shape", gradient.ndim)
    last = shape_with_last(shape, places)
    _check_channels(last[-3], weights.shape[1] * layer.groups, "input_shape", weights.shape, layer.groups)
    _check_gradient(gradient, last, layer, "input_shape")
    loop = conv2d_backward_input.loop((gradient.dtype, weights.dtype))
    wanted = Result(single_out(out), dtype, casting, workers)

    def compute(target: Array, working: Dtype, threads: int) -> None:
        _transposed(gradient, converted(weights, working), None, windows_last(target, places), layer, threads)

    return _backward(conv2d_backward_input, loop, shape, (gradient, weights), wanted, compute)


def _check_gradient(gradient: Array, images: tuple[int, ...], layer: Layer, name: str) -> None:
    """Raise unless `gradient` has the shape of the forward result for `images`, but for its channels."""
    extents = layer.outputs((images[-2], images[-1]), "weight" if name == "input_shape" else "weight_shape")
    if gradient.shape[-2:] != extents or gradient.shape[:-3] != images[:-3]:
        raise ValueError(
            f"grad must have the shape of the result, {(*images[:-3], gradient.shape[-3], *extents)} for "
            f"{name} {images}, got {gradient.shape}"
        )


def _backward(
    function: KernelFunction[Any, Any],
    loop: tuple[Dtype, ...],
    shape: tuple[int, ...],
    inputs: tuple[Array, Array],
    wanted: Result,
    compute: Callable[[Array, Dtype, int], None],
) -> Array:
    """Deliver a gradient: computed in the widest dtype of the inputs and of the result, at least in float32."""
    result = loop[-1] if wanted.dtype is None else result_dtype(wanted.dtype, FLOATS, function.__name__)
    working = np.result_type(*loop, result, np.float32)
    threads = resolve_workers(wanted.workers)
    goods = shape, loop[-1], result, wanted.out, wanted.casting
    return deliver(lambda target: compute(target, working, threads), *goods, inputs, threads, rounds=True)


class Phase(NamedTuple):
    """Pixels ``first, first + stride, ...`` along an axis, and the taps that reach them."""

    pixels: slice
    taps: slice
    dilation: int
    before: int


def _phases(extent: int, size: int, stride: int, dilation: int, before: int) -> Iterator[Phase]:
    """Yield the phases of an axis that some tap reaches.

    Tap i of output p lies at pixel ``p * stride + i * dilation - before``. Seen from pixel ``first + stride * t`` these
    are the outputs ``t + (first + before - i * dilation) / stride`` for every tap i that makes this a whole number.
    """
    step = stride // math.gcd(stride, dilation)
    for tap in range(min(size, step)):
        first = (tap * dilation - before) % stride
        if first < extent:
            # From the last tap, which reaches the earliest output, back to the first.
            last = tap + (size - 1 - tap) // step * step
            earliest = (first + before - last * dilation) // stride
            yield Phase(slice(first, None, stride), slice(last, None, -step), dilation * step // stride, -earliest)


def _transposed(x: Array, weights: Array, bias: Array | None, target: Array, layer: Layer, threads: int) -> None:
    """Write what `weights`, laid out as for `conv2d`, send back from its outputs `x` to its images `target`."""
    groups = layer.groups
    outputs, channels, height, width = weights.shape
    # As weights of the way back: its outputs are the channels of the images.
    turned = weights.reshape(groups, outputs // groups, channels, height, width).swapaxes(1, 2)
    rows, columns = (
        list(_phases(target.shape[axis - 2], layer.sizes[axis], layer.strides[axis], layer.dilations[axis], around[0]))
        for axis, around in enumerate(layer.around)
    )
    if len(rows) < min(layer.strides[0], target.shape[-2]) or len(columns) < min(layer.strides[1], target.shape[-1]):
        target[...] = 0 if bias is None else converted(bias[None], target.dtype.newbyteorder("="))[0, :, None, None]
    for row in rows:
        for column in columns:
            taps = turned[..., row.taps, column.taps].reshape(
                groups * channels,
                outputs // groups,
                *(len(range(*part.indices(extent))) for part, extent in ((row.taps, height), (column.taps, width))),
            )
            window = _core.Window(
                taps.shape[-2:],
                (1, 1),
                (row.dilation, column.dilation),
                (row.before, column.before),
                ("constant", "constant"),
            )
            part = target[..., row.pixels, column.pixels]
            _core.conv2d(x, taps, bias, part, window, groups, threads)


@kernel_function("(o,p,q),(c,h,w)->(o,d,k,l)", CONVOLUTION_BACKWARD)
def conv2d_backward_weight(
    grad: ArrayLike,
    x: ArrayLike,
    weight_shape: Sequence[int],
    *,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    out: Array | None = None,
    axes: Axes = None,
    dtype: DTypeLike | None = None,
    casting: Casting = "same_kind",
    workers: int | None = None,
) -> Array:
    """Give the gradient of `conv2d` with respect to its weights, summed over all images.

    Parameters
    ----------
    grad : array_like, shape (..., O, P, Q)
        The gradient with respect to the result of `conv2d`.
    x : array_like, shape (..., C, H, W)
        The images.
    weight_shape : tuple of four ints
        The whole shape of the weights, ``weight.shape``.
    stride : int or pair of ints, default 1
        Pixels that the window moves from one output to the next.
    {{zero_padding}}
    {{dilation}}
    {{groups}}
    {{out}}
    {{channel_axes}}
    dtype : dtype, optional
        The dtype of the result, the gradient's by default.
    {{casting}}

    Returns
    -------
    ndarray of shape `weight_shape`
        The gradient. That of the bias is ``grad.sum(axis=(..., -2, -1))``.

    Raises
    ------
    {{window_errors}}

    Notes
    -----
    {{dtypes}}

    Products are added up in that dtype over about a thousand pixels, and those sums in float64, in an order that the
    shapes alone decide. A NaN reaches the weights that it was multiplied with.

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels as ik
    >>> ik.conv2d_backward_weight(np.ones((1, 1, 2)), np.arange(3.0).reshape(1, 1, 3), (1, 1, 1, 2))
    array([[[[1., 3.]]]])
    """
    gradient, _ = as_image(grad, axes, "grad", 3)
    images, _ = as_image(x, axes, "x", 3)
    shape = _shape(weight_shape, "weight_shape", 4)
    if 0 in shape[-2:]:
        raise ValueError(f"weight_shape must hold a kernel that is not empty, got {weight_shape!r}")
    layer = _layer(shape, stride, padding, dilation, groups, "weight_shape")
    _check_channels(images.shape[-3], shape[1] * layer.groups, "x", shape, layer.groups)
    _check_channels(gradient.shape[-3], shape[0], "grad", shape, layer.groups)
    _check_gradient(gradient, images.shape, layer, "images of shape")
    loop = conv2d_backward_weight.loop((gradient.dtype, images.dtype))
    wanted = Result(single_out(out), dtype, casting, workers)

    def compute(target: Array, working: Dtype, threads: int) -> None:
        wide = converted(gradient, working, threads)
        _core.conv2d_backward_weight(wide, images, target, layer.window(), layer.groups, threads)

    return _backward(conv2d_backward_weight, loop, shape, (gradient, images), wanted, compute)


@kernel_function("(c,h,w),(c,d,k,l)->(o,p,q)", CONVOLUTION)
def conv_transpose2d(
    x: ArrayLike,
    weight: ArrayLike,
    *,
    bias: ArrayLike | None = None,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    output_padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    out: Array | None = None,
    axes: Axes = None,
    dtype: DTypeLike | None = None,
    casting: Casting = "same_kind",
    workers: int | None = None,
) -> Array:
    """Convolve transposed: every pixel of the images is spread over a window of the result.

    This is the gradient of `conv2d` with respect to its images, used forward, for instance to enlarge images.

    Parameters
    ----------
    x : array_like, shape (..., C, H, W)
        The images; all axes before the channels loop.
    weight : array_like, shape (C, O / groups, K, L)
        The weights, as those of the `conv2d` whose way back this is.
    bias : array_like, shape (O,), optional
        What is added to every pixel of an output channel.
    stride : int or pair of ints, default 1
        Pixels of the result from the window of one pixel to that of the next.
    padding : int, pair of ints, pair of pairs, "same" or "valid", default 0
        Pixels that are cut off the result: what the `conv2d` padded.
    output_padding : int or pair of ints, default 0
        Pixels that are added to the result at the bottom and on the right; less than the stride or the dilation.
    {{dilation}}
    {{groups}}
    {{out}}
    {{channel_axes}}
    dtype : dtype, optional
        The dtype of the result. A wider one is computed in; results that a narrower one cannot hold are rounded half to
        even and saturated.
    {{casting}}

    Returns
    -------
    ndarray, shape (..., O, P, Q)
        ``P = (H - 1) * stride - top - bottom + dilation * (K - 1) + 1 + output_padding``; Q likewise.

    Raises
    ------
    {{window_errors}}

    Notes
    -----
    {{dtypes}}

    {{nan_stays}}

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels as ik
    >>> ik.conv_transpose2d(np.array([[[1.0, 2.0]]]), np.ones((1, 1, 1, 2)), stride=(1, 2))
    array([[[1., 1., 2., 2.]]])
    """
    images, places = as_image(x, axes, "x", 3)
    weights = _weights(weight)
    layer = _layer(weights.shape, stride, padding, dilation, groups, "weight")
    _check_channels(images.shape[-3], weights.shape[0], "x", weights.shape, layer.groups)
    channels = weights.shape[1] * layer.groups
    extents = _transposed_extents(images.shape[-2:], layer, padding, output_padding)
    loop = _loop_dtype(conv_transpose2d.loop((images.dtype, weights.dtype))[-1], dtype, "conv_transpose2d")
    # Each output sums over the inputs of its group.
    by_group = weights.reshape(layer.groups, weights.shape[0] // layer.groups, *weights.shape[1:])
    magnitude = _magnitude(by_group.swapaxes(1, 2), 3)
    working, start = _arithmetic(loop, images.dtype, magnitude, bias, channels)
    bank = converted(weights, working)
    threads = resolve_workers(workers)

    def compute(target: Array) -> None:
        _transposed(images, bank, start, windows_last(target, places), layer, threads)

    result = loop if dtype is None else result_dtype(dtype, NUMBERS, "conv_transpose2d")
    shape = result_shape(images.shape[:-3], (channels, *extents), places)
    inputs = (images, weights)
    return deliver(compute, shape, loop, result, single_out(out), casting, inputs, threads, rounds=True)


def _transposed_extents(extent: Pair, layer: Layer, padding: Any, output_padding: Any) -> Pair:
    added = pair(output_padding, "output_padding", 0)
    outputs = []
    for axis, pixels in enumerate(extent):
        size, stride, dilation = layer.sizes[axis], layer.strides[axis], layer.dilations[axis]
        if added[axis] >= max(stride, dilation):
            raise ValueError(
                f"output_padding must be less than stride or dilation, got {output_padding!r} for "
                f"stride {stride} and dilation {dilation}"
            )
        if pixels == 0:
            raise ValueError(f"x must have pixels along window axis {axis}, got shape (..., {extent[0]}, {extent[1]})")
        count = (pixels - 1) * stride - sum(layer.around[axis]) + dilation * (size - 1) + 1 + added[axis]
        if count < 1:
            raise ValueError(
                f"padding must leave a pixel of the result along window axis {axis}, got {padding!r} with {count} left"
            )
        outputs.append(count)
    return outputs[0], outputs[1]
