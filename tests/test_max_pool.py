"""max_pool_with_argmax against its definition, and against PyTorch."""

import itertools

import imkernels as ik
import numpy as np
import pytest

from tests.cases import DTYPES, FLOATS, INTEGERS, layouts, random_image
from tests.reference import max_pool as reference

COMPARED = [np.dtype(kind) for kind in ("u1", "f4", "i8")]  # narrow integers, floats, 64-bit integers


def pair(number_or_pair):
    return (number_or_pair, number_or_pair) if isinstance(number_or_pair, int) else number_or_pair


def sides(padding, size, dilation):
    """Return ((top, bottom), (left, right)) as the documentation of `padding` spells it."""
    if padding == "valid":
        return ((0, 0), (0, 0))
    if padding == "same":
        return tuple((d * (k // 2), d * ((k - 1) // 2)) for k, d in zip(size, dilation, strict=True))
    rows, columns = pair(padding)
    return pair(rows), pair(columns)


def expected(image, size, stride=None, padding=0, dilation=1, ceil_mode=False):
    size, dilation = pair(size), pair(dilation)
    stride = size if stride is None else pair(stride)
    return reference.max_pool(image, size, stride, sides(padding, size, dilation), dilation, ceil_mode)


def assert_same_bits(actual, wanted):
    assert actual.dtype == wanted.dtype
    assert actual.shape == wanted.shape
    np.testing.assert_array_equal(actual, wanted)
    assert actual.tobytes() == wanted.tobytes()


def check(image, size, **keywords):
    values, argmax = ik.max_pool_with_argmax(image, size, **keywords)
    wanted_values, wanted_argmax = expected(image, size, **keywords)
    assert_same_bits(values, wanted_values)
    assert_same_bits(argmax, wanted_argmax)


# Windows


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    ("size", "keywords"),
    [
        (2, {}),
        (3, {"stride": 2, "padding": 1}),
        ((2, 5), {"stride": (1, 2), "padding": ((0, 1), (3, 2))}),
        ((3, 2), {"stride": (4, 1), "dilation": (2, 3), "padding": (1, 0), "ceil_mode": True}),
    ],
)
def test_every_dtype(dtype, size, keywords):
    check(random_image(np.random.default_rng(1), (14, 19), dtype), size, **keywords)


@pytest.mark.parametrize("dtype", COMPARED, ids=str)
@pytest.mark.parametrize("size", list(itertools.product(range(1, 6), repeat=2)))
def test_every_size(dtype, size):
    image = random_image(np.random.default_rng(2), (11, 12), dtype)
    check(image, size)
    check(image, size, stride=1, padding=(size[0] // 2, size[1] // 2))


@pytest.mark.parametrize("dtype", COMPARED, ids=str)
@pytest.mark.parametrize("stride", [None, 1, 2, 3, 4, 7, (1, 3), (4, 2), (9, 1)])
@pytest.mark.parametrize("size", [1, 3, (2, 4)])
def test_every_stride(dtype, size, stride):
    check(random_image(np.random.default_rng(3), (15, 22), dtype), size, stride=stride)


@pytest.mark.parametrize("dtype", COMPARED, ids=str)
@pytest.mark.parametrize("dilation", [1, 2, 3, (1, 3), (3, 2)])
@pytest.mark.parametrize("stride", [1, 2, (3, 4)])
@pytest.mark.parametrize("size", [2, 3, (4, 2)])
def test_every_dilation(dtype, size, stride, dilation):
    check(random_image(np.random.default_rng(4), (12, 16), dtype), size, stride=stride, dilation=dilation, padding=1)


@pytest.mark.parametrize("dtype", COMPARED, ids=str)
@pytest.mark.parametrize(
    "padding", [0, 1, 2, (2, 0), (0, 2), ((2, 1), (0, 2)), ((0, 2), (2, 0)), [[1, 2], [2, 1]], "same", "valid"]
)
@pytest.mark.parametrize(("size", "stride"), [(3, 1), (3, 2), ((4, 3), (3, 1)), (4, None)])
def test_every_padding(dtype, size, stride, padding):
    check(random_image(np.random.default_rng(5), (9, 13), dtype), size, stride=stride, padding=padding)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, (1, 4), (5, 2)])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_padding_same_gives_every_stride_th_result_of_stride_one(size, dilation, stride):
    image = random_image(np.random.default_rng(6), (10, 11), np.float32)
    check(image, size, stride=stride, dilation=dilation, padding="same")
    everywhere = ik.max_pool_with_argmax(image, size, stride=1, dilation=dilation, padding="same")
    strided = ik.max_pool_with_argmax(image, size, stride=stride, dilation=dilation, padding="same")
    for result, full in zip(strided, everywhere, strict=True):
        assert full.shape == image.shape
        assert_same_bits(result, full[::stride, ::stride])


def pool_line(line, axis, size, stride, pads, dilation, ceil_mode):
    """Pool one line of pixels as a column (axis 0) or as a row (axis 1)."""
    turn = slice(None, None, 1 if axis == 0 else -1)
    return ik.max_pool_with_argmax(
        np.expand_dims(line, 1 - axis),
        (size, 1)[turn],
        stride=(stride, 1)[turn],
        dilation=(dilation, 1)[turn],
        padding=(pads, (0, 0))[turn],
        ceil_mode=ceil_mode,
    )


def check_line(line, size, stride, before, after, dilation, ceil_mode):
    """Compare with the definition; return whether it has a result. A window without a pixel has none."""
    windows = reference.windows_along(len(line), size, stride, before, after, dilation, ceil_mode)
    geometry = size, stride, (before, after), dilation, ceil_mode
    possible = bool(windows) and all(windows)
    for axis in range(2):
        if not possible:
            with pytest.raises(ValueError, match=r"^(size|padding) must "):
                pool_line(line, axis, *geometry)
            continue
        best = [max(window, key=lambda pixel: (line[pixel], -pixel)) for window in windows]
        values, argmax = pool_line(line, axis, *geometry)
        assert argmax.ravel().tolist() == best
        assert values.ravel().tolist() == [line[pixel] for pixel in best]
    return possible


def geometries(pixels, sizes, strides, dilations, pads):
    return itertools.product(pixels, sizes, strides, pads, pads, dilations, (False, True))


def test_every_geometry_of_a_short_line():
    line = np.array([3, 1, 4, 1, 5, 2], np.uint8)
    grid = geometries(range(1, 7), range(1, 4), range(1, 4), (1, 2), range(3))
    outcomes = [check_line(line[:pixels], *geometry) for pixels, *geometry in grid]
    assert 100 < sum(outcomes) < len(outcomes) - 100  # results and refusals


@pytest.mark.sweep
def test_every_geometry_of_a_longer_line():
    line = np.array([3, 1, 4, 1, 5, 2, 5, 5, 0, 3, 6, 6], np.int16)
    for pixels, *geometry in geometries(range(1, 13), range(1, 6), range(1, 6), (1, 2, 3), range(6)):
        check_line(line[:pixels], *geometry)


# Extents of the image: one varies, the vector lanes and tiles are passed


@pytest.mark.parametrize("dtype", COMPARED, ids=str)
@pytest.mark.parametrize(
    ("size", "keywords"), [(3, {"stride": 1, "padding": 1}), (2, {"ceil_mode": True}), (3, {"stride": 2, "padding": 1})]
)
def test_every_extent_to_past_twice_the_widest_vector(dtype, size, keywords):
    image = random_image(np.random.default_rng(7), (70, 70), dtype)
    for extent in range(1, 71):
        check(image[:5, :extent], size, **keywords)
        check(image[:extent, :5], size, **keywords)


@pytest.mark.parametrize("dtype", COMPARED, ids=str)
@pytest.mark.parametrize("columns", [511, 512, 513, 514, 1023, 1024, 1025])
def test_columns_around_the_bounds_of_tiles(dtype, columns):
    image = random_image(np.random.default_rng(8), (4, 2 * columns), dtype)
    check(image[:, :columns], 3, stride=1, padding=1)
    check(image, 2)


@pytest.mark.parametrize("dtype", COMPARED, ids=str)
@pytest.mark.parametrize("rows", [31, 32, 33, 34, 63, 64, 65])
def test_rows_around_the_bounds_of_tiles(dtype, rows):
    image = random_image(np.random.default_rng(9), (2 * rows, 6), dtype)
    check(image[:rows], 3, stride=1, padding=1)
    check(image, 2)


@pytest.mark.sweep
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("size", [1, 2, 3, (3, 5), 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_every_extent_in_both_directions(dtype, size, stride):
    image = random_image(np.random.default_rng(10), (140, 140), dtype)
    for extent in range(8, 141, 3):
        check(image[:9, :extent], size, stride=stride, padding="same")
        check(image[:extent, :9], size, stride=stride, padding="same")


def windowed(image, size, stride, dilation=(1, 1)):
    """Return values and argmax by numpy.argmax of every window, for windows too large to go through tap by tap."""
    reach = [d * (k - 1) + 1 for k, d in zip(size, dilation, strict=True)]
    starts = [range(0, n - r + 1, s) for n, r, s in zip(image.shape, reach, stride, strict=True)]
    values, argmax = [], []
    for row, column in itertools.product(*starts):
        window = image[row : row + reach[0] : dilation[0], column : column + reach[1] : dilation[1]]
        y, x = np.unravel_index(window.argmax(), window.shape)
        values.append(window[y, x])
        argmax.append((row + y * dilation[0]) * image.shape[1] + column + x * dilation[1])
    shape = tuple(len(axis) for axis in starts)
    return np.array(values, image.dtype).reshape(shape), np.array(argmax, np.intp).reshape(shape)


@pytest.mark.parametrize("dtype", COMPARED, ids=str)
@pytest.mark.parametrize(
    ("shape", "size", "stride", "dilation"),
    [
        ((130, 140), (101, 97), (1, 2), (1, 1)),
        ((330, 341), (320, 325), (3, 4), (1, 1)),  # more taps than a tile's buffer holds
        ((145, 801), (8, 40), (2, 7), (20, 20)),  # taps farther apart than a tile's buffer is wide
        ((70, 1500), (2, 2), (1, 1), (3, 1000)),
        ((900, 300), (900, 300), (1, 1), (1, 1)),
        ((5, 3000), (3, 1400), (1, 700), (1, 1)),
        ((3, 250100), (2, 5), (1, 5000), (1, 50000)),  # a row of taps longer than a tile's buffer
        ((3, 200100), (2, 200001), (1, 7), (1, 1)),
    ],
)
def test_large_windows(dtype, shape, size, stride, dilation):
    image = random_image(np.random.default_rng(11), shape, dtype)
    result = ik.max_pool_with_argmax(image, size, stride=stride, dilation=dilation)
    for actual, wanted in zip(result, windowed(image, size, stride, dilation), strict=True):
        assert_same_bits(actual, wanted)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_global_pooling(dtype):
    image = random_image(np.random.default_rng(12), (3, 23, 35), dtype)
    values, argmax = ik.max_pool_with_argmax(image, image.shape[-2:])
    np.testing.assert_array_equal(values, image.max(axis=(1, 2), keepdims=True))
    np.testing.assert_array_equal(argmax.ravel(), image.reshape(3, -1).argmax(axis=1))


# Ties, zeros, NaN, infinities, extremes


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_ties_go_to_the_first_in_row_major_order(dtype):
    image = np.random.default_rng(13).integers(0, 2 if dtype.kind == "b" else 3, (12, 40)).astype(dtype)
    check(image, 3, stride=1, padding=1)
    check(image, (2, 4), stride=(1, 3), dilation=(2, 1))
    argmax = ik.max_pool_with_argmax(np.ones((8, 20), dtype), (2, 4))[1]
    np.testing.assert_array_equal(argmax, 20 * np.arange(0, 8, 2)[:, None] + np.arange(0, 20, 4))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_the_two_zeros_tie_and_the_first_ones_bits_are_kept(dtype):
    image = np.array([[-0.0, 0.0, -1.0, -0.0], [0.0, -0.0, 0.0, -2.0]], dtype)
    values, argmax = ik.max_pool_with_argmax(image, 2)
    np.testing.assert_array_equal(argmax, [[0, 3]])
    np.testing.assert_array_equal(np.signbit(values), [[True, True]])
    values, argmax = ik.max_pool_with_argmax(image[::-1].copy(), 2)
    np.testing.assert_array_equal(argmax, [[0, 2]])
    np.testing.assert_array_equal(np.signbit(values), [[False, False]])


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_every_two_by_two_window_of_special_values(dtype):
    special = [np.nan, -np.inf, -1.0, -0.0, 0.0, 1.0, np.inf]
    windows = np.array(list(itertools.product(special, repeat=4)), dtype).reshape(-1, 2, 2)
    check(windows, 2)
    check(np.concatenate(windows, axis=1), 2)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_three_by_three_windows_of_special_values(dtype):
    special = np.array([np.nan, -np.inf, -1.0, -0.0, 0.0, 1.0, np.inf], dtype)
    rng = np.random.default_rng(14)
    for without in (0, 1, 2):  # fewer NaNs, fewer infinities, so that the others get their turn
        check(rng.choice(special[without:], (9, 700)), 3, stride=1, padding=1)


@pytest.mark.sweep
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_many_three_by_three_windows_of_special_values(dtype):
    special = np.array([np.nan, -np.inf, -1.0, -0.0, 0.0, 1.0, np.inf], dtype)
    check(np.random.default_rng(15).choice(special, (300, 900)), 3)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_the_first_nan_wins_and_reaches_no_other_window(dtype):
    image = np.arange(48.0).reshape(6, 8).astype(dtype)
    image[1, 2] = image[1, 3] = image[4, 1] = np.nan
    values, argmax = ik.max_pool_with_argmax(image, 2)
    np.testing.assert_array_equal(np.isnan(values), [[0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]])
    assert argmax[0, 1] == 1 * 8 + 2
    assert argmax[2, 0] == 4 * 8 + 1
    check(image, 3, stride=1, padding=1)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_nans_of_either_sign_and_of_any_payload_count_as_nan(dtype):
    bits = {2: 0x7E55, 4: 0x7FC01234, 8: 0x7FF8000000001234}[dtype.itemsize]
    unsigned = np.dtype(f"u{dtype.itemsize}")
    sign = 1 << (8 * dtype.itemsize - 1)
    for nan in (bits, bits | sign):
        image = np.full((3, 40), np.inf, dtype)
        image.view(unsigned)[1, ::3] = nan
        values, argmax = ik.max_pool_with_argmax(image, (3, 2), stride=1)
        first = np.isnan(image[1, :-1]) | np.isnan(image[1, 1:])
        np.testing.assert_array_equal(np.isnan(values[0]), first)
        wanted = np.where(np.isnan(image[1, :-1]), 40 + np.arange(39), 40 + np.arange(1, 40))
        np.testing.assert_array_equal(argmax[0, first], wanted[first])


def test_a_signalling_nan_comes_out_as_the_quiet_one():
    image = np.array([[0x7FF0000000000001, 0]], np.uint64).view(np.float64)
    values, _ = ik.max_pool_with_argmax(image, (1, 2))
    assert values.view(np.uint64)[0, 0] == 0x7FF8000000000000


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_an_image_of_the_lowest_value_is_never_beaten_by_the_padding(dtype):
    lowest = {"b": False, "f": -np.inf}.get(dtype.kind)
    lowest = np.iinfo(dtype).min if lowest is None else lowest
    image = np.full((5, 7), lowest, dtype)
    for size, keywords in [
        (3, {"stride": 1, "padding": 2}),
        ((4, 5), {"stride": 2, "padding": ((3, 2), (4, 4))}),
        (3, {"stride": 1, "dilation": 2, "padding": 3}),
        (2, {"ceil_mode": True, "padding": 1}),
    ]:
        check(image, size, **keywords)
        argmax = ik.max_pool_with_argmax(image, size, **keywords)[1]
        assert argmax.min() >= 0
        assert argmax.max() < image.size


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_neighbouring_extremes_are_told_apart(dtype):
    limits = np.iinfo(dtype)
    extremes = np.array([limits.min, limits.min + 1, limits.max - 1, limits.max], dtype)
    check(np.random.default_rng(16).choice(extremes, (6, 60)), 2, stride=1)
    check(np.full((4, 4), limits.max, dtype), 2, padding=1)


@pytest.mark.parametrize("dtype", ["i8", "u8"])
def test_integers_that_float64_cannot_tell_apart(dtype):
    image = 2**62 + np.random.default_rng(17).integers(0, 5, (8, 30)).astype(dtype)
    check(image, 2)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_denormal_numbers_are_numbers(dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    image = np.random.default_rng(18).choice(np.array([-tiny, 0.0, tiny, 2 * tiny], dtype), (6, 40))
    check(image, 2)


# Layouts, axes, batches


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_layout_gives_the_same_bits(dtype):
    image = random_image(np.random.default_rng(19), (2, 9, 37), dtype)
    image.flags.writeable = False
    wanted = expected(image, 3, stride=2, padding=1)
    for name, array in layouts(image):
        before = array.tobytes()
        for actual, bits in zip(ik.max_pool_with_argmax(array, 3, stride=2, padding=1), wanted, strict=True):
            assert actual.dtype == bits.dtype, name
            assert actual.tobytes() == bits.tobytes(), name
        assert array.tobytes() == before, name


def test_broadcast_images_of_stride_zero():
    row = random_image(np.random.default_rng(20), (1, 30), np.int16)
    for image in (np.broadcast_to(row, (9, 30)), np.broadcast_to(row.T, (30, 9)), np.broadcast_to(np.uint8(7), (9, 9))):
        check(image, 3, stride=2, padding=1)
    stack = np.broadcast_to(random_image(np.random.default_rng(21), (8, 9), np.float32), (3, 8, 9))
    check(stack, 2)


@pytest.mark.parametrize("dtype", COMPARED, ids=str)
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 16, 17])
def test_interleaved_channels_stay_where_they_are(dtype, channels):
    image = random_image(np.random.default_rng(22), (11, 14, channels), dtype)
    for keywords in ({}, {"stride": 1, "padding": 1}):
        values, argmax = ik.max_pool_with_argmax(image, (3, 2), axes=(0, 1), **keywords)
        for channel in range(channels):
            wanted = expected(image[..., channel], (3, 2), **keywords)
            assert_same_bits(values[..., channel].copy(), wanted[0])
            assert_same_bits(argmax[..., channel].copy(), wanted[1])


@pytest.mark.parametrize(
    "axes", [axes for axes in itertools.product(range(-4, 4), repeat=2) if (axes[0] - axes[1]) % 4]
)
def test_axes_name_the_rows_and_the_columns(axes):
    image = random_image(np.random.default_rng(23), (4, 5, 6, 3), np.float32)
    geometry = {"stride": (1, 2), "padding": ((1, 0), (0, 1))}
    values, argmax = ik.max_pool_with_argmax(image, (2, 3), axes=axes, **geometry)
    wanted_values, wanted_argmax = expected(np.moveaxis(image, axes, (-2, -1)), (2, 3), **geometry)
    assert_same_bits(values, np.ascontiguousarray(np.moveaxis(wanted_values, (-2, -1), axes)))
    assert_same_bits(argmax, np.ascontiguousarray(np.moveaxis(wanted_argmax, (-2, -1), axes)))


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 1, 3), (1, 2, 1, 2)])
def test_batches_loop_over_planes(shape):
    image = random_image(np.random.default_rng(24), (*shape, 6, 9), np.uint16)
    check(image, 2)
    values, argmax = ik.max_pool_with_argmax(image, 2)
    for plane in np.ndindex(shape):
        alone = ik.max_pool_with_argmax(image[plane], 2)
        assert_same_bits(values[plane].copy(), alone[0])
        assert_same_bits(argmax[plane].copy(), alone[1])


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3)])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_an_empty_batch_gives_an_empty_result(shape, dtype):
    values, argmax = ik.max_pool_with_argmax(np.zeros((*shape, 6, 9), dtype), 2)
    assert values.shape == argmax.shape == (*shape, 3, 4)
    assert values.dtype == dtype
    assert argmax.dtype == np.intp


