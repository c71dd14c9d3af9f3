"""Games whose field and Jacobian are written down, with the interface of the others."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from npgan.backend import get_backend
from npgan.backend.base import Array, Backend
from npgan.errors import NonFiniteError, ShapeError
from npgan.game.differentiable import PLAYERS, DifferentiableGame, Pair, player_index
from npgan.options import number, whole


class AnalyticGame(DifferentiableGame):
    """A game of formulas, which a subclass writes; on NumPy's arrays unless another backend is given.

    Parameters
    ----------
    sizes : (int, int)
        P_D and P_G.
    theta : array (P_D + P_G,), optional
        The point; zeros unless given.
    dtype : {"float64", "float32"}
        Of its vectors.
    backend : str or Backend
        Where they are.
    """

    def __init__(
        self,
        sizes: tuple[int, int],
        theta: Array | None = None,
        dtype: Any = "float64",
        backend: str | Backend = "reference",
    ) -> None:
        self.backend, self.sizes = get_backend(backend), sizes
        self.dtype = self.backend.check_dtype(dtype)
        self._theta = self.backend.zeros((self.size,), self.dtype)
        if theta is not None:
            self.load(self.backend.asarray(theta, self.dtype))

    @property
    def theta(self) -> Array:  # noqa: D102
        return self._theta.copy()

    @contextmanager
    def write(self, player: str) -> Iterator[Array]:  # noqa: D102
        yield self.split(self._theta)[player_index(player)]

    def _gradient(self, player: int) -> Array:
        found = self._slope(player, player)
        if not self.backend.xp.isfinite(found).all():
            raise NonFiniteError(f"the gradient of {PLAYERS[player]} is not finite at theta = {self._theta}")
        return found

    def _cross_gradient(self, player: int) -> Array:
        return self._slope(1 - player, player)

    @abstractmethod
    def _slope(self, loss: int, player: int) -> Array:
        """Return the gradient of a loss (0 is L_D, 1 is L_G) by a player's weights."""


class QuadraticGame(AnalyticGame):
    """L_D = ½ θᵀ A θ + aᵀ θ and L_G = ½ θᵀ B θ + bᵀ θ: the local picture of any smooth game.

    Parameters
    ----------
    players : (int, int)
        P_D and P_G.
    A, B : array (P, P)
        Their symmetric parts count.
    a, b : array (P,), optional
        Zero unless given.
    theta : array (P,), optional
        The point; zeros unless given.
    dtype : {"float64", "float32"}
        Of its vectors.
    backend : str or Backend
        Where they are.

    Raises
    ------
    ShapeError
        An array does not fit.
    """

    def __init__(
        self,
        players: tuple[int, int],
        A: Array,
        B: Array,
        a: Array | None = None,
        b: Array | None = None,
        *,
        theta: Array | None = None,
        dtype: Any = "float64",
        backend: str | Backend = "reference",
    ) -> None:
        p_d, p_g = (whole("players", n, least=1) for n in players)
        super().__init__((p_d, p_g), theta, dtype, backend)
        self._forms, self._lines = [], []
        for what, form, line in (("D", A, a), ("G", B, b)):
            form = self.backend.asarray(form, self.dtype)
            line = self.backend.asarray(np.zeros(self.size) if line is None else line, self.dtype)
            if form.shape != (self.size, self.size) or line.shape != (self.size,):
                n = self.size
                raise ShapeError(f"L_{what} has arrays {form.shape} and {line.shape}, expected {(n, n)} and {(n,)}")
            self._forms.append((form + form.T) / 2)
            self._lines.append(line)
        self._J = self.backend.xp.concatenate([self._forms[0][:p_d], self._forms[1][p_d:]])

    @classmethod
    def model(cls, game: DifferentiableGame, J: Array | None = None) -> QuadraticGame:
        """Return the game that has the Jacobian of `game` at its point (or `J`) everywhere, and rests at 0.

        With constant coefficients, what a rule does to it is what it does to `game` near an equilibrium. It is where
        `game` is, as a rule's optimizers are there too.
        """
        J = game.jacobian() if J is None else J
        (p_d, _), n = game.sizes, game.size
        A, B = np.zeros((n, n)), np.zeros((n, n))
        A[:p_d], B[p_d:] = J[:p_d], J[p_d:]
        A[p_d:, :p_d], B[:p_d, p_d:] = A[:p_d, p_d:].T, B[p_d:, :p_d].T
        return cls((p_d, n - p_d), A, B, dtype=game.dtype, backend=game.backend)

    def at(self, theta: Array) -> QuadraticGame:  # noqa: D102
        (A, B), (a, b) = self._forms, self._lines
        own: dict[str, Any] = {"dtype": self.dtype, "backend": self.backend}
        return QuadraticGame((self.sizes[0], self.sizes[1]), A, B, a, b, theta=theta, **own)

    def losses(self) -> tuple[float, float]:  # noqa: D102
        d, g = (
            float(self._theta @ form @ self._theta / 2 + line @ self._theta)
            for form, line in zip(self._forms, self._lines, strict=True)
        )
        return d, g

    def _slope(self, loss: int, player: int) -> Array:
        whole_slope = self._forms[loss] @ self._theta + self._lines[loss]
        return self.split(whole_slope)[player].copy()

    def _jvp(self, u: Pair, rows: tuple[bool, bool]) -> Pair:
        return _wanted(self.split(self._J @ self._whole(u)), rows)

    def _vjp(self, u: Pair, columns: tuple[bool, bool]) -> Pair:
        return _wanted(self.split(self._J.T @ self._whole(u)), columns)

    def _cross_jvp(self, u: Pair, player: int) -> Array:
        return self.split(self._forms[1 - player] @ self._whole(u))[player].copy()

    def _whole(self, u: Pair) -> Array:
        zeros = self.backend.zeros((self.size,), self.dtype)
        d, g = (z if part is None else part for part, z in zip(u, self.split(zeros), strict=True))
        return self._join((d, g))


