"""What "ufunc-like" means, measured against numpy.matmul, numpy.vecdot and, for two results, numpy.divmod.

A row of a table is one call, made of NumPy's functions and of ours. Its outcome is the same, or the row names the
difference on purpose. The list of these differences is closed.
"""

import copy
import inspect
import itertools
import pickle
import re
from dataclasses import dataclass

import imkernels as ik
import numpy as np
import pytest
from imkernels._ufunc import KernelFunction

from tests.cases import DTYPES, INTEGERS
from tests.conftest import peer

pytestmark = pytest.mark.wrapper

DTYPE = "dtype is that of the result"
LOOP_AXES = "out may not add loop axes"
MASKED = "MaskedArray is refused"
SUBCLASS = "subclasses come back as ndarray"
ELSEWHERE = "dask, xarray and GPU arrays are refused with the adapter's name"
AXES = "axes is one tuple"
DIFFERENCES = {DTYPE, LOOP_AXES, MASKED, SUBCLASS, ELSEWHERE, AXES}

KERNELS = {name: getattr(ik, name) for name in ik.__all__ if isinstance(getattr(ik, name), KernelFunction)}
NAMES = sorted(KERNELS)
MATRIX = np.arange(9.0).reshape(3, 3)
PLACES = np.arange(9).reshape(3, 3)

# Calls with one result of float64 for one array of float64
NUMPY = {
    "matmul": lambda x=MATRIX, **keywords: np.matmul(x, MATRIX, **keywords),
    "vecdot": lambda x=MATRIX, **keywords: np.vecdot(x, MATRIX, **keywords),
}
OURS = {
    "median_filter": lambda x=MATRIX, **keywords: ik.median_filter(x, 3, **keywords),
    "box_blur": lambda x=MATRIX, **keywords: ik.box_blur(x, 3, **keywords),
    "correlate": lambda x=MATRIX, **keywords: ik.correlate(x, np.ones((2, 2)), **keywords),
    "rank_filter": lambda x=MATRIX, **keywords: ik.rank_filter(x, 1, 3, **keywords),
    "percentile_filter": lambda x=MATRIX, **keywords: ik.percentile_filter(x, 20, 3, **keywords),
    "minimum_filter": lambda x=MATRIX, **keywords: ik.minimum_filter(x, 3, **keywords),
    "maximum_filter": lambda x=MATRIX, **keywords: ik.maximum_filter(x, 3, **keywords),
    "convolve": lambda x=MATRIX, **keywords: ik.convolve(x, np.ones((2, 2)), **keywords),
    "correlate_separable": lambda x=MATRIX, **keywords: ik.correlate_separable(x, np.ones(2), np.ones(3), **keywords),
    "gaussian_filter": lambda x=MATRIX, **keywords: ik.gaussian_filter(x, 1, **keywords),
    "max_pool": lambda x=MATRIX, **keywords: ik.max_pool(x, 1, **keywords),
    "max_pool_backward": lambda x=MATRIX, **keywords: ik.max_pool_backward(x, PLACES, (3, 3), **keywords),
    "max_unpool": lambda x=MATRIX, **keywords: ik.max_unpool(x, PLACES, (3, 3), **keywords),
    "avg_pool": lambda x=MATRIX, **keywords: ik.avg_pool(x, 1, **keywords),
    "avg_pool_backward": lambda x=MATRIX, **keywords: ik.avg_pool_backward(x, (3, 3), 1, **keywords),
    "adaptive_max_pool": lambda x=MATRIX, **keywords: ik.adaptive_max_pool(x, 3, **keywords),
    "adaptive_avg_pool": lambda x=MATRIX, **keywords: ik.adaptive_avg_pool(x, 3, **keywords),
    "adaptive_avg_pool_backward": lambda x=MATRIX, **keywords: ik.adaptive_avg_pool_backward(x, (3, 3), **keywords),
}
# Of the gradient alone: results of floats, whatever `dtype` asks for
GRADIENTS = {"avg_pool_backward", "adaptive_avg_pool_backward"}
# Functions of images with channels, which have three core axes
LEARNED = {
    "conv2d": lambda x, **keywords: ik.conv2d(x, np.ones((2, 3, 1, 1)), **keywords),
    "conv2d_backward_input": lambda x, **keywords: ik.conv2d_backward_input(
        x, np.ones((3, 2, 1, 1)), channels_last_shape(x, 2, keywords.get("axes")), **keywords
    ),
    "conv2d_backward_weight": lambda x, **keywords: ik.conv2d_backward_weight(x, x, (3, 3, 1, 1), **keywords),
    "conv_transpose2d": lambda x, **keywords: ik.conv_transpose2d(x, np.ones((3, 2, 1, 1)), **keywords),
}


def channels_last_shape(x, channels, axes):
    """Return the shape of images like `x` with another number of channels."""
    shape = list(np.shape(x))
    shape[-3 if axes is None else axes[0]] = channels
    return tuple(shape)


