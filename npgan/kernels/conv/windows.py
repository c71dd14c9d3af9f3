"""What one tap of a sliding window sees, as views; the references of convolution and pooling are loops over taps."""

import numpy as np

from npgan.backend.base import Array

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]


def pad(x: Array, padding: Pads) -> Array:
    """Return x (N, H, W, C) with zeros around it: ((top, bottom), (left, right))."""
    return np.pad(x, ((0, 0), *padding, (0, 0)))


def empty_padded(x: Array, padding: Pads) -> Array:
    """Return zeros of the shape of `pad(x)`, to add gradients to."""
    n, h, w, c = x.shape
    return np.zeros_like(x, shape=(n, h + sum(padding[0]), w + sum(padding[1]), c))


def crop(padded: Array, padding: Pads) -> Array:
    """Undo `pad`: a view."""
    (top, bottom), (left, right) = padding
    return padded[:, top : padded.shape[1] - bottom, left : padded.shape[2] - right]


def tap(padded: Array, i: int, j: int, y: Array, stride: Pair, dilation: Pair = (1, 1)) -> Array:
    """Return the pixel of each output's window at row i and column j of the kernel: a view (N, OH, OW, C)."""
    top, left = i * dilation[0], j * dilation[1]
    bottom = top + stride[0] * (y.shape[1] - 1) + 1
    right = left + stride[1] * (y.shape[2] - 1) + 1
    return padded[:, top : bottom : stride[0], left : right : stride[1]]
