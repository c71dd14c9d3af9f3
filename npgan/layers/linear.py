"""What layers share that are linear in their one input and have no weights: y = A x.

A may be chosen by `forward` (dropout's mask, the winners of a maximum); the other maps take it from `f.saved` and
leave it as it is. With A fixed, R{A x} = A R{x} and R{Aᵀ dy} = Aᵀ R{dy}:

    y = A x         ry = A rx
    dx = Aᵀ dy      rdx = Aᵀ rdy        there is no term with rx, for the second derivative of y is zero
"""

from __future__ import annotations

from abc import abstractmethod

from npgan.backend.base import Array
from npgan.layers.base import Frame, Layer


class LinearMap(Layer):
    """A layer of two kernels, A and its adjoint, each of which serves two maps."""

    second_order = True
    curved = False
    sparse = True

    @abstractmethod
    def _apply(self, f: Frame, y: Array, x: Array) -> None:
        """Write A x to y."""

    @abstractmethod
    def _adjoint(self, f: Frame, dx: Array, dy: Array) -> None:
        """Write Aᵀ dy to dx."""

    def forward(self, f: Frame) -> None:  # noqa: D102
        self._apply(f, f.y, f.x)

    def backward(self, f: Frame) -> None:  # noqa: D102
        if f.dx is not None:
            self._adjoint(f, f.dx, f.dy)

    def rforward(self, f: Frame) -> None:  # noqa: D102
        assert f.rx is not None  # a Pass leaves out what has no weights where x does not move
        self._apply(f, f.ry, f.rx)

    def rbackward(self, f: Frame) -> None:  # noqa: D102
        if f.rdx is not None:
            assert f.rdy is not None
            self._adjoint(f, f.rdx, f.rdy)
