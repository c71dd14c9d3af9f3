"""Pictures from bytes, and their augmentation, in CUDA. See the reference for what they are."""

from npgan.backend.base import Array
from npgan.backend.cuda import blocks, kernel, launch


def scale(out: Array, x: Array, rows: Array | None, low: float, half: float) -> None:
    """Bytes x (M, F), rows (N,) or None for all -> out (N, F) = (x[rows] - low) / half - 1, rounded each time."""
    n, size = out.size, out.size // len(out)
    launch(kernel("pixels", "scale", out.dtype), blocks(n), 256, out, x, rows, float(low), float(half), n, size)


def augment(out: Array, x: Array, draws: Array, flip: bool, rotate: float, shift: float, scale: float) -> None:
    """Pictures x (N, H, W, C), draws (N, 5) in [0, 1) -> out (N, H, W, C): see `npgan.data.Augment`."""
    n, h, w, c = x.shape
    grid = (min(64, -(-h * w // 256)), n)
    options = bool(flip), float(rotate), float(shift), float(scale)
    launch(kernel("pixels", "augment", out.dtype), grid, 256, out, x, draws, *options, h, w, c)
