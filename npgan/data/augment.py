"""Augmentation: flips, rotations, shifts and scalings, as one bilinear resampling of each image."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from npgan.backend import Array, Random
from npgan.errors import ConfigError, ShapeError

DRAWS = 5  # for each image: flip, rotation, two shifts, scale; always all, so that no option changes another's draws


@dataclass(frozen=True)
class Augment:
    """Random changes of images that leave their class as it is.

    What lies outside of an image repeats its edge. An image that nothing changes keeps its bits.

    Parameters
    ----------
    flip : bool
        Mirror left to right, every second image on average.
    rotate : float
        Degrees, 0 to 180: the angle is uniform in +- this.
    shift : float
        Fraction of height and width, 0 to 1: the shifts are uniform in +- this.
    scale : float
        0 to below 1: the image is enlarged by a factor uniform in 1 +- this.
    """

    flip: bool = False
    rotate: float = 0.0
    shift: float = 0.0
    scale: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.flip, bool):
            raise ConfigError(f"augment: flip is {self.flip!r}, expected true or false")
        for name, limit in (("rotate", 180.0), ("shift", 1.0), ("scale", 0.99)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= limit:
                raise ConfigError(f"augment: {name} is {value!r}, expected a number from 0 to {limit:g}")

    @property
    def active(self) -> bool:
        """Whether anything is ever changed."""
        return any(getattr(self, field.name) for field in fields(self))

    def apply(self, out: Array, x: Array, random: Random, cursor: int) -> None:
        """Write the augmented images: a function of `x`, the run's seed and the number of the batch.

        Parameters
        ----------
        out : float array (N, H, W, C)
            Filled; shares no memory with `x`.
        x : float array (N, H, W, C)
            The images; not changed.
        random : Random
            Of a backend on the host.
        cursor : int
            Number of the batch.
        """
        if x.ndim != 4 or out.shape != x.shape:
            raise ShapeError(f"augment: x is {x.shape} and out {out.shape}, expected both (N, H, W, C)")
        from scipy.ndimage import affine_transform

        draws = random.uniform(np.empty((len(x), DRAWS)), "augment", cursor)
        middle = (np.array(x.shape[1:3]) - 1) / 2.0
        for image, (matrix, shift) in enumerate(self._maps(draws, x.shape[1], x.shape[2])):
            if not shift.any() and np.array_equal(matrix, np.eye(2)):
                out[image] = x[image]
                continue
            for channel in range(x.shape[3]):
                affine_transform(
                    x[image, :, :, channel],
                    matrix,
                    offset=middle - matrix @ (middle + shift),  # out(p) = x(matrix (p - middle - shift) + middle)
                    output=out[image, :, :, channel],
                    order=1,
                    mode="nearest",
                )

    def _maps(self, draws: Array, H: int, W: int) -> list[tuple[Array, Array]]:
        """Return for each image the matrix (2, 2) from places in the output to places in the input, and the shift."""
        maps = []
        for flip, angle, down, right, size in draws:
            turn = np.deg2rad(self.rotate * (2.0 * angle - 1.0))
            cos, sin = np.cos(turn), np.sin(turn)
            matrix = np.array([[cos, sin], [-sin, cos]]) / (1.0 + self.scale * (2.0 * size - 1.0))
            if self.flip and flip < 0.5:
                matrix[1] = -matrix[1]
            maps.append((matrix, self.shift * np.array([H * (2.0 * down - 1.0), W * (2.0 * right - 1.0)])))
        return maps
