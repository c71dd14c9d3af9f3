"""Dropout of single elements, and of whole channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgan.backend.base import Array, Shape
from npgan.errors import ConfigError, ShapeError
from npgan.kernels import Kernels
from npgan.layers.base import Frame, Plan, Spec
from npgan.layers.linear import LinearMap


class Dropout(LinearMap):
    """y = x m / (1 - rate) in training, m = 0 with probability `rate` and 1 else; y = x otherwise.

    The mean of y is x, so nothing is rescaled afterwards ("inverted" dropout; Srivastava et al. 2014, section 10).
    The map is linear and diagonal: dx = dy m / (1 - rate), and with the same m, ry = rx m / (1 - rate) and
    rdx = rdy m / (1 - rate). m is a function of the run's seed, the layer's place, the Pass and the step, so a step
    that is replayed sees the same one; one byte an element is kept.

    Parameters
    ----------
    rate : float
        The fraction that is dropped, 0 <= rate < 1.
    """

    draws = True

    def __init__(self, rate: float = 0.5) -> None:
        self.rate = _rate(rate)

    def plan(self, x: Spec, k: Kernels) -> Plan:  # noqa: D102
        if x.dtype != "float":
            raise ShapeError(f"x is {x.dtype} {x.shape}, expected real numbers")
        n, _, channels = self._view(x.shape)
        return Plan(y=x, saved={"mask": Spec((n, channels), "uint8")} if self.rate else {})

    def forward(self, f: Frame) -> None:  # noqa: D102
        if f.train and self.rate:
            mask = f.saved["mask"]
            numbers = f.y.reshape(-1)[: mask.size].reshape(mask.shape)  # y is free until the mask is made
            f.uniform(numbers)
            f.k.dropout.draw(mask, numbers, self.rate)
        super().forward(f)

    def _apply(self, f: Frame, y: Array, x: Array) -> None:
        if f.train and self.rate:
            view = self._view(x.shape)
            f.k.dropout.apply(y.reshape(view), x.reshape(view), f.saved["mask"], self.rate)
        else:
            f.k.arrays.copy(y, x)

    def _adjoint(self, f: Frame, dx: Array, dy: Array) -> None:
        self._apply(f, dx, dy)

    def _view(self, shape: Shape) -> Shape:
        """Return (N, P, C): P places share one element of the mask (N, C)."""
        return shape[0], 1, int(np.prod(shape[1:], dtype=np.int64))


class Dropout2d(Dropout):
    """Dropout of whole channels of each sample, x (N, ..., C) (Tompson et al. 2015, section 3.2).

    Neighbouring pixels are so alike that one which is dropped alone can be told from the next.
    """

    def plan(self, x: Spec, k: Kernels) -> Plan:  # noqa: D102
        if len(x.shape) < 3:
            raise ShapeError(f"x is {x.shape}, expected places and channels (N, ..., C); use Dropout for features")
        return super().plan(x, k)

    def _view(self, shape: Shape) -> Shape:
        return shape[0], int(np.prod(shape[1:-1], dtype=np.int64)), shape[-1]


def _rate(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise ConfigError(f"rate is {value!r}, expected the fraction that is dropped: 0 <= rate < 1")
    return float(value)
