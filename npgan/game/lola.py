"""LOLA: each player allows for what its step does to the other's next one."""

from __future__ import annotations

from npgan.backend.base import Array
from npgan.game.differentiable import PLAYERS, DifferentiableGame
from npgan.game.opponent import Opponent
from npgan.game.rule import CROSS, OFF_DIAGONAL, Rule
from npgan.game.tangent import Linearisation, Tangent
from npgan.optimizers import Optimizer
from npgan.options import number


class Lola(Rule):
    """Learning with opponent-learning awareness: v, and what a player's step does to the other's next.

    With α the step that a player expects of the other,

        w_D = v_D - α J_GDᵀ ∂L_D/∂θ_G,    w_G = v_G - α J_DGᵀ ∂L_G/∂θ_D,

    the gradient of a player's loss after the other's naive step -α v, to first order, and only through what that step
    is made of. It does not keep the zeros of the field unless the cross gradients are 0 there, as in a zero-sum game.

    `operator` is exact where the cross gradients are 0, and refused elsewhere, as it has third derivatives there.

    Parameters
    ----------
    optimizers, rates
        See `Rule`.
    lookahead : float, optional
        α of both, from 0; by default the other player's rate, which is little where the other has Adam.
    zero_sum : bool
        Take the cross gradients as those of the zero-sum game, minus the field (see `Opponent`).
    """

    name = "lola"
    paper = "Foerster et al. 2018, Learning with opponent-learning awareness, section 4"
    evaluations = 1 + CROSS + OFF_DIAGONAL
    second_order = True

    def __init__(
        self,
        optimizers: tuple[Optimizer, Optimizer],
        rates: tuple[float, float],
        *,
        lookahead: float | None = None,
        zero_sum: bool = False,
    ) -> None:
        super().__init__(optimizers, rates)
        self.opponent = Opponent(self.name, zero_sum)
        self.lookahead = None if lookahead is None else number(f"rule {self.name}: lookahead", lookahead, least=0)

    def step(self, game: DifferentiableGame) -> None:  # noqa: D102
        self._descend_both(game, game.gradient() - self._shaping(game, self.opponent.gradient(game)))

    def _shaping(self, game: DifferentiableGame, c: Array) -> Array:
        """Return (α J_GDᵀ c_G, α J_DGᵀ c_D) at the game's point."""
        ahead_of_d, ahead_of_g = self._expected()
        c_d, c_g = game.split(c)
        parts = ahead_of_d * game.block_vjp("G", "D", c_g), ahead_of_g * game.block_vjp("D", "G", c_d)
        found: Array = game.backend.xp.concatenate(parts)
        return found

    def _expected(self) -> tuple[float, float]:
        """Return the step that D expects of G, and G of D."""
        if self.lookahead is not None:
            return self.lookahead, self.lookahead
        return self.rates[1], self.rates[0]

    def _linearise(self, game: DifferentiableGame) -> Linearisation:
        self._check_zero(game, self.opponent.gradient(game), "each player's gradient of the other's loss")
        point = game.at(game.theta)
        frozen = [self._freeze(player) for player in PLAYERS]

        def push(r: Tangent) -> None:
            shaping = self._shaping(point, self.opponent.jvp(point, r.theta))
            field = point.split(point.jvp(r.theta) - shaping)
            for i, each in enumerate(frozen):
                each.push(r.weights[i], r.momenta[i], field[i])

        def pull(r: Tangent) -> None:
            w = self._pull(frozen, r)
            (w_d, w_g), (ahead_of_d, ahead_of_g) = point.split(w), self._expected()
            parts = ahead_of_g * point.block_jvp("D", "G", w_g), ahead_of_d * point.block_jvp("G", "D", w_d)
            shaping = self.opponent.vjp(point, point.backend.xp.concatenate(parts))
            r.theta += point.vjp(w) - shaping

        return Linearisation(push, pull)
