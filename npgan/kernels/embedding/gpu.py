"""Rows of a table, in CUDA. See the reference for what it is; a label that is out of range makes NaN."""

from npgan.backend.base import Array
from npgan.backend.cuda import blocks, kernel, launch


def forward(y: Array, x: Array, w: Array) -> None:
    """x (M,) in 0 .. K - 1, w (K, C) -> y (M, C)."""
    launch(kernel("embedding", "forward", w.dtype), blocks(y.size), 256, y, x, w, y.size, *w.shape)


def backward(dw: Array, dy: Array, x: Array, accumulate: bool) -> None:
    """dy (M, C), x (M,) -> dw (K, C), written or added to."""
    m, c = dy.shape
    grid = blocks(4 * dw.size)  # a thread each: every element is a loop over the samples
    launch(kernel("embedding", "backward", dw.dtype), grid, 256, dw, dy, x, accumulate, dw.size, m, c)
