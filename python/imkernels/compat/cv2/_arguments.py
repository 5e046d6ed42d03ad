"""What all functions share: OpenCV's constants and errors, and what it takes as images, targets and windows."""

import functools
import operator
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, ParamSpec, TypeAlias

import numpy as np

from imkernels import _docs
from imkernels._arguments import Array
from imkernels._dtypes import Dtype
from imkernels.compat.cv2._paragraphs import PARAGRAPHS
from imkernels.convolution import Geometry

BORDER_CONSTANT = 0
BORDER_REPLICATE = 1
BORDER_REFLECT = 2
BORDER_WRAP = 3
BORDER_REFLECT_101 = BORDER_REFLECT101 = BORDER_DEFAULT = 4
BORDER_TRANSPARENT = 5
BORDER_ISOLATED = 16

CV_8U, CV_8S, CV_16U, CV_16S, CV_32S, CV_32F, CV_64F, CV_16F = range(8)
CV_64U, CV_64S, CV_32U = 10, 11, 12

UINT8 = np.dtype(np.uint8)
INT16 = np.dtype(np.int16)
UINT16 = np.dtype(np.uint16)
INT64 = np.dtype(np.int64)
FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)

_DEPTHS: dict[int, Dtype] = {
    CV_8U: np.dtype(np.uint8),
    CV_8S: np.dtype(np.int8),
    CV_16U: np.dtype(np.uint16),
    CV_16S: np.dtype(np.int16),
    CV_32S: np.dtype(np.int32),
    CV_32F: np.dtype(np.float32),
    CV_64F: np.dtype(np.float64),
    CV_16F: np.dtype(np.float16),
    CV_64U: np.dtype(np.uint64),
    CV_64S: np.dtype(np.int64),
    CV_32U: np.dtype(np.uint32),
}
_DEPTH_MASK = 31  # the rest of a type counts channels

_MODES = {
    BORDER_CONSTANT: "constant",
    BORDER_REPLICATE: "nearest",
    BORDER_REFLECT: "reflect",
    BORDER_REFLECT_101: "mirror",
}
_MODES |= {border | BORDER_ISOLATED: mode for border, mode in _MODES.items()}  # an array is never part of another

PUBLIC = "imkernels.compat.cv2"  # where people and pickles find all of it

Axes: TypeAlias = tuple[int, int] | None
Keywords: TypeAlias = dict[str, Any]
P = ParamSpec("P")


class error(ValueError):  # noqa: N801, N818  # OpenCV's name
    """What is raised for every argument that does not fit; where OpenCV is loaded, it is a `cv2.error` as well."""

    __module__ = PUBLIC


@functools.cache
def _error_of_both(theirs: type[Exception] | None) -> type[error]:
    return error if theirs is None else type("error", (error, theirs), {"__module__": PUBLIC})


def refusing(function: Callable[P, Array]) -> Callable[P, Array]:
    """Raise `error` for every error of an argument, as OpenCV does; the docstring gets what it shares with others."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Array:
        try:
            return function(*args, **kwargs)
        except (TypeError, ValueError) as refusal:
            theirs = getattr(sys.modules.get("cv2"), "error", None)
            raise _error_of_both(theirs)(f"{function.__name__}: {refusal}") from refusal

    call.__module__ = PUBLIC
    call.__doc__ = _docs.complete(function.__doc__, function.__name__, **PARAGRAPHS)
    return call


# Arguments


def image_of(src: Any, name: str = "src") -> tuple[Array, Axes]:
    """Return the image as (H, W), or (H, W, C) of more than one channel, and the axes of its windows."""
    if not isinstance(src, np.ndarray):
        raise TypeError(f"{name} must be a numpy.ndarray, got {type(src).__name__}")
    if src.size == 0:
        raise ValueError(f"{name} must not be empty, got shape {src.shape}")
    if src.ndim == 2:
        return src, None
    if src.ndim == 3:
        return (src[:, :, 0], None) if src.shape[2] == 1 else (src, (0, 1))
    if src.ndim > 3:
        raise ValueError(f"{name} must have shape (H, W) or (H, W, C), got {src.shape}")
    return np.atleast_2d(src), None


def int_of(value: Any, name: str) -> int:
    if type(value) is int:
        return value
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__") or np.ndim(value) > 0:
        raise TypeError(f"{name} must be an int, got {value!r}")
    return operator.index(value)


def matrix_of(value: Any, name: str) -> Array:
    """Return a kernel as (rows, columns); one axis is a row."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} must be a numpy.ndarray, got {type(value).__name__}")
    matrix = value.reshape(1, -1) if value.ndim < 2 else value[:, :, 0] if value.shape[2:] == (1,) else value
    if matrix.ndim != 2 or matrix.size == 0:
        raise ValueError(f"{name} must be a matrix that is not empty, got shape {value.shape}")
    return matrix


