"""Operators and modules of PyTorch, with gradients, that compute on the CPU by this package's functions."""

try:
    import torch  # noqa: F401  # here alone, so that its absence is told in these words
except ImportError as error:
    raise ImportError(
        "imkernels.pipeline.torch needs PyTorch: pip install 'imkernels[torch]', or first "
        "pip install torch --index-url https://download.pytorch.org/whl/cpu for one without CUDA"
    ) from error

from imkernels.pipeline.torch._functions import (
    avg_pool2d,
    box_blur,
    conv2d,
    correlate,
    max_pool2d,
    median_filter,
)
from imkernels.pipeline.torch._modules import (
    AvgPool2d,
    BoxBlur,
    Conv2d,
    Correlate,
    MaxPool2d,
    MedianFilter,
)

__all__ = [
    "AvgPool2d",
    "BoxBlur",
    "Conv2d",
    "Correlate",
    "MaxPool2d",
    "MedianFilter",
    "avg_pool2d",
    "box_blur",
    "conv2d",
    "correlate",
    "max_pool2d",
    "median_filter",
]
