"""A GAN on points in the plane, as the studies train it: the data's density is known, so that much can be measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from npgan.backend import get_backend
from npgan.backend.base import Array
from npgan.data.mixture import Mixture, grid, ring
from npgan.errors import ConfigError
from npgan.game import Alternating, BatchGame, Game, Latent, MiniBatches, Player, Steps
from npgan.game.rules import make_rule
from npgan.layers import Dense, LeakyReLU, Tanh
from npgan.layers.base import Initializer, Layer
from npgan.layers.initializers import He, Xavier
from npgan.losses import get_loss
from npgan.network import Network
from npgan.optimizers import Ema, Schedule, get_optimizer, get_schedule
from npgan.options import find, number, whole
from npgan.study.studies.texts import penalties_of, rule_of

SLOPE = 0.2  # of leaky ReLU
ACTIVATIONS = {"leaky-relu": lambda: LeakyReLU(SLOPE), "tanh": Tanh}
INITS: dict[str, Initializer] = {"xavier": Xavier(), "he": He(SLOPE), "spread": He(SLOPE)}
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
        See `rule_of`: ``"extragradient"``, ``"consensus gamma=0.5"``.
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
    init : {"xavier", "he", "spread"}
        How weights begin. Xavier's are for tanh: through each leaky ReLU they let a signal shrink to 0.72 of its size,
        which He's keep. Spread are He's with biases: each hidden unit is 0 at a sample of its own, so that the kinks
        lie among the samples. Without biases all of them meet in the origin, and Adam's steps of a thousandth have
        far to go.
    seed : int
    dtype : {"float32", "float64"}
    order : {1, 2}
        2 for products with the Jacobian; a rule that needs them gets them anyway.
    backend : str
        Where it trains; what is drawn and what is returned are on the host. On a GPU steps are recorded, and what is
        not finite in one is found by `wait`, which `point` and `samples` begin with.

    Raises
    ------
    ConfigError
        A setting makes no sense.

    Attributes
    ----------
    mixture : Mixture
    game : Game
    D, G : Player
    rule : Rule
        What moves them; `step` makes its alternating steps on the fast path of training.
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
        init: str = "xavier",
        seed: int = 0,
        dtype: str = "float32",
        order: int = 1,
        backend: str = "cpu",
    ) -> None:
        spread = {"sigma": sigma} if number("sigma", sigma, least=0) else {}
        self.mixture = find("data", TOYS, data)(seed=whole("seed", seed), **spread)
        self.batch, self.data = whole("batch", batch, least=1), data
        self.backend = get_backend(backend)
        self.random = get_backend("cpu").random(seed)
        begin = find("init", INITS, init)
        hidden = [Dense(whole("width", width, least=1), init=begin), find("activation", ACTIVATIONS, activation)()]
        layers: list[Layer] = hidden * whole("depth", depth, least=1)
        self.latent, self.dtype = Latent((whole("latent", latent, least=1),)), dtype
        made: dict[str, Any] = {"backend": self.backend, "dtype": dtype, "seed": seed}
        G = Network([*layers, Dense(2, init=begin)], self.latent.shape, name="G", **made)
        D = Network([*layers, Dense(1, init=begin)], (2,), name="D", **made)
        if init == "spread":
            for network, points in ((G, self.noise(width, 0, "spread")), (D, self.real(width, 0, "spread"))):
                _spread(network, self.backend.asarray(points))
        own: dict[str, Any] = {"betas": (beta1, beta2)} if optimizer in ("adam", "adamw") else {}
        self.ema = Ema(G.size, dtype, decay=ema, backend=self.backend) if ema else None
        self.rate = _schedule(schedule, number("lr", lr, above=0), whole("steps", steps, least=1))
        self.D, self.G = (
            Player(n, get_optimizer(optimizer, n.size, n.dtype, backend=self.backend, **own), self.rate, ema=average)
            for n, average in ((D, None), (G, self.ema))
        )
        name, options = rule_of(rule)
        self.rule = make_rule(name, (self.D.optimizer, self.G.optimizer), (lr, lr), options)
        if self.rule.average is not None and self.ema is not None:
            raise ConfigError(f"ema is {ema}, but the rule, {rule}, averages already; leave one of the two out")
        self.game = Game(
            G,
            D,
            get_loss(loss, backend=self.backend),
            self.batch,
            penalties=penalties_of(penalty),
            random=self.backend.random(seed),
            order=2 if self.rule.second_order else order,
        )
        where = self.G, self.D, self.latent, self.backend.random(seed)
        self._steps = Steps(
            MiniBatches(self.game, self.rule, *where)
            if name != "alternating" or options
            else Alternating(self.game, *where),
            record=self.backend.name == "gpu",
        )

    # ---------------------------------------------------------------- draws

    def real(self, n: int, step: int, stream: str = "data") -> Array:
        """Return n samples of the data (n, 2) for a step."""
        mixture, dtype = self.mixture, self.dtype
        which = self.random.integers(np.empty(n, np.int64), f"{stream}/component", step, high=len(mixture.means))
        noise = self.random.normal(np.empty((n, 2), dtype), f"{stream}/noise", step)
        found: Array = mixture.means.astype(dtype)[which] + mixture.stds.astype(dtype)[which] * noise
        return found

    def noise(self, n: int, step: int, stream: str = "latent") -> Array:
        """Return n latents (n, latent) for a step."""
        z = np.empty((n, *self.latent.shape), self.dtype)
        return self.latent.draw(z, self.random, stream, step)

    def draws(self, step: int) -> tuple[Array, Array]:
        """Return the batch of a step: data (batch, 2) and latents (batch, latent)."""
        return self.real(self.batch, step), self.noise(self.batch, step)

    def point(self, step: int = 0, stream: str = "study") -> BatchGame:
        """Return the game on a batch of its own, held fixed; where it trains, as its vectors are."""
        self.wait()
        batch = self.real(self.batch, step, stream), self.noise(self.batch, step, f"{stream}/latent")
        x, z = map(self.backend.asarray, batch)
        return self.game.on(x, z)

    # ---------------------------------------------------------------- training

    def step(self, step: int) -> None:
        """Train one step, the step-th, from 0.

        Raises
        ------
        NonFiniteError
            A gradient is not finite.
        """
        asarray = self.backend.asarray
        self._steps.step(step, lambda turn: (asarray(self.real(self.batch, turn)), None))

    def wait(self) -> None:
        """Wait until all steps are known to have been finite: before anything else looks at the weights.

        Raises
        ------
        NonFiniteError
            A gradient was not.
        """
        self._steps.known(wait=True)

    def generator(self) -> Network:
        """Return what samples are drawn from: G, or a copy with the average of its weights, where there is one."""
        G, average = self.game.generator, None
        if self.ema is not None and self.ema.t:
            average = self.ema.mean
        elif self.rule.average is not None and self.rule.t:
            average = self.rule.average[self.game.discriminator.size :]
        if average is None:
            return G
        averaged = G.clone()
        averaged.load(average)
        return averaged

    def samples(self, n: int, stream: str = "samples") -> Array:
        """Return n generated samples (n, 2), of the same latents at every step."""
        self.wait()
        return self.backend.to_host(self.generator()(self.backend.asarray(self.noise(n, 0, stream))))


def _spread(network: Network, points: Array) -> None:
    """Set the biases of hidden units so that each is 0 at a point of its own; points (units, ...)."""
    seen, ranges = network.new_pass(len(points), keep="all"), network.layout.ranges()
    for i in range(0, len(ranges) - 2, 2):  # each layer's weight and bias, and an activation between two layers
        seen.forward(points)
        outputs = seen[f"{network.name}/{i + 1}"].x.diagonal().copy()
        with network.write() as theta:
            theta[slice(*ranges[f"{i}/bias"])] -= outputs


def _schedule(name: str, lr: float, steps: int) -> Schedule:
    if name == "cosine":
        return get_schedule("cosine", lr=lr, steps=steps, end=lr / 100)
    if name == "constant":
        return get_schedule("constant", lr=lr)
    raise ConfigError(f'schedule is {name!r}, expected "constant" or "cosine"')
