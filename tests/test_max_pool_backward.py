"""max_pool_backward against its definition, numpy.add.at and PyTorch."""

import itertools

import imkernels as ik
import numpy as np
import pytest

from tests.cases import FLOATS, INTEGERS, NUMBERS, layouts, random_image
from tests.reference import max_pool as reference


def random_positions(rng, grad_shape, shape, pixels=None):
    """Return indices into a plane of `shape`, of which only the first `pixels` are hit."""
    return rng.integers(0, pixels or shape[0] * shape[1], grad_shape, np.intp)


def assert_same_bits(actual, wanted):
    assert actual.dtype == wanted.dtype
    assert actual.shape == wanted.shape
    np.testing.assert_array_equal(actual, wanted)
    assert actual.tobytes() == wanted.tobytes()


def check(grad, argmax, shape, **keywords):
    assert_same_bits(
        ik.max_pool_backward(grad, argmax, shape, **keywords), reference.max_pool_backward(grad, argmax, shape)
    )


# The sums


@pytest.mark.parametrize("dtype", NUMBERS, ids=str)
def test_every_dtype(dtype):
    rng = np.random.default_rng(1)
    grad = random_image(rng, (2, 7, 9), dtype)
    check(grad, random_positions(rng, grad.shape, (11, 13)), (11, 13))
    check(grad, random_positions(rng, grad.shape, (11, 13), pixels=5), (11, 13))


@pytest.mark.parametrize("dtype", [dtype for dtype in NUMBERS if dtype != np.float16], ids=str)
def test_gradients_add_up_as_numpy_add_at_does(dtype):
    rng = np.random.default_rng(2)
    grad = random_image(rng, (30, 40), dtype)
    argmax = random_positions(rng, grad.shape, (9, 5))
    wanted = np.zeros(45, dtype)
    np.add.at(wanted, argmax.ravel(), grad.ravel())
    assert_same_bits(ik.max_pool_backward(grad, argmax, (9, 5)), wanted.reshape(9, 5))


def test_float16_adds_up_in_float32_and_is_rounded_once():
    grad = np.array([[2048.0, 1.0, 1.0, 1.0, 1.0]], np.float16)  # in float16 2048 + 1 is 2048
    result = ik.max_pool_backward(grad, np.zeros((1, 5), int), (1, 1))
    assert result.dtype == np.float16
    assert result[0, 0] == 2052
    tiny = np.array([[60000.0, 60000.0, -60000.0]], np.float16)  # passes float16's largest number on the way
    assert ik.max_pool_backward(tiny, np.zeros((1, 3), int), (1, 1))[0, 0] == 60000


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_integers_wrap_around(dtype):
    limits = np.iinfo(dtype)
    grad = np.array([[limits.max, 1, 2]], dtype)
    result = ik.max_pool_backward(grad, np.array([[0, 0, 1]]), (1, 2))
    assert result.tolist() == [[limits.min, 2]]


def test_floats_add_up_in_row_major_order():
    grad = np.array([[1e16, 1.0], [-1e16, 1.0]])
    assert ik.max_pool_backward(grad, np.zeros((2, 2), int), (1, 1))[0, 0] == ((1e16 + 1.0) - 1e16) + 1.0


def test_planes_of_millions_of_gradients_add_up_in_row_major_order():
    grad = random_image(np.random.default_rng(15), (2100, 2048), np.float32)
    argmax = np.zeros(grad.shape, np.intp)
    in_order = np.cumsum(grad, dtype=np.float32)[-1]  # one after the other, unlike numpy.sum
    for workers in (1, 2):
        assert ik.max_pool_backward(grad, argmax, (1, 1), workers=workers)[0, 0] == in_order
    argmax[-1, -1] = 1
    out = np.full((1, 1), 7, np.float32)
    with pytest.raises(ValueError, match=r"got 1$"):
        ik.max_pool_backward(grad, argmax, (1, 1), out=out)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_nan_and_infinity_stay_where_they_are_routed(dtype):
    grad = np.array([[np.nan, np.inf, -np.inf, np.inf, 1.0]], dtype)
    result = ik.max_pool_backward(grad, np.array([[0, 1, 2, 2, 3]]), (1, 5))
    np.testing.assert_array_equal(result, np.array([[np.nan, np.inf, np.nan, 1.0, 0.0]], dtype))


