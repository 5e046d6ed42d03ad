"""The paths that pooling takes by shape, layout and values give what its definition gives."""

import itertools

import imkernels as ik
import numpy as np
import pytest

from tests.cases import DTYPES, FLOATS, random_image
from tests.reference import max_pool as reference

WINDOWS = [
    (2, {}),
    (3, {"stride": 2, "padding": 1}),
    (3, {"stride": 1, "padding": 1}),
    ((3, 5), {"stride": (1, 3), "padding": ((2, 1), (4, 2))}),
    (2, {"stride": 5}),
    ((2, 3), {"stride": 2, "dilation": (3, 2), "padding": 1}),
]


def pair(number):
    return (number, number) if isinstance(number, int) else number


def expected(image, size, stride=None, padding=0, dilation=1):
    rows, columns = pair(padding)
    stride = size if stride is None else stride
    return reference.max_pool(image, pair(size), pair(stride), (pair(rows), pair(columns)), pair(dilation), False)


def assert_pooled(image, size, **keywords):
    values, argmax = expected(image, size, **keywords)
    found = ik.max_pool_with_argmax(image, size, **keywords)
    assert found[0].tobytes() == values.tobytes()
    np.testing.assert_array_equal(found[1], argmax)
    assert ik.max_pool(image, size, **keywords).tobytes() == values.tobytes()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("size", "keywords"), WINDOWS)
def test_maxima_with_and_without_places(dtype, size, keywords):
    for columns in (7, 16, 33, 64, 150):
        assert_pooled(random_image(np.random.default_rng(1), (9, columns), dtype), size, **keywords)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize(("size", "keywords"), WINDOWS)
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_a_special_value_anywhere(dtype, size, keywords, special):
    image = random_image(np.random.default_rng(2), (11, 70), dtype)
    for row, column in itertools.product((0, 4, 5, 10), (0, 1, 31, 32, 68, 69)):
        with_one = image.copy()
        with_one[row, column] = special
        assert_pooled(with_one, size, **keywords)
    assert_pooled(np.full((11, 70), special, dtype), size, **keywords)


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "f8"])
@pytest.mark.parametrize("channels", [2, 3, 16, 17, 64])
@pytest.mark.parametrize(("size", "keywords"), WINDOWS)
def test_channels_side_by_side(dtype, channels, size, keywords):
    image = random_image(np.random.default_rng(3), (2, channels, 9, 22), np.dtype(dtype))
    interleaved = np.ascontiguousarray(np.moveaxis(image, 1, -1))
    values, argmax = ik.max_pool_with_argmax(interleaved, size, axes=(1, 2), **keywords)
    wanted = expected(image, size, **keywords)
    np.testing.assert_array_equal(np.moveaxis(values, -1, 1), wanted[0])
    np.testing.assert_array_equal(np.moveaxis(argmax, -1, 1), wanted[1])
    grad = random_image(np.random.default_rng(4), values.shape, np.dtype(dtype))
    back = ik.max_pool_backward(grad, argmax, (9, 22), axes=(1, 2))
    summed = ik.max_pool_backward(np.moveaxis(grad, -1, 1).copy(), np.moveaxis(argmax, -1, 1).copy(), (9, 22))
    np.testing.assert_array_equal(np.moveaxis(back, -1, 1), summed)
    unpooled = ik.max_unpool(values, argmax, (9, 22), axes=(1, 2))
    np.testing.assert_array_equal(np.moveaxis(unpooled, -1, 1), ik.max_unpool(*wanted, (9, 22)))


def test_an_image_that_ends_with_its_memory():
    memory = np.random.default_rng(5).standard_normal((40, 65)).astype(np.float32)
    for rows, columns in itertools.product((1, 2, 5, 40), (1, 15, 16, 31, 32, 33, 48, 65)):
        image = memory[-rows:, -columns:]
        for size in (1, 2):
            if size <= min(rows, columns):
                assert_pooled(image, size)
                assert_pooled(image, size, stride=1)


@pytest.mark.parametrize("columns", [20, 1024, 1025, 2500])
@pytest.mark.parametrize("stride", [1, 2])
def test_one_large_plane_and_any_number_of_workers(columns, stride):
    image = random_image(np.random.default_rng(6), (150, columns), np.dtype("f4"))
    assert_pooled(image, 3, stride=stride, padding=1)
    serial = ik.max_pool_with_argmax(image, 3, stride=stride, padding=1, workers=1)
    for workers in (2, 5):
        threads = ik.max_pool_with_argmax(image, 3, stride=stride, padding=1, workers=workers)
        for one, other in zip(serial, threads, strict=True):
            assert one.tobytes() == other.tobytes()


