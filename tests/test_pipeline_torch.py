"""The adapter to PyTorch: values and gradients are those of `torch.nn.functional` and of autograd, contracts hold."""

import copy
import doctest
import inspect
import pickle
import re
import threading
from pathlib import Path

import imkernels as ik
import numpy as np
import pytest

from tests.conftest import peer
from tests.processes import run_alone

pytestmark = pytest.mark.wrapper

DOCUMENT = Path(__file__).parents[1] / "docs" / "pipelines.md"
MODES = ["reflect", "mirror", "nearest", "wrap", "constant", ("wrap", "nearest")]
PYTORCH_MODES = {"mirror": "reflect", "nearest": "replicate", "wrap": "circular", "constant": "constant"}
PLACEMENTS = [
    {},
    {"stride": (2, 3)},
    {"padding": "valid"},
    {"padding": ((5, 0), (9, 2)), "stride": 2},
    {"origin": (-1, 1)},
]
LAYERS = [
    {},
    {"stride": (2, 1), "padding": (1, 2)},
    {"padding": "same"},
    {"padding": "same", "dilation": (1, 3)},
    {"padding": "valid", "groups": 2},
    {"stride": 3, "padding": 2, "dilation": 2, "groups": 2},
]
POOLS = [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 1, "padding": 1},
    {"kernel_size": (2, 3), "stride": (3, 2), "ceil_mode": True},
    {"kernel_size": (3, 2), "stride": 2, "padding": (1, 0), "ceil_mode": True},
]
named = {"ids": str}


@pytest.fixture
def adapter():
    """Return the module under test; the package has to be there, PyTorch may be missing."""
    peer("torch")
    import imkernels.pipeline.torch

    return imkernels.pipeline.torch


def numbers(torch, *shape, seed=0, **keywords):
    """Return distinct numbers, so that a small step changes no order."""
    rng = np.random.default_rng(seed)
    values = rng.permutation(np.prod(shape)).reshape(shape) / 16 + rng.uniform(0, 1e-3, shape)
    return torch.tensor(values, dtype=torch.float64, **keywords)


def gradients(torch, function, *tensors):
    """Return the result, and the gradients of its product with numbers."""
    leaves = [tensor.detach().clone().requires_grad_() for tensor in tensors]
    result = function(*leaves)
    result.backward(numbers(torch, *result.shape, seed=9).to(result.dtype))
    return result.detach(), *(leaf.grad for leaf in leaves)


def compare(torch, found, wanted):
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other)


