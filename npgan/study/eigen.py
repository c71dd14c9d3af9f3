"""Eigenvalues of an operator: all of a small one, the leading ones of a large one, each with its residual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from npgan.backend.base import Array
from npgan.errors import ConvergenceError, DTypeError, NonFiniteError, ShapeError
from npgan.game import dense
from npgan.options import find, number, whole

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator

# What comes first: ARPACK's name for it, and the key to sort by.
ORDERS = {"modulus": ("LM", np.abs), "real": ("LR", np.real), "imaginary": ("LI", lambda values: np.abs(values.imag))}

_BASIS = 60  # ARPACK's vectors: with its own 20 the clusters that games have take many times as long


@dataclass(frozen=True)
class Eigen:
    """Eigenvalues λ of A with right eigenvectors x, the leading one first.

    Attributes
    ----------
    values : complex array (k,)
    vectors : complex array (n, k)
        Columns of length 1.
    residuals : array (k,)
        ‖A x - λ x‖: the distance to the nearest matrix that has λ exactly.
    conditions : array (k,)
        How many times an error of A becomes one of λ, 1 for a normal matrix and infinite for a defective one; NaN where
        ARPACK found them, as it has no left eigenvectors.
    complete : bool
        These are all.
    trace, determinant : float
        Of A where it is complete, else NaN: what a defective matrix has without loss.
    """

    values: Array
    vectors: Array
    residuals: Array
    conditions: Array
    complete: bool
    trace: float
    determinant: float

    @property
    def defective(self) -> bool:
        """Whether an error of rounding in A moves an eigenvalue by more than 1e-9."""
        return bool((self.conditions * np.finfo(np.float64).eps > 1e-9).any())


def eigen(
    operator: LinearOperator,
    k: int | None = None,
    *,
    order: str = "modulus",
    tol: float | None = None,
    iterations: int = 300,
    seed: int = 0,
) -> Eigen:
    """Return the leading eigenvalues of a real square operator.

    Parameters
    ----------
    operator : LinearOperator (n, n)
    k : int, optional
        How many; all of them, from the dense matrix, unless given or where k is not below n - 1.
    order : {"modulus", "real", "imaginary"}
        What leads: the largest |λ|, Re λ or |Im λ|.
    tol : float, optional
        ARPACK's, relative to |λ|; by default 1e-10, or 1e-4 of a float32 operator.
    iterations : int
        ARPACK's restarts, at most.
    seed : int
        Of ARPACK's first vector.

    Raises
    ------
    ConvergenceError
        ARPACK did not find k eigenvalues.
    NonFiniteError
        A product is not finite.
    ConfigError
        All were asked for of an operator that is too large, or an option makes no sense.
    ShapeError, DTypeError
        The operator is not square, or is none.
    """
    which, key = find("order", ORDERS, order)
    tol = None if tol is None else number("tol", tol, least=0)
    iterations = whole("iterations", iterations, least=1)
    seed = whole("seed", seed)
    n = _order(operator)
    if k is None or whole("k", k, least=1) >= n - 1:
        return _all(operator, key, n if k is None else k)
    from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigs

    single = operator.dtype == np.float32
    tol = (1e-4 if single else 1e-10) if tol is None else tol

    def product(u: Any) -> Array:
        found = np.asarray(operator.matvec(u), np.float64)
        if not np.isfinite(found).all():
            raise NonFiniteError("a product with the operator is not finite, though its point is: an overflow")
        return found

    start = np.random.Generator(np.random.Philox(seed)).normal(size=n)
    wide = LinearOperator((n, n), matvec=product, dtype=np.float64)
    try:
        values, vectors = eigs(wide, k, which=which, v0=start, tol=tol, maxiter=iterations)
    except ArpackNoConvergence as error:
        raise ConvergenceError(
            f"ARPACK found {len(error.eigenvalues)} of {k} eigenvalues of a {n:,} x {n:,} operator to {tol:g} in "
            f"{iterations} restarts: they lie close together, as those of an update map around 1 do; ask for fewer "
            "(k), a looser tol, more iterations, another order, or, of a small game, for all (k=None)"
        ) from None
    except ArpackError as error:
        raise ConvergenceError(f"ARPACK gave up on a {n:,} x {n:,} operator: {error}") from None
    leading = _leading(values, key)
    values, vectors = values[leading], vectors[:, leading]
    residuals = np.array([_residual(operator, value, x) for value, x in zip(values, vectors.T, strict=True)])
    unknown = np.full(k, np.nan)
    return Eigen(values, vectors, residuals, unknown, False, float("nan"), float("nan"))


def _order(operator: LinearOperator) -> int:
    """Return n of an operator (n, n)."""
    if not hasattr(operator, "matvec"):
        raise DTypeError(
            f"operator is a {type(operator).__name__}, expected a LinearOperator, as a game's and a rule's `operator` "
            "give; scipy.sparse.linalg.aslinearoperator makes one of a matrix"
        )
    rows, columns = operator.shape
    if rows != columns:
        raise ShapeError(f"operator is {operator.shape}, expected (n, n): eigenvalues are of a square one")
    return int(rows)


def _all(operator: LinearOperator, key: Any, k: int) -> Eigen:
    from scipy.linalg import eig

    matrix = dense(operator).astype(np.float64)
    if not np.isfinite(matrix).all():
        raise NonFiniteError("a product with the operator is not finite, though its point is: an overflow")
    values, left, right = eig(matrix, left=True, right=True)
    leading = _leading(values, key)[:k]
    values, left, right = values[leading], left[:, leading], right[:, leading]
    residuals = np.linalg.norm(matrix @ right - right * values, axis=0)
    with np.errstate(divide="ignore"):
        conditions = 1.0 / np.abs((left.conj() * right).sum(axis=0))
    whole_of_it = len(values) == len(matrix)
    trace, determinant = float(np.trace(matrix)), float(np.linalg.det(matrix))
    return Eigen(values, right, residuals, conditions, whole_of_it, trace, determinant)


def _leading(values: Array, key: Any) -> Array:
    """Return the order: by the key, then the upper half-plane first, so that equal runs give equal lists."""
    order: Array = np.lexsort((-values.imag, -np.round(key(values), 12)))
    return order


def _residual(operator: LinearOperator, value: complex, x: Array) -> float:
    product = operator.matvec(x.real) + 1j * operator.matvec(x.imag)
    return float(np.linalg.norm(product - value * x))
