"""The command ``info``: what runs here, on how many threads, and why."""

import os
import platform
import re
from pathlib import Path
from typing import Any

import numpy as np

import imkernels
from imkernels import _core, settings

VARIABLES = ("IMKERNELS_ISA", "IMKERNELS_NUM_THREADS", "OMP_NUM_THREADS")

# GNU's, LLVM's and Intel's, also under the names that wheels give to their copies: libgomp-a34b3233.so.1.0.0.
_RUNTIME = re.compile(r"lib(gomp|omp|omp5|iomp5)(-[0-9a-f]+)?\.so(\.\d+)*")

_LIMITS = {
    "affinity": "the process's affinity allows",
    "quota": "the cgroup's quota allows",
    "cores": "the machine has",
}


def collect() -> dict[str, Any]:
    """Return what there is to know about this process, as values that JSON has.

    Returns
    -------
    dict
        ``version``, ``location`` : str
            The package's version and folder.
        ``compiler`` : str
            What the kernels were compiled with.
        ``level`` : dict
            The instruction sets: the one ``in_use``, those ``available`` here (worst first), and the one that
            ``IMKERNELS_ISA`` has ``forced``, or null.
        ``openmp`` : dict
            The ``date`` (YYYY-MM) of the OpenMP that the kernels were compiled with, null without; the paths of all
            OpenMP ``runtimes`` in the process, null where the system does not tell.
        ``threads`` : dict
            The default ``number``; its ``source``: ``"workers"`` (the context manager), ``"set_workers"``,
            ``"IMKERNELS_NUM_THREADS"``, ``"OMP_NUM_THREADS"`` or ``"machine"``; the ``limit`` that it comes from where
            all that the machine grants are taken (``"affinity"``, ``"quota"`` or ``"cores"``), else null. Where the
            environment is malformed these three are null, and ``error`` says why; it is null otherwise.
        ``serial`` : str or null
            Why calls run on one thread all the same: ``"forked"``, ``"no OpenMP"``, or null if they do not.
        ``machine`` : dict
            Numbers of ``cores``: all, those of the process's ``affinity`` and the ``quota`` of its cgroup (a float),
            null where there is none.
        ``forked`` : bool
            Whether this process is a forked child.
        ``environment`` : dict
            The variables that the package reads, null where not set.
        ``python``, ``numpy``, ``platform`` : str
            Versions, and the system's name.
    """
    forked = _core.forked()
    return {
        "version": imkernels.__version__,
        "location": str(Path(imkernels.__file__).parent),
        "compiler": _core.compiler,
        "level": {
            "in_use": _core.level,
            "available": _core.available_levels(),
            "forced": _core.forced_level,
        },
        "openmp": {"date": _openmp_date(), "runtimes": openmp_runtimes(Path("/proc/self/maps"))},
        "threads": _threads(),
        "serial": "no OpenMP" if not _core.openmp else "forked" if forked else None,
        "machine": settings.machine_limits()._asdict(),
        "forked": forked,
        "environment": {name: os.environ.get(name) for name in VARIABLES},
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
    }


def _openmp_date() -> str | None:
    return f"{_core.openmp // 100}-{_core.openmp % 100:02}" if _core.openmp else None


def openmp_runtimes(maps: Path) -> list[str] | None:
    """Return the paths of the OpenMP runtimes that `maps` (``/proc/self/maps``) lists; None if it cannot be read."""
    try:
        lines = maps.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    fields = (line.split(maxsplit=5) for line in lines)
    paths = {parts[5].removesuffix(" (deleted)") for parts in fields if len(parts) == 6}
    return sorted(path for path in paths if _RUNTIME.fullmatch(path.rpartition("/")[2]))


def _threads() -> dict[str, Any]:
    try:
        return {**settings.default_workers()._asdict(), "error": None}
    except ValueError as error:
        return {"number": None, "source": None, "limit": None, "error": str(error)}


def text(facts: dict[str, Any]) -> str:
    """Set the facts that `collect` returns out as an aligned table.

    Parameters
    ----------
    facts : dict
        What `collect` returns.

    Returns
    -------
    str
        Lines of two columns.
    """
    openmp = facts["openmp"]
    rows = [
        ("imkernels", [facts["version"], f"in {facts['location']}"]),
        ("compiler", [facts["compiler"]]),
        ("level", _level_words(facts["level"])),
        ("OpenMP", [f"yes, of {openmp['date']}" if openmp["date"] else "no: every call runs on one thread"]),
        ("runtime", _runtime_words(openmp["runtimes"])),
        ("threads", [_thread_words(facts["threads"], facts["machine"])]),
        ("machine", [_machine_words(facts["machine"])]),
        ("fork", [_fork_words(facts["forked"])]),
        ("environment", [f"{name}={value}" for name, value in facts["environment"].items() if value is not None]),
        ("Python", [facts["python"]]),
        ("NumPy", [facts["numpy"]]),
        ("platform", [facts["platform"]]),
    ]
    width = max(len(name) for name, _ in rows) + 2
    lines = []
    for name, values in rows:
        for number, value in enumerate(values or ["none of " + ", ".join(facts["environment"])]):
            lines.append(f"{'' if number else name:<{width}}{value}")
    return "\n".join(lines)


def _level_words(level: dict[str, Any]) -> list[str]:
    why = "forced by IMKERNELS_ISA" if level["forced"] else "the best of those available"
    return [f"{level['in_use']}, {why}", f"available: {', '.join(level['available'])}"]


def _runtime_words(runtimes: list[str] | None) -> list[str]:
    if runtimes is None:
        return ["not known: this system does not list what a process has loaded"]
    return runtimes or ["none loaded"]


def _thread_words(threads: dict[str, Any], machine: dict[str, Any]) -> str:
    """Return the default number of threads and the reason in words."""
    if threads["error"]:
        return f"none: {threads['error']} (as calls without workers= will say)"
    limit, source = threads["limit"], threads["source"]
    reasons = []
    if source != "machine":
        reasons.append(f"{source} asks for {'all' if limit else 'so many'}")
    if limit:
        reasons.append(f"{_LIMITS[limit]} {_cores(machine[limit])}")
    return f"{threads['number']} by default: {', and '.join(reasons)}"


def _machine_words(machine: dict[str, Any]) -> str:
    affinity = "no affinity known" if machine["affinity"] is None else f"affinity to {machine['affinity']}"
    quota = "no quota" if machine["quota"] is None else f"a quota of {machine['quota']:g}"
    return f"{_cores(machine['cores'])}, {affinity}, {quota}"


def _cores(number: float) -> str:
    return f"{number:g} core{'' if number == 1 else 's'}"


def _fork_words(forked: bool) -> str:
    if forked:
        return "this is a forked child: calls run on one thread, without OpenMP"
    return "this is no forked child; in one, calls run on one thread, without OpenMP"
