"""Dense: the map, its parts, settings."""

import numpy as np
import pytest

from npgan.errors import ConfigError
from npgan.layers import Constant, Dense, Xavier
from npgan.network import Network


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 5, 3)])
def test_it_is_an_affine_map_of_the_last_axis(shape):
    network = Network([Dense(2)], shape, dtype="float64")
    with network.write() as theta:
        theta[...] = np.random.default_rng(0).normal(size=theta.size)
    w, b = network.parameters()["0/weight"], network.parameters()["0/bias"]
    x = np.random.default_rng(1).normal(size=(7, *shape))
    np.testing.assert_allclose(network(x), np.einsum("...i,io->...o", x, w) + b, rtol=0, atol=1e-14)


def test_gradients_by_their_formulas():
    network = Network([Dense(2)], (4, 3), dtype="float64")
    draw = np.random.default_rng(0)
    x, dy = draw.normal(size=(5, 4, 3)), draw.normal(size=(5, 4, 2))
    dx, dtheta = network.vjp(x)[1](dy)
    gradients = network.layout.by_name(dtheta)
    np.testing.assert_allclose(dx, np.einsum("npo,io->npi", dy, network.parameters()["0/weight"]), atol=1e-14)
    np.testing.assert_allclose(gradients["0/weight"], np.einsum("npi,npo->io", x, dy), atol=1e-14)
    np.testing.assert_allclose(gradients["0/bias"], dy.sum(axis=(0, 1)), atol=1e-14)


def test_without_a_bias():
    network = Network([Dense(2, bias=False, init=Constant(1.0))], (3,))
    assert list(network.parameters()) == ["0/weight"]
    np.testing.assert_array_equal(network(np.ones((1, 3), np.float32)), [[3, 3]])


def test_it_begins_with_xavier_and_no_bias():
    network = Network([Dense(200)], (100,))
    bound = np.sqrt(6 / 300)
    weight = network.parameters()["0/weight"]
    assert 0.99 * bound < np.abs(weight).max() <= bound
    assert not network.parameters()["0/bias"].any()


@pytest.mark.parametrize("units", [0, -1, 1.5, "3", None, True, np.float64(2)])
def test_a_size_that_is_none(units):
    with pytest.raises(ConfigError, match=r"units is .*, expected a whole number from 1"):
        Dense(units)


def test_an_initializer_that_is_none():
    for init in (Xavier, "xavier", 0.02):
        with pytest.raises(ConfigError, match=r"init is .*, expected an initializer such as Normal\(0.02\)"):
            Dense(2, init=init)
