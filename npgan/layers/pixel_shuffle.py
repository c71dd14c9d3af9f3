"""PixelShuffle and PixelUnshuffle: channels to pixels and back."""

from __future__ import annotations

from npgan.errors import ShapeError
from npgan.kernels import Kernels
from npgan.layers.base import Frame, Layer, Plan, Spec
from npgan.layers.conv import check_images
from npgan.layers.initializers import check_size


class PixelShuffle(Layer):
    """y[n, r h + i, r w + j, c] = x[n, h, w, c r² + i r + j], x (N, H, W, C r²) -> y (N, H r, W r, C).

    The sub-pixel convolution's last step (Shi et al. 2016, equation 4), with PyTorch's order of channels. It moves
    every element to one place, so the adjoint is the inverse: dx is `PixelUnshuffle` of dy.

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

    def forward(self, f: Frame) -> None:  # noqa: D102
        f.k.shuffle.shuffle(f.y, f.x, self.factor)

    def backward(self, f: Frame) -> None:  # noqa: D102
        if f.dx is not None:
            f.k.shuffle.unshuffle(f.dx, f.dy, self.factor)


class PixelUnshuffle(Layer):
    """The inverse of `PixelShuffle`, x (N, H r, W r, C) -> y (N, H, W, C r²); dx is `PixelShuffle` of dy.

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

    def forward(self, f: Frame) -> None:  # noqa: D102
        f.k.shuffle.unshuffle(f.y, f.x, self.factor)

    def backward(self, f: Frame) -> None:  # noqa: D102
        if f.dx is not None:
            f.k.shuffle.shuffle(f.dx, f.dy, self.factor)
