"""The private compiled layer called with wrong arguments: it raises, writes nothing and never crashes.

What a person reads is tested where the public functions are. Here C++ has to protect memory by itself.
"""

import re
from pathlib import Path

import numpy as np
import pytest
from imkernels import _core

from tests.processes import run_alone

ROOT = Path(__file__).parents[1]
LARGEST = 2**31 - 1
SENTINEL = 77


def window(size=(3, 3), stride=(1, 1), dilation=(1, 1), before=(1, 1), mode=("reflect", "reflect")):
    return _core.Window(size, stride, dilation, before, mode)


def image_of(dtype="u1", shape=(2, 8, 9)):
    return np.zeros(shape, dtype)


def result_of(dtype="u1", shape=(2, 8, 9)):
    return np.full(shape, SENTINEL, dtype)


def read_only(array):
    array.flags.writeable = False
    return array


OUTSIDE = ("constant", "constant")


def terms(*terms):
    """Return the terms of a sum, (tap, partner, weight) each."""
    taps = np.array([term[:2] for term in terms], np.int64).reshape(-1, 2)
    return _core.OrderedTerms(taps, np.array([term[2] for term in terms], np.float64), False)


def right_arguments(function):
    """Return arguments that `function` takes."""
    common = {"window": window(), "fill": image_of(shape=(1, 1)), "workers": 1}
    averages = {"window": window(mode=OUTSIDE), "after": (1, 1), "count_padding": True, "divisor": 0, "workers": 1}
    layer = {"window": window(mode=OUTSIDE), "groups": 2, "workers": 1}
    rule = {"rank": None, "percentile": 50.0}
    correlation = {"image": image_of(), "kernel": image_of("i4", (2, 3, 3)), "out": result_of("i4"), **common}
    correlation["fill"] = image_of("i4", (1, 1))
    return {
        "order_filter": {
            "image": image_of(),
            "out": result_of(),
            "footprint": None,
            **rule,
            "omit_nan": False,
            **common,
        },
        "extremum_filter": {"image": image_of(), "out": result_of(), "maximum": True, "omit_nan": False, **common},
        "median_network": {"image": image_of(), "out": result_of(), "omit_nan": False, **common},
        "rank_network": {"image": image_of(), "out": result_of(), **rule, "omit_nan": False, **common},
        "histogram_filter": {"image": image_of(), "out": result_of(), **rule, **common},
        "sliding_filter": {
            "image": image_of(),
            "out": result_of(),
            "footprint": None,
            **rule,
            "omit_nan": False,
            **common,
        },
        "box_blur": {"image": image_of(), "out": result_of(), "normalize": True, **common},
        "correlate": correlation,
        "correlate_fft": correlation,
        "correlate_separable": {
            "image": image_of(),
            "column": image_of("i4", (2, 3, 1)),
            "row": image_of("i4", (2, 1, 3)),
            "out": result_of("i4"),
            **common,
            "fill": image_of("i4", (1, 1)),
        },
        "ordered_sums": {
            "image": image_of(),
            "out": result_of("f8"),
            **common,
            "terms": terms((4, -1, 0.5), (0, 8, 0.25)),
            "across": terms(),
            "fill": image_of("f8", (1, 1)),
        },
        "max_pool": {
            "image": image_of(),
            "values": result_of(),
            "argmax": result_of(np.intp),
            "window": window(mode=OUTSIDE),
            "workers": 1,
        },
        "max_pool_backward": {
            "grad": image_of("f4"),
            "argmax": image_of(np.intp),
            "out": result_of("f4", (2, 4, 5)),
            "workers": 1,
        },
        "max_unpool": {
            "values": image_of("f4"),
            "argmax": image_of(np.intp),
            "out": result_of("f4", (2, 4, 5)),
            "workers": 1,
        },
        "adaptive_max_pool": {
            "image": image_of(),
            "values": result_of("u1", (2, 3, 4)),
            "argmax": result_of(np.intp, (2, 3, 4)),
            "workers": 1,
        },
        "avg_pool": {"image": image_of(), "out": result_of(), **averages},
        "avg_pool_backward": {"grad": image_of("f4"), "out": result_of("f4"), **averages},
        "conv2d": {
            "x": image_of("f4", (2, 4, 8, 9)),
            "weight": image_of("f4", (6, 2, 3, 3)),
            "bias": image_of("f4", (6,)),
            "out": result_of("f4", (2, 6, 8, 9)),
            **layer,
        },
        "conv2d_backward_weight": {
            "grad": image_of("f4", (2, 6, 8, 9)),
            "x": image_of("f4", (2, 4, 8, 9)),
            "out": result_of("f4", (6, 2, 3, 3)),
            **layer,
        },
        "convert": {"source": image_of(), "out": result_of("f4"), "workers": 1},
    }[function]


