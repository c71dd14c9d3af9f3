"""Pooling over windows of `kernel` pixels, a loop over the taps of the window.

average:  y[n, p, q] = Σᵢⱼ x[n, s p + i, s q + j] / (KH KW), zeros of the padding counted;  dx gathers dy / (KH KW)
          from the windows that a pixel is in.
maximum:  y = the largest of the window; the padding takes no part. `argmax` is the place h W + w in x of the one
          that won, the first of equals, and all of dy goes to it. NaN wins over every number. While the winners stay,
          y is linear in x: ry gathers rx from where `maximum_backward` scatters dy to.
"""

from itertools import product

import numpy as np

from npgan.backend.base import Array
from npgan.kernels.conv.windows import Pads, Pair, crop, empty_padded, pad, tap


def average(y: Array, x: Array, kernel: Pair, stride: Pair, padding: Pads) -> None:
    """x (N, H, W, C) -> y (N, OH, OW, C)."""
    padded = pad(x, padding)
    y[...] = 0
    for i, j in product(range(kernel[0]), range(kernel[1])):
        y += tap(padded, i, j, y, stride)
    y /= kernel[0] * kernel[1]


def average_backward(dx: Array, dy: Array, kernel: Pair, stride: Pair, padding: Pads) -> None:
    """dy (N, OH, OW, C) -> dx (N, H, W, C)."""
    padded = empty_padded(dx, padding)
    share = dy / (kernel[0] * kernel[1])
    for i, j in product(range(kernel[0]), range(kernel[1])):
        at = tap(padded, i, j, dy, stride)
        at += share
    dx[...] = crop(padded, padding)


def maximum(y: Array, argmax: Array, x: Array, kernel: Pair, stride: Pair, padding: Pads) -> None:
    """x (N, H, W, C) -> y (N, OH, OW, C), argmax (N, OH, OW, C) int32."""
    padded = pad(x, padding)
    argmax[...] = -1
    y[...] = 0
    for i, j in product(range(kernel[0]), range(kernel[1])):
        value = tap(padded, i, j, y, stride)
        place, inside = _places(i, j, y, x, stride, padding)
        larger = (value.real > y.real) | (np.isnan(value.real) & ~np.isnan(y.real))
        wins = inside & ((argmax < 0) | larger)
        y[...] = np.where(wins, value, y)
        argmax[...] = np.where(wins, place, argmax)


def maximum_backward(dx: Array, dy: Array, argmax: Array, kernel: Pair, stride: Pair, padding: Pads) -> None:
    """dy (N, OH, OW, C), argmax (N, OH, OW, C) -> dx (N, H, W, C)."""
    padded = empty_padded(dx, padding)
    for i, j in product(range(kernel[0]), range(kernel[1])):
        place, inside = _places(i, j, dy, dx, stride, padding)
        at = tap(padded, i, j, dy, stride)
        at += np.where(inside & (argmax == place), dy, 0)
    dx[...] = crop(padded, padding)


def maximum_rforward(ry: Array, rx: Array, argmax: Array) -> None:
    """rx (N, H, W, C), argmax (N, OH, OW, C) -> ry (N, OH, OW, C), the winners' rx."""
    n, channels = rx.shape[0], rx.shape[3]
    winners = np.take_along_axis(rx.reshape(n, -1, channels), argmax.reshape(n, -1, channels), axis=1)
    ry[...] = winners.reshape(ry.shape)


def _places(i: int, j: int, y: Array, x: Array, stride: Pair, padding: Pads) -> tuple[Array, Array]:
    """Return the place h W + w in x that tap (i, j) of each window reads, and whether it lies in x: (OH, OW, 1)."""
    _, height, width, _ = x.shape
    h = (np.arange(y.shape[1], like=x) * stride[0] + (i - padding[0][0]))[:, None, None]
    w = (np.arange(y.shape[2], like=x) * stride[1] + (j - padding[1][0]))[None, :, None]
    return h * width + w, (h >= 0) & (h < height) & (w >= 0) & (w < width)
