"""What all functions have in common in how they take arguments: a table of functions, and one test for each rule.

With a window of one pixel every function of the table gives the image back, whatever its dtype, layout and axes.
"""

import array
import itertools
import re
from dataclasses import dataclass

import imkernels as ik
import numpy as np
import pytest
from imkernels._ufunc import KernelFunction

from tests.cases import DTYPES, FLOATS, INTEGERS, layouts, random_image

pytestmark = pytest.mark.wrapper


@dataclass(frozen=True)
class Function:
    """A function with a window of one pixel, its first result alone, `out` where that goes."""

    name: str
    call: object
    image: str = "image"
    out: str = "out"
    bools: bool = False
    numbers: tuple = ()  # the keywords that take an int or a pair of ints
    sums: bool = False  # integers come back wider

    def __call__(self, image, **keywords):
        return self.call(image, **keywords)


def median_filter(image, size=1, **keywords):
    return ik.median_filter(image, size, **keywords)


def box_blur(image, size=1, **keywords):
    return ik.box_blur(image, size, **keywords)


def correlate(image, kernel=((1,),), **keywords):
    return ik.correlate(image, kernel_like(image, kernel), **keywords)


def rank_filter(image, size=1, **keywords):
    return ik.rank_filter(image, 0, size, **keywords)


def percentile_filter(image, size=1, **keywords):
    return ik.percentile_filter(image, 40, size, **keywords)


def minimum_filter(image, size=1, **keywords):
    return ik.minimum_filter(image, size, **keywords)


def maximum_filter(image, size=1, **keywords):
    return ik.maximum_filter(image, size, **keywords)


def convolve(image, kernel=((1,),), **keywords):
    return ik.convolve(image, kernel_like(image, kernel), **keywords)


def correlate_separable(image, kernel=((1,),), **keywords):
    factors = kernel_like(image, kernel)
    return ik.correlate_separable(image, factors[:, 0], factors[0], **keywords)


def max_pool(image, size=1, **keywords):
    return ik.max_pool(image, size, **keywords)


def avg_pool(image, size=1, **keywords):
    return ik.avg_pool(image, size, **keywords)


def kernel_like(image, kernel):
    """Return a kernel whose dtype leaves that of the sum to the image: float16 or int8."""
    kind = "i1" if re.search("int|[<>][iu]|bool", str(getattr(image, "dtype", ""))) else "f2"
    return np.array(kernel, kind)


def adaptive_max_pool(image, **keywords):
    return ik.adaptive_max_pool(image, None, **keywords)


def adaptive_avg_pool(image, **keywords):
    return ik.adaptive_avg_pool(image, None, **keywords)


def adaptive_max_pool_with_argmax(image, out=None, **keywords):
    return ik.adaptive_max_pool_with_argmax(image, None, out=None if out is None else (out, None), **keywords)[0]


def max_unpool(image, axes=None, **keywords):
    """Put every pixel where it is."""
    places, shape = places_of(np.shape(image), axes)
    return ik.max_unpool(image, places, shape, axes=axes, **keywords)


def max_pool_with_argmax(image, size=1, out=None, **keywords):
    return ik.max_pool_with_argmax(image, size, out=None if out is None else (out, None), **keywords)[0]


def max_pool_backward(image, axes=None, **keywords):
    """Route every pixel to the place where it is."""
    places, shape = places_of(np.shape(image), axes)
    return ik.max_pool_backward(image, places, shape, axes=axes, **keywords)


def places_of(shape, axes):
    """Return the flat index of every pixel in its plane, and the plane's shape; anything where `axes` are wrong."""
    places = np.zeros(shape, np.intp)
    try:
        planes = np.moveaxis(places, (-2, -1) if axes is None else axes, (-2, -1))
        height, width = planes.shape[-2:]
    except (OverflowError, TypeError, ValueError):
        return places, (1, 1)
    planes[...] = np.arange(height * width).reshape(height, width)
    return places, (height, width)


