"""The median of a window: sort it and take the element in the middle."""

import numpy as np

from .windows import windows


def median_filter(image, size=None, *, footprint=None, nan="propagate", **geometry):
    if footprint is None:
        values = windows(image, size, **geometry)
        values = values.reshape(*values.shape[:-2], -1)
    else:
        footprint = np.asarray(footprint).astype(bool)
        values = windows(image, footprint.shape, **geometry)[..., footprint]
    return middle(values, nan)


def middle(values, nan="propagate"):
    """Return the upper middle one of the values along the last axis, those that are no NaN."""
    # By value, -0.0 before 0.0; NaNs last.
    order = np.lexsort((~np.signbit(values), values)) if values.dtype.kind == "f" else np.argsort(values)
    ordered = np.take_along_axis(values, order, -1)
    is_number = values == values
    numbers = is_number.sum(-1)
    medians = np.take_along_axis(ordered, numbers[..., None] // 2, -1)[..., 0]
    if values.dtype.kind == "f":
        # The NaN of a result is the quiet one.
        nans = numbers == 0 if nan == "omit" else ~is_number.all(-1)
        medians[nans] = np.nan
    return medians
