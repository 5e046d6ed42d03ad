"""dask.array.apply_gufunc and xarray.apply_ufunc take our functions with their `signature`, and agree with the call."""

import re

import imkernels as ik
import numpy as np
import pytest

from tests.cases import random_image
from tests.conftest import peer

pytestmark = pytest.mark.wrapper

KERNEL = np.arange(-3.0, 3.0).reshape(2, 3)


def images(shape=(4, 3, 12, 15), dtype="f4"):
    return random_image(np.random.default_rng(1), shape, dtype)


def core_axes(function):
    """Return the names of the core axes of the inputs and of the outputs, by the signature."""
    inputs, outputs = function.signature.split("->")
    return tuple([names.split(",") for names in re.findall(r"\(([^)]*)\)", part)] for part in (inputs, outputs))


def new_extents(function, result):
    """Return the extents of the core axes that no input has."""
    inputs, outputs = core_axes(function)
    extents = zip(outputs[0], result.shape[-len(outputs[0]) :], strict=True)
    return {name: extent for name, extent in extents if not any(name in names for names in inputs)}


COLUMN, ROW = np.arange(1.0, 4.0), np.arange(-2.0, 2.0)
WEIGHT = np.arange(-9.0, 9.0).reshape(1, 3, 2, 3).repeat(5, 0)
TRANSPOSED = WEIGHT[:3]

# (function, arrays besides the image, keywords): results of another extent than the image among them
CALLS = {
    "median_filter": (ik.median_filter, (), {"size": 3}),
    "median_filter stride": (ik.median_filter, (), {"size": (2, 3), "stride": (2, 3), "mode": "wrap"}),
    "rank_filter": (ik.rank_filter, (), {"rank": -2, "size": 3}),
    "percentile_filter": (ik.percentile_filter, (), {"percentile": 30, "size": (3, 4)}),
    "minimum_filter": (ik.minimum_filter, (), {"size": (3, 2), "padding": 1}),
    "maximum_filter": (ik.maximum_filter, (), {"footprint": np.eye(3, dtype=bool)}),
    "box_blur": (ik.box_blur, (), {"size": (3, 5), "mode": "mirror"}),
    "box_blur valid": (ik.box_blur, (), {"size": 4, "padding": "valid"}),
    "gaussian_filter": (ik.gaussian_filter, (), {"sigma": (1.0, 0.5), "stride": 2}),
    "correlate": (ik.correlate, (KERNEL,), {"mode": "constant", "cval": 2.0}),
    "correlate padding": (ik.correlate, (KERNEL,), {"padding": ((0, 2), (1, 0)), "dilation": 2}),
    "convolve": (ik.convolve, (KERNEL,), {"stride": (1, 2)}),
    "correlate_separable": (ik.correlate_separable, (COLUMN, ROW), {"mode": "wrap"}),
    "max_pool": (ik.max_pool, (), {"size": (2, 3), "padding": 1}),
    "max_pool_with_argmax": (ik.max_pool_with_argmax, (), {"size": 2}),
    "max_pool_with_argmax ceil": (ik.max_pool_with_argmax, (), {"size": 2, "padding": 1, "ceil_mode": True}),
    "avg_pool": (ik.avg_pool, (), {"size": 2, "padding": 1, "count_include_pad": False}),
    "avg_pool_backward": (ik.avg_pool_backward, (), {"shape": (24, 45), "size": (2, 3)}),
    "adaptive_max_pool": (ik.adaptive_max_pool, (), {"output_size": (5, 7)}),
    "adaptive_max_pool_with_argmax": (ik.adaptive_max_pool_with_argmax, (), {"output_size": 4}),
    "adaptive_avg_pool": (ik.adaptive_avg_pool, (), {"output_size": (None, 4)}),
    "adaptive_avg_pool_backward": (ik.adaptive_avg_pool_backward, (), {"shape": (30, 31)}),
    "conv2d": (ik.conv2d, (WEIGHT,), {"padding": 1, "stride": (2, 1)}),
    "conv_transpose2d": (ik.conv_transpose2d, (TRANSPOSED,), {"stride": 2, "output_padding": 1}),
}
calls = pytest.mark.parametrize(
    ("function", "others", "keywords"), CALLS.values(), ids=[name.replace(" ", "-") for name in CALLS]
)
# With more inputs of the image's kind, or results without its batch: each has a test of its own.
OTHERS = {"max_pool_backward", "max_unpool", "conv2d_backward_input", "conv2d_backward_weight"}


