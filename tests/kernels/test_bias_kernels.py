"""A bias along the last axis, against NumPy's sums."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgan.backend import threads
from npgan.kernels.bias import cpu, gpu, reference

versions = pytest.mark.parametrize("version", [reference, cpu, gpu], ids=["reference", "cpu", "gpu"], indirect=True)


def scratch_of(version, dy):
    return np.full(version.workspace(*dy.shape), np.nan)


@versions
@given(
    m=st.integers(1, 20),
    c=st.integers(1, 9),
    dtype=st.sampled_from([np.float32, np.float64]),
    accumulate=st.booleans(),
    seed=st.integers(0, 99),
)
def test_against_sums(version, m, c, dtype, accumulate, seed):
    draw = np.random.default_rng(seed)
    y, b, dy, start = (draw.normal(size=s).astype(dtype) for s in ((m, c), (c,), (m, c), (c,)))
    expected, before = y + b, dy.copy()
    version.forward(y, b)
    np.testing.assert_array_equal(y, expected, strict=True)
    db = start.copy() if accumulate else np.full(c, np.nan, dtype)
    version.backward(db, scratch_of(version, dy), dy, accumulate)
    wide = dy.astype(np.float64).sum(axis=0) + accumulate * start
    np.testing.assert_allclose(db, wide, rtol=0, atol=50 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(dy, before)


def test_threads_do_not_matter(monkeypatch):
    # Enough rows for several threads; sums are by blocks, so even their order is the same.
    draw = np.random.default_rng(0)
    dy, b = draw.normal(size=(90_000, 13)).astype(np.float32), draw.normal(size=13).astype(np.float32)
    found = []
    for count in (1, 2, 5):
        monkeypatch.setattr(threads, "thread_count", lambda count=count: count)
        y, db = dy.copy(), np.empty_like(b)
        cpu.forward(y, b)
        cpu.backward(db, scratch_of(cpu, dy), dy, False)
        found.append((y, db))
    for y, db in found:
        np.testing.assert_array_equal(y, dy + b)
        np.testing.assert_array_equal(db, found[0][1])
    np.testing.assert_allclose(found[0][1], dy.astype(np.float64).sum(axis=0), rtol=1e-6, atol=1e-6)


@versions
def test_nan_and_inf_stay(version):
    dy = np.ones((4, 3))
    dy[1, 0], dy[2, 1] = np.nan, np.inf
    db = np.zeros(3)
    version.backward(db, scratch_of(version, dy), dy, False)
    np.testing.assert_array_equal(db, [np.nan, np.inf, 4.0])
    version.forward(dy, np.zeros(3))
    np.testing.assert_array_equal(dy.sum(axis=0), [np.nan, np.inf, 4.0])


@versions
@given(
    m=st.integers(1, 20),
    c=st.integers(1, 9),
    dtype=st.sampled_from([np.float32, np.float64]),
    slope=st.sampled_from([0.0, 0.2]),
    bias=st.booleans(),
    accumulate=st.booleans(),
)
def test_with_the_activation_after_it(version, m, c, dtype, slope, bias, accumulate):
    draw = np.random.default_rng(m)
    x, dy = draw.normal(size=(2, m, c)).astype(dtype)
    b, start = draw.normal(size=(2, c)).astype(dtype)
    y = x.copy()
    version.forward(y, b if bias else None, slope)
    z = x + b if bias else x
    few = 50 * np.finfo(dtype).eps
    np.testing.assert_allclose(y, np.where(z > 0, z, dtype(slope) * z), rtol=0, atol=few)
    dz, db = np.full_like(x, np.nan), (start.copy() if accumulate else np.full_like(b, np.nan)) if bias else None
    version.unbend(dz, db, scratch_of(version, dy), dy, y, slope, accumulate)
    expected = dy * np.where(z > 0, dtype(1), dtype(slope))
    np.testing.assert_allclose(dz, expected, rtol=0, atol=few)
    if db is not None:
        np.testing.assert_allclose(db, expected.sum(axis=0) + accumulate * start, rtol=0, atol=few)
    version.unbend(dy, db, scratch_of(version, dy), dy, y, slope, accumulate)  # in place
    np.testing.assert_array_equal(dy, dz)


@versions
def test_what_is_not_finite_stays_visible(version):
    y = np.array([[np.nan, np.inf, -np.inf]])
    version.forward(y, None, 0.0)
    np.testing.assert_array_equal(y, [[np.nan, np.inf, 0]])
    dz = np.empty_like(y)
    version.unbend(dz, None, None, np.ones_like(y), y, 0.0, False)
    np.testing.assert_array_equal(dz, [[np.nan, 1, 0]])
