"""Gradient descent of both players: at once, or in turns.

With heavy-ball momentum, a negative one, or Adam, where the optimizers have it.
"""

from __future__ import annotations

from npgan.game.differentiable import PLAYERS, DifferentiableGame
from npgan.game.rule import Rule
from npgan.game.tangent import Linearisation, Tangent
from npgan.optimizers import Optimizer
from npgan.options import whole


class SimultaneousDescent(Rule):
    """Both players step from the same point: θ ← θ - η v(θ).

    An eigenvalue μ of J becomes 1 - ημ, outside the unit circle where the real part of μ is 0: around a centre it
    spirals out for every step size.
    """

    name = "simultaneous"
    paper = "Mescheder, Nowozin and Geiger 2017, The numerics of GANs, section 2.2"

    def step(self, game: DifferentiableGame) -> None:  # noqa: D102
        self._descend_both(game, game.gradient())

    def _linearise(self, game: DifferentiableGame) -> Linearisation:
        point = game.at(game.theta)
        frozen = [self._freeze(player) for player in PLAYERS]

        def push(r: Tangent) -> None:
            gradients = point.split(point.jvp(r.theta))
            for each, theta, momentum, gradient in zip(frozen, r.weights, r.momenta, gradients, strict=True):
                each.push(theta, momentum, gradient)

        def pull(r: Tangent) -> None:
            r.theta += point.vjp(self._pull(frozen, r))

        return Linearisation(push, pull)


class AlternatingDescent(Rule):
    """`n_critic` steps of D, then one of G, each from where the last has led.

    The batch stays the same within a step. The derivative is a product of one factor for every turn, each with J's row
    of that player at the turn's own point.

    Parameters
    ----------
    optimizers, rates
        See `Rule`.
    n_critic : int
        Steps of D for one of G.
    """

    name = "alternating"
    paper = "Goodfellow et al. 2014, Generative adversarial nets, algorithm 1"

    def __init__(
        self, optimizers: tuple[Optimizer, Optimizer], rates: tuple[float, float], *, n_critic: int = 1
    ) -> None:
        super().__init__(optimizers, rates)
        self.n_critic = whole(f"rule {self.name}: n_critic", n_critic, least=1)
        self.evaluations = (self.n_critic + 1) / 2

    def step(self, game: DifferentiableGame) -> None:  # noqa: D102
        for player in self._turns():
            self._descend(game, player, game.gradient(player))

    def _turns(self) -> list[str]:
        return ["D"] * self.n_critic + ["G"]

    def _linearise(self, game: DifferentiableGame) -> Linearisation:
        turns = []
        with self.kept(game):
            for player in self._turns():
                turns.append((player, game.at(game.theta), self._freeze(player)))
                self._descend(game, player, game.gradient(player))

        def push(r: Tangent) -> None:
            for player, point, frozen in turns:
                i = PLAYERS.index(player)
                frozen.push(r.weights[i], r.momenta[i], point.jvp(r.theta, player))

        def pull(r: Tangent) -> None:
            for player, point, frozen in reversed(turns):
                i = PLAYERS.index(player)
                r.theta += point.row_vjp(player, frozen.pull(r.weights[i], r.momenta[i]))

        return Linearisation(push, pull)
