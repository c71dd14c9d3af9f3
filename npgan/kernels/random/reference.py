"""Philox4x32-10 in plain NumPy (Salmon et al. 2011, section 3.3).

Element ``i`` of a draw comes from word ``i % 4`` of the block whose counter is (i // 4, step, stream, substream).
"""

import numpy as np

from npgan.backend.base import Array

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = 0x9E3779B9, 0xBB67AE85
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)


def philox(c0: Array, c1: int, c2: int, c3: int, k0: int, k1: int) -> Array:
    """c0 (B,) uint64 block numbers, the rest of the counter, the key -> (B, 4) uint64, each below 2**32."""
    x0, x1, x2, x3 = c0, *(np.full_like(c0, c) for c in (c1, c2, c3))
    for _ in range(10):
        p0, p1 = x0 * _M0, x2 * _M1
        x0, x1, x2, x3 = (p1 >> _32) ^ x1 ^ np.uint64(k0), p1 & _LOW, (p0 >> _32) ^ x3 ^ np.uint64(k1), p0 & _LOW
        k0, k1 = (k0 + _W0) & 0xFFFFFFFF, (k1 + _W1) & 0xFFFFFFFF
    return np.stack([x0, x1, x2, x3], axis=1)


def _words(out: Array, k0: int, k1: int, step: int, stream: int, substream: int) -> Array:
    blocks = (out.size + 3) // 4
    return philox(np.arange(blocks, dtype=np.uint64, like=out), step, stream, substream, k0, k1)


def uniform(out: Array, k0: int, k1: int, step: int, stream: int, substream: int, low: float, high: float) -> None:
    """Fill out: low + (high - low) u with u = (word >> 8) / 2**24, exact in float32, never 1."""
    u = (_words(out, k0, k1, step, stream, substream) >> np.uint64(8)).astype(np.float64) / 2.0**24
    out[...] = (low + (high - low) * u).reshape(-1)[: out.size].reshape(out.shape)


def normal(out: Array, k0: int, k1: int, step: int, stream: int, substream: int, mean: float, std: float) -> None:
    """Fill out by Box and Muller (1958): words (0, 1) and (2, 3) of a block give a pair each.

    r = sqrt(-2 ln u), u = (word + 1) / 2**32 in (0, 1], never 0; the angle is 2 pi word' / 2**32.
    """
    words = _words(out, k0, k1, step, stream, substream).astype(np.float64)
    r = np.sqrt(-2.0 * np.log((words[:, 0::2] + 1.0) / 2.0**32))
    angle = 2.0 * np.pi * words[:, 1::2] / 2.0**32
    z = np.stack([r * np.cos(angle), r * np.sin(angle)], axis=2)
    out[...] = (mean + std * z).reshape(-1)[: out.size].reshape(out.shape)


def integers(out: Array, k0: int, k1: int, step: int, stream: int, substream: int, high: int) -> None:
    """Fill out with floor(word high / 2**32)."""
    words = _words(out, k0, k1, step, stream, substream)
    out[...] = ((words * np.uint64(high)) >> _32).astype(out.dtype).reshape(-1)[: out.size].reshape(out.shape)
