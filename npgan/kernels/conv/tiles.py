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
    y, unseen : (tiles, 1, m²)
        The pixels of y; -1 is beyond. And -1 for all, as tiles of y do not overlap.
    v, m : (phases, n²), (1, n²)
        The points of a row of V and of M.
    w, turned, none : (phases, r²)
        The taps of w, these in opposite order, and -1.
    inputs, outputs : (s² I,), (O,)
        A row of V, and of M, without the channels that fill it up.
    covered : bool
        Whether every pixel of x is in some tile.
    """

    x: Array
    seen: Array
    y: Array
    unseen: Array
    v: Array
    m: Array
    w: Array
    turned: Array
    none: Array
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
    phases, point, phase = s * s, np.arange(n * n), np.arange(s * s)[:, None]

    def flat(table: Array, *lead: int) -> Array:
        return np.ascontiguousarray(table.reshape(*lead, -1), np.int64)

    return Tables(
        x=flat(into, th * tw, phases),
        seen=flat(np.where(seen, into, -1), th * tw, phases),
        y=flat(out, th * tw, 1),
        unseen=flat(np.full_like(out, -1), th * tw, 1),
        v=flat(point * (phases * whole(channels) + PADDING) + phase * whole(channels), phases),
        m=flat(point * (whole(o) + PADDING), 1),
        w=tap_offsets(scheme, channels * o, reverse=False),
        turned=tap_offsets(scheme, channels * o, reverse=True),
        none=np.full((phases, scheme.r**2), -1, np.int64),
        inputs=flat(phase * whole(channels) + np.arange(channels)),
        outputs=np.arange(o, dtype=np.int64),
        covered=len(np.unique(into[into >= 0])) == prod(x[:2]),
    )


@lru_cache(maxsize=64)
def tap_offsets(scheme: Scheme, step: int, reverse: bool) -> Array:
    """Return where the taps of each phase are (phases, r²), `step` from one tap to the next; or in opposite order."""
    s, r = scheme.stride, scheme.r
    p, q, a, b = np.ogrid[:s, :s, :r, :r]
    taps = ((s * a + p) * s * r + s * b + q) * step
    found = taps[..., ::-1, ::-1] if reverse else taps
    return np.ascontiguousarray(found.reshape(s * s, -1), np.int64)


@lru_cache(maxsize=256)
def steps(count: int, step: int) -> Array:
    """Return the multiples of a step."""
    return np.arange(count, dtype=np.int64) * step


def turned_shape(w: Shape) -> Shape:
    """Return the shape of w with its channels exchanged."""
    return *w[:2], w[3], w[2]


def turned_padding(w: Shape, padding: Pads) -> Pads:
    """Return the padding of the convolution that is the data gradient of one of stride 1."""
    (top, bottom), (left, right) = padding
    return (w[0] - 1 - top, w[0] - 1 - bottom), (w[1] - 1 - left, w[1] - 1 - right)


def _along(count: int, size: int, step: int, before: int, m: int, inputs: int) -> Array:
    """Return the pixel along one axis that each tile, phase and input is, or -1."""
    tile, phase, i = np.ogrid[:count, :step, :inputs]
    at = step * (m * tile + i) + phase - before
    return np.where((at >= 0) & (at < size), at, -1)


def _pixels(rows: Array, columns: Array, width: int, channels: int) -> Array:
    """Return offsets (tiles, tiles, phases, phases, inputs, inputs)."""
    h, w = rows[:, None, :, None, :, None], columns[None, :, None, :, None, :]
    return np.where((h >= 0) & (w >= 0), (h * width + w) * channels, -1)
