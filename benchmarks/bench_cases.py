"""The measurement of one case by one side: check the result, then time the call."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from time import perf_counter
from typing import Any

import pytest

from benchmarks import agreement, cases, inputs
from benchmarks.rivals import Side

SLOW_SECONDS = 0.1  # a call that takes longer is repeated for about half a second, without calibration
STRIP = 16  # part of an image whose time tells about how long the whole would take


class TooSlowError(pytest.skip.Exception):
    """A call would take longer than is allowed, and is left out."""


def test_case(case: cases.Case, side: Side, expected: agreement.Expected, call_limit: float, benchmark: Any) -> None:
    if (seconds := _estimated(case, side)) > call_limit:
        raise TooSlowError(f"a call would take about {seconds:.2g} s")
    arrays = inputs.build(case)
    call = side.prepare(case, arrays)
    if call is None:
        pytest.skip(f"{side.name} does not offer {case.name}")

    started = perf_counter()
    result = call.run()
    seconds = perf_counter() - started
    agreement.check(
        case,
        arrays,
        expected(case, arrays),
        tuple(side.as_array(part) for part in (result if isinstance(result, tuple) else (result,))),
        interior=call.border != "reflect",
        mean_error=side.mean_error,
    )

    benchmark.group = case.name
    if seconds > SLOW_SECONDS:
        benchmark.pedantic(call.run, rounds=ceil(0.5 / seconds))
    else:
        benchmark(call.run)


def _estimated(case: cases.Case, side: Side) -> float:
    """Return about how many seconds a call of a filter takes, from one on a strip; 0 where it is not in doubt."""
    rows = max(case.shape[0] // STRIP, case.size)
    if not case.filtered or case.size < 5 or rows >= case.shape[0]:
        return 0.0
    strip = replace(case, shape=(rows, *case.shape[1:]))
    call = side.prepare(strip, inputs.build(strip))
    if call is None:
        return 0.0
    started = perf_counter()
    call.run()
    return (perf_counter() - started) * case.shape[0] / rows