# The arguments of each that are arrays: (images and indices, results).
ARRAYS = {
    "order_filter": (["image"], ["out"]),
    "extremum_filter": (["image"], ["out"]),
    "median_network": (["image"], ["out"]),
    "rank_network": (["image"], ["out"]),
    "histogram_filter": (["image"], ["out"]),
    "sliding_filter": (["image"], ["out"]),
    "box_blur": (["image"], ["out"]),
    "correlate": (["image", "kernel"], ["out"]),
    "correlate_fft": (["image", "kernel"], ["out"]),
    "correlate_separable": (["image", "column", "row"], ["out"]),
    "ordered_sums": (["image"], ["out"]),
    "max_pool": (["image"], ["values", "argmax"]),
    "max_pool_backward": (["grad", "argmax"], ["out"]),
    "max_unpool": (["values", "argmax"], ["out"]),
    "adaptive_max_pool": (["image"], ["values", "argmax"]),
    "avg_pool": (["image"], ["out"]),
    "avg_pool_backward": (["grad"], ["out"]),
    "conv2d": (["x", "weight"], ["out"]),
    "conv2d_backward_weight": (["grad", "x"], ["out"]),
    "convert": (["source"], ["out"]),
}
FUNCTIONS = list(ARRAYS)
ALL_ARRAYS = [(function, name) for function, (inputs, results) in ARRAYS.items() for name in inputs + results]
RESULTS = [(function, name) for function, (_, results) in ARRAYS.items() for name in results]
ORDER_FILTERS = [
    "order_filter",
    "extremum_filter",
    "median_network",
    "rank_network",
    "histogram_filter",
    "sliding_filter",
]
FILLED = [*ORDER_FILTERS, "box_blur", "correlate", "correlate_fft", "correlate_separable"]
AVERAGES = ["avg_pool", "avg_pool_backward"]
SCATTERS = ["max_pool_backward", "max_unpool"]
OPTIONAL = {("max_pool", "argmax"), ("adaptive_max_pool", "argmax")}


def refused(function, error=(TypeError, ValueError), **changes):
    """Whether the call with these arguments raises, and writes nothing."""
    arguments = right_arguments(function) | changes
    results = [arguments[name] for name in ARRAYS[function][1] if isinstance(arguments[name], np.ndarray)]
    before = [result.copy() for result in results]
    with pytest.raises(error):
        getattr(_core, function)(**arguments)
    return all(result.tobytes() == old.tobytes() for result, old in zip(results, before, strict=True))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_right_arguments_are_right(function):
    arguments = right_arguments(function)
    assert getattr(_core, function)(**arguments) is None
    for name in ARRAYS[function][1]:
        assert (arguments[name] != SENTINEL).all()


def test_every_compiled_function_is_tested_here():
    callables = {name for name in dir(_core) if callable(getattr(_core, name)) and not name.startswith("_")}
    others = {"Window", "OrderedTerms", "output_extent", "covers", "forked", "available_levels", "load_level"}
    questions = {"has_median_network", "has_rank_network", "has_histogram", "has_sliding", "has_fft"}
    estimates = {"separable_is_faster", "fft_is_faster"}
    assert callables == {*FUNCTIONS, *others, *questions, *estimates}


# Arrays


@pytest.mark.parametrize(("function", "name"), ALL_ARRAYS)
@pytest.mark.parametrize("value", [None, 3, "text", [[1, 2], [3, 4]], b"bytes", (1, 2)], ids=repr)
def test_what_is_no_array(function, name, value):
    if value is None and (function, name) in OPTIONAL:
        assert getattr(_core, function)(**right_arguments(function) | {name: None}) is None
        return
    assert refused(function, TypeError, **{name: value})


