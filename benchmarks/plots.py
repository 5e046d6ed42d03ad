"""Pictures of a document: speed against window, image size and threads, and the cost of a fresh output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from benchmarks import documents, words
from benchmarks.cases import MIDDLE, SQUARES, Case
from benchmarks.documents import FRESH, OURS, Document

# Told apart by colour-blind readers too (M. Okabe and K. Ito, "Color universal design", 2008), and by their markers.
LOOKS = {
    OURS: ("#d55e00", "o"),
    "opencv": ("#0072b2", "s"),
    "pytorch": ("#009e73", "^"),
    "scipy": ("#cc79a7", "D"),
    "simpleitk": ("#e69f00", "v"),
    "pillow": ("#56b4e9", "P"),
    "scikit-image": ("#6f6f6f", "X"),
}
FRESH_COLOUR = "#f4b183"

WINDOWED = ("median_filter", "maximum_filter", "box_blur", "correlate", "correlate_separable")
OVERVIEW = (("median_filter", "uint8"), ("median_filter", "float32"), ("box_blur", "uint8"), ("correlate", "float32"))
SCALED = (
    "median_filter-k3-uint8", "median_filter-k7-float32", "maximum_filter-k15-uint8",
    "box_blur-k15-uint8", "correlate-k5-float32", "correlate-k31-float32",
    "max_pool_with_argmax-k3s2p1-float32", "conv2d-k3-64to64-float32", "conv2d-k1-256to64-float32",
)  # fmt: skip

PANEL_INCHES = 3.6, 3.3
LEGEND_INCHES = 0.8
DOTS_PER_INCH = 150


@dataclass(frozen=True)
class Panel:
    """One diagram: a line of (x, speed) for each side."""

    title: str
    unit: str
    lines: dict[str, list[tuple[float, float]]]

    @property
    def ticks(self) -> list[float]:
        """Every x that is measured."""
        return sorted({x for line in self.lines.values() for x, _ in line})


def draw(document: Document, directory: Path) -> tuple[str, ...]:
    """Write a PNG for everything that `document` tells about, and return their names."""
    figures: dict[str, Figure | None] = {
        "overview": _figure(_panels_by_window(document, OVERVIEW), "K (windows are K x K)", _small_ticks, columns=2)
    }
    for function in WINDOWED:
        dtypes = dict.fromkeys(entry["dtype"] for entry in document["cases"] if entry["function"] == function)
        panels = _panels_by_window(document, tuple((function, dtype) for dtype in dtypes))
        figures[f"window-{function}"] = _figure(panels, "K (windows are K x K)", _small_ticks, columns=2)
    figures["image-size"] = _figure(_panels_by_image(document), "height and width of the image, pixels", _all_ticks)
    figures["threads"] = _figure(_panels_by_threads(document), "threads", _all_ticks)
    figures["fresh-output"] = _fresh_output(document)
    drawn = {f"{name}.png": figure for name, figure in figures.items() if figure is not None}
    for name, figure in drawn.items():
        figure.savefig(directory / name, dpi=DOTS_PER_INCH)
    return tuple(drawn)


def _panels_by_window(document: Document, wanted: tuple[tuple[str, str], ...]) -> list[Panel]:
    threads = min(document["threads"])
    panels = []
    for function, dtype in wanted:
        cases = [(entry, documents.case_of(entry)) for entry in document["cases"]]
        plain = {
            case.size: entry
            for entry, case in reversed(cases)  # so that of two sizes the larger image stays, which is named first
            if (case.function, case.dtype) == (function, dtype) and _plain(case)
        }
        points = [(size, entry) for size, entry in sorted(plain.items())]
        smaller = [size for size, entry in points if tuple(entry["shape"]) == MIDDLE]
        note = f" (512x512 from K = {smaller[0]})" if smaller else ""
        panels.append(_panel(document, f"{words.FUNCTIONS[function]}, {dtype}{note}", points, threads))
    return [panel for panel in panels if len(panel.ticks) > 1]


def _plain(case: Case) -> bool:
    return not case.label or (case.shape == MIDDLE and case.size > 11)


def _panels_by_image(document: Document) -> list[Panel]:
    named = {entry["name"]: entry for entry in document["cases"]}
    panels = []
    for function, dtype in (("median_filter", "uint8"), ("box_blur", "uint8"), ("correlate", "float32")):
        labels = ("", *("-small" if shape[0] == 32 else "-{}x{}".format(*shape) for shape in SQUARES))
        entries = [named[name] for label in labels if (name := f"{function}-k3{label}-{dtype}") in named]
        points = sorted(((entry["shape"][0], entry) for entry in entries), key=lambda point: point[0])
        title = f"{words.FUNCTIONS[function]} 3x3, {dtype}"
        panels.append(_panel(document, title, points, min(document["threads"])))
    return [panel for panel in panels if len(panel.ticks) > 1]


def _panel(document: Document, title: str, points: list[tuple[int, dict[str, Any]]], threads: int) -> Panel:
    lines = {
        side: [
            (x, words.rate(entry, seconds)[0])
            for x, entry in points
            if (seconds := documents.seconds_of(document, entry["name"], side, threads))
        ]
        for side in LOOKS
    }
    return Panel(f"{title}, {_counted(threads)}", "Mpx/s", {side: line for side, line in lines.items() if line})


def _panels_by_threads(document: Document) -> list[Panel]:
    panels = []
    for entry in (entry for entry in document["cases"] if entry["name"] in SCALED):
        lines = {}
        for side in (side for side in LOOKS if side in document["sides"] and document["sides"][side]["threaded"]):
            times = [(n, documents.seconds_of(document, entry["name"], side, n)) for n in document["threads"]]
            lines[side] = [(float(n), words.rate(entry, seconds)[0]) for n, seconds in times if seconds]
        measured = {side: line for side, line in lines.items() if line}
        title = words.case(documents.case_of(entry)).replace(" channels, ", " channels,\n")
        panels.append(Panel(title, words.rate(entry, 1.0)[1], measured))
    return [panel for panel in panels if len(panel.ticks) > 1]


def _counted(threads: int) -> str:
    return "1 thread" if threads == 1 else f"{threads} threads"


def _figure(
    panels: list[Panel], xlabel: str, ticks: Callable[[Panel], list[float]], *, columns: int = 3
) -> Figure | None:
    """Return the panels side by side under one legend; None where there are none."""
    if not panels:
        return None
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    width, height = PANEL_INCHES
    width *= 1.4 if columns < 3 else 1.15
    figure = Figure((width * columns, height * rows + LEGEND_INCHES), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for place, panel in zip(axes, panels, strict=False):
        _draw_panel(place, panel, ticks(panel))
        place.set_xlabel(xlabel)
    for place in axes[len(panels) :]:
        place.remove()
    handles = {
        label: handle for place in axes for handle, label in zip(*place.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=min(len(handles), 7), frameon=False
    )
    return figure


def _draw_panel(axes: Axes, panel: Panel, ticks: list[float]) -> None:
    for side, line in panel.lines.items():
        colour, marker = LOOKS[side]
        front = {"linewidth": 2.4, "zorder": 3} if side == OURS else {"linewidth": 1.3}
        axes.plot(*zip(*line, strict=True), color=colour, marker=marker, markersize=5, label=words.SIDES[side], **front)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(ticks)
    axes.xaxis.set_minor_locator(NullLocator())
    plain = FuncFormatter(lambda value, _: f"{value:,.10g}")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
    axes.yaxis.set_major_formatter(plain)
    axes.set_ylabel(panel.unit)
    axes.set_title(panel.title, fontsize=10)
    axes.grid(which="major", color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _small_ticks(panel: Panel) -> list[float]:
    """Return the ticks that leave each other room on a logarithmic axis."""
    kept: list[float] = []
    for tick in panel.ticks:
        if not kept or tick / kept[-1] > 1.3:
            kept.append(tick)
    return kept


def _all_ticks(panel: Panel) -> list[float]:
    return panel.ticks


def _fresh_output(document: Document) -> Figure | None:
    """Return bars of the times with and without `out=`, and how many times as long the second takes."""
    pairs = list(_fresh_pairs(document, min(document["threads"])))
    if not pairs:
        return None
    figure = Figure((7.5, 0.42 * len(pairs) + 1.6), layout="constrained")
    axes = figure.subplots()
    for row, (_, given, fresh) in enumerate(pairs):
        axes.barh(row - 0.19, given * 1e3, 0.36, color=LOOKS[OURS][0], label="with out=" if row == 0 else None)
        axes.barh(
            row + 0.19, fresh * 1e3, 0.36, color=FRESH_COLOUR, label="without: a fresh output" if row == 0 else None
        )
        axes.annotate(
            f"x {fresh / given:.1f}", (max(given, fresh) * 1e3, row), (5, 0),
            textcoords="offset points", va="center", fontsize=9,
        )  # fmt: skip
    axes.set_yticks(range(len(pairs)), [name for name, *_ in pairs])
    axes.invert_yaxis()
    axes.margins(x=0.12, y=0.01)
    axes.set_xlabel("ms for an image of 2048x2048")
    axes.set_title(f"imkernels with and without out=, {_counted(min(document['threads']))}", fontsize=10)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def _fresh_pairs(document: Document, threads: int) -> Iterator[tuple[str, float, float]]:
    for entry in document["cases"]:
        given, fresh = (documents.seconds_of(document, entry["name"], side, threads) for side in (OURS, FRESH))
        if given and fresh:
            yield words.case(documents.case_of(entry)), given, fresh
