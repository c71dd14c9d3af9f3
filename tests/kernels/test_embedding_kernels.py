"""Embedding: the versions against products with one-hot labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgan.kernels.embedding import cpu, gpu, reference

versions = pytest.mark.parametrize("version", [reference, cpu, gpu], ids=["reference", "cpu", "gpu"], indirect=True)


@versions
@given(m=st.integers(1, 20), count=st.integers(1, 6), width=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
def test_it_is_a_product_with_one_hot_labels(version, m, count, width, seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, count, m)
    one_hot = np.eye(count)[x]
    for dtype in (np.float32, np.float64):
        w, dy = rng.normal(size=(count, width)).astype(dtype), rng.normal(size=(m, width)).astype(dtype)
        before = w.copy(), dy.copy(), x.copy()
        y = np.empty_like(dy)
        version.forward(y, x, w)
        assert np.array_equal(y, (one_hot @ w).astype(dtype))
        dw = np.full_like(w, np.nan)
        version.backward(dw, dy, x, False)
        tolerances = {"rtol": 1e-5, "atol": 30 * np.finfo(dtype).eps}
        np.testing.assert_allclose(dw, one_hot.T @ dy, **tolerances)
        version.backward(dw, dy, x, True)
        np.testing.assert_allclose(dw, 2 * one_hot.T @ dy, **tolerances)
        for array, copy in zip((w, dy, x), before, strict=True):
            assert np.array_equal(array, copy)


def test_the_number_of_threads_leaves_the_bits_alone(monkeypatch):
    rng = np.random.default_rng(0)
    x, dy = rng.integers(0, 5, 2003), rng.normal(size=(2003, 67)).astype(np.float32)
    found = []
    for threads in (1, 3):
        monkeypatch.setattr("npgan.backend.threads.thread_count", lambda threads=threads: threads)
        dw = np.empty((5, 67), np.float32)
        cpu.backward(dw, dy, x, False)
        found.append(dw)
    assert np.array_equal(*found)
    np.testing.assert_allclose(found[0], np.eye(5)[x].T @ dy, rtol=1e-4, atol=1e-3)


@versions
def test_nan_is_seen(version):
    w, dy, x = np.ones((2, 3)), np.ones((2, 3)), np.array([1, 1])
    w[1, 2] = dy[0, 0] = np.nan
    y, dw = np.empty((2, 3)), np.empty((2, 3))
    version.forward(y, x, w)
    version.backward(dw, dy, x, False)
    assert np.isnan(y).sum() == 2
    assert np.argwhere(np.isnan(dw)).tolist() == [[1, 0]]
