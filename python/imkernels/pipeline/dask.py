"""Filters and pooling of Dask arrays, block by block: images larger than memory, on any scheduler of Dask.

The functions are those of the package, by name, with the image a `dask.array.Array` of any chunks and without `out`,
`casting` and `workers`: a task is one block on one thread, since Dask runs as many tasks as there are threads. They are
lazy: arguments are checked at once, pixels are looked at when the result is computed.

A result is that of the call on the whole image in memory, whatever the chunks: each block is computed from the pixels
that its windows reach, and what stands outside the image is made up by the kernels themselves where a block lies at
the border. It is the same bit for bit, but for correlations by ``"fft"``, whose transforms are those of blocks.
"""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

import imkernels as ik
from imkernels._arguments import Array, Pair, as_array, as_image, footprint_mask, mode_pair, pads, pair, real_pair
from imkernels._ufunc import KernelFunction
from imkernels.convolution import Geometry, plan_correlation
from imkernels.filters import gaussian_weights

try:
    import dask.array
except ImportError as error:
    raise ImportError("imkernels.pipeline.dask needs Dask: pip install 'imkernels[dask]'") from error

__all__ = [
    "avg_pool",
    "box_blur",
    "convolve",
    "correlate",
    "correlate_separable",
    "gaussian_filter",
    "max_pool",
    "maximum_filter",
    "median_filter",
    "minimum_filter",
    "percentile_filter",
    "rank_filter",
]


class WindowAxis(NamedTuple):
    """The windows along one axis of an image."""

    pixels: int
    outputs: int
    before: int  # padding
    after: int
    reach: int  # pixels from the first tap of a window to behind the last
    anchor: int  # the tap that the output belongs to, in pixels from the first
    stride: int
    mode: str
    period: int  # outputs after which sums of floats are cut in the same way

    def first_pixel(self, output: int) -> int:
        """Return where the window of an output begins; outside the image it is negative or beyond `pixels`."""
        return output * self.stride - self.before


class Block(NamedTuple):
    """What a block of outputs along one axis is computed from."""

    pieces: tuple[slice, ...]  # of the image, one after the other
    padding: Pair
    outputs: slice  # the block's own of those that the pieces lead to


def output_bounds(axis: WindowAxis, chunks: Sequence[int]) -> list[int]:
    """Return the outputs at which blocks begin, and the number of outputs.

    An output belongs to the chunk of the pixel under its anchor. Chunks that are smaller than the windows are taken
    together: most of what is read would be read for others as well.
    """
    bounds = [0]
    for begin in itertools.accumulate(chunks[:-1]):
        output = math.ceil((begin + axis.before - axis.anchor) / axis.stride)
        if (output - bounds[-1]) * axis.stride >= axis.reach and (axis.outputs - output) * axis.stride >= axis.reach:
            bounds.append(output)
    return [*bounds, axis.outputs]


