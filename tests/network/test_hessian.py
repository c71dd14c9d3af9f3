"""Products with a loss's Hessian."""

from __future__ import annotations

import numpy as np
import pytest

from npgan.errors import ConfigError, StalePassError
from npgan.layers import BatchNorm, ConcatCondition, Conv2d, Dense, Flatten, LeakyReLU, Residual, Tanh
from npgan.losses import get_loss
from npgan.network import Hessian, Network

N = 4
NETWORKS = {
    "mlp": ([Dense(5), Tanh(), Residual([Dense(5), Tanh()]), Dense(1)], (3,)),
    "batch norm": ([Dense(5), BatchNorm(), Tanh(), Dense(1)], (3,)),
    "convolution": ([Conv2d(2, 3, padding=1), LeakyReLU(), Flatten(), Dense(1)], (3, 3, 1)),
}


def make(name, loss="minimax", order=2):
    layers, shape = NETWORKS[name]
    network = Network(layers, shape, dtype="float64", seed=2)
    draw = np.random.default_rng(5)
    with network.write() as theta:
        theta += 0.3 * draw.normal(size=network.size)
    x = draw.normal(size=(N, *shape))
    return network, x, network.new_pass(N, order=order), get_loss(loss).real, draw


@pytest.mark.parametrize("loss", ["minimax", "least-squares"])
@pytest.mark.parametrize("name", NETWORKS)
def test_products_are_differences_of_gradients(name, loss):
    network, x, p, term, draw = make(name, loss)
    theta, u, w = network.theta.copy(), draw.normal(size=network.size), draw.normal(size=x.shape)

    def gradients(t, s):
        network.load(theta + t * u)
        found = Hessian(p, term, x + s * w)
        network.load(theta)
        return found.gradient.copy(), found.dx

    h = 1e-5
    for part, moved in (("theta", (1, 0)), ("x", (0, 1)), ("both", (1, 1))):
        plus, minus = gradients(*(h * m for m in moved)), gradients(*(-h * m for m in moved))
        found = Hessian(p, term, x).product(u if moved[0] else None, w if moved[1] else None)
        for a, b, mine in zip(plus, minus, found, strict=True):
            expected = (a - b) / (2 * h)
            np.testing.assert_allclose(mine, expected, rtol=1e-6, atol=1e-7 * np.abs(expected).max(), err_msg=part)


@pytest.mark.parametrize("name", NETWORKS)
def test_symmetry_and_operators(name):
    network, x, p, term, _ = make(name)
    hessian = Hessian(p, term, x)
    P, F = network.size, x.size
    dense = hessian.operator("both") @ np.eye(P + F)
    np.testing.assert_allclose(dense, dense.T, rtol=1e-12, atol=1e-13 * np.abs(dense).max())
    np.testing.assert_allclose(hessian.operator() @ np.eye(P), dense[:P, :P], rtol=0, atol=1e-14)
    np.testing.assert_allclose(hessian.operator("input") @ np.eye(F), dense[P:, P:], rtol=0, atol=1e-14)


def test_arpack_takes_it():
    from scipy.sparse.linalg import eigsh

    network, x, p, term, _ = make("mlp")
    hessian = Hessian(p, term, x)
    dense = hessian.operator() @ np.eye(network.size)
    largest = eigsh(hessian.operator(), k=1, which="LA", return_eigenvectors=False)
    assert largest[0] == pytest.approx(np.linalg.eigvalsh(dense)[-1], rel=1e-9)


def test_a_condition():
    network = Network([ConcatCondition(), Dense(4), Tanh(), Dense(1)], (3,), condition_shape=(2,), dtype="float64")
    draw = np.random.default_rng(0)
    x, c, u = draw.normal(size=(N, 3)), draw.normal(size=(N, 2)), draw.normal(size=network.size)
    hessian = Hessian(network.new_pass(N, order=2), get_loss("minimax").real, x, c)
    assert u @ hessian.product(u)[0] == pytest.approx(u @ (hessian.operator() @ u), rel=1e-12)


def test_refusals():
    network, x, p, term, _ = make("mlp")
    with pytest.raises(ConfigError, match="needs order=2"):
        Hessian(network.new_pass(N), term, x)
    hessian = Hessian(p, term, x)
    with pytest.raises(ConfigError, match="by is 'theta'"):
        hessian.operator("theta")
    with network.write() as theta:
        theta *= 1.1
    with pytest.raises(StalePassError, match="weights of network were written"):
        hessian.product(np.zeros(network.size))
