"""Every function against the library that people know it from, on random shapes and parameters."""

import imkernels as ik
import numpy as np
import pytest

from tests.cases import DTYPES, MODES, random_image
from tests.conftest import peer

SCIPY_MODES = {"reflect": "reflect", "mirror": "mirror", "nearest": "nearest", "wrap": "wrap", "constant": "constant"}
# SciPy filters 64-bit integers by way of float64.
EXACT_IN_SCIPY = [dtype for dtype in DTYPES if dtype.kind in "iuf" and (dtype.itemsize < 8 or dtype.kind == "f")]
EXACT_IN_SCIPY = [dtype for dtype in EXACT_IN_SCIPY if dtype != np.float16]


def pick(rng, low, high):
    return int(rng.integers(low, high + 1))


def placed(rng, size):
    """Return a random origin for a window and a mode."""
    origin = tuple(pick(rng, -(k // 2), (k - 1) // 2) for k in size)
    return {"origin": origin, "mode": rng.choice(MODES), "cval": 3.0}


@pytest.mark.parametrize("dtype", EXACT_IN_SCIPY, ids=str)
def test_order_filters_are_scipys(scipy_ndimage, dtype):
    rng = np.random.default_rng(1)
    for _ in range(25):
        image = random_image(rng, (pick(rng, 1, 13), pick(rng, 1, 15)), dtype)
        size = pick(rng, 1, 6), pick(rng, 1, 7)
        footprint = rng.random(size) < 0.6
        footprint[pick(rng, 0, size[0] - 1), pick(rng, 0, size[1] - 1)] = True
        place = placed(rng, size)
        rank = pick(rng, -footprint.sum(), footprint.sum() - 1)
        percentile = float(rng.choice([0, 100, -20, 33.3, 50, 99.9, rng.uniform(-100, 100)]))
        for window in ({"size": size}, {"footprint": footprint}):
            for name in ("median_filter", "minimum_filter", "maximum_filter"):
                found, wanted = (getattr(library, name)(image, **window, **place) for library in (ik, scipy_ndimage))
                np.testing.assert_array_equal(found, wanted, err_msg=f"{name} {window} {place}")
            found, wanted = (
                library.percentile_filter(image, percentile, **window, **place) for library in (ik, scipy_ndimage)
            )
            np.testing.assert_array_equal(found, wanted, err_msg=f"{percentile} {window} {place}")
        found, wanted = (
            library.rank_filter(image, rank, footprint=footprint, **place) for library in (ik, scipy_ndimage)
        )
        np.testing.assert_array_equal(found, wanted, err_msg=f"{rank} {footprint} {place}")


@pytest.mark.parametrize("dtype", ["i8", "u8", "f2", "?"])
def test_ranks_by_sorting(dtype):
    rng = np.random.default_rng(2)
    for _ in range(20):
        image = random_image(rng, (pick(rng, 5, 13), pick(rng, 6, 15)), dtype)
        size = pick(rng, 1, 5), pick(rng, 1, 6)
        windows = np.sort(np.lib.stride_tricks.sliding_window_view(image, size).reshape(-1, size[0] * size[1]), axis=1)
        for rank in {0, 1 % windows.shape[1], windows.shape[1] // 2, -1}:
            found = ik.rank_filter(image, rank, size, padding="valid")
            np.testing.assert_array_equal(found.ravel(), windows[:, rank])


def test_gaussian_is_scipys(scipy_ndimage):
    rng = np.random.default_rng(3)
    for _ in range(40):
        image = rng.standard_normal((pick(rng, 1, 20), pick(rng, 1, 20)))
        sigma = float(rng.uniform(0, 4)), float(rng.choice([0, 0.3, 2.5]))
        keywords = {"mode": rng.choice(MODES), "cval": 2.0, "truncate": float(rng.uniform(0, 5))}
        wanted = scipy_ndimage.gaussian_filter(image, sigma, **keywords)
        np.testing.assert_allclose(ik.gaussian_filter(image, sigma, **keywords), wanted, rtol=0, atol=1e-13)
        narrow = ik.gaussian_filter(image.astype("f4"), sigma, **keywords)
        assert narrow.dtype == np.float32
        np.testing.assert_allclose(narrow, wanted, rtol=0, atol=3e-6)


def test_convolution_is_numpys_and_scipys(scipy_ndimage):
    signal = peer("scipy.signal")
    rng = np.random.default_rng(4)
    for _ in range(40):
        image = rng.integers(-9, 9, (pick(rng, 1, 12), pick(rng, 1, 12)))
        kernel = rng.integers(-9, 9, (pick(rng, 1, image.shape[0]), pick(rng, 1, image.shape[1])))
        found = ik.convolve(image, kernel, mode="constant")
        np.testing.assert_array_equal(found, signal.convolve2d(image, kernel, mode="same"))
        # SciPy's filter turns the anchor round as well: one pixel for even kernels.
        origin = tuple(-1 if k % 2 == 0 else 0 for k in kernel.shape)
        shifted = scipy_ndimage.convolve(image, kernel, mode="constant", origin=origin)
        np.testing.assert_array_equal(found, shifted)
        row = np.convolve(image[0], kernel[0], mode="same")
        np.testing.assert_array_equal(ik.convolve(image[:1], kernel[:1], mode="constant")[0], row)


@pytest.mark.parametrize("dtype", ["u1", "i2", "i8", "f4", "f8"])
def test_separable_kernels_are_outer_products(dtype):
    rng = np.random.default_rng(5)
    for _ in range(40):
        image = random_image(rng, (2, pick(rng, 1, 12), pick(rng, 1, 40)), dtype)
        kind = dtype if dtype[0] == "f" else "i1"
        column, row = (rng.integers(-5, 6, (*lead, pick(rng, 1, 6))).astype(kind) for lead in [(2,), ()])
        size = column.shape[-1], row.shape[-1]
        place = placed(rng, size) | {"stride": (pick(rng, 1, 3), pick(rng, 1, 4)), "dilation": (1, pick(rng, 1, 3))}
        sums = {"dtype": None if dtype[0] == "f" else np.int64}
        found = ik.correlate_separable(image, column, row, **place, **sums)
        wanted = ik.correlate(image, column[:, :, None] * row, **place, **sums)
        if dtype[0] == "f":
            bound = np.abs(image).max() * 900 * 40 * np.finfo(dtype).eps
            np.testing.assert_allclose(found, wanted, rtol=0, atol=bound)
        else:
            np.testing.assert_array_equal(found, wanted)
        bank = ik.correlate_separable(image, column, np.stack([row, row + 1]), **place, **sums)
        np.testing.assert_array_equal(bank[0], found[0])


def pooling_cases(count, seed):
    rng = np.random.default_rng(seed)
    while count > 0:
        height, width = pick(rng, 1, 14), pick(rng, 1, 14)
        size = pick(rng, 1, 5), pick(rng, 1, 5)
        stride = pick(rng, 1, 6), pick(rng, 1, 6)
        padding = pick(rng, 0, size[0] // 2), pick(rng, 0, size[1] // 2)
        if height + 2 * padding[0] >= size[0] and width + 2 * padding[1] >= size[1]:
            count -= 1
            image = rng.standard_normal((2, 3, height, width))
            yield image, size, {"stride": stride, "padding": padding, "ceil_mode": bool(rng.integers(2))}


def test_average_pooling_and_its_gradient_are_pytorchs(torch):
    pool = torch.nn.functional.avg_pool2d
    for number, (image, size, keywords) in enumerate(pooling_cases(120, 6)):
        more = {"count_include_pad": number % 2 == 0, "divisor_override": [None, None, 7][number % 3]}
        x = torch.tensor(image, requires_grad=True)
        wanted = pool(x, size, **keywords, **more)
        found = ik.avg_pool(image, size, **keywords, **more)
        np.testing.assert_allclose(found, wanted.detach().numpy(), rtol=0, atol=1e-14)
        grad = np.random.default_rng(number).standard_normal(found.shape)
        wanted.backward(torch.tensor(grad))
        back = ik.avg_pool_backward(grad, image.shape[-2:], size, **keywords, **more)
        np.testing.assert_allclose(back, x.grad.numpy(), rtol=0, atol=1e-13)


def test_max_pooling_and_unpooling_are_pytorchs(torch):
    pool = torch.nn.functional.max_pool2d
    for image, size, keywords in pooling_cases(80, 7):
        wanted, places = pool(torch.tensor(image), size, return_indices=True, **keywords)
        np.testing.assert_array_equal(ik.max_pool(image, size, **keywords), wanted.numpy())
        values, argmax = ik.max_pool_with_argmax(image, size, **keywords)
        np.testing.assert_array_equal(argmax, places.numpy())
        unpooled = np.zeros(image.shape)
        for plane in np.ndindex(image.shape[:2]):
            unpooled[plane].flat[argmax[plane]] = values[plane]
        np.testing.assert_array_equal(ik.max_unpool(values, argmax, image.shape[-2:]), unpooled)


def test_adaptive_pooling_and_its_gradients_are_pytorchs(torch):
    functional = torch.nn.functional
    rng = np.random.default_rng(8)
    for _ in range(80):
        image = rng.standard_normal((2, pick(rng, 1, 15), pick(rng, 1, 15)))
        size = pick(rng, 1, 18), pick(rng, 1, 18)
        x, y = (torch.tensor(image, requires_grad=True) for _ in range(2))
        averages = functional.adaptive_avg_pool2d(x, size)
        maxima, places = functional.adaptive_max_pool2d(y, size, return_indices=True)
        np.testing.assert_allclose(ik.adaptive_avg_pool(image, size), averages.detach().numpy(), rtol=0, atol=1e-14)
        np.testing.assert_array_equal(ik.adaptive_max_pool(image, size), maxima.detach().numpy())
        values, argmax = ik.adaptive_max_pool_with_argmax(image, size)
        np.testing.assert_array_equal(values, maxima.detach().numpy())
        np.testing.assert_array_equal(argmax, places.numpy())
        grad = rng.standard_normal(values.shape)
        averages.backward(torch.tensor(grad))
        maxima.backward(torch.tensor(grad))
        shape = image.shape[-2:]
        np.testing.assert_allclose(ik.adaptive_avg_pool_backward(grad, shape), x.grad.numpy(), rtol=0, atol=1e-13)
        np.testing.assert_allclose(ik.max_pool_backward(grad, argmax, shape), y.grad.numpy(), rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype.kind in "iu"], ids=str)
def test_integer_averages_are_exact(dtype):
    rng = np.random.default_rng(9)
    for size in [(1, 2), (3, 3), (2, 5), (7, 9)]:
        image = random_image(rng, (7, 9), dtype)
        found = ik.avg_pool(image, size, stride=1)
        for place in np.ndindex(found.shape):
            window = image[place[0] : place[0] + size[0], place[1] : place[1] + size[1]]
            total, count = sum(window.ravel().tolist()), window.size
            half_even = (2 * total + count) // (2 * count)
            if (2 * total + count) % (2 * count) == 0 and half_even % 2:
                half_even -= 1
            assert int(found[place]) == half_even
        whole = ik.adaptive_avg_pool(image, 1, dtype="f8")[0, 0]
        np.testing.assert_allclose(whole, sum(image.ravel().tolist()) / image.size, rtol=4 * np.finfo(float).eps)


@pytest.mark.parametrize(
    "function", [ik.adaptive_avg_pool, ik.adaptive_max_pool], ids=lambda function: function.__name__
)
def test_windows_of_many_million_pixels(function):
    rows = np.arange(6000.0)[:, None] % 7
    image = np.broadcast_to(rows, (6000, 5000))
    found = function(image, (2, 1))
    wanted = rows.reshape(2, 3000).mean(axis=1) if function is ik.adaptive_avg_pool else [6, 6]
    np.testing.assert_allclose(found[:, 0], wanted, rtol=1e-15)


def test_means_whose_sums_overflow():
    image = np.full((8, 8), 1.5e308)
    np.testing.assert_array_equal(ik.avg_pool(image, 4), np.full((2, 2), 1.5e308))
    np.testing.assert_array_equal(ik.adaptive_avg_pool(image, 3), np.full((3, 3), 1.5e308))


def layers(count, seed):
    """Yield x, weight, bias and the keywords of random layers that fit."""
    rng = np.random.default_rng(seed)
    while count > 0:
        groups = int(rng.choice([1, 1, 2, 3]))
        channels, outputs = groups * pick(rng, 1, 3), groups * pick(rng, 1, 6)
        height, width = pick(rng, 1, 14), pick(rng, 1, 14)
        size, stride = (pick(rng, 1, 5), pick(rng, 1, 5)), (pick(rng, 1, 4), pick(rng, 1, 4))
        dilation, padding = (pick(rng, 1, 3), pick(rng, 1, 3)), (pick(rng, 0, 5), pick(rng, 0, 5))
        reach = [d * (k - 1) + 1 for k, d in zip(size, dilation, strict=True)]
        if height + 2 * padding[0] >= reach[0] and width + 2 * padding[1] >= reach[1]:
            count -= 1
            keywords = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
            x = rng.standard_normal((pick(rng, 1, 3), channels, height, width))
            yield x, rng.standard_normal((outputs, channels // groups, *size)), rng.standard_normal(outputs), keywords


def test_convolution_of_channels_and_its_gradients_are_pytorchs(torch):
    for number, (x, weight, bias, keywords) in enumerate(layers(150, 10)):
        tensors = [torch.tensor(array, requires_grad=True) for array in (x, weight)]
        wanted = torch.nn.functional.conv2d(*tensors, torch.tensor(bias), **keywords)
        np.testing.assert_allclose(ik.conv2d(x, weight, bias=bias, **keywords), wanted.detach().numpy(), atol=1e-11)
        grad = np.random.default_rng(number).standard_normal(wanted.shape)
        wanted.backward(torch.tensor(grad))
        to_images, to_weights = (tensor.grad.numpy() for tensor in tensors)
        np.testing.assert_allclose(ik.conv2d_backward_input(grad, weight, x.shape, **keywords), to_images, atol=1e-11)
        np.testing.assert_allclose(ik.conv2d_backward_weight(grad, x, weight.shape, **keywords), to_weights, atol=1e-10)


def test_transposed_convolution_is_pytorchs(torch):
    rng = np.random.default_rng(11)
    compared = 0
    for x, weight, _, keywords in layers(150, 12):
        groups, (outputs, inputs, *size) = keywords["groups"], weight.shape
        turned = rng.standard_normal((inputs * groups, outputs // groups, *size))
        bias = rng.standard_normal(outputs)
        limits = [max(pair) for pair in zip(keywords["stride"], keywords["dilation"], strict=True)]
        more = {"output_padding": tuple(pick(rng, 0, limit - 1) for limit in limits)}
        try:
            wanted = torch.nn.functional.conv_transpose2d(
                *(torch.tensor(array) for array in (x, turned, bias)), **keywords, **more
            )
        except RuntimeError:  # nothing would be left
            with pytest.raises(ValueError, match="padding must leave a pixel of the result"):
                ik.conv_transpose2d(x, turned, bias=bias, **keywords, **more)
            continue
        compared += 1
        np.testing.assert_allclose(ik.conv_transpose2d(x, turned, bias=bias, **keywords, **more), wanted, atol=1e-11)
    assert compared > 75


def test_integer_layers_are_exact():
    rng = np.random.default_rng(13)
    x = rng.integers(-128, 128, (2, 3, 9, 10)).astype("i1")
    weight = rng.integers(-128, 128, (4, 3, 3, 2)).astype("i1")
    exact = np.zeros((2, 4, 7, 9), int)
    for o, c, i, j in np.ndindex(*weight.shape):
        exact[:, o] += int(weight[o, c, i, j]) * x[:, c, i : i + 7, j : j + 9].astype(int)
    found = ik.conv2d(x, weight)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, exact)
    np.testing.assert_array_equal(ik.conv2d(x, weight, dtype="i1"), np.clip(exact, -128, 127))
    np.testing.assert_array_equal(ik.conv2d(x.astype("i8"), weight, bias=[1, 2, 3, 4])[:, 3], exact[:, 3] + 4)
    with pytest.raises(ValueError, match=r"weight must keep .* below 2\*\*31, .* dtype=numpy.int64 computes it"):
        ik.conv2d(np.zeros((999, 20, 20), "i1"), np.full((1, 999, 20, 20), -128, "i1"))


def test_a_bias_that_lies_in_the_result_is_as_if_it_had_been_copied():
    x, weight = np.ones((1, 2, 6, 6), "f4"), np.zeros((40, 2, 1, 1), "f4")
    memory = np.zeros((1, 40, 6, 6), "f4")
    memory.flat[:40] = np.arange(40)
    for call in (
        lambda **keywords: ik.conv2d(x, weight, **keywords),
        lambda **keywords: ik.conv_transpose2d(x, weight.swapaxes(0, 1), **keywords),
    ):
        out = memory.copy()
        wanted = call(bias=np.arange(40, dtype="f4"))
        np.testing.assert_array_equal(call(bias=out.reshape(-1)[:40], out=out), wanted)


def test_layers_without_channels():
    x = np.ones((1, 2, 6, 6), "i1")
    assert ik.conv2d(x, np.ones((0, 2, 3, 3), "i1")).shape == (1, 0, 4, 4)
    assert ik.conv_transpose2d(x, np.ones((2, 0, 3, 3), "i1")).shape == (1, 0, 8, 8)
    np.testing.assert_array_equal(ik.conv2d(x[:, :0], np.ones((3, 0, 3, 3), "i1"), bias=[1, 2, 3])[0, 2], 3)


@pytest.mark.parametrize("dtype", ["i1", "u2", "i4", "i8", "u8"])
def test_averages_that_the_dtype_cannot_hold_saturate(dtype):
    limits = np.iinfo(dtype)
    for value in (limits.max, limits.min):
        image = np.full((2, 2), value, dtype)
        assert ik.avg_pool(image, 2, divisor_override=1) == value
        assert ik.avg_pool(image, 2, divisor_override=4) == value


@pytest.mark.parametrize("bias", [[2**31, 0], [-(2**31), 0]])
def test_a_bias_that_leaves_32_bits_is_named(bias):
    x, weight = np.zeros((1, 3, 3), "u1"), np.ones((2, 1, 1, 1), "i1")
    with pytest.raises(ValueError, match=r"^weight and bias must keep abs\(bias\) \+ sum.* below 2\*\*31, got 21"):
        ik.conv2d(x, weight, bias=bias)
    assert ik.conv2d(x, weight, bias=bias, dtype="i8")[0, 0, 0] == bias[0]
    with pytest.raises(TypeError, match=r"^bias must be cast to int64 .* got dtype uint64"):
        ik.conv2d(x.astype("i8"), weight, bias=np.array(np.abs(bias), "u8"))


def test_training_a_delta_filter_by_one_step():
    """One channel, a true convolution and a global maximum: the gradient is the window of the maximum, turned round."""
    rng = np.random.default_rng(14)
    x = rng.standard_normal((1, 9, 9))
    delta = np.zeros((3, 3))
    delta[1, 1] = 1
    wanted = 2.5
    response = ik.conv2d(x, delta[None, None, ::-1, ::-1], padding=1)
    value, argmax = ik.adaptive_max_pool_with_argmax(response, 1)
    grad = ik.max_pool_backward(value - wanted, argmax, (9, 9))
    step = ik.conv2d_backward_weight(grad, x, (1, 1, 3, 3), padding=1)[0, 0, ::-1, ::-1]
    row, column = divmod(int(argmax[0, 0, 0]), 9)
    padded = np.pad(x[0], 1)
    window = padded[row : row + 3, column : column + 3][::-1, ::-1]
    np.testing.assert_allclose(delta - step, delta + (wanted - x.max()) * window, rtol=1e-13)
