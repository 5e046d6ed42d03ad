"""What max_pool_with_argmax and max_pool_backward refuse, and in which words."""

import imkernels as ik
import numpy as np
import pytest

from tests.cases import FLOATS, INTEGERS

pytestmark = pytest.mark.wrapper

IMAGE = np.arange(30.0).reshape(5, 6)
GRAD = np.array([[10.0, 20.0]])
ARGMAX = np.array([[4, 2]])
HUGE = [2**31, 2**32 + 1, 2**63, 10**30]


def pool(image=IMAGE, size=2, **keywords):
    return ik.max_pool_with_argmax(image, size, **keywords)


def route(grad=GRAD, argmax=ARGMAX, shape=(2, 4), **keywords):
    return ik.max_pool_backward(grad, argmax, shape, **keywords)


# Geometry


@pytest.mark.parametrize("name", ["size", "stride", "dilation"])
@pytest.mark.parametrize("value", [0, -1, (0, 2), (2, 0), (2, -5), -(10**30)])
def test_numbers_of_the_window_are_positive(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be at least 1, got "):
        pool(**{name: value})


@pytest.mark.parametrize("value", [-1, (0, -1), (-3, 0), ((0, 0), (0, -1)), ((-1, 0), (0, 0))])
def test_padding_is_not_negative(value):
    with pytest.raises(ValueError, match=r"^padding must be at least 0, got .*-"):
        pool(padding=value)


@pytest.mark.parametrize("name", ["size", "stride", "dilation", "padding"])
@pytest.mark.parametrize("value", [1.0, 2.5, "3", (1.0, 2), (1, None), np.float64(2), 1j, [[1]], {}, ...], ids=repr)
def test_numbers_of_the_window_are_ints(name, value):
    with pytest.raises((TypeError, ValueError), match=f"^{name} must be "):
        pool(**{name: value})


@pytest.mark.parametrize("name", ["size", "dilation", "padding"])  # None is the default stride
def test_numbers_of_the_window_are_not_none(name):
    with pytest.raises(TypeError, match=f"^{name} must be .* got None$"):
        pool(**{name: None})


@pytest.mark.parametrize("name", ["size", "stride", "dilation", "padding"])
@pytest.mark.parametrize("value", [True, False, np.True_, (True, 1), (1, True), (np.True_, 1)], ids=repr)
def test_bools_are_no_numbers(name, value):
    with pytest.raises(TypeError, match=f"^{name} must be .*(True|False)"):
        pool(**{name: value})


@pytest.mark.parametrize("value", [((True, 1), (1, 1)), ((1, 1), (0, False))], ids=repr)
def test_bools_are_no_numbers_in_pairs_of_pairs_either(value):
    with pytest.raises(TypeError, match=r"^padding must be .*(True|False)"):
        pool(size=3, padding=value)


@pytest.mark.parametrize("name", ["size", "stride", "dilation", "padding"])
@pytest.mark.parametrize("value", [(), (1,), (1, 2, 3), np.ones((3,), int), [1, 1, 1, 1]], ids=repr)
def test_pairs_have_two_elements(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be .*got"):
        pool(**{name: value})


@pytest.mark.parametrize(
    "value", [((1, 1), (1, 1), (1, 1)), ((1, 1), (1,)), ((1, 1), (1, 1, 1)), (((1, 1), (1, 1)),)], ids=repr
)
def test_padding_is_at_most_two_pairs_of_two(value):
    with pytest.raises((TypeError, ValueError), match=r"^padding must be .*got"):
        pool(padding=value)


@pytest.mark.parametrize("value", ["", "SAME", "full", "reflect", "valid "])
def test_padding_has_two_names(value):
    with pytest.raises(ValueError, match=rf"^padding must be 'same', 'valid'.*got {value!r}$"):
        pool(padding=value)


@pytest.mark.parametrize("name", ["size", "stride", "dilation", "padding"])
@pytest.mark.parametrize("value", HUGE)
def test_numbers_from_two_to_the_31_on_are_refused(name, value):
    for spelled in (value, (1, value), (value, 1)):
        with pytest.raises(ValueError, match=rf"^{name} must be at most 2147483647, got .*{value}"):
            pool(**{name: spelled})


def test_numbers_just_below_two_to_the_31_do_not_overflow():
    largest = 2**31 - 1
    np.testing.assert_array_equal(pool(stride=largest)[0], [[7.0]])
    np.testing.assert_array_equal(pool(size=1, dilation=largest)[0], IMAGE)
    for keywords in (
        {"size": largest},
        {"size": (largest, 1)},
        {"size": (65536, 65536)},
        {"dilation": largest},
        {"padding": largest},
        {"padding": ((largest, largest), (0, 0))},
        {"size": 3, "dilation": largest, "padding": largest},
        {"stride": largest, "padding": largest},
        {"size": largest, "stride": largest, "dilation": largest, "padding": largest, "ceil_mode": True},
    ):
        with pytest.raises(ValueError, match=r"^(size|padding|dilation)\b.* must "):
            pool(**{"size": 2} | keywords)


@pytest.mark.parametrize(
    ("keywords", "found"),
    [
        ({"size": 6}, "6 pixels against 5 along window axis 0"),
        ({"size": (1, 7)}, "7 pixels against 6 along window axis 1"),
        ({"size": 3, "dilation": 3}, "7 pixels against 5 along window axis 0"),
        ({"size": 8, "padding": 1}, "8 pixels against 7 along window axis 0"),
        ({"size": (2, 9), "padding": ((0, 0), (1, 1))}, "9 pixels against 8 along window axis 1"),
    ],
)
def test_windows_larger_than_the_padded_image(keywords, found):
    with pytest.raises(ValueError, match=rf"^size must not exceed the padded image: {found}$"):
        pool(**keywords)


@pytest.mark.parametrize(
    ("keywords", "axis"),
    [
        ({"size": 2, "padding": 2}, 0),  # the first and the last window lie in the padding
        ({"size": 1, "padding": 1}, 0),
        ({"size": (1, 2), "padding": (0, 2)}, 1),
        ({"size": (1, 3), "stride": 1, "padding": ((0, 0), (3, 0))}, 1),
        ({"size": (1, 3), "stride": 1, "padding": ((0, 0), (0, 4))}, 1),
        ({"size": 2, "stride": 1, "dilation": 7, "padding": (6, 7)}, 0),  # taps on both sides, none on the image
        ({"size": (1, 2), "stride": 1, "dilation": 8, "padding": ((0, 0), (7, 7))}, 1),
    ],
)
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_windows_without_a_tap_on_the_image(keywords, axis, ceil_mode):
    with pytest.raises(
        ValueError, match=rf"^padding must leave every window a pixel of the image, .* window axis {axis}$"
    ):
        pool(**keywords, ceil_mode=ceil_mode)


def test_ceil_mode_drops_a_last_window_that_starts_behind_the_image():
    padding = ((0, 0), (0, 3))
    with pytest.raises(ValueError, match=r"^padding must leave every window a pixel of the image, "):
        pool(size=(1, 3), stride=1, padding=padding)
    assert pool(size=(1, 3), stride=1, padding=padding, ceil_mode=True)[0].shape == (5, 6)


def test_a_window_without_a_tap_is_refused_whatever_the_pixels_and_for_empty_batches():
    for image in (np.full((5, 6), np.nan), np.zeros((0, 5, 6)), np.zeros((5, 6), bool)):
        with pytest.raises(ValueError, match=r"^padding must leave every window a pixel"):
            pool(image, 2, padding=2)
        with pytest.raises(ValueError, match=r"^size must not exceed the padded image"):
            pool(image, 8)


@pytest.mark.parametrize("shape", [(0, 6), (5, 0), (0, 0), (3, 0, 6)])
@pytest.mark.parametrize("keywords", [{}, {"padding": 1}, {"padding": "same"}, {"size": 1, "padding": 1}])
def test_images_without_pixels_have_no_windows(shape, keywords):
    with pytest.raises(ValueError, match=r"^(size|padding) must "):
        pool(np.zeros(shape), **{"size": 2} | keywords)


# out


def values_and_argmax(shape=(2, 3), dtype=np.float64):
    return np.zeros(shape, dtype), np.zeros(shape, np.intp)


@pytest.mark.parametrize("out", [np.zeros((2, 3)), [None, None], "ab", 5, {}], ids=lambda out: type(out).__name__)
def test_out_that_is_no_tuple(out):
    with pytest.raises(TypeError, match=r"^out must be a tuple of two arrays"):
        pool(out=out)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_out_tuples_of_another_length_are_the_value_error_that_numpy_raises(count):
    with pytest.raises(ValueError, match="'out' tuple"):
        np.divmod(IMAGE, 2, out=(IMAGE.copy(),) * count)
    with pytest.raises(ValueError, match=r"^out must be a tuple of two"):
        pool(out=(np.zeros((2, 3)),) * count)


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("wrong", ["a", 1.5, [[0.0]]], ids=repr)
def test_members_of_out_are_arrays(place, wrong):
    out = list(values_and_argmax())
    out[place] = wrong
    with pytest.raises(TypeError, match=rf"^out\[{place}\] must be a numpy.ndarray, got {type(wrong).__name__}"):
        pool(out=tuple(out))


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("shape", [(2, 2), (3, 2), (1, 2, 3), (6,), (), (0, 3)])
def test_out_of_another_shape(place, shape):
    out = list(values_and_argmax())
    out[place] = values_and_argmax(shape)[place]
    with pytest.raises(ValueError, match=rf"^out\[{place}\] must have the shape of the result, \(2, 3\), got "):
        pool(out=tuple(out))


@pytest.mark.parametrize("place", [0, 1])
def test_read_only_out(place):
    out = values_and_argmax()
    out[place].flags.writeable = False
    with pytest.raises(ValueError, match=rf"^out\[{place}\] must be writeable"):
        pool(out=out)
    assert not out[0].any()


@pytest.mark.parametrize("place", [0, 1])
def test_out_that_overlaps_itself(place):
    out = list(values_and_argmax())
    row = np.zeros(8, out[place].dtype)
    step = row.itemsize
    for strides in ((0, step), (step, step), (2 * step, step), (step, 0)):
        out[place] = np.lib.stride_tricks.as_strided(row, (2, 3), strides)
        with pytest.raises(ValueError, match=rf"^out\[{place}\] must not overlap itself"):
            pool(out=tuple(out))


def test_both_out_overlapping_each_other():
    memory = np.zeros((4, 6), np.int64)
    image = np.arange(30).reshape(5, 6)
    overlapping = [
        (memory[:2, :3], memory[:2, :3]),
        (memory[:2, :3], memory[1:3, 2:5]),
        (memory[:2, ::2], memory[1:3, ::2]),
        (memory[:2, :3], memory[1::-1, 2::-1]),
    ]
    for out in overlapping:
        with pytest.raises(ValueError, match=r"^out must be two arrays that do not overlap each other"):
            pool(image, out=out)
    assert not memory.any()


@pytest.mark.parametrize(
    ("dtype", "casting"), [("i4", "same_kind"), ("f4", "safe"), (">f8", "no"), ("u1", "same_kind"), ("?", "safe")]
)
def test_values_are_not_cast_more_than_casting_allows(dtype, casting):
    out = np.zeros((2, 3), dtype)
    with pytest.raises(TypeError, match=rf"^out\[0\] must allow casting='{casting}' from float64, got dtype "):
        pool(out=(out, None), casting=casting)
    assert not out.any()


@pytest.mark.parametrize(("dtype", "casting"), [("u8", "same_kind"), ("i4", "safe"), (">i8", "no"), ("?", "same_kind")])
def test_positions_are_not_cast_more_than_casting_allows(dtype, casting):
    out = np.zeros((2, 3), dtype)
    with pytest.raises(TypeError, match=rf"^out\[1\] must allow casting='{casting}' from int64, got dtype "):
        pool(out=(None, out), casting=casting)
    assert not out.any()


# dtype


@pytest.mark.parametrize("dtype", ["?", "F", "O", "M8[s]", "g", "S3", "V2"])
def test_dtypes_without_a_loop(dtype):
    with pytest.raises(TypeError, match=r"^dtype must be one that max_pool_with_argmax has a loop for .*int8.*float64"):
        pool(dtype=dtype)
    with pytest.raises(TypeError, match=r"^dtype must be one that max_pool_backward has a loop for .*int8.*float64"):
        route(dtype=dtype)


# The backward pass


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
@pytest.mark.parametrize("order", ["<", ">"])
def test_indices_past_the_plane_are_named(dtype, order):
    for index in (8, 9, 100, min(2**40 + 5, np.iinfo(dtype).max), np.iinfo(dtype).max):
        argmax = np.array([[7, index]], dtype).astype(dtype.newbyteorder(order))
        with pytest.raises(
            ValueError, match=rf"^argmax must hold indices into the plane of 2 x 4 pixels, got {index}$"
        ):
            route(argmax=argmax)


@pytest.mark.parametrize("dtype", [dtype for dtype in INTEGERS if dtype.kind == "i"], ids=str)
@pytest.mark.parametrize("order", ["<", ">"])
def test_negative_indices_are_named(dtype, order):
    for index in (-1, -8, -9, np.iinfo(dtype).min):
        argmax = np.array([[index, 0]], dtype).astype(dtype.newbyteorder(order))
        with pytest.raises(
            ValueError, match=rf"^argmax must hold indices into the plane of 2 x 4 pixels, got {index}$"
        ):
            route(argmax=argmax)


@pytest.mark.parametrize("index", [2**64 - 1, 2**63, 2**63 + 3, 2**62])
@pytest.mark.parametrize("dtype", ["<u8", ">u8"])
def test_huge_unsigned_indices_are_named_as_they_are(index, dtype):
    with pytest.raises(ValueError, match=rf"^argmax must hold indices .* got {index}$"):
        route(argmax=np.array([[0, index]], dtype))


@pytest.mark.parametrize("grad_dtype", [*FLOATS, *INTEGERS], ids=str)
@pytest.mark.parametrize("index", [-1, 8, 2**62, -(2**63)])
def test_a_bad_index_anywhere_is_named_and_written_nowhere(grad_dtype, index):
    grad = np.ones((3, 2, 2), grad_dtype)
    for place in ((0, 0, 0), (1, 1, 0), (2, 1, 1)):
        argmax = np.arange(12).reshape(3, 2, 2) % 8
        argmax[place] = index
        around = np.full((3, 4, 6), 7, grad_dtype)
        with pytest.raises(
            ValueError, match=rf"^argmax must hold indices into the plane of 2 x 4 pixels, got {index}$"
        ):
            route(grad, argmax, out=around[:, 1:3, 1:5])
        around[:, 1:3, 1:5] = 7
        assert (around == 7).all()


def test_a_bad_index_is_found_by_any_worker():
    argmax = np.zeros((9, 200, 200), np.intp)
    argmax[7, 150, 3] = 200 * 200
    out = np.full(argmax.shape, 7, np.float32)
    for workers in (1, 2, 3):
        with pytest.raises(ValueError, match=r"200 x 200 pixels, got 40000$"):
            route(np.ones(argmax.shape, np.float32), argmax, (200, 200), workers=workers, out=out)


def test_a_bad_index_is_refused_when_out_is_argmax_itself():
    argmax = np.array([[0, 1, 2, 3], [4, 5, 6, 8]])
    with pytest.raises(ValueError, match=r"got 8$"):
        route(np.ones((2, 4), np.int64), argmax, out=argmax)


@pytest.mark.parametrize("shape", [(1, 3), (2, 2), (2,), (1, 1, 2), (1, 2, 1)])
def test_argmax_of_another_shape_than_grad(shape):
    with pytest.raises(ValueError, match=r"^argmax must have the shape of grad, \(1, 2\), got "):
        route(argmax=np.zeros(shape, int))


@pytest.mark.parametrize("dtype", [*FLOATS, np.dtype(bool)], ids=str)
def test_argmax_that_holds_no_integers(dtype):
    with pytest.raises(TypeError, match=r"^argmax must hold integers, got dtype "):
        route(argmax=ARGMAX.astype(dtype))


def test_a_gradient_of_bools():
    with pytest.raises(TypeError, match=r"^grad must hold numbers, got dtype bool; say grad\.astype\("):
        route(grad=np.array([[True, False]]))


@pytest.mark.parametrize("shape", [4, None, "44", 2.5, np.float64(3), {}], ids=repr)
def test_shape_is_a_pair(shape):
    with pytest.raises(TypeError, match=r"^shape must be a pair of ints"):
        route(shape=shape)


@pytest.mark.parametrize("shape", [(2.0, 4), (2, "4"), (None, 4), (True, 4), (8, True)], ids=repr)
def test_shape_holds_ints(shape):
    with pytest.raises(TypeError, match=r"^shape must be "):
        route(shape=shape)


@pytest.mark.parametrize("shape", [(), (8,), (1, 2, 4)])
def test_shape_has_two_elements(shape):
    with pytest.raises(ValueError, match=r"^shape must be "):
        route(shape=shape)


@pytest.mark.parametrize("shape", [(-1, 4), (2, -4)])
def test_shape_is_not_negative(shape):
    with pytest.raises(ValueError, match=r"^shape must be at least 0, got "):
        route(shape=shape)


@pytest.mark.parametrize("value", HUGE)
def test_shape_stays_below_two_to_the_31(value):
    with pytest.raises(ValueError, match=rf"^shape must be at most 2147483647, got .*{value}"):
        route(shape=(1, value))


@pytest.mark.parametrize("shape", [(0, 4), (2, 0), (0, 0)])
def test_gradients_for_a_plane_without_pixels(shape):
    with pytest.raises(ValueError, match=r"^shape must have pixels for the 2 gradients, got "):
        route(shape=shape)


def test_planes_that_no_memory_holds():
    with pytest.raises((ValueError, MemoryError)):
        route(shape=(2**31 - 1, 2**31 - 1))


@pytest.mark.parametrize(
    "out", [np.zeros((2, 3)), np.zeros((4, 2)), np.zeros((1, 2, 4)), np.zeros(8)], ids=lambda out: str(out.shape)
)
def test_backward_out_of_another_shape(out):
    with pytest.raises(ValueError, match=r"^out must have the shape of the result, \(2, 4\), got "):
        route(out=out)


@pytest.mark.parametrize(("dtype", "casting"), [("i4", "same_kind"), ("f4", "safe"), (">f8", "no")])
def test_backward_out_is_not_cast_more_than_casting_allows(dtype, casting):
    out = np.full((2, 4), 7, dtype)
    with pytest.raises(TypeError, match=rf"^out must allow casting='{casting}' from float64, got dtype "):
        route(out=out, casting=casting)
    assert (out == 7).all()


@pytest.mark.parametrize("name", ["grad", "argmax"])
@pytest.mark.parametrize("value", [3.0, [1, 2], np.zeros(4, int)], ids=repr)
def test_backward_inputs_have_two_dimensions(name, value):
    inputs = {"grad": value, "argmax": np.zeros(np.shape(value), int)}
    with pytest.raises(ValueError, match=r"^grad must have at least 2 dimensions, got shape "):
        route(**inputs)
    with pytest.raises(ValueError, match=r"^(argmax must have the shape of grad|grad must have at least 2 dimensions)"):
        route(**{name: value if name == "grad" else np.zeros(np.shape(value), int)})


@pytest.mark.parametrize("missing", [(), (GRAD,), (GRAD, ARGMAX)], ids=len)
def test_backward_needs_all_three(missing):
    with pytest.raises(TypeError, match="missing"):
        ik.max_pool_backward(*missing)
