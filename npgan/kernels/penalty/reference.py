"""What a gradient penalty charges, and its gradient, in plain NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgan.backend.base import Array


def charge(v: Array, scratch: Array, g: Array, weight: float, target: float, norm: float, one_sided: bool) -> Any:
    """Gradients g (N, F) -> P = weight / N sum (n - target)^2 and v (N, F) = dP/dg, n a row's Lp norm, p = `norm`.

    One-sided: only where n > target. Where a norm is 0 its gradient is taken as 0; for p = 1 and p = infinity the
    signs and the first largest element are taken as fixed. Complex-analytic away from there. `scratch` (N,) float64
    means nothing afterwards.
    """
    if norm == 2.0 and target == 0.0:  # the sum of squares needs no root: smooth where n = 0, so its Hessian is too
        v[...] = (2.0 * weight / len(g)) * g
        return (weight / len(g)) * (g * g).sum()
    n = _norms(g, norm)
    over = n - target
    if one_sided:
        over = np.where(over.real > 0, over, 0 * over)
    factor = 2.0 * weight / len(g)
    v[...] = (factor * over)[:, None] * _norm_gradients(g, n, norm)
    return (weight / len(g)) * (over * over).sum()


def between(out: Array, shares: Array, real: Array, fake: Array) -> None:
    """Real and fake (N, ...), shares (N,) -> out (N, ...), fake + share (real - fake)."""
    out[...] = fake + shares.reshape(-1, *(1,) * (out.ndim - 1)) * (real - fake)


def _norms(g: Any, p: float) -> Any:
    """g (N, F) -> (N,)."""
    if p == 2.0:
        return np.sqrt((g * g).sum(axis=1))
    size = np.where(g.real < 0, -g, g)
    if np.isinf(p):
        return size[np.arange(len(g)), size.real.argmax(axis=1)]
    # Divided by the largest, so that powers neither overflow nor vanish; a factor of 1 where all are 0.
    largest = size.real.max(axis=1, keepdims=True)
    largest = np.where(largest > 0, largest, 1.0).astype(size.real.dtype)
    return ((size / largest) ** p).sum(axis=1) ** (1.0 / p) * largest[:, 0]


def _norm_gradients(g: Any, n: Any, p: float) -> Any:
    """∂n/∂g (N, F), 0 where the norm is 0."""
    safe = np.where(n.real > 0, n, 1.0)[:, None].astype(g.dtype)
    if p == 2.0:
        return np.where(n.real[:, None] > 0, g / safe, 0)  # of a complex step too, whose real part is 0 there
    signs = np.sign(g.real).astype(g.dtype)
    if np.isinf(p):
        chosen = np.zeros_like(g)
        rows = np.arange(len(g))
        columns = np.where(g.real < 0, -g.real, g.real).argmax(axis=1)
        chosen[rows, columns] = signs[rows, columns]
        return chosen
    return signs * (signs * g / safe) ** (p - 1.0)
