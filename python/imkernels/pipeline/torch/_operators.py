"""The operators as PyTorch's dispatcher knows them: plain numbers beside tensors, shapes, and gradients.

`torch.ops.imkernels` lists them. A gradient is an operator itself, so that compiled graphs hold it; it has none of its
own.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

import imkernels as ik
from imkernels._arguments import Array, Pairs
from imkernels._dtypes import ALL
from imkernels.pipeline.torch import _adjoints
from imkernels.pipeline.torch._adjoints import Placement

NUMPY_DTYPES = {torch.from_numpy(np.empty(0, character)).dtype: np.dtype(character) for character in ALL}
TORCH_DTYPES = {dtype: name for name, dtype in NUMPY_DTYPES.items()}


# Tensors and arrays


def workers() -> int:
    """Return the number of threads: what both PyTorch and this package allow."""
    return min(torch.get_num_threads(), ik.get_workers())


def _check(tensor: Tensor, name: str) -> None:
    if tensor.device.type not in ("cpu", "meta"):
        raise ValueError(f"{name} must be a tensor of the CPU, got one on {tensor.device}; say {name}.cpu()")
    if tensor.dtype not in NUMPY_DTYPES:
        raise TypeError(f"{name} must hold bool, integers or floats of NumPy, got {tensor.dtype}; say {name}.float()")


def _array(tensor: Tensor, name: str) -> Array:
    """Return a tensor's memory as an array."""
    _check(tensor, name)
    return tensor.numpy(force=True)


def _tensor(array: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


def _empty(shape: Sequence[int], call: Callable[..., Any], *tensors: tuple[Tensor, str, int]) -> Tensor:
    """Return a tensor of that shape without memory, of the dtype that a call gives for tensors of that many axes."""
    arrays = []
    for tensor, name, axes in tensors:
        _check(tensor, name)
        arrays.append(np.zeros((1,) * axes, NUMPY_DTYPES[tensor.dtype]))
    return tensors[0][0].new_empty(shape, dtype=TORCH_DTYPES[call(*arrays).dtype])


def _sides(padding: Sequence[int]) -> Pairs:
    """Return ((top, bottom), (left, right)) of these four numbers."""
    return (padding[0], padding[1]), (padding[2], padding[3])


def _extents(
    shape: Sequence[int],
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int] = (1, 1),
    ceil_mode: bool = False,
) -> tuple[int, int]:
    """Return the extents of a result; they may be symbols, of which C++ knows nothing."""
    extents = []
    for axis, (before, after) in enumerate(_sides(padding)):
        pixels = shape[axis - 2]
        reach = dilation[axis] * (size[axis] - 1) + 1
        room = pixels + before + after - reach + (stride[axis] - 1 if ceil_mode else 0)
        if room < 0 < pixels:
            raise ValueError(f"windows of {reach} pixels must fit {pixels} padded by {before} and {after}")
        count = max(room, -stride[axis]) // stride[axis] + 1  # none in an image without pixels
        if ceil_mode and (count - 1) * stride[axis] >= pixels + before:
            count -= 1
        extents.append(count)
    return extents[0], extents[1]


def _no_gradient(ctx: Any, *grads: Tensor) -> None:
    raise NotImplementedError("gradients by imkernels have no gradients themselves: leave out create_graph=True")


def _gradient_operator(function: Callable[..., Tensor]) -> Any:
    """Make an operator of a gradient: its first arguments are the gradient of the result, and its own shape."""
    operator = torch.library.custom_op(f"imkernels::{function.__name__.lstrip('_')}", function, mutates_args=())
    operator.register_fake(lambda grad, shape, *others: grad.new_empty(shape))
    operator.register_autograd(_no_gradient)
    return operator


# Convolution


@torch.library.custom_op("imkernels::conv2d", mutates_args=())
def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Tensor:
    """Convolve images (..., C, H, W)."""
    arrays = _array(x, "input"), _array(weight, "weight")
    geometry = _layer(stride, padding, dilation, groups)
    return _tensor(ik.conv2d(*arrays, bias=None if bias is None else _array(bias, "bias"), **geometry))


def _layer(stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], groups: int) -> dict[str, Any]:
    return {
        "stride": stride,
        "padding": _sides(padding),
        "dilation": dilation,
        "groups": groups,
        "workers": workers(),
    }


