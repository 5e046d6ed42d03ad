"""How many threads calls may use, and which instruction set they run on."""

import contextlib
import functools
import math
import operator
import os
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

from imkernels import _core

if TYPE_CHECKING:
    from pathlib import Path


class Limits(NamedTuple):
    """What the machine has, and what of it this process may use."""

    cores: int
    affinity: int | None  # cores; None where the system has no affinity
    quota: float | None  # of the cgroup, in cores; None without one


class DefaultWorkers(NamedTuple):
    """A default number of threads, and why it is this one."""

    number: int
    source: str  # who has said so: "workers", "set_workers", the environment variable's name, or "machine"
    limit: str | None  # the bound of `Limits` that gives the number; None for a number that was said


_process_workers: DefaultWorkers | None = None
_context_workers: ContextVar[DefaultWorkers | None] = ContextVar("imkernels.workers", default=None)


def set_workers(n: int | None) -> None:
    """Set the number of threads that calls of this process use by default.

    Parameters
    ----------
    n : int or None
        A positive number of threads (it may exceed the number of cores), -1 for all that the machine grants, or None
        to go back to the environment's default: ``IMKERNELS_NUM_THREADS``, else ``OMP_NUM_THREADS``, else what
        affinity and the container's quota allow.

    Raises
    ------
    ValueError
        If `n` is anything else.

    Examples
    --------
    >>> import imkernels as ik
    >>> ik.set_workers(1)
    >>> ik.get_workers()
    1
    >>> ik.set_workers(None)
    """
    global _process_workers
    _process_workers = None if n is None else _default(n, "n", "set_workers")


def get_workers() -> int:
    """Return the number of threads that a call made here with ``workers=None`` may use.

    Small calls run on one thread whatever it says, and so does every call in a forked child process.

    Returns
    -------
    int
        The number of threads.

    Examples
    --------
    >>> import imkernels as ik
    >>> with ik.workers(3):
    ...     ik.get_workers()
    3
    """
    return default_workers().number


@contextlib.contextmanager
def workers(n: int) -> Iterator[None]:
    """Set the default number of threads for a ``with`` block.

    The setting is a context variable: it reaches neither other threads nor other asyncio tasks.

    Parameters
    ----------
    n : int
        A positive number of threads or -1, as for `set_workers`.

    Raises
    ------
    ValueError
        If `n` is anything else.

    Examples
    --------
    >>> import imkernels as ik
    >>> with ik.workers(2):
    ...     ik.get_workers()
    2
    """
    token = _context_workers.set(_default(n, "n", "workers"))
    try:
        yield
    finally:
        _context_workers.reset(token)


def isa_level() -> str:
    """Return the name of the instruction-set level in use.

    Returns
    -------
    str
        ``"baseline"``, ``"x86-64-v3"`` (AVX2) or ``"x86-64-v4"`` (AVX-512). The environment variable ``IMKERNELS_ISA``
        forces one when the package is imported.

    Examples
    --------
    >>> import imkernels as ik
    >>> ik.isa_level() in {"baseline", "x86-64-v3", "x86-64-v4"}
    True
    """
    return _core.level


def resolve_workers(workers: int | None) -> int:
    """Return the number of threads that the argument ``workers=`` of a call stands for."""
    if workers is None:
        return default_workers().number
    number = _number_of_threads(workers, "workers")
    return _granted_workers()[0] if number == -1 else number


def default_workers() -> DefaultWorkers:
    """Return what a call made here with ``workers=None`` may use, and why.

    Raises
    ------
    ValueError
        If nothing else is said and ``IMKERNELS_NUM_THREADS`` is malformed.
    """
    in_context = _context_workers.get()
    if in_context is not None:
        return in_context
    return _process_workers if _process_workers is not None else _environment_workers()


def _default(n: object, name: str, source: str) -> DefaultWorkers:
    number = _number_of_threads(n, name)
    return DefaultWorkers(number, source, None) if number != -1 else _granted_default(source)


