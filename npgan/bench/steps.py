"""The suite ``steps``: whole D+G steps of the recipes, and critic steps with a gradient penalty."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from npgan.backend.base import Array, Backend, Shape
from npgan.bench.contest import Contestant, Makers, Work, own, peers, where
from npgan.bench.gans import GANS, SMALL, Gan, chosen, critic_flops, samples, step_flops
from npgan.bench.ours import Critic, Step
from npgan.layers import Dense, Layer, LeakyReLU
from npgan.network import Network
from npgan.recipes import RECIPES, Fit

_IMAGE = Fit((64, 64, 3), None, True, {"channels": 64, "slope": 0.2})
_CRITICS: tuple[tuple[str, str, Shape, int], ...] = (  # name, penalty, sample, batch
    ("mlp", "wgan-gp", (2,), 256),
    ("mlp", "r1", (2,), 256),
    ("dcgan-64 layer norm", "wgan-gp", (64, 64, 3), 64),
    ("dcgan-64", "r1", (64, 64, 3), 64),
)


def works(backend: Backend, batches: Sequence[int]) -> list[Work]:
    """Return all of them.

    Parameters
    ----------
    backend : Backend
    batches : sequence of int
        Instead of each work's own; empty for those.
    """
    found = []
    for gan in GANS:
        for batch in chosen(gan.batches_on(backend), batches):
            make = partial(_steps, gan, batch, backend)
            flops = step_flops(*gan.networks("float32", "cpu"), batch)
            found.append(Work("steps", "", f"{gan.name}, batch {batch}", make, checks=3, flops=flops))
    for name, penalty, shape, usual in _CRITICS:
        for batch in chosen((usual,), batches):
            flops = critic_flops(critic(name, shape, "float32", "cpu"), batch)
            make = partial(_critics, name, penalty, shape, batch, backend)
            found.append(Work("steps", "critic", f"{name} {penalty}, batch {batch}", make, flops=flops))
    return found


def _steps(gan: Gan, batch: int, backend: Backend, dtype: str, small: bool) -> Makers:
    return step_makers(gan, SMALL if small else batch, dtype, backend, small)


def step_makers(gan: Gan, batch: int, dtype: str, backend: Backend, small: bool = False) -> Makers:
    """Return who can take a D+G step, by name."""
    z, x = gan.batch(batch, dtype)
    networks = partial(gan.networks, dtype)

    def torch(**how: Any) -> Contestant:
        from npgan.bench.torch_contestants import TorchStep

        return TorchStep(*networks("cpu"), z, x, backend=where(backend), **how)

    def jax() -> Contestant:
        from npgan.bench.jax_contestants import JaxStep

        return JaxStep(*networks("cpu"), z, x, backend.name)

    ours = own(backend, small, lambda here: Step(*networks(here), z, x))
    return ours | peers(torch, jax, images=gan.recipe.startswith("dcgan"), compiled=True)


def critic(name: str, shape: Shape, dtype: str, backend: str | Backend) -> Network:
    """Return a critic, with the same weights each time."""
    layers: list[Layer]
    if name == "mlp":
        layers = [*(layer for _ in range(3) for layer in (Dense(128), LeakyReLU(0.2))), Dense(1)]
    else:
        layers = RECIPES["wgan-gp" if name.endswith("layer norm") else "dcgan-r1"].build(_IMAGE)[1]
    return Network(layers, shape, dtype=dtype, backend=backend, name="D")


def _batch(shape: Shape, n: int, dtype: str, penalty: str) -> tuple[Array, Array, Array]:
    """Return real, fake, and the points of the penalty: between them, or the real ones."""
    draw = np.random.default_rng(0)
    real, fake = (samples(shape, n, dtype, draw) for _ in range(2))
    weights = draw.random((n, *(1,) * len(shape))).astype(dtype)
    return real, fake, fake + weights * (real - fake) if penalty == "wgan-gp" else real


def _critics(name: str, penalty: str, shape: Shape, batch: int, backend: Backend, dtype: str, small: bool) -> Makers:
    given = _batch(shape, SMALL if small else batch, dtype, penalty)
    network = partial(critic, name, shape, dtype)

    def torch(**how: Any) -> Contestant:
        from npgan.bench.torch_contestants import TorchCritic

        return TorchCritic(network("cpu"), penalty, *given, backend=where(backend), **how)

    def jax() -> Contestant:
        from npgan.bench.jax_contestants import JaxCritic

        return JaxCritic(network("cpu"), penalty, *given, backend.name)

    ours = own(backend, small, lambda here: Critic(network(here), penalty, *given))
    return ours | peers(torch, jax, images=len(shape) == 3)
