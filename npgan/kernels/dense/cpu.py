"""The products of a dense layer by BLAS, without allocating."""

import numpy as np

from npgan.backend.base import Array, Shape


def workspace(x: Shape, w: Shape) -> int:
    """Elements of `scratch`: a product that is to be added must be made somewhere first."""
    return w[0] * w[1]


def forward(y: Array, x: Array, w: Array) -> None:
    """x (N, I), w (I, O) -> y (N, O)."""
    np.matmul(x, w, out=y)


def backward_input(dx: Array, dy: Array, w: Array) -> None:
    """dy (N, O), w (I, O) -> dx (N, I)."""
    np.matmul(dy, w.T, out=dx)


def backward_weight(dw: Array, scratch: Array, dy: Array, x: Array, accumulate: bool) -> None:
    """dy (N, O), x (N, I) -> dw (I, O), written or added to."""
    if accumulate:
        product = scratch.reshape(dw.shape)
        np.matmul(x.T, dy, out=product)
        np.add(dw, product, out=dw)
    else:
        np.matmul(x.T, dy, out=dw)