def layouts_of(image):
    """Return the same images with gaps, in the other byte order, columns first, turned round, and in wider rows."""
    apart = np.repeat(np.repeat(image, 2, axis=-1), 2, axis=-2)[..., ::2, ::2]
    swapped = image.astype(image.dtype.newbyteorder(">"))
    turned = np.ascontiguousarray(image.transpose(1, 2, 0)).transpose(2, 0, 1)
    wider = np.concatenate([image, image], axis=-1)[..., : image.shape[-1]]
    return apart, swapped, turned, image[:, ::-1, ::-1].copy()[:, ::-1, ::-1], wider


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("output_size", [1, 2, 7, (3, 1)])
def test_averages_do_not_depend_on_the_layout(dtype, output_size):
    image = random_image(np.random.default_rng(7), (3, 70, 301), np.dtype(dtype))
    wanted = ik.adaptive_avg_pool(image, output_size)
    for layout in layouts_of(image):
        assert ik.adaptive_avg_pool(layout, output_size).tobytes() == wanted.tobytes()


def test_averages_of_large_windows_do_not_depend_on_the_layout():
    image = np.random.default_rng(13).standard_normal((1, 512, 513)).astype(np.float32) * 1e6  # sums that cancel
    grad = image[:, :30, :30]
    whole, parts, windows = (ik.adaptive_avg_pool(image, size) for size in (1, (2, 1), (2, 3)))
    large, back = ik.avg_pool(image, 300, stride=212), ik.avg_pool_backward(grad, (512, 513), (483, 484), stride=1)
    for layout in layouts_of(image):
        assert ik.adaptive_avg_pool(layout, 1).tobytes() == whole.tobytes()
        assert ik.adaptive_avg_pool(layout, (2, 1)).tobytes() == parts.tobytes()
        assert ik.adaptive_avg_pool(layout, (2, 3)).tobytes() == windows.tobytes()
        assert ik.avg_pool(layout, 300, stride=212).tobytes() == large.tobytes()
    for layout in layouts_of(grad):
        assert ik.avg_pool_backward(layout, (512, 513), (483, 484), stride=1).tobytes() == back.tobytes()


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_averages_of_nans_are_the_quiet_nan(dtype):
    image = np.ones((1, 70, 90), dtype)
    image[0, :4, :4] = [[np.nan, np.copysign(np.nan, -1), np.inf, -np.inf]] * 4
    quiet = np.array(np.nan, dtype).tobytes()
    for layout in layouts_of(image):
        for output_size in (1, (17, 70)):
            averages = ik.adaptive_avg_pool(layout, output_size)
            nans = averages[np.isnan(averages)]
            assert nans.size > 0
            assert nans.tobytes() == quiet * nans.size


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_adaptive_maxima_of_few_values(dtype):
    image = np.random.default_rng(8).integers(0, 2 if dtype.kind == "b" else 4, (60, 90)).astype(dtype)
    if dtype.kind == "f":
        image[image == 3] = np.nan
        image[image == 0] = -0.0
    for output_size in [(1, 1), (7, 9), (50, 80), (60, 1)]:
        values, argmax = ik.adaptive_max_pool_with_argmax(image, output_size)
        for row, column in np.ndindex(output_size):
            top, left = row * 60 // output_size[0], column * 90 // output_size[1]
            bottom, right = -(-(row + 1) * 60 // output_size[0]), -(-(column + 1) * 90 // output_size[1])
            y, x = np.unravel_index(image[top:bottom, left:right].argmax(), (bottom - top, right - left))
            assert argmax[row, column] == (top + y) * 90 + left + x
            np.testing.assert_array_equal(values[row, column], image[top + y, left + x])


def sums_over(spans, numbers, axis):
    """Add up, in double, what each span of an axis takes in."""
    parts = [numbers.take(range(*span), axis).sum(axis, keepdims=True) for span in spans]
    return np.concatenate(parts, axis)


def spans_of(extent, size, stride, padding):
    count = (extent + 2 * padding - size) // stride + 1
    return [(max(0, i * stride - padding), min(extent, i * stride - padding + size)) for i in range(count)]


AVERAGES = [
    (1, 1, 0),
    (2, 2, 0),
    (2, 1, 1),
    (3, 1, 1),
    (3, 2, 1),
    (3, 3, 1),
    (4, 2, 2),
    (5, 2, 0),
    (2, 3, 0),
    (17, 2, 8),
]


@pytest.mark.parametrize(("size", "stride", "padding"), AVERAGES)
@pytest.mark.parametrize("dtype", ["u1", "i2", "f2", "f4"])
def test_averages_of_small_maps(dtype, size, stride, padding):
    for rows, columns in [(17, 17), (18, 31), (19, 64), (20, 65), (21, 200)]:
        image = np.random.default_rng(9).integers(0, 200, (5, 3, rows, columns)).astype(dtype)
        down, across = (spans_of(extent, size, stride, padding) for extent in (rows, columns))
        sums = sums_over(across, sums_over(down, image.astype(np.float64), -2), -1)
        counts = np.outer([end - begin for begin, end in down], [end - begin for begin, end in across])
        for count_include_pad in (True, False):
            # All windows lie on the image and its padding.
            divisors = size * size if count_include_pad else counts
            found = ik.avg_pool(
                image, size, stride=stride, padding=padding, count_include_pad=count_include_pad, dtype=np.float64
            )
            np.testing.assert_array_equal(found, sums / divisors)


@pytest.mark.parametrize(("size", "stride", "padding"), AVERAGES)
@pytest.mark.parametrize("count_include_pad", [True, False])
def test_gradients_of_averages_are_their_adjoint(size, stride, padding, count_include_pad):
    rng = np.random.default_rng(10)
    keywords = {"stride": stride, "padding": padding, "count_include_pad": count_include_pad}
    for rows, columns in [(17, 17), (18, 31), (19, 64), (21, 200)]:
        image = rng.integers(-9, 10, (2, 3, rows, columns)).astype(np.float32)
        averages = ik.avg_pool(image, size, dtype=np.float64, **keywords)
        grad = rng.integers(-9, 10, averages.shape).astype(np.float32)
        back = ik.avg_pool_backward(grad, (rows, columns), size, **keywords)
        assert (back * image).sum(dtype=np.float64) == pytest.approx((averages * grad).sum(), abs=1e-3)
        apart = np.repeat(grad, 2, axis=-1)[..., ::2]
        assert ik.avg_pool_backward(apart, (rows, columns), size, **keywords).tobytes() == back.tobytes()


@pytest.mark.parametrize("shape", [(300, 7, 7), (9, 40, 14, 14), (3, 1, 1), (70, 1, 90), (70, 90, 1), (2, 3, 64, 64)])
@pytest.mark.parametrize("output_size", [1, (1, 3), (3, 1), (20, 20)])
def test_whole_maps(shape, output_size):
    image = np.random.default_rng(11).integers(-99, 100, shape).astype(np.float32)
    image.flat[::77] = np.nan
    down, across = ik.adaptive_avg_pool(image, output_size).shape[-2:]
    averages = ik.adaptive_avg_pool(image, output_size)
    values, argmax = ik.adaptive_max_pool_with_argmax(image, output_size)
    back = ik.adaptive_avg_pool_backward(averages, shape[-2:])
    spread = np.zeros(shape, np.float64)
    for y, x in np.ndindex(down, across):
        rows = slice(y * shape[-2] // down, -(-(y + 1) * shape[-2] // down))
        columns = slice(x * shape[-1] // across, -(-(x + 1) * shape[-1] // across))
        window = image[..., rows, columns].astype(np.float64)
        np.testing.assert_array_equal(averages[..., y, x], window.mean((-2, -1)).astype(np.float32))
        np.testing.assert_array_equal(values[..., y, x], window.max((-2, -1)))
        first = window.reshape(*shape[:-2], -1).argmax(-1)
        places = (rows.start + first // window.shape[-1]) * shape[-1] + columns.start + first % window.shape[-1]
        np.testing.assert_array_equal(argmax[..., y, x], places)
        spread[..., rows, columns] += averages[..., y, x, None, None] / (window.shape[-2] * window.shape[-1])
    np.testing.assert_allclose(back, spread, rtol=1e-6, atol=1e-4)  # of sums of up to 100 that cancel


@pytest.mark.parametrize("stride", [9, 15])
def test_few_large_windows(stride):
    for dtype in ("u1", "i4", "f4"):
        assert_pooled(random_image(np.random.default_rng(12), (60, 60), np.dtype(dtype)), 15, stride=stride, padding=7)


def test_wide_windows_by_small_strides():
    image = random_image(np.random.default_rng(14), (5, 400), np.dtype("f4"))
    for stride in (1, 2, 3):
        assert_pooled(image, (1, 200), stride=(1, stride))
