"""Looking ahead before stepping: extragradient, its one-evaluation form, and optimism.

With d(g) the direction that a player's optimizer makes of a gradient: d(g) = g is the rules as they were first written,
Adam's direction their Adam forms.
"""

from __future__ import annotations

from npgan.errors import NpganError
from npgan.game.differentiable import PLAYERS, DifferentiableGame
from npgan.game.rule import Rule
from npgan.game.tangent import Linearisation, Tangent
from npgan.optimizers import Optimizer


class Extragradient(Rule):
    """θ' = θ - η d(v(θ)), then θ ← θ - η d(v(θ')).

    An eigenvalue μ of J becomes 1 - ημ + η²μ². The half step is taken back, but not what the optimizers remember of it:
    their moments take in both gradients, as in the paper's algorithm 4. (With those of the second alone, Adam divides
    the first by the root of what is small where the half step has led: it jumps far, and stays where it is.)

    In training each of the two gradients is of a mini-batch of its own (the paper's algorithm 2).
    """

    name = "extragradient"
    paper = "Gidel et al. 2019, A variational inequality perspective on GANs, algorithms 2 and 4; Korpelevich 1976"
    evaluations = 2.0
    batches = 2

    def step(self, game: DifferentiableGame) -> None:  # noqa: D102
        start, memories = game.theta, self._memories()
        try:
            self._descend_both(game, game.gradient())
            field = self._next(game).gradient()
        except NpganError:
            self._restore(memories)
            raise
        finally:
            game.load(start)
        self._descend_both(game, field)

    def _linearise(self, game: DifferentiableGame) -> Linearisation:
        halves = []
        with self.kept(game):
            for _ in range(2):
                halves.append((game.at(game.theta), [self._freeze(player) for player in PLAYERS]))
                self._descend_both(game, game.gradient())

        def push(r: Tangent) -> None:
            start = r.theta.copy()
            for point, frozen in halves:
                field = point.split(point.jvp(r.theta))
                r.theta[...] = start
                for each, theta, momentum, gradient in zip(frozen, r.weights, r.momenta, field, strict=True):
                    each.push(theta, momentum, gradient)

        def pull(r: Tangent) -> None:
            start = 0 * r.theta
            for point, frozen in reversed(halves):
                field = self._pull(frozen, r)
                start += r.theta
                r.theta[...] = point.vjp(field)
            r.theta += start

        return Linearisation(push, pull)


class ExtrapolationFromPast(Rule):
    """θ' = θ - η d_past, then θ ← θ - η d with d = d(v(θ')), which is the next step's d_past.

    Extragradient with the gradient of the last half step, so that a step costs one. Nothing is remembered at first, and
    the first step does not extrapolate. The points θ' are those of `Optimistic`.
    """

    name = "extrapolation-from-past"
    paper = "Gidel et al. 2019, A variational inequality perspective on GANs, algorithm 3; Popov 1980"

    def __init__(self, optimizers: tuple[Optimizer, Optimizer], rates: tuple[float, float]) -> None:
        super().__init__(optimizers, rates)
        self.memory = self._zeros(self._weights)

    def step(self, game: DifferentiableGame) -> None:  # noqa: D102
        with self.kept(game):
            self._extrapolate(game)
            field = game.split(game.gradient())
        for player, gradient, past in zip(PLAYERS, field, self._halves(self.memory), strict=True):
            past[...] = self._direction(game, player, gradient)
            self._apply(game, player, past)

    def _extrapolate(self, game: DifferentiableGame) -> None:
        for player, past in zip(PLAYERS, self._halves(self.memory), strict=True):
            self._apply(game, player, past)

    def _linearise(self, game: DifferentiableGame) -> Linearisation:
        frozen, rates = [self._freeze(player, 1.0) for player in PLAYERS], self.rates
        with self.kept(game):
            self._extrapolate(game)
            ahead = game.at(game.theta)

        def push(r: Tangent) -> None:
            half, own = r.copy(), self._halves(r.own)
            for i, optimizer in enumerate(self.optimizers):
                optimizer.apply(half.weights[i], own[i], rates[i])  # linear, and frozen weights stay
            field = ahead.split(ahead.jvp(half.theta))
            for i, optimizer in enumerate(self.optimizers):
                own[i][...] = frozen[i].displacement(r.weights[i], r.momenta[i], field[i])
                optimizer.apply(r.weights[i], own[i], rates[i])

        def pull(r: Tangent) -> None:
            own, field = self._halves(r.own), []
            for i, optimizer in enumerate(self.optimizers):
                optimizer.apply(own[i], r.weights[i], rates[i])
                by_theta, by_g = frozen[i].displacement_pull(own[i], r.momenta[i])
                r.weights[i][...] += by_theta
                field.append(by_g)
            half = ahead.vjp(game.backend.xp.concatenate(field))
            r.theta += half
            r.own[...] = 0
            for i, optimizer in enumerate(self.optimizers):
                optimizer.apply(own[i], ahead.split(half)[i], rates[i])

        return Linearisation(push, pull)


class Optimistic(Rule):
    """θ ← θ - 2η d_t + η d_{t-1} with d_t = d(v(θ)): optimistic mirror descent, and OptimisticAdam with Adam.

    d_{-1} = 0, so the first step is twice as long. In the Euclidean geometry, where the mirror map is the identity.
    """

    name = "optimistic"
    paper = "Daskalakis et al. 2018, Training GANs with optimism, algorithm 1"

    def __init__(self, optimizers: tuple[Optimizer, Optimizer], rates: tuple[float, float]) -> None:
        super().__init__(optimizers, rates)
        self.memory = self._zeros(self._weights)

    def step(self, game: DifferentiableGame) -> None:  # noqa: D102
        field = game.split(game.gradient())
        for player, gradient, past in zip(PLAYERS, field, self._halves(self.memory), strict=True):
            direction = self._direction(game, player, gradient)
            self._apply(game, player, 2 * direction - past)
            past[...] = direction

    def _linearise(self, game: DifferentiableGame) -> Linearisation:
        here, rates = game.at(game.theta), self.rates
        frozen = [self._freeze(player, 1.0) for player in PLAYERS]

        def push(r: Tangent) -> None:
            field, own = here.split(here.jvp(r.theta)), self._halves(r.own)
            for i, optimizer in enumerate(self.optimizers):
                direction = frozen[i].displacement(r.weights[i], r.momenta[i], field[i])
                optimizer.apply(r.weights[i], 2 * direction - own[i], rates[i])
                own[i][...] = direction

        def pull(r: Tangent) -> None:
            own, field = self._halves(r.own), []
            for i, optimizer in enumerate(self.optimizers):
                back = 0 * own[i]
                optimizer.apply(back, r.weights[i], rates[i])
                by_theta, by_g = frozen[i].displacement_pull(own[i] + 2 * back, r.momenta[i])
                own[i][...] = -back
                r.weights[i][...] += by_theta
                field.append(by_g)
            r.theta += here.vjp(game.backend.xp.concatenate(field))

        return Linearisation(push, pull)
