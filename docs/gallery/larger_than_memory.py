"""Clean a mosaic that is larger than the memory of the process that works on it, from disk to disk.

    python docs/gallery/larger_than_memory.py --out gallery-out

A mosaic of 16-bit exposures with hot pixels lies in a ``.npy`` file of 1250 MiB. A worker of Dask, a process that may
take 512 MiB and is ended if it takes more, replaces every pixel by the median of its 5 x 5 neighbours, and writes the
result and a copy of half the size, of the maxima of 2 x 2, to files again; it sees a few bands of rows at a time, since
a file of rows is read fastest by them. How much memory it has taken at most is printed, and what lies around a joint of
bands is compared with the same calls in memory.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import imkernels as ik
import imkernels.pipeline.dask as ikd
import numpy as np
from dask import array
from dask.distributed import Client, LocalCluster

Array = np.ndarray[Any, np.dtype[Any]]

EXPOSURE = 1024  # rows and columns of one
BAND = 256  # rows that a task works on
MIB = 2**20


class NpyFile:
    """A ``.npy`` file, mapped for each band alone: none of it stays in memory, and a worker gets its path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        header = np.load(path, mmap_mode="r")
        self.shape, self.dtype, self.ndim = header.shape, header.dtype, header.ndim

    def __getitem__(self, region: tuple[slice, ...]) -> Array:
        """Read a region."""
        return np.array(np.load(self.path, mmap_mode="r")[region])

    def __setitem__(self, region: tuple[slice, ...], values: Array) -> None:
        """Write a region."""
        np.load(self.path, mmap_mode="r+")[region] = values


def empty_file(path: Path, shape: tuple[int, ...]) -> NpyFile:
    """Make a file for an image of 16 bits."""
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint16, shape=shape)
    return NpyFile(path)


def make_mosaic(path: Path, exposures: int) -> NpyFile:
    """Write a mosaic of so many exposures a side, each with a level of its own, noise and hot pixels."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 20, (EXPOSURE, EXPOSURE)).astype(np.int16)
    noise[rng.random(noise.shape) < 0.002] = 30_000
    mosaic = empty_file(path, (exposures * EXPOSURE, exposures * EXPOSURE))
    for row in range(0, mosaic.shape[0], EXPOSURE):
        levels = rng.integers(500, 4000, exposures)
        mosaic[row : row + EXPOSURE, :] = np.hstack([np.roll(noise, level) + level for level in levels])
    return mosaic


def peak_memory() -> int:
    """Return the bytes of memory that this process has taken at most, the pages of mapped files included."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def compute(source: NpyFile, targets: tuple[NpyFile, NpyFile], limit: int) -> int:
    """Write the results to files by a worker that may take `limit` bytes; return what it took at most."""
    one = {"n_workers": 1, "threads_per_worker": 2, "memory_limit": limit}
    with LocalCluster(**one, dashboard_address=None) as cluster, Client(cluster) as client:
        clean = ikd.median_filter(array.from_array(source, chunks=(BAND, -1)), 5)
        # Both at once, so that the mosaic is read and filtered once.
        array.store([clean, ikd.max_pool(clean, 2)], list(targets), lock=False)
        (peak,) = client.run(peak_memory).values()
        return int(peak)


def joint_agrees(source: NpyFile, targets: tuple[NpyFile, NpyFile]) -> bool:
    """Whether the results around a joint of bands are those of the calls in memory."""
    clean = ik.median_filter(source[BAND - 64 : BAND + 64, :], 5)[32:-32]
    half = ik.max_pool(clean, 2)
    same = np.array_equal(targets[0][BAND - 32 : BAND + 32, :], clean)
    return same and np.array_equal(targets[1][BAND // 2 - 16 : BAND // 2 + 16, :], half)


def main(arguments: list[str] | None = None) -> dict[str, int]:
    """Make a mosaic, clean it and print what it took; return bytes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--exposures", type=int, default=25, help="exposures a side of the mosaic")
    parser.add_argument("--limit", type=int, default=512, help="MiB that the worker may take")
    parser.add_argument("--out", type=Path, default=Path("gallery-out"), help="folder for the files")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    source = make_mosaic(options.out / "mosaic.npy", options.exposures)
    side = source.shape[0]
    targets = (
        empty_file(options.out / "clean.npy", (side, side)),
        empty_file(options.out / "half.npy", (side // 2,) * 2),
    )
    start = time.perf_counter()
    peak = compute(source, targets, options.limit * MIB)
    seconds = time.perf_counter() - start
    mosaic = side * side * source.dtype.itemsize
    print(f"{mosaic // MIB} MiB in {seconds:.1f} s, by a worker that took {peak // MIB} of {options.limit} MiB")
    if not joint_agrees(source, targets):
        raise SystemExit("a joint of bands shows")
    return {"mosaic": mosaic, "limit": options.limit * MIB, "peak": peak}


if __name__ == "__main__":
    main()
