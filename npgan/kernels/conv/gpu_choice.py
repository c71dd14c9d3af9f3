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

Estimates for an H200, from the tiles and from ``nvcc -Xptxas -v`` for sm_90; nothing of this was measured. A tile of
128 × 128 does 32 operations for each byte that it reads through the L2 cache, one of 128 × 64 does 21: at some 5.5 TB/s
that is at most about 170 and 115 TFLOP/s, for TF32 and bf16 alike, since the arrays are float32. Both have 128 registers
a thread, no spills, 17 to 40 kB of shared memory, and two blocks of 256 threads on a multiprocessor (25 % of its warps);
plain float32 in 128 × 128 has 168 registers and one block. DCGAN-64 at batch 128, with 64 channels:

====================================  ===========  ===================  ==================
convolution (x to y)                  GFLOP a map  operations per byte  tiles (f, d, w)
====================================  ===========  ===================  ==================
64×64×3 to 32×32×64                   0.8          20                   2048, few, 264
32×32×64 to 16×16×128                 8.6          170                  256, 1024, 264
16×16×128 to 8×8×256                  8.6          310                  256, 256, 256
8×8×256 to 4×4×512                    8.6          410                  256, 256, 256
====================================  ===========  ===================  ==================

(operations per byte of the arrays, each read or written once; blocks of a launch, parts included). The first layer is
bound by memory, the others by the tiles: about 0.05 ms a map with tensor cores.
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


def choose(x: Shape, w: Shape, y: Shape, stride: Pair, padding: Pads, dilation: Pair, compute: str) -> Choice:
    """Return the algorithm for x (N, H, W, I), w (KH, KW, I, O) and y (N, OH, OW, O), for all three products."""
    works = [plan(which, x, w, y, stride) for which in MAPS]
    few = [name for name, work in zip(("forward", "data", "weight"), works, strict=True) if work.few]
    tiles = ", ".join(
        f"{r}×{c}" + f" in {work.parts} parts" * (work.parts > 1) for work in works for r, c in [work.tile]
    )
    why = f"tiles {tiles}"
    if few:
        why += f"; {' and '.join(few)} to at most {FEW} channels without tiles, each number read once"
    return Choice(f"implicit product, {compute}", why)
