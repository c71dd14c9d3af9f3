"""Rows of a table in plain NumPy: y_m = w[x_m].

dL = <dy, dy_>, dy_m = dw_[x_m], so dw[k] is the sum of dy_m over the m with x_m = k.
"""

import numpy as np

from npgan.backend.base import Array


def forward(y: Array, x: Array, w: Array) -> None:
    """x (M,) in 0 .. K - 1, w (K, C) -> y (M, C)."""
    y[...] = w[x]


def backward(dw: Array, dy: Array, x: Array, accumulate: bool) -> None:
    """dy (M, C), x (M,) -> dw (K, C), written or added to."""
    if not accumulate:
        dw[...] = 0
    np.add.at(dw, x, dy)
