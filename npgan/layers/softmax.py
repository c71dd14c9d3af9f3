"""Softmax along the last axis."""

from __future__ import annotations

from npgan.backend.base import Array
from npgan.errors import ShapeError
from npgan.kernels import Kernels
from npgan.layers.base import Frame, Layer, Plan, Spec


class Softmax(Layer):
    """yᵢ = exp(xᵢ) / Σⱼ exp(xⱼ) along the last axis, x (N, ..., C) -> y (N, ..., C) (Bridle 1990).

    ∂yᵢ/∂xⱼ = yᵢ (δᵢⱼ - yⱼ), so dx = y (dy - Σⱼ dyⱼ yⱼ). That matrix is symmetric, so
    ry = y (rx - Σⱼ rxⱼ yⱼ), and the product rule on dx gives

        rdx = ry (dy - Σⱼ dyⱼ yⱼ) + y (rdy - Σⱼ (rdyⱼ yⱼ + dyⱼ ryⱼ)).

    The largest x of a row is subtracted before the
    exponential, so nothing overflows.
    """

    second_order = True

    def plan(self, x: Spec, k: Kernels) -> Plan:  # noqa: D102
        if len(x.shape) < 2 or x.dtype != "float":
            raise ShapeError(f"x is {x.dtype} {x.shape}, expected real scores on the last axis: (N, ..., C)")
        return Plan(y=x, keeps={"y"})

    def forward(self, f: Frame) -> None:  # noqa: D102
        f.k.softmax.forward(_rows(f.y), _rows(f.x))

    def backward(self, f: Frame) -> None:  # noqa: D102
        if f.dx is not None:
            f.k.softmax.backward(_rows(f.dx), _rows(f.dy), _rows(f.y))

    def rforward(self, f: Frame) -> None:  # noqa: D102
        assert f.rx is not None
        f.k.softmax.backward(_rows(f.ry), _rows(f.rx), _rows(f.y))

    def rbackward(self, f: Frame) -> None:  # noqa: D102
        if f.rdx is not None:
            assert f.rdy is not None
            f.k.softmax.rbackward(_rows(f.rdx), _rows(f.rdy), _rows(f.dy), _rows(f.ry), _rows(f.y))


def _rows(x: Array) -> Array:
    return x.reshape(-1, x.shape[-1])
