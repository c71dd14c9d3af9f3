"""Softmax as a layer."""

import numpy as np
import pytest
from scipy import special

from npgan.errors import ShapeError
from npgan.gradcheck import check
from npgan.layers.activations import Tanh
from npgan.layers.dense import Dense
from npgan.layers.softmax import Softmax
from npgan.network import Network


@pytest.mark.parametrize(("shape", "batch"), [((5,), 3), ((1,), 2), ((2, 3, 4), 1)])
def test_gradients(shape, batch):
    check(Softmax(), shape, batch=batch)
    check([Dense(4), Softmax(), Dense(2)], shape, batch=batch)


@pytest.mark.parametrize(("shape", "batch"), [((5,), 3), ((1,), 2), ((2, 3, 4), 1)])
def test_rmaps(shape, batch, check_rmaps):
    check_rmaps(Softmax(), shape, batch=batch)
    check_rmaps([Dense(4), Softmax(), Dense(2)], shape, batch=batch)


@pytest.mark.peer
def test_rmaps_are_those_of_pytorch(torch_rmaps):
    import torch

    x, dy, rx, rdy = np.random.default_rng(0).normal(size=(4, 3, 2, 5))
    p = Network(Softmax(), (2, 5), dtype="float64").new_pass(3, order=2)
    p.forward(x)
    p.backward(dy)
    expected = torch_rmaps(lambda x: torch.softmax(x, -1), (x,), (rx,), dy, rdy)
    np.testing.assert_allclose(p.rforward(rx), expected[0], rtol=0, atol=1e-15)
    np.testing.assert_allclose(p.rbackward(rdy), expected[1], rtol=0, atol=1e-15)


def test_what_backward_reads_is_kept():
    """Tanh keeps its own output alone, so nothing but Softmax's plan keeps Softmax's."""
    x, dy = np.random.default_rng(0).normal(size=(2, 4, 6))
    network = Network([Softmax(), Tanh(), Tanh()], (6,), dtype="float64")
    found = []
    for keep in ("all", "needed"):
        p = network.new_pass(4, keep=keep)
        p.forward(x)
        found.append(p.backward(dy).copy())
    assert np.array_equal(*found)


def test_it_is_along_the_last_axis():
    x = np.random.default_rng(0).normal(size=(3, 2, 5)).astype(np.float32)
    y = Network(Softmax(), (2, 5))(x)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, special.softmax(x, axis=-1), rtol=1e-6)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match=r"D/0 Softmax: x is int64 \(1, 4\), expected real scores"):
        Network(Softmax(), (4,), input_dtype="int64", name="D")
    with pytest.raises(ShapeError, match=r"D/0 Softmax: x is float \(1,\), expected real scores"):
        Network(Softmax(), (), name="D")
