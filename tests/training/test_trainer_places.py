"""Places that a run cannot be written to or read from, or not any more."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

import npgan
from npgan.errors import CheckpointError, ConfigError, DataError, RunLockedError
from npgan.training.metrics import read


def test_a_run_is_never_written_over(train, written, tmp_path):
    run = train("a", steps=2)
    before = written(run.path)
    with pytest.raises(ConfigError, match=r"exists already.*--out.*--resume"):
        train("a", steps=3)
    assert written(run.path) == before
    (tmp_path / "file").write_text("x")
    for name, problem in (("file", "exists already"), ("file/a", "Not a directory")):
        with pytest.raises((ConfigError, CheckpointError), match=problem):
            train(name)


def test_runs_get_free_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for expected in ("mlp-digits", "mlp-digits-2"):
        settings = {"batch": 8, "model": {"width": 8}, "log": {"samples": 4}}
        run = npgan.train("mlp", steps=1, settings=settings, quiet=True)
        assert run.path == Path("runs") / expected


def test_a_locked_run(train, written, unlocked):
    run = train("a", steps=2)
    before = written(run.path)
    with run.folder.lock(), pytest.raises(RunLockedError, match=f"in use by process {os.getpid()}"):
        npgan.resume(run.path, steps=4, quiet=True)
    assert written(run.path) == before
    seen = []

    def look(step, metrics, experiment):
        if not seen:
            with pytest.raises(RunLockedError):
                npgan.resume(run.path, quiet=True)
            seen.append(npgan.Run(run.path).step)  # to look on is allowed

    npgan.resume(run.path, steps=4, callbacks=[look], quiet=True)
    assert seen == [2]
    assert unlocked(run.path)


def test_data_that_are_not_there(train, tmp_path):
    with pytest.raises(DataError, match=r"mnist: .*nowhere has no train-images-idx3-ubyte.gz"):
        train("a", data={"name": "mnist", "dir": str(tmp_path / "nowhere")})
    with pytest.raises(DataError, match="neither a file or folder nor a known data set"):
        train("a", source=tmp_path / "nothing")
    assert not (tmp_path / "a").exists()


def full_disk(monkeypatch, after):
    """Make every flush to the disk fail but the first `after`."""
    fsync, seen = os.fsync, []

    def failing(descriptor):
        seen.append(descriptor)
        if len(seen) > after:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)


def test_a_disk_that_becomes_full(train, written, tmp_path, monkeypatch, unlocked, data_threads):
    whole = written(train("whole", steps=4, log={"tensorboard": True}).path)
    named = set()
    for after in range(100):
        path = tmp_path / f"{after}"
        with monkeypatch.context() as patch:
            full_disk(patch, after)
            try:
                train(path.name, steps=4, log={"tensorboard": True})
            except CheckpointError as error:
                message = str(error)
            else:
                break
        assert f"cannot write {path}" in message
        assert "No space left on device. What was there before is untouched; make room" in message
        named.add(message.split(" (")[0].removeprefix(f"cannot write {path}/"))
        assert not list(path.rglob("*.tmp"))
        if (path / "config.toml").exists():
            assert unlocked(path)
            assert written(npgan.resume(path, quiet=True).path) == whole
    assert {"config.toml", "metrics.jsonl", "losses.png"} < named
    assert {"samples/step-00000003.png", "checkpoints/step-00000000.safetensors"} < named
    assert not data_threads()


LIMITED = """
import resource, sys, npgan
settings = {"batch": 8, "latent": {"size": 4}, "model": {"width": 8}, "log": {"every": 1, "checkpoint_every": 2}}
def limit(step, metrics, experiment):
    if step == 3:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
npgan.train("mlp", steps=6, out=sys.argv[1], settings=settings, callbacks=[limit], quiet=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit of file sizes")
def test_a_write_that_fails_in_the_middle(tmp_path):
    done = subprocess.run([sys.executable, "-c", LIMITED, tmp_path / "a"], capture_output=True, text=True)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "cannot write" in last
    assert "checkpoints/step-00000004.safetensors (needs" in last
    assert "File too large" in last
    assert "Exception ignored" not in done.stderr
    assert npgan.resume(tmp_path / "a", quiet=True).step == 6
    assert [row["step"] for row in read(tmp_path / "a" / "metrics.jsonl")] == [1, 2, 3, 4, 5, 6]
