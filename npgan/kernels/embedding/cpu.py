"""Rows of a table, compiled; of a label that is none, NaN: whoever can ask beforehand does."""

import numpy as np

from npgan.backend.base import Array
from npgan.backend.compile import kernel
from npgan.backend.threads import over_samples


@kernel
def _forward(start, stop, y, x, w):  # type: ignore[no-untyped-def]
    for m in range(start, stop):
        label, row = x[m], y[m]
        known = 0 <= label < w.shape[0]
        source = w[label if known else 0]
        for c in range(row.size):
            row[c] = source[c] if known else np.nan


@kernel
def _backward(start, stop, dw, dy, x, accumulate):  # type: ignore[no-untyped-def]
    # Divided by columns: two threads never add to the same sum, and each sum is made in the order of the labels.
    if not accumulate:
        dw[:, start:stop] = 0
    for m in range(x.size):
        if x[m] < 0 or x[m] >= dw.shape[0]:
            continue
        row, gradient = dw[x[m], start:stop], dy[m, start:stop]
        for c in range(row.size):
            row[c] += gradient[c]


def forward(y: Array, x: Array, w: Array) -> None:
    """x (M,) in 0 .. K - 1, w (K, C) -> y (M, C)."""
    over_samples(_forward, y.shape[0], y.size, y, x, w)


def backward(dw: Array, dy: Array, x: Array, accumulate: bool) -> None:
    """dy (M, C), x (M,) -> dw (K, C), written or added to."""
    over_samples(_backward, dw.shape[1], dy.size + dw.size, dw, dy, x, accumulate)