# With two results
NUMPY_PAIRS = {"divmod": lambda x=MATRIX, **keywords: np.divmod(x, MATRIX + 1, **keywords)}
OUR_PAIRS = {
    "max_pool_with_argmax": lambda x=MATRIX, **keywords: ik.max_pool_with_argmax(x, 1, **keywords),
    "adaptive_max_pool_with_argmax": lambda x=MATRIX, **keywords: ik.adaptive_max_pool_with_argmax(x, 3, **keywords),
}
# With the second of two inputs
NUMPY_SECOND = {"matmul": lambda y: np.matmul(MATRIX, y), "vecdot": lambda y: np.vecdot(MATRIX, y)}
OUR_SECOND = {
    "correlate": lambda y: ik.correlate(MATRIX, y),
    "convolve": lambda y: ik.convolve(MATRIX, y),
    "max_pool_backward": lambda y: ik.max_pool_backward(MATRIX, np.zeros((3, 3), int) if y is MATRIX else y, (3, 3)),
    "max_unpool": lambda y: ik.max_unpool(MATRIX, np.zeros((3, 3), int) if y is MATRIX else y, (3, 3)),
}
SCATTERS = {"max_pool_backward", "max_unpool"}  # whose second input is places


def test_every_function_is_measured():
    assert KERNELS.keys() == OURS.keys() | OUR_PAIRS.keys() | LEARNED.keys()
    assert {name for name in KERNELS if KERNELS[name].nin == 2} == OUR_SECOND.keys() | LEARNED.keys()
    assert {name for name in KERNELS if KERNELS[name].nout == 2} == OUR_PAIRS.keys()


class Subclass(np.ndarray):
    pass


class RefusingSubclass(np.ndarray):
    __array_ufunc__ = None


class Refusing:
    __array_ufunc__ = None

    def __array__(self, dtype=None, copy=None):
        return MATRIX.copy()


class Converts:
    def __array__(self, dtype=None, copy=None):
        return MATRIX.copy()


def elsewhere(module):
    """Return what numpy.asarray takes and what says that it comes from another package."""
    return type("Array", (Converts,), {"__module__": module})()


def outcome(call, *inputs, **keywords):
    """Return the built-in class of the exception, or of every result "out" where that is returned, else its type."""
    try:
        results = call(*inputs, **keywords)
    except Exception as error:
        kinds = (TypeError, ValueError, RuntimeError)
        return next((kind.__name__ for kind in kinds if isinstance(error, kind)), type(error).__name__)
    results = results if isinstance(results, tuple) else (results,)
    given = keywords.get("out")
    given = given if isinstance(given, tuple) else (given,)
    return ["out" if any(result is array for array in given) else type(result).__name__ for result in results]


def agree_unless(differs, ours, numpys):
    """Assert that two outcomes are the same, or that the difference on purpose is one."""
    assert (ours != numpys) == bool(differs), f"ours: {ours}, NumPy's: {numpys}, on purpose: {differs or 'nothing'}"


# Keywords


@dataclass(frozen=True)
class Row:
    """A call with the keywords that `make` gives for what the call returns; `differs` is a difference on purpose."""

    name: str
    make: object
    differs: str = ""


def row(name, differs="", **keywords):
    return Row(name, lambda result: keywords, differs)


def out(name, change, differs="", **keywords):
    return Row(f"out {name}", lambda result: {"out": change(result), **keywords}, differs)


def rows(table):
    return pytest.mark.parametrize("row", table, ids=[row.name.replace(" ", "-") for row in table])


def read_only(array):
    array.flags.writeable = False
    return array


def unaligned(array):
    return np.zeros(array.shape, [("flag", "u1"), ("value", array.dtype)])["value"]


CASTINGS = ("no", "equiv", "safe", "same_kind", "unsafe")
KEYWORDS = [
    row("nothing"),
    out("an array", lambda array: array),
    out("None", lambda array: None),
    out("a tuple", lambda array: (array,)),
    out("a tuple of None", lambda array: (None,)),
    out("a list", lambda array: [array]),
    out("nested lists", lambda array: array.tolist()),
    out("a string", lambda array: "out"),
    out("a tuple of a string", lambda array: ("out",)),
    out("an empty tuple", lambda array: ()),
    out("a tuple of two", lambda array: (array, array.copy())),
    out("a tuple of two one None", lambda array: (array, None)),
    out("larger", lambda array: np.zeros((*array.shape[:-1], 4))),
    out("smaller", lambda array: np.zeros((*array.shape[:-1], 2))),
    out("empty", lambda array: np.zeros((*array.shape[:-1], 0))),
    out("without a dimension", lambda array: np.zeros(())),
    out("with a loop axis of one", lambda array: array[np.newaxis], LOOP_AXES),
    out("with a loop axis of two", lambda array: np.zeros((2, *array.shape)), LOOP_AXES),
    out("read-only", read_only),
    out("strided", lambda array: np.zeros((*array.shape, 2))[..., 0]),
    out("in Fortran order", np.asfortranarray),
    out("backwards", lambda array: array[..., ::-1]),
    out("unaligned", unaligned),
    out("in the other byte order", lambda array: array.astype(">f8")),
    out("of a subclass", lambda array: array.view(Subclass)),
    out("of a subclass that refuses ufuncs", lambda array: array.view(RefusingSubclass)),
    out("that refuses ufuncs", lambda array: Refusing()),
    out("masked", np.ma.masked_array, MASKED),
    out("of dates", lambda array: array.astype("M8[s]")),
    *(out(f"of {dtype}", lambda array, dtype=dtype: array.astype(dtype)) for dtype in DTYPES),
    *(
        out(f"of {dtype} {casting}", lambda array, dtype=dtype: array.astype(dtype), casting=casting)
        for dtype, casting in itertools.product(("f8", ">f8", "f4", ">f4", "i4", "u1", "?"), CASTINGS)
    ),
    out("and casting foo", lambda array: array, casting="foo"),
    *(row(f"casting {casting}", casting=casting) for casting in CASTINGS),
    *(row(f"casting {casting!r}", casting=casting) for casting in ("foo", "", "SAFE", 3, None, True)),
    row("dtype None", dtype=None),
    row("dtype of the inputs", dtype="f8"),
    row("dtype a class", dtype=np.float64),
    row("dtype narrower", dtype="f4"),
    row("dtype narrower than casting allows", DTYPE, dtype="f4", casting="safe"),
    row("dtype of another kind", DTYPE, dtype="i4"),
    row("dtype unknown", dtype="foo"),
    row("dtype a number", dtype=3),
    row("dtype dates", dtype="M8[s]"),
    row("dtype strings", dtype="S3"),
    row("dtype records", dtype=[("a", "f8")]),
    row("axes of all operands", AXES, axes=[(-2, -1), (-2, -1), (-2, -1)]),
    row("axes of one operand", AXES, axes=(-2, -1)),
    row("axes a number", axes=1),
    row("axes a string", axes="ab"),
    row("unknown", foo=1),
    row("where", where=True),
]


