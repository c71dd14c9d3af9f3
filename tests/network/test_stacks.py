"""Stacks: a Pass with tapes computes what one without them does, in all four maps."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from npgan.errors import ShapeError
from npgan.layers import (
    BatchNorm,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Flatten,
    InstanceNorm,
    LayerNorm,
    LeakyReLU,
    ReLU,
    Reshape,
    Residual,
    Skip,
    Tanh,
)
from npgan.network import Network
from npgan.network.stacks import find_measured, find_pairs, find_stacks, slots


class Odd(Dense):
    """A subclass, which may compute something else."""

    def forward(self, f):
        super().forward(f)
        f.y += 1


@st.composite
def networks(draw):
    """Stacks, alone and among other things."""

    def piece(depth=0):
        kinds = ["dense", "bare", "leaky", "relu", "tanh", "norm", "view", "odd"]
        kinds += [] if depth else ["residual", "skip"]
        found = []
        for kind in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=7)):
            found += {
                "dense": lambda: [Dense(draw(st.integers(1, 7)))],
                "bare": lambda: [Dense(draw(st.integers(1, 7)), bias=False)],
                "leaky": lambda: [LeakyReLU(0.2)],
                "relu": lambda: [ReLU()],
                "tanh": lambda: [Tanh()],
                "norm": lambda: [BatchNorm()],
                "view": lambda: [Flatten()],
                "odd": lambda: [Odd(3)],
                "residual": lambda: [Dense(4), Residual([Dense(5), LeakyReLU(), Dense(4)])],
                "skip": lambda: [Skip(piece(1))],
            }[kind]()
        return found

    shape, layers = draw(st.sampled_from([(3,), (2, 3)])), piece()
    try:
        return Network(layers, shape, dtype="float64", name="N", seed=draw(st.integers(0, 9)))
    except ShapeError:  # a skip around a view
        assume(False)


def sweeps(network, x, fuse, order=2, accumulate=False):
    """Return what all four maps give, each direction by itself and together."""
    draw = np.random.default_rng(1)
    start = draw.normal(size=network.size) if accumulate else np.full(network.size, np.nan)
    p = network.new_pass(len(x), order=order, fuse=fuse)
    found = [p.forward(x).copy()]
    if not order:
        return found
    dy, rdy = draw.normal(size=(2, *found[0].shape))
    rx, rtheta = draw.normal(size=x.shape), draw.normal(size=network.size)
    if order == 1:
        p.backward(dy, dx=True)
        p.forward(x)
    for wishes in ((True, True), (True, False), (False, True)):
        target = start.copy() if wishes[0] else None
        dx = p.backward(dy, dtheta=target, accumulate=accumulate, dx=wishes[1])
        found += [a.copy() for a in (dx, target) if a is not None]
        if order == 1:
            return found
        for along in ((rx, rtheta), (rx, None), (None, rtheta)):
            found.append(p.rforward(along[0], rtheta=along[1]).copy())
            for given_rdy in (rdy, None):
                target = start.copy() if wishes[0] else None
                if not wishes[1] and along[0] is None:
                    continue
                p.backward(dy, dtheta=start.copy())
                rdx = p.rbackward(given_rdy, rdtheta=target, accumulate=accumulate, rdx=wishes[1])
                found += [a.copy() for a in (rdx, target) if a is not None]
    return found


@pytest.mark.parametrize("layers", [[Dense(1), Flatten(), LeakyReLU(0.2)], [Dense(3), Flatten(), ReLU(), Dense(2)]])
def test_a_view_before_the_activation(layers):
    network = Network(layers, (2, 3), dtype="float64", name="N")
    network.load(network.theta + np.random.default_rng(0).normal(size=network.size))
    x = np.random.default_rng(0).normal(size=(3, 2, 3))
    for a, b in zip(sweeps(network, x, False), sweeps(network, x, True), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@given(network=networks(), batch=st.integers(2, 6), order=st.sampled_from([0, 1, 2]), accumulate=st.booleans())
@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
def test_with_and_without(network, batch, order, accumulate):
    x = np.random.default_rng(0).normal(size=(batch, *network.input_shape))
    plain, fused = (sweeps(network, x, fuse, order, accumulate) for fuse in (False, True))
    assert len(plain) == len(fused)
    for a, b in zip(fused, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-11 * max(1.0, float(np.abs(b).max(initial=0))))


LAYERS = [Dense(128), LeakyReLU(0.2), Dense(128), ReLU(), Dense(3)]


@pytest.mark.parametrize("batch", [1, 2, 255, 257, 1000])
def test_any_batch_in_float32(batch):
    network = Network(LAYERS, (2,), seed=3)
    x = np.random.default_rng(0).normal(size=(batch, 2)).astype("float32")
    found = []
    for fuse in (False, True):
        p = network.new_pass(batch, fuse=fuse)
        dtheta = np.empty(network.size, "float32")
        y = p.forward(x).copy()
        found.append((y, p.backward(y, dtheta=dtheta).copy(), dtheta))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6 * np.abs(b).max())


def test_the_same_bits_every_time():
    network = Network(LAYERS, (2,), seed=3)
    x = np.random.default_rng(0).normal(size=(300, 2)).astype("float32")
    p, seen = network.new_pass(300), set()
    for _ in range(30):
        dtheta = np.empty(network.size, "float32")
        p.backward(p.forward(x), dtheta=dtheta)
        seen.add(dtheta.tobytes())
    assert len(seen) == 1


def stacks_of(layers, shape=(3,)):
    return [list(run) for run in find_stacks(Network(layers, shape).trace(2))]


def test_what_is_a_stack():
    assert stacks_of([Dense(4), ReLU(), Dense(2)]) == [[0, 1, 2]]
    assert stacks_of([Dense(4), Tanh(), Dense(2), LeakyReLU()]) == [[0], [2, 3]]
    assert stacks_of([Odd(4), ReLU(), Dense(2)]) == [[2]]
    assert stacks_of([Dense(4), Reshape((2, 2)), Dense(3)]) == [[0, 1]]
    assert stacks_of([Dense(300), Dense(300), Dense(4)]) == [[0], [2]]  # the one between has too many weights


def test_what_runs_at_once_lives_at_once():
    # Rows that are ahead must not write where others still read: no two blocks of a stack may share memory.
    network = Network([Dense(64), ReLU(), Dense(2), Dense(64), ReLU(), Dense(2)], (2,))
    assert slots(network.trace(5), find_stacks(network.trace(5))) == [0] * 6
    p = network.new_pass(5, order=0)
    places = sorted((b.offset, b.offset + b.nbytes) for b in p._memory.blocks() if b.nbytes)
    assert all(end <= start for (_, end), (start, _) in pairwise(places))
    assert slots(network.trace(5), []) == [0, 1, 2, 3, 4, 5]


def test_a_watched_pass_shows_every_layer():
    network = Network([Dense(4), LeakyReLU(0.2), Dense(2)], (3,), dtype="float64", name="N")
    x = np.random.default_rng(0).normal(size=(5, 3))
    p, seen = network.new_pass(5), []
    dtheta = np.empty(network.size)
    y = p.forward(x).copy()
    dx = p.backward(y, dtheta=dtheta).copy()
    p.watch = lambda where, which, arrays: seen.append((where, which))
    again = np.empty(network.size)
    np.testing.assert_allclose(p.forward(x), y, rtol=1e-14)
    np.testing.assert_allclose(p.backward(y, dtheta=again), dx, rtol=1e-13)
    np.testing.assert_allclose(again, dtheta, rtol=1e-13)
    forward = [("N/0 Dense", "forward"), ("N/1 LeakyReLU", "forward"), ("N/2 Dense", "forward")]
    assert seen == forward + [(where, "backward") for where, _ in reversed(forward)]


def test_only_a_backend_that_can_and_a_pass_that_keeps_what_it_needs():
    for options, keep in (({"backend": "reference"}, "needed"), ({}, "all")):
        p = Network([Dense(4), ReLU()], (3,), **options).new_pass(2, keep=keep)
        assert p._plan.forward == [0, 1]


def pairs_of(layers, shape=(4, 4, 2)):
    program = Network(layers, shape).trace(2)
    return find_pairs(program, find_stacks(program))


def test_what_does_the_activation_after_it():
    assert pairs_of([BatchNorm(), ReLU(), Conv2d(3, 1), InstanceNorm(), LeakyReLU(0.1)]) == {0: 0.0, 3: 0.1}
    assert pairs_of([Conv2d(3, 1), LeakyReLU(0.3), Flatten(), Dense(2), ReLU()]) == {0: 0.3}  # the last are a stack
    assert pairs_of([BatchNorm(), Tanh(), ReLU()]) == {}
    assert pairs_of([BatchNorm(), Flatten(), ReLU()]) == {}
    assert pairs_of([BatchNorm(), Residual([ReLU()])]) == {}  # the shortcut reads it too
    assert pairs_of([ReLU(), BatchNorm()]) == {}


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(
    "layer",
    [
        BatchNorm(),
        BatchNorm(affine=False),
        InstanceNorm(),
        InstanceNorm(affine=True),
        Conv2d(3, 2),
        ConvTranspose2d(3, 2, bias=False),
    ],
)
@pytest.mark.parametrize("activation", [ReLU(), LeakyReLU(0.2)])
@pytest.mark.parametrize("channels", [1, 5])
def test_a_layer_and_the_activation_after_it(layer, activation, train, channels):
    network = Network([Conv2d(channels, 3), layer, activation, Conv2d(2, 2)], (6, 6, 2), dtype="float64", name="N")
    draw = np.random.default_rng(0)
    network.load(network.theta + draw.normal(size=network.size))
    x, found = draw.normal(size=(3, 6, 6, 2)), []
    for fuse in (True, False):
        p = network.new_pass(3, fuse=fuse, train=train)
        assert bool(p._plan.pairs) == fuse
        y = p.forward(x, update_stats=False).copy()
        dtheta = np.full(network.size, np.nan)
        dx = p.backward(np.cos(y), dtheta=dtheta).copy()
        p.forward(x, update_stats=False)
        again = p.backward(np.cos(y), dtheta=dtheta, accumulate=True).copy()
        np.testing.assert_array_equal(again, dx)
        p.forward(x, update_stats=False)
        np.testing.assert_array_equal(p.backward(np.cos(y)), dx)
        found.append((y, dx, dtheta))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def measured_in(layers, shape=(8, 8, 16)):
    program = Network(layers, shape).trace(2)
    return find_measured(program, find_pairs(program, []))


class Own(Conv2d):
    """A subclass that may write what it wants."""

    def forward(self, f):
        super().forward(f)


class OwnNorm(BatchNorm):
    """A subclass that may read what it wants."""

    def forward(self, f):
        super().forward(f)


def test_who_finds_the_moments_for_whom():
    conv, up = Conv2d(16, 3), ConvTranspose2d(16, 4, stride=2)
    assert measured_in([conv, BatchNorm(), ReLU(), up, InstanceNorm()]) == {0: 1, 3: 4}
    assert measured_in([conv, ReLU(), BatchNorm(), Tanh()]) == {0: 2}  # of what the activation makes
    assert measured_in([conv, Tanh(), BatchNorm()]) == {}
    assert measured_in([conv, LayerNorm()]) == {}
    assert measured_in([conv, Reshape((18, 32)), BatchNorm()]) == {}  # of other channels
    assert measured_in([Own(16, 3), BatchNorm()]) == measured_in([conv, OwnNorm()]) == {}
    assert measured_in([conv, Residual([BatchNorm()])]) == {0: 1}  # whoever else reads it
    assert measured_in([Conv2d(16, 1), BatchNorm()]) == {}  # one product of everything
    assert measured_in([Conv2d(3, 3), BatchNorm()]) == {}  # so few channels are quickly read again


MEASURED = {
    "winograd": [Conv2d(32, 4, stride=2, padding=1, bias=False), BatchNorm(), LeakyReLU(0.2)],
    "transposed": [ConvTranspose2d(32, 4, stride=2, padding=1, bias=False), BatchNorm(), ReLU()],
    "columns": [Conv2d(24, 4, stride=3, padding=2), InstanceNorm(affine=True), LeakyReLU(0.2)],
    "direct": [Conv2d(3, 3, padding=1), Conv2d(32, 3, padding=1), BatchNorm(), ReLU()],
    "activation first": [Conv2d(24, 4, stride=3, padding=2), ReLU(), BatchNorm()],
    "read twice": [Conv2d(24, 4, stride=3, padding=2), Residual([BatchNorm(), ReLU(), Conv2d(24, 1)])],
}


@pytest.mark.parametrize("name", MEASURED)
@given(batch=st.integers(1, 5), threads=st.sampled_from([1, 2, 3]), seed=st.integers(0, 99))
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_convolution_and_the_normalisation_after_it(monkeypatch, name, batch, threads, seed):
    conv = "blocks", "panels", "columns", "gather", "scatter", "correlate"
    for module in ("backend.threads", *(f"kernels.conv.{name}" for name in conv)):
        monkeypatch.setattr(f"npgan.{module}.thread_count", lambda: threads)
    monkeypatch.setattr("npgan.backend.threads._GRAIN", 1)
    draw = np.random.default_rng(seed)
    x, found, moved = 3 + draw.normal(size=(batch, 16, 16, 16)), [], None
    for backend, fuse in (("cpu", True), ("cpu", False), ("reference", False)):
        network = Network([*MEASURED[name], Conv2d(2, 1)], x.shape[1:], dtype="float64", name="N", backend=backend)
        moved = draw.normal(size=network.size) if moved is None else moved
        network.load(network.theta + 0.1 * moved)
        p = network.new_pass(batch, fuse=fuse)
        assert bool(p._plan.measured) == fuse
        y = p.forward(x).copy()
        dtheta = np.full(network.size, np.nan)
        dx = p.backward(np.cos(y), dtheta=dtheta).copy()
        found.append((y, dx, dtheta, network.state.copy()))
        p.forward(x, update_stats=False)
        again = dtheta.copy()
        np.testing.assert_array_equal(p.backward(np.cos(y), dtheta=again, accumulate=True), dx)
        np.testing.assert_allclose(again, 2 * dtheta, rtol=1e-12, atol=1e-11)
    for others in found[1:]:
        for a, b in zip(found[0], others, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-9 * np.abs(b).max(initial=1))


def test_a_pass_that_does_not_train_measures_nothing():
    network = Network([Conv2d(32, 3), BatchNorm()], (8, 8, 16))
    assert network.new_pass(2)._plan.measured == {0: 1}
    for options in ({"train": False}, {"order": 2}, {"fuse": False}, {"keep": "all"}):
        assert network.new_pass(2, **options)._plan.measured == {}


def test_the_gradient_of_a_normalisation_goes_where_that_of_its_activation_was():
    layers = [Conv2d(32, 3), BatchNorm(), ReLU(), Conv2d(32, 3)]
    network = Network(layers, (12, 12, 16))
    for fuse in (True, False):
        plan = network.new_pass(2, fuse=fuse)._plan
        values = [op.output for op in plan.ops]
        gradients = plan.memory.gradients
        assert (gradients[values[0]] is gradients[values[2]]) == fuse
        assert gradients[values[1]] is not gradients[values[2]]
        assert len(plan.memory.blocks()) == len(set(plan.memory.blocks()))
