"""Convolution as matrix products (Chellapilla, Puri and Simard 2006): x unrolled into columns, one row a window.

With X the columns (N OH OW, KH KW I) and W the weight (KH KW I, O):  Y = X W,  dX = dY Wᵀ,  dW = Xᵀ dY. Each thread
takes a few samples at a time, so that their columns are still in its cache when they are multiplied. Where every pixel
is in exactly one window, in order, the columns are x itself.
"""

# mypy: disable-error-code="no-untyped-def"

from math import prod
from typing import Any

from npgan.backend.base import Array, Shape
from npgan.backend.compile import kernel
from npgan.backend.threads import over_samples, over_shares, thread_count
from npgan.kernels.after import After
from npgan.kernels.conv.finish import finish, finish_rows, prepare
from npgan.kernels.conv.shares import add_shares
from npgan.kernels.conv.windows import Pads, Pair
from npgan.kernels.product import NO, YES, columns_times, gemm, rows_times

_ELEMENTS = 1 << 18  # of the columns of a chunk: 1 MB in float32, for each thread
_ROWS = 256  # of them at the least: with fewer, a product is bounded by reading the weights


@kernel
def _unroll(columns, x, sh, sw, top, left, dh, dw):
    # x (N, H, W I) -> columns (N OH, OW, KH, KW, I)
    lines, ow, kh, kw, channels = columns.shape
    oh = lines // x.shape[0]
    height, width = x.shape[1], x.shape[2] // channels
    for line in range(lines):
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
def _fold(x, columns, sh, sw, top, left, dh, dw):
    # columns (N, OH, OW, KH, KW, I) -> x (N H, W I); each row of pixels collects from the windows that hold it
    samples, oh, ow, kh, kw, channels = columns.shape
    height, width = x.shape[0] // samples, x.shape[1] // channels
    for line in range(x.shape[0]):
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


@kernel
def _forward(start, stop, share, y, scratch, x, w, after, step, shape, sh, sw, top, left, dh, dw):
    # y (N, OH OW, O), x (N, H, W I), w (KH KW I, O)
    rows, width = y.shape[1], w.shape[0]
    for n in range(start, stop, step):
        count = min(step, stop - n)
        columns = scratch[share, : count * rows * width]
        _unroll(columns.reshape((count * shape[0], *shape[1:])), x[n : n + count], sh, sw, top, left, dh, dw)
        gemm(NO, NO, count * rows, y.shape[2], width, columns, width, w, y.shape[2], 0, y[n], y.shape[2])
        for i in range(n, n + count):
            finish(y[i], after, i)


@kernel
def _backward_input(start, stop, share, dx, scratch, dy, w, after, step, shape, sh, sw, top, left, dh, dw):
    # dx (N, H, W I), dy (N, OH OW, O)
    rows, width, channels = dy.shape[1], w.shape[0], w.shape[1]
    for n in range(start, stop, step):
        count = min(step, stop - n)
        columns = scratch[share, : count * rows * width]
        gemm(NO, YES, count * rows, width, channels, dy[n], channels, w, channels, 0, columns, width)
        folded = columns.reshape((count, *shape))
        _fold(dx[n : n + count].reshape((count * dx.shape[1], dx.shape[2])), folded, sh, sw, top, left, dh, dw)
        for i in range(n, n + count):
            finish(dx[i].reshape((-1, shape[4])), after, i)


@kernel
def _backward_weight(start, stop, share, dws, scratch, dy, x, step, shape, sh, sw, top, left, dh, dw):
    # dws (shares, KH KW I, O): each thread's own sum
    rows, width, channels = dy.shape[1], dws.shape[1], dws.shape[2]
    for n in range(start, stop, step):
        count = min(step, stop - n)
        columns = scratch[share, : count * rows * width]
        _unroll(columns.reshape((count * shape[0], *shape[1:])), x[n : n + count], sh, sw, top, left, dh, dw)
        beta = 0 if n == start else 1
        gemm(YES, NO, width, channels, count * rows, columns, width, dy[n], channels, beta, dws[share], channels)


def is_columns(x: Shape, w: Shape, y: Shape, padding: Pads) -> bool:
    """Return whether x, read in order, is its own columns: 1×1 windows on every pixel, or one window on all of x."""
    every_pixel = w[:2] == (1, 1) and x[1:3] == y[1:3]
    one_window = w[:2] == x[1:3] and y[1:3] == (1, 1)
    return not any(map(any, padding)) and (every_pixel or one_window)


