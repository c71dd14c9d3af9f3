"""What a gradient penalty charges: compiled against reference, and both against differences."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgan.kernels.penalty import cpu, gpu, reference

versions = pytest.mark.parametrize("version", [reference, cpu, gpu], ids=["reference", "cpu", "gpu"], indirect=True)
norms = pytest.mark.parametrize("norm", [1.0, 1.5, 2.0, 3.0, math.inf])


def charged(version, g, weight=2.0, target=0.7, norm=2.0, one_sided=False):
    v, scratch = np.full_like(g, np.nan), np.full(len(g), np.nan)
    return version.charge(v, scratch, g, weight, target, norm, one_sided), v


def gradients(seed, n, f, dtype=np.float64):
    return np.random.default_rng(seed).normal(size=(n, f)).astype(dtype)


@norms
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 6),
    f=st.integers(1, 40),
    one_sided=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float64]),
)
@settings(max_examples=15, deadline=None)
def test_compiled_equals_reference(norm, seed, n, f, one_sided, dtype):
    g = gradients(seed, n, f, dtype)
    (value, v), (expected, ev) = (charged(each, g, norm=norm, one_sided=one_sided) for each in (cpu, reference))
    eps = 200 * float(np.finfo(dtype).eps)
    assert value == pytest.approx(expected, rel=eps, abs=eps)
    assert v.dtype == dtype
    np.testing.assert_allclose(v, ev, rtol=eps, atol=eps)


@versions
@norms
@pytest.mark.parametrize("one_sided", [False, True])
def test_the_gradient_is_that_of_the_value(version, norm, one_sided):
    g, along = gradients(1, 4, 7), gradients(2, 4, 7)
    g[0] *= 0.01  # under the target
    _, v = charged(version, g, norm=norm, one_sided=one_sided)
    h = 1e-6
    up, down = (charged(version, g + s * h * along, norm=norm, one_sided=one_sided)[0] for s in (1, -1))
    assert np.sum(v * along) == pytest.approx((up - down) / (2 * h), abs=1e-7 * np.linalg.norm(v))


@versions
@norms
def test_a_norm_of_zero_has_a_gradient_of_zero(version, norm):
    g = np.zeros((2, 3))
    g[1] = 1.0
    value, v = charged(version, g, norm=norm, target=0.5)
    assert np.isfinite(value)
    np.testing.assert_array_equal(v[0], 0)


@versions
@norms
@pytest.mark.parametrize("one_sided", [False, True])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_stays_visible(version, norm, one_sided, bad):
    g = gradients(3, 3, 4)
    g[1, 2] = bad
    with np.errstate(invalid="ignore"):
        value, v = charged(version, g, norm=norm, one_sided=one_sided)
    assert not np.isfinite(value)
    assert not np.isfinite(v[1]).all()
    assert np.isfinite(v[[0, 2]]).all()


@versions
def test_between_is_between(version):
    real, fake, shares = (
        gradients(4, 3, 8).reshape(3, 2, 4),
        gradients(5, 3, 8).reshape(3, 2, 4),
        np.array([0, 0.25, 1]),
    )
    out = np.full_like(real, np.nan)
    version.between(out, shares, real, fake)
    np.testing.assert_allclose(out[0], fake[0])
    np.testing.assert_allclose(out[1], 0.25 * real[1] + 0.75 * fake[1])
    np.testing.assert_allclose(out[2], real[2])


def test_any_number_of_threads_gives_the_same_bits(monkeypatch):
    g = gradients(6, 64, 10_000, np.float32)
    results = []
    for threads in (1, 2, 3):
        monkeypatch.setattr("npgan.backend.threads.thread_count", lambda threads=threads: threads)
        value, v = charged(cpu, g)
        results.append((value, v.tobytes()))
    assert results[0] == results[1] == results[2]
