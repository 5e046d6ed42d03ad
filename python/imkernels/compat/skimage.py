"""The filters of scikit-image 0.26 that this package's kernels compute, by its names, signatures and rules.

``from imkernels.compat.skimage import median`` in place of ``from skimage.filters import median``. What is not computed
here goes to scikit-image if it is installed, and is an ImportError otherwise. ``docs/compat.md`` lists what differs.
"""

import functools
import importlib
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

import imkernels as ik
from imkernels._arguments import Array
from imkernels._dtypes import ALL
from imkernels.filters import gaussian_weights

_MODES = ("reflect", "constant", "nearest", "mirror", "wrap")


def _theirs(module: str, name: str, reason: str) -> Callable[..., Any]:
    """Return scikit-image's function for what is not served here."""
    try:
        function: Callable[..., Any] = getattr(importlib.import_module(f"skimage.{module}"), name)
    except ImportError as missing:
        raise ImportError(
            f"{name}: {reason} is left to scikit-image, which is not here: pip install 'imkernels[skimage]'"
        ) from missing
    return function


def _holds(dtype: np.dtype[Any], value: Any) -> bool:
    """Whether a number is one of the dtype's, rounded if that is a float."""
    if not isinstance(value, (int, float, np.integer, np.floating)):
        return False
    if dtype.kind == "f" or value == 0:
        return True
    limits = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return bool(limits[0] <= value <= limits[1]) and int(value) == value


def _is_ours(image: Array) -> bool:
    return image.dtype.char in ALL and image.size > 0 and image.ndim > 0


def median(
    image: Any,
    footprint: Any = None,
    out: Any = None,
    mode: str = "nearest",
    cval: float = 0.0,
    behavior: str = "ndimage",
) -> Array:
    """Replace every pixel by the median under a footprint, as ``skimage.filters.median`` does.

    Parameters
    ----------
    image : array_like
        The image, of any number of dimensions.
    footprint : array_like, optional
        What is not 0 belongs to the window; it has as many dimensions as the image. By default three pixels along each.
    out : ndarray, optional
        Where the result goes; it is returned.
    mode : {"nearest", "reflect", "mirror", "wrap", "constant"}, default "nearest"
        What stands outside the image, by SciPy's names.
    cval : float, default 0.0
        The value outside for mode ``"constant"``.
    behavior : {"ndimage", "rank"}, default "ndimage"
        ``"rank"`` is left to scikit-image.

    Returns
    -------
    ndarray
        The medians, of the shape and dtype of the image.

    Raises
    ------
    ImportError
        If the call is left to scikit-image and that is not installed.

    Notes
    -----
    Served here, and equal bit for bit: footprints of more than one pixel along at most two axes, a `cval` that the
    image's dtype can hold, an `out` of that dtype. 64-bit integers stay exact, a NaN in the window gives NaN, and
    float16 is filtered too.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat.skimage import median
    >>> median(np.array([[1, 1, 1, 1], [1, 9, 1, 1], [1, 1, 1, 0]], dtype=np.uint8))
    array([[1, 1, 1, 1],
           [1, 1, 1, 1],
           [1, 1, 1, 1]], dtype=uint8)
    """
    pixels = np.asarray(image)
    window = _median_window(pixels, footprint) if behavior != "rank" and _is_ours(pixels) else None
    fits = out is None or (isinstance(out, np.ndarray) and out.shape == pixels.shape and out.dtype == pixels.dtype)
    known = isinstance(mode, str) and mode in _MODES and (mode != "constant" or _holds(pixels.dtype, cval))
    if window is None or not fits or not known:
        theirs = _theirs("filters", "median", "a median of these dimensions, dtypes or arguments")
        return np.asarray(theirs(image, footprint=footprint, out=out, mode=mode, cval=cval, behavior=behavior))
    if pixels.ndim == 1:
        target = None if out is None else out[np.newaxis]
        found = ik.median_filter(pixels[np.newaxis], **window, mode=mode, cval=cval, out=target)
        return found[0] if out is None else np.asarray(out)
    return ik.median_filter(pixels, **window, mode=mode, cval=cval, out=out)


