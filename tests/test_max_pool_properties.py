"""Relations that hold for max pooling whatever the image, the window and the layout."""

import imkernels as ik
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.cases import DTYPES, INTEGERS, NUMBERS, layouts, random_image
from tests.reference import max_pool as reference

SETTINGS = {"deadline": None, "derandomize": True, "suppress_health_check": list(HealthCheck)}
PAIRS = st.tuples(st.integers(1, 4), st.integers(1, 4))


@st.composite
def geometries(draw, extent=24, padded=True, ceil=True):
    """Return the shape of a plane and the keywords of a pooling that every window of which meets the image."""
    shape = draw(st.tuples(st.integers(1, extent), st.integers(1, extent)))
    size, stride, dilation = draw(PAIRS), draw(PAIRS), draw(PAIRS)
    pads = st.tuples(st.integers(0, 5), st.integers(0, 5)) if padded else st.just((0, 0))
    padding = draw(pads), draw(pads)
    ceil_mode = draw(st.booleans()) if ceil else False
    for axis in range(2):
        windows = reference.windows_along(
            shape[axis], size[axis], stride[axis], *padding[axis], dilation[axis], ceil_mode
        )
        assume(windows and all(windows))
    return shape, {"size": size, "stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}


def drawn_image(seed, shape, dtype, few_values):
    rng = np.random.default_rng(seed)
    image = random_image(rng, shape, dtype)
    if few_values:
        image = rng.choice(image.ravel()[:3], shape)
    if dtype.kind == "f":
        image[rng.random(shape) < 0.05] = np.nan
    return image


SEEDS = st.integers(0, 2**32)


def check_against_the_definition(geometry, dtype, lead, seed, few_values, layout, workers):
    shape, keywords = geometry
    image = drawn_image(seed, (*lead, *shape), dtype, few_values)
    wanted = reference.max_pool(image, **keywords)
    array = list(layouts(image))[layout][1]
    result = ik.max_pool_with_argmax(array, **keywords, workers=workers)
    for actual, bits in zip(result, wanted, strict=True):
        assert actual.dtype == bits.dtype
        assert actual.shape == bits.shape
        assert actual.tobytes() == bits.tobytes()


ANYTHING = {
    "geometry": geometries(),
    "dtype": st.sampled_from(DTYPES),
    "lead": st.sampled_from([(), (2,), (1, 3)]),
    "seed": SEEDS,
    "few_values": st.booleans(),
    "layout": st.integers(0, 7),
    "workers": st.sampled_from([None, 1, 3]),
}


@given(**ANYTHING)
@settings(max_examples=300, **SETTINGS)
def test_the_definition(**drawn):
    check_against_the_definition(**drawn)


@pytest.mark.sweep
@given(**ANYTHING | {"geometry": geometries(extent=80)})
@settings(max_examples=5000, **SETTINGS)
def test_the_definition_of_many_more(**drawn):
    check_against_the_definition(**drawn)


@given(geometry=geometries(), dtype=st.sampled_from(DTYPES), seed=SEEDS, few_values=st.booleans())
@settings(max_examples=100, **SETTINGS)
def test_argmax_points_at_the_maximum(geometry, dtype, seed, few_values):
    shape, keywords = geometry
    image = drawn_image(seed, (2, *shape), dtype, few_values)
    values, argmax = ik.max_pool_with_argmax(image, **keywords)
    assert argmax.min() >= 0
    assert argmax.max() < shape[0] * shape[1]
    flat = image.reshape(2, -1)
    picked = np.take_along_axis(flat, argmax.reshape(2, -1), axis=1).reshape(values.shape)
    assert picked.tobytes() == values.tobytes()


@given(geometry=geometries(), seed=SEEDS)
@settings(max_examples=100, **SETTINGS)
def test_a_monotone_map_of_the_pixels_maps_the_values_and_keeps_argmax(geometry, seed):
    shape, keywords = geometry
    image = np.random.default_rng(seed).integers(-40, 40, shape)
    values, argmax = ik.max_pool_with_argmax(image, **keywords)
    for mapped in (image**3, np.exp(image / 8), (image + 40).astype(np.uint8), image.astype(np.float16) * 2 - 7):
        mapped_values, mapped_argmax = ik.max_pool_with_argmax(mapped, **keywords)
        np.testing.assert_array_equal(mapped_argmax, argmax)
        np.testing.assert_array_equal(mapped_values, mapped.ravel()[argmax])
    np.testing.assert_array_equal(values, image.ravel()[argmax])


@given(geometry=geometries(ceil=False), dtype=st.sampled_from(INTEGERS), seed=SEEDS)
@settings(max_examples=100, **SETTINGS)
def test_padding_is_the_same_as_an_image_padded_with_the_lowest_value(geometry, dtype, seed):
    shape, keywords = geometry
    image = drawn_image(seed, shape, dtype, False)
    padded = np.pad(image, keywords["padding"], constant_values=np.iinfo(dtype).min)
    values, _ = ik.max_pool_with_argmax(image, **keywords)
    wanted, _ = ik.max_pool_with_argmax(padded, **keywords | {"padding": 0})
    np.testing.assert_array_equal(values, wanted)


@given(geometry=geometries(), dtype=st.sampled_from(NUMBERS), seed=SEEDS)
@settings(max_examples=100, **SETTINGS)
def test_the_transposed_image_gives_the_transposed_values(geometry, dtype, seed):
    shape, keywords = geometry
    image = drawn_image(seed, shape, dtype, False)
    turned = {name: pair[::-1] if isinstance(pair, tuple) else pair for name, pair in keywords.items()}
    values, _ = ik.max_pool_with_argmax(image, **keywords)
    transposed, _ = ik.max_pool_with_argmax(image.T, **turned)
    np.testing.assert_array_equal(transposed, values.T)
    swapped = ik.max_pool_with_argmax(image, **turned, axes=(1, 0))[0]
    np.testing.assert_array_equal(swapped, values)


@given(geometry=geometries(), seed=SEEDS)
@settings(max_examples=100, **SETTINGS)
def test_rows_and_columns_can_be_pooled_one_after_the_other(geometry, seed):
    shape, keywords = geometry
    image = drawn_image(seed, shape, np.dtype(np.float32), True)
    size, stride, padding, dilation, ceil_mode = keywords.values()

    def only(axis, pixels):
        neutral = {"size": 1, "stride": 1, "padding": (0, 0), "dilation": 1}
        own = {"size": size, "stride": stride, "padding": padding, "dilation": dilation}
        pairs = {name: tuple(own[name][i] if i == axis else neutral[name] for i in range(2)) for name in own}
        return ik.max_pool_with_argmax(pixels, **pairs, ceil_mode=ceil_mode)[0]

    wanted = ik.max_pool_with_argmax(image, **keywords)[0]
    np.testing.assert_array_equal(only(1, only(0, image)), wanted)
    np.testing.assert_array_equal(only(0, only(1, image)), wanted)


@given(geometry=geometries(), dtype=st.sampled_from(NUMBERS), seed=SEEDS)
@settings(max_examples=100, **SETTINGS)
def test_a_pixel_under_no_window_changes_nothing(geometry, dtype, seed):
    shape, keywords = geometry
    image = drawn_image(seed, shape, dtype, False)
    rows, columns = (
        reference.windows_along(
            shape[axis],
            keywords["size"][axis],
            keywords["stride"][axis],
            *keywords["padding"][axis],
            keywords["dilation"][axis],
            keywords["ceil_mode"],
        )
        for axis in range(2)
    )
    covered = np.zeros(shape, bool)
    covered[np.ix_(sorted(set().union(*rows)), sorted(set().union(*columns)))] = True
    largest = np.nan if dtype.kind == "f" else np.iinfo(dtype).max
    changed = np.where(covered, image, np.array(largest, dtype))
    for before, after in zip(
        ik.max_pool_with_argmax(image, **keywords), ik.max_pool_with_argmax(changed, **keywords), strict=True
    ):
        assert before.tobytes() == after.tobytes()


@given(geometry=geometries(), seed=SEEDS)
@settings(max_examples=100, **SETTINGS)
def test_the_backward_pass_is_the_transpose_of_picking_the_maxima(geometry, seed):
    shape, keywords = geometry
    rng = np.random.default_rng(seed)
    image = rng.integers(-30, 30, (2, *shape))
    _, argmax = ik.max_pool_with_argmax(image, **keywords)
    grad, other = rng.integers(-30, 30, argmax.shape), rng.integers(-30, 30, image.shape)
    picked = np.take_along_axis(other.reshape(2, -1), argmax.reshape(2, -1), axis=1).reshape(argmax.shape)
    routed = ik.max_pool_backward(grad, argmax, shape)
    assert (picked * grad).sum() == (other * routed).sum()
    assert routed.sum() == grad.sum()


@given(
    shape=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    grad_shape=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    lead=st.sampled_from([(), (3,), (1, 2)]),
    dtype=st.sampled_from(NUMBERS),
    index=st.sampled_from(INTEGERS),
    seed=SEEDS,
    layout=st.integers(0, 7),
)
@settings(max_examples=200, **SETTINGS)
def test_the_definition_of_the_backward_pass(shape, grad_shape, lead, dtype, index, seed, layout):
    rng = np.random.default_rng(seed)
    pixels = min(shape[0] * shape[1], 127)
    grad = random_image(rng, (*lead, *grad_shape), dtype)
    argmax = rng.integers(0, pixels, grad.shape).astype(index)
    wanted = reference.max_pool_backward(grad, argmax, shape)
    result = ik.max_pool_backward(list(layouts(grad))[layout][1], list(layouts(argmax))[-layout][1], shape)
    assert result.dtype == wanted.dtype
    assert result.shape == wanted.shape
    assert result.tobytes() == wanted.tobytes()


@given(size=PAIRS, dilation=PAIRS, seed=SEEDS)
@settings(max_examples=50, **SETTINGS)
def test_a_dilated_window_is_a_dense_one_on_every_dilation_th_pixel(size, dilation, seed):
    image = drawn_image(seed, (17, 19), np.dtype(np.int16), True)
    dilated = ik.max_pool_with_argmax(image, size, stride=1, dilation=dilation)[0]
    for row in range(dilation[0]):
        for column in range(dilation[1]):
            lattice = image[row :: dilation[0], column :: dilation[1]]
            dense = ik.max_pool_with_argmax(lattice, size, stride=1)[0]
            np.testing.assert_array_equal(dilated[row :: dilation[0], column :: dilation[1]], dense)