FUNCTIONS = [
    Function("median_filter", median_filter, bools=True, numbers=("size", "stride", "padding", "origin")),
    Function("box_blur", box_blur, numbers=("size", "stride", "padding", "origin")),
    Function("correlate", correlate, numbers=("stride", "dilation", "padding", "origin"), sums=True),
    Function(
        "max_pool_with_argmax",
        max_pool_with_argmax,
        out="out[0]",
        bools=True,
        numbers=("size", "stride", "dilation", "padding"),
    ),
    Function("max_pool_backward", max_pool_backward, image="grad"),
    *(
        Function(name, call, bools=True, numbers=("size", "stride", "padding", "origin"))
        for name, call in [
            ("rank_filter", rank_filter),
            ("percentile_filter", percentile_filter),
            ("minimum_filter", minimum_filter),
            ("maximum_filter", maximum_filter),
        ]
    ),
    Function("convolve", convolve, numbers=("stride", "dilation", "padding", "origin"), sums=True),
    Function(
        "correlate_separable", correlate_separable, numbers=("stride", "dilation", "padding", "origin"), sums=True
    ),
    Function("max_pool", max_pool, bools=True, numbers=("size", "stride", "dilation", "padding")),
    Function("avg_pool", avg_pool, numbers=("size", "stride", "padding")),
    Function("adaptive_max_pool", adaptive_max_pool, bools=True),
    Function("adaptive_max_pool_with_argmax", adaptive_max_pool_with_argmax, out="out[0]", bools=True),
    Function("adaptive_avg_pool", adaptive_avg_pool),
    Function("max_unpool", max_unpool, image="values", bools=True),
]
# Functions that no window of one pixel turns into a copy: of floats alone, or of three core axes.
OTHERS = {
    "gaussian_filter",
    "avg_pool_backward",
    "adaptive_avg_pool_backward",
    "conv2d",
    "conv2d_backward_input",
    "conv2d_backward_weight",
    "conv_transpose2d",
}
functions = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
NUMBERS = [(function, name) for function in FUNCTIONS for name in function.numbers]
numbers = pytest.mark.parametrize(
    ("function", "name"), NUMBERS, ids=[f"{function.name}-{name}" for function, name in NUMBERS]
)
padded = pytest.mark.parametrize(
    "function",
    [function for function in FUNCTIONS if "padding" in function.numbers],
    ids=lambda function: function.name,
)
strided = pytest.mark.parametrize(
    "function", [function for function in FUNCTIONS if "stride" in function.numbers], ids=lambda function: function.name
)
IMAGE = np.arange(1.0, 31.0).reshape(5, 6)


def test_the_table_is_complete():
    public = {name for name in ik.__all__ if isinstance(getattr(ik, name), KernelFunction)}
    assert {function.name for function in FUNCTIONS} | OTHERS == public


def computable(function, dtype):
    return dtype.kind != "b" or function.bools


def summed(function, dtype):
    """Return the dtype of the result for an image of `dtype`."""
    if not function.sums or dtype.kind == "f":
        return dtype.newbyteorder("=")
    return np.dtype(np.int32 if dtype.itemsize == 1 else np.int64)


def image_of(function, shape, dtype, seed=1):
    image = random_image(np.random.default_rng(seed), shape, dtype)
    return image >> 1 if function.sums and dtype == np.uint64 else image


# Images


@functions
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_in_every_layout(function, dtype):
    if not computable(function, dtype) or (function.sums and dtype == np.uint64):
        with pytest.raises(TypeError, match=rf"^{function.image} must .* got dtype {dtype}; say .*astype\("):
            function(np.ones((3, 4), dtype))
        return
    image = image_of(function, (2, 7, 35), dtype)
    for name, given in layouts(image):
        before = given.tobytes()
        result = function(given)
        assert result.dtype == summed(function, dtype), name
        np.testing.assert_array_equal(result, image, err_msg=name)
        assert given.tobytes() == before, name
        assert not np.shares_memory(result, given), name


@functions
def test_strides_of_zero(function):
    for image in (
        np.broadcast_to(np.float32(3), (4, 5)),
        np.broadcast_to(IMAGE[:1], (4, 6)),
        np.broadcast_to(IMAGE[:, :1], (5, 9)),
        np.broadcast_to(IMAGE, (3, 5, 6)),
    ):
        np.testing.assert_array_equal(function(image), image)


