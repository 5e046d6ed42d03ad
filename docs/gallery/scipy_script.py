"""A SciPy script: count the grains of a noisy picture, by SciPy or by the stand-in with one changed import.

    python docs/gallery/scipy_script.py            # from imkernels.compat import ndimage
    python docs/gallery/scipy_script.py --scipy    # from scipy import ndimage

Salt and pepper go by a median, an uneven background by a wide mean, and what stays above it is labelled. The stand-in
computes the filters by this package's kernels and leaves the labels to SciPy; the picture and the count are the same.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
GRAINS = 12  # along a side of the picture
PITCH = 40  # pixels from one to the next


def grains(rng: np.random.Generator) -> Array:
    """Return a picture of discs on a slope, with salt and pepper on it."""
    side = GRAINS * PITCH
    rows, columns = np.mgrid[:side, :side]
    discs = (rows % PITCH - PITCH // 2) ** 2 + (columns % PITCH - PITCH // 2) ** 2 < 100
    picture = 40 + 60 * columns / side + 60 * discs
    noise = rng.random(picture.shape)
    return np.where(noise < 0.05, 0, np.where(noise > 0.95, 255, picture)).astype(np.uint8)


def find_grains(picture: Array, ndimage: Any) -> Array:
    """Return a picture that is true on the grains."""
    clean = ndimage.median_filter(picture, size=5)
    background = ndimage.uniform_filter(clean, size=81, output=np.int32)
    smooth = ndimage.correlate(clean, np.ones((3, 3)) / 9, output=np.int32)
    return ndimage.minimum_filter(smooth - background, footprint=[[0, 1, 0], [1, 1, 1], [0, 1, 0]]) > 10


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Count and print; return the count, the picture and the seconds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scipy", action="store_true", help="by SciPy alone")
    if parser.parse_args(arguments).scipy:
        from scipy import ndimage
    else:
        from imkernels.compat import ndimage

    picture = grains(np.random.default_rng(1))
    start = time.perf_counter()
    found = find_grains(picture, ndimage)
    seconds = time.perf_counter() - start
    count = int(ndimage.label(found)[1])
    print(f"{count} grains, filtered in {1000 * seconds:.1f} ms")
    assert count == GRAINS**2
    return {"count": count, "picture": found, "seconds": seconds}


if __name__ == "__main__":
    main()
