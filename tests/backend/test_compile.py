"""The cache of compiled kernels."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba.core import config

from npgan.backend import compile as compiling

CODE = """
import numpy as np, sys
from npgan.kernels.bias import cpu
y = np.zeros((2, 3))
cpu.forward(y, np.arange(3.0))
assert y.tolist() == [[0, 1, 2]] * 2
stats = cpu._forward.stats
print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()), cpu._forward.stats.cache_path)
"""


def run(cache, code=CODE):
    environment = {**os.environ, "NPGAN_CACHE_DIR": str(cache), "PYTHONWARNINGS": "error"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return done.stdout.split()


BITS = """
import hashlib
import numpy as np
from npgan.kernels.conv import cpu
draw = np.random.default_rng(0)
x, w = draw.normal(size=(64, 4, 4, 16)).astype(np.float32), draw.normal(size=(4, 4, 16, 32)).astype(np.float32)
y = np.empty((64, 2, 2, 32), np.float32)
how = (2, 2), ((1, 1), (1, 1)), (1, 1)
scratch = np.zeros(cpu.workspace(x.shape, w.shape, y.shape, *how), np.float32)
cpu.forward(y, scratch, x, w, *how)
print(hashlib.sha256(y.tobytes()).hexdigest())
"""


def test_the_process_that_compiles_has_the_bits_of_the_next(tmp_path):
    assert run(tmp_path, BITS) == run(tmp_path, BITS)


@compiling.exact
def inner(a, b, c):
    return a * b + c


@compiling.kernel
def outer(x, y):
    for i in range(x.size):
        y[i] = inner(x[i], x[i], -1.0)


def test_exact_stays_exact_for_whomever_it_is_compiled():
    outer(np.ones(3), np.empty(3))  # compiles `inner`, in the midst of what may be fused
    x = 1 + 2.0**-30
    assert inner(x, x, -(1 + 2.0**-29)) == 0  # x² is rounded; fused, it is not: 2**-60


def snapshot(folder):
    return {p for p in Path(folder).rglob("*") if p.suffix in (".nbi", ".nbc")}


def test_the_second_process_finds_what_the_first_compiled(tmp_path):
    hits, misses, path = run(tmp_path)
    assert (hits, misses) == ("0", "1")
    assert Path(path).is_relative_to(tmp_path)
    assert run(tmp_path)[:2] == ["1", "0"]


def test_a_directory_that_cannot_be_written(tmp_path):
    # A file in its place: nobody can write there, the superuser neither.
    package = Path(compiling.__file__).parents[1]
    before = snapshot(package)
    (tmp_path / "file").write_text("not a directory")
    hits, _misses, *path = run(tmp_path / "file")
    assert hits == "0"
    assert snapshot(package) == before  # nor beside the sources, where an edited helper would go unseen
    assert not path or path == ["None"]


@pytest.fixture
def copies(tmp_path, monkeypatch):
    """A package with sources to edit."""
    for place in ("backend/compile.py", "kernels/a/cpu.py", "kernels/a/windows.py"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(place)
    monkeypatch.setattr(compiling, "__file__", str(tmp_path / "backend" / "compile.py"))
    monkeypatch.setenv("NPGAN_CACHE_DIR", str(tmp_path / "cache"))

    def key():
        compiling.kernel_cache.cache_clear()
        return compiling.kernel_cache()

    yield tmp_path, key
    compiling.kernel_cache.cache_clear()


@pytest.mark.parametrize("place", ["backend/compile.py", "kernels/a/cpu.py", "kernels/a/windows.py"])
def test_an_edited_source_gets_another_directory(copies, place):
    root, key = copies
    first = key()
    assert key() == first
    (root / place).write_text("edited")
    assert key() != first


def test_a_renamed_source_and_another_numba_get_another_directory(copies, monkeypatch):
    root, key = copies
    first = key()
    (root / "kernels/a/windows.py").rename(root / "kernels/a/borders.py")
    second = key()
    assert second != first
    monkeypatch.setattr(compiling.numba, "__version__", "0.0")
    assert key() not in (first, second)


def test_the_setting_of_others_stays():
    before = config.CACHE_DIR
    compiling.kernel(lambda x: x)
    assert before == config.CACHE_DIR
