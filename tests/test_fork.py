"""Children of a process: after a fork every call must return, and return what the parent's did.

Everything runs in processes of its own, with an alarm in every child: a hang is a failure.
"""

import sys

import pytest

from tests.processes import run_alone

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="forks, and reads /proc"),
    pytest.mark.slow,
]


def _in_child(function):
    """Fork, run `function` in the child and return the child's exit status: 0 if it returned True."""
    import os
    import signal
    import sys
    import traceback
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 and later: forks with threads around
        child = os.fork()
    if child > 0:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 2
    try:
        signal.alarm(20)
        status = 0 if function() is True else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _calls_are_right(expected, flagged=True):
    """Whether every call on several workers gives what is expected, without a thread where the process is flagged."""
    import os

    from imkernels import _core

    from tests import calls

    before = len(os.listdir("/proc/self/task"))
    right = not calls.different(calls.results(4), expected)
    alone = not flagged or len(os.listdir("/proc/self/task")) == before == 1
    return _core.forked() is flagged and right and alone


HELPERS = [_in_child, _calls_are_right]


def test_children_of_a_parent_that_has_used_threads():
    run_alone(_fork_often, 12, helpers=HELPERS)


@pytest.mark.sweep
def test_a_thousand_children():
    run_alone(_fork_often, 1000, helpers=HELPERS, timeout=600)


def _fork_often(count):
    from imkernels import _core

    from tests import calls

    expected = calls.results(1)
    assert not calls.different(calls.results(4), expected)
    for number in range(count):
        assert _in_child(lambda: _calls_are_right(expected)) == 0, number
    assert not _core.forked()
    assert not calls.different(calls.results(3), expected)


def test_a_child_that_is_wrong_or_hangs_is_noticed():
    run_alone(_bad_children, helpers=HELPERS)


def _bad_children():
    import signal
    import threading

    from tests import calls

    expected = calls.results(1)
    other = calls.results(1, "f8")
    assert _in_child(lambda: _calls_are_right(expected)) == 0
    assert _in_child(lambda: _calls_are_right(other)) == 1
    assert _in_child(lambda: _calls_are_right(expected, flagged=False)) == 1

    def hang():
        signal.alarm(1)
        threading.Event().wait()

    assert _in_child(hang) == -signal.SIGALRM


def test_a_child_of_a_parent_that_has_not_called_anything():
    run_alone(_fork_cold, helpers=HELPERS)


def _fork_cold():
    import imkernels as ik
    import numpy as np
    from imkernels import _core

    image = np.arange(300 * 400, dtype=np.int32).reshape(300, 400) % 977

    def child():
        mean = ik.box_blur(image, 5, padding="valid", workers=4)
        exact = np.lib.stride_tricks.sliding_window_view(image, (5, 5)).mean(axis=(2, 3))
        return _core.forked() and (mean == np.rint(exact)).all().item()

    assert _in_child(child) == 0
    assert not _core.forked()
    ik.box_blur(image, 5, workers=4)
    assert _in_child(child) == 0


def test_forks_from_another_thread():
    run_alone(_fork_from_a_thread, helpers=HELPERS)


def _fork_from_a_thread():
    import threading

    from tests import calls

    expected = calls.results(1)
    statuses = []

    def fork(warm):
        if warm:
            calls.results(3)
        statuses.extend(_in_child(lambda: _calls_are_right(expected)) for _ in range(2))

    for main_is_warm in (False, True):
        if main_is_warm:
            calls.results(3)
        for thread_is_warm in (False, True):
            thread = threading.Thread(target=fork, args=(thread_is_warm,))
            thread.start()
            thread.join()
    assert statuses == [0] * 8


def test_grandchildren_stay_serial():
    run_alone(_fork_twice, helpers=HELPERS)


def _fork_twice():
    from tests import calls

    expected = calls.results(1)
    calls.results(4)

    def child():
        return _calls_are_right(expected) and _in_child(lambda: _calls_are_right(expected)) == 0

    def silent_child():
        return _in_child(lambda: _calls_are_right(expected)) == 0

    for _ in range(3):
        assert _in_child(child) == 0
        assert _in_child(silent_child) == 0


def test_forks_while_other_threads_are_in_calls():
    run_alone(_fork_beside_calls, helpers=HELPERS)


def _fork_beside_calls():
    import threading

    from tests import calls

    expected = calls.results(1)
    ended = threading.Event()
    wrong = []

    def keep_calling(workers):
        while not ended.is_set():
            wrong.extend(calls.different(calls.results(workers), expected))

    threads = [threading.Thread(target=keep_calling, args=(workers,)) for workers in (1, 3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(8):
            assert _in_child(lambda: _calls_are_right(expected)) == 0, number
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert not wrong


def test_every_level_that_is_loaded_knows_of_the_fork():
    run_alone(_fork_with_all_levels, helpers=HELPERS)


def _fork_with_all_levels():
    from imkernels import _core

    modules = [_core.load_level(level) for level in _core.available_levels()]
    assert not any(module.forked() for module in modules)
    assert _in_child(lambda: all(module.forked() for module in modules)) == 0
    assert not any(module.forked() for module in modules)


# Pools of processes


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_pool_of_processes(method):
    run_alone(_pools, method)


def _pools(method):
    import multiprocessing
    import warnings
    from concurrent.futures import ProcessPoolExecutor

    from tests import calls

    warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 and later: forks with threads around
    expected = calls.results(1)
    assert not calls.different(calls.results(3), expected)
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        for forked, found in pool.map_async(calls.forked_and_results, [4] * 4).get(40):
            assert forked is (method == "fork")
            assert not calls.different(found, expected)
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        for forked, found in executor.map(calls.forked_and_results, [4] * 4, timeout=40):
            assert forked is (method == "fork")
            assert not calls.different(found, expected)
    assert not calls.different(calls.results(3), expected)


# Other users of OpenMP: the runtime may be one for all, so that their threads are ours


@pytest.mark.parametrize("order", ["torch first", "torch last"])
def test_a_parent_whose_threads_are_torchs(torch, order):
    run_alone(_fork_beside_torch, order, helpers=HELPERS)


def _fork_beside_torch(order):
    import importlib

    names = ["torch", "tests.calls"] if order == "torch first" else ["tests.calls", "torch"]
    modules = {name: importlib.import_module(name) for name in names}
    torch, calls = modules["torch"], modules["tests.calls"]
    torch.set_num_threads(3)
    expected = calls.results(1)

    def warm_torch():
        return float(torch.ones(3_000_000).add_(1).sum()) == 6_000_000

    assert warm_torch()
    for _ in range(2):  # our own threads have not been asked for yet
        assert _in_child(lambda: _calls_are_right(expected)) == 0
    assert not calls.different(calls.results(4), expected)
    assert warm_torch()
    for _ in range(2):
        assert _in_child(lambda: _calls_are_right(expected)) == 0
    assert warm_torch()
    assert not calls.different(calls.results(4), expected)
