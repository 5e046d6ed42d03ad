"""The benchmarks: statistics, limits and texts on made-up documents, and a whole run beside rivals that are wrong."""

import io
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import (
    agreement,
    bootstrap,
    cases,
    compare,
    documents,
    inputs,
    machine,
    panels,
    probe,
    progress,
    readme,
    report,
    words,
    work,
)
from benchmarks.__main__ import ROOT, main
from benchmarks.cases import Case
from tests.conftest import peer

pytestmark = pytest.mark.wrapper

MEDIAN = Case("median_filter", 3, "uint8")
MEDIANS = [Case("median_filter", size, "uint8") for size in (3, 5, 7)]
LAYER = next(case for case in cases.select("^conv2d-k3-64to64-float32"))

LIMITS = {
    "fma_gflops": 100.0,
    "uint8_min_gops": 200.0,
    "bandwidth": [
        {"bytes": 2**16, "copy_gb_s": 100.0, "read_gb_s": 100.0, "write_gb_s": 100.0},
        {"bytes": 2**28, "copy_gb_s": 25.0, "read_gb_s": 10.0, "write_gb_s": 20.0},
    ],
}


def result(rounds, case=MEDIAN, side="ours", threads=1):
    """Return the result of a side whose rounds have these times of single calls."""
    rounds = [np.atleast_1d(samples) for samples in rounds]
    medians = [float(np.median(samples)) for samples in rounds]
    stats = [{"median": m, "samples": samples.tolist()} for m, samples in zip(medians, rounds, strict=True)]
    return {
        "case": case.name, "side": side, "threads": threads,
        "status": "ok", "rounds": stats, "seconds": float(np.median(medians)),
    }  # fmt: skip


def document(*results, measured=(MEDIAN,), limits=None, **changes):
    return {
        "schema": documents.SCHEMA, "date": "2026-01-02T03:04:05+00:00", "revision": "abc1234",
        "machine": {
            "cpu": "a made-up CPU", "cores": 8, "available_cores": 4, "caches": ["L1 32K"], "memory_gb": 16.0,
            "system": "Linux", "package": None, "limits": {"error": None, "threads": {"1": limits} if limits else {}},
        },
        "placement": {}, "versions": {"python": "3.13", "numpy": "2.4", "pytest-benchmark": "5"},
        "quick": False, "rounds": 3, "threads": [1, 2],
        "sides": {
            "ours": {"threaded": True, "rival": False, "version": "1", "isa_level": "x86-64-v4"},
            "ours-fresh": {"threaded": True, "rival": False, "version": "1", "isa_level": "x86-64-v4"},
            "opencv": {"threaded": True, "rival": True, "version": "5", "isa_level": None},
            "scipy": {"threaded": False, "rival": True, "version": "1.17", "isa_level": None},
        },
        "cases": [documents.entry(case) for case in measured], "results": list(results),
    } | changes  # fmt: skip


def refusal(capsys, *argv):
    """Return what the command says as it refuses its arguments."""
    with pytest.raises(SystemExit) as refused:
        main(list(argv))
    assert refused.value.code == 2
    return capsys.readouterr().err


# Comparisons


def test_the_interval_of_a_ratio_is_that_of_scipy():
    stats = peer("scipy.stats")
    rng = np.random.default_rng(1)
    new, old = rng.normal(2, 0.2, 40), rng.normal(1, 0.1, 30)
    expected = stats.bootstrap(
        (new, old), lambda a, b, axis: np.median(a, axis=axis) / np.median(b, axis=axis),
        method="percentile", confidence_level=bootstrap.CONFIDENCE, n_resamples=5000, vectorized=True, rng=2,
    )  # fmt: skip
    found = bootstrap.ratio_interval(result([new]), result([old]))
    np.testing.assert_allclose(found, expected.confidence_interval, rtol=0.01)


def test_the_interval_covers_what_processes_differ_by():
    # The calls of a process agree, the processes do not.
    low, high = bootstrap.ratio_interval(result([[1.0] * 9, [2.0] * 9, [4.0] * 9]), result([1.0, 1.0, 1.0]))
    assert (low, high) == (1.0, 4.0)


