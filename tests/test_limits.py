"""What a process is not given: threads, memory, time. A call runs serially, raises, or ends; the process lives.

Limits are for life, so that everything happens in processes of its own.
"""

import importlib.util
import resource
import subprocess
import sys

import pytest
from imkernels import _core

from tests.processes import run_alone, sanitized

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.skipif(sanitized(), reason="the sanitizers need more memory than any limit leaves"),
    pytest.mark.slow,
]
ordinary_stacks = pytest.mark.skipif(
    not 8 << 20 <= resource.getrlimit(resource.RLIMIT_STACK)[0] < 1 << 40, reason="knows stacks of 8 MiB or more"
)
threaded = pytest.mark.skipif(not _core.openmp, reason="built without OpenMP")


def _limit_memory(extra):
    """Let this process map `extra` bytes more than it has; None takes the limit away."""
    import resource
    from pathlib import Path

    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft = resource.RLIM_INFINITY if extra is None else mapped + extra
    resource.setrlimit(resource.RLIMIT_AS, (soft, resource.RLIM_INFINITY))


def _can_start_a_thread():
    """Whether one more thread can be had here."""
    import threading

    try:
        threading.Thread(target=int).start()
    except RuntimeError:
        return False
    return True


def _threads():
    """Return the number of threads of this process."""
    import os

    return len(os.listdir("/proc/self/task"))


HELPERS = [_limit_memory, _can_start_a_thread, _threads]


# Threads that cannot be had


@threaded
@ordinary_stacks
def test_without_memory_for_a_stack_calls_run_serially():
    run_alone(_no_stacks, helpers=HELPERS)


def _no_stacks():
    import numpy as np

    from tests import calls

    expected = calls.results(1)
    every = calls.every_call()
    np.zeros(1_000_000).sum()  # memory that malloc keeps
    _limit_memory(7 << 20)  # a stack takes 8 MiB
    assert not _can_start_a_thread()
    before = _threads()
    for _ in range(3):
        for name, call in every.items():
            assert calls.same_bits(call(4), expected[name]), name
    assert _threads() == before
    _limit_memory(None)
    assert not calls.different(calls.results(4), expected)
    assert _threads() > before


@threaded
def test_without_processes_left_calls_run_serially():
    run_alone(_no_processes, helpers=HELPERS)


def _no_processes():
    import os
    import resource

    from tests import calls

    expected = calls.results(1)
    resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
    if os.getuid() == 0:  # whom the limit does not bind
        os.setresuid(65534, 65534, 65534)
    assert not _can_start_a_thread()
    before = _threads()
    for _ in range(3):
        assert not calls.different(calls.results(4), expected)
    assert _threads() == before


@threaded
@pytest.mark.parametrize(
    ("variable", "size"),
    [
        ("OMP_STACKSIZE", "4G"),
        ("OMP_STACKSIZE", " 4 g "),
        ("OMP_STACKSIZE", "4000000"),
        ("GOMP_STACKSIZE", "4000M"),
        ("GOMP_STACKSIZE", "4000000k"),
    ],
)
def test_stacks_of_the_size_that_the_environment_asks_for_cannot_be_had(variable, size):
    run_alone(_large_stacks, helpers=HELPERS, environment={"OMP_STACKSIZE": None, variable: size})


def _large_stacks():
    import imkernels as ik
    import numpy as np

    image = np.arange(300 * 1000, dtype=np.float32).reshape(300, 1000)
    expected = ik.box_blur(image, 3, workers=1)
    before = _threads()
    _limit_memory(1 << 30)
    assert (ik.box_blur(image, 3, workers=2) == expected).all()
    assert _threads() == before
    assert _can_start_a_thread()  # with a stack of the ordinary size


@threaded
@ordinary_stacks
def test_threads_that_were_let_go_cannot_be_had_again():
    run_alone(_regrow, helpers=HELPERS)


