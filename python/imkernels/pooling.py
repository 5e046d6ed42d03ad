"""Pooling: maxima with their positions, averages, adaptive windows, and the ways back."""

import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

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
    Padding,
    Pair,
    Pairs,
    Places,
    Result,
    as_array,
    as_image,
    check_taps,
    converted,
    deliver,
    flag,
    outputs_along,
    pads,
    pair,
    remembered,
    result_dtype,
    result_shape,
    shares_memory,
    single_out,
    windows_last,
)
from imkernels._dtypes import (
    ALL,
    FLOATS,
    INTP,
    MAXIMUM_BACKWARD,
    MAXIMUM_WITH_POSITION,
    MEAN,
    MEAN_BACKWARD,
    NUMBERS,
    ORDER,
    UNPOOL,
    Dtype,
    refuse_bool,
)
from imkernels._ufunc import kernel_function
from imkernels.settings import resolve_workers

_INTP = np.dtype(INTP)

OutputSize = int | Sequence[int | None] | None


class Pooling(NamedTuple):
    """The geometry of pooling windows of one size."""

    window: _core.Window
    outputs: Pair
    around: Pairs


# Maxima


@kernel_function("(h,w)->(p,q)", ORDER)
def max_pool(
    image: ArrayLike,
    size: IntOrPair,
    *,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
    out: Array | None = None,
    axes: Axes = None,
    dtype: DTypeLike | None = None,
    casting: Casting = "same_kind",
    workers: int | None = None,
) -> Array:
    """Take the maximum of every window.

    Parameters
    ----------
    {{image}}
    {{window_size}}
    {{pool_stride}}
    {{pool_padding}}
    {{dilation}}
    {{ceil_mode}}
    {{out}}
    {{axes}}
    {{same_dtype}}
    {{casting}}

    Returns
    -------
    ndarray, shape (..., P, Q)
        The maxima, ``P = (H + top + bottom - dilation * (K - 1) - 1) // stride + 1``, in ceil mode rounded up. A NaN
        counts as a maximum.

    Raises
    ------
    {{window_errors}}

    Notes
    -----
    {{dtypes}}

    A window without a single tap on the image has no maximum: shapes that lead to one are a ValueError.

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels as ik
    >>> image = np.array([[1, 2, 5, 3], [7, 0, 5, 4]], dtype=np.uint8)
    >>> ik.max_pool(image, size=2)
    array([[7, 5]], dtype=uint8)
    """
    pixels, places = as_image(image, axes, "image")
    pooling = _pool_plan(pixels, size, stride, dilation, padding, ceil_mode)

    def compute(target: Array, threads: int) -> None:
        _core.max_pool(pixels, windows_last(target, places), None, pooling.window, threads)

    return _maxima("max_pool", pixels, places, pooling.outputs, compute, Result(out, dtype, casting, workers))


@kernel_function("(h,w)->(p,q),(p,q)", MAXIMUM_WITH_POSITION)
def max_pool_with_argmax(
    image: ArrayLike,
    size: IntOrPair,
    *,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
    out: tuple[Array | None, Array | None] | None = None,
    axes: Axes = None,
    dtype: DTypeLike | None = None,
    casting: Casting = "same_kind",
    workers: int | None = None,
) -> tuple[Array, Array]:
    """Take the maximum of every window, and where it was found.

    Parameters
    ----------
    {{image}}
    {{window_size}}
    {{pool_stride}}
    {{pool_padding}}
    {{dilation}}
    {{ceil_mode}}
    {{values_and_argmax}}
    {{axes}}
    dtype : dtype, optional
        The dtype of the values, the image's by default. Values that a narrower one cannot hold are rounded half to even
        and saturated.
    {{casting}}

    Returns
    -------
    values : ndarray, shape (..., P, Q)
        The maxima, ``P = (H + top + bottom - dilation * (K - 1) - 1) // stride + 1``, in ceil mode rounded up. A NaN
        counts as a maximum.
    argmax : ndarray of intp, shape (..., P, Q)
        Where they lie: ``row * W + column`` in the plane without padding. On ties (the two zeros tie) the first in
        row-major order, and the first NaN.

    Raises
    ------
    {{window_errors}}

    Notes
    -----
    {{dtypes}}

    A window without a single tap on the image has no maximum: shapes that lead to one are a ValueError.

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels as ik
    >>> image = np.array([[1, 2, 5, 3], [7, 0, 5, 4]], dtype=np.uint8)
    >>> values, argmax = ik.max_pool_with_argmax(image, size=2)
    >>> values
    array([[7, 5]], dtype=uint8)
    >>> argmax
    array([[4, 2]])
    """
    pixels, places = as_image(image, axes, "image")
    outs = _two_outs(out)
    pooling = _pool_plan(pixels, size, stride, dilation, padding, ceil_mode)

    def compute(values: Array, argmax: Array, threads: int) -> None:
        _core.max_pool(pixels, windows_last(values, places), windows_last(argmax, places), pooling.window, threads)

    wanted = Result(outs, dtype, casting, workers)
    return _maxima_with_positions("max_pool_with_argmax", pixels, places, pooling.outputs, compute, wanted)