@pytest.mark.parametrize(
    ("dtype", "wider", "grad", "wanted"),
    [
        ("f4", "f8", [2.0**24, 1.0, 1.0], 2.0**24 + 2),
        ("f2", "f8", [2048.0, 2.0**-14, 0.0], 2048 + 2.0**-14),
        ("f2", "f4", [60000.0, 60000.0, 1.0], 120001.0),
        ("i1", "i8", [100, 100, 100], 300),
        ("u1", "i2", [255, 255, 1], 511),
        ("u4", "u8", [2**32 - 1, 2, 0], 2**32 + 1),
        ("i1", "f4", [127, 127, 1], 255.0),
    ],
)
def test_a_wider_dtype_adds_up_in_the_wider_dtype(dtype, wider, grad, wanted):
    result = ik.max_pool_backward(np.array([grad], dtype), np.zeros((1, 3), int), (1, 1), dtype=wider)
    assert result.dtype == wider
    assert result[0, 0] == wanted


def test_a_narrower_dtype_rounds_half_to_even_and_saturates():
    grad = np.array([[0.25, 0.25, 1.5, 300.0, -7.0, np.nan, 2.5]])
    result = ik.max_pool_backward(grad, np.array([[0, 0, 1, 2, 3, 4, 5]]), (2, 4), dtype=np.uint8)
    assert result.dtype == np.uint8
    assert result.tolist() == [[0, 2, 255, 0], [0, 2, 0, 0]]
    single = ik.max_pool_backward(grad / 3, np.array([[0, 0, 1, 2, 3, 4, 5]]), (2, 4), dtype=np.float32)
    assert_same_bits(
        single, reference.max_pool_backward(grad / 3, np.array([[0, 0, 1, 2, 3, 4, 5]]), (2, 4)).astype("f4")
    )


# With max_pool_with_argmax


GEOMETRIES = [
    (2, {}),
    (3, {"stride": 1, "padding": 1}),
    (3, {"stride": 2}),
    ((2, 3), {"stride": (1, 2), "dilation": 2, "padding": ((1, 0), (2, 1))}),
    (2, {"ceil_mode": True}),
]


@pytest.mark.parametrize(("size", "keywords"), GEOMETRIES)
def test_the_gradient_of_whole_numbers_is_neither_lost_nor_made(size, keywords):
    rng = np.random.default_rng(3)
    image = random_image(rng, (4, 13, 17), np.float32)
    values, argmax = ik.max_pool_with_argmax(image, size, **keywords)
    grad = rng.integers(-50, 50, values.shape).astype(np.float64)
    result = ik.max_pool_backward(grad, argmax, (13, 17))
    np.testing.assert_array_equal(result.sum(axis=(1, 2)), grad.sum(axis=(1, 2)))
    assert not result.reshape(4, -1)[~hit(argmax, 13 * 17)].any()


def hit(argmax, pixels):
    """Return which pixels of every plane are in `argmax`."""
    return np.array([np.isin(np.arange(pixels), plane) for plane in argmax])


def test_windows_that_share_a_maximum_add_to_it():
    image = np.zeros((5, 5))
    image[2, 2] = 1.0
    _, argmax = ik.max_pool_with_argmax(image, 3, stride=1)
    grad = np.arange(9.0).reshape(3, 3)
    result = ik.max_pool_backward(grad, argmax, image.shape)
    np.testing.assert_array_equal(result, 36 * image)


