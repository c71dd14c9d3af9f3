"""What dense layers and convolutions share: y = B(x, w) + b with B linear in x and linear in w.

Three products make all four maps. With <dy, B(x, w)> = <Bₓᵀ(dy, w), x> = <B_wᵀ(dy, x), w>, the adjoints Bₓᵀ and B_wᵀ
being linear in each argument too, the product rule gives

    y = B(x, w) + b                 ry = B(rx, w) + B(x, rw) + rb
    dx = Bₓᵀ(dy, w)                 rdx = Bₓᵀ(rdy, w) + Bₓᵀ(dy, rw)
    dw = B_wᵀ(dy, x)                rdw = B_wᵀ(rdy, x) + B_wᵀ(dy, rx)
    db = Σ dy                       rdb = Σ rdy             the sum over all but the last axis
"""

from __future__ import annotations

from abc import abstractmethod
from math import prod

from npgan.backend.base import Array, Shape
from npgan.kernels import Kernels
from npgan.kernels.after import NOTHING, After
from npgan.layers.base import Frame, Initializer, Layer, Parameter, Plan, Spec
from npgan.layers.initializers import Zeros


class Bilinear(Layer):
    """A layer with a ``weight`` and, where `bias` is set, a ``bias`` along the last axis of its output."""

    second_order = True
    curved = False
    sparse = True
    bends = True
    unbends = 2
    bias: bool
    init: Initializer

    @abstractmethod
    def _product(self, f: Frame, y: Array, x: Array, w: Array, after: After = NOTHING) -> None:
        """Write B(x, w) to y, and do `after` to it."""

    @abstractmethod
    def _adjoint_x(self, f: Frame, dx: Array, dy: Array, w: Array) -> None:
        """Write Bₓᵀ(dy, w) to dx."""

    @abstractmethod
    def _adjoint_w(self, f: Frame, dw: Array, dy: Array, x: Array, accumulate: bool) -> None:
        """Write B_wᵀ(dy, x) to dw, or add it."""

    def _adjoints(self, f: Frame, dx: Array, dw: Array, dy: Array, x: Array, w: Array, accumulate: bool) -> None:
        """Do both; a subclass whose adjoints share work overrides this."""
        self._adjoint_w(f, dw, dy, x, accumulate)
        self._adjoint_x(f, dx, dy, w)

    def _plan(self, k: Kernels, x: Shape, y: Shape, weight: Shape, workspace: int, measured: int = 0) -> Plan:
        """Return the plan: `workspace` elements of scratch for a product, a sample of y measured in so many blocks."""
        parameters = {"weight": Parameter(weight, self.init)}
        scratch = {"product": Spec((workspace,))}
        if self.bias:
            parameters["bias"] = Parameter(y[-1:], Zeros())
            scratch["sums"] = Spec((k.bias.workspace(prod(y[:-1]), y[-1]),), "float64")
        return Plan(
            y=Spec(y),
            parameters=parameters,
            keeps={"x"},
            scratch=scratch,
            rscratch={"ry": Spec(y), "rdx": Spec(x)},
            moments=Spec((2, y[0], measured, y[-1]), "float64") if measured else None,
        )

    def forward(self, f: Frame) -> None:  # noqa: D102
        self._product(f, f.y, f.x, f.w["weight"], After(f.w.get("bias"), f.slope, f.moments))

    def backward(self, f: Frame) -> None:  # noqa: D102
        dy, db = f.dy, None if f.dw is None else f.dw.get("bias")
        if f.slope is not None:  # dy becomes the gradient of what the activation was done to
            f.k.bias.unbend(rows(dy), db, f.scratch.get("sums"), rows(dy), rows(f.y), f.slope, f.accumulate)
        elif db is not None:
            f.k.bias.backward(db, f.scratch["sums"], rows(dy), f.accumulate)
        if f.dw is not None and f.dx is not None:
            self._adjoints(f, f.dx, f.dw["weight"], dy, f.x, f.w["weight"], f.accumulate)
        elif f.dw is not None:
            self._adjoint_w(f, f.dw["weight"], dy, f.x, f.accumulate)
        elif f.dx is not None:
            self._adjoint_x(f, f.dx, dy, f.w["weight"])

    def rforward(self, f: Frame) -> None:  # noqa: D102
        if f.rx is not None:
            self._product(f, f.ry, f.rx, f.w["weight"])
        if f.rw is not None:
            term = f.ry if f.rx is None else f.scratch["ry"]
            self._product(f, term, f.x, f.rw["weight"])
            if f.rx is not None:
                f.k.arrays.add(f.ry, f.ry, term)
            if self.bias:
                f.k.bias.forward(rows(f.ry), f.rw["bias"])

    def rbackward(self, f: Frame) -> None:  # noqa: D102
        if f.rdw is not None:
            self._rdw(f, f.rdw)
        if f.rdx is not None:
            if f.rdy is not None:
                self._adjoint_x(f, f.rdx, f.rdy, f.w["weight"])
            if f.rw is not None:
                term = f.rdx if f.rdy is None else f.scratch["rdx"]
                self._adjoint_x(f, term, f.dy, f.rw["weight"])
                if f.rdy is not None:
                    f.k.arrays.add(f.rdx, f.rdx, term)

    def _rdw(self, f: Frame, rdw: dict[str, Array]) -> None:
        accumulate = f.accumulate
        if f.rdy is not None:
            self._adjoint_w(f, rdw["weight"], f.rdy, f.x, accumulate)
            accumulate = True
        if f.rx is not None:
            self._adjoint_w(f, rdw["weight"], f.dy, f.rx, accumulate)
            accumulate = True
        if not accumulate:
            f.k.arrays.zero(rdw["weight"])
        if self.bias:
            if f.rdy is not None:
                f.k.bias.backward(rdw["bias"], f.scratch["sums"], rows(f.rdy), f.accumulate)
            elif not f.accumulate:
                f.k.arrays.zero(rdw["bias"])


def rows(x: Array) -> Array:
    """Return x as a matrix of rows of features."""
    return x if x.ndim == 2 else x.reshape(-1, x.shape[-1])