@functions
@pytest.mark.parametrize(
    "image",
    [
        [[1, 2, 3], [4, 5, 6]],
        ((1.5, 2.0), (3.0, -4.0)),
        [[[1], [2]], [[3], [4]]],
        [np.array([1, 2]), np.array([3, 4])],
        [(np.float32(1), 2)],
        memoryview(np.arange(6, dtype=np.int16).reshape(2, 3)),
        [array.array("d", [1.0, 2.0]), array.array("d", [3.0, 4.0])],
    ],
    ids=["lists", "tuples", "deeper", "arrays", "scalars", "memoryview", "array.array"],
)
def test_whatever_asarray_takes(function, image):
    result = function(image)
    assert type(result) is np.ndarray
    np.testing.assert_array_equal(result, np.asarray(image))


@functions
@pytest.mark.parametrize(
    "name", ["uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64", "uint16", "uint32", "bool"]
)
def test_torch_tensors(torch, function, name):
    if not computable(function, np.dtype(name)):
        with pytest.raises(TypeError, match=rf"^{function.image} must hold numbers, got dtype bool; say "):
            function(torch.ones(3, 4, dtype=torch.bool))
        return
    numbers = np.arange(12).reshape(3, 4) % 2 if name == "bool" else np.arange(12).reshape(3, 4)
    tensor = torch.from_numpy(numbers.astype(name))
    for given in (tensor, tensor.T, tensor[:, ::2], tensor.expand(2, 3, 4)):
        result = function(given)
        assert type(result) is np.ndarray
        assert result.dtype == summed(function, np.dtype(name))
        np.testing.assert_array_equal(result, given.numpy())


@functions
def test_tensors_that_are_no_arrays_are_named(torch, function):
    for tensor in (
        torch.ones(3, 3, requires_grad=True),
        torch.ones(3, 3, dtype=torch.bfloat16),
        torch.ones(3, 3, device="meta"),
    ):
        with pytest.raises((TypeError, ValueError), match=rf"^{function.image} must be "):
            function(tensor)


@functions
@pytest.mark.parametrize(
    "dtype",
    ["c8", "c16", "O", "S3", "U3", "M8[s]", "m8[s]", "g", "V4", [("a", "f4")]],
    ids=lambda dtype: str(dtype)[:8],
)
def test_dtypes_that_are_not_offered(function, dtype):
    image = np.zeros((3, 4), dtype)
    rule = rf"^{function.image} must hold bool, integers or floats of at most 64 bits, got dtype "
    with pytest.raises(TypeError, match=rule + re.escape(str(image.dtype))):
        function(image)


@functions
@pytest.mark.parametrize(
    "value", [None, "image", b"image", {}, {1, 2}, object, [[1, "a"]], [[2**70]], [[1j]], slice(3)], ids=repr
)
def test_what_is_no_image_at_all(function, value):
    with pytest.raises((TypeError, ValueError), match=rf"^{function.image} must "):
        function(value)


@functions
def test_ragged_lists(function):
    ragged = [[1, 2], [3]]
    scatter = {"max_pool_backward": ik.max_pool_backward, "max_unpool": ik.max_unpool}.get(function.name)
    call = function if scatter is None else lambda values: scatter(values, [[0]], (1, 1))
    with pytest.raises(ValueError, match=rf"^{function.image} must .*inhomogeneous"):
        call(ragged)


@functions
@pytest.mark.parametrize("shape", [(), (1,), (7,), (0,)])
def test_fewer_than_two_dimensions(function, shape):
    rule = rf"^{function.image} must have at least 2 dimensions, got shape {re.escape(str(shape))}$"
    for axes in (None, (0, 1)):
        with pytest.raises(ValueError, match=rule):
            function(np.zeros(shape), axes=axes)


@functions
def test_scalars_and_flat_lists(function):
    for value in (3, 2.5, np.float32(1), [1, 2, 3], []):
        with pytest.raises(ValueError, match=rf"^{function.image} must have at least 2 dimensions"):
            function(value)


