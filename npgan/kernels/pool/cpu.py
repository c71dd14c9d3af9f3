"""Pooling, compiled: lines of pixels are divided among threads, channels are innermost."""

from npgan.backend.base import Array
from npgan.backend.compile import kernel as compiled
from npgan.backend.threads import over_samples
from npgan.kernels.conv.windows import Pads, Pair


@compiled
def _average(start, stop, y, x, kh, kw, sh, sw, top, left):  # type: ignore[no-untyped-def]
    _, oh, ow, channels = y.shape
    _, height, width, _ = x.shape
    scale = y.dtype.type(1 / (kh * kw))
    for line in range(start, stop):
        n, p = line // oh, line % oh
        for q in range(ow):
            into = y[n, p, q]
            into[:] = 0
            for h in range(max(0, p * sh - top), min(height, p * sh - top + kh)):
                for w in range(max(0, q * sw - left), min(width, q * sw - left + kw)):
                    source = x[n, h, w]
                    for c in range(channels):
                        into[c] += source[c]
            for c in range(channels):
                into[c] *= scale


@compiled
def _average_backward(start, stop, dx, dy, kh, kw, sh, sw, top, left):  # type: ignore[no-untyped-def]
    # A line of dx collects from the windows that cover it, so that threads share nothing.
    _, oh, ow, channels = dy.shape
    _, height, width, _ = dx.shape
    scale = dx.dtype.type(1 / (kh * kw))
    for line in range(start, stop):
        n, h = line // height, line % height
        dx[n, h] = 0
        for i in range(kh):
            p = (h + top - i) // sh
            if p < 0 or p >= oh or p * sh + i != h + top:
                continue
            for q in range(ow):
                source = dy[n, p, q]
                for w in range(max(0, q * sw - left), min(width, q * sw - left + kw)):
                    into = dx[n, h, w]
                    for c in range(channels):
                        into[c] += scale * source[c]


@compiled
def _maximum(start, stop, y, argmax, x, kh, kw, sh, sw, top, left):  # type: ignore[no-untyped-def]
    _, oh, ow, channels = y.shape
    _, height, width, _ = x.shape
    for line in range(start, stop):
        n, p = line // oh, line % oh
        for q in range(ow):
            best, place = y[n, p, q], argmax[n, p, q]
            first_h, first_w = max(0, p * sh - top), max(0, q * sw - left)
            for c in range(channels):
                best[c] = x[n, first_h, first_w, c]
                place[c] = first_h * width + first_w
            for h in range(first_h, min(height, p * sh - top + kh)):
                for w in range(first_w, min(width, q * sw - left + kw)):
                    source = x[n, h, w]
                    for c in range(channels):
                        v = source[c]
                        if v > best[c] or (v != v and best[c] == best[c]):  # NaN wins
                            best[c] = v
                            place[c] = h * width + w


@compiled
def _maximum_backward(start, stop, dx, dy, argmax):  # type: ignore[no-untyped-def]
    # dx (N, H W, C); windows of a sample may share their winner, so a sample belongs to one thread.
    _, oh, ow, channels = dy.shape
    for n in range(start, stop):
        dx[n] = 0
        for p in range(oh):
            for q in range(ow):
                for c in range(channels):
                    dx[n, argmax[n, p, q, c], c] += dy[n, p, q, c]


@compiled
def _maximum_rforward(start, stop, ry, rx, argmax):  # type: ignore[no-untyped-def]
    _, oh, ow, channels = ry.shape  # rx (N, H W, C)
    for line in range(start, stop):
        n, p = line // oh, line % oh
        for q in range(ow):
            for c in range(channels):
                ry[n, p, q, c] = rx[n, argmax[n, p, q, c], c]


def _lines(x: Array) -> int:
    return int(x.shape[0] * x.shape[1])


def average(y: Array, x: Array, kernel: Pair, stride: Pair, padding: Pads) -> None:
    """x (N, H, W, C) -> y (N, OH, OW, C)."""
    over_samples(_average, _lines(y), x.size, y, x, *kernel, *stride, padding[0][0], padding[1][0])


def average_backward(dx: Array, dy: Array, kernel: Pair, stride: Pair, padding: Pads) -> None:
    """dy (N, OH, OW, C) -> dx (N, H, W, C)."""
    over_samples(_average_backward, _lines(dx), dx.size, dx, dy, *kernel, *stride, padding[0][0], padding[1][0])


def maximum(y: Array, argmax: Array, x: Array, kernel: Pair, stride: Pair, padding: Pads) -> None:
    """x (N, H, W, C) -> y (N, OH, OW, C), argmax (N, OH, OW, C) int32."""
    over_samples(_maximum, _lines(y), x.size, y, argmax, x, *kernel, *stride, padding[0][0], padding[1][0])


def maximum_backward(dx: Array, dy: Array, argmax: Array, kernel: Pair, stride: Pair, padding: Pads) -> None:
    """dy (N, OH, OW, C), argmax (N, OH, OW, C) -> dx (N, H, W, C)."""
    pixels = dx.reshape(dx.shape[0], -1, dx.shape[3])
    over_samples(_maximum_backward, dx.shape[0], dx.size, pixels, dy, argmax)


def maximum_rforward(ry: Array, rx: Array, argmax: Array) -> None:
    """rx (N, H, W, C), argmax (N, OH, OW, C) -> ry (N, OH, OW, C), the winners' rx."""
    pixels = rx.reshape(rx.shape[0], -1, rx.shape[3])
    over_samples(_maximum_rforward, _lines(ry), ry.size, ry, pixels, argmax)
