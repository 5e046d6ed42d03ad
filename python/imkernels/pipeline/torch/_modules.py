"""Modules: PyTorch's own layers with another way of computing, and filters as layers."""

from typing import Any

import torch
from torch import Tensor

from imkernels._arguments import IntOrPair
from imkernels.pipeline.torch import _functions


class Conv2d(torch.nn.Conv2d):
    """`torch.nn.Conv2d` by `imkernels.conv2d`: the same arguments, weights, start and state.

    Examples
    --------
    >>> import torch
    >>> from imkernels.pipeline.torch import Conv2d
    >>> Conv2d(3, 8, kernel_size=5, padding="same")(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 8, 32, 32])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Convolve images (..., C, H, W)."""
        padding = self.padding
        if self.padding_mode != "zeros":
            input = torch.nn.functional.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = 0
        return _functions.conv2d(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class MaxPool2d(torch.nn.MaxPool2d):
    """`torch.nn.MaxPool2d` by `imkernels.max_pool_with_argmax`.

    Examples
    --------
    >>> import torch
    >>> from imkernels.pipeline.torch import MaxPool2d
    >>> MaxPool2d(2)(torch.tensor([[[1.0, 2.0], [4.0, 3.0]]]))
    tensor([[[4.]]])
    """

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Pool images (..., H, W)."""
        window = self.kernel_size, self.stride, self.padding, self.dilation
        return _functions.max_pool2d(input, *window, self.ceil_mode, self.return_indices)


class AvgPool2d(torch.nn.AvgPool2d):
    """`torch.nn.AvgPool2d` by `imkernels.avg_pool`.

    Examples
    --------
    >>> import torch
    >>> from imkernels.pipeline.torch import AvgPool2d
    >>> AvgPool2d(2)(torch.tensor([[[1.0, 2.0], [4.0, 3.0]]]))
    tensor([[[2.5000]]])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Pool images (..., H, W)."""
        window = self.kernel_size, self.stride, self.padding, self.ceil_mode
        return _functions.avg_pool2d(input, *window, self.count_include_pad, self.divisor_override)


class _Filter(torch.nn.Module):
    """A filter that holds its keywords."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__()
        self.keywords = keywords

    def extra_repr(self) -> str:
        """Return what `repr` shows."""
        return ", ".join(f"{name}={value!r}" for name, value in self.keywords.items())


class MedianFilter(_Filter):
    """`median_filter` as a layer.

    Parameters
    ----------
    size : int or pair of ints
        The height and width of the window.
    **keywords
        Those of `median_filter`.

    Examples
    --------
    >>> import torch
    >>> from imkernels.pipeline.torch import MedianFilter
    >>> MedianFilter(3, mode="nearest")
    MedianFilter(size=3, mode='nearest')
    >>> MedianFilter(3)(torch.tensor([[1.0, 1.0, 1.0], [1.0, 9.0, 1.0]])).unique()
    tensor([1.])
    """

    def __init__(self, size: IntOrPair, **keywords: Any) -> None:
        super().__init__(size=size, **keywords)

    def forward(self, image: Tensor) -> Tensor:
        """Filter images (..., H, W)."""
        return _functions.median_filter(image, **self.keywords)


class BoxBlur(_Filter):
    """`box_blur` as a layer.

    Parameters
    ----------
    size : int or pair of ints
        The height and width of the window.
    **keywords
        Those of `box_blur`.

    Examples
    --------
    >>> import torch
    >>> from imkernels.pipeline.torch import BoxBlur
    >>> BoxBlur((1, 3), normalize=False)(torch.tensor([[1.0, 2.0, 4.0]]))
    tensor([[ 4.,  7., 10.]])
    """

    def __init__(self, size: IntOrPair, **keywords: Any) -> None:
        super().__init__(size=size, **keywords)

    def forward(self, image: Tensor) -> Tensor:
        """Filter images (..., H, W)."""
        return _functions.box_blur(image, **self.keywords)


class Correlate(_Filter):
    """`correlate` as a layer.

    Parameters
    ----------
    kernel : Tensor or Parameter, shape (K, L)
        The weights: a `torch.nn.Parameter` is learned, any other tensor stays as it is, in a buffer.
    **keywords
        Those of `correlate`.

    Examples
    --------
    >>> import torch
    >>> from imkernels.pipeline.torch import Correlate
    >>> layer = Correlate(torch.nn.Parameter(torch.ones(3, 3) / 9), mode="mirror")
    >>> [name for name, _ in layer.named_parameters()]
    ['kernel']
    """

    kernel: Tensor

    def __init__(self, kernel: Tensor, **keywords: Any) -> None:
        super().__init__(**keywords)
        if isinstance(kernel, torch.nn.Parameter):
            self.kernel = kernel
        else:
            self.register_buffer("kernel", kernel)

    def forward(self, image: Tensor) -> Tensor:
        """Filter images (..., H, W)."""
        return _functions.correlate(image, self.kernel, **self.keywords)

    def extra_repr(self) -> str:
        """Return what `repr` shows."""
        shape = f"kernel of shape {tuple(self.kernel.shape)}"
        return ", ".join([shape, *filter(None, [super().extra_repr()])])