def test_lists_are_images():
    values, argmax = ik.max_pool_with_argmax([[1, 5, 2, 0], [3, 4, 2, 9]], [2, 2])
    assert values.tolist() == [[5, 9]]
    assert argmax.tolist() == [[1, 7]]


# out, dtype, casting


@pytest.mark.parametrize("given", [(True, True), (True, False), (False, True), (False, False)])
def test_out_is_filled_and_returned(given):
    image = random_image(np.random.default_rng(25), (3, 9, 10), np.float32)
    wanted = expected(image, 3, stride=2)
    arrays = np.full(wanted[0].shape, 7, np.float32), np.full(wanted[0].shape, 7, np.intp)
    out = tuple(array if there else None for array, there in zip(arrays, given, strict=True))
    result = ik.max_pool_with_argmax(image, 3, stride=2, out=out)
    assert isinstance(result, tuple)
    for returned, passed, bits in zip(result, out, wanted, strict=True):
        assert passed is None or returned is passed
        assert_same_bits(returned, bits)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_out_of_every_layout(dtype):
    image = random_image(np.random.default_rng(26), (2, 8, 12), dtype)
    wanted = expected(image, 2)
    values = [array for name, array in layouts(np.zeros((2, 4, 6), dtype)) if name != "read-only"]
    places = [array for name, array in layouts(np.zeros((2, 4, 6), np.intp)) if name != "read-only"]
    for out in zip(values, places, strict=True):
        result = ik.max_pool_with_argmax(image, 2, out=out)
        assert result[0] is out[0]
        assert result[1] is out[1]
        assert out[0].astype(dtype).tobytes() == wanted[0].tobytes()
        assert out[1].astype(np.intp).tobytes() == wanted[1].tobytes()


