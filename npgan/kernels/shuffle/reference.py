"""y[n, r h + i, r w + j, c] = x[n, h, w, c r² + i r + j] (Shi et al. 2016, equation 4, in PyTorch's channel order).

Every element moves to one place, so the transpose is the inverse: the backward map of either is the other.
"""

from npgan.backend.base import Array


def shuffle(y: Array, x: Array, factor: int) -> None:
    """x (N, H, W, C r²) -> y (N, H r, W r, C)."""
    n, h, w, channels = x.shape
    r = factor
    parts = x.reshape(n, h, w, channels // r**2, r, r)
    y[...] = parts.transpose(0, 1, 4, 2, 5, 3).reshape(y.shape)


def unshuffle(y: Array, x: Array, factor: int) -> None:
    """x (N, H r, W r, C) -> y (N, H, W, C r²)."""
    n, h, w, channels = y.shape
    r = factor
    parts = x.reshape(n, h, r, w, r, channels // r**2)
    y[...] = parts.transpose(0, 1, 3, 5, 2, 4).reshape(y.shape)
