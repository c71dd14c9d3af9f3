"""Normalisation: reference against loops and the complex step, compiled against reference."""

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgan.kernels.moments import BLOCK, blocks, measure
from npgan.kernels.normalization import cpu, gpu, reference
from npgan.kernels.normalization import cpu_channels as channels

EPS = 1e-5
versions = pytest.mark.parametrize("version", [reference, cpu, gpu], ids=["reference", "cpu", "gpu"], indirect=True)
compiled = pytest.mark.parametrize("version", [cpu, gpu], ids=["cpu", "gpu"], indirect=True)


def statistics(version, x):
    mean, var = np.empty((2, x.shape[0], x.shape[2]), x.dtype)
    version.statistics(mean, var, np.empty(version.workspace(x.shape)), x)
    return mean, var


def forward(version, x, gain, bias):
    mean, var = statistics(version, x)
    inv_std = 1 / np.sqrt(var + x.dtype.type(EPS))
    y = np.empty_like(x)
    version.normalize(y, np.full(version.workspace(x.shape), np.nan), x, mean, inv_std, gain, bias)
    return y, mean, inv_std


def backward(version, dy, x, mean, inv_std, gain, constant=False, into=None):
    dx, (dgain, dbias) = np.empty_like(x), (None, None)
    if gain is not None:
        dgain, dbias = np.full((2, *gain.shape), np.nan, x.dtype) if into is None else into.copy()
    scratch = np.full(version.workspace(x.shape), np.nan)
    version.backward(dx, dgain, dbias, scratch, dy, x, mean, inv_std, gain, constant, into is not None)
    return dx, dgain, dbias


def rmaps(version, rdy, dy, rx, x, mean, inv_std, gain, rgain=None, rbias=None, constant=False, into=None):
    ry, rdx, (rdgain, rdbias) = np.full_like(x, np.nan), np.full_like(x, np.nan), (None, None)
    if gain is not None:
        rdgain, rdbias = np.full((2, *gain.shape), np.nan, x.dtype) if into is None else into.copy()
    saved = x, mean, inv_std, gain
    version.rforward(ry, np.full(version.rworkspace(x.shape), np.nan), rx, *saved, rgain, rbias, constant)
    scratch = np.full(version.rworkspace(x.shape), np.nan)
    version.rbackward(rdx, rdgain, rdbias, scratch, rdy, dy, rx, *saved, rgain, constant, into is not None)
    return ry, rdx, rdgain, rdbias


@st.composite
def problems(draw):
    """x (G, R, C), gain (P, C) or None, in float64, and a generator."""
    kind = draw(st.sampled_from(["channel", "element", "none"]))
    g, r, c = (draw(st.integers(low, 6)) for low in (1, 2, 1))
    c = 1 if kind == "element" else c
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = draw(st.sampled_from([0.0, 3.0, 100.0])) + rng.normal(size=(g, r, c))
    gain = None if kind == "none" else rng.normal(size=(r if kind == "element" else 1, c))
    return x, gain, rng


def test_versions_share_names_and_signatures():
    def public(module):
        functions = {n: f for n, f in vars(module).items() if inspect.isfunction(f) and f.__module__ == module.__name__}
        return {n: inspect.signature(f) for n, f in functions.items() if n[0] != "_"}

    assert public(cpu) == public(reference)


@versions
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("groups", [1, 3])
def test_settling(version, groups, dtype):
    rng = np.random.default_rng(0)
    var, mean = np.abs(rng.normal(size=(2, groups, 37))).astype(dtype)
    running_mean, running_var = rng.normal(size=(2, 37)).astype(dtype)
    var[0, 5] = np.nan
    few = {"rtol": 4 * np.finfo(dtype).eps, "atol": 4 * np.finfo(dtype).eps}
    inv_std, expected = var.copy(), 1 / np.sqrt(var.astype(float) + 0.01)
    version.settle(inv_std, mean, 0.01)
    np.testing.assert_allclose(inv_std, expected, **few)
    if groups > 1:
        return
    moved_mean, moved_var, inv_std = 0.7 * running_mean + 0.3 * mean[0], 0.7 * running_var + 0.36 * var[0], var.copy()
    before = mean.copy()
    version.settle(inv_std, mean, 0.01, running_mean, running_var, 0.3, 1.2)
    np.testing.assert_allclose(inv_std, expected, **few)
    np.testing.assert_allclose(running_mean, moved_mean, **few)
    np.testing.assert_allclose(running_var, moved_var, **few)
    np.testing.assert_array_equal(mean, before)


