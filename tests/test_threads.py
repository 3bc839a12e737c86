"""Threads: how many, from several Python threads at once, after a fork, and in the caller's arithmetic."""

import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import schuss
from schuss import _core, threads

LARGE = 400_000  # enough elements for several threads


@pytest.fixture(autouse=True)
def _default_threads():
    yield
    threads.reset()


def adam_run(seed: int, steps: int = 20, num_threads: int | None = None) -> np.ndarray:
    rng = np.random.default_rng(seed)
    theta = rng.standard_normal(LARGE).astype(np.float32)
    optimizer = schuss.Adam([theta], num_threads=num_threads)
    for _ in range(steps):
        optimizer.step([rng.standard_normal(LARGE).astype(np.float32)])
    return theta


def run_python(code: str, **environment: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, env={**inherited, **environment}, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_two_threads_step_two_optimizers_at_once():
    expected = [adam_run(seed, num_threads=1) for seed in range(2)]
    results: dict[int, np.ndarray] = {}
    workers = [threading.Thread(target=lambda s=seed: results.update({s: adam_run(s)})) for seed in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for seed in range(2):
        np.testing.assert_array_equal(results[seed], expected[seed])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_step_in_a_forked_child():
    threads.set_num_threads(2)
    expected = adam_run(0)  # the parent has had a team of two threads
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(60)
            same = np.array_equal(adam_run(0), expected)
            os.write(write, f"{same} {schuss.get_num_threads()} {threads.reason()}".encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        report = pipe.read()
    os.waitpid(child, 0)
    assert report == "True 2 set_num_threads(2)"
    np.testing.assert_array_equal(adam_run(0), expected)  # and the parent goes on with its threads


def test_set_num_threads_counts_in_every_thread():
    schuss.set_num_threads(3)
    seen = []
    thread = threading.Thread(target=lambda: seen.append(schuss.get_num_threads()))
    thread.start()
    thread.join()
    assert seen == [3]
    assert schuss.get_num_threads() == 3
    assert threads.reason() == "set_num_threads(3)"


@pytest.mark.parametrize("bad", [0, -1, 2.0, "2", True, None, 2**40])
def test_a_wrong_number_of_threads_changes_nothing(bad):
    schuss.set_num_threads(2)
    with pytest.raises((TypeError, ValueError), match="num_threads must be an integer of at least 1"):
        schuss.set_num_threads(bad)
    assert schuss.get_num_threads() == 2


@pytest.mark.skipif(not _core.openmp_version, reason="this build has no OpenMP")
def test_threadpoolctl_limits_the_kernels():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    schuss.set_num_threads(2)
    if _core.openmp_limit() < 2:
        pytest.skip("the OpenMP runtime allows one thread only")
    with threadpoolctl.threadpool_limits(1, user_api="openmp"):
        assert schuss.get_num_threads() == 1
        assert "threadpoolctl" in threads.reason()
    assert schuss.get_num_threads() == 2


ASK = "import schuss; from schuss import threads; print(schuss.get_num_threads(), threads.reason())"


@pytest.mark.skipif(not _core.openmp_version, reason="this build has no OpenMP")
def test_the_default_and_its_reason():
    cpus, why = threads.usable_cpus()
    assert run_python(ASK) == f"{cpus} {why}"
    if cpus > 1:
        assert run_python(ASK, OMP_NUM_THREADS="1") == "1 OMP_NUM_THREADS=1"
    if hasattr(os, "sched_setaffinity"):
        code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); " + ASK
        assert run_python(code).startswith("1 ")


@pytest.mark.parametrize(
    ("files", "membership", "cpus"),
    [
        ({"cpu.max": "max 100000"}, "0::/", None),
        ({"cpu.max": "150000 100000"}, "0::/", 2),
        ({"cpu.max": "50000 100000"}, "0::/", 1),
        ({"a/b/cpu.max": "max 100000", "a/cpu.max": "300000 100000"}, "0::/a/b", 3),
        ({"a/b/cpu.max": "100000 100000", "a/cpu.max": "300000 100000"}, "0::/a/b", 1),
        ({"a/cpu.max": "100000 100000"}, "0::/b", None),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, "3:cpu:/", None),
        ({"cpu/a/cpu.cfs_quota_us": "400000", "cpu/a/cpu.cfs_period_us": "100000"}, "3:cpu:/a", 4),
        ({"cpu.max": "nonsense"}, "0::/", None),
        ({}, "0::/", None),
    ],
    ids=str,
)
def test_the_control_groups_quota(files, membership, cpus, tmp_path):
    for path in ("a/b", "b", "cpu/a"):
        (tmp_path / path).mkdir(parents=True)
    for name, text in files.items():
        (tmp_path / name).write_text(text + "\n")
    (tmp_path / "self").write_text(membership + "\n")
    assert threads.cgroup_quota(tmp_path, tmp_path / "self") == cpus


ARITHMETIC = """
import ctypes, numpy as np, schuss
theta, g = np.full(4_000_000, 1.0), np.full(4_000_000, 1e-30)
optimizer = schuss.SGD([theta], lr=1.0, maximize=True, num_threads=2)
for _ in range(5):
    optimizer.step([g])  # the helper has been hired, and has found 1 + 1e-30 to be 1
ctypes.CDLL("libm.so.6").fesetround(0x800)  # towards plus infinity
for _ in range(20):
    optimizer.step([g])
expected = 1.0
for _ in range(20):
    expected = np.nextafter(expected, 2.0)
print(bool((theta == expected).all()))
"""


@pytest.mark.skipif(sys.platform != "linux" or os.uname().machine != "x86_64", reason="uses constants of Linux on x86")
def test_all_threads_compute_in_the_callers_arithmetic():
    assert run_python(ARITHMETIC) == "True"


ZEROS = """
import ctypes, numpy as np, schuss
theta, g = np.zeros(600, np.float32), np.zeros(600, np.float32)
g[300] = 1
optimizer = schuss.Adam([theta], lr=0.1, state_dtype="uint8")
ctypes.CDLL("libm.so.6").fesetround(0x400)  # towards minus infinity, where x - x is -0
for _ in range(3):
    optimizer.step([g])
print(bool(np.isfinite(theta).all()))
"""


@pytest.mark.skipif(sys.platform != "linux" or os.uname().machine != "x86_64", reason="uses constants of Linux on x86")
def test_zeros_in_8_bits_stay_zeros_in_any_arithmetic():
    assert run_python(ZEROS) == "True"


INTERRUPT = """
import signal, sys, numpy as np, schuss
def once():
    theta, g = np.zeros(5_000_000, np.float32), np.ones(5_000_000, np.float32)
    optimizer = schuss.Nesterov([theta], lr=1.0, momentum=lambda t: 0.5 if t < 1 else 0.25)
    optimizer.step([g])
    try:
        signal.setitimer(signal.ITIMER_REAL, 2e-4)  # on a busy machine it may end before this call does
        for _ in range(200):
            optimizer.step([g])
    except KeyboardInterrupt:
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return optimizer, theta
signal.signal(signal.SIGALRM, signal.default_int_handler)
for _ in range(10):
    optimizer, theta = once()
    again = np.zeros(1, np.float32)
    other = schuss.Nesterov([again], lr=1.0, momentum=lambda t: 0.5 if t < 1 else 0.25)
    for _ in range(optimizer.steps):
        other.step([np.ones(1, np.float32)])
    assert theta[0] == theta[-1] == again[0], (optimizer.steps, theta[0], again[0])
    assert optimizer.groups[0]["look_ahead"] == other.groups[0]["look_ahead"]
print("counted")
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timers")
def test_an_interrupted_step_counts():
    assert run_python(INTERRUPT) == "counted"
