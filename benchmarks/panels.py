"""What the plots show: for each diagram the lines of the sides, taken from a document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks import documents, words
from benchmarks.cases import MIDDLE
from benchmarks.documents import FRESH, OURS, Document

WINDOWED = ("median_filter", "maximum_filter", "box_blur", "correlate", "correlate_separable")
OVERVIEW = (("median_filter", "uint8"), ("median_filter", "float32"), ("box_blur", "uint8"), ("correlate", "float32"))
SIZED = (("median_filter", "uint8"), ("box_blur", "uint8"), ("correlate", "float32"))
SCALED = (
    "median_filter-k3-uint8", "median_filter-k7-float32", "maximum_filter-k15-uint8",
    "box_blur-k15-uint8", "correlate-k5-float32", "correlate-k31-float32",
    "max_pool_with_argmax-k3s2p1-float32", "conv2d-k3-64to64-float32", "conv2d-k1-256to64-float32",
)  # fmt: skip

Line = list[tuple[float, float]]
Entry = dict[str, Any]  # a case of a document


@dataclass(frozen=True)
class Panel:
    """One diagram: a line of (x, speed) for each side."""

    title: str
    unit: str
    lines: dict[str, Line]

    @property
    def ticks(self) -> list[float]:
        """Every x that is measured."""
        return sorted({x for line in self.lines.values() for x, _ in line})


def by_window(document: Document, wanted: Iterable[tuple[str, str]]) -> list[Panel]:
    """Return the speed against K, a panel for each function and dtype."""
    panels = []
    for function, dtype in wanted:
        entries = [entry for entry in document["cases"] if (entry["function"], entry["dtype"]) == (function, dtype)]
        plain = [entry for entry in entries if not entry["label"]]
        largest = max((entry["size"] for entry in plain), default=0)
        smaller = [entry for entry in entries if entry["label"] == _label(MIDDLE) and entry["size"] > largest]
        note = f" ({_label(MIDDLE)[1:]} pixels from K = {smaller[0]['size']} on)" if smaller else ""
        points = [(entry["size"], entry) for entry in (*plain, *smaller)]
        panels.append(_panel(document, f"{words.FUNCTIONS[function]}, {dtype}{note}", points))
    return _with_lines(panels)


def dtypes_of(document: Document, function: str) -> list[tuple[str, str]]:
    """Return the function with each dtype that it is measured for."""
    dtypes = dict.fromkeys(entry["dtype"] for entry in document["cases"] if entry["function"] == function)
    return [(function, dtype) for dtype in dtypes]


def by_image(document: Document) -> list[Panel]:
    """Return the speed against the extent of square images."""
    panels = []
    for function, dtype in SIZED:
        entries = (
            entry
            for entry in document["cases"]
            if (entry["function"], entry["size"], entry["dtype"]) == (function, 3, dtype)
            and entry["label"] in ("", "-small", _label(entry["shape"]))
        )
        points = sorted(((entry["shape"][0], entry) for entry in entries), key=lambda point: point[0])
        panels.append(_panel(document, f"{words.FUNCTIONS[function]} 3x3, {dtype}", points))
    return _with_lines(panels)


def by_threads(document: Document) -> list[Panel]:
    """Return the speed of threaded sides against the number of threads."""
    panels = []
    for entry in (entry for entry in document["cases"] if entry["name"] in SCALED):
        threaded = [name for name, side in document["sides"].items() if side["threaded"] and name != FRESH]
        lines = {side: _line(document, side, ((n, entry, n) for n in document["threads"])) for side in threaded}
        panels.append(Panel(words.case(documents.case_of(entry)), words.rate(entry, 1.0)[1], lines))
    return _with_lines(panels)


def fresh(document: Document) -> Iterator[tuple[str, float, float]]:
    """Yield cases in words, with the seconds of ours with and without `out`."""
    threads = min(document["threads"])
    for entry in document["cases"]:
        given, without = (documents.seconds_of(document, entry["name"], side, threads) for side in (OURS, FRESH))
        if given and without:
            yield words.case(documents.case_of(entry)), given, without


def _label(shape: Iterable[int]) -> str:
    return "-" + "x".join(map(str, shape))


def _panel(document: Document, title: str, points: list[tuple[int, Entry]]) -> Panel:
    threads = min(document["threads"])
    sides = [name for name in document["sides"] if name != FRESH]
    lines = {side: _line(document, side, ((x, entry, threads) for x, entry in points)) for side in sides}
    return Panel(f"{title}, {words.threads(threads)}", "Mpx/s", lines)


def _line(document: Document, side: str, points: Iterable[tuple[int, Entry, int]]) -> Line:
    times = ((x, entry, documents.seconds_of(document, entry["name"], side, threads)) for x, entry, threads in points)
    return [(float(x), words.rate(entry, seconds)[0]) for x, entry, seconds in times if seconds]


def _with_lines(panels: list[Panel]) -> list[Panel]:
    """Leave out lines without points, and panels that show one x alone."""
    drawn = (Panel(panel.title, panel.unit, {s: line for s, line in panel.lines.items() if line}) for panel in panels)
    return [panel for panel in drawn if len(panel.ticks) > 1]