@pytest.mark.parametrize(("function", "name"), ALL_ARRAYS)
def test_wrong_numbers_of_axes_and_leading_extents(function, name):
    array = right_arguments(function)[name]
    for shape in [(), (4,), array.shape[1:], (3, *array.shape[1:]), (1, *array.shape), (0, *array.shape[1:])]:
        assert refused(function, ValueError, **{name: np.full(shape, 1, array.dtype)}), shape


@pytest.mark.parametrize(("function", "name"), ALL_ARRAYS)
@pytest.mark.parametrize(
    "dtype", ["c8", "c16", "g", "M8[s]", "m8[s]", "S4", "U2", "V8", "O", [("a", "f4"), ("b", "f4")]]
)
def test_types_that_are_none_of_ours(function, name, dtype):
    assert refused(function, ValueError, **{name: np.zeros(right_arguments(function)[name].shape, dtype)})


@pytest.mark.parametrize(("function", "name"), RESULTS)
def test_read_only_results(function, name):
    assert refused(function, ValueError, **{name: read_only(right_arguments(function)[name])})


@pytest.mark.parametrize(
    ("function", "changes"),
    [
        ("order_filter", {"out": result_of("i1")}),
        ("order_filter", {"out": result_of("f4")}),
        ("box_blur", {"out": result_of("?")}),
        ("box_blur", {"image": image_of("?"), "fill": image_of("?", (1, 1))}),
        ("correlate", {"out": result_of("?")}),
        ("correlate", {"image": image_of("f4")}),
        ("correlate", {"image": image_of("i8")}),
        ("correlate", {"kernel": image_of("u1", (2, 3, 3)), "fill": image_of("u1", (1, 1))}),
        ("correlate", {"kernel": image_of("f2", (2, 3, 3)), "fill": image_of("f2", (1, 1))}),
        ("correlate", {"kernel": image_of("u8", (2, 3, 3)), "fill": image_of("u8", (1, 1))}),
        ("correlate", {"kernel": image_of(">i4", (2, 3, 3))}),
        ("correlate", {"kernel": image_of("f4", (2, 3, 3)), "fill": image_of("f4", (1, 1)), "image": image_of("f8")}),
        ("correlate_separable", {"out": result_of("?")}),
        ("correlate_separable", {"image": image_of("i8")}),
        ("correlate_separable", {"column": image_of("i8", (2, 3, 1))}),
        ("correlate_separable", {"row": image_of(">i4", (2, 1, 3))}),
        ("max_pool", {"values": result_of("i1")}),
        ("max_pool", {"argmax": result_of("i4")}),
        ("max_pool", {"argmax": result_of("u8")}),
        ("max_pool", {"argmax": result_of("f8")}),
        ("max_pool", {"argmax": result_of(">i8")}),
        ("max_pool_backward", {"argmax": image_of("i4")}),
        ("max_pool_backward", {"argmax": image_of("u8")}),
        ("max_pool_backward", {"argmax": image_of("f8")}),
        ("max_pool_backward", {"argmax": image_of(">i8")}),
        ("max_pool_backward", {"out": result_of("f8", (2, 4, 5))}),
        ("max_pool_backward", {"out": result_of(">f4", (2, 4, 5))}),
        ("max_pool_backward", {"grad": image_of(">f4")}),
        ("max_pool_backward", {"grad": image_of("f2"), "out": result_of("f2", (2, 4, 5))}),
        ("max_pool_backward", {"grad": image_of("?"), "out": result_of("?", (2, 4, 5))}),
        ("extremum_filter", {"out": result_of("i1")}),
        ("median_network", {"out": result_of("i1")}),
        ("rank_network", {"out": result_of("i1")}),
        ("histogram_filter", {"out": result_of("i1")}),
        ("histogram_filter", {"image": image_of("u2"), "out": result_of("u2"), "fill": image_of("u2", (1, 1))}),
        ("sliding_filter", {"out": result_of("i1")}),
        ("max_unpool", {"out": result_of("i4", (2, 4, 5))}),
        ("max_unpool", {"argmax": image_of("i4")}),
        ("max_unpool", {"argmax": image_of(">i8")}),
        ("adaptive_max_pool", {"values": result_of("i1", (2, 3, 4))}),
        ("adaptive_max_pool", {"argmax": result_of("u8", (2, 3, 4))}),
        ("avg_pool", {"image": image_of("?")}),
        ("avg_pool", {"out": result_of("?")}),
        ("avg_pool_backward", {"out": result_of("?")}),
        ("avg_pool_backward", {"grad": image_of("?")}),
        ("conv2d", {"weight": image_of("f2", (6, 2, 3, 3))}),
        ("conv2d", {"weight": image_of("u4", (6, 2, 3, 3))}),
        ("conv2d", {"weight": image_of(">f4", (6, 2, 3, 3))}),
        ("conv2d", {"x": image_of("f8", (2, 4, 8, 9))}),
        ("conv2d", {"out": result_of("?", (2, 6, 8, 9))}),
        ("conv2d", {"bias": image_of("f8", (6,))}),
        ("conv2d", {"bias": image_of(">f4", (6,))}),
        ("conv2d_backward_weight", {"out": result_of("?", (6, 2, 3, 3))}),
        ("convert", {"out": result_of("?")}),
    ],
)
def test_pairs_of_types_without_a_loop(function, changes):
    assert refused(function, ValueError, **changes)


