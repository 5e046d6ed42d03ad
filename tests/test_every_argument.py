"""Every argument of every function made absurd, one at a time: refused by name, or right, and at once."""

import inspect

import imkernels as ik
import numpy as np
import pytest

from tests import refusals
from tests.calls import public_functions, small_calls
from tests.processes import run_alone, sanitized

pytestmark = pytest.mark.wrapper

EXTENTS = [-1, 2**31, 2**32 + 1, 2**62, 2**63 - 1, 2**64, 10**30]


# The arguments that are arrays, and those that are not numbers of pixels.
ARRAYS = {"image", "grad", "x", "kernel", "column", "row", "weight", "bias", "argmax", "values"}
WORDS = {"mode", "nan", "method", "casting", "dtype", "out", "axes", "footprint"}
SWITCHES = {"normalize", "ceil_mode", "count_include_pad"}
REALS = {"cval", "sigma", "truncate", "percentile"}


def arguments(kind=None):
    """Yield (function's name, argument's name) for the arguments of a kind: the rest, if none is given."""
    known = ARRAYS | WORDS | SWITCHES | REALS
    for name in public_functions():
        for argument in inspect.signature(getattr(ik, name)).parameters:
            if argument in kind if kind else argument not in known:
                yield name, argument


def each(kind=None):
    return pytest.mark.parametrize(("name", "argument"), list(arguments(kind)))


def call(name, **changes):
    return getattr(ik, name)(**small_calls()[name] | changes)


@pytest.mark.parametrize("name", public_functions())
def test_the_small_calls_are_right(name):
    call(name)


# Numbers of pixels

# Where a number other than one or two counts: a shape of several, of which every extent in turn is absurd.
SHAPES = {"input_shape": (2, 6, 7), "weight_shape": (2, 2, 3, 3), "shape": (6, 7)}
NEGATIVE = {"rank", "workers", "origin"}  # of which -1 is one


def spellings(argument, value):
    """Return the ways to give this number as that argument."""
    if argument in SHAPES:
        right = SHAPES[argument]
        return [(*right[:place], value, *right[place + 1 :]) for place in range(len(right))]
    if argument in {"rank", "workers", "groups", "divisor_override"}:
        return [value]
    pairs = [value, (value, 1), (1, value), (value, value)]
    return [*pairs, ((0, value), (0, 0)), ((0, 0), (value, 0))] if argument == "padding" else pairs


@each()
def test_absurd_numbers(name, argument):
    for value in EXTENTS:
        if value == -1 and argument in NEGATIVE:
            continue
        for spelled in spellings(argument, value):
            with pytest.raises(ValueError, match=rf"^(out|grad|bias|x|{argument}) must "):
                call(name, **{argument: spelled})


@each()
def test_what_is_no_number(name, argument):
    for value in ("3", 1.5, None, 1j, {}, object(), np.float64(2), [[1, 2], 3], True):
        if value is None and argument in {"stride", "workers", "divisor_override", "output_size", "size"}:
            continue  # the default, or: as it is
        with pytest.raises((TypeError, ValueError), match=rf"(^|and ){argument} must |^exactly one of size"):
            call(name, **{argument: value})


@each()
def test_zero(name, argument):
    allowed = {"padding", "origin", "output_padding", "rank"}
    if argument in allowed:
        call(name, **{argument: 0})
    else:
        for spelled in spellings(argument, 0):
            with pytest.raises(ValueError, match=r"must "):
                call(name, **{argument: spelled})


@pytest.mark.slow
@pytest.mark.skipif(sanitized(), reason="the sanitizers need more memory than any limit leaves")
def test_the_largest_numbers_end_at_once():
    run_alone(_largest_numbers, list(arguments()), helpers=[spellings_of_the_largest], timeout=120)


def spellings_of_the_largest(argument, shape):
    """Return the ways to give numbers about the largest that are allowed as that argument."""
    found = []
    for value in (2**31 - 1, 2**31 - 2, 2**30, 65536):
        if argument.endswith("shape"):
            found += [(*shape[:place], value, *shape[place + 1 :]) for place in range(len(shape))]
            found.append((*shape[:-2], value, value))
        elif argument in {"rank", "workers", "groups", "divisor_override"}:
            found.append(value)
        else:
            found += [value, (value, 1), (1, value)]
            if argument == "padding":
                found += [((0, value), (0, 0)), ((0, 0), (value, value))]
    return found