@pytest.mark.parametrize(
    ("rounds", "verdict"),
    [
        ([1.20, 1.21, 1.22], "slower"),
        ([1.02, 1.03, 1.04], "as before"),  # within the tolerance
        ([0.90, 1.20, 1.50], "as before"),  # within noise
        ([0.70, 0.71, 0.72], "faster"),
    ],
)
def test_a_change_counts_beyond_noise_and_tolerance(rounds, verdict):
    (change,) = compare.changes(document(result([1.0, 1.0, 1.0])), document(result(rounds)))
    assert change.ratio == pytest.approx(np.median(rounds))
    assert change.slower(0.05) == (verdict == "slower")
    assert change.faster(0.05) == (verdict == "faster")


@pytest.mark.parametrize(
    ("new", "status", "said"),
    [
        (result([2.0]), 1, "slower: median_filter-k3-uint8, threads=1: 2.00 times as long (2.00 to 2.00)"),
        (result([0.5]), 0, "faster: median_filter-k3-uint8, threads=1: 0.50 times as long (0.50 to 0.50)"),
        (result([1.0]), 0, "1 compared: 0 slower, 0 faster by more than 5%, beyond noise; 1 as before"),
        (
            result([1.0]) | {"status": "differs", "message": "9 values differ", "seconds": None},
            1,
            "slower: median_filter-k3-uint8, threads=1: differs: 9 values differ",
        ),
    ],
)
def test_compare_ends_with_1_on_a_regression(new, status, said, tmp_path, capsys):
    paths = [tmp_path / "old.json", tmp_path / "new.json"]
    for path, measured in zip(paths, (result([1.0]), new), strict=True):
        path.write_text(json.dumps(document(measured)))
    assert main(["compare", *map(str, paths)]) == status
    assert said in capsys.readouterr().out.splitlines()


def test_compare_can_take_the_rivals_as_the_measure_of_the_machine():
    old = document(result([1.0]), result([3.0], side="opencv"))
    new = document(result([2.0]), result([6.0], side="opencv"))
    text, slower = compare.text(old, new)
    assert slower
    assert "rivals: 2.00 times as long, the median of 1" in text
    assert not compare.text(old, new, by_rivals=True)[1]
    new["sides"]["opencv"]["version"] = "6"
    with pytest.raises(compare.IncomparableError, match="no rival of the same version in common"):
        compare.text(old, new, by_rivals=True)


def test_compare_passes_over_cases_that_are_not_the_same():
    larger = Case("median_filter", 3, "uint8", (4096, 4096))
    assert larger.name == MEDIAN.name
    with pytest.raises(compare.IncomparableError, match="no case of ours in common"):
        compare.text(document(result([1.0])), document(result([1.0]), measured=(larger,)))
    with pytest.raises(compare.IncomparableError, match="one of the two is a quick run"):
        compare.text(document(result([1.0])), document(result([1.0]), quick=True))


def test_compare_names_machines_that_differ():
    old, new = document(result([1.0])), document(result([1.0]))
    new["machine"]["cpu"] = "another"
    assert "The machines differ: cpu a made-up CPU and another." in compare.text(old, new)[0]


# Documents


@pytest.mark.parametrize("kept", sorted((ROOT / "benchmarks" / "results").glob("*/results.json")), ids=str)
def test_kept_results_can_be_read_and_compared(kept):
    found = documents.load(kept)
    names = {case.name for case in cases.select()}
    assert {entry["name"] for entry in found["cases"]} <= names  # their history goes on
    assert found["cases"][0]["name"] in report.markdown(found)
    text, slower = compare.text(found, found)
    assert not slower
    assert " 0 slower, 0 faster" in text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file or directory"),
        ("{", "does not hold results"),
        ("[]", "does not hold results"),
        ('{"schema": 99}', "has schema 99; known are 1 and 2"),
    ],
)
@pytest.mark.parametrize("command", ["compare", "report", "readme"])
def test_what_is_no_document_is_refused(command, content, said, tmp_path, capsys):
    file = tmp_path / "results.json"
    if content is not None:
        file.write_text(content)
    arguments = [str(file)] * 2 if command == "compare" else [str(tmp_path)]
    assert re.search(f"{re.escape(str(file))}.*{said}", refusal(capsys, command, *arguments))


