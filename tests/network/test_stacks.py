"""Stacks: a Pass with tapes computes what one without them does, in all four maps."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from npgan.errors import ShapeError
from npgan.layers import (
    BatchNorm,
    Dense,
    Flatten,
    LeakyReLU,
    ReLU,
    Reshape,
    Residual,
    Skip,
    Tanh,
)
from npgan.network import Network
from npgan.network.stacks import find_stacks, slots


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
