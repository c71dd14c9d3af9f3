"""Copies and sums of arrays, in NumPy's words."""

import numpy as np

from npgan.backend.base import Array


def copy(out: Array, source: Array) -> None:
    """Source, of the shape of out or one that broadcasts to it -> out."""
    out[...] = source


def zero(out: Array) -> None:
    """0 -> out."""
    out[...] = 0


def add(out: Array, a: Array, b: Array) -> None:
    """Arrays a + b -> out, all of one shape; out may be one of them."""
    np.add(a, b, out=out)
