"""The document that results.json holds: read, and asked for results.

Schema 2 has, besides what schema 1 has: of each case the bytes and multiply-adds (`benchmarks.work`); of the machine
its caches, its limits and the package that ran; the placement of threads; whether a side is a rival; of each round the
samples.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from benchmarks import work
from benchmarks.cases import Case

SCHEMA = 2
OURS = "ours"
FRESH = "ours-fresh"
NOISE = 0.97  # a ratio below this says that a rival is faster

Document = dict[str, Any]
Result = dict[str, Any]


class UnreadableError(ValueError):
    """A file is no document of results; the message says which and why."""


def load(path: Path) -> Document:
    """Return the document in a file, or in results.json of a directory; one of schema 1 is brought up to this one."""
    path = path / "results.json" if path.is_dir() else path
    try:
        document = json.loads(path.read_text())
        schema = document["schema"]
    except OSError as error:
        raise UnreadableError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, TypeError, KeyError):
        raise UnreadableError(f"{path} does not hold results of python -m benchmarks") from None
    if schema not in (1, SCHEMA):
        raise UnreadableError(f"{path} has schema {schema!r}; known are 1 and {SCHEMA}")
    return _from_schema_1(document) if schema == 1 else document


def _from_schema_1(document: Document) -> Document:
    unknown = {"available_cores": None, "caches": None, "memory_gb": None, "package": None}
    no_limits = {"error": "not measured in this run", "threads": {}}
    return document | {
        "schema": SCHEMA,
        "machine": unknown | {"limits": no_limits} | document["machine"],
        "placement": {},
        "sides": {name: {"rival": name != OURS, **side} for name, side in document["sides"].items()},
        "cases": [entry(case_of(case)) for case in document["cases"]],
    }


def entry(case: Case) -> dict[str, Any]:
    """Return what a document says of a case: its name, its work and its parameters."""
    return {"name": case.name, "pixels": case.pixels, **work.of(case)._asdict(), **asdict(case)}


def case_of(entry: dict[str, Any]) -> Case:
    """Return the case that an entry of `cases` describes."""
    values = {field.name: entry[field.name] for field in fields(Case) if field.name in entry}
    return Case(**values | {"shape": tuple(entry["shape"])})


def failures(document: Document) -> list[Result]:
    """Return the results of the sides that failed or disagreed with the reference."""
    return [result for result in document["results"] if result["status"] not in ("ok", "left out")]


def left_out(document: Document) -> list[Result]:
    """Return the results that would have taken too long."""
    return [result for result in document["results"] if result["status"] == "left out"]


def result_of(document: Document, case: str, side: str, threads: int) -> Result | None:
    """Return the result to compare at `threads`; that of a single-threaded library is the one at one thread."""
    if side not in document["sides"]:
        return None
    measured_at = threads if document["sides"][side]["threaded"] else 1
    wanted = case, side, measured_at
    return next((r for r in document["results"] if (r["case"], r["side"], r["threads"]) == wanted), None)


def seconds_of(document: Document, case: str, side: str, threads: int) -> float | None:
    """Return the time of a side, None where there is none to be used."""
    result = result_of(document, case, side, threads)
    return result["seconds"] if result else None


def rivals(document: Document) -> list[str]:
    """Return the names of the sides besides ours."""
    return [name for name, side in document["sides"].items() if side["rival"]]


def best_rival(document: Document, case: str, threads: int) -> tuple[str, float] | None:
    """Return name and seconds of the fastest side besides ours, None where no rival has the case."""
    seconds = {name: seconds_of(document, case, name, threads) for name in rivals(document)}
    measured = {name: time for name, time in seconds.items() if time}
    return min(measured.items(), key=lambda item: item[1]) if measured else None


def limit_of(document: Document, entry: dict[str, Any], threads: int) -> work.Limit | None:
    """Return the least time of a case, None where the limits of the machine were not measured."""
    measured = document["machine"]["limits"]["threads"].get(str(threads))
    needed = work.Work(*(entry[name] for name in work.Work._fields))
    return work.limit(needed, measured) if measured else None


def behind(document: Document, threads: int) -> list[tuple[Case, str, float]]:
    """Return the cases in which a rival is faster, its name, and its time by ours; the worst first."""
    slower = []
    for entry in document["cases"]:
        ours = seconds_of(document, entry["name"], OURS, threads)
        rival = best_rival(document, entry["name"], threads)
        if ours and rival and rival[1] / ours < NOISE:
            slower.append((case_of(entry), rival[0], rival[1] / ours))
    return sorted(slower, key=lambda item: item[2])
