"""Whole games of the recipes' own networks, narrow ones: all of J and of its transpose against dense differences."""

import numpy as np
import pytest

from npgan.game import Game
from npgan.losses import get_loss
from npgan.network import Network
from npgan.penalties import get_penalty
from npgan.recipes import RECIPES, Fit

MLP, DCGAN = {"width": 8}, {"channels": 2}
GAMES = [
    ("ring", MLP, (2,), []),
    ("ring", MLP, (2,), ["wgan-gp"]),
    ("mlp", MLP, (4, 4, 1), ["r1"]),
    ("dcgan", DCGAN, (8, 8, 1), []),
    ("dcgan", {"channels": 1}, (8, 8, 1), ["r1"]),
    ("wgan-gp", {"channels": 1}, (8, 8, 1), ["wgan-gp"]),
]


@pytest.mark.parametrize(("recipe", "model", "shape", "penalties"), GAMES, ids=str)
def test_all_of_the_jacobian(differences, recipe, model, shape, penalties):
    """Leaky ReLU, batch norm and all; the steps are too small to cross a kink, which would err by the size of J."""
    made = RECIPES[recipe]
    layers = made.build(Fit(shape, None, True, {**made.settings["model"], **model}))
    G, D = (
        Network(each, size, dtype="float64", seed=5, name=name)
        for each, size, name in zip(layers, ((2,), shape), "GD", strict=True)
    )
    draw = np.random.default_rng(1)
    for network in (G, D):
        with network.write() as theta:
            theta += 0.2 * draw.normal(size=theta.size)
    game = Game(G, D, get_loss("non-saturating"), 4, penalties=[get_penalty(p) for p in penalties], order=2)
    field = game.on(np.tanh(draw.normal(size=(4, *shape))), draw.normal(size=(4, 2)))
    J = field.jacobian()
    expected = differences(lambda field: field.gradient(), field, 1e-5)
    scale = np.abs(expected).max()
    assert scale > 0.1
    np.testing.assert_allclose(J, expected, rtol=0, atol=1e-7 * scale)
    transposed = np.stack([field.vjp(row) for row in np.eye(field.size)])
    np.testing.assert_allclose(transposed, J, rtol=0, atol=1e-12 * scale)
    d = field.sizes[0]
    for row, rows in (("D", slice(0, d)), ("G", slice(d, None))):
        for column, columns in (("D", slice(0, d)), ("G", slice(d, None))):
            block, u = J[rows, columns], draw.normal(size=J[rows, columns].shape[1])
            found = field.block(row, column)
            np.testing.assert_allclose(found @ u, block @ u, rtol=0, atol=1e-12 * scale * len(u))
            w = draw.normal(size=block.shape[0])
            np.testing.assert_allclose(found.T @ w, block.T @ w, rtol=0, atol=1e-12 * scale * len(w))