@pytest.mark.parametrize("name", OURS)
@rows(KEYWORDS)
def test_keywords(row, name):
    found = outcome(OURS[name], **row.make(OURS[name]()))
    for peer_name, call in NUMPY.items():
        if row.differs == AXES and peer_name == "vecdot":
            continue  # it has other core axes
        # Gradients of averages are floats whatever is asked for: there NumPy's answer is ours.
        differs = "" if name in GRADIENTS and row.name == "dtype of another kind" else row.differs
        agree_unless(differs, found, outcome(call, **row.make(call())))


PAIR_KEYWORDS = [
    row("nothing"),
    out("both", lambda pair: pair),
    out("first", lambda pair: (pair[0], None)),
    out("second", lambda pair: (None, pair[1])),
    out("neither", lambda pair: (None, None)),
    out("a list", list),
    out("an array", lambda pair: pair[0]),
    out("a string", lambda pair: "ab"),
    out("an empty tuple", lambda pair: ()),
    out("a tuple of one", lambda pair: pair[:1]),
    out("a tuple of three", lambda pair: (*pair, None)),
    out("a string among them", lambda pair: (pair[0], "out")),
    out("a list among them", lambda pair: (pair[0].tolist(), None)),
    out("first read-only", lambda pair: (read_only(pair[0]), pair[1])),
    out("second read-only", lambda pair: (pair[0], read_only(pair[1]))),
    out("first smaller", lambda pair: (pair[0][:2], pair[1])),
    out("second smaller", lambda pair: (pair[0], pair[1][:, :2])),
    out("first with a loop axis", lambda pair: (pair[0][np.newaxis], None), LOOP_AXES),
    out("second with a loop axis", lambda pair: (None, np.zeros((2, *pair[1].shape), pair[1].dtype)), LOOP_AXES),
    out("first masked", lambda pair: (np.ma.masked_array(pair[0]), None), MASKED),
    out("second masked", lambda pair: (None, np.ma.masked_array(pair[1])), MASKED),
    out("first of a subclass", lambda pair: (pair[0].view(Subclass), None)),
    out("first too narrow", lambda pair: (pair[0].astype("i4"), None)),
    out("second too narrow", lambda pair: (None, pair[1].astype("?"))),
    out("first narrower", lambda pair: (pair[0].astype("f4"), None)),
    out("first narrower safe", lambda pair: (pair[0].astype("f4"), None), casting="safe"),
    out("second swapped no", lambda pair: (None, pair[1].astype(pair[1].dtype.newbyteorder())), casting="no"),
    out("second swapped equiv", lambda pair: (None, pair[1].astype(pair[1].dtype.newbyteorder())), casting="equiv"),
    out("unsafe", lambda pair: (pair[0].astype("?"), pair[1].astype("u1")), casting="unsafe"),
    row("casting foo", casting="foo"),
    row("casting 3", casting=3),
    row("dtype narrower than casting allows", DTYPE, dtype="f4", casting="safe"),
]


@pytest.mark.parametrize("name", OUR_PAIRS)
@rows(PAIR_KEYWORDS)
def test_keywords_of_functions_with_two_results(row, name):
    found = outcome(OUR_PAIRS[name], **row.make(OUR_PAIRS[name]()))
    for call in NUMPY_PAIRS.values():
        agree_unless(row.differs, found, outcome(call, **row.make(call())))


@pytest.mark.parametrize("name", sorted(OURS | OUR_PAIRS))
@pytest.mark.parametrize(
    "axes", [(-2, -1), (0, 1), (1, 0), (0, 0), (1, -1), (0, 2), (-3, 0), (0,), (0, 1, 2), (0.0, 1), (False, True), "01"]
)
def test_axes_of_one_operand(axes, name):
    found = outcome((OURS | OUR_PAIRS)[name], axes=axes)
    wanted = outcome(NUMPY["matmul"], axes=[axes, (0, 1), (0, 1)])
    agree_unless("", found if isinstance(found, str) else found[:1], wanted)


# Inputs


