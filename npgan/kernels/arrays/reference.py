"""Copies and sums of arrays, in NumPy's words."""

import numpy as np

from npgan.backend.base import Array


def copy(out: Array, source: Array) -> None:
    """Source, of the shape of out or one that broadcasts to it -> out."""
    out[...] = source


def add(out: Array, source: Array) -> None:
    """Out + source -> out, of one shape."""
    np.add(out, source, out=out)
