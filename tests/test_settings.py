"""set_workers, get_workers, workers(), what the environment and the container say, isa_level."""

import asyncio
import contextvars
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import imkernels as ik
import numpy as np
import pytest
from imkernels import settings

pytestmark = pytest.mark.wrapper

IMAGE = np.arange(30.0).reshape(5, 6)
NO_NUMBERS = [
    0,
    -2,
    -(2**40),
    True,
    False,
    1.5,
    2.0,
    "two",
    "2",
    "",
    (2,),
    [],
    2**31,
    10**30,
    np.float64(2),
    np.True_,
    b"2",
]


@pytest.fixture(autouse=True)
def _unchanged_default():
    yield
    ik.set_workers(None)


def fresh(code, without=("IMKERNELS_NUM_THREADS", "OMP_NUM_THREADS", "IMKERNELS_ISA"), **environment):
    """Run Python code in a new process; return what it printed, or the last line of its error."""
    inherited = {name: value for name, value in os.environ.items() if name not in without}
    done = subprocess.run(
        [sys.executable, "-c", code], env=inherited | environment, capture_output=True, text=True, timeout=60
    )
    if done.returncode:
        return done.stderr.strip().splitlines()[-1]
    return done.stdout.strip()


WORKERS = "import imkernels; print(imkernels.get_workers())"


def granted():
    """Return what -1 stands for here; the processes of `fresh` inherit the affinity of this one."""
    with ik.workers(-1):
        return ik.get_workers()


# The three ways to say it


def test_a_process_wide_default():
    for n in (1, 3, 64, np.int16(5), 2**31 - 1):
        ik.set_workers(n)
        assert ik.get_workers() == n
    ik.set_workers(None)
    before = ik.get_workers()
    ik.set_workers(before + 1)
    ik.set_workers(None)
    assert ik.get_workers() == before


def test_the_process_wide_default_reaches_other_threads():
    ik.set_workers(5)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(ik.get_workers).result() == 5


def test_a_block_overrides_the_default_and_gives_it_back():
    ik.set_workers(5)
    with ik.workers(2):
        assert ik.get_workers() == 2
        with ik.workers(7):
            assert ik.get_workers() == 7
            ik.set_workers(4)
            assert ik.get_workers() == 7
        assert ik.get_workers() == 2
    assert ik.get_workers() == 4


def test_a_block_gives_the_default_back_after_an_error():
    ik.set_workers(5)

    def fail():
        with ik.workers(2):
            raise KeyError(ik.get_workers())

    with pytest.raises(KeyError, match="2"):
        fail()
    assert ik.get_workers() == 5


def test_all_that_the_machine_grants():
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    everything = granted()
    assert 1 <= everything <= cores
    ik.set_workers(-1)
    assert ik.get_workers() == everything
    with ik.workers(np.int64(-1)):
        assert ik.get_workers() == everything


@pytest.mark.parametrize("n", NO_NUMBERS, ids=repr)
def test_what_is_no_number_of_threads(n):
    ik.set_workers(5)
    with pytest.raises(ValueError, match=r"^n must be a positive number of threads or -1 for all, got "):
        ik.set_workers(n)
    with pytest.raises(ValueError, match=r"^n must be a positive"), ik.workers(n):
        pytest.fail("the block was entered")
    for call in (
        lambda: ik.median_filter(IMAGE, 3, workers=n),
        lambda: ik.max_pool_with_argmax(IMAGE, 2, workers=n),
        lambda: ik.max_pool_with_argmax(np.zeros((0, 4, 4)), 2, workers=n),
    ):
        with pytest.raises(ValueError, match=r"^workers must be a positive number of threads or -1 for all, got "):
            call()
    assert ik.get_workers() == 5


def test_none_is_no_number_for_a_block():
    with pytest.raises(ValueError, match=r"^n must be a positive"), ik.workers(None):
        pytest.fail("the block was entered")


@pytest.mark.parametrize("n", [1, 2, 3, 17, -1, np.uint8(2)])
def test_numbers_of_threads_that_calls_take(n):
    image = np.arange(300.0 * 400).reshape(300, 400) % 17
    wanted = ik.max_pool_with_argmax(image, 3, workers=1)
    for actual, expected in zip(ik.max_pool_with_argmax(image, 3, workers=n), wanted, strict=True):
        np.testing.assert_array_equal(actual, expected)
    with ik.workers(n):
        np.testing.assert_array_equal(ik.max_pool_with_argmax(image, 3)[1], wanted[1])


