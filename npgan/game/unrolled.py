"""Unrolled GANs: the generator descends through what the discriminator is about to learn."""

from __future__ import annotations

from npgan.backend.base import Array
from npgan.game.differentiable import PLAYERS, DifferentiableGame
from npgan.game.opponent import Opponent
from npgan.game.rule import VJP, Rule
from npgan.game.tangent import Linearisation, Tangent
from npgan.optimizers import Optimizer
from npgan.options import number, whole


class Unrolled(Rule):
    """G descends its loss at θ_D^K(θ_D, θ_G), D after K plain gradient steps, and D its own where it is.

    With θ^{k+1} = θ^k - α ∂L_D/∂θ_D(θ^k, θ_G) the gradient is taken by reverse accumulation: from w = ∂L_G/∂θ_G and
    a = ∂L_G/∂θ_D at θ^K, for k = K - 1 to 0,

        w ← w - α J_DGᵀ(θ^k) a,    a ← a - α J_DDᵀ(θ^k) a,

    each product exact, at its own point; so G's gradient has the second derivatives of D's loss. Both players move from
    the same point, on one mini-batch, and the steps ahead are forgotten.

    `operator` is exact where a is 0 at θ^K, at a zero of the field if the game is zero-sum, and refused elsewhere, as
    it has third derivatives there.

    Parameters
    ----------
    optimizers, rates
        See `Rule`.
    k : int
        K, from 1.
    rate : float, optional
        α, from 0; by default D's rate. The steps are of the gradient itself, whatever D's optimizer is, so with Adam's
        small rates it should be given.
    zero_sum : bool
        a = -∂L_D/∂θ_D at θ^K, as in the paper, where G's loss is minus D's (see `Opponent`). Otherwise that of L_G as
        the game has it.
    """

    name = "unrolled"
    paper = "Metz et al. 2017, Unrolled generative adversarial networks, section 2"
    second_order = True

    def __init__(
        self,
        optimizers: tuple[Optimizer, Optimizer],
        rates: tuple[float, float],
        *,
        k: int = 5,
        rate: float | None = None,
        zero_sum: bool = True,
    ) -> None:
        super().__init__(optimizers, rates)
        self.k = whole(f"rule {self.name}: k", k, least=1)
        self.rate = None if rate is None else number(f"rule {self.name}: rate", rate, least=0)
        self.opponent = Opponent(self.name, zero_sum)
        # D's gradient at 0, G's two at K; a step ahead costs D's gradient, and the point's again on the way back.
        self.evaluations = 1.5 + self.k * (0.5 + 1 + VJP / 2)

    def step(self, game: DifferentiableGame) -> None:  # noqa: D102
        own = game.gradient("D")
        with self.kept(game):
            path = self._unroll(game)
            w, a = game.gradient("G"), self.opponent.gradient(game, "D")
            for theta in reversed(path):
                with game.write("D") as weights:
                    weights[...] = theta
                w, a = self._back(game, w, a)
        self._descend(game, "D", own)
        self._descend(game, "G", w)

    def _alpha(self) -> float:
        return self.rates[0] if self.rate is None else self.rate

    def _unroll(self, game: DifferentiableGame) -> list[Array]:
        """Move D by K steps, and return its weights before each."""
        path = []
        for _ in range(self.k):
            path.append(game.split(game.theta)[0])
            gradient = game.gradient("D")
            with game.write("D") as theta:
                theta -= self._alpha() * gradient
        return path

    def _back(self, game: DifferentiableGame, w: Array, a: Array) -> tuple[Array, Array]:
        """Take w and a back through one step, from where the game is."""
        by_d, by_g = game._vjp((a, None), (True, True))
        assert by_d is not None
        assert by_g is not None
        return w - self._alpha() * by_g, a - self._alpha() * by_d

    def _linearise(self, game: DifferentiableGame) -> Linearisation:
        here, alpha = game.at(game.theta), self._alpha()
        frozen = [self._freeze(player) for player in PLAYERS]
        with self.kept(game):
            path, (_, theta_g) = self._unroll(game), game.split(game.theta)
            points = [game.at(game.backend.xp.concatenate([theta, theta_g])) for theta in path]
            last = game.at(game.theta)
            self._check_zero(last, self.opponent.gradient(last, "D"), "D's gradient of G's loss after the steps ahead")

        def push(r: Tangent) -> None:
            ahead = r.theta.copy()
            u_d, _ = here.split(ahead)
            for point in points:
                u_d -= alpha * point.jvp(ahead, "D")
            w, a = last.jvp(ahead, "G"), self.opponent.jvp(last, ahead, "D")
            for point in reversed(points):
                w, a = self._back(point, w, a)
            own = here.jvp(r.theta, "D")
            frozen[0].push(r.weights[0], r.momenta[0], own)
            frozen[1].push(r.weights[1], r.momenta[1], w)

        def pull(r: Tangent) -> None:
            own, w = here.split(self._pull(frozen, r))
            a = 0 * own
            for point in points:
                a -= alpha * point.jvp(point.backend.xp.concatenate([a, w]), "D")
            ahead = last.row_vjp("G", w) + self.opponent.vjp(last, a, "D")
            for point in reversed(points):
                ahead -= alpha * point.row_vjp("D", here.split(ahead)[0])
            r.theta += ahead + here.row_vjp("D", own)

        return Linearisation(push, pull)
