"""Pooling: the reference against loops over windows, the compiled version against the reference."""

import inspect
from contextlib import nullcontext
from itertools import product
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgan.kernels.pool import cpu, gpu, reference

versions = pytest.mark.parametrize("version", [reference, cpu, gpu], ids=["reference", "cpu", "gpu"], indirect=True)
MAPS = ("average", "average_backward", "maximum", "maximum_backward", "maximum_rforward")


class Case:
    """Random arrays of one geometry; few distinct values in x where ties are wanted."""

    def __init__(self, n, channels, size, kernel, stride, padding, seed, dtype=np.float64, ties=False):
        self.options = (kernel, stride, padding)
        draw = np.random.default_rng(seed)
        oh, ow = ((h + sum(p) - k) // s + 1 for h, k, s, p in zip(size, kernel, stride, padding, strict=True))
        x = draw.integers(-1, 2, (n, *size, channels)) if ties else draw.normal(size=(n, *size, channels))
        self.x = x.astype(dtype)
        self.dy = draw.normal(size=(n, oh, ow, channels)).astype(dtype)
        self.rx = draw.normal(size=self.x.shape).astype(dtype)

    def run(self, version):
        """Return the results of all maps; what is not written stays NaN or -9."""
        x, dy, rx = self.x.copy(), self.dy.copy(), self.rx.copy()
        y, dx = np.full_like(dy, np.nan), np.full_like(x, np.nan)
        best, dx_best, argmax = np.full_like(dy, np.nan), np.full_like(x, np.nan), np.full(dy.shape, -9, np.int32)
        version.average(y, x, *self.options)
        version.average_backward(dx, dy, *self.options)
        version.maximum(best, argmax, x, *self.options)
        kept = argmax.copy()
        version.maximum_backward(dx_best, dy, argmax, *self.options)
        ry_best = np.full_like(dy, np.nan)
        version.maximum_rforward(ry_best, rx, argmax)
        for a, b in ((x, self.x), (dy, self.dy), (rx, self.rx), (argmax, kept)):
            np.testing.assert_array_equal(a, b)  # no input is changed
        return {"y": y, "dx": dx, "best": best, "argmax": argmax, "dx_best": dx_best, "ry_best": ry_best}


@st.composite
def cases(draw, dtypes=(np.float64,)):
    def pair(low, high):
        return draw(st.tuples(st.integers(low, high), st.integers(low, high)))

    kernel, stride, more = pair(1, 4), pair(1, 4), pair(0, 5)
    padding = tuple((draw(st.integers(0, k - 1)), draw(st.integers(0, k - 1))) for k in kernel)
    size = tuple(max(1, k - sum(p)) + m for k, p, m in zip(kernel, padding, more, strict=True))
    n, channels, seed = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(0, 2**32 - 1))
    return Case(n, channels, size, kernel, stride, padding, seed, draw(st.sampled_from(dtypes)), draw(st.booleans()))


def loops(case):
    """The definition, window by window."""
    (kh, kw), (sh, sw), ((top, _), (left, _)) = case.options
    x, dy = case.x, case.dy
    found = {
        name: np.zeros_like(a) for name, a in (("y", dy), ("dx", x), ("best", dy), ("dx_best", x), ("ry_best", dy))
    }
    found["argmax"] = np.zeros(dy.shape, np.int32)
    for n, p, q, c in product(*map(range, dy.shape)):
        at = n, p, q, c
        rows, columns = range(p * sh - top, p * sh - top + kh), range(q * sw - left, q * sw - left + kw)
        inside = [(n, h, w, c) for h in rows for w in columns if 0 <= h < x.shape[1] and 0 <= w < x.shape[2]]
        for each in inside:
            found["y"][at] += x[each] / (kh * kw)
            found["dx"][each] += dy[at] / (kh * kw)
        winner = max(inside, key=lambda each: x[each])  # the first of equals
        found["best"][at] = x[winner]
        found["argmax"][at] = winner[1] * x.shape[2] + winner[2]
        found["dx_best"][winner] += dy[at]
        found["ry_best"][at] = case.rx[winner]
    return found


def one_by_one(kernel, n, work, *args):
    """Like `over_samples`, as if there were n threads, the last one first."""
    for k in reversed(range(n)):
        kernel(k, k + 1, *args)


def close(found, expected):
    assert found["argmax"].dtype == np.int32
    for name, value in expected.items():
        np.testing.assert_allclose(
            found[name], value, rtol=0, atol=50 * np.finfo(expected["y"].dtype).eps, err_msg=name
        )


