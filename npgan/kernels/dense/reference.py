"""y = x w, and the two products of its backward pass.

With L a scalar downstream, dL = <dy, dx_ w + x dw_>, so dx = dy wᵀ and dw = xᵀ dy.
"""

import numpy as np

from npgan.backend.base import Array, Shape


def workspace(x: Shape, w: Shape) -> int:
    """Elements of `scratch` that the products need."""
    return 0


def forward(y: Array, x: Array, w: Array) -> None:
    """x (N, I), w (I, O) -> y (N, O)."""
    y[...] = np.matmul(x, w)


def backward_input(dx: Array, dy: Array, w: Array) -> None:
    """dy (N, O), w (I, O) -> dx (N, I)."""
    dx[...] = np.matmul(dy, w.T)


def backward_weight(dw: Array, scratch: Array, dy: Array, x: Array, accumulate: bool) -> None:
    """dy (N, O), x (N, I) -> dw (I, O), written or added to."""
    product = np.matmul(x.T, dy)
    dw[...] = dw + product if accumulate else product