@pytest.mark.parametrize(
    ("function", "changes"),
    [
        ("max_pool", {"argmax": result_of(np.intp, (2, 8, 8))}),
        ("max_pool", {"window": window(mode=("reflect", "constant"))}),  # a maximum outside the image
        ("max_pool", {"window": window(mode=("constant", "wrap"))}),
        ("max_pool", {"argmax": result_of(np.intp, (2, 9, 9))}),
        ("max_pool", {"values": result_of("u1", (2, 7, 9))}),
        ("max_pool_backward", {"argmax": image_of(np.intp, (2, 8, 8))}),
        ("max_pool_backward", {"argmax": image_of(np.intp, (2, 7, 9))}),
        ("max_unpool", {"argmax": image_of(np.intp, (2, 8, 8))}),
        ("adaptive_max_pool", {"argmax": result_of(np.intp, (2, 3, 3))}),
        ("avg_pool", {"out": result_of("u1", (2, 12, 9))}),  # windows without a pixel
        ("avg_pool", {"image": image_of("u1", (2, 0, 9))}),
        ("avg_pool", {"window": window(before=(3, 1), mode=OUTSIDE)}),
        ("avg_pool", {"window": window(stride=(9, 1), mode=OUTSIDE)}),
        ("avg_pool", {"window": None, "image": image_of("u1", (2, 8, 0))}),
        ("avg_pool", {"divisor": -1}),
        *((name, {"after": after}) for name in AVERAGES for after in [(-10, 1), (1, 2**31), (2**63 - 1, 1)]),
        ("conv2d", {"groups": 0}),
        ("conv2d", {"groups": -2}),
        ("conv2d", {"groups": 3}),
        ("conv2d", {"groups": 2**62}),
        ("conv2d", {"weight": image_of("f4", (6, 4, 3, 3))}),
        ("conv2d", {"weight": image_of("f4", (6, 2, 3, 4))}),
        ("conv2d", {"weight": image_of("f4", (12, 3, 3))}),
        ("conv2d", {"bias": image_of("f4", (5,))}),
        ("conv2d", {"bias": image_of("f4", (6, 1))}),
        ("conv2d", {"bias": np.zeros(12, "f4")[::2]}),
        ("conv2d", {"window": window()}),
        ("conv2d_backward_weight", {"groups": 0}),
        ("conv2d_backward_weight", {"groups": 4}),
        ("conv2d_backward_weight", {"out": result_of("f4", (6, 4, 3, 3))}),
        ("conv2d_backward_weight", {"out": result_of("f4", (6, 2, 2, 3))}),
        ("conv2d_backward_weight", {"window": window()}),
        *(
            (function, rule)
            for function in ("order_filter", "rank_network", "histogram_filter", "sliding_filter")
            for rule in (
                {"rank": 9},
                {"rank": -1},
                {"percentile": 100.5},
                {"percentile": -1.0},
                {"percentile": float("nan")},
            )
        ),
        ("order_filter", {"rank": 0, "omit_nan": True}),
        ("rank_network", {"rank": 0, "omit_nan": True}),
        ("sliding_filter", {"rank": 0, "omit_nan": True}),
        ("rank_network", {"window": window(size=(61, 1))}),
        ("rank_network", {"window": window(size=(1, 1))}),
        ("histogram_filter", {"window": window(size=(256, 257))}),
        ("sliding_filter", {"window": window(size=(256, 256))}),
        ("median_network", {"window": window(size=(3, 5))}),
        ("median_network", {"window": window(size=(13, 13))}),
        ("median_network", {"window": window(size=(9, 9), stride=(2, 1))}),
        ("convert", {"out": result_of("f4", (2, 8, 8))}),
        ("convert", {"out": result_of("f4", (2, 9, 9))}),
        ("correlate", {"kernel": image_of("i4", (2, 3, 2))}),
        ("correlate", {"kernel": image_of("i4", (2, 4, 3))}),
        ("correlate", {"kernel": image_of("i4", (2, 0, 0))}),
        ("correlate_separable", {"column": image_of("i4", (2, 1, 3))}),
        ("correlate_separable", {"column": image_of("i4", (2, 2, 1))}),
        ("correlate_separable", {"row": image_of("i4", (2, 1, 2))}),
        ("correlate_separable", {"row": image_of("i4", (2, 3, 1))}),
    ],
)
def test_extents_that_do_not_fit_together(function, changes):
    assert refused(function, ValueError, **changes)