@kernel_function("(h,w)->(p,q)", ORDER)
def adaptive_max_pool(
    image: ArrayLike,
    output_size: OutputSize,
    *,
    out: Array | None = None,
    axes: Axes = None,
    dtype: DTypeLike | None = None,
    casting: Casting = "same_kind",
    workers: int | None = None,
) -> Array:
    """Take the maxima of windows that share the image out.

    Parameters
    ----------
    {{image}}
    {{output_size}}
    {{out}}
    {{axes}}
    {{same_dtype}}
    {{casting}}

    Returns
    -------
    ndarray, shape (..., P, Q)
        The maxima; a NaN counts as one. Window i along an axis of H pixels is ``floor(i * H / P) : ceil((i + 1) * H /
        P)``.

    Raises
    ------
    {{window_errors}}

    Notes
    -----
    {{dtypes}}

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels as ik
    >>> ik.adaptive_max_pool(np.arange(15).reshape(3, 5), (1, 2))
    array([[12, 14]])
    """
    pixels, places = as_image(image, axes, "image")
    extents = _output_extents(output_size, pixels.shape)

    def compute(target: Array, threads: int) -> None:
        _core.adaptive_max_pool(pixels, windows_last(target, places), None, threads)

    return _maxima("adaptive_max_pool", pixels, places, extents, compute, Result(out, dtype, casting, workers))


@kernel_function("(h,w)->(p,q),(p,q)", MAXIMUM_WITH_POSITION)
def adaptive_max_pool_with_argmax(
    image: ArrayLike,
    output_size: OutputSize,
    *,
    out: tuple[Array | None, Array | None] | None = None,
    axes: Axes = None,
    dtype: DTypeLike | None = None,
    casting: Casting = "same_kind",
    workers: int | None = None,
) -> tuple[Array, Array]:
    """Take the maxima of windows that share the image out, and where they were found.

    Parameters
    ----------
    {{image}}
    {{output_size}}
    {{values_and_argmax}}
    {{axes}}
    dtype : dtype, optional
        The dtype of the values, the image's by default. Values that a narrower one cannot hold are rounded half to even
        and saturated.
    {{casting}}

    Returns
    -------
    values : ndarray, shape (..., P, Q)
        The maxima; a NaN counts as one. Window i along an axis of H pixels is ``floor(i * H / P) : ceil((i + 1) * H /
        P)``.
    argmax : ndarray of intp, shape (..., P, Q)
        Where they lie: ``row * W + column``. On ties (the two zeros tie) the first in row-major order, and the first
        NaN.

    Raises
    ------
    {{window_errors}}

    Notes
    -----
    {{dtypes}}

    The way back is `max_pool_backward`.

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels as ik
    >>> values, argmax = ik.adaptive_max_pool_with_argmax(np.array([[3, 1, 4, 1, 5]]), (1, 2))
    >>> values
    array([[4, 5]])
    >>> argmax
    array([[2, 4]])
    """
    pixels, places = as_image(image, axes, "image")
    outs = _two_outs(out)
    extents = _output_extents(output_size, pixels.shape)

    def compute(values: Array, argmax: Array, threads: int) -> None:
        _core.adaptive_max_pool(pixels, windows_last(values, places), windows_last(argmax, places), threads)

    wanted = Result(outs, dtype, casting, workers)
    return _maxima_with_positions("adaptive_max_pool_with_argmax", pixels, places, extents, compute, wanted)


