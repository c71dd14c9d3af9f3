"""y += b along the last axis, and the piecewise-linear activation after it; db is the sum over all other axes."""

import numpy as np

from npgan.backend.base import Array


def forward(y: Array, b: Array | None, slope: float | None = None) -> None:
    """y (M, C) += b (C,), and the activation of that slope is done to it.

    None is none of either. A leaky ReLU has its slope where y <= 0, ReLU has 0.
    """
    if b is not None:
        y += b
    if slope is not None:
        y[...] = np.where(y.real > 0, y, slope * y if slope else np.where(y.real <= 0, 0, y))


def workspace(m: int, c: int) -> int:
    """Float64 elements of `scratch` for dy (M, C)."""
    return 0


def backward(db: Array, scratch: Array, dy: Array, accumulate: bool) -> None:
    """dy (M, C) -> db (C,), written or added to."""
    total = dy.sum(axis=0)
    db[...] = db + total if accumulate else total


def unbend(
    dz: Array, db: Array | None, scratch: Array | None, dy: Array, y: Array, slope: float, accumulate: bool
) -> None:
    """dy, y (M, C) -> dz (M, C), db (C,), written or added to; y is what the activation made.

    dz = φ'(y) dy is the gradient of what the activation was done to, and db its sum; dz may be dy, in place. Where db
    is None, it is not wanted, and neither is scratch.
    """
    dz[...] = dy * np.where(y.real > 0, 1, np.where(y.real <= 0, slope, y))
    if db is not None:
        backward(db, np.empty(0), dz, accumulate)
