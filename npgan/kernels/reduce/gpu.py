"""Sums over arrays, in CUDA. What is a float elsewhere is an array of shape () here: nobody has to wait for it."""

from __future__ import annotations

from typing import Any

from npgan.backend.base import Array
from npgan.backend.cuda import block_sums, kernel, launch, scalar, sum_blocks


def workspace(size: int) -> int:
    """Float64 elements of `scratch` for a vector of that size."""
    return 0


def norm(scratch: Array, x: Array) -> float:
    """Vector x (P,) -> sqrt(sum(x^2)), summed in float64."""
    found: float = _sum("vector_norm", 3, x)
    return found


def mean(x: Array) -> float:
    """x (...), at least one element -> its mean, summed in float64."""
    found: float = _sum("vector_mean", 1, x)
    return found


def _sum(name: str, count: int, x: Array) -> Any:
    grid, out = sum_blocks(x.size), scalar()
    launch(kernel("reduce", name, x.dtype), grid, 256, block_sums(count * grid), out, x, x.size)
    return out
