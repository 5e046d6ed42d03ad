"""Who computes a call: this package's kernels, or SciPy.

Every function of this package is written as a plan: it checks its arguments and returns a job, which computes the
result, or None for SciPy's part. `stand_in` makes of it the function that users call.
"""

import functools
import importlib
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeAlias

from imkernels._arguments import Array

P = ParamSpec("P")
Job: TypeAlias = Callable[[], Array]

_plans: dict[str, Callable[..., Job | None]] = {}


def stand_in(plan: Callable[P, Job | None]) -> Callable[P, Array]:
    """Make the public function of a plan: the plan's job is run, and without one SciPy's function."""
    name = plan.__name__
    _plans[name] = plan

    @functools.wraps(plan)
    def function(*args: P.args, **kwargs: P.kwargs) -> Array:
        job = plan(*args, **kwargs)
        return from_scipy(name)(*args, **kwargs) if job is None else job()

    function.__module__ = __package__  # where users and pickles find it
    function.__signature__ = inspect.signature(plan).replace(return_annotation=Array)  # type: ignore[attr-defined]
    return function


@functools.cache  # so that these functions can be put in place of SciPy's
def from_scipy(name: str) -> Any:
    """Return what SciPy has by this name."""
    try:
        scipy_ndimage = importlib.import_module("scipy.ndimage")
    except ImportError:
        raise ImportError(
            f"{name}: what imkernels does not compute itself is left to SciPy, which is not installed; "
            "pip install 'imkernels[scipy]'"
        ) from None
    return getattr(scipy_ndimage, name)


def served(name: str, *args: Any, **kwargs: Any) -> bool:
    """Return whether a call is computed by this package's kernels; otherwise SciPy computes it.

    Parameters
    ----------
    name : str
        The name of a function of `scipy.ndimage`.
    *args, **kwargs
        What it would be called with. Nothing is computed.

    Returns
    -------
    bool

    Raises
    ------
    Exception
        What the call would raise on account of its arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from imkernels.compat import ndimage
    >>> ndimage.served("median_filter", np.zeros((4, 9, 9)), size=(1, 3, 3))
    True
    >>> ndimage.served("median_filter", np.zeros((4, 9, 9)), size=3)
    False
    """
    plan = _plans.get(name)
    if plan is None:
        from_scipy(name)  # raises for what SciPy has not either
    return plan is not None and plan(*args, **kwargs) is not None


served.__module__ = __package__