def _maxima(
    name: str, pixels: Array, places: Places, extents: Pair, compute: Callable[[Array, int], None], wanted: Result
) -> Array:
    native, result = _maxima_dtypes(name, pixels, wanted.dtype)
    threads = resolve_workers(wanted.workers)
    shape = result_shape(pixels.shape[:-2], extents, places)
    goods = shape, native, result, single_out(wanted.out), wanted.casting
    return deliver(lambda target: compute(target, threads), *goods, (pixels,), threads)


def _maxima_with_positions(
    name: str,
    pixels: Array,
    places: Places,
    extents: Pair,
    compute: Callable[[Array, Array, int], None],
    wanted: Result,
) -> tuple[Array, Array]:
    native, result = _maxima_dtypes(name, pixels, wanted.dtype)
    threads = resolve_workers(wanted.workers)
    shape = result_shape(pixels.shape[:-2], extents, places)
    outs, casting = wanted.out, wanted.casting
    values = Delivery(shape, native, result, outs[0], casting, (pixels,), threads, name="out[0]")
    argmax = Delivery(shape, _INTP, _INTP, outs[1], casting, (pixels,), threads, native=True, name="out[1]")
    if outs[0] is not None and outs[1] is not None and shares_memory(outs[0], (outs[1],)):
        raise ValueError("out must be two arrays that do not overlap each other")
    if values.work.size > 0:
        compute(values.work, argmax.work, threads)
    return values.finish(), argmax.finish()


def _maxima_dtypes(name: str, pixels: Array, dtype: DTypeLike | None) -> tuple[Dtype, Dtype]:
    """Return the dtype of the maxima and that of the result."""
    native = pixels.dtype.newbyteorder("=")
    allowed = ALL if native.kind == "b" else NUMBERS
    return native, native if dtype is None else result_dtype(dtype, allowed, name)


def _two_outs(out: Any) -> tuple[Any, Any]:
    if out is None:
        return None, None
    if not isinstance(out, tuple):
        raise TypeError(f"out must be a tuple of two arrays, for values and argmax, got {type(out).__name__}")
    if len(out) != 2:
        raise ValueError(f"out must be a tuple of two arrays, for values and argmax, got {len(out)} of them")
    return out


@kernel_function("(p,q),(p,q)->(h,w)", MAXIMUM_BACKWARD)
def max_pool_backward(
    grad: ArrayLike,
    argmax: ArrayLike,
    shape: Sequence[int],
    *,
    out: Array | None = None,
    axes: Axes = None,
    dtype: DTypeLike | None = None,
    casting: Casting = "same_kind",
    workers: int | None = None,
) -> Array:
    """Route the gradient of max pooling back to the pixels that were the maxima.

    Parameters
    ----------
    grad : array_like, shape (..., P, Q)
        The gradient with respect to the pooled values.
    argmax : array_like of ints, shape (..., P, Q)
        The positions that `max_pool_with_argmax` or `adaptive_max_pool_with_argmax` returned. They are not trusted: one
        outside the plane is a ValueError, after which `out` may hold anything.
    shape : pair of ints
        ``(H, W)`` of the image that was pooled.
    {{out}}
    axes : pair of ints, optional
        The window axes of `grad`, `argmax` and the result, ``(-2, -1)`` by default.
    dtype : dtype, optional
        The dtype of the result, the gradient's by default. Values that a narrower one cannot hold are rounded half to
        even and saturated.
    {{casting}}

    Returns
    -------
    ndarray, shape (..., H, W)
        Zero but for the positions in `argmax`, where gradients add up if windows share a maximum, in row-major order.

    Raises
    ------
    {{window_errors}}

    Notes
    -----
    {{dtypes}}

    Planes are independent and
    are what threads share out.

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels as ik
    >>> ik.max_pool_backward(np.array([[10.0, 20.0]]), np.array([[4, 2]]), shape=(2, 4))
    array([[ 0.,  0., 20.,  0.],
           [10.,  0.,  0.,  0.]])
    """
    gradient, positions, places, extents = _scattered(grad, argmax, shape, axes, "grad")
    refuse_bool("grad", gradient.dtype)
    native = gradient.dtype.newbyteorder("=")
    result = native if dtype is None else result_dtype(dtype, NUMBERS, "max_pool_backward")
    summed = result if np.can_cast(native, result, "safe") else native
    summed = np.dtype(np.float32) if summed == np.float16 else summed
    threads = resolve_workers(workers)

    def compute(target: Array) -> None:
        _core.max_pool_backward(converted(gradient, summed, threads), positions, windows_last(target, places), threads)

    whole = result_shape(gradient.shape[:-2], extents, places)
    inputs = (gradient, positions)
    return deliver(compute, whole, summed, result, single_out(out), casting, inputs, threads, native=True)


