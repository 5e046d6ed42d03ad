"""Memory: nothing leaks, scratch stays small, and strides may be as large as an address space."""

import mmap
import sys

import imkernels as ik
import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

from tests.calls import public_functions
from tests.processes import run_alone, sanitized

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
plain = pytest.mark.skipif(sanitized(), reason="the sanitizers keep memory of their own")


# Leaks


def _resident():
    """Return the bytes of this process that are in memory."""
    import gc
    import resource
    from pathlib import Path

    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _growth(call, times):
    """Return (bytes, Python's blocks) by which `times` calls let the process grow, once it is warm."""
    import sys

    for _ in range(times // 10):
        call()
    before = _resident(), sys.getallocatedblocks()
    for _ in range(times):
        call()
    return _resident() - before[0], sys.getallocatedblocks() - before[1]


def _leaks(call):
    """Whether the process grows with every call; what Python keeps for later stops growing in one of four rounds."""
    return all(grown >= 8 << 20 or blocks >= 60 for grown, blocks in (_growth(call, 60) for _ in range(4)))


@linux
@plain
@pytest.mark.slow
def test_ten_thousand_calls_leak_nothing():
    run_alone(_call_often, helpers=[_resident, _growth, _leaks])


def _call_often():
    import imkernels as ik
    import numpy as np

    from tests import calls

    rng = np.random.default_rng(0)
    image = rng.standard_normal((2, 9, 11)).astype(np.float32)
    kernel = np.ones((3, 3), np.float32)
    footprint = np.eye(3, dtype=bool)
    argmax = np.zeros((2, 4, 5), np.intp)
    out = np.empty_like(image)

    def small():
        ik.median_filter(image, 3)
        ik.median_filter(image, footprint=footprint, out=out)
        ik.box_blur(image, 3, dtype=np.int16)
        ik.correlate(image, kernel, mode="constant", cval=2.5)
        ik.max_pool_with_argmax(image, 2)
        ik.max_pool_backward(image[:, :4, :5], argmax, (9, 11), out=out)
        ik.box_blur(image, 3, out=image)

    times = 10_000 // 7
    grown, blocks = _growth(small, times)
    assert grown < 4 << 20, grown  # 400 bytes a call
    assert blocks < times // 4, blocks
    for name, large in calls.every_call().items():
        assert not _leaks(lambda large=large: large(3)), name


@linux
@plain
@pytest.mark.slow
def test_ten_thousand_errors_leak_nothing():
    run_alone(_fail_often, helpers=[_resident, _growth])


def _fail_often():
    import sys

    import imkernels as ik
    import numpy as np
    from imkernels import _core

    image = np.ones((4, 5), np.float32)
    out = np.empty_like(image)
    bad = np.full((4, 5), 99)
    window = _core.Window((3, 3), (1, 1), (1, 1), (1, 1), ("wrap", "wrap"))

    failing = [
        lambda: ik.median_filter(image, 0),
        lambda: ik.median_filter(image.astype(complex), 3),
        lambda: ik.box_blur(image, 3, out=out[:2]),
        lambda: ik.box_blur(image, 3, mode="nowhere"),
        lambda: ik.correlate(image, kernel=[[1, 2], [3, object()]]),
        lambda: ik.max_pool_with_argmax(image, 9),
        lambda: ik.max_pool_backward(image, bad, (4, 5)),
        lambda: ik.max_pool_backward(image, bad, (2**31 - 1, 2**31 - 1)),
        lambda: _core.box_blur(image, out, window, True, bad, 1),
        lambda: _core.box_blur(image, None, window, True, bad, 1),
        lambda: _core.order_filter(image, out, window, np.ones((2, 2), bool), None, 50.0, False, out[:1, :1], 1),
        lambda: _core.Window((0, 0), (1, 1), (1, 1), (1, 1), ("wrap", "wrap")),
    ]

    def fail():
        raised = 0
        for call in failing:
            try:
                call()
            except (ValueError, TypeError, MemoryError):
                raised += 1
        assert raised == len(failing)

    counts = [sys.getrefcount(array) for array in (image, out, bad, window)]
    times = 10_000 // len(failing)
    _growth(fail, times // 4)  # Python's free lists fill up
    grown, blocks = _growth(fail, times)
    assert grown < 4 << 20, grown
    assert blocks < times // 4, blocks
    assert [sys.getrefcount(array) for array in (image, out, bad, window)] == counts


@linux
@plain
@pytest.mark.slow
def test_a_leak_is_noticed():
    run_alone(_leak, helpers=[_resident, _growth, _leaks])


def _leak():
    kept = []
    grown, blocks = _growth(lambda: kept.append(bytearray(500)), 10_000)
    assert grown > 4 << 20
    assert blocks > 10_000 // 4
    assert _leaks(lambda: kept.append(bytearray(5)))
    assert _leaks(lambda: kept.append(bytearray(200_000)))
    assert not _leaks(lambda: bytearray(200_000))


# Scratch


@linux
@plain
@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_scratch_stays_small_whatever_the_image(workers):
    peaks = dict(line.split() for line in run_alone(_peaks_of_huge_images, workers).splitlines())
    assert sorted(peaks) == public_functions()
    # Two stacks' first pages and caches included, and what calls before have left.
    assert [f"{name}: {int(peak) >> 20} MiB" for name, peak in peaks.items() if int(peak) >= 40 << 20] == []


def _peaks_of_huge_images(workers):
    import resource
    from pathlib import Path

    import imkernels as ik
    import numpy as np

    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))  # a failure should not take the machine along

    def huge(dtype, shape=(50_000, 50_000)):
        return np.broadcast_to(np.ones((), dtype), shape)

    def first(array):
        return array.flat[0]

    weights, many = np.ones((3, 3), np.float32), np.ones((300, 300))
    plane = 6000, 6000
    calls = {
        "median_filter": [
            lambda: first(ik.median_filter(huge("f4"), 3, stride=5000, workers=workers)) == 1,
            lambda: first(ik.median_filter(huge("u1"), 1000, stride=9000, workers=workers)) == 1,
            lambda: first(ik.median_filter(huge("f8", (3000, 3000)), 301, stride=1000, workers=workers)) == 1,
            lambda: first(ik.median_filter(huge("f8", (3, 500_000)), 7, workers=workers)) == 1,
        ],
        "rank_filter": [lambda: first(ik.rank_filter(huge("f4"), 3, 3, stride=5000, workers=workers)) == 1],
        "percentile_filter": [
            lambda: first(ik.percentile_filter(huge("u1"), 9, 99, stride=9000, workers=workers)) == 1
        ],
        "minimum_filter": [
            lambda: first(ik.minimum_filter(huge("f4"), 3, stride=5000, workers=workers)) == 1,
            lambda: first(ik.minimum_filter(huge("f8", (3000, 3000)), 301, stride=100, workers=workers)) == 1,
            lambda: first(ik.minimum_filter(huge("u1", (16_000, 16_000)), 2000, stride=2000, workers=workers)) == 1,
        ],
        "maximum_filter": [
            lambda: first(ik.maximum_filter(huge("f8", (300, 300)), 2001, stride=50, workers=workers)) == 1,
            lambda: first(ik.maximum_filter(huge("f4", (9, 500_000)), 31, workers=workers)) == 1,
        ],
        "box_blur": [
            lambda: first(ik.box_blur(huge("f4"), 3, stride=5000, workers=workers)) == 1,
            lambda: first(ik.box_blur(huge("u1", (16_000, 16_000)), 2000, stride=2000, workers=workers)) == 1,
            lambda: first(ik.box_blur(huge("i8", (4000, 4000)), 2000, stride=400, workers=workers)) == 1,
            lambda: first(ik.box_blur(huge("f4", (300, 300)), 2001, stride=50, workers=workers)) == 1,
        ],
        "correlate": [
            lambda: first(ik.correlate(huge("f4"), weights, stride=5000, workers=workers)) == 9,
            lambda: first(ik.correlate(huge("f4"), weights, dilation=9000, stride=900, workers=workers)) == 9,
            lambda: first(ik.correlate(huge("f8"), many, stride=5000, workers=workers)) == 90_000,
        ],
        "convolve": [lambda: first(ik.convolve(huge("f4"), weights, stride=5000, workers=workers)) == 9],
        "correlate_separable": [  # with a buffer as large as the result of its first step
            lambda: (
                first(ik.correlate_separable(huge("f4"), weights[0], weights[0], stride=25_000, workers=workers)) == 9
            ),
        ],
        "gaussian_filter": [
            lambda: abs(first(ik.gaussian_filter(huge("f4"), 1, stride=25_000, workers=workers)) - 1) < 1e-6,
        ],
        "max_pool": [lambda: first(ik.max_pool(huge("f4"), 3, stride=5000, workers=workers)) == 1],
        "max_unpool": [
            lambda: first(ik.max_unpool(huge("f8", (1, 1)), huge("i8", (1, 1)), (1, 2), workers=workers)) == 0,
        ],
        "avg_pool": [
            lambda: first(ik.avg_pool(huge("f4"), 3, stride=5000, workers=workers)) == 1,
            lambda: first(ik.avg_pool(huge("u1", (16_000, 16_000)), 8000, workers=workers)) == 1,
        ],
        "avg_pool_backward": [
            lambda: (
                first(ik.avg_pool_backward(huge("f4", (2, 2)), (1000, 1000), 500, workers=workers)) == np.float32(4e-6)
            ),
        ],
        "adaptive_max_pool": [lambda: first(ik.adaptive_max_pool(huge("f4", (9000, 9000)), 1, workers=workers)) == 1],
        "adaptive_max_pool_with_argmax": [
            lambda: first(ik.adaptive_max_pool_with_argmax(huge("i8", (9000, 9000)), 3, workers=workers)[1]) == 0,
        ],
        "adaptive_avg_pool": [
            lambda: first(ik.adaptive_avg_pool(huge("f8", (9000, 9000)), 2, workers=workers)) == 1,
            lambda: first(ik.adaptive_avg_pool(huge("f4", (4000, 4000)), 1, workers=workers)) == 1,
        ],
        "adaptive_avg_pool_backward": [
            lambda: first(ik.adaptive_avg_pool_backward(huge("f8", (1, 1)), (500, 500), workers=workers)) == 4e-6,
        ],
        "conv2d": [
            lambda: (
                first(ik.conv2d(huge("f4", (1, 50_000, 50_000)), weights[None, None], stride=5000, workers=workers))
                == 9
            ),
            lambda: (
                first(ik.conv2d(huge("f8", (1, 900, 900)), many[None, None], stride=300, workers=workers)) == 90_000
            ),
        ],
        "conv2d_backward_input": [
            lambda: (
                first(
                    ik.conv2d_backward_input(
                        huge("f4", (1, 1, 1)), weights[None, None], (1, 900, 900), stride=5000, workers=workers
                    )
                )
                == 1
            ),
        ],
        "conv2d_backward_weight": [
            lambda: (
                first(
                    ik.conv2d_backward_weight(
                        huge("f4", (1, 2000, 2000)), huge("f4", (1, 2000, 2000)), (1, 1, 1, 1), workers=workers
                    )
                )
                == 4e6
            ),
        ],
        "conv_transpose2d": [
            lambda: (
                first(ik.conv_transpose2d(huge("f4", (1, 9, 9)), weights[None, None], stride=50, workers=workers)) == 1
            ),
        ],
        "max_pool_with_argmax": [
            lambda: first(ik.max_pool_with_argmax(huge("f4"), 3, stride=5000, workers=workers)[0]) == 1,
            lambda: first(ik.max_pool_with_argmax(huge("f8"), 1500, stride=10_000, workers=workers)[0]) == 1,
            lambda: first(ik.max_pool_with_argmax(huge("u1"), 9, dilation=5000, stride=5000, workers=workers)[1]) == 0,
        ],
        "max_pool_backward": [
            lambda: first(ik.max_pool_backward(huge("f8", plane), huge("i8", plane), (1, 2), workers=workers)) == 0,
        ],
    }

    def status(field):
        line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
        return int(line.split()[1]) * 1024

    before = status("VmRSS")
    for name, huge_calls in calls.items():
        Path("/proc/self/clear_refs").write_text("5")  # begins the peak (VmHWM) anew
        for call in huge_calls:
            assert call(), name
        print(name, status("VmHWM") - before)


