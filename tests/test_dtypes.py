"""The dtype table of the contract, as data, against what calls return, what `types` lists and what the docs say."""

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

import imkernels as ik
import numpy as np
import pytest
from imkernels import _dtypes

from tests.cases import DTYPES, FLOATS, INTEGERS
from tests.test_docstrings import python_blocks, sections

PAGE = Path(__file__).parents[1] / "docs" / "dtypes.md"
F4 = np.dtype(np.float32)
REFUSED = None


# The contract. Each rule takes the dtypes of the inputs and gives those of the results, or says that they are refused.


def of_the_first(first, *others):
    """Return the dtype of the image, of the values, or of the gradient."""
    return first


def numbers_alone(first, *others):
    return REFUSED if first.kind == "b" else first


def floats_alone(first, *others):
    return first if first.kind == "f" else REFUSED


def sums(*inputs):
    if any(dtype.kind == "f" for dtype in inputs):
        return np.result_type(*inputs)
    if any(dtype.kind == "b" or dtype == np.uint64 for dtype in inputs):
        return REFUSED
    return np.dtype(np.int32 if all(dtype.itemsize == 1 for dtype in inputs) else np.int64)


def with_weights_of_float32(image):
    return np.result_type(image, F4)


def at_positions(rule):
    """Return a rule for a second input that holds integers of any width."""
    return lambda values, argmax: rule(values) if argmax.kind in "iu" else REFUSED


@dataclass(frozen=True)
class Row:
    """A row of the contract's table: its functions, as calls with one array per input."""

    rule: object
    calls: dict


PLACES = np.arange(4).reshape(2, 2)

CONTRACT = [
    Row(
        of_the_first,
        {
            "median_filter": lambda image: ik.median_filter(image, 2),
            "rank_filter": lambda image: ik.rank_filter(image, 1, 2),
            "percentile_filter": lambda image: ik.percentile_filter(image, 20, 2),
            "minimum_filter": lambda image: ik.minimum_filter(image, 2),
            "maximum_filter": lambda image: ik.maximum_filter(image, 2),
            "max_pool": lambda image: ik.max_pool(image, 2),
            "max_pool_with_argmax": lambda image: ik.max_pool_with_argmax(image, 2),
            "adaptive_max_pool": lambda image: ik.adaptive_max_pool(image, 2),
            "adaptive_max_pool_with_argmax": lambda image: ik.adaptive_max_pool_with_argmax(image, 2),
        },
    ),
    Row(
        at_positions(of_the_first),
        {"max_unpool": lambda values, argmax: ik.max_unpool(values, argmax, (2, 2))},
    ),
    Row(
        at_positions(numbers_alone),
        {"max_pool_backward": lambda grad, argmax: ik.max_pool_backward(grad, argmax, (2, 2))},
    ),
    Row(
        numbers_alone,
        {
            "box_blur": lambda image: ik.box_blur(image, 2),
            "avg_pool": lambda image: ik.avg_pool(image, 2),
            "adaptive_avg_pool": lambda image: ik.adaptive_avg_pool(image, 2),
        },
    ),
    Row(
        floats_alone,
        {
            "avg_pool_backward": lambda grad: ik.avg_pool_backward(grad, (6, 6), 2),
            "adaptive_avg_pool_backward": lambda grad: ik.adaptive_avg_pool_backward(grad, (5, 5)),
            "conv2d_backward_input": lambda grad, weight: ik.conv2d_backward_input(grad, weight, (1, 4, 4)),
            "conv2d_backward_weight": lambda grad, x: ik.conv2d_backward_weight(grad, x, (1, 1, 1, 1)),
        },
    ),
    Row(
        sums,
        {
            "correlate": ik.correlate,
            "convolve": ik.convolve,
            "correlate_separable": ik.correlate_separable,
            "conv2d": ik.conv2d,
            "conv_transpose2d": ik.conv_transpose2d,
        },
    ),
    Row(with_weights_of_float32, {"gaussian_filter": lambda image: ik.gaussian_filter(image, 1)}),
]
RULES = {name: row.rule for row in CONTRACT for name in row.calls}
CALLS = {name: call for row in CONTRACT for name, call in row.calls.items()}
every_function = pytest.mark.parametrize("name", CALLS)
# The inputs whose shape is not that of a 3 by 3 image.
SHAPES = {
    "correlate": [(3, 3), (2, 2)],
    "convolve": [(3, 3), (2, 2)],
    "correlate_separable": [(3, 3), (2,), (2,)],
    "conv2d": [(1, 3, 3), (1, 1, 2, 2)],
    "conv_transpose2d": [(1, 3, 3), (1, 1, 2, 2)],
    "conv2d_backward_input": [(1, 3, 3), (1, 1, 2, 2)],
    "conv2d_backward_weight": [(1, 3, 3), (1, 3, 3)],
    "max_pool_backward": [(2, 2), (2, 2)],
    "max_unpool": [(2, 2), (2, 2)],
}