@kernel_function("(p,q),(p,q)->(h,w)", UNPOOL)
def max_unpool(
    values: ArrayLike,
    argmax: ArrayLike,
    shape: Sequence[int],
    *,
    out: Array | None = None,
    axes: Axes = None,
    dtype: DTypeLike | None = None,
    casting: Casting = "same_kind",
    workers: int | None = None,
) -> Array:
    """Put pooled values back where they came from, with zeros everywhere else.

    Parameters
    ----------
    values : array_like, shape (..., P, Q)
        The values, for instance those of `max_pool_with_argmax`.
    argmax : array_like of ints, shape (..., P, Q)
        Where each of them goes: ``row * W + column``. They are not trusted: one outside the plane is a
        ValueError, after which `out` may hold anything.
    shape : pair of ints
        ``(H, W)`` of the result's planes.
    {{out}}
    axes : pair of ints, optional
        The window axes of `values`, `argmax` and the result, ``(-2, -1)`` by default.
    dtype : dtype, optional
        The dtype of the result, that of the values by default. Values that a narrower one cannot hold are rounded half
        to even and saturated.
    {{casting}}

    Returns
    -------
    ndarray, shape (..., H, W)
        The planes. Where positions repeat, the last value in row-major order stays. NaNs become the quiet one.

    Raises
    ------
    {{window_errors}}

    Notes
    -----
    {{dtypes}}

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels as ik
    >>> ik.max_unpool(np.array([[7, 5]]), np.array([[4, 2]]), shape=(2, 4))
    array([[0, 0, 5, 0],
           [7, 0, 0, 0]])
    """
    pooled, positions, places, extents = _scattered(values, argmax, shape, axes, "values")
    native, result = _maxima_dtypes("max_unpool", pooled, dtype)
    threads = resolve_workers(workers)

    def compute(target: Array) -> None:
        _core.max_unpool(pooled, positions, windows_last(target, places), threads)

    whole = result_shape(pooled.shape[:-2], extents, places)
    inputs = (pooled, positions)
    return deliver(compute, whole, native, result, single_out(out), casting, inputs, threads)


def _scattered(
    values: ArrayLike, argmax: ArrayLike, shape: Any, axes: Axes, name: str
) -> tuple[Array, Array, Places, Pair]:
    """Return values and their positions with window axes last, those axes, and the extents of the result."""
    given = as_array(values, name)
    positions = as_array(argmax, "argmax")
    if given.shape != positions.shape:
        raise ValueError(f"argmax must have the shape of {name}, {given.shape}, got {positions.shape}")
    if positions.dtype.kind not in "iu":
        raise TypeError(f"argmax must hold integers, got dtype {positions.dtype}")
    given, places = as_image(given, axes, name)
    positions = windows_last(positions, places)
    extents = _plane(shape)
    if positions.dtype.kind == "u" and positions.dtype.itemsize == 8:
        _check_unsigned(positions, extents)
    if given.size > 0 and 0 in extents:
        things = "gradients" if name == "grad" else name
        raise ValueError(f"shape must have pixels for the {given.size} {things}, got {shape!r}")
    return given, positions.astype(_INTP, copy=False), places, extents


