"""Embedding as a layer: of an input, of a condition; errors."""

import numpy as np
import pytest

from npgan.errors import ConfigError, ShapeError
from npgan.gradcheck import check
from npgan.layers.activations import Tanh
from npgan.layers.containers import ConcatCondition
from npgan.layers.dense import Dense
from npgan.layers.embedding import Embedding
from npgan.layers.initializers import Constant
from npgan.network import Network


@pytest.mark.parametrize("shape", [(), (4,)])
def test_gradients(shape):
    check([Embedding(5, 3), Dense(2)], shape, batch=6, input_labels=5)


@pytest.mark.parametrize("shape", [(), (4,)])
def test_rmaps(shape, check_rmaps):
    check_rmaps(Embedding(5, 3), shape, batch=6, labels=5)
    check_rmaps([Embedding(5, 3), Tanh(), Dense(2)], shape, batch=6, labels=5)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_rmaps_of_a_condition(backend):
    """A label's row moves y at its own samples alone; with rdy silent, nothing comes back."""
    network = Network([ConcatCondition(Embedding(3, 2))], (1,), condition_shape=(), backend=backend, dtype="float64")
    draw = np.random.default_rng(0)
    p, labels = network.new_pass(4, order=2), np.array([2, 0, 2, 2])
    p.forward(draw.normal(size=(4, 1)), labels)
    p.backward(draw.normal(size=(4, 3)), dtheta=network.grad)
    rtheta, rdy, rdtheta = draw.normal(size=6), draw.normal(size=(4, 3)), np.full(6, np.nan)
    np.testing.assert_array_equal(p.rforward(rtheta=rtheta)[:, 1:], rtheta.reshape(3, 2)[labels])
    p.rbackward(rdy, rdtheta=rdtheta)
    expected = [rdy[labels == k, 1:].sum(axis=0) for k in range(3)]
    np.testing.assert_allclose(rdtheta.reshape(3, 2), expected, rtol=1e-15)
    p.rbackward(rdtheta=rdtheta)
    assert not rdtheta.any()


def test_gradients_of_a_condition():
    check([ConcatCondition(Embedding(4, 3)), Dense(2)], (5,), batch=6, labels=4)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_rows_of_the_table(backend):
    network = Network(Embedding(5, 3), (2,), input_dtype="int64", backend=backend, dtype="float64")
    labels = np.array([[0, 4], [4, 4], [2, 0]])
    p = network.new_pass(3)
    table = network.parameters()["0/weight"]
    assert np.array_equal(p.forward(labels), table[labels])
    dtheta = np.full(network.size, np.nan)
    dy = np.random.default_rng(0).normal(size=(3, 2, 3))
    p.backward(dy, dtheta=dtheta, dx=False)
    expected = np.zeros((5, 3))
    for i, j in np.ndindex(3, 2):
        expected[labels[i, j]] += dy[i, j]
    np.testing.assert_allclose(dtheta.reshape(5, 3), expected, rtol=1e-14, atol=1e-15)


def test_weights_begin_normal():
    theta = Network(Embedding(100, 100), (), input_dtype="int64").theta
    assert abs(theta.mean()) < 0.05
    assert abs(theta.std() - 1) < 0.05
    assert (Network(Embedding(2, 3, init=Constant(0.5)), (), input_dtype="int64").theta == 0.5).all()


@pytest.mark.parametrize(("label", "backend"), [(-1, "cpu"), (5, "cpu"), (-5, "reference"), (2**40, "reference")])
def test_a_label_out_of_range_is_refused(label, backend):
    p = Network(Embedding(5, 3), (), input_dtype="int64", backend=backend).new_pass(3)
    with pytest.raises(ConfigError, match=rf"a label is {label}, expected 0 to 4"):
        p.forward(np.array([0, label, 4]))


def test_what_is_no_label_is_refused():
    with pytest.raises(ShapeError, match=r"D/0 Embedding: x is float \(1, 4\), expected int64 labels"):
        Network(Embedding(5, 3), (4,), name="D")
    for count, width, name in ((0, 3, "count"), (2.0, 3, "count"), (3, -1, "width")):
        with pytest.raises(ConfigError, match=f"{name} is"):
            Embedding(count, width)
