"""PixelShuffle and PixelUnshuffle: channels to pixels and back."""

from __future__ import annotations

from npgan.backend.base import Array
from npgan.errors import ShapeError
from npgan.kernels import Kernels
from npgan.layers.base import Frame, Plan, Spec
from npgan.layers.conv import check_images
from npgan.layers.initializers import check_size
from npgan.layers.linear import LinearMap


class PixelShuffle(LinearMap):
    """y[n, r h + i, r w + j, c] = x[n, h, w, c r² + i r + j], x (N, H, W, C r²) -> y (N, H r, W r, C).

    The sub-pixel convolution's last step (Shi et al. 2016, equation 4), with PyTorch's order of channels. It moves
    every element to one place, so the adjoint is the inverse: dx is `PixelUnshuffle` of dy, and so are the R-maps: ry
    is `PixelShuffle` of rx, rdx `PixelUnshuffle` of rdy.

    Parameters
    ----------
    factor : int
        r.
    """

    def __init__(self, factor: int) -> None:
        self.factor = check_size(factor, "factor")

    def plan(self, x: Spec, k: Kernels) -> Plan:  # noqa: D102
        (n, h, w, channels), r = check_images(x), self.factor
        if channels % r**2:
            raise ShapeError(f"x has {channels} channels, expected a multiple of factor² = {r**2}")
        return Plan(y=Spec((n, h * r, w * r, channels // r**2)))

    def _apply(self, f: Frame, y: Array, x: Array) -> None:
        f.k.shuffle.shuffle(y, x, self.factor)

    def _adjoint(self, f: Frame, dx: Array, dy: Array) -> None:
        f.k.shuffle.unshuffle(dx, dy, self.factor)


class PixelUnshuffle(LinearMap):
    """The inverse of `PixelShuffle`, x (N, H r, W r, C) -> y (N, H, W, C r²).

    dx is `PixelShuffle` of dy, ry `PixelUnshuffle` of rx, and rdx `PixelShuffle` of rdy.

    Parameters
    ----------
    factor : int
        r.
    """

    def __init__(self, factor: int) -> None:
        self.factor = check_size(factor, "factor")

    def plan(self, x: Spec, k: Kernels) -> Plan:  # noqa: D102
        (n, h, w, channels), r = check_images(x), self.factor
        if h % r or w % r:
            raise ShapeError(f"x is {h}×{w} pixels, expected multiples of the factor {r}")
        return Plan(y=Spec((n, h // r, w // r, channels * r**2)))

    def _apply(self, f: Frame, y: Array, x: Array) -> None:
        f.k.shuffle.unshuffle(y, x, self.factor)

    def _adjoint(self, f: Frame, dx: Array, dy: Array) -> None:
        f.k.shuffle.shuffle(dx, dy, self.factor)
