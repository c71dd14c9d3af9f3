"""Where a penalty takes the critic's gradient. A new place is one function here and its name in `POINTS`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from npgan.backend.base import Array
from npgan.backend.random import Random

Points = Callable[[Array, Array, Array, float, Random, str, int], None]  # out, real, fake, noise, random, stream, turn


def at_real(out: Array, real: Array, fake: Array, noise: float, random: Random, stream: str, turn: int) -> None:
    """x̂ = x."""
    out[...] = real


def at_fake(out: Array, real: Array, fake: Array, noise: float, random: Random, stream: str, turn: int) -> None:
    """x̂ = G(z)."""
    out[...] = fake


def between(out: Array, real: Array, fake: Array, noise: float, random: Random, stream: str, turn: int) -> None:
    """x̂ = ε x + (1 - ε) G(z), ε uniform in [0, 1), one for each sample and not one for each pixel."""
    weights = np.empty_like(out, shape=(len(out),))
    random.uniform(weights, f"{stream} points", turn)
    weights = weights.reshape(-1, *(1,) * (out.ndim - 1))
    out[...] = fake + weights * (real - fake)


def around_real(out: Array, real: Array, fake: Array, noise: float, random: Random, stream: str, turn: int) -> None:
    """x̂ = x + δ, δ normal with a deviation of `noise` standard deviations of the batch."""
    random.normal(out, f"{stream} points", turn)
    out *= noise * real.std()
    out += real


POINTS: dict[str, Points] = {"real": at_real, "fake": at_fake, "interpolates": between, "perturbed": around_real}
