"""How sure a ratio of two times is: a bootstrap over rounds, and over the calls in each.

Rounds are drawn with replacement, then calls in every round, as processes differ from one another by more than the
calls of one process do (T. Kalibera and R. Jones, "Rigorous benchmarking in reasonable time", ISMM 2013).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.99
RESAMPLES = 2000

Medians = npt.NDArray[np.float64]


def ratio_interval(numerator: dict[str, Any], denominator: dict[str, Any]) -> tuple[float, float]:
    """Return the ends of the interval of the ratio of the times of two results."""
    rng = np.random.default_rng(0)
    ratios = _resampled(numerator, rng) / _resampled(denominator, rng)
    low, high = np.quantile(ratios, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _resampled(result: dict[str, Any], rng: np.random.Generator) -> Medians:
    """Return RESAMPLES times of a result, each the median over drawn rounds of the medians of drawn calls."""
    rounds = [np.asarray(stats.get("samples") or [stats["median"]]) for stats in result["rounds"]]
    calls = (samples[rng.integers(len(samples), size=(RESAMPLES, len(samples)))] for samples in rounds)
    medians = np.array([np.median(drawn, axis=1) for drawn in calls])
    chosen = rng.integers(len(rounds), size=(len(rounds), RESAMPLES))
    return np.asarray(np.median(medians[chosen, np.arange(RESAMPLES)], axis=0))