def _plane(shape: Any) -> Pair:
    if not isinstance(shape, (tuple, list)):
        raise TypeError(f"shape must be a pair of ints, (H, W) of the pooled image, got {shape!r}")
    return pair(shape, "shape", 0)


def _check_unsigned(positions: Array, extents: Pair) -> None:
    """Refuse indices that would turn negative, or wrap, as signed numbers."""
    if positions.size > 0 and int(positions.max()) >= extents[0] * extents[1]:
        raise ValueError(
            f"argmax must hold indices into the plane of {extents[0]} x {extents[1]} pixels, got {int(positions.max())}"
        )


# Averages


@kernel_function("(h,w)->(p,q)", MEAN)
def avg_pool(
    image: ArrayLike,
    size: IntOrPair,
    *,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    out: Array | None = None,
    axes: Axes = None,
    dtype: DTypeLike | None = None,
    casting: Casting = "same_kind",
    workers: int | None = None,
) -> Array:
    """Take the average of every window.

    Parameters
    ----------
    {{image}}
    {{window_size}}
    {{pool_stride}}
    {{pool_padding}}
    {{ceil_mode}}
    count_include_pad : bool, default True
        Divide by the pixels of the window in the image and the padding; False counts those in the image alone. What
        ceil mode adds behind the padding never counts.
    divisor_override : int, optional
        Divide by this number in place of a count.
    {{out}}
    {{axes}}
    dtype : dtype, optional
        The dtype of the result, the image's by default. Averages of integers are rounded half to even; a float dtype
        gives them as they are.
    {{casting}}

    Returns
    -------
    ndarray, shape (..., P, Q)
        The averages, ``P = (H + top + bottom - K) // stride + 1``, in ceil mode rounded up.

    Raises
    ------
    {{window_errors}}

    Notes
    -----
    {{dtypes}}

    {{nan_stays}}

    A window without a pixel of the image has no average: shapes that lead to one are a ValueError.

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels as ik
    >>> ik.avg_pool(np.array([[1.0, 2.0, 5.0, 4.0], [3.0, 2.0, 5.0, 4.0]]), size=2)
    array([[2. , 4.5]])
    """
    pixels, places = as_image(image, axes, "image")
    refuse_bool("image", pixels.dtype)
    pooling = _pool_plan(pixels, size, stride, 1, padding, ceil_mode)
    divisor = _divisor(divisor_override)
    padded = flag(count_include_pad, "count_include_pad")

    def compute(target: Array, threads: int) -> None:
        after = (pooling.around[0][1], pooling.around[1][1])
        _core.avg_pool(pixels, windows_last(target, places), pooling.window, after, padded, divisor, threads)

    return _averages("avg_pool", pixels, places, pooling.outputs, compute, Result(out, dtype, casting, workers))


@kernel_function("(h,w)->(p,q)", MEAN)
def adaptive_avg_pool(
    image: ArrayLike,
    output_size: OutputSize,
    *,
    out: Array | None = None,
    axes: Axes = None,
    dtype: DTypeLike | None = None,
    casting: Casting = "same_kind",
    workers: int | None = None,
) -> Array:
    """Take the averages of windows that share the image out.

    Parameters
    ----------
    {{image}}
    {{output_size}}
    {{out}}
    {{axes}}
    dtype : dtype, optional
        The dtype of the result, the image's by default. Averages of integers are rounded half to even; a float dtype
        gives them as they are.
    {{casting}}

    Returns
    -------
    ndarray, shape (..., P, Q)
        The averages. Window i along an axis of H pixels is ``floor(i * H / P) : ceil((i + 1) * H / P)``.

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
    >>> ik.adaptive_avg_pool(np.arange(15.0).reshape(3, 5), (1, 2))
    array([[6., 8.]])
    """
    pixels, places = as_image(image, axes, "image")
    refuse_bool("image", pixels.dtype)
    extents = _output_extents(output_size, pixels.shape)

    def compute(target: Array, threads: int) -> None:
        _core.avg_pool(pixels, windows_last(target, places), None, (0, 0), False, 0, threads)

    return _averages("adaptive_avg_pool", pixels, places, extents, compute, Result(out, dtype, casting, workers))


