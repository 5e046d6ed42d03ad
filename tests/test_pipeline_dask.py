"""Filters of Dask arrays give what the call in memory gives, bit for bit, whatever the chunks and the scheduler."""
# ruff: noqa: E402 (its modules are imported where it is there)

import doctest
import inspect
import pickle
import threading

import imkernels as ik
import numpy as np
import pytest

from tests.cases import MIXED_MODES, MODES, assert_same_bits, seeded_image
from tests.conftest import peer
from tests.processes import run_alone

peer("dask.array")

import dask
import imkernels.pipeline.dask as lazily
from dask import array

pytestmark = pytest.mark.wrapper

SHAPE = (41, 53)
RAGGED = ((1, 17, 2, 20, 1), (29, 3, 1, 1, 19))
CHUNKS = [
    pytest.param((10, 13), id="even"),
    pytest.param(RAGGED, id="ragged"),
    pytest.param((3, 16), id="low"),
]
WEIGHTS = np.array([[0.5, -1.0, 0.25], [2.0, 1.0, 0.0]], np.float32)
CALLS = {
    "median_filter": {"size": (3, 4)},
    "rank_filter": {"rank": -2, "size": 3},
    "percentile_filter": {"percentile": 30, "footprint": [[1, 0, 1], [0, 1, 1]]},
    "minimum_filter": {"size": (2, 5)},
    "maximum_filter": {"size": 3},
    "box_blur": {"size": (9, 4)},
    "gaussian_filter": {"sigma": (1.0, 0.5)},
    "correlate": {"kernel": WEIGHTS},
    "convolve": {"kernel": WEIGHTS, "dilation": (2, 1)},
    "correlate_separable": {"column": WEIGHTS[0], "row": WEIGHTS[1]},
    "max_pool": {"size": (2, 3)},
    "avg_pool": {"size": (2, 3)},
}
FILTERS = [name for name in CALLS if not name.endswith("pool")]


@pytest.fixture(autouse=True)
def one_thread():
    """Tests that do not say otherwise compute where they stand: it is the fastest for small images."""
    with dask.config.set(scheduler="synchronous"):
        yield


def agree(name, image, chunks, **keywords):
    """Check that a function of the adapter gives what that of the package gives: extents, dtype and bits."""
    wanted = getattr(ik, name)(image, **keywords)
    found = getattr(lazily, name)(array.from_array(image, chunks=chunks), **keywords)
    assert isinstance(found, array.Array)
    assert found.shape == wanted.shape
    assert found.dtype == wanted.dtype
    assert_same_bits(found.compute(), wanted)
    return found


def test_every_function_is_called():
    assert sorted(CALLS) == lazily.__all__


@pytest.mark.parametrize("mode", [*MODES, *MIXED_MODES], ids=str)
@pytest.mark.parametrize("name", FILTERS)
def test_borders(name, mode):
    agree(name, seeded_image(SHAPE, "f8"), RAGGED, **CALLS[name], mode=mode, cval=2.0)


@pytest.mark.parametrize("chunks", CHUNKS)
@pytest.mark.parametrize(
    "keywords",
    [
        {"stride": 2},
        {"stride": (3, 7)},
        {"stride": (50, 1)},
        {"padding": "valid"},
        {"padding": 1, "stride": 3},
        {"padding": ((60, 0), (2, 130))},  # windows that lie beside the image
        {"padding": (90, 40), "stride": (4, 3)},
        {"padding": ((0, 1), (3, 0)), "stride": (2, 1)},
    ],
    ids=str,
)
@pytest.mark.parametrize("mode", MODES)
def test_strides_and_pads(mode, keywords, chunks):
    agree("box_blur", seeded_image(SHAPE, "f8"), chunks, size=(9, 4), mode=mode, **keywords)


@pytest.mark.parametrize("mode", ["reflect", "wrap"])
@pytest.mark.parametrize("origin", [(-4, -2), (4, 1), (0, -1)])
def test_origins(origin, mode):
    image = seeded_image(SHAPE, "u2")
    found = agree("median_filter", image, (10, 13), size=(9, 4), origin=origin, mode=mode)
    assert found.chunks == ((10, 10, 10, 11), (13, 13, 13, 14))
    agree("median_filter", image, (10, 13), size=(9, 4), origin=origin, mode=mode, stride=(2, 3))


