"""Convolution (cross-correlation, as everywhere in deep learning), a sum over the taps (i, j) of the kernel.

With x padded by zeros, stride s and dilation d:  y[n, p, q] = Σᵢⱼ x[n, s p + d i, s q + d j] w[i, j].
From dL = <dy, dy_>, tap by tap:  dw[i, j] = Σₙₚᵩ x[n, s p + d i, s q + d j]ᵀ dy[n, p, q], and dx gathers
dy[n, p, q] w[i, j]ᵀ at (s p + d i, s q + d j), the padding cut off.

`backward_input` is the transposed convolution (Dumoulin and Visin 2016, "A guide to convolution arithmetic for
deep learning", section 4). The size of the output is that of the array given: where dx is larger than the windows
reach, as with output padding, it is 0 there.

Padding takes part in the products: 0 · inf is NaN.
"""

from itertools import product

import numpy as np

from npgan.backend.base import Array, Shape
from npgan.kernels.after import NOTHING, After
from npgan.kernels.bias.reference import forward as finish
from npgan.kernels.conv.windows import Pads, Pair, crop, empty_padded, pad, tap


def workspace(x: Shape, w: Shape, y: Shape, stride: Pair, padding: Pads, dilation: Pair) -> int:
    """Elements of `scratch` that the three maps need."""
    return 0


def measured(x: Shape, w: Shape, y: Shape, stride: Pair, padding: Pads, dilation: Pair, of_x: bool) -> int:
    """Into how many blocks a sample of y, or of x, is divided whose moments `forward`, or `backward_input`, finds.

    0 where it does not.
    """
    return 1


def forward(
    y: Array,
    scratch: Array,
    x: Array,
    w: Array,
    stride: Pair,
    padding: Pads,
    dilation: Pair,
    after: After = NOTHING,
) -> None:
    """x (N, H, W, I), w (KH, KW, I, O) -> y (N, OH, OW, O), finished: see `npgan.kernels.after`.

    Moments of what comes out may be asked for where `measured` says into how many blocks.
    """
    padded = pad(x, padding)
    y[...] = 0
    for i, j in product(range(w.shape[0]), range(w.shape[1])):
        y += np.matmul(tap(padded, i, j, y, stride, dilation), w[i, j])
    _finish(y, after)


def backward_input(
    dx: Array,
    scratch: Array,
    dy: Array,
    w: Array,
    stride: Pair,
    padding: Pads,
    dilation: Pair,
    after: After = NOTHING,
) -> None:
    """dy (N, OH, OW, O), w (KH, KW, I, O) -> dx (N, H, W, I), finished as by `forward`."""
    padded = empty_padded(dx, padding)
    for i, j in product(range(w.shape[0]), range(w.shape[1])):
        at = tap(padded, i, j, dy, stride, dilation)
        at += np.matmul(dy, w[i, j].T)
    dx[...] = crop(padded, padding)
    _finish(dx, after)


def backward_weight(
    dw: Array, scratch: Array, dy: Array, x: Array, stride: Pair, padding: Pads, dilation: Pair, accumulate: bool
) -> None:
    """dy (N, OH, OW, O), x (N, H, W, I) -> dw (KH, KW, I, O), written or added to."""
    padded = pad(x, padding)
    rows = dy.reshape(-1, dy.shape[-1])
    for i, j in product(range(dw.shape[0]), range(dw.shape[1])):
        at = np.matmul(tap(padded, i, j, dy, stride, dilation).reshape(-1, x.shape[-1]).T, rows)
        dw[i, j] = dw[i, j] + at if accumulate else at


def backward(
    dx: Array,
    dw: Array,
    scratch: Array,
    dy: Array,
    x: Array,
    w: Array,
    stride: Pair,
    padding: Pads,
    dilation: Pair,
    accumulate: bool,
) -> None:
    """Do `backward_weight` and `backward_input` at once."""
    backward_weight(dw, scratch, dy, x, stride, padding, dilation, accumulate)
    backward_input(dx, scratch, dy, w, stride, padding, dilation)


def _finish(y: Array, after: After) -> None:
    finish(y, after.bias, after.slope)
    if after.moments is not None:
        rows = y.reshape(len(y), 1, -1, y.shape[-1]).astype(np.result_type(y.dtype, np.float64))
        after.moments[0] = rows.mean(axis=2)
        after.moments[1] = ((rows - after.moments[0][:, :, None]) ** 2).sum(axis=2)
