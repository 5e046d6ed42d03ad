"""What a wheel does where there is NumPy, pytest and nothing else: run this after `pip install imkernels pytest`."""

import subprocess
import sys

import imkernels as ik
import numpy as np
import pytest

# 3 x 3 pixels, the numbers 1 to 9
IMAGE = np.array([[9, 1, 8], [2, 7, 3], [6, 4, 5]], np.uint8)


def test_importing_it_imports_numpy_alone():
    code = (
        "import sys, numpy; before = set(sys.modules); import imkernels\n"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert set(done.stdout.split()) - {"numpy"} == {"imkernels"}


def test_the_public_names_are_there():
    for name in ik.__all__:
        assert hasattr(ik, name), name
    assert len(set(ik.__all__)) == len(ik.__all__)
    modules = {name for name, value in vars(ik).items() if type(value) is type(sys)}
    assert {name for name in dir(ik) if not name.startswith("_")} - modules | {"__version__"} == set(ik.__all__)


def test_it_has_a_version_and_a_level():
    assert len(ik.__version__.split(".")) == 3
    assert ik.isa_level() in {"baseline", "x86-64-v3", "x86-64-v4"}


def test_median_filter():
    assert ik.median_filter(IMAGE, 3, padding="valid").tolist() == [[5]]
    assert ik.median_filter(IMAGE, (1, 3)).tolist() == [[9, 8, 8], [2, 3, 3], [6, 5, 5]]


def test_box_blur():
    assert ik.box_blur(IMAGE, 3, padding="valid").tolist() == [[5]]
    assert ik.box_blur(IMAGE, (1, 3), mode="constant").tolist() == [[3, 6, 3], [3, 4, 3], [3, 5, 3]]


def test_correlate():
    kernel = np.array([[0, 0, 0], [-1, 0, 2], [0, 1, 0]], np.int8)
    result = ik.correlate(IMAGE, kernel, padding="valid")
    assert result.tolist() == [[-1 * 2 + 2 * 3 + 1 * 4]]
    assert result.dtype == np.int32


def test_max_pool_with_argmax():
    values, argmax = ik.max_pool_with_argmax(IMAGE, 2, stride=1)
    assert values.tolist() == [[9, 8], [7, 7]]
    assert argmax.tolist() == [[0, 2], [4, 4]]


def test_max_pool_backward():
    grad = np.array([[10.0, 20.0], [30.0, 40.0]])
    argmax = np.array([[0, 2], [4, 4]])
    assert ik.max_pool_backward(grad, argmax, (3, 3)).tolist() == [[10, 0, 20], [0, 70, 0], [0, 0, 0]]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_threads(n):
    image = np.arange(400 * 300, dtype=np.int32).reshape(400, 300)  # each row 300 more than the one above
    with ik.workers(n):
        assert ik.get_workers() == n
        np.testing.assert_array_equal(ik.median_filter(image, 3)[1:-1, 1:-1], image[1:-1, 1:-1])
        values, argmax = ik.max_pool_with_argmax(image, 2)
    np.testing.assert_array_equal(values, image[1::2, 1::2])
    np.testing.assert_array_equal(argmax, image[1::2, 1::2])  # a pixel's value is its index


def test_all_kinds_of_arrays():
    for dtype in ("?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", ">i2", ">u8", ">f4"):
        image = np.array([[0, 1, 0], [1, 1, 0], [0, 0, 0]], dtype)
        result = ik.median_filter(image[::-1, ::-1], 3, padding="valid")
        assert result.tolist() == [[0]]
        assert result.dtype == np.dtype(dtype).newbyteorder("=")
    assert ik.median_filter([[1, 2, 4]], (1, 3)).tolist() == [[1, 2, 4]]
