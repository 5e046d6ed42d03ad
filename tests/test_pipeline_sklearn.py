"""The transformers for scikit-learn: what its own checks ask for, and that they are the functions of the package."""
# ruff: noqa: E402 (its modules are imported where it is there)

import doctest
import inspect
import pickle

import imkernels as ik
import numpy as np
import pytest

from tests.cases import assert_same_bits, seeded_image
from tests.conftest import peer
from tests.processes import run_alone

peer("sklearn")

import imkernels.pipeline.sklearn as adapter
from imkernels.pipeline.sklearn import BoxBlur, Correlate, MaxPool, MedianFilter
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

pytestmark = pytest.mark.wrapper

KERNEL = [[0.0, 1.0, 0.5], [-1.0, 2.0, 0.25]]
FOOTPRINT = [[0, 1, 0], [1, 1, 1]]

# (transformer, the same in memory of a stack whose window axes are 1 and 2)
TRANSFORMERS = [
    (MedianFilter(), lambda images: ik.median_filter(images, 3, axes=(1, 2))),
    (
        MedianFilter(None, footprint=FOOTPRINT, stride=(2, 1), mode="wrap", origin=(0, -1), nan="omit", workers=1),
        lambda images: ik.median_filter(
            images, footprint=FOOTPRINT, stride=(2, 1), mode="wrap", origin=(0, -1), nan="omit", axes=(1, 2)
        ),
    ),
    (
        BoxBlur((3, 5), mode="constant", cval=1.0),
        lambda images: ik.box_blur(images, (3, 5), mode="constant", cval=1.0, axes=(1, 2)),
    ),
    (BoxBlur(4, padding="valid"), lambda images: ik.box_blur(images, 4, padding="valid", axes=(1, 2))),
    (
        Correlate(KERNEL, dilation=2, method="direct"),
        lambda images: ik.correlate(images, np.float32(KERNEL), dilation=2, axes=(1, 2), method="direct"),
    ),
    (MaxPool(), lambda images: ik.max_pool(images, 2, axes=(1, 2))),
    (
        MaxPool(3, stride=2, padding=1, ceil_mode=True),
        lambda images: ik.max_pool(images, 3, stride=2, padding=1, ceil_mode=True, axes=(1, 2)),
    ),
]
transformers = pytest.mark.parametrize(
    ("transformer", "function"),
    TRANSFORMERS,
    ids=[repr(transformer).replace(" ", "") for transformer, _ in TRANSFORMERS],
)
KINDS = [MedianFilter(), BoxBlur(), Correlate(KERNEL), MaxPool()]
kinds = pytest.mark.parametrize("transformer", KINDS, ids=lambda transformer: type(transformer).__name__)


@parametrize_with_checks(
    [
        MedianFilter(image_shape=(1, -1)),
        MedianFilter(image_shape=(-1, 1, 1), nan="omit", stride=2),
        BoxBlur(image_shape=(1, -1)),
        Correlate(KERNEL, image_shape=(1, -1)),
        MaxPool(3, stride=2, padding=1, image_shape=(1, -1)),
    ]
)
def test_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


@transformers
@pytest.mark.parametrize("shape", [(5, 12, 9), (5, 12, 9, 3)])
def test_it_is_the_function_on_stacks_and_on_rows(transformer, function, shape):
    images = seeded_image(shape, "f4")
    wanted = function(images)
    assert_same_bits(transformer.fit_transform(images), wanted)
    assert_same_bits(clone(transformer).transform(images[::-1, :, ::2]), function(images[::-1, :, ::2]))
    rows = clone(transformer).set_params(image_shape=shape[1:])
    assert_same_bits(rows.fit_transform(images.reshape(5, -1)), wanted.reshape(5, -1))


@kinds
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_floats_keep_their_dtype(transformer, dtype):
    assert transformer.fit_transform(seeded_image((2, 6, 7), dtype)).dtype == dtype


@pytest.mark.parametrize("dtype", ["?", "u1", "i2", "u4", "i8"])
def test_integers_stay_exact(dtype):
    images = seeded_image((2, 6, 7), dtype)
    assert_same_bits(MedianFilter().fit_transform(images), ik.median_filter(images, 3))
    assert_same_bits(MaxPool().fit_transform(images), ik.max_pool(images, 2))
    if dtype != "?":
        assert_same_bits(BoxBlur().fit_transform(images), ik.box_blur(images, 3))