def _median_window(pixels: Array, footprint: Any) -> dict[str, Any] | None:
    """Return what `median_filter` calls the window, or None if it cannot compute it."""
    if footprint is None:
        return {"size": 3 if pixels.ndim == 2 else (1, 3)} if pixels.ndim <= 2 else None
    mask = np.asarray(footprint)
    if mask.ndim != pixels.ndim or mask.dtype.char not in ALL:
        return None
    count = np.count_nonzero(mask)
    if count == 0:
        return None
    if mask.ndim <= 2:
        extent, axes = mask.shape if mask.ndim == 2 else (1, mask.size), None
    else:
        axes = _two_axes([axis for axis in range(mask.ndim) if mask.shape[axis] > 1], mask.ndim)
        if axes is None:
            return None
        extent = mask.shape[axes[0]], mask.shape[axes[1]]
    if count == mask.size:
        return {"size": extent[0] if extent[0] == extent[1] else extent, "axes": axes}
    return {"footprint": mask.reshape(extent), "axes": axes}


def _two_axes(chosen: Sequence[int], ndim: int) -> tuple[int, int] | None:
    """Return two axes that hold the chosen ones, in their order, or None."""
    if len(chosen) > 2:
        return None
    others = [axis for axis in range(ndim) if axis not in chosen]
    first, second = sorted([*chosen, *others[: 2 - len(chosen)]])
    return first, second


def gaussian(
    image: Any,
    sigma: Any = 1.0,
    *,
    mode: str = "nearest",
    cval: float = 0,
    preserve_range: bool = False,
    truncate: float = 4.0,
    channel_axis: int | None = None,
    out: Any = None,
) -> Array:
    """Blur an image by a Gaussian, as ``skimage.filters.gaussian`` does.

    Parameters
    ----------
    image : array_like
        The image, of any number of dimensions.
    sigma : float or sequence of floats, default 1.0
        The standard deviation in pixels, one or one for each axis.
    mode : {"nearest", "reflect", "mirror", "wrap", "constant"}, default "nearest"
        What stands outside the image, by SciPy's names.
    cval : float, default 0
        The value outside for mode ``"constant"``.
    preserve_range : bool, default False
        Whether integers keep their values; else the largest of their dtype becomes 1.
    truncate : float, default 4.0
        Where the Gaussian is cut off, in standard deviations.
    channel_axis : int, optional
        The axis of channels, which is not blurred.
    out : ndarray, optional
        Where the result goes, float32 or float64; it is returned.

    Returns
    -------
    ndarray
        The blurred image: float32 of float16 and float32, float64 of all else.

    Raises
    ------
    ValueError
        If `sigma` is negative or `out` no float array.
    ImportError
        If the call is left to scikit-image and that is not installed.

    Notes
    -----
    Within float error of scikit-image. A mode for each axis, and dtypes other than bool, integers and floats up to 64
    bits, are left to it.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat.skimage import gaussian
    >>> image = np.zeros((1, 5), np.uint8)
    >>> image[0, 2] = 255
    >>> gaussian(image, (0, 1), truncate=1).round(3)
    array([[0.   , 0.274, 0.452, 0.274, 0.   ]])
    """
    pixels = np.asarray(image)
    sigmas = _sigmas(sigma, channel_axis, pixels.ndim)
    if out is not None and not np.issubdtype(out.dtype, np.floating):
        raise ValueError(f"out must have a float dtype, got {out.dtype}")
    fits = out is None or (out.shape == pixels.shape and out.dtype.char in "fd")
    known = isinstance(mode, str) and mode in _MODES and _is_number(cval) and _is_number(truncate) and truncate >= 0
    if sigmas is None or not _is_ours(pixels) or not fits or not known:
        theirs = _theirs("filters", "gaussian", "a Gaussian of these dtypes or arguments")
        keywords = {"preserve_range": preserve_range, "truncate": truncate, "channel_axis": channel_axis, "out": out}
        return np.asarray(theirs(image, sigma, mode=mode, cval=cval, **keywords))
    scale = 1.0
    if pixels.dtype.kind == "i" and not preserve_range:
        pixels = np.maximum(pixels * (1 / np.iinfo(pixels.dtype).max), -1.0)
    elif pixels.dtype.kind == "u" and not preserve_range:
        scale = 1 / np.iinfo(pixels.dtype).max  # afterwards: the weights add up to 1
    dtype = np.float32 if pixels.dtype.char in "ef" else np.float64
    outside = cval / scale if mode == "constant" else 0.0
    if outside != 0 and pixels.dtype.kind != "f":
        pixels = pixels.astype(np.float64)
    result = out if out is not None and out.dtype == dtype else None
    blur = _Blur(truncate, mode, outside, np.dtype(dtype), scale)
    blurred = _blurred(pixels, sigmas, blur, result)
    if out is None or result is not None:
        return blurred
    np.copyto(out, blurred, casting="same_kind")
    return np.asarray(out)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and math.isfinite(value)


