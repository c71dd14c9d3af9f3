"""Pictures from bytes, and their augmentation, in plain NumPy.

The batches of a GPU are made there by these. The loader of the CPU has ways of its own, which are the oracle of them.
"""

import numpy as np

from npgan.backend.base import Array


def scale(out: Array, x: Array, rows: Array | None, low: float, half: float) -> None:
    """Bytes x (M, F), rows (N,) or None for all -> out (N, F) = (x[rows] - low) / half - 1, rounded each time."""
    out[...] = x if rows is None else x[rows]
    if low != 0.0:
        out -= low
    out /= half
    out -= 1.0


def augment(out: Array, x: Array, draws: Array, flip: bool, rotate: float, shift: float, scale: float) -> None:
    """Pictures x (N, H, W, C), draws (N, 5) in [0, 1) -> out (N, H, W, C): see `npgan.data.Augment`.

    Bilinear; what lies outside repeats the edge. A draw each for the flip, the angle, the shifts down and right, the
    size. Coordinates and sums in float64.
    """
    H, W = x.shape[1:3]
    angle = np.deg2rad(rotate * (2.0 * draws[:, 1] - 1.0))
    size = 1.0 + scale * (2.0 * draws[:, 4] - 1.0)
    cos, sin = np.cos(angle) / size, np.sin(angle) / size
    side = np.where(draws[:, 0] < 0.5, -1.0, 1.0) if flip else np.ones_like(cos)
    down, right = shift * (H * (2.0 * draws[:, 2] - 1.0)), shift * (W * (2.0 * draws[:, 3] - 1.0))
    middle = (H - 1) / 2.0, (W - 1) / 2.0
    i, j = np.arange(float(H), like=draws)[None, :, None], np.arange(float(W), like=draws)[None, None, :]
    places = []
    for row, column, half, last in ((cos, sin, middle[0], H - 1), (-sin * side, cos * side, middle[1], W - 1)):
        offset = half - (row * (middle[0] + down) + column * (middle[1] + right))
        place = np.clip(offset[:, None, None] + i * row[:, None, None] + j * column[:, None, None], 0.0, last)
        first = np.floor(place).astype(np.int64)
        places.append((first, np.minimum(first + 1, last), (place - first)[..., None]))
    (up, under, v), (left, beside, h) = places
    n = np.arange(len(x), like=up)[:, None, None]
    found = x[n, up, left] * (1 - v) * (1 - h) + x[n, up, beside] * (1 - v) * h
    found += x[n, under, left] * v * (1 - h)
    found += x[n, under, beside] * v * h
    out[...] = found
