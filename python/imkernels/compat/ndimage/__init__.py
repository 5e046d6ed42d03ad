"""The filters of `scipy.ndimage`, by their names and rules, on this package's kernels.

``from imkernels.compat import ndimage`` takes the place of ``from scipy import ndimage``: signatures, defaults, dtypes
of results, truncation and wrapping of integers and classes of exceptions are SciPy's. What the kernels do not compute,
and every other name of `scipy.ndimage`, goes to SciPy if that is installed; `served` tells which. Where SciPy loses
bits or spreads NaNs, results are the right ones: docs/compat.md lists each such case.
"""

from typing import Any

from imkernels.compat.ndimage._gaussians import gaussian_filter, gaussian_filter1d
from imkernels.compat.ndimage._means import uniform_filter, uniform_filter1d
from imkernels.compat.ndimage._order import (
    maximum_filter,
    maximum_filter1d,
    median_filter,
    minimum_filter,
    minimum_filter1d,
    percentile_filter,
    rank_filter,
)
from imkernels.compat.ndimage._serving import from_scipy, served
from imkernels.compat.ndimage._sums import convolve, convolve1d, correlate, correlate1d

__all__ = [
    "convolve",
    "convolve1d",
    "correlate",
    "correlate1d",
    "gaussian_filter",
    "gaussian_filter1d",
    "maximum_filter",
    "maximum_filter1d",
    "median_filter",
    "minimum_filter",
    "minimum_filter1d",
    "percentile_filter",
    "rank_filter",
    "served",
    "uniform_filter",
    "uniform_filter1d",
]


def __getattr__(name: str) -> Any:
    """Return what this module has not from `scipy.ndimage`."""
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return from_scipy(name)