# The other arguments


@pytest.mark.parametrize("function", FILLED)
def test_fills(function):
    dtype = right_arguments(function)["fill"].dtype
    swapped = np.dtype("i4").newbyteorder("S")
    for fill in (
        image_of("f8", (1, 1)),
        image_of("i2", (1, 1)),
        image_of(dtype, (1, 2)),
        image_of(dtype, (2,)),
        image_of(dtype, (0, 1)),
        image_of("O", (1, 1)),
        image_of(swapped, (1, 1)),
    ):
        assert refused(function, ValueError, fill=fill), fill
    for fill in (None, 0, 0.0, [[0]]):
        assert refused(function, TypeError, fill=fill)
    if function.startswith("correlate"):
        return
    assert refused(function, ValueError, image=image_of(swapped), out=result_of("i4"), fill=image_of(swapped, (1, 1)))


@pytest.mark.parametrize("function", ["correlate", "correlate_fft", "correlate_separable"])
def test_deltas_of_correlations(function):
    for delta in (image_of("i8", (1, 1)), image_of(">i4", (1, 1)), image_of("i4", (1, 2)), image_of("i4", (0,))):
        assert refused(function, ValueError, delta=delta), delta
    for delta in (1, 1.0, "1", [[1]]):
        assert refused(function, TypeError, delta=delta), delta


def test_endings_of_means():
    for delta in (-1, 10, 2**62):
        assert refused("box_blur", ValueError, delta=delta), delta
    for delta in (None, "1", 1.5, 2**64, image_of()):
        assert refused("box_blur", TypeError, delta=delta), delta
    for factor in (image_of("f2", (1, 1)), image_of(">f4", (1, 1)), image_of("f4", (2,)), image_of("O", (1,))):
        assert refused("box_blur", ValueError, normalize=False, factor=factor), factor
    for factor in (0.5, "1", [[1]]):
        assert refused("box_blur", TypeError, normalize=False, factor=factor), factor


def test_terms_of_ordered_sums():
    for term in ((9, -1, 1.0), (-1, -1, 1.0), (0, 9, 1.0), (0, -2, 1.0), (2**62, -1, 1.0)):
        assert refused("ordered_sums", ValueError, terms=terms(term)), term
        assert refused("ordered_sums", ValueError, across=terms(term)), term
    for value in (None, [], np.zeros((1, 2), np.int64), window()):
        assert refused("ordered_sums", TypeError, terms=value), value
    ones = np.ones(2)
    for taps in (np.zeros(2, np.int64), np.zeros((2, 3), np.int64), np.zeros((1, 2), np.int64)):
        with pytest.raises(ValueError, match="two taps and a weight"):
            _core.OrderedTerms(taps, ones, False)


