"""Layers with several inputs, which containers lower to."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence

from npgan.backend.base import Array
from npgan.errors import ShapeError
from npgan.kernels import Kernels
from npgan.layers.base import Frame, Join, Plan, Spec


class LinearJoin(Join):
    """A join that is linear in its inputs together: its R-maps are `forward` and `backward` of the directions."""

    second_order = True
    curved = False
    sparse = True

    @abstractmethod
    def _apply(self, f: Frame, y: Array, xs: Sequence[Array | None]) -> None:
        """Write the join of xs, None being zero, to y."""

    @abstractmethod
    def _adjoint(self, f: Frame, dxs: Sequence[Array | None], dy: Array) -> None:
        """Write the gradients that are wanted."""

    def forward(self, f: Frame) -> None:  # noqa: D102
        self._apply(f, f.y, f.xs)

    def backward(self, f: Frame) -> None:  # noqa: D102
        self._adjoint(f, f.dxs, f.dy)

    def rforward(self, f: Frame) -> None:  # noqa: D102
        self._apply(f, f.ry, f.rxs)

    def rbackward(self, f: Frame) -> None:  # noqa: D102
        if f.rdy is not None:
            self._adjoint(f, f.rdxs, f.rdy)


class Add(LinearJoin):
    """y = x₀ + x₁ + …, all of one shape; each input's gradient is dy."""

    def plan_inputs(self, xs: Sequence[Spec], k: Kernels) -> Plan:  # noqa: D102
        if any(x != xs[0] for x in xs):
            raise ShapeError(
                f"the branches are {', '.join(str(x.shape) for x in xs)}, expected one shape; no broadcasting here"
            )
        return Plan(y=xs[0])

    def _apply(self, f: Frame, y: Array, xs: Sequence[Array | None]) -> None:
        there = [x for x in xs if x is not None]
        if len(there) == 1:
            f.k.arrays.copy(y, there[0])
            return
        f.k.arrays.add(y, there[0], there[1])
        for x in there[2:]:
            f.k.arrays.add(y, y, x)

    def _adjoint(self, f: Frame, dxs: Sequence[Array | None], dy: Array) -> None:
        for dx in dxs:
            if dx is not None:
                f.k.arrays.copy(dx, dy)


class Concat(LinearJoin):
    """xs (N, ..., Cᵢ) -> y (N, ..., ΣCᵢ); each input's gradient is its slice of dy."""

    def plan_inputs(self, xs: Sequence[Spec], k: Kernels) -> Plan:  # noqa: D102
        if any(x.shape[:-1] != xs[0].shape[:-1] or x.dtype != "float" for x in xs):
            raise ShapeError(
                f"the inputs are {', '.join(f'{x.dtype} {x.shape}' for x in xs)}; "
                "expected real ones that are equal up to the last axis"
            )
        return Plan(y=Spec((*xs[0].shape[:-1], sum(x.shape[-1] for x in xs))))

    def _apply(self, f: Frame, y: Array, xs: Sequence[Array | None]) -> None:
        for x, part in zip(xs, _parts(f, y), strict=True):
            if x is None:
                f.k.arrays.zero(part)
            else:
                f.k.arrays.copy(part, x)

    def _adjoint(self, f: Frame, dxs: Sequence[Array | None], dy: Array) -> None:
        for dx, part in zip(dxs, _parts(f, dy), strict=True):
            if dx is not None:
                f.k.arrays.copy(dx, part)


def _parts(f: Frame, y: Array) -> Iterator[Array]:
    """Yield the slice of y that each input goes to."""
    start = 0
    for x in f.xs:
        stop = start + x.shape[-1]
        yield y[..., start:stop]
        start = stop


class Tile(LinearJoin):
    """x (N, C) -> y (N, H, W, C), the same at every place; dx is the sum of dy over places."""

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width

    def plan_inputs(self, xs: Sequence[Spec], k: Kernels) -> Plan:  # noqa: D102
        (x,) = xs
        if len(x.shape) != 2 or x.dtype != "float":
            raise ShapeError(f"x is {x.dtype} {x.shape}, expected real (N, C)")
        return Plan(y=Spec((x.shape[0], self.height, self.width, x.shape[1])))

    def _apply(self, f: Frame, y: Array, xs: Sequence[Array | None]) -> None:
        (x,) = xs
        assert x is not None
        f.k.upsample.nearest(y, x[:, None, None], (self.height, self.width))

    def _adjoint(self, f: Frame, dxs: Sequence[Array | None], dy: Array) -> None:
        if dxs[0] is not None:
            f.k.upsample.nearest_backward(dxs[0][:, None, None], dy, (self.height, self.width))
