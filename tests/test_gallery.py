"""The programs of docs/gallery, in short form."""

import runpy
from pathlib import Path

import pytest

GALLERY = Path(__file__).parents[1] / "docs" / "gallery"
WITH_A_TEST_OF_ITS_OWN = {"train_small_cnn"}
EXAMPLES = sorted({path.stem for path in GALLERY.glob("[!_]*.py")} - WITH_A_TEST_OF_ITS_OWN)


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
