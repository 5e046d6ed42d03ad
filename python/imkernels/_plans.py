"""What is decided of a call before a pixel is looked at, and the call that follows from it.

A plan follows from shapes, dtypes and arguments alone. The functions that make plans are `remembered`, so that small
images wait for each once. Nothing in a plan belongs to the caller: neither pixels nor weights are kept alive.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from imkernels._arguments import (
    Array,
    Casting,
    Places,
    converted,
    destination,
    fill_element,
    single_out,
    spread,
    windows_last,
)
from imkernels._dtypes import Dtype
from imkernels.settings import resolve_workers


class Plan(NamedTuple):
    """How a filter is computed."""

    places: Places  # of the window axes
    leading: tuple[int, ...]  # the other axes, as kernels see them
    image: Dtype  # of the image
    working: Dtype  # of the value outside the image, as the compiled function takes it
    shape: tuple[int, ...]  # of the result
    computed: Dtype  # of what the compiled function writes by itself
    result: Dtype
    casting: Casting  # a rule that there is
    rounds: bool  # whether it writes every dtype
    compute: Callable[..., None]  # the compiled function
    weights: tuple[Array, ...]  # what it takes between the pixels and the result
    settings: tuple[Any, ...]  # what it takes between the result and the value outside


def carry_out(
    plan: Plan,
    inputs: tuple[Array, ...],
    cval: Any,
    out: Any,
    workers: int | None,
    ending: tuple[Any, ...] = (),
) -> Array:
    """Filter the first of the `inputs`, all of which `out` may overlap; `ending` is what is done to sums at last."""
    places, leading, image, working, shape, computed, result, casting, rounds, compute, weights, settings = plan
    fill = converted(fill_element(cval, image), working)
    threads = resolve_workers(workers)
    work, delivery = destination(shape, computed, result, single_out(out), casting, inputs, threads, rounds)
    if work.size > 0:
        planes = spread(windows_last(inputs[0], places), leading)
        compute(planes, *weights, windows_last(work, places), *settings, fill, threads, *ending)
    return work if delivery is None else delivery.finish()