@functions
def test_many_dimensions(function):
    image = image_of(function, (1,) * 30 + (2, 3, 4), np.dtype("f4"))
    np.testing.assert_array_equal(function(image), image)
    np.testing.assert_array_equal(function(image, axes=(31, 0)), image)


@functions
@pytest.mark.parametrize("shape", [(0, 5, 6), (3, 0, 5, 6), (0, 0, 5, 6), (0, 1, 1)])
@pytest.mark.parametrize("dtype", ["u1", "f8"])
def test_empty_batches(function, shape, dtype):
    result = function(np.zeros(shape, dtype))
    assert result.shape == shape
    assert result.dtype == summed(function, np.dtype(dtype))
    turned = (*shape[-2:], *shape[:-2])
    assert function(np.zeros(turned, dtype), axes=(0, 1)).shape == turned


@functions
@pytest.mark.parametrize("shape", [(0, 6), (5, 0), (0, 0), (2, 0, 6)])
def test_planes_without_pixels(function, shape):
    if function.name.startswith(("max_pool", "avg_pool", "adaptive")) and function.name != "max_pool_backward":
        with pytest.raises(ValueError, match=r"^(size|padding|image) must "):
            function(np.zeros(shape))
    else:
        assert function(np.zeros(shape)).shape == shape


# axes


@functions
@pytest.mark.parametrize(
    "axes", [axes for axes in itertools.product(range(-4, 4), repeat=2) if (axes[0] - axes[1]) % 4], ids=str
)
def test_any_two_axes(function, axes):
    image = image_of(function, (2, 3, 4, 5), np.dtype("i2"))
    np.testing.assert_array_equal(function(image, axes=axes), image)


@numbers
def test_pairs_are_given_in_the_order_of_axes(function, name):
    image = image_of(function, (9, 3, 11), np.dtype("f4"))
    base = {"kernel": np.ones((3, 5))} if function.sums else {"size": (3, 5)}
    value = {"size": (5, 3), "origin": (1, 0)}.get(name, (1, 2))
    keywords = base | {name: value}
    wanted = function(np.ascontiguousarray(image.transpose(1, 2, 0)), **keywords)
    np.testing.assert_array_equal(function(image, axes=(2, 0), **keywords), wanted.transpose(2, 0, 1))


@functions
@pytest.mark.parametrize("axes", [[0, 1], np.array([0, 1]), (np.int8(0), np.uint64(1)), range(2)], ids=repr)
def test_axes_are_any_sequence_of_ints(function, axes):
    image = image_of(function, (3, 4, 2), np.dtype("f4"))
    np.testing.assert_array_equal(function(image, axes=axes), image)


@functions
@pytest.mark.parametrize(
    "axes",
    [(0, 0), (0, 2), (2, 0), (-3, 1), (1, -1), (0, -2), (0,), (0, 1, 2), (), (0, 2**31), (0, -(10**30))],
    ids=repr,
)
def test_axes_that_are_not_there(function, axes):
    with pytest.raises(ValueError, match=rf"^axes must .*{re.escape(repr(axes))}$"):
        function(IMAGE, axes=axes)


@functions
@pytest.mark.parametrize(
    "axes",
    [0, 1.5, "01", "ab", (0.0, 1), ("0", "1"), (None, 1), [(0, 1), (0, 1)], True, (False, True), (0, np.True_), {0, 1}],
    ids=repr,
)
def test_axes_that_are_no_ints(function, axes):
    with pytest.raises(TypeError, match=rf"^axes must .*{re.escape(repr(axes))}$"):
        function(IMAGE, axes=axes)


# Numbers of the window


class Two:
    def __index__(self):
        return 2


