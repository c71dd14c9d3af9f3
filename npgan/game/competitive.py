"""Competitive gradient descent: each player answers what the other is about to do."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

from npgan.backend.base import Array
from npgan.errors import ConvergenceError, NonFiniteError
from npgan.game.adjusted import AdjustedDescent
from npgan.game.differentiable import DifferentiableGame
from npgan.game.rule import OFF_DIAGONAL
from npgan.optimizers import Optimizer, norm
from npgan.options import number, whole


class CompetitiveDescent(AdjustedDescent):
    """The players' steps δ are the Nash equilibrium of the local bilinear game, with a charge of ‖δ_i‖² / 2η_i each.

    With N the off-diagonal blocks of J and E the rates, (I + E N) δ = -E v, and what is
    descended is w = v + N δ. With S = √E and δ = S y it is solved as (I + S N S) y = -S v, by conjugate gradients on
    the normal equations, with exact products. In a zero-sum game N is antisymmetric, and those are the paper's two
    positive definite systems, I + η² N_DG N_DGᵀ and I + η² N_GD N_GDᵀ; in others they are what stays symmetric.

    With SGD a step is δ; other optimizers take w as their gradient (at Adam's small rates little of the other's answer
    is in it). `operator` is exact at a zero of the field, up to
    the tolerance.

    Parameters
    ----------
    optimizers, rates
        See `Rule`; the rates are also η in the equations.
    tol : float, optional
        Of the residual, as a part of ‖S v‖; by default 1e-10, or 1e-5 in float32.
    iterations : int
        Of the conjugate gradients, at most: each costs a product with N and one with its transpose.
    """

    name = "competitive"
    paper = "Schäfer and Anandkumar 2019, Competitive gradient descent, algorithm 1"

    def __init__(
        self,
        optimizers: tuple[Optimizer, Optimizer],
        rates: tuple[float, float],
        *,
        tol: float | None = None,
        iterations: int = 100,
    ) -> None:
        super().__init__(optimizers, rates)
        single = optimizers[0].dtype.itemsize == 4
        default = 1e-5 if single else 1e-10
        self.tol = default if tol is None else number(f"rule {self.name}: tol", tol, above=0)
        self.iterations = whole(f"rule {self.name}: iterations", iterations, least=1)
        self._products = 0
        self._cost()

    def step(self, game: DifferentiableGame) -> None:  # noqa: D102
        self._products = 0
        super().step(game)
        self._cost()

    def _cost(self) -> None:
        self.evaluations = 1 + (self._products + 1) * 2 * OFF_DIAGONAL

    def _adjust(self, game: DifferentiableGame, v: Array) -> Array:
        y = self._solve(game, -self._scale(v))
        adjusted: Array = v + self._opposite(game, self._scale(y))
        return adjusted

    def _adjust_back(self, game: DifferentiableGame, w: Array) -> Array:
        y = self._solve(game, self._scale(self._opposite_back(game, w)), transposed=True)
        found: Array = w - self._scale(y)
        return found

    def _solve(self, game: DifferentiableGame, b: Array, *, transposed: bool = False) -> Array:
        """Return y with (I + S N S) y = b, or with Nᵀ: CGLS (Hestenes and Stiefel 1952, section 10)."""
        there, back = self._opposite, self._opposite_back
        if transposed:
            there, back = back, there
        y, residual = 0 * b, b.copy()
        goal = self.tol * self._norm(b)
        slope = self._system(game, residual, back)
        p, gamma = slope, float(slope @ slope)
        left = self._norm(residual)
        for _ in range(self.iterations):
            if left <= goal:
                return y
            if not gamma:
                break
            q = self._system(game, p, there)
            alpha = gamma / float(q @ q)
            y += alpha * p
            residual -= alpha * q
            slope = self._system(game, residual, back)
            before, gamma = gamma, float(slope @ slope)
            p = slope + (gamma / before) * p
            left = self._norm(residual)
            self._products += 1
        if left <= goal:
            return y
        if left != left:
            raise NonFiniteError(f"rule {self.name}: a product with the Jacobian is not finite, though the field is")
        raise ConvergenceError(
            f"rule {self.name}: conjugate gradients left {left / (goal / self.tol):.2g} of the residual after "
            f"{self.iterations} iterations, expected {self.tol:g}; nobody moved: allow more iterations, a larger tol, "
            "or lower the rates, with which the system is better conditioned"
        )

    def _system(self, game: DifferentiableGame, u: Array, opposite: Callable[..., Array]) -> Array:
        """Return (I + S N S) u, or with Nᵀ."""
        found: Array = u + self._scale(opposite(game, self._scale(u)))
        return found

    @staticmethod
    def _opposite(game: DifferentiableGame, u: Array) -> Array:
        """Return N u."""
        d, g = game.split(u)
        found: Array = game.backend.xp.concatenate([game.block_jvp("D", "G", g), game.block_jvp("G", "D", d)])
        return found

    @staticmethod
    def _opposite_back(game: DifferentiableGame, u: Array) -> Array:
        """Return Nᵀ u."""
        d, g = game.split(u)
        found: Array = game.backend.xp.concatenate([game.block_vjp("G", "D", g), game.block_vjp("D", "G", d)])
        return found

    def _scale(self, u: Array) -> Array:
        """Return S u."""
        found = u.copy()
        for part, rate in zip(self._halves(found), self.rates, strict=True):
            part *= sqrt(rate)
        return found

    def _norm(self, u: Array) -> float:
        return float(norm(u, backend=self.optimizers[0].backend))
