"""npgan's side of each work; on the backend ``"reference"`` it is the numpy-only peer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from npgan.backend.base import Array, Backend
from npgan.backend.random import Random
from npgan.backend.recording import CannotRecordError, Live, Recording
from npgan.bench.contest import burst
from npgan.game import Alternating, Game, Latent, Player, Steps
from npgan.game.differentiable import PLAYERS
from npgan.game.recorded import Snapshot
from npgan.layers import Conv2d, ConvTranspose2d, Dense
from npgan.losses import get_loss
from npgan.network import Arena, Network
from npgan.optimizers import Adam, get_schedule
from npgan.penalties import Penalized, get_penalty


class AdamSettings(NamedTuple):
    """Learning rate and betas, for all contestants."""

    lr: float
    betas: tuple[float, float]


STEP = AdamSettings(2e-4, (0.5, 0.999))
CRITIC = AdamSettings(1e-4, (0.5, 0.9))


_RECORDED = 3  # steps until one is a replay


class _Given(Latent):
    """Latents that were drawn beforehand, so that all contestants have the same."""

    z: Array

    def draw(self, out: Array, random: Random, stream: str, step: int | Live) -> Array:
        random.backend.copy(out, self.z)
        return out


class Step:
    """A D+G step by the rule that trains, recorded where that can be done, as in training.

    Parameters
    ----------
    G, D : Network
    z, x : array
        The batch.
    """

    def __init__(self, G: Network, D: Network, z: Array, x: Array) -> None:
        backend = G.backend
        player_g, player_d = (
            Player(n, Adam(n.size, n.dtype, betas=STEP.betas, backend=backend), get_schedule("constant", lr=STEP.lr))
            for n in (G, D)
        )
        game = Game(G, D, get_loss("non-saturating", backend=backend), len(x))
        latent = _Given(G.input_shape)
        object.__setattr__(latent, "z", backend.asarray(z))
        self.rule = Alternating(game, player_g, player_d, latent, backend.random(0))
        self.steps, self.burst = Steps(self.rule), burst(backend)
        self.backend, self.x, self.count = backend, backend.asarray(x), 0
        if self.steps.reason is None:  # all that is timed are replays, and all that is compared
            before = Snapshot((player_g, player_d))
            for _ in range(_RECORDED):
                self.run()
            before.put_back()
            self.count = 0

    def result(self) -> list[Array]:
        """Return the losses of a step, and the gradients of D and G.

        Losses alone would not do: Adam hides a gradient's size, and a wrong one shows in them late.
        """
        self._step()
        self.steps.read()
        _, found = self.steps.known(wait=True)[-1]
        gradients = [self.backend.to_host(player.gradient) for player in (self.rule.D, self.rule.G)]
        return [np.array([found["loss_d"], found["loss_g"]]), *gradients]

    def _step(self) -> None:
        self.steps.step(self.count, self._data)
        self.count += 1

    def _data(self, turn: int) -> tuple[Array, None]:
        return self.x, None

    def run(self) -> None:
        """Take a step, or on a GPU a burst of them: as the trainer does, recorded where that can be done."""
        for _ in range(self.burst):
            self._step()
        self.backend.synchronize()


class _Recorded:
    """A function that is called as it is written, then recorded, then replayed, where the backend records."""

    def __init__(self, backend: Backend, function: Callable[[], object]) -> None:
        self.backend, self.function = backend, function
        self.recording: Recording | None = None
        self.warm, self.can = False, True

    def __call__(self) -> None:
        if self.recording is not None:
            self.recording.prepare()
            self.recording.launch()
        elif self.backend.recorder is None or not (self.warm and self.can):
            self.function()
            self.warm = True
        else:
            recording = self.backend.recorder(self.backend)
            try:
                recording.record(self.function)
            except CannotRecordError:
                self.can = False
                self.function()
            else:
                self.recording = recording
                recording.launch()


class Critic:
    """A critic's step with a gradient penalty, by Passes that share an arena and by the R-maps.

    Parameters
    ----------
    D : Network
    penalty : {"wgan-gp", "r1"}
    real, fake, points : array
        The batch, and where the penalty is evaluated.
    """

    def __init__(self, D: Network, penalty: str, real: Array, fake: Array, points: Array) -> None:
        backend, batch = D.backend, len(real)
        shared = Arena(backend)
        self.D, self.backend = D, backend
        self.on_real, self.on_fake = (D.new_pass(batch, arena=shared, name=name) for name in ("on_real", "on_fake"))
        self.penalized = Penalized(get_penalty(penalty), D, batch, shared)
        self.adam = Adam(D.size, D.dtype, betas=CRITIC.betas, backend=backend)
        self.ones = backend.asarray(np.full((batch, 1), 1.0 / batch, D.dtype))
        self.batch = [backend.asarray(array) for array in (real, fake, points)]
        self.step, self.burst = _Recorded(backend, self._step), burst(backend)

    def _gradient(self) -> Array:
        g, (real, fake, points) = self.D.grad, self.batch
        self.on_real.forward(real)
        self.on_real.backward(-self.ones, dtheta=g, dx=False)
        self.on_fake.forward(fake)
        self.on_fake.backward(self.ones, dtheta=g, accumulate=True, dx=False)
        self.penalized.at(points, g, accumulate=True)
        return g

    def result(self) -> list[Array]:
        """Return the gradient."""
        return [self.backend.to_host(self._gradient())]

    def _step(self) -> None:
        g = self._gradient()
        with self.D.write() as theta:
            self.adam.step(theta, g, CRITIC.lr)

    def run(self) -> None:
        """Take a step, or on a GPU a burst of them."""
        for _ in range(self.burst):
            self.step()
        self.backend.synchronize()


class Product:
    """A product of a direction with the Hessian of the half mean square of a network's output, by all weights.

    The gradient is computed beforehand, once.

    Parameters
    ----------
    network : Network
    x, u : array
        The batch and the direction.
    """

    def __init__(self, network: Network, x: Array, u: Array) -> None:
        backend = network.backend
        self.backend, self.u = backend, backend.asarray(u)
        self.p = network.new_pass(len(x), order=2)
        y = self.p.forward(backend.asarray(x), update_stats=False)
        self.curvature = 1.0 / y.size
        self.out = backend.empty((network.size,), network.dtype)
        self.p.backward(y * y.dtype.type(self.curvature), dtheta=self.out, dx=False)

    def run(self) -> None:
        """Multiply."""
        ry = self.p.rforward(rtheta=self.u)
        self.p.rbackward(ry * ry.dtype.type(self.curvature), rdtheta=self.out, rdx=False)
        self.backend.synchronize()

    def result(self) -> list[Array]:
        """Return the product."""
        self.run()
        return [self.backend.to_host(self.out)]


class Field:
    """The field of a game on one batch, or a product with its Jacobian.

    Parameters
    ----------
    G, D : Network
    z, x : array
        The batch.
    what : str
        One of `FIELD_WORKS`.
    u : array
        The direction, of D's weights and then G's.
    """

    def __init__(self, G: Network, D: Network, z: Array, x: Array, what: str, u: Array) -> None:
        backend = G.backend
        game = Game(G, D, get_loss("non-saturating", backend=backend), len(x), order=2)
        self.field = game.on(backend.asarray(x), backend.asarray(z))
        self.backend, self.u = backend, backend.asarray(u)
        self.name, self.anew = what.split()[0], what == "gradient" or what.endswith("anew")

    def run(self) -> Array:
        """Compute it."""
        if self.anew:
            for player in PLAYERS:
                with self.field.write(player):
                    pass  # what was written may be anything, so all is found anew
        if self.name == "gradient":
            found = self.field.gradient()
        else:
            found = self.field.jvp(self.u) if self.name == "Ju" else self.field.vjp(self.u)
        self.backend.synchronize()
        return found

    def result(self) -> list[Array]:
        """Return it, of D and of G."""
        return [self.backend.to_host(part) for part in self.field.split(self.run())]


class Gradient:
    """Both players' gradients at one point as a training step takes them, without the R-maps' memory.

    Parameters
    ----------
    G, D : Network
    z, x : array
        The batch.
    """

    def __init__(self, G: Network, D: Network, z: Array, x: Array) -> None:
        backend = G.backend
        self.game = Game(G, D, get_loss("non-saturating", backend=backend), len(x))
        self.backend, self.z, self.x = backend, backend.asarray(z), backend.asarray(x)

    def run(self) -> None:
        """Compute them."""
        game = self.game
        game.generate(self.z, None, 0)
        game.discriminator_gradient(game.discriminator.grad, self.x, None, 0)
        game.generator_gradient(game.generator.grad, None, 0)
        self.backend.synchronize()

    def result(self) -> list[Array]:
        """Return them, of D and of G."""
        self.run()
        return [self.backend.to_host(network.grad) for network in (self.game.discriminator, self.game.generator)]


class LayerMap:
    """One map of one layer, without the Pass around it.

    Parameters
    ----------
    network : Network
        Of this layer alone.
    what : {"forward", "data", "weight", "backward"}
        Its output; the gradient of its input; of its weights; or of both.
    x, dy : array
        Input and gradient of the output.
    """

    def __init__(self, network: Network, what: str, x: Array, dy: Array) -> None:
        self.backend, self.what = network.backend, what
        ((_, self.layer, _),) = network.rows
        p = network.new_pass(len(x), keep="all")
        self.grad = network.grad
        p.forward(self.backend.asarray(x))
        f = p[network.rows[0][0]]
        scratch = f.scratch
        p.backward(self.backend.asarray(dy), dtheta=self.grad)
        f.update_stats = True
        if what == "forward":
            f.scratch = scratch
        if what == "data":
            f.dw = None
        if what == "weight":
            f.dx = None
        self.f, self._pass = f, p

    def run(self) -> None:
        """Compute it."""
        if self.what == "forward":
            self.layer.forward(self.f)
        else:
            self.layer.backward(self.f)
        self.backend.synchronize()

    def result(self) -> list[Array]:
        """Return it."""
        self.run()
        choices: dict[str, list[Any]] = {
            "forward": [self.f.y],
            "data": [self.f.dx],
            "weight": [self.grad],
            "backward": [self.f.dx, self.grad],
        }
        return [self.backend.to_host(array) for array in choices[self.what]]


def has_products(layer: object) -> bool:
    """Return whether a layer is made of matrix products, so that its two gradients are two pieces of work."""
    return isinstance(layer, Conv2d | ConvTranspose2d | Dense)
