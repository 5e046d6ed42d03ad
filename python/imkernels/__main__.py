"""The command line: ``python -m imkernels COMMAND``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

PROGRAM = "python -m imkernels"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command.

    A command is a function ``add_<name>`` below: it describes its options and names the function that carries
    it out, which imports what it needs when it is called.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after the program's name, by default those of this process.
    """
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Image-window kernels for NumPy.")
    parser.set_defaults(run=lambda _: parser.print_help())
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    add_demo(commands)
    options = parser.parse_args(arguments)
    options.run(options)


def add_demo(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
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


if __name__ == "__main__":
    main()