def _sigmas(sigma: Any, channel_axis: int | None, ndim: int) -> list[float] | None:
    """Return a standard deviation for each axis, or None if they make no sense here."""
    single = isinstance(sigma, (int, float)) or np.ndim(sigma) == 0
    numbers = [sigma] if single else list(sigma)
    if not all(_is_number(number) for number in numbers):
        return None
    if any(number < 0 for number in numbers):
        raise ValueError(f"sigma must not be negative, got {sigma!r}")
    if channel_axis is not None:
        numbers = numbers * (ndim - 1) if single else numbers
        if len(numbers) == ndim - 1:
            numbers.insert(channel_axis % ndim, 0)
    elif single:
        numbers = numbers * ndim
    return [float(number) for number in numbers] if len(numbers) == ndim else None


_NONE = 1e-15  # what SciPy takes for no blur


class _Blur(NamedTuple):
    """What Gaussians along all axes have in common."""

    truncate: float
    mode: str
    cval: float
    dtype: np.dtype[Any]  # of weights and results
    scale: float  # of the last result

    def __call__(self, pixels: Array, sigmas: Sequence[float], axes: Any, last: bool, out: Array | None) -> Array:
        """Blur along two axes."""
        column, row = [_weights(sigma, self.truncate, self.dtype) for sigma in sigmas]
        column = column * self.scale if last and self.scale != 1 else column
        return ik.correlate_separable(pixels, column, row, axes=axes, mode=self.mode, cval=self.cval, out=out)


@functools.lru_cache(maxsize=256)
def _weights(sigma: float, truncate: float, dtype: np.dtype[Any]) -> Array:
    return gaussian_weights(sigma, truncate).astype(dtype)


def _blurred(pixels: Array, sigmas: list[float], blur: _Blur, out: Array | None) -> Array:
    """Blur two axes at a time."""
    if pixels.ndim == 1:
        target = None if out is None else out[np.newaxis]
        found = _blurred(pixels[np.newaxis], [0.0, *sigmas], blur, target)
        return found[0] if out is None else out
    if pixels.ndim == 2:
        return blur(pixels, sigmas, None, True, out)
    chosen = [axis for axis, sigma in enumerate(sigmas) if sigma > _NONE]
    while True:
        axes = _two_axes(chosen[:2], pixels.ndim) or (0, 1)
        pair = [sigmas[axis] if axis in chosen[:2] else 0.0 for axis in axes]
        last = len(chosen) <= 2
        pixels = blur(pixels, pair, axes, last, out if last else None)
        chosen = chosen[2:]
        if last:
            return pixels


