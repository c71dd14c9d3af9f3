"""What is said of compilation, and what is compiled: in processes of their own, with caches of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import npgan

FIRST = "compiling the kernels that this needs; later runs find them in the cache"
SMALL = ("--set", "model.width=8", "--set", "batch=8", "--steps", "1")


@pytest.fixture
def npgan_with(tmp_path):
    def run(cache, *arguments):
        done = subprocess.run(
            [sys.executable, "-c", "from npgan.cli import main; main()", *map(str, arguments)],
            env={**os.environ, "NPGAN_CACHE_DIR": str(cache), "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done

    return run


def snapshot(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


def test_what_is_compiled_is_said_once_and_is_no_more_than_is_needed(npgan_with, tmp_path):
    package, cache = Path(npgan.__file__).parent, tmp_path / "cache"
    before = snapshot(package)
    first = npgan_with(cache, "train", "ring", *SMALL, "--out", "run")
    assert first.stdout.count(FIRST) == 1
    said = [line.strip() for line in first.stdout.partition(FIRST)[2].splitlines()[1:] if line.startswith("  ")]
    assert {"random", "loss", "optimizer"} <= set(said)
    assert len(said) == len(set(said))
    assert any(cache.rglob("*.nbi"))
    for unused in ("conv", "normalization", "penalty", "pool"):
        assert not any(unused in line for line in said)
        assert not any(unused in str(path) for path in cache.rglob("*"))
    again = npgan_with(cache, "train", "ring", *SMALL, "--out", "again")
    assert "compiling" not in again.stdout + again.stderr
    drawn = npgan_with(cache, "sample", "run", "--out", "x.npz")
    assert "compiling" not in drawn.stdout + drawn.stderr
    assert snapshot(package) == before, "a read-only install has nowhere to write to"


def test_sample_and_gradcheck_say_it_too_and_not_where_the_answer_is(npgan_with, tmp_path, plane_run):
    drawn = npgan_with(tmp_path / "a", "sample", plane_run, "--out", tmp_path / "x.npz", "--json")
    assert FIRST in drawn.stderr
    assert json.loads(drawn.stdout)["file"] == str(tmp_path / "x.npz")
    for folder in list((tmp_path / "a").rglob("random_*")):
        shutil.rmtree(folder)  # so that there is something to compile again
    quiet = npgan_with(tmp_path / "a", "sample", plane_run, "--out", tmp_path / "y.npz", "--quiet")
    assert list((tmp_path / "a").rglob("random_*"))
    assert quiet.stdout == quiet.stderr == ""
    checked = npgan_with(tmp_path / "c", "gradcheck", "Softmax")
    assert f"{FIRST} and start at once:\n  softmax\n" in checked.stdout


def test_a_cache_that_cannot_be_written(npgan_with, tmp_path):
    # A file in its place: nobody can write there, the superuser neither.
    (tmp_path / "file").write_text("not a directory")
    for _ in range(2):
        checked = npgan_with(tmp_path / "file", "gradcheck", "Softmax")
        assert f"cannot be kept in {tmp_path / 'file'}, so every run will" in checked.stdout
