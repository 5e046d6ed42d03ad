"""Image-window kernels for NumPy: exact, parallel, ufunc-like.

Images are arrays ``(..., H, W)``: the last two axes are the window axes, all leading axes loop.
"""

from imkernels.convolution import correlate
from imkernels.filters import box_blur, median_filter
from imkernels.pooling import max_pool_backward, max_pool_with_argmax
from imkernels.settings import get_workers, isa_level, set_workers, workers

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "box_blur",
    "correlate",
    "get_workers",
    "isa_level",
    "max_pool_backward",
    "max_pool_with_argmax",
    "median_filter",
    "set_workers",
    "workers",
]
