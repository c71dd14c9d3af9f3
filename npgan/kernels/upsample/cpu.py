"""Enlarging, compiled: lines of pixels are divided among threads, channels are innermost."""

from npgan.backend.base import Array
from npgan.backend.compile import kernel
from npgan.backend.threads import over_samples

Pair = tuple[int, int]


@kernel
def _nearest(start, stop, y, x, fh, fw):  # type: ignore[no-untyped-def]
    _, oh, ow, channels = y.shape
    for line in range(start, stop):
        n, p = line // oh, line % oh
        for q in range(ow):
            into, source = y[n, p, q], x[n, p // fh, q // fw]
            for c in range(channels):
                into[c] = source[c]


@kernel
def _nearest_backward(start, stop, dx, dy, fh, fw):  # type: ignore[no-untyped-def]
    _, height, width, channels = dx.shape
    for line in range(start, stop):
        n, h = line // height, line % height
        for w in range(width):
            into = dx[n, h, w]
            into[:] = 0
            for p in range(h * fh, (h + 1) * fh):
                for q in range(w * fw, (w + 1) * fw):
                    source = dy[n, p, q]
                    for c in range(channels):
                        into[c] += source[c]


@kernel
def _between(o: int, f: int, size: int) -> tuple[int, int, float]:
    # The pixels before and after output o, and how far it lies from the first.
    before = (2 * o + 1 - f) // (2 * f)
    t = (o + 0.5) / f - 0.5 - before
    return max(before, 0), min(before + 1, size - 1), t


@kernel
def _bilinear(start, stop, y, x, fh, fw):  # type: ignore[no-untyped-def]
    _, oh, ow, channels = y.shape
    _, height, width, _ = x.shape
    real = y.dtype.type
    for line in range(start, stop):
        n, p = line // oh, line % oh
        h0, h1, t = _between(p, fh, height)
        above, below = real(1 - t), real(t)
        for q in range(ow):
            w0, w1, t = _between(q, fw, width)
            left, right = real(1 - t), real(t)
            into = y[n, p, q]
            x00, x01, x10, x11 = x[n, h0, w0], x[n, h0, w1], x[n, h1, w0], x[n, h1, w1]
            for c in range(channels):
                into[c] = left * (above * x00[c] + below * x10[c]) + right * (above * x01[c] + below * x11[c])


@kernel
def _bilinear_backward(start, stop, dx, dy, fh, fw):  # type: ignore[no-untyped-def]
    # A line h of dx collects from the lines of dy whose pixels before or after are h: at most one line away.
    _, oh, ow, channels = dy.shape
    _, height, width, _ = dx.shape
    real = dx.dtype.type
    for line in range(start, stop):
        n, h = line // height, line % height
        dx[n, h] = 0
        for p in range(max(0, (h - 1) * fh), min(oh, (h + 2) * fh)):
            h0, h1, t = _between(p, fh, height)
            if h0 != h and h1 != h:
                continue
            share = (1 - t if h0 == h else 0.0) + (t if h1 == h else 0.0)
            for q in range(ow):
                w0, w1, t = _between(q, fw, width)
                left, right = real(share * (1 - t)), real(share * t)
                source, into0, into1 = dy[n, p, q], dx[n, h, w0], dx[n, h, w1]
                for c in range(channels):
                    into0[c] += left * source[c]
                for c in range(channels):  # a loop of its own: at the border it is the same pixel
                    into1[c] += right * source[c]


def _lines(x: Array) -> int:
    return int(x.shape[0] * x.shape[1])


def nearest(y: Array, x: Array, factor: Pair) -> None:
    """x (N, H, W, C) -> y (N, H fh, W fw, C)."""
    over_samples(_nearest, _lines(y), y.size, y, x, *factor)


def nearest_backward(dx: Array, dy: Array, factor: Pair) -> None:
    """dy (N, H fh, W fw, C) -> dx (N, H, W, C)."""
    over_samples(_nearest_backward, _lines(dx), dy.size, dx, dy, *factor)


def bilinear(y: Array, x: Array, factor: Pair) -> None:
    """x (N, H, W, C) -> y (N, H fh, W fw, C)."""
    over_samples(_bilinear, _lines(y), y.size, y, x, *factor)


def bilinear_backward(dx: Array, dy: Array, factor: Pair) -> None:
    """dy (N, H fh, W fw, C) -> dx (N, H, W, C)."""
    over_samples(_bilinear_backward, _lines(dx), dy.size, dx, dy, *factor)
