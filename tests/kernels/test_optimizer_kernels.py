"""Updates of a flat vector, and its norm: compiled against reference, and both against oracles."""

import inspect
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgan.kernels.optimizer import cpu, gpu, reference
from npgan.kernels.reduce import cpu as reduce_cpu
from npgan.kernels.reduce import gpu as reduce_gpu
from npgan.kernels.reduce import reference as reduce_reference

versions = pytest.mark.parametrize("version", [reference, cpu, gpu], ids=["reference", "cpu", "gpu"], indirect=True)
reduces = pytest.mark.parametrize(
    "version", [reduce_reference, reduce_cpu, reduce_gpu], ids=["reference", "cpu", "gpu"], indirect=True
)
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
#        name, moments, options before l2
RULES = [
    ("adam", 2, (0.9, 0.999, 1e-8, 2.5, 1.7, 0.01, 0.02)),
    ("rmsprop", 1, (0.99, 1e-8, 0.01, 0.5)),
    ("sgd", 0, (0.01, 0.5)),
    ("momentum", 1, (0.9, False, 0.01, 0.5)),
    ("momentum", 1, (0.9, True, 0.01, 0.5)),
]
rules = pytest.mark.parametrize(("name", "moments", "options"), RULES)


def public(module):
    own = {name: f for name, f in vars(module).items() if inspect.isfunction(f) and f.__module__ == module.__name__}
    return {name: inspect.signature(f) for name, f in own.items() if name[0] != "_"}


def test_versions_share_names_signatures_and_defaults():
    assert public(cpu) == public(reference)
    assert public(reduce_cpu) == public(reduce_reference)
    assert len(public(cpu)) == 14


def norm_of(reduce, x):
    return reduce.norm(np.full(reduce.workspace(x.size), np.nan), x)


def step(version, name, theta, *args):
    """Run a step with memory that holds nothing of use."""
    getattr(version, f"{name}_step")(theta, np.full(version.workspace(), np.nan, theta.dtype), *args)


def vectors(seed, size, count, dtype):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=size).astype(dtype) for _ in range(count)]


@rules
@dtypes
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 70))
@settings(max_examples=10, deadline=None)
def test_compiled_equals_reference(name, moments, options, dtype, seed, size):
    theta, g, *saved = vectors(seed, size, 2 + moments, dtype)
    saved = [np.abs(s) for s in saved]
    eps = np.finfo(dtype).eps
    found = {}
    for version in (reference, cpu):
        ours = [s.copy() for s in saved]
        d = np.full_like(theta, np.nan)
        getattr(version, f"{name}_direction")(d, *ours, g, theta, *options)
        stepped, moved = theta.copy(), [s.copy() for s in saved]
        step(version, name, stepped, *moved, g, 0.1, *options)
        bare = np.full_like(theta, np.nan)
        getattr(version, f"{name}_direction")(bare, *[s.copy() for s in saved], g, None, *options)
        found[version] = [d, stepped, bare, *ours, *moved]
    scale = 1 + np.abs(found[reference][0])
    for left, right in zip(found[reference], found[cpu], strict=True):
        assert left.dtype == right.dtype == dtype
        assert (np.abs(left - right) <= 8 * eps * scale).all()


@rules
def test_reference_is_complex_analytic(name, moments, options):
    theta, g, *saved = vectors(3, 9, 2 + moments, np.float64)
    saved = [np.abs(s) for s in saved]
    along = np.random.default_rng(4).normal(size=9)

    def stepped(x):
        out = theta.astype(x.dtype)
        step(reference, name, out, *[s.astype(x.dtype) for s in saved], x, 0.1, *options)
        return out

    exact = stepped(g + 1e-20j * along).imag / 1e-20
    central = (stepped(g + 1e-6 * along) - stepped(g - 1e-6 * along)) / 2e-6
    np.testing.assert_allclose(exact, central, rtol=1e-6, atol=1e-8)


@versions
@rules
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_come_out(version, name, moments, options, bad):
    g, *saved = vectors(5, 4, 1 + moments, np.float32)
    saved = [np.abs(s) for s in saved]
    g[2] = bad
    d = np.zeros_like(g)
    with np.errstate(invalid="ignore"):
        getattr(version, f"{name}_direction")(d, *saved, g, None, *options)
    assert np.isfinite(d[[0, 1, 3]]).all()
    assert all(not np.isfinite(s[2]) for s in saved)
    # Inf / sqrt(Inf^2) is NaN
    assert not np.isfinite(d[2])


@versions
@dtypes
def test_average_clip_scale_and_descend(version, dtype):
    mean, theta = np.array([1, 2, 3], dtype), np.array([3, 2, -1], dtype)
    version.average(mean, theta, 0.25)
    np.testing.assert_array_equal(mean, np.array([1.5, 2, 2], dtype))
    version.average(mean, theta, 1.0)
    np.testing.assert_array_equal(mean, theta)
    x = np.array([-np.inf, -2, -0.5, 0, 0.5, 2, np.inf, np.nan], dtype)
    version.clip(x, 0.5)
    np.testing.assert_array_equal(x, np.array([-0.5, -0.5, -0.5, 0, 0.5, 0.5, 0.5, np.nan], dtype))
    version.scale(theta, -2.0)
    np.testing.assert_array_equal(theta, np.array([-6, -4, 2], dtype))
    version.descend(theta, np.array([1, 2, 4], dtype), 0.5)
    np.testing.assert_array_equal(theta, np.array([-6.5, -5, 0], dtype))


