"""The compiled kernels at the best instruction-set level that the machine can run.

There is one extension module per level, built from the same sources. ``_core_baseline`` runs everywhere and tells
which of the others this machine supports. The environment variable ``IMKERNELS_ISA`` forces a level.
"""

import importlib
import importlib.util
import os

from imkernels._core import _core_baseline

forced_level = os.environ.get("IMKERNELS_ISA") or None

_MODULES = {"baseline": "_core_baseline", "x86-64-v3": "_core_v3", "x86-64-v4": "_core_v4"}


def available_levels():
    """Return the levels that are both built and supported by the machine, worst first."""
    return [
        level
        for level in _core_baseline.supported_levels()
        if importlib.util.find_spec(f"{__name__}.{_MODULES[level]}") is not None
    ]


def load_level(level):
    """Return the extension module of a level; any number of them can be loaded side by side."""
    return importlib.import_module(f"{__name__}.{_MODULES[level]}")


def _chosen_level():
    levels = available_levels()
    if forced_level is None:
        return levels[-1]
    if forced_level not in levels:
        known = "unknown" if forced_level not in _MODULES else "not supported by this machine or not built"
        raise ImportError(f"IMKERNELS_ISA={forced_level} is {known}; available levels: {', '.join(levels)}")
    return forced_level


_module = load_level(_chosen_level())

level = _module.level
compiler = _module.compiler
openmp = _module.openmp
forked = _module.forked
Window = _module.Window
output_extent = _module.output_extent
covers = _module.covers
order_filter = _module.order_filter
extremum_filter = _module.extremum_filter
has_median_network = _module.has_median_network
median_network = _module.median_network
has_histogram = _module.has_histogram
histogram_filter = _module.histogram_filter
has_sliding = _module.has_sliding
sliding_filter = _module.sliding_filter
has_rank_network = _module.has_rank_network
rank_network = _module.rank_network
box_blur = _module.box_blur
correlate = _module.correlate
has_fft = _module.has_fft
fft_is_faster = _module.fft_is_faster
correlate_fft = _module.correlate_fft
separable_is_faster = _module.separable_is_faster
correlate_separable = _module.correlate_separable
OrderedTerms = _module.OrderedTerms
ordered_sums = _module.ordered_sums
max_pool = _module.max_pool
max_pool_backward = _module.max_pool_backward
max_unpool = _module.max_unpool
avg_pool = _module.avg_pool
avg_pool_backward = _module.avg_pool_backward
adaptive_max_pool = _module.adaptive_max_pool
conv2d = _module.conv2d
conv2d_backward_weight = _module.conv2d_backward_weight
convert = _module.convert