def _granted_default(source: str) -> DefaultWorkers:
    number, limit = _granted_workers()
    return DefaultWorkers(number, source, limit)


def _number_of_threads(n: object, name: str) -> int:
    """Return a positive number or -1."""
    rule = f"{name} must be a positive number of threads or -1 for all, got {n!r}"
    if isinstance(n, bool):
        raise ValueError(rule)
    try:
        number = operator.index(n)  # type: ignore[arg-type]
    except TypeError:
        raise ValueError(rule) from None
    if number != -1 and not 1 <= number < 2**31:
        raise ValueError(rule)
    return number


@functools.cache
def _environment_workers() -> DefaultWorkers:
    """Return the default that the environment gives; it is read once, by the first call that needs it."""
    own = os.environ.get("IMKERNELS_NUM_THREADS", "").strip()
    if own:
        try:
            return _default(int(own), "n", "IMKERNELS_NUM_THREADS")
        except ValueError:
            raise ValueError(f"IMKERNELS_NUM_THREADS must be a positive number or -1, got {own!r}") from None
    # OpenMP allows a list, one number per level of nesting. What is malformed is the OpenMP runtime's to report.
    shared = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if shared.isdecimal() and 1 <= int(shared) < 2**31:
        return DefaultWorkers(int(shared), "OMP_NUM_THREADS", None)
    return _granted_default("machine")


def _granted_workers() -> tuple[int, str]:
    """Return the number of cores that affinity, as it is now, and the cgroup's quota allow, and which bounds it."""
    limits = machine_limits()
    if limits.affinity is None:
        cores, limit = limits.cores, "cores"
    else:
        cores, limit = limits.affinity, "affinity"
    if limits.quota is not None and math.ceil(limits.quota) < cores:
        cores, limit = math.ceil(limits.quota), "quota"
    return max(1, cores), limit


def machine_limits() -> Limits:
    """Return the number of cores, of those that affinity allows as it is now, and the cgroup's quota."""
    try:
        affinity = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # not on every system
        affinity = None
    return Limits(os.cpu_count() or 1, affinity, _own_quota())


@functools.cache
def _own_quota() -> float | None:
    from pathlib import Path  # not above: it takes a quarter of the time of importing the package

    return cgroup_quota(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))


def cgroup_quota(membership: "Path", root: "Path") -> float | None:
    """Return the CPU quota in cores of the cgroup that `membership` (``/proc/self/cgroup``) names, None without one.

    A limit of any ancestor counts. Files that are missing, empty or malformed set no limit.
    """
    quotas = []
    for line in _read(membership).splitlines():
        parts = line.split(":", 2)
        if len(parts) != 3:
            continue
        hierarchy, controllers, path = parts
        if hierarchy == "0" and controllers == "":
            quotas += [_quota_v2(folder) for folder in _ancestors(root, path)]
        elif "cpu" in controllers.split(","):
            quotas += [_quota_v1(folder) for mount in (controllers, "cpu") for folder in _ancestors(root / mount, path)]
    return min((quota for quota in quotas if quota is not None), default=None)


def _ancestors(root: "Path", path: str) -> "list[Path]":
    folder = root / path.strip("/")
    # Inside a container the path may be the host's: then only the root is there.
    return [folder, *(parent for parent in folder.parents if parent.is_relative_to(root))]


def _quota_v2(folder: "Path") -> float | None:
    fields = _read(folder / "cpu.max").split()
    return _ratio(*fields) if len(fields) == 2 else None


def _quota_v1(folder: "Path") -> float | None:
    return _ratio(_read(folder / "cpu.cfs_quota_us").strip(), _read(folder / "cpu.cfs_period_us").strip())


def _ratio(quota: str, period: str) -> float | None:
    """Return quota / period; "max" and -1 mean no limit."""
    if quota.isdecimal() and period.isdecimal() and int(period) > 0 and int(quota) > 0:
        return int(quota) / int(period)
    return None


def _read(file: "Path") -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