@pytest.mark.parametrize("chunks", CHUNKS)
@pytest.mark.parametrize(
    "keywords",
    [
        {"size": 2},
        {"size": 3, "stride": 2, "padding": 1},
        {"size": (4, 3), "stride": (3, 5), "padding": (2, 1), "ceil_mode": True},
        {"size": 5, "stride": 4, "ceil_mode": True},
        {"size": 3, "padding": "same", "stride": 1},
        {"size": (1, 4), "stride": (2, 6), "padding": ((0, 0), (0, 1))},
    ],
    ids=str,
)
def test_pooling(keywords, chunks):
    image = seeded_image(SHAPE, "f4")
    agree("max_pool", image, chunks, **keywords)
    agree("avg_pool", image, chunks, **keywords)
    agree("avg_pool", image, chunks, **keywords, count_include_pad=False)
    agree("avg_pool", image, chunks, **keywords, divisor_override=7)


def test_dilated_pooling():
    agree("max_pool", seeded_image(SHAPE, "f4"), (10, 13), size=(2, 3), padding=(1, 2), dilation=(3, 2), stride=2)


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "i2", "i4", "i8", "u8", "f2", "f4", "f8"])
@pytest.mark.parametrize("name", CALLS)
def test_dtypes(name, dtype):
    image = seeded_image((21, 33), dtype)
    integers = "kernel" in CALLS[name] and image.dtype.kind in "iu" and dtype != "u8"
    keywords = CALLS[name] | ({"kernel": WEIGHTS.astype("i4")} if integers else {})
    if dtype == "?" and name in ("box_blur", "avg_pool"):
        with pytest.raises(TypeError, match="image must hold numbers, got dtype bool"):
            getattr(lazily, name)(array.from_array(image), **keywords)
    else:
        agree(name, image, (10, 13), **keywords)


def test_other_layouts_of_memory():
    image = seeded_image((42, 40), "i4")
    for view in (image.astype(">i4"), np.asfortranarray(image), image[::-1, ::2]):
        agree("median_filter", view, (10, 13), size=3)


@pytest.mark.parametrize("axes", [(0, 1), (1, 0), (1, -1), None])
def test_axes_and_batches(axes):
    image = seeded_image((17, 19, 8), "f8")
    for chunks in ((5, 6, 8), (17, 4, 3), (4, 19, 2)):
        agree("median_filter", image, chunks, size=(2, 5), axes=axes, stride=(1, 2))
        agree("box_blur", image, chunks, size=(9, 2), axes=axes, mode=("wrap", "mirror"))
        agree("max_pool", image, chunks, size=(2, 3), axes=axes)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (3, 0, 5, 6), (1, 1), (1, 9)])
def test_small_and_empty_images(shape):
    image = seeded_image(shape, "f4")
    agree("median_filter", image, -1, size=1)
    agree("maximum_filter", image, -1, size=5, mode="constant", padding=((4, 5), (6, 7)))


def test_an_image_of_no_rows_has_a_border():
    agree("minimum_filter", np.zeros((0, 5), "u1"), -1, size=3, mode="constant", cval=7, padding=2)


@pytest.mark.parametrize("size", [9, 31, 33, 101, (150, 7)])
@pytest.mark.parametrize("stride", [1, (3, 2)])
@pytest.mark.parametrize("padding", ["same", (5, 0)])
def test_means_of_floats_are_added_up_in_the_same_order(size, stride, padding):
    """Their sums are made of those of 4, 16 or 64 rows that begin at fixed rows of the image."""
    image = seeded_image((400, 160), "f8")
    agree("box_blur", image, ((171, 3, 107, 119), (50, 110)), size=size, stride=stride, padding=padding)


@pytest.mark.parametrize("shape", [(9, 9), (3, 31)])
def test_every_block_is_correlated_by_the_method_of_the_whole(shape):
    """A block by itself would be too small to look whether its kernel is a column times a row."""
    image = seeded_image((600, 500), "f4")
    column, row = np.hanning(shape[0] + 2)[1:-1, None], np.hanning(shape[1] + 2)[1:-1]
    kernel = (column * row).astype("f4")
    assert not np.array_equal(ik.correlate(image, kernel, method="direct"), ik.correlate(image, kernel))
    for name in ("correlate", "convolve"):
        agree(name, image, (60, 50), kernel=kernel)
        agree(name, image, (60, 50), kernel=kernel, method="direct")


def test_transforms_of_blocks_stay_within_the_bound():
    image = seeded_image((300, 300), "f4")
    kernel = seeded_image((25, 25), "f4", seed=1)
    exact = ik.correlate(image.astype("f8"), kernel, method="direct")
    bound = 25 * 25 * np.finfo("f4").eps * ik.correlate(np.abs(image), np.abs(kernel))
    found = lazily.correlate(array.from_array(image, chunks=(90, 110)), kernel, method="fft").compute()
    assert (np.abs(found - exact) <= bound).all()
    whole = np.rint(image), np.rint(kernel)
    agree("correlate", whole[0].astype("i2"), (90, 110), kernel=whole[1].astype("i2"), method="fft")


