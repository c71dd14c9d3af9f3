"""Softmax along the last axis, in CUDA. See the reference for what it is."""

from npgan.backend.base import Array
from npgan.backend.cuda import kernel, launch


def forward(y: Array, x: Array) -> None:
    """x (M, C) -> y (M, C). A row with a NaN or with +inf comes out as NaN."""
    _run("forward", y, x)


def backward(dx: Array, dy: Array, y: Array) -> None:
    """dy (M, C), y (M, C) -> dx (M, C)."""
    _run("backward", dx, dy, y)


def rbackward(rdx: Array, rdy: Array, dy: Array, ry: Array, y: Array) -> None:
    """rdy, dy, ry, y (M, C) -> rdx (M, C)."""
    _run("rbackward", rdx, rdy, dy, ry, y)


def _run(name: str, out: Array, *arrays: Array) -> None:
    m, c = out.shape
    launch(kernel("softmax", name, out.dtype), min(2048, -(-m // 8) or 1), 256, out, *arrays, m, c)