def test_every_function_is_called():
    public = {name for name in ik.__all__ if hasattr(getattr(ik, name), "signature")}
    assert {function.__name__ for function, _, _ in CALLS.values()} == public - OTHERS
    assert public >= OTHERS


def as_tuple(results):
    return results if isinstance(results, tuple) else (results,)


def compare(found, wanted):
    for one, other in zip(as_tuple(found), as_tuple(wanted), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(np.asarray(one), other)


# dask


@calls
@pytest.mark.parametrize("chunks", [(4, 3, 12, 15), (1, 2, 12, 15), (3, 1, 12, 15)])
def test_dask_gufuncs(function, others, keywords, chunks):
    array = peer("dask.array")
    image = images()
    looped = image.ndim - len(core_axes(function)[0][0])
    wanted = function(image, *others, **keywords)
    dtypes = [result.dtype for result in as_tuple(wanted)]
    found = array.apply_gufunc(
        function,
        function.signature,
        array.from_array(image, chunks=chunks[:looped] + image.shape[looped:]),
        *others,
        output_dtypes=dtypes if len(dtypes) > 1 else dtypes[0],
        output_sizes=new_extents(function, as_tuple(wanted)[0]),
        **keywords,
    )
    for lazy, result in zip(as_tuple(found), as_tuple(wanted), strict=True):
        assert isinstance(lazy, array.Array)
        assert lazy.shape == result.shape
        assert lazy.dtype == result.dtype
    compare(as_tuple(array.compute(*as_tuple(found))), as_tuple(wanted))


@pytest.mark.parametrize("function", [ik.max_pool_backward, ik.max_unpool], ids=lambda function: function.__name__)
@pytest.mark.parametrize("chunks", [(5, 6), (1, 2)])
def test_dask_gufuncs_that_scatter(function, chunks):
    array = peer("dask.array")
    values, argmax = ik.max_pool_with_argmax(images((5, 6, 4, 8)), 2)
    found = array.apply_gufunc(
        function,
        function.signature,
        array.from_array(values, chunks=(*chunks, 2, 4)),
        array.from_array(argmax, chunks=(*chunks, 2, 4)),
        shape=(4, 8),
        output_dtypes=values.dtype,
        output_sizes={"h": 4, "w": 8},
    )
    compare(found.compute(), function(values, argmax, (4, 8)))


def test_dask_gufuncs_of_the_ways_back_of_a_convolution():
    """Blocks have a batch of their own, so that the shape in keywords holds where one block has the whole of it."""
    array = peer("dask.array")
    x, weight = images(), WEIGHT.astype("f4")
    grad = ik.conv2d(x, weight)
    gradient = array.from_array(grad, chunks=grad.shape)
    found = array.apply_gufunc(
        ik.conv2d_backward_input,
        ik.conv2d_backward_input.signature,
        gradient,
        weight,
        input_shape=x.shape,
        output_dtypes=grad.dtype,
        output_sizes={"c": 3, "h": 12, "w": 15},
    )
    compare(found.compute(), ik.conv2d_backward_input(grad, weight, x.shape))
    one = array.apply_gufunc(
        ik.conv2d_backward_weight,
        ik.conv2d_backward_weight.signature,
        gradient[0],
        x[0],
        weight_shape=weight.shape,
        output_dtypes=grad.dtype,
        output_sizes={"d": 3, "k": 2, "l": 3},
    )
    compare(one.compute(), ik.conv2d_backward_weight(grad[0], x[0], weight.shape))


def test_dask_gufunc_finds_out_the_dtype_by_itself():
    array = peer("dask.array")
    image = images(dtype="u1")
    found = array.apply_gufunc(
        ik.correlate, "(h,w),(k,l)->(h,w)", array.from_array(image), np.ones((3, 3), "i1"), allow_rechunk=True
    )
    assert found.dtype == np.int32
    compare(found.compute(), ik.correlate(image, np.ones((3, 3), "i1")))


def test_dask_gufunc_with_axes():
    array = peer("dask.array")
    image = images((12, 15, 3))
    found = array.apply_gufunc(
        ik.median_filter,
        "(h,w)->(h,w)",
        array.from_array(image, chunks=(12, 15, 1)),
        axes=[(0, 1), (0, 1)],
        output_dtypes=image.dtype,
        size=3,
    )
    compare(found.compute(), ik.median_filter(image, 3, axes=(0, 1)))


def test_dask_gufunc_broadcasts_kernels():
    array = peer("dask.array")
    image, kernels = images((2, 1, 9, 8)), images((5, 3, 3))
    found = array.apply_gufunc(
        ik.correlate,
        "(h,w),(k,l)->(h,w)",
        array.from_array(image, chunks=(1, 1, 9, 8)),
        array.from_array(kernels, chunks=(2, 3, 3)),
        output_dtypes=image.dtype,
    )
    compare(found.compute(), ik.correlate(image, kernels))


def test_dask_gufuncs_with_processes_pickle_the_function():
    array = peer("dask.array")
    image = images((2, 6, 7))
    lazy = array.apply_gufunc(
        ik.median_filter, "(h,w)->(h,w)", array.from_array(image, chunks=(1, 6, 7)), output_dtypes=image.dtype, size=3
    )
    compare(lazy.compute(scheduler="processes", num_workers=1), ik.median_filter(image, 3))


# xarray


def labelled(image):
    names = ["time", "channel", "y", "x"][-image.ndim :]
    coordinates = {"time": np.arange(image.shape[0]) * 10} if image.ndim == 4 else {}
    return peer("xarray").DataArray(image, dims=names, coords=coordinates)


@calls
def test_xarray(function, others, keywords):
    xarray = peer("xarray")
    image = images()
    wanted = function(image, *others, **keywords)
    inputs, outputs = core_axes(function)
    kernels = [xarray.DataArray(other, dims=names) for other, names in zip(others, inputs[1:], strict=True)]
    stack = labelled(image)
    core = len(inputs[0])
    found = xarray.apply_ufunc(
        function,
        stack,
        *kernels,
        kwargs=keywords,
        input_core_dims=[stack.dims[-core:], *inputs[1:]],
        output_core_dims=outputs,
    )
    for one in as_tuple(found):
        assert one.dims == (*stack.dims[:-core], *outputs[0])
        np.testing.assert_array_equal(one.time, [0, 10, 20, 30])
    compare(found, wanted)


def test_xarray_with_core_axes_in_front():
    xarray = peer("xarray")
    image = images((12, 15, 3))
    found = xarray.apply_ufunc(
        ik.box_blur,
        xarray.DataArray(image, dims=["y", "x", "channel"]),
        kwargs={"size": 3},
        input_core_dims=[["y", "x"]],
        output_core_dims=[["y", "x"]],
    )
    assert found.dims == ("channel", "y", "x")
    compare(found.transpose("y", "x", "channel"), ik.box_blur(image, 3, axes=(0, 1)))


@calls
def test_xarray_of_dask_arrays(function, others, keywords):
    xarray = peer("xarray")
    array = peer("dask.array")
    image = images()
    wanted = as_tuple(function(image, *others, **keywords))
    inputs, outputs = core_axes(function)
    core = len(inputs[0])
    lazy = labelled(image).chunk({"time": 1, "channel": 2 if core == 2 else 3})
    found = xarray.apply_ufunc(
        function,
        lazy,
        *[xarray.DataArray(other, dims=names) for other, names in zip(others, inputs[1:], strict=True)],
        kwargs=keywords,
        input_core_dims=[lazy.dims[-core:], *inputs[1:]],
        output_core_dims=outputs,
        dask="parallelized",
        output_dtypes=[result.dtype for result in wanted],
        dask_gufunc_kwargs={"output_sizes": new_extents(function, wanted[0])},
    )
    for one in as_tuple(found):
        assert isinstance(one.data, array.Array)
    compare(tuple(one.compute() for one in as_tuple(found)), wanted)


def test_xarray_of_dask_arrays_in_any_chunks():
    """The functions of the adapter take an array's chunks as they are, the axes of the window included."""
    xarray = peer("xarray")
    array = peer("dask.array")
    lazily = pytest.importorskip("imkernels.pipeline.dask")
    image = images((4, 30, 40))
    stack = xarray.DataArray(image, dims=["time", "y", "x"], coords={"y": np.arange(30) / 2})
    for core, shape in ((["y", "x"], (4, 30, 40)), (["p", "q"], (4, 15, 20))):
        function = lazily.median_filter if core == ["y", "x"] else lazily.max_pool
        found = xarray.apply_ufunc(
            function,
            stack.chunk({"time": 3, "y": 13, "x": 9}),
            kwargs={"size": 2},
            input_core_dims=[["y", "x"]],
            output_core_dims=[core],
            dask="allowed",
        )
        assert found.dims == ("time", *core)
        assert found.shape == shape
        assert ("y" in found.coords) == ("y" in core)
        assert isinstance(found.data, array.Array)
        compare(found.compute(), getattr(ik, function.__name__)(image, size=2))


@pytest.mark.parametrize("function", [ik.max_pool_backward, ik.max_unpool], ids=lambda function: function.__name__)
def test_xarray_of_functions_that_scatter(function):
    xarray = peer("xarray")
    values, argmax = ik.max_pool_with_argmax(images(), 3)
    found = xarray.apply_ufunc(
        function,
        labelled(values),
        labelled(argmax),
        kwargs={"shape": (12, 15)},
        input_core_dims=[["y", "x"], ["y", "x"]],
        output_core_dims=[["h", "w"]],
    )
    assert found.dims == ("time", "channel", "h", "w")
    compare(found, function(values, argmax, (12, 15)))


def test_xarray_of_the_ways_back_of_a_convolution():
    xarray = peer("xarray")
    x, weight = images(), WEIGHT.astype("f4")
    grad = ik.conv2d(x, weight)
    gradient = xarray.DataArray(grad, dims=["time", "o", "p", "q"])
    weights = xarray.DataArray(weight, dims=["o", "d", "k", "l"])
    found = xarray.apply_ufunc(
        ik.conv2d_backward_input,
        gradient,
        weights,
        kwargs={"input_shape": x.shape},
        input_core_dims=[["o", "p", "q"], ["o", "d", "k", "l"]],
        output_core_dims=[["c", "h", "w"]],
    )
    assert found.dims == ("time", "c", "h", "w")
    compare(found, ik.conv2d_backward_input(grad, weight, x.shape))
    # It sums over the batch, which is a core axis for xarray therefore.
    found = xarray.apply_ufunc(
        ik.conv2d_backward_weight,
        gradient,
        xarray.DataArray(x, dims=["time", "c", "h", "w"]),
        kwargs={"weight_shape": weight.shape},
        input_core_dims=[["time", "o", "p", "q"], ["time", "c", "h", "w"]],
        output_core_dims=[["o", "d", "k", "l"]],
    )
    assert found.dims == ("o", "d", "k", "l")
    compare(found, ik.conv2d_backward_weight(grad, x, weight.shape))


def test_what_is_lazy_is_not_computed_behind_the_users_back():
    array, xarray = peer("dask.array"), peer("xarray")
    image = images((12, 15))
    adapters = {"Array": "imkernels.pipeline.dask, or dask.array.apply_gufunc"}
    for value in (array.from_array(image), labelled(image), labelled(image).variable, labelled(image).chunk()):
        name = type(value).__name__
        adapter = re.escape(adapters.get(name, "xarray.apply_ufunc"))
        with pytest.raises(
            TypeError, match=rf"^image must be an array in this process's memory, got {name}; use {adapter}$"
        ):
            ik.median_filter(value, 3)
    with pytest.raises(TypeError, match=r"^image must be"):
        xarray.apply_ufunc(ik.median_filter, labelled(image).chunk(), kwargs={"size": 3}, dask="allowed")