NO_NUMBERS = [True, np.False_, 3.0, 2.5, np.float32(3), "3", "33", b"\x03\x03", 3j, np.array(3.0), ..., int]
NO_PAIRS = [(True, 1), (3, 3.0), (3, "3"), (3, None), {3, 5}, {3: 3, 5: 5}, (3, (3, 3)), [[3]], np.array([3.0, 3.0])]
THREES = [kind(3) for kind in (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64, int)]
NO_PADDINGS = ["full", "SAME", "", None, ((1, 1), 1), (1, (1, 1)), ((1, 1),), ((1, 1),) * 3, ((1,), (1, 1))]
NO_PADDING_ARRAYS = [
    ((True, 1), (1, 1)),
    ((1, 1), (1.0, 1)),
    np.ones((2, 2)),
    np.ones((2, 3), int),
    np.ones((2, 2, 2), int),
]
BIG = np.arange(50.0 * 51).reshape(50, 51) % 17


def window(function, **keywords):
    """Call with a window of 7 x 7 pixels and a stride of 1."""
    base = {"kernel": np.ones((7, 7))} if "dilation" in function.numbers and function.sums else {"size": 7}
    base["stride"] = 1
    return function(BIG, **base | keywords)


@numbers
def test_ints_of_every_kind(function, name):
    wanted = window(function, **{name: 3})
    other = window(function, **{name: 2})
    assert wanted.shape != other.shape or (wanted != other).any()  # the number matters
    for number in THREES:
        for value in (number, (number, 3), [3, number], np.array([number, number])):
            np.testing.assert_array_equal(window(function, **{name: value}), wanted)


@numbers
def test_whatever_has_an_index(function, name):
    wanted = window(function, **{name: 2})
    for number in (Two(), np.array(2), (Two(), 2), [2, Two()]):
        np.testing.assert_array_equal(window(function, **{name: number}), wanted)


@numbers
@pytest.mark.parametrize(
    "value",
    [*NO_NUMBERS, *NO_PAIRS],
    ids=repr,
)
def test_no_ints(function, name, value):
    with pytest.raises((TypeError, ValueError), match=rf"^{name} must be "):
        window(function, **{name: value})


@numbers
def test_bools_and_floats_are_type_errors(function, name):
    for value in (1, (1, 1), 3, (3, 3)):
        window(function, **{name: value})  # equal to what is not one of them, which what is kept of it must not let in
    for value in (True, np.False_, (True, 1), (1, np.True_), 3.0, np.float64(3), (3.0, 3)):
        with pytest.raises(TypeError, match=rf"^{name} must be .*{re.escape(repr(value))}$"):
            window(function, **{name: value})


@numbers
@pytest.mark.parametrize("value", [(), (3,), (3, 3, 3), [3] * 4, np.ones(3, int), np.ones(1, int)], ids=repr)
def test_pairs_of_another_length(function, name, value):
    with pytest.raises(ValueError, match=rf"^{name} must be "):
        window(function, **{name: value})


@numbers
@pytest.mark.parametrize(
    "number", [2**31, 2**32 + 3, 2**63, 2**64 + 3, 10**30, np.uint64(2**63), np.int64(2**40)], ids=str
)
def test_numbers_that_are_too_large(function, name, number):
    for value in (number, (number, 3), (3, number)):
        with pytest.raises(ValueError, match=rf"^{name} must .*{number}"):
            window(function, **{name: value})


@numbers
@pytest.mark.parametrize("number", [-1, -3, -(2**31), -(2**63), -(10**30)], ids=str)
def test_numbers_that_are_too_small(function, name, number):
    if name == "origin" and number >= -3:
        assert window(function, origin=number).shape == BIG.shape
        return
    for value in (number, (number, 3), (3, number)):
        with pytest.raises(ValueError, match=rf"^{name} must .*{number}"):
            window(function, **{name: value})


@numbers
def test_zero(function, name):
    if name in ("origin", "padding"):
        assert window(function, **{name: 0}).ndim == 2
    else:
        for value in (0, (0, 3), (3, 0)):
            with pytest.raises(ValueError, match=rf"^{name} must be at least 1, got "):
                window(function, **{name: value})


@pytest.mark.parametrize(
    "function", [f for f in FUNCTIONS if "stride" in f.numbers], ids=lambda function: function.name
)
def test_the_largest_stride_leaves_the_first_pixel(function):
    for stride in (2**31 - 1, 2**31 - 2, (2**31 - 1, 7)):
        np.testing.assert_array_equal(function(IMAGE, stride=stride), IMAGE[:1, :1])