def test_a_kernel_of_integers_gives_the_sums_of_integers():
    images = np.full((1, 4, 4), 200, np.uint8)
    result = Correlate(np.ones((3, 3), np.int8)).fit_transform(images)
    assert result.dtype == np.int32
    assert (result == 1800).all()


def test_what_is_no_number_stays_in_its_windows():
    images = np.ones((1, 5, 9))
    images[0, 2, 2] = np.nan
    for transformer in (MedianFilter(), BoxBlur(), Correlate(np.ones((3, 3)))):
        found = np.isnan(transformer.fit_transform(images))
        assert found[0, 1:4, 1:4].all()
        assert found.sum() == 9


@transformers
def test_copies_by_pickle_and_clone(transformer, function):
    images = seeded_image((2, 12, 9), "f4")
    for copy in (pickle.loads(pickle.dumps(transformer)), clone(transformer)):
        assert str(copy.get_params()) == str(transformer.get_params())
        assert_same_bits(copy.transform(images), function(images))


# Names of features, and data frames


def test_pixels_keep_their_names_where_there_are_as_many():
    names = [f"pixel{number}" for number in range(12)]
    frame = peer("pandas").DataFrame(seeded_image((2, 12), "f8"), columns=names, index=["a", "b"])
    transformer = MedianFilter(image_shape=(3, 4)).set_output(transform="pandas")
    result = transformer.fit_transform(frame)
    assert list(result.columns) == names
    assert list(result.index) == ["a", "b"]
    np.testing.assert_array_equal(result, ik.median_filter(frame.to_numpy().reshape(2, 3, 4), 3).reshape(2, 12))
    with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
        transformer.get_feature_names_out(names[::-1])


def test_other_pixels_are_numbered():
    rows = seeded_image((2, 24), "f8")
    assert list(MaxPool(2, image_shape=(4, 6)).fit(rows).get_feature_names_out()) == [f"maxpool{i}" for i in range(6)]
    assert len(BoxBlur(3, image_shape=(4, 6), padding="valid").fit(rows).get_feature_names_out()) == 2 * 4
    assert list(BoxBlur(3, image_shape=(-1, 6)).fit(rows).get_feature_names_out()) == [f"x{i}" for i in range(24)]
    # As many values, but of other pixels.
    other = BoxBlur((1, 3), image_shape=(4, 6), padding=((4, 0), (0, 0)), stride=(1, 2)).fit(rows)
    assert other.transform(rows).shape == (2, 16)
    assert other.get_feature_names_out()[0] == "boxblur0"


@kinds
def test_stacks_have_no_features_to_name(transformer):
    assert not hasattr(transformer, "get_feature_names_out")
    assert not hasattr(transformer, "set_output")
    with config_context(transform_output="pandas"):
        assert isinstance(transformer.fit_transform(np.zeros((2, 6, 7))), np.ndarray)
    assert hasattr(clone(transformer).set_params(image_shape=(2, 3)), "set_output")


# Pipelines and processes


def noisy_bars():
    """Return rows of images with a bar across or down, black and white noise over it, and which it is."""
    rng = np.random.default_rng(3)
    labels = np.arange(80) % 2
    images = np.zeros((80, 12, 12), np.uint8)
    images[labels == 0, 4:8] = 100
    images[labels == 1, :, 4:8] = 100
    images[rng.random(images.shape) < 0.1] = 255
    return images.reshape(80, -1), labels


def test_a_grid_search_in_processes_finds_what_it_finds_in_one():
    rows, labels = noisy_bars()
    steps = [("filter", MedianFilter(image_shape=(12, 12))), ("classify", LogisticRegression(max_iter=30))]
    grid = {"filter__size": [1, 3], "filter__mode": ["reflect", "wrap"]}
    scores = [
        GridSearchCV(Pipeline(steps), grid, cv=2, n_jobs=jobs).fit(rows, labels).cv_results_["mean_test_score"]
        for jobs in (1, 2)
    ]
    np.testing.assert_array_equal(*scores)


def test_steps_of_a_pipeline_follow_each_other():
    rows, _ = noisy_bars()
    pipeline = make_pipeline(MedianFilter(image_shape=(12, 12)), MaxPool(2, image_shape=(12, 12)))
    wanted = ik.max_pool(ik.median_filter(rows.reshape(-1, 12, 12), 3), 2)
    assert_same_bits(pipeline.fit_transform(rows), wanted.reshape(-1, 36))


