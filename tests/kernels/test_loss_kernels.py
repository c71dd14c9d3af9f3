"""The elementary functions of losses: reference against oracles, compiled against reference."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_expit

from npgan.kernels.loss import cpu, gpu, reference

CASES = [
    ("cross_entropy", (0.0,)),
    ("cross_entropy", (1.0,)),
    ("cross_entropy", (0.9,)),
    ("squared", (0.7,)),
    ("linear", ()),
    ("hinge", (1.0,)),
    ("hinge", (-1.0,)),
]
NAMES = ("cross_entropy", "squared", "linear", "hinge")
cases = pytest.mark.parametrize(("name", "options"), CASES)
versions = pytest.mark.parametrize("version", [reference, cpu, gpu], ids=["reference", "cpu", "gpu"], indirect=True)


def value_of(name, t, options):
    """The functions as their papers write them; float64, for moderate t."""
    if name == "cross_entropy":
        (p,) = options
        return -p * log_expit(t) - (1 - p) * log_expit(-t)
    if name == "squared":
        return (t - options[0]) ** 2
    return t if name == "linear" else np.maximum(0, 1 - options[0] * t)


def public(module):
    own = {name: f for name, f in vars(module).items() if inspect.isfunction(f) and f.__module__ == module.__name__}
    return {name: inspect.signature(f) for name, f in own.items() if name[0] != "_"}


def test_versions_share_names_signatures_and_defaults():
    ours = public(cpu)
    assert ours == public(reference)
    assert set(ours) == {*NAMES, *(f"{name}_curvature" for name in NAMES)}


@st.composite
def batches(draw, max_logit=50.0):
    """Logits (N, ...), perhaps strided; weights (N,) or None; a factor."""
    shape = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    t = rng.uniform(-max_logit, max_logit, (*shape[:-1], 2 * shape[-1]))
    t = t[..., ::2] if draw(st.booleans()) else np.ascontiguousarray(t[..., ::2])
    weights = rng.uniform(0, 2, shape[0]) if draw(st.booleans()) else None
    return t, weights, draw(st.sampled_from([1.0, -1.0, 1 / 7]))


@versions
@cases
@given(batch=batches())
@settings(max_examples=25, deadline=None)
def test_value_slope_and_curvature(version, name, options, batch):
    t, weights, factor = batch
    function, curvature = getattr(version, name), getattr(version, f"{name}_curvature")
    before = t.copy()
    weighted = factor * (1.0 if weights is None else weights.reshape(-1, *(1,) * (t.ndim - 1)))
    strided = np.full((*t.shape, 2), np.nan)
    slope = strided[..., 0]  # not contiguous
    found = function(slope, t, weights, factor, *options)
    assert found == pytest.approx(np.sum(weighted * value_of(name, t, options)), rel=1e-12, abs=1e-12)
    assert np.isnan(strided[..., 1]).all(), "wrote beside its output"
    h = 1e-5
    central = value_of(name, t + h, options) - value_of(name, t - h, options)
    away = np.abs(1 - np.abs(t)) > 2 * h if name == "hinge" else np.ones_like(t, bool)
    np.testing.assert_allclose(slope[away], (weighted * central / (2 * h))[away], rtol=1e-6, atol=1e-8)
    second = np.empty_like(t)
    curvature(second, t, weights, factor, *options)
    expected = {"cross_entropy": expit(t) * expit(-t), "squared": 2.0}.get(name, 0.0)
    np.testing.assert_allclose(second, weighted * expected * np.ones_like(t), rtol=1e-12, atol=0)
    np.testing.assert_array_equal(t, before)


@cases
@given(batch=batches())
@settings(max_examples=25, deadline=None)
def test_complex_step_through_the_reference(name, options, batch):
    t, weights, factor = batch
    h = 1e-20
    slope, second = np.empty_like(t), np.empty_like(t)
    getattr(reference, name)(slope, t, weights, factor, *options)
    getattr(reference, f"{name}_curvature")(second, t, weights, factor, *options)
    nudged = t.astype(complex)
    written = np.empty_like(nudged)
    for index in list(np.ndindex(t.shape))[:5]:
        nudged[index] += 1j * h
        step = getattr(reference, name)(written, nudged, weights, factor, *options).imag / h
        nudged[index] = t[index]
        assert step == pytest.approx(slope[index], rel=1e-12, abs=1e-300)
    getattr(reference, name)(written, t + 1j * h, weights, factor, *options)
    np.testing.assert_allclose(written.imag / h, second, rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(written.real, slope, rtol=1e-12, atol=1e-300)


@versions
@pytest.mark.parametrize("target", [0.0, 0.9, 1.0])
def test_cross_entropy_is_accurate_at_any_logit_in_float32(version, target):
    big = np.logspace(-6, 4, 101)
    t = np.concatenate([-big, [0.0], big]).astype(np.float32)
    wide = t.astype(np.float64)
    value = -target * log_expit(wide) - (1 - target) * log_expit(-wide)
    slope = -target * expit(-wide) + (1 - target) * expit(wide)
    tiny = 1.2e-38  # float32 has no full precision below
    for i in range(t.size):
        written, second = np.empty(1, np.float32), np.empty(1, np.float32)
        with np.errstate(all="raise", under="ignore"):
            found = version.cross_entropy(written, t[i : i + 1], None, 1.0, target)
            version.cross_entropy_curvature(second, t[i : i + 1], None, 1.0, target)
        assert found == pytest.approx(value[i], rel=1e-6, abs=tiny)
        assert written[0] == pytest.approx(slope[i], rel=2e-6, abs=max(tiny, 1.2e-7 * (0 < target < 1)))
        assert second[0] == pytest.approx(expit(wide[i]) * expit(-wide[i]), rel=1e-6, abs=tiny)


@cases
@given(batch=batches(1e4))
@settings(max_examples=25, deadline=None)
def test_float32_compiled_equals_reference(name, options, batch):
    t, weights, factor = batch
    t = t.astype(np.float32)
    weights = None if weights is None else weights.astype(np.float32)
    slopes = [np.empty_like(t), np.empty_like(t)]
    found = [getattr(v, name)(s, t, weights, factor, *options) for v, s in zip((reference, cpu), slopes, strict=True)]
    size = float(np.sum(np.abs(value_of(name, t.astype(float), options))))
    assert found[1] == pytest.approx(found[0], rel=1e-5, abs=1e-6 * size + 1e-38)
    scale = np.abs(slopes[0]).max()
    np.testing.assert_allclose(slopes[1], slopes[0], rtol=1e-5, atol=1e-6 * scale + 1e-38)


@versions
@cases
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan_and_infinity_come_out(version, name, options, bad, dtype):
    t = np.array([0.5, bad, -0.5], dtype)
    slope = np.zeros(3, dtype)
    with np.errstate(invalid="ignore"):
        value = getattr(version, name)(slope, t, None, 1.0, *options)
    assert not np.isfinite(value)
    assert np.isfinite(slope[[0, 2]]).all()
    if np.isnan(bad) and name != "linear":  # whose slope does not depend on t
        assert np.isnan(slope[1])


@versions
def test_hinge_at_its_kink_has_slope_and_curvature_0(version):
    for sign in (1.0, -1.0):
        slope, second = np.full(1, np.nan), np.full(1, np.nan)
        assert version.hinge(slope, np.array([sign]), None, 1.0, sign) == 0
        version.hinge_curvature(second, np.array([sign]), None, 1.0, sign)
        assert slope[0] == 0
        assert second[0] == 0


@versions
@cases
def test_slope_may_overwrite_the_logits(version, name, options):
    t = np.linspace(-3, 3, 12).reshape(4, 3)
    slope, inplace, weights = np.empty_like(t), t.copy(), np.arange(4.0)
    value = getattr(version, name)(slope, t, weights, 0.5, *options)
    assert getattr(version, name)(inplace, inplace, weights, 0.5, *options) == value
    np.testing.assert_array_equal(inplace, slope)


def test_any_number_of_threads_gives_the_same_bits(monkeypatch):
    t = np.random.default_rng(0).normal(size=(64, 1024)).astype(np.float32)
    results = []
    for threads in (1, 2, 3):
        monkeypatch.setattr("npgan.backend.threads.thread_count", lambda threads=threads: threads)
        slope = np.empty_like(t)
        results.append((cpu.cross_entropy(slope, t, None, 1.0, 0.9), slope.tobytes()))
    assert results[0] == results[1] == results[2]


def test_the_reference_curvature_is_analytic_too():
    # A penalty's Hessian product is a complex step through the R-maps, and so through the curvature.
    t = np.linspace(-30, 30, 41)
    written = np.empty(t.shape, complex)
    reference.cross_entropy_curvature(written, t + 1e-20j, None, 1.0, 0.9)
    third = expit(t) * expit(-t) * (expit(-t) - expit(t))
    np.testing.assert_allclose(written.imag / 1e-20, third, rtol=1e-12, atol=1e-300)
