"""The plots of a document as PNG files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmarks import panels, words
from benchmarks.documents import OURS, Document
from benchmarks.panels import Panel

# Told apart by colour-blind readers too (M. Okabe and K. Ito, "Color universal design", 2008), and by their markers.
LOOKS = {
    "ours": ("#d55e00", "o"),
    "opencv": ("#0072b2", "s"),
    "pytorch": ("#009e73", "^"),
    "scipy": ("#cc79a7", "D"),
    "simpleitk": ("#e69f00", "v"),
    "pillow": ("#56b4e9", "P"),
    "scikit-image": ("#6f6f6f", "X"),
}
FRESH_COLOUR = "#f4b183"
IDEAL = "imkernels, were it n times as fast on n threads"

DOTS_PER_INCH = 150
PANEL_HEIGHT = 3.3  # inches
LEGEND_HEIGHT = 0.7

# An axis that shows more than a ratio has ticks at so many multiples of powers of ten.
TICKS = ((1000, (1,)), (5, (1, 2, 5)), (0, (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)))


def draw(document: Document, directory: Path) -> tuple[str, ...]:
    """Write a PNG for everything that `document` tells about, and return their names."""
    windows: dict[str, list[Panel]] = {"overview": panels.by_window(document, panels.OVERVIEW)}
    for function in panels.WINDOWED:
        windows[f"window-{function}"] = panels.by_window(document, panels.dtypes_of(document, function))
    figures = {name: _figure(shown, "K (windows are K x K)", columns=2) for name, shown in windows.items()}
    figures["image-size"] = _figure(panels.by_image(document), "height and width of the image, pixels", columns=3)
    figures["threads"] = _figure(panels.by_threads(document), "threads", columns=3, add=_draw_ideal)
    figures["fresh-output"] = _fresh_output(document)
    drawn = {f"{name}.png": figure for name, figure in figures.items() if figure is not None}
    for name, figure in drawn.items():
        figure.savefig(directory / name, dpi=DOTS_PER_INCH)
    return tuple(drawn)


def _figure(
    shown: list[Panel], xlabel: str, *, columns: int, add: Callable[[Axes, Panel], None] | None = None
) -> Figure | None:
    """Return the panels side by side over one legend; None where there are none."""
    if not shown:
        return None
    width = 12.0 / columns
    columns = min(columns, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure((max(width * columns, 7.0), PANEL_HEIGHT * rows + LEGEND_HEIGHT), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for place, panel in zip(axes, shown, strict=False):
        _draw_lines(place, panel)
        if add:
            add(place, panel)
        _set_scales(place, panel)
        place.set_title(panel.title, fontsize=10, wrap=True)
        place.set_xlabel(xlabel)
        place.set_ylabel(panel.unit)
    for place in axes[len(shown) :]:
        place.remove()
    _draw_legend(figure, axes[: len(shown)])
    return figure


def _draw_lines(axes: Axes, panel: Panel) -> None:
    for side, line in panel.lines.items():
        colour, marker = LOOKS[side]
        front: dict[str, Any] = {"linewidth": 2.4, "zorder": 3} if side == OURS else {"linewidth": 1.3}
        axes.plot(*zip(*line, strict=True), color=colour, marker=marker, markersize=5, label=words.SIDES[side], **front)


def _draw_ideal(axes: Axes, panel: Panel) -> None:
    line = panel.lines.get(OURS, [])
    ideal = [(threads, line[0][1] * threads / line[0][0]) for threads, _ in line]
    axes.plot(*zip(*ideal, strict=True), color=LOOKS[OURS][0], linestyle=":", linewidth=1.3, label=IDEAL)


def _set_scales(axes: Axes, panel: Panel) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(_apart(panel.ticks))
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=next(subs for span, subs in TICKS if high / low > span)))
    for axis, form in ((axes.xaxis, "{:.0f}"), (axes.yaxis, "{:,.10g}")):
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _, form=form: form.format(value)))
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _apart(ticks: list[float]) -> list[float]:
    """Return the ticks whose numbers have room beside each other."""
    kept = ticks[:1]
    for tick in ticks[1:]:
        if tick / kept[-1] > (ticks[-1] / ticks[0]) ** 0.06:
            kept.append(tick)
    return kept


def _draw_legend(figure: Figure, axes: list[Axes]) -> None:
    drawn = {label: handle for place in axes for handle, label in zip(*place.get_legend_handles_labels(), strict=True)}
    handles = {label: drawn[label] for label in (*words.SIDES.values(), IDEAL) if label in drawn}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=7, frameon=False)
    figure.align_ylabels(axes)


def _fresh_output(document: Document) -> Figure | None:
    """Return bars of the times with and without `out`, and how many times as long the second takes."""
    cases = list(panels.fresh(document))
    if not cases:
        return None
    figure = Figure((8.0, 0.42 * len(cases) + 1.6), layout="constrained")
    axes = figure.subplots()
    names, given, without = zip(*cases, strict=True)
    for label, seconds, shift, colour in (
        ("with out=", given, -0.19, LOOKS[OURS][0]), ("without: a fresh output", without, 0.19, FRESH_COLOUR),
    ):  # fmt: skip
        places = [row + shift for row in range(len(cases))]
        axes.barh(places, [1e3 * time for time in seconds], 0.36, color=colour, label=label)
    for row, (less, more) in enumerate(zip(given, without, strict=True)):
        end = 1e3 * max(less, more), row
        axes.annotate(f"x {more / less:.1f}", end, (5, 0), textcoords="offset points", va="center", fontsize=9)
    axes.set_yticks(range(len(cases)), names)
    axes.invert_yaxis()
    axes.margins(x=0.12, y=0.01)
    axes.set_xlabel("time of a call, ms")
    axes.set_title(f"imkernels with and without out=, {words.threads(min(document['threads']))}", fontsize=10)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure
