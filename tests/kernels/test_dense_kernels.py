"""The products of a dense layer against einsum, and the bias against sums."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgan.kernels.dense import cpu, gpu, reference

versions = pytest.mark.parametrize("version", [reference, cpu, gpu], ids=["reference", "cpu", "gpu"], indirect=True)
size = st.integers(1, 9)
dtypes = st.sampled_from([np.float32, np.float64])


@versions
@given(n=size, i=size, o=size, dtype=dtypes, accumulate=st.booleans(), seed=st.integers(0, 99))
def test_against_einsum(version, n, i, o, dtype, accumulate, seed):
    draw = np.random.default_rng(seed)
    x, w, dy, start = (draw.normal(size=s).astype(dtype) for s in ((n, i), (i, o), (n, o), (i, o)))
    before = [a.copy() for a in (x, w, dy)]
    y, dx = np.full((n, o), np.nan, dtype), np.full((n, i), np.nan, dtype)
    dw = start.copy() if accumulate else np.full((i, o), np.nan, dtype)
    scratch = np.full(version.workspace(x.shape, w.shape), np.nan, dtype)
    version.forward(y, x, w)
    version.backward_input(dx, dy, w)
    version.backward_weight(dw, scratch, dy, x, accumulate)
    wide = [a.astype(np.float64) for a in (x, w, dy)]
    tolerance = {"rtol": 0, "atol": 50 * np.finfo(dtype).eps}
    np.testing.assert_allclose(y, np.einsum("ni,io->no", wide[0], wide[1]), **tolerance)
    np.testing.assert_allclose(dx, np.einsum("no,io->ni", wide[2], wide[1]), **tolerance)
    np.testing.assert_allclose(dw, accumulate * start + np.einsum("ni,no->io", wide[0], wide[2]), **tolerance)
    for array, copy in zip((x, w, dy), before, strict=True):
        np.testing.assert_array_equal(array, copy)


@versions
def test_nan_reaches_every_product(version):
    x, w, dy = np.ones((3, 2)), np.ones((2, 4)), np.ones((3, 4))
    x[1, 0] = np.nan
    dy[2, 3] = np.inf
    y, dx, dw = np.zeros((3, 4)), np.zeros((3, 2)), np.zeros((2, 4))
    with np.errstate(invalid="ignore"):
        version.forward(y, x, np.zeros_like(w))
        version.backward_input(dx, dy, w)
        version.backward_weight(dw, np.zeros(8), dy, x, False)
    assert np.isnan(y[1]).all()
    assert np.isfinite(y[[0, 2]]).all()
    assert np.isinf(dx[2]).all()
    assert np.isnan(dw[0]).all()
    assert np.isinf(dw[1, 3])
