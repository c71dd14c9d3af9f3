"""Negative momentum."""

from __future__ import annotations

from npgan.game.differentiable import PLAYERS, DifferentiableGame
from npgan.game.rule import Rule
from npgan.game.tangent import Linearisation, Tangent
from npgan.optimizers import Optimizer
from npgan.options import number


class NegativeMomentum(Rule):
    """Alternating descent with heavy-ball momentum below 0.

    D, then G from where that has led, each by

        u ← β u + d(v), θ ← θ - η u.

    What a game turns too far, a step back along the last one damps. With SGD it is `alternating` with that momentum;
    with an adaptive optimizer the momentum is of its directions (Adam's own, β₁, is better 0 then).

    Parameters
    ----------
    optimizers, rates
        See `Rule`.
    beta : float
        β, above -1 and below 1.
    """

    name = "negative-momentum"
    paper = "Gidel et al. 2019, Negative momentum for improved game dynamics"

    def __init__(
        self, optimizers: tuple[Optimizer, Optimizer], rates: tuple[float, float], *, beta: float = -0.5
    ) -> None:
        super().__init__(optimizers, rates)
        self.beta = number(f"rule {self.name}: beta", beta, above=-1, below=1)
        self.memory = self._zeros(self._weights)

    def step(self, game: DifferentiableGame) -> None:  # noqa: D102
        for player, u in zip(PLAYERS, self._halves(self.memory), strict=True):
            direction = self._direction(game, player, game.gradient(player))
            u[...] = self.beta * u + direction
            self._apply(game, player, u)

    def _linearise(self, game: DifferentiableGame) -> Linearisation:
        frozen, rates = [self._freeze(player, 1.0) for player in PLAYERS], self.rates
        points = [game.at(game.theta)]
        with self.kept(game):
            self.step(game)
            moved = game.theta
        turned = points[0].theta
        game.split(turned)[0][...] = game.split(moved)[0]
        points.append(game.at(turned))

        def push(r: Tangent) -> None:
            own = self._halves(r.own)
            for i, player in enumerate(PLAYERS):
                gradient = points[i].jvp(r.theta, player)
                own[i][...] = self.beta * own[i] + frozen[i].displacement(r.weights[i], r.momenta[i], gradient)
                self.optimizers[i].apply(r.weights[i], own[i], rates[i])  # linear, and frozen weights stay

        def pull(r: Tangent) -> None:
            own = self._halves(r.own)
            for i, player in reversed(list(enumerate(PLAYERS))):
                self.optimizers[i].apply(own[i], r.weights[i], rates[i])
                by_theta, by_g = frozen[i].displacement_pull(own[i], r.momenta[i])
                own[i][...] *= self.beta
                r.weights[i][...] += by_theta
                r.theta += points[i].row_vjp(player, by_g)

        return Linearisation(push, pull)