INPUTS = {
    "an array": (MATRIX, ""),
    "lists": (MATRIX.tolist(), ""),
    "float32": (MATRIX.astype("f4"), ""),
    "the other byte order": (MATRIX.astype(">f8"), ""),
    "Fortran order": (np.asfortranarray(MATRIX), ""),
    "backwards": (MATRIX[::-1, ::-1], ""),
    "broadcast": (np.broadcast_to(1.0, (3, 3)), ""),
    "read-only": (read_only(MATRIX.copy()), ""),
    "converts": (Converts(), ""),
    "ragged lists": ([[1.0, 2.0], [3.0]], ""),
    "a number": (3.0, ""),
    "a string": ("abc", ""),
    "dates": (MATRIX.astype("M8[s]"), ""),
    "strings": (MATRIX.astype("S3"), ""),
    "records": (np.zeros((3, 3), [("a", "f8")]), ""),
    "refuses ufuncs": (Refusing(), ""),
    "a subclass that refuses ufuncs": (MATRIX.view(RefusingSubclass), ""),
    "a subclass": (MATRIX.view(Subclass), SUBCLASS),
    "masked": (np.ma.masked_array(MATRIX), MASKED),
    "masked without a mask": (np.ma.masked_array(MATRIX, mask=np.ma.nomask), MASKED),
    "cupy": (elsewhere("cupy"), ELSEWHERE),
    "jax": (elsewhere("jaxlib._jax"), ELSEWHERE),
}
inputs = pytest.mark.parametrize(("value", "differs"), INPUTS.values(), ids=[name.replace(" ", "-") for name in INPUTS])


def single(found):
    return found if isinstance(found, str) else found[0]


@pytest.mark.parametrize("name", sorted(OURS | OUR_PAIRS))
@inputs
def test_inputs(value, differs, name):
    found = single(outcome((OURS | OUR_PAIRS)[name], value))
    for call in NUMPY.values():
        agree_unless(differs, found, single(outcome(call, value)))


@pytest.mark.parametrize("name", OUR_SECOND)
@inputs
def test_second_inputs(value, differs, name):
    if name in SCATTERS:
        value = as_places(value)
    found = single(outcome(OUR_SECOND[name], value))
    for call in NUMPY_SECOND.values():
        agree_unless(differs, found, single(outcome(call, value)))


def as_places(value):
    """Return the same kind of input with indices in place of the numbers of MATRIX."""
    if type(value) is Converts:
        return type("ConvertsToPlaces", (), {"__array__": lambda self, dtype=None, copy=None: PLACES})()
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return value.astype(value.dtype.str.replace("f", "i"))
    if isinstance(value, float):
        return int(value)
    return PLACES.tolist() if isinstance(value, list) and len(value) == 3 else value


@pytest.mark.parametrize("name", sorted(OURS | OUR_PAIRS))
def test_dask_and_xarray_are_refused_with_the_adapters_name(name):
    call = (OURS | OUR_PAIRS)[name]
    lazy = peer("dask.array").from_array(MATRIX)
    agree_unless(ELSEWHERE, outcome(call, lazy), outcome(NUMPY["matmul"], lazy))
    with pytest.raises(TypeError, match=r"\b(image|grad|values) must be .* imkernels\.pipeline\.dask"):
        call(lazy)
    labelled = peer("xarray").DataArray(MATRIX)
    agree_unless(ELSEWHERE, outcome(call, labelled), outcome(NUMPY["matmul"], labelled))
    with pytest.raises(TypeError, match=r"\b(image|grad|values) must be .* xarray\.apply_ufunc"):
        call(labelled)


def test_nothing_of_dask_is_ever_computed_silently():
    dask_array = peer("dask.array")

    def computed(block):
        raise AssertionError("computed")

    lazy = dask_array.from_array(MATRIX).map_blocks(computed, dtype=float, meta=MATRIX)
    for call in (*OURS.values(), *OUR_PAIRS.values(), *OUR_SECOND.values()):
        for value in (lazy, [lazy, lazy], (lazy,)):
            with pytest.raises(TypeError, match="dask"):
                call(value)
    with pytest.raises(TypeError, match="dask"):
        ik.median_filter(MATRIX, footprint=lazy)


@pytest.mark.parametrize("module", ["cupy", "jax.numpy", "jaxlib._jax", "dask.array.core", "xarray.core.dataarray"])
@pytest.mark.parametrize("name", sorted(OURS | OUR_PAIRS))
def test_arrays_of_other_packages_are_refused_with_a_way_out(module, name):
    with pytest.raises(
        TypeError, match=r"^(image|grad|values) must be an array in this process's memory, got Array; use \w+"
    ):
        (OURS | OUR_PAIRS)[name](elsewhere(module))


def test_the_list_of_differences_is_closed():
    used = {row.differs for row in KEYWORDS} | {differs for _, differs in INPUTS.values()}
    assert used - {""} == DIFFERENCES
    assert {row.differs for row in PAIR_KEYWORDS} <= DIFFERENCES | {""}


# Results


@pytest.mark.parametrize("name", [*NUMPY, *OURS])
@pytest.mark.parametrize("shift", [-4, -3, -1, 0, 1, 2, 3])
def test_an_out_that_overlaps_the_input_is_as_if_it_had_been_copied(name, shift):
    call = (NUMPY | OURS)[name]
    memory = np.random.default_rng(1).integers(-9, 9, 20).astype(float)
    image = memory[5:14].reshape(3, 3)
    wanted = call(image.copy())
    target = memory[5 + shift : 5 + shift + wanted.size].reshape(wanted.shape)
    assert call(image, out=target) is target
    np.testing.assert_array_equal(target, wanted)