def test_out_writes_nothing_but_its_own_elements():
    image = random_image(np.random.default_rng(27), (8, 12), np.int16)
    wanted = expected(image, 2)
    values, places = np.full((8, 13), -5, np.int16), np.full((9, 12), -5, np.intp)
    ik.max_pool_with_argmax(image, 2, out=(values[1::2, 1::2], places[:-1:2, ::2]))
    np.testing.assert_array_equal(values[1::2, 1::2], wanted[0])
    np.testing.assert_array_equal(places[:-1:2, ::2], wanted[1])
    values[1::2, 1::2] = -5
    places[:-1:2, ::2] = -5
    assert (values == -5).all()
    assert (places == -5).all()


def test_out_of_two_fields_of_one_array():
    image = random_image(np.random.default_rng(28), (8, 12), np.float32)
    record = np.zeros((4, 6), [("value", "f4"), ("place", np.intp)])
    ik.max_pool_with_argmax(image, 2, out=(record["value"], record["place"]))
    wanted = expected(image, 2)
    np.testing.assert_array_equal(record["value"], wanted[0])
    np.testing.assert_array_equal(record["place"], wanted[1])


def test_out_with_interleaved_channels():
    image = random_image(np.random.default_rng(29), (8, 12, 3), np.uint8)
    out = np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6, 3), np.intp)
    result = ik.max_pool_with_argmax(image, 2, axes=(0, 1), out=out)
    wanted = expected(np.moveaxis(image, -1, 0), 2)
    for returned, passed, bits in zip(result, out, wanted, strict=True):
        assert returned is passed
        np.testing.assert_array_equal(np.moveaxis(passed, -1, 0), bits)


