"""Pixel shuffle, in CUDA. See the reference for what it is."""

from npgan.backend.base import Array
from npgan.backend.cuda import blocks, kernel, launch


def shuffle(y: Array, x: Array, factor: int) -> None:
    """x (N, H, W, C r²) -> y (N, H r, W r, C)."""
    _run("shuffle", y, x, x.shape, factor)


def unshuffle(y: Array, x: Array, factor: int) -> None:
    """x (N, H r, W r, C) -> y (N, H, W, C r²)."""
    _run("unshuffle", y, x, y.shape, factor)


def _run(name: str, y: Array, x: Array, small: tuple[int, ...], factor: int) -> None:
    _, h, w, channels = small
    launch(kernel("shuffle", name, y.dtype), blocks(y.size), 256, y, x, y.size, h, w, channels // factor**2, factor)