# A context variable


def test_a_block_does_not_reach_another_thread():
    ik.set_workers(5)
    seen = []
    with ik.workers(2):
        thread = threading.Thread(target=lambda: seen.append(ik.get_workers()))
        thread.start()
        thread.join()
        assert ik.get_workers() == 2
    assert seen == [5]


def test_blocks_of_threads_that_run_at_once_are_their_own():
    ik.set_workers(9)
    barrier = threading.Barrier(4, timeout=30)

    def own(n):
        with ik.workers(n):
            barrier.wait()
            inside = ik.get_workers()
            barrier.wait()
        return inside, ik.get_workers()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(own, [1, 2, 3, 4])) == [(1, 9), (2, 9), (3, 9), (4, 9)]


def test_asyncio_tasks_do_not_leak_into_each_other():
    async def own(n, entered, others):
        with ik.workers(n):
            entered.set()
            await others.wait()
            return ik.get_workers()

    async def both():
        one, two = asyncio.Event(), asyncio.Event()
        tasks = asyncio.create_task(own(2, one, two)), asyncio.create_task(own(3, two, one))
        inside = await asyncio.gather(*tasks)
        return inside, ik.get_workers()

    ik.set_workers(9)
    assert asyncio.run(both()) == ([2, 3], 9)


def test_a_task_takes_the_block_that_it_was_made_in_with_it():
    async def inherited():
        with ik.workers(4):
            task = asyncio.create_task(asyncio.to_thread(ik.get_workers))
        return await task, ik.get_workers()

    ik.set_workers(9)
    assert asyncio.run(inherited()) == (4, 9)


def test_a_copied_context_keeps_its_block():
    with ik.workers(3):
        context = contextvars.copy_context()
    ik.set_workers(8)
    assert ik.get_workers() == 8
    assert context.run(ik.get_workers) == 3


# The environment


@pytest.mark.slow
def test_without_a_word_in_the_environment_all_that_is_granted():
    assert fresh(WORKERS) == str(granted())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({"IMKERNELS_NUM_THREADS": "3"}, "3"),
        ({"IMKERNELS_NUM_THREADS": " 3 "}, "3"),
        ({"IMKERNELS_NUM_THREADS": "64"}, "64"),
        ({"OMP_NUM_THREADS": "5"}, "5"),
        ({"OMP_NUM_THREADS": "5,2"}, "5"),
        ({"OMP_NUM_THREADS": " 6 , 2,1 "}, "6"),
        ({"IMKERNELS_NUM_THREADS": "3", "OMP_NUM_THREADS": "5"}, "3"),
        ({"IMKERNELS_NUM_THREADS": "", "OMP_NUM_THREADS": "5"}, "5"),
    ],
)
def test_numbers_in_the_environment(environment, wanted):
    assert fresh(WORKERS, **environment) == wanted


@pytest.mark.slow
@pytest.mark.parametrize("garbage", ["", "0", "-4", "many", "2.5", ",3", "4x", "0x4"])
def test_garbage_in_omp_num_threads_is_the_openmp_runtimes_to_report(garbage):
    assert fresh(WORKERS, OMP_NUM_THREADS=garbage) == str(granted())


@pytest.mark.slow
@pytest.mark.parametrize("garbage", ["0", "-2", "many", "2.5", "3,2", "99999999999999"])
def test_garbage_in_our_own_variable_is_an_error_at_the_first_call(garbage):
    message = f"ValueError: IMKERNELS_NUM_THREADS must be a positive number or -1, got {garbage!r}"
    assert fresh(WORKERS, IMKERNELS_NUM_THREADS=garbage) == message
    explicit = "import imkernels; print(imkernels.median_filter([[1, 2]], 1, workers=1).sum())"
    assert fresh(explicit, IMKERNELS_NUM_THREADS=garbage) == "3"


@pytest.mark.slow
def test_all_of_them_by_our_own_variable():
    assert fresh(WORKERS, IMKERNELS_NUM_THREADS="-1", OMP_NUM_THREADS="77") == str(granted())


@pytest.mark.slow
def test_what_the_program_says_comes_before_the_environment():
    environment = {"IMKERNELS_NUM_THREADS": "3", "OMP_NUM_THREADS": "5"}
    assert fresh("import imkernels as ik; ik.set_workers(2); print(ik.get_workers())", **environment) == "2"
    assert fresh("import imkernels as ik\nwith ik.workers(6): print(ik.get_workers())", **environment) == "6"


