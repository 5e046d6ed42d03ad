"""The measurement of one case by one side: check the result, and time the call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import ceil
from time import perf_counter
from typing import Any

import pytest

from benchmarks import agreement, cases, inputs
from benchmarks.rivals import Call, Side

VERY_SLOW_SECONDS = 0.5  # a call that takes longer is made once
SLOW_SECONDS = 0.1  # one that takes longer is repeated for half a second, without calibration

STRIP = 16, 8  # parts of the height and width whose time tells about how long the whole image would take
FEW_PIXELS = 2**17  # take no time that matters


class TooSlowError(pytest.skip.Exception):
    """A call would take longer than is allowed, and is left out."""


def test_case(case: cases.Case, side: Side, expected: agreement.Expected, call_limit: float, benchmark: Any) -> None:
    if not side.offers(case):
        pytest.skip(f"{side.name} does not offer {case.name}")
    estimated = _estimated(case, side)
    if estimated > call_limit:
        raise TooSlowError(f"a call would take about {estimated:.2g} s")
    arrays = inputs.build(case)
    call = side.prepare(case, arrays)
    if call is None:
        pytest.skip(f"{side.name} does not offer {case.name}")

    benchmark.group = case.name
    check = partial(_check, case, side, arrays, call, expected)
    if estimated > VERY_SLOW_SECONDS:
        check(benchmark.pedantic(call.run))
    else:
        _repeat(call, check, benchmark)


def _repeat(call: Call, check: Callable[[Any], None], benchmark: Any) -> None:
    started = perf_counter()
    result = call.run()
    seconds = perf_counter() - started
    check(result)
    if seconds > SLOW_SECONDS:
        benchmark.pedantic(call.run, rounds=ceil(0.5 / seconds))
    else:
        benchmark(call.run)


def _check(
    case: cases.Case, side: Side, arrays: agreement.Arrays, call: Call, expected: agreement.Expected, result: Any
) -> None:
    agreement.check(
        case,
        arrays,
        expected(case, arrays),
        tuple(side.as_array(part) for part in (result if isinstance(result, tuple) else (result,))),
        interior=call.border != "reflect",
        mean_error=side.mean_error,
    )


def _estimated(case: cases.Case, side: Side) -> float:
    """Return about how many seconds a filter takes, from a call on a part of the image; 0 where it is not in doubt."""
    image = len(case.shape) == 2 or case.interleaved
    if not (case.filtered and image) or case.shape[0] < 2 * case.size or case.pixels < FEW_PIXELS:
        return 0.0
    height, width = (max(case.shape[axis] // part, case.size) for axis, part in zip(case.axes, STRIP, strict=True))
    strip = replace(case, shape=(height, width, *case.shape[2:]))
    call = side.prepare(strip, inputs.build(strip))
    if call is None:
        return 0.0
    seconds = _seconds(call)
    if seconds < SLOW_SECONDS:  # of which starting threads may be the larger part
        seconds = min(_seconds(call), _seconds(call))
    return seconds * case.pixels / strip.pixels


def _seconds(call: Call) -> float:
    started = perf_counter()
    call.run()
    return perf_counter() - started
