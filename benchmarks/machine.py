"""What a run was measured on: the machine, its limits, the compiler and the placement of threads."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import cpuinfo

from benchmarks import probe
from benchmarks.placement import available_cores

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def describe() -> dict[str, Any]:
    """Return what the system tells of the machine; None for what it does not tell."""
    return {
        "system": platform.platform(),
        "cpu": cpuinfo.get_cpu_info().get("brand_raw", platform.processor()),
        "cores": os.cpu_count(),
        "available_cores": available_cores(),
        "caches": _caches(),
        "memory_gb": _memory(),
    }


def describe_package() -> dict[str, Any] | None:
    """Return what ``python -m imkernels info`` tells: compiler, level, OpenMP; None where it is not installed."""
    command = [sys.executable, "-m", "imkernels", "info", "--json"]
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode:
        return None
    facts = json.loads(process.stdout)
    kept = ("version", "compiler", "level", "openmp")
    return {name: facts[name] for name in kept}


def limits(directory: Path, threads: tuple[int, ...], *, repetitions: int) -> dict[str, Any]:
    """Return what the probe measures for each number of threads, or the ``error`` for which there are no limits."""
    try:
        program = probe.build(directory)
        measured = {str(number): probe.measure(program, number, repetitions=repetitions) for number in threads}
    except (probe.ProbeError, OSError) as error:
        return {"error": str(error), "threads": {}}
    return {"error": None, "threads": measured}


def _caches() -> list[str] | None:
    """Return lines like 'L2 1024K' of the data caches that one core sees, with the cores that share them."""
    facts = []
    for cache in sorted(CACHES.glob("index*")):
        level, kind, size, shared = (
            (cache / name).read_text().strip() for name in ("level", "type", "size", "shared_cpu_list")
        )
        if kind != "Instruction":
            facts.append(f"L{level} {size}" + (f" shared by cores {shared}" if set(shared) & set("-,") else ""))
    return facts or None


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, ValueError):  # not of this system
        return None
