"""What a product or a convolution does to its output besides; a convolution while that is in the cache."""

from __future__ import annotations

from typing import NamedTuple

from npgan.backend.base import Array


class After(NamedTuple):
    """What is done to an output (N, ..., C), one after the other; what is None is not.

    Attributes
    ----------
    bias : array (C,)
        Added.
    slope : float
        Of a leaky ReLU (0 for ReLU).
    moments : float64 array (2, N, blocks, C)
        Of what comes out, by blocks of a sample's rows: the mean, and the sum of squares about it.
    """

    bias: Array | None = None
    slope: float | None = None
    moments: Array | None = None


NOTHING = After()
