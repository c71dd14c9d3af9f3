"""The spectrum of a game, and of a rule's update map: what grows, what turns, and who takes part.

Of the flow the eigenvalues are those of -J, growth rates and angular velocities per unit of time; of an update map,
multipliers per step (Mescheder, Nowozin and Geiger 2017, "The numerics of GANs", section 2).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from npgan.backend.base import Array
from npgan.errors import ConfigError
from npgan.game import DifferentiableGame, Rule
from npgan.options import make
from npgan.study.eigen import Eigen, eigen

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues with what they mean.

    Attributes
    ----------
    of : str
        ``"flow"`` or ``"update map"``.
    eigen : Eigen
        Values, vectors, residuals and conditions.
    participation : array (k, 2)
        The share of D and of G in each mode: of the squared length of its weights' part; it adds up to 1.
    """

    of: str
    eigen: Eigen
    participation: Array

    @property
    def values(self) -> Array:
        """The eigenvalues (k,), the least stable first."""
        return self.eigen.values

    @property
    def moving(self) -> Array:
        """Which modes of an update map move (k,): a multiplier of 1, up to 1e-7 of what the fastest does, does not.

        Networks have directions of weights that change nothing, and every rule leaves those where they are.
        """
        away = np.abs(self.values - (1 if self.of == "update map" else 0))
        moving: Array = away > 1e-7 * away.max(initial=0.0)
        return moving

    @property
    def growth(self) -> Array:
        """|multiplier| a step, of an update map; the real part, of the flow."""
        values: Array = np.abs(self.values) if self.of == "update map" else self.values.real
        return values

    @property
    def periods(self) -> Array:
        """Steps (or time) of one turn of each mode, infinite where it does not turn."""
        angles = np.abs(np.angle(self.values) if self.of == "update map" else self.values.imag)
        with np.errstate(divide="ignore"):
            turns: Array = np.where(angles > 0, 2 * np.pi / angles, np.inf)
        return turns


def flow_spectrum(game: DifferentiableGame, k: int | None = None, **options: object) -> Spectrum:
    """Return the eigenvalues of -J, the largest real part first: stable where all of those are negative.

    Parameters
    ----------
    game : DifferentiableGame
        At the point to look at.
    k : int, optional
        How many, by ARPACK; all of them, from the dense Jacobian, unless given.
    **options
        See `eigen`: ``order``, ``tol``, ``iterations``, ``seed``.

    Raises
    ------
    SecondOrderError
        The game was not made for second order.
    As `eigen`.
    """
    game.gradient()  # not finite: say which array, before an eigen-solver meets it
    found = _eigen(-1.0 * game.operator(), k, {"order": "real", **options})
    return Spectrum("flow", found, _participation(found.vectors, game))


def map_spectrum(rule: Rule, game: DifferentiableGame, k: int | None = None, **options: object) -> Spectrum:
    """Return the eigenvalues of the derivative of a rule's step, the largest modulus first: stable inside the circle.

    Parameters
    ----------
    rule : Rule
    game, k, **options
        See `flow_spectrum`.
    """
    game.gradient()
    found = _eigen(rule.operator(game), k, {"order": "modulus", **options})
    return Spectrum("update map", found, _participation(found.vectors, game))


def _eigen(operator: LinearOperator, k: int | None, options: dict[str, object]) -> Eigen:
    """Call `eigen`, and name an option that it does not have."""
    return make("solver", {"eigen": eigen}, "eigen", options, operator=operator, k=k)


def _participation(vectors: Array, game: DifferentiableGame) -> Array:
    squares = np.abs(vectors[: game.size]) ** 2
    d = squares[: game.sizes[0]].sum(axis=0)
    total = squares.sum(axis=0)
    share = np.divide(d, total, out=np.full(d.shape, np.nan), where=total > 0)  # a mode of memory alone has none
    return np.stack([share, 1 - share], axis=1)


@dataclass(frozen=True)
class Spread:
    """How spectra differ between mini-batches.

    Attributes
    ----------
    values : complex array (B, k)
        Of each batch, the least stable first.
    growth : array (B,)
        The leading growth of each, of the modes that move.
    mean, deviation : float
        Of `growth`; the deviation is the sample's (NaN of one batch).
    stable : float
        The share of batches whose own linearisation is stable.
    """

    values: Array
    growth: Array
    mean: float
    deviation: float
    stable: float


def spread(
    games: Iterable[DifferentiableGame], k: int | None = None, *, rule: Rule | None = None, **options: object
) -> Spread:
    """Return the spectra of several games, such as ``game.on(x, z)`` for several batches at one point.

    Parameters
    ----------
    games : iterable of DifferentiableGame
    k, **options
        See `flow_spectrum`.
    rule : Rule, optional
        Look at its update map instead of the flow.
    """
    found = [
        flow_spectrum(game, k, **options) if rule is None else map_spectrum(rule, game, k, **options) for game in games
    ]
    if not found:
        raise ConfigError("spread: no games were given, expected one for each mini-batch")
    limit = 0.0 if rule is None else 1.0
    growth = np.array([each.growth[each.moving].max() if each.moving.any() else limit for each in found])
    deviation = float(growth.std(ddof=1)) if len(growth) > 1 else float("nan")
    values = np.stack([each.values for each in found])
    return Spread(values, growth, float(growth.mean()), deviation, float((growth < limit).mean()))
