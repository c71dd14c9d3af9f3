"""Activations as layers: gradients, what is kept, errors."""

import numpy as np
import pytest

from npgan.errors import ConfigError, ShapeError
from npgan.gradcheck import check
from npgan.layers.activations import ELU, LeakyReLU, ReLU, Sigmoid, Softplus, Tanh
from npgan.layers.dense import Dense
from npgan.network import Network

LAYERS = [ReLU(), LeakyReLU(), LeakyReLU(0.01), ELU(), ELU(0.3), Tanh(), Sigmoid(), Softplus()]
layers = pytest.mark.parametrize("layer", LAYERS, ids=repr)


@layers
@pytest.mark.parametrize(("shape", "batch"), [((5,), 3), ((3, 2, 3), 1)])
def test_gradients(layer, shape, batch):
    check(layer, shape, batch=batch)


@layers
def test_gradients_between_dense_layers(layer):
    check([Dense(4), layer, Dense(3), layer], (5,))


@layers
@pytest.mark.parametrize(("shape", "batch"), [((5,), 3), ((3, 2, 3), 1)])
def test_rmaps(layer, shape, batch, check_rmaps):
    check_rmaps(layer, shape, batch=batch)


@layers
def test_rmaps_between_dense_layers(layer, check_rmaps):
    check_rmaps([Dense(4), layer, Dense(3), layer], (5,))


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("layer", [ReLU(), LeakyReLU(0.3), ELU(0.7)], ids=repr)
def test_rmaps_at_a_kink_take_the_left_side(layer, backend):
    """They differentiate the branch that backward takes, whichever way rx points."""
    p = Network(layer, (4,), backend=backend, dtype="float64").new_pass(1, order=2)
    left = {ReLU: 0.0, LeakyReLU: 0.3, ELU: 0.7}[type(layer)]
    bend = 0.7 if isinstance(layer, ELU) else 0.0
    dy, rx, rdy = np.random.default_rng(0).normal(size=(3, 1, 4))
    p.forward(np.zeros((1, 4)))
    dx = p.backward(dy).copy()
    ry = p.rforward(rx)
    np.testing.assert_allclose(dx, left * dy, rtol=1e-15)
    np.testing.assert_allclose(ry, left * rx, rtol=1e-15)
    np.testing.assert_allclose(p.rbackward(rdy), left * rdy + bend * rx * dy, rtol=1e-14)


@layers
def test_versions_and_dtypes_agree(layer):
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, 4, 7))
    found = []
    for backend, dtype in (("reference", "float64"), ("cpu", "float64"), ("cpu", "float32")):
        p = Network(layer, (7,), backend=backend, dtype=dtype).new_pass(4)
        y = p.forward(x.astype(dtype)).copy()
        dx = p.backward(dy.astype(dtype))
        assert y.dtype == dx.dtype == dtype
        found.append((y, dx))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(found[2], found[0], rtol=1e-5, atol=1e-7)


def test_the_input_is_not_kept():
    """A dense layer and an activation more take one array more for a batch, not two."""
    few, many = (Network([Dense(8), LeakyReLU()] * depth, (8,)).new_pass(4096, fuse=False).nbytes for depth in (3, 5))
    assert many - few < 2.1 * 4096 * 8 * 4


@layers
def test_what_backward_reads_is_kept(layer):
    x, dy = np.random.default_rng(0).normal(size=(2, 4, 6))
    network = Network([layer, Tanh(), Tanh()], (6,), dtype="float64")
    found = []
    for keep in ("all", "needed"):
        p = network.new_pass(4, keep=keep)
        p.forward(x)
        found.append(p.backward(dy).copy())
    assert np.array_equal(*found)


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), "0.2", True, None])
@pytest.mark.parametrize(("kind", "name"), [(LeakyReLU, "slope"), (ELU, "alpha")])
def test_a_senseless_setting_is_refused(kind, name, value):
    with pytest.raises(ConfigError, match=rf"{name} is .*, expected a number from 0"):
        kind(value)


def test_labels_are_refused():
    with pytest.raises(ShapeError, match=r"D/0 ReLU: x is int64 \(1, 4\), expected real numbers"):
        Network([ReLU()], (4,), input_dtype="int64", name="D")


@pytest.mark.peer
@layers
def test_pytorch_agrees(layer):
    torch = pytest.importorskip("torch")
    peers = {
        "ReLU": torch.nn.ReLU,
        "LeakyReLU": lambda: torch.nn.LeakyReLU(layer.slope),
        "ELU": lambda: torch.nn.ELU(layer.alpha),
        "Tanh": torch.nn.Tanh,
        "Sigmoid": torch.nn.Sigmoid,
        "Softplus": torch.nn.Softplus,
    }
    rng = np.random.default_rng(0)
    x, dy = 5 * rng.normal(size=(2, 4, 7))
    x[0, 0] = 0  # the kinks are where PyTorch has them
    p = Network(layer, (7,), dtype="float64").new_pass(4)
    y = p.forward(x)
    tx = torch.tensor(x, requires_grad=True)
    ty = peers[type(layer).__name__]()(tx)
    ty.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-8, atol=1e-15)  # its softplus is linear above 20
    np.testing.assert_allclose(p.backward(dy), tx.grad.numpy(), rtol=1e-8, atol=1e-15)


@pytest.mark.peer
@layers
def test_rmaps_are_those_of_pytorch(layer, torch_rmaps):
    import torch

    functional = torch.nn.functional
    f = {
        "ReLU": functional.relu,
        "LeakyReLU": lambda x: functional.leaky_relu(x, layer.slope),
        "ELU": lambda x: functional.elu(x, layer.alpha),
        "Tanh": torch.tanh,
        "Sigmoid": torch.sigmoid,
        "Softplus": functional.softplus,
    }[type(layer).__name__]
    x, dy, rx, rdy = np.random.default_rng(0).normal(size=(4, 4, 7))
    p = Network(layer, (7,), dtype="float64").new_pass(4, order=2)
    p.forward(x)
    p.backward(dy)
    expected = torch_rmaps(f, (x,), (rx,), dy, rdy)
    np.testing.assert_allclose(p.rforward(rx), expected[0], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(p.rbackward(rdy), expected[1], rtol=1e-12, atol=1e-14)