@pytest.mark.parametrize(
    "function", [f for f in FUNCTIONS if "padding" in f.numbers], ids=lambda function: function.name
)
def test_padding_in_every_spelling(function):
    four = ((2, 1), (0, 3))
    wanted = window(function, padding=four)
    for spelled in ([[2, 1], [0, 3]], np.array(four), ([2, 1], (0, 3))):
        np.testing.assert_array_equal(window(function, padding=spelled), wanted)
    both = window(function, padding=(2, 3))
    for spelled in ([2, 3], np.array([2, 3]), ((2, 2), (3, 3))):
        np.testing.assert_array_equal(window(function, padding=spelled), both)
    np.testing.assert_array_equal(window(function, padding=2), window(function, padding=((2, 2), (2, 2))))
    np.testing.assert_array_equal(window(function, padding="valid"), window(function, padding=0))
    np.testing.assert_array_equal(window(function, padding="same"), window(function, padding=3))


@pytest.mark.parametrize(
    "function", [f for f in FUNCTIONS if "padding" in f.numbers], ids=lambda function: function.name
)
@pytest.mark.parametrize(
    "padding",
    [*NO_PADDINGS, *NO_PADDING_ARRAYS],
    ids=repr,
)
def test_no_padding(function, padding):
    with pytest.raises((TypeError, ValueError), match=r"^padding must be "):
        window(function, padding=padding)


# out


@functions
@pytest.mark.parametrize("dtype", ["u1", "i8", "f4"])
def test_out_in_every_layout_is_returned(function, dtype):
    image = image_of(function, (2, 5, 33), np.dtype(dtype))
    for name, out in layouts(np.zeros(image.shape, summed(function, np.dtype(dtype)))):
        if name == "read-only":
            continue
        assert function(image, out=out) is out, name
        np.testing.assert_array_equal(out, image, err_msg=name)


@functions
def test_out_of_other_dtypes(function):
    image = np.array([[0.0, 1.0, 2.0, -3.0]])
    for dtype in ("f2", "f4", ">f4", ">f8"):
        out = np.zeros(image.shape, dtype)
        assert function(image, out=out) is out
        np.testing.assert_array_equal(out, image)
    out = np.zeros(image.shape, "i2")
    assert function(image, out=out, casting="unsafe") is out
    np.testing.assert_array_equal(out, image)


@functions
@pytest.mark.parametrize("shift", [-13, -6, -1, 0, 1, 5, 6, 30])
def test_out_that_overlaps_the_image(function, shift):
    memory = np.arange(100.0)
    image = memory[40:70].reshape(5, 6)
    out = memory[40 + shift : 70 + shift].reshape(5, 6)
    wanted = image.copy()
    assert function(image, out=out) is out
    np.testing.assert_array_equal(out, wanted)


@functions
def test_out_that_is_the_image_turned_round(function):
    for turn in (lambda image: image[::-1], lambda image: image[:, ::-1], lambda image: image.T):
        image = np.arange(36.0).reshape(6, 6)
        wanted = image.copy()
        out = turn(image)
        assert function(image, out=out) is out
        np.testing.assert_array_equal(out, wanted)


@functions
def test_out_with_axes(function):
    image = image_of(function, (4, 5, 3), np.dtype("f4"))
    out = np.zeros((8, 5, 3), np.float32)[::2]
    assert function(image, axes=(0, 1), out=out) is out
    np.testing.assert_array_equal(out, image)


@functions
@pytest.mark.parametrize("shape", [(6, 5), (5, 5), (5, 7), (1, 5, 6), (30,), (), (0, 6), (5, 1)])
def test_out_of_another_shape(function, shape):
    rule = rf"^{re.escape(function.out)} must have the shape of the result, \(5, 6\), got {re.escape(str(shape))}$"
    with pytest.raises(ValueError, match=rule):
        function(IMAGE, out=np.zeros(shape))


