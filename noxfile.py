"""What a developer runs: ``nox --list`` names it all, ``nox -s NAME`` runs one, arguments follow ``--``."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_venv = "yes"

COMPILER = os.environ.get("CXX", "c++")
QUICK = ("pytest", "-x", "-q", "-m", "not slow and not wrapper")


def halves() -> dict[str, list[str]]:
    """Name the files of the tests, in two parts that take about as long."""
    files = sorted(str(file) for file in Path("tests").glob("test_*.py"))
    return {"one half": files[::2], "the other half": files[1::2]}


def run_together(session: nox.Session, commands: dict[str, tuple[list[str], dict[str, str]]]) -> None:
    """Run as many commands at once as there are cores, each with changes to the environment; print what they said."""
    paths = os.pathsep.join([*session.bin_paths, os.environ["PATH"]]) if session.bin_paths else os.environ["PATH"]

    def run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        changed = os.environ | environment | {"PATH": paths}
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=changed)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = dict(zip(commands, pool.map(run, *zip(*commands.values(), strict=True)), strict=True))
    for name, process in done.items():
        session.log(name)
        print(process.stdout)
    failed = [name for name, process in done.items() if process.returncode != 0]
    if failed:
        session.error(f"failed: {', '.join(failed)}")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests."""
    session.install(".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Run every pre-commit hook but mypy, which has a session of its own."""
    session.install("--group", "dev")
    session.run("pre-commit", "run", "--all-files", "--show-diff-on-failure", env={"SKIP": "mypy"})


@nox.session
def types(session: nox.Session) -> None:
    """Check the annotations, and the stub against the compiled module."""
    session.install("--group", "dev", ".[demo]")
    session.run("mypy")
    allowed = "--allowlist=.ci/stubtest_allowlist.txt"
    session.run("stubtest", "imkernels._core", "--mypy-config-file=pyproject.toml", allowed)


@nox.session
def tidy(session: nox.Session) -> None:
    """Run clang-tidy on the C++ sources."""
    session.install("--group", "dev")
    session.run("cmake", "--preset", "tidy", silent=True)
    # GCC's own headers, for omp.h, after Clang's.
    headers = str(session.run(COMPILER, "-print-file-name=include", external=True, silent=True)).strip()
    session.run("run-clang-tidy.py", "-p=build/tidy", "-quiet", f"-extra-arg=-idirafter{headers}", *session.posargs)


@nox.session
def levels(session: nox.Session) -> None:
    """Run the quick tests at every instruction-set level below the machine's own."""
    session.install(".[test]")
    available = "from imkernels import _core; print(*_core.available_levels())"
    others = str(session.run("python", "-c", available, silent=True)).split()[:-1]
    commands = {
        f"{level}, {half}": ([*QUICK, *session.posargs, *files], {"IMKERNELS_ISA": level})
        for level in others
        for half, files in halves().items()
    }
    run_together(session, commands)


@nox.session
def asan(session: nox.Session) -> None:
    """Run the quick tests under AddressSanitizer and UndefinedBehaviorSanitizer (GCC)."""
    session.install(".[test]")
    # A folder of its own, so that no other build picks these modules up.
    site = "build/asan-ubsan/site"
    build = ("build-dir=build/asan-ubsan", "cmake.args=--preset=asan-ubsan", "cmake.build-type=Debug")
    settings = [f"--config-settings={setting}" for setting in build]
    session.run("python", "-m", "pip", "install", ".", "--no-deps", "--upgrade", f"--target={site}", *settings)
    # Python is not instrumented: the runtime has to come first, libstdc++ with it to intercept exceptions.
    runtimes = [
        str(session.run(COMPILER, f"-print-file-name={library}", external=True, silent=True)).strip()
        for library in ("libasan.so", "libstdc++.so")
    ]
    sanitized = {
        "PYTHONPATH": site,
        "LD_PRELOAD": " ".join(runtimes),
        "PYTHONMALLOC": "malloc",
        # An abort has pytest's fault handler say which test it was.
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",
        "UBSAN_OPTIONS": "print_stacktrace=1:abort_on_error=1",
    }
    # Reports are written to the file descriptor of stderr, which stays open to see.
    quick = [*QUICK, "--capture=sys", *session.posargs]
    run_together(session, {half: ([*quick, *files], sanitized) for half, files in halves().items()})


@nox.session
def bench(session: nox.Session) -> None:
    """Measure against the rivals, their results compared first."""
    session.install(".[bench]")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into build/docs; IMKERNELS_GALLERY_SHORT=1 takes the gallery's examples in short form."""
    session.install(".[dask,sklearn,torch]", "--group", "docs")  # the reference imports every module
    session.run("sphinx-build", "-W", "--keep-going", "docs", "build/docs", *session.posargs)
