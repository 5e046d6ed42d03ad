"""The functions: PyTorch's arguments for pooling and convolution, this package's for filters."""

from collections.abc import Sequence

from torch import Tensor

from imkernels._arguments import IntOrPair, ModeOrPair, Padding, Pair, check_origin, flag, mode_pair, pads, pair
from imkernels.pipeline.torch import _operators


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve images with learned weights: `torch.nn.functional.conv2d` by `imkernels.conv2d`.

    Parameters
    ----------
    input : Tensor, shape (..., C, H, W)
        The images, of any memory format.
    weight : Tensor, shape (O, C / groups, K, L)
        The weights.
    bias : Tensor, shape (O,), optional
        What is added to every pixel of an output channel.
    stride : int or pair of ints, default 1
        Pixels that the window moves from one output to the next.
    padding : int, pair of ints, pair of pairs, "same" or "valid", default 0
        Zeros around the image: for all sides, rows and columns, or ``((top, bottom), (left, right))``, which PyTorch
        does not have. "same" is PyTorch's: of an even kernel's odd number the larger half comes behind.
    dilation : int or pair of ints, default 1
        Pixels from one tap to the next.
    groups : int, default 1
        Groups of channels that are convolved by themselves.

    Returns
    -------
    Tensor, shape (..., O, P, Q)
        The sums, contiguous.

    Raises
    ------
    ValueError
        If shapes do not fit, a number is out of range, `padding` is "same" and there is a stride, or a tensor is not on
        the CPU.
    TypeError
        If there is no loop for the dtypes, bfloat16 for instance; `imkernels.conv2d` has loops for integers as well.

    Notes
    -----
    The gradients are those of `input`, `weight` and `bias`; gradients of gradients are a NotImplementedError.

    Examples
    --------
    >>> import torch
    >>> from imkernels.pipeline.torch import conv2d
    >>> x = torch.arange(8.0).reshape(1, 2, 2, 2).requires_grad_()
    >>> y = conv2d(x, torch.ones(1, 2, 2, 2), torch.tensor([0.5]))
    >>> y.item()
    28.5
    >>> y.sum().backward()
    >>> x.grad.unique()
    tensor([1.])
    """
    _check_axes(weight, "weight", 4)
    strides, dilations = pair(stride, "stride", 1), pair(dilation, "dilation", 1)
    if isinstance(padding, str) and padding == "same":
        padding = _same(weight.shape[-2:], strides, dilations)
    around = _flat(pads(padding, (1, 1), (1, 1), (0, 0)))
    return _operators.conv2d(input, weight, bias, strides, around, dilations, groups)


def max_pool2d(
    input: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Take the maximum of every window: `torch.nn.functional.max_pool2d` by `imkernels.max_pool_with_argmax`.

    Parameters
    ----------
    input : Tensor, shape (..., H, W)
        The images, of any memory format and dtype that NumPy has.
    kernel_size : int or pair of ints
        The height and width of the window.
    stride : int or pair of ints, optional
        Pixels that the window moves from one output to the next; `kernel_size` by default.
    padding : int, pair of ints, pair of pairs, "same" or "valid", default 0
        Pixels around the image that are never a maximum. PyTorch allows half the window and knows no
        ``((top, bottom), (left, right))``; here all is allowed that leaves every window a pixel.
    dilation : int or pair of ints, default 1
        Pixels from one tap to the next.
    ceil_mode : bool, default False
        Keep the last window that starts on the image or the padding before it.
    return_indices : bool, default False
        Return where the maxima are as well.

    Returns
    -------
    values : Tensor, shape (..., P, Q)
        The maxima, contiguous. A NaN counts as one.
    indices : Tensor of int64, shape (..., P, Q)
        ``row * W + column``, if `return_indices`: of the first maximum in row-major order, and of the first NaN, where
        PyTorch takes the last.

    Raises
    ------
    ValueError
        If shapes do not fit, a number is out of range, or a tensor is not on the CPU.
    TypeError
        If there is no loop for the dtype, bfloat16 for instance.

    Notes
    -----
    The gradient goes to the pixels at `indices`; gradients of gradients are a NotImplementedError.

    Examples
    --------
    >>> import torch
    >>> from imkernels.pipeline.torch import max_pool2d
    >>> max_pool2d(torch.tensor([[1.0, 2.0, 5.0, 3.0], [7.0, 0.0, 5.0, 4.0]]), 2, return_indices=True)
    (tensor([[7., 5.]]), tensor([[4, 2]]))
    """
    sizes, strides = _pooling(kernel_size, stride)
    dilations = pair(dilation, "dilation", 1)
    around = _flat(pads(padding, sizes, dilations, (0, 0)))
    pooled = _operators.max_pool2d(input, sizes, strides, around, dilations, flag(ceil_mode, "ceil_mode"))
    return pooled if flag(return_indices, "return_indices") else pooled[0]


