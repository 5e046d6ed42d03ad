"""dask.array.apply_gufunc and xarray.apply_ufunc take our functions with their `signature`, and agree with the call."""

import imkernels as ik
import numpy as np
import pytest

from tests.cases import random_image
from tests.conftest import peer

KERNEL = np.arange(-3.0, 3.0).reshape(2, 3)


def images(shape=(4, 3, 12, 15), dtype="f4"):
    return random_image(np.random.default_rng(1), shape, dtype)


def axes_of(result):
    return {"p": result.shape[-2], "q": result.shape[-1]}


# (function, arrays besides the image, keywords): results of another extent than the image among them
CALLS = {
    "median_filter": (ik.median_filter, (), {"size": 3}),
    "median_filter stride": (ik.median_filter, (), {"size": (2, 3), "stride": (2, 3), "mode": "wrap"}),
    "box_blur": (ik.box_blur, (), {"size": (3, 5), "mode": "mirror"}),
    "box_blur valid": (ik.box_blur, (), {"size": 4, "padding": "valid"}),
    "correlate": (ik.correlate, (KERNEL,), {"mode": "constant", "cval": 2.0}),
    "correlate padding": (ik.correlate, (KERNEL,), {"padding": ((0, 2), (1, 0)), "dilation": 2}),
    "max_pool_with_argmax": (ik.max_pool_with_argmax, (), {"size": 2}),
    "max_pool_with_argmax ceil": (ik.max_pool_with_argmax, (), {"size": 2, "padding": 1, "ceil_mode": True}),
}
calls = pytest.mark.parametrize(
    ("function", "others", "keywords"), CALLS.values(), ids=[name.replace(" ", "-") for name in CALLS]
)


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
    wanted = function(image, *others, **keywords)
    dtypes = [result.dtype for result in as_tuple(wanted)]
    found = array.apply_gufunc(
        function,
        function.signature,
        array.from_array(image, chunks=chunks),
        *others,
        output_dtypes=dtypes if len(dtypes) > 1 else dtypes[0],
        output_sizes=axes_of(as_tuple(wanted)[0]),
        **keywords,
    )
    for lazy, result in zip(as_tuple(found), as_tuple(wanted), strict=True):
        assert isinstance(lazy, array.Array)
        assert lazy.shape == result.shape
        assert lazy.dtype == result.dtype
    compare(as_tuple(array.compute(*as_tuple(found))), as_tuple(wanted))


@pytest.mark.parametrize("chunks", [(5, 6, 4), (1, 2, 4)])
def test_dask_gufunc_of_the_backward_pass(chunks):
    array = peer("dask.array")
    image = images((5, 6, 4, 8))
    values, argmax = ik.max_pool_with_argmax(image, 2)
    found = array.apply_gufunc(
        ik.max_pool_backward,
        ik.max_pool_backward.signature,
        array.from_array(values, chunks=(*chunks[:2], 2, 4)),
        array.from_array(argmax, chunks=(*chunks[:2], 2, 4)),
        shape=(4, 8),
        output_dtypes=values.dtype,
        output_sizes={"h": 4, "w": 8},
    )
    compare(found.compute(), ik.max_pool_backward(values, argmax, (4, 8)))


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


def test_dask_map_overlap_is_the_filter_of_the_whole():
    array = peer("dask.array")
    image = images((37, 41), "u2")  # integers: exact, however the image is cut
    lazy = array.from_array(image, chunks=(10, 13))
    for depth, function, keywords in [(2, ik.median_filter, {"size": 5}), (1, ik.box_blur, {"size": 3})]:
        found = lazy.map_overlap(
            function, depth=depth, boundary="reflect", dtype=image.dtype, meta=image[:0, :0], **keywords
        )
        compare(found.compute(scheduler="threads"), function(image, **keywords))


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
    kernels = [xarray.DataArray(other, dims=["k", "l"]) for other in others]
    found = xarray.apply_ufunc(
        function,
        labelled(image),
        *kernels,
        kwargs=keywords,
        input_core_dims=[["y", "x"]] + [["k", "l"]] * len(kernels),
        output_core_dims=[["p", "q"]] * function.nout,
    )
    for one in as_tuple(found):
        assert one.dims == ("time", "channel", "p", "q")
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
    lazy = labelled(image).chunk({"time": 1, "channel": 2})
    found = xarray.apply_ufunc(
        function,
        lazy,
        *[xarray.DataArray(other, dims=["k", "l"]) for other in others],
        kwargs=keywords,
        input_core_dims=[["y", "x"]] + [["k", "l"]] * len(others),
        output_core_dims=[["p", "q"]] * function.nout,
        dask="parallelized",
        output_dtypes=[result.dtype for result in wanted],
        dask_gufunc_kwargs={"output_sizes": axes_of(wanted[0])},
    )
    for one in as_tuple(found):
        assert isinstance(one.data, array.Array)
    compare(tuple(one.compute() for one in as_tuple(found)), wanted)


def test_xarray_of_the_backward_pass():
    xarray = peer("xarray")
    values, argmax = ik.max_pool_with_argmax(images(), 3)
    found = xarray.apply_ufunc(
        ik.max_pool_backward,
        labelled(values),
        labelled(argmax),
        kwargs={"shape": (12, 15)},
        input_core_dims=[["y", "x"], ["y", "x"]],
        output_core_dims=[["h", "w"]],
    )
    assert found.dims == ("time", "channel", "h", "w")
    compare(found, ik.max_pool_backward(values, argmax, (12, 15)))


def test_what_is_lazy_is_not_computed_behind_the_users_back():
    array, xarray = peer("dask.array"), peer("xarray")
    image = images((12, 15))
    for value in (array.from_array(image), labelled(image), labelled(image).variable, labelled(image).chunk()):
        with pytest.raises(TypeError, match=r"^image must be an array in this process's memory, got \w+; use "):
            ik.median_filter(value, 3)
    with pytest.raises(TypeError, match=r"^image must be"):
        xarray.apply_ufunc(ik.median_filter, labelled(image).chunk(), kwargs={"size": 3}, dask="allowed")
