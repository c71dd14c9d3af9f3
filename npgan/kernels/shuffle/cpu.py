"""Channels to pixels and back, compiled: lines of the small image are divided among threads."""

from npgan.backend.base import Array
from npgan.backend.compile import kernel
from npgan.backend.threads import over_samples


@kernel
def _shuffle(start, stop, y, x, r):  # type: ignore[no-untyped-def]
    _, height, width, _ = x.shape
    for line in range(start, stop):
        n, h = line // height, line % height
        for w in range(width):
            for i in range(r):
                for j in range(r):
                    for c in range(y.shape[3]):
                        y[n, r * h + i, r * w + j, c] = x[n, h, w, (c * r + i) * r + j]


@kernel
def _unshuffle(start, stop, y, x, r):  # type: ignore[no-untyped-def]
    _, height, width, _ = y.shape
    for line in range(start, stop):
        n, h = line // height, line % height
        for w in range(width):
            for i in range(r):
                for j in range(r):
                    for c in range(x.shape[3]):
                        y[n, h, w, (c * r + i) * r + j] = x[n, r * h + i, r * w + j, c]


def shuffle(y: Array, x: Array, factor: int) -> None:
    """x (N, H, W, C r²) -> y (N, H r, W r, C)."""
    over_samples(_shuffle, x.shape[0] * x.shape[1], x.size, y, x, factor)


def unshuffle(y: Array, x: Array, factor: int) -> None:
    """x (N, H r, W r, C) -> y (N, H, W, C r²)."""
    over_samples(_unshuffle, y.shape[0] * y.shape[1], x.size, y, x, factor)