def test_footprints():
    for footprint in (
        np.ones((2, 3), bool),
        np.ones((3, 4), bool),
        np.ones(9, bool),
        np.ones((1, 3, 3), bool),
        np.ones((), bool),
        np.zeros((3, 3), bool),
        np.zeros((0, 0), bool),
    ):
        assert refused("order_filter", (TypeError, ValueError), footprint=footprint), footprint
        assert refused("sliding_filter", (TypeError, ValueError), footprint=footprint), footprint
    for footprint in ("text", object(), {"a": 1}, 3):
        assert refused("order_filter", (TypeError, ValueError, RuntimeError), footprint=footprint), footprint


@pytest.mark.parametrize("function", FUNCTIONS)
def test_windows_and_workers_of_another_kind(function):
    for workers in (None, "2", 2.5, 2**31, -(2**31) - 1, 2**70, [1]):
        assert refused(function, TypeError, workers=workers), workers
    if "window" in right_arguments(function):
        for value in (None, (3, 3), 3, "window", object()):
            if value is not None or function not in AVERAGES:  # for which None means adaptive windows
                assert refused(function, TypeError, window=value), value


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("workers", [0, -1, -(2**31), 1000])
def test_any_number_of_workers_is_survived(function, workers):
    arguments = right_arguments(function) | {"workers": workers}
    getattr(_core, function)(**arguments)
    serial = right_arguments(function)
    getattr(_core, function)(**serial)
    for name in ARRAYS[function][1]:
        np.testing.assert_array_equal(arguments[name], serial[name])


@pytest.mark.parametrize("function", [*FILLED[:-3], *AVERAGES])
def test_functions_without_dilation(function):
    assert refused(function, ValueError, window=window(dilation=(2, 1)))
    assert refused(function, ValueError, window=window(dilation=(1, 2)))


def test_windows_without_a_pixel_have_no_maximum():
    for geometry in (
        {"before": (3, 1)},
        {"before": (1, 3)},
        {"before": (-8, 0)},
        {"before": (0, -9)},
        {"stride": (9, 1)},
        {"stride": (1, LARGEST)},
        {"size": (2, 2), "dilation": (20, 1), "before": (10, 0)},
        {"size": (2, 2), "dilation": (LARGEST - 1, 1), "before": (1, 0)},
        {"before": (LARGEST, 1)},
        {"before": (-LARGEST, 1)},
    ):
        assert refused("max_pool", ValueError, window=window(**geometry)), geometry


def test_indices_outside_of_the_plane():
    for index in (20, -1, 2**31, 2**32, 2**63 - 1, -(2**63), -20):
        for place in (0, -1, 77):
            argmax = image_of(np.intp)
            argmax.flat[place] = index
            for function in SCATTERS:
                with pytest.raises(ValueError, match=f"got {index}$"):
                    getattr(_core, function)(**right_arguments(function) | {"argmax": argmax})
    for function in SCATTERS:
        assert refused(function, ValueError, out=result_of("f4", (2, 0, 5)))


# Windows


@pytest.mark.parametrize(
    "geometry",
    [
        {name: pair}
        for name in ("size", "stride", "dilation")
        for pair in [(0, 1), (1, 0), (-1, 1), (1, 2**31), (2**62, 1)]
    ]
    + [{"before": pair} for pair in [(2**31, 0), (0, 2**31), (-(2**31), 0), (0, 2**62), (-(2**63), 0)]]
    + [{"size": (2, 3), "dilation": (LARGEST, 1)}, {"size": (3, LARGEST), "dilation": (1, 2)}]
    + [{"mode": pair} for pair in [("reflect", "none"), ("", "wrap"), ("REFLECT", "wrap"), ("grid-wrap", "wrap")]],
    ids=str,
)
def test_numbers_and_modes_of_windows(geometry):
    with pytest.raises(ValueError, match=r"."):
        window(**geometry)


