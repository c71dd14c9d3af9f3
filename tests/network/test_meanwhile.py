"""Passes that run between the forward and the backward of another, in its memory."""

import numpy as np
import pytest

from npgan.errors import StalePassError
from npgan.layers import BatchNorm, Conv2d, Dense, Flatten, LeakyReLU
from npgan.network import Arena, Network
from npgan.network.planning import END

X, DY = np.ones((2, 3), np.float32), np.ones((2, 1), np.float32)


def same(found, expected):
    for a, b in zip(found, expected, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_array_equal(a, b, strict=True)


def poison_around(host):
    """Overwrite all that the Passes within may overwrite."""
    region = host.arena.region
    held = [block.view(region) for block in host.meanwhile.around() if block.first < block.last]
    before = [view.copy() for view in held]
    region[...] = 0xFF
    for view, copy in zip(held, before, strict=True):
        view[...] = copy


@pytest.mark.parametrize("options", [{}, {"fuse": False}, {"keep": "all"}, {"order": 2}])
def test_a_pass_does_not_see_those_that_run_meanwhile(setup, make, options):
    dcondition = setup.real_condition
    guests = [make(name, seed=1) for name in ("conv", "fan-out", "codes")]
    expected = setup.run(setup.network.new_pass(setup.batch, **options), dcondition=dcondition)
    alone = [guest.run(guest.network.new_pass(guest.batch)) for guest in guests]
    host = setup.network.new_pass(setup.batch, **options)
    passes = [guest.network.new_pass(guest.batch, arena=host.meanwhile) for guest in guests]
    assert {p.arena.nbytes for p in passes} == {host.arena.nbytes}
    # What backward is given may be what is left of a Pass: copied between arrays that overlap, it would be wrong on a
    # GPU, and go through a third one on a CPU.
    given = host._memory.gradients[host._program.output.root]
    for left in (block for p in passes for block in p._memory.blocks() if block.last == END):
        assert left.offset + left.nbytes <= given.offset or given.offset + given.nbytes <= left.offset

    def run_guests():
        for guest, p, result in zip(guests, passes, alone, strict=True):
            poison_around(host)
            same(guest.run(p), result)
        poison_around(host)

    for _ in range(2):
        y = host.forward(setup.x, setup.condition, step=3, update_stats=False)
        run_guests()
        same((y,), expected[:1])
        dtheta = np.full_like(setup.start, np.nan)
        dx = host.backward(setup.dy, dtheta=dtheta, dcondition=dcondition)
        run_guests()  # all that can be read of it afterwards stays, too
        same((host.y, dx, dtheta, host.dcondition if dcondition else None), expected)


def test_meanwhile_within_meanwhile(make):
    setups = [make(name) for name in ("conv", "fan-out", "codes")]
    expected = [each.run(each.network.new_pass(each.batch)) for each in setups]
    arena, passes = None, []
    for each in setups:
        passes.append(each.network.new_pass(each.batch, arena=arena))
        arena = passes[-1].meanwhile
    dthetas = [np.full_like(each.start, np.nan) for each in setups]
    found = []
    for each, p in zip(setups, passes, strict=True):
        p.forward(each.x, each.condition, step=3, update_stats=False)
        poison_around(p)
    for each, p, dtheta in zip(setups[::-1], passes[::-1], dthetas[::-1], strict=True):
        dx = p.backward(each.dy, dtheta=dtheta)
        poison_around(p)
        found.append((p.y.copy(), dx.copy(), dtheta))
    for a, b in zip(found[::-1], expected, strict=True):
        same(a, b[:3])


@pytest.mark.parametrize("name", ["dx", "y"])
def test_what_a_pass_is_given_may_come_from_meanwhile(make, name):
    setup = make("conv", batch=64)
    expected = setup.run(setup.network.new_pass(setup.batch))
    host = setup.network.new_pass(setup.batch)
    outputs = setup.dy.shape[1:]
    copies = Network([Dense(2), Dense(2)], outputs, dtype="float64").new_pass(setup.batch, arena=host.meanwhile)
    with copies.network.write() as theta:
        theta[...] = np.tile([1.0, 0.0, 0.0, 1.0, 0.0, 0.0], 2)
    host.forward(setup.x, update_stats=False)
    given = copies.forward(setup.dy if name == "y" else host.y)
    if name == "dx":
        given = copies.backward(setup.dy)
    np.testing.assert_array_equal(given, setup.dy)
    dtheta = np.zeros_like(setup.start)
    same((host.backward(given, dtheta=dtheta), dtheta), expected[1:3])


def test_one_region_is_less_than_two():
    G = Network([Dense(512), LeakyReLU(), Dense(512), LeakyReLU(), Dense(512)], (8,))
    D = Network([Dense(512), LeakyReLU(), Dense(512), LeakyReLU(), Dense(1)], (512,))
    fake = G.new_pass(256, fuse=False)
    alone = fake.nbytes + D.new_pass(256, fuse=False).nbytes
    D.new_pass(256, fuse=False, arena=fake.meanwhile)
    assert fake.arena.nbytes < 0.85 * alone
    judge = D.new_pass(256, fuse=False, arena=fake.meanwhile)
    assert judge.nbytes == judge.arena.nbytes == fake.arena.nbytes


def passes(*hosts):
    """Return Passes called by letters: each of `hosts`, in one arena, and a lower-case one within each."""
    arena = Arena(Network([Dense(1)], (3,)).backend)
    found = {}
    for name in hosts:
        host = Network([Dense(4), Dense(1)], (3,), name=name).new_pass(2, arena=arena)
        found[name] = host
        for guest in name.lower() * 2:
            guest += str(len(found))
            found[guest] = Network([Dense(4), Dense(1)], (3,), name=guest).new_pass(2, arena=host.meanwhile)
    return found


def test_who_is_stale():
    for ran, stale in [
        ("A a1 a2", "a1"),
        ("A a1 -A", "a1"),  # going back, it uses the memory of those meanwhile
        ("A a1 A", "a1"),
        ("A a1 B", "A a1"),
        ("A B", "A"),
        ("A B b4", "A"),
        ("A B a1", "A B"),  # it was planned around what A holds, not B
        ("A a1 B A", "B a1"),
        ("A B b4 a1", "A B b4"),
        ("A -A a1", ""),
        ("a1 A", "a1"),
    ]:
        found = passes("A", "B")
        for name in ran.split():
            p = found[name.removeprefix("-")]
            if name.startswith("-"):
                p.backward(DY)
            else:
                p.forward(X)
        for name in {name.removeprefix("-") for name in ran.split()}:
            if name in stale.split():
                with pytest.raises(StalePassError, match=rf"{name}\.pass: its memory has been reused by \w+\.pass"):
                    _ = found[name].y
            else:
                assert found[name].y.any(), (ran, name)


def test_who_runs_overwrites_at_every_depth():
    network = Network([Dense(4), Dense(1)], (3,), name="D")
    outer = network.new_pass(2, name="outer")
    inner = network.new_pass(2, name="inner", arena=outer.meanwhile)
    innermost = network.new_pass(2, name="innermost", arena=inner.meanwhile)
    for run in (lambda: outer.forward(X), lambda: outer.backward(DY), lambda: inner.forward(X)):
        outer.forward(X)
        inner.forward(X)
        innermost.forward(X)
        run()
        with pytest.raises(StalePassError, match=r"D\.innermost: its memory has been reused"):
            _ = innermost.y
    assert outer.y.any()


def test_planning_takes_nothing_from_the_pass_that_has_run():
    G = Network([Dense(4), BatchNorm(), Dense(1)], (3,), name="G")
    fake = G.new_pass(2)
    expected = fake.forward(X).copy(), fake.backward(DY).copy()
    y = fake.forward(X, update_stats=False)
    D = Network([Conv2d(8, 3, padding=1), LeakyReLU(), Flatten(), Dense(1)], (8, 8, 2), name="D")
    large = D.new_pass(2, arena=fake.meanwhile)
    assert fake.arena.nbytes > fake.nbytes
    large.forward(np.ones((2, 8, 8, 2), np.float32))  # in a larger region: the old one is fake's until it runs again
    same((y, fake.y, fake.backward(DY)), (expected[0], *expected))
    fake.forward(X)
    assert np.shares_memory(fake.y, fake.arena.region)
