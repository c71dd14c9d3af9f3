"""Dropout: the versions against loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgan.kernels.dropout import cpu, gpu, reference

versions = pytest.mark.parametrize("version", [reference, cpu, gpu], ids=["reference", "cpu", "gpu"], indirect=True)


@versions
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 7)),
    rate=st.floats(0, 0.99),
    seed=st.integers(0, 2**32 - 1),
)
def test_draw_and_apply(version, shape, rate, seed):
    n, p, c = shape
    rng = np.random.default_rng(seed)
    for dtype in (np.float32, np.float64):
        u, x = rng.uniform(size=(n, c)).astype(dtype), rng.normal(size=shape).astype(dtype)
        before = u.copy(), x.copy()
        mask, y = np.full((n, c), 9, np.uint8), np.empty_like(x)
        version.draw(mask, u, rate)
        version.apply(y, x, mask, rate)
        for i, j, k in np.ndindex(n, p, c):
            expected = x[i, j, k] / (1 - rate) if float(u[i, k]) >= rate else 0
            np.testing.assert_allclose(y[i, j, k], expected, rtol=4 * np.finfo(dtype).eps)
        assert np.array_equal(u, before[0])
        assert np.array_equal(x, before[1])
        assert set(np.unique(mask)) <= {0, 1}


@versions
def test_a_number_at_the_rate_is_kept_in_every_dtype(version):
    rate = 0.7000000001  # float32 rounds it down to a number that a draw can give
    for dtype in (np.float32, np.float64):
        mask = np.empty((1, 3), np.uint8)
        version.draw(mask, np.array([[0.7, np.float32(rate), 0.75]], dtype), rate)
        assert mask.tolist() == [[0, 0, 1]]
    version.draw(mask, np.array([[0.0, 0.25, 0.5]]), 0.25)
    assert mask.tolist() == [[0, 1, 1]]


@versions
def test_a_bad_number_stays_one_where_it_is_dropped(version):
    x, y = np.array([[[np.nan, np.inf, 1.0]]]), np.empty((1, 1, 3))
    with np.errstate(invalid="ignore"):
        version.apply(y, x, np.zeros((1, 3), np.uint8), 0.5)
    assert np.isnan(y[0, 0, :2]).all()
    assert y[0, 0, 2] == 0


def test_threads(monkeypatch):
    monkeypatch.setattr("npgan.backend.threads.thread_count", lambda: 3)
    rng = np.random.default_rng(0)
    x, u = rng.normal(size=(101, 9, 101)), rng.uniform(size=(101, 1001))
    masks = np.empty((2, 101, 1001), np.uint8)
    for mask, version in zip(masks, (reference, cpu), strict=True):
        version.draw(mask, u, 0.3)
    assert np.array_equal(*masks)
    ys = np.empty((2, *x.shape))
    for y, version in zip(ys, (reference, cpu), strict=True):
        version.apply(y, x, np.ascontiguousarray(masks[0][:, :101]), 0.3)
    np.testing.assert_allclose(*ys, rtol=1e-15)
