"""A run that is killed, at any moment, and resumed leaves the same bits as one that was not."""

import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

import npgan
from npgan.training import logbook
from npgan.training.folder import write_atomically


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Run this file as a program; see `main`."""

    def run(how, count):
        folder = tmp_path_factory.mktemp("killed")
        program = [sys.executable, __file__, how, str(folder), str(count)]
        done = subprocess.run(program, capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, done.stderr
        found = done.stdout.split()
        assert found[-1] == "same"
        return found[:-1]

    return run


def test_killed_at_every_change_of_the_disk(killed):
    """Before and after every fsync, rename and removal, and in the middle of every write."""
    points = [point.rpartition(":")[0] for point in killed("disk", 100)]
    changed = ["config.toml", "metrics.jsonl", "samples/step-00000000.png", "samples/step-00000002.png"]
    changed += [f"checkpoints/step-0000000{step}.safetensors" for step in range(3)]
    for name in changed:
        assert {f"half:{name}.tmp", f"fsync:{name}.tmp", f"replace:{name}", f"replaced:{name}"} <= set(points)
    assert {f"unlink:{name}" for name in changed[-3:-1]} <= set(points)


def test_killed_at_random(killed):
    killed("time", 5)


@pytest.mark.slow
def test_killed_at_random_many_times(killed):
    killed("time", 100)


SETTINGS = {
    "batch": 8,
    "ema": 0.5,
    "latent": {"size": 4},
    "model": {"width": 8},
    "log": {"every": 1, "samples_every": 2, "checkpoint_every": 1, "keep": 1, "samples": 4, "tensorboard": False},
}


def main(how, folder, count):
    """Kill a forked child that trains, let another one finish, compare with a run that nobody killed; and again."""
    logbook.loss_plot = lambda rows, path, title: write_atomically(path, b"a plot takes long, and is not compared")
    steps = 2 if how == "disk" else 12
    for name in ("warm up", "whole"):
        begun = time.monotonic()
        npgan.train("mlp", steps=steps, out=folder / name, settings=SETTINGS, quiet=True)
    duration = time.monotonic() - begun
    expected = everything(folder / "whole")
    rng = random.Random(0)
    for i in range(count):
        path = folder / str(i)
        if how == "disk":
            point = folder / f"point-{i}"
            if in_child(lambda path=path, i=i, point=point: go_on(path, steps, i, point)) == 0:
                break  # it had fewer changes than this
            print(point.read_text())
        else:
            for _ in range(4):
                in_child(lambda path=path: go_on(path, steps), rng.uniform(0, 0.8 * duration))
        assert in_child(lambda path=path: go_on(path, steps)) == 0
        found = everything(path)
        assert found.keys() == expected.keys(), (i, sorted(found), sorted(expected))
        assert found == expected, (i, [name for name in found if found[name] != expected[name]])
        shutil.rmtree(path)
    assert how == "time" or i < count - 1, "there are more points than this"
    print("same")


def everything(path):
    """The files of a run, but the lock and the plot, with their bytes."""
    files = (file for file in path.rglob("*") if file.is_file() and file.name not in (".lock", "losses.png"))
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


def in_child(work, patience=None):
    """Run `work` in a fork, killed after `patience` seconds; return how it ended."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    if patience is not None:
        time.sleep(patience)
        os.kill(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status in (0, -signal.SIGKILL), status
    return status


def go_on(path, steps, change=None, point=None):
    """Begin or resume the run; die at change number `change` of the disk, and note which that was."""
    if change is not None:
        die_at(change, point, path)
    if not (path / "config.toml").exists():
        shutil.rmtree(path, ignore_errors=True)
        npgan.train("mlp", steps=steps, out=path, settings=SETTINGS, quiet=True)
    else:
        npgan.resume(path, quiet=True)


def die_at(change, point, path):
    seen = 0

    def maybe(kind, name, first=lambda: None):
        nonlocal seen
        if seen == change:
            first()
            point.write_text(f"{kind}:{name}:{change}")
            os.kill(os.getpid(), signal.SIGKILL)
        seen += 1

    fsync, replace, unlink = os.fsync, os.replace, os.unlink

    def shown(file):
        return os.path.relpath(file, path)

    def dying_fsync(descriptor):
        name, file = shown(os.readlink(f"/proc/self/fd/{descriptor}")), os.fstat(descriptor)
        if stat.S_ISREG(file.st_mode):
            maybe("half", name, lambda: os.ftruncate(descriptor, file.st_size // 2))
        maybe("fsync", name)
        fsync(descriptor)

    def dying_replace(source, target):
        maybe("replace", shown(target))
        replace(source, target)
        maybe("replaced", shown(target))

    def dying_unlink(file, **options):
        if os.path.exists(file):
            maybe("unlink", shown(file))
        unlink(file, **options)

    os.fsync, os.replace, os.unlink = dying_fsync, dying_replace, dying_unlink


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
