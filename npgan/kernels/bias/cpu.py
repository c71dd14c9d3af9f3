"""A bias along the last axis, compiled."""

from npgan.backend.base import Array
from npgan.backend.compile import kernel
from npgan.backend.threads import over_samples


@kernel
def _forward(start, stop, y, b):  # type: ignore[no-untyped-def]
    for m in range(start, stop):
        for c in range(y.shape[1]):
            y[m, c] += b[c]


@kernel
def _backward(start, stop, db, dy, accumulate):  # type: ignore[no-untyped-def]
    # Divided by channels, so that no two threads add to the same sum; rows outside, so that memory is read in order.
    total = db[start:stop]
    if not accumulate:
        total[:] = 0
    for m in range(dy.shape[0]):
        row = dy[m, start:stop]
        for c in range(total.size):
            total[c] += row[c]


def forward(y: Array, b: Array) -> None:
    """y (M, C) += b (C,)."""
    over_samples(_forward, y.shape[0], y.size, y, b)


def backward(db: Array, dy: Array, accumulate: bool) -> None:
    """dy (M, C) -> db (C,), written or added to."""
    over_samples(_backward, dy.shape[1], dy.size, db, dy, accumulate)
