"""What every game is here: two players' losses of one vector of weights, the field of their gradients, its Jacobian.

The players are D, which moves θ_D to make L_D small, and G, which moves θ_G to make L_G small. With θ = [θ_D, θ_G],

    v = (∂L_D/∂θ_D, ∂L_G/∂θ_G),    J = ∂v/∂θ = [[∂²L_D/∂θ_D², ∂²L_D/∂θ_D∂θ_G], [∂²L_G/∂θ_G∂θ_D, ∂²L_G/∂θ_G²]].

Descent follows -v, and is stable at a zero of v where the eigenvalues of -J have negative real parts. J is not
symmetric: a zero-sum game's off-diagonal blocks are each other's negative transpose, and that part of J rotates
(Balduzzi et al. 2018, "The mechanics of n-player differentiable games", section 2).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np

from npgan.backend.base import Array, Backend
from npgan.errors import ConfigError, DTypeError, SecondOrderError, ShapeError

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator

PLAYERS = ("D", "G")
Pair = tuple[Array | None, Array | None]  # a part of D and a part of G; None is zero, or is not wanted
_DENSE = 4096  # a Jacobian of so many weights takes 128 MiB


class DifferentiableGame(ABC):
    """A game of two players at one point θ, which can be moved.

    Vectors are of the game's backend and dtype, and flat: D's part first. What is returned is fresh memory.

    Attributes
    ----------
    backend : Backend
    dtype : numpy.dtype
    sizes : (int, int)
        P_D and P_G.
    """

    backend: Backend
    dtype: np.dtype[Any]
    sizes: tuple[int, int]

    # ---------------------------------------------------------------- what a game is

    @property
    @abstractmethod
    def theta(self) -> Array:
        """The point: a fresh vector [θ_D, θ_G]."""

    @abstractmethod
    def write(self, player: str) -> AbstractContextManager[Array]:
        """Give a player's weights for writing: ``with game.write("D") as theta: ...``."""

    @abstractmethod
    def at(self, theta: Array) -> DifferentiableGame:
        """Return the same game at another point, with memory of its own: neither moves the other."""

    @abstractmethod
    def losses(self) -> tuple[float, float]:
        """Return L_D and L_G."""

    @abstractmethod
    def _gradient(self, player: int) -> Array:
        """Return ∂L_D/∂θ_D for player 0, ∂L_G/∂θ_G for player 1, finite."""

    @abstractmethod
    def _cross_gradient(self, player: int) -> Array:
        """Return ∂L_G/∂θ_D for player 0, ∂L_D/∂θ_G for player 1."""

    @abstractmethod
    def _jvp(self, u: Pair, rows: tuple[bool, bool]) -> Pair:
        """Return the wanted rows of J u."""

    @abstractmethod
    def _vjp(self, u: Pair, columns: tuple[bool, bool]) -> Pair:
        """Return the wanted parts of Jᵀ u."""

    def _cross_jvp(self, u: Pair, player: int) -> Array:
        """Return the derivative of `_cross_gradient` along u; a game may do without."""
        raise SecondOrderError(f"{type(self).__name__} has no derivative of its cross gradients")

    # ---------------------------------------------------------------- what follows

    @property
    def size(self) -> int:
        """P_D + P_G."""
        return sum(self.sizes)

    def gradient(self, player: str | None = None) -> Array:
        """Return the field v (P_D + P_G,), or one player's part of it.

        Raises
        ------
        NonFiniteError
            A loss or an element of the gradient is not finite; the message names the first bad array.
        """
        return self._field(self._gradient, player)

    def cross_gradient(self, player: str | None = None) -> Array:
        """Return (∂L_G/∂θ_D, ∂L_D/∂θ_G), each player's effect on the other's loss, or one part of it."""
        return self._field(self._cross_gradient, player)

    def load(self, theta: Array) -> None:
        """Move to another point.

        Raises
        ------
        ShapeError, DTypeError
            theta is not a vector of this game.
        """
        for player, part in zip(PLAYERS, self.split(self._check("theta", theta)), strict=True):
            with self.write(player) as weights:
                weights[...] = part

    def jvp(self, u: Array, player: str | None = None) -> Array:
        """Return J u, or one player's part of it: the derivative of its gradient along u.

        Raises
        ------
        SecondOrderError
            The game was not made for second order.
        ShapeError, DTypeError
            u is not a vector of this game.
        """
        return self._select(self._jvp, self.split(self._check("u", u)), player)

    def vjp(self, u: Array, player: str | None = None) -> Array:
        """Return Jᵀ u, or one player's part of it; raises as `jvp`."""
        return self._select(self._vjp, self.split(self._check("u", u)), player)

    def cross_jvp(self, u: Array, player: str | None = None) -> Array:
        """Return the derivative of `cross_gradient` along u, or one part of it; raises as `jvp`.

        With J it has all second derivatives of both losses: ∂²L_G/∂θ_D², ∂²L_D/∂θ_G², and J's mixed blocks transposed.
        """
        parts = self.split(self._check("u", u))
        return self._field(lambda i: self._cross_jvp(parts, i), player)

    def row_vjp(self, player: str, u: Array) -> Array:
        """Return a player's row of J, transposed, times u: the gradient of <u, its own gradient> by all weights."""
        i = player_index(player)
        self._check("u", u, self.sizes[i])
        return self._join(self._vjp((u, None) if i == 0 else (None, u), (True, True)))

    def cross_vjp(self, u: Array, player: str | None = None) -> Array:
        """Return the gradient of <u, cross gradients> by all weights, or of <u, one of them>; raises as `jvp`.

        Each loss's second derivatives are symmetric, so it is made of `cross_jvp` and `jvp`.
        """
        xp = self.backend.xp
        found: Array = xp.zeros((self.size,), self.dtype)
        wanted = (0, 1) if player is None else (player_index(player),)
        parts = self.split(self._check("u", u)) if player is None else (u, u)
        for i in wanted:
            self._check("u", parts[i], self.sizes[i])
            along = xp.concatenate(
                [parts[i] if j == i else xp.zeros_like(u, shape=n) for j, n in enumerate(self.sizes)]
            )
            rows = [self.cross_jvp(along, p) if j == i else self.jvp(along, p) for j, p in enumerate(PLAYERS)]
            found += xp.concatenate(rows)
        return found

    def block_jvp(self, row: str, column: str, u: Array) -> Array:
        """Return the product of one block of J with u: ``("D", "G")`` is ∂²L_D/∂θ_D∂θ_G, u (P_G,) -> (P_D,)."""
        j = player_index(column)
        self._check("u", u, self.sizes[j])
        return self._select(self._jvp, (u, None) if j == 0 else (None, u), row)

    def block_vjp(self, row: str, column: str, u: Array) -> Array:
        """Return the product of one block's transpose with u: for ``("D", "G")``, u (P_D,) -> (P_G,)."""
        i = player_index(row)
        self._check("u", u, self.sizes[i])
        return self._select(self._vjp, (u, None) if i == 0 else (None, u), column)

    def block(self, row: str, column: str) -> LinearOperator:
        """Return a block of J as a SciPy LinearOperator."""
        shape = self.sizes[player_index(row)], self.sizes[player_index(column)]
        return self._operator(shape, lambda u: self.block_jvp(row, column, u), lambda u: self.block_vjp(row, column, u))

    def operator(self) -> LinearOperator:
        """Return J as a SciPy LinearOperator on host vectors; its products are taken where the game then is."""
        return self._operator((self.size, self.size), self.jvp, self.vjp)

    def jacobian(self) -> Array:
        """Return all of J (P_D + P_G, P_D + P_G) on the host: for small games.

        Raises
        ------
        ConfigError
            The game has more than 4,096 weights.
        """
        return dense(self.operator())

    def split(self, vector: Array) -> tuple[Array, Array]:
        """Return views of D's and of G's part."""
        return vector[: self.sizes[0]], vector[self.sizes[0] :]

    def _join(self, parts: Pair) -> Array:
        joined: Array = self.backend.xp.concatenate(parts)
        return joined

    def _select(self, product: Callable[[Pair, tuple[bool, bool]], Pair], u: Pair, player: str | None) -> Array:
        if player is None:
            return self._join(product(u, (True, True)))
        i = player_index(player)
        found = product(u, (i == 0, i == 1))[i]
        assert found is not None
        return found

    def _field(self, part: Callable[[int], Array], player: str | None) -> Array:
        if player is None:
            return self._join((part(0), part(1)))
        return part(player_index(player))

    def _check(self, what: str, given: Array, size: int | None = None) -> Array:
        expected = (self.size if size is None else size,)
        if not isinstance(given, self.backend.xp.ndarray):
            raise DTypeError(f"{what} is a {type(given).__name__}, expected an array of {self.backend.xp.__name__}")
        if given.shape != expected:
            parts = f" ({self.sizes[0]} of D, then {self.sizes[1]} of G)" if size is None else ""
            raise ShapeError(f"{what} is {given.shape}, expected {expected}{parts}")
        if given.dtype != self.dtype:
            raise DTypeError(f"{what} is {given.dtype}, expected {self.dtype} as the game")
        vector: Array = given
        return vector

    def _operator(
        self, shape: tuple[int, int], jvp: Callable[[Array], Array], vjp: Callable[[Array], Array]
    ) -> LinearOperator:
        return on_host(shape, self.backend, self.dtype, jvp, vjp)


