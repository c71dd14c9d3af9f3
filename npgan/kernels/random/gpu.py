"""Philox4x32-10, in CUDA: the reference's words, so its integers and uniform numbers; normal ones to rounding.

The step may lie on the device: see `changing` in backend/cuda.py.
"""

from typing import Any

import numpy as np

from npgan.backend.base import Array
from npgan.backend.cuda import blocks, changing, kernel, launch


def uniform(out: Array, k0: int, k1: int, step: int, stream: int, substream: int, low: float, high: float) -> None:
    """Fill out: low + (high - low) u with u = (word >> 8) / 2**24, exact in float32, never 1."""
    _fill("uniform", out.dtype, out, k0, k1, step, stream, substream, float(low), float(high))


def normal(out: Array, k0: int, k1: int, step: int, stream: int, substream: int, mean: float, std: float) -> None:
    """Fill out by Box and Muller (1958): words (0, 1) and (2, 3) of a block give a pair each."""
    _fill("normal", out.dtype, out, k0, k1, step, stream, substream, float(mean), float(std))


def integers(out: Array, k0: int, k1: int, step: int, stream: int, substream: int, high: int) -> None:
    """Fill out with floor(word high / 2**32)."""
    _fill(f"integers_{out.itemsize}", np.dtype(np.float32), out, k0, k1, step, stream, substream, int(high))


def _fill(
    name: str, dtype: Any, out: Array, k0: int, k1: int, step: int, stream: int, substream: int, *options: Any
) -> None:
    counter = (k0, k1, *changing(step), stream, substream)
    launch(kernel("random", name, dtype), blocks(out.size), 256, out, *counter, *options, out.size)
