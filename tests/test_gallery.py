"""The programs of docs/gallery, in short form."""

import runpy
from pathlib import Path

import numpy as np
import pytest

GALLERY = Path(__file__).parents[1] / "docs" / "gallery"


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


def test_a_scipy_script_counts_the_same_grains_by_either_import(scipy_ndimage):
    main = runpy.run_path(str(GALLERY / "scipy_script.py"))["main"]
    by_kernels, by_scipy = main([]), main(["--scipy"])
    assert by_kernels["count"] == by_scipy["count"] == 144
    np.testing.assert_array_equal(by_kernels["picture"], by_scipy["picture"])