@pytest.mark.parametrize("shift", [-40, -3, -1, 0, 1, 2, 40])
@pytest.mark.parametrize("dtype", ["f8", "i8"])
def test_values_that_overlap_the_image_are_as_if_it_had_been_copied(shift, dtype):
    memory = random_image(np.random.default_rng(30), 2000, dtype)
    image = memory[500:1300].reshape(20, 40)
    wanted = expected(image, 3, stride=1, padding=1)
    out = memory[500 + shift : 1300 + shift].reshape(20, 40)
    values, argmax = ik.max_pool_with_argmax(image, 3, stride=1, padding=1, out=(out, None))
    assert values is out
    assert_same_bits(values, wanted[0])
    assert_same_bits(argmax, wanted[1])


@pytest.mark.parametrize("shift", [-41, -1, 0, 1, 40])
def test_positions_that_overlap_the_image_are_as_if_it_had_been_copied(shift):
    memory = random_image(np.random.default_rng(31), 2000, np.int64)
    image = memory[500:1300].reshape(20, 40)
    wanted = expected(image, 3, stride=1, padding=1)
    out = memory[500 + shift : 1300 + shift].reshape(20, 40)
    values, argmax = ik.max_pool_with_argmax(image, 3, stride=1, padding=1, out=(None, out))
    assert argmax is out
    assert_same_bits(values, wanted[0])
    assert_same_bits(argmax, wanted[1])