@versions
@given(problem=problems())
def test_forward_is_the_formula_in_loops(version, problem):
    x, gain, rng = problem
    bias = None if gain is None else rng.normal(size=gain.shape)
    y, mean, inv_std = forward(version, x, gain, bias)
    for g, c in np.ndindex(mean.shape):
        column = [float(v) for v in x[g, :, c]]
        m = sum(column) / len(column)
        std = (sum((v - m) ** 2 for v in column) / len(column) + EPS) ** 0.5
        np.testing.assert_allclose([mean[g, c], inv_std[g, c]], [m, 1 / std], rtol=1e-10)
        for r, v in enumerate(column):
            p = 0 if gain is None or gain.shape[0] == 1 else r
            expected = (v - m) / std if gain is None else (v - m) / std * gain[p, c] + bias[p, c]
            np.testing.assert_allclose(y[g, r, c], expected, rtol=1e-9, atol=1e-9)


@versions
@given(problem=problems())
def test_backward_is_the_complex_step_of_the_reference(version, problem):
    x, gain, rng = problem
    dy, vx = rng.normal(size=(2, *x.shape))
    _, mean, inv_std = forward(version, x, gain, gain)
    dx, dgain, dbias = backward(version, dy, x, mean, inv_std, gain)
    found = (dx * vx).sum()
    h = 1e-20j
    if gain is None:
        y, *_ = forward(reference, x + h * vx, None, None)
    else:
        vgain, vbias = rng.normal(size=(2, *gain.shape))
        found += (dgain * vgain).sum() + (dbias * vbias).sum()
        y, *_ = forward(reference, x + h * vx, gain + h * vgain, gain + h * vbias)
    slope = dy * y.imag / 1e-20
    # Rounding of x - mean comes in by the offset of x, over the spread of a column.
    scale = np.abs(slope).sum() + np.abs(dx * vx).sum() + (np.abs(dy) * inv_std[:, None] * np.abs(vx)).sum()
    offset = 1 + (np.abs(mean) * inv_std).max()
    np.testing.assert_allclose(found, slope.sum(), rtol=0, atol=1e-14 * scale * offset)


@compiled
@given(problem=problems(), constant=st.booleans())
def test_compiled_is_the_reference(version, problem, constant):
    x, gain, rng = problem
    for dtype in (np.float32, np.float64):
        x, dy = x.astype(dtype), rng.normal(size=x.shape).astype(dtype)
        gain = bias = into = None if gain is None else gain.astype(dtype)
        if gain is not None:
            bias = rng.normal(size=gain.shape).astype(dtype)
            into = rng.normal(size=(2, *gain.shape)).astype(dtype)
        arrays = [a for a in (x, dy, gain, bias) if a is not None]
        before = [a.copy() for a in arrays]
        saved = forward(reference, x, gain, bias)
        eps = np.finfo(dtype).eps
        # Rounding of the mean, in units of the spread.
        tolerance = 30 * eps * (1 + (np.abs(saved[1]) * saved[2]).max()) * (1 + saved[2].max())
        for found, expected in zip(forward(version, x, gain, bias), saved, strict=True):
            np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
        for add_to in (None, into):
            expected = backward(reference, dy, x, *saved[1:], gain, constant, add_to)
            found = backward(version, dy, x, *saved[1:], gain, constant, add_to)
            for f, e in zip(found, expected, strict=True):
                if e is None:
                    assert f is None
                    continue
                assert f.dtype == dtype
                np.testing.assert_allclose(f, e, rtol=tolerance, atol=tolerance * (1 + np.abs(e).max()))
        for array, copy in zip(arrays, before, strict=True):
            assert np.array_equal(array, copy)


