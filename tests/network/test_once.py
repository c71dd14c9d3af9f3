"""Passes for one forward, backward, rforward and rbackward, in this order."""

from itertools import product

import numpy as np
import pytest

from npgan.errors import ConfigError, StalePassError
from npgan.layers import Dense, Tanh
from npgan.network import Network


def run(setup, p, rx, rtheta, rdy):
    """Return what all maps find along a direction of these, as copies."""
    draw = np.random.default_rng(5)
    along = [draw.normal(size=a.shape).astype(setup.network.dtype) for a in (setup.x, setup.network.theta, setup.dy)]
    found = [a for a in setup.run(p, dcondition=setup.real_condition) if a is not None]
    found.append(p.rforward(along[0] if rx else None, rtheta=along[1] if rtheta else None).copy())
    rdtheta = np.full_like(setup.start, np.nan)
    rdx = p.rbackward(along[2] if rdy else None, rdtheta=rdtheta, rdcondition=setup.real_condition)
    return [*found, rdx.copy(), rdtheta, *([p.rdcondition.copy()] if setup.real_condition else [])]


@pytest.mark.parametrize("fuse", [False, True])
def test_the_bits_of_keeping_more_in_less_memory(setup, poison, fuse):
    more = setup.network.new_pass(setup.batch, order=2, fuse=fuse)
    once = setup.network.new_pass(setup.batch, order=2, keep="once", fuse=fuse)
    assert once.nbytes <= more.nbytes
    once.forward(setup.x, setup.condition)
    for directions in product((False, True), repeat=3):
        poison(once)
        for a, b in zip(run(setup, once, *directions), run(setup, more, *directions), strict=True):
            np.testing.assert_array_equal(a, b, strict=True)


def test_it_is_less():
    network = Network([each for _ in range(8) for each in (Dense(64), Tanh())], (64,))
    more, once = (network.new_pass(256, order=2, keep=keep, fuse=False).nbytes for keep in ("needed", "once"))
    assert once < 0.9 * more


def test_another_order_is_refused():
    maps = {
        "backward": lambda p: p.backward(np.ones((2, 1), np.float32)),
        "rforward": lambda p: p.rforward(np.ones((2, 3), np.float32)),
        "rbackward": lambda p: p.rbackward(),
    }
    p = Network([Dense(4), Tanh(), Dense(1)], (3,), name="D").new_pass(2, order=2, keep="once")
    for done in range(4):
        for name in maps:
            p.forward(np.ones((2, 3), np.float32))
            for before in list(maps)[:done]:
                maps[before](p)
            if name == [*maps, None][done]:
                maps[name](p)
                continue
            with pytest.raises(StalePassError, match=r"D\.pass.* has run.* run forward again"):
                maps[name](p)
    with pytest.raises(ConfigError, match="a twin is for one of order 2 that has none"):
        p.twin("other")
    with pytest.raises(ConfigError, match='keep="once" is about the R-maps, but order is 1'):
        p.network.new_pass(2, keep="once")