def test_a_narrower_dtype_is_rounded_once():
    image = seeded_image(SHAPE, "f8")
    agree("box_blur", image, (10, 13), size=3, dtype=np.int8)
    agree("gaussian_filter", image, (10, 13), sigma=1, dtype="f8")


# Lazy, and Dask's


def refuse_to_compute(block):
    raise AssertionError("computed")


@pytest.mark.parametrize("name", CALLS)
def test_nothing_is_computed_before_it_is_asked_for(name):
    image = array.ones(SHAPE, chunks=(10, 13), dtype="f4").map_blocks(
        refuse_to_compute, dtype="f4", meta=np.empty((0, 0), "f4")
    )
    found = getattr(lazily, name)(image, **CALLS[name])
    assert type(found._meta) is np.ndarray
    assert found._meta.dtype == found.dtype == np.float32
    with pytest.raises(AssertionError, match="computed"):
        found.compute()


def test_the_same_call_has_the_same_name():
    image = array.ones(SHAPE, chunks=(10, 13))
    names = [lazily.median_filter(image, size).name for size in (3, 3, 5)]
    assert names[0] == names[1] != names[2]
    assert names[0].startswith("median_filter-")


def test_a_part_is_computed_from_the_chunks_that_it_needs():
    seen = []

    def look(block, block_id):
        seen.append(block_id)
        return block

    image = array.ones((100, 100), chunks=10).map_blocks(look, dtype="f8", meta=np.empty((0, 0)))
    lazily.median_filter(image, 3)[35, 35].compute()
    assert set(seen) == {(row, column) for row in (2, 3, 4) for column in (2, 3, 4)}


def test_chunks_smaller_than_the_window_are_taken_together():
    image = array.ones((100, 100), chunks=(3, 100))
    assert lazily.median_filter(image, (9, 3)).chunks == ((9,) * 10 + (10,), (100,))
    assert lazily.median_filter(image, 1).chunks == image.chunks
    assert lazily.max_pool(image, 4).chunks == ((1,) * 25, (25,))
    assert lazily.box_blur(image, 9, padding="valid").chunks[0][0] == 11  # the last of them belongs to row 14


def test_a_task_runs_on_one_thread(monkeypatch):
    from imkernels import _plans

    asked = []
    resolve = _plans.resolve_workers
    monkeypatch.setattr(_plans, "resolve_workers", lambda workers: asked.append(workers) or resolve(workers))
    with ik.workers(4):
        lazily.median_filter(array.ones((20, 20), chunks=10), 3).compute()
    assert asked == [1] * 5  # four blocks, and the call that looks at the arguments


def test_threads_compute_at_the_same_time():
    meeting = threading.Barrier(2, timeout=30)

    def meet(block):
        meeting.wait()
        return block

    image = seeded_image((40, 40), "u1")
    blocks = array.from_array(image, chunks=(20, 40)).map_blocks(meet, dtype="u1", meta=image[:0])
    with dask.config.set(scheduler="threads", num_workers=2):
        assert_same_bits(lazily.median_filter(blocks, 5).compute(), ik.median_filter(image, 5))


def test_processes():
    image = seeded_image((2, 40, 40), "u2")
    lazy = lazily.correlate(array.from_array(image, chunks=(1, 15, 40)), np.ones((3, 3), "i1"))
    with dask.config.set(scheduler="processes", num_workers=1):
        assert_same_bits(lazy.compute(), ik.correlate(image, np.ones((3, 3), "i1")))


def use_array_expressions():
    import imkernels as ik
    import imkernels.pipeline.dask as lazily
    import numpy as np
    from dask import array

    assert array.array_expr_enabled()
    image = np.random.default_rng(0).random((40, 50))
    lazy = array.from_array(image, chunks=(11, 13))
    for mode in ("reflect", "wrap"):
        found = lazily.box_blur(lazy, 9, mode=mode).compute(scheduler="synchronous")
        np.testing.assert_array_equal(found, ik.box_blur(image, 9, mode=mode))


def test_arrays_of_expressions():
    """What Dask is to turn to by default."""
    if not hasattr(array, "array_expr_enabled"):
        pytest.skip("this Dask has no array expressions")
    run_alone(use_array_expressions, environment={"DASK_ARRAY__QUERY_PLANNING": "True"})