@versions
@given(problem=problems(), eps=st.sampled_from([1e-5, 0.5]), constant=st.booleans())
def test_rmaps_are_the_complex_step_of_the_reference(version, problem, eps, constant):
    x, gain, rng = problem
    x, h = x - x.mean(), 1e-20j  # the offset is tested by the compiled versions
    dy, rx, rdy = rng.normal(size=(3, *x.shape))
    rgain, rbias = (None, None) if gain is None else rng.normal(size=(2, *gain.shape))
    wide, wide_gain = x + h * rx, None if gain is None else gain + h * rgain
    mean, var = statistics(reference, x if constant else wide)
    inv_std, y = 1 / np.sqrt(var + eps), np.empty_like(wide)
    reference.normalize(y, np.empty(0), wide, mean, inv_std, wide_gain, None if gain is None else gain + h * rbias)
    stepped = y, *backward(reference, dy + h * rdy, wide, mean, inv_std, wide_gain, constant)
    found = rmaps(version, rdy, dy, rx, x, mean.real.copy(), inv_std.real.copy(), gain, rgain, rbias, constant)
    spread = 1 + inv_std.real.max() ** 2  # of two values that almost agree
    for f, e in zip(found, stepped, strict=True):
        assert (f is None) == (e is None)
        if f is not None:
            np.testing.assert_allclose(f, e.imag / 1e-20, rtol=0, atol=1e-13 * spread * (1 + np.abs(f).max()))


@compiled
@given(problem=problems(), constant=st.booleans(), still=st.booleans())
def test_compiled_rmaps_are_the_reference(version, problem, constant, still):
    x, gain, rng = problem
    for dtype in (np.float32, np.float64):
        x = x.astype(dtype)
        rdy, dy, rx = rng.normal(size=(3, *x.shape)).astype(dtype)
        rgain = rbias = into = None
        if gain is not None:
            gain = gain.astype(dtype)
            into = rng.normal(size=(2, *gain.shape)).astype(dtype)
            if not still:
                rgain, rbias = rng.normal(size=(2, *gain.shape)).astype(dtype)
        saved = forward(reference, x, gain, gain)[1:]
        arrays = [a for a in (rdy, dy, rx, x, *saved, gain, rgain, rbias) if a is not None]
        before = [a.copy() for a in arrays]
        spread = 1 + float(saved[1].max()) ** 2
        offset = 1 + (np.abs(saved[0]) * saved[1]).max()
        for add_to in (None, into):
            given_arrays = rdy, dy, rx, x, *saved, gain, rgain, rbias, constant, add_to
            for f, e in zip(rmaps(version, *given_arrays), rmaps(reference, *given_arrays), strict=True):
                assert (f is None) == (e is None)
                if f is not None:
                    assert f.dtype == dtype
                    atol = 30 * np.finfo(dtype).eps * spread * offset * (1 + np.abs(e).max())
                    np.testing.assert_allclose(f, e, rtol=0, atol=atol)
        for array, copy in zip(arrays, before, strict=True):
            assert np.array_equal(array, copy)


@versions
@pytest.mark.parametrize("kind", ["channel", "element"])
def test_rmaps_accumulate_and_compute_what_is_wanted(version, kind):
    rng = np.random.default_rng(1)
    x, dy, rx, rdy = rng.normal(size=(4, 3, 5, 1 if kind == "element" else 4))
    gain, rgain, rbias = rng.normal(size=(3, 5, 1) if kind == "element" else (3, 1, 4))
    saved = x, *forward(version, x, gain, gain)[1:], gain
    _, rdx, *weights = rmaps(version, rdy, dy, rx, *saved, rgain, rbias)
    into = rng.normal(size=(2, *gain.shape))
    *_, added_gain, added_bias = rmaps(version, rdy, dy, rx, *saved, rgain, rbias, into=into)
    np.testing.assert_allclose([added_gain, added_bias], into + weights, rtol=1e-13)
    scratch, alone = np.empty(version.rworkspace(x.shape)), np.empty_like(rdx)
    version.rbackward(alone, None, None, scratch, rdy, dy, rx, *saved, rgain, False, False)
    assert np.array_equal(alone, rdx)
    only = np.empty((2, *gain.shape))
    version.rbackward(None, *only, scratch, rdy, dy, rx, *saved, rgain, False, False)
    assert np.array_equal(only, weights)


