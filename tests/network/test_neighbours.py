"""Neighbours: a Pass whose layers do things for one another computes what one without does, in all four maps."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
    Tanh,
)
from npgan.network import Network
from npgan.network.neighbours import find_measured, find_pairs
from npgan.network.stacks import find_stacks


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
        assert bool(p._plan.neighbours.pairs) == fuse
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
    with_threads(monkeypatch, threads)
    draw = np.random.default_rng(seed)
    x, found, moved = 3 + draw.normal(size=(batch, 16, 16, 16)), [], None
    for backend, fuse in (("cpu", True), ("cpu", False), ("reference", False)):
        network = Network([*MEASURED[name], Conv2d(2, 1)], x.shape[1:], dtype="float64", name="N", backend=backend)
        moved = draw.normal(size=network.size) if moved is None else moved
        network.load(network.theta + 0.1 * moved)
        p = network.new_pass(batch, fuse=fuse)
        assert bool(p._plan.neighbours.measured) == fuse
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
    assert network.new_pass(2)._plan.neighbours.measured == {0: 1}
    assert network.new_pass(2, order=2)._plan.neighbours.measured == {0: 1}
    for options in ({"train": False}, {"fuse": False}, {"keep": "all"}):
        assert network.new_pass(2, **options)._plan.neighbours.measured == {}


def test_the_gradient_of_a_normalisation_goes_where_that_of_its_activation_was():
    layers = [Conv2d(32, 3), BatchNorm(), ReLU(), Conv2d(32, 3)]
    network = Network(layers, (12, 12, 16))
    for fuse in (True, False):
        plan = network.new_pass(2, fuse=fuse)._plan
        values = [op.output for op in plan.ops]
        gradients = plan.memory.gradients
        assert (gradients[values[0]] is gradients[values[2]]) == fuse
        assert (gradients[values[1]] is gradients[values[2]]) == fuse
        assert len(plan.memory.blocks()) == len(set(plan.memory.blocks()))


NETWORKS = {
    "convolutions": [
        Conv2d(16, 4, stride=2, padding=1),
        LeakyReLU(0.2),
        Conv2d(32, 4, stride=2, padding=1, bias=False),
        ReLU(),
        Conv2d(16, 3, padding=1),
        LeakyReLU(0.1),
    ],
    "normalised": [
        Conv2d(16, 3, padding=1),
        BatchNorm(),
        ReLU(),
        Conv2d(16, 3, stride=3, padding=1),
        InstanceNorm(affine=True),
        LeakyReLU(0.2),
        ConvTranspose2d(16, 4, stride=2, padding=1),
        LayerNorm(),
        LeakyReLU(0.3),
        Conv2d(3, 3, padding=1),
        LayerNorm(affine=False),
        ReLU(),
    ],
    "with others between": [
        BatchNorm(),
        LeakyReLU(0.2),
        Residual([Conv2d(3, 3, padding=1), BatchNorm(), ReLU(), Conv2d(3, 3, padding=1), ReLU()]),
        Conv2d(17, 3),
        InstanceNorm(),
        ReLU(),
        Flatten(),
        Dense(5),
        LayerNorm(),
        LeakyReLU(0.2),
        Dense(300),
        ReLU(),
        Dense(300),
        ReLU(),
    ],
    "normalised at the end": [Conv2d(16, 3), LeakyReLU(0.2), Conv2d(16, 3), BatchNorm(), ReLU()],
}


def all_maps(p, x, watch_from=None):
    """Return what all maps of a Pass give; after `watch_from` of them it is watched."""
    network, draw, found = p.network, np.random.default_rng(1), []

    def done(*arrays):
        found.extend(a.copy() for a in arrays if a is not None)
        if watch_from is not None and len(found) >= watch_from:
            p.watch = lambda *_: None

    done(p.forward(x))
    dy, rdy = draw.normal(size=(2, *found[0].shape))
    rx, rtheta = draw.normal(size=x.shape), draw.normal(size=network.size)
    dtheta = np.full(network.size, np.nan)
    for wishes in ((True, True), (False, True), (True, False)):
        p.forward(x, update_stats=False)
        done(p.backward(dy, dtheta=dtheta if wishes[0] else None, dx=wishes[1]), dtheta if wishes[0] else None)
        if p.order < 2 or not wishes[0]:
            continue
        for along in ((rx, rtheta), (rx, None), (None, rtheta)):
            for direction in (rdy, None):
                if p.keep == "once":
                    p.forward(x, update_stats=False)
                    p.backward(dy, dtheta=dtheta, dx=wishes[1])
                done(p.rforward(along[0], rtheta=along[1]))
                done(p.rbackward(direction, rdtheta=dtheta, rdx=wishes[1]), dtheta)
    return found


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(("order", "keep"), [(1, "needed"), (2, "needed"), (2, "once")])
def test_all_maps_with_neighbours_and_without(name, train, order, keep):
    network = Network(NETWORKS[name], (12, 12, 3), dtype="float64", name="N")
    draw = np.random.default_rng(0)
    network.load(network.theta + 0.1 * draw.normal(size=network.size))
    x = 1 + draw.normal(size=(3, 12, 12, 3))
    options = {"train": train, "order": order}
    expected = all_maps(network.new_pass(3, fuse=False, **options), x)
    for watch_from in (None, 1, 4, 5):
        found = all_maps(network.new_pass(3, keep=keep, **options), x, watch_from)
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-10 * max(1.0, np.abs(b).max()))


def test_what_is_before_an_activation_has_no_place():
    network = Network([Conv2d(16, 3), ReLU(), Conv2d(16, 3), LayerNorm(), ReLU()], (12, 12, 16))
    for fuse in (True, False):
        memory = network.new_pass(2, order=2, fuse=fuse)._plan.memory
        before, made = (memory._program.ops[i].output for i in (0, 1))
        for blocks in (memory.values, memory.gradients, memory.rvalues, memory.rgradients):
            assert (blocks[before] is blocks[made]) == fuse
    # dy of a normalisation is read by its R-maps, so it must not be overwritten.
    memory = network.new_pass(2, order=2)._plan.memory
    values = [op.output for op in memory._program.ops]
    assert memory.gradients[values[2]] is not memory.gradients[values[3]]


def with_threads(monkeypatch, count):
    conv = "blocks", "panels", "columns", "gather", "scatter", "correlate"
    for module in ("backend.threads", *(f"kernels.conv.{name}" for name in conv)):
        monkeypatch.setattr(f"npgan.{module}.thread_count", lambda: count)
    monkeypatch.setattr("npgan.backend.threads._GRAIN", 1)