@pytest.mark.parametrize(("size", "keywords"), GEOMETRIES)
def test_finite_differences_of_a_loss(size, keywords):
    rng = np.random.default_rng(4)
    image = rng.permutation(7 * 9).reshape(7, 9).astype(np.float64)  # no two pixels closer than the step
    weights = rng.standard_normal(ik.max_pool_with_argmax(image, size, **keywords)[0].shape)

    def loss(pixels):
        return (weights * ik.max_pool_with_argmax(pixels, size, **keywords)[0]).sum()

    step = 2.0**-10
    numeric = np.zeros_like(image)
    for pixel in np.ndindex(image.shape):
        up, down = image.copy(), image.copy()
        up[pixel] += step
        down[pixel] -= step
        numeric[pixel] = (loss(up) - loss(down)) / (2 * step)
    analytic = ik.max_pool_backward(weights, ik.max_pool_with_argmax(image, size, **keywords)[1], image.shape)
    np.testing.assert_allclose(analytic, numeric, rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(
    ("size", "stride", "padding", "dilation", "ceil_mode"),
    list(itertools.product([2, 3, (3, 2)], [None, 1, 2], [0, 1], [1, 2], [False, True])),
)
def test_pytorch_has_the_same_gradient(torch, dtype, size, stride, padding, dilation, ceil_mode):
    rng = np.random.default_rng(5)
    image = random_image(rng, (2, 10, 11), dtype)
    keywords = {"stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}
    tensor = torch.tensor(image, requires_grad=True)
    pooled = torch.nn.functional.max_pool2d(tensor, size, **keywords)
    grad = rng.integers(-9, 9, tuple(pooled.shape)).astype(dtype)  # whole numbers: any order of sums is exact
    pooled.backward(torch.from_numpy(grad))
    _, argmax = ik.max_pool_with_argmax(image, size, **keywords)
    np.testing.assert_array_equal(ik.max_pool_backward(grad, argmax, (10, 11)), tensor.grad.numpy())


# Shapes, axes, batches


@pytest.mark.parametrize("extent", range(1, 71))
def test_every_extent(extent):
    rng = np.random.default_rng(6)
    for grad_shape, shape in [
        ((3, extent), (2, 5)),
        ((extent, 3), (5, 2)),
        ((2, 3), (3, extent)),
        ((3, 2), (extent, 3)),
    ]:
        check(random_image(rng, grad_shape, np.float32), random_positions(rng, grad_shape, shape), shape)


@pytest.mark.parametrize("lead", [(), (1,), (3,), (2, 1, 3)])
def test_batches_loop_over_planes(lead):
    rng = np.random.default_rng(7)
    grad = random_image(rng, (*lead, 4, 5), np.float64)
    argmax = random_positions(rng, grad.shape, (6, 7))
    check(grad, argmax, (6, 7))
    result = ik.max_pool_backward(grad, argmax, (6, 7))
    for plane in np.ndindex(lead):
        assert_same_bits(result[plane].copy(), ik.max_pool_backward(grad[plane], argmax[plane], (6, 7)))


@pytest.mark.parametrize("axes", [(0, 1), (1, 0), (0, 2), (2, 1), (-2, -1), (-3, -2), (-1, 0)])
def test_axes(axes):
    rng = np.random.default_rng(8)
    grad = random_image(rng, (4, 5, 3), np.float32)
    moved = np.moveaxis(grad, axes, (-2, -1))
    argmax = random_positions(rng, moved.shape, (8, 9))
    result = ik.max_pool_backward(grad, np.moveaxis(argmax, (-2, -1), axes), (8, 9), axes=axes)
    wanted = reference.max_pool_backward(moved, argmax, (8, 9))
    assert_same_bits(result, np.ascontiguousarray(np.moveaxis(wanted, (-2, -1), axes)))


@pytest.mark.parametrize(
    ("grad_shape", "shape", "wanted"),
    [
        ((0, 2, 2), (4, 5), (0, 4, 5)),
        ((0, 2), (4, 5), (4, 5)),
        ((2, 0), (0, 5), (0, 5)),
        ((3, 0, 0), (2, 2), (3, 2, 2)),
    ],
)
def test_without_gradients_all_is_zero(grad_shape, shape, wanted):
    result = ik.max_pool_backward(np.zeros(grad_shape), np.zeros(grad_shape, int), shape)
    assert_same_bits(result, np.zeros(wanted))


@pytest.mark.parametrize("shape", [(4, 5), [4, 5], (np.int64(4), np.uint8(5))])
def test_shape_is_any_pair_of_ints(shape):
    result = ik.max_pool_backward(np.ones((1, 1)), np.array([[7]]), shape)
    assert result.shape == (4, 5)
    assert result[1, 2] == 1


# Layouts and dtypes of the inputs


@pytest.mark.parametrize("dtype", NUMBERS, ids=str)
def test_every_layout_of_the_gradient(dtype):
    rng = np.random.default_rng(9)
    grad = random_image(rng, (2, 5, 7), dtype)
    argmax = random_positions(rng, grad.shape, (6, 6))
    wanted = reference.max_pool_backward(grad, argmax, (6, 6))
    for name, array in layouts(grad):
        before = array.tobytes()
        assert ik.max_pool_backward(array, argmax, (6, 6)).tobytes() == wanted.tobytes(), name
        assert array.tobytes() == before, name


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_every_layout_and_integer_dtype_of_argmax(dtype):
    rng = np.random.default_rng(10)
    grad = random_image(rng, (2, 5, 7), np.float32)
    argmax = random_positions(rng, grad.shape, (6, 6)).astype(dtype)
    wanted = reference.max_pool_backward(grad, argmax, (6, 6))
    for name, array in layouts(argmax):
        before = array.tobytes()
        assert ik.max_pool_backward(grad, array, (6, 6)).tobytes() == wanted.tobytes(), name
        assert array.tobytes() == before, name


def test_lists():
    assert ik.max_pool_backward([[1.0, 2.0]], [[3, 0]], [2, 2]).tolist() == [[2.0, 0.0], [0.0, 1.0]]


def test_a_broadcast_gradient():
    grad = np.broadcast_to(np.float32(1), (3, 4, 5))
    argmax = np.broadcast_to(np.intp(2), (3, 4, 5))
    check(grad, argmax, (2, 2))


# out


@pytest.mark.parametrize("dtype", NUMBERS, ids=str)
def test_out_of_every_layout(dtype):
    rng = np.random.default_rng(11)
    grad = random_image(rng, (2, 4, 5), dtype)
    argmax = random_positions(rng, grad.shape, (7, 6))
    wanted = reference.max_pool_backward(grad, argmax, (7, 6))
    for name, out in layouts(np.full((2, 7, 6), 3, dtype)):
        if name == "read-only":
            continue
        assert ik.max_pool_backward(grad, argmax, (7, 6), out=out) is out
        assert out.astype(dtype).tobytes() == wanted.tobytes(), name


def test_out_writes_nothing_but_its_own_elements():
    out = np.full((9, 13), -5.0)
    ik.max_pool_backward(np.ones((2, 2)), np.array([[0, 1], [2, 3]]), (4, 6), out=out[1::2, 1::2])
    assert out[1::2, 1::2].sum() == 4
    out[1::2, 1::2] = -5.0
    assert (out == -5.0).all()


@pytest.mark.parametrize("shift", [-12, -1, 0, 1, 5, 12])
def test_out_that_overlaps_the_gradient_is_as_if_it_had_been_copied(shift):
    rng = np.random.default_rng(12)
    memory = random_image(rng, 200, np.float64)
    grad = memory[50:110].reshape(6, 10)
    argmax = random_positions(rng, grad.shape, (6, 10))
    wanted = reference.max_pool_backward(grad, argmax, (6, 10))
    out = memory[50 + shift : 110 + shift].reshape(6, 10)
    assert ik.max_pool_backward(grad, argmax, (6, 10), out=out) is out
    assert_same_bits(out, wanted)


@pytest.mark.parametrize("shift", [-12, -1, 0, 1, 5, 12])
@pytest.mark.parametrize("dtype", ["i8", "u8", "f8"])
def test_out_that_overlaps_argmax_is_as_if_it_had_been_copied(shift, dtype):
    rng = np.random.default_rng(13)
    memory = rng.integers(0, 60, 200)
    argmax = memory[50:110].reshape(6, 10)
    grad = random_image(rng, argmax.shape, dtype)
    wanted = reference.max_pool_backward(grad, argmax, (6, 10))
    out = memory.view(dtype)[50 + shift : 110 + shift].reshape(6, 10)
    assert ik.max_pool_backward(grad, argmax, (6, 10), out=out) is out
    assert_same_bits(out, wanted)


def test_out_of_another_dtype_gets_the_cast_result():
    grad = np.array([[0.1, 0.2, 0.3]])
    argmax = np.array([[0, 0, 1]])
    out = np.zeros((1, 2), np.float32)
    ik.max_pool_backward(grad, argmax, (1, 2), out=out)
    np.testing.assert_array_equal(out, np.array([[0.1 + 0.2, 0.3]]).astype(np.float32))
    out = np.zeros((1, 2))
    ik.max_pool_backward(grad.astype(np.float16), argmax, (1, 2), out=out)
    # The result of float16 gradients is float16; what goes to out is that result.
    half = grad.astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(out, np.array([[half[0, 0] + half[0, 1], half[0, 2]]]).astype(np.float16))


# Threads


@pytest.mark.parametrize("dtype", NUMBERS, ids=str)
def test_the_result_does_not_depend_on_the_number_of_workers(dtype):
    rng = np.random.default_rng(14)
    grad = random_image(rng, (7, 120, 150), dtype)
    argmax = random_positions(rng, grad.shape, (200, 210), pixels=500)
    serial = ik.max_pool_backward(grad, argmax, (200, 210), workers=1)
    assert_same_bits(serial[6].copy(), ik.max_pool_backward(grad[6], argmax[6], (200, 210), workers=1))
    for workers in (2, 3):
        assert_same_bits(ik.max_pool_backward(grad, argmax, (200, 210), workers=workers), serial)
