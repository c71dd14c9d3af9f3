"""Rules that descend another field than the gradients': consensus, symplectic adjustment, the Hamiltonian.

Each has a linear map L of its own at every point, made of J and Jᵀ, and descends w = L v. The derivative of w is
L J u + (L's own derivative along u) v; the second term has third derivatives of the losses, and vanishes with v.
"""

from __future__ import annotations

from abc import abstractmethod

from npgan.backend.base import Array
from npgan.errors import ConfigError
from npgan.game.differentiable import PLAYERS, DifferentiableGame
from npgan.game.rule import JVP, VJP, Rule
from npgan.game.tangent import Linearisation, Tangent
from npgan.optimizers import Optimizer
from npgan.options import number


class AdjustedDescent(Rule):
    """Both players descend w = L v from the same point, each by its optimizer's direction.

    `operator` is exact at a zero of the field, and refused elsewhere.
    """

    second_order = True

    @abstractmethod
    def _adjust(self, game: DifferentiableGame, v: Array) -> Array:
        """Return L v at the game's point (P_D + P_G,), of the field or, at its zero, of a direction of it."""

    @abstractmethod
    def _adjust_back(self, game: DifferentiableGame, w: Array) -> Array:
        """Return Lᵀ w at the game's point, a zero of the field."""

    def _adjusted(self, game: DifferentiableGame, v: Array) -> Array:
        """Return w for the field v at the game's point."""
        return self._adjust(game, v)

    def step(self, game: DifferentiableGame) -> None:  # noqa: D102
        self._descend_both(game, self._adjusted(game, game.gradient()))

    def _linearise(self, game: DifferentiableGame) -> Linearisation:
        self._check_zero(game, game.gradient(), "the field")
        point = game.at(game.theta)
        frozen = [self._freeze(player) for player in PLAYERS]

        def push(r: Tangent) -> None:
            field = point.split(self._adjust(point, point.jvp(r.theta)))
            for each, theta, momentum, gradient in zip(frozen, r.weights, r.momenta, field, strict=True):
                each.push(theta, momentum, gradient)

        def pull(r: Tangent) -> None:
            r.theta += point.vjp(self._adjust_back(point, self._pull(frozen, r)))

        return Linearisation(push, pull)


class Consensus(AdjustedDescent):
    """w = v + γ Jᵀ v: each player also lowers ½‖v‖², so both agree that the field should vanish.

    Parameters
    ----------
    optimizers, rates
        See `Rule`.
    gamma : float
        γ, from 0.
    """

    name = "consensus"
    paper = "Mescheder, Nowozin and Geiger 2017, The numerics of GANs, algorithm 2"
    evaluations = 1 + VJP

    def __init__(
        self, optimizers: tuple[Optimizer, Optimizer], rates: tuple[float, float], *, gamma: float = 0.1
    ) -> None:
        super().__init__(optimizers, rates)
        self.gamma = number(f"rule {self.name}: gamma", gamma, least=0)

    def _adjust(self, game: DifferentiableGame, v: Array) -> Array:
        adjusted: Array = v + self.gamma * game.vjp(v)
        return adjusted

    def _adjust_back(self, game: DifferentiableGame, w: Array) -> Array:
        found: Array = w + self.gamma * game.jvp(w)
        return found


class Hamiltonian(AdjustedDescent):
    """w = Jᵀ v: descent of H = ½‖v‖², which goes to zeros of the field of every kind, a player's maxima among them."""

    name = "hamiltonian"
    paper = "Balduzzi et al. 2018, The mechanics of n-player differentiable games, section 3; Abernethy et al. 2019"
    evaluations = 1 + VJP

    def _adjust(self, game: DifferentiableGame, v: Array) -> Array:
        return game.vjp(v)

    def _adjust_back(self, game: DifferentiableGame, w: Array) -> Array:
        return game.jvp(w)


class SymplecticAdjustment(AdjustedDescent):
    """w = v + λ Aᵀ v with A = ½ (J - Jᵀ), the part of J that rotates.

    With alignment the sign of λ is that of ⟨v, ∇H⟩ ⟨Aᵀ v, ∇H⟩ / P + ε, where ∇H = Jᵀ v: towards zeros of the field that
    are stable, away from the others. At a zero it is positive, as ε is.

    Parameters
    ----------
    optimizers, rates
        See `Rule`.
    strength : float
        |λ|, from 0.
    alignment : bool
        Otherwise λ is positive everywhere.
    epsilon : float
        ε, above 0.
    """

    name = "symplectic"
    paper = "Balduzzi et al. 2018, The mechanics of n-player differentiable games, algorithm 1 and section 3.4"
    evaluations = 1 + JVP + VJP

    def __init__(
        self,
        optimizers: tuple[Optimizer, Optimizer],
        rates: tuple[float, float],
        *,
        strength: float = 1.0,
        alignment: bool = True,
        epsilon: float = 0.1,
    ) -> None:
        super().__init__(optimizers, rates)
        self.strength = number(f"rule {self.name}: strength", strength, least=0)
        self.epsilon = number(f"rule {self.name}: epsilon", epsilon, above=0)
        if not isinstance(alignment, bool):
            raise ConfigError(f"rule {self.name}: alignment is {alignment!r}, expected true or false")
        self.alignment = alignment

    def _adjust(self, game: DifferentiableGame, v: Array) -> Array:
        adjusted: Array = v + self.strength * 0.5 * (game.vjp(v) - game.jvp(v))
        return adjusted

    def _adjust_back(self, game: DifferentiableGame, w: Array) -> Array:
        found: Array = w + self.strength * 0.5 * (game.jvp(w) - game.vjp(w))
        return found

    def _adjusted(self, game: DifferentiableGame, v: Array) -> Array:
        slope = game.vjp(v)  # of H
        turn = 0.5 * (slope - game.jvp(v))
        along, across = float(v @ slope), float(turn @ slope)
        against = self.alignment and along * across / game.size + self.epsilon < 0
        adjusted: Array = v + (-self.strength if against else self.strength) * turn
        return adjusted
