"""The pool: its size, its ranges, forks, and several threads at once."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgan.backend import threads
from npgan.errors import ConfigError

KERNEL = """
import os, sys
import numpy as np
from npgan.kernels.bias import cpu
y, b = np.zeros((4096, 64), np.float32), np.arange(64, dtype=np.float32)
"""


def run(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", KERNEL + code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert not done.returncode, done.stderr
    return done.stdout


@pytest.fixture
def setting(monkeypatch):
    def give(value):
        monkeypatch.setenv("NPGAN_THREADS", value)
        threads.thread_count.cache_clear()

    yield give
    monkeypatch.undo()
    threads.thread_count.cache_clear()


def test_the_setting(setting):
    setting("3")
    assert threads.thread_count() == 3


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "", " ", "²"])
def test_a_setting_that_is_none(setting, value):
    setting(value)
    with pytest.raises(ConfigError, match=r"NPGAN_THREADS is .*, expected a whole number"):
        threads.thread_count()


def test_without_a_setting(monkeypatch):
    monkeypatch.delenv("NPGAN_THREADS", raising=False)
    threads.thread_count.cache_clear()
    assert threads.thread_count() >= 1


@given(n=st.integers(0, 50), count=st.integers(1, 9), grains=st.sampled_from([0, 0.99, 1, 3, 99]))
def test_the_ranges_cover_everything_once(n, count, grains):
    work = int(grains * threads._GRAIN)
    seen, lock = [], threading.Lock()

    def kernel(start, stop, extra):
        assert extra == "extra"
        with lock:
            seen.append((start, stop))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "thread_count", lambda: count)
        threads.over_samples(kernel, n, work, "extra")
    assert [i for start, stop in sorted(seen) for i in range(start, stop)] == list(range(n))
    assert len(seen) == max(1, min(count, n, int(grains) + 1))


@pytest.mark.parametrize("bad", [0, 1])
def test_an_error_waits_for_the_others(monkeypatch, bad):
    monkeypatch.setattr(threads, "thread_count", lambda: 2)
    done = threading.Event()
    other = threading.Event()

    def kernel(start, stop):
        if start == bad:
            raise ValueError("planted")
        other.wait(0.05)
        done.set()

    with pytest.raises(ValueError, match="planted"):
        threads.over_samples(kernel, 2, 10**9)
    assert done.is_set()


def test_a_fork_can_run_kernels():
    # Before the fork (so that the child inherits a pool without its threads), in the child, in its child, and after.
    out = run(
        """
cpu.forward(y, b)
pid = os.fork()
if not pid:
    cpu.forward(y, b)
    inner = os.fork()
    if not inner:
        cpu.forward(y, b)
        os._exit(0 if np.array_equal(y, np.tile(3 * b, (4096, 1))) else 1)
    ok = os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1]) == 0 and np.array_equal(y, np.tile(2 * b, (4096, 1)))
    sys.exit(0 if ok else 1)  # the ordinary end, with the pool's own clean-up
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
cpu.forward(y, b)
print(code, np.array_equal(y, np.tile(2 * b, (4096, 1))))
""",
        NPGAN_THREADS="3",
    )
    assert out.split() == ["0", "True"]


def test_the_same_count_gives_the_same_bits():
    code = """
from npgan.kernels.random import cpu as random
from npgan.kernels.reduce import cpu as reduce
x = np.empty(300_001, np.float32)
random.normal(x, 1, 2, 3, 4, 5, 0.0, 1.0)
db = np.empty(64, np.float32)
dy = x[:262144].reshape(-1, 64)
cpu.backward(db, np.empty(cpu.workspace(*dy.shape)), dy, False)
print(x.tobytes().hex()[:64], db.tobytes().hex(), float(reduce.norm(np.empty(reduce.workspace(x.size)), x)).hex())
"""
    assert run(code, NPGAN_THREADS="3") == run(code, NPGAN_THREADS="3") == run(code, NPGAN_THREADS="1")


def test_several_threads_at_once(monkeypatch):
    from npgan.kernels.bias import cpu

    monkeypatch.setattr(threads, "thread_count", lambda: 4)
    b = np.arange(64.0)

    def work(k):
        y = np.full((2048, 64), float(k))
        for _ in range(20):
            cpu.forward(y, b)
        return np.array_equal(y, np.tile(k + 20 * b, (2048, 1)))

    with ThreadPoolExecutor(6) as users:
        assert all(users.map(work, range(24)))


def test_threads_are_let_go_before_the_interpreter_unloads_what_they_run():
    """Each stays in compiled code for a millisecond after its last task, or longer where the machine is busy."""
    worker = threads._Worker(0)
    worker.invite(lambda wanted: worker._watch(wanted, 1), ())
    threads._dismiss([worker])
    assert not worker._thread.is_alive()


def test_a_thread_that_compiles_at_the_end_is_waited_for():
    worker = threads._Worker(0)
    worker.give((time.sleep, (1.5,), SimpleQueue()))  # as long as LLVM may take, out of Python's reach
    threads._dismiss([worker])
    assert not worker._thread.is_alive()
