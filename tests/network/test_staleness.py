"""When a Pass refuses to go on: its weights or its memory are not what its forward saw."""

import numpy as np
import pytest

from npgan.errors import ConfigError, StalePassError
from npgan.layers import Dense, Embedding
from npgan.network import Arena, Network


def test_the_well_known_example_of_dcgan():
    # Score the fakes, step D, then go back through the old graph: old activations, new weights.
    D = Network([Dense(1)], (3,), name="D")
    p = D.new_pass(2, name="on_fake")
    p.forward(np.ones((2, 3), np.float32))
    with D.write() as theta:
        theta -= 0.1
    for read in (lambda: p.backward(np.ones((2, 1), np.float32)), lambda: p.y):
        with pytest.raises(StalePassError, match=r"D\.on_fake: the weights of D were written after forward"):
            read()
    p.forward(np.ones((2, 3), np.float32))
    p.backward(np.ones((2, 1), np.float32))


def test_before_forward():
    p = Network([Dense(1)], (3,)).new_pass(2, keep="all")
    for read in (lambda: p.backward(np.ones((2, 1), np.float32)), lambda: p.y, lambda: p["0"]):
        with pytest.raises(StalePassError, match="forward has not run"):
            read()


def test_after_another_pass_of_the_arena():
    network = Network([Dense(1)], (3,), name="D")
    arena = Arena(network.backend)
    first = network.new_pass(2, arena=arena, name="on_real", keep="all")
    second = network.new_pass(2, arena=arena, name="on_fake")
    x, dy = np.ones((2, 3), np.float32), np.ones((2, 1), np.float32)
    first.forward(x)
    first.backward(dy)
    second.forward(x)
    for read in (lambda: first.backward(dy), lambda: first.y, lambda: first["0"]):
        with pytest.raises(StalePassError, match=r"D\.on_real: its memory has been reused by D\.on_fake"):
            read()
    second.backward(dy)


def test_a_second_backward():
    network = Network([Dense(2), Dense(1)], (3,), name="D")
    p = network.new_pass(2)
    dy = np.ones((2, 1), np.float32)
    p.forward(np.ones((2, 3), np.float32))
    p.backward(dy)
    y = p.y.copy()
    with pytest.raises(StalePassError, match=r"backward has run, and reused the memory.*keep='all'"):
        p.backward(dy)
    np.testing.assert_array_equal(p.y, y)


def test_after_a_forward_that_failed():
    network = Network([Embedding(3, 2), Dense(1)], (2,), input_dtype="int64", name="D")
    p = network.new_pass(1)
    p.forward(np.array([[0, 1]]))
    with pytest.raises(ConfigError, match=r"^D/0 Embedding: "):
        p.forward(np.array([[0, 3]]))
    with pytest.raises(StalePassError, match="forward has not run"):
        p.backward(np.ones((1, 2, 1), np.float32), dx=False)


def test_only_forward_was_planned():
    p = Network([Dense(1)], (3,)).new_pass(2, order=0)
    p.forward(np.ones((2, 3), np.float32))
    with pytest.raises(ConfigError, match="order=0"):
        p.backward(np.ones((2, 1), np.float32))
