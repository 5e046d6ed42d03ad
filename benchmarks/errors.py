"""The command ``python -m benchmarks.errors``: the largest errors of the linear filters, beside what is promised.

Results are compared with sums in extended precision, on images that are hard for sums: noise about zero, noise of very
different magnitudes, and a ramp far from zero. Means are promised within 4 eps of the mean magnitude of their window,
correlations within K*K eps of the sum of the magnitudes of their products.
"""

from __future__ import annotations

from collections.abc import Iterator

import imkernels as ik
import numpy as np

from benchmarks.reference import Array

SIZES = (3, 5, 9, 15, 31, 61, 101)
METHODS = ("direct", "separable", "fft")
SAMPLES = 400


def main() -> None:
    """Print the largest errors in units of eps, for every size and method."""
    print(f"level {ik.isa_level()}; largest errors in eps of the mean, or of sum |w| |x|")
    print(
        "| K | promised |", " | ".join(f"{name} {dtype}" for dtype in ("float32", "float64") for name in METHODS), "|"
    )
    for size in SIZES:
        row = [f"{_largest(size, dtype, name):.2g}" for dtype in ("float32", "float64") for name in METHODS]
        print(f"| {size} | {size * size} |", " | ".join(row), "|", flush=True)
    print("| K | promised | box float32 | box float64 |")
    for size in SIZES:
        row = [f"{_largest(size, dtype, 'box'):.2g}" for dtype in ("float32", "float64")]
        print(f"| {size} | 4 |", " | ".join(row), "|", flush=True)


def _images(extent: int, dtype: str) -> Iterator[Array]:
    rng = np.random.default_rng(extent)
    noise = rng.standard_normal((extent, extent))
    yield noise.astype(dtype)
    yield (noise * 2.0 ** rng.integers(-12, 13, noise.shape)).astype(dtype)
    yield (np.linspace(1, 2000, noise.size).reshape(noise.shape) + noise / 100).astype(dtype)


def _largest(size: int, dtype: str, name: str) -> float:
    rng = np.random.default_rng(size)
    column, row = rng.standard_normal((2, size))
    kernel = np.outer(column, row) if name == "separable" else rng.standard_normal((size, size))
    kernel = np.ones((size, size)) / size**2 if name == "box" else kernel
    kernel = kernel.astype(dtype)
    return max(_error(image, kernel, name) for image in _images(size + 60, dtype))


def _error(image: Array, kernel: Array, name: str) -> float:
    size = len(kernel)
    if name == "box":
        found = ik.box_blur(image, size, padding="valid")
        weights = np.full(kernel.shape, np.longdouble(1) / size**2)
    else:
        found = ik.correlate(image, kernel, padding="valid", method=name)
        weights = kernel.astype(np.longdouble)
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    places = np.random.default_rng(0).integers(0, found.size, SAMPLES)
    worst = 0.0
    for place in places:
        where = np.unravel_index(place, found.shape)
        products = windows[where] * weights
        error = abs(found[where] - products.sum()) / np.abs(products).sum()
        worst = max(worst, float(error) / float(np.finfo(image.dtype).eps))
    return worst


if __name__ == "__main__":
    main()