def _averages(
    name: str, pixels: Array, places: Places, extents: Pair, compute: Callable[[Array, int], None], wanted: Result
) -> Array:
    native = pixels.dtype.newbyteorder("=")
    result = native if wanted.dtype is None else result_dtype(wanted.dtype, NUMBERS, name)
    threads = resolve_workers(wanted.workers)
    shape = result_shape(pixels.shape[:-2], extents, places)
    goods = shape, native, result, single_out(wanted.out), wanted.casting
    return deliver(lambda target: compute(target, threads), *goods, (pixels,), threads, rounds=True)


def _divisor(value: Any) -> int:
    """Return the divisor that stands in for the count of a window, 0 for none."""
    if value is None:
        return 0
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__") or np.ndim(value) > 0:
        raise TypeError(f"divisor_override must be an int or None, got {value!r}")
    number = operator.index(value)
    if not 1 <= number <= LARGEST:
        raise ValueError(f"divisor_override must be at least 1 and at most {LARGEST}, got {value!r}")
    return number


@kernel_function("(p,q)->(h,w)", MEAN_BACKWARD)
def avg_pool_backward(
    grad: ArrayLike,
    shape: Sequence[int],
    size: IntOrPair,
    *,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    out: Array | None = None,
    axes: Axes = None,
    dtype: DTypeLike | None = None,
    casting: Casting = "same_kind",
    workers: int | None = None,
) -> Array:
    """Spread the gradient of average pooling over the pixels of its windows.

    Parameters
    ----------
    grad : array_like, shape (..., P, Q)
        The gradient with respect to the averages.
    shape : pair of ints
        ``(H, W)`` of the image that was pooled.
    {{window_size}}
    {{pool_stride}}
    {{pool_padding}}
    {{ceil_mode}}
    count_include_pad : bool, default True
        Divide by the pixels of the window in the image and the padding; False counts those in the image alone. What
        ceil mode adds behind the padding never counts.
    divisor_override : int, optional
        Divide by this number in place of a count.
    {{out}}
    axes : pair of ints, optional
        The window axes of `grad` and the result, ``(-2, -1)`` by default.
    dtype : dtype, optional
        The dtype of the result, the gradient's by default.
    {{casting}}

    Returns
    -------
    ndarray, shape (..., H, W)
        For every pixel the sum of ``grad / divisor`` over the windows that it lies in.

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
    >>> ik.avg_pool_backward(np.array([[4.0, 8.0]]), (2, 4), size=2)
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.]])
    """
    gradient, places = as_image(grad, axes, "grad")
    avg_pool_backward.loop((gradient.dtype,))
    extents = _plane(shape)
    pooling = _plan(*extents, size, stride, 1, padding, flag(ceil_mode, "ceil_mode"))
    _check_gradient(gradient, pooling.outputs, shape)
    divisor = _divisor(divisor_override)
    padded = flag(count_include_pad, "count_include_pad")

    def compute(target: Array, threads: int) -> None:
        after = (pooling.around[0][1], pooling.around[1][1])
        _core.avg_pool_backward(gradient, windows_last(target, places), pooling.window, after, padded, divisor, threads)

    return _spread("avg_pool_backward", gradient, places, extents, compute, Result(out, dtype, casting, workers))