@versions
@pytest.mark.parametrize("shape", [(2, 5, 3), (2, 5, 1)])
@pytest.mark.parametrize("bad", range(4), ids=["rdy", "dy", "rx", "x"])
def test_nan_in_the_rmaps_spoils_its_column_alone(version, shape, bad):
    arrays = list(np.random.default_rng(0).normal(size=(4, *shape)))
    arrays[bad][1, 2, 0] = np.nan
    _, *saved = forward(version, arrays[3], None, None)
    ry, rdx, *_ = rmaps(version, *arrays, *saved, None)
    spoilt = np.zeros(shape, bool)
    spoilt[1, :, 0] = True
    assert np.array_equal(np.isnan(rdx), spoilt)
    assert np.array_equal(np.isnan(ry), spoilt & (bad >= 2))


@versions
@pytest.mark.parametrize("kind", ["channel", "element"])
def test_rmaps_of_float32_sum_in_float64(version, kind):
    """A far-off rx: summed in float32, its average over 4,096 values would be off by 1e-3, and ry with it."""
    rng = np.random.default_rng(0)
    shape = (2, 4096, 1) if kind == "element" else (1, 4096, 3)
    dy, x, rdy, rx = rng.normal(size=(4, *shape)).astype(np.float32)
    rx += np.float32(1e3)
    gain = np.ones((4096, 1) if kind == "element" else (1, 3), np.float32)
    saved = x, *forward(version, x, gain, gain)[1:], gain
    found = rmaps(version, rdy, dy, rx, *saved)
    exact = rmaps(reference, *(a.astype(np.float64) for a in (rdy, dy, rx, *saved)))
    for f, e in zip(found, exact, strict=True):
        np.testing.assert_allclose(f, e, rtol=0, atol=2e-6 * (1e3 + np.abs(e).max()))


@versions
@pytest.mark.parametrize("kind", ["channel", "element"])
def test_accumulate_adds_and_none_is_not_computed(version, kind):
    rng = np.random.default_rng(1)
    x, dy = rng.normal(size=(2, 3, 5, 1 if kind == "element" else 4))
    gain = rng.normal(size=(5, 1) if kind == "element" else (1, 4))
    _, mean, inv_std = forward(version, x, gain, gain)
    dx, dgain, dbias = backward(version, dy, x, mean, inv_std, gain)
    into = rng.normal(size=(2, *gain.shape))
    _, added_gain, added_bias = backward(version, dy, x, mean, inv_std, gain, into=into)
    np.testing.assert_allclose(added_gain, into[0] + dgain, rtol=1e-13)
    np.testing.assert_allclose(added_bias, into[1] + dbias, rtol=1e-13)
    scratch = np.empty(version.workspace(x.shape))
    alone = np.empty_like(dx)
    version.backward(alone, None, None, scratch, dy, x, mean, inv_std, gain, False, False)
    assert np.array_equal(alone, dx)
    weights = np.empty((2, *gain.shape))
    version.backward(None, *weights, scratch, dy, x, mean, inv_std, gain, False, False)
    assert np.array_equal(weights, [dgain, dbias])


@versions
@pytest.mark.parametrize("shape", [(1, 4096, 3), (2, 999, 5), (3, 2000, 1)])
def test_a_large_offset_leaves_the_variance_right(version, shape):
    """E[x²] - E[x]² in float32 would be off by 1e8 · 2⁻²⁴ = 6 here."""
    x = (1e4 + np.random.default_rng(0).normal(size=shape)).astype(np.float32)
    mean, var = statistics(version, x)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(mean, wide.mean(axis=1), rtol=1e-7)
    np.testing.assert_allclose(var, wide.var(axis=1), rtol=1e-6)
    np.testing.assert_allclose(var, 1, atol=0.2)


@versions
@pytest.mark.parametrize("shape", [(2, 5, 3), (2, 5, 1)])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_number_spoils_its_column_alone(version, shape, bad):
    x = np.random.default_rng(0).normal(size=shape)
    x[1, 2, 0] = bad
    with np.errstate(invalid="ignore"):
        y, mean, inv_std = forward(version, x, None, None)
        dx, *_ = backward(version, np.ones(shape), x, mean, inv_std, None)
    spoilt = np.zeros(shape, bool)
    spoilt[1, :, 0] = True
    assert np.array_equal(np.isnan(y), spoilt)
    assert np.array_equal(np.isnan(dx), spoilt)


