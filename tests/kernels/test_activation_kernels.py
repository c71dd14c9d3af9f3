"""Element-wise functions: reference against oracles and the complex step, compiled against reference."""

import inspect
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from npgan.kernels.activation import cpu, gpu, reference

# name, options, the function as its paper writes it (for moderate x)
CASES = [
    ("relu", (), lambda x: np.maximum(x, 0)),
    ("leaky_relu", (0.2,), lambda x: np.maximum(x, 0) + 0.2 * np.minimum(x, 0)),
    ("leaky_relu", (0.0,), lambda x: np.maximum(x, 0)),
    ("elu", (1.0,), lambda x: np.maximum(x, 0) + np.exp(np.minimum(x, 0)) - 1),
    ("elu", (0.3,), lambda x: np.maximum(x, 0) + 0.3 * (np.exp(np.minimum(x, 0)) - 1)),
    ("tanh", (), lambda x: 2 * special.expit(2 * x) - 1),
    ("sigmoid", (), special.expit),
    ("softplus", (), lambda x: -special.log_expit(-x)),
]
CURVED = {"elu", "tanh", "sigmoid", "softplus"}  # the others are piecewise linear
NAMES = sorted({name for name, _, _ in CASES})
cases = pytest.mark.parametrize(("name", "options", "oracle"), CASES, ids=[f"{c[0]}{c[1]}" for c in CASES])
curved = pytest.mark.parametrize(
    ("name", "options"),
    [c[:2] for c in CASES if c[0] in CURVED],
    ids=[f"{c[0]}{c[1]}" for c in CASES if c[0] in CURVED],
)
versions = pytest.mark.parametrize("version", [reference, cpu, gpu], ids=["reference", "cpu", "gpu"], indirect=True)


def run(version, name, x, *options):
    y = np.empty_like(x)
    getattr(version, name)(y, x, *options)
    return y


def run_backward(version, name, dy, y, *options):
    dx = np.empty_like(dy)
    getattr(version, f"{name}_backward")(dx, dy, y, *options)
    return dx


def run_rbackward(version, name, rdy, dy, rx, y, *options):
    rdx = np.full_like(dy, np.nan)
    getattr(version, f"{name}_rbackward")(rdx, rdy, dy, rx, y, *options)
    return rdx


def test_versions_share_names_and_signatures():
    def public(module):
        functions = {n: f for n, f in vars(module).items() if inspect.isfunction(f) and f.__module__ == module.__name__}
        return {n: inspect.signature(f) for n, f in functions.items() if n[0] != "_"}

    assert public(cpu) == public(reference)
    backward, rbackward = (f"{name}_backward" for name in NAMES), (f"{name}_rbackward" for name in CURVED)
    assert sorted(public(reference)) == sorted([*NAMES, *backward, *rbackward])


@cases
def test_reference_is_the_function(name, options, oracle):
    x = np.linspace(-30, 30, 6001)
    np.testing.assert_allclose(run(reference, name, x, *options), oracle(x), rtol=1e-14, atol=1e-15)


@cases
def test_backward_is_the_complex_step_of_the_reference(name, options, oracle):
    x = np.linspace(-29.9, 30, 600)  # no kink among them
    dy = np.random.default_rng(0).normal(size=x.shape)
    slope = run(reference, name, x + 1e-20j, *options).imag / 1e-20
    y = run(reference, name, x, *options)
    # (y + alpha of elu and 1 - y of sigmoid are absolute: they round at the size of y)
    np.testing.assert_allclose(run_backward(reference, name, dy, y, *options), dy * slope, rtol=1e-12, atol=1e-15)


@curved
def test_rbackward_is_the_complex_step_of_backward(name, options):
    x = np.linspace(-29.9, 30, 600)
    rdy, dy, rx = np.random.default_rng(0).normal(size=(3, *x.shape))
    h = 1e-20
    stepped = run(reference, name, x + 1j * h * rx, *options)
    slope = run_backward(reference, name, dy + 1j * h * rdy, stepped, *options).imag / h
    found = run_rbackward(reference, name, rdy, dy, rx, stepped.real.copy(), *options)
    # y rounds at its own size, so 1 - y does too, and y + alpha; complex tanh, four roundings, is off by 2 epsilon.
    size = np.abs(rdy) + 2 * np.abs(rx * dy)
    assert (np.abs(found - slope) <= 1e-13 * np.abs(slope) + 4 * np.finfo(float).eps * size).all()