def _regrow():
    import imkernels as ik
    import numpy as np

    image = np.arange(1000 * 1000, dtype=np.float32).reshape(1000, 1000)
    out = np.empty_like(image)
    expected = ik.box_blur(image, 3, workers=1)
    for many, few in ((9, 2), (7, 3)):
        ik.box_blur(image, 3, workers=many)
        ik.box_blur(image, 3, workers=few)
        _limit_memory(7 << 20)
        for workers in (many, 16, few, many):
            assert (ik.box_blur(image, 3, workers=workers, out=out) == expected).all()
        _limit_memory(None)


@threaded
def test_calls_at_every_limit_of_memory():
    # What malloc keeps would hide the limit: large pieces come from the system, and go back to it.
    run_alone(_every_limit, helpers=HELPERS, environment={"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"})


def _every_limit():
    import threading

    from tests import calls

    expected = calls.results(1)
    every = calls.every_call()
    outcomes = {"right": 0, "MemoryError": 0}
    wrong = []

    def call_all(extra):
        # A new thread has no pool yet: its first call asks for one.
        found = []
        _limit_memory(extra)
        for name, call in every.items():
            try:
                found.append((name, calls.same_bits(call(3), expected[name])))
            except MemoryError:
                found.append((name, None))
        _limit_memory(None)
        for name, same in found:
            outcomes["MemoryError" if same is None else "right"] += 1
            if same is False:
                wrong.append((extra, name))

    for extra in [*range(0, 3 << 20, 40_000), *range(3 << 20, 40 << 20, 1 << 20)]:
        thread = threading.Thread(target=call_all, args=(extra,))
        thread.start()
        thread.join()
    assert not wrong
    assert min(outcomes.values()) > 10, outcomes
    assert not calls.different(calls.results(3), expected)


@threaded
@pytest.mark.parametrize(
    "environment",
    [{"OMP_THREAD_LIMIT": "2"}, {"OMP_DYNAMIC": "true", "OMP_NUM_THREADS": "1"}, {"OMP_NESTED": "true"}],
    ids=str,
)
def test_what_else_the_environment_asks_of_openmp(environment):
    run_alone(_calls_with_seven_workers, environment=environment)


def _calls_with_seven_workers():
    from tests import calls

    expected = calls.results(1)
    for _ in range(3):
        assert not calls.different(calls.results(7), expected)


@threaded
def test_more_workers_than_items():
    run_alone(_silly_workers, helpers=HELPERS)


def _silly_workers():
    import os

    import imkernels as ik
    import numpy as np

    image = np.arange(200 * 300, dtype=np.int32).reshape(200, 300)
    expected = ik.box_blur(image, 9, workers=1)
    for workers in (1000, 2**31 - 1):
        assert (ik.box_blur(image, 9, workers=workers) == expected).all()
        # A tile of 32 rows is an item; nobody asks for a thread per pixel.
        assert _threads() < 200 + 2 * os.cpu_count()


@threaded
def test_threadpoolctl_sees_the_runtime():
    if importlib.util.find_spec("threadpoolctl") is None:
        pytest.skip("needs threadpoolctl")
    run_alone(_threadpools)


def _threadpools():
    import threadpoolctl

    from tests import calls

    pools = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "openmp"]
    assert len(pools) == 1
    assert pools[0]["prefix"] in ("libgomp", "libomp", "libiomp")
    expected = calls.results(1)
    with threadpoolctl.threadpool_limits(1):
        assert not calls.different(calls.results(3), expected)


# Memory


def test_results_and_scratch_that_do_not_fit_are_memory_errors():
    run_alone(_too_large, helpers=HELPERS)