def _largest_numbers(every):
    import resource
    import signal

    import imkernels as ik
    import numpy as np

    from tests.calls import small_calls

    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    outcomes = {"error": 0, "result": 0}
    for name, argument in every:
        right = small_calls()[name]
        for spelled in spellings_of_the_largest(argument, right.get(argument, ())):
            signal.alarm(10)  # which ends the process
            try:
                found = getattr(ik, name)(**right | {argument: spelled})
            except (ValueError, MemoryError):
                outcomes["error"] += 1
            else:
                results = found if isinstance(found, tuple) else (found,)
                assert all(np.isfinite(result).all() for result in results), (name, argument, spelled)
                outcomes["result"] += 1
            signal.alarm(0)
    assert min(outcomes.values()) > 50, outcomes


# Arrays


@each(ARRAYS)
@pytest.mark.parametrize(("value", "text"), refusals.ARRAYS_REFUSED.values(), ids=refusals.ARRAYS_REFUSED)
def test_arrays_of_other_kinds(name, argument, value, text):
    if argument == "bias" and value is None:
        pytest.skip("the default")
    with pytest.raises(TypeError, match=f"^{argument} {text}"):
        call(name, **{argument: value})


@each(ARRAYS)
def test_arrays_of_too_few_axes(name, argument):
    right = np.asarray(small_calls()[name][argument])
    for shape in [(), (3,), (2, 3)][: right.ndim]:
        with pytest.raises(ValueError, match=f"(^|and ){argument} must |^grad must |^argmax must "):
            call(name, **{argument: np.ones(shape, right.dtype)})


