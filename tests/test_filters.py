"""What every filter promises, whatever it computes: about arrays, casts, threads and what lies outside windows."""

import mmap
import sys
import tracemalloc
from functools import partial

import imkernels as ik
import numpy as np
import pytest

from . import cases
from .cases import assert_same_bits, seeded_image
from .reference.windows import to_dtype, windows

WINDOW = (3, 4)
FOOTPRINT = np.array([[1, 0, 1, 1], [0, 1, 1, 0], [1, 0, 0, 1]], bool)
KERNEL = np.random.default_rng(9).standard_normal(WINDOW).astype(np.float32)
WHOLE_KERNEL = np.random.default_rng(9).integers(-9, 10, WINDOW).astype(np.int8)

FLOAT = np.dtype(np.float32)
SIGNED_64 = [dtype for dtype in cases.INTEGERS if dtype != np.uint64]
FILTERS = {
    "median": (partial(ik.median_filter, size=WINDOW), cases.DTYPES),
    "median of a footprint": (partial(ik.median_filter, footprint=FOOTPRINT), cases.DTYPES),
    "median without nan": (partial(ik.median_filter, size=WINDOW, nan="omit"), cases.FLOATS),
    "mean": (partial(ik.box_blur, size=WINDOW), cases.NUMBERS),
    "sum": (partial(ik.box_blur, size=WINDOW, normalize=False), cases.NUMBERS),
    "correlation": (partial(ik.correlate, kernel=KERNEL), cases.DTYPES),
    "correlation of integers": (partial(ik.correlate, kernel=WHOLE_KERNEL), SIGNED_64),
    "rank": (partial(ik.rank_filter, rank=3, size=WINDOW), cases.DTYPES),
    "percentile of a footprint": (partial(ik.percentile_filter, percentile=20, footprint=FOOTPRINT), cases.DTYPES),
    "minimum": (partial(ik.minimum_filter, size=WINDOW), cases.DTYPES),
    "maximum without nan": (partial(ik.maximum_filter, size=WINDOW, nan="omit"), cases.FLOATS),
    "separable correlation": (partial(ik.correlate_separable, column=KERNEL[:, 0], row=KERNEL[0]), cases.DTYPES),
    "gaussian": (partial(ik.gaussian_filter, sigma=0.7, truncate=1), cases.NUMBERS),  # 3 x 3 pixels
}

each_filter = pytest.mark.parametrize("function", [function for function, _ in FILTERS.values()], ids=FILTERS)
each_filter_and_dtype = pytest.mark.parametrize(
    ("function", "dtype"),
    [
        pytest.param(function, dtype, id=f"{name}-{dtype}")
        for name, (function, dtypes) in FILTERS.items()
        for dtype in dtypes
    ],
)
each_filter_of_floats = pytest.mark.parametrize(
    "function", [pytest.param(function, id=name) for name, (function, dtypes) in FILTERS.items() if FLOAT in dtypes]
)


def image_for(function, shape, seed=0):
    """Return an image that the filter takes, of whole numbers that survive any cast."""
    dtype = np.int16 if "kernel" in function.keywords and function.keywords["kernel"].dtype == np.int8 else np.float32
    return np.random.default_rng(seed).integers(-99, 100, shape).astype(dtype)


# Layouts


@each_filter_and_dtype
def test_layouts(function, dtype):
    image = seeded_image((2, 9, 70), dtype)
    expected = function(image)
    for name, other in cases.layouts(image):
        before = other.tobytes()
        result = function(other)
        assert result.dtype.isnative, name
        assert_same_bits(result, expected)
        assert other.tobytes() == before, name  # never written to


@each_filter_and_dtype
def test_every_column_step_and_offset(function, dtype):
    # The reader knows steps of 1 to 4 elements by name.
    image = seeded_image((5, 40), dtype)
    expected = function(image)
    for step in range(1, 7):
        wide = np.zeros((5, 40 * step + 9), dtype)
        for offset in (0, 1, 5):
            view = wide[:, offset : offset + 40 * step : step]
            view[...] = image
            assert_same_bits(function(view), expected)
            assert_same_bits(function(view[:, ::-1])[:, ::-1], function(image[:, ::-1].copy())[:, ::-1])


@each_filter
@pytest.mark.parametrize("shape", [(1, 1), (6, 1), (1, 7)])
def test_zero_strides(function, shape):
    image = np.broadcast_to(image_for(function, shape), (6, 7))
    assert_same_bits(function(image), function(image.copy()))


