"""Which algorithm convolves: the one with the least work for the shapes, among those that fit them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from npgan.backend.base import Shape
from npgan.kernels.conv import cells, columns, direct
from npgan.kernels.conv.tiles import Scheme
from npgan.kernels.conv.toom_cook import POINTS
from npgan.kernels.conv.windows import Pads, Pair

_LEAST = 16  # channels in and out: with fewer, transforming costs more than it saves
_UNROLLING = 1.15  # what columns cost, to a product of their size
_TRANSFORM = 40  # what transforming a weight costs, in rows that are multiplied by it


@dataclass(frozen=True)
class Choice:
    """An algorithm and why it was picked.

    Attributes
    ----------
    name : str
        ``"product"``, ``"direct"``, ``"cells F(4, 2)"``, ``"columns"``, or ``"winograd F(m, r)"``.
    reason : str
        What decided.
    scheme : Scheme or None
        Winograd's.
    """

    name: str
    reason: str
    scheme: Scheme | None = None


@lru_cache(maxsize=256)
def choose(x: Shape, w: Shape, y: Shape, stride: Pair, padding: Pads, dilation: Pair) -> Choice:
    """Return the algorithm for x (N, H, W, I), w (KH, KW, I, O) and y (N, OH, OW, O), for all three products."""
    if columns.is_columns(x, w, y, padding):
        return Choice("product", "the pixels, in order, are the windows: one matrix product")
    if cells.suits(w, y, stride, dilation):
        return Choice("cells F(4, 2)", f"{w[2]} channels, four phases: 25 products for 64; data gradient direct")
    if direct.suits(x, w, y, stride, dilation):
        return Choice("direct", f"{min(w[2:])} channels: short rows would fill columns")
    pixels, taps = y[0] * y[1] * y[2], w[0] * w[1]
    works = {scheme: _work(scheme, y) for scheme in _schemes(w, stride, dilation)}
    best = min(works, key=works.__getitem__, default=None)
    if best is None:
        return Choice("columns", "no faster algorithm takes this kernel, stride and number of channels")
    saving = taps * pixels * _UNROLLING / works[best]
    if saving <= 1:
        return Choice("columns", f"{pixels} windows are too few to transform the weight for")
    return Choice(f"winograd F({best.m}, {best.r})", f"{saving:.2f} times less work than columns", best)


def _schemes(w: Shape, stride: Pair, dilation: Pair) -> list[Scheme]:
    (kernel, other), (s, across) = w[:2], stride
    if kernel != other or s != across or dilation != (1, 1) or s > 2 or min(w[2:]) < _LEAST:
        return []
    return [Scheme(m, r, s) for m, r in POINTS if r == -(-kernel // s)]


def _work(scheme: Scheme, y: Shape) -> float:
    """Return the products, and what costs as much as they do, for each pair of channels."""
    return scheme.products(y) + (scheme.n * scheme.stride) ** 2 * _TRANSFORM
