"""The text of report.md: the machine, a table for each family, and what went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks import bootstrap, documents, words
from benchmarks.documents import FRESH, OURS, Document, Result

NOTES = """\
Times are medians of the calls of a process, then of the rounds. `ratio` is the time of the best rival by ours, above 1
where ours is faster, with its 99 % bootstrap interval where there are rounds to compare. `of limit` is the least time
that this machine allows by our time: for the bytes that must be read and written, at the bandwidth measured for a
working set of that size, or for the multiply-adds of the definition at the measured peak, whichever takes longer.
Fourier transforms and symmetric kernels need fewer multiply-adds, and may be beyond 100 %. A `-` says that a library
does not offer a case."""


def markdown(document: Document, plots: tuple[str, ...] = ()) -> str:
    """Return the whole report; `plots` are the names of pictures beside it."""
    pictures = "\n\n".join(f"![{plot.removesuffix('.png').replace('-', ' ')}]({plot})" for plot in plots)
    families = (_family(document, name, functions) for name, functions in words.FAMILIES.items())
    parts = (
        *(_heading(document), NOTES, _behind(document), *families),
        *(_fresh(document), pictures, _left_out(document), problems(document)),
    )
    return "\n\n".join(filter(None, parts)) + "\n"


def _behind(document: Document) -> str:
    """Return the cases in which a rival is faster, the worst first."""
    lines = ["## Where a rival is faster"]
    for threads in document["threads"]:
        told = (f"{case.name} ({ratio:.2f}, {side})" for case, side, ratio in documents.behind(document, threads))
        lines.append(f"- {words.threads(threads)}: {', '.join(told) or 'nowhere'}")
    return "\n".join((lines[0], "", *lines[1:]))


def problems(document: Document) -> str:
    """Return one line for each kind of failure of each side, with the cases that it hit, if there is any."""
    return _listed("Failed or disagreed", documents.failures(document))


def _left_out(document: Document) -> str:
    return _listed("Left out, as a call would take too long", documents.left_out(document), reason=False)


def _heading(document: Document) -> str:
    machine, versions, package = document["machine"], document["versions"], document["machine"]["package"]
    facts = {
        "CPU": f"{machine['cpu']}, {machine['cores']} cores"
        + (f", {machine['available_cores']} of them available" if machine["available_cores"] else ""),
        "caches": "; ".join(machine["caches"] or ()),
        "memory": f"{machine['memory_gb']} GB" if machine["memory_gb"] else "",
        "system": machine["system"],
        "package": f"imkernels {package['version']}, level {package['level']['in_use']}, {package['compiler']}"
        if package
        else "",
        "sides": ", ".join(
            " ".join(filter(None, (name, side["version"], side["isa_level"])))
            for name, side in document["sides"].items()
        ),
        "Python": f"{versions['python']}, NumPy {versions['numpy']}, pytest-benchmark {versions['pytest-benchmark']}",
        "revision": document["revision"] or "",
        **{f"placement, {words.threads(int(n))}": _placement(placed) for n, placed in document["placement"].items()},
        **dict(_limits(document)),
    }
    kind = "a quick run, not to be quoted" if document["quick"] else f"rounds: {document['rounds']}"
    lines = (f"- {name}: {fact}" for name, fact in facts.items() if fact)
    return f"# Benchmarks of {document['date']} ({kind})\n\n" + "\n".join(lines)


def _placement(placed: dict[str, Any]) -> str:
    told = (
        f"{side} {' '.join(f'{variable}={value}' for variable, value in variables.items())}"
        for side, variables in placed["environment"].items()
        if variables
    )
    return "; ".join(("pinned to one core" if placed["pinned"] else "not pinned", *told))


def _limits(document: Document) -> Iterator[tuple[str, str]]:
    limits = document["machine"]["limits"]
    if limits["error"]:
        yield "limits", limits["error"]
    for threads, measured in limits["threads"].items():
        largest = measured["bandwidth"][-1]
        rates = ", ".join(f"{kind} {largest[f'{kind}_gb_s']:.3g}" for kind in ("copy", "read", "write"))
        yield (
            f"limits, {words.threads(int(threads))}",
            f"memory {rates} GB/s; float32 multiply-adds {measured['fma_gflops']:.4g} GFLOP/s; "
            f"minima of bytes {measured['uint8_min_gops']:.4g} Gop/s",
        )


def _family(document: Document, family: str, functions: tuple[str, ...]) -> str:
    entries = [entry for entry in document["cases"] if entry["function"] in functions]
    if not entries:
        return ""
    names = {result["case"] for result in document["results"] if result["case"] in {e["name"] for e in entries}}
    sides = [
        side
        for side in document["sides"]
        if side != FRESH and any(r["side"] == side and r["case"] in names for r in document["results"])
    ]
    unit = words.rate(entries[0], 1.0)[1]
    header = ["case", "threads", *sides, f"ours, {unit}", "best rival", "ratio", "of limit", "bound by"]
    rows = [_row(document, entry, sides, threads) for entry in entries for threads in document["threads"]]
    return f"## {family}\n\n{table([header, *rows])}"


def _row(document: Document, entry: dict[str, Any], sides: list[str], threads: int) -> list[str]:
    name = entry["name"]
    ours = documents.seconds_of(document, name, OURS, threads)
    rival, _ = documents.best_rival(document, name, threads) or ("-", None)
    limit = documents.limit_of(document, entry, threads)
    return [
        name,
        str(threads),
        *(_time(documents.result_of(document, name, side, threads)) for side in sides),
        words.number(words.rate(entry, ours)[0]) if ours else "-",
        rival,
        ratio(document, name, rival, threads),
        f"{limit.seconds / ours:.0%}" if ours and limit else "-",
        limit.bound_by if limit else "-",
    ]


def _time(result: Result | None) -> str:
    if result is None:
        return "-"
    return words.time(result["seconds"]) if result["status"] == "ok" else result["status"].upper()


def ratio(document: Document, case: str, rival: str, threads: int) -> str:
    """Return the time of a rival by ours, with the interval of its ratio where rounds tell it."""
    ours, its = (documents.result_of(document, case, side, threads) for side in (OURS, rival))
    if not ours or not its or not ours["seconds"] or not its["seconds"]:
        return "-"
    value = its["seconds"] / ours["seconds"]
    if min(len(ours["rounds"]), len(its["rounds"])) < 2:
        return f"{value:.2f}"
    low, high = bootstrap.ratio_interval(its, ours)
    return f"{value:.2f} ({low:.2f} to {high:.2f})"


def _fresh(document: Document) -> str:
    """Return the table of calls that allocate their output, beside those that are given one."""
    rows = []
    for entry in document["cases"]:
        for threads in document["threads"]:
            given, fresh = (documents.seconds_of(document, entry["name"], s, threads) for s in (OURS, FRESH))
            if given and fresh:
                more = f"{fresh / given:.2f}"
                rows.append([entry["name"], str(threads), words.time(given), words.time(fresh), more])
    header = ["case", "threads", "with `out`", "without", "times as long"]
    return f"## Cost of a fresh output\n\n{table([header, *rows])}" if rows else ""


def table(rows: list[list[str]]) -> str:
    """Return rows of cells as a table in Markdown, aligned so that it reads well as it is."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = (
        [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))]
        for first, *rest in (rows[0], rule, *rows[1:])
    )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _listed(title: str, results: list[Result], *, reason: bool = True) -> str:
    hit: dict[str, list[str]] = {}
    for result in results:
        kind = f"{result['side']}, threads={result['threads']}"
        kind = f"{result['status'].upper()}: {kind}: {result['message']}" if reason else kind
        detail = "" if reason else f" ({result['message'].removeprefix('a call would take ')})"
        hit.setdefault(kind, []).append(result["case"] + detail)
    lines = "\n".join(f"- {kind}: {', '.join(names)}" for kind, names in hit.items())
    return f"## {title}\n\n{lines}" if lines else ""
