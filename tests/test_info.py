"""``python -m imkernels info``: the facts, the reasons for the number of threads, and the table."""

import json
import os
import subprocess
import sys

import imkernels as ik
import numpy as np
import pytest
from imkernels import _info, settings
from imkernels.__main__ import main

FORCED = os.environ.get("IMKERNELS_ISA") or None  # when the package was imported

KEYS = {
    "version": None,
    "location": None,
    "compiler": None,
    "level": {"in_use", "available", "forced"},
    "openmp": {"date", "runtimes"},
    "threads": {"number", "source", "limit", "error"},
    "serial": None,
    "machine": {"cores", "affinity", "quota"},
    "forked": None,
    "environment": {"IMKERNELS_ISA", "IMKERNELS_NUM_THREADS", "OMP_NUM_THREADS"},
    "python": None,
    "numpy": None,
    "platform": None,
}


@pytest.fixture(autouse=True)
def _as_at_the_start(monkeypatch):
    for name in ("IMKERNELS_ISA", "IMKERNELS_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    caches = (settings._environment_workers, settings._own_quota)
    for cache in caches:
        cache.cache_clear()
    yield
    ik.set_workers(None)
    for cache in caches:
        cache.cache_clear()


@pytest.fixture
def machine(monkeypatch):
    """Return a function that makes up a machine."""

    def make(cores=8, affinity=8, quota=None):
        def sched_getaffinity(process):
            if affinity is None:
                raise OSError
            return set(range(affinity))

        monkeypatch.setattr(os, "cpu_count", lambda: cores)
        monkeypatch.setattr(os, "sched_getaffinity", sched_getaffinity, raising=False)
        monkeypatch.setattr(settings, "cgroup_quota", lambda membership, root: quota)

    return make


def line(name, facts=None):
    """Return what the table says of one thing."""
    lines = _info.text(facts or _info.collect()).splitlines()
    return next(text for text in lines if text.startswith(name)).removeprefix(name).strip()


def threads():
    facts = _info.collect()["threads"]
    return facts["number"], facts["source"], facts["limit"]


# The facts


def test_the_keys_are_those_that_are_documented():
    facts = _info.collect()
    assert {name: set(value) if isinstance(value, dict) else None for name, value in facts.items()} == KEYS
    for name in [*KEYS, *KEYS["level"], *KEYS["openmp"], *KEYS["threads"], *KEYS["machine"]]:
        assert f"``{name}``" in _info.collect.__doc__, name


def test_what_runs_here():
    facts = _info.collect()
    assert facts["version"] == ik.__version__
    assert facts["location"] == os.path.dirname(ik.__file__)
    assert facts["numpy"] == np.__version__
    assert sys.version.startswith(facts["python"])
    assert facts["level"]["in_use"] == ik.isa_level()
    assert facts["level"]["in_use"] in facts["level"]["available"]
    assert facts["level"]["available"][0] == "baseline"
    assert facts["level"]["forced"] == FORCED
    assert facts["compiler"]


def test_json_is_what_collect_returns(capsys):
    main(["info", "--json"])
    printed = capsys.readouterr().out
    assert json.loads(printed) == json.loads(json.dumps(_info.collect()))


def test_the_table_is_aligned(capsys):
    main(["info"])
    lines = capsys.readouterr().out.splitlines()
    names = [text[:13].strip() for text in lines]
    assert [name for name in names if name] == [
        *("imkernels", "compiler", "level", "OpenMP", "runtime", "threads", "machine", "fork"),
        *("environment", "Python", "NumPy", "platform"),
    ]
    assert all(text[12] == " " and text[13] != " " for text in lines)


def test_in_a_process_of_its_own_it_loads_numpy_alone():
    program = (
        "import sys, numpy; before = set(sys.modules)\n"
        "from imkernels.__main__ import main; main(['info'])\n"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names - {'numpy'})"
    )
    environment = os.environ | {"IMKERNELS_ISA": "baseline", "IMKERNELS_NUM_THREADS": "abc"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "imkernels"
    assert any(text.split() == ["level", "baseline,", "forced", "by", "IMKERNELS_ISA"] for text in lines)
    assert any("threads      none: IMKERNELS_NUM_THREADS must be" in text for text in lines)


# Threads, and why


def test_affinity_bounds_the_threads(machine):
    machine(cores=8, affinity=3)
    assert threads() == (3, "machine", "affinity")
    assert line("threads") == "3 by default: the process's affinity allows 3 cores"
    assert line("machine") == "8 cores, affinity to 3, no quota"


def test_a_quota_bounds_the_threads(machine):
    machine(cores=8, affinity=6, quota=1.5)
    assert threads() == (2, "machine", "quota")
    assert line("threads") == "2 by default: the cgroup's quota allows 1.5 cores"
    assert line("machine") == "8 cores, affinity to 6, a quota of 1.5"


def test_a_quota_that_bounds_nothing(machine):
    machine(affinity=2, quota=2.0)
    assert threads() == (2, "machine", "affinity")


def test_a_system_without_affinity(machine):
    machine(cores=1, affinity=None)
    assert threads() == (1, "machine", "cores")
    assert line("threads") == "1 by default: the machine has 1 core"
    assert line("machine") == "1 core, no affinity known, no quota"


@pytest.mark.parametrize("name", ["IMKERNELS_NUM_THREADS", "OMP_NUM_THREADS"])
def test_the_environment_says_it(machine, monkeypatch, name):
    machine()
    monkeypatch.setenv(name, "5")
    assert threads() == (5, name, None)
    assert line("threads") == f"5 by default: {name} asks for so many"
    assert line("environment") == f"{name}=5"


def test_the_environment_asks_for_all(machine, monkeypatch):
    machine(quota=3.0)
    monkeypatch.setenv("IMKERNELS_NUM_THREADS", "-1")
    assert threads() == (3, "IMKERNELS_NUM_THREADS", "quota")
    assert line("threads") == "3 by default: IMKERNELS_NUM_THREADS asks for all, and the cgroup's quota allows 3 cores"


def test_the_program_says_it(machine, monkeypatch):
    machine(affinity=4)
    monkeypatch.setenv("IMKERNELS_NUM_THREADS", "5")
    ik.set_workers(6)
    assert threads() == (6, "set_workers", None)
    with ik.workers(7):
        assert threads() == (7, "workers", None)
        assert line("threads") == "7 by default: workers asks for so many"
        with ik.workers(-1):
            assert threads() == (4, "workers", "affinity")
    ik.set_workers(-1)
    assert threads() == (4, "set_workers", "affinity")
    ik.set_workers(None)
    assert threads() == (5, "IMKERNELS_NUM_THREADS", None)


@pytest.mark.parametrize("garbage", ["abc", "0", "2.5"])
def test_garbage_in_the_environment_is_reported(monkeypatch, capsys, garbage):
    monkeypatch.setenv("IMKERNELS_NUM_THREADS", garbage)
    message = f"IMKERNELS_NUM_THREADS must be a positive number or -1, got {garbage!r}"
    assert _info.collect()["threads"] == {"number": None, "source": None, "limit": None, "error": message}
    main(["info"])
    assert f"threads      none: {message} (" in capsys.readouterr().out


def test_garbage_in_omp_num_threads_is_shown_and_not_used(machine, monkeypatch):
    machine(affinity=4)
    monkeypatch.setenv("OMP_NUM_THREADS", "abc")
    assert threads() == (4, "machine", "affinity")
    assert line("environment") == "OMP_NUM_THREADS=abc"


# OpenMP


def test_the_runtimes_of_this_process():
    facts = _info.collect()
    if facts["openmp"]["date"] is None or facts["openmp"]["runtimes"] is None:
        assert facts["serial"] == (None if facts["openmp"]["date"] else "no OpenMP")
        return
    assert all(os.path.isabs(path) for path in facts["openmp"]["runtimes"])
    assert facts["openmp"]["runtimes"]
    assert line("OpenMP", facts) == f"yes, of {facts['openmp']['date']}"
    assert line("runtime", facts) == facts["openmp"]["runtimes"][0]


def test_runtimes_are_told_by_their_names(tmp_path):
    runtimes = [
        "/a folder/libomp.so.5",
        "/opt/intel/libiomp5.so",
        "/usr/lib/libgomp.so.1.0.0",
        "/venv/torch.libs/libgomp-a34b3233.so.1.0.0",
    ]
    others = ["[heap]", "/usr/lib/libompl.so", "/usr/lib/libomptarget.so", "/usr/lib/libgomp-plugin-nvptx.so.1"]
    paths = [*runtimes, *others, runtimes[0], runtimes[1] + " (deleted)"]
    lines = [f"7f00-7f10 r-xp 00001000 08:01 {number}    {path}\n" for number, path in enumerate(paths)]
    maps = tmp_path / "maps"
    maps.write_text("".join([*lines, "7f20-7f30 rw-p 00000000 00:00 0 \n"]))
    assert _info.openmp_runtimes(maps) == runtimes


def test_a_system_that_does_not_list_what_is_loaded(tmp_path):
    assert _info.openmp_runtimes(tmp_path / "missing") is None
    facts = _info.collect()
    facts["openmp"] = {"date": None, "runtimes": None}
    assert line("runtime", facts) == "not known: this system does not list what a process has loaded"
    assert line("OpenMP", facts) == "no: every call runs on one thread"
    facts["openmp"]["runtimes"] = []
    assert line("runtime", facts) == "none loaded"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_says_so():
    program = (
        "import os, json\nfrom imkernels.__main__ import main\n"
        "if os.fork() == 0:\n    main(['info', '--json'])\nelse:\n    os.wait()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    facts = json.loads(done.stdout)
    assert facts["forked"]
    assert facts["serial"] in ("forked", "no OpenMP")
    assert line("fork", facts) == "this is a forked child: calls run on one thread, without OpenMP"
    assert line("fork").startswith("this is no forked child; in one, ")
