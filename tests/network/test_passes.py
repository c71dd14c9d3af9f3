"""Pass: what it computes whatever it keeps, what can be looked at, that it allocates nothing."""

import gc
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgan.errors import ConfigError, DTypeError, ShapeError, StalePassError
from npgan.layers import (
    BatchNorm,
    ConcatCondition,
    Conv2d,
    Dense,
    Dropout,
    LayerNorm,
    LeakyReLU,
    Parallel,
    Residual,
    Sequential,
    Skip,
    Softmax,
    Tanh,
)
from npgan.network import Arena, Network


def same(found, expected):
    for a, b in zip(found, expected, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_array_equal(a, b, strict=True)


def test_every_option_of_backward_gives_the_bits_of_keeping_everything(setup, poison):
    truth_pass = setup.network.new_pass(setup.batch, keep="all", name="pass")
    everything = setup.run(truth_pass, dcondition=setup.real_condition)
    assert np.isfinite(everything[2]).all()
    p = setup.network.new_pass(setup.batch, fuse=False)
    assert p.nbytes <= truth_pass.nbytes
    p.forward(setup.x, setup.condition)
    for accumulate, dx, dcondition in setup.wishes():
        poison(p)
        y, found_dx, dtheta, found_dcondition = setup.run(p, accumulate, dx, dcondition)
        expected = everything[2]
        if accumulate:
            np.testing.assert_allclose(dtheta, setup.start + expected, rtol=1e-13, atol=1e-13)
        same(
            (y, found_dx, None if accumulate else dtheta, found_dcondition),
            (
                everything[0],
                everything[1] if dx else None,
                None if accumulate is None or accumulate else expected,
                everything[3] if dcondition else None,
            ),
        )
        again = setup.run(truth_pass, accumulate, dx, dcondition)
        same((found_dx, dtheta, found_dcondition), again[1:])


def test_passes_of_one_arena_take_turns(setup, poison):
    arena = Arena(setup.network.backend)
    options = [{}, {"keep": "all"}, {"fuse": False}, {}]
    alone = [setup.run(setup.network.new_pass(setup.batch, **each)) for each in options]
    passes = [setup.network.new_pass(setup.batch, arena=arena, **each) for each in options]
    for _ in range(2):
        for p, expected in zip(passes, alone, strict=True):
            same(setup.run(p), expected)
            poison(p)


def test_backward_again_where_everything_is_kept(setup):
    p = setup.network.new_pass(setup.batch, keep="all")
    first = setup.run(p)
    dtheta = np.zeros_like(setup.start)
    dx = p.backward(2 * setup.dy, dtheta=dtheta)
    np.testing.assert_allclose(dx, 2 * first[1], rtol=1e-13)
    np.testing.assert_allclose(dtheta, 2 * first[2], rtol=1e-13)


# Layers that keep the shape (N, 4, 4, C) and so can be nested at will.
leaves = st.sampled_from(
    [
        lambda: Conv2d(2, 3, padding=1),
        lambda: Conv2d(3, 1),
        lambda: Dense(2),
        lambda: Tanh(),
        lambda: LeakyReLU(0.3),
        lambda: BatchNorm(),
        lambda: LayerNorm(1),
        lambda: Softmax(),
        lambda: Dropout(0.3),
        lambda: ConcatCondition(),
        lambda: ConcatCondition([Dense(2), Tanh()]),
        lambda: Sequential([]),
    ]
).map(lambda make: make())
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(Sequential),
        inner.map(Skip),
        st.lists(inner, min_size=1, max_size=3).map(Parallel),
        inner.map(lambda layer: Residual([layer, Dense(2)], [Dense(2)])),
        inner.map(lambda layer: Residual([layer, Conv2d(1, 1)], Conv2d(1, 3, padding=1))),
    ),
    max_leaves=8,
)