def filter_on_a_cluster():
    import os
    import signal
    import tempfile
    import time
    from pathlib import Path

    import dask
    import imkernels as ik
    import imkernels.pipeline.dask as lazily
    import numpy as np
    from dask import array
    from dask.distributed import Client, LocalCluster

    def wait_a_little(block):
        time.sleep(0.02)
        return block

    image = np.random.default_rng(0).integers(0, 1000, (400, 300), dtype=np.uint16)
    slow = array.from_array(image, chunks=(40, 50)).map_blocks(wait_a_little, dtype="u2", meta=image[:0])
    filtered = lazily.median_filter(slow, 5, mode="wrap")
    folder = tempfile.TemporaryDirectory()
    dask.config.set({"temporary-directory": folder.name})
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, memory_limit="1GiB", dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        np.testing.assert_array_equal(filtered.compute(), ik.median_filter(image, 5, mode="wrap"))
        victim = next(iter(client.run(os.getpid).values()))
        target = np.lib.format.open_memmap(Path(folder.name) / "result.npy", "w+", np.uint16, image.shape)
        future = client.compute(filtered.sum())
        persisted = filtered.persist()
        while not any(future.done() for future in client.futures_of(persisted)):
            time.sleep(0.01)
        os.kill(victim, signal.SIGKILL)
        target[:] = persisted.compute()
        np.testing.assert_array_equal(target, ik.median_filter(image, 5, mode="wrap"))
        assert future.result() == target.sum(dtype=np.uint64)
        assert victim not in client.run(os.getpid).values()
        print("the result is whole")


@pytest.mark.slow
def test_a_cluster_gives_the_result_though_a_worker_is_killed():
    peer("distributed")
    assert "the result is whole" in run_alone(filter_on_a_cluster, timeout=120)


# What is refused, and how


@pytest.mark.parametrize(
    ("name", "keywords"),
    [
        ("median_filter", {"size": 0}),
        ("median_filter", {"size": 3, "mode": "none"}),
        ("median_filter", {"size": 3, "footprint": [[1]]}),
        ("median_filter", {"size": 3, "axes": (0, 0)}),
        ("median_filter", {"size": 3, "axes": (0, 2)}),
        ("median_filter", {"size": 3, "origin": 2}),
        ("rank_filter", {"rank": 9, "size": 3}),
        ("box_blur", {"size": 60, "padding": "valid"}),
        ("box_blur", {"size": 3, "dtype": "complex64"}),
        ("gaussian_filter", {"sigma": -1.0}),
        ("correlate", {"kernel": np.ones((3, 3)), "method": "none"}),
        ("correlate_separable", {"column": np.ones(3), "row": np.ones(0)}),
        ("max_pool", {"size": 2, "padding": 3}),
    ],
    ids=str,
)
def test_arguments_are_refused_at_once_as_in_memory(name, keywords):
    image = np.zeros(SHAPE, "f4")
    with pytest.raises((ValueError, TypeError)) as wanted:
        getattr(ik, name)(image, **keywords)
    with pytest.raises(type(wanted.value)) as found:
        getattr(lazily, name)(array.from_array(image, chunks=10), **keywords)
    assert str(found.value) == str(wanted.value)


def test_other_images_and_kernels_are_refused():
    image = array.ones((20, 20), chunks=10)
    with pytest.raises(TypeError, match=r"^image must be a dask\.array\.Array, got ndarray$"):
        lazily.median_filter(np.ones((20, 20)), 3)
    with pytest.raises(ValueError, match=r"^image must have chunks of known sizes, got shape \(nan, 20\)"):
        lazily.median_filter(image[image[:, 0] > 0], 3)
    with pytest.raises(ValueError, match=r"^kernel must have two axes where the image is a Dask array, .*\(2, 3, 3\)$"):
        lazily.correlate(image, np.ones((2, 3, 3)))
    with pytest.raises(ValueError, match=r"^row must have one axis where the image is a Dask array"):
        lazily.correlate_separable(image, np.ones(3), np.ones((2, 3)))
    with pytest.raises(TypeError, match=r"^kernel must be an array in this process's memory"):
        lazily.correlate(image, image)
    for keyword in ("out", "casting", "workers"):
        with pytest.raises(TypeError, match=f"got an unexpected keyword argument '{keyword}'"):
            lazily.median_filter(image, 3, **{keyword: None})


def import_without_dask():
    import importlib
    import sys

    sys.modules["dask"] = None
    try:
        importlib.import_module("imkernels.pipeline.dask")
    except ImportError as error:
        print(error)


def test_the_extra_is_named_where_dask_is_missing():
    assert "pip install 'imkernels[dask]'" in run_alone(import_without_dask)


@pytest.mark.parametrize("name", lazily.__all__)
def test_the_functions_are_known_by_name_and_signature(name):
    function = getattr(lazily, name)
    assert pickle.loads(pickle.dumps(function)) is function
    wanted = inspect.signature(getattr(ik, name)).parameters
    assert list(inspect.signature(function).parameters) == [
        parameter for parameter in wanted if parameter not in ("out", "casting", "workers")
    ]


def test_the_examples_run():
    results = doctest.testmod(lazily)
    assert results.failed == 0
    assert results.attempted >= 4 * len(lazily.__all__)
