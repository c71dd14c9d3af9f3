"""Sums over arrays, compiled. See the reference for what they are.

Sums are made over blocks of a fixed size, so that they don't depend on the number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from npgan.backend.base import Array
from npgan.backend.compile import kernel
from npgan.backend.threads import alone, over_samples
from npgan.kernels.atomic import array_at

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


@kernel
def _norm(sums, x):  # type: ignore[no-untyped-def]
    # sums: of the squares of each block
    found = _sum(sums)
    if _SMALLEST < found < np.inf or math.isnan(found):
        return math.sqrt(found)
    largest = _largest(x)
    if largest == 0 or not math.isfinite(largest):
        return np.float64(largest)
    # A power of two, so that scaling is exact; half of it, for 2**1024 is not a number.
    exponent = max(math.frexp(largest)[1] - 1, -1023)
    _squares(0, sums.size, sums, x, math.ldexp(1.0, -exponent))
    return math.sqrt(_sum(sums)) * math.ldexp(1.0, exponent)


@kernel
def _mean(x):  # type: ignore[no-untyped-def]
    return _sum(x) / x.size


@kernel
def total(a, b):  # type: ignore[no-untyped-def]
    """Return a + b."""
    return a + b


@kernel
def collect_from(out, addresses):  # type: ignore[no-untyped-def]
    """Collect the float64 at these addresses: see `collect`."""
    finite = True
    for i in range(addresses.size):
        out[i + 1] = array_at(addresses[i], 1, out)[0]
        finite = finite and math.isfinite(out[i + 1])
    if not finite:
        out[0] += 1


def workspace(size: int) -> int:
    """Float64 elements of `scratch` for a vector of that size."""
    return -(-size // _BLOCK)


def norm(scratch: Array, x: Array) -> float:
    """Vector x (P,) -> sqrt(sum(x^2)), summed in float64, without overflow or underflow of the squares."""
    sums = scratch[: workspace(x.size)]
    over_samples(_squares, sums.size, x.size, sums, x, 1.0)
    found: float = alone(_norm, sums, x)
    return found


def collect(out: Array, numbers: Sequence[float]) -> None:
    """M numbers, floats or arrays of shape () -> out (1 + M,): one more where one is not finite; then they."""
    out[1:] = numbers
    out[0] += not np.isfinite(out[1:]).all()


def mean(x: Array) -> float:
    """x (...), at least one element -> its mean, summed in float64."""
    found: float = alone(_mean, x.reshape(-1))
    return found
