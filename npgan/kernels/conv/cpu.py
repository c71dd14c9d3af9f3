"""Convolution, compiled: by polyphase Winograd where that suits the shapes, else by columns."""

from npgan.backend.base import Array, Shape
from npgan.kernels.conv import columns, winograd
from npgan.kernels.conv.windows import Pads, Pair


def workspace(x: Shape, w: Shape, y: Shape, stride: Pair, padding: Pads, dilation: Pair) -> int:
    """Elements of `scratch`."""
    if winograd.suits(x, w, y, stride, dilation):
        return winograd.workspace(x, w, y)
    return columns.workspace(x, w, y, padding)


def forward(y: Array, scratch: Array, x: Array, w: Array, stride: Pair, padding: Pads, dilation: Pair) -> None:
    """x (N, H, W, I), w (KH, KW, I, O) -> y (N, OH, OW, O)."""
    if winograd.suits(x.shape, w.shape, y.shape, stride, dilation):
        winograd.forward(y, scratch, x, w, padding)
    else:
        columns.forward(y, scratch, x, w, stride, padding, dilation)


def backward_input(dx: Array, scratch: Array, dy: Array, w: Array, stride: Pair, padding: Pads, dilation: Pair) -> None:
    """dy (N, OH, OW, O), w (KH, KW, I, O) -> dx (N, H, W, I)."""
    if winograd.suits(dx.shape, w.shape, dy.shape, stride, dilation):
        winograd.backward_input(dx, scratch, dy, w, padding)
    else:
        columns.backward_input(dx, scratch, dy, w, stride, padding, dilation)


def backward_weight(
    dw: Array, scratch: Array, dy: Array, x: Array, stride: Pair, padding: Pads, dilation: Pair, accumulate: bool
) -> None:
    """dy (N, OH, OW, O), x (N, H, W, I) -> dw (KH, KW, I, O), written or added to."""
    if winograd.suits(x.shape, dw.shape, dy.shape, stride, dilation):
        winograd.backward_weight(dw, scratch, dy, x, padding, accumulate)
    else:
        columns.backward_weight(dw, scratch, dy, x, stride, padding, dilation, accumulate)