@functions
@pytest.mark.parametrize(
    "out",
    [3.0, "out", [[0.0]], IMAGE.tolist(), memoryview(bytearray(8)), np.float64(1)],
    ids=lambda out: type(out).__name__,
)
def test_out_that_is_no_array(function, out):
    with pytest.raises(
        TypeError, match=rf"^{re.escape(function.out)} must be a numpy.ndarray, got {type(out).__name__}$"
    ):
        function(IMAGE, out=out)


@functions
def test_read_only_out(function):
    out = np.full(IMAGE.shape, 7.0)
    out.flags.writeable = False
    with pytest.raises(ValueError, match=rf"^{re.escape(function.out)} must be writeable, got a read-only array$"):
        function(IMAGE, out=out)
    assert (out == 7).all()


@functions
def test_out_that_overlaps_itself(function):
    memory = np.full(60, 7.0)
    for strides in ((0, 8), (8, 8), (40, 8), (48, 0), (0, 0), (8, 16), (16, 24), (48, 4), (48, 7)):
        out = np.ndarray((5, 6), "f8", memory, strides=strides)
        with pytest.raises(ValueError, match=rf"^{re.escape(function.out)} must not overlap itself"):
            function(IMAGE, out=out)
    for strides in ((48, 8), (8, 40), (-48, 8), (56, 8)):  # these do not
        out = np.ndarray((5, 6), "f8", memory, 240 if min(strides) < 0 else 0, strides)
        np.testing.assert_array_equal(function(IMAGE, out=out), IMAGE)


@functions
@pytest.mark.parametrize(
    ("dtype", "casting"),
    [("i4", "same_kind"), ("u8", "same_kind"), ("?", "same_kind"), ("f4", "safe"), ("f4", "equiv"), (">f8", "no")],
)
def test_casts_to_out_that_casting_forbids(function, dtype, casting):
    out = np.ones(IMAGE.shape, dtype)
    found = re.escape(str(out.dtype))
    rule = rf"^{re.escape(function.out)} must allow casting='{casting}' from float64, got dtype {found}$"
    with pytest.raises(TypeError, match=rule):
        function(IMAGE, out=out, casting=casting)
    assert (out == 1).all()


@functions
@pytest.mark.parametrize("dtype", ["c8", "c16", "O", "g", "S8", "U8", "V8"])
def test_out_of_dtypes_that_are_not_offered(function, dtype):
    with pytest.raises(TypeError, match=rf"^{re.escape(function.out)} must "):
        function(IMAGE, out=np.zeros(IMAGE.shape, dtype), casting="unsafe")


@functions
def test_out_is_left_alone_by_every_refusal(function):
    out = np.full(IMAGE.shape, 7.0)
    for wrong in ({"axes": (0, 5)}, {"dtype": "O"}, {"casting": "foo"}, {"workers": 0}, {"foo": 1}):
        with pytest.raises((TypeError, ValueError)):
            function(IMAGE, out=out, **wrong)
    assert (out == 7).all()


# dtype and casting


ROUNDED = {  # by hand
    "u1": [0, 0, 2, 2, 0, 0, 255, 255, 0, 0, 255],
    "i1": [0, 0, 2, 2, 0, -2, 127, 127, -128, 0, 127],
    "i2": [0, 0, 2, 2, 0, -2, 300, 1000, -1000, 0, 32767],
    "i8": [0, 0, 2, 2, 0, -2, 300, 1000, -1000, 0, 2**63 - 1],
    "u8": [0, 0, 2, 2, 0, 0, 300, 1000, 0, 0, 2**64 - 1],
}


@functions
@pytest.mark.parametrize("dtype", ROUNDED)
@pytest.mark.parametrize("source", FLOATS, ids=str)
def test_a_narrower_dtype_rounds_half_to_even_and_saturates(function, source, dtype):
    image = np.array([[0.0, 0.5, 1.5, 2.5, -0.5, -1.5, 300.0, 1000.0, -1000.0, np.nan, np.inf]], source)
    result = function(image, dtype=dtype)
    assert result.dtype == dtype
    assert result[0].tolist() == ROUNDED[dtype]


