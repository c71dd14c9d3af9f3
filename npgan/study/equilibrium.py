"""Finding a zero of the field near a point, where a linearisation holds for more than a step.

Training would get there late, or circle for ever. Newton's method does not care what kind of zero it is: a Nash
equilibrium, a saddle of either player, or one that no rule approaches. The verdict at it says which.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgan.backend.base import Array
from npgan.errors import ConvergenceError, NonFiniteError
from npgan.game import DifferentiableGame
from npgan.options import number, whole


@dataclass(frozen=True)
class Equilibrium:
    """A zero of the field.

    Attributes
    ----------
    theta : array (P_D + P_G,)
    residual : float
        ‖v‖ there.
    iterations : int
        Steps that it took.
    distance : float
        From where the search began.
    """

    theta: Array
    residual: float
    iterations: int
    distance: float


def find_equilibrium(
    game: DifferentiableGame, *, tol: float | None = None, iterations: int = 200, damping: float = 1e-3
) -> Equilibrium:
    """Return a zero of the field near the game's point, and leave the game there.

    Levenberg (1944) and Marquardt (1963): each step δ makes ‖J δ + v‖² + λ ‖δ‖² least, by LSMR on products with J and
    Jᵀ; it is taken where ‖v‖ gets smaller, and λ is lowered then and raised otherwise. Directions of weights that
    change nothing do no harm.

    Parameters
    ----------
    game : DifferentiableGame
        Of second order. Float64 is wanted for more than a few digits.
    tol : float, optional
        ‖v‖ to reach; by default 1e-10, or 1e-5 in float32.
    iterations : int
        At most.
    damping : float
        λ at first, as a part of ‖J‖².

    Raises
    ------
    ConvergenceError
        ‖v‖ did not get there: there may be no zero near, as of a critic that is not penalised. The game is at the best
        point that was found.
    """
    from scipy.sparse.linalg import LinearOperator, lsmr

    tol = (1e-5 if game.dtype == np.float32 else 1e-10) if tol is None else number("tol", tol, above=0)
    factor, start, of = number("damping", damping, above=0), game.theta, game.operator()
    forward, back = (lambda u, f=f: f(u).astype(np.float64) for f in (of.matvec, of.rmatvec))
    J = LinearOperator(of.shape, matvec=forward, rmatvec=back, dtype=np.float64)  # LSMR overflows in float32
    v = game.gradient()
    size = _norm(game, v)
    scale = 0.0
    for iteration in range(whole("iterations", iterations, least=1)):
        if size <= tol:
            return Equilibrium(game.theta, size, iteration, _norm(game, game.theta - start))
        here = game.theta
        answer = lsmr(
            J, -game.backend.to_host(v).astype(np.float64), damp=np.sqrt(factor) * scale, atol=1e-12, btol=1e-12
        )
        scale = scale or float(answer[5])  # LSMR's own estimate of the Frobenius norm of J
        game.load(here + game.backend.asarray(np.asarray(answer[0], game.dtype)))
        try:
            moved = game.gradient()
            shorter = _norm(game, moved) < size
        except NonFiniteError:
            shorter = False
        if shorter:
            v, size, factor = moved, _norm(game, moved), factor / 4
        else:
            game.load(here)
            factor *= 8
    if size <= tol:
        return Equilibrium(game.theta, size, iterations, _norm(game, game.theta - start))
    raise ConvergenceError(
        f"no zero of the field was found: |v| is {size:.2g} after {iterations} iterations, expected {tol:g}; "
        "begin nearer (train first), allow more iterations, or give the critic a penalty"
    )


def _norm(game: DifferentiableGame, vector: Array) -> float:
    return float(np.linalg.norm(game.backend.to_host(vector)))