def test_both_out_overlap_the_image_but_not_each_other():
    image = random_image(np.random.default_rng(32), (20, 40), np.int64)
    wanted = expected(image, 2)
    values, argmax = ik.max_pool_with_argmax(image, 2, out=(image[:10, :20], image[10:, 20:]))
    assert_same_bits(values.copy(), wanted[0])
    assert_same_bits(argmax.copy(), wanted[1])


def rounded(values, dtype):
    """Return Python numbers as `dtype`: rounded half to even, saturated, NaN as 0."""
    limits = np.iinfo(dtype)
    whole = [0 if value != value else value if value in (np.inf, -np.inf) else round(value) for value in values]
    return np.array([min(max(value, limits.min), limits.max) for value in whole], dtype)


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
@pytest.mark.parametrize("source", FLOATS, ids=str)
def test_a_narrower_dtype_rounds_half_to_even_and_saturates(source, dtype):
    line = [
        0.5,
        1.5,
        2.5,
        -0.5,
        -1.5,
        -2.5,
        0.49,
        -0.51,
        127.5,
        128.5,
        255.5,
        -128.5,
        3e4,
        -6e4,
        np.inf,
        -np.inf,
        np.nan,
    ]
    image = np.array([line], source)
    values, argmax = ik.max_pool_with_argmax(image, 1, dtype=dtype)
    assert values.dtype == dtype
    np.testing.assert_array_equal(values[0], rounded(image[0].tolist(), dtype))
    np.testing.assert_array_equal(argmax[0], range(len(line)))


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
@pytest.mark.parametrize("source", INTEGERS, ids=str)
def test_integers_saturate_in_a_narrower_dtype(source, dtype):
    limits = np.iinfo(source)
    image = np.array([[limits.min, limits.max, 0, 1, limits.max // 2, 100]], source)
    values, _ = ik.max_pool_with_argmax(image, 1, dtype=dtype)
    assert values.dtype == dtype
    assert values[0].tolist() == [min(max(x, np.iinfo(dtype).min), np.iinfo(dtype).max) for x in image[0].tolist()]


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_a_float_dtype_rounds_as_astype_does(dtype):
    for source in (*FLOATS, np.dtype("i4"), np.dtype("u1")):
        image = np.random.default_rng(33).integers(-100, 100, (4, 30)).astype(source) / 3
        image = image.astype(source)
        values, _ = ik.max_pool_with_argmax(image, 2, dtype=dtype)
        assert_same_bits(values, expected(image, 2)[0].astype(dtype))


def test_bool_as_numbers():
    image = np.array([[False, True, False, False]])
    for dtype in ("u1", "i8", "f4"):
        values, argmax = ik.max_pool_with_argmax(image, (1, 2), dtype=dtype)
        assert values.dtype == dtype
        assert values.tolist() == [[1, 0]]
        assert argmax.tolist() == [[1, 2]]


def test_out_of_another_dtype_gets_the_cast_result():
    image = random_image(np.random.default_rng(34), (6, 8), np.float32)
    wanted = expected(image, 2)
    double, short = np.zeros((3, 4)), np.zeros((3, 4), np.int32)
    ik.max_pool_with_argmax(image, 2, out=(double, short))
    np.testing.assert_array_equal(double, wanted[0].astype(float))
    np.testing.assert_array_equal(short, wanted[1])
    half = np.zeros((3, 4), np.float16)
    ik.max_pool_with_argmax(image, 2, out=(half, None))
    np.testing.assert_array_equal(half, wanted[0].astype(np.float16))


# Threads


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_result_does_not_depend_on_the_number_of_workers(dtype):
    image = random_image(np.random.default_rng(35), (3, 300, 700), dtype)
    if dtype.kind == "f":
        image[np.random.default_rng(36).random(image.shape) < 0.01] = np.nan
    for keywords in ({"stride": 1, "padding": 1}, {"stride": 2, "dilation": 2}):
        serial = ik.max_pool_with_argmax(image, 3, workers=1, **keywords)
        np.testing.assert_array_equal(serial[0][0, :3, :3], expected(image[0, :12, :12], 3, **keywords)[0][:3, :3])
        for workers in (2, 3):
            parallel = ik.max_pool_with_argmax(image, 3, workers=workers, **keywords)
            assert parallel[0].tobytes() == serial[0].tobytes()
            assert parallel[1].tobytes() == serial[1].tobytes()


# SciPy and PyTorch


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype != np.float16], ids=str)
@pytest.mark.parametrize("size", [1, 2, 3, (4, 5), (1, 6)])
def test_scipy_agrees_on_values_where_its_border_is_the_lowest_value(scipy_ndimage, dtype, size):
    image = random_image(np.random.default_rng(42), (10, 40), dtype)
    lowest = {"b": 0, "f": -np.inf}[dtype.kind] if dtype.kind in "bf" else int(np.iinfo(dtype).min)
    if dtype.itemsize == 8 and dtype.kind in "iu":
        image >>= 12  # SciPy's border value is a double
        lowest >>= 12
    wanted = scipy_ndimage.maximum_filter(image, size, mode="constant", cval=lowest)
    assert_same_bits(ik.max_pool_with_argmax(image, size, stride=1, padding="same")[0], wanted)


def torch_pool(torch, image, size, **keywords):
    pool = torch.nn.functional.max_pool2d
    values, argmax = pool(torch.from_numpy(image)[None, None], size, return_indices=True, **keywords)
    return values[0, 0].numpy(), argmax[0, 0].numpy()


def check_torch(torch, image, size, stride, padding, dilation, ceil_mode):
    """Compare with PyTorch; where it refuses, or pools a window without a pixel to -inf, we refuse. Return 1 or 0."""
    keywords = {"stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}
    try:
        wanted = torch_pool(torch, image, size, **keywords)
    except RuntimeError:
        wanted = None
    numbers = pair(size), pair(size if stride is None else stride), pair(padding), pair(padding), pair(dilation)
    windows = [reference.windows_along(*axis, ceil_mode) for axis in zip(image.shape, *numbers, strict=True)]
    if wanted is None or not all(all(axis) for axis in windows):
        with pytest.raises(ValueError, match="must"):
            ik.max_pool_with_argmax(image, size, **keywords)
        return 0
    values, argmax = ik.max_pool_with_argmax(image, size, **keywords)
    assert_same_bits(values, wanted[0])
    np.testing.assert_array_equal(argmax, wanted[1])
    return 1


def torch_grid(sizes, strides, dilations):
    for size, stride, dilation, ceil_mode in itertools.product(sizes, strides, dilations, (False, True)):
        paddings = itertools.product(range(pair(size)[0] // 2 + 1), range(pair(size)[1] // 2 + 1))
        for padding in paddings:
            yield size, stride, padding, dilation, ceil_mode


@pytest.mark.parametrize("shape", [(7, 10), (12, 5)])
def test_pytorch_agrees_on_values_and_positions(torch, shape):
    image = random_image(np.random.default_rng(37), shape, np.float32)
    grid = torch_grid([1, 2, 3, (2, 4), (5, 3)], [None, 1, 2, 3, (4, 1)], [1, 2, (1, 3)])
    assert sum(check_torch(torch, image, *geometry) for geometry in grid) > 200


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "i8", "f2", "f4", "f8"])
def test_pytorch_agrees_on_every_dtype_that_it_has(torch, dtype):
    image = random_image(np.random.default_rng(38), (13, 18), dtype)
    ties = np.random.default_rng(39).integers(0, 3, (13, 18)).astype(dtype)
    for pixels in (image, ties):
        for geometry in torch_grid([2, 3], [None, 1], [1, 2]):
            check_torch(torch, pixels, *geometry)


def test_pytorch_agrees_on_infinities(torch):
    special = np.array([-np.inf, -1.0, 0.0, np.inf], np.float32)
    for image in (np.random.default_rng(40).choice(special, (12, 15)), np.full((12, 15), -np.inf, np.float32)):
        for geometry in torch_grid([2, 3], [1, 2], [1, 2]):
            assert check_torch(torch, image, *geometry) == 1


@pytest.mark.sweep
def test_pytorch_agrees_over_a_wide_grid(torch):
    for shape in [(1, 1), (1, 9), (9, 1), (6, 6), (17, 33), (40, 70)]:
        image = random_image(np.random.default_rng(41), shape, np.float32)
        for geometry in torch_grid(
            list(itertools.product(range(1, 6), repeat=2)), [None, 1, 2, 3, 4, (5, 2)], [1, 2, 3, (3, 1)]
        ):
            check_torch(torch, image, *geometry)
