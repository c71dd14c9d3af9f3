import os
import signal
import subprocess
import sys

import pytest

from npgan.errors import CheckpointError, RunLockedError
from npgan.training.lock import LOCK_NAME, RunLock

HOLD = """
import sys, time
from pathlib import Path
from npgan.training.lock import RunLock
lock = RunLock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_process_is_refused_with_the_holders_name_until_it_is_killed(tmp_path, holder):
    with pytest.raises(RunLockedError, match=rf"{tmp_path} is in use by process {holder.pid} on host \S+; wait"):
        RunLock(tmp_path)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    RunLock(tmp_path).release()


def test_release_lets_others_in_and_may_be_repeated(tmp_path):
    with RunLock(tmp_path) as lock, pytest.raises(RunLockedError):
        RunLock(tmp_path)
    lock.release()
    with RunLock(tmp_path):
        lock.release()  # of the first lock: must not free the second one
        with pytest.raises(RunLockedError):
            RunLock(tmp_path)


def test_an_error_inside_releases(tmp_path):
    with pytest.raises(ZeroDivisionError), RunLock(tmp_path):
        raise ZeroDivisionError
    RunLock(tmp_path).release()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork")
def test_release_counts_though_a_forked_child_has_the_file_open(tmp_path):
    lock = RunLock(tmp_path)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        os.read(read, 1)  # until the parent closes its end
        os._exit(0)
    os.close(read)
    try:
        lock.release()
        RunLock(tmp_path).release()
    finally:
        os.close(write)
        os.waitpid(child, 0)


@pytest.mark.parametrize("text", ["", "nonsense", "12", "x" * 10_000])
def test_a_lock_file_that_tells_nothing(tmp_path, text):
    with RunLock(tmp_path):
        (tmp_path / LOCK_NAME).write_text(text)
        with pytest.raises(RunLockedError, match="in use by another process"):
            RunLock(tmp_path)


def test_a_link_is_not_written_through(tmp_path):
    (tmp_path / "victim").write_text("precious")
    (tmp_path / LOCK_NAME).symlink_to(tmp_path / "victim")
    with pytest.raises(CheckpointError, match="cannot lock the run"):
        RunLock(tmp_path)
    assert (tmp_path / "victim").read_text() == "precious"


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(CheckpointError, match=r"cannot lock the run .*none: No such file"):
        RunLock(tmp_path / "none")
