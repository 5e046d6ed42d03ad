"""Windows: from sizes, origins, modes and axes to the calls of kernels, which filter along two axes at a time."""

from collections.abc import Sequence
from operator import index, itemgetter
from typing import Any, NamedTuple

from numpy.lib.array_utils import normalize_axis_index

from imkernels import _core
from imkernels._arguments import Array, Pair, mode_pair, remembered
from imkernels._dtypes import Dtype
from imkernels.compat.ndimage._arguments import (
    check_mode,
    check_one_mode,
    fill_of,
    filtered_axes,
    one_per_axis,
)


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

    axes: Pair | None  # counted from the end; None: the last two
    size: int | Pair
    origin: int | Pair
    mode: str | tuple[str, str]
    extents: Pair
    lines: tuple[Line, Line]
    constant: bool
    window: _core.Window


def as_plane(values: Array, step: Step) -> Array:
    """Return a footprint or weights with the two axes of a step."""
    return values if values.shape == step.extents else values.reshape(step.extents)


def line_of(axis: int, size: int, origin: Any, mode: Any) -> Line:
    if not 0 <= size // 2 + origin < size:
        raise ValueError(
            f"invalid origin: origin must lie between {-(size // 2)} and {(size - 1) // 2} for size {size}, "
            f"got {origin!r}"
        )
    return Line(axis, size, index(origin), mode)


def step_of(ndim: int, lines: Sequence[Line]) -> Step:
    """Return the step that one or two lines, or none, make on an image of `ndim` axes, or of two if it has fewer."""
    for line in lines:
        check_mode(line.mode)
    lines = [line._replace(axis=line.axis + max(2 - ndim, 0)) for line in lines]
    ndim = max(ndim, 2)
    for axis in (ndim - 1, ndim - 2):
        if len(lines) < 2 and axis not in [line.axis for line in lines]:
            lines.append(Line(axis, 1, 0, lines[0].mode if lines else "reflect"))
    first, second = sorted(lines)
    return Step(
        None if first.axis == ndim - 2 else (first.axis - ndim, second.axis - ndim),
        first.size if first.size == second.size else (first.size, second.size),
        first.origin if first.origin == second.origin else (first.origin, second.origin),
        first.mode if first.mode == second.mode else (first.mode, second.mode),
        (first.size, second.size),
        (first, second),
        any(line.mode.endswith("constant") for line in lines),
        _core.Window(
            (first.size, second.size),
            (1, 1),
            (1, 1),
            (first.size // 2 + first.origin, second.size // 2 + second.origin),
            mode_pair((first.mode, second.mode)),
        ),
    )


def steps_of(ndim: int, lines: Sequence[Line], together: int) -> tuple[Step, ...]:
    """Return the steps that filter along one line after the other, or along two `together`."""
    return tuple(step_of(ndim, lines[first : first + together]) for first in range(0, len(lines), together))


@remembered
def separable_steps(ndim: int, size: Any, origin: Any, mode: Any, axes: Any, together: int) -> tuple[Step, ...]:
    """Return the steps of a filter of one size per axis; those of size 1 or less stay as they are."""
    places = filtered_axes(axes, ndim)
    count = len(places)
    settings = zip(
        places,
        one_per_axis(size, count, "size"),
        one_per_axis(origin, count, "origin"),
        one_per_axis(mode, count, "mode"),
        strict=True,
    )
    lines = [line_of(axis, int(size), origin, mode) for axis, size, origin, mode in settings if size > 1]
    return steps_of(ndim, lines, together)


@remembered
def line_step(ndim: int, size: Any, origin: Any, mode: Any, axis: int) -> Step:
    """Return the step of a filter along one axis."""
    place = normalize_axis_index(axis, ndim)
    if size < 1:
        raise RuntimeError(f"incorrect filter size: size must be at least 1, got {size!r}")
    return step_of(ndim, [line_of(place, index(size), origin, mode)])


def fill_around(cval: Any, steps: Sequence[Step], *dtypes: Dtype) -> Any:
    """Return the value outside an image of the first dtype, or None if it, or the results between steps, has none."""
    if type(cval) is float and cval == 0.0:
        return cval
    constant = any(step.constant for step in steps)
    fills = [fill_of(cval, constant, dtype) for dtype in (dtypes if len(steps) > 1 else dtypes[:1])]
    return None if None in fills else fills[0]


# Footprints and weights


class Extent(NamedTuple):
    """The size of a window along one axis, as it was given."""

    axis: int
    size: int
    origin: Any


def check_extents(shape: Sequence[int], count: int, name: str) -> None:
    if len(shape) != count or 0 in shape:
        raise RuntimeError(f"{name}.ndim ({len(shape)}) must match len(axes) ({count}), no extent be 0, got {shape}")


def extents_of(
    places: Sequence[int], ndim: int, shape: Sequence[int], origin: Any, name: str = "footprint"
) -> list[Extent]:
    """Return the extents of a footprint or of weights, in the order of the image's axes.

    That is the order of a footprint's axes whatever the order of `axes`, and of origins if all axes are filtered.
    """
    count = len(places)
    check_extents(shape, count, name)
    origins = one_per_axis(origin, count, "origin")
    if count < ndim:
        origins = [value for _, value in sorted(zip(places, origins, strict=True), key=itemgetter(0))]
    return [Extent(*extent) for extent in zip(sorted(places), shape, origins, strict=True)]


@remembered
def footprint_steps(ndim: int, origin: Any, mode: Any, axes: Any, *shape: int) -> tuple[Step, ...] | None:
    """Return the one step of a footprint that is not a box, or None if it reaches along more than two axes."""
    extents = extents_of(filtered_axes(axes, ndim), ndim, shape, origin)
    step = _single_step(ndim, extents, mode, "footprints that are no boxes")
    return None if step is None else (step,)


@remembered
def weights_step(ndim: int, origin: Any, mode: Any, axes: Any, convolution: bool, *shape: int) -> Step | None:
    """Return the step of weights, or None if they reach along more than two axes."""
    extents = extents_of(filtered_axes(axes, ndim), ndim, shape, origin, "weights")
    if convolution:
        extents = [extent._replace(origin=turned_origin(extent.origin, extent.size)) for extent in extents]
    return _single_step(ndim, extents, mode, "weights")


def _single_step(ndim: int, extents: Sequence[Extent], mode: Any, what: str) -> Step | None:
    lines = [line_of(*extent, mode) for extent in extents]
    check_one_mode(mode, what)
    active = [line for line in lines if line.size > 1]
    return step_of(ndim, active) if len(active) <= 2 else None


def turned_origin(origin: Any, size: int) -> Any:
    """Return the origin of a window that is turned round."""
    return -origin - (1 - size % 2)
