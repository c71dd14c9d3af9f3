"""A GAN on points in the plane, as the studies train it: the data's density is known, so that much can be measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from npgan.backend import get_backend
from npgan.backend.base import Array
from npgan.data.mixture import Mixture, grid, ring
from npgan.errors import ConfigError
from npgan.game import Alternating, BatchGame, Game, Latent, Player, get_rule
from npgan.layers import Dense, LeakyReLU, Tanh
from npgan.layers.base import Layer
from npgan.losses import get_loss
from npgan.network import Network
from npgan.optimizers import Ema, get_optimizer, get_schedule
from npgan.options import find, number, whole
from npgan.penalties import GradientPenalty, get_penalty

ACTIVATIONS = {"leaky-relu": lambda: LeakyReLU(0.2), "tanh": Tanh}
TOYS: dict[str, Callable[..., Mixture]] = {"ring-8": ring, "grid-25": grid}


class Toy:
    """Two MLPs, a mixture in the plane, and what trains them; every draw is a function of the seed and the step.

    Parameters
    ----------
    data : {"ring-8", "grid-25"}
    sigma : float
        Deviation of each Gaussian; 0 for the data's own.
    loss : str
        See `get_loss`.
    penalty : str
        See `penalties_of`: ``"r1 gamma=0.1"``, or ``"none"``.
    rule : str
        A key of `RULES`. ``"alternating"`` runs on the fast path of training, `Alternating`.
    width, depth : int
        Of the hidden layers of both players.
    latent : int
        Normal numbers that G begins with.
    batch : int
    lr : float
        Of both players.
    schedule : {"constant", "cosine"}
        The rate falls to a hundredth of `lr` at step `steps`, or does not.
    steps : int
        For the schedule.
    optimizer : str
        See `get_optimizer`; of both players.
    beta1, beta2 : float
        Adam's.
    ema : float
        Decay of the average of G's weights that samples are drawn from; 0 for none.
    activation : {"leaky-relu", "tanh"}
    seed : int
    dtype : {"float32", "float64"}
    order : {1, 2}
        2 for products with the Jacobian; a rule that needs them gets them anyway.

    Raises
    ------
    ConfigError
        A setting makes no sense.

    Attributes
    ----------
    mixture : Mixture
    game : Game
    """

    def __init__(
        self,
        data: str = "ring-8",
        *,
        sigma: float = 0.0,
        loss: str = "non-saturating",
        penalty: str = "none",
        rule: str = "alternating",
        width: int = 128,
        depth: int = 2,
        latent: int = 2,
        batch: int = 256,
        lr: float = 1e-3,
        schedule: str = "constant",
        steps: int = 10_000,
        optimizer: str = "adam",
        beta1: float = 0.5,
        beta2: float = 0.999,
        ema: float = 0.0,
        activation: str = "leaky-relu",
        seed: int = 0,
        dtype: str = "float32",
        order: int = 1,
    ) -> None:
        spread = {"sigma": sigma} if number("sigma", sigma, least=0) else {}
        self.mixture = find("data", TOYS, data)(seed=whole("seed", seed), **spread)
        self.batch, self.data = whole("batch", batch, least=1), data
        self.backend = get_backend("cpu")
        self.random = self.backend.random(seed)
        hidden = [Dense(whole("width", width, least=1)), find("activation", ACTIVATIONS, activation)()]
        layers: list[Layer] = hidden * whole("depth", depth, least=1)
        self.latent = Latent((whole("latent", latent, least=1),))
        options: dict[str, Any] = {"backend": self.backend, "dtype": dtype, "seed": seed}
        G = Network([*layers, Dense(2)], self.latent.shape, name="G", **options)
        D = Network([*layers, Dense(1)], (2,), name="D", **options)
        fast = rule == "alternating"
        self.game = Game(
            G,
            D,
            get_loss(loss, backend=self.backend),
            self.batch,
            penalties=penalties_of(penalty),
            random=self.random,
            order=order if fast else 2,
        )
        self.ema = Ema(G.size, dtype, decay=ema, backend=self.backend) if ema else None
        if schedule == "cosine":
            self.rate = get_schedule("cosine", lr=lr, steps=whole("steps", steps, least=1), end=lr / 100)
        elif schedule == "constant":
            self.rate = get_schedule("constant", lr=lr)
        else:
            raise ConfigError(f'schedule is {schedule!r}, expected "constant" or "cosine"')
        own: dict[str, Any] = {"betas": (beta1, beta2)} if optimizer in ("adam", "adamw") else {}
        self.fast: Alternating | None = None
        if fast:
            players = [
                Player(n, get_optimizer(optimizer, n.size, n.dtype, backend=self.backend, **own), self.rate)
                for n in (G, D)
            ]
            self.fast = Alternating(self.game, players[0], players[1], self.latent, self.random)
        x, z = self.draws(0)
        point = self.game.on(x, z)
        self.rule = get_rule(rule, point, lr=number("lr", lr, above=0), optimizer=optimizer, optimizer_options=own)
        if self.fast is not None:  # one memory, whoever moves
            self.rule.optimizers = self.fast.D.optimizer, self.fast.G.optimizer

    # ---------------------------------------------------------------- draws

    def real(self, n: int, step: int, stream: str = "data") -> Array:
        """Return n samples of the data (n, 2) for a step."""
        mixture, dtype = self.mixture, self.game.generator.dtype
        which = self.random.integers(np.empty(n, np.int64), f"{stream}/component", step, high=len(mixture.means))
        noise = self.random.normal(np.empty((n, 2), dtype), f"{stream}/noise", step)
        found: Array = mixture.means.astype(dtype)[which] + mixture.stds.astype(dtype)[which] * noise
        return found

    def noise(self, n: int, step: int, stream: str = "latent") -> Array:
        """Return n latents (n, latent) for a step."""
        z = np.empty((n, *self.latent.shape), self.game.generator.dtype)
        return self.latent.draw(z, self.random, stream, step)

    def draws(self, step: int) -> tuple[Array, Array]:
        """Return the batch of a step: data (batch, 2) and latents (batch, latent)."""
        return self.real(self.batch, step), self.noise(self.batch, step)

    def point(self, step: int = 0, stream: str = "study") -> BatchGame:
        """Return the game on a batch of its own, held fixed."""
        return self.game.on(self.real(self.batch, step, stream), self.noise(self.batch, step, f"{stream}/latent"))

    # ---------------------------------------------------------------- training

    def step(self, step: int) -> None:
        """Train one step, the step-th, from 0.

        Raises
        ------
        NonFiniteError
            A gradient is not finite.
        """
        if self.fast is not None:
            self.fast.step(step, lambda turn: (self.real(self.batch, turn), None))
        else:
            x, z = self.draws(step)
            rate = self.rate(step) / self.rate(0)
            with self.rule.scaled(rate):
                self.rule.step(self.game.on(x, z, step=step, training=True))
        if self.ema is not None:
            self.ema.update(self.game.generator.theta)

    def generator(self) -> Network:
        """Return the network that samples are drawn from: G, or a copy with the average of its weights."""
        G = self.game.generator
        if self.ema is None or not self.ema.t:
            return G
        averaged = G.clone()
        averaged.load(self.ema.mean)
        return averaged

    def samples(self, n: int, stream: str = "samples") -> Array:
        """Return n generated samples (n, 2), of the same latents at every step."""
        return self.generator()(self.noise(n, 0, stream))


def penalties_of(text: str) -> list[GradientPenalty]:
    """Return the penalties that a text such as ``"r1 gamma=0.1"`` says: a name and its options; ``"none"`` is none.

    Raises
    ------
    ConfigError
        It is not of that form, or there is no such penalty or option.
    """
    if not isinstance(text, str) or not text.strip():
        raise ConfigError(f'penalty is {text!r}, expected a text such as "r1 gamma=0.1", or "none"')
    name, *rest = text.split()
    if name == "none" and not rest:
        return []
    options: dict[str, Any] = {}
    for part in rest:
        key, equals, value = part.partition("=")
        if not equals:
            raise ConfigError(f'penalty is {text!r}, expected a name and options such as "r1 gamma=0.1", or "none"')
        try:
            options[key] = float(value)
        except ValueError:
            raise ConfigError(f"penalty {name}: {key} is {value!r}, expected a number") from None
    return [get_penalty(name, **options)]
