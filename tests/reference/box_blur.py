"""The exact mean, or sum, of a window: with fractions for integers, with `math.fsum` for floats."""

import math
from fractions import Fraction

import numpy as np

from .windows import windows


def box_blur(image, size, *, normalize=True, **geometry):
    """Return exact means (or sums): Python numbers for integers, the nearest float64 for floats."""
    values = windows(image, size, **geometry)
    taps = values.shape[-2] * values.shape[-1]
    results = np.empty(values.shape[:-2], float if image.dtype.kind == "f" else object)
    for where in np.ndindex(results.shape):
        total = exact_sum(values[where].ravel().tolist())
        if not normalize:
            results[where] = total
        elif isinstance(total, int):
            results[where] = Fraction(total, taps)
        else:
            results[where] = total / taps
    return results


def exact_sum(numbers):
    """Return the sum of Python ints or floats; with a NaN or an infinity among them, what IEEE 754 says."""
    if isinstance(numbers[0], int) or not all(map(math.isfinite, numbers)):
        return sum(numbers)
    return math.fsum(numbers)
