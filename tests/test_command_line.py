"""``python -m imkernels``: the help, the demo, and one line for whatever stands in its way."""

import re
import subprocess
import sys

import pytest

from tests.conftest import peer

pytestmark = pytest.mark.wrapper

MODULE = ("-m", "imkernels")


def run(*words):
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=60)


def refusal(*words):
    """Return what the command says, in one line, as it refuses."""
    done = run(*words)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_without_arguments_it_prints_the_help():
    done = run(*MODULE)
    assert done.returncode == 0
    assert done.stdout.startswith("usage: python -m imkernels ")
    for command in ("info", "demo", "median (median_filter)", "box (box_blur, blur)", "max_pool"):
        assert f"\n    {command}" in done.stdout


def test_an_unknown_command_is_refused():
    assert run(*MODULE, "nonsense").returncode == 2


@pytest.mark.parametrize("missing", ["matplotlib", "PIL", "skimage"])
def test_demo_names_what_is_not_installed(missing, tmp_path):
    for name in ("matplotlib", "PIL", "skimage"):
        peer(name)
    hidden = f"import sys; sys.modules[{missing!r}] = None; from imkernels.__main__ import main; main(sys.argv[1:])"
    said = refusal("-c", hidden, "demo", "--out", str(tmp_path))
    assert re.fullmatch(rf".*\b{missing}\S* is not installed: pip install 'imkernels\[demo\]'\n", said)


def test_demo_does_not_write_over_a_file(tmp_path):
    peer("matplotlib")
    file = tmp_path / "file"
    file.write_text("kept")
    assert f"cannot write to {file}: File exists" in refusal(*MODULE, "demo", "--out", str(file))
    assert file.read_text() == "kept"


def test_demo_says_what_it_cannot_write(tmp_path):
    peer("matplotlib")
    (tmp_path / "photograph.png").mkdir()
    assert f"cannot write to {tmp_path}: Is a directory" in refusal(*MODULE, "demo", "--out", str(tmp_path))


@pytest.mark.slow
def test_demo_writes_pictures_and_prints_what_they_show(tmp_path):
    peer("matplotlib")
    skimage_io = peer("skimage.io")
    done = run(*MODULE, "demo", "--out", str(tmp_path / "new" / "folder"))
    assert done.returncode == 0, done.stderr

    extents = {file.stem: skimage_io.imread(file).shape[:2] for file in (tmp_path / "new" / "folder").iterdir()}
    assert extents.pop("contact_sheet") == (1530, 1800)
    assert extents.pop("max_pool") == (128, 128)
    assert list(extents.values()) == [(512, 512)] * 11

    decibels = [float(line.split()[-2]) for line in done.stdout.splitlines() if line.startswith("Median, 3 x 3")]
    assert decibels == [30.5, 25.3]
