"""Dropout, compiled."""

import numpy as np

from npgan.backend.base import Array
from npgan.backend.compile import kernel
from npgan.backend.threads import over_samples


@kernel
def _draw(start, stop, mask, u, rate):  # type: ignore[no-untyped-def]
    for n in range(start, stop):
        row, numbers = mask[n], u[n]
        for c in range(row.size):
            row[c] = np.float64(numbers[c]) >= rate


@kernel
def _apply(start, stop, y, x, mask, scale):  # type: ignore[no-untyped-def]
    zero, scale = y.dtype.type(0), y.dtype.type(scale)
    for n in range(start, stop):
        keep = mask[n]
        for p in range(x.shape[1]):
            out, row = y[n, p], x[n, p]
            for c in range(row.size):
                out[c] = row[c] * (scale if keep[c] else zero)


def draw(mask: Array, u: Array, rate: float) -> None:
    """U (N, C) uniform in [0, 1) -> mask (N, C) uint8: 1 where u >= rate."""
    over_samples(_draw, u.shape[0], u.size, mask, u, rate)


def apply(y: Array, x: Array, mask: Array, rate: float) -> None:
    """x (N, P, C), mask (N, C) -> y (N, P, C) = x mask / (1 - rate)."""
    over_samples(_apply, x.shape[0], x.size, y, x, mask, 1 / (1 - rate))
