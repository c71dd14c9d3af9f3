"""A bias along the last axis, in CUDA. See the reference for what it is."""

from npgan.backend.base import Array
from npgan.backend.cuda import block_sums, blocks, group_grid, kernel, launch


def forward(y: Array, b: Array | None, slope: float | None = None) -> None:
    """y (M, C) += b (C,), and the activation of that slope is done to it."""
    if b is None and slope is None:
        return
    bends = slope is not None
    n = y.size
    launch(kernel("bias", "forward", y.dtype), blocks(n), 256, y, b, slope or 0.0, bends, n, y.shape[1])


def workspace(m: int, c: int) -> int:
    """Float64 elements of `scratch` for dy (M, C)."""
    return 0


def backward(db: Array, scratch: Array, dy: Array, accumulate: bool) -> None:
    """dy (M, C) -> db (C,), written or added to."""
    m, c = dy.shape
    grid, threads = group_grid(1, m, c, dy.itemsize)
    work = block_sums(grid[1] * c)
    launch(kernel("bias", "backward", dy.dtype), grid, threads, work, db, dy, accumulate, m, c)


def unbend(
    dz: Array, db: Array | None, scratch: Array | None, dy: Array, y: Array, slope: float, accumulate: bool
) -> None:
    """dy, y (M, C) -> dz (M, C), db (C,), written or added to; y is what the activation made."""
    m, c = dy.shape
    if db is None:
        launch(kernel("bias", "unbend_alone", dy.dtype), blocks(dy.size), 256, dz, dy, y, slope, dy.size)
        return
    grid, threads = group_grid(1, m, c, dy.itemsize)
    work = block_sums(grid[1] * c)
    launch(kernel("bias", "unbend", dy.dtype), grid, threads, work, dz, db, dy, y, slope, accumulate, m, c)