@curved
@given(shape=st.lists(st.integers(1, 7), min_size=1, max_size=4).map(tuple), seed=st.integers(0, 2**32 - 1))
def test_compiled_rbackward_is_the_reference(name, options, shape, seed):
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.uniform(-3, 3)
    for dtype in (np.float32, np.float64):
        y = run(reference, name, (scale * rng.normal(size=shape)).astype(dtype), *options)
        arrays = rng.normal(size=(3, *shape)).astype(dtype)
        before = arrays.copy(), y.copy()
        found = run_rbackward(cpu, name, *arrays, y, *options)
        ulp = np.finfo(dtype).eps
        size = 1 + np.abs(arrays[0]) + np.abs(arrays[1] * arrays[2])
        expected = run_rbackward(reference, name, *arrays, y, *options)
        assert found.dtype == dtype
        assert (np.abs(found - expected) <= 8 * ulp * size).all()
        assert np.array_equal(arrays, before[0])
        assert np.array_equal(y, before[1])


@cases
@given(shape=st.lists(st.integers(1, 7), min_size=1, max_size=4).map(tuple), seed=st.integers(0, 2**32 - 1))
def test_compiled_is_the_reference(name, options, oracle, shape, seed):
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.uniform(-3, 3)
    for dtype in (np.float32, np.float64):
        x, dy = (scale * rng.normal(size=shape)).astype(dtype), rng.normal(size=shape).astype(dtype)
        before = x.copy(), dy.copy()
        y = run(reference, name, x, *options)
        ulp = np.finfo(dtype).eps
        tolerances = {"rtol": 8 * ulp, "atol": 2 * ulp}
        np.testing.assert_allclose(run(cpu, name, x, *options), y, **tolerances)
        dx = run_backward(cpu, name, dy, y, *options)
        np.testing.assert_allclose(dx, run_backward(reference, name, dy, y, *options), **tolerances)
        assert np.array_equal(x, before[0])
        assert np.array_equal(dy, before[1])


@versions
@cases
def test_threads_cover_every_element(version, name, options, oracle, monkeypatch):
    monkeypatch.setattr("npgan.backend.threads.thread_count", lambda: 3)
    x = np.linspace(-5, 5, 100_003)
    y = run(version, name, x, *options)
    np.testing.assert_allclose(y, oracle(x), rtol=1e-13, atol=1e-15)
    dx = run_backward(version, name, np.ones_like(x), y, *options)
    assert np.isfinite(dx).all()
    if name in CURVED:
        rdx = run_rbackward(version, name, np.ones_like(x), np.zeros_like(x), x, y, *options)
        np.testing.assert_allclose(rdx, dx, rtol=1e-14)


@versions
@curved
def test_rbackward_far_out_in_float32(version, name, options):
    """No overflow, and phi'' is exactly 0 far out, at |x| to 1e4."""
    x = np.array([-1e4, -1e3, -120, 120, 1e3, 1e4], np.float32)
    zero, one = np.zeros_like(x), np.ones_like(x)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y = run(version, name, x, *options)
        bend = run_rbackward(version, name, zero, one, one, y, *options)
        slope = run_rbackward(version, name, one, zero, one, y, *options)
    np.testing.assert_allclose(bend, 0, atol=1e-7)
    right = {"tanh": 0, "sigmoid": 0}.get(name, 1)
    np.testing.assert_allclose(slope, [0] * 3 + [right] * 3, atol=1e-7)


@versions
@cases
def test_far_out_in_float32(version, name, options, oracle):
    """No overflow, and the limits are exact, at |x| to 1e4."""
    x = np.array([-1e4, -1e3, -104, -88, 88, 104, 1e3, 1e4], np.float32)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y = run(version, name, x, *options)
        dx = run_backward(version, name, np.ones_like(x), y, *options)
    np.testing.assert_allclose(y, oracle(x.astype(np.float64)), rtol=1e-6, atol=1e-37)
    right = {"tanh": 0, "sigmoid": 0}.get(name, 1)
    left = options[0] if name == "leaky_relu" else 0
    np.testing.assert_allclose(dx, [left] * 4 + [right] * 4, atol=1e-7)


