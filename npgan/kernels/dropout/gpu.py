"""Dropout, in CUDA. See the reference for what it is."""

from npgan.backend.base import Array
from npgan.backend.cuda import blocks, kernel, launch


def draw(mask: Array, u: Array, rate: float) -> None:
    """U (N, C) uniform in [0, 1) -> mask (N, C) uint8: 1 where u >= rate."""
    launch(kernel("dropout", "draw", u.dtype), blocks(u.size), 256, mask, u, float(rate), u.size)


def apply(y: Array, x: Array, mask: Array, rate: float) -> None:
    """x (N, P, C), mask (N, C) -> y (N, P, C) = x mask / (1 - rate); a NaN stays one where it is dropped."""
    _, places, c = x.shape
    grid = blocks(x.size)
    launch(kernel("dropout", "apply", x.dtype), grid, 256, y, x, mask, 1 / (1 - rate), x.size, places * c, c)