@pytest.mark.slow
@pytest.mark.parametrize("number", ["99999999999999", "2147483648", "9" * 25])
def test_a_huge_omp_num_threads_does_not_break_calls(number):
    code = "import imkernels as ik; print(ik.max_pool_with_argmax([[1, 2]], (1, 2))[0][0, 0], ik.get_workers() < 2**31)"
    assert fresh(code, OMP_NUM_THREADS=number) == "2 True"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_affinity_counts():
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); " + WORKERS
    assert fresh(code) == "1"
    assert fresh(code, IMKERNELS_NUM_THREADS="-1") == "1"
    assert fresh(code, IMKERNELS_NUM_THREADS="4") == "4"  # a positive number may exceed the cores


# The quota of a container


class Cgroup:
    """A made-up /proc/self/cgroup and /sys/fs/cgroup."""

    def __init__(self, folder):
        self.membership = folder / "self_cgroup"
        self.root = folder / "fs_cgroup"
        self.root.mkdir()

    def member(self, *lines):
        self.membership.write_text("".join(f"{line}\n" for line in lines))

    def file(self, path, content):
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            target.write_bytes(content)
        else:
            target.write_text(content)

    def quota(self):
        return settings.cgroup_quota(self.membership, self.root)


@pytest.fixture
def cgroup(tmp_path):
    return Cgroup(tmp_path)


@pytest.mark.parametrize(
    ("content", "cores"),
    [
        ("200000 100000\n", 2.0),
        ("150000 100000\n", 1.5),
        ("50000 100000", 0.5),
        ("1000000 250000\n", 4.0),
        ("max 100000\n", None),
        ("", None),
        ("\n", None),
        ("max", None),
        ("100000", None),
        ("100000 0\n", None),
        ("0 100000\n", None),
        ("-1 100000\n", None),
        ("a b\n", None),
        ("1.5 1\n", None),
        ("1 2 3\n", None),
        (b"\xff\xfe\x00", None),
    ],
)
def test_version_2(cgroup, content, cores):
    cgroup.member("0::/service")
    cgroup.file("service/cpu.max", content)
    assert cgroup.quota() == cores


@pytest.mark.parametrize(
    ("quotas", "cores"),
    [
        ({"a/b/c/cpu.max": "300000 100000", "a/b/cpu.max": "200000 100000", "a/cpu.max": "400000 100000"}, 2.0),
        ({"a/b/c/cpu.max": "max 100000", "a/b/cpu.max": "max 100000", "a/cpu.max": "100000 100000"}, 1.0),
        ({"a/b/c/cpu.max": "100000 100000", "a/cpu.max": ""}, 1.0),
        ({"a/b/c/cpu.max": "300000 100000", "cpu.max": "250000 100000"}, 2.5),
        ({"a/b/c/d/cpu.max": "100000 100000", "a/other/cpu.max": "100000 100000"}, None),  # not ours
        ({"cpu.max": "100000 100000"}, 1.0),  # inside a container, where the path is the host's
        ({}, None),
    ],
)
def test_version_2_takes_the_least_of_all_ancestors(cgroup, quotas, cores):
    cgroup.member("0::/a/b/c")
    for path, content in quotas.items():
        cgroup.file(path, content)
    assert cgroup.quota() == cores


def test_version_2_at_the_root(cgroup):
    cgroup.member("0::/")
    cgroup.file("cpu.max", "300000 100000")
    assert cgroup.quota() == 3.0


def test_version_2_with_a_path_outside_of_the_namespace(cgroup):
    cgroup.member("0::/../../other")
    cgroup.file("cpu.max", "300000 100000")
    assert cgroup.quota() == 3.0


def test_version_2_with_colons_in_the_path(cgroup):
    cgroup.member("0::/docker:a:b")
    cgroup.file("docker:a:b/cpu.max", "300000 100000")
    assert cgroup.quota() == 3.0


@pytest.mark.parametrize("controllers", ["cpu,cpuacct", "cpu", "cpuacct,cpu"])
@pytest.mark.parametrize(
    ("quota", "period", "cores"),
    [
        ("150000\n", "100000\n", 1.5),
        ("-1\n", "100000\n", None),
        ("", "100000\n", None),
        ("200000\n", "", None),
        ("200000\n", "0\n", None),
        ("many\n", "100000\n", None),
        ("200000\n", None, None),
        (None, "100000\n", None),
    ],
)
def test_version_1(cgroup, controllers, quota, period, cores):
    cgroup.member("12:pids:/task", f"4:{controllers}:/task", "3:cpuset:/task", "1:name=systemd:/task")
    for name, content in (("cpu.cfs_quota_us", quota), ("cpu.cfs_period_us", period)):
        if content is not None:
            cgroup.file(f"{controllers}/task/{name}", content)
    assert cgroup.quota() == cores


