"""Samples as pictures: grids, PNG and GIF files, and scatter plots of 2-D points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from npgan.backend.base import Array
from npgan.errors import ShapeError
from npgan.training.folder import write_atomically

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

_READABLE = 56  # pixels: below some 50 a digit is hard to read on a screen
_GAP = 96  # grey between the pictures of a grid, so that neither dark nor light ones run together
_REAL, _GENERATED = "#56B4E9", "#D55E00"  # sky blue and vermillion of Okabe and Ito's palette


def to_uint8(images: Array, value_range: tuple[float, float] = (-1.0, 1.0)) -> Array:
    """Return images as bytes: the low end becomes 0, the high end 255, what lies outside is clipped, NaN is 0.

    Parameters
    ----------
    images : array
        ``(N, H, W, C)``, or any shape.
    value_range : (float, float)
        The values that mean black and full intensity.
    """
    low, high = value_range
    scaled = (np.asarray(images, np.float64) - low) * (255.0 / (high - low))
    pixels: Array = np.rint(np.nan_to_num(scaled, nan=0.0).clip(0, 255)).astype(np.uint8)
    return pixels


def enlarge(images: Array, factor: int | None = None) -> Array:
    """Repeat each pixel of ``(N, H, W, C)`` images `factor` times both ways.

    Parameters
    ----------
    images : array
        Any dtype.
    factor : int, optional
        None takes what brings small images near 56 pixels: 7 for 8 × 8, 2 for 28 × 28 and 32 × 32, 1 from 38 on.
    """
    if factor is None:
        factor = max(1, round(_READABLE / max(images.shape[1:3])))
    return images.repeat(factor, axis=1).repeat(factor, axis=2)


def grid(images: Array, columns: int | None = None, padding: int = 2, factor: int | None = None) -> Array:
    """Lay images out in rows, left to right and top to bottom.

    Parameters
    ----------
    images : array
        ``(N, H, W, C)`` uint8, N ≥ 1.
    columns : int, optional
        Images a row; None makes the grid as square as it gets.
    padding : int
        Pixels between the images and around them.
    factor : int, optional
        See `enlarge`; 1 keeps the images' own pixels.

    Returns
    -------
    array
        ``(rows·(H·factor + padding) + padding, columns·(W·factor + padding) + padding, C)`` uint8. Places without an
        image are grey, as is the padding.
    """
    if images.ndim != 4 or images.dtype != np.uint8 or 0 in images.shape:
        raise ShapeError(f"grid: images is {images.shape} {images.dtype}, expected (N, H, W, C) uint8, none of them 0")
    images = enlarge(images, factor)
    N, H, W, C = images.shape
    columns = min(N, columns or math.ceil(math.sqrt(N)))
    rows = math.ceil(N / columns)
    cells = np.full((rows * columns, H + padding, W + padding, C), _GAP, np.uint8)
    cells[:N, :H, :W] = images
    cells = cells.reshape(rows, columns, H + padding, W + padding, C).swapaxes(1, 2)
    sheet = np.full((rows * (H + padding) + padding, columns * (W + padding) + padding, C), _GAP, np.uint8)
    sheet[padding:, padding:] = cells.reshape(rows * (H + padding), columns * (W + padding), C)
    return sheet


def encode_png(image: Array) -> bytes:
    """Return an ``(H, W, C)`` uint8 image, C of 1 (grey) or 3 (RGB), as the bytes of a PNG file."""
    file = BytesIO()
    _to_pillow(image).save(file, format="PNG")
    return file.getvalue()


def write_png(path: Path, image: Array) -> None:
    """Write an ``(H, W, C)`` uint8 image, C of 1 or 3, as a PNG file, whole or not at all.

    Raises
    ------
    CheckpointError
        The file cannot be written.
    """
    write_atomically(path, encode_png(image))


def write_gif(path: Path, frames: Sequence[Array], ms: int = 100) -> None:
    """Write a film that repeats for ever, whole or not at all.

    Parameters
    ----------
    path : Path
        The file.
    frames : sequence of array
        ``(H, W, C)`` uint8, C of 1 or 3, all of one shape; at least one.
    ms : int
        Milliseconds a frame; GIF counts in tens.

    Raises
    ------
    CheckpointError
        The file cannot be written.
    """
    if not frames or any(frame.shape != frames[0].shape for frame in frames):
        raise ShapeError(
            f"write_gif: frames are {[f.shape for f in frames]}, expected one shape and at least one frame"
        )
    first, *others = [_to_pillow(frame) for frame in frames]
    file = BytesIO()
    first.save(file, format="GIF", save_all=True, append_images=others, duration=ms, loop=0)
    write_atomically(path, file.getvalue())


def _to_pillow(image: Array) -> PillowImage:
    from PIL import Image

    if image.ndim != 3 or image.shape[2] not in (1, 3) or image.dtype != np.uint8 or 0 in image.shape:
        raise ShapeError(
            f"picture is {image.shape} {image.dtype}, expected (H, W, 1) or (H, W, 3) uint8, none of them 0"
        )
    return Image.fromarray(np.ascontiguousarray(image[:, :, 0] if image.shape[2] == 1 else image))


def scatter_picture(points: Array, real: Array | None = None, title: str = "", size: int = 512) -> Array:
    """Draw generated 2-D points over real ones.

    Parameters
    ----------
    points : array
        ``(N, 2)``, the generator's.
    real : array, optional
        ``(M, 2)``, drawn in blue below. They set the frame, so that pictures of one run can be compared (and shown as
        a film); generated points outside of it are counted in the corner.
    title : str
        Text above.
    size : int
        Pixels a side.

    Returns
    -------
    array
        ``(size, size, 3)`` uint8.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    for name, array in (("points", points), ("real", real)):
        if array is not None and (array.ndim != 2 or array.shape[1] != 2):
            raise ShapeError(f"scatter_picture: {name} is {array.shape}, expected (N, 2)")
    frame = _frame(points if real is None else real)
    figure = Figure(figsize=(size / 100, size / 100), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot(aspect="equal", xlim=frame[:, 0], ylim=frame[:, 1])
    if real is not None:
        # Larger and paler, so that a tight cluster shows around the points that the generator put on it.
        axes.scatter(real[:, 0], real[:, 1], s=5 * _dot(len(real)), c=_REAL, linewidths=0, label="real")
    axes.scatter(
        points[:, 0], points[:, 1], s=_dot(len(points)), c=_GENERATED, linewidths=0, label="generated", alpha=0.7
    )
    # Above the axes, where they hide no point.
    axes.legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, borderpad=0, markerscale=1.5, fontsize=10
    )
    axes.set_title(title, fontsize=11, loc="left")
    outside = int((~((points >= frame[0]) & (points <= frame[1])).all(axis=1)).sum())
    if outside:
        axes.text(0.015, 0.015, f"{outside} of {len(points)} outside", transform=axes.transAxes, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25, linewidth=0.5)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()  # type: ignore[no-untyped-call]


def _dot(n: int) -> float:
    """Return a marker area, in square points, at which n dots neither vanish nor melt together."""
    return float(np.clip(4000 / max(n, 1), 2, 12))


def _frame(points: Array) -> Array:
    """Return the lower left and upper right corners, ``(2, 2)``, of a square with some air around the points."""
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) == 0:
        return np.array([[-1.0, -1.0], [1.0, 1.0]])
    low, high = points.min(axis=0).astype(np.float64), points.max(axis=0).astype(np.float64)
    middle, half = (low + high) / 2, max(float((high - low).max()) / 2, 1e-3) * 1.2
    return np.stack([middle - half, middle + half])
