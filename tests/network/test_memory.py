"""Packing blocks with lifetimes, and arenas."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgan.backend import get_backend
from npgan.errors import ConfigError
from npgan.layers import Dense
from npgan.network import Arena, Network
from npgan.network.memory import Block, pack


@st.composite
def blocks(draw):
    first = draw(st.integers(-1, 12))
    shape = tuple(draw(st.lists(st.integers(0, 40), max_size=2)))
    return Block(shape, np.dtype(draw(st.sampled_from(["float32", "uint8"]))), first, draw(st.integers(first, 14)))


@given(st.lists(blocks(), max_size=25))
def test_what_lives_together_lies_apart(given_blocks):
    total = pack(given_blocks)
    for i, a in enumerate(given_blocks):
        assert 0 <= a.offset <= a.offset + a.nbytes <= total
        assert a.offset % 64 == 0
        assert a.nbytes >= np.prod(a.shape) * a.dtype.itemsize
        for b in given_blocks[:i]:
            together = a.first <= b.last and b.first <= a.last
            apart = a.offset + a.nbytes <= b.offset or b.offset + b.nbytes <= a.offset
            assert apart or not together
    # No less than what lives at one time, no more than everything side by side.
    alive = [sum(b.nbytes for b in given_blocks if b.first <= t <= b.last) for t in range(-1, 15)]
    assert max(alive) <= total <= sum(b.nbytes for b in given_blocks)


@given(st.lists(blocks(), max_size=10), st.integers(0, 99))
def test_views_hold_what_is_written(given_blocks, seed):
    backend, draw = get_backend("cpu"), np.random.default_rng(seed)
    region = backend.empty((pack(given_blocks),), np.uint8)
    for time in range(-1, 15):
        alive = [b for b in given_blocks if b.first <= time <= b.last]
        values = [draw.integers(0, 200, b.shape).astype(b.dtype) for b in alive]
        for block, value in zip(alive, values, strict=True):
            block.view(region)[...] = value
        for block, value in zip(alive, values, strict=True):
            np.testing.assert_array_equal(block.view(region), value, strict=True)


def test_a_chain_needs_two_blocks_at_a_time():
    chain = [Block((1024,), np.dtype("uint8"), i, i + 1) for i in range(20)]
    assert pack(chain) == 2048


def test_lifetimes_stretch():
    block = Block((1,), np.dtype("uint8"), 4, 4)
    block.alive(7)
    block.alive(5)
    block.alive(2)
    assert (block.first, block.last) == (2, 7)


def test_an_arena_is_as_large_as_its_largest_pass():
    small, large = (Network([Dense(n)], (8,)) for n in (4, 400))
    arena = Arena(small.backend)
    first = small.new_pass(2, arena=arena)
    assert arena.nbytes == first.nbytes
    first.forward(np.zeros((2, 8), np.float32))
    second = large.new_pass(2, arena=arena)
    assert arena.nbytes == second.nbytes > first.nbytes
    # Planning takes nothing from the Pass that has run.
    first.backward(np.ones((2, 4), np.float32))
    second.forward(np.zeros((2, 8), np.float32))
    first.forward(np.zeros((2, 8), np.float32))
    assert arena.region.size == arena.nbytes


def test_memory_is_reused():
    network = Network([Dense(64) for _ in range(20)], (64,))
    needed, everything = (network.new_pass(256, keep=keep, fuse=False).nbytes for keep in ("needed", "all"))
    forward = network.new_pass(256, order=0, fuse=False).nbytes
    one = 256 * 64 * 4
    assert forward <= 5 * one  # x and y of the network stay, and two at a time between
    assert forward < needed < everything
    assert needed <= (21 + 4) * one  # what each layer keeps, the gradients of two at a time, scratch


def test_an_arena_elsewhere():
    network = Network([Dense(2)], (3,))
    arena = Arena(network.backend)
    arena.backend = type("Other", (), {"xp": None, "name": "gpu"})()
    with pytest.raises(ConfigError, match="the arena is on the gpu backend, the network on cpu"):
        network.new_pass(2, arena=arena)