def block_along(axis: WindowAxis, first: int, last: int) -> Block:
    """Return what the outputs from `first` to before `last` are computed from."""
    begin = first - first % axis.period
    low, high = axis.first_pixel(begin), axis.first_pixel(last - 1) + axis.reach
    if axis.mode == "wrap":
        return Block(around(low, high, axis.pixels), (0, 0), slice(first - begin, last - begin))
    # A border is made up from pixels beside it, so that the block has to hold them too.
    mirrored = {"reflect": 0, "mirror": 1}.get(axis.mode)
    nearest = axis.pixels - 1 if mirrored is None else 2 * axis.pixels - mirrored - high
    lowest = max(0, min(low, nearest) if high > axis.pixels else low)
    begin = min(begin, (lowest + axis.before) // axis.stride)
    begin -= begin % axis.period
    low = axis.first_pixel(begin)
    farthest = 1 if mirrored is None else mirrored - low
    end = min(axis.pixels, max(high, farthest) if low < 0 else high)
    padding = max(0, -low), min(axis.after, max(0, high - axis.pixels))
    return Block((slice(max(0, low), end),), padding, slice(first - begin, last - begin))


def around(low: int, high: int, pixels: int) -> tuple[slice, ...]:
    """Return the pieces of an axis that follow each other from `low` to before `high` where it is a ring."""
    pieces = []
    while low < high:
        start = low % pixels
        stop = min(pixels, start + high - low)
        pieces.append(slice(start, stop))
        low += stop - start
    return tuple(pieces)


# One window on an image


def window_axes(image: Array, keywords: Mapping[str, Any], outputs: Pair, period: int) -> tuple[WindowAxis, WindowAxis]:
    """Return the windows that the keywords of a function put on `image`, its window axes last."""
    sizes = window_size(keywords)
    stride = keywords["stride"]
    strides = sizes if stride is None else pair(stride, "stride", 1)
    dilations = pair(keywords.get("dilation", 1), "dilation", 1)
    origins = pair(keywords.get("origin", 0), "origin")
    modes = mode_pair(keywords.get("mode", "constant"))
    padding = pads(keywords["padding"], sizes, dilations, origins)
    anchors = pads("same", sizes, dilations, origins)
    rows, columns = (
        WindowAxis(
            pixels=image.shape[axis - 2],
            outputs=outputs[axis],
            before=padding[axis][0],
            after=padding[axis][1],
            reach=dilations[axis] * (sizes[axis] - 1) + 1,
            anchor=anchors[axis][0],
            stride=strides[axis],
            mode=modes[axis],
            period=1,
        )
        for axis in (0, 1)
    )
    return rows._replace(period=period // math.gcd(period, rows.stride)), columns


def window_size(keywords: Mapping[str, Any]) -> Pair:
    """Return rows and columns of the window by the keyword that says it."""
    if "kernel" in keywords:
        rows, columns = keywords["kernel"].shape
    elif "column" in keywords:
        rows, columns = len(keywords["column"]), len(keywords["row"])
    elif "sigma" in keywords:
        deviations = real_pair(keywords["sigma"], "sigma")
        rows, columns = (len(gaussian_weights(deviation, keywords["truncate"])) for deviation in deviations)
    else:
        mask = footprint_mask(keywords["size"], keywords.get("footprint"))
        rows, columns = pair(keywords["size"] if mask is None else mask.shape, "size")
    return rows, columns


def rows_in_common(function: KernelFunction[..., Array], image: Array, size: int) -> int:
    """Return the period, in rows, of the blocks of rows whose sums means of float64 are made of.

    They begin at multiples of a power of 4 of the image's rows (see ``column_sums.hpp``); elsewhere the same rows would
    be added up in another order.
    """
    period = 1
    if function is ik.box_blur and image.dtype.kind == "f" and image.dtype.itemsize == 8:
        while size > 8:
            size = size // 4 - 1
            period *= 4
    return period


# Of one image


def filtered(
    function: KernelFunction[..., Array], image: dask.array.Array, axes: Sequence[int] | None, keywords: dict[str, Any]
) -> dask.array.Array:
    """Return what `function` makes of an image, lazily."""
    if not isinstance(image, dask.array.Array):
        raise TypeError(f"image must be a dask.array.Array, got {type(image).__name__}")
    if any(math.isnan(extent) for extent in image.shape):
        raise ValueError(f"image must have chunks of known sizes, got shape {image.shape}; say compute_chunk_sizes()")
    stand_in = np.broadcast_to(np.zeros((), image.dtype), image.shape)  # takes no memory
    planes, given = as_image(stand_in, axes, "image")
    places = (-2, -1) if given is None else given
    keywords = keywords | {
        name: one_kernel(keywords[name], name, count)
        for name, count in (("kernel", 2), ("column", 1), ("row", 1))
        if name in keywords
    }
    # A call on no images checks the arguments and tells extents and dtype.
    nothing = function(stand_in[np.newaxis][:0], axes=places, workers=1, **keywords)
    outputs = nothing.shape[places[0]], nothing.shape[places[1]]
    if 0 in outputs:
        return dask.array.empty(nothing.shape[1:], dtype=nothing.dtype)
    if "method" in keywords and "kernel" in keywords:
        keywords["method"] = method_for_the_whole(function, planes, keywords)
    period = rows_in_common(function, planes, window_size(keywords)[0])
    chunks = list(image.chunks)
    blocks = []
    for place, axis in zip(places, window_axes(planes, keywords, outputs, period), strict=True):
        bounds = output_bounds(axis, image.chunks[place])
        blocks.append([block_along(axis, first, last) for first, last in itertools.pairwise(bounds)])
        chunks[place] = tuple(last - first for first, last in itertools.pairwise(bounds))
        image = gathered(image, place % image.ndim, blocks[-1])
    return dask.array.map_blocks(
        filtered_block,
        image,
        function=function,
        places=places,
        keywords={name: value for name, value in keywords.items() if name not in ("padding", "origin")},
        blocks=blocks,
        token=function.__name__,
        chunks=tuple(chunks),
        dtype=nothing.dtype,
        meta=np.empty((0,) * image.ndim, nothing.dtype),
    )


def one_kernel(kernel: Any, name: str, count: int) -> Array:
    """Return a kernel as an array, if it is one and no bank of them."""
    weights = as_array(kernel, name)
    if weights.ndim != count:
        axes = "one axis" if count == 1 else "two axes"
        raise ValueError(f"{name} must have {axes} where the image is a Dask array, got shape {weights.shape}")
    return weights


def method_for_the_whole(function: KernelFunction[..., Array], image: Array, keywords: Mapping[str, Any]) -> str:
    """Return the method of a correlation in memory, so that all blocks take it, whatever their extents."""
    kernel = keywords["kernel"] if function is ik.correlate else keywords["kernel"][::-1, ::-1]
    geometry = Geometry(*(keywords[name] for name in Geometry._fields))
    kinds = image.dtype, image.shape
    return plan_correlation(function, *kinds, kernel, geometry, keywords["method"], keywords["dtype"]).method


def gathered(image: dask.array.Array, axis: int, blocks: Sequence[Block]) -> dask.array.Array:
    """Return an array whose chunks along `axis` are what the blocks are computed from, one after the other."""
    before = (slice(None),) * axis
    parts = []
    for block in blocks:
        pieces = [image[(*before, piece)] for piece in block.pieces]
        part = pieces[0] if len(pieces) == 1 else dask.array.concatenate(pieces, axis)
        parts.append(part.rechunk({axis: -1}, method="tasks"))
    return parts[0] if len(parts) == 1 else dask.array.concatenate(parts, axis)


def filtered_block(
    pixels: Array,
    function: KernelFunction[..., Array],
    places: Pair,
    keywords: dict[str, Any],
    blocks: Sequence[Sequence[Block]],
    block_id: tuple[int, ...],
) -> Array:
    """Return one block of the result; this is what a task does."""
    here = [along[block_id[place]] for place, along in zip(places, blocks, strict=True)]
    result = function(pixels, axes=places, padding=tuple(block.padding for block in here), workers=1, **keywords)
    own = [slice(None)] * result.ndim
    for place, block in zip(places, here, strict=True):
        own[place] = block.outputs
    return result[tuple(own)]


# The functions

_DOCSTRING = """{summary}

    This is `imkernels.{name}` of a Dask array, lazily and block by block.

    Parameters
    ----------
    image : dask.array.Array, shape (..., H, W)
        The image, in any chunks. Small ones are taken together until they are as large as the window.
    {others} : optional
        What they are there; arrays among them are in memory, and kernels have no leading axes.

    Returns
    -------
    dask.array.Array, shape (..., P, Q)
        The result of the call in memory, bit for bit (but see the module for correlations by ``"fft"``).

    Raises
    ------
    ValueError, TypeError
        At once: what `imkernels.{name}` raises, and for an image that is no Dask array or has chunks of unknown sizes.

    Examples
    --------
    >>> import dask.array
    >>> from imkernels.pipeline.dask import {name}
    >>> image = dask.array.ones((400, 600), chunks=(200, 300), dtype="float32")
    >>> {name}(image, {example})
    dask.array<{name}, shape={shape}, dtype=float32, chunksize={chunks}, chunktype=numpy.ndarray>
"""


def lazy(function: KernelFunction[..., Array], example: str, halved: bool = False) -> Callable[..., dask.array.Array]:
    """Return the function of Dask arrays of a function of arrays; `example` is a call's arguments."""
    whole = inspect.signature(function)
    parameters = [
        parameter for name, parameter in whole.parameters.items() if name not in ("out", "casting", "workers")
    ]
    parameters[0] = parameters[0].replace(annotation=dask.array.Array)
    signature = whole.replace(parameters=parameters, return_annotation=dask.array.Array)

    def lazily(*positional: Any, **named: Any) -> dask.array.Array:
        bound = signature.bind(*positional, **named)
        bound.apply_defaults()
        image, axes = bound.arguments.pop("image"), bound.arguments.pop("axes")
        return filtered(function, image, axes, bound.arguments)

    lazily.__name__ = lazily.__qualname__ = function.__name__
    lazily.__signature__ = signature  # type: ignore[attr-defined]
    lazily.__doc__ = inspect.cleandoc(_DOCSTRING).format(
        summary=(function.__doc__ or "").partition("\n")[0],
        name=function.__name__,
        others=", ".join(parameter.name for parameter in parameters[1:]),
        example=example,
        shape=(200, 300) if halved else (400, 600),
        chunks=(100, 150) if halved else (200, 300),
    )
    return lazily


median_filter = lazy(ik.median_filter, "size=5")
rank_filter = lazy(ik.rank_filter, "rank=-2, size=5")
percentile_filter = lazy(ik.percentile_filter, "percentile=30, size=5")
minimum_filter = lazy(ik.minimum_filter, "size=5")
maximum_filter = lazy(ik.maximum_filter, "size=5")
box_blur = lazy(ik.box_blur, "size=5")
gaussian_filter = lazy(ik.gaussian_filter, "sigma=1.5")
correlate = lazy(ik.correlate, "kernel=[[-1.0, 0.0, 1.0]], dtype='float32'")
convolve = lazy(ik.convolve, "kernel=[[-1.0, 0.0, 1.0]], dtype='float32'")
correlate_separable = lazy(ik.correlate_separable, "column=[1.0, 2.0, 1.0], row=[-1.0, 0.0, 1.0], dtype='float32'")
max_pool = lazy(ik.max_pool, "size=2", halved=True)
avg_pool = lazy(ik.avg_pool, "size=2", halved=True)