def _too_large():
    import imkernels as ik
    import numpy as np

    from tests import calls

    expected = calls.results(1)
    pixel = np.broadcast_to(np.uint8(1), (40_000, 40_000))
    where = np.broadcast_to(np.intp(0), (2, 2))
    ones = np.ones((2, 2), np.float32)
    _limit_memory(300 << 20)
    for too_large in (
        lambda workers: ik.median_filter(pixel, 3, workers=workers),
        lambda workers: ik.median_filter(pixel, 30_001, padding="valid", stride=20_000, workers=workers),
        lambda workers: ik.box_blur(pixel, 3, workers=workers),
        lambda workers: ik.box_blur(pixel[:100, :100], 3, padding=30_000, workers=workers),
        lambda workers: ik.correlate(pixel, np.ones((3, 3), np.int8), workers=workers),
        lambda workers: ik.max_pool_with_argmax(pixel, 2, workers=workers),
        lambda workers: ik.max_pool_backward(ones, where, (40_000, 40_000), workers=workers),
    ):
        for workers in (1, 2):
            try:
                too_large(workers)
            except MemoryError:
                pass
            else:
                raise AssertionError("nothing is too large")
    assert not calls.different(calls.results(3), expected)


# In place of C++'s: the allocation with the given number fails, once.
FAILING_NEW = """
#include <atomic>
#include <cstdlib>
#include <new>

static std::atomic<long> left{0};

static void* allocate(std::size_t bytes, std::size_t alignment) {
    void* memory = nullptr;
    if (left.fetch_sub(1) == 1 || posix_memalign(&memory, alignment, bytes) != 0) {
        throw std::bad_alloc();
    }
    return memory;
}

void* operator new(std::size_t bytes) { return allocate(bytes, 16); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
    return allocate(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

extern "C" void fail_at(long number) { left = number; }
extern "C" bool has_failed() { return left <= 0; }
"""


def test_every_allocation_may_fail(tmp_path):
    (tmp_path / "failing.cpp").write_text(FAILING_NEW)
    library = str(tmp_path / "failing.so")
    try:
        command = ["c++", "-std=c++17", "-shared", "-fPIC", "-O1", "-o", library, "failing.cpp"]
        subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs a C++ compiler")
    for workers in (1, 3):
        run_alone(_failing_allocations, library, workers, environment={"LD_PRELOAD": library})


def _failing_allocations(library, workers):
    import ctypes
    import functools

    from imkernels import _core

    from tests import calls

    # pybind11 ends the process where it has no memory to note a new object.
    _core.Window = functools.cache(_core.Window)
    failing = ctypes.CDLL(library)
    every = calls.every_call()
    for name, call in every.items():
        expected = call(workers)
        failed = 0
        for number in range(1, 1000):
            failing.fail_at(number)
            try:
                found = call(workers)
            except MemoryError:
                assert failing.has_failed(), name
                failed += 1
            else:
                # A failure that nobody speaks of must not have changed the result either.
                assert calls.same_bits(found, expected), (name, number)
                if not failing.has_failed():
                    break
            finally:
                failing.fail_at(0)
            assert calls.same_bits(call(workers), expected), (name, number)
        else:
            raise AssertionError(f"{name} asks for memory a thousand times")
        assert failed > 0, f"{name}: no failure was noticed"


@pytest.mark.parametrize("number", range(6))
def test_huge_shapes_end_at_once(number):
    run_alone(_huge_shapes, number, timeout=20)


def _huge_shapes(number):
    import imkernels as ik
    import numpy as np

    pixel = np.uint8(1)
    row = np.broadcast_to(pixel, (1, 2**40))
    calls = [
        lambda: ik.max_pool_with_argmax(row, 1),
        lambda: ik.max_pool_with_argmax(row, 3, stride=1, padding=1),
        lambda: ik.max_pool_with_argmax(row[:, : 2**33], 2, stride=1, dilation=2**30, padding=2**29),
        lambda: ik.box_blur(row, 3),
        lambda: ik.median_filter(np.broadcast_to(pixel, (2**31, 2**31)), 3),
        lambda: ik.max_pool_backward(np.ones((1, 1)), np.zeros((1, 1), np.intp), (2**31 - 1, 2**31 - 1)),
    ]
    try:
        calls[number]()
    except (MemoryError, ValueError):
        pass
    else:
        raise AssertionError("a result of terabytes")