@versions
def test_small_tails_keep_their_relative_accuracy(version):
    x = np.array([-1e-9, 1e-9, -30.0, -200.0])
    e = np.exp(x[2:])
    np.testing.assert_allclose(run(version, "elu", x, 1.0)[:2], x[:2], rtol=1e-8)
    for name in ("sigmoid", "softplus"):
        y = run(version, name, x)
        np.testing.assert_allclose(y[2:], e, rtol=1e-12)
        np.testing.assert_allclose(run_backward(version, name, np.ones(4), y)[2:], e, rtol=1e-12)


LIMITS = {  # at -inf and inf: value, derivative
    "relu": ((0, math.inf), (0, 1)),
    "leaky_relu": ((-math.inf, math.inf), (0.2, 1)),
    "elu": ((-1, math.inf), (0, 1)),
    "tanh": ((-1, 1), (0, 0)),
    "sigmoid": ((0, 1), (0, 0)),
    "softplus": ((0, math.inf), (0, 1)),
}


@versions
@pytest.mark.parametrize("name", NAMES)
def test_infinity_and_nan(version, name):
    options = {"leaky_relu": (0.2,), "elu": (1.0,)}.get(name, ())
    for dtype in (np.float32, np.float64):
        y = run(version, name, np.array([-np.inf, np.inf, np.nan], dtype), *options)
        dx = run_backward(version, name, np.ones(3, dtype), y, *options)
        np.testing.assert_allclose(y, [*LIMITS[name][0], np.nan])
        np.testing.assert_allclose(dx, [*LIMITS[name][1], np.nan], rtol=1e-6)
        y = run(version, name, np.array([-3, 0, 3], dtype), *options)
        assert np.isnan(run_backward(version, name, np.full(3, np.nan, dtype), y, *options)).all()


@versions
@curved
def test_infinity_and_nan_in_rbackward(version, name, options):
    """Whichever is NaN, rdx is; at x = inf and -inf it is the limit."""
    for dtype in (np.float32, np.float64):
        y = run(version, name, np.array([-3, 0, 3], dtype), *options)
        for bad in range(4):
            arrays = [np.ones(3, dtype), np.ones(3, dtype), np.ones(3, dtype), y]
            arrays[bad] = np.full(3, np.nan, dtype)
            assert np.isnan(run_rbackward(version, name, *arrays, *options)).all()
        y = run(version, name, np.array([-np.inf, np.inf], dtype), *options)
        zero, one = np.zeros(2, dtype), np.ones(2, dtype)
        if name != "elu":
            np.testing.assert_allclose(run_rbackward(version, name, zero, one, one, y, *options), 0, atol=1e-7)
        np.testing.assert_allclose(
            run_rbackward(version, name, one, zero, one, y, *options), LIMITS[name][1], atol=1e-7
        )


@versions
def test_at_the_kink_the_derivative_is_the_left_one(version):
    zero, one = np.zeros(2), np.ones(2)
    zero[1] = -0.0
    for name, options, expected in (("relu", (), 0), ("leaky_relu", (0.2,), 0.2), ("elu", (0.3,), 0.3)):
        y = run(version, name, zero, *options)
        assert np.array_equal(run_backward(version, name, one, y, *options), expected * one)


def test_tanh_in_single_precision():
    x = np.concatenate([np.linspace(-10, 10, 200_001), np.logspace(-30, 2, 1000), [0.0, 0.625, -0.625]]).astype(
        "float32"
    )
    y = np.empty_like(x)
    cpu.tanh(y, x)
    truth = np.tanh(x.astype("float64"))
    assert (np.abs(y - truth) <= 2 * np.spacing(np.abs(truth).astype("float32"))).all()
    assert (np.abs(y) <= 1).all()
    x = np.array([np.inf, -np.inf, np.nan, 1e30, -1e30], "float32")
    y = np.empty_like(x)
    cpu.tanh(y, x)
    np.testing.assert_array_equal(y, np.array([1, -1, np.nan, 1, -1], "float32"))