@each_filter
def test_fields_of_packed_records(function):
    image = image_for(function, (6, 7))
    records = np.zeros((6, 7), np.dtype([("flag", "u1"), ("value", image.dtype), ("rest", "u2")]))
    records["value"] = image
    assert_same_bits(function(records["value"]), function(image))


@each_filter
@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.skipif(sys.platform != "linux", reason="address space without memory is had otherwise there")
def test_rows_more_than_2_gib_apart(function, direction):
    image = image_for(function, (3, 128))
    pitch = 2**31 + 4096
    no_reserve = 0x4000  # MAP_NORESERVE, which Python 3.11 does not name
    with mmap.mmap(-1, 2 * pitch + 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve) as memory:
        rows = np.ndarray(image.shape, image.dtype, memory, strides=(pitch, image.itemsize))[::direction]
        rows[...] = image
        result = function(rows)
        del rows
    assert_same_bits(result, function(image))


# What numpy.asarray takes


def test_lists():
    assert_same_bits(ik.median_filter([[3, 1, 2]], (1, 3)), np.array([[3, 2, 2]]))
    assert_same_bits(ik.box_blur([[3.0, 1.0, 2.0]], (1, 3)), np.array([[7.0, 6.0, 5.0]]) / 3)
    assert_same_bits(ik.correlate([[3, 1, 2]], [[1, 0, -1]]), np.array([[2, 1, -1]]))


class Picture:
    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


@each_filter
def test_objects_with_an_array_method(function):
    image = image_for(function, (6, 7))
    assert_same_bits(function(Picture(image)), function(image))


@each_filter
def test_subclasses_come_back_as_arrays(function):
    class Subclass(np.ndarray):
        pass

    image = image_for(function, (6, 7))
    result = function(image.view(Subclass))
    assert type(result) is np.ndarray
    assert_same_bits(result, function(image))


@each_filter
def test_tensors(function, torch):
    image = image_for(function, (6, 7))
    assert_same_bits(function(torch.from_numpy(image)), function(image))


@each_filter
def test_memory_maps(function, tmp_path):
    image = image_for(function, (70, 90))
    expected = function(image)
    stored = np.memmap(tmp_path / "image", image.dtype, "w+", shape=image.shape)
    stored[...] = image
    stored.flush()
    result = np.memmap(tmp_path / "result", expected.dtype, "w+", shape=expected.shape)
    assert function(np.memmap(tmp_path / "image", image.dtype, "r", shape=image.shape), out=result) is result
    result.flush()
    assert_same_bits(np.fromfile(tmp_path / "result", expected.dtype).reshape(expected.shape), expected)
    assert type(function(stored)) is np.ndarray


# Axes


@each_filter
@pytest.mark.parametrize("shape", [(13, 9), (1, 13, 9), (4, 13, 9), (2, 1, 3, 13, 9)])
def test_leading_axes_loop(function, shape):
    image = image_for(function, shape)
    planes = [function(plane) for plane in image.reshape(-1, 13, 9)]
    assert_same_bits(function(image), np.reshape(planes, shape))


@each_filter
def test_leading_axes_of_zero_stride(function):
    image = image_for(function, (7, 8))
    stack = function(np.broadcast_to(image, (3, 7, 8)))
    assert_same_bits(stack, np.stack([function(image)] * 3))


ORDERS = [(0, 1), (1, 0), (0, 2), (2, 0), (2, 1), (-3, -2), (-1, -3), (0, -1)]


@each_filter
@pytest.mark.parametrize("axes", ORDERS)
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 17])
def test_axes(function, channels, axes):
    shape = [channels] * 3
    shape[axes[0]], shape[axes[1]] = 12, 10
    image = image_for(function, shape)
    keywords = {"stride": (2, 3), "padding": ((4, 1), (0, 3)), "mode": ("wrap", "nearest")}
    planes = np.moveaxis(image, axes, (-2, -1)).copy()
    expected = np.moveaxis(function(planes, **keywords), (-2, -1), axes)
    assert_same_bits(function(image, axes=axes, **keywords), expected)


@each_filter
def test_axes_of_a_plain_image(function):
    image = image_for(function, (9, 8))
    assert_same_bits(function(image, axes=(1, 0)), function(image.T.copy()).T)
    assert_same_bits(function(image, axes=(-2, 1)), function(image))


