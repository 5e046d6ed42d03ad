"""The commands ``python -m benchmarks`` and ``python -m benchmarks compare``, ``report`` and ``readme``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import compare, documents, measure, readme

ROOT = Path(__file__).parents[1]


def main(argv: list[str]) -> int:
    """Run the command that the first argument names, or else measure; return the exit status."""
    commands: dict[str, Callable[[list[str]], int]] = {"compare": _compare, "report": _report, "readme": _readme}
    command = commands.get(argv[0]) if argv else None
    return command(argv[1:]) if command else measure.main(argv)


def _compare(argv: list[str]) -> int:
    """Print what changed; return 1 where something got slower beyond noise."""
    parser = _parser("compare", "Say what got faster or slower from OLD to NEW, beyond noise.")
    parser.add_argument("old", type=Path, metavar="OLD.json", help="or its directory")
    parser.add_argument("new", type=Path, metavar="NEW.json")
    parser.add_argument(
        "--tolerance", type=_part, default=compare.TOLERANCE, metavar="PART",
        help="changes that are not surely larger do not count (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--by-rivals", action="store_true", help="judge ours in relation to how far the rivals moved")
    arguments = parser.parse_args(argv)
    options = {"tolerance": arguments.tolerance, "by_rivals": arguments.by_rivals}
    try:
        text, slower = compare.text(documents.load(arguments.old), documents.load(arguments.new), **options)
    except (documents.UnreadableError, compare.IncomparableError) as error:
        parser.error(str(error))
    print(text)
    return 1 if slower else 0


def _part(text: str) -> float:
    part = float(text)
    if not 0 <= part < 1:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 1")
    return part


def _report(argv: list[str]) -> int:
    parser = _parser("report", "Write report.md and its plots again from results.json.")
    parser.add_argument("directory", type=Path, metavar="DIR")
    directory = parser.parse_args(argv).directory
    try:
        measure.write_report(documents.load(directory), directory)
    except documents.UnreadableError as error:
        parser.error(str(error))
    return 0


def _readme(argv: list[str]) -> int:
    parser = _parser("readme", "Write README's section on speed, and its plot, from the results in DIR.")
    parser.add_argument("directory", type=Path, metavar="DIR")
    directory = parser.parse_args(argv).directory
    try:
        readme.write(directory, ROOT)
    except (documents.UnreadableError, readme.ReadmeError) as error:
        parser.error(str(error))
    return 0


def _parser(command: str, description: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog=f"python -m benchmarks {command}", description=description)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
