"""Convolution over channels: every way of computing it, values and gradients, against PyTorch in float64."""

import itertools

import imkernels as ik
import numpy as np
import pytest

# (channels of an image, output channels, groups): output channels that fill no vector, one, some and a part of one,
# more than a task takes; and few taps, with which neighbouring pixels are computed together.
CHANNELS = [
    (1, 1, 1),
    (1, 5, 1),
    (2, 3, 1),
    (3, 9, 1),
    (5, 16, 1),
    (4, 17, 1),
    (7, 33, 1),
    (3, 70, 1),
    (33, 64, 1),
    (40, 2, 1),
    (2, 300, 1),
    (6, 6, 6),
    (6, 12, 6),
    (4, 40, 4),
    (9, 60, 3),
]

# (height and width, kernel, keywords)
GEOMETRIES = [
    ((9, 10), (3, 3), {"padding": 1}),
    ((7, 33), (3, 3), {}),
    ((1, 70), (1, 5), {"padding": (0, 2)}),
    ((40, 1), (4, 1), {"padding": (3, 0)}),
    ((15, 21), (5, 5), {"stride": 2, "padding": 2}),
    ((20, 19), (2, 3), {"stride": (3, 5)}),
    ((17, 16), (1, 1), {}),
    ((17, 16), (1, 1), {"stride": 2}),
    ((18, 35), (3, 2), {"dilation": (2, 4), "padding": ((5, 1), (0, 7))}),
    ((4, 5), (3, 3), {"padding": ((4, 6), (7, 5)), "stride": (1, 2)}),
    ((12, 14), (11, 12), {"padding": "same"}),
]


