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
    deliver,
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
    casting: Casting
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
    fill = converted(fill_element(cval, plan.image), plan.working)
    threads = resolve_workers(workers)

    def compute(target: Array) -> None:
        planes = spread(windows_last(inputs[0], plan.places), plan.leading)
        goal = windows_last(target, plan.places)
        plan.compute(planes, *plan.weights, goal, *plan.settings, fill, threads, *ending)

    goods = plan.shape, plan.computed, plan.result
    return deliver(compute, *goods, single_out(out), plan.casting, inputs, threads, plan.rounds)