# Work and limits


def quick(*functions):
    return [case for case in cases.select(quick=True) if case.function in functions and case.size <= 15]


@pytest.mark.parametrize(
    "case",
    [
        *quick("max_pool", "max_pool_with_argmax", "max_pool_backward", "avg_pool", "avg_pool_backward"),
        *quick("adaptive_avg_pool", "adaptive_max_pool_with_argmax", "box_blur", "correlate", "correlate_separable"),
        *quick("conv2d", "conv2d_backward_input", "conv2d_backward_weight"),
        *cases.select("median_filter-k5s2|maximum_filter-k3", quick=True),
    ],
    ids=lambda case: case.name,
)
def test_the_work_is_that_of_the_arrays(case):
    peer("skimage")
    arrays = inputs.build(case)
    found = work.of(case)
    assert found.read_bytes == sum(array.nbytes for array in arrays)
    assert found.written_bytes == sum(array.nbytes for array in agreement.expected(case, arrays))


# PyTorch 2.13 counts the weights' gradient of a grouped convolution as if there were one group.
COUNTED = cases.select("^conv2d(?!_backward_weight-k3-depthwise)")


@pytest.mark.parametrize("case", COUNTED, ids=lambda case: case.name)
def test_multiply_adds_are_those_that_pytorch_counts(case, torch):
    from torch.utils.flop_counter import FlopCounterMode

    def empty(shape):
        return torch.empty(shape, device="meta")

    images, weight = empty(case.shape), empty(case.weight_shape)
    layer = [case.stride] * 2, [case.padding] * 2, [1, 1], False, [0, 0], case.groups
    with FlopCounterMode(display=False) as counter:
        result = torch.ops.aten.convolution(images, weight, None, *layer)
    if case.function != "conv2d":
        wanted = [case.function.endswith("input"), case.function.endswith("weight"), False]
        with FlopCounterMode(display=False) as counter:
            torch.ops.aten.convolution_backward(result, images, weight, None, *layer, wanted)
    assert 2 * work.of(case).multiply_adds == counter.get_total_flops()


def test_the_limit_is_the_longer_of_memory_and_arithmetic():
    needed = work.Work(read_bytes=3 * 2**28, written_bytes=2**28, multiply_adds=0)
    seconds, bound_by = work.limit(needed, LIMITS)
    assert bound_by == "memory"
    assert seconds == pytest.approx(2**29 / 25e9 + 2**29 / 10e9)  # half is copied, the rest is read
    assert work.limit(needed._replace(multiply_adds=10**11), LIMITS) == (2.0, "arithmetic")
    halfway = work.Work(2**21, 2**21, 0)  # 4 MiB, on a logarithmic scale midway between 64 KiB and 256 MiB
    assert work.limit(halfway, LIMITS).seconds == pytest.approx(2**22 / 50e9)


def test_the_probe_measures_every_limit(tmp_path):
    try:
        program = probe.build(tmp_path)
    except probe.ProbeError as error:
        pytest.skip(str(error))
    found = probe.measure(program, 1, repetitions=1)
    assert found["threads"] == 1
    assert found["bandwidth"][0]["bytes"] < 2**20 < found["bandwidth"][-1]["bytes"]
    rates = [rate for level in found["bandwidth"] for rate in level.values()]
    assert all(0 < rate < float("inf") for rate in (*rates, found["fma_gflops"], found["uint8_min_gops"]))