def inputs_of(name):
    """Return all tuples of dtypes that can be given to a function."""
    return itertools.product(DTYPES, repeat=getattr(ik, name).nin)


def results_for(name, dtypes):
    """Return the results of a call with inputs of these dtypes, as a tuple."""
    shapes = SHAPES.get(name, [(3, 3)])
    arrays = [np.ones(shape, dtype) for shape, dtype in zip(shapes, dtypes, strict=True)]
    if name in ("max_pool_backward", "max_unpool"):
        arrays[1] = PLACES.astype(dtypes[1])
    results = CALLS[name](*arrays)
    return results if isinstance(results, tuple) else (results,)


def promised(name, dtypes):
    """Return the dtypes of the results by the contract, or None if it refuses those inputs."""
    dtype = RULES[name](*dtypes)
    if dtype is REFUSED:
        return REFUSED
    return (dtype, np.dtype(np.intp)) if getattr(ik, name).nout == 2 else (dtype,)


def test_the_contract_has_every_function():
    public = {name for name in ik.__all__ if hasattr(getattr(ik, name), "resolve_dtypes")}
    assert CALLS.keys() == public
    assert sum(len(row.calls) for row in CONTRACT) == len(CALLS)


# Calls


@every_function
def test_results_have_the_dtypes_of_the_contract(name):
    for dtypes in inputs_of(name):
        wanted = promised(name, dtypes)
        if wanted is REFUSED:
            with pytest.raises(TypeError):
                results_for(name, dtypes)
            continue
        results = results_for(name, dtypes)
        assert tuple(result.dtype for result in results) == wanted, dtypes
        assert all(result.dtype.isnative for result in results)


@every_function
def test_the_byte_order_of_inputs_does_not_matter(name):
    for dtypes in inputs_of(name):
        wanted = promised(name, dtypes)
        if wanted is REFUSED or len({dtype.itemsize for dtype in dtypes}) > 1:
            continue
        results = results_for(name, [dtype.newbyteorder() for dtype in dtypes])
        assert tuple(result.dtype for result in results) == wanted, dtypes
        for result, native in zip(results, results_for(name, dtypes), strict=True):
            np.testing.assert_array_equal(result, native)


@every_function
def test_resolve_dtypes_is_the_contract(name):
    function = getattr(ik, name)
    for dtypes in inputs_of(name):
        wanted = promised(name, dtypes)
        given = (*dtypes, *[None] * function.nout)
        if wanted is REFUSED:
            with pytest.raises(TypeError):
                function.resolve_dtypes(given)
        else:
            assert function.resolve_dtypes(given)[function.nin :] == wanted, dtypes


@every_function
def test_types_list_loops_of_the_contract(name):
    """Every loop that is listed gives what the contract says for its inputs, and each result has one."""
    function = getattr(ik, name)
    results = set()
    for loop in function.types:
        inputs, outputs = ([np.dtype(character) for character in part] for part in loop.split("->"))
        assert promised(name, inputs) == tuple(outputs), loop
        results.add(tuple(outputs))
    assert results == {promised(name, dtypes) for dtypes in inputs_of(name)} - {REFUSED}