def test_versions_share_names_signatures_and_defaults():
    def public(module):
        found = {k: f for k, f in vars(module).items() if inspect.isfunction(f) and k[0] != "_"}
        return {k: inspect.signature(f) for k, f in found.items() if f.__module__ == module.__name__}

    assert public(cpu) == public(reference)
    assert set(public(cpu)) == set(MAPS)


@given(cases())
@settings(max_examples=40, deadline=None)
def test_reference_is_the_definition(case):
    close(case.run(reference), loops(case))


@given(cases(dtypes=(np.float32, np.float64)), st.booleans())
@settings(max_examples=100, deadline=None)
def test_cpu_is_the_reference(case, divided):
    with mock.patch.object(cpu, "over_samples", one_by_one) if divided else nullcontext():
        close(case.run(cpu), case.run(reference))


@pytest.mark.parametrize("kernel", [(2, 2), (40, 40)])
def test_cpu_is_the_reference_on_large_images(kernel):
    case = Case(16, 16, (40, 40), kernel, kernel, ((0, 0), (0, 0)), seed=0)
    close(case.run(cpu), case.run(reference))


@versions
@given(case=cases())
@settings(max_examples=30, deadline=None)
def test_maps_are_adjoint(version, case):
    found = case.run(version)
    for y, dx in (("y", "dx"), ("best", "dx_best")):  # the maximum is linear while the winners stay
        size = np.linalg.norm(case.x) * np.linalg.norm(case.dy)
        assert abs(np.vdot(found[y], case.dy) - np.vdot(case.x, found[dx])) <= 1e-14 * size
    size = np.linalg.norm(case.rx) * np.linalg.norm(case.dy)
    assert abs(np.vdot(found["ry_best"], case.dy) - np.vdot(case.rx, found["dx_best"])) <= 1e-14 * size


def test_reference_goes_through_the_complex_step():
    case = Case(2, 3, (5, 6), (3, 2), (2, 1), ((1, 0), (1, 1)), seed=0)
    direction, h = case.rx, 1e-20
    moved = Case(2, 3, (5, 6), (3, 2), (2, 1), ((1, 0), (1, 1)), seed=0, dtype=np.complex128)
    moved.x = case.x + 1j * h * direction
    found, step = case.run(reference), moved.run(reference)
    for y, dx in (("y", "dx"), ("best", "dx_best")):
        expected = np.vdot(case.dy, step[y]).imag / h
        np.testing.assert_allclose(np.vdot(found[dx], direction), expected, rtol=1e-13)
    np.testing.assert_allclose(found["ry_best"], step["best"].imag / h, rtol=1e-15)


@versions
def test_what_is_not_finite_stays_visible(version):
    case = Case(2, 2, (4, 4), (2, 2), (2, 2), ((0, 0), (0, 0)), seed=0)
    nan = np.zeros(case.dy.shape, bool)
    for n, h, w, c in ((0, 0, 0, 0), (0, 0, 1, 0), (1, 3, 3, 1)):  # first and last of a window
        case.x[n, h, w, c] = np.nan
        nan[n, h // 2, w // 2, c] = True
    case.x[0, 3, 0, 0] = np.inf
    case.dy[1, 1, 0, 0] = np.nan
    case.rx[1, 3, 3, 1] = np.nan  # where a NaN of x wins
    found = case.run(version)
    np.testing.assert_array_equal(np.isnan(found["y"]), nan)
    np.testing.assert_array_equal(np.isnan(found["best"]), nan)
    assert found["best"][0, 1, 0, 0] == np.inf
    assert found["argmax"][0, 0, 0, 0] == 0  # the first NaN
    assert np.isnan(found["dx"][1, 2:, :2, 0]).all()
    assert np.isnan(found["dx_best"]).sum() == 1
    assert np.argwhere(np.isnan(found["ry_best"])).tolist() == [[1, 1, 1, 1]]


@versions
def test_padding_takes_no_part_in_the_maximum(version):
    case = Case(1, 1, (3, 3), (2, 2), (1, 1), ((1, 1), (1, 1)), seed=0)
    case.x[...] = -np.inf
    case.x[0, 2, 2, 0] = -5
    best = case.run(version)["best"][0, :, :, 0]
    assert (best[2:, 2:] == -5).all()
    assert (best[:2] == -np.inf).all()
