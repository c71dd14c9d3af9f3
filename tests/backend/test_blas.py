"""Which BLAS compiled kernels call, and that its products are right."""

import os
import subprocess
import sys

import numpy as np
import pytest

from npgan.backend import blas as blasing
from npgan.backend.blas import blas
from npgan.errors import ConfigError
from npgan.kernels.product import columns_times, rows_times


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (3, 5, 7), (129, 33, 64), (300, 257, 130)])
def test_products(sizes, dtype):
    m, n, k = sizes
    draw = np.random.default_rng(0)
    x, w, dy = (draw.normal(size=size).astype(dtype) for size in ((m, k), (k, n), (m, n)))
    tolerance = 50 * np.finfo(dtype).eps * np.sqrt(max(m, k))

    def close(found, expected):
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())

    y, dx, dw = np.full_like(dy, np.nan), np.full_like(x, np.nan), np.full_like(w, np.nan)
    rows_times(y, x, w)
    close(y, x @ w)
    rows_times(dx, dy, w, transposed=True)
    close(dx, dy @ w.T)
    columns_times(dw, x, dy, False)
    close(dw, x.T @ dy)
    columns_times(dw, x, dy, True)
    close(dw, 2 * (x.T @ dy))


def test_the_environment_is_put_back(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    blasing._openblas(None)
    assert os.environ["OPENBLAS_CORETYPE"] == "Haswell"
    assert "OPENBLAS_NUM_THREADS" not in os.environ


def test_a_core_that_there_is_not(monkeypatch):
    monkeypatch.setenv(blasing.CORE, "Nonesuch")
    with pytest.raises(ConfigError, match="NPGAN_BLAS_CORE is 'Nonesuch'"):
        blasing._openblas("Nonesuch")


def test_wrong_products_are_not_used(monkeypatch):
    monkeypatch.setattr(blasing, "_is_right", lambda gemm, dtype: False)
    assert blasing._openblas(None) is None


def test_the_check_sees_a_wrong_product():
    def right(a, b, c, ta, tb):
        c[...] = (a.T if ta else a) @ (b.T if tb else b)

    def wrong(a, b, c, ta, tb):
        right(a, b, c, ta, tb)
        c[-1, -1] *= 1.01

    def unwritten(a, b, c, ta, tb):
        right(a, b, c, ta, tb)
        c[0, 0] = np.nan

    for dtype in (np.float32, np.float64):
        assert blasing._is_right(right, dtype)
        assert not blasing._is_right(wrong, dtype)
        assert not blasing._is_right(unwritten, dtype)


STEP = """
import sys, numpy as np
{before}
from npgan.backend.blas import blas
from npgan.layers import Conv2d, Dense, Flatten
from npgan.network import Network
layers = [Conv2d(3, 4, stride=2, padding=1), Flatten(), Dense(3)]  # windows in columns: all products are BLAS's
network = Network(layers, (8, 8, 2), dtype="float64", seed=0)
p = network.new_pass(5, fuse=False)
x = np.random.default_rng(0).normal(size=(5, 8, 8, 2))
y = p.forward(x)
dx = p.backward(y.copy(), dtheta=network.grad)
print(blas().kind, *(float(np.abs(a).sum()) for a in (y, dx, network.grad)))
"""


@pytest.mark.parametrize(
    ("before", "environment"),
    [("", {blasing.CORE: "scipy"}), ("sys.modules['scipy_openblas32'] = None", {})],
    ids=["asked for", "no wheel"],
)
def test_scipys_blas_instead(before, environment):
    """The same gradients through SciPy's BLAS, in a process of its own with a kernel cache of its own key."""

    def run(code, extra):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **extra}
        )
        kind, *sums = done.stdout.split()
        return kind, [float(s) for s in sums]

    kind, found = run(STEP.format(before=before), environment)
    assert kind == "fortran"
    usual, expected = run(STEP.format(before=""), {})
    assert usual == blas().kind
    np.testing.assert_allclose(found, expected, rtol=1e-12)


ORDER = """
import ctypes, hashlib, numpy as np
from npgan.backend.blas import blas
if {early}:
    blas()
from scipy.linalg import eig
blas()
draw = np.random.default_rng(0)
values = [eig(draw.normal(size=(n, n)), left=True, right=True) for n in (4, 8, 20) for _ in range(20)]
print(hashlib.sha256(b"".join(a.tobytes() for each in values for a in each)).hexdigest())
print(hasattr(ctypes.CDLL(None), "scipy_cblas_dgemm"))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="symbols are not global there")
def test_scipy_keeps_its_own_blas():
    """Another OpenBLAS that is loaded first must not become SciPy's too: eigenvalues would depend on the order."""

    def run(early):
        done = subprocess.run(
            [sys.executable, "-c", ORDER.format(early=early)], capture_output=True, text=True, check=True
        )
        return done.stdout.split()

    before, after = run(True), run(False)
    assert before[1] == after[1] == "False"
    assert before[0] == after[0]
