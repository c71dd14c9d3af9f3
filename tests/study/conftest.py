import numpy as np
import pytest

from npgan.game import Game, QuadraticGame
from npgan.layers import Dense, Tanh
from npgan.losses import get_loss
from npgan.network import Network
from npgan.penalties import get_penalty


def mlp_game(width=4, batch=6, dtype="float64", seed=0, loss="non-saturating", penalties=()):
    """A small GAN on points in the plane, with second order."""
    options = {"dtype": dtype, "seed": seed}
    G = Network([Dense(width), Tanh(), Dense(2)], (2,), name="G", **options)
    D = Network([Dense(width), Tanh(), Dense(1)], (2,), name="D", **options)
    made = [get_penalty(each) for each in penalties]
    return Game(G, D, get_loss(loss), batch, penalties=made, order=2)


def on_batch(game, seed=0):
    draw = np.random.default_rng(seed)
    x, z = (draw.normal(size=(game.batch, 2)).astype(game.generator.dtype) for _ in range(2))
    return game.on(x, z)


def random_quadratic(p_d, p_g, seed=0, **options):
    """A game with a random Jacobian."""
    draw = np.random.default_rng(seed)
    A, B = draw.normal(size=(2, p_d + p_g, p_d + p_g)) / np.sqrt(p_d + p_g)
    return QuadraticGame((p_d, p_g), A, B, **options)


@pytest.fixture
def mlp():
    return mlp_game


@pytest.fixture
def batch_of():
    return on_batch


@pytest.fixture
def quadratic():
    return random_quadratic
