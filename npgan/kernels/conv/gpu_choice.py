"""Which kernel convolves on a GPU, in which tiles, and in how many parts its depth is split.

All of it follows from the shapes alone: not from the device, so that a run gives the same bits on another of its kind,
and not from the dtype, so that a workspace can be planned without it. A matrix product has rows, columns and a depth:

=========  ====================  =========  ====================
map        rows                  columns    depth
=========  ====================  =========  ====================
forward    pixels of y           O          KH KW I
data       pixels of dx          I          KH KW O / phases
weight     KH KW I               O          pixels of y
=========  ====================  =========  ====================

The data gradient is one product for each phase (residue class) of the stride, all in one launch.

"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Literal

from npgan.backend.base import Shape
from npgan.errors import ShapeError
from npgan.kernels.conv.windows import Pads, Pair

Map = Literal["FORWARD", "DATA", "WEIGHT"]
MAPS: tuple[Map, ...] = ("FORWARD", "DATA", "WEIGHT")

FEW = 4
"""Channels of a result up to which a tile of a matrix product would be mostly empty."""
GROUP = 128
"""Pixels of a block of the kernel for few channels."""
_FULL = 264  # blocks: two for each multiprocessor of an H100 or H200
_LEAST = 256  # depth of a part
_PIXELS = 4096  # that the kernel for few channels needs to keep a device busy
_MOST = 65535  # CUDA's limit of a grid's second and third size


@dataclass(frozen=True)
class Work:
    """One launch.

    Attributes
    ----------
    few : bool
        By the kernel for few channels, in float32 or float64, instead of a matrix product in tiles.
    tile : (int, int)
        Rows and columns of a block.
    rows : int
        Of the largest phase.
    columns, phases, parts : int
    """

    few: bool
    tile: Pair
    rows: int
    columns: int
    phases: int
    parts: int

    def grid(self, tile: Pair) -> tuple[int, int, int]:
        """Return the blocks, for tiles of another size where the dtype asks for one."""
        tiles = -(-self.rows // tile[0]) * -(-self.columns // tile[1])
        return tiles, 1, self.phases * self.parts


@dataclass(frozen=True)
class Choice:
    """An algorithm and why it was picked."""

    name: str
    reason: str


@lru_cache(maxsize=1024)
def plan(which: Map, x: Shape, w: Shape, y: Shape, stride: Pair) -> Work:
    """Return how a map is computed for x (N, H, W, I), w (KH, KW, I, O) and y (N, OH, OW, O).

    Raises
    ------
    ShapeError
        More pixels than the kernels count.
    """
    if max(prod(x[:3]), prod(y[:3]), prod(w[:3])) >= 2**31:
        raise ShapeError(f"x is {x} and y {y}, expected less than 2³¹ pixels in a batch on a GPU; take a smaller one")
    if which == "WEIGHT":
        return _weight(prod(w[:3]), w[3], prod(y[:3]))
    if which == "FORWARD":
        return _windows(prod(y[:3]), w[3], prod(w[:3]), 1)
    rows = x[0] * -(-x[1] // stride[0]) * -(-x[2] // stride[1])
    taps = -(-w[0] // stride[0]) * -(-w[1] // stride[1])
    return _windows(rows, w[2], taps * w[3], prod(stride))


def _windows(rows: int, columns: int, depth: int, phases: int) -> Work:
    if columns <= FEW and rows >= _PIXELS:
        return Work(True, (GROUP, columns), rows, columns, phases, 1)
    return _split(rows, columns, depth, phases)


def _weight(rows: int, columns: int, depth: int) -> Work:
    if columns <= FEW:
        blocks = -(-rows // 256)
        parts = max(1, min(4 * _FULL // blocks, depth // 64))
        return Work(True, (256, columns), rows, columns, 1, parts)
    return _split(rows, columns, depth, 1)


def _split(rows: int, columns: int, depth: int, phases: int) -> Work:
    tile = (64 if rows <= 64 else 128, 64 if rows <= 64 or columns <= 64 else 128)
    blocks = Work(False, tile, rows, columns, phases, 1).grid(tile)[0] * phases
    parts = max(1, min(_FULL // blocks, depth // _LEAST, _MOST // phases))
    return Work(False, tile, rows, columns, phases, parts)


def workspace(x: Shape, w: Shape, y: Shape, stride: Pair) -> int:
    """Return the elements of scratch that the three maps need: their parts, where there are several."""
    parts = {which: plan(which, x, w, y, stride).parts for which in MAPS}
    sizes = {"FORWARD": prod(y), "DATA": prod(x), "WEIGHT": prod(w)}
    return max(parts[which] * sizes[which] if parts[which] > 1 else 0 for which in MAPS)


def choose(x: Shape, w: Shape, y: Shape, options: tuple[Pair, Pads, Pair], compute: str, conv: str) -> Choice:
    """Return the algorithm for x (N, H, W, I), w (KH, KW, I, O) and y (N, OH, OW, O), for all three products.

    `options` are stride, padding and dilation, and the other two as `CupyBackend` has them.
    """
    from npgan.kernels.conv import gpu_cudnn

    works = [plan(which, x, w, y, options[0]) for which in MAPS]
    why = "; ".join(f"{which.lower()} {_describe(work)}" for which, work in zip(MAPS, works, strict=True))
    refusal = gpu_cudnn.why_not(conv, compute, x, w)
    if refusal:
        return Choice(f"implicit product, {compute}", f"{why}; not cuDNN: {refusal}")
    taken = [gpu_cudnn.plan(which, x, w, y, *options) is not None for which in MAPS]
    if all(taken):
        return Choice("cuDNN, tf32", "it has a kernel for all three maps that gives the same bits every time")
    left = " and ".join(which.lower() for which, has in zip(MAPS, taken, strict=True) if not has)
    return Choice("cuDNN and implicit product, tf32", f"cuDNN has no such kernel for {left}; {why}")


def _describe(work: Work) -> str:
    how = f"to {work.columns} channels, without tiles" if work.few else "tiles {}×{}".format(*work.tile)
    return how + f" in {work.parts} parts" * (work.parts > 1)
