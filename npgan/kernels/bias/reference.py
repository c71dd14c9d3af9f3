"""y += b along the last axis; db is the sum of dy over all others."""

from npgan.backend.base import Array


def forward(y: Array, b: Array) -> None:
    """y (M, C) += b (C,)."""
    y += b


def backward(db: Array, dy: Array, accumulate: bool) -> None:
    """dy (M, C) -> db (C,), written or added to."""
    total = dy.sum(axis=0)
    db[...] = db + total if accumulate else total
