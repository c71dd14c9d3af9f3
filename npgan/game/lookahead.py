"""Lookahead: k steps of a rule, then part of the way back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from npgan.backend.base import Array
from npgan.game.differentiable import DifferentiableGame
from npgan.game.tangent import Linearisation, Tangent
from npgan.game.wrapper import Wrapper
from npgan.optimizers import Optimizer
from npgan.options import number, whole


class Lookahead(Wrapper):
    """θ ← θ + α (θ_k - θ), where θ_k is where k steps of another rule lead, of both players together.

    Going part of the way along a chord of a spiral leads inwards. One step here is all k, in training each on mini-
    batches of its own; what the other rule and the optimizers remember goes on, and only the weights go back. An
    eigenvalue λ of the other's step becomes 1 + α (λᵏ - 1) where nothing is remembered.

    Parameters
    ----------
    optimizers, rates, inner, inner_options
        See `Wrapper`.
    k : int
        From 1.
    alpha : float
        α, above 0 and at most 1.
    """

    name = "lookahead"
    paper = "Chavdarova et al. 2021, Taming GANs with lookahead-minimax, algorithm 1; Zhang et al. 2019"

    def __init__(
        self,
        optimizers: tuple[Optimizer, Optimizer],
        rates: tuple[float, float],
        *,
        inner: str = "alternating",
        inner_options: Mapping[str, Any] | None = None,
        k: int = 5,
        alpha: float = 0.5,
    ) -> None:
        super().__init__(optimizers, rates, inner=inner, inner_options=inner_options)
        self.k = whole(f"rule {self.name}: k", k, least=1)
        self.alpha = number(f"rule {self.name}: alpha", alpha, above=0, most=1)
        self.batches, self.rounds = self.k * self.inner.batches, self.k * self.inner.rounds
        self.evaluations = self.k * self.inner.evaluations
        self._house(self.inner.memory)

    def step(self, game: DifferentiableGame) -> None:  # noqa: D102
        slow, cost = game.theta, 0.0
        for i in range(self.k):
            self.inner.step(game if i == 0 else self._next(game))
            cost += self.inner.evaluations
        self.evaluations = cost
        game.load(self._back(slow, game.theta))

    def _back(self, slow: Array, fast: Array) -> Array:
        moved: Array = slow + self.alpha * (fast - slow)
        return moved

    def _linearise(self, game: DifferentiableGame) -> Linearisation:
        steps = []
        with self.kept(game):
            for _ in range(self.k):
                steps.append(self.inner._linearise(game))
                self.inner.step(game)

        def push(r: Tangent) -> None:
            slow = r.theta.copy()
            for each in steps:
                each.push(r)
            r.theta[...] = self._back(slow, r.theta)

        def pull(r: Tangent) -> None:
            slow = (1 - self.alpha) * r.theta
            r.theta[...] *= self.alpha
            for each in reversed(steps):
                each.pull(r)
            r.theta += slow

        return Linearisation(push, pull)

    def _house(self, memory: Array) -> None:
        super()._house(memory)
        self.inner._house(memory)

    @property
    def average(self) -> Array | None:
        """The other rule's."""
        return self.inner.average

    @property
    def t(self) -> int:
        """The other rule's."""
        return self.inner.t

    @t.setter
    def t(self, t: int) -> None:
        self.inner.t = t
