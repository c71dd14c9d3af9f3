import numpy as np
import pytest

from npgan.backend import get_backend
from npgan.game import Alternating, Game, Latent, Player
from npgan.layers import (
    BatchNorm,
    ConcatCondition,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    LeakyReLU,
    Reshape,
    Softplus,
    Tanh,
)
from npgan.losses import get_loss
from npgan.network import Network
from npgan.optimizers import get_optimizer
from npgan.penalties import get_penalty

GAMES = {
    "dense": ([Dense(6), Tanh(), Dense(3)], [Dense(5), Softplus(), Dense(1)], (2,), (3,)),
    # A critic with several outputs a sample: its gradient must not be broadcast to G's output.
    "several scores": ([Dense(5), Tanh(), Dense(3)], [Dense(5), Tanh(), Dense(4)], (2,), (3,)),
    "conv": (
        [
            Dense(2 * 2 * 3),
            Reshape((2, 2, 3)),
            BatchNorm(),
            Softplus(),
            ConvTranspose2d(1, 4, stride=2, padding=1),
            Tanh(),
        ],
        [Conv2d(3, 3, stride=2, padding=1), BatchNorm(), Softplus(), Flatten(), Dense(1)],
        (2,),
        (4, 4, 1),
    ),
    "dropout": (
        [Dense(6), Tanh(), Dropout(0.3), Dense(3)],
        [Dropout(0.2), Dense(5), Softplus(), Dropout(0.3), Dense(1)],
        (2,),
        (3,),
    ),
    "relu": ([Dense(6), LeakyReLU(), Dense(3)], [Dense(5), LeakyReLU(), Dense(1)], (2,), (3,)),
}


class Table:
    """Two networks, a game, and the batch that it is looked at on."""

    def __init__(
        self,
        name="dense",
        loss="minimax",
        batch=5,
        conditional=False,
        dtype="float64",
        backend="cpu",
        penalties=(),
        order=1,
        **loss_options,
    ):
        layers_g, layers_d, self.z_shape, self.x_shape = GAMES[name]
        if conditional:
            layers_g = [ConcatCondition(Embedding(4, 2)), *layers_g]
            layers_d = [ConcatCondition(Embedding(4, 2)), *layers_d]
        options = {"dtype": dtype, "backend": backend, "condition_shape": () if conditional else None}
        self.G = Network(layers_g, self.z_shape, name="G", seed=1, **options)
        self.D = Network(layers_d, self.x_shape, name="D", seed=2, **options)
        draw = np.random.default_rng(0)
        for network in (self.G, self.D):
            with network.write() as theta:
                theta += 0.3 * draw.normal(size=theta.size)
        self.loss = get_loss(loss, backend=backend, **loss_options)
        made = [get_penalty(each) if isinstance(each, str) else each for each in penalties]
        self.game = Game(self.G, self.D, self.loss, batch, penalties=made, order=order)
        self.z = draw.normal(size=(batch, *self.z_shape)).astype(dtype)
        self.x = np.tanh(draw.normal(size=(batch, *self.x_shape))).astype(dtype)
        self.labels = draw.integers(0, 4, batch) if conditional else None
        self.latent = Latent(self.z_shape)
        self.random = get_backend(backend).random(7)

    def field(self, step=0):
        """The game on the batch."""
        return self.game.on(self.x, self.z, self.labels, step=step)

    def player(self, network, optimizer="sgd", lr=0.1, optimizer_options=None, **options):
        made = get_optimizer(
            optimizer, network.size, network.dtype, backend=network.backend, **(optimizer_options or {})
        )
        return Player(network, made, lambda step: lr, **options)

    def rule(self, players=None, **options):
        g, d = players or (self.player(self.G), self.player(self.D))
        return Alternating(self.game, g, d, self.latent, self.random, **options)

    def data(self, turn):
        """Batches that differ."""
        return np.roll(self.x, turn, axis=0) * (1 - 0.01 * turn), self.labels


@pytest.fixture
def table():
    return Table


def differences(function, game, h=1e-4):
    """Return the derivative of function(game) by the weights, by differences of fourth order, where they are now."""
    theta, columns = game.theta, []
    for j in range(game.size):

        def at(t, j=j):
            moved = theta.copy()
            moved[j] += t
            game.load(moved)
            return np.array(function(game))

        columns.append((8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h))
    game.load(theta)
    return np.stack(columns, axis=-1)


@pytest.fixture(name="differences")
def differences_fixture():
    return differences
