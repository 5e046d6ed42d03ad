"""Which cores a process may use."""

from __future__ import annotations

import os


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pin_to_one_core() -> None:
    """Keep this process on the last of its cores, as the first serves most interrupts."""
    if hasattr(os, "sched_setaffinity"):  # Linux alone
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
