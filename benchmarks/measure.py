"""The command ``python -m benchmarks``: measure, and write what was found."""

from __future__ import annotations

import argparse
import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import cases, documents, report
from benchmarks.placement import available_cores
from benchmarks.rivals import SIDES, Side

LATEST = Path("benchmarks/results/latest")

OTHER_COMMANDS = """\
other commands:
  compare OLD.json NEW.json   what got faster or slower beyond noise; exit status 1 where something got slower
  report DIR                  write DIR/report.md and its plots again from DIR/results.json
  readme DIR                  write README's section on speed from DIR/results.json
"""


def main(argv: list[str]) -> int:
    """Measure, print the report and write it to DIR; return 1 where a side failed or disagreed."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    for module in ("pytest_benchmark", "skimage"):  # the measuring tool and the photographs
        if find_spec(module) is None:
            parser.error(f"{module} is not installed: pip install '.[bench]'")
    if not cases.select(arguments.only):
        parser.error(f"no case matches --only {arguments.only!r}")
    sides = _installed(arguments.sides)
    if not sides:
        parser.error("none of the sides is installed")

    from benchmarks import runner  # needs what was asked for above

    rounds = arguments.rounds or (1 if arguments.quick else 3)
    plan = runner.Plan(arguments.only, arguments.quick, sides, arguments.threads, rounds)
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
        scratch = TemporaryDirectory(dir=arguments.out, prefix="scratch-")
    except OSError as error:
        parser.error(f"cannot write to --out {arguments.out}: {error.strerror}")
    with scratch:
        document = runner.run(plan, arguments.out.resolve(), Path(scratch.name).resolve())
    (arguments.out / "results.json").write_text(json.dumps(document, indent=1) + "\n")
    print(write_report(document, arguments.out))
    print(f"written to {arguments.out}", file=sys.stderr)
    return 1 if documents.failures(document) else 0


def write_report(document: dict[str, Any], directory: Path) -> str:
    """Write report.md and its plots into `directory`, and return the report without them."""
    if find_spec("matplotlib") is None:
        print("plots are left out, as matplotlib is not installed: pip install '.[bench]'", file=sys.stderr)
        plots: tuple[str, ...] = ()
    else:
        from benchmarks.plots import draw

        plots = draw(document, directory)
    (directory / "report.md").write_text(report.markdown(document, plots))
    return report.markdown(document)


def _installed(names: tuple[str, ...]) -> tuple[type[Side], ...]:
    """Return the sides that are there, and say of the others how to install them."""
    sides = tuple(SIDES[name] for name in SIDES if name in names)
    for side in sides:
        if not side.installed():
            print(f"{side.name} is left out, as it is not installed: {side.install}", file=sys.stderr)
    return tuple(side for side in sides if side.installed())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure imkernels beside its rivals.",
        epilog=OTHER_COMMANDS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default_threads = tuple(threads for threads in (1, 2) if threads <= available_cores())
    add = parser.add_argument
    add("--quick", action="store_true", help="small images and short times: a check of the results, not of speed")
    add("--only", type=_regex, default="", metavar="REGEX", help="the cases whose name matches somewhere")
    add("--threads", type=_threads, default=default_threads, metavar="N,...", help="numbers of threads (default: 1,2)")
    add("--sides", type=_sides, default=tuple(SIDES), metavar="NAME,...", help=f"of {', '.join(SIDES)} (default: all)")
    add("--rounds", type=_positive, metavar="N", help="processes of each side (default: 3, with --quick 1)")
    add("--out", type=Path, default=LATEST, metavar="DIR", help=f"where the results go (default: {LATEST})")
    return parser


def _regex(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from None
    return text


def _sides(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in SIDES:
            raise argparse.ArgumentTypeError(f"unknown side {name!r}; known are {', '.join(SIDES)}")
    return names


def _threads(text: str) -> tuple[int, ...]:
    threads = tuple(sorted({_positive(number) for number in text.split(",")}))
    if threads[-1] > available_cores():
        raise argparse.ArgumentTypeError(f"{threads[-1]} threads, but the cores available are {available_cores()}")
    return threads


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive whole number")
    return int(text)
