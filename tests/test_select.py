"""Selection in windows that are hard on it: orders made to defeat pivots, few distinct values, guesses far away."""

from functools import cache

import imkernels as ik
import numpy as np
import pytest

from . import cases
from .cases import assert_same_bits, seeded_image
from .reference.median_filter import median_filter as reference
from .reference.median_filter import middle

DTYPES = ["u1", "u2", "f2", "i4", "f4", "i8", "f8"]  # every key type, as integers and as floats

# On both sides of what counters of 8 bits and of 16 bits count to.
SMALL_SHAPES = [(15, 17), (16, 16), (41, 41)]
LARGE_SHAPES = [(255, 257), (256, 257)]


def killer(count):
    """Return an order in which the first and the middle one of those left are always the smallest.

    So a pivot taken from the first, the middle and the last value splits off next to nothing, round after round.
    """
    order = np.full(count, -1)
    left = np.arange(count)
    smallest = 0
    while smallest < min(100, count // 3):
        ends = left[[0, len(left) // 2]]
        for position in ends[order[ends] < 0]:
            order[position] = smallest
            smallest += 1
        # Far below the middle of those left, selection takes the lowest of three as its pivot, and loses only that one.
        left = left[1:] if len(left) < 3 * count // 4 else np.delete(left, [0, len(left) // 2])
    order[order < 0] = np.arange(smallest, count)[::-1]
    return order


@cache
def orders(count):
    """Return the places that `count` values have in their order, by name."""
    rng = np.random.default_rng(0)
    up = np.arange(count)
    return {
        "sorted": up,
        "reversed": up[::-1],
        "organ pipe": np.concatenate([up[::2], up[1::2][::-1]]),
        "valley": np.concatenate([up[::2][::-1], up[1::2]]),
        "alternating ends": np.where(up % 2, count - 1 - up // 2, up // 2),
        "middle outwards": np.argsort(np.abs(up - count // 2), kind="stable"),
        "two sorted halves": np.concatenate([up[count // 2 :], up[: count // 2]]),
        "saw": np.argsort(up % 17, kind="stable"),
        "random": rng.permutation(count),
        "killer": killer(count),
        "killer upside down": count - 1 - killer(count),
        "all equal": np.full(count, count // 3),
        "one smaller": np.where(up == count // 2, 0, count - 1),
        "one larger": np.where(up == count - 1, count - 1, 0),
        "half and half": np.where(rng.permutation(count) < count // 2, 0, count - 1),
        "half and one more": np.where(rng.permutation(count) < count // 2 + 1, 0, count - 1),
        "few distinct": rng.integers(0, 5, count) * (count // 5),
    }


def spread(ranks, dtype):
    """Return values in the order of the ranks, over the whole range of the dtype."""
    dtype = np.dtype(dtype)
    count = ranks.size
    if dtype.kind == "f":
        return ((ranks - count / 2) * (60000.0 / count)).astype(dtype)
    limits = np.iinfo(dtype)
    lowest, extent = int(limits.min), int(limits.max) - int(limits.min)
    if dtype.itemsize == 8:
        return (ranks.astype(np.uint64) * np.uint64(extent // count) + np.uint64(lowest % 2**64)).astype(dtype)
    return (lowest + ranks.astype(np.int64) * extent // (count - 1)).astype(dtype)


def close(ranks, dtype):
    """Return few values that differ in their last bits alone."""
    return (90 + ranks * 30 // max(ranks.size - 1, 1)).astype(dtype)


def check(shape, values):
    median = np.sort(values)[values.size // 2]
    # A rectangle may be gone through column by column, a footprint row by row: each meets the order as it is.
    by_columns = np.ascontiguousarray(values.reshape(shape[::-1]).T)
    assert ik.median_filter(by_columns, shape, padding="valid") == [[median]]
    by_rows = np.pad(values.reshape(shape), ((0, 0), (0, 1)))
    footprint = np.pad(np.ones(shape, bool), ((0, 0), (0, 1)))
    assert ik.median_filter(by_rows, footprint=footprint, padding="valid") == [[median]]


@pytest.mark.parametrize("values_of", [spread, close])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SMALL_SHAPES, ids=str)
@pytest.mark.parametrize("order", orders(9))
def test_hard_orders(order, shape, dtype, values_of):
    ranks = orders(shape[0] * shape[1])[order]
    check(shape, values_of(ranks, dtype))


@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "i8"])
@pytest.mark.parametrize("shape", LARGE_SHAPES, ids=str)
@pytest.mark.parametrize(
    "order", ["sorted", "organ pipe", "random", "killer", "all equal", "one smaller", "half and one more"]
)
def test_hard_orders_of_more_values_than_16_bits_count(order, shape, dtype):
    ranks = orders(shape[0] * shape[1])[order]
    check(shape, spread(ranks, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(3, 3), (5, 4), (16, 16), (31, 33)])
def test_guesses_far_away(size, dtype):
    # Windows side by side whose medians lie at opposite ends: that of one window says nothing about the next.
    rng = np.random.default_rng(0)
    height, width = size
    ends = spread(np.arange(1000), dtype)
    blocks = [
        [rng.choice(ends[:20] if (row + column) % 2 else ends[-20:], size) for column in range(6)] for row in range(4)
    ]
    image = np.block(blocks)
    medians = ik.median_filter(image, size, stride=size, padding="valid")
    expected = [[np.sort(block, axis=None)[block.size // 2] for block in row] for row in blocks]
    assert_same_bits(medians, np.array(expected, dtype))
    if height * width < 100:
        assert_same_bits(ik.median_filter(image, size), reference(image, size))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("shape", SMALL_SHAPES, ids=str)
def test_every_rank(shape, dtype):
    # Leaving out NaNs moves the rank from the middle down to the lowest value.
    rng = np.random.default_rng(0)
    values = spread(rng.permutation(shape[0] * shape[1]), dtype)
    for numbers in (0, 1, 2, 3, 10, values.size // 4, values.size - 2, values.size - 1, values.size):
        holes = values.copy()
        holes[rng.permutation(values.size)[numbers:]] = np.nan
        for nan in ("omit", "propagate"):
            median = ik.median_filter(holes.reshape(shape), shape, padding="valid", nan=nan)
            assert_same_bits(median, middle(holes[None], nan)[None])


@pytest.mark.parametrize("size", [(41, 41), (40, 41), (1, 41), (41, 2), (17, 15), (16, 16)])
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (5, 4), (1, 9)])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "i8"])
def test_large_windows_on_tiny_images(dtype, shape, size):
    image = seeded_image(shape, dtype)
    for mode in cases.MODES:
        assert_same_bits(ik.median_filter(image, size, mode=mode), reference(image, size, mode=mode))


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "f8"])
@pytest.mark.parametrize("size", [(11, 11), (15, 17), (16, 16), (17, 17)])
def test_large_windows_in_every_column(dtype, size):
    image = seeded_image((3, 150), dtype)
    assert_same_bits(ik.median_filter(image, size), reference(image, size))


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "f8"])
@pytest.mark.parametrize("size", [3, 5, (2, 4)])
def test_tiles_of_few_values_beside_tiles_of_many(dtype, size):
    # How a tile is computed depends on the bits in which its pixels differ; the result does not.
    image = seeded_image((70, 1100), dtype)
    image[:34, :520] = 7
    image[40:, :520] = np.random.default_rng(0).integers(8, 12, (30, 520))
    image[:, 900:] = image[0, 900]
    assert_same_bits(ik.median_filter(image, size), reference(image, size))


@pytest.mark.parametrize(
    ("dtype", "bit"),
    [
        (kind + size, bit)
        for kind in "iuf"
        for size in "248"
        for bit in (0, 1, 7, 8, 15, 30, 31, 52, 63)
        if bit < 8 * int(size)
    ],
)
def test_values_that_differ_in_one_bit(dtype, bit):
    dtype = np.dtype(dtype)
    rng = np.random.default_rng(0)
    one = np.full((8, 70), 3, dtype)
    other = (cases.bits(one) ^ np.array(1 << bit, f"u{dtype.itemsize}")).view(dtype)
    image = np.where(rng.random(one.shape) < 0.5, one, other)
    assert_same_bits(ik.median_filter(image, 3), reference(image, 3))