def bilinear_game(A: Any = 1.0, theta: Array | None = None) -> QuadraticGame:
    """Return the game min over x, max over y of xᵀ A y, with G's x (P_G,), D's y (P_D,) and A (P_G, P_D).

    L_G = xᵀ A y and L_D = -xᵀ A y. All of J rotates: descent spirals out of its one equilibrium, at 0 (Goodfellow 2016,
    "NIPS 2016 tutorial", section 8.2).
    """
    A = np.atleast_2d(np.asarray(A, np.float64))
    p_g, p_d = A.shape
    form = np.zeros((p_d + p_g, p_d + p_g))
    form[:p_d, p_d:], form[p_d:, :p_d] = A.T, A
    return QuadraticGame((p_d, p_g), -form, form, theta=theta)


class GaussianGame(AnalyticGame):
    """A linear generator against a quadratic critic, in expectation: what each player sees are two moments.

    G(z) = B z + c with z ~ N(0, 1), D(x) = ½ xᵀ W x + wᵀ x, data ~ N(μ, Σ). With the Wasserstein loss and a ridge,

        L_D = <W, S - S*> + wᵀ (c - μ) + (ρ/2) (‖W‖² + ‖w‖²),    L_G = -<W, S> - wᵀ c,
        S = ½ (B Bᵀ + c cᵀ),    S* = ½ (Σ + μ μᵀ).

    The equilibrium is W = 0, w = 0, c = μ, B Bᵀ = Σ. After Feizi et al. (2017), "Understanding GANs: the LQG setting",
    and Nagarajan and Kolter (2017), "Gradient descent GAN optimization is locally stable".

    Parameters
    ----------
    mean : array (d,)
        μ.
    covariance : array (d, d)
        Σ, symmetric.
    latent : int, optional
        k, so that B is (d, k); d unless given.
    ridge : float
        ρ, from 0. Without it the linearisation at the equilibrium only rotates.
    theta : array, optional
        [W, w, B, c], each row by row; zeros unless given, where `B` does not move.

    Raises
    ------
    ShapeError
        The moments do not fit.
    """

    def __init__(
        self, mean: Array, covariance: Array, *, latent: int | None = None, ridge: float = 0.0, theta: Any = None
    ) -> None:
        self.mean, self.covariance = (np.asarray(a, np.float64) for a in (mean, covariance))
        d = self.mean.size
        if self.mean.shape != (d,) or self.covariance.shape != (d, d):
            raise ShapeError(f"mean is {self.mean.shape}, covariance {self.covariance.shape}, expected (d,) and (d, d)")
        self.latent = whole("latent", d if latent is None else latent, least=1)
        self.ridge = number("ridge", ridge, least=0)
        self._target = (self.covariance + np.outer(self.mean, self.mean)) / 2
        super().__init__((d * d + d, d * self.latent + d), theta)

    def at(self, theta: Array) -> GaussianGame:  # noqa: D102
        return GaussianGame(self.mean, self.covariance, latent=self.latent, ridge=self.ridge, theta=theta)

    def equilibrium(self) -> Array:
        """Return the point W = 0, w = 0, c = μ with B the symmetric root of Σ; it needs k = d."""
        if self.latent != self.mean.size:
            raise ShapeError(f"latent is {self.latent}, expected {self.mean.size}, for B to have a symmetric value")
        values, vectors = np.linalg.eigh(self.covariance)
        root = (vectors * np.sqrt(values)) @ vectors.T
        return np.concatenate([np.zeros(self.sizes[0]), root.reshape(-1), self.mean])

    def losses(self) -> tuple[float, float]:  # noqa: D102
        W, w, B, c = self._parts(*self.split(self._theta))
        loss_g = -float((W * self._moment(B, c)).sum() + w @ c)
        ridge = self.ridge / 2 * float((W * W).sum() + w @ w)
        return -loss_g - float((W * self._target).sum() + w @ self.mean) + ridge, loss_g

    def _slope(self, loss: int, player: int) -> Array:
        W, w, B, c = self._parts(*self.split(self._theta))
        if player == 1:  # L_D's is minus L_G's
            sign = 1.0 if loss == 0 else -1.0
            return sign * _flat(_symmetric(W) @ B, _symmetric(W) @ c + w)
        if loss == 1:
            return _flat(-self._moment(B, c), -c)
        return _flat(self._moment(B, c) - self._target + self.ridge * W, c - self.mean + self.ridge * w)

    def _jvp(self, u: Pair, rows: tuple[bool, bool]) -> Pair:
        W, _, B, c = self._parts(*self.split(self._theta))
        uW, uw, uB, uc = self._parts(*u)
        twist, Ws = _symmetric(uW), _symmetric(W)
        d = _flat(_symmetric(uB @ B.T + np.outer(uc, c)) + self.ridge * uW, uc + self.ridge * uw)
        g = _flat(-twist @ B - Ws @ uB, -twist @ c - Ws @ uc - uw)
        return _wanted((d, g), rows)

    def _cross_jvp(self, u: Pair, player: int) -> Array:
        W, _, B, c = self._parts(*self.split(self._theta))
        uW, uw, uB, uc = self._parts(*u)
        if player == 0:
            return _flat(-_symmetric(uB @ B.T + np.outer(uc, c)), -uc)
        twist, Ws = _symmetric(uW), _symmetric(W)
        return _flat(twist @ B + Ws @ uB, twist @ c + Ws @ uc + uw)

    def _vjp(self, u: Pair, columns: tuple[bool, bool]) -> Pair:
        W, _, B, c = self._parts(*self.split(self._theta))
        uW, uw, uB, uc = self._parts(*u)
        Us, Ws = _symmetric(uW), _symmetric(W)
        d = _flat(self.ridge * uW - _symmetric(uB @ B.T + np.outer(uc, c)), self.ridge * uw - uc)
        g = _flat(Us @ B - Ws @ uB, Us @ c + uw - Ws @ uc)
        return _wanted((d, g), columns)

    def _parts(self, d: Array | None, g: Array | None) -> tuple[Array, Array, Array, Array]:
        """Return W, w, B, c of two flat vectors; zeros for None."""
        n, k = self.mean.size, self.latent
        d = np.zeros(self.sizes[0]) if d is None else d
        g = np.zeros(self.sizes[1]) if g is None else g
        return d[: n * n].reshape(n, n), d[n * n :], g[: n * k].reshape(n, k), g[n * k :]

    @staticmethod
    def _moment(B: Array, c: Array) -> Array:
        moment: Array = (B @ B.T + np.outer(c, c)) / 2
        return moment


def _symmetric(a: Array) -> Array:
    found: Array = (a + a.T) / 2
    return found


def _flat(matrix: Array, vector: Array) -> Array:
    return np.concatenate([matrix.reshape(-1), vector])


def _wanted(parts: tuple[Array, Array], wanted: tuple[bool, bool]) -> Pair:
    return (parts[0] if wanted[0] else None), (parts[1] if wanted[1] else None)
