"""Philox4x32-10, compiled. See the reference for what the numbers are."""

import numpy as np

from npgan.backend.base import Array
from npgan.backend.compile import kernel
from npgan.backend.threads import over_samples


@kernel
def _philox(c0, c1, c2, c3, k0, k1):  # type: ignore[no-untyped-def]
    low = np.uint64(0xFFFFFFFF)
    x0, x1, x2, x3, k0, k1 = np.uint64(c0), np.uint64(c1), np.uint64(c2), np.uint64(c3), np.uint64(k0), np.uint64(k1)
    for _ in range(10):
        p0 = x0 * np.uint64(0xD2511F53)
        p1 = x2 * np.uint64(0xCD9E8D57)
        x0, x1 = (p1 >> np.uint64(32)) ^ x1 ^ k0, p1 & low
        x2, x3 = (p0 >> np.uint64(32)) ^ x3 ^ k1, p0 & low
        k0 = (k0 + np.uint64(0x9E3779B9)) & low
        k1 = (k1 + np.uint64(0xBB67AE85)) & low
    return x0, x1, x2, x3


@kernel
def _uniform(start, stop, out, k0, k1, step, stream, substream, low, high):  # type: ignore[no-untyped-def]
    n = out.size
    for b in range(start, stop):
        words = _philox(b, step, stream, substream, k0, k1)
        for j in range(4):
            if 4 * b + j < n:
                out[4 * b + j] = low + (high - low) * (np.float64(words[j] >> np.uint64(8)) / 2.0**24)


@kernel
def _normal(start, stop, out, k0, k1, step, stream, substream, mean, std):  # type: ignore[no-untyped-def]
    n = out.size
    for b in range(start, stop):
        words = _philox(b, step, stream, substream, k0, k1)
        for j in range(2):
            r = np.sqrt(-2.0 * np.log((np.float64(words[2 * j]) + 1.0) / 2.0**32))
            angle = 2.0 * np.pi * np.float64(words[2 * j + 1]) / 2.0**32
            if 4 * b + 2 * j < n:
                out[4 * b + 2 * j] = mean + std * (r * np.cos(angle))
            if 4 * b + 2 * j + 1 < n:
                out[4 * b + 2 * j + 1] = mean + std * (r * np.sin(angle))


@kernel
def _integers(start, stop, out, k0, k1, step, stream, substream, high):  # type: ignore[no-untyped-def]
    n = out.size
    for b in range(start, stop):
        words = _philox(b, step, stream, substream, k0, k1)
        for j in range(4):
            if 4 * b + j < n:
                out[4 * b + j] = (words[j] * np.uint64(high)) >> np.uint64(32)


def _fill(compiled, out: Array, *args: float) -> None:  # type: ignore[no-untyped-def]
    flat = out.reshape(-1)
    target = flat if np.shares_memory(flat, out) or not out.size else np.empty_like(flat)
    over_samples(compiled, (out.size + 3) // 4, 8 * out.size, target, *args)
    if target is not flat or not out.flags.c_contiguous:
        out[...] = target.reshape(out.shape)


def uniform(out: Array, k0: int, k1: int, step: int, stream: int, substream: int, low: float, high: float) -> None:
    """Fill out uniformly in [low, high)."""
    _fill(_uniform, out, k0, k1, step, stream, substream, float(low), float(high))


def normal(out: Array, k0: int, k1: int, step: int, stream: int, substream: int, mean: float, std: float) -> None:
    """Fill out with normal numbers."""
    _fill(_normal, out, k0, k1, step, stream, substream, float(mean), float(std))


def integers(out: Array, k0: int, k1: int, step: int, stream: int, substream: int, high: int) -> None:
    """Fill out with integers below high."""
    _fill(_integers, out, k0, k1, step, stream, substream, high)
