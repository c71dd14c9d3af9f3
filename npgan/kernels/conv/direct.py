"""Convolution between an image of few channels and features of many, by the definition, sums kept in registers.

With few channels, columns have short rows and transforming costs more than it saves. So the image is padded, a sample
at a time, and what a window sees is read where it lies (see `outer`); all three products have a file of their own:
`gather` makes features of an image, `scatter` is the data gradient, `correlate` the weight's.

Where it is the output that has few channels, a convolution of stride 1 is the data gradient of one with the taps in
opposite order, w'[i, j] = w[K - 1 - i, K - 1 - j]ᵀ and padding K - 1 - p, so the same three products serve.
"""

from math import prod

from npgan.backend.base import Array, Shape
from npgan.kernels.after import After
from npgan.kernels.conv import correlate, gather, scatter
from npgan.kernels.conv.outer import MORE
from npgan.kernels.conv.scratch import elements
from npgan.kernels.conv.windows import Pads, Pair

_FEW, _TAPS = 4, 128  # channels, and taps times channels, at the most
_VECTOR = 16  # of which the many channels are a multiple: whole vectors of any dtype


def suits(x: Shape, w: Shape, y: Shape, stride: Pair, dilation: Pair) -> bool:
    """Return whether this is the algorithm for it."""
    few, many = sorted(w[2:])
    turned = _is_turned(w)
    features = x if turned else y
    return (
        few <= _FEW
        and many % _VECTOR == 0
        and dilation == (1, 1)
        and (stride == (1, 1) or not turned)
        and features[1] * features[2] >= MORE
        and prod(w[:2]) * few <= _TAPS
    )


def _is_turned(w: Shape) -> bool:
    """Return whether it is the output that has few channels."""
    return w[3] < w[2]


def _turned_padding(w: Shape, padding: Pads) -> Pads:
    (top, bottom), (left, right) = padding
    return (w[0] - 1 - top, w[0] - 1 - bottom), (w[1] - 1 - left, w[1] - 1 - right)


def workspace(x: Shape, w: Shape, y: Shape, stride: Pair, padding: Pads) -> int:
    """Elements of `scratch`."""
    image, features = x, y
    if _is_turned(w):
        image, features, w, padding = y, x, (*w[:2], w[3], w[2]), _turned_padding(w, padding)
    return max(
        elements(gather.shapes(w, features, stride, padding)),
        elements(scatter.shapes(image, w, features, stride, padding)),
        elements(correlate.shapes(w, features, stride, padding)),
    )


def forward(
    y: Array,
    scratch: Array,
    x: Array,
    w: Array,
    stride: Pair,
    padding: Pads,
    after: After,
) -> None:
    """x (N, H, W, I), w (KH, KW, I, O) -> y (N, OH, OW, O)."""
    if _is_turned(w.shape):
        scatter.scatter(y, scratch, x, _turn(w), stride, _turned_padding(w.shape, padding), after)
    else:
        gather.gather(y, scratch, x, w, stride, padding, after)


def backward_input(
    dx: Array,
    scratch: Array,
    dy: Array,
    w: Array,
    stride: Pair,
    padding: Pads,
    after: After,
) -> None:
    """dy (N, OH, OW, O), w (KH, KW, I, O) -> dx (N, H, W, I)."""
    if _is_turned(w.shape):
        gather.gather(dx, scratch, dy, _turn(w), stride, _turned_padding(w.shape, padding), after)
    else:
        scatter.scatter(dx, scratch, dy, w, stride, padding, after)


def backward_weight(
    dw: Array, scratch: Array, dy: Array, x: Array, stride: Pair, padding: Pads, accumulate: bool
) -> None:
    """dy (N, OH, OW, O), x (N, H, W, I) -> dw (KH, KW, I, O), written or added to."""
    if _is_turned(dw.shape):
        correlate.correlate(_turn(dw), scratch, x, dy, stride, _turned_padding(dw.shape, padding), accumulate)
    else:
        correlate.correlate(dw, scratch, dy, x, stride, padding, accumulate)


def _turn(w: Array) -> Array:
    return w[::-1, ::-1].swapaxes(2, 3)
