"""Docstrings: complete, true to the signatures, with examples that run, as those of README and docs/*.md do."""

import ast
import doctest
import inspect
import pydoc
import re
from pathlib import Path

import imkernels as ik
import pytest
from imkernels import _docs
from imkernels._ufunc import KernelFunction

from tests.conftest import peer

pytestmark = pytest.mark.wrapper

FUNCTIONS = {name: getattr(ik, name) for name in ik.__all__ if callable(getattr(ik, name))}
KERNELS = {name: function for name, function in FUNCTIONS.items() if isinstance(function, KernelFunction)}
ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
SECTION = re.compile(r"^(\w[\w ]*)\n(-+)$", re.MULTILINE)


def sections(function):
    """Return {title: text} of a numpydoc docstring; the text before the first title stands under ''."""
    docstring = inspect.cleandoc(function.__doc__)
    parts = SECTION.split(docstring)
    for title, line in zip(parts[1::3], parts[2::3], strict=True):
        assert len(title) == len(line), f"the line under {title} has another length"
    return {"": parts[0]} | dict(zip(parts[1::3], parts[3::3], strict=True))


def entries(text):
    """Return {name: description of its type} of a section that lists names."""
    found = {}
    for line in text.strip("\n").splitlines():
        if line and not line.startswith(" "):
            names, _, kind = line.partition(" : ")
            found |= {name: kind for name in names.split(", ")}
    return found


def test_the_kernels_were_found():
    assert {"median_filter", "box_blur", "correlate", "max_pool_with_argmax", "max_pool_backward"} <= KERNELS.keys()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_first_line_is_one_sentence(name):
    summary, _, rest = inspect.cleandoc(FUNCTIONS[name].__doc__).partition("\n")
    assert summary.endswith(".")
    assert len(summary) <= 100
    assert not rest or rest.startswith("\n")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_all_sections_are_there_and_in_order(name):
    function = FUNCTIONS[name]
    signature = inspect.signature(function)
    found = [title for title in sections(function) if title]
    wanted = {"Examples"}
    if signature.parameters:
        wanted |= {"Parameters"}
    if signature.return_annotation not in (None, "None") and name != "workers":  # that is a context manager
        wanted |= {"Returns"}
    if name in KERNELS:
        wanted |= {"Parameters", "Returns", "Raises", "Notes"}
    assert wanted <= set(found)
    order = ["Parameters", "Returns", "Yields", "Raises", "See Also", "Notes", "References", "Examples"]
    assert found == [title for title in order if title in found]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_parameter_is_described_in_the_order_of_the_signature(name):
    text = sections(FUNCTIONS[name]).get("Parameters", "")
    assert list(entries(text)) == list(inspect.signature(FUNCTIONS[name]).parameters)
    described = re.split(r"^\S.*\n", text, flags=re.MULTILINE)[1:]
    assert len(described) == len(inspect.signature(FUNCTIONS[name]).parameters)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_defaults_described_are_those_of_the_signature(name):
    kinds = entries(sections(FUNCTIONS[name]).get("Parameters", ""))
    for parameter in inspect.signature(FUNCTIONS[name]).parameters.values():
        kind = kinds[parameter.name]
        stated = re.search(r", default (.+)$", kind)
        if parameter.default is parameter.empty or parameter.default is None:
            assert not stated, f"{parameter.name}: {kind}"
        else:
            assert stated, f"{parameter.name}: {kind}"
            assert ast.literal_eval(stated[1]) == parameter.default, f"{parameter.name}: {kind}"


@pytest.mark.parametrize("name", KERNELS)
def test_optional_parameters_say_so(name):
    kinds = entries(sections(KERNELS[name])["Parameters"])
    for parameter in inspect.signature(KERNELS[name]).parameters.values():
        if parameter.default is None and parameter.name != "size":
            assert kinds[parameter.name].endswith("optional"), parameter.name


@pytest.mark.parametrize("name", KERNELS)
def test_errors_dtypes_and_aliasing_are_told(name):
    found = sections(KERNELS[name])
    assert entries(found["Raises"]).keys() >= {"ValueError", "TypeError"}
    assert "may overlap" in found["Parameters"]
    assert "NaN" in KERNELS[name].__doc__ or name == "max_pool_backward"
    assert re.search(r"shape (\(\.\.\., ([A-Z], )?[A-Z], [A-Z]\)|`\w+_shape`)", found["Returns"])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_placeholder_is_left(name):
    assert "{{" not in FUNCTIONS[name].__doc__
    assert "}}" not in FUNCTIONS[name].__doc__
    assert "TODO" not in FUNCTIONS[name].__doc__


def test_an_unknown_placeholder_is_an_error():
    with pytest.raises(KeyError, match="nonsense"):
        _docs.complete("Do.\n\n{{nonsense}}\n", "function")
    with pytest.raises(ValueError, match="function has no docstring"):
        _docs.complete(None, "function")


def run_examples(text, name):
    test = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
    report = []
    results = doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    return results, "".join(report)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_examples_run(name):
    try:
        results, report = run_examples(FUNCTIONS[name].__doc__, name)
    finally:
        ik.set_workers(None)
    assert results.failed == 0, report
    assert results.attempted >= 2  # an import and what it is there for


def test_a_wrong_example_would_be_noticed():
    results, report = run_examples(">>> 1 + 1\n3\n", "wrong")
    assert results.failed == 1
    assert "Expected" in report


@pytest.mark.parametrize("name", KERNELS)
def test_help_shows_the_docstring(name):
    shown = pydoc.plain(pydoc.render_doc(KERNELS[name]))
    for line in inspect.cleandoc(KERNELS[name].__doc__).splitlines():
        assert line.strip() in shown


def python_blocks(text):
    return re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


BLOCKS = {page: python_blocks(page.read_text(encoding="utf-8")) for page in (README, *(ROOT / "docs").glob("*.md"))}
PAGES = [page for page, blocks in BLOCKS.items() if blocks]


def run_page(page, blocks):
    """Run the blocks of a page one after the other, where everything that they import is there."""
    for package in re.findall(r"^(?:import|from) (\w+)", "".join(blocks), flags=re.MULTILINE):
        peer(package)
    names = {"__name__": page.stem}
    for block in blocks:
        exec(compile(block, str(page), "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_the_examples_of_a_page_run(page):
    run_page(page, BLOCKS[page])


def test_pages_with_examples_were_found_and_a_wrong_one_would_be_noticed():
    assert README in PAGES
    assert {"start", "ufunc_like", "dtypes", "nan", "threads"} <= {page.stem for page in PAGES}
    with pytest.raises(AssertionError):
        run_page(README, ["number = 1\n", "assert number == 2\n"])


def test_the_reference_has_every_function_once():
    text = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "api").glob("*.md"))
    assert sorted(re.findall(r"^\.\. autofunction:: (\w+)$", text, flags=re.MULTILINE)) == sorted(FUNCTIONS)


def test_the_readme_lists_every_function():
    text = README.read_text(encoding="utf-8")
    for name in KERNELS:
        assert re.search(rf"^\| `{name}\(", text, flags=re.MULTILINE), name
    for called in re.findall(r"\bik\.(\w+)", text):
        assert called in ik.__all__, called
