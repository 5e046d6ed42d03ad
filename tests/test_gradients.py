"""Forward and backward functions as pairs: central differences, and adjointness, <f(x), y> = <x, backward(y)>."""

import itertools

import imkernels as ik
import numpy as np
import pytest

from tests.cases import random_image

POOLS = [
    {"size": 2},
    {"size": 3, "stride": 1, "padding": 1},
    {"size": (2, 3), "stride": (3, 2), "ceil_mode": True},
    {"size": (3, 2), "stride": 2, "padding": (1, 0), "ceil_mode": True},
    {"size": 3, "stride": 2, "padding": "same"},
    {"size": (4, 2), "padding": ((0, 3), (1, 0))},
]
DIVISORS = [{}, {"count_include_pad": False}, {"divisor_override": 5}]
OUTPUTS = [1, 2, (3, 5), (9, 4), (None, 3), (1, None)]
LAYERS = [
    {},
    {"stride": 2},
    {"stride": (3, 1), "padding": (1, 2)},
    {"dilation": (1, 2), "padding": 2},
    {"stride": 2, "dilation": 2, "padding": ((3, 0), (1, 4))},
    {"padding": "same"},
    {"padding": "same", "stride": (2, 3), "groups": 2},
    {"groups": 2, "stride": 5, "padding": 3},
    {"groups": 4, "padding": 1},
]
KERNELS = [(1, 1), (3, 3), (2, 4), (5, 1)]
named = {"ids": str}


def image(shape, seed=0):
    """Return distinct numbers, so that a small step changes no maximum's place."""
    rng = np.random.default_rng(seed)
    return rng.permutation(np.prod(shape)).reshape(shape) / 16 + rng.uniform(0, 1e-3, shape)


def differences(function, x, y, step):
    """Return the gradient of <function(x), y> by central differences in every element of x."""
    gradient = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[place] += sign * step
            ends.append((function(moved) * y).sum())
        gradient[place] = (ends[0] - ends[1]) / (2 * step)
    return gradient


def numbers(shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape)


def check(function, backward, x, *, step=1e-3, tolerance=1e-9):
    """Compare backward(y) with central differences; all functions are linear where maxima keep their places."""
    y = numbers(function(x).shape)
    gradient = backward(y)
    assert gradient.shape == x.shape
    np.testing.assert_allclose(gradient, differences(function, x, y, step), rtol=0, atol=tolerance)


# Pooling


@pytest.mark.parametrize("keywords", POOLS, **named)
def test_max_pool(keywords):
    x = image((2, 6, 7))
    _, argmax = ik.max_pool_with_argmax(x, **keywords)
    check(lambda x: ik.max_pool(x, **keywords), lambda y: ik.max_pool_backward(y, argmax, (6, 7)), x)


@pytest.mark.parametrize("output_size", OUTPUTS, **named)
def test_adaptive_max_pool(output_size):
    x = image((2, 6, 7))
    _, argmax = ik.adaptive_max_pool_with_argmax(x, output_size)
    check(lambda x: ik.adaptive_max_pool(x, output_size), lambda y: ik.max_pool_backward(y, argmax, (6, 7)), x)


@pytest.mark.parametrize("divisor", DIVISORS, **named)
@pytest.mark.parametrize("keywords", POOLS, **named)
def test_avg_pool(keywords, divisor):
    keywords = {**keywords, **divisor}
    check(
        lambda x: ik.avg_pool(x, **keywords),
        lambda y: ik.avg_pool_backward(y, (6, 7), **keywords),
        image((2, 6, 7)),
    )


@pytest.mark.parametrize("output_size", OUTPUTS, **named)
def test_adaptive_avg_pool(output_size):
    check(
        lambda x: ik.adaptive_avg_pool(x, output_size),
        lambda y: ik.adaptive_avg_pool_backward(y, (6, 7)),
        image((2, 6, 7)),
    )


def test_unpooling_takes_back_pooling():
    x = image((3, 9, 12))
    values, argmax = ik.max_pool_with_argmax(x, 3)
    unpooled = ik.max_unpool(values, argmax, (9, 12))
    np.testing.assert_array_equal(ik.max_pool(unpooled, 3), values)
    np.testing.assert_array_equal(unpooled[unpooled != 0], x[unpooled != 0])


# Learned convolution