@given(trees, st.integers(0, 99))
def test_whatever_the_network_memory_is_planned_well(poison, tree, seed):
    network = Network([tree], (4, 4, 2), condition_shape=(2,), dtype="float64", backend="reference", name="N")
    draw = np.random.default_rng(seed)
    x, condition = draw.normal(size=(2, 4, 4, 2)), draw.normal(size=(2, 2))
    dy = draw.normal(size=(2, *network.output_shape))
    results = []
    for keep in ("all", "needed"):
        p = network.new_pass(2, keep=keep)
        p.forward(x, condition)
        poison(p)
        y = p.forward(x, condition).copy()
        dtheta = np.full(network.size, np.nan)
        dcondition = p._program.condition in p._memory.gradients
        dx = p.backward(dy, dtheta=dtheta, dcondition=dcondition)
        results.append((y, dx.copy(), dtheta, p.dcondition.copy() if dcondition else None))
        assert np.isfinite(y).all()
        assert np.isfinite(dx).all()
        assert np.isfinite(dtheta).all()
    same(*results)


def test_the_gradient_of_the_condition_is_read_after_it_was_asked_for(make):
    setup = make("codes")
    p = setup.network.new_pass(setup.batch, keep="all")
    p.forward(setup.x, setup.condition)
    for _ in range(2):
        with pytest.raises(StalePassError, match="dcondition=True"):
            _ = p.dcondition
        p.backward(setup.dy)
    p.backward(setup.dy, dcondition=True)
    assert p.dcondition.any()
    p.backward(setup.dy)
    with pytest.raises(StalePassError, match="dcondition=True"):
        _ = p.dcondition


def test_inputs_are_copied_and_not_changed(setup):
    p = setup.network.new_pass(setup.batch)
    expected = setup.run(p)
    given_arrays = [setup.x, setup.dy] + ([] if setup.condition is None else [setup.condition])
    before = [a.copy() for a in given_arrays]
    p.forward(setup.x, setup.condition, step=3, update_stats=False)
    setup.x[...] = 0  # the Pass has its own copy
    dtheta = np.zeros_like(setup.start)
    dx = p.backward(setup.dy, dtheta=dtheta)
    same((dx, dtheta), expected[1:3])
    setup.x[...] = before[0]
    for array, copy in zip(given_arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)
        assert not np.shares_memory(array, p.y)
        assert not np.shares_memory(array, dx)


def test_an_input_of_several_parts():
    network = Network([Dense(3), LeakyReLU()], (2,), dtype="float64")
    p, x = network.new_pass(6), np.random.default_rng(0).normal(size=(6, 2))
    expected = p.forward(x).copy()
    for count in (1, 2, 3):
        np.testing.assert_array_equal(p.forward(tuple(np.split(x, count))), expected)
    for parts in ((x, x), (x[:3], x[:2]), tuple(np.split(x, 2))[:1], (x[:1],) * 4, ()):
        with pytest.raises(ShapeError, match=r"no broadcasting here|cannot make a batch of 6 equally"):
            p.forward(parts)
    with pytest.raises(DTypeError, match="float32, expected float64"):
        p.forward((x[:3], x[:3].astype(np.float32)))


def test_any_memory_layout_will_do(setup):
    expected = setup.run(setup.network.new_pass(setup.batch))

    def strided(a):
        big = np.zeros((2 * a.shape[0], *a.shape[1:]), a.dtype)
        big[::2] = a
        return big[::2]

    def fortran(a):
        return np.asfortranarray(a)

    def backwards(a):
        return a[::-1].copy()[::-1]

    x, dy, condition = setup.x, setup.dy, setup.condition
    for layout in (strided, fortran, backwards):
        setup.x, setup.dy = layout(x), layout(dy)
        setup.condition = None if condition is None else layout(condition)
        same(setup.run(setup.network.new_pass(setup.batch)), expected)
    setup.x, setup.dy, setup.condition = x, dy, condition
    p = setup.network.new_pass(setup.batch)
    p.forward(x, condition, step=3, update_stats=False)
    dtheta = strided(np.full_like(setup.start, np.nan))
    p.backward(dy, dtheta=dtheta)
    np.testing.assert_allclose(dtheta, expected[2], rtol=1e-13, atol=1e-14)


