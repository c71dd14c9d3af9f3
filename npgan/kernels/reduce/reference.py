"""Sums over arrays in plain NumPy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from npgan.backend.base import Array


def workspace(size: int) -> int:
    """Float64 elements of `scratch` for a vector of that size."""
    return 0


def norm(scratch: Array, x: Array) -> float:
    """Vector x (P,) -> sqrt(sum(x^2)), summed in float64.

    The vector is divided by its largest element first, so that squares neither overflow nor vanish. A NaN or
    an infinity in x comes out as one.
    """
    if not x.size:
        return 0.0
    largest = np.max(np.abs(x.real)).astype(np.float64)
    scale = np.where(np.isfinite(largest) & (largest > 0), largest, 1.0)
    scaled = x / scale
    with np.errstate(over="ignore"):  # beside an infinity, whose norm it is then
        total: float = np.sqrt(np.sum(scaled * scaled)) * scale
    return total


def collect(out: Array, numbers: Sequence[float]) -> None:
    """M numbers, floats or arrays of shape () -> out (1 + M,): one more where one is not finite; then they."""
    for i, number in enumerate(numbers):
        out[i + 1] = number
    out[0] += ~np.isfinite(out[1:]).all()


def mean(x: Array) -> float:
    """x (...), at least one element -> its mean, summed in float64."""
    total: float = np.sum(x, dtype=np.float64) / x.size
    return total