# PyTorch's own functions


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")  # which PyTorch copies the image for
@pytest.mark.parametrize("keywords", LAYERS, **named)
@pytest.mark.parametrize("size", [(3, 3), (2, 4), (1, 1)], **named)
def test_conv2d(torch, adapter, size, keywords):
    x, bias = numbers(torch, 2, 4, 11, 12), numbers(torch, 6, seed=2)
    weight = numbers(torch, 6, 4 // keywords.get("groups", 1), *size, seed=1)
    found = gradients(torch, lambda *tensors: adapter.conv2d(*tensors, **keywords), x, weight, bias)
    reference = torch.nn.functional.conv2d
    compare(torch, found, gradients(torch, lambda *tensors: reference(*tensors, **keywords), x, weight, bias))


@pytest.mark.parametrize("keywords", POOLS, **named)
def test_max_pool2d(torch, adapter, keywords):
    x = numbers(torch, 2, 3, 7, 8)
    keywords = {**keywords, "return_indices": True}
    found, wanted = ([*function(x, **keywords)] for function in (adapter.max_pool2d, torch.nn.functional.max_pool2d))
    compare(torch, found, wanted)
    assert not adapter.max_pool2d(x.requires_grad_(), **keywords)[1].requires_grad


@pytest.mark.parametrize("keywords", [*POOLS, {"kernel_size": 2, "dilation": 3, "stride": 1}], **named)
def test_gradients_of_max_pool2d(torch, adapter, keywords):
    x = numbers(torch, 2, 3, 7, 8)
    found = gradients(torch, lambda x: adapter.max_pool2d(x, **keywords), x)
    compare(torch, found, gradients(torch, lambda x: torch.nn.functional.max_pool2d(x, **keywords), x))


@pytest.mark.parametrize("divisor", [{}, {"count_include_pad": False}, {"divisor_override": 5}], **named)
@pytest.mark.parametrize("keywords", POOLS, **named)
def test_avg_pool2d(torch, adapter, keywords, divisor):
    keywords = {**keywords, **divisor}
    x = numbers(torch, 2, 3, 7, 8)
    found = gradients(torch, lambda x: adapter.avg_pool2d(x, **keywords), x)
    compare(torch, found, gradients(torch, lambda x: torch.nn.functional.avg_pool2d(x, **keywords), x))


# Filters, by what PyTorch has: padding, then windows


def padded(torch, image, size, mode):
    """Return an image with what is around it for windows of the same size; the anchor of even ones is K // 2."""
    (height, width) = size
    sides = (width // 2, (width - 1) // 2, height // 2, (height - 1) // 2)
    return torch.nn.functional.pad(image, sides, mode=PYTORCH_MODES[mode])


def windows(image, size, stride):
    """Return the windows of an image as its last axis."""
    return image.unfold(-2, size[0], stride).unfold(-2, size[1], stride).flatten(-2)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("mode", PYTORCH_MODES)
@pytest.mark.parametrize("size", [(3, 3), (5, 1), (2, 4)], **named)
def test_filters(torch, adapter, size, mode, stride):
    image, kernel = numbers(torch, 2, 3, 8, 9), numbers(torch, *size, seed=1)
    keywords = {"stride": stride, "mode": mode}

    def means(image):
        return windows(padded(torch, image, size, mode), size, stride).mean(-1)

    def sums(image, kernel):
        return (windows(padded(torch, image, size, mode), size, stride) * kernel.flatten()).sum(-1)

    def medians(image):  # of an even number PyTorch takes the lower one
        return -windows(padded(torch, -image, size, mode), size, stride).median(-1).values

    compare(
        torch,
        gradients(torch, lambda image: adapter.box_blur(image, size, **keywords), image),
        gradients(torch, means, image),
    )
    compare(
        torch,
        gradients(torch, lambda image, kernel: adapter.correlate(image, kernel, **keywords), image, kernel),
        gradients(torch, sums, image, kernel),
    )
    compare(
        torch,
        gradients(torch, lambda image: adapter.median_filter(image, size, **keywords), image),
        gradients(torch, medians, image),
    )


@pytest.mark.parametrize("placement", PLACEMENTS, **named)
@pytest.mark.parametrize("mode", MODES, **named)
def test_filters_by_differences(torch, adapter, mode, placement):
    image = numbers(torch, 5, 6, requires_grad=True)
    kernel = numbers(torch, 3, 4, seed=1, requires_grad=True)
    keywords = {"mode": mode, "cval": 1.5, **placement}
    check = torch.autograd.gradcheck
    assert check(lambda image: adapter.median_filter(image, (3, 4), **keywords), (image,))
    assert check(lambda image: adapter.box_blur(image, (3, 4), **keywords), (image,))
    assert check(lambda image: adapter.box_blur(image, (3, 4), normalize=False, **keywords), (image,))
    assert check(lambda image, kernel: adapter.correlate(image, kernel, **keywords), (image, kernel))
    if placement.get("padding") != "valid":
        keywords["dilation"] = (2, 3)
        assert check(lambda image, kernel: adapter.correlate(image, kernel, **keywords), (image, kernel))


def test_layers_by_differences(torch, adapter):
    x, weight, bias = (numbers(torch, *shape, requires_grad=True) for shape in ((2, 2, 4, 5), (2, 1, 2, 3), (2,)))
    around = {"padding": ((2, 0), (1, 3))}  # which PyTorch does not have
    check = torch.autograd.gradcheck
    assert check(lambda *tensors: adapter.conv2d(*tensors, stride=2, groups=2, **around), (x, weight, bias))
    assert check(lambda x: adapter.max_pool2d(x, (3, 4), stride=2, **around), (x,))
    assert check(lambda x: adapter.avg_pool2d(x, (3, 4), stride=2, **around), (x,))


def selected(image, size, mode):
    """Return how often each pixel is the median of a window, by a stable sort of every window."""
    height, width = image.shape
    places = np.arange(height * width).reshape(height, width)
    sides = [(count // 2, (count - 1) // 2) for count in size]
    outside = {"reflect": "symmetric", "nearest": "edge", "wrap": "wrap"}[mode]
    values, places = np.pad(image, sides, outside), np.pad(places, sides, outside)
    counts = np.zeros(height * width)
    for row, column in np.ndindex(height, width):
        window = (slice(row, row + size[0]), slice(column, column + size[1]))
        pixels = sorted(zip(values[window].flat, places[window].flat, strict=True))
        counts[pixels[len(pixels) // 2][1]] += 1
    return counts.reshape(height, width)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("mode", ["reflect", "nearest", "wrap"])
@pytest.mark.parametrize("size", [(3, 3), (2, 2), (3, 4), (7, 9)], **named)
def test_gradients_of_medians_among_equal_values(torch, adapter, size, mode, dtype):
    rng = np.random.default_rng(3)
    images = (rng.integers(-2, 3, (2, 8, 7)) * 1e-3).astype(dtype)
    tensor = torch.from_numpy(images).requires_grad_()
    adapter.median_filter(tensor, size, mode=mode).sum().backward()
    np.testing.assert_array_equal(tensor.grad.numpy(), [selected(image, size, mode) for image in images])


def test_the_median_of_a_plane_of_one_value_is_the_centre(torch, adapter):
    image = torch.full((6, 7), 2.5, requires_grad=True)
    grad = numbers(torch, 4, 5).float()
    adapter.median_filter(image, 3, padding="valid").backward(grad)
    torch.testing.assert_close(image.grad[1:-1, 1:-1], grad)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("sign", [1, -1])
def test_gradients_of_medians_that_are_nan(torch, adapter, dtype, sign):
    values = [[1.0, np.copysign(np.nan, sign), 2.0, 3.0, np.inf, 5.0]]
    image = torch.tensor(values, dtype=getattr(torch, dtype), requires_grad=True)
    result = adapter.median_filter(image, (1, 3), padding="valid")
    result.backward(torch.tensor([[1, 2, 4, 8]], dtype=image.dtype))
    assert result.isnan().tolist() == [[True, True, False, False]]
    assert image.grad.tolist() == [[0, 3, 0, 4, 0, 8]]


def test_gradients_of_medians_that_stand_outside(torch, adapter):
    image = torch.tensor([[5.0, 1.0, 5.0, 7.0]], requires_grad=True)
    result = adapter.median_filter(image, (1, 3), mode="constant", cval=6.0)
    result.backward(torch.tensor([[1.0, 2.0, 4.0, torch.nan]]))
    assert result.tolist() == [[5, 5, 5, 6]]
    assert image.grad.tolist() == [[1 + 2, 0, 4, 0]]


def test_gradients_of_more_medians_than_a_key_can_tell_apart(torch, adapter):
    planes = torch.zeros(1).expand(2, 2**15, 2**15)  # takes no memory
    with pytest.raises(ValueError, match=r"less than 2\*\*31 pixels .* got shape \(2, 32768, 32768\)"):
        torch.ops.imkernels.median_filter_backward(
            planes, planes.shape, planes, [1, 1], [1, 1], [0, 0, 0, 0], "reflect", "reflect", 0.0
        )


# Contracts


def calls(torch, dtype="float64", requires_grad=True):
    """Return operators and what they take."""
    keywords = {"requires_grad": requires_grad}
    x, weight = numbers(torch, 2, 4, 7, 6, **keywords), numbers(torch, 2, 2, 3, 2, seed=1, **keywords)
    bias, kernel = numbers(torch, 2, seed=2, **keywords), numbers(torch, 3, 2, seed=3, **keywords)
    around = [1, 0, 1, 1]
    outside = ("wrap", "constant", 1.0)
    return {
        "conv2d": (x, weight, bias, [2, 1], around, [1, 1], 2),
        "max_pool2d": (x, [3, 2], [2, 2], around, [1, 1], True),
        "avg_pool2d": (x, [3, 2], [2, 2], around, True, False, None),
        "median_filter": (x, [3, 2], [2, 1], around, *outside),
        "box_blur": (x, [3, 2], [2, 1], around, *outside, True),
        "correlate": (x, kernel, [1, 2], [2, 1], around, *outside),
    }


OPERATORS = ["conv2d", "max_pool2d", "avg_pool2d", "median_filter", "box_blur", "correlate"]


def formats(torch, x):
    """Return the same images in other places of memory."""
    spread = torch.zeros(*x.shape[:-1], 2 * x.shape[-1], dtype=x.dtype)
    spread[..., ::2] = x
    return {
        "channels last": x.contiguous(memory_format=torch.channels_last),
        "transposed": x.mT.contiguous().mT,
        "strided": spread[..., ::2],
        "part": torch.nn.functional.pad(x, (3, 1, 2, 2))[..., 2:-2, 3:-1],
        "expanded": x[:1, :1].expand(x.shape),
    }


@pytest.mark.parametrize("name", OPERATORS)
def test_opcheck(torch, adapter, name):
    operator = getattr(torch.ops.imkernels, name)
    arguments = calls(torch)[name]
    torch.library.opcheck(operator, arguments)
    turned = arguments[0].detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    plain = tuple(a.detach() if isinstance(a, torch.Tensor) else a for a in arguments)
    for others in ((turned, *arguments[1:]), plain):
        torch.library.opcheck(operator, others, test_utils=("test_schema", "test_faketensor"))


@pytest.mark.parametrize("name", OPERATORS)
def test_memory_formats(torch, adapter, name):
    x, *others = calls(torch, requires_grad=False)[name]

    def call(x):
        result = getattr(torch.ops.imkernels, name)(x, *others)
        return result[0] if isinstance(result, tuple) else result

    for image in formats(torch, x).values():
        assert not image.is_contiguous()
        plain = image.contiguous()
        assert call(image).is_contiguous()
        compare(torch, gradients(torch, call, image), gradients(torch, call, plain))
        compare(torch, [call(image)], [call(plain)])
        assert not image.is_contiguous()
    result = call(x)
    grad = torch.ones(1, dtype=x.dtype).expand(result.shape)  # what sum() sends back
    leaf = x.clone().requires_grad_()
    call(leaf).backward(grad)
    leaf, other = x.clone().requires_grad_(), leaf
    call(leaf).backward(grad.contiguous())
    compare(torch, [other.grad], [leaf.grad])


def network(torch, adapter):
    torch.manual_seed(0)
    return torch.nn.Sequential(
        adapter.MedianFilter(3),
        adapter.BoxBlur(3, mode="wrap"),
        adapter.Correlate(torch.nn.Parameter(torch.rand(3, 3)), padding=((1, 0), (2, 2))),
        adapter.Conv2d(2, 4, 3, padding="same"),
        torch.nn.ReLU(),
        adapter.MaxPool2d(2),
        adapter.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        adapter.AvgPool2d(3, 2, 1, ceil_mode=True),
    )


def step(network, images):
    """Return the result for some images, and all gradients."""
    images = images.clone().requires_grad_()
    network.zero_grad()
    result = network(images)
    result.square().sum().backward()
    return [result.detach(), images.grad, *(parameter.grad.clone() for parameter in network.parameters())]


def compare_compiled(torch, plain, **options):
    torch._dynamo.reset()
    compiled = torch.compile(plain, fullgraph=True, **options)
    for shape in [(2, 2, 16, 17), (3, 2, 20, 11)]:
        images = torch.rand(shape)
        compare(torch, step(compiled, images), step(plain, images))


@pytest.mark.parametrize("dynamic", [False, True])
def test_compile(torch, adapter, dynamic):
    compare_compiled(torch, network(torch, adapter), backend="aot_eager", dynamic=dynamic)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Inductor imports what PyTorch deprecates
def test_compile_by_inductor(torch, adapter):
    # Inductor compiles C++ for seconds per layer: one of its own between two of ours will do.
    layers = adapter.MedianFilter(3), torch.nn.ReLU(), adapter.Conv2d(2, 4, 3)
    compare_compiled(torch, torch.nn.Sequential(*layers), backend="inductor", dynamic=True)


def test_export(torch, adapter):
    images = torch.rand(2, 2, 16, 17)
    plain = network(torch, adapter)
    exported = torch.export.export(plain, (images,))
    assert {str(node.target) for node in exported.graph.nodes} >= {f"imkernels.{name}.default" for name in OPERATORS}
    compare(torch, [exported.module()(images)], [plain(images)])


def test_shapes_without_memory(torch, adapter):
    plain = network(torch, adapter)
    wanted = plain(torch.rand(2, 2, 16, 17)).shape
    assert plain.to("meta")(torch.empty(2, 2, 16, 17, device="meta")).shape == wanted
    with pytest.raises(ValueError, match="windows of 9 pixels must fit 5 padded by 1 and 1"):
        adapter.max_pool2d(torch.empty(5, 20, device="meta"), 9, padding=1)


@pytest.mark.parametrize("shape", [(0, 4, 5), (3, 0, 5), (3, 4, 0)], **named)
def test_images_without_pixels(torch, adapter, shape):
    for device in ("cpu", "meta"):
        image = torch.zeros(shape, device=device, requires_grad=True)
        for function in (adapter.median_filter, adapter.box_blur):
            result = function(image, 3, mode="constant", padding="valid" if 0 in shape[1:] else "same")
            assert result.numel() == 0
            result.sum().backward()
            assert image.grad.shape == shape


# Dtypes


@pytest.mark.parametrize("name", ["bool", "uint8", "int8", "uint16", "int32", "uint64", "int64", "float16", "float64"])
def test_dtypes_are_those_of_the_package(torch, adapter, name):
    array = np.random.default_rng(4).integers(0, 2 if name == "bool" else 100, (3, 6, 7)).astype(name)
    tensor, meta = torch.from_numpy(array), torch.empty(3, 6, 7, dtype=getattr(torch, name), device="meta")
    pairs = [
        (ik.median_filter(array, 3), lambda x: adapter.median_filter(x, 3)),
        (ik.max_pool(array, 2), lambda x: adapter.max_pool2d(x, 2)),
    ]
    if name != "bool":
        pairs += [
            (ik.box_blur(array, 3), lambda x: adapter.box_blur(x, 3)),
            (ik.box_blur(array, 3, normalize=False), lambda x: adapter.box_blur(x, 3, normalize=False)),
            (ik.avg_pool(array, 2), lambda x: adapter.avg_pool2d(x, 2)),
        ]
    if name not in ("bool", "uint64"):
        kernel, weight = np.ones((3, 3), "i1"), np.ones((2, 3, 3, 3), "i1")
        kernels = [torch.ones(3, 3, dtype=torch.int8), torch.ones(2, 3, 3, 3, dtype=torch.int8)]
        pairs += [
            (ik.correlate(array, kernel), lambda x: adapter.correlate(x, kernels[0].to(x.device))),
            (ik.conv2d(array, weight), lambda x: adapter.conv2d(x, kernels[1].to(x.device))),
        ]
    for wanted, function in pairs:
        found = function(tensor)
        assert found.dtype == function(meta).dtype
        np.testing.assert_array_equal(found.numpy(), wanted, strict=True)


def test_gradients_have_the_dtypes_of_what_they_are_for(torch, adapter):
    image = torch.rand(6, 7, dtype=torch.float16, requires_grad=True)
    kernel = torch.rand(3, 3, dtype=torch.float64, requires_grad=True)
    result = adapter.correlate(image, kernel)
    assert result.dtype == torch.float64
    result.sum().backward()
    assert (image.grad.dtype, kernel.grad.dtype) == (torch.float16, torch.float64)


def test_mixed_precision_is_left_at_the_door(torch, adapter):
    plain = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), adapter.MaxPool2d(2), adapter.Conv2d(2, 2, 3))
    images = torch.rand(2, 1, 12, 12)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert plain[0](images).dtype == torch.bfloat16
        result = plain(images)
        assert adapter.box_blur(images.double(), 3).dtype == torch.float64
    assert result.dtype == torch.float32
    result.sum().backward()
    assert all(parameter.grad is not None for parameter in plain.parameters())


# Errors


def test_dtypes_without_a_loop(torch, adapter):
    image = torch.ones(1, 5, 5)
    for dtype in (torch.bfloat16, torch.complex64, torch.float8_e5m2):
        with pytest.raises(TypeError, match=f"^image must hold bool, integers or floats of NumPy, got {dtype}; say"):
            adapter.median_filter(image.to(dtype), 3)
        with pytest.raises(TypeError, match=r"^input must hold"):
            adapter.max_pool2d(image.to(dtype).to("meta"), 3)
        with pytest.raises(TypeError, match=r"^weight must hold"):
            adapter.conv2d(image, torch.ones(1, 1, 3, 3, dtype=dtype))
    with pytest.raises(TypeError, match=r"^image must hold numbers, got dtype bool"):
        adapter.box_blur(image.bool(), 3)


def test_tensors_of_another_device(torch, adapter):
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():  # needs no such device
        image = torch.empty(1, 4, 5, device="cuda")
        for function in (adapter.median_filter, adapter.box_blur, adapter.max_pool2d, adapter.avg_pool2d):
            with pytest.raises(ValueError, match=r"^(image|input) must be a tensor of the CPU, got one on cuda:0; say"):
                function(image, 2)
        with pytest.raises(ValueError, match=r"^kernel must be a tensor of the CPU"):
            adapter.correlate(image.cpu(), torch.ones(3, 3, device="cuda"))


def test_gradients_have_no_gradients(torch, adapter):
    image, weight = torch.rand(1, 6, 6, requires_grad=True), torch.rand(1, 1, 3, 3, requires_grad=True)
    for function in (
        lambda: adapter.median_filter(image, 3),
        lambda: adapter.box_blur(image, 3),
        lambda: adapter.correlate(image, weight[0, 0]),
        lambda: adapter.conv2d(image, weight),
        lambda: adapter.max_pool2d(image, 3),
        lambda: adapter.avg_pool2d(image, 3),
    ):
        (grad,) = torch.autograd.grad(function().square().sum(), image, create_graph=True)
        with pytest.raises(NotImplementedError, match="have no gradients themselves: leave out create_graph=True"):
            grad.sum().backward()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda a, x, w: a.max_pool2d(x, (2, 2, 2)), ValueError, "kernel_size must be an int or a pair of ints"),
        (lambda a, x, w: a.max_pool2d(x, 0), ValueError, "kernel_size must be at least 1, got 0"),
        (lambda a, x, w: a.max_pool2d(x, 2, padding="some"), ValueError, "padding must be 'same', 'valid'"),
        (lambda a, x, w: a.max_pool2d(x, 2, ceil_mode=1), TypeError, "ceil_mode must be True or False, got 1"),
        (lambda a, x, w: a.avg_pool2d(x, 9), ValueError, "size must not exceed the padded image: 9 pixels against 6"),
        (lambda a, x, w: a.avg_pool2d(x, 2, divisor_override=0), ValueError, "divisor_override must be at least 1"),
        (lambda a, x, w: a.conv2d(x, w, stride=0), ValueError, "stride must be at least 1, got 0"),
        (lambda a, x, w: a.conv2d(x, w, stride=2, padding="same"), ValueError, "padding must be given in numbers for"),
        (lambda a, x, w: a.conv2d(x, w, groups=2), ValueError, "groups must divide the 3 channels"),
        (lambda a, x, w: a.conv2d(x[:1], w), ValueError, "x must have 2 channels"),
        (lambda a, x, w: a.conv2d(x, w[0]), ValueError, r"weight must have 4 axes, got shape \(2, 3, 3\)"),
        (lambda a, x, w: a.correlate(x, w), ValueError, r"kernel must have 2 axes, got shape \(3, 2, 3, 3\)"),
        (lambda a, x, w: a.median_filter(x, 3, mode="zeros"), ValueError, "mode must be one of reflect, mirror"),
        (lambda a, x, w: a.median_filter(x, 3, origin=2), ValueError, "origin must lie between -1 and 1 for 3 taps"),
        (lambda a, x, w: a.median_filter(x, 3, origin=1, padding=1), ValueError, "origin must be 0 unless padding is"),
        (lambda a, x, w: a.median_filter(x[0, 0], 3), ValueError, "image must have at least 2 dimensions"),
        (lambda a, x, w: a.median_filter(x.byte(), 3, cval=0.5), ValueError, "cval must be a value that uint8"),
        (lambda a, x, w: a.median_filter(x.to_sparse(), 3), TypeError, "Sparse"),
    ],
)
def test_errors(torch, adapter, call, error, words):
    with pytest.raises(error, match=words):
        call(adapter, torch.rand(2, 6, 6), torch.rand(3, 2, 3, 3))


def test_without_pytorch():
    run_alone(_import_without_pytorch)


def _import_without_pytorch():
    import importlib
    import sys

    import pytest

    sys.modules["torch"] = None  # what is None there cannot be imported
    with pytest.raises(ImportError, match=r"needs PyTorch: pip install 'imkernels\[torch\]', or first"):
        importlib.import_module("imkernels.pipeline.torch")


# Modules


def test_modules_stand_in_for_those_of_pytorch(torch, adapter):
    pairs = [
        ("Conv2d", (3, 6, (3, 2)), {"stride": 2, "padding": (1, 0), "dilation": (1, 2), "groups": 3}),
        ("Conv2d", (3, 4, 3), {"padding": "same", "bias": False}),
        ("Conv2d", (3, 4, 3), {"padding": (2, 1), "padding_mode": "circular"}),
        ("Conv2d", (3, 4, (5, 3)), {"padding": "same", "padding_mode": "replicate"}),
        ("MaxPool2d", (3,), {"stride": 2, "padding": 1, "ceil_mode": True, "return_indices": True}),
        ("AvgPool2d", (3,), {"stride": 2, "padding": 1, "count_include_pad": False}),
    ]
    x = torch.rand(2, 3, 9, 10)
    for name, arguments, keywords in pairs:
        theirs, ours = (getattr(module, name)(*arguments, **keywords) for module in (torch.nn, adapter))
        assert isinstance(ours, type(theirs))
        assert repr(ours) == repr(theirs)
        ours.load_state_dict(theirs.state_dict())
        found, wanted = ours(x), theirs(x)
        as_tuple = isinstance(wanted, tuple)
        compare(torch, found if as_tuple else [found], wanted if as_tuple else [wanted])


def test_modules_are_copied_and_pickled(torch, adapter):
    plain, images = network(torch, adapter), torch.rand(2, 2, 16, 17)
    for other in (copy.deepcopy(plain), pickle.loads(pickle.dumps(plain))):
        assert repr(other) == repr(plain)
        compare(torch, [other(images)], [plain(images)])
    assert repr(plain[1]) == "BoxBlur(size=3, mode='wrap')"
    assert repr(plain[2]) == "Correlate(kernel of shape (3, 3), padding=((1, 0), (2, 2)))"
    assert repr(adapter.Correlate(torch.ones(1, 2))) == "Correlate(kernel of shape (1, 2))"


def test_a_kernel_is_learned_or_stays(torch, adapter):
    wanted, start = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]]), torch.zeros(3, 3)
    images = torch.rand(4, 12, 12, generator=torch.Generator().manual_seed(0))
    targets = adapter.Correlate(wanted)(images)
    layer = adapter.Correlate(torch.nn.Parameter(start))
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=60)

    def loss():
        optimizer.zero_grad()
        value = (layer(images) - targets).square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    torch.testing.assert_close(layer.kernel.detach(), wanted, atol=1e-3, rtol=0)
    fixed = adapter.Correlate(wanted)
    assert not list(fixed.parameters())
    assert list(fixed.state_dict()) == ["kernel"]
    assert fixed.double().kernel.dtype == torch.float64