def block_reduce(
    image: Any,
    block_size: Any = 2,
    func: Callable[..., Any] = np.sum,
    cval: float = 0,
    func_kwargs: dict[str, Any] | None = None,
) -> Array:
    """Reduce an image block by block, as ``skimage.measure.block_reduce`` does.

    Parameters
    ----------
    image : array_like
        The image, of any number of dimensions.
    block_size : int or sequence of ints, default 2
        The extent of a block, one or one for each axis.
    func : callable, default numpy.sum
        The reduction; ``numpy.max``, ``min``, ``mean`` and ``sum`` are computed here.
    cval : float, default 0
        What fills up blocks at the edge: it takes part in the reduction.
    func_kwargs : dict, optional
        Further arguments of `func`; with any the call is left to scikit-image.

    Returns
    -------
    ndarray
        One value for each block, of the dtype that `func` gives.

    Raises
    ------
    ValueError
        If `block_size` is not positive or has another length than the image has dimensions.
    ImportError
        If the call is left to scikit-image and that is not installed.

    Notes
    -----
    Served here: blocks of more than one pixel along at most two axes, and a `cval` that the image's dtype can hold.
    Maxima and minima are equal bit for bit, sums of integers too; other sums and means are within float error.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat.skimage import block_reduce
    >>> image = np.array([[-1, -2, -3], [-4, -5, -6]])
    >>> block_reduce(image, 2, np.max)
    array([[-1,  0]])
    >>> block_reduce(image, (2, 1), np.mean)
    array([[-2.5, -3.5, -4.5]])
    """
    pixels = np.asarray(image)
    blocks: tuple[Any, ...] = (block_size,) * pixels.ndim if np.ndim(block_size) == 0 else tuple(block_size)
    if len(blocks) != pixels.ndim:
        raise ValueError(f"block_size must be a number or one for each of {pixels.ndim} axes, got {block_size!r}")
    if any(extent < 1 for extent in blocks):
        raise ValueError(f"block_size must be at least 1, got {block_size!r}")
    if pixels.ndim == 1:
        row: Array = block_reduce(pixels[np.newaxis], (1, *blocks), func, cval, func_kwargs)[0]
        return row
    reduce = next((ours for theirs, ours in _REDUCTIONS if func is theirs), None)
    axes = _block_axes(blocks)
    known = _is_ours(pixels) and _holds(pixels.dtype, cval)
    if reduce is None or axes is None or not known or func_kwargs or (pixels.dtype == bool and reduce in _WITHOUT_BOOL):
        theirs = _theirs("measure", "block_reduce", "a reduction by this function, block_size, cval or dtype")
        return np.asarray(theirs(image, block_size, func, cval, func_kwargs))
    height, width = int(blocks[axes[0]]), int(blocks[axes[1]])
    return reduce(pixels, height if height == width else (height, width), cval, None if pixels.ndim == 2 else axes)


def _block_axes(blocks: tuple[Any, ...]) -> tuple[int, int] | None:
    """Return two axes that hold all blocks of more than one pixel, or None."""
    if len(blocks) < 2 or not all(isinstance(extent, (int, np.integer)) for extent in blocks):
        return None
    return (
        (0, 1)
        if len(blocks) == 2
        else _two_axes([axis for axis, extent in enumerate(blocks) if extent > 1], len(blocks))
    )


Size: TypeAlias = int | tuple[int, int]
Axes: TypeAlias = tuple[int, int] | None


def _filled(pixels: Array, size: Size, cval: float, axes: Axes) -> dict[str, Any]:
    """Return what makes a filter of blocks of `size` that `cval` fills up."""
    rows, columns = (-pixels.shape[axis] % block for axis, block in _extents(size, axes))
    if rows == columns == 0:
        return {"stride": size, "padding": "valid", "axes": axes}
    padding = (0, rows), (0, columns)
    return {"stride": size, "padding": padding, "mode": "constant", "cval": cval, "axes": axes}


def _extents(size: Size, axes: Axes) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the axes and the blocks along them."""
    height, width = (size, size) if isinstance(size, int) else size
    first, second = (0, 1) if axes is None else axes
    return (first, height), (second, width)


def _maxima(pixels: Array, size: Size, cval: float, axes: Axes) -> Array:
    values = ik.max_pool(pixels, size, ceil_mode=True, axes=axes)
    for axis, block in _extents(size, axes):
        if pixels.shape[axis] % block:
            edge = np.moveaxis(values, axis, 0)[-1]
            np.maximum(edge, np.array(cval).astype(values.dtype), out=edge)
    return values


def _minima(pixels: Array, size: Size, cval: float, axes: Axes) -> Array:
    return ik.minimum_filter(pixels, size, **_filled(pixels, size, cval, axes))


def _sums(pixels: Array, size: Size, cval: float, axes: Axes) -> Array:
    return ik.box_blur(pixels, size, normalize=False, **_filled(pixels, size, cval, axes))


def _means(pixels: Array, size: Size, cval: float, axes: Axes) -> Array:
    dtype = None if pixels.dtype.kind == "f" else np.float64
    return ik.box_blur(pixels, size, dtype=dtype, **_filled(pixels, size, cval, axes))


_REDUCTIONS: tuple[tuple[Callable[..., Any], Callable[..., Array]], ...] = (
    (np.max, _maxima),
    (np.amax, _maxima),
    (np.min, _minima),
    (np.amin, _minima),
    (np.sum, _sums),
    (np.mean, _means),
)
_WITHOUT_BOOL = (_sums, _means)  # NumPy counts truth values, the kernels refuse them