@pytest.mark.parametrize(
    "geometry",
    [{name: pair} for name in ("size", "stride", "dilation", "before") for pair in [(1,), (1, 1, 1), 3, None, (1.5, 1)]]
    + [{"size": (2**63, 1)}, {"before": (-(2**70), 1)}, {"mode": ("wrap",)}, {"mode": "wrap"}, {"mode": (1, 2)}],
    ids=str,
)
def test_windows_of_other_kinds(geometry):
    with pytest.raises(TypeError):
        window(**geometry)


@pytest.mark.parametrize("size", [(2**30, 2**30 - 16), (LARGEST, LARGEST), (2**16, 2**16), (2, LARGEST)], ids=str)
def test_windows_of_more_taps_than_an_index_counts(size):
    # If they are let through, a process dies: sizes of scratch and numbers of taps wrap around.
    run_alone(_huge_window, size, timeout=20)


def _huge_window(size):
    import numpy as np
    from imkernels import _core

    image, out, argmax = np.zeros((2, 2), np.float32), np.zeros((1, 1), np.float32), np.zeros((1, 1), np.intp)
    fill = np.zeros((1, 1), np.float32)
    before = (size[0] - 1, size[1] - 1)
    refusals = []
    for call in (
        lambda window: _core.order_filter(image, out, window, None, None, 50.0, False, fill, 1),
        lambda window: _core.extremum_filter(image, out, window, True, False, fill, 1),
        lambda window: _core.rank_network(image, out, window, None, 50.0, False, fill, 1),
        lambda window: _core.sliding_filter(image, out, window, None, None, 50.0, False, fill, 1),
        lambda window: _core.histogram_filter(image.astype("u1"), out.astype("u1"), window, 0, 0.0, fill, 1),
        lambda window: _core.max_pool(image, out, argmax, window, 1),
        lambda window: _core.box_blur(image, out, window, True, fill, 1),
    ):
        try:
            call(_core.Window(size, (1, 1), (1, 1), before, ("constant", "constant")))
        except (ValueError, MemoryError) as error:
            refusals.append(error)
    assert len(refusals) == 7


def test_extents_out_of_range():
    run_alone(_bad_extents, timeout=20)


def _bad_extents():
    from imkernels import _core

    def refused(function, *numbers):
        try:
            return function(*numbers) and False
        except (ValueError, TypeError):
            return True

    largest = 2**63 - 1
    for numbers in (
        (10, 0, 0, 3, 0),
        (10, 0, 0, 3, -1),
        (10, 0, 0, 0, 1),
        (-1, 0, 0, 3, 1),
        (largest, largest, 0, 3, 1),
        (largest, 1, 1, 1, 1),
        (10, largest, 0, 3, 1),
        (10, 0, largest, 3, 1),
        (10, 0, 0, -largest, 1),
        (10, 0, 0, 2**70, 1),
        (10.5, 0, 0, 3, 1),
    ):
        assert refused(_core.output_extent, *numbers), numbers
    for numbers in (
        (0, 1, 1, 0, 5, 5),
        (1, 0, 1, 0, 5, 5),
        (1, 1, 0, 0, 5, 5),
        (1, 1, 1, 2**31, 5, 5),
        (3, 1, 2**30, 0, 5, 5),
    ):
        assert refused(_core.covers, *numbers), numbers
    assert _core.output_extent(10, 1, 2, 3, 4) == 3
    assert _core.output_extent(2, 0, 0, 3, 1) == -1
    assert _core.covers(3, 1, 1, 1, 5, 5)


def test_factors_pay_from_some_size_on():
    for size, pays in {(2, 2): False, (3, 3): True, (1, 99): False, (99, 1): False, (2, 7): True}.items():
        assert _core.separable_is_faster(window(size), 2048 * 2048) == pays
        assert not _core.separable_is_faster(window(size), 600)
    assert _core.separable_is_faster(window((99, 99)), 600)
    assert not _core.separable_is_faster(window((3, 3), stride=(1, 2)), 2048 * 2048)


