"""Softmax: reference against scipy and the complex step, compiled against reference."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from npgan.kernels.softmax import cpu, gpu, reference

versions = pytest.mark.parametrize("version", [reference, cpu, gpu], ids=["reference", "cpu", "gpu"], indirect=True)


def run(version, x):
    y = np.empty_like(x)
    version.forward(y, x)
    return y


def run_backward(version, dy, y):
    dx = np.empty_like(dy)
    version.backward(dx, dy, y)
    return dx


@versions
@given(m=st.integers(1, 6), c=st.integers(1, 9), seed=st.integers(0, 2**32 - 1))
def test_forward_and_backward(version, m, c, seed):
    rng = np.random.default_rng(seed)
    x, dy, direction = rng.normal(size=(3, m, c))
    x = x * 10.0 ** rng.uniform(-2, 2) + 10.0 ** rng.uniform(0, 4)
    slope = (run(reference, x + 1e-20j * direction).imag / 1e-20 * dy).sum()
    for dtype in (np.float32, np.float64):
        narrow, dy_narrow = x.astype(dtype), dy.astype(dtype)
        before = narrow.copy(), dy_narrow.copy()
        y = run(version, narrow)
        oracle = special.softmax(narrow.astype(np.float64), axis=1)
        np.testing.assert_allclose(y, oracle, rtol=300 * np.finfo(dtype).eps, atol=1e-37)
        dx = run_backward(version, dy_narrow, y)
        np.testing.assert_allclose(dx.sum(axis=1), 0, atol=10 * c * np.finfo(dtype).eps)
        np.testing.assert_allclose(dx, run_backward(reference, dy_narrow, y), rtol=1e-4, atol=8 * np.finfo(dtype).eps)
        assert np.array_equal(narrow, before[0])
        assert np.array_equal(dy_narrow, before[1])
    np.testing.assert_allclose((dx * direction).sum(), slope, rtol=1e-11, atol=1e-14)


@versions
@given(m=st.integers(1, 6), c=st.integers(1, 9), seed=st.integers(0, 2**32 - 1))
def test_rbackward(version, m, c, seed):
    """Against the complex step of the reference's forward and backward."""
    rng = np.random.default_rng(seed)
    x, dy, rx, rdy = rng.normal(size=(4, m, c))
    x, h = x * 10.0 ** rng.uniform(-2, 2) + 10.0 ** rng.uniform(0, 4), 1e-20
    for dtype in (np.float32, np.float64):
        x, dy, rx, rdy = (a.astype(dtype) for a in (x, dy, rx, rdy))
        stepped = run(reference, x.astype(complex) + 1j * h * rx)
        y = stepped.real.astype(dtype)
        arrays = rdy, dy, run_backward(version, rx, y), y
        before = [a.copy() for a in arrays]
        rdx = np.full_like(dy, np.nan)
        version.rbackward(rdx, *arrays)
        slope = run_backward(reference, dy + 1j * h * rdy, stepped).imag / h
        np.testing.assert_allclose(arrays[2], stepped.imag / h, rtol=0, atol=100 * np.finfo(dtype).eps)
        np.testing.assert_allclose(rdx, slope, rtol=0, atol=100 * np.finfo(dtype).eps)
        np.testing.assert_allclose(rdx.sum(axis=1), 0, atol=100 * c * np.finfo(dtype).eps)
        for array, copy in zip(arrays, before, strict=True):
            assert np.array_equal(array, copy)


@versions
def test_stable_far_out(version):
    x = np.array([[1e4, -1e4, 1e4], [3e38, -3e38, 0]], np.float32)
    with np.errstate(over="ignore"):  # of x - max, to -inf
        assert np.array_equal(run(version, x), np.array([[0.5, 0, 0.5], [1, 0, 0]], np.float32))


@versions
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_bad_number_spoils_its_row_alone(version, bad, place):
    x = np.zeros((2, 3))
    x[1, place] = bad
    with np.errstate(invalid="ignore"):
        y = run(version, x)
    assert np.isfinite(y[0]).all()
    assert np.isnan(y[1]).all()


def test_threads(monkeypatch):
    monkeypatch.setattr("npgan.backend.threads.thread_count", lambda: 3)
    x, dy = np.random.default_rng(0).normal(size=(2, 1001, 91))
    y = run(cpu, x)
    np.testing.assert_allclose(y, special.softmax(x, axis=1), rtol=1e-13)
    np.testing.assert_allclose(run_backward(cpu, dy, y), run_backward(reference, dy, y), rtol=1e-9, atol=1e-16)
    found, expected = np.full((2, *y.shape), np.nan)
    for version, rdx in ((cpu, found), (reference, expected)):
        version.rbackward(rdx, x, dy, x[::-1].copy(), y)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


@versions
@pytest.mark.parametrize("bad", range(4))
def test_nan_in_rbackward_spoils_its_row_alone(version, bad):
    arrays = list(np.random.default_rng(0).normal(size=(4, 2, 3)))
    arrays[bad][1, 1] = np.nan
    rdx = np.empty((2, 3))
    version.rbackward(rdx, *arrays)
    assert np.isfinite(rdx[0]).all()
    assert np.isnan(rdx[1]).all()
