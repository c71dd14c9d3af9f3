"""The two halves of a Jacobian: J = S + A, a potential that is descended and a rotation that never ends.

S = (J + Jᵀ)/2 is symmetric, a Hessian: where J = S descent has something to go down. A = (J - Jᵀ)/2 is antisymmetric:
where J = A the game is Hamiltonian, and the flow keeps its distance for ever (Balduzzi et al. 2018, "The mechanics of
n-player differentiable games", section 2.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from npgan.backend.base import Array
from npgan.errors import ConvergenceError
from npgan.game import DifferentiableGame
from npgan.options import whole

_DENSE = 512


@dataclass(frozen=True)
class Split:
    """How much of J is which.

    Attributes
    ----------
    symmetric, antisymmetric : float
        Frobenius norms of S and of A.
    potential : float
        ‖S‖² / ‖J‖², from 0 (Hamiltonian) to 1 (a potential).
    error : float
        Standard error of `potential`; 0 where it was computed and not estimated.
    curvature : (float, float)
        The least and the largest eigenvalue of S. Where the least is positive every nearby point is pulled in.
    rotation : float
        The largest angular velocity, ‖A‖ in the spectral norm.
    """

    symmetric: float
    antisymmetric: float
    potential: float
    error: float
    curvature: tuple[float, float]
    rotation: float


def split(game: DifferentiableGame, *, probes: int = 32, seed: int = 0, tol: float = 1e-6) -> Split:
    """Return the potential and the Hamiltonian share of a game's Jacobian at its point.

    Parameters
    ----------
    game : DifferentiableGame
        Up to 512 weights all of J is made. With more, norms are estimated from random signs u, as the mean of ‖S u‖² is
        ‖S‖² (Hutchinson 1990), and eigenvalues are Lanczos's.
    probes : int
        How many u, each a product with J and one with Jᵀ.
    seed : int
        Of those.
    tol : float
        Relative, of the eigenvalues.

    Raises
    ------
    ConvergenceError
        Lanczos did not converge.
    """
    if game.size <= _DENSE:
        J = game.jacobian().astype(np.float64)
        S, A = (J + J.T) / 2, (J - J.T) / 2
        ends = np.linalg.eigvalsh(S)[[0, -1]]
        return _made(float((S * S).sum()), float((A * A).sum()), 0.0, ends, float(np.linalg.norm(A, 2)))
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    J, n = game.operator(), game.size
    signs = (
        np.random.Generator(np.random.Philox(seed)).integers(0, 2, (whole("probes", probes, least=2), n)) * 2.0 - 1.0
    )

    def halves(u: Any) -> tuple[Array, Array]:
        forward, back = (np.asarray(f(u), np.float64) for f in (J.matvec, J.rmatvec))
        return (forward + back) / 2, (forward - back) / 2

    squares = np.array([[part @ part for part in halves(u)] for u in signs])
    s, a = squares.mean(axis=0)
    shares = squares[:, 0] / squares.sum(axis=1)
    start = signs[0]
    symmetric = LinearOperator((n, n), matvec=lambda u: halves(u)[0], dtype=np.float64)
    squared = LinearOperator((n, n), matvec=lambda u: -halves(halves(u)[1])[1], dtype=np.float64)  # AᵀA = -A²
    try:
        low, high, fast = (
            float(eigsh(of, 1, which=which, v0=start, tol=tol, return_eigenvectors=False)[0])
            for of, which in ((symmetric, "SA"), (symmetric, "LA"), (squared, "LA"))
        )
    except ArpackNoConvergence as failure:
        raise ConvergenceError(f"the ends of the spectrum of S or of A: {failure}; give a looser tol") from None
    error = float(shares.std(ddof=1) / np.sqrt(len(shares)))
    return _made(float(s), float(a), error, np.array([low, high]), float(np.sqrt(max(fast, 0.0))))


def _made(s: float, a: float, error: float, ends: Array, rotation: float) -> Split:
    total = s + a
    potential = s / total if total else float("nan")
    return Split(s**0.5, a**0.5, potential, error, (float(ends[0]), float(ends[1])), rotation)
