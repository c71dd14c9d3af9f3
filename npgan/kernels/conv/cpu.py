"""Convolution, compiled: each shape by the algorithm that `choose` picks for it."""

from typing import Any

from npgan.backend.base import Array, Shape
from npgan.kernels.after import NOTHING, After
from npgan.kernels.conv import cells, columns, direct, winograd
from npgan.kernels.conv.choice import choose
from npgan.kernels.conv.windows import Pads, Pair
from npgan.kernels.moments import blocks

__all__ = ["backward", "backward_input", "backward_weight", "choose", "forward", "measured", "workspace"]

_OF_FEW: dict[str, Any] = {"direct": direct, "cells F(4, 2)": cells}  # channels
_LEAST = 16  # rows of a sample and channels: of fewer, moments would cost more than reading the output again


def workspace(x: Shape, w: Shape, y: Shape, stride: Pair, padding: Pads, dilation: Pair) -> int:
    """Elements of `scratch`."""
    choice = choose(x, w, y, stride, padding, dilation)
    if choice.scheme:
        return winograd.workspace(choice.scheme, x, w, y)
    if choice.name in _OF_FEW:
        elements: int = _OF_FEW[choice.name].workspace(x, w, y, stride, padding)
        return elements
    return columns.workspace(x, w, y, padding)


def measured(x: Shape, w: Shape, y: Shape, stride: Pair, padding: Pads, dilation: Pair, of_x: bool) -> int:
    """Into how many blocks a sample of y, or of x, is divided whose moments are found; 0 where they are not."""
    _, height, width, channels = x if of_x else y
    if choose(x, w, y, stride, padding, dilation).name == "product" or min(height * width, channels) < _LEAST:
        return 0
    return blocks(height * width)


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
    """x (N, H, W, I), w (KH, KW, I, O) -> y (N, OH, OW, O), and what is to be done after it."""
    choice = choose(x.shape, w.shape, y.shape, stride, padding, dilation)
    if choice.scheme:
        winograd.forward(choice.scheme, y, scratch, x, w, padding, after)
    elif choice.name in _OF_FEW:
        _OF_FEW[choice.name].forward(y, scratch, x, w, stride, padding, after)
    else:
        columns.forward(y, scratch, x, w, stride, padding, dilation, after)


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
    """dy (N, OH, OW, O), w (KH, KW, I, O) -> dx (N, H, W, I), and what is to be done after it."""
    choice = choose(dx.shape, w.shape, dy.shape, stride, padding, dilation)
    if choice.scheme:
        winograd.backward_input(choice.scheme, dx, scratch, dy, w, padding, after)
    elif choice.name in _OF_FEW:
        _OF_FEW[choice.name].backward_input(dx, scratch, dy, w, stride, padding, after)
    else:
        columns.backward_input(dx, scratch, dy, w, stride, padding, dilation, after)


def backward_weight(
    dw: Array, scratch: Array, dy: Array, x: Array, stride: Pair, padding: Pads, dilation: Pair, accumulate: bool
) -> None:
    """dy (N, OH, OW, O), x (N, H, W, I) -> dw (KH, KW, I, O), written or added to."""
    choice = choose(x.shape, dw.shape, dy.shape, stride, padding, dilation)
    if choice.scheme:
        winograd.backward_weight(choice.scheme, dw, scratch, dy, x, padding, accumulate)
    elif choice.name in _OF_FEW:
        _OF_FEW[choice.name].backward_weight(dw, scratch, dy, x, stride, padding, accumulate)
    else:
        columns.backward_weight(dw, scratch, dy, x, stride, padding, dilation, accumulate)


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
