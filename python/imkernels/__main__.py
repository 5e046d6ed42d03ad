"""The command line: ``python -m imkernels COMMAND``."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

from imkernels import _files

PROGRAM = "python -m imkernels"

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command.

    A command is a function ``add_<name>`` below: it describes its options and names the function that carries
    it out, which imports what it needs when it is called. Those that filter files are in a table of `_files`.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after the program's name, by default those of this process.
    """
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Image-window kernels for NumPy.")
    parser.set_defaults(run=lambda _: parser.print_help())
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    add_info(commands)
    add_demo(commands)
    for command in _files.COMMANDS:
        add_filter(commands, command)
    options = parser.parse_args(arguments)
    options.run(options)


def add_info(commands: Commands) -> None:
    """Describe the command ``info``."""
    summary = "tell what runs here: version, instruction set, OpenMP, threads and why so many"
    parser = commands.add_parser("info", help=summary, description=summary)
    parser.add_argument("--json", action="store_true", help="print JSON, whose keys stay the same")
    parser.set_defaults(run=run_info)


def run_info(options: argparse.Namespace) -> None:
    """Carry out the command ``info``."""
    import json

    from imkernels import _info

    facts = _info.collect()
    print(json.dumps(facts, indent=2) if options.json else _info.text(facts))


def add_demo(commands: Commands) -> None:
    """Describe the command ``demo``."""
    summary = "filter, pool and measure on a photograph; write the pictures and a contact sheet"
    parser = commands.add_parser("demo", help=summary, description=summary)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the pictures go")
    parser.set_defaults(run=run_demo)


def run_demo(options: argparse.Namespace) -> None:
    """Carry out the command ``demo``."""
    try:
        from imkernels import _demo

        _demo.run(options.out)
    except ModuleNotFoundError as error:
        sys.exit(f"{PROGRAM} demo: {error.name} is not installed: pip install 'imkernels[demo]'")
    except OSError as error:
        sys.exit(f"{PROGRAM} demo: cannot write to {options.out}: {error.strerror or error}")


def add_filter(commands: Commands, command: str) -> None:
    """Describe a command that filters a picture file."""
    names = [name for name in _files.COMMANDS[command] if name != command]
    summary = _files.summary(command)
    parser = commands.add_parser(
        command,
        aliases=names,
        help=summary[:1].lower() + summary[1:].removesuffix("."),
        description=summary,
        epilog=_files.PICTURES,
        allow_abbrev=False,
    )
    _files.add_arguments(parser, command)
    parser.set_defaults(run=partial(run_filter, command))


def run_filter(command: str, options: argparse.Namespace) -> None:
    """Carry out a command that filters a picture file."""
    try:
        _files.run(command, options)
    except ModuleNotFoundError as error:
        sys.exit(f"{PROGRAM} {command}: {error.name} is not installed: pip install 'imkernels[files]'")
    except _files.CommandError as error:
        sys.exit(f"{PROGRAM} {command}: {' '.join(str(error).split())}")
    except KeyboardInterrupt:
        print(f"{PROGRAM} {command}: interrupted", file=sys.stderr)
        sys.exit(130)  # as a shell reports it


if __name__ == "__main__":
    main()
