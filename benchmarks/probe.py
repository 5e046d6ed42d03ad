"""What the machine can do at most, measured by a small native program (`probe.cpp`) in the same run."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.placement import pin_to_one_core

SOURCE = Path(__file__).with_name("probe.cpp")
FLAGS = ("-std=c++20", "-O3", "-march=native", "-fopenmp")


class ProbeError(RuntimeError):
    """The limits of the machine cannot be measured here; the message says why."""


def build(directory: Path) -> Path:
    """Compile the probe with CXX, or else c++, and return the program; one in `directory` that is newer is kept."""
    program = directory / "probe"
    if program.exists() and program.stat().st_mtime > SOURCE.stat().st_mtime:
        return program
    compiler = shlex.split(os.environ.get("CXX") or "c++")
    if shutil.which(compiler[0]) is None:
        raise ProbeError(f"there is no C++ compiler {compiler[0]!r}; CXX can name one")
    command = [*compiler, *FLAGS, str(SOURCE), "-o", str(program)]
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode:
        raise ProbeError(f"{shlex.join(command)} fails: {process.stderr.strip()[-500:]}")
    return program


def measure(program: Path, threads: int, *, repetitions: int = 5) -> dict[str, Any]:
    """Run the probe on `threads` threads, placed as those of the sides are.

    Returns
    -------
    dict
        ``fma_gflops``: float32 multiply-adds, two operations each; ``uint8_min_gops``: minima of bytes;
        ``bandwidth``: for every working set of so many ``bytes`` the rates of ``copy`` (bytes read and written),
        ``read`` and ``write`` in GB/s.
    """
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_PROC_BIND": "spread"}
    pin = pin_to_one_core if threads == 1 else None
    process = subprocess.run(
        [program, str(repetitions)], env=environment, preexec_fn=pin, capture_output=True, text=True
    )
    if process.returncode:
        raise ProbeError(f"the probe ends with exit status {process.returncode}: {process.stderr.strip()[-500:]}")
    limits: dict[str, Any] = json.loads(process.stdout)
    return limits
