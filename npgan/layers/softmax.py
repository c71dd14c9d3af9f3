"""Softmax along the last axis."""

from __future__ import annotations

from npgan.errors import ShapeError
from npgan.kernels import Kernels
from npgan.layers.base import Frame, Layer, Plan, Spec


class Softmax(Layer):
    """yᵢ = exp(xᵢ) / Σⱼ exp(xⱼ) along the last axis, x (N, ..., C) -> y (N, ..., C) (Bridle 1990).

    ∂yᵢ/∂xⱼ = yᵢ (δᵢⱼ - yⱼ), so dx = y (dy - Σⱼ dyⱼ yⱼ). The largest x of a row is subtracted before the
    exponential, so nothing overflows.
    """

    def plan(self, x: Spec, k: Kernels) -> Plan:  # noqa: D102
        if len(x.shape) < 2 or x.dtype != "float":
            raise ShapeError(f"x is {x.dtype} {x.shape}, expected real scores on the last axis: (N, ..., C)")
        return Plan(y=x, keeps={"y"})

    def forward(self, f: Frame) -> None:  # noqa: D102
        rows = (-1, f.y.shape[-1])
        f.k.softmax.forward(f.y.reshape(rows), f.x.reshape(rows))

    def backward(self, f: Frame) -> None:  # noqa: D102
        if f.dx is not None:
            rows = (-1, f.y.shape[-1])
            f.k.softmax.backward(f.dx.reshape(rows), f.dy.reshape(rows), f.y.reshape(rows))