@reduces
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(0, 20_000), dtype=st.sampled_from([np.float32, np.float64]))
@settings(max_examples=15, deadline=None)
def test_norm_is_the_norm(version, seed, size, dtype):
    (x,) = vectors(seed, size, 1, dtype)
    assert norm_of(version, x) == pytest.approx(math.sqrt(math.fsum(float(v) ** 2 for v in x)), rel=1e-13)
    assert norm_of(version, x[::-2]) == pytest.approx(math.sqrt(math.fsum(float(v) ** 2 for v in x[::-2])), rel=1e-13)


@reduces
@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (np.array([3e38, 3e38], np.float32), 3e38 * math.sqrt(2)),
        (np.array([1e-40, 1e-40], np.float32), 1e-40 * math.sqrt(2)),
        (np.array([3e200, 4e200]), 5e200),
        (np.array([3e-200, 4e-200]), 5e-200),
        (np.array([1.7e308]), 1.7e308),
        (np.array([5e-324, 0.0]), 5e-324),
        (np.zeros(3), 0.0),
        (np.array([1.0, np.inf, 1e300]), np.inf),
        (np.array([1.0, np.nan]), np.nan),
        (np.array([np.inf, np.nan]), np.nan),
    ],
)
def test_norm_neither_overflows_nor_vanishes(version, x, expected):
    if getattr(version, "flushes", False) and x.dtype == np.float32 and expected < 1e-38:
        pytest.skip("CuPy has such numbers taken for 0 on a GPU")
    with np.errstate(all="raise", under="ignore"):
        assert norm_of(version, x) == pytest.approx(
            expected, rel=2e-5 if expected == 1e-40 * math.sqrt(2) else 1e-7, nan_ok=True
        )


def test_any_number_of_threads_gives_the_same_bits(monkeypatch):
    x, g, m, v = vectors(0, 100_003, 4, np.float32)
    results = []
    for threads in (1, 2, 3):
        monkeypatch.setattr("npgan.backend.threads.thread_count", lambda threads=threads: threads)
        theta, ours = x.copy(), [m.copy(), np.abs(v)]
        step(cpu, "adam", theta, *ours, g, 0.1, 0.9, 0.999, 1e-8, 1.0, 1.0, 0.0, 0.0)
        results.append((norm_of(reduce_cpu, x), theta.tobytes(), ours[1].tobytes()))
    assert results[0] == results[1] == results[2]


@rules
@dtypes
def test_a_step_has_the_bits_of_a_direction_that_is_applied(name, moments, options, dtype):
    theta, g, *saved = vectors(11, 5_003, 2 + moments, dtype)  # more than a block
    saved = [np.abs(s) for s in saved]
    stepped, moved = theta.copy(), [s.copy() for s in saved]
    step(cpu, name, stepped, *moved, g, 0.1, *options)
    d = np.empty_like(theta)
    getattr(cpu, f"{name}_direction")(d, *saved, g, theta, *options)
    cpu.descend(theta, d, 0.1)
    np.testing.assert_array_equal(stepped, theta)


@reduces
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 3000), dtype=st.sampled_from([np.float32, np.float64]))
@settings(max_examples=15, deadline=None)
def test_mean_is_the_mean(version, seed, size, dtype):
    (x,) = vectors(seed, size, 1, dtype)
    for array in (x, x[::-2], x.reshape(-1, 1)):
        expected = math.fsum(float(v) for v in array.reshape(-1)) / array.size
        assert version.mean(array) == pytest.approx(expected, rel=1e-12, abs=1e-14)
    x[0] = np.nan
    assert math.isnan(version.mean(x))


@reduces
def test_a_mean_in_float32_is_summed_in_float64(version):
    x = np.full(100_000, 0.1, np.float32)
    x[0] = 1e6
    assert version.mean(x) == pytest.approx(math.fsum(float(v) for v in x) / x.size, rel=1e-12)


@pytest.mark.parametrize("version", [reference, cpu])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("norm", "factor"), [(0.0, 1), (2.0, 1), (2.0000001, 2 / 2.0000001), (7.0, 2 / 7), (math.inf, 1), (math.nan, 1)]
)
def test_a_norm_is_limited_where_it_is_finite_and_too_large(version, dtype, norm, factor):
    x = np.linspace(-3, 5, 9).astype(dtype)
    expected = x * np.asarray(factor, dtype)
    version.limit(x, norm, 2.0)
    np.testing.assert_array_equal(x, expected)


@reduces
def test_collected_numbers_and_how_often_one_is_not_finite(version):
    out = np.zeros(4)
    version.collect(out, [1.0, np.float64(2.0), np.array(3.0)])
    np.testing.assert_array_equal(out, [0, 1, 2, 3])
    version.collect(out, [1.0, math.nan, 3.0])
    version.collect(out, [math.inf, -math.inf, 4.0])
    np.testing.assert_array_equal(out, [2, math.inf, -math.inf, 4])
    version.collect(out[:2], [5.0])
    np.testing.assert_array_equal(out, [2, 5, -math.inf, 4])
