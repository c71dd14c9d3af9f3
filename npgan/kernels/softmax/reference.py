"""Softmax along the last axis in plain NumPy.

With y_i = e^x_i / sum_j e^x_j:  dy_i/dx_j = y_i (delta_ij - y_j), so dx = y (dy - sum_j dy_j y_j).
That matrix is symmetric, so ry is `backward` of rx.
"""

import numpy as np

from npgan.backend.base import Array


def forward(y: Array, x: Array) -> None:
    """x (M, C) -> y (M, C).

    The largest real part is subtracted first: no exponential overflows, and as a constant it changes neither the
    value nor the derivative. A row with a NaN or with +inf comes out as NaN.
    """
    e = np.exp(x - x.real.max(axis=1, keepdims=True))
    y[...] = e / e.sum(axis=1, keepdims=True)


def backward(dx: Array, dy: Array, y: Array) -> None:
    """dy (M, C), y (M, C) -> dx (M, C)."""
    dx[...] = y * (dy - (dy * y).sum(axis=1, keepdims=True))


def rbackward(rdx: Array, rdy: Array, dy: Array, ry: Array, y: Array) -> None:
    """rdy, dy, ry, y (M, C) -> rdx (M, C): the product rule on `backward`, with ry for the change of y."""
    along = (dy * y).sum(axis=1, keepdims=True)
    ralong = (rdy * y + dy * ry).sum(axis=1, keepdims=True)
    rdx[...] = ry * (dy - along) + y * (rdy - ralong)