def test_transforms_pay_from_some_size_on():
    windows = [window((size, size)) for size in range(3, 100, 2)]
    for item_size in (4, 8):
        pays = [_core.fft_is_faster(window, 2048, 2048, item_size) for window in windows]
        assert pays == sorted(pays)
        assert not pays[0]
        assert pays[-1]
    assert not _core.fft_is_faster(windows[-1], 0, 5, 4)
    strided = window((61, 61), stride=(9, 9))
    assert not _core.fft_is_faster(strided, 200, 200, 4)
    assert not _core.fft_is_faster(window((1025, 5)), 9, 9, 4)
    assert _core.fft_is_faster(windows[-1], 2**62, 2**62, 4)


def test_the_documented_sizes_are_those_from_which_on_transforms_are_taken():
    page = (ROOT / "docs" / "linear_filters.md").read_text()
    documented = re.search(rf"^\| {_core.level} ((?:\| \d+ )+)\|$", page, re.MULTILINE)[1]
    found = []
    for item_size in (4, 8):
        for extent in (512, 2048):
            sizes = range(3, 60, 2)
            found.append(next(k for k in sizes if _core.fft_is_faster(window((k, k)), extent, extent, item_size)))
    assert [int(size) for size in re.findall(r"\d+", documented)] == found


# Nothing there, or too much


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("shape", [(0, 8, 9), (2, 0, 9), (2, 8, 0), (0, 0, 0)], ids=str)
def test_nothing_to_do(function, shape):
    arguments = right_arguments(function)
    leading = shape[:1]
    for name, array in list(arguments.items()):
        if (function, name) not in ALL_ARRAYS or (array.shape[-2:] == (3, 3) and array.ndim == 4):
            continue  # weights have no batch
        fixed = name in ("kernel", "column", "row") or (function in SCATTERS and name == "out")
        extents = array.shape[1:] if fixed else (*array.shape[1:-2], *shape[1:])
        arguments[name] = np.full(leading + extents, SENTINEL, array.dtype)
    getattr(_core, function)(**arguments)
    if function in (*SCATTERS, "conv2d_backward_weight"):
        assert (arguments["out"] == 0).all()


@pytest.mark.parametrize("function", [*FILLED, "max_pool"])
@pytest.mark.parametrize("shape", [(2, 0, 9), (2, 8, 0)], ids=str)
def test_results_of_an_image_without_pixels(function, shape):
    dtype = right_arguments(function)["image"].dtype
    for mode in ("reflect", "mirror", "nearest", "wrap"):
        assert refused(function, ValueError, image=np.zeros(shape, dtype), window=window(mode=(mode, mode)))


@pytest.mark.parametrize("function", [function for function in FILLED if function != "median_network"])
@pytest.mark.parametrize("mode", ["reflect", "mirror", "nearest", "wrap", "constant"])
@pytest.mark.parametrize("before", [(LARGEST, -LARGEST), (-LARGEST, LARGEST), (9, -9)], ids=str)
def test_results_far_outside_of_the_image(function, mode, before):
    arguments = right_arguments(function)
    arguments["image"] = np.full((2, 3, 2), 5, arguments["image"].dtype)
    arguments["fill"] = np.full((1, 1), 5, arguments["fill"].dtype)
    arguments["window"] = window(before=before, stride=(LARGEST, 3), mode=(mode, mode))
    for name in ARRAYS[function][0][1:]:
        arguments[name] = np.ones_like(arguments[name])
    getattr(_core, function)(**arguments)
    assert (arguments["out"] == (45 if function.startswith("correlate") else 5)).all()


@pytest.mark.parametrize("function", [*ORDER_FILTERS, "box_blur", "convert"])
def test_results_that_overlap_are_wrong_but_safe(function):
    arguments = right_arguments(function)
    memory = np.zeros(2 * 8 * 9 + 40, arguments["out"].dtype)
    overlapping = np.lib.stride_tricks.as_strided(memory, (2, 8, 9), (0, arguments["out"].itemsize, 0))
    getattr(_core, function)(**arguments | {"out": overlapping, "workers": 2})
    if function != "convert":
        same = memory[: 2 * 8 * 9].reshape(2, 8, 9)
        getattr(_core, function)(**arguments | {"image": same, "out": same, "workers": 2})
