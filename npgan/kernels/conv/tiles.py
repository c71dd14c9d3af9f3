"""Where the tiles of Winograd's algorithm lie: offsets of pixels, taps and points, for `separable` and `outer`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np

from npgan.backend.base import Array, Shape
from npgan.kernels.conv.windows import Pads, Pair

PADDING = 16
"""Elements between points, so that they do not fall into the same cache sets."""


def whole(channels: int) -> int:
    """Return so many channels filled up to whole vectors, of any dtype."""
    return -(-channels // 16) * 16


@dataclass(frozen=True)
class Scheme:
    """F(m, r) for square kernels of s r taps an axis at stride s."""

    m: int
    r: int
    stride: int

    @property
    def n(self) -> int:
        """Points along an axis."""
        return self.m + self.r - 1

    def tiles(self, y: Shape) -> Pair:
        """Return how many tiles cover y, along both axes."""
        return -(-y[1] // self.m), -(-y[2] // self.m)


class Tables(NamedTuple):
    """Offsets of images without their batch.

    Attributes
    ----------
    x, seen : (tiles, phases, n²)
        What a tile reads of x; of these, what is in an earlier tile too, where gradients are added. -1 is none.
    y : (tiles, m²)
        The pixels of y; -1 is beyond.
    v, m : (phases, n²), (n²,)
        The points of a row of V and of M.
    w, turned, none : (phases, r²)
        The taps of w, these in opposite order, and -1.
    du : (phases, n²)
        The points of dU.
    inputs, outputs : (s² I,), (O,)
        A row of V, and of M, without the channels that fill it up.
    covered : bool
        Whether every pixel of x is in some tile.
    """

    x: Array
    seen: Array
    y: Array
    v: Array
    m: Array
    w: Array
    turned: Array
    none: Array
    du: Array
    inputs: Array
    outputs: Array
    covered: bool


@lru_cache(maxsize=64)
def tables(scheme: Scheme, x: Shape, w: Shape, y: Shape, padding: Pads) -> Tables:
    """Return the offsets for x (H, W, I), w (K, K, I, O) and y (OH, OW, O)."""
    m, n, s = scheme.m, scheme.n, scheme.stride
    channels, o = w[2:]
    (top, _), (left, _) = padding
    th, tw = scheme.tiles((0, *y))
    into = _pixels(_along(th, x[0], s, top, m, n), _along(tw, x[1], s, left, m, n), x[1], channels)
    out = _pixels(_along(th, y[0], 1, 0, m, m), _along(tw, y[1], 1, 0, m, m), y[1], o)
    t, u, _, _, i, j = np.ogrid[:th, :tw, :s, :s, :n, :n]
    seen = ((t > 0) & (i < n - m)) | ((u > 0) & (j < n - m))  # by the tile above or to the left
    p, q, a, b = np.ogrid[:s, :s, : scheme.r, : scheme.r]
    taps = ((s * a + p) * w[1] + s * b + q) * channels * o
    phases, point, phase = s * s, np.arange(n * n), np.arange(s * s)[:, None]

    def flat(table: Array, *lead: int) -> Array:
        return np.ascontiguousarray(table.reshape(*lead, -1), np.int64)

    return Tables(
        x=flat(into, th * tw, phases),
        seen=flat(np.where(seen, into, -1), th * tw, phases),
        y=flat(out, th * tw),
        v=flat(point * (phases * whole(channels) + PADDING) + phase * whole(channels), phases),
        m=flat(point * (whole(o) + PADDING)),
        w=flat(taps, phases),
        turned=flat(taps[..., ::-1, ::-1], phases),
        none=np.full((phases, scheme.r**2), -1, np.int64),
        du=flat(point * (phases * whole(channels) * o + PADDING) + phase * whole(channels) * o, phases),
        inputs=flat(phase * whole(channels) + np.arange(channels)),
        outputs=np.arange(o, dtype=np.int64),
        covered=len(np.unique(into[into >= 0])) == prod(x[:2]),
    )


def _along(count: int, size: int, step: int, before: int, m: int, inputs: int) -> Array:
    """Return the pixel along one axis that each tile, phase and input is, or -1."""
    tile, phase, i = np.ogrid[:count, :step, :inputs]
    at = step * (m * tile + i) + phase - before
    return np.where((at >= 0) & (at < size), at, -1)


def _pixels(rows: Array, columns: Array, width: int, channels: int) -> Array:
    """Return offsets (tiles, tiles, phases, phases, inputs, inputs)."""
    h, w = rows[:, None, :, None, :, None], columns[None, :, None, :, None, :]
    return np.where((h >= 0) & (w >= 0), (h * width + w) * channels, -1)