# Strides beyond 2**31 bytes

STEP = 2**31 + 4096


@pytest.fixture(scope="module")
def far_rows():
    """Return a function that lays an image out with rows `STEP` bytes apart, upwards or downwards."""
    no_reserve = 0x4000  # Linux's MAP_NORESERVE, which Python 3.11 has no name for: pages never touched cost nothing
    memory = mmap.mmap(-1, 7 * STEP, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve)

    def lay_out(image, direction, along=0):
        step = -STEP if direction == "negative" else STEP
        first = 6 * STEP if step < 0 else 0
        start = np.frombuffer(memory, np.uint8)[first:][: image.itemsize].view(image.dtype)
        far = as_strided(start, image.shape, (step, image.itemsize) if along == 0 else (64, step))
        far[...] = image
        return far

    return lay_out


@linux
@pytest.mark.parametrize("along", [0, 1], ids=["rows", "columns"])
@pytest.mark.parametrize("direction", ["positive", "negative"])
@pytest.mark.parametrize("dtype", ["u1", "f4"])
def test_strides_of_more_than_31_bits(far_rows, dtype, direction, along):
    near = np.random.default_rng(1).integers(0, 200, (6, 7)).astype(dtype)
    near = near if along == 0 else np.ascontiguousarray(near[:, :6])
    far = far_rows(near, direction, along)
    assert abs(far.strides[along]) > 2**31
    floats = near.astype("f4")
    places = np.arange(near.size).reshape(near.shape)
    weights = np.arange(9.0).reshape(1, 1, 3, 3)

    def calls(image, image_of_floats):
        """Return {name: results}; gradients are floats."""
        return {
            "median_filter": ik.median_filter(image, 3),
            "rank_filter": ik.rank_filter(image, 2, 3),
            "percentile_filter": ik.percentile_filter(image, 20, 3),
            "minimum_filter": ik.minimum_filter(image, 3),
            "maximum_filter": ik.maximum_filter(image, 3),
            "box_blur": ik.box_blur(image, 3, normalize=False),
            "correlate": ik.correlate(image, weights[0, 0]),
            "convolve": ik.convolve(image, weights[0, 0]),
            "correlate_separable": ik.correlate_separable(image, weights[0, 0, 0], weights[0, 0, 1]),
            "gaussian_filter": ik.gaussian_filter(image, 1),
            "max_pool": ik.max_pool(image, 3),
            "max_pool_with_argmax": ik.max_pool_with_argmax(image, 3, stride=1)[1],
            "max_pool_backward": ik.max_pool_backward(image, places, image.shape),
            "max_unpool": ik.max_unpool(image, places, image.shape),
            "avg_pool": ik.avg_pool(image, 3),
            "avg_pool_backward": ik.avg_pool_backward(
                image_of_floats, (2 * image.shape[0] + 1, 2 * image.shape[1] + 1), 3, stride=2
            ),
            "adaptive_max_pool": ik.adaptive_max_pool(image, 4),
            "adaptive_max_pool_with_argmax": ik.adaptive_max_pool_with_argmax(image, 4)[1],
            "adaptive_avg_pool": ik.adaptive_avg_pool(image, 4),
            "adaptive_avg_pool_backward": ik.adaptive_avg_pool_backward(image_of_floats, (13, 15)),
            "conv2d": ik.conv2d(image[None], weights),
            "conv2d_backward_input": ik.conv2d_backward_input(
                image_of_floats[None], weights, (1, image.shape[0] + 2, image.shape[1] + 2)
            ),
            "conv2d_backward_weight": ik.conv2d_backward_weight(image_of_floats[None], image[None], (1, 1, 1, 1)),
            "conv_transpose2d": ik.conv_transpose2d(image[None], weights),
        }

    wanted = calls(near, floats)
    found = calls(far, far if dtype == "f4" else floats)
    assert sorted(found) == public_functions()
    for name, result in found.items():
        np.testing.assert_array_equal(result, wanted[name], err_msg=name)