@pytest.mark.parametrize("name", [*NUMPY, *OURS])
def test_an_out_that_is_the_second_input(name):
    if name in OUR_SECOND:
        kernel = MATRIX.astype(int) if name in SCATTERS else MATRIX.copy()
        wanted = OUR_SECOND[name](kernel.copy())
        shape = [(3, 3)] if name in SCATTERS else []
        result = KERNELS[name](MATRIX, kernel, *shape, out=kernel, casting="unsafe")
        assert result is kernel
        np.testing.assert_array_equal(kernel, wanted.astype(kernel.dtype))
    elif name == "matmul":
        second = MATRIX.copy()
        np.matmul(MATRIX, second, out=second)
        np.testing.assert_array_equal(second, MATRIX @ MATRIX)


@pytest.mark.parametrize("name", sorted(OURS | OUR_PAIRS))
def test_results_are_new_arrays_in_c_order(name):
    call = (OURS | OUR_PAIRS)[name]
    for image in (MATRIX, np.asfortranarray(MATRIX), MATRIX.view(Subclass), MATRIX.astype(">f8")):
        results = call(image)
        for result in results if isinstance(results, tuple) else (results,):
            assert type(result) is np.ndarray
            assert result.flags.c_contiguous
            assert result.flags.owndata
            assert result.flags.writeable
            assert result.dtype.isnative
            assert not np.shares_memory(result, image)


@pytest.mark.parametrize("name", sorted(OURS | OUR_PAIRS))
@pytest.mark.parametrize("lead", [(0,), (2, 0), (0, 3)])
def test_empty_loops_give_empty_results(name, lead):
    if name in SCATTERS:
        results = KERNELS[name](np.zeros((*lead, 3, 3)), np.zeros((*lead, 3, 3), int), (3, 3))
    else:
        results = (OURS | OUR_PAIRS)[name](np.zeros((*lead, 3, 3)))
    for result in results if isinstance(results, tuple) else (results,):
        assert result.shape == (*lead, 3, 3)
    assert np.matmul(np.zeros((*lead, 3, 3)), MATRIX).shape == (*lead, 3, 3)


def test_loop_axes_broadcast_as_in_matmul():
    for one, other in itertools.product([(), (1,), (4,), (2, 1), (3, 1, 4)], [(), (1,), (4,), (2, 4), (2, 1), (0,)]):
        images, kernels = np.ones((*one, 5, 6)), np.ones((*other, 3, 3))
        wanted = outcome(lambda a, b: np.matmul(np.ones((*a, 2, 2)), np.ones((*b, 2, 2))), one, other)
        assert outcome(ik.correlate, images, kernels) == wanted
        if wanted != "ValueError":
            assert ik.correlate(images, kernels).shape == (*np.broadcast_shapes(one, other), 5, 6)


# Attributes


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "attribute", ["nin", "nout", "nargs", "ntypes", "types", "signature", "identity", "__name__", "__doc__"]
)
def test_attributes_are_those_of_a_ufunc(name, attribute):
    assert type(getattr(KERNELS[name], attribute)) is type(getattr(np.matmul, attribute))


@pytest.mark.parametrize(
    ("name", "signature"),
    [
        ("median_filter", "(h,w)->(p,q)"),
        ("box_blur", "(h,w)->(p,q)"),
        ("rank_filter", "(h,w)->(p,q)"),
        ("percentile_filter", "(h,w)->(p,q)"),
        ("minimum_filter", "(h,w)->(p,q)"),
        ("maximum_filter", "(h,w)->(p,q)"),
        ("gaussian_filter", "(h,w)->(p,q)"),
        ("correlate", "(h,w),(k,l)->(p,q)"),
        ("convolve", "(h,w),(k,l)->(p,q)"),
        ("correlate_separable", "(h,w),(k),(l)->(p,q)"),
        ("max_pool", "(h,w)->(p,q)"),
        ("max_pool_with_argmax", "(h,w)->(p,q),(p,q)"),
        ("max_pool_backward", "(p,q),(p,q)->(h,w)"),
        ("max_unpool", "(p,q),(p,q)->(h,w)"),
        ("avg_pool", "(h,w)->(p,q)"),
        ("avg_pool_backward", "(p,q)->(h,w)"),
        ("adaptive_max_pool", "(h,w)->(p,q)"),
        ("adaptive_max_pool_with_argmax", "(h,w)->(p,q),(p,q)"),
        ("adaptive_avg_pool", "(h,w)->(p,q)"),
        ("adaptive_avg_pool_backward", "(p,q)->(h,w)"),
        ("conv2d", "(c,h,w),(o,d,k,l)->(o,p,q)"),
        ("conv2d_backward_input", "(o,p,q),(o,d,k,l)->(c,h,w)"),
        ("conv2d_backward_weight", "(o,p,q),(c,h,w)->(o,d,k,l)"),
        ("conv_transpose2d", "(c,h,w),(c,d,k,l)->(o,p,q)"),
    ],
)
def test_signatures_and_numbers_of_operands(name, signature):
    function = KERNELS[name]
    inputs, outputs = signature.split("->")
    assert function.signature == signature
    assert function.nin == inputs.count("(")
    assert function.nout == outputs.count("(")
    assert function.nargs == function.nin + function.nout
    assert function.ntypes == len(function.types) == len(set(function.types))
    for loop in function.types:
        assert re.fullmatch(rf".{{{function.nin}}}->.{{{function.nout}}}", loop)


