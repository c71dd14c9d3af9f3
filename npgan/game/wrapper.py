"""Rules made of another rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from npgan.game.differentiable import DifferentiableGame
from npgan.game.rule import Limits, Rule
from npgan.optimizers import Optimizer


class Wrapper(Rule):
    """A rule around another, which has the optimizers, the rates and the limits.

    Parameters
    ----------
    optimizers, rates
        See `Rule`.
    inner : str
        The name of the rule that it is made of.
    inner_options : mapping, optional
        That rule's own.
    """

    def __init__(
        self,
        optimizers: tuple[Optimizer, Optimizer],
        rates: tuple[float, float],
        *,
        inner: str = "alternating",
        inner_options: Mapping[str, Any] | None = None,
    ) -> None:
        from npgan.game.rules import make_rule

        self.inner = make_rule(inner, optimizers, rates, inner_options)
        super().__init__(optimizers, rates)
        self.second_order = self.inner.second_order
        self.batches, self.rounds = self.inner.batches, self.inner.rounds

    @property
    def rates(self) -> tuple[float, float]:
        """Of D and of G."""
        return self.inner.rates

    @rates.setter
    def rates(self, rates: tuple[float, float]) -> None:
        self.inner.rates = rates

    @property
    def limits(self) -> tuple[Limits, Limits] | None:
        """See `Rule`."""
        return self.inner.limits

    @limits.setter
    def limits(self, limits: tuple[Limits, Limits] | None) -> None:
        self.inner.limits = limits

    @property
    def fresh(self) -> Callable[[], DifferentiableGame] | None:
        """See `Rule`."""
        return self.inner.fresh

    @fresh.setter
    def fresh(self, fresh: Callable[[], DifferentiableGame] | None) -> None:
        self.inner.fresh = fresh

    def __str__(self) -> str:
        return f"{self.name}({self.inner})"
