"""What got faster or slower from one document to another, beyond noise.

A change counts where the whole bootstrap interval of the ratio of the two times lies further from 1 than `TOLERANCE`:
one process differs from the next by some percent even on an idle machine (memory lies elsewhere), which documents of
one round cannot tell.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from benchmarks import bootstrap, documents
from benchmarks.documents import OURS, Document, Result

TOLERANCE = 0.05


class IncomparableError(ValueError):
    """Two documents have nothing in common that may be compared."""


@dataclass(frozen=True)
class Change:
    """The new time of a side in a case by its old one, and the ends of its interval; no ratio where a side broke."""

    case: str
    threads: int
    ratio: float | None
    low: float = 0.0
    high: float = 0.0
    broken: str = ""

    def divided_by(self, ratio: float) -> Change:
        """Return the change in relation to another one."""
        if self.ratio is None:
            return self
        return replace(self, ratio=self.ratio / ratio, low=self.low / ratio, high=self.high / ratio)

    def slower(self, tolerance: float) -> bool:
        """Tell whether this is a regression: beyond noise slower, or no longer right."""
        return bool(self.broken) or self.low > 1 + tolerance

    def faster(self, tolerance: float) -> bool:
        """Tell whether it is faster beyond noise."""
        return not self.broken and self.high < 1 / (1 + tolerance)


def changes(old: Document, new: Document, side: str = OURS) -> list[Change]:
    """Return the change of `side` in every case that both documents have measured alike."""
    if old["quick"] != new["quick"]:
        raise IncomparableError("one of the two is a quick run, on smaller images")
    same = {entry["name"] for entry in new["cases"] if _alike(entry, old)}
    before = {(result["case"], result["threads"]): result for result in old["results"] if result["side"] == side}
    found = []
    for result in new["results"]:
        earlier = before.get((result["case"], result["threads"]))
        if result["side"] == side and earlier and earlier["status"] == "ok" and result["case"] in same:
            found.append(_change(earlier, result))
    return found


def _alike(entry: dict[str, Any], document: Document) -> bool:
    case = documents.case_of(entry)
    return any(documents.case_of(other) == case for other in document["cases"] if other["name"] == entry["name"])


def _change(old: Result, new: Result) -> Change:
    if new["status"] != "ok":
        return Change(new["case"], new["threads"], None, broken=f"{new['status']}: {new['message']}")
    low, high = bootstrap.ratio_interval(new, old)
    return Change(new["case"], new["threads"], new["seconds"] / old["seconds"], low, high)


def text(old: Document, new: Document, *, tolerance: float = TOLERANCE, by_rivals: bool = False) -> tuple[str, bool]:
    """Return what to print, and whether there is a regression.

    With `by_rivals` our times count in relation to those of the rivals: for runs on a machine that others use too.
    """
    ours = changes(old, new)
    if not ours:
        raise IncomparableError("the two have no case of ours in common")
    rivals = _rivals(old, new)
    if by_rivals:
        if not rivals:
            raise IncomparableError("the two have no rival of the same version in common")
        ours = [change.divided_by(median(rivals)) for change in ours]
    slower = [change for change in ours if change.slower(tolerance)]
    faster = [change for change in ours if change.faster(tolerance)]
    parts = [
        f"old: {_origin(old)}\nnew: {_origin(new)}",
        _machines(old, new),
        f"rivals: {median(rivals):.2f} times as long, the median of {len(rivals)}" if rivals else "",
        "ours, in relation to the rivals:" if by_rivals else "",
        _listed("slower", slower),
        _listed("faster", faster),
        f"{len(ours)} compared: {len(slower)} slower, {len(faster)} faster by more than {tolerance:.0%}, "
        f"beyond noise; {len(ours) - len(slower) - len(faster)} as before",
    ]
    return "\n\n".join(filter(None, parts)), bool(slower)


def _origin(document: Document) -> str:
    return f"{document['date']}, revision {document['revision']}, {document['machine']['cpu']}"


def _machines(old: Document, new: Document) -> str:
    differing = [
        f"{name} {old['machine'][name]} and {new['machine'][name]}"
        for name in ("cpu", "cores", "caches")
        if old["machine"][name] and new["machine"][name] and old["machine"][name] != new["machine"][name]
    ]
    return f"The machines differ: {'; '.join(differing)}." if differing else ""


def _rivals(old: Document, new: Document) -> list[float]:
    """Return the ratios of the rivals of unchanged version, which say how far the machine has changed."""
    sides = (name for name in documents.rivals(new) if name in old["sides"])
    same = [name for name in sides if old["sides"][name]["version"] == new["sides"][name]["version"]]
    return [change.ratio for name in same for change in changes(old, new, name) if change.ratio]


def _listed(title: str, found: list[Change]) -> str:
    worst_first = sorted(found, key=lambda change: -(change.ratio or float("inf")))
    return "\n".join(f"{title}: {_line(change)}" for change in worst_first)


def _line(change: Change) -> str:
    name = f"{change.case}, threads={change.threads}"
    if change.ratio is None:
        return f"{name}: {change.broken}"
    return f"{name}: {change.ratio:.2f} times as long ({change.low:.2f} to {change.high:.2f})"
