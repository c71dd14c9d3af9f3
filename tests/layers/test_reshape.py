"""Flatten and Reshape: the same memory."""

import numpy as np
import pytest

from npgan.errors import ConfigError, ShapeError
from npgan.layers import Dense, Embedding, Flatten, Reshape, Residual, Tanh
from npgan.network import Network


@pytest.mark.parametrize(("layer", "shape"), [(Flatten(), (24,)), (Reshape((4, 6)), (4, 6)), (Reshape((24,)), (24,))])
def test_the_elements_keep_their_order(layer, shape):
    network = Network([layer], (2, 3, 4), dtype="float64")
    x = np.random.default_rng(0).normal(size=(5, 2, 3, 4))
    y, pullback = network.vjp(x)
    np.testing.assert_array_equal(y, x.reshape(5, *shape))
    np.testing.assert_array_equal(pullback(2 * y)[0], 2 * x)


def test_they_are_no_operations():
    network = Network([Tanh(), Flatten(), Reshape((4, 6)), Dense(2)], (2, 3, 4))
    assert [op.path for op in network.trace(3).ops] == ["network/0", "network/3"]
    plain = Network([Tanh(), Dense(2)], (4, 6))
    assert network.new_pass(3).nbytes == plain.new_pass(3).nbytes


def test_two_views_of_one_value():
    # x goes on both flat and as it was: the gradients meet in one array.
    network = Network([Residual([Flatten(), Dense(6), Reshape((2, 3))], [Tanh()])], (2, 3), dtype="float64")
    x = np.random.default_rng(0).normal(size=(4, 2, 3))
    y, pullback = network.vjp(x)
    w = network.parameters()["0/main/1/weight"]
    np.testing.assert_allclose(y, (x.reshape(4, 6) @ w).reshape(4, 2, 3) + np.tanh(x), atol=1e-14)
    dy = np.random.default_rng(1).normal(size=y.shape)
    expected = (dy.reshape(4, 6) @ w.T).reshape(4, 2, 3) + dy * (1 - np.tanh(x) ** 2)
    np.testing.assert_allclose(pullback(dy)[0], expected, atol=1e-14)


def test_labels_can_be_reshaped():
    network = Network([Reshape((4,)), Embedding(9, 2), Flatten()], (2, 2), input_dtype="int64")
    assert network(np.arange(8).reshape(2, 2, 2)).shape == (2, 8)


@pytest.mark.parametrize("shape", [(0,), (-1,), (2, 1.5), ("3",), (True,)])
def test_an_axis_that_is_none(shape):
    with pytest.raises(ConfigError, match="an axis of shape is"):
        Reshape(shape)


def test_another_number_of_elements():
    with pytest.raises(ShapeError, match=r"G/1/main/0 Reshape: \(2, 3\) has 6 elements, \(4,\) has 4"):
        Network([Tanh(), Residual([Reshape((4,))])], (2, 3), name="G")