@pytest.mark.parametrize("shape", [(1, 2001, 37), (7, 301, 19), (101, 307, 1)])
def test_the_number_of_threads_leaves_the_bits_alone(shape, monkeypatch):
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, *shape)).astype(np.float32)
    gain = rng.normal(size=(shape[1], 1) if shape[2] == 1 else (1, shape[2])).astype(np.float32)
    found = []
    for threads in (1, 2, 5):
        monkeypatch.setattr("npgan.backend.threads.thread_count", lambda threads=threads: threads)
        y, mean, inv_std = forward(cpu, x, gain, gain)
        second = rmaps(cpu, dy, x, dy, x, mean, inv_std, gain, gain, gain)
        found.append([y, mean, inv_std, *backward(cpu, dy, x, mean, inv_std, gain), *second])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            assert np.array_equal(a, b)
    y, mean, inv_std = forward(reference, x, gain, gain)
    second = rmaps(reference, dy, x, dy, x, mean, inv_std, gain, gain, gain)
    expected = [y, mean, inv_std, *backward(reference, dy, x, mean, inv_std, gain), *second]
    for a, b in zip(found[0], expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * (1 + np.abs(b).max()))


def test_a_range_of_columns_leaves_the_others_alone(monkeypatch):
    """Two threads that wrote to the same sums would give other bits now and then; here the other half is not run."""
    x, dy = np.random.default_rng(0).normal(size=(2, 1, 6, 8))
    _, mean, inv_std = forward(cpu, x, None, None)
    blocks = (channels.measure_blocks, channels.block_sums)
    monkeypatch.setattr(
        cpu, "over_samples", lambda kernel, n, work, *args: kernel(0, n if kernel in blocks else n // 2, *args)
    )
    part_mean, part_var = np.full((2, 1, 8), np.nan)
    scratch, more = np.full((2, cpu.workspace(x.shape)), np.nan)
    cpu.statistics(part_mean, part_var, scratch, x)
    dgain, dbias = np.full((2, 1, 8), np.nan)
    cpu.backward(None, dgain, dbias, more, dy, x, mean, inv_std, np.ones((1, 8)), False, False)
    rdgain, rdbias = np.full((2, 1, 8), np.nan)
    last = np.full(cpu.rworkspace(x.shape), np.nan)
    cpu.rbackward(None, rdgain, rdbias, last, dy, dy, dy, x, mean, inv_std, np.ones((1, 8)), None, False, False)
    sums = more[:16].reshape(2, 8), last[:48].reshape(6, 8)
    for array in (part_mean, part_var, dgain, dbias, rdgain, rdbias, *sums):
        assert np.isfinite(array[:, :4]).all()
        assert np.isnan(array[:, 4:]).all()


@pytest.mark.parametrize(("groups", "rows"), [(1, 600), (3, 257), (2, 5)])
def test_a_range_of_blocks_leaves_the_others_alone(groups, rows):
    x = np.random.default_rng(0).normal(size=(groups * rows, 3))
    each = blocks(rows)
    count = groups * each
    mean, inv_std = np.zeros((groups, 3)), np.ones((groups, 3))
    parts = np.full((2, 2, count, 3), np.nan)
    channels.measure_blocks(0, count - 1, parts[0].reshape(2, groups, each, 3), x.reshape(groups, rows, 3))
    channels.block_sums(0, count - 1, parts[1], x, x, mean, inv_std, None, None, None)
    assert np.isfinite(parts[:, :, :-1]).all()
    assert np.isnan(parts[:, :, -1]).all()
    channels.block_sums(count - 1, count, parts[1], x, x, mean, inv_std, None, None, None)
    np.testing.assert_allclose(parts[1, 0].sum(axis=0), x.sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(parts[1, 1].sum(axis=0), (x * x).sum(axis=0), rtol=1e-12)


@versions
@pytest.mark.parametrize("slope", [0.0, 0.2])
@given(problem=problems())
def test_with_the_activation_after_it(version, slope, problem):
    x, gain, rng = problem
    bias = None if gain is None else rng.normal(size=gain.shape)
    dy = rng.normal(size=x.shape)
    y, mean, inv_std = forward(reference, x, gain, bias)
    z = np.empty_like(x)
    version.normalize(z, np.full(version.workspace(x.shape), np.nan), x, mean, inv_std, gain, bias, slope)
    np.testing.assert_allclose(z, np.where(y > 0, y, slope * y), rtol=1e-10, atol=1e-9)
    if gain is not None and gain.shape[0] > 1:
        return  # the activation after layer normalisation goes back by itself
    clear = np.abs(y) > 1e-6  # of the kink, where two ways of rounding go two ways
    dy *= clear
    expected = backward(reference, dy * np.where(y > 0, 1, slope), x, mean, inv_std, gain)
    dx, (dgain, dbias) = np.empty_like(x), (None, None) if gain is None else np.full((2, *gain.shape), np.nan)
    scratch = np.full(version.workspace(x.shape), np.nan)
    version.backward(dx, dgain, dbias, scratch, dy, x, mean, inv_std, gain, False, False, bias, slope)
    for a, b in zip((dx, dgain, dbias), expected, strict=True):
        if b is not None:
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-7)


@pytest.mark.parametrize("slope", [None, 0.1])
@pytest.mark.parametrize("shape", [(1, 700, 64), (3, 5, 7), (2, 300, 1), (1, 2, 300)])
@pytest.mark.parametrize("constant", [True, False])
@compiled
def test_where_dy_is(version, shape, slope, constant):
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, *shape)).astype(np.float32)
    gain, bias = rng.normal(size=(2, 1, shape[2])).astype(np.float32)
    _, mean, inv_std = forward(reference, x, gain, bias)
    found = []
    for dx in (np.full_like(dy, np.nan), dy):
        dgain, dbias = np.full((2, *gain.shape), np.nan, np.float32)
        scratch = np.full(version.workspace(x.shape), np.nan)
        version.backward(dx, dgain, dbias, scratch, dy, x, mean, inv_std, gain, constant, False, bias, slope)
        found.append((dx, dgain, dbias))
    for apart, in_place in zip(*found, strict=True):
        np.testing.assert_array_equal(in_place, apart)


