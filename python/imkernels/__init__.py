"""Image-window kernels for NumPy: exact, parallel, ufunc-like.

Images are arrays ``(..., H, W)``: the last two axes are the window axes, all leading axes loop.
"""

from imkernels.convolution import (
    conv2d,
    conv2d_backward_input,
    conv2d_backward_weight,
    conv_transpose2d,
    convolve,
    correlate,
    correlate_separable,
)
from imkernels.filters import (
    box_blur,
    gaussian_filter,
    maximum_filter,
    median_filter,
    minimum_filter,
    percentile_filter,
    rank_filter,
)
from imkernels.pooling import (
    adaptive_avg_pool,
    adaptive_avg_pool_backward,
    adaptive_max_pool,
    adaptive_max_pool_with_argmax,
    avg_pool,
    avg_pool_backward,
    max_pool,
    max_pool_backward,
    max_pool_with_argmax,
    max_unpool,
)
from imkernels.settings import (
    get_workers,
    isa_level,
    set_workers,
    workers,
)

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "adaptive_avg_pool",
    "adaptive_avg_pool_backward",
    "adaptive_max_pool",
    "adaptive_max_pool_with_argmax",
    "avg_pool",
    "avg_pool_backward",
    "box_blur",
    "conv2d",
    "conv2d_backward_input",
    "conv2d_backward_weight",
    "conv_transpose2d",
    "convolve",
    "correlate",
    "correlate_separable",
    "gaussian_filter",
    "get_workers",
    "isa_level",
    "max_pool",
    "max_pool_backward",
    "max_pool_with_argmax",
    "max_unpool",
    "maximum_filter",
    "median_filter",
    "minimum_filter",
    "percentile_filter",
    "rank_filter",
    "set_workers",
    "workers",
]