def layer(size, keywords, shape=(2, 4, 9, 10), outputs=4):
    """Return images and weights that fit the keywords."""
    x = numbers(shape, 2)
    return x, numbers((outputs, shape[1] // keywords.get("groups", 1), *size), 3)


@pytest.mark.parametrize("keywords", LAYERS, **named)
@pytest.mark.parametrize("size", [(3, 3), (2, 1)], **named)
def test_conv2d_by_differences(size, keywords):
    x, weight = layer(size, keywords, (1, 4, 7, 6))
    check(
        lambda x: ik.conv2d(x, weight, **keywords),
        lambda y: ik.conv2d_backward_input(y, weight, x.shape, **keywords),
        x,
        tolerance=1e-8,
    )
    check(
        lambda weight: ik.conv2d(x, weight, **keywords),
        lambda y: ik.conv2d_backward_weight(y, x, weight.shape, **keywords),
        weight,
        tolerance=1e-8,
    )


@pytest.mark.parametrize("keywords", LAYERS, **named)
@pytest.mark.parametrize("size", KERNELS, **named)
def test_conv2d_is_bilinear(size, keywords):
    """<conv(x, w), y> = <x, backward_input(y, w)> = <w, backward_weight(y, x)>."""
    x, weight = layer(size, keywords)
    y = numbers(ik.conv2d(x, weight, **keywords).shape, 4)
    forward = (ik.conv2d(x, weight, **keywords) * y).sum()
    to_x = (ik.conv2d_backward_input(y, weight, x.shape, **keywords) * x).sum()
    to_weight = (ik.conv2d_backward_weight(y, x, weight.shape, **keywords) * weight).sum()
    np.testing.assert_allclose([to_x, to_weight], forward, rtol=0, atol=1e-9)


@pytest.mark.parametrize("keywords", [keywords for keywords in LAYERS if keywords.get("padding") != "same"], **named)
@pytest.mark.parametrize("size", KERNELS, **named)
def test_transposed_convolution_is_the_gradient_of_convolution(size, keywords):
    x, weight = layer(size, keywords)
    y = numbers(ik.conv2d(x, weight, **keywords).shape, 5)
    back = ik.conv2d_backward_input(y, weight, x.shape, **keywords)
    # Rows and columns that no window of a stride reaches are what output_padding adds.
    plain = ik.conv_transpose2d(y, weight, **keywords).shape
    missing = tuple(wanted - found for wanted, found in zip(x.shape[-2:], plain[-2:], strict=True))
    found = ik.conv_transpose2d(y, weight, output_padding=missing, **keywords)
    np.testing.assert_array_equal(found, back)


def test_a_layer_without_images_has_a_gradient_of_zeros():
    grad, x = np.zeros((0, 2, 4, 4)), np.zeros((0, 3, 6, 6))
    np.testing.assert_array_equal(ik.conv2d_backward_weight(grad, x, (2, 3, 3, 3)), np.zeros((2, 3, 3, 3)))
    assert ik.conv2d_backward_input(grad, np.ones((2, 3, 3, 3)), x.shape).shape == x.shape


# Filters: over an image in a sea of zeros, the adjoint of a correlation is the convolution with the same kernel


@pytest.mark.parametrize("dtype", ["i4", "f8"])
@pytest.mark.parametrize("size", [(1, 1), (3, 3), (5, 2), (4, 4), (9, 7)], **named)
@pytest.mark.parametrize("dilation", [1, (2, 3)])
def test_convolution_is_the_adjoint_of_correlation(size, dtype, dilation):
    rng = np.random.default_rng(6)
    x, y = (random_image(rng, (11, 12), dtype) % 99 for _ in range(2))
    kernel = rng.integers(-9, 10, size).astype(dtype)
    reach = [d * (k - 1) for k, d in zip(size, np.broadcast_to(dilation, 2), strict=True)]
    # "Same" puts the anchor of an even kernel behind the middle: the way back has it before.
    there = {"padding": tuple((r // 2, r - r // 2) for r in reach), "mode": "constant", "dilation": dilation}
    back = {"padding": tuple((r - r // 2, r // 2) for r in reach), "mode": "constant", "dilation": dilation}
    forward = (ik.correlate(x, kernel, **there) * y).sum()
    backward = (ik.convolve(y, kernel, **back) * x).sum()
    np.testing.assert_allclose(backward, forward, rtol=1e-12)


@pytest.mark.parametrize("mode", ["wrap", "constant"])
@pytest.mark.parametrize("size", [(3, 3), (5, 7)], **named)
def test_odd_boxes_and_gaussians_are_their_own_adjoints(size, mode):
    x, y = numbers((13, 14), 7), numbers((13, 14), 8)
    for function in (
        lambda image: ik.box_blur(image, size, mode=mode),
        lambda image: ik.gaussian_filter(image, (0.8, 1.1), mode=mode),
    ):
        np.testing.assert_allclose((function(x) * y).sum(), (x * function(y)).sum(), rtol=1e-11)


@pytest.mark.parametrize(("one", "two"), list(itertools.permutations(["f2", "f4", "f8"], 2)))
def test_gradients_have_the_type_of_grad(one, two):
    grad, weight, x = np.ones((1, 2, 5, 5), one), np.ones((2, 3, 3, 3), two), np.ones((1, 3, 7, 7), two)
    assert ik.conv2d_backward_input(grad, weight, x.shape).dtype == one
    assert ik.conv2d_backward_weight(grad, x, weight.shape).dtype == one


@pytest.mark.parametrize("size", [1, 3, (2, 5)])
def test_one_step_of_a_filter_before_a_global_maximum(size):
    """The worked exercise: a convolution, its maximum at (r, s), half the squared error, step size 1, a delta filter.

    After one step the filter is delta[m, n] + (y - g(x)) x[r - m, s - n].
    """
    rng = np.random.default_rng(32)
    height, width = np.broadcast_to(size, 2)
    x = rng.permutation(11 * 13).reshape(1, 1, 11, 13).astype(np.float64)
    for row, column in np.ndindex(height, width):
        delta = np.zeros((1, 1, height, width))
        delta[0, 0, row, column] = 1
        turned = delta[..., ::-1, ::-1]
        response = ik.conv2d(x, turned)
        maximum, argmax = ik.adaptive_max_pool_with_argmax(response, 1)
        error = maximum - 7.0
        grad = ik.max_pool_backward(error, argmax, response.shape[-2:])
        step = ik.conv2d_backward_weight(grad, x, turned.shape)[..., ::-1, ::-1]
        r, s = np.unravel_index(argmax.item(), response.shape[-2:]) + np.array([height - 1, width - 1])
        want = [[-error.item() * x[0, 0, r - m, s - n] for n in range(width)] for m in range(height)]
        np.testing.assert_array_equal(delta - step, delta + want)