def count_threads_in_joblib():
    import os

    import imkernels as ik
    import joblib
    import numpy as np
    from imkernels.pipeline.sklearn import MedianFilter

    def work(transformer, images):
        assert isinstance(images, np.memmap)
        assert not images.flags.writeable
        return transformer.transform(images), ik.get_workers()

    images = np.random.default_rng(0).random((6, 100, 100))
    found = joblib.Parallel(n_jobs=2, max_nbytes=1000)(joblib.delayed(work)(MedianFilter(), images) for _ in range(4))
    for result, threads in found:
        np.testing.assert_array_equal(result, ik.median_filter(images, 3))
        assert 2 * threads <= max(2, os.cpu_count())


@pytest.mark.slow
def test_joblib_hands_out_read_only_maps_and_not_too_many_threads():
    run_alone(count_threads_in_joblib, environment={"OMP_NUM_THREADS": None, "IMKERNELS_NUM_THREADS": None})


# What is refused


@pytest.mark.parametrize(
    ("transformer", "images", "error", "text"),
    [
        (MedianFilter(), np.zeros((6, 7)), ValueError, r"X must be a stack of images, .* got shape \(6, 7\)"),
        (MedianFilter(), np.zeros((2, 3, 4, 5, 6)), ValueError, "X must be a stack of images"),
        (MedianFilter(), np.zeros((0, 6, 7)), ValueError, "Found array with 0 sample"),
        (MedianFilter(image_shape=(6, 7)), np.zeros((2, 6, 7)), ValueError, "Found array with dim 3"),
        (
            MedianFilter(image_shape=(6, 7)),
            np.zeros((2, 40)),
            ValueError,
            "that of the 40 pixels in a row of X, got .6, 7",
        ),
        (MedianFilter(image_shape=(6, -1)), np.zeros((2, 40)), ValueError, "image_shape must be that of the 40 pixels"),
        (
            MedianFilter(image_shape=(-1, -1)),
            np.zeros((2, 40)),
            ValueError,
            "image_shape must be two or three positive",
        ),
        (MedianFilter(image_shape=(0, -1)), np.zeros((2, 40)), ValueError, "image_shape must be two or three positive"),
        (MedianFilter(image_shape=(40,)), np.zeros((2, 40)), ValueError, "image_shape must be two or three positive"),
        (MedianFilter(image_shape=40), np.zeros((2, 40)), TypeError, "image_shape must be two or three positive"),
        (MedianFilter(size=0), np.zeros((2, 6, 7)), ValueError, "size must be at least 1, got 0"),
        (MedianFilter(mode="none"), np.zeros((2, 6, 7)), ValueError, "mode must be one of"),
        (MedianFilter(workers=0), np.zeros((2, 6, 7)), ValueError, "workers must be"),
        (BoxBlur(), np.zeros((2, 6, 7), bool), TypeError, "image must hold numbers, got dtype bool"),
        (Correlate([1, 2]), np.zeros((2, 6, 7)), ValueError, r"kernel must have two axes, got shape \(2,\)"),
        (Correlate(np.ones((2, 3, 3))), np.zeros((2, 6, 7)), ValueError, "kernel must have two axes"),
        (MaxPool(9), np.zeros((2, 6, 7)), ValueError, "size must not exceed the padded image"),
        (MaxPool(), np.zeros((2, 6, 7), complex), ValueError, "Complex data not supported"),
    ],
)
def test_what_does_not_fit_is_refused_when_fitting(transformer, images, error, text):
    with pytest.raises(error, match=text):
        transformer.fit(images)


def import_without_scikit_learn():
    import importlib
    import sys

    sys.modules["sklearn"] = None
    try:
        importlib.import_module("imkernels.pipeline.sklearn")
    except ImportError as error:
        print(error)


def test_the_extra_is_named_where_scikit_learn_is_missing():
    assert "pip install 'imkernels[sklearn]'" in run_alone(import_without_scikit_learn)


@kinds
def test_every_parameter_is_documented_and_one_of_the_functions(transformer):
    kind = type(transformer)
    parameters = inspect.signature(kind).parameters
    assert set(parameters) - {"image_shape"} <= set(inspect.signature(kind._function).parameters)
    for name in parameters:
        assert f"\n{name} : " in inspect.getdoc(kind)


def test_the_examples_run():
    results = doctest.testmod(adapter)
    assert results.failed == 0
    assert results.attempted >= 16
