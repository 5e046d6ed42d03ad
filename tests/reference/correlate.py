"""Every pixel the weighted sum of its window: with Python's integers, or with `math.fsum` for floats."""

import numpy as np

from .box_blur import exact_sum
from .windows import windows


def correlate(image, kernel, **geometry):
    """Return exact sums: Python integers where both are integers, else float64."""
    kernel = np.asarray(kernel)
    values = windows(image, kernel.shape[-2:], **geometry)
    kernel = kernel[..., None, None, :, :]
    values, kernel = np.broadcast_arrays(values, kernel)
    integers = values.dtype.kind in "iu" and kernel.dtype.kind in "iu"
    results = np.empty(values.shape[:-2], object if integers else float)
    for where in np.ndindex(results.shape):
        pairs = zip(values[where].ravel().tolist(), kernel[where].ravel().tolist(), strict=True)
        results[where] = exact_sum([pixel * weight for pixel, weight in pairs])
    return results


def magnitude(image, kernel, **geometry):
    """Return the sums of the magnitudes |pixel| |weight|: what float errors are measured by."""
    geometry["cval"] = abs(float(geometry.get("cval", 0.0)))
    with np.errstate(invalid="ignore"):  # what widening a signalling NaN reports
        image, kernel = np.abs(np.asarray(image, float)), np.abs(np.asarray(kernel, float))
    return correlate(image, kernel, **geometry)