@each_filter
def test_interleaved_images_wider_than_a_tile(function):
    image = image_for(function, (35, 1030, 3))
    expected = np.moveaxis(function(np.moveaxis(image, -1, 0).copy()), 0, -1)
    assert_same_bits(function(image, axes=(0, 1)), expected)


@each_filter
@pytest.mark.parametrize("shape", [(0, 6, 7), (3, 0, 7), (3, 6, 0), (0, 0), (0, 7), (2, 0, 6, 7)])
@pytest.mark.parametrize("stride", [1, 2])
def test_empty_images_give_empty_results(function, shape, stride):
    image = image_for(function, shape)
    result = function(image, stride=stride)
    assert result.shape == (*shape[:-2], -(-shape[-2] // stride), -(-shape[-1] // stride))
    assert result.dtype == function(image_for(function, (3, 3))).dtype
    assert_same_bits(function(image, stride=stride, out=result), result)


@each_filter
@pytest.mark.parametrize("shape", [(0, 5), (4, 0), (0, 0), (2, 0, 3)])
def test_pads_around_no_pixels_are_an_image(function, shape):
    # Three rows and columns of cval on each side are an image of that value.
    image = image_for(function, shape)
    result = function(image, padding=3, mode="constant", cval=7)
    padded = np.full((*shape[:-2], shape[-2] + 6, shape[-1] + 6), 7, image.dtype)
    assert_same_bits(result, function(padded, padding="valid"))


# Numbers of any kind


@each_filter
def test_numbers_of_any_integer_type(function):
    image = image_for(function, (15, 16))
    expected = function(image, stride=(2, 3), padding=((1, 2), (3, 4)))
    for one, two in ((np.uint8(2), np.int64(3)), (np.array(2), 3), np.array([2, 3], np.int16)):
        for padding in ([[1, 2], [3, 4]], ((np.int8(1), 2), (3, np.uint64(4))), np.array([[1, 2], [3, 4]])):
            assert_same_bits(function(image, stride=(one, two), padding=padding), expected)
    assert_same_bits(
        function(image, stride=np.array([2, 3]), mode=["wrap", "mirror"]),
        function(image, stride=(2, 3), mode=("wrap", "mirror")),
    )
    assert_same_bits(function(image, axes=np.array([1, 0])), function(image, axes=(1, 0)))
    assert_same_bits(function(image, workers=np.int32(2)), function(image))


# Strides and neighbours


@each_filter_and_dtype
def test_strides_subsample(function, dtype):
    image = seeded_image((23, 75), dtype)
    for mode in cases.MODES:
        whole = function(image, mode=mode)
        for stride in (2, 3, 5, (1, 4), (7, 2), (40, 100)):
            down, right = (stride, stride) if isinstance(stride, int) else stride
            assert_same_bits(function(image, mode=mode, stride=stride), whole[::down, ::right].copy())


@each_filter
def test_strides_subsample_large_images(function):
    image = image_for(function, (70, 1100))
    whole = function(image)
    for stride in (2, (1, 3)):
        down, right = (stride, stride) if isinstance(stride, int) else stride
        assert_same_bits(function(image, stride=stride), whole[::down, ::right].copy())


@each_filter_of_floats
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("mode", cases.MODES)
def test_nothing_outside_a_window_changes_its_result(function, dtype, mode):
    image = seeded_image((11, 75), dtype)
    expected = function(image, mode=mode)
    numbers = np.arange(image.size).reshape(image.shape)
    seen = windows(numbers, WINDOW, mode=mode, cval=-1)
    for pixel in ((0, 0), (0, 40), (5, 37), (10, 74), (10, 3)):
        away = (seen != numbers[pixel]).all((-2, -1))
        for value in (np.nan, np.inf, -np.inf, 1e30, -1e30):
            spoilt = image.copy()
            spoilt[pixel] = value
            assert_same_bits(function(spoilt, mode=mode)[away], expected[away])


# out


@each_filter
def test_out_is_returned(function):
    image = image_for(function, (2, 9, 11))
    expected = function(image)
    out = np.empty_like(expected)
    assert function(image, out=out) is out
    assert_same_bits(out, expected)


@each_filter
def test_out_in_a_tuple_of_one(function):
    image = image_for(function, (9, 11))
    expected = function(image)
    out = np.empty_like(expected)
    assert function(image, out=(out,)) is out
    assert_same_bits(out, expected)


@each_filter
def test_out_subclass_is_returned(function):
    class Subclass(np.ndarray):
        pass

    image = image_for(function, (9, 11))
    expected = function(image)
    out = np.empty_like(expected).view(Subclass)
    assert function(image, out=out) is out
    assert_same_bits(np.asarray(out), expected)


@each_filter
def test_out_of_any_layout(function):
    image = image_for(function, (2, 9, 11))
    expected = function(image)
    wide = np.zeros((4, 18, 40), expected.dtype)
    for out in (
        np.empty_like(expected, order="F"),
        wide[::2, ::2, 3:36:3],
        wide[2:0:-1, 8::-1, 10::-1],
        np.empty(expected.shape, expected.dtype.newbyteorder()),
        np.ndarray(expected.shape, expected.dtype, bytearray(expected.nbytes + 1), offset=1),
        np.moveaxis(np.empty((9, 11, 2), expected.dtype), -1, 0),
    ):
        assert function(image, out=out) is out
        assert_same_bits(np.asarray(out, expected.dtype), expected)


@each_filter
def test_strided_out_leaves_what_is_between(function):
    image = image_for(function, (9, 11))
    wide = np.full((18, 33), 55, function(image).dtype)
    between = np.ones(wide.shape, bool)
    between[::2, 1::3] = False
    function(image, out=wide[::2, 1::3])
    assert (wide[between] == 55).all()


@each_filter
@pytest.mark.parametrize("axes", [(0, 1), (2, 0)])
def test_out_with_axes(function, axes):
    shape = [3] * 3
    shape[axes[0]], shape[axes[1]] = 12, 10
    image = image_for(function, shape)
    expected = function(image, axes=axes, stride=2)
    out = np.empty(expected.shape, expected.dtype.newbyteorder())
    assert function(image, axes=axes, stride=2, out=out) is out
    assert_same_bits(np.asarray(out, expected.dtype), expected)


def overlapping(shape, image, result, shift):
    """Return two arrays in one buffer, the second `shift` bytes behind the first (before it, if negative)."""
    size = int(np.prod(shape))
    buffer = bytearray(abs(shift) + size * max(image.itemsize, result.itemsize))
    start = max(-shift, 0)
    return (
        np.ndarray(shape, image, buffer, start),
        np.ndarray(shape, result, buffer, start + shift),
    )


@each_filter
@pytest.mark.parametrize("rows", [0, 1, 2, 9, 40, -1, -3, -40])
@pytest.mark.parametrize("columns", [0, 1, -2])
def test_out_shifted_in_one_buffer(function, rows, columns):
    values = image_for(function, (100, 70))  # several tiles: the first are written before the last are read
    expected = function(values)
    shift = (rows * 70 + columns) * expected.itemsize
    for more in (0, 1):
        image, out = overlapping(values.shape, values.dtype, expected.dtype, shift + more)
        image[...] = values
        assert function(image, out=out) is out
        assert_same_bits(out.copy(), expected)


@each_filter
def test_out_may_overlap_the_image_in_any_way(function):
    base = np.zeros((250, 150), np.float64)
    values = image_for(function, (70, 20)).astype(float)
    expected = function(values, dtype=float)
    rng = np.random.default_rng(0)

    def view():
        (row, column), (down, right) = rng.integers(0, 40, 2), rng.choice([1, 1, 2], 2)
        part = base[row::down, column::right][:: rng.choice([1, -1]), :: rng.choice([1, -1])]
        part = part.T if rng.random() < 0.3 else part
        return part[:70, :20] if part.shape[0] >= 70 and part.shape[1] >= 20 else view()

    overlaps = 0
    for _ in range(200):
        image, out = view(), view()
        overlaps += np.shares_memory(image, out)
        image[...] = values
        function(image, out=out, dtype=float)
        assert_same_bits(out.copy(), expected)
    assert overlaps > 30


@each_filter
def test_in_place(function):
    values = image_for(function, (2, 80, 80))
    expected = function(values, dtype=values.dtype)
    for turn in (np.asarray, np.matrix_transpose, np.flip, np.flipud):
        image = values.copy()
        out = turn(image)
        assert function(image, out=out, dtype=values.dtype) is out
        assert_same_bits(out.copy(), expected)


@each_filter
def test_strided_out_inside_the_image(function):
    image = image_for(function, (120, 90))
    expected = function(image, stride=(2, 3), dtype=image.dtype)
    function(image, stride=(2, 3), dtype=image.dtype, out=image[1::2, 2::3])
    assert_same_bits(image[1::2, 2::3].copy(), expected)


# Casts


def cast(array, dtype):
    return array.astype(bool) if np.dtype(dtype).kind == "b" else to_dtype(array, dtype)


@each_filter_and_dtype
def test_casting_to_out(function, dtype):
    image = seeded_image((6, 7), dtype)
    if dtype.kind == "f":
        image = np.random.default_rng(0).integers(-999, 999, (6, 7)).astype(dtype) / 2
        image[4:, 4:] = np.nan
        image[0] = np.inf
    result = function(image)
    for other in cases.DTYPES:
        for target in (other, other.newbyteorder()):
            out = np.zeros(result.shape, target)
            for casting in ("no", "equiv", "safe", "same_kind", "unsafe"):
                # A byte order of its own is no cast of values, but "no" refuses it.
                if np.can_cast(result.dtype, target, casting):
                    assert function(image, out=out, casting=casting) is out
                    assert_same_bits(out.astype(other), cast(result, other))
                else:
                    with pytest.raises(TypeError, match=f"casting='{casting}' from {result.dtype}, got dtype"):
                        function(image, out=out, casting=casting)


@each_filter
def test_dtype_and_out_together(function):
    # The result is rounded to `dtype`, and only then brought to `out`.
    image = image_for(function, (6, 7)) * 3
    out = np.empty((6, 7), ">f8")
    assert function(image, dtype=np.int8, out=out) is out
    assert_same_bits(out.astype(float), function(image, dtype=np.int8).astype(float))


def test_float64_becomes_float16_in_one_step():
    # Nearest to float32 these lie halfway between two float16, which are 2**-10 apart here.
    image = np.array([[1 + 2.0**-11 + 2.0**-40, 1 + 3 * 2.0**-11 - 2.0**-40, -1 - 2.0**-11 - 2.0**-40]])
    expected = np.array([[1 + 2.0**-10, 1 + 2.0**-10, -1 - 2.0**-10]], np.float16)
    assert_same_bits(ik.median_filter(image, 1, dtype=np.float16), expected)
    assert_same_bits(ik.box_blur(image, 1, dtype=np.float16), expected)
    assert_same_bits(ik.correlate(image, [[1.0]], dtype=np.float16), expected)


@each_filter
@pytest.mark.parametrize("spelling", ["float64", "f8", ">f8", float, np.float64, np.dtype("<f8")])
def test_spellings_of_dtype(function, spelling):
    image = image_for(function, (6, 7))
    assert_same_bits(function(image, dtype=spelling), function(image, dtype=np.dtype(np.float64)))


@each_filter
def test_both_64_bit_integers_of_c_are_one_type(function):
    # NumPy tells `long` from `long long` even where they are the same.
    image = image_for(function, (6, 7))
    result = function(image.astype(np.int64), dtype=np.int64)
    assert_same_bits(function(image.astype(np.longlong), dtype=np.longlong).astype(np.int64), result)
    assert_same_bits(function(image.astype(np.int64), out=np.empty((6, 7), np.longlong), casting="unsafe"), result)


# Threads


@each_filter_and_dtype
def test_workers_change_nothing(function, dtype):
    image = seeded_image((300, 900), dtype)
    one = function(image, workers=1)
    for workers in (2, 3, 5, -1, None):
        assert_same_bits(function(image, workers=workers), one)


@each_filter
@pytest.mark.parametrize(
    "keywords", [{}, {"stride": (1, 3)}, {"mode": "wrap", "padding": ((40, 3), (2, 500))}, {"padding": "valid"}]
)
def test_workers_change_nothing_on_large_images(function, keywords):
    image = image_for(function, (700, 900))
    one = function(image, workers=1, **keywords)
    for workers in (2, 3):
        for _ in range(2):  # and no two runs differ
            assert_same_bits(function(image, workers=workers, **keywords), one)


@each_filter
def test_workers_change_nothing_in_interleaved_images(function):
    image = image_for(function, (300, 700, 3))
    one = function(image, workers=1, axes=(0, 1))
    for workers in (2, 3):
        assert_same_bits(function(image, workers=workers, axes=(0, 1)), one)


@pytest.mark.parametrize(
    "function",
    [
        partial(ik.median_filter, size=11),
        partial(ik.box_blur, size=31),
        partial(ik.correlate, kernel=np.random.default_rng(0).standard_normal((9, 9))),
    ],
    ids=["median", "mean", "correlation"],
)
def test_workers_change_nothing_with_large_windows(function):
    image = seeded_image((300, 400), "f4")
    one = function(image, workers=1)
    for workers in (2, 3):
        assert_same_bits(function(image, workers=workers), one)


@each_filter
def test_numbers_that_only_equal_an_int_are_refused_every_time(function):
    # The geometry of a call is remembered, and 1, 1.0 and True are the same key of a dict.
    image = image_for(function, (9, 10))
    function(image, stride=1)
    for stride in (1.0, True, np.float64(1)):
        with pytest.raises(TypeError, match="stride must be an int or a pair of ints"):
            function(image, stride=stride)
    assert_same_bits(function(image, stride=np.int64(1)), function(image, stride=1))
    assert function(image[:5]).shape == (5, 10)


@each_filter
def test_what_is_remembered_of_one_call_serves_no_other(function):
    image = image_for(function, (9, 10))
    for dtype in (image.dtype, image.dtype.newbyteorder()):
        assert_same_bits(function(image.astype(dtype)), function(image))
    for stride in ([2, 1], (2, 1), np.array([2, 1])):
        assert_same_bits(function(image, stride=stride), function(image)[::2])
    expected = function(image, padding=np.array([[2, 1], [1, 1]]))  # arrays are not remembered
    for padding in (((2, 1), (1, 1)), [(2, 1), [1, 1]], [[2, 1], [1, 1]], ([2, np.int64(1)], (1, 1))) * 2:
        assert_same_bits(function(image, padding=padding), expected)
    with pytest.raises(TypeError, match=r"stride must be an int or a pair of ints, got \[2, 1.0\]"):
        function(image, stride=[2, 1.0])
    with pytest.raises(TypeError, match=r"padding must be an int or a pair of ints, got \[2, True\]"):
        function(image, padding=[[2, True], [1, 1]])
    with pytest.raises(TypeError, match=r"dtype must be a dtype, got \['f4', 'f4'\]"):
        function(image, dtype=["f4", "f4"])


@each_filter
def test_errors_on_lists_come_alone(function):
    with pytest.raises(ValueError, match=r"stride must be at least 1, got \[0, 1\]") as error:
        function(image_for(function, (9, 10)), stride=[0, 1])
    assert error.value.__context__ is None


@each_filter
def test_metadata_of_one_image_stays_out_of_the_next_result(function):
    image = image_for(function, (8, 9))
    function(image.astype(np.dtype(image.dtype, metadata={"unit": "m"})))
    assert function(image).dtype.metadata is None


def test_footprints_that_are_changed_between_calls():
    """What is remembered of a footprint are its truth values, not the array."""
    image = seeded_image((9, 10), np.uint8)
    footprint = np.zeros((3, 2), np.int16)
    for footprint[1, 0], footprint[2, 1] in ((1, 0), (0, -1), (256, 1), (1, 0)):
        for given in (footprint, footprint.astype(">i4"), footprint.astype(float), footprint.tolist(), footprint.T):
            truth = np.array(given, bool)
            shifted = np.pad(image, 2, "symmetric")
            rows, columns = truth.shape
            values = [shifted[2 - rows // 2 + i :, 2 - columns // 2 + j :][:9, :10] for i, j in np.argwhere(truth)]
            assert_same_bits(ik.maximum_filter(image, footprint=given), np.max(values, axis=0))


def test_wide_gaussians_are_not_kept():
    tracemalloc.start()
    try:
        ik.gaussian_filter(np.ones((4, 4)), (0, 20_000.0))
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 2**20 < peak


@each_filter
def test_a_call_keeps_nothing_of_its_image(function):
    image = image_for(function, (9, 10))
    function(image)
    before = sys.getrefcount(image)
    function(image, mode="wrap")
    assert sys.getrefcount(image) == before


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_zeros_of_both_signs_are_two_values_outside(dtype):
    pixel = np.full((1, 1), -0.0, dtype)
    place = {"mode": "constant", "padding": ((0, 0), (1, 0))}
    for cval in (0.0, -0.0, 0.0):  # the larger of it and the pixel
        assert np.signbit(ik.median_filter(pixel, (1, 2), cval=cval, **place)) == np.signbit(cval)
