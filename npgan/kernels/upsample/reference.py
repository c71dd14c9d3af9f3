"""Enlarging an image by whole factors (fh, fw).

nearest:   y[f i + p] = x[i] for the phases p of 0 .. f - 1, along both axes; dx[i] = Σₚ dy[f i + p].
bilinear:  pixels are squares with their values in the middle (PyTorch's align_corners=False), so the output o
           lies at u = (o + ½) / f - ½ in x and y[o] = (1 - t) x[⌊u⌋] + t x[⌊u⌋ + 1] with t = u - ⌊u⌋, the border
           pixels going on outside. Along an axis that is a matrix A; both axes, y = A x Bᵀ, and dx = Aᵀ dy B.
           All outputs of a phase p have the same t, so an axis is f sums of two shifted copies.
"""

from math import floor

import numpy as np

from npgan.backend.base import Array

Pair = tuple[int, int]


def nearest(y: Array, x: Array, factor: Pair) -> None:
    """x (N, H, W, C) -> y (N, H fh, W fw, C)."""
    y[...] = np.repeat(np.repeat(x, factor[0], axis=1), factor[1], axis=2)


def nearest_backward(dx: Array, dy: Array, factor: Pair) -> None:
    """dy (N, H fh, W fw, C) -> dx (N, H, W, C)."""
    n, h, w, c = dx.shape
    dx[...] = dy.reshape(n, h, factor[0], w, factor[1], c).sum(axis=(2, 4))


def bilinear(y: Array, x: Array, factor: Pair) -> None:
    """x (N, H, W, C) -> y (N, H fh, W fw, C)."""
    rows = _enlarge(x, factor[0])
    y[...] = _enlarge(rows.swapaxes(1, 2), factor[1]).swapaxes(1, 2)


def bilinear_backward(dx: Array, dy: Array, factor: Pair) -> None:
    """dy (N, H fh, W fw, C) -> dx (N, H, W, C)."""
    columns = _reduce(dy.swapaxes(1, 2), factor[1]).swapaxes(1, 2)
    dx[...] = _reduce(columns, factor[0])


def _phase(p: int, f: int) -> tuple[int, float]:
    """Return where the outputs of a phase lie: the pixel before, relative to their own (-1 or 0), and t."""
    u = (p + 0.5) / f - 0.5
    return floor(u), u - floor(u)


def _enlarge(x: Array, f: int) -> Array:
    """x (N, H, ...) -> (N, H f, ...)."""
    n, h = x.shape[:2]
    bordered = np.concatenate((x[:, :1], x, x[:, -1:]), axis=1)
    y = np.zeros_like(x, shape=(n, h * f, *x.shape[2:]))
    for p in range(f):
        shift, t = _phase(p, f)
        before, after = bordered[:, 1 + shift : 1 + shift + h], bordered[:, 2 + shift : 2 + shift + h]
        y[:, p::f] = (1 - t) * before + t * after
    return y


def _reduce(dy: Array, f: int) -> Array:
    """dy (N, H f, ...) -> (N, H, ...), the transpose of `_enlarge`."""
    n, h = dy.shape[0], dy.shape[1] // f
    bordered = np.zeros_like(dy, shape=(n, h + 2, *dy.shape[2:]))
    for p in range(f):
        shift, t = _phase(p, f)
        bordered[:, 1 + shift : 1 + shift + h] += (1 - t) * dy[:, p::f]
        bordered[:, 2 + shift : 2 + shift + h] += t * dy[:, p::f]
    dx = bordered[:, 1:-1]
    dx[:, 0] += bordered[:, 0]
    dx[:, -1] += bordered[:, -1]
    return dx