@conv2d.register_fake
def _(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Tensor:
    extents = _extents(x.shape, weight.shape[-2:], stride, padding, dilation)
    return _empty((*x.shape[:-3], weight.shape[0], *extents), ik.conv2d, (x, "input", 3), (weight, "weight", 4))


@_gradient_operator
def _conv2d_backward_input(
    grad: Tensor,
    shape: Sequence[int],
    weight: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Tensor:
    arrays = _array(grad, "grad"), _array(weight, "weight")
    return _tensor(ik.conv2d_backward_input(*arrays, tuple(shape), **_layer(stride, padding, dilation, groups)))


@_gradient_operator
def _conv2d_backward_weight(
    grad: Tensor,
    shape: Sequence[int],
    x: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Tensor:
    arrays = _array(grad, "grad"), _array(x, "input")
    return _tensor(ik.conv2d_backward_weight(*arrays, tuple(shape), **_layer(stride, padding, dilation, groups)))


def _keep_layer(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, _, *ctx.geometry = inputs
    ctx.save_for_backward(x, weight)


def _conv2d_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, weight = ctx.saved_tensors
    wanted = ctx.needs_input_grad
    return (
        _conv2d_backward_input(grad, x.shape, weight, *ctx.geometry) if wanted[0] else None,
        _conv2d_backward_weight(grad, weight.shape, x, *ctx.geometry) if wanted[1] else None,
        grad.sum([axis for axis in range(grad.ndim) if axis != grad.ndim - 3]) if wanted[2] else None,
        *(None for _ in ctx.geometry),
    )


conv2d.register_autograd(_conv2d_backward, setup_context=_keep_layer)


# Pooling


@torch.library.custom_op("imkernels::max_pool2d", mutates_args=())
def max_pool2d(
    image: Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> tuple[Tensor, Tensor]:
    """Take the maximum of every window, and where it was found."""
    values, indices = ik.max_pool_with_argmax(
        _array(image, "input"),
        size,
        stride=stride,
        padding=_sides(padding),
        dilation=dilation,
        ceil_mode=ceil_mode,
        workers=workers(),
    )
    return _tensor(values), _tensor(indices)


@max_pool2d.register_fake
def _(
    image: Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> tuple[Tensor, Tensor]:
    _check(image, "input")
    shape = (*image.shape[:-2], *_extents(image.shape, size, stride, padding, dilation, ceil_mode))
    return image.new_empty(shape), image.new_empty(shape, dtype=torch.int64)


@_gradient_operator
def _max_pool2d_backward(grad: Tensor, shape: Sequence[int], indices: Tensor) -> Tensor:
    arrays = _array(grad, "grad"), _array(indices, "indices")
    return _tensor(ik.max_pool_backward(*arrays, tuple(shape[-2:]), workers=workers()))


def _keep_indices(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.shape = inputs[0].shape
    ctx.save_for_backward(output[1])


def _max_pool2d_gradients(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
    return _max_pool2d_backward(grad, ctx.shape, *ctx.saved_tensors), None, None, None, None, None


max_pool2d.register_autograd(_max_pool2d_gradients, setup_context=_keep_indices)


@torch.library.custom_op("imkernels::avg_pool2d", mutates_args=())
def avg_pool2d(
    image: Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    """Take the average of every window."""
    window = _averages(stride, padding, ceil_mode, count_include_pad, divisor_override)
    return _tensor(ik.avg_pool(_array(image, "input"), size, **window))


def _averages(
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> dict[str, Any]:
    return {
        "stride": stride,
        "padding": _sides(padding),
        "ceil_mode": ceil_mode,
        "count_include_pad": count_include_pad,
        "divisor_override": divisor_override,
        "workers": workers(),
    }


@avg_pool2d.register_fake
def _(
    image: Tensor, size: Sequence[int], stride: Sequence[int], padding: Sequence[int], ceil_mode: bool, *others: Any
) -> Tensor:
    extents = _extents(image.shape, size, stride, padding, ceil_mode=ceil_mode)
    return _empty((*image.shape[:-2], *extents), lambda pixel: ik.avg_pool(pixel, 1), (image, "input", 2))


@_gradient_operator
def _avg_pool2d_backward(
    grad: Tensor,
    shape: Sequence[int],
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    window = _averages(stride, padding, ceil_mode, count_include_pad, divisor_override)
    return _tensor(ik.avg_pool_backward(_array(grad, "grad"), tuple(shape[-2:]), size, **window))


def _keep_shape(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    image, *ctx.geometry = inputs
    ctx.shape = image.shape


def _avg_pool2d_gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    return _avg_pool2d_backward(grad, ctx.shape, *ctx.geometry), *(None for _ in ctx.geometry)


avg_pool2d.register_autograd(_avg_pool2d_gradients, setup_context=_keep_shape)


# Filters


@torch.library.custom_op("imkernels::median_filter", mutates_args=())
def median_filter(
    image: Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    row_mode: str,
    column_mode: str,
    cval: float,
) -> Tensor:
    """Take the median of every window."""
    placement = Placement(stride, _sides(padding), (row_mode, column_mode), cval)
    return _tensor(ik.median_filter(_array(image, "image"), size, workers=workers(), **placement.keywords()))


@median_filter.register_fake
def _(image: Tensor, size: Sequence[int], stride: Sequence[int], padding: Sequence[int], *others: Any) -> Tensor:
    _check(image, "image")
    return image.new_empty((*image.shape[:-2], *_extents(image.shape, size, stride, padding)))


@_gradient_operator
def _median_filter_backward(
    grad: Tensor,
    shape: Sequence[int],
    image: Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    row_mode: str,
    column_mode: str,
    cval: float,
) -> Tensor:
    placement = Placement(stride, _sides(padding), (row_mode, column_mode), cval)
    arrays = _array(grad, "grad"), _array(image, "image")
    return _tensor(_adjoints.median_filter_backward(*arrays, size, placement, workers()))


def _keep_image(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    image, *ctx.geometry = inputs
    ctx.save_for_backward(image)


def _median_filter_gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    (image,) = ctx.saved_tensors
    return _median_filter_backward(grad, image.shape, image, *ctx.geometry), *(None for _ in ctx.geometry)


median_filter.register_autograd(_median_filter_gradients, setup_context=_keep_image)


@torch.library.custom_op("imkernels::box_blur", mutates_args=())
def box_blur(
    image: Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    row_mode: str,
    column_mode: str,
    cval: float,
    normalize: bool,
) -> Tensor:
    """Take the mean or the sum of every window."""
    placement = Placement(stride, _sides(padding), (row_mode, column_mode), cval)
    array = _array(image, "image")
    return _tensor(ik.box_blur(array, size, normalize=normalize, workers=workers(), **placement.keywords()))


@box_blur.register_fake
def _(image: Tensor, size: Sequence[int], stride: Sequence[int], padding: Sequence[int], *others: Any) -> Tensor:
    shape = (*image.shape[:-2], *_extents(image.shape, size, stride, padding))
    return _empty(shape, lambda pixel: ik.box_blur(pixel, 1, normalize=others[-1]), (image, "image", 2))


@_gradient_operator
def _box_blur_backward(
    grad: Tensor,
    shape: Sequence[int],
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    row_mode: str,
    column_mode: str,
    cval: float,
    normalize: bool,
) -> Tensor:
    placement = Placement(stride, _sides(padding), (row_mode, column_mode), cval)
    array = _array(grad, "grad")
    return _tensor(_adjoints.box_blur_backward(array, shape[-2:], size, placement, normalize, workers()))


def _box_blur_gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    return _box_blur_backward(grad, ctx.shape, *ctx.geometry), *(None for _ in ctx.geometry)


box_blur.register_autograd(_box_blur_gradients, setup_context=_keep_shape)


@torch.library.custom_op("imkernels::correlate", mutates_args=())
def correlate(
    image: Tensor,
    kernel: Tensor,
    dilation: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    row_mode: str,
    column_mode: str,
    cval: float,
) -> Tensor:
    """Correlate images with a kernel."""
    arrays = _array(image, "image"), _array(kernel, "kernel")
    placement = Placement(stride, _sides(padding), (row_mode, column_mode), cval)
    return _tensor(ik.correlate(*arrays, dilation=dilation, workers=workers(), **placement.keywords()))


@correlate.register_fake
def _(
    image: Tensor,
    kernel: Tensor,
    dilation: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    *others: Any,
) -> Tensor:
    shape = (*image.shape[:-2], *_extents(image.shape, kernel.shape, stride, padding, dilation))
    return _empty(shape, ik.correlate, (image, "image", 2), (kernel, "kernel", 2))


@_gradient_operator
def _correlate_backward_image(
    grad: Tensor,
    shape: Sequence[int],
    kernel: Tensor,
    dilation: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    row_mode: str,
    column_mode: str,
    cval: float,
) -> Tensor:
    placement = Placement(stride, _sides(padding), (row_mode, column_mode), cval)
    arrays = _array(kernel, "kernel"), dilation
    return _tensor(_adjoints.correlate_backward(_array(grad, "grad"), shape[-2:], *arrays, placement, workers()))


@_gradient_operator
def _correlate_backward_kernel(
    grad: Tensor,
    shape: Sequence[int],
    image: Tensor,
    dilation: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    row_mode: str,
    column_mode: str,
    cval: float,
) -> Tensor:
    placement = Placement(stride, _sides(padding), (row_mode, column_mode), cval)
    arrays = _array(grad, "grad"), _array(image, "image")
    return _tensor(_adjoints.correlate_backward_kernel(*arrays, shape, dilation, placement, workers()))


def _keep_kernel(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    image, kernel, *ctx.geometry = inputs
    ctx.save_for_backward(image, kernel)


def _correlate_gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    image, kernel = ctx.saved_tensors
    wanted = ctx.needs_input_grad
    return (
        _correlate_backward_image(grad, image.shape, kernel, *ctx.geometry) if wanted[0] else None,
        _correlate_backward_kernel(grad, kernel.shape, image, *ctx.geometry) if wanted[1] else None,
        *(None for _ in ctx.geometry),
    )


correlate.register_autograd(_correlate_gradients, setup_context=_keep_kernel)


# bfloat16, which automatic mixed precision computes in on the CPU, has no loop here.
for _operator in (conv2d, max_pool2d, avg_pool2d, median_filter, box_blur, correlate):
    _operator.register_autocast("cpu", torch.float32)