@kernel_function("(p,q)->(h,w)", MEAN_BACKWARD)
def adaptive_avg_pool_backward(
    grad: ArrayLike,
    shape: Sequence[int],
    *,
    out: Array | None = None,
    axes: Axes = None,
    dtype: DTypeLike | None = None,
    casting: Casting = "same_kind",
    workers: int | None = None,
) -> Array:
    """Spread the gradient of adaptive average pooling over the pixels of its windows.

    Parameters
    ----------
    grad : array_like, shape (..., P, Q)
        The gradient with respect to the averages.
    shape : pair of ints
        ``(H, W)`` of the image that was pooled.
    {{out}}
    axes : pair of ints, optional
        The window axes of `grad` and the result, ``(-2, -1)`` by default.
    dtype : dtype, optional
        The dtype of the result, the gradient's by default.
    {{casting}}

    Returns
    -------
    ndarray, shape (..., H, W)
        For every pixel the sum of ``grad / pixels of the window`` over the windows that it lies in.

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
    >>> ik.adaptive_avg_pool_backward(np.array([[6.0, 3.0]]), (1, 5))
    array([[2., 2., 3., 1., 1.]])
    """
    gradient, places = as_image(grad, axes, "grad")
    adaptive_avg_pool_backward.loop((gradient.dtype,))
    extents = _plane(shape)
    if gradient.size > 0 and 0 in extents:
        raise ValueError(f"shape must have pixels for the {gradient.size} gradients, got {shape!r}")

    def compute(target: Array, threads: int) -> None:
        _core.avg_pool_backward(gradient, windows_last(target, places), None, (0, 0), False, 0, threads)

    name = "adaptive_avg_pool_backward"
    return _spread(name, gradient, places, extents, compute, Result(out, dtype, casting, workers))


def _spread(
    name: str, gradient: Array, places: Places, extents: Pair, compute: Callable[[Array, int], None], wanted: Result
) -> Array:
    native = gradient.dtype.newbyteorder("=")
    result = native if wanted.dtype is None else result_dtype(wanted.dtype, FLOATS, name)
    threads = resolve_workers(wanted.workers)
    shape = result_shape(gradient.shape[:-2], extents, places)
    goods = shape, native, result, single_out(wanted.out), wanted.casting
    return deliver(lambda target: compute(target, threads), *goods, (gradient,), threads, rounds=True)


def _check_gradient(gradient: Array, outputs: Pair, shape: Any) -> None:
    if gradient.shape[-2:] != outputs:
        raise ValueError(
            f"grad must have the extents of the pooled image, {outputs} for shape {shape!r}, got {gradient.shape[-2:]}"
        )


# Windows


def _output_extents(output_size: Any, shape: tuple[int, ...]) -> Pair:
    """Return the extents of an adaptive result."""
    extent = shape[-2:]
    if 0 in extent:
        raise ValueError(f"image must have pixels along both window axes, got shape {shape}")
    if output_size is None:
        output_size = (None, None)
    if isinstance(output_size, (tuple, list)) and len(output_size) == 2:
        output_size = [pixels if size is None else size for size, pixels in zip(output_size, extent, strict=True)]
    return pair(output_size, "output_size", 1)


@remembered
def _plan(rows: int, columns: int, size: Any, stride: Any, dilation: Any, padding: Any, ceil_mode: bool) -> Pooling:
    """Return the geometry of a pooling window."""
    sizes = pair(size, "size", 1)
    strides = sizes if stride is None else pair(stride, "stride", 1)
    dilations = pair(dilation, "dilation", 1)
    check_taps(sizes, size, "size")
    around = pads(padding, sizes, dilations, (0, 0))
    outputs = []
    for axis, pixels in enumerate((rows, columns)):
        if pixels == 0:
            raise ValueError(f"size must fit the image, which has no pixels along window axis {axis}, got {size!r}")
        window_axis = sizes[axis], strides[axis], dilations[axis]
        # In ceil mode a window that is not filled starts at most stride - 1 pixels further on.
        spare = strides[axis] - 1 if ceil_mode else 0
        count = outputs_along(axis, pixels, around[axis], *window_axis, "size", spare)
        before = around[axis][0]
        if ceil_mode and (count - 1) * strides[axis] >= pixels + before:
            count -= 1
        if not _core.covers(*window_axis, before, pixels, count):
            raise ValueError(
                f"padding must leave every window a pixel of the image, got {padding!r} for size {size!r}, "
                f"stride {stride!r}, dilation {dilation!r} and {pixels} pixels along window axis {axis}"
            )
        outputs.append(count)
    window = _core.Window(sizes, strides, dilations, (around[0][0], around[1][0]), ("constant", "constant"))
    return Pooling(window, (outputs[0], outputs[1]), around)


def _pool_plan(image: Array, size: Any, stride: Any, dilation: Any, padding: Any, ceil_mode: Any) -> Pooling:
    return _plan(*image.shape[-2:], size, stride, dilation, padding, flag(ceil_mode, "ceil_mode"))
