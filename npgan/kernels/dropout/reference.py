"""Dropout in plain NumPy: y = x m / (1 - rate), with m = 0 at rate and 1 elsewhere; dx = dy m / (1 - rate)."""

import numpy as np

from npgan.backend.base import Array


def draw(mask: Array, u: Array, rate: float) -> None:
    """U (N, C) uniform in [0, 1) -> mask (N, C) uint8: 1 where u >= rate.

    Compared in float64, so that every dtype gives the same mask.
    """
    mask[...] = u.real >= np.float64(rate)


def apply(y: Array, x: Array, mask: Array, rate: float) -> None:
    """x (N, P, C), mask (N, C) -> y (N, P, C) = x mask / (1 - rate); a NaN stays one where it is dropped."""
    y[...] = x * (mask.astype(x.dtype) * x.dtype.type(1 / (1 - rate)))[:, None, :]
