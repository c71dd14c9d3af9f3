"""Sums over arrays, compiled. See the reference for what they are.

Sums are made over blocks of a fixed size, so that they don't depend on the number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from npgan.backend.base import Array
from npgan.backend.compile import kernel
from npgan.backend.threads import over_samples

_BLOCK = 8192
# Below this the squares that are lost to underflow could matter; above, they are under a rounding error.
_SMALLEST = 1e-280


@kernel
def _squares(start, stop, sums, x, factor):  # type: ignore[no-untyped-def]
    for b in range(start, stop):
        block = x[b * _BLOCK : (b + 1) * _BLOCK]
        total = 0.0
        for i in range(block.size):
            value = factor * np.float64(block[i])
            total += value * value
        sums[b] = total


@kernel
def _sum(x):  # type: ignore[no-untyped-def]
    total = 0.0
    for i in range(x.size):
        total += np.float64(x[i])
    return total


@kernel
def _largest(x):  # type: ignore[no-untyped-def]
    largest = 0.0
    for i in range(x.size):
        size = abs(np.float64(x[i]))
        if size > largest or size != size:  # NaN stays: nothing is larger
            largest = size
    return largest


def workspace(size: int) -> int:
    """Float64 elements of `scratch` for a vector of that size."""
    return -(-size // _BLOCK)


def _sum_of_squares(scratch: Array, x: Array, factor: float) -> float:
    sums = scratch[: workspace(x.size)]
    over_samples(_squares, sums.size, x.size, sums, x, factor)
    total: float = _sum(sums)
    return total


def norm(scratch: Array, x: Array) -> float:
    """Vector x (P,) -> sqrt(sum(x^2)), summed in float64, without overflow or underflow of the squares."""
    total = _sum_of_squares(scratch, x, 1.0)
    if _SMALLEST < total < math.inf or math.isnan(total):
        return math.sqrt(total)
    largest = _largest(x)
    if largest == 0 or not math.isfinite(largest):
        return float(largest)
    # A power of two, so that scaling is exact; half of it, for 2**1024 is not a number.
    exponent = max(math.frexp(largest)[1] - 1, -1023)
    return math.sqrt(_sum_of_squares(scratch, x, math.ldexp(1.0, -exponent))) * math.ldexp(1.0, exponent)


def collect(out: Array, numbers: Sequence[float]) -> None:
    """M numbers, floats or arrays of shape () -> out (1 + M,): one more where one is not finite; then they."""
    out[1:] = numbers
    out[0] += not np.isfinite(out[1:]).all()


def mean(x: Array) -> float:
    """x (...), at least one element -> its mean, summed in float64."""
    total: float = _sum(x.reshape(-1))
    return total / x.size
