"""Enlarging: the reference against explicit matrices, the compiled version against the reference."""

import inspect
from contextlib import nullcontext
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgan.kernels.upsample import cpu, gpu, reference

versions = pytest.mark.parametrize("version", [reference, cpu, gpu], ids=["reference", "cpu", "gpu"], indirect=True)
modes = pytest.mark.parametrize("mode", ["nearest", "bilinear"])


def matrix(size, factor, mode):
    """The map of one axis, (size factor, size), straight from its definition."""
    a = np.zeros((size * factor, size))
    for o in range(size * factor):
        if mode == "nearest":
            a[o, o // factor] = 1
        else:
            u = min(max((o + 0.5) / factor - 0.5, 0), size - 1)
            before = int(u)
            a[o, before] += 1 - (u - before)
            a[o, min(before + 1, size - 1)] += u - before
    return a


@st.composite
def cases(draw, dtypes=(np.float64,)):
    n, h, w, c, fh, fw = (draw(st.integers(1, high)) for high in (3, 5, 5, 3, 5, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from(dtypes))
    x, dy = rng.normal(size=(n, h, w, c)), rng.normal(size=(n, h * fh, w * fw, c))
    return x.astype(dtype), dy.astype(dtype), (fh, fw)


def run(version, mode, x, dy, factor):
    """Return y and dx; what is not written stays NaN."""
    y, dx, before = np.full_like(dy, np.nan), np.full_like(x, np.nan), (x.copy(), dy.copy())
    getattr(version, mode)(y, x, factor)
    getattr(version, f"{mode}_backward")(dx, dy, factor)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(dy, before[1])
    return y, dx


def one_by_one(kernel, n, work, *args):
    """Like `over_samples`, as if there were n threads, the last one first."""
    for k in reversed(range(n)):
        kernel(k, k + 1, *args)


def test_versions_share_names_signatures_and_defaults():
    def public(module):
        found = {k: f for k, f in vars(module).items() if inspect.isfunction(f) and k[0] != "_"}
        return {k: inspect.signature(f) for k, f in found.items() if f.__module__ == module.__name__}

    assert public(cpu) == public(reference)
    assert set(public(cpu)) == {"nearest", "nearest_backward", "bilinear", "bilinear_backward"}


@modes
@given(case=cases())
@settings(max_examples=40, deadline=None)
def test_reference_is_its_matrix(mode, case):
    x, dy, factor = case
    a, b = (matrix(size, f, mode) for size, f in zip(x.shape[1:3], factor, strict=True))
    y, dx = run(reference, mode, *case)
    np.testing.assert_allclose(y, np.einsum("ph,nhwc,qw->npqc", a, x, b), rtol=0, atol=1e-14)
    np.testing.assert_allclose(dx, np.einsum("ph,npqc,qw->nhwc", a, dy, b), rtol=0, atol=1e-13)


@modes
@given(case=cases(dtypes=(np.float32, np.float64)), divided=st.booleans())
@settings(max_examples=50, deadline=None)
def test_cpu_is_the_reference(mode, case, divided):
    with mock.patch.object(cpu, "over_samples", one_by_one) if divided else nullcontext():
        for found, expected in zip(run(cpu, mode, *case), run(reference, mode, *case), strict=True):
            np.testing.assert_allclose(found, expected, rtol=0, atol=100 * np.finfo(expected.dtype).eps)


@modes
def test_cpu_is_the_reference_on_large_images(mode):
    rng = np.random.default_rng(0)
    case = rng.normal(size=(4, 20, 21, 16)), rng.normal(size=(4, 40, 63, 16)), (2, 3)
    for found, expected in zip(run(cpu, mode, *case), run(reference, mode, *case), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


@modes
@versions
@given(case=cases())
@settings(max_examples=30, deadline=None)
def test_maps_are_adjoint(mode, version, case):
    x, dy, _ = case
    y, dx = run(version, mode, *case)
    assert abs(np.vdot(y, dy) - np.vdot(x, dx)) <= 1e-14 * np.linalg.norm(x) * np.linalg.norm(dy)


@modes
def test_reference_goes_through_the_complex_step(mode):
    rng, h = np.random.default_rng(0), 1e-20
    x, dy, direction = rng.normal(size=(2, 3, 4, 2)), rng.normal(size=(2, 9, 8, 2)), rng.normal(size=(2, 3, 4, 2))
    _, dx = run(reference, mode, x, dy, (3, 2))
    step, _ = run(reference, mode, x + 1j * h * direction, dy + 0j, (3, 2))
    np.testing.assert_allclose(np.vdot(dx, direction), np.vdot(dy, step).imag / h, rtol=1e-13)


@modes
@versions
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_stays_visible(mode, version, bad):
    x, dy = np.ones((1, 4, 4, 2)), np.ones((1, 8, 8, 2))
    x[0, 1, 1, 0] = dy[0, 2, 2, 0] = bad
    y, dx = run(version, mode, x, dy, (2, 2))
    seen = ~np.isfinite(y)
    assert seen[0, 2:4, 2:4, 0].all()
    assert seen.sum() == (4 if mode == "nearest" else 16)
    seen = ~np.isfinite(dx)
    assert seen[0, 1, 1, 0]
    assert seen.sum() == (1 if mode == "nearest" else 4)


@modes
@pytest.mark.parametrize("factor", [(2, 3), (3, 1)])
def test_versions_agree_where_numbers_are_not_finite(mode, factor):
    # an odd factor meets the middles of pixels: their neighbours enter as 0 · inf
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(1, 4, 4, 2)), rng.normal(size=(1, 4 * factor[0], 4 * factor[1], 2))
    x[0, 1, 1, 0] = dy[0, 4, 2, 1] = np.inf
    with np.errstate(invalid="ignore"):
        for found, expected in zip(run(cpu, mode, x, dy, factor), run(reference, mode, x, dy, factor), strict=True):
            np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
