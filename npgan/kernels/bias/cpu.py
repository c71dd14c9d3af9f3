"""A bias along the last axis, and the piecewise-linear activation after it, compiled."""

# mypy: disable-error-code="no-untyped-def"

from npgan.backend.base import Array
from npgan.backend.compile import kernel
from npgan.backend.threads import over_samples
from npgan.kernels.bend import bend, bend_slope


@kernel
def _forward(start, stop, y, b, slope):
    bent = y.dtype.type(1.0 if slope is None else slope)
    for m in range(start, stop):
        row = y[m]
        for c in range(row.size):
            v = row[c] if b is None else row[c] + b[c]
            row[c] = v if slope is None else bend(v, bent)


@kernel
def _backward(start, stop, db, dy, accumulate):
    # Divided by channels, so that no two threads add to the same sum; rows outside, so that memory is read in order.
    total = db[start:stop]
    if not accumulate:
        total[:] = 0
    for m in range(dy.shape[0]):
        row = dy[m, start:stop]
        for c in range(total.size):
            total[c] += row[c]


@kernel
def _unbend(start, stop, dz, db, dy, y, slope, accumulate):
    # the same, of dz = φ'(y) dy, which is written too
    bent = dz.dtype.type(slope)
    total = dz[0, :0] if db is None else db[start:stop]
    if db is not None and not accumulate:
        total[:] = 0
    for m in range(dy.shape[0]):
        out, row, sign = dz[m, start:stop], dy[m, start:stop], y[m, start:stop]
        for c in range(out.size):
            v = row[c] * bend_slope(sign[c], bent)
            out[c] = v
            if db is not None:
                total[c] += v


def forward(y: Array, b: Array | None, slope: float | None = None) -> None:
    """y (M, C) += b (C,), and the activation of that slope is done to it."""
    over_samples(_forward, y.shape[0], y.size, y, b, slope)


def backward(db: Array, dy: Array, accumulate: bool) -> None:
    """dy (M, C) -> db (C,), written or added to."""
    over_samples(_backward, dy.shape[1], dy.size, db, dy, accumulate)


def unbend(dz: Array, db: Array | None, dy: Array, y: Array, slope: float, accumulate: bool) -> None:
    """dy, y (M, C) -> dz (M, C), db (C,), written or added to; y is what the activation made."""
    over_samples(_unbend, dy.shape[1], 2 * dy.size, dz, db, dy, y, slope, accumulate)
