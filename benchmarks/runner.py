"""Run every side in processes of its own, one at a time, and collect what they measured."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks import agreement, cases, documents, inputs, machine
from benchmarks.placement import available_cores
from benchmarks.progress import Progress
from benchmarks.rivals import Side

REPOSITORY = Path(__file__).parents[1]

QUICK_SETTINGS = ("--quick", "--benchmark-max-time=0.005", "--benchmark-min-rounds=1")

# Settings of the caller that would reach the libraries behind the runner's back.
THREAD_VARIABLES = ("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "IMKERNELS_NUM_THREADS", "ITK_")


@dataclass(frozen=True)
class Turn:
    """One process: a side at a number of threads, in a round."""

    round: int
    side: type[Side]
    threads: int

    def __str__(self) -> str:
        """Say which it is."""
        return f"round {self.round}, threads={self.threads}, {self.side.name}"


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

    def turns(self) -> Iterator[Turn]:
        """Yield the processes in order; single-threaded libraries run at one thread alone."""
        for number in range(1, self.rounds + 1):
            for threads in sorted({1, *self.threads}):
                for side in self.sides:
                    if threads in (self.threads if side.threaded else (1,)):
                        yield Turn(number, side, threads)


def run(plan: Plan, out: Path, scratch: Path) -> dict[str, Any]:
    """Carry out `plan` and return the document that results.json holds.

    Parameters
    ----------
    plan : Plan
        What to run.
    out : Path
        The directory of the results, which keeps the compiled probe.
    scratch : Path
        An empty directory; takes the reference results, about 2 GB of them for all cases at full size.
    """
    turns = list(plan.turns())
    progress = Progress(len(plan.cases) * len(turns))
    _store_references(plan.cases, scratch, progress)
    document = _describe(plan, out, progress)
    progress = Progress(len(plan.cases) * len(turns))  # whose time starts here
    results: dict[tuple[str, str, int], dict[str, Any]] = {}
    # A quick run measures nothing to be quoted, so that all cores may work at once.
    with ThreadPoolExecutor(available_cores() if plan.quick else 1) as processes:
        everything = processes.map(lambda turn: _measure(turn, plan, scratch, progress), turns)
        for turn, measured in zip(turns, everything, strict=True):
            document["sides"][turn.side.name].update(measured["library"])
            for measurement in measured["cases"]:
                key = measurement["case"], turn.side.name, turn.threads
                _add(results.setdefault(key, {"status": "ok", "rounds": []}), measurement)
    document["results"] = [
        {"case": case, "side": name, "threads": threads, **_summarised(result)}
        for (case, name, threads), result in results.items()
    ]
    return document


def _store_references(selected: list[cases.Case], directory: Path, progress: Progress) -> None:
    progress.say(f"computing the reference results of {len(selected)} cases ...")
    started = perf_counter()
    with ProcessPoolExecutor(available_cores()) as processes:
        list(processes.map(_store_reference, selected, [directory] * len(selected)))
    progress.say(f"reference results: {perf_counter() - started:.1f} s")


def _store_reference(case: cases.Case, directory: Path) -> None:
    np.savez(directory / f"{case.name}.npz", *agreement.expected(case, inputs.build(case)))


def _measure(turn: Turn, plan: Plan, scratch: Path, progress: Progress) -> dict[str, Any]:
    """Run one process; where it breaks down, all its cases count as failed."""
    measurements = scratch / f"{turn.side.name}-{turn.threads}-{turn.round}.json"
    command = [
        *(sys.executable, "-m", "pytest", "benchmarks", "-v", "-p", "pytest_benchmark.plugin", "--benchmark-quiet"),
        *(f"--side={turn.side.name}", f"--threads={turn.threads}", f"--only={plan.only}"),
        *(f"--references={scratch}", f"--measurements={measurements}"),
        *(QUICK_SETTINGS if plan.quick else ()),
    ]
    started = perf_counter()
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, cwd=REPOSITORY, env=_environment(turn), **pipes) as process:
        said = []
        for line in process.stdout or ():
            said.append(line)
            if "::test_case[" in line:
                progress.step(f"{turn}, {line.partition('[')[2].partition(']')[0]}")
    seconds = perf_counter() - started
    progress.say(f"{turn}: {seconds:.1f} s; {progress.left()}")
    if process.returncode in (0, 1) and measurements.exists():  # 1: some cases failed, which the file tells
        measured: dict[str, Any] = json.loads(measurements.read_text())
        return measured
    progress.say("".join(said))
    failure = {"status": "failed", "message": f"the process ended with exit status {process.returncode}"}
    return {"library": {}, "cases": [{"case": case.name, **failure} for case in plan.cases]}


def _environment(turn: Turn) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(THREAD_VARIABLES)}
    # Other plugins that happen to be installed would be imported in every process.
    pytest_settings = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONUNBUFFERED": "1"}
    return environment | turn.side.memory | turn.side.environment(turn.threads) | pytest_settings


def _add(result: dict[str, Any], measurement: dict[str, Any]) -> None:
    if measurement["status"] == "ok":
        result["rounds"].append(measurement["stats"])
    elif measurement["status"] != "left out" or not result["rounds"]:  # an estimate near the limit may go either way
        result.update(status=measurement["status"], message=measurement["message"])


def _summarised(result: dict[str, Any]) -> dict[str, Any]:
    """Give a result its time in seconds, the median of the medians of the rounds; None where it is not to be used."""
    if result["status"] == "left out" and result["rounds"]:
        result = {"status": "ok", "rounds": result["rounds"]}
    good = result["status"] == "ok"
    return {**result, "seconds": median(stats["median"] for stats in result["rounds"]) if good else None}


def _describe(plan: Plan, out: Path, progress: Progress) -> dict[str, Any]:
    progress.say("measuring the limits of the machine ...")
    described = machine.describe()
    described["limits"] = machine.limits(out, plan.threads, repetitions=1 if plan.quick else 5)
    described["package"] = machine.describe_package()
    return {
        "schema": documents.SCHEMA,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": _revision(),
        "machine": described,
        "placement": {str(threads): _placement(threads, plan) for threads in plan.threads},
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "pytest-benchmark")},
        },
        "quick": plan.quick,
        "rounds": plan.rounds,
        "threads": plan.threads,
        "sides": {
            side.name: {"threaded": side.threaded, "rival": side.rival, "version": None, "isa_level": None}
            for side in plan.sides
        },
        "cases": [documents.entry(case) for case in plan.cases],
    }


def _placement(threads: int, plan: Plan) -> dict[str, Any]:
    """Return whether processes are pinned to one core, and the variables by which each side is told its threads."""
    told = {side.name: side.environment(threads) for side in plan.sides if side.threaded}
    return {"pinned": threads == 1 and not plan.quick, "environment": told}


def _revision() -> str | None:
    """Return the commit that is measured, with `-dirty` where the tree has changes; None outside a repository."""
    command = ["git", "describe", "--always", "--dirty"]
    process = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    return process.stdout.strip() or None
