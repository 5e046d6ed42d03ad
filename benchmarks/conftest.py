"""Options and fixtures of a side's process: which side, how many threads, which cases, and where the results go."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import agreement, cases
from benchmarks.agreement import Arrays, Expected
from benchmarks.bench_cases import TooSlowError
from benchmarks.placement import pin_to_one_core
from benchmarks.rivals import SIDES, Side

KEPT_SAMPLES = 32  # times of single calls that are kept of each process

MEASUREMENTS = pytest.StashKey[dict[str, Any]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("imkernels benchmarks")
    group.addoption("--side", choices=tuple(SIDES), default="ours", help="the library to measure (default: ours)")
    group.addoption("--threads", type=int, default=1, help="its number of threads (default: 1, pinned to one core)")
    group.addoption("--only", default="", metavar="REGEX", help="measure the cases whose name matches")
    group.addoption("--quick", action="store_true", help="measure small images")
    group.addoption("--call-limit", type=float, default=3.0, metavar="S", help="leave out calls that take longer")
    group.addoption("--references", type=Path, metavar="DIR", help="reference results made by `python -m benchmarks`")
    group.addoption("--measurements", type=Path, metavar="FILE", help="write what was measured as JSON")


def pytest_configure(config: pytest.Config) -> None:
    side = SIDES[config.getoption("side")]
    if not side.installed():
        raise pytest.UsageError(f"{side.name} is not installed: {side.install}")
    config.stash[MEASUREMENTS] = {"library": {}, "cases": []}
    if config.getoption("threads") == 1 and not config.getoption("quick"):
        pin_to_one_core()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    selected = cases.select(metafunc.config.getoption("only"), quick=metafunc.config.getoption("quick"))
    metafunc.parametrize("case", selected, ids=lambda case: case.name)


@pytest.fixture(scope="session")
def side(pytestconfig: pytest.Config) -> Side:
    side = SIDES[pytestconfig.getoption("side")](pytestconfig.getoption("threads"))
    pytestconfig.stash[MEASUREMENTS]["library"] = {"version": side.version, "isa_level": side.isa_level}
    return side


@pytest.fixture(scope="session")
def call_limit(pytestconfig: pytest.Config) -> float:
    return float(pytestconfig.getoption("call_limit"))


@pytest.fixture(scope="session")
def expected(pytestconfig: pytest.Config) -> Expected:
    """Return the function that loads the reference results of a case, or computes them where none are stored."""
    directory: Path | None = pytestconfig.getoption("references")
    if directory is None:
        return agreement.expected

    def load(case: cases.Case, _inputs: Arrays) -> Arrays:
        with np.load(directory / f"{case.name}.npz") as stored:
            return tuple(stored.values())

    return load


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: Any, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note what became of each case: measured, left out, found to differ from the reference, or failed."""
    report = yield
    left_out = call.excinfo is not None and call.excinfo.errisinstance(TooSlowError)
    if report.failed or left_out or (report.passed and call.when == "call"):
        measurement = {"case": item.callspec.params["case"].name, **_outcome(item, call)}
        item.config.stash[MEASUREMENTS]["cases"].append(measurement)
    return report


def _outcome(item: Any, call: pytest.CallInfo[None]) -> dict[str, Any]:
    if call.excinfo is not None:
        if call.excinfo.errisinstance(TooSlowError):
            return {"status": "left out", "message": str(call.excinfo.value)}
        status = "differs" if call.excinfo.errisinstance(agreement.DisagreementError) else "failed"
        return {"status": status, "message": call.excinfo.exconly()}
    measured = item.funcargs["benchmark"].stats
    columns = ("median", "min", "max", "mean", "stddev", "rounds", "iterations")
    kept = {column: measured[column] for column in columns}
    return {"status": "ok", "stats": {**kept, "samples": _thinned(measured.stats.sorted_data)}}


def _thinned(times: list[float]) -> list[float]:
    """Return KEPT_SAMPLES quantiles, or all where there are fewer."""
    if len(times) <= KEPT_SAMPLES:
        return times
    quantiles = np.quantile(times, (np.arange(KEPT_SAMPLES) + 0.5) / KEPT_SAMPLES)
    return [float(f"{time:.5g}") for time in quantiles]


def pytest_sessionfinish(session: pytest.Session) -> None:
    path: Path | None = session.config.getoption("measurements")
    if path is not None:
        path.write_text(json.dumps(session.config.stash[MEASUREMENTS]))
