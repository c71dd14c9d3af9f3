"""Enlarging an image by whole factors, in CUDA. See the reference for what it is."""

from npgan.backend.base import Array
from npgan.backend.cuda import blocks, kernel, launch

Pair = tuple[int, int]


def nearest(y: Array, x: Array, factor: Pair) -> None:
    """x (N, H, W, C) -> y (N, H fh, W fw, C)."""
    _run("nearest", y, x, x, factor)


def nearest_backward(dx: Array, dy: Array, factor: Pair) -> None:
    """dy (N, H fh, W fw, C) -> dx (N, H, W, C)."""
    _run("nearest_backward", dx, dy, dx, factor)


def bilinear(y: Array, x: Array, factor: Pair) -> None:
    """x (N, H, W, C) -> y (N, H fh, W fw, C)."""
    _run("bilinear", y, x, x, factor)


def bilinear_backward(dx: Array, dy: Array, factor: Pair) -> None:
    """dy (N, H fh, W fw, C) -> dx (N, H, W, C)."""
    _run("bilinear_backward", dx, dy, dx, factor)


def _run(name: str, out: Array, given: Array, small: Array, factor: Pair) -> None:
    launch(kernel("upsample", name, out.dtype), blocks(out.size), 256, out, given, out.size, *small.shape[1:], *factor)