@linux
@pytest.mark.parametrize("direction", ["positive", "negative"])
def test_results_with_strides_of_more_than_31_bits(far_rows, direction):
    image = np.random.default_rng(2).integers(0, 200, (6, 7)).astype("f4")
    out = far_rows(np.zeros_like(image), direction)
    positions = np.arange(42).reshape(6, 7)
    for name, call in {
        "median_filter": lambda **out: ik.median_filter(image, 3, **out),
        "box_blur": lambda **out: ik.box_blur(image, 3, **out),
        "correlate": lambda **out: ik.correlate(image, np.ones((3, 3), "f4"), **out),
        "max_pool_backward": lambda **out: ik.max_pool_backward(image, positions, (6, 7), **out),
    }.items():
        near = call()
        assert call(out=out) is out
        np.testing.assert_array_equal(out, near, err_msg=name)
    values, argmax = ik.max_pool_with_argmax(image, 3, stride=1, padding=1)
    found, _ = ik.max_pool_with_argmax(image, 3, stride=1, padding=1, out=(out, np.empty_like(argmax)))
    assert found is out
    np.testing.assert_array_equal(out, values)


@pytest.mark.parametrize("stride", [2**62, -(2**62), 2**63 - 1, -(2**63)])
def test_strides_of_axes_of_one_pixel_mean_nothing(stride):
    image = as_strided(np.array([5.0]), (1, 1, 1), (stride, stride, stride))
    largest = 2**31 - 1
    assert ik.median_filter(image, 3, stride=largest) == 5
    assert ik.box_blur(image, 3, stride=largest, padding=((1, 1), (2, 2)), mode="wrap")[0, 0, 0] == 5
    assert ik.correlate(image, np.ones((3, 3)), stride=largest, dilation=largest // 2) == 45
    values, argmax = ik.max_pool_with_argmax(image, 3, padding=1, stride=largest)
    assert values == 5
    assert argmax == 0
    assert ik.max_pool_backward(image, argmax, (1, 1)) == 5
    # Several outputs, and taps far outside.
    fives = np.full((1, 3, 3), 5)
    around = {"padding": 2, "stride": 2, "mode": "nearest"}
    np.testing.assert_array_equal(ik.median_filter(image, 1, **around), fives)
    np.testing.assert_array_equal(ik.box_blur(image, 1, **around), fives)
    np.testing.assert_array_equal(ik.correlate(image, np.ones((1, 1)), **around), fives)
    values, argmax = ik.max_pool_with_argmax(image, 3, padding=2, stride=2)
    np.testing.assert_array_equal(values, fives[:, :2, :2])
    np.testing.assert_array_equal(argmax, np.zeros((1, 2, 2)))


@pytest.mark.parametrize("dtype", ["u1", "f8"])
def test_a_pixel_repeated_over_a_huge_image(dtype):
    image = np.broadcast_to(np.ones((), dtype), (2**20, 2**21))
    stride = (2**19, 2**18)
    ones = np.ones((2, 8))
    np.testing.assert_array_equal(ik.median_filter(image, 3, stride=stride), ones)
    np.testing.assert_array_equal(ik.box_blur(image, 3, stride=stride), ones)
    np.testing.assert_array_equal(ik.correlate(image, np.ones((3, 3)), stride=stride), 9 * ones)
    values, argmax = ik.max_pool_with_argmax(image, 2, stride=stride)
    np.testing.assert_array_equal(values, ones)
    np.testing.assert_array_equal(argmax, np.add.outer([0, 2**40], np.arange(8) * 2**18))