@pytest.mark.parametrize("name", NAMES)
def test_identity_is_none_as_for_matmul(name):
    assert KERNELS[name].identity is np.matmul.identity is None


@pytest.mark.parametrize("name", NAMES)
def test_they_are_no_ufuncs_and_do_not_say_so(name):
    function = KERNELS[name]
    assert not isinstance(function, np.ufunc)
    assert callable(function)
    assert "ufunc" not in repr(function)
    assert name in repr(function)
    assert not re.search(r"\bufuncs?\b(?!-like)", function.__doc__)
    assert function.__name__ == function.__qualname__ == name
    assert function.__module__ == "imkernels"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("attribute", ["reduce", "accumulate", "reduceat", "outer", "at"])
def test_the_methods_of_ufuncs_do_not_exist(name, attribute):
    assert hasattr(np.add, attribute)
    assert not hasattr(KERNELS[name], attribute)


@pytest.mark.parametrize("name", sorted(OURS | OUR_PAIRS))
@pytest.mark.parametrize("keyword", ["where", "axis", "keepdims", "order", "subok"])
def test_keywords_that_are_not_offered(name, keyword):
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{keyword}'"):
        (OURS | OUR_PAIRS)[name](**{keyword: None})


@pytest.mark.parametrize("name", NAMES)
def test_pickle_and_copy_give_the_same_object(name):
    function = KERNELS[name]
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(function, protocol)) is function
    assert copy.copy(function) is function
    assert copy.deepcopy([function])[0] is function
    assert {function: 1}[function] == 1
    assert pickle.loads(pickle.dumps(np.matmul)) is np.matmul


COMMON = "out=None, axes=None, dtype=None, casting='same_kind', workers=None"
BORDER = "mode='reflect', cval=0.0, origin=0"
ORDER = f"*, footprint=None, stride=1, padding='same', {BORDER}, nan='propagate'"
AVERAGE = "stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None"
LAYER = "stride=1, padding=0, dilation=1, groups=1"


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("median_filter", f"image, size=None, {ORDER}, method='auto'"),
        ("rank_filter", f"image, rank, size=None, {ORDER}, method='auto'"),
        ("percentile_filter", f"image, percentile, size=None, {ORDER}, method='auto'"),
        ("minimum_filter", f"image, size=None, {ORDER}"),
        ("maximum_filter", f"image, size=None, {ORDER}"),
        ("box_blur", f"image, size, *, stride=1, padding='same', {BORDER}, normalize=True"),
        ("correlate", f"image, kernel, *, stride=1, dilation=1, padding='same', {BORDER}, method='auto'"),
        ("convolve", f"image, kernel, *, stride=1, dilation=1, padding='same', {BORDER}, method='auto'"),
        ("correlate_separable", f"image, column, row, *, stride=1, dilation=1, padding='same', {BORDER}"),
        (
            "gaussian_filter",
            "image, sigma, *, truncate=4.0, stride=1, padding='same', mode='reflect', cval=0.0",
        ),
        ("max_pool", "image, size, *, stride=None, padding=0, dilation=1, ceil_mode=False"),
        ("max_pool_with_argmax", "image, size, *, stride=None, padding=0, dilation=1, ceil_mode=False"),
        ("max_pool_backward", "grad, argmax, shape, *"),
        ("max_unpool", "values, argmax, shape, *"),
        ("avg_pool", f"image, size, *, {AVERAGE}"),
        ("avg_pool_backward", f"grad, shape, size, *, {AVERAGE}"),
        ("adaptive_max_pool", "image, output_size, *"),
        ("adaptive_max_pool_with_argmax", "image, output_size, *"),
        ("adaptive_avg_pool", "image, output_size, *"),
        ("adaptive_avg_pool_backward", "grad, shape, *"),
        ("conv2d", f"x, weight, *, bias=None, {LAYER}"),
        ("conv2d_backward_input", f"grad, weight, input_shape, *, {LAYER}"),
        ("conv2d_backward_weight", f"grad, x, weight_shape, *, {LAYER}"),
        ("conv_transpose2d", "x, weight, *, bias=None, stride=1, padding=0, output_padding=0, dilation=1, groups=1"),
    ],
)
def test_python_signatures(name, parameters):
    signature = inspect.signature(KERNELS[name])
    assert signature == KERNELS[name].__signature__
    bare = [parameter.replace(annotation=parameter.empty) for parameter in signature.parameters.values()]
    assert str(inspect.Signature(bare)) == f"({parameters}, {COMMON})"


# Loops


def first_loop(types, dtypes):
    """Return the first loop that all inputs reach by safe casts, as documented."""
    for loop in types:
        characters = loop.split("->")[0]
        if all(np.can_cast(dtype, character, "safe") for dtype, character in zip(dtypes, characters, strict=True)):
            return loop
    return None


