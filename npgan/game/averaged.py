"""Averages of the iterates: the rule goes its way, and what is kept is the mean of where it has been."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from npgan.backend.base import Array
from npgan.errors import ConfigError
from npgan.game.differentiable import DifferentiableGame
from npgan.game.tangent import Linearisation, Tangent
from npgan.game.wrapper import Wrapper
from npgan.optimizers import Optimizer
from npgan.options import number


class Averaging(Wrapper):
    """θ̄_t = (1/t) Σ θ_s over the points after each of the steps of another rule, which does not know of it.

    Around a centre the iterates circle, and their mean is at it. `average` is θ̄; in training samples are drawn from
    G's part. The step depends on t, so the derivative of the next one is not that of all.

    Parameters
    ----------
    optimizers, rates, inner, inner_options
        See `Wrapper`.
    """

    name = "averaging"
    paper = "Gidel et al. 2019, A variational inequality perspective on GANs, algorithm 1; Bruck 1977"

    def __init__(
        self,
        optimizers: tuple[Optimizer, Optimizer],
        rates: tuple[float, float],
        *,
        inner: str = "alternating",
        inner_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(optimizers, rates, inner=inner, inner_options=inner_options)
        self.evaluations = self.inner.evaluations
        if self.inner.average is not None:
            raise ConfigError(f"rule {self.name}: its inner rule, {self.inner}, has an average already")
        self._house(self._zeros(self.inner.memory.size + self._weights))

    def _house(self, memory: Array) -> None:
        super()._house(memory)
        self.inner._house(memory[: -self._weights])

    @property
    def average(self) -> Array:
        """θ̄ (P_D + P_G,), a view; zeros before the first step."""
        return self.memory[-self._weights :]

    def step(self, game: DifferentiableGame) -> None:  # noqa: D102
        self.inner.step(game)
        self.evaluations = self.inner.evaluations
        self.average[...] += self._share() * (game.theta - self.average)
        self.t += 1

    def _share(self) -> float:
        """Return the weight of the next point in the mean."""
        return 1 / (self.t + 1)

    def _linearise(self, game: DifferentiableGame) -> Linearisation:
        inner, share, n = self.inner._linearise(game), self._share(), self._weights

        def push(r: Tangent) -> None:
            inner.push(r.without(n))
            r.vector[-n:] += share * (r.theta - r.vector[-n:])

        def pull(r: Tangent) -> None:
            r.theta += share * r.vector[-n:]
            r.vector[-n:] *= 1 - share
            inner.pull(r.without(n))

        return Linearisation(push, pull)


class MovingAverage(Averaging):
    """θ̄ ← β θ̄ + (1 - β) θ after each step of another rule; the first step copies.

    Parameters
    ----------
    optimizers, rates, inner, inner_options
        See `Wrapper`.
    decay : float
        β, from 0 and below 1.
    """

    name = "ema"
    paper = "Yazıcı et al. 2019, The unusual effectiveness of averaging in GAN training, section 3"

    def __init__(
        self,
        optimizers: tuple[Optimizer, Optimizer],
        rates: tuple[float, float],
        *,
        inner: str = "alternating",
        inner_options: Mapping[str, Any] | None = None,
        decay: float = 0.999,
    ) -> None:
        super().__init__(optimizers, rates, inner=inner, inner_options=inner_options)
        self.decay = number(f"rule {self.name}: decay", decay, least=0, below=1)

    def _share(self) -> float:
        return 1 - self.decay if self.t else 1.0