def avg_pool2d(
    input: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Take the average of every window: `torch.nn.functional.avg_pool2d` by `imkernels.avg_pool`.

    Parameters
    ----------
    input : Tensor, shape (..., H, W)
        The images, of any memory format.
    kernel_size : int or pair of ints
        The height and width of the window.
    stride : int or pair of ints, optional
        Pixels that the window moves from one output to the next; `kernel_size` by default.
    padding : int, pair of ints, pair of pairs, "same" or "valid", default 0
        Zeros around the image. PyTorch allows half the window and knows no ``((top, bottom), (left, right))``; here all
        is allowed that leaves every window a pixel.
    ceil_mode : bool, default False
        Keep the last window that starts on the image or the padding before it.
    count_include_pad : bool, default True
        Divide by the pixels of the window in the image and the padding; False counts those in the image alone.
    divisor_override : int, optional
        Divide by this positive number in place of a count.

    Returns
    -------
    Tensor, shape (..., P, Q)
        The averages, contiguous; those of integers rounded half to even.

    Raises
    ------
    ValueError
        If shapes do not fit, a number is out of range, or a tensor is not on the CPU.
    TypeError
        If there is no loop for the dtype: bool and bfloat16 have none.

    Notes
    -----
    Gradients of gradients are a NotImplementedError.

    Examples
    --------
    >>> import torch
    >>> from imkernels.pipeline.torch import avg_pool2d
    >>> avg_pool2d(torch.tensor([[1.0, 2.0, 5.0, 4.0], [3.0, 2.0, 5.0, 4.0]]), 2)
    tensor([[2.0000, 4.5000]])
    """
    sizes, strides = _pooling(kernel_size, stride)
    around = _flat(pads(padding, sizes, (1, 1), (0, 0)))
    flags = flag(ceil_mode, "ceil_mode"), flag(count_include_pad, "count_include_pad")
    return _operators.avg_pool2d(input, sizes, strides, around, *flags, divisor_override)


def median_filter(
    image: Tensor,
    size: IntOrPair,
    *,
    stride: IntOrPair = 1,
    padding: Padding = "same",
    mode: ModeOrPair = "reflect",
    cval: float = 0.0,
    origin: IntOrPair = 0,
) -> Tensor:
    """Replace every pixel by the median of a window around it: `imkernels.median_filter`, with a gradient.

    Parameters
    ----------
    image : Tensor, shape (..., H, W)
        The images, of any memory format and dtype that NumPy has.
    size : int or pair of ints
        The height and width of the window.
    stride, padding, mode, cval, origin
        Where windows stand and what is outside the image, as for `imkernels.median_filter`.

    Returns
    -------
    Tensor, shape (..., P, Q)
        The medians, contiguous; of an even number of values the upper middle one.

    Raises
    ------
    ValueError
        If shapes do not fit, a number is out of range, or a tensor is not on the CPU.
    TypeError
        If there is no loop for the dtype, bfloat16 for instance.

    Notes
    -----
    The gradient of a window goes whole to the pixel that was selected. Which of equal ones that is, is decided as by a
    stable sort: equal values are ordered by their position in the image, row by row, and the one that comes to stand in
    the middle is selected. In a plane of one value this is the pixel at the centre. If it stands in the border, the
    gradient goes to the pixel that it repeats, and nowhere in mode "constant". That of a NaN goes to the last NaN of
    the window. Gradients of gradients are a NotImplementedError.

    Examples
    --------
    >>> import torch
    >>> from imkernels.pipeline.torch import median_filter
    >>> image = torch.tensor([[1.0, 9.0, 2.0]], requires_grad=True)
    >>> median = median_filter(image, (1, 3), padding="valid")
    >>> median.item()
    2.0
    >>> median.sum().backward()
    >>> image.grad
    tensor([[0., 0., 1.]])
    """
    sizes = pair(size, "size", 1)
    return _operators.median_filter(image, sizes, *_placement(sizes, stride, (1, 1), padding, mode, origin), cval)


def box_blur(
    image: Tensor,
    size: IntOrPair,
    *,
    stride: IntOrPair = 1,
    padding: Padding = "same",
    mode: ModeOrPair = "reflect",
    cval: float = 0.0,
    origin: IntOrPair = 0,
    normalize: bool = True,
) -> Tensor:
    """Replace every pixel by the mean of a rectangular window around it: `imkernels.box_blur`, with a gradient.

    Parameters
    ----------
    image : Tensor, shape (..., H, W)
        The images, of any memory format.
    size : int or pair of ints
        The height and width of the window.
    stride, padding, mode, cval, origin
        Where windows stand and what is outside the image, as for `imkernels.box_blur`.
    normalize : bool, default True
        False gives the sum in place of the mean.

    Returns
    -------
    Tensor, shape (..., P, Q)
        The means, contiguous; those of integers rounded half to even.

    Raises
    ------
    ValueError
        If shapes do not fit, a number is out of range, or a tensor is not on the CPU.
    TypeError
        If there is no loop for the dtype: bool and bfloat16 have none.

    Notes
    -----
    The gradient is the exact adjoint, whatever stands around the image. Gradients of gradients are a
    NotImplementedError.

    Examples
    --------
    >>> import torch
    >>> from imkernels.pipeline.torch import box_blur
    >>> image = torch.tensor([[0.0, 3.0, 6.0]], requires_grad=True)
    >>> blurred = box_blur(image, (1, 3), mode="nearest", normalize=False)
    >>> blurred.tolist()
    [[3.0, 9.0, 15.0]]
    >>> blurred.sum().backward()
    >>> image.grad
    tensor([[3., 3., 3.]])
    """
    sizes = pair(size, "size", 1)
    placement = _placement(sizes, stride, (1, 1), padding, mode, origin)
    return _operators.box_blur(image, sizes, *placement, cval, flag(normalize, "normalize"))


def correlate(
    image: Tensor,
    kernel: Tensor,
    *,
    stride: IntOrPair = 1,
    dilation: IntOrPair = 1,
    padding: Padding = "same",
    mode: ModeOrPair = "reflect",
    cval: float = 0.0,
    origin: IntOrPair = 0,
) -> Tensor:
    """Replace every pixel by the weighted sum of a window around it: `imkernels.correlate`, with gradients.

    Parameters
    ----------
    image : Tensor, shape (..., H, W)
        The images, of any memory format.
    kernel : Tensor, shape (K, L)
        The weights, for all images. `conv2d` takes several.
    stride, dilation, padding, mode, cval, origin
        Where windows stand and what is outside the image, as for `imkernels.correlate`.

    Returns
    -------
    Tensor, shape (..., P, Q)
        The sums, contiguous, of the dtype that `imkernels.correlate` gives.

    Raises
    ------
    ValueError
        If shapes do not fit, a number is out of range, or a tensor is not on the CPU.
    TypeError
        If there is no loop for the dtypes, bfloat16 for instance.

    Notes
    -----
    The gradients are those of `image`, the exact adjoint whatever stands around it, and of `kernel`. Gradients of
    gradients are a NotImplementedError.

    Examples
    --------
    >>> import torch
    >>> from imkernels.pipeline.torch import correlate
    >>> kernel = torch.tensor([[-1.0, 0.0, 1.0]], requires_grad=True)
    >>> edges = correlate(torch.tensor([[1.0, 2.0, 4.0, 8.0]]), kernel, padding="valid")
    >>> edges.tolist()
    [[3.0, 6.0]]
    >>> edges.sum().backward()
    >>> kernel.grad
    tensor([[ 3.,  6., 12.]])
    """
    _check_axes(kernel, "kernel", 2)
    dilations = pair(dilation, "dilation", 1)
    placement = _placement(kernel.shape, stride, dilations, padding, mode, origin)
    return _operators.correlate(image, kernel, dilations, *placement, cval)


def _placement(
    size: Sequence[int], stride: IntOrPair, dilation: Pair, padding: Padding, mode: ModeOrPair, origin: IntOrPair
) -> tuple[Pair, list[int], str, str]:
    """Return the stride, the pixels on four sides and the modes of rows and columns."""
    rows, columns = size
    origins = pair(origin, "origin")
    check_origin(origins, (rows, columns), padding)
    around = pads(padding, (rows, columns), dilation, origins)
    return pair(stride, "stride", 1), _flat(around), *mode_pair(mode)


def _pooling(kernel_size: IntOrPair, stride: IntOrPair | None) -> tuple[Pair, Pair]:
    sizes = pair(kernel_size, "kernel_size", 1)
    return sizes, sizes if stride is None else pair(stride, "stride", 1)


def _same(size: Sequence[int], stride: Pair, dilation: Pair) -> list[Pair]:
    """Return the zeros that keep the size, by PyTorch's rule."""
    if stride != (1, 1):
        raise ValueError(f"padding must be given in numbers for a stride, got 'same' with stride {stride}")
    reaches = [step * (taps - 1) for taps, step in zip(size, dilation, strict=True)]
    return [(reach // 2, reach - reach // 2) for reach in reaches]


def _flat(around: Sequence[Sequence[int]]) -> list[int]:
    return [side for sides in around for side in sides]


def _check_axes(tensor: Tensor, name: str, count: int) -> None:
    if tensor.ndim != count:
        raise ValueError(f"{name} must have {count} axes, got shape {tuple(tensor.shape)}")