@functions
@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_integers_saturate_in_a_narrower_dtype(function, dtype):
    limits = np.iinfo(dtype)
    numbers = [-(2**63), -(2**40), -32769, -129, -1, 0, 1, 127, 128, 255, 256, 65536, 2**40, 2**63 - 1]
    result = function(np.array([numbers], np.int64), dtype=dtype)
    assert result.dtype == dtype
    assert result[0].tolist() == [min(max(number, limits.min), limits.max) for number in numbers]


@functions
def test_a_wider_dtype_keeps_every_value(function):
    for source, dtype in [
        ("u1", "i2"),
        ("i1", "f2"),
        ("u2", "f4"),
        ("f2", "f4"),
        ("f4", "f8"),
        ("u4", "i8"),
        ("i4", "f8"),
    ]:
        image = image_of(function, (4, 9), np.dtype(source))
        result = function(image, dtype=dtype)
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, image.astype(dtype))


@functions
def test_a_dtype_in_the_other_byte_order_is_that_dtype(function):
    for dtype in (">f8", "<f8", ">f4", ">i4"):
        result = function(IMAGE, dtype=dtype)
        assert result.dtype == np.dtype(dtype).newbyteorder("=")
        np.testing.assert_array_equal(result, IMAGE)


@functions
@pytest.mark.parametrize("dtype", ["c8", "O", "S3", "U3", "M8[s]", "m8[s]", "g", "V4", [("a", "f4")], bool], ids=str)
def test_dtypes_without_a_loop(function, dtype):
    rule = rf"^dtype must be one that {function.name} has a loop for \(.*int8, .*float64\), got "
    with pytest.raises(TypeError, match=rule):
        function(IMAGE, dtype=dtype)


@functions
@pytest.mark.parametrize("dtype", ["foo", 3, object(), [1], {}], ids=["foo", "3", "object", "list", "dict"])
def test_what_is_no_dtype(function, dtype):
    with pytest.raises(TypeError):
        function(IMAGE, dtype=dtype)


@functions
def test_dtype_and_out_and_casting(function):
    image = np.array([[0.5, 1.5, 300.0]])
    out = np.zeros((1, 3), "i4")
    assert function(image, dtype="u1", out=out) is out  # rounded to uint8, which int32 holds
    assert out.tolist() == [[0, 2, 255]]
    with pytest.raises(TypeError, match=rf"^{re.escape(function.out)} must allow casting='same_kind' from int32, "):
        function(image, dtype="i4", out=np.zeros((1, 3), "u1"))


@functions
@pytest.mark.parametrize("casting", ["foo", "", "SAFE", "same_kind ", 3, None, True, ("no",)], ids=repr)
def test_castings_that_are_not_there(function, casting):
    error = ValueError if isinstance(casting, str) else TypeError
    for keywords in ({}, {"out": np.zeros(IMAGE.shape)}, {"dtype": "f4"}):
        with pytest.raises(error, match=r"^casting must be "):
            function(IMAGE, casting=casting, **keywords)


# workers


@functions
@pytest.mark.parametrize("workers", [None, 1, 2, 3, -1, 64, np.int32(2), np.uint8(1), 2**31 - 1])
def test_numbers_of_workers(function, workers):
    np.testing.assert_array_equal(function(IMAGE, workers=workers), IMAGE)


@functions
@pytest.mark.parametrize(
    "workers",
    [0, -2, -(10**30), 2**31, 10**30, True, False, 1.0, 2.5, "two", "2", (2,), [], np.float64(2), np.True_],
    ids=repr,
)
def test_what_is_no_number_of_workers(function, workers):
    rule = rf"^workers must be a positive number of threads or -1 for all, got {re.escape(repr(workers))}$"
    for image in (IMAGE, np.zeros((0, 4, 5))):
        with pytest.raises(ValueError, match=rule):
            function(image, workers=workers)


@functions
def test_unknown_keywords(function):
    for keyword in ("worker", "where", "output", "num_threads"):
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{keyword}'"):
            function(IMAGE, **{keyword: None})


@functions
def test_parameters_after_the_window_are_by_name_alone(function):
    with pytest.raises(TypeError, match="positional argument"):
        getattr(ik, function.name)(IMAGE, *[None] * 9)
