"""Run examples of the gallery and save their figures.

python docs/gallery --out gallery-out edges pooling
"""

import argparse
import os
import runpy
import warnings
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt

FOLDER = Path(__file__).parent
PROGRAM = "\ndef main("  # has arguments and output of its own
EXAMPLES = sorted(path.stem for path in FOLDER.glob("[!_]*.py") if PROGRAM not in path.read_text())


def run(name: str, out: Path) -> list[Path]:
    """Execute an example as a program; return where the figures are that it leaves open."""
    matplotlib.use("Agg")
    plt.close("all")
    plt.rcdefaults()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "FigureCanvasAgg is non-interactive")  # where there is a display
        runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in plt.get_fignums():
        paths.append(out / f"{name}_{number}.png")
        plt.figure(number).savefig(paths[-1])
    plt.close("all")
    return paths


def main() -> None:
    """Run what the command line names, or everything."""
    parser = argparse.ArgumentParser(prog="python docs/gallery", description="Run examples and save their figures.")
    parser.add_argument("name", nargs="*", help=f"what to run, by default all: {', '.join(EXAMPLES)}")
    parser.add_argument("--out", type=Path, default=Path("gallery-out"))
    parser.add_argument("--short", action="store_true", help="the form that the tests run")
    options = parser.parse_args()
    if unknown := set(options.name) - set(EXAMPLES):
        parser.error(f"no such example: {', '.join(sorted(unknown))}")
    if options.short:
        os.environ["IMKERNELS_GALLERY_SHORT"] = "1"
    for name in options.name or EXAMPLES:
        print(f"{name}:")
        print("figures:", *run(name, options.out))


if __name__ == "__main__":
    main()
