"""The command ``python -m benchmarks.crossovers``: where one method of the order filters overtakes another.

One thread, this machine, the level in use (``IMKERNELS_ISA`` forces one). `imkernels.filters` keeps what was found.
"""

from __future__ import annotations

import time

import imkernels as ik
import numpy as np

SIZES = (3, 5, 7, 9, 11, 13, 15, 17, 21, 25, 31, 37, 41, 51, 59)
METHODS = ("network", "histogram", "sliding", "select")
DTYPES = ("uint8", "uint16", "float32", "float64")


def main() -> None:
    """Print Mpx/s of every method, for squares and for discs."""
    print(f"level {ik.isa_level()}, one thread, Mpx/s")
    pixels = np.clip(128 + 40 * np.random.default_rng(0).standard_normal((512, 512)), 0, 255)
    for dtype in DTYPES:
        image = pixels.astype(dtype)
        for size in SIZES:
            print(f"{dtype:8} {size:3}", *(f"{name} {_rate(image, name, size=size):8}" for name in METHODS), flush=True)
        for size in SIZES:
            y, x = np.ogrid[-(size // 2) : size // 2 + 1, -(size // 2) : size // 2 + 1]
            disc = x * x + y * y <= (size / 2) ** 2
            rates = (f"{name} {_rate(image, name, footprint=disc):8}" for name in ("sliding", "select"))
            print(f"{dtype:8} disc {size:3} of {disc.sum():4}", *rates, flush=True)


def _rate(image: np.ndarray, method: str, **window: object) -> str:
    out = np.empty_like(image)

    def seconds() -> float:
        start = time.perf_counter()
        ik.median_filter(image, method=method, out=out, workers=1, **window)
        return time.perf_counter() - start

    try:
        first = seconds()
    except ValueError:
        return "-"
    best = first if first > 0.2 else min(seconds() for _ in range(5))
    return f"{image.size / best / 1e6:.1f}"


if __name__ == "__main__":
    main()
