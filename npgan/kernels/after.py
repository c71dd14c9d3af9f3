"""What a convolution does to its output besides, while that is in the cache."""

from __future__ import annotations

from typing import NamedTuple

from npgan.backend.base import Array


class After(NamedTuple):
    """What is done to an output y (N, ..., C), one after the other; what is None is not.

    Attributes
    ----------
    bias : array (C,)
        Added.
    slope : float
        The leaky ReLU of that slope (0 for ReLU) is done to y; or, where `made` is given, y becomes φ'(made) y.
    made : array like y
        What such an activation made.
    moments : float64 array (2, N, blocks, C)
        Of what comes out, by blocks of a sample's rows: the mean, and the sum of squares about it.
    sums : float64 array (2, N, C)
        Of what comes out, y, and of y (x - mean) inv_std, by samples; without `about`, of the former alone.
    about : tuple of array (x, mean, inv_std)
        x like y, and mean and inv_std (N, C), or (1, C) for all samples.
    """

    bias: Array | None = None
    slope: float | None = None
    made: Array | None = None
    moments: Array | None = None
    sums: Array | None = None
    about: tuple[Array, Array, Array] | None = None


NOTHING = After()