def on_host(
    shape: tuple[int, int],
    backend: Backend,
    dtype: np.dtype[Any],
    jvp: Callable[[Array], Array],
    vjp: Callable[[Array], Array] | None = None,
) -> LinearOperator:
    """Return a SciPy LinearOperator made of products with a backend's vectors; complex ones are taken in two parts."""
    from scipy.sparse.linalg import LinearOperator

    def hosted(product: Callable[[Array], Array]) -> Callable[[Any], Array]:
        def multiply(u: Any) -> Array:
            u = np.asarray(u).reshape(-1)
            if u.dtype.kind == "c":
                both: Array = multiply(u.real) + 1j * multiply(u.imag)
                return both
            return backend.to_host(product(backend.asarray(np.ascontiguousarray(u, dtype))))

        return multiply

    return LinearOperator(shape, matvec=hosted(jvp), rmatvec=None if vjp is None else hosted(vjp), dtype=dtype)


def dense(operator: LinearOperator) -> Array:
    """Return a real operator as a matrix, by its products with the unit vectors.

    Raises
    ------
    ConfigError
        It has more than 4,096 columns.
    """
    rows, columns = operator.shape
    if columns > _DENSE:
        raise ConfigError(
            f"a dense matrix of {columns:,} columns was asked for, and {_DENSE:,} is the limit; "
            "multiply with the operator, or look at fewer weights"
        )
    matrix = np.empty((rows, columns), operator.dtype)
    for j in range(columns):
        unit = np.zeros(columns, operator.dtype)
        unit[j] = 1
        matrix[:, j] = operator.matvec(unit)
    return matrix


def player_index(name: str) -> int:
    """Return 0 for D and 1 for G, or raise ConfigError."""
    if name not in PLAYERS:
        raise ConfigError(f'the player is {name!r}, expected "D" or "G"')
    return PLAYERS.index(name)
