"""Sums over a flat vector, compiled. See the reference for what they are.

Sums are made over blocks of a fixed size, so that they don't depend on the number of threads.
"""

from __future__ import annotations

import math

import numpy as np

from npgan.backend.base import Array
from npgan.backend.compile import kernel
from npgan.backend.threads import over_samples

_BLOCK = 8192
# Below this the squares that are lost to underflow could matter; above, they are under a rounding error.
_SMALLEST = 1e-280


@kernel
def _squares(start, stop, sums, x):  # type: ignore[no-untyped-def]
    for b in range(start, stop):
        block = x[b * _BLOCK : (b + 1) * _BLOCK]
        total = 0.0
        for i in range(block.size):
            value = np.float64(block[i])
            total += value * value
        sums[b] = total


def _sum_of_squares(x: Array) -> float:
    sums = np.empty(-(-x.size // _BLOCK))
    over_samples(_squares, sums.size, x.size, sums, x)
    return float(sums.sum())


def norm(x: Array) -> float:
    """Vector x (P,) -> sqrt(sum(x^2)), summed in float64, without overflow or underflow of the squares."""
    total = _sum_of_squares(x)
    if _SMALLEST < total < math.inf or math.isnan(total):
        return math.sqrt(total)
    largest = float(np.max(np.abs(x), initial=0.0))
    if largest == 0 or not math.isfinite(largest):
        return largest
    # A power of two, so that scaling is exact; half of it, for 2**1024 is not a number.
    scale = math.ldexp(1.0, math.frexp(largest)[1] - 1)
    return math.sqrt(_sum_of_squares(x / scale)) * scale
