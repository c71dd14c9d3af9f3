"""Products with the Hessian of a loss, by hand-written second order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from npgan.backend.base import Array
from npgan.errors import ConfigError
from npgan.network.passes import Pass

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator


class ScalarTerm(Protocol):
    """A scalar function of a network's output with two derivatives: a `npgan.losses.Term` is one."""

    def value_and_gradient(self, dt: Array, t: Array) -> float:
        """Write dL/dt to dt and return L."""

    def curvature(self, out: Array, t: Array) -> Array:
        """Write the diagonal of d²L/dt² to out."""


class Hessian:
    """The Hessian of L(θ, x) = term(network(x; θ)) at one point, as something to multiply with.

    With y = network(x; θ) and dy = term'(y), a product with the direction (uθ, ux) is one R-pass: ry from rforward,
    rdy = term''(y) ry, and rbackward gives the products' two parts (Pearlmutter 1994). Exact to rounding, symmetric,
    and about twice the work of a gradient.

    Parameters
    ----------
    p : Pass
        Of order 2. It belongs to this object from here on: run it otherwise, or write its network's weights, and the
        next product raises StalePassError.
    term : ScalarTerm
        Such as ``get_loss("minimax").real``.
    x : array (N, *input_shape)
    condition : array (N, *condition_shape), optional

    Attributes
    ----------
    value : float
        L.
    gradient : array (P,)
        dL/dθ.
    dx : array (N, *input_shape)
        dL/dx.
    """

    def __init__(self, p: Pass, term: ScalarTerm, x: Array, condition: Array | None = None) -> None:
        if p.order < 2:
            raise ConfigError(f"{p} was planned with order={p.order}; a Hessian needs order=2")
        network = p.network
        self.p, self.network = p, network
        y = p.forward(x, condition, update_stats=False)
        dy = network.backend.empty(y.shape, y.dtype)
        self.value = float(term.value_and_gradient(dy, y))
        self._curvature = term.curvature(network.backend.empty(y.shape, y.dtype), y)
        self.gradient = network.backend.empty((network.size,), network.dtype)
        dx = p.backward(dy, dtheta=self.gradient)
        assert dx is not None
        self.dx = dx.copy()

    def product(self, utheta: Array | None = None, ux: Array | None = None) -> tuple[Array, Array]:
        """Return H u, as its part in weight space (P,) and its part in input space (N, *input_shape).

        Parameters
        ----------
        utheta : array (P,), optional
            Part of u in weight space; zero unless given.
        ux : array (N, *input_shape), optional
            Part of u in input space; zero unless given.
        """
        ry = self.p.rforward(ux, rtheta=utheta)
        out = self.network.backend.empty((self.network.size,), self.network.dtype)
        rdx = self.p.rbackward(self._curvature * ry, rdtheta=out)
        assert rdx is not None
        return out, rdx.copy()

    def operator(self, by: str = "weights") -> LinearOperator:
        """Return the Hessian as a SciPy LinearOperator, for ARPACK, GMRES and the like.

        Parameters
        ----------
        by : {"weights", "input", "both"}
            Which block; ``"both"`` is all of it, on vectors [uθ, ux].
        """
        from scipy.sparse.linalg import LinearOperator

        P, F = self.network.size, self.dx.size
        sizes = {"weights": (P, 0), "input": (0, F), "both": (P, F)}
        if by not in sizes:
            raise ConfigError(f"by is {by!r}, expected one of {', '.join(sizes)}")
        p_size, f_size = sizes[by]
        backend, dtype = self.network.backend, self.network.dtype

        def matvec(u: Any) -> Array:
            u = np.asarray(u, dtype).reshape(-1)
            utheta = backend.asarray(np.ascontiguousarray(u[:p_size])) if p_size else None
            ux = backend.asarray(u[p_size:].reshape(self.dx.shape)) if f_size else None
            htheta, hx = self.product(utheta, ux)
            parts = ([htheta] if p_size else []) + ([hx.reshape(-1)] if f_size else [])
            return np.concatenate([backend.to_host(part) for part in parts])

        size = p_size + f_size
        return LinearOperator((size, size), matvec=matvec, rmatvec=matvec, dtype=dtype)
