"""Matrix products on the GPU: what cuBLAS is asked for, on the emulator where there is no GPU."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgan.backend import cuda
from npgan.backend.products import product
from npgan.errors import BackendError


@given(
    sizes=st.tuples(*[st.integers(1, 9)] * 3),
    ta=st.booleans(),
    tb=st.booleans(),
    accumulate=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_against_numpy(cupy, sizes, ta, tb, accumulate, dtype):
    m, n, k = sizes
    draw = np.random.default_rng(m + 10 * n + 100 * k)
    a, b = (
        draw.normal(size=(k, m) if ta else (m, k)).astype(dtype),
        draw.normal(size=(n, k) if tb else (k, n)).astype(dtype),
    )
    c = draw.normal(size=(m, n)).astype(dtype) if accumulate else np.full((m, n), np.nan, dtype)
    expected = (a.T if ta else a) @ (b.T if tb else b) + (c if accumulate else 0)
    arrays = [cupy.asarray(each) for each in (c, a, b)]
    product(*arrays, ta=ta, tb=tb, accumulate=accumulate, compute="float32")
    few = 20 * np.finfo(dtype).eps
    np.testing.assert_allclose(arrays[0].get(), expected, rtol=few, atol=few)


@pytest.mark.parametrize(("compute", "bits"), [("float32", 21), ("tf32", 10), ("bf16", 7)])
def test_precision_is_what_was_asked_for(cupy, compute, bits):
    x = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    found = cupy.empty((64, 64), np.float32)
    product(found, cupy.asarray(x), cupy.asarray(x), compute=compute)
    wide = x.astype(np.float64)
    error = np.abs(found.get() - wide @ wide) / (np.abs(wide) @ np.abs(wide))
    assert 2.0 ** -(bits + 7) < error.max() < 2.0**-bits
    wide_found = cupy.empty((64, 64), np.float64)
    product(wide_found, cupy.asarray(wide), cupy.asarray(wide), compute=compute)
    np.testing.assert_allclose(wide_found.get(), wide @ wide, rtol=0, atol=1e-12)


def test_nothing_to_add_up(cupy):
    c = cupy.ones((2, 3), np.float32)
    product(c, cupy.empty((2, 0), np.float32), cupy.empty((0, 3), np.float32), accumulate=True, compute="float32")
    assert (c.get() == 1).all()
    product(c, cupy.empty((2, 0), np.float32), cupy.empty((0, 3), np.float32), compute="float32")
    assert (c.get() == 0).all()


def test_without_cublas(emulator, monkeypatch):
    monkeypatch.delattr(sys.modules["cupy.cuda"], "cublas")
    cuda.forget()
    x = emulator.ones((2, 2), np.float32)
    with pytest.raises(BackendError, match=r"need cuBLAS, which cannot be loaded.*npgan\[gpu-cuda13\]"):
        product(x, x, x, compute="float32")
