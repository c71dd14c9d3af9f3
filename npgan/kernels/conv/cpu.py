"""Convolution as matrix products (Chellapilla, Puri and Simard 2006): x unrolled into columns, one row a window.

A chunk of samples at a time, so that the columns are still in the cache when BLAS reads them. With X the columns
(N OH OW, KH KW I) and W the weight (KH KW I, O):  Y = X W,  dX = dY Wᵀ,  dW = Xᵀ dY. Where every pixel is in
exactly one window, in order, the columns are x itself.
"""

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from npgan.backend.base import Array, Shape
from npgan.backend.compile import kernel
from npgan.backend.threads import over_samples
from npgan.kernels.conv.windows import Pads, Pair

_ELEMENTS = 1 << 19  # of the columns of a chunk: 2 MB in float32
_ROWS = 512  # of the columns at the least: with fewer, a product is bounded by reading the weights


@kernel
def _unroll(start, stop, columns, x, sh, sw, top, left, dh, dw):  # type: ignore[no-untyped-def]
    # x (N, H, W I) -> columns (N OH, OW, KH, KW, I), for the rows [start, stop) of pixels of the output.
    lines, ow, kh, kw, channels = columns.shape
    oh = lines // x.shape[0]
    height, width = x.shape[1], x.shape[2] // channels
    for line in range(start, stop):
        n, p = line // oh, line % oh
        for q in range(ow):
            at = q * sw - left
            for i in range(kh):
                h = p * sh - top + i * dh
                into = columns[line, q, i]
                if h < 0 or h >= height:
                    into[...] = 0
                elif dw == 1 and at >= 0 and at + kw <= width:  # neighbours in x are neighbours in the columns
                    source = x[n, h]
                    flat = into.reshape(kw * channels)
                    for c in range(kw * channels):
                        flat[c] = source[at * channels + c]
                else:
                    source = x[n, h]
                    for j in range(kw):
                        w = at + j * dw
                        if 0 <= w < width:
                            for c in range(channels):
                                into[j, c] = source[w * channels + c]
                        else:
                            for c in range(channels):
                                into[j, c] = 0


@kernel
def _fold(start, stop, x, columns, sh, sw, top, left, dh, dw):  # type: ignore[no-untyped-def]
    # columns (N, OH, OW, KH, KW, I) -> x (N H, W I), for the rows [start, stop) of pixels of x. Each of them
    # collects from the windows above and below it, so that threads share nothing.
    samples, oh, ow, kh, kw, channels = columns.shape
    height, width = x.shape[0] // samples, x.shape[1] // channels
    for line in range(start, stop):
        n, h = line // height, line % height
        into = x[line]
        into[...] = 0
        for i in range(kh):
            p = (h + top - i * dh) // sh
            if p < 0 or p >= oh or p * sh + i * dh != h + top:
                continue
            for q in range(ow):
                at = q * sw - left
                source = columns[n, p, q, i]
                if dw == 1 and at >= 0 and at + kw <= width:
                    flat = source.reshape(kw * channels)
                    for c in range(kw * channels):
                        into[at * channels + c] += flat[c]
                else:
                    for j in range(kw):
                        w = at + j * dw
                        if 0 <= w < width:
                            for c in range(channels):
                                into[w * channels + c] += source[j, c]


def _is_columns(x: Shape, w: Shape, y: Shape, padding: Pads) -> bool:
    """Return whether x, read in order, is its own columns: 1×1 windows on every pixel, or one window on all of x."""
    every_pixel = w[:2] == (1, 1) and x[1:3] == y[1:3]
    one_window = w[:2] == x[1:3] and y[1:3] == (1, 1)
    return not any(map(any, padding)) and (every_pixel or one_window)


