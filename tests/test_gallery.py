"""The programs of docs/gallery, in short form."""

import runpy
from importlib.util import find_spec
from pathlib import Path

import imkernels as ik
import numpy as np
import pytest

from tests.conftest import peer
from tests.processes import run_alone

pytestmark = pytest.mark.wrapper

GALLERY = Path(__file__).parents[1] / "docs" / "gallery"
EXAMPLES = runpy.run_path(str(GALLERY / "__main__.py"))["EXAMPLES"] if find_spec("matplotlib") else []  # that draw


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_assertions_of_an_example_hold_and_its_figures_are_written(name, tmp_path, monkeypatch):
    image = pytest.importorskip("matplotlib.image")
    monkeypatch.setenv("IMKERNELS_GALLERY_SHORT", "1")
    run = runpy.run_path(str(GALLERY / "__main__.py"))["run"]
    figures = run(name, tmp_path)
    assert figures
    assert set(figures) == set(tmp_path.iterdir())
    for path in figures:
        height, width, _ = image.imread(path).shape
        assert height >= 300
        assert width >= 600


def test_a_small_network_learns_what_it_learns_in_pytorch(torch, tmp_path, capsys):
    io = pytest.importorskip("skimage.io")
    main = runpy.run_path(str(GALLERY / "train_small_cnn.py"))["main"]
    found = main(["--epochs", "3", "--patches", "1000", "--out", str(tmp_path), "--compare"])
    assert found["accuracy"] > 0.4  # by chance 0.2
    assert found["accuracy"] == pytest.approx(found["pytorch_accuracy"], abs=0.02)
    losses = [float(line.split()[3].rstrip(",")) for line in capsys.readouterr().out.splitlines()[:3]]
    assert losses == sorted(losses, reverse=True)
    filters = io.imread(tmp_path / "filters.png")
    assert filters.shape == (88, 8 * 88)
    assert filters.min() == 0
    assert filters.max() == 255


def test_workers_of_a_data_loader_prepare_what_the_kernel_of_a_lens_is_learned_from(torch):
    pytest.importorskip("skimage.data")
    main = runpy.run_path(str(GALLERY / "torch_dataloader.py"))["main"]
    short = ["--steps", "6", "--patches", "100", "--workers"]
    found = main([*short, "1"])
    assert found["error"] < 0.02  # of weights up to 0.2
    assert found == main([*short, "0"])


def test_a_filter_helps_to_read_noisy_digits():
    peer("sklearn")
    accuracies = runpy.run_path(str(GALLERY / "sklearn_pipeline.py"))["main"](["--digits", "600"])
    assert len(accuracies) == 8
    assert accuracies["MedianFilter(image_shape=(16, 16))"] > accuracies["passthrough"] + 0.02
    assert accuracies["test"] > accuracies["passthrough"]


def run_larger_than_memory(program, folder):
    import runpy

    if __name__ == "__main__":
        found = runpy.run_path(program)["main"](["--exposures", "12", "--limit", "256", "--out", folder])
        assert found["peak"] < found["limit"] < found["mosaic"]


@pytest.mark.slow
def test_a_mosaic_larger_than_memory_is_cleaned_within_it(tmp_path):
    peer("distributed")
    run_alone(run_larger_than_memory, str(GALLERY / "larger_than_memory.py"), str(tmp_path))
    mosaic, clean, half = (np.load(tmp_path / f"{name}.npy") for name in ("mosaic", "clean", "half"))
    assert (mosaic > 30_000).any()
    assert not (clean > 30_000).any()
    assert np.array_equal(clean, ik.median_filter(mosaic, 5))
    assert np.array_equal(half, ik.max_pool(clean, 2))


def test_a_scipy_script_counts_the_same_grains_by_either_import(scipy_ndimage):
    main = runpy.run_path(str(GALLERY / "scipy_script.py"))["main"]
    by_kernels, by_scipy = main([]), main(["--scipy"])
    assert by_kernels["count"] == by_scipy["count"] == 144
    np.testing.assert_array_equal(by_kernels["picture"], by_scipy["picture"])