@st.composite
def measured(draw):
    """x (G, runs, R, C) in float64."""
    shape = [draw(st.integers(1, 3)) for _ in range(2)]
    shape += [
        draw(st.one_of(st.integers(1, 9), st.sampled_from([BLOCK, BLOCK + 1, 2 * BLOCK + 3]))),
        draw(st.integers(1, 40)),
    ]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return draw(st.sampled_from([0.0, 3.0, 1e4])) + rng.normal(size=shape)


@given(x=measured(), dtype=st.sampled_from([np.float32, np.float64]))
def test_statistics_of_runs_that_were_measured(x, dtype):
    groups, runs, r, c = x.shape
    x = x.astype(dtype)
    moments = np.full((2, groups * runs, blocks(r), c), np.nan)
    for run, its in enumerate(x.reshape(-1, r, c)):
        measure(moments, run, its)
    wide = x.astype(float).reshape(groups, -1, c)
    mean, var = np.full((2, groups, c), np.nan, dtype)
    cpu.statistics(mean, var, np.empty(0), x.reshape(wide.shape), moments)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(mean, wide.mean(axis=1), rtol=max(4 * eps, 1e-13), atol=1e-12)
    np.testing.assert_allclose(var, wide.var(axis=1), rtol=max(4 * eps, 1e-10), atol=1e-16)


def test_statistics_do_not_depend_on_threads(monkeypatch):
    x = np.random.default_rng(0).normal(size=(6, 300, 37)).astype(np.float32)
    found = []
    for threads in (1, 2, 3):
        monkeypatch.setattr("npgan.backend.threads.shares", lambda n, work, most=threads: min(n, most))
        moments = np.empty((2, 6, 2, 37))
        for run, its in enumerate(x):
            measure(moments, run, its)
        mean, var = np.empty((2, 1, 37), np.float32)
        cpu.statistics(mean, var, np.empty(0), x.reshape(1, -1, 37), moments)
        unfused = np.empty_like(mean), np.empty_like(var)
        cpu.statistics(*unfused, np.empty(cpu.workspace((1, 1800, 37))), x.reshape(1, -1, 37))
        found.append((mean, var, *unfused))
    for others in found[1:]:
        for a, b in zip(found[0], others, strict=True):
            np.testing.assert_array_equal(a, b)
