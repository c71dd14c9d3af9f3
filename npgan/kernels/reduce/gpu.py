"""Sums over arrays, in CUDA. What is a float elsewhere is an array of shape () here: nobody has to wait for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from npgan.backend.base import Array
from npgan.backend.cuda import block_sums, changing, kernel, launch, scalar, sum_blocks

_AT_ONCE = 8  # numbers of a launch that collects


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


def collect(out: Array, numbers: Sequence[float]) -> None:
    """M numbers, floats or arrays of shape () -> out (1 + M,): one more where one is not finite; then they."""
    collecting = kernel("reduce", "collect", out.dtype)
    for first in range(0, len(numbers), _AT_ONCE):
        part = numbers[first : first + _AT_ONCE]
        given = [argument for each in part for argument in changing(each)]
        launch(collecting, 1, 1, out, first, len(part), *given, *(0.0, 0) * (_AT_ONCE - len(part)))


def _sum(name: str, count: int, x: Array) -> Any:
    grid, out = sum_blocks(x.size), scalar()
    launch(kernel("reduce", name, x.dtype), grid, 256, block_sums(count * grid), out, x, x.size)
    return out
