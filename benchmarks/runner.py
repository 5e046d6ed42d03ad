"""Run every side in processes of its own, one at a time, and collect what they measured."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import cpuinfo
import numpy as np

from benchmarks import agreement, cases
from benchmarks.rivals import Side

SCHEMA = 1
REPOSITORY = Path(__file__).parents[1]

QUICK_SETTINGS = ("--quick", "--benchmark-max-time=0.01", "--benchmark-min-rounds=1")

# Settings of the caller that would reach the libraries behind the runner's back.
THREAD_VARIABLES = ("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "IMKERNELS_NUM_THREADS", "ITK_")

# Freed memory stays with the process (glibc), so that a library without an `out` argument does not pay for fresh pages.
REUSED_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40)}


@dataclass(frozen=True)
class Plan:
    """What to run: the sides, in turn, at each number of threads, in each round."""

    only: str
    quick: bool
    sides: tuple[type[Side], ...]
    threads: tuple[int, ...]
    rounds: int

    @property
    def cases(self) -> list[cases.Case]:
        """The cases that `only` and `quick` leave."""
        return cases.select(self.only, quick=self.quick)

    def turns(self) -> Iterator[tuple[int, type[Side], int]]:
        """Yield round, side and number of threads of each process; single-threaded libraries run at one alone."""
        for turn in range(1, self.rounds + 1):
            for threads in sorted({1, *self.threads}):
                for side in self.sides:
                    if threads in (self.threads if side.threaded else (1,)):
                        yield turn, side, threads


def run(plan: Plan, scratch: Path) -> dict[str, Any]:
    """Carry out `plan` and return the document that results.json holds.

    Parameters
    ----------
    plan : Plan
        What to run.
    scratch : Path
        An empty directory; takes the reference results, about 1 GB of them for all cases at full size.
    """
    _store_references(plan.cases, scratch)
    results: dict[tuple[str, str, int], dict[str, Any]] = {}
    sides = {side.name: {"threaded": side.threaded, "version": None, "isa_level": None} for side in plan.sides}
    for turn, side, threads in plan.turns():
        _log(f"round {turn}/{plan.rounds}, threads={threads}, {side.name} ... ", end="")
        started = perf_counter()
        measured = _measure(side, threads, plan, scratch)
        _log(f"{perf_counter() - started:.1f} s")
        sides[side.name].update(measured["library"])
        for measurement in measured["cases"]:
            key = measurement["case"], side.name, threads
            _add(results.setdefault(key, {"status": "ok", "rounds": []}), measurement)
    return {
        **_describe(plan),
        "sides": sides,
        "results": [
            {"case": case, "side": name, "threads": threads, **_summarised(result)}
            for (case, name, threads), result in results.items()
        ],
    }


def _store_references(selected: list[cases.Case], directory: Path) -> None:
    _log(f"reference results of {len(selected)} cases ...")
    for case in selected:
        np.savez(directory / f"{case.name}.npz", *agreement.expected(case, cases.inputs(case)))


def _measure(side: type[Side], threads: int, plan: Plan, scratch: Path) -> dict[str, Any]:
    """Run one process of `side`; where it breaks down, all its cases count as failed."""
    measurements = scratch / "measurements.json"
    measurements.unlink(missing_ok=True)
    command = [
        *(sys.executable, "-m", "pytest", "benchmarks", "-q", "--benchmark-quiet"),
        *(f"--side={side.name}", f"--threads={threads}", f"--only={plan.only}"),
        *(f"--references={scratch}", f"--measurements={measurements}"),
        *(QUICK_SETTINGS if plan.quick else ()),
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(THREAD_VARIABLES)}
    environment |= REUSED_MEMORY | side.environment(threads)
    process = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    if process.returncode in (0, 1) and measurements.exists():  # 1: some cases failed, which the file tells
        measured: dict[str, Any] = json.loads(measurements.read_text())
        return measured
    _log(f"\n{process.stdout}{process.stderr}")
    failure = {"status": "failed", "message": f"the process ended with exit status {process.returncode}"}
    return {"library": {}, "cases": [{"case": case.name, **failure} for case in plan.cases]}


def _add(result: dict[str, Any], measurement: dict[str, Any]) -> None:
    if measurement["status"] == "ok":
        result["rounds"].append(measurement["stats"])
    else:
        result.update(status=measurement["status"], message=measurement["message"])


def _summarised(result: dict[str, Any]) -> dict[str, Any]:
    """Give a result its time in seconds, the median of the medians of the rounds; None where it is not to be used."""
    good = result["status"] == "ok"
    return {**result, "seconds": median(stats["median"] for stats in result["rounds"]) if good else None}


def _describe(plan: Plan) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": _revision(),
        "machine": {
            "system": platform.platform(),
            "cpu": cpuinfo.get_cpu_info().get("brand_raw", platform.processor()),
            "cores": os.cpu_count(),
        },
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "pytest-benchmark")},
        },
        "quick": plan.quick,
        "rounds": plan.rounds,
        "threads": plan.threads,
        "cases": [{"name": case.name, "pixels": case.pixels, **asdict(case)} for case in plan.cases],
    }


def _revision() -> str | None:
    """Return the commit that is measured, with `-dirty` where the tree has changes; None outside a repository."""
    command = ["git", "describe", "--always", "--dirty"]
    process = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    return process.stdout.strip() or None


def _log(text: str, end: str = "\n") -> None:
    print(text, end=end, file=sys.stderr, flush=True)
