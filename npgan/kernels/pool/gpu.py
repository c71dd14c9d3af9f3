"""Pooling over windows, in CUDA. See the reference for what it is; each element gathers: its sum has one order."""

from npgan.backend.base import Array
from npgan.backend.cuda import blocks, launch
from npgan.backend.cuda import kernel as compiled
from npgan.kernels.conv.windows import Pads, Pair


def average(y: Array, x: Array, kernel: Pair, stride: Pair, padding: Pads) -> None:
    """x (N, H, W, C) -> y (N, OH, OW, C)."""
    _run("average", (y, x), y, x, y, kernel, stride, padding)


def average_backward(dx: Array, dy: Array, kernel: Pair, stride: Pair, padding: Pads) -> None:
    """dy (N, OH, OW, C) -> dx (N, H, W, C)."""
    _run("average_backward", (dx, dy), dx, dx, dy, kernel, stride, padding)


def maximum(y: Array, argmax: Array, x: Array, kernel: Pair, stride: Pair, padding: Pads) -> None:
    """x (N, H, W, C) -> y (N, OH, OW, C), argmax (N, OH, OW, C) int32."""
    _run("maximum", (y, argmax, x), y, x, y, kernel, stride, padding)


def maximum_backward(dx: Array, dy: Array, argmax: Array, kernel: Pair, stride: Pair, padding: Pads) -> None:
    """dy (N, OH, OW, C), argmax (N, OH, OW, C) -> dx (N, H, W, C)."""
    _run("maximum_backward", (dx, dy, argmax), dx, dx, dy, kernel, stride, padding)


def maximum_rforward(ry: Array, rx: Array, argmax: Array) -> None:
    """rx (N, H, W, C), argmax (N, OH, OW, C) -> ry (N, OH, OW, C), the winners' rx."""
    _, h, w, c = rx.shape
    sizes = (ry.size, h * w, ry.shape[1] * ry.shape[2], c)
    launch(compiled("pool", "maximum_rforward", ry.dtype), blocks(ry.size), 256, ry, rx, argmax, *sizes)


def _run(
    name: str, arrays: tuple[Array, ...], out: Array, x: Array, y: Array, window: Pair, stride: Pair, padding: Pads
) -> None:
    _, h, w, c = x.shape
    geometry = (out.size, h, w, y.shape[1], y.shape[2], c, *window, *stride, padding[0][0], padding[1][0])
    launch(compiled("pool", name, out.dtype), blocks(out.size), 256, *arrays, *geometry)