def test_what_forward_returns_is_a_read_only_view(setup):
    p = setup.network.new_pass(setup.batch)
    y = p.forward(setup.x, setup.condition, update_stats=False)
    with pytest.raises(ValueError, match="read-only"):
        y[...] = 0
    assert np.shares_memory(y, p.arena.region)
    assert np.array_equal(p.y, y)
    with np.errstate(all="ignore"):
        p.forward(setup.x + 1, setup.condition, update_stats=False)
    assert not np.array_equal(y, setup.run(setup.network.new_pass(setup.batch))[0])  # until the next forward


def test_a_pass_goes_back_through_its_own_output(setup):
    p = setup.network.new_pass(setup.batch)
    y = p.forward(setup.x, setup.condition, step=3, update_stats=False)
    dx = p.backward(y).copy()
    setup.dy = p.y.copy()
    np.testing.assert_array_equal(dx, setup.run(p)[1])


def test_looking_inside():
    network = Network([Dense(4), Tanh(), Dense(1)], (3,), dtype="float64", name="D")
    p = network.new_pass(2, keep="all")
    x, dy = np.ones((2, 3)), np.ones((2, 1))
    p.forward(x)
    assert p["1"].dx is None  # not yet
    p.backward(dy, dtheta=network.grad)
    assert p["D/1"] is p["1"]
    np.testing.assert_allclose(p["1"].y, np.tanh(p["0"].y), rtol=1e-14)
    np.testing.assert_array_equal(p["1"].dx, p["0"].dy)
    np.testing.assert_array_equal(p["2"].dw["bias"], [2.0])
    with pytest.raises(ConfigError, match=r"no layer at '7'; there is D/0, D/1, D/2"):
        p["7"]
    needed = network.new_pass(2)
    needed.forward(x)
    with pytest.raises(ConfigError, match="keep='all'"):
        needed["1"]
    assert "D.pass" in repr(p)


def test_running_statistics_move_when_they_should():
    network = Network([BatchNorm()], (2,), dtype="float64")
    x = np.random.default_rng(0).normal(3.0, 2.0, size=(50, 2))
    train, evaluate = network.new_pass(50), network.new_pass(50, train=False)
    train.forward(x, update_stats=False)
    evaluate.forward(x)
    assert network.state.tolist() == [0, 0, 1, 1]
    train.forward(x)
    np.testing.assert_allclose(network.state[:2], 0.1 * x.mean(axis=0))
    np.testing.assert_allclose(network.state[2:], 0.9 + 0.1 * x.var(axis=0, ddof=1))
    # The backward of an eval Pass goes with the statistics of its forward.
    evaluate.forward(x)
    expected = 1 / np.sqrt(network.state[2:] + 1e-5)
    train.forward(x)
    np.testing.assert_allclose(evaluate.backward(np.ones((50, 2))), np.tile(expected, (50, 1)), rtol=1e-13)


# ---------------------------------------------------------------- memory


@pytest.mark.parametrize("name", ["mlp", "conv", "fan-out", "labels"])
def test_a_step_allocates_no_arrays(make, name):
    setup = make(name, batch=64, dtype="float32")
    p = setup.network.new_pass(64)
    dtheta = setup.network.grad

    def step():
        p.forward(setup.x, setup.condition)
        p.backward(setup.dy, dtheta=dtheta)
        p.forward(setup.x, setup.condition)
        p.backward(setup.dy, dtheta=dtheta, accumulate=True, dx=False)

    for _ in range(2):
        step()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        step()
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    # Views and small Python objects only.
    assert peak < 16_000, f"{peak} bytes"
