"""Correlation with given kernels."""

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
    as_array,
    as_image,
    choice,
    converted,
    deliver,
    fill_element,
    result_dtype,
    result_shape,
    single_out,
    window_plan,
    windows_last,
)
from imkernels._ufunc import FLOATS, NUMBERS, SIGNED, kernel_function, refuse_bool
from imkernels.settings import resolve_workers

_INT32 = np.dtype(np.int32)
_INT64 = np.dtype(np.int64)

# 8-bit products are summed in int32, wider ones in int64 modulo 2**64.
CORRELATE_TYPES = [f"{image}{kernel}->{_INT32.char}" for image in "bB" for kernel in "bB"] + [
    f"{kind}{kind}->{kind}" for kind in SIGNED[-1] + FLOATS
]
_SUM_TYPES = {loop[-1] for loop in CORRELATE_TYPES}


def _operands(inputs: tuple[Dtype, ...]) -> tuple[Dtype, ...]:
    """Refuse what a safe cast would turn into other sums: bool into 8-bit integers, uint64 into floats."""
    if all(dtype.kind in "bui" for dtype in inputs):
        for name, dtype in zip(("image", "kernel"), inputs, strict=True):
            refuse_bool(name, dtype)
            if dtype.kind == "u" and dtype.itemsize == 8:
                raise TypeError(f"{name} must fit int64, got dtype uint64; say {name}.astype(numpy.int64)")
    return inputs


@kernel_function("(h,w),(k,l)->(p,q)", CORRELATE_TYPES, _operands)
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
    dilation : int or pair of ints, default 1
        Pixels from one tap of the kernel to the next.
    {{padding}}
    {{mode}}
    {{origin}}
    method : {"auto", "direct"}, default "auto"
        How it is computed. ``"direct"`` sums tap by tap.
    {{out}}
    {{axes}}
    dtype : dtype, optional
        The dtype of the result. A wider one is computed in; results that a narrower one cannot hold are rounded half to
        even and saturated.
    {{casting}}

    Returns
    -------
    ndarray, shape (..., P, Q)
        With 8-bit integers on both sides int32, with other integers int64, with a float anywhere
        ``numpy.result_type(image, kernel)``. ``P = ceil(H / stride)`` for ``padding="same"``, else
        ``(H + top + bottom - dilation * (K - 1) - 1) // stride + 1``.

    Raises
    ------
    {{window_errors}}

    Notes
    -----
    Integers are exact: int32 results are refused where ``sum(abs(kernel))`` times the largest magnitude of the image's
    dtype can pass 2**31 (``dtype=numpy.int64`` is the way out), int64 ones are taken modulo 2**64 as NumPy's sums are.
    float16 is computed in float32 and rounded once. A float result lies within ``K * L * eps * sum(|kernel| *
    |image|)`` of the exact one, and whole numbers below 2**24 come out exact.

    Examples
    --------
    >>> import numpy as np
    >>> import imkernels as ik
    >>> image = np.array([[1, 2, 4, 8]], dtype=np.uint8)
    >>> ik.correlate(image, np.array([[-1, 0, 1]], dtype=np.int8))
    array([[1, 3, 6, 4]], dtype=int32)
    """
    pixels, places = as_image(image, axes, "image")
    weights = as_array(kernel, "kernel")
    if weights.ndim < 2 or 0 in weights.shape[-2:]:
        raise ValueError(f"kernel must have two axes that are not empty, got shape {weights.shape}")
    choice(method, "method", ("auto", "direct"))
    height, width = weights.shape[-2:]
    window, extents = window_plan(
        pixels,
        height if height == width else (height, width),
        stride=stride,
        dilation=dilation,
        padding=padding,
        mode=mode,
        origin=origin,
        name="kernel",
    )
    loop = _loop_dtype(pixels.dtype, weights.dtype, dtype)
    working = _working_dtype(loop, pixels.dtype, weights)
    fill = converted(fill_element(cval, pixels.dtype), working)
    threads = resolve_workers(workers)
    try:
        leading = np.broadcast_shapes(pixels.shape[:-2], weights.shape[:-2])
    except ValueError:
        raise ValueError(
            f"image and kernel must broadcast over their leading axes, got shapes {pixels.shape} and {weights.shape}"
        ) from None
    bank = np.broadcast_to(converted(weights, working), leading + weights.shape[-2:])

    def compute(target: Array) -> None:
        stack = np.broadcast_to(pixels, leading + pixels.shape[-2:])
        _core.correlate(stack, bank, windows_last(target, places), window, fill, threads)

    result = loop if dtype is None else result_dtype(dtype, NUMBERS, "correlate")
    shape = result_shape(leading, extents, places)
    return deliver(
        compute, Delivery(shape, loop, result, single_out(out), casting, (pixels, weights), threads, rounds=True)
    )


def _loop_dtype(image: Dtype, kernel: Dtype, dtype: DTypeLike | None) -> Dtype:
    """Return the dtype of the sums: `dtype` if there is a loop for it and it is wider than their own."""
    own = correlate.loop((image, kernel))[-1]
    if dtype is None:
        return own
    wanted = np.dtype(dtype).newbyteorder("=")
    # Wider is what holds every value of the own sums: int32 ones are not computed in float32.
    return wanted if np.can_cast(own, wanted, "safe") and wanted.char in _SUM_TYPES else own


def _working_dtype(loop: Dtype, image: Dtype, weights: Array) -> Dtype:
    """Return the dtype to compute in: int32 for integers whose sums fit, float32 for float16."""
    if loop.kind == "f":
        return np.dtype(np.float32) if loop == np.float16 else loop
    fits = image.itemsize <= 2 and _largest_sum(image, weights) < 2**31
    if loop == _INT32 and not fits:
        raise ValueError(
            "kernel must keep sum(abs(kernel)) times the image's largest magnitude below 2**31, "
            f"got {_largest_sum(image, weights)}; dtype=numpy.int64 computes it"
        )
    return _INT32 if fits else _INT64


def _largest_sum(image: Dtype, weights: Array) -> int:
    """Return the largest magnitude that a sum can have."""
    limits = np.iinfo(image)
    if weights.size == 0:
        return 0
    magnitudes = np.abs(weights.astype(np.float64)).sum(axis=(-2, -1))
    return int(magnitudes.max()) * max(-int(limits.min), int(limits.max))
