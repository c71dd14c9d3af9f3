"""Upsample2d: images enlarged by whole factors."""

from __future__ import annotations

from npgan.backend.base import Array
from npgan.errors import ConfigError
from npgan.kernels import Kernels
from npgan.layers.base import Frame, Plan, Spec
from npgan.layers.conv import Pair, check_images, check_pair
from npgan.layers.linear import LinearMap


class Upsample2d(LinearMap):
    """Enlarge x (N, H, W, C) -> y (N, H fh, W fw, C).

    nearest: y[f i + p] = x[i] for p in 0 .. f - 1, so dx[i] is the sum of dy over the f² pixels made of it.
    bilinear: pixels are squares with their values in the middle (PyTorch's ``align_corners=False``). Output o lies
    at u = (o + ½) / f - ½ and is (1 - t) x[⌊u⌋] + t x[⌊u⌋ + 1], t = u - ⌊u⌋, along both axes, the border going on
    outside. Both are linear, y = A x, so dx = Aᵀ dy, ry = A rx and rdx = Aᵀ rdy.

    Parameters
    ----------
    factor : int or (int, int)
        Of rows and columns; one number is both.
    mode : {"nearest", "bilinear"}
        How.
    """

    def __init__(self, factor: int | Pair, mode: str = "nearest") -> None:
        self.factor = check_pair(factor, "factor")
        if mode not in ("nearest", "bilinear"):
            raise ConfigError(f'mode is {mode!r}, expected "nearest" or "bilinear"')
        self.mode = mode

    def plan(self, x: Spec, k: Kernels) -> Plan:  # noqa: D102
        n, h, w, channels = check_images(x)
        return Plan(y=Spec((n, h * self.factor[0], w * self.factor[1], channels)))

    def _apply(self, f: Frame, y: Array, x: Array) -> None:
        enlarge = f.k.upsample.nearest if self.mode == "nearest" else f.k.upsample.bilinear
        enlarge(y, x, self.factor)

    def _adjoint(self, f: Frame, dx: Array, dy: Array) -> None:
        reduce = f.k.upsample.nearest_backward if self.mode == "nearest" else f.k.upsample.bilinear_backward
        reduce(dx, dy, self.factor)