# What the rows say besides


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS], ids=str)
def test_sums_of_boxes_are_wide(dtype):
    image = np.full((3, 3), 100, dtype)
    total = ik.box_blur(image, 3, normalize=False)
    assert total.dtype == {"i": np.dtype(np.int64), "u": np.dtype(np.uint64)}.get(dtype.kind, dtype)
    assert (total == 900).all()


@pytest.mark.parametrize("name", ["box_blur", "avg_pool", "adaptive_avg_pool"])
@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_means_of_integers_are_rounded_half_to_even_unless_a_float_is_asked_for(name, dtype):
    call = {
        "box_blur": lambda image, **keywords: ik.box_blur(image, (1, 2), padding="valid", **keywords)[:, ::2],
        "avg_pool": lambda image, **keywords: ik.avg_pool(image, (1, 2), **keywords),
        "adaptive_avg_pool": lambda image, **keywords: ik.adaptive_avg_pool(image, (1, 4), **keywords),
    }[name]
    image = np.array([[0, 1, 1, 2, 2, 3, 7, 9]], dtype)
    assert call(image).tolist() == [[0, 2, 2, 8]]
    for wide in (np.float32, np.float64):
        assert call(image, dtype=wide).tolist() == [[0.5, 1.5, 2.5, 8.0]]
        assert call(image, dtype=wide).dtype == wide


@pytest.mark.parametrize(
    "name", [name for name in CALLS if RULES[name] is of_the_first and getattr(ik, name).nout == 1]
)
def test_elements_come_back_bit_for_bit(name):
    for value in (2**63 - 1, 2**53 + 1, -(2**63)):
        assert (CALLS[name](np.full((3, 3), value, np.int64)) == value).all()
    assert (CALLS[name](np.full((3, 3), 2**64 - 1, np.uint64)) == 2**64 - 1).all()


# In float16 these sums would stay at 2048: 2048 + 1 rounds to even.
@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda row: ik.correlate(row, np.ones((1, 3), "f2"))[:, 1:2], id="correlate"),
        pytest.param(lambda row: ik.convolve(row, np.ones((1, 3), "f2"))[:, 1:2], id="convolve"),
        pytest.param(
            lambda row: ik.correlate_separable(row, np.ones(1, "f2"), np.ones(3, "f2"))[:, 1:2],
            id="correlate_separable",
        ),
        pytest.param(lambda row: ik.conv2d(row[None], np.ones((1, 1, 1, 3), "f2")), id="conv2d"),
        pytest.param(
            lambda row: ik.conv_transpose2d(row.reshape(3, 1, 1), np.ones((3, 1, 1, 1), "f2")), id="conv_transpose2d"
        ),
        pytest.param(
            lambda row: ik.conv2d_backward_input(row.reshape(3, 1, 1), np.ones((3, 1, 1, 1), "f2"), (1, 1, 1)),
            id="conv2d_backward_input",
        ),
        pytest.param(
            lambda row: ik.conv2d_backward_weight(row[None], np.ones((1, 1, 3), "f2"), (1, 1, 1, 1)),
            id="conv2d_backward_weight",
        ),
        pytest.param(lambda row: ik.max_pool_backward(row, np.zeros((1, 3), int), (1, 1)), id="max_pool_backward"),
        pytest.param(lambda row: ik.box_blur(row, (1, 3), padding="valid", normalize=False), id="box_blur"),
        pytest.param(lambda row: ik.avg_pool(row, (1, 3), divisor_override=1), id="avg_pool"),
        pytest.param(
            lambda row: ik.avg_pool_backward(row, (1, 3), (1, 3), stride=1, padding=(0, 1), divisor_override=1)[:, 1:2],
            id="avg_pool_backward",
        ),
    ],
)
def test_float16_is_rounded_once(call):
    total = call(np.array([[2048, 1, 1]], np.float16))
    assert total.dtype == np.float16
    assert total.ravel().tolist() == [2050]


