"""Max pooling with the positions of the maxima, and its gradient."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from imkernels import _core
from imkernels._arguments import (
    Array,
    Axes,
    Casting,
    Delivery,
    Dtype,
    IntOrPair,
    Padding,
    Pair,
    as_array,
    as_image,
    check_taps,
    converted,
    deliver,
    flag,
    outputs_along,
    pads,
    pair,
    result_dtype,
    result_shape,
    shares_memory,
    single_out,
    windows_last,
)
from imkernels._ufunc import ALL, INTP, NUMBERS, kernel_function, refuse_bool
from imkernels.settings import resolve_workers

_INTP = np.dtype(np.intp)


@kernel_function("(h,w)->(p,q),(p,q)", [f"{kind}->{kind}{INTP}" for kind in ALL])
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
    stride : int or pair of ints, optional
        Pixels that the window moves from one output to the next; by default its size.
    padding : int, pair of ints, pair of pairs, "same" or "valid", default 0
        Pixels around the image that have no value and never are a maximum: an int on every side, ``(rows, columns)`` on
        both sides of an axis, ``((top, bottom), (left, right))`` literally.
    dilation : int or pair of ints, default 1
        Pixels from one tap of the window to the next.
    ceil_mode : bool, default False
        Keep a last window that the padded image does not fill, if it starts in the image or in the padding before it.
    out : tuple of two ndarrays, optional
        Where values and positions go; None leaves one to be made. They are returned. They may overlap the image, not
        each other.
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
    if out is not None and not isinstance(out, tuple):
        raise TypeError(f"out must be a tuple of two arrays, for values and argmax, got {type(out).__name__}")
    if out is not None and len(out) != 2:
        raise ValueError(f"out must be a tuple of two arrays, for values and argmax, got {len(out)} of them")
    values_out, argmax_out = (None, None) if out is None else out
    window, extents = _pool_plan(pixels, size, stride, dilation, padding, ceil_mode)
    native = pixels.dtype.newbyteorder("=")
    allowed = ALL if native.kind == "b" else NUMBERS
    result = native if dtype is None else result_dtype(dtype, allowed, "max_pool_with_argmax")
    threads = resolve_workers(workers)
    shape = result_shape(pixels.shape[:-2], extents, places)
    values = Delivery(shape, native, result, values_out, casting, (pixels,), threads, name="out[0]")
    argmax = Delivery(shape, _INTP, _INTP, argmax_out, casting, (pixels,), threads, native=True, name="out[1]")
    if values_out is not None and argmax_out is not None and shares_memory(values_out, (argmax_out,)):
        raise ValueError("out must be two arrays that do not overlap each other")
    if values.work.size > 0:
        _core.max_pool_with_argmax(
            pixels,
            windows_last(values.work, places),
            windows_last(argmax.work, places),
            window,
            threads,
        )
    return values.finish(), argmax.finish()


def _backward_operands(inputs: tuple[Dtype, ...]) -> tuple[Dtype, ...]:
    grad, argmax = inputs
    refuse_bool("grad", grad)
    if argmax.kind not in "iu":
        raise TypeError(f"argmax must hold integers, got dtype {argmax}")
    return grad, _INTP  # indices of any width are read


@kernel_function("(p,q),(p,q)->(h,w)", [f"{kind}{INTP}->{kind}" for kind in NUMBERS], _backward_operands)
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
        The positions that `max_pool_with_argmax` returned. They are not trusted: one outside the plane is a ValueError.
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
    float16 adds up in float32 and is rounded once; integers wrap around as NumPy's sums do. Planes are independent and
    are what threads share out.

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels as ik
    >>> ik.max_pool_backward(np.array([[10.0, 20.0]]), np.array([[4, 2]]), shape=(2, 4))
    array([[ 0.,  0., 20.,  0.],
           [10.,  0.,  0.,  0.]])
    """
    given = as_array(grad, "grad")
    positions = as_array(argmax, "argmax")
    if given.shape != positions.shape:
        raise ValueError(f"argmax must have the shape of grad, {given.shape}, got {positions.shape}")
    _backward_operands((given.dtype, positions.dtype))
    gradient, places = as_image(given, axes, "grad")
    positions = windows_last(positions, places)
    extents = pair(shape, "shape", 0) if isinstance(shape, (tuple, list)) else None
    if extents is None:
        raise TypeError(f"shape must be a pair of ints, (H, W) of the pooled image, got {shape!r}")
    if positions.dtype.kind == "u" and positions.dtype.itemsize == 8:
        _check_unsigned(positions, extents)
    if gradient.size > 0 and 0 in extents:
        raise ValueError(f"shape must have pixels for the {gradient.size} gradients, got {shape!r}")
    native = gradient.dtype.newbyteorder("=")
    result = native if dtype is None else result_dtype(dtype, NUMBERS, "max_pool_backward")
    summed = result if np.can_cast(native, result, "safe") else native
    summed = np.dtype(np.float32) if summed == np.float16 else summed
    threads = resolve_workers(workers)

    def compute(target: Array) -> None:
        _core.max_pool_backward(
            converted(gradient, summed, threads),
            positions.astype(_INTP, copy=False),
            windows_last(target, places),
            threads,
        )

    whole = result_shape(gradient.shape[:-2], extents, places)
    inputs = (gradient, positions)
    return deliver(compute, Delivery(whole, summed, result, single_out(out), casting, inputs, threads, native=True))


def _check_unsigned(positions: Array, extents: Pair) -> None:
    """Refuse indices that would turn negative, or wrap, as signed numbers."""
    if positions.size > 0 and int(positions.max()) >= extents[0] * extents[1]:
        raise ValueError(
            f"argmax must hold indices into the plane of {extents[0]} x {extents[1]} pixels, got {int(positions.max())}"
        )


def _plan(
    extent: Pair, size: Any, stride: Any, dilation: Any, padding: Any, ceil_mode: bool
) -> tuple[_core.Window, Pair]:
    """Return the geometry of a pooling window and the extents of the result."""
    sizes = pair(size, "size", 1)
    strides = sizes if stride is None else pair(stride, "stride", 1)
    dilations = pair(dilation, "dilation", 1)
    check_taps(sizes, size, "size")
    around = pads(padding, sizes, dilations, (0, 0))
    outputs = []
    for axis, pixels in enumerate(extent):
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
    return window, (outputs[0], outputs[1])


_cached_plan = functools.lru_cache(maxsize=1024)(_plan)


def _pool_plan(
    image: Array, size: Any, stride: Any, dilation: Any, padding: Any, ceil_mode: Any
) -> tuple[_core.Window, Pair]:
    extent = image.shape[-2:]
    if type(size) is int and type(stride) in (int, type(None)) and type(padding) is int and type(dilation) is int:
        return _cached_plan(extent, size, stride, dilation, padding, flag(ceil_mode, "ceil_mode"))
    return _plan(extent, size, stride, dilation, padding, flag(ceil_mode, "ceil_mode"))
