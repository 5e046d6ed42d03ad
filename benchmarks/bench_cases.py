"""The measurement of one case by one side: check the result, then time the call."""

from __future__ import annotations

from math import ceil
from time import perf_counter
from typing import Any

import pytest

from benchmarks import agreement, cases
from benchmarks.rivals import Side

SLOW_SECONDS = 0.2  # a call that takes longer is repeated for about a second, without calibration


def test_case(case: cases.Case, side: Side, expected: agreement.Expected, benchmark: Any) -> None:
    inputs = cases.inputs(case)
    call = side.prepare(case, inputs)
    if call is None:
        pytest.skip(f"{side.name} does not offer {case.name}")

    started = perf_counter()
    result = call.run()
    seconds = perf_counter() - started
    agreement.check(
        case,
        inputs,
        expected(case, inputs),
        tuple(side.as_array(part) for part in (result if isinstance(result, tuple) else (result,))),
        interior=call.border != "reflect",
        mean_error=side.mean_error,
    )

    benchmark.group = case.name
    if seconds > SLOW_SECONDS:
        benchmark.pedantic(call.run, rounds=ceil(1 / seconds))
    else:
        benchmark(call.run)