EXTENTS = {
    "correlate_separable": [(3, 3), (3,), (3,)],
    "conv2d": [(2, 3, 3), (1, 2, 2, 2)],
    "conv_transpose2d": [(2, 3, 3), (2, 1, 2, 2)],
    "conv2d_backward_input": [(1, 2, 2), (1, 2, 2, 2)],
    "conv2d_backward_weight": [(1, 2, 2), (2, 3, 3)],
}
# What follows the inputs: sizes, ranks and shapes
REST = {
    "rank_filter": [1, 2],
    "percentile_filter": [30, 2],
    "max_pool_backward": [(2, 2)],
    "max_unpool": [(2, 2)],
    "avg_pool_backward": [(6, 6), 2],
    "adaptive_avg_pool_backward": [(6, 6)],
    "conv2d_backward_input": [(2, 3, 3)],
    "conv2d_backward_weight": [(1, 2, 2, 2)],
}


def call_with(name, dtypes, **keywords):
    """Return the results of a call whose inputs have these dtypes, as a tuple."""
    function = KERNELS[name]
    arrays = [np.ones(extents, dtype) for extents, dtype in zip(EXTENTS.get(name, [(3, 3)] * 2), dtypes, strict=False)]
    rest = REST.get(name, [2] if function.nin == 1 else [])
    results = function(*arrays, *rest, **keywords)
    return results if isinstance(results, tuple) else (results,)


def dtypes_of(loop):
    inputs, outputs = loop.split("->")
    return [np.dtype(character) for character in inputs], [np.dtype(character) for character in outputs]


@pytest.mark.parametrize(("name", "loop"), [(name, loop) for name in NAMES for loop in KERNELS[name].types])
def test_every_loop_that_is_listed_is_there(name, loop):
    given, wanted = dtypes_of(loop)
    assert [result.dtype for result in call_with(name, given)] == wanted
    assert KERNELS[name].resolve_dtypes((*given, *[None] * len(wanted))) == (*given, *wanted)


@pytest.mark.parametrize("name", NAMES)
def test_every_loop_is_one_that_its_own_dtypes_choose(name):
    for loop in KERNELS[name].types:
        assert first_loop(KERNELS[name].types, dtypes_of(loop)[0]) == loop


UNSUPPORTED = [np.dtype(kind) for kind in ("g", "F", "D", "O", "S3", "U3", "M8[s]", "m8[s]", "V4")]
EVERY_DTYPE = [*DTYPES, *(dtype.newbyteorder() for dtype in DTYPES if dtype.itemsize > 1), *UNSUPPORTED]


@pytest.mark.parametrize("name", NAMES)
def test_resolve_dtypes_agrees_with_the_call(name):
    function = KERNELS[name]
    accepted = 0
    for given in itertools.product(EVERY_DTYPE, repeat=function.nin):
        try:
            results = call_with(name, given)
        except TypeError:
            refused = outcome(function.resolve_dtypes, (*given, *[None] * function.nout))
            assert refused == "TypeError", given
            continue
        resolved = function.resolve_dtypes((*given, *[None] * function.nout))
        assert [result.dtype for result in results] == list(resolved[function.nin :]), given
        accepted += 1
    assert accepted >= function.ntypes


@pytest.mark.parametrize("name", NAMES)
def test_the_loop_is_the_first_that_all_inputs_reach_by_safe_casts(name):
    function = KERNELS[name]
    for given in itertools.product(DTYPES, repeat=function.nin):
        try:
            resolved = function.resolve_dtypes((*given, *[None] * function.nout))
        except TypeError:
            continue  # refused by name, such as sums of bool: test_resolve_dtypes_agrees_with_the_call
        if name in SCATTERS and given[1].kind in "iu":
            continue  # indices of any width are read
        inputs, outputs = dtypes_of(first_loop(function.types, given))
        assert resolved == (*inputs, *outputs), given


def test_integer_positions_of_every_dtype_are_resolved():
    for kind in INTEGERS:
        resolved = ik.max_pool_backward.resolve_dtypes((np.dtype("f4"), kind, None))
        assert resolved == (np.dtype("f4"), np.dtype(np.intp), np.dtype("f4"))


RESOLUTIONS = {
    "no output": (["f8", None], {}),
    "the same output": (["f8", "f8"], {}),
    "a wider output": (["f4", "f8"], {}),
    "a narrower output": (["f8", "f4"], {}),
    "a narrower output, safe": (["f8", "f4"], {"casting": "safe"}),
    "another kind of output": (["f8", "i4"], {}),
    "another kind of output, unsafe": (["f8", "i4"], {"casting": "unsafe"}),
    "the other byte order": ([">f8", None], {}),
    "the other byte order of the output": (["f8", ">f8"], {}),
    "strings": (["S3", None], {}),
    "dates": (["M8[s]", None], {}),
    "no input": ([None, None], {}),
    "too few": (["f8"], {}),
    "too many": (["f8", None, None], {}),
    "an unknown casting": (["f8", None], {"casting": "foo"}),
    "a casting that is no string": (["f8", None], {"casting": 3}),
}


