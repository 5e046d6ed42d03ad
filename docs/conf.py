"""Sphinx's configuration: ``sphinx-build -W docs build/docs``, which ``nox -s docs`` runs."""

import ast
import re
from pathlib import Path

import imkernels
from sphinx.application import Sphinx
from sphinx_gallery.sorting import ExplicitOrder

DOCS = Path(__file__).parent

project = "imkernels"
copyright = "2026, the imkernels developers"
version = release = imkernels.__version__

extensions = [
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["gallery"]  # what sphinx-gallery makes of it is in examples
html_theme = "furo"
html_title = f"imkernels {version}"
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}

# Pages are written in Markdown, docstrings in numpydoc's form, where single backticks mark parameters and functions.
myst_enable_extensions = ["substitution"]
myst_heading_anchors = 3
default_role = "autolink"
autodoc_typehints = "none"  # the docstrings name types, in words
maximum_signature_line_length = 100
smartquotes = False  # docstrings quote what is to be typed
autosummary_generate = False
numpydoc_show_class_members = False

plot_formats = [("png", 120)]
plot_html_show_formats = False
plot_html_show_source_link = False


def is_example(path: Path) -> bool:
    """Return whether a file of the gallery is written for sphinx-gallery: its docstring begins with a title in reST."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return re.match(r".+\n={3,}(\n|$)", docstring) is not None


PROGRAMS = [path for path in sorted((DOCS / "gallery").glob("[!_]*.py")) if not is_example(path)]


def described(program: Path) -> str:
    """Return the docstring of a program, which is Markdown as well, under the program's name."""
    docstring = ast.get_docstring(ast.parse(program.read_text(encoding="utf-8"))) or ""
    return f"## {program.stem}\n\n{docstring}\n\n[{program.name}](gallery/{program.name})"


myst_substitutions = {"programs": "\n\n".join(map(described, PROGRAMS))}

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "examples",
    "filename_pattern": r"\.py$",
    "ignore_pattern": "|".join(rf"^{path.name}$" for path in [*PROGRAMS, Path("__main__.py")]),
    "within_subsection_order": ExplicitOrder(
        [
            "median_or_box.py",
            "noise_theory.py",
            "cost.py",
            "edges.py",
            "pooling.py",
            "backpropagation_by_hand.py",
            "one_step_of_learning.py",
            "denoising_autoencoder.py",
            "spectrogram.py",
            "two_proofs.py",
            "*",
        ]
    ),
    "reference_url": {"imkernels": None},
    "run_stale_examples": True,  # those that are there may be in the other form, short or not
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
}


def link_from_here(app: Sphinx, path: Path, parent: str, content: list[str]) -> None:
    """Point the links of a page from the root of the repository to the pages here; others become their text."""

    def target(match: re.Match[str]) -> str:
        text, there = match.groups()
        return f"{text}({there.removeprefix('docs/')})" if there.startswith("docs/") else text.strip("[]")

    content[0] = re.sub(r"(\[[^\]]*\])\((?!https?:|#)([^)]*)\)", target, content[0])


def setup(app: Sphinx) -> None:
    """Connect what is done to included pages."""
    app.connect("include-read", link_from_here)