# Processes and threads


class Filtered:
    """A data set whose items are filtered where they are asked for."""

    def __len__(self):
        return 6

    def __getitem__(self, index):
        import imkernels.pipeline.torch as adapter
        import torch

        image = torch.arange(3 * 400 * 300, dtype=torch.int32).reshape(3, 400, 300).roll(index, -1)
        values, indices = adapter.max_pool2d(adapter.median_filter(image, 5), 2, return_indices=True)
        weight = torch.ones(1, 3, 3, 3, requires_grad=True)
        adapter.conv2d(image.float(), weight).sum().backward()
        return values, indices, weight.grad


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_data_loaders(torch, adapter, method):
    data = Filtered()
    whole = next(iter(torch.utils.data.DataLoader(data, batch_size=6)))  # on threads, before any fork
    loader = torch.utils.data.DataLoader(data, batch_size=3, num_workers=1, multiprocessing_context=method, timeout=60)
    batches = [torch.cat(parts) for parts in zip(*loader, strict=True)]
    assert len(whole) == len(batches) == 3
    for one, other in zip(batches, whole, strict=True):
        assert torch.equal(one, other)


def test_threads_are_those_that_both_allow(torch, adapter):
    run_alone(_count_threads)


def _count_threads():
    import os

    import imkernels as ik
    import imkernels.pipeline.torch as adapter
    import torch

    def threads(in_torch, in_package):
        torch.set_num_threads(in_torch)
        with ik.workers(in_package):
            adapter.median_filter(image, 3)
        return len(os.listdir("/proc/self/task"))

    torch.set_num_threads(1)  # PyTorch's own loops may use the same pool of threads
    image = torch.zeros(1500, 1500)
    before = len(os.listdir("/proc/self/task"))
    assert threads(1, 3) == threads(3, 1) == before
    assert threads(3, 3) == before + 2


def test_calls_from_many_threads(torch, adapter):
    plain, images = network(torch, adapter), torch.rand(2, 2, 64, 65)
    wanted = plain(images)
    wrong = []

    def call():
        for _ in range(5):
            if not torch.equal(plain(images), wanted):
                wrong.append(threading.current_thread())

    running = [threading.Thread(target=call) for _ in range(4)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert not wrong


# Docstrings


def test_the_examples_of_docstrings_run(torch, adapter):
    for name in adapter.__all__:
        docstring = inspect.getdoc(getattr(adapter, name))
        test = doctest.DocTestParser().get_doctest(docstring, {}, name, None, 0)
        report = []
        results = doctest.DocTestRunner(verbose=False).run(test, out=report.append)
        assert results.failed == 0, "".join(report)
        assert results.attempted >= 3, name


def test_the_example_of_the_document_runs(torch, adapter):
    section = DOCUMENT.read_text(encoding="utf-8").split("## PyTorch")[1].split("\n## ")[0]
    (block,) = re.findall(r"^```python\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
    exec(compile(block, str(DOCUMENT), "exec"), {"__name__": "document"})
    assert {f"`{name}`" for name in adapter.__all__} <= set(re.findall(r"`\w+`", section))