def layer(channels, geometry, dtype="f8", whole=False, images=(2,), seed=0):
    """Return x, weight, grad and the keywords of a layer."""
    (inputs, outputs, groups), (extents, size, keywords) = channels, geometry
    rng = np.random.default_rng(seed)

    def draw(shape):
        return (rng.integers(-8, 9, shape) if whole else rng.standard_normal(shape)).astype(dtype)

    x, weight = draw((*images, inputs, *extents)), draw((outputs, inputs // groups, *size))
    keywords = {**keywords, "groups": groups}
    return x, weight, draw(ik.conv2d(x, weight, **keywords).shape), keywords


def both_ways(x, weight, grad, keywords, **more):
    """Return the result of a layer and its gradients."""
    return (
        ik.conv2d(x, weight, **keywords, **more),
        ik.conv2d_backward_input(grad, weight, x.shape, **keywords, **more),
        ik.conv2d_backward_weight(grad, x, weight.shape, **keywords, **more),
    )


def pytorchs(torch, x, weight, grad, keywords):
    """Return the same from PyTorch, computed in float64, which pads both sides alike."""
    size, dilation = weight.shape[-2:], np.broadcast_to(keywords.get("dilation", 1), 2)
    padding = keywords.get("padding", 0)
    if padding == "same":
        padding = [(d * (k // 2), d * ((k - 1) // 2)) for k, d in zip(size, dilation, strict=True)]
    (top, bottom), (left, right) = (
        (np.broadcast_to(side, 2).tolist() for side in np.broadcast_to(padding, 2))
        if (np.ndim(padding) < 2)
        else padding
    )
    images, weights = (torch.tensor(array.astype("f8"), requires_grad=True) for array in (x, weight))
    rest = {name: value for name, value in keywords.items() if name != "padding"}
    result = torch.nn.functional.conv2d(torch.nn.functional.pad(images, (left, right, top, bottom)), weights, **rest)
    result.backward(torch.tensor(grad.astype("f8")))
    return result.detach().numpy(), images.grad.numpy(), weights.grad.numpy()


@pytest.mark.parametrize("channels", CHANNELS, ids=str)
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_values_and_gradients_are_pytorchs(torch, channels, dtype):
    for geometry in GEOMETRIES:
        arrays = layer(channels, geometry, dtype)
        found, wanted = both_ways(*arrays), pytorchs(torch, *arrays)
        magnitudes = pytorchs(torch, *(np.abs(array) for array in arrays[:3]), arrays[3])
        x, weight, grad, _ = arrays
        # Each lies within as many eps of the exact sum of products as it has terms.
        terms = weight[0].size, weight[:, 0].size // channels[2], grad[:, 0].size
        for value, want, magnitude, count in zip(found, wanted, magnitudes, terms, strict=True):
            assert value.dtype == x.dtype
            bound = (count + 1) * float(np.finfo(dtype).eps) * magnitude
            assert (np.abs(value.astype("f8") - want) <= bound).all(), geometry


@pytest.mark.parametrize("channels", CHANNELS, ids=str)
def test_whole_numbers_in_float32_come_out_exact(torch, channels):
    for geometry in GEOMETRIES:
        arrays = layer(channels, geometry, "f4", whole=True)
        for found, wanted in zip(both_ways(*arrays), pytorchs(torch, *arrays), strict=True):
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("channels", CHANNELS, ids=str)
def test_integers_are_exact(channels):
    for geometry in GEOMETRIES:
        x, weight, _, keywords = layer(channels, geometry, "i1", whole=True)
        exact = ik.conv2d(x.astype("f8"), weight.astype("f8"), **keywords)
        for dtype in ("i1", "i2", "i8"):
            np.testing.assert_array_equal(ik.conv2d(x.astype(dtype), weight, **keywords), exact)


@pytest.mark.parametrize("channels", CHANNELS, ids=str)
@pytest.mark.parametrize("geometry", GEOMETRIES[:6], ids=str)
def test_workers_and_layouts_change_no_bit(channels, geometry):
    x, weight, grad, keywords = layer(channels, geometry, "f4", images=(2, 3))
    expected = both_ways(x, weight, grad, keywords, workers=1)

    def channels_last(array):
        return np.ascontiguousarray(np.moveaxis(array, -3, -1)).swapaxes(-1, -2).swapaxes(-2, -3)

    def reversed_columns(array):
        return np.ascontiguousarray(array[..., ::-1])[..., ::-1]

    def swapped_bytes(array):
        return array.astype(array.dtype.newbyteorder())

    for workers in (2, 3):
        for found, want in zip(both_ways(x, weight, grad, keywords, workers=workers), expected, strict=True):
            np.testing.assert_array_equal(found, want)
    for change in (channels_last, reversed_columns, swapped_bytes):
        found = both_ways(*map(change, (x, weight, grad)), keywords, workers=2)
        for value, want in zip(found, expected, strict=True):
            np.testing.assert_array_equal(value, want)


def test_many_tiles_parts_and_workers():
    """Images of several tiles, weight gradients in several parts: the same bits, and the sum over the images."""
    rng = np.random.default_rng(3)
    for channels, outputs, extents in (
        (20, 64, (50, 300)),
        (64, 20, (150, 31)),
        (1, 16, (200, 520)),
        (3, 2, (70, 600)),
    ):
        x = rng.standard_normal((3, channels, *extents), dtype=np.float32)
        weight = rng.standard_normal((outputs, channels, 3, 3), dtype=np.float32)
        grad = rng.standard_normal((3, outputs, *extents), dtype=np.float32)
        keywords = {"padding": 1}
        found = [both_ways(x, weight, grad, keywords, workers=workers) for workers in (1, 2, 3)]
        for other in found[1:]:
            for one, two in zip(found[0], other, strict=True):
                np.testing.assert_array_equal(one, two)
        single = [both_ways(x[i], weight, grad[i], keywords) for i in range(3)]
        np.testing.assert_array_equal(found[0][0], [image for image, _, _ in single])
        np.testing.assert_array_equal(found[0][1], [image for _, image, _ in single])
        total = np.sum([part.astype("f8") for _, _, part in single], axis=0)
        np.testing.assert_allclose(found[0][2], total, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("extents", [(7, 7), (1, 5), (3, 16)], ids=str)
@pytest.mark.parametrize("size", [1, 3, 5], ids=str)
def test_small_images_that_share_a_task(torch, extents, size):
    """As many as share one, some more, and layers of several loads of channels: exact, and the bits of each alone."""
    for images, channels in ((1, (20, 16, 1)), (9, (20, 70, 1)), (70, (5, 17, 1)), (5, (270, 40, 1)), (3, (60, 40, 2))):
        geometry = extents, (size, size), {"padding": size // 2}
        arrays = layer(channels, geometry, "f4", whole=True, images=(images,))
        for found, wanted in zip(both_ways(*arrays), pytorchs(torch, *arrays), strict=True):
            np.testing.assert_array_equal(found, wanted)
        x, weight, grad, keywords = layer(channels, geometry, "f4", images=(images,))
        expected = both_ways(x, weight, grad, keywords, workers=1)
        for workers in (2, 3):
            for found, want in zip(both_ways(x, weight, grad, keywords, workers=workers), expected, strict=True):
                np.testing.assert_array_equal(found, want)
        single = [both_ways(x[i], weight, grad[i], keywords)[:2] for i in range(images)]
        for way in (0, 1):
            np.testing.assert_array_equal(expected[way], [both[way] for both in single])


@pytest.mark.parametrize("images", [(), (1,), (2, 1, 3), (0,), (2, 0)], ids=str)
@pytest.mark.parametrize("channels", [(3, 2, 1), (3, 40, 1), (4, 4, 4)], ids=str)
def test_axes_before_the_channels_are_images(images, channels):
    x, weight, grad, keywords = layer(channels, GEOMETRIES[0], images=images)
    result, to_x, to_weight = both_ways(x, weight, grad, keywords)
    assert result.shape == grad.shape
    assert to_x.shape == x.shape
    total = np.zeros(weight.shape)
    for place in np.ndindex(*images):
        one = both_ways(x[place], weight, grad[place], keywords)
        np.testing.assert_array_equal(result[place], one[0])
        np.testing.assert_array_equal(to_x[place], one[1])
        total += one[2]
    np.testing.assert_allclose(to_weight, total, atol=1e-12)


@pytest.mark.parametrize("odd", [np.nan, np.inf])
@pytest.mark.parametrize("channels", [(2, 3, 1), (3, 40, 1), (20, 16, 1), (4, 4, 4)], ids=str)
def test_a_number_that_is_none_stays_in_its_windows(channels, odd):
    for extents, size, keywords in GEOMETRIES:
        x, weight, grad, keywords = layer(channels, (extents, size, keywords), "f4", whole=True)
        for row, column in itertools.product(
            {0, extents[0] // 2, extents[0] - 1}, {0, extents[1] // 3, extents[1] - 1}
        ):
            plain, strange, here = x.copy(), x.copy(), np.zeros_like(x)
            plain[1, 0, row, column], strange[1, 0, row, column], here[1, 0, row, column] = 0, odd, 1
            seen = ik.conv2d(here, np.ones_like(weight), **keywords) > 0
            found = ik.conv2d(strange, weight, **keywords)
            assert not np.isfinite(found[seen]).any()
            np.testing.assert_array_equal(found[~seen], ik.conv2d(plain, weight, **keywords)[~seen])
            reached = ik.conv2d_backward_weight(np.ones_like(grad), here, weight.shape, **keywords) > 0
            found = ik.conv2d_backward_weight(grad, strange, weight.shape, **keywords)
            assert not np.isfinite(found[reached]).any()
            wanted = ik.conv2d_backward_weight(grad, plain, weight.shape, **keywords)
            np.testing.assert_array_equal(found[~reached], wanted[~reached])
        strange, here = grad.copy(), np.zeros_like(grad)
        strange[0, -1, 0, -1], here[0, -1, 0, -1] = odd, 1
        reached = ik.conv2d_backward_input(here, np.ones_like(weight), x.shape, **keywords) > 0
        found = ik.conv2d_backward_input(strange, weight, x.shape, **keywords)
        assert not np.isfinite(found[reached]).any()
        np.testing.assert_array_equal(
            found[~reached],
            ik.conv2d_backward_input(np.where(here > 0, 0, grad), weight, x.shape, **keywords)[~reached],
        )


@pytest.mark.parametrize("outputs", range(1, 10))
@pytest.mark.parametrize("columns", [7, 16, 31, 32, 47, 64])
def test_nothing_is_written_beside_the_result(outputs, columns):
    x, weight, _, keywords = layer((2, outputs, 1), ((5, columns), (3, 3), {"padding": 1}), "f4", images=(3,))
    expected = ik.conv2d(x, weight, **keywords)
    around = np.full((5, outputs + 2, 7, columns + 2), 7, "f4")
    ik.conv2d(x, weight, out=around[1:-1, 1:-1, 1:-1, 1:-1], **keywords)
    np.testing.assert_array_equal(around[1:-1, 1:-1, 1:-1, 1:-1], expected)
    around[1:-1, 1:-1, 1:-1, 1:-1] = 7
    assert (around == 7).all()


def test_float16_is_computed_in_float32():
    for channels in [(3, 2, 1), (3, 40, 1), (4, 4, 4)]:
        x, weight, grad, keywords = layer(channels, GEOMETRIES[0], "f2")
        wide = both_ways(*(array.astype("f4") for array in (x, weight, grad)), keywords)
        for found, wanted in zip(both_ways(x, weight, grad, keywords), wide, strict=True):
            assert found.dtype == np.float16
            np.testing.assert_array_equal(found, wanted.astype("f2"))


def test_a_bias_is_what_the_sum_starts_with():
    for channels in [(3, 2, 1), (1, 20, 1), (5, 40, 1), (40, 70, 1), (4, 4, 4), (4, 60, 2)]:
        x, weight, _, keywords = layer(channels, GEOMETRIES[4], "f4", whole=True)
        bias = np.arange(channels[1], dtype="f4")
        found = ik.conv2d(x, weight, bias=bias, **keywords)
        np.testing.assert_array_equal(found, ik.conv2d(x, weight, **keywords) + bias[:, None, None])
