"""Filters that give one value per window: medians and means."""

from typing import Literal

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
    ModeOrPair,
    Padding,
    as_image,
    choice,
    deliver,
    fill_element,
    flag,
    footprint_mask,
    result_dtype,
    result_shape,
    single_out,
    window_plan,
    windows_last,
)
from imkernels._ufunc import ALL, NUMBERS, kernel_function, refuse_bool
from imkernels.settings import resolve_workers


@kernel_function("(h,w)->(p,q)", [f"{kind}->{kind}" for kind in ALL])
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
    nan: Literal["propagate", "omit"] = "propagate",
    method: Literal["auto", "select"] = "auto",
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
    footprint : array_like of bool, optional
        The window's form, in place of `size`: the pixels under true elements take part.
    {{stride}}
    {{padding}}
    {{mode}}
    {{origin}}
    nan : {"propagate", "omit"}, default "propagate"
        A NaN in the window makes the result NaN, or is left out; a window of NaNs alone gives NaN either way.
    method : {"auto", "select"}, default "auto"
        How it is computed; every method gives the same bits. ``"select"`` selects in every window, by introselect
        or, where pixels have few bits, by bisection over them: for any window and dtype.
    {{out}}
    {{axes}}
    dtype : dtype, optional
        The dtype of the result, the image's by default. Values that a narrower one cannot hold are rounded half to even
        and saturated.
    {{casting}}

    Returns
    -------
    ndarray, shape (..., P, Q)
        The medians: ``P = ceil(H / stride)`` for ``padding="same"``, else ``(H + top + bottom - K) // stride + 1``.

    Raises
    ------
    {{window_errors}}

    Notes
    -----
    Every dtype of the package, in either byte order, is filtered exactly, 64-bit integers included. Floats are
    ordered -0.0 before 0.0; the NaN of a result is the quiet one.

    Selection after Hoare, "Algorithm 65: Find", CACM 4 (1961) and Musser, "Introspective sorting and selection
    algorithms", Software: Practice and Experience 27 (1997), without branches on the data.

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
    pixels, places = as_image(image, axes, "image")
    choice(method, "method", ("auto", "select"))
    choice(nan, "nan", ("propagate", "omit"))
    size, mask = footprint_mask(size, footprint)
    name = "size" if footprint is None else "footprint"
    window, extents = window_plan(pixels, size, stride=stride, padding=padding, mode=mode, origin=origin, name=name)
    native = pixels.dtype.newbyteorder("=")
    fill = fill_element(cval, native)
    threads = resolve_workers(workers)

    def compute(target: Array) -> None:
        _core.median_filter(pixels, windows_last(target, places), window, mask, nan == "omit", fill, threads)

    allowed = ALL if native.kind == "b" else NUMBERS
    result = native if dtype is None else result_dtype(dtype, allowed, "median_filter")
    shape = result_shape(pixels.shape[:-2], extents, places)
    return deliver(compute, Delivery(shape, native, result, single_out(out), casting, (pixels,), threads))


def _box_operands(inputs: tuple[Dtype, ...]) -> tuple[Dtype, ...]:
    refuse_bool("image", inputs[0])
    return inputs


@kernel_function("(h,w)->(p,q)", [f"{kind}->{kind}" for kind in NUMBERS], _box_operands)
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
        The means: ``P = ceil(H / stride)`` for ``padding="same"``, else ``(H + top + bottom - K) // stride + 1``.

    Raises
    ------
    {{window_errors}}

    Notes
    -----
    Means of integers are exact for every possible sum, 64-bit ones included; sums of integers are taken modulo 2**64.
    Floats are summed in float64, in a tree over the window's own pixels: nothing drifts along a row, and a NaN or
    an infinity stays in its windows. The cost grows with the logarithm of the size.

    bool has no mean: ``image.astype(numpy.uint8)`` or a float dtype says what is meant.

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
