"""A matrix among others in memory, written the other way round."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from npgan.kernels.transpose import transpose


@given(
    m=st.integers(1, 40),
    n=st.integers(1, 40),
    more=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    at=st.tuples(st.integers(0, 20), st.integers(0, 20)),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_transposes(m, n, more, at, dtype):
    source = np.random.default_rng(m + 41 * n).normal(size=at[0] + m * (n + more[0])).astype(dtype)
    out = np.full(at[1] + n * (m + more[1]), np.nan, dtype)
    transpose(out, at[1], m + more[1], source, at[0], n + more[0], m, n)
    matrix = source[at[0] :].reshape(m, n + more[0])[:, :n]
    expected = np.full_like(out, np.nan)
    expected[at[1] :].reshape(n, m + more[1])[:, :m] = matrix.T
    np.testing.assert_array_equal(out, expected)