def test_version_1_takes_the_least_of_all_ancestors(cgroup):
    cgroup.member("4:cpu,cpuacct:/docker/abc")
    for path, quota in (("docker/abc", "400000"), ("docker", "200000"), (".", "-1")):
        cgroup.file(f"cpu,cpuacct/{path}/cpu.cfs_quota_us", quota)
        cgroup.file(f"cpu,cpuacct/{path}/cpu.cfs_period_us", "100000")
    assert cgroup.quota() == 2.0


def test_version_1_mounted_as_cpu_alone(cgroup):
    cgroup.member("4:cpu,cpuacct:/docker/abc")
    cgroup.file("cpu/cpu.cfs_quota_us", "250000")
    cgroup.file("cpu/cpu.cfs_period_us", "100000")
    assert cgroup.quota() == 2.5


def test_other_controllers_set_no_limit(cgroup):
    cgroup.member("5:cpuset:/task", "6:cpuacct:/task", "7:memory:/task")
    for controller in ("cpuset", "cpuacct", "memory", "cpu"):
        cgroup.file(f"{controller}/task/cpu.cfs_quota_us", "100000")
        cgroup.file(f"{controller}/task/cpu.cfs_period_us", "100000")
    assert cgroup.quota() is None


def test_both_versions_at_once(cgroup):
    cgroup.member("4:cpu,cpuacct:/task", "0::/task")
    cgroup.file("cpu,cpuacct/task/cpu.cfs_quota_us", "300000")
    cgroup.file("cpu,cpuacct/task/cpu.cfs_period_us", "100000")
    assert cgroup.quota() == 3.0
    cgroup.file("task/cpu.max", "200000 100000")
    assert cgroup.quota() == 2.0


@pytest.mark.parametrize("lines", [[], [""], ["garbage"], ["0:"], ["0::"], [":::"], ["a:b:c:d"], ["0::/gone"]])
def test_memberships_that_say_nothing(cgroup, lines):
    cgroup.member(*lines)
    assert cgroup.quota() is None


def test_files_that_cannot_be_read(cgroup, tmp_path):
    assert cgroup.quota() is None  # no membership
    cgroup.membership.write_bytes(b"\xff\xfe")
    assert cgroup.quota() is None
    cgroup.member("0::/a")
    cgroup.file("a/cpu.max/file", "")  # a folder of that name
    assert cgroup.quota() is None
    assert settings.cgroup_quota(tmp_path / "self_cgroup", tmp_path / "missing") is None


@pytest.mark.parametrize(("quota", "wanted"), [(0.5, 1), (1.0, 1), (1.5, 2), (2.0, 2), (10_000.0, None), (None, None)])
def test_the_quota_bounds_the_cores_and_is_rounded_up(monkeypatch, quota, wanted):
    monkeypatch.setattr(settings, "cgroup_quota", lambda membership, root: quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    settings._own_quota.cache_clear()
    try:
        with ik.workers(-1):
            assert ik.get_workers() == (wanted or 8)
    finally:
        settings._own_quota.cache_clear()


# The instruction set


def test_isa_level_names_the_level_in_use():
    assert ik.isa_level() in {"baseline", "x86-64-v3", "x86-64-v4"}
    if os.environ.get("IMKERNELS_ISA"):
        assert ik.isa_level() == os.environ["IMKERNELS_ISA"]


LEVEL = "import imkernels; print(imkernels.isa_level())"


@pytest.mark.slow
def test_the_environment_forces_a_level():
    assert fresh(LEVEL, IMKERNELS_ISA="baseline") == "baseline"
    best = fresh(LEVEL)
    assert fresh(LEVEL, IMKERNELS_ISA=best) == best
    assert fresh(LEVEL, IMKERNELS_ISA="") == best


@pytest.mark.slow
@pytest.mark.parametrize("level", ["x86-64-v9", "BASELINE", "avx2", " ", "_core_baseline"])
def test_unknown_levels_are_an_error_at_import(level):
    message = fresh("import imkernels", IMKERNELS_ISA=level)
    assert message.startswith(f"ImportError: IMKERNELS_ISA={level} is unknown; available levels: baseline")
