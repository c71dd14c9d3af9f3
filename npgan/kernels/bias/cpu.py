"""A bias along the last axis, and the piecewise-linear activation after it, compiled.

Sums are made in float64, by blocks and in a fixed order, so that they do not depend on the number of threads.
"""

# mypy: disable-error-code="no-untyped-def"

import numpy as np

from npgan.backend.base import Array
from npgan.backend.compile import kernel
from npgan.backend.threads import alone, over_samples
from npgan.kernels.bend import bend, bend_slope
from npgan.kernels.width import width

_PIECES = 256  # inner loops whose sums are added up on their own, whoever does it


@kernel
def _forward(start, stop, y, b, slope):
    bent = y.dtype.type(1.0 if slope is None else slope)
    for m in range(start, stop):
        row = y[m]
        for c in range(row.size):
            v = row[c] if b is None else row[c] + b[c]
            row[c] = v if slope is None else bend(v, bent)


@kernel
def _unbend(start, stop, dz, parts, dy, y, slope, size):
    # dz = φ'(y) dy, or where dy is; parts (blocks, size) sums of it, or of dy where there is no slope; all else is flat
    bent = dy.dtype.type(1.0 if slope is None else slope)
    for block in range(start, stop):
        if parts is not None:
            total = parts[block]
            total[:] = 0
        for begin in range(block * size * _PIECES, min((block + 1) * size * _PIECES, dy.size), size):
            end = min(begin + size, dy.size)
            gradient = dy[begin:end]
            out, sign = gradient if dz is None else dz[begin:end], gradient if y is None else y[begin:end]
            for i in range(gradient.size):
                v = gradient[i] if slope is None else gradient[i] * bend_slope(sign[i], bent)
                if slope is not None:
                    out[i] = v
                if parts is not None:
                    total[i] += v


@kernel
def _add_up(db, parts, accumulate):
    total = parts[0]
    for block in range(1, parts.shape[0]):
        part = parts[block]
        for i in range(total.size):
            total[i] += part[i]
    for c in range(db.size):
        found = 0.0
        for i in range(c, total.size, db.size):
            found += total[i]
        db[c] = db[c] + found if accumulate else found


def workspace(m: int, c: int) -> int:
    """Float64 elements of `scratch` for dy (M, C): sums of some rows, by blocks of them."""
    return _blocks(m * c, c) * width(c)


def _blocks(size: int, c: int) -> int:
    return -(-size // (width(c) * _PIECES))


def forward(y: Array, b: Array | None, slope: float | None = None) -> None:
    """y (M, C) += b (C,), and the activation of that slope is done to it."""
    over_samples(_forward, y.shape[0], y.size, y, b, slope)


def backward(db: Array, scratch: Array, dy: Array, accumulate: bool) -> None:
    """dy (M, C) -> db (C,), written or added to."""
    _sweep(None, db, scratch, dy, None, None, accumulate)


def unbend(
    dz: Array, db: Array | None, scratch: Array | None, dy: Array, y: Array, slope: float, accumulate: bool
) -> None:
    """dy, y (M, C) -> dz (M, C), db (C,), written or added to; y is what the activation made."""
    # Where it is told that dz is dy, the compiler need not fear that one is a part of the other.
    out = None if np.may_share_memory(dz, dy) else dz.reshape(-1)
    _sweep(out, db, scratch, dy, y.reshape(-1), slope, accumulate)


def _sweep(
    dz: Array | None,
    db: Array | None,
    scratch: Array | None,
    dy: Array,
    y: Array | None,
    slope: float | None,
    accumulate: bool,
) -> None:
    c = dy.shape[1]
    count, size, parts = _blocks(dy.size, c), width(c), None
    if db is not None and scratch is not None:
        parts = scratch[: count * size].reshape(count, size)
    over_samples(_unbend, count, 2 * dy.size, dz, parts, dy.reshape(-1), y, slope, size)
    if parts is not None:
        alone(_add_up, db, parts, accumulate)