def test_without_a_compiler_the_report_says_so_and_leaves_the_fractions_out(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    limits = machine.limits(tmp_path, (1,), repetitions=1)
    found = document(result([1e-3]))
    found["machine"]["limits"] = limits
    text = report.markdown(found)
    assert "- limits: there is no C++ compiler 'no-such-compiler'; CXX can name one" in text
    assert "%" not in text.partition("## Median")[2]


# Texts


def cells(text, name, threads):
    """Return the cells of a row of the report by the names of their columns."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    row = next(number for number, line in enumerate(lines) if line[:2] == [name, str(threads)])
    header = next(line for line in reversed(lines[:row]) if line[0] == "case")
    return dict(zip(header, lines[row], strict=True))


def test_the_report_has_the_figures_of_every_side():
    found = document(
        result([1e-3, 1.1e-3, 1.2e-3]), result([2.2e-3] * 3, side="opencv"), result([0.5] * 3, side="scipy"),
        result([5e-4] * 3, threads=2), result([4e-4] * 3, side="opencv", threads=2), limits=LIMITS,
    )  # fmt: skip
    text = report.markdown(found)
    one, two = cells(text, MEDIAN.name, 1), cells(text, MEDIAN.name, 2)
    assert (one["ours"], one["opencv"], one["scipy"]) == ("1.1 ms", "2.2 ms", "500 ms")
    assert one["ours, Mpx/s"] == "3,813"  # 2048 * 2048 / 1.1 ms
    assert (one["best rival"], one["ratio"]) == ("opencv", "2.00 (1.83 to 2.20)")
    least = work.limit(work.of(MEDIAN), LIMITS).seconds
    assert (one["of limit"], one["bound by"]) == (f"{least / 1.1e-3:.0%}", "memory")
    assert (two["scipy"], two["ratio"], two["of limit"]) == ("500 ms", "0.80 (0.80 to 0.80)", "-")


def test_layers_are_told_in_useful_operations():
    text = report.markdown(document(result([0.01], LAYER), measured=(LAYER,)))
    assert cells(text, LAYER.name, 1)["ours, GFLOP/s"] == "185"  # 2 * 8 * 64 * 64 * 9 * 56 * 56 / 10 ms


def test_what_fails_differs_or_is_left_out_is_reported():
    broken = {"rounds": [], "seconds": None}
    found = document(
        result([1e-3]),
        result([1.0], side="opencv") | broken | {"status": "differs", "message": "7 values differ"},
        result([1.0], side="scipy") | broken | {"status": "left out", "message": "a call would take about 17 s"},
    )
    text = report.markdown(found)
    assert [cells(text, MEDIAN.name, 1)[side] for side in ("opencv", "scipy")] == ["DIFFERS", "LEFT OUT"]
    assert f"- DIFFERS: opencv, threads=1: 7 values differ: {MEDIAN.name}" in text
    assert f"- scipy, threads=1: {MEDIAN.name} (about 17 s)" in text
    assert documents.failures(found) == [found["results"][1]]


def test_every_case_has_a_family_and_words_of_its_own():
    every = cases.select()
    assert {case.function for case in every} == {name for names in words.FAMILIES.values() for name in names}
    assert len({words.case(case) for case in every}) == len(every)
    assert set(readme.CASES) | set(panels.SCALED) <= {case.name for case in every}


def test_a_quick_run_measures_nothing_twice():
    reduced = cases.select(quick=True)
    assert len({case.name for case in reduced}) == len(reduced)
    assert {case.function for case in reduced} == {case.function for case in cases.select()}
    assert max(case.pixels for case in reduced) < 400_000


@pytest.mark.parametrize(
    ("seconds", "words_for_it"), [(2.0, "2 s"), (0.0123, "12.3 ms"), (4.56e-6, "4.56 us"), (None, "-")]
)
def test_times_have_units(seconds, words_for_it):
    assert words.time(seconds) == words_for_it


# README


def readme_in(tmp_path, found, text="# Title\n\n<!-- speed -->\nold\n<!-- /speed -->\n\nthe rest\n"):
    results = tmp_path / "benchmarks" / "results" / "one"
    results.mkdir(parents=True)
    (results / "results.json").write_text(json.dumps(found))
    (results / "overview.png").write_bytes(b"a plot")
    (tmp_path / "README.md").write_text(text)
    return results


def test_readme_is_written_from_results_between_its_marks(tmp_path):
    found = document(
        result([1e-3]), result([2e-3], side="opencv"), result([4e-3], threads=2),
        result([2e-3], side="opencv", threads=2), result([1.0], side="scipy"),
    )  # fmt: skip
    results = readme_in(tmp_path, found)
    readme.write(results, tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert text.startswith("# Title\n\n<!-- speed -->\n")
    assert text.endswith("\n<!-- /speed -->\n\nthe rest\n")
    assert "Measured 2026-01-02 at revision abc1234 on a made-up CPU (8 cores), level x86-64-v4" in text
    assert "\n| median 3x3, uint8 | 4,194 | 1,049 | OpenCV 2,097 | OpenCV 2,097 |\n" in text
    told = (
        "A rival is faster in 0 of 1 cases on 1 thread, in 1 of 1 cases on 2 threads (at worst 0.50 of the best rival's"
    )
    assert told in text.replace("\n", " ")
    report_text = report.markdown(found)
    assert "\n- 1 thread: nowhere\n- 2 threads: median_filter-k3-uint8 (0.50, opencv)\n" in report_text
    assert "[one](benchmarks/results/one/report.md)" in text
    assert (tmp_path / readme.PLOT).read_bytes() == b"a plot"
    readme.write(results, tmp_path)
    assert (tmp_path / "README.md").read_text() == text


@pytest.mark.parametrize(
    ("changes", "text", "said"),
    [
        ({"quick": True}, "<!-- speed -->\n<!-- /speed -->", "not to be quoted"),
        ({}, "no marks", "lacks the marks <!-- speed --> and <!-- /speed -->"),
        ({"cases": []}, "<!-- speed -->\n<!-- /speed -->", "none of README's cases"),
    ],
)
def test_readme_is_left_as_it_is_where_it_cannot_be_written(changes, text, said, tmp_path):
    results = readme_in(tmp_path, document(result([1.0]), **changes), text)
    with pytest.raises(readme.ReadmeError, match=said):
        readme.write(results, tmp_path)
    assert (tmp_path / "README.md").read_text() == text


# Plots


def test_panels_show_speed_against_windows_sizes_and_threads():
    small = Case("median_filter", 3, "uint8", cases.SMALL, label="-small")
    measured = (*MEDIANS, small)
    times = [result([1e-3 * (k + 1)], case) for k, case in enumerate(MEDIANS)]
    found = document(
        *times, result([2e-6], small), result([5e-4], threads=2), result([3e-3], side="opencv"), measured=measured
    )
    (panel,) = panels.by_window(found, [("median_filter", "uint8"), ("median_filter", "uint16")])
    assert panel.title == "median, uint8, 1 thread"
    assert panel.lines["ours"] == [(3, 4194.304), (5, 2097.152), (7, pytest.approx(4194.304 / 3))]
    assert list(panel.lines) == ["ours", "opencv"]
    (panel,) = panels.by_image(found)
    assert panel.lines["ours"] == [(32, pytest.approx(512)), (2048, 4194.304)]
    (panel,) = panels.by_threads(found)
    assert panel.lines["ours"] == [(1, 4194.304), (2, pytest.approx(8388.608))]


def test_plots_are_drawn_of_what_there_is(tmp_path):
    peer("matplotlib")
    from benchmarks import plots
    from benchmarks.rivals import SIDES

    assert set(plots.LOOKS) == set(SIDES) - {"ours-fresh"}
    assert len({colour for colour, _ in plots.LOOKS.values()}) == len(plots.LOOKS)
    assert plots.draw(document(), tmp_path) == ()
    times = [result([1e-3 * (k + 1)], case) for k, case in enumerate(MEDIANS)]
    fresh = result([4e-3], side="ours-fresh")
    drawn = plots.draw(document(*times, fresh, measured=MEDIANS), tmp_path)
    assert drawn == ("overview.png", "window-median_filter.png", "fresh-output.png")
    for name in drawn:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


# Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_is_a_line_that_changes_on_a_terminal_and_lines_elsewhere():
    terminal, file = Terminal(), io.StringIO()
    for stream in (terminal, file):
        shown = progress.Progress(4, stream)
        assert shown.left() == "no estimate yet"
        shown.step("the first case")
        shown.say("a process ended")
    bar, end = terminal.getvalue().split("\r\x1b[K")[1:]
    assert (bar, end) == ("[######..................] 1/4, about 0 s left: the first case", "a process ended\n")
    assert file.getvalue() == "a process ended\n"


# The command


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--sides", "ours,nobody"), "unknown side 'nobody'; known are ours, "),
        (("--only", "nothing like this"), "no case matches --only 'nothing like this'"),
        (("--only", "("), "'(' is no regular expression"),
        (("--threads", "0"), "'0' is no positive whole number"),
        (("--threads", "100000"), "100000 threads, but the cores available are "),
        (("--rounds", "many"), "'many' is no positive whole number"),
        (("compare", "only-one"), "required: NEW.json"),
        (("compare", "a", "b", "--tolerance", "2"), "2 is not from 0 to 1"),
    ],
)
def test_wrong_arguments_are_refused(arguments, said, capsys):
    peer("skimage")
    assert said in refusal(capsys, *arguments)


def test_a_directory_that_cannot_be_written_is_refused(tmp_path, capsys):
    peer("skimage")
    (tmp_path / "file").write_text("kept")
    said = refusal(capsys, "--only", "k3-small", "--sides", "ours", "--out", str(tmp_path / "file" / "sub"))
    assert f"cannot write to --out {tmp_path}/file/sub: Not a directory" in said


def test_rivals_that_are_not_installed_are_named_with_their_installation(capsys, monkeypatch):
    peer("skimage")
    from benchmarks.rivals import SIDES

    monkeypatch.setattr(SIDES["pytorch"], "module", "no_such_module")
    said = refusal(capsys, "--sides", "pytorch")
    assert "pytorch is left out, as it is not installed: pip install torch==2.13.0\n" in said
    assert "none of the sides is installed" in said


WRONG_OPENCV = """
__version__ = "of a test"
BORDER_REFLECT = 2
def setNumThreads(threads): pass
def medianBlur(image, size, dst): dst[:] = 0; return dst
def blur(image, ksize, borderType, dst): raise RuntimeError("blur is broken")
"""


def test_a_run_reports_sides_that_differ_fail_or_crash(tmp_path):
    for module in ("skimage", "matplotlib"):
        peer(module)
    (tmp_path / "cv2.py").write_text(WRONG_OPENCV)
    (tmp_path / "SimpleITK.py").write_text("import os; os._exit(7)")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = (
        *(sys.executable, "-m", "benchmarks", "--quick", "--threads", "1", "--sides", "ours,opencv,simpleitk"),
        *("--only", "^(median_filter|box_blur)-k3-uint8$", "--out", str(tmp_path / "out")),
    )
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stderr
    box = MEDIAN.name.replace("median_filter", "box_blur")
    found = documents.load(tmp_path / "out")
    status = {(result["case"], result["side"]): result["status"] for result in found["results"]}
    assert status == {
        (MEDIAN.name, "ours"): "ok", (MEDIAN.name, "opencv"): "differs", (MEDIAN.name, "simpleitk"): "failed",
        (box, "ours"): "ok", (box, "opencv"): "failed", (box, "simpleitk"): "failed",
    }  # fmt: skip
    for text in (done.stdout, (tmp_path / "out" / "report.md").read_text()):
        assert re.search(rf"- DIFFERS: opencv, threads=1: .*values differ.*{MEDIAN.name}", text)
        assert re.search(rf"- FAILED: opencv, threads=1: RuntimeError: blur is broken: {box}", text)
        assert "- FAILED: simpleitk, threads=1: the process ended with exit status 7: " in text
    assert not list((tmp_path / "out").glob("scratch-*"))
