"""The text table of a results document (see `benchmarks.runner`)."""

from __future__ import annotations

from typing import Any

OURS = "ours"

Document = dict[str, Any]


def text(document: Document) -> str:
    """Return a heading, one table for each number of threads, and what went wrong."""
    tables = (f"Threads: {threads}\n{_table(document, threads)}" for threads in document["threads"])
    return "\n\n".join(filter(None, (_heading(document), *tables, _problems(document))))


def failures(document: Document) -> list[dict[str, Any]]:
    """Return the results of the sides that failed or disagreed with the reference."""
    return [result for result in document["results"] if result["status"] != "ok"]


def result_of(document: Document, case: str, side: str, threads: int) -> dict[str, Any] | None:
    """Return the result to compare at `threads`; that of a single-threaded library is the one at one thread."""
    measured_at = threads if document["sides"][side]["threaded"] else 1
    wanted = case, side, measured_at
    return next((r for r in document["results"] if (r["case"], r["side"], r["threads"]) == wanted), None)


def best_rival(document: Document, case: str, threads: int) -> tuple[str, float] | None:
    """Return name and seconds of the fastest side besides ours, None where no rival has the case."""
    results = {name: result_of(document, case, name, threads) for name in document["sides"] if name != OURS}
    seconds = {name: result["seconds"] for name, result in results.items() if result and result["seconds"]}
    return min(seconds.items(), key=lambda item: item[1]) if seconds else None


def _heading(document: Document) -> str:
    machine, versions = document["machine"], document["versions"]
    sides = ", ".join(
        " ".join(filter(None, (name, side["version"], side["isa_level"]))) for name, side in document["sides"].items()
    )
    times = "a quick run, not to be quoted" if document["quick"] else f"rounds: {document['rounds']}"
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, {document['date']}\n"
        f"{sides}\n"
        f"revision {document['revision']}, NumPy {versions['numpy']}, Python {versions['python']}\n"
        f"Median times ({times}); ratio: time of the best rival by ours, above 1 where ours is faster."
    )


def _table(document: Document, threads: int) -> str:
    header = ["case", *document["sides"], "ours Mpx/s", "best rival", "its Mpx/s", "ratio"]
    return _aligned([header, *(_row(document, case, threads) for case in document["cases"])])


def _row(document: Document, case: dict[str, Any], threads: int) -> list[str]:
    results = {name: result_of(document, case["name"], name, threads) for name in document["sides"]}
    ours = results.get(OURS)
    our_seconds = ours["seconds"] if ours else None
    rival, rival_seconds = best_rival(document, case["name"], threads) or ("-", None)
    ratio = f"{rival_seconds / our_seconds:.2f}" if our_seconds and rival_seconds else "-"
    return [
        case["name"],
        *(_time(result) for result in results.values()),
        _rate(case["pixels"], our_seconds),
        rival,
        _rate(case["pixels"], rival_seconds),
        ratio,
    ]


def _time(result: dict[str, Any] | None) -> str:
    if result is None:
        return "-"
    if result["status"] != "ok":
        return str(result["status"]).upper()
    for unit, scale in (("s", 1.0), ("ms", 1e3)):
        if result["seconds"] * scale >= 1:
            return f"{result['seconds'] * scale:.4g} {unit}"
    return f"{result['seconds'] * 1e6:.4g} us"


def _rate(pixels: int, seconds: float | None) -> str:
    if not seconds:
        return "-"
    rate = pixels / seconds / 1e6
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join((first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))))
        for first, *rest in rows
    )
    return "\n".join(lines)


def _problems(document: Document) -> str:
    """Return one line for each kind of failure of each side, with the cases that it hit."""
    hit: dict[str, list[str]] = {}
    for result in failures(document):
        kind = f"{result['status'].upper()}: {result['side']}, threads={result['threads']}: {result['message']}"
        hit.setdefault(kind, []).append(result["case"])
    return "\n".join(f"{kind} ({', '.join(names)})" for kind, names in hit.items())