@each(ARRAYS - {"image"})
def test_arrays_of_other_extents(name, argument):
    if argument in {"kernel", "column", "row"}:
        return  # any extents are fine
    right = np.asarray(small_calls()[name][argument])
    for axis in range(right.ndim):
        larger = np.ones([extent + 9 * (axis == number) for number, extent in enumerate(right.shape)], right.dtype)
        fits = (name, argument, axis) in {
            *(("conv2d", "x", axis) for axis in (1, 2)),
            *(("conv_transpose2d", "x", axis) for axis in (1, 2)),
            *(("conv_transpose2d", "weight", axis) for axis in (2, 3)),
            *(("adaptive_avg_pool_backward", "grad", axis) for axis in (0, 1)),
        }
        if fits:
            call(name, **{argument: larger})
        else:
            with pytest.raises(ValueError, match=r"^\w+ must "):
                call(name, **{argument: larger})


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: ik.gaussian_filter(np.zeros((3, 3)), 2, padding="valid"), "sigma and truncate must not exceed"),
        (lambda: ik.correlate(np.zeros((3, 3)), np.ones((1, 1)), dtype="foo"), "dtype must be a dtype, got 'foo'"),
        (lambda: ik.conv2d(np.zeros((1, 3, 3)), np.ones((1, 1, 1, 1)), groups=np.array([1, 2])), "groups must be an"),
        (
            lambda: ik.conv2d_backward_weight(np.zeros((1, 1, 1)), np.zeros((1, 2, 2)), (1, 1, 3, 3)),
            "weight_shape must not exceed",
        ),
        (
            lambda: ik.conv2d_backward_input(np.zeros((4, 3, 3)), np.ones((4, 2, 2, 2)), (4, 4)),
            "input_shape must be a shape, a tuple of 3 ints",
        ),
        (lambda: ik.median_filter(np.zeros((3, 3)), 3, cval=[[1], [1, 2]]), "cval must be a real number"),
        (lambda: ik.box_blur(np.zeros((3, 3)), 3, padding=((1, 1), 2)), "padding must be 'same', .* a pair of pairs"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_errors_name_the_argument_that_was_given(call, text):
    with pytest.raises((TypeError, ValueError), match=f"^{text}"):
        call()


def test_numbers_in_arrays_without_axes():
    image = np.arange(30.0).reshape(5, 6)
    np.testing.assert_array_equal(ik.gaussian_filter(image, np.array(1.0)), ik.gaussian_filter(image, 1.0))
    np.testing.assert_array_equal(ik.percentile_filter(image, np.array(30.0), 3), ik.percentile_filter(image, 30.0, 3))
    sums = ik.correlate(np.ones((3, 3), "u1"), np.full((9, 9), 127, "i1"), dtype=np.longlong)
    assert sums.dtype == np.int64


@pytest.mark.skipif(sanitized(), reason="the sanitizers end a process that asks for so much memory")
@pytest.mark.parametrize(
    "name",
    [
        name
        for name, right in small_calls().items()
        # Adaptive windows are as large as the image: those would go on for centuries.
        if {"image", "x"} & right.keys() and not name.startswith("adaptive")
    ],
)
def test_images_of_absurd_extents(name):
    """One pixel, repeated: no array of the result's size can be had, or no index can count its pixels."""
    argument = "image" if "image" in small_calls()[name] else "x"
    lead = np.shape(small_calls()[name][argument])[:-2]
    for extents in [(2**62, 1), (1, 2**62), (2**63 - 1, 1), (1, 2**63 - 1), (2**61, 2)]:
        image = np.broadcast_to(np.int8(1), (*(1 for _ in lead), *extents))
        with pytest.raises((ValueError, MemoryError)):
            call(name, **{argument: image})


# Real numbers, switches, words


@each(REALS)
def test_real_numbers(name, argument):
    for value in ("7", None, 1j, [7.0, 1, 2], {}, object(), np.zeros(3), np.datetime64("2026-01-01")):
        with pytest.raises((TypeError, ValueError), match=f"^{argument} must "):
            call(name, **{argument: value})
    infinite = [] if argument == "cval" else [np.nan, np.inf, -np.inf]
    for value in (*infinite, 1e300, -1e300, 10**400, -(10**400)):
        with pytest.raises(ValueError, match=f"(^|and ){argument} (and truncate )?must "):
            call(name, **{argument: value})


@each(SWITCHES)
def test_switches(name, argument):
    for value in ("yes", None, 2, 0.0, [True], np.ones(1, bool)):
        with pytest.raises(TypeError, match=f"^{argument} must be True or False, got "):
            call(name, **{argument: value})
    for value in (True, False, np.True_, np.False_):
        call(name, **{argument: value})


@each(WORDS - {"out", "axes", "dtype", "footprint"})
def test_words(name, argument):
    for value in ("fast", "", "reflect ", b"reflect", 3, None, object(), ("reflect", 3)):
        with pytest.raises((TypeError, ValueError), match=f"^{argument} must be "):
            call(name, **{argument: value})


@each({"footprint"})
def test_footprints(name, argument):
    window = small_calls()[name]
    del window["size"]
    for value in (np.zeros((3, 3)), np.ones(3), np.ones((1, 3, 3)), np.ones((0, 3)), 3):
        with pytest.raises(ValueError, match=r"^footprint must be a two-dimensional array with a true element, got"):
            getattr(ik, name)(**window, **{argument: value})
    with pytest.raises(ValueError, match=r"^exactly one of size and footprint must be given, got "):
        call(name, footprint=np.ones((3, 3)))


@each({"out"})
def test_results(name, argument):
    found = call(name)
    pair = isinstance(found, tuple)
    right = found if pair else (found,)
    for place, result in enumerate(right):
        where = rf"out(\[{place}\])? must"
        frozen = result.copy()
        frozen.flags.writeable = False
        twice = np.lib.stride_tricks.as_strided(result, result.shape, (0, *result.strides[1:]))
        others = [frozen, twice, result[None], result[..., :-1], result.astype(complex), result.astype(object), [1.0]]
        for other in [*others, np.ma.masked_array(result), result.astype(bool)]:
            out = (*right[:place], other, *right[place + 1 :]) if pair else other
            with pytest.raises((TypeError, ValueError), match=where):
                call(name, **{argument: out})
    for out in ((), (*right, right[0])):
        with pytest.raises(ValueError, match=r"^out must be "):
            call(name, **{argument: out})