def pair_of(value: Any, name: str) -> tuple[int, int]:
    """Return (columns, rows)."""
    if not isinstance(value, (Sequence, np.ndarray)) or isinstance(value, str) or len(value) != 2:
        raise TypeError(f"{name} must be two ints, columns and rows, got {value!r}")
    return int_of(value[0], name), int_of(value[1], name)


def real_of(value: Any, name: str) -> float:
    if not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a real number, got {value!r}")
    return float(value)


def border_mode(border: Any) -> str:
    """Return the mode of a border; None is OpenCV's default everywhere."""
    mode = _MODES.get(BORDER_DEFAULT if border is None else border)
    if mode is None:
        raise ValueError(
            "borderType must be BORDER_CONSTANT, BORDER_REPLICATE, BORDER_REFLECT or BORDER_REFLECT_101, "
            f"with or without BORDER_ISOLATED, got {border!r}"
        )
    return mode


def result_dtype(ddepth: Any, source: Dtype) -> Dtype:
    depth = -1 if ddepth is None else int_of(ddepth, "ddepth")
    if depth < 0:
        return source.newbyteorder("=")
    if depth & _DEPTH_MASK not in _DEPTHS:
        raise ValueError(f"ddepth must be -1 or a depth such as CV_16S or CV_32F, got {ddepth!r}")
    return _DEPTHS[depth & _DEPTH_MASK]


class Target(NamedTuple):
    """Where a result goes: into `out`, which is `dst` or a view of it, or into a new array."""

    dst: Any
    out: Array | None

    def handed_over(self, result: Array) -> Array:
        """Return what OpenCV returns."""
        return result if self.out is None else self.dst


def target_for(dst: Any, shape: tuple[int, ...], dtype: Dtype) -> Target:
    """Return `dst` if shape and dtype are those of the result, as OpenCV does: others are left alone."""
    if dst is None:
        return Target(None, None)
    if not isinstance(dst, np.ndarray):
        raise TypeError(f"dst must be a numpy.ndarray, got {type(dst).__name__}")
    out = dst[:, :, 0] if dst.ndim == 3 and dst.shape[2] == 1 else dst
    return Target(dst, out if out.shape == shape and out.dtype == dtype else None)


# Windows


def size_of(width: int, height: int) -> int | tuple[int, int]:
    return width if width == height else (height, width)


class Place(NamedTuple):
    """Where windows lie and what stands outside the image, by this package's names."""

    mode: str
    origin: int | tuple[int, int]
    axes: Axes

    def keywords(self) -> Keywords:
        return {"mode": self.mode, "origin": self.origin, "axes": self.axes}

    def geometry(self) -> Geometry:
        return Geometry(1, 1, "same", self.mode, self.origin)


def place_of(width: int, height: int, anchor: Any, border: Any, axes: Axes) -> Place:
    """Return where windows of `width` columns and `height` rows lie."""
    mode = border_mode(border)
    if anchor is None or (type(anchor) is tuple and anchor == (-1, -1)):
        return Place(mode, 0, axes)
    column, row = anchor_of(width, height, anchor)
    origin = row - height // 2, column - width // 2
    return Place(mode, 0 if origin == (0, 0) else origin, axes)


def anchor_of(width: int, height: int, anchor: Any) -> tuple[int, int]:
    """Return column and row of the anchor; -1 is the centre."""
    column, row = (-1, -1) if anchor is None else pair_of(anchor, "anchor")
    column, row = (width // 2 if column == -1 else column), (height // 2 if row == -1 else row)
    if not (0 <= column < width and 0 <= row < height):
        raise ValueError(f"anchor must lie in the window of {width} columns and {height} rows, got {anchor!r}")
    return column, row