def _chunk(n: int, rows: int, columns: int) -> int:
    """Return how many samples of so many rows to unroll at a time."""
    return min(-(-n // thread_count()), max(1, _ELEMENTS // (rows * columns), -(-_ROWS // rows)))


def _geometry(stride: Pair, padding: Pads, dilation: Pair) -> tuple[Any, ...]:
    return (*stride, padding[0][0], padding[1][0], *dilation)


def workspace(x: Shape, w: Shape, y: Shape, padding: Pads) -> int:
    """Elements of `scratch`: for each thread the columns of a chunk, and its part of dw."""
    if is_columns(x, w, y, padding):
        return 0
    rows, width = y[1] * y[2], prod(w[:3])
    return thread_count() * (_chunk(x[0], rows, width) * rows * width + prod(w))


def _buffers(scratch: Array, x: Shape, w: Shape, y: Shape) -> tuple[Array, Array, int]:
    """Return columns (shares, ...), sums (shares, KH KW I, O), and the samples of a chunk."""
    rows, width = y[1] * y[2], prod(w[:3])
    step = _chunk(x[0], rows, width)
    size = thread_count() * step * rows * width
    sums = scratch[size : size + thread_count() * prod(w)]
    return scratch[:size].reshape(thread_count(), -1), sums.reshape(thread_count(), width, w[3]), step


def _finish(y: Array, after: After) -> None:
    if after.bias is not None or after.slope is not None:
        rows = y.reshape(-1, y.shape[-1])
        over_samples(finish_rows, len(rows), rows.size, rows, prepare(after._replace(moments=None), y))


def forward(
    y: Array,
    scratch: Array,
    x: Array,
    w: Array,
    stride: Pair,
    padding: Pads,
    dilation: Pair,
    after: After,
) -> None:
    """x (N, H, W, I), w (KH, KW, I, O) -> y (N, OH, OW, O)."""
    n, oh, ow, o = y.shape
    matrix = w.reshape(-1, o)
    if is_columns(x.shape, w.shape, y.shape, padding):
        rows_times(y.reshape(-1, o), x.reshape(-1, matrix.shape[0]), matrix)
        _finish(y, after)
        return
    columns, _, step = _buffers(scratch, x.shape, w.shape, y.shape)
    lines, shape = x.reshape(n, x.shape[1], -1), (oh, ow, *w.shape[:3])
    work = y.size * matrix.shape[0] // 32
    over_shares(
        _forward,
        n,
        work,
        y.reshape(n, -1, o),
        columns,
        lines,
        matrix,
        prepare(after, y),
        step,
        shape,
        *_geometry(stride, padding, dilation),
    )


def backward_input(
    dx: Array,
    scratch: Array,
    dy: Array,
    w: Array,
    stride: Pair,
    padding: Pads,
    dilation: Pair,
    after: After,
) -> None:
    """dy (N, OH, OW, O), w (KH, KW, I, O) -> dx (N, H, W, I)."""
    n, oh, ow, o = dy.shape
    matrix = w.reshape(-1, o)
    if is_columns(dx.shape, w.shape, dy.shape, padding):
        rows_times(dx.reshape(-1, matrix.shape[0]), dy.reshape(-1, o), matrix, transposed=True)
        _finish(dx, after)
        return
    columns, _, step = _buffers(scratch, dx.shape, w.shape, dy.shape)
    lines, shape = dx.reshape(n, dx.shape[1], -1), (oh, ow, *w.shape[:3])
    work = dy.size * matrix.shape[0] // 32
    over_shares(
        _backward_input,
        n,
        work,
        lines,
        columns,
        dy.reshape(n, -1, o),
        matrix,
        prepare(after, dx),
        step,
        shape,
        *_geometry(stride, padding, dilation),
    )


def backward_weight(
    dw: Array, scratch: Array, dy: Array, x: Array, stride: Pair, padding: Pads, dilation: Pair, accumulate: bool
) -> None:
    """dy (N, OH, OW, O), x (N, H, W, I) -> dw (KH, KW, I, O), written or added to."""
    n, oh, ow, o = dy.shape
    matrix = dw.reshape(-1, o)
    if is_columns(x.shape, dw.shape, dy.shape, padding):
        columns_times(matrix, x.reshape(-1, matrix.shape[0]), dy.reshape(-1, o), accumulate)
        return
    columns, sums, step = _buffers(scratch, x.shape, dw.shape, dy.shape)
    lines, shape = x.reshape(n, x.shape[1], -1), (oh, ow, *dw.shape[:3])
    work = dy.size * matrix.shape[0] // 32
    count = over_shares(
        _backward_weight,
        n,
        work,
        sums,
        columns,
        dy.reshape(n, -1, o),
        lines,
        step,
        shape,
        *_geometry(stride, padding, dilation),
    )
    over_samples(add_shares, dw.size, dw.size, dw.reshape(-1), sums[:count].reshape(count, -1), accumulate)