def _chunk(n: int, rows: int, columns: int) -> int:
    """Return how many samples of so many rows to unroll at a time."""
    return min(n, max(1, _ELEMENTS // (rows * columns), -(-_ROWS // rows)))


def _geometry(stride: Pair, padding: Pads, dilation: Pair) -> tuple[Any, ...]:
    return (*stride, padding[0][0], padding[1][0], *dilation)


def _chunks(
    scratch: Array, x: Array, w: Array, y: Array, stride: Pair, padding: Pads, dilation: Pair
) -> Iterator[tuple[slice, Array]]:
    """Yield the samples of each chunk and their columns, which are made in `scratch`."""
    n, oh, ow, _ = y.shape
    width = prod(w.shape[:3])
    step = _chunk(n, oh * ow, width)
    lines = x.reshape(n, x.shape[1], -1)
    for start in range(0, n, step):
        part = slice(start, min(start + step, n))
        count = part.stop - start
        columns = scratch[: count * oh * ow * width]
        windows = columns.reshape(count * oh, ow, *w.shape[:3])
        over_samples(_unroll, count * oh, columns.size, windows, lines[part], *_geometry(stride, padding, dilation))
        yield part, columns.reshape(-1, width)


def workspace(x: Shape, w: Shape, y: Shape, stride: Pair, padding: Pads, dilation: Pair) -> int:
    """Elements of `scratch`: the columns of a chunk, and a product that is added to dw."""
    if _is_columns(x, w, y, padding):
        return prod(w)
    rows = y[1] * y[2]
    return prod(w) + _chunk(x[0], rows, prod(w[:3])) * rows * prod(w[:3])


def forward(y: Array, scratch: Array, x: Array, w: Array, stride: Pair, padding: Pads, dilation: Pair) -> None:
    """x (N, H, W, I), w (KH, KW, I, O) -> y (N, OH, OW, O)."""
    matrix = w.reshape(-1, w.shape[-1])
    if _is_columns(x.shape, w.shape, y.shape, padding):
        np.matmul(x.reshape(-1, matrix.shape[0]), matrix, out=y.reshape(-1, y.shape[-1]))
        return
    for part, columns in _chunks(scratch, x, w, y, stride, padding, dilation):
        np.matmul(columns, matrix, out=y[part].reshape(-1, y.shape[-1]))


def backward_input(dx: Array, scratch: Array, dy: Array, w: Array, stride: Pair, padding: Pads, dilation: Pair) -> None:
    """dy (N, OH, OW, O), w (KH, KW, I, O) -> dx (N, H, W, I)."""
    matrix = w.reshape(-1, w.shape[-1])
    if _is_columns(dx.shape, w.shape, dy.shape, padding):
        np.matmul(dy.reshape(-1, dy.shape[-1]), matrix.T, out=dx.reshape(-1, matrix.shape[0]))
        return
    rows = dy.shape[1] * dy.shape[2]
    step = _chunk(dy.shape[0], rows, matrix.shape[0])
    for start in range(0, dy.shape[0], step):
        part = slice(start, start + step)
        d = dy[part]
        columns = scratch[: d.shape[0] * rows * matrix.shape[0]]
        np.matmul(d.reshape(-1, d.shape[-1]), matrix.T, out=columns.reshape(-1, matrix.shape[0]))
        lines = dx[part].reshape(d.shape[0] * dx.shape[1], -1)
        folded = columns.reshape(*d.shape[:3], *w.shape[:3])
        over_samples(_fold, lines.shape[0], columns.size, lines, folded, *_geometry(stride, padding, dilation))


def backward_weight(
    dw: Array, scratch: Array, dy: Array, x: Array, stride: Pair, padding: Pads, dilation: Pair, accumulate: bool
) -> None:
    """dy (N, OH, OW, O), x (N, H, W, I) -> dw (KH, KW, I, O), written or added to."""
    matrix = dw.reshape(-1, dw.shape[-1])
    product = scratch[: dw.size].reshape(matrix.shape)
    if _is_columns(x.shape, dw.shape, dy.shape, padding):
        chunks = iter([(slice(None), x.reshape(-1, matrix.shape[0]))])
    else:
        chunks = _chunks(scratch[dw.size :], x, dw, dy, stride, padding, dilation)
    for part, columns in chunks:
        rows = dy[part].reshape(-1, dy.shape[-1])
        if accumulate:
            np.matmul(columns.T, rows, out=product)
            np.add(matrix, product, out=matrix)
        else:
            np.matmul(columns.T, rows, out=matrix)
        accumulate = True
