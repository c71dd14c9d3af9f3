"""Where the tiles of Winograd's algorithm lie: offsets of pixels and taps, for `separable`, and which points they use.

Tiles have m × m outputs. What is left over at the bottom and at the right is for tiles with fewer, which use fewer
points (see `toom_cook`). All tiles that use a point shall be neighbours in the list of tiles, so that a product has no
other rows: those at the right come first, then those inside, those at the bottom, and the corner.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np

from npgan.backend.base import Array, Shape
from npgan.kernels.conv.toom_cook import points_used
from npgan.kernels.conv.windows import Pads, Pair

INSIDE, RIGHT, BOTTOM, CORNER = range(4)
"""Kinds of tiles, by the outputs that they have."""


def whole(channels: int) -> int:
    """Return so many channels filled up to whole vectors, of any dtype."""
    return -(-channels // 16) * 16


def spread(elements: int) -> int:
    """Return so many elements, or a few more: an odd number of cache lines, so that rows fall into different sets."""
    return (-(-elements // 16) | 1) * 16


@dataclass(frozen=True)
class Scheme:
    """F(m, r) for square kernels at a stride; a phase has r taps an axis, or one less, which is 0."""

    m: int
    r: int
    stride: int

    @property
    def n(self) -> int:
        """Points along an axis."""
        return self.m + self.r - 1

    @property
    def name(self) -> str:
        """What the matrices' names end with."""
        return f"{self.m}{self.r}"

    def tiles(self, y: Shape) -> Pair:
        """Return how many tiles cover y, along both axes."""
        return -(-y[1] // self.m), -(-y[2] // self.m)

    def rest(self, y: Shape) -> Pair:
        """Return the outputs along both axes of y (N, OH, OW, O) that are left over."""
        return y[1] % self.m, y[2] % self.m

    def products(self, y: Shape) -> int:
        """Return the products for a pair of channels in all tiles of y (N, OH, OW, O) and all phases."""

        def along(size: int) -> int:
            rest = size % self.m
            return size // self.m * self.n + (points_used(self.r, rest) + 1 if rest else 0)

        return self.stride**2 * y[0] * along(y[1]) * along(y[2])


class Tables(NamedTuple):
    """Offsets of images without their batch.

    Attributes
    ----------
    x, seen : (tiles, phases, n²)
        What a tile reads of x; of these, what is in an earlier tile too, where gradients are added. -1 is none.
    y : (tiles, 1, m²)
        The pixels of y; -1 is beyond.
    kinds : (tiles,)
        Of the tiles.
    spans : (n², 2)
        The first tile that uses a point, and the one behind the last.
    covered : bool
        Whether every pixel of x is in some tile.
    """

    x: Array
    seen: Array
    y: Array
    kinds: Array
    spans: Array
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
    t, u = np.ogrid[:th, :tw]
    low, right = (t == th - 1) & (y[0] % m > 0), (u == tw - 1) & (y[1] % m > 0)
    kinds = np.where(low, np.where(right, CORNER, BOTTOM), np.where(right, RIGHT, INSIDE)).ravel()
    places = [RIGHT, INSIDE, BOTTOM, CORNER]
    order = np.argsort(np.argsort(places)[kinds], kind="stable")
    # A smaller tile has no need of all the pixels that are there.
    use_h, use_w = _used(scheme, y[0] % m), _used(scheme, y[1] % m)
    reach_h = np.where(low, n - m + y[0] % m, n)[:, :, None, None, None, None] > np.arange(n)[:, None]
    reach_w = np.where(right, n - m + y[1] % m, n)[:, :, None, None, None, None] > np.arange(n)
    into = np.where(reach_h & reach_w, into, -1).reshape(th * tw, s * s, -1)[order]
    seen, touched = np.full_like(into, -1), np.zeros(prod(x[:2]), bool)
    for tile in range(th * tw):
        inside = into[tile] >= 0
        pixels = into[tile][inside] // channels
        seen[tile][inside] = np.where(touched[pixels], into[tile][inside], -1)
        touched[pixels] = True
    counts = np.bincount(kinds, minlength=4)
    first, last = counts[RIGHT], th * tw - counts[CORNER]
    inner = counts[RIGHT] + counts[INSIDE]
    spans = [
        (0 if w_too else first, (last + counts[CORNER] if w_too else last) if h_too else inner)
        for h_too in use_h
        for w_too in use_w
    ]
    return Tables(
        x=np.ascontiguousarray(into, np.int64),
        seen=np.ascontiguousarray(seen, np.int64),
        y=np.ascontiguousarray(out.reshape(th * tw, 1, -1)[order], np.int64),
        kinds=np.ascontiguousarray(kinds[order], np.int64),
        spans=np.array(spans, np.int64),
        covered=bool(touched.all()),
    )


@lru_cache(maxsize=64)
def tap_offsets(scheme: Scheme, kernel: int, step: int, reverse: bool) -> Array:
    """Return where the taps of each phase are (phases, r²), `step` from one tap to the next; or in opposite order.

    -1 is a tap that the phase has not.
    """
    s, r = scheme.stride, scheme.r
    p, q, a, b = np.ogrid[:s, :s, :r, :r]
    row, column = s * a + p, s * b + q
    taps = np.where((row < kernel) & (column < kernel), (row * kernel + column) * step, -1)
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


def _used(scheme: Scheme, rest: int) -> list[bool]:
    """Return whether a tile with `rest` outputs along an axis (or all, for 0) uses each of the points there."""
    count = points_used(scheme.r, rest or scheme.m)
    return [i < count or i == scheme.n - 1 for i in range(scheme.n)]


def _along(count: int, size: int, step: int, before: int, m: int, inputs: int) -> Array:
    """Return the pixel along one axis that each tile, phase and input is, or -1."""
    tile, phase, i = np.ogrid[:count, :step, :inputs]
    at = step * (m * tile + i) + phase - before
    return np.where((at >= 0) & (at < size), at, -1)


def _pixels(rows: Array, columns: Array, width: int, channels: int) -> Array:
    """Return offsets (tiles, tiles, phases, phases, inputs, inputs)."""
    h, w = rows[:, None, :, None, :, None], columns[None, :, None, :, None, :]
    return np.where((h >= 0) & (w >= 0), (h * width + w) * channels, -1)
