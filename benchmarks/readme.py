"""README's section on speed, written from a document: the command ``python -m benchmarks readme DIR``."""

from __future__ import annotations

import shutil
from pathlib import Path
from textwrap import fill
from typing import Any

from benchmarks import documents, words
from benchmarks.documents import OURS, Document

START, END = "<!-- speed -->\n", "<!-- /speed -->"
PLOT = Path("docs/images/speed.png")

CASES = (
    "median_filter-k3-uint8", "median_filter-k5-uint8", "median_filter-k7-uint8", "median_filter-k11-uint8",
    "median_filter-k31-uint8", "median_filter-k3-uint16", "median_filter-k7-uint16", "median_filter-k3-float32",
    "median_filter-k7-float32", "median_filter-k7-int64", "median_filter-k5-colour-uint8",
    "maximum_filter-k3-uint8", "maximum_filter-k15-uint8", "maximum_filter-k31-float32",
    "box_blur-k3-uint8", "box_blur-k15-uint8", "box_blur-k5-float32", "box_blur-k31-float32",
    "correlate-k3-float32", "correlate-k5-float32", "correlate-k11-float32", "correlate-k31-float32",
    "correlate-k5s2-float32", "correlate-k5-uint8", "correlate_separable-k15-float32",
    "correlate_separable-k3-gaussian-uint8", "correlate_separable-k9-gaussian-uint8",
    "max_pool_with_argmax-k3s2p1-float32", "max_pool_backward-k3s2p1-float32", "avg_pool_backward-k2s2p0-float32",
    "conv2d-k3-64to64-float32", "conv2d-k1-256to64-float32", "conv2d-k3-depthwise-float32",
    "conv2d_backward_weight-k3-64to64-float32",
)  # fmt: skip


class ReadmeError(ValueError):
    """README or the results are not such that the one can be written from the other."""


def write(directory: Path, root: Path) -> None:
    """Write the section of README.md in `root`, and its plot, from the results in `directory`."""
    document = documents.load(directory)
    if document["quick"]:
        raise ReadmeError(f"{directory} holds a quick run, which is not to be quoted")
    readme = root / "README.md"
    before, found, rest = readme.read_text().partition(START)
    _, ends, after = rest.partition(END)
    if not found or not ends:
        raise ReadmeError(f"{readme} lacks the marks {START.strip()} and {END}")
    plot = directory / "overview.png"
    if not plot.exists():
        raise ReadmeError(f"there is no {plot}: python -m benchmarks report {directory} draws it")
    text = section(document, _link(directory.resolve(), root.resolve()))
    (root / PLOT).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(plot, root / PLOT)
    readme.write_text(f"{before}{START}{text}\n{END}{after}")


def section(document: Document, where: str) -> str:
    """Return the section; `where` are words for the place of the whole report."""
    entries = [entry for name in CASES for entry in document["cases"] if entry["name"] == name]
    if not entries:
        raise ReadmeError("none of README's cases is among the results")
    parts = (_introduction(document), f"![Speed against the size of windows]({PLOT})", _table(document, entries))
    ending = f"`python -m benchmarks` measures it on your machine; {where}."
    return "\n\n".join((*parts, *_behind(document), _filled(ending)))


def _link(directory: Path, root: Path) -> str:
    if not directory.is_relative_to(root):
        return "it also prints what is not shown here"
    return f"all tables and plots of this run are in [{directory.name}]({directory.relative_to(root)}/report.md)"


def _introduction(document: Document) -> str:
    machine, ours = document["machine"], document["sides"][OURS]
    sides = ", ".join(
        f"{words.SIDES[name]} {document['sides'][name]['version']}" for name in documents.rivals(document)
    )
    return _filled(
        f"Measured {document['date'][:10]} at revision {document['revision']} on {machine['cpu']} "
        f"({machine['cores']} cores), level {ours['isa_level']}, rounds: {document['rounds']}. "
        "Mpx/s on 2048x2048 photographs unless said otherwise (pooling: `[8, 64, 112, 112]`), GFLOP/s for conv2d, "
        f"with `out=`, beside {sides}. The best rival is the fastest of them in the same run."
    )


def _table(document: Document, entries: list[dict[str, Any]]) -> str:
    counts = [(n, words.threads(n)) for n in document["threads"]]
    header = ["case", *(name for _, name in counts), *(f"best rival, {name}" for _, name in counts)]
    rows = [header, ["---"] * len(header)]
    for entry in entries:
        ours = (_speed(entry, documents.seconds_of(document, entry["name"], OURS, n)) for n, _ in counts)
        bests = (documents.best_rival(document, entry["name"], n) for n, _ in counts)
        rivals = (f"{words.SIDES[best[0]]} {_speed(entry, best[1])}" if best else "-" for best in bests)
        rows.append([words.case(documents.case_of(entry)), *ours, *rivals])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _speed(entry: dict[str, Any], seconds: float | None) -> str:
    return words.number(words.rate(entry, seconds)[0]) if seconds else "-"


def _behind(document: Document) -> list[str]:
    """Return a sentence that tells in how many cases a rival is faster, and by how much at most."""
    counts = []
    for threads in document["threads"]:
        slower = documents.behind(document, threads)
        least = (
            f" (at worst {slower[0][2]:.2f} of the best rival's speed: {words.case(slower[0][0])})" if slower else ""
        )
        counts.append(f"{len(slower)} of {len(document['cases'])} cases on {words.threads(threads)}{least}")
    return [_filled(f"A rival is faster in {', in '.join(counts)}; the report lists them.")]


def _filled(text: str) -> str:
    return fill(text, 120, break_long_words=False, break_on_hyphens=False)