# A kernel of N taps whose magnitudes sum up to the number given, in a row.
def row_of(total):
    taps = np.full((1, -(-total // 127)), 127, np.int8)
    taps[0, -1] = total - 127 * (taps.size - 1)
    return taps


BYTE_SUMS = {
    "correlate": lambda image, taps, **keywords: ik.correlate(image, taps, **keywords),
    "convolve": lambda image, taps, **keywords: ik.convolve(image, taps, **keywords),
    "correlate_separable": lambda image, taps, **keywords: ik.correlate_separable(
        image, np.array([-1], np.int8), taps[0], **keywords
    ),
    "conv2d": lambda image, taps, **keywords: ik.conv2d(image[None], taps[None, None], padding="same", **keywords),
    "conv_transpose2d": lambda image, taps, **keywords: ik.conv_transpose2d(
        image.reshape(1, 1, 1).repeat(taps.size, 0), taps.reshape(-1, 1, 1, 1), **keywords
    ),
}


@pytest.mark.parametrize("name", BYTE_SUMS)
@pytest.mark.parametrize(("dtype", "largest"), [("i1", 128), ("u1", 255)])
def test_sums_of_bytes_are_int32_as_long_as_none_can_pass_2_to_the_31(name, dtype, largest):
    most = (2**31 - 1) // largest  # of the sum of magnitudes
    image = np.array([[-128 if dtype == "i1" else 255]], dtype)
    found = BYTE_SUMS[name](image, row_of(most))
    assert found.dtype == np.int32
    if name != "conv2d":  # of which the window sees one pixel
        assert abs(int(found[0, 0].item() if found.size == 1 else found.ravel()[0])) == most * largest
    for more in (most + 1, most + 1000):
        with pytest.raises(ValueError, match=r"must keep .*below 2\*\*31, got \d+; dtype=numpy\.int64 computes it"):
            BYTE_SUMS[name](image, row_of(more))
    wide = BYTE_SUMS[name](image, row_of(most + 1), dtype=np.int64)
    assert wide.dtype == np.int64
    if name != "conv2d":
        assert abs(int(wide.ravel()[0])) == (most + 1) * largest


@pytest.mark.parametrize("name", BYTE_SUMS)
@pytest.mark.parametrize("dtype", ["i2", "u2", "i4", "u4", "i8"])
def test_sums_of_wider_integers_are_exact_modulo_2_to_the_64(name, dtype):
    largest = int(np.iinfo(dtype).max)
    taps = np.array([[np.iinfo(np.int64).max, 5, -(2**62)]], np.int64)
    image = np.array([[largest]], dtype)
    found = BYTE_SUMS[name](image, taps)
    seen = taps.ravel()[1] if name == "conv2d" else sum(map(int, taps.ravel()))
    sign = -1 if name == "correlate_separable" else 1
    assert found.dtype == np.int64
    assert int(found.ravel()[0]) == (sign * largest * int(seen) + 2**63) % 2**64 - 2**63


@pytest.mark.parametrize("name", ["correlate", "convolve", "conv2d", "conv_transpose2d", "correlate_separable"])
def test_what_is_refused_says_which_astype_to_use(name):
    count = getattr(ik, name).nin
    for wrong, way_out in (("?", r"astype\(numpy\.uint8\)"), ("u8", r"astype\(numpy\.int64\)")):
        for place in range(count):
            dtypes = [np.dtype("i2")] * count
            dtypes[place] = np.dtype(wrong)
            with pytest.raises(TypeError, match=way_out):
                results_for(name, dtypes)


# Documentation: the words of the code's table are read, and the calls have to bear them out.

SOME = {
    "bool": lambda *inputs: inputs[0].kind == "b",
    "integers": lambda *inputs: inputs[0].kind in "iu",
    "floats": lambda *inputs: inputs[0].kind == "f",
    "bool, integers, floats": lambda *inputs: True,
    "bool, integers, floats; positions are integers of any width": lambda values, argmax: argmax.kind in "iu",
    "integers, floats; positions are integers of any width": lambda grad, argmax: (
        grad.kind != "b" and argmax.kind in "iu"
    ),
    "a float anywhere": lambda *inputs: any(dtype.kind == "f" for dtype in inputs),
    "8-bit integers alone": lambda *inputs: all(dtype.kind in "iu" and dtype.itemsize == 1 for dtype in inputs),
    "bool or uint64 with integers": lambda *inputs: (
        all(dtype.kind != "f" for dtype in inputs) and any(d.kind == "b" or d == np.uint64 for d in inputs)
    ),
    "other integers": lambda *inputs: (
        all(dtype.kind in "iu" and dtype != np.uint64 for dtype in inputs) and any(d.itemsize > 1 for d in inputs)
    ),
    "bool, integers and floats of at most 16 bits, float32": lambda image: image.itemsize <= 2 or image == np.float32,
    "wider integers, float64": lambda image: image.itemsize > 2 and image != np.float32,
    "a float gradient; anything beside it": lambda grad, other: grad.kind == "f",
}
GIVES = {
    "the image's dtype": of_the_first,
    "the values' dtype": of_the_first,
    "the gradient's dtype": of_the_first,
    "`numpy.result_type` of the inputs": np.result_type,
    "int32": lambda *inputs: np.dtype(np.int32),
    "int64": lambda *inputs: np.dtype(np.int64),
    "float32": lambda *inputs: F4,
    "float64": lambda *inputs: np.dtype(np.float64),
    "TypeError": lambda *inputs: REFUSED,
}


def family_of(name):
    """Return the row of the code's table that a function has."""
    return getattr(ik, name)._dtypes


@every_function
def test_the_words_of_the_table_are_true(name):
    """Each pair of dtypes is told of once at most; what is not told of is refused."""
    for dtypes in inputs_of(name):
        told = [result for inputs, result in family_of(name).words if SOME[inputs](*dtypes)]
        assert len(told) <= 1, dtypes
        said = GIVES[re.split("[,;] ", told[0])[0]](*dtypes) if told else REFUSED
        assert said == RULES[name](*dtypes), (dtypes, told)


@every_function
def test_the_words_stand_in_the_docstring(name):
    notes = sections(getattr(ik, name))["Notes"]
    words = _dtypes.words(family_of(name))
    assert words in notes
    for inputs, result in family_of(name).words:
        assert f"{inputs}: {result}." in words.replace("``", "")


def test_words_are_marked_up():
    family = _dtypes.Family(("f->f",), (("bool", "TypeError"), ("floats", "the image's dtype")))
    assert _dtypes.words(family) == "- ``bool``: TypeError.\n- floats: the image's dtype."


def test_a_family_needs_arrows():
    with pytest.raises(ValueError, match=r"loops need an arrow, got \('ff',\)"):
        _dtypes.Family(("ff",), ())


def rendered():
    """Return the table of the page: the code's families in their order, each with its functions."""
    families = {id(family): family for family in vars(_dtypes).values() if isinstance(family, _dtypes.Family)}
    lines = ["| functions | inputs | result |", "|---|---|---|"]
    for words in dict.fromkeys(family.words for family in families.values()):
        functions = ", ".join(f"`{name}`" for name in CALLS if family_of(name).words == words)
        for number, (inputs, result) in enumerate(words):
            lines.append(f"| {functions if number == 0 else ''} | {inputs} | {result} |".replace("|  |", "| |"))
    return "\n".join(lines) + "\n"


def test_the_page_has_the_table_of_the_code():
    tables = re.findall(r"(?:^\|.*\n)+", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rendered() in tables, f"docs/dtypes.md should hold\n{rendered()}"


def test_the_page_has_every_function_once():
    table = rendered()
    for name in CALLS:
        assert table.count(f"`{name}`") == 1


def test_the_examples_of_the_page_run():
    """They are one program, in pieces."""
    blocks = python_blocks(PAGE.read_text(encoding="utf-8"))
    assert blocks
    exec(compile("".join(blocks), str(PAGE), "exec"), {"__name__": "page"})
