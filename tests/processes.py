"""Functions run in a Python process of their own: for what may hang or crash, or changes a whole process."""

import inspect
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def run_alone(function, *arguments, timeout=60, helpers=(), environment=None, flags=()):
    """Run a function of a test file in a fresh interpreter and return what it printed.

    The source of the function is what runs: it imports all that it needs, and `helpers` are the functions that it
    calls. A hang, a crash and an exception fail the test with everything that the process said.
    """
    sources = [textwrap.dedent(inspect.getsource(part)) for part in (*helpers, function)]
    # A shell has its background jobs ignore Ctrl-C, and they hand that down.
    signals = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = "\n".join([signals, *sources, f"{function.__name__}(*{arguments!r})"])
    process = subprocess.Popen(
        [sys.executable, "-X", "faulthandler", *flags, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(environment or {}),
        start_new_session=True,
    )
    try:
        printed, errors = process.communicate(timeout=timeout)
        ending = f"ends with exit status {process.returncode}" if process.returncode else ""
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # with all that it has started
        printed, errors = process.communicate()
        ending = f"hangs: no end after {timeout} s"
    if ending:
        raise AssertionError(f"{function.__name__}{arguments} {ending}\n{printed[-2000:]}\n{errors[-4000:]}")
    return printed


def _environment(changes):
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    changes = {"PYTHONPATH": os.pathsep.join([*paths, str(ROOT)]), **changes}
    return {name: value for name, value in (os.environ | changes).items() if value is not None}


def sanitized():
    """Whether AddressSanitizer runs here: it maps terabytes and replaces the allocator, which memory limits break."""
    return "libasan" in os.environ.get("LD_PRELOAD", "")