@pytest.mark.parametrize("name", ["median_filter", "box_blur"])
@pytest.mark.parametrize(
    ("dtypes", "keywords"), RESOLUTIONS.values(), ids=[key.replace(" ", "-") for key in RESOLUTIONS]
)
def test_resolve_dtypes_answers_as_numpy_does(name, dtypes, keywords):
    given = tuple(None if dtype is None else np.dtype(dtype) for dtype in dtypes)

    def numpys(**keywords):
        both_inputs = given[:1] + given  # matmul has two
        return np.matmul.resolve_dtypes(both_inputs, **keywords)[1:]

    def ours(**keywords):
        return KERNELS[name].resolve_dtypes(given, **keywords)

    wanted = outcome(numpys, **keywords)
    assert outcome(ours, **keywords) == wanted
    if not isinstance(wanted, str):
        assert ours(**keywords) == numpys(**keywords)


# dtype, which is that of the result


@pytest.mark.parametrize("name", sorted(OURS | OUR_PAIRS))
@pytest.mark.parametrize("dtype", [dtype for dtype in EVERY_DTYPE if dtype.kind != "b"], ids=str)
def test_dtype_is_that_of_the_result(name, dtype):
    call = (OURS | OUR_PAIRS)[name]
    if dtype in UNSUPPORTED or (name in GRADIENTS and dtype.kind != "f"):
        with pytest.raises(TypeError, match=rf"^dtype must be one that {name} has a loop for .*float64.* got "):
            call(dtype=dtype)
        return
    results = call(dtype=dtype)
    first = results[0] if isinstance(results, tuple) else results
    assert first.dtype == dtype.newbyteorder("=")
    assert first.dtype.isnative


def test_dtype_bool_has_loops_of_bool_alone():
    for name in ("median_filter", "max_pool_with_argmax"):
        assert call_with(name, ["?"], dtype=bool)[0].dtype == bool
    for call in (*OURS.values(), *OUR_PAIRS.values()):
        with pytest.raises(TypeError, match=r"^dtype must be one that \w+ has a loop for .* got bool$"):
            call(dtype=bool)


# Three core axes


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (-1, -3, -2), (1, 2, 0)])
def test_three_axes_name_channels_rows_and_columns(name, axes):
    x = np.arange(27.0).reshape(3, 3, 3)
    moved = np.moveaxis(x, (0, 1, 2), axes)
    wanted = LEARNED[name](x)
    found = LEARNED[name](moved, axes=axes)
    if name != "conv2d_backward_weight":  # its result is weights, which have axes of their own
        wanted = np.moveaxis(wanted, (0, 1, 2), axes)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize(
    ("axes", "error", "text"),
    [
        ((0, 1), ValueError, r"axes must be 3 ints, got \(0, 1\)"),
        ((0, 1, 1), ValueError, r"axes must be 3 different axes of \w+, which has 3, got \(0, 1, 1\)"),
        ((0, 1, 3), ValueError, r"axes must be 3 different axes of \w+, which has 3, got \(0, 1, 3\)"),
        ((0, 1, 2.0), TypeError, r"axes must be 3 ints, got \(0, 1, 2.0\)"),
        (1, TypeError, "axes must be 3 ints, got 1"),
        ("012", TypeError, "axes must be 3 ints, got '012'"),
    ],
)
def test_three_axes_that_are_not_there(name, axes, error, text):
    x = np.ones((3, 3, 3))
    rest = {"conv2d_backward_input": [(2, 3, 3)], "conv2d_backward_weight": [(3, 3, 1, 1)]}.get(name, [])
    second = x if name == "conv2d_backward_weight" else np.ones((3, 3, 1, 1))
    with pytest.raises(error, match=text):
        KERNELS[name](x, second, *rest, axes=axes)


@pytest.mark.parametrize("name", LEARNED)
def test_results_of_learned_convolution_go_to_out(name):
    x = np.arange(54.0).reshape(2, 3, 3, 3)
    wanted = LEARNED[name](x)
    out = np.empty_like(wanted)
    assert LEARNED[name](x, out=out) is out
    np.testing.assert_array_equal(out, wanted)
    assert LEARNED[name](x, out=(out,)) is out
    narrow = np.empty(wanted.shape, "f4")
    assert LEARNED[name](x, out=narrow) is narrow
    np.testing.assert_array_equal(narrow, wanted)
    with pytest.raises(ValueError, match="out must have the shape of the result"):
        LEARNED[name](x, out=np.empty((1, *wanted.shape)))
    with pytest.raises(TypeError, match="out must allow casting='same_kind' from float64, got dtype int32"):
        LEARNED[name](x, out=wanted.astype("i4"))
    with pytest.raises(ValueError, match="out must be writeable, got a read-only array"):
        LEARNED[name](x, out=read_only(out))
    assert LEARNED[name](x.astype("f4"), dtype="f8").dtype == np.float64
    assert LEARNED[name](x, dtype="f2").dtype == np.float16
    with pytest.raises(TypeError, match=f"dtype must be one that {name} has a loop for .* got bool"):
        LEARNED[name](x, dtype=bool)


@pytest.mark.parametrize("name", LEARNED)
def test_arrays_from_elsewhere_are_refused_by_learned_convolution(name):
    for value, text in [
        (elsewhere("cupy"), "must be an array in this process's memory"),
        (np.ma.masked_array(np.ones((3, 3, 3))), "must not be a MaskedArray"),
        (Refusing(), "refuses array functions"),
    ]:
        with pytest.raises(TypeError, match=text):
            KERNELS[name](value, np.ones((3, 3, 1, 1)), *REST.get(name, []))
        with pytest.raises(TypeError, match=text):
            KERNELS[name](np.ones((3, 3, 3)), value, *REST.get(name, []))
