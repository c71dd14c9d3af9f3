"""Rows of a table, compiled."""

from npgan.backend.base import Array
from npgan.backend.compile import kernel
from npgan.backend.threads import over_samples


@kernel
def _forward(start, stop, y, x, w):  # type: ignore[no-untyped-def]
    for m in range(start, stop):
        y[m] = w[x[m]]


@kernel
def _backward(start, stop, dw, dy, x, accumulate):  # type: ignore[no-untyped-def]
    # Divided by columns: two threads never add to the same sum, and each sum is made in the order of the labels.
    if not accumulate:
        dw[:, start:stop] = 0
    for m in range(x.size):
        row, gradient = dw[x[m], start:stop], dy[m, start:stop]
        for c in range(row.size):
            row[c] += gradient[c]


def forward(y: Array, x: Array, w: Array) -> None:
    """x (M,) in 0 .. K - 1, w (K, C) -> y (M, C)."""
    over_samples(_forward, y.shape[0], y.size, y, x, w)


def backward(dw: Array, dy: Array, x: Array, accumulate: bool) -> None:
    """dy (M, C), x (M,) -> dw (K, C), written or added to."""
    over_samples(_backward, dw.shape[1], dy.size + dw.size, dw, dy, x, accumulate)
