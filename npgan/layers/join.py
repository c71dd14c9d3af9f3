"""Layers with several inputs, which containers lower to."""

from __future__ import annotations

from collections.abc import Sequence

from npgan.errors import ShapeError
from npgan.kernels import Kernels
from npgan.layers.base import Frame, Join, Layer, Plan, Spec


class Add(Join):
    """y = x₀ + x₁ + …, all of one shape; each input's gradient is dy."""

    def plan_inputs(self, xs: Sequence[Spec], k: Kernels) -> Plan:  # noqa: D102
        if any(x != xs[0] for x in xs):
            raise ShapeError(
                f"the branches are {', '.join(str(x.shape) for x in xs)}, expected one shape; no broadcasting here"
            )
        return Plan(y=xs[0])

    def forward(self, f: Frame) -> None:  # noqa: D102
        f.xp.add(f.xs[0], f.xs[1], out=f.y)
        for x in f.xs[2:]:
            f.xp.add(f.y, x, out=f.y)

    def backward(self, f: Frame) -> None:  # noqa: D102
        for dx in f.dxs:
            if dx is not None:
                dx[...] = f.dy


class Concat(Join):
    """xs (N, ..., Cᵢ) -> y (N, ..., ΣCᵢ); each input's gradient is its slice of dy."""

    def plan_inputs(self, xs: Sequence[Spec], k: Kernels) -> Plan:  # noqa: D102
        if any(x.shape[:-1] != xs[0].shape[:-1] or x.dtype != "float" for x in xs):
            raise ShapeError(
                f"the inputs are {', '.join(f'{x.dtype} {x.shape}' for x in xs)}; "
                "expected real ones that are equal up to the last axis"
            )
        return Plan(y=Spec((*xs[0].shape[:-1], sum(x.shape[-1] for x in xs))))

    def forward(self, f: Frame) -> None:  # noqa: D102
        f.xp.concatenate(f.xs, axis=-1, out=f.y)

    def backward(self, f: Frame) -> None:  # noqa: D102
        start = 0
        for x, dx in zip(f.xs, f.dxs, strict=True):
            stop = start + x.shape[-1]
            if dx is not None:
                dx[...] = f.dy[..., start:stop]
            start = stop


class Tile(Layer):
    """x (N, C) -> y (N, H, W, C), the same at every place; dx is the sum of dy over places."""

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width

    def plan(self, x: Spec, k: Kernels) -> Plan:  # noqa: D102
        if len(x.shape) != 2 or x.dtype != "float":
            raise ShapeError(f"x is {x.dtype} {x.shape}, expected real (N, C)")
        return Plan(y=Spec((x.shape[0], self.height, self.width, x.shape[1])))

    def forward(self, f: Frame) -> None:  # noqa: D102
        f.y[...] = f.x[:, None, None, :]

    def backward(self, f: Frame) -> None:  # noqa: D102
        if f.dx is not None:
            f.xp.sum(f.dy, axis=(1, 2), out=f.dx)
