"""Where a penalty takes the critic's gradient. A new place is one function here and its name in `POINTS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from npgan.backend.base import Array
from npgan.backend.random import Random
from npgan.backend.recording import Step
from npgan.kernels import Kernels


@dataclass(frozen=True)
class Draw:
    """What is random about the points of one turn, and what they are computed with.

    Attributes
    ----------
    random : Random
    stream : str
    turn : int or Live
    kernels : Kernels
    shares : array (N,)
        Memory for a number a sample: nothing is allocated in a turn.
    """

    random: Random
    stream: str
    turn: Step
    kernels: Kernels
    shares: Array


Points = Callable[[Array, Array, Array, float, Draw], None]  # out, real, fake, noise, draw


def at_real(out: Array, real: Array, fake: Array, noise: float, draw: Draw) -> None:
    """x̂ = x."""
    draw.kernels.arrays.copy(out, real)


def at_fake(out: Array, real: Array, fake: Array, noise: float, draw: Draw) -> None:
    """x̂ = G(z)."""
    draw.kernels.arrays.copy(out, fake)


def between(out: Array, real: Array, fake: Array, noise: float, draw: Draw) -> None:
    """x̂ = ε x + (1 - ε) G(z), ε uniform in [0, 1), one for each sample and not one for each pixel."""
    draw.random.uniform(draw.shares, f"{draw.stream} points", draw.turn)
    draw.kernels.penalty.between(out, draw.shares, real, fake)


def around_real(out: Array, real: Array, fake: Array, noise: float, draw: Draw) -> None:
    """x̂ = x + δ, δ normal with a deviation of `noise` standard deviations of the batch."""
    mean = draw.random.backend.arrays.mean
    out[...] = real
    out -= mean(out)
    out *= out
    deviation = mean(out) ** 0.5
    draw.random.normal(out, f"{draw.stream} points", draw.turn)
    out *= noise * deviation
    out += real


POINTS: dict[str, Points] = {"real": at_real, "fake": at_fake, "interpolates": between, "perturbed": around_real}
