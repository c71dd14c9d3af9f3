"""Element-wise activations. One kernel function each way; the layer says which of x and y it keeps."""

from __future__ import annotations

from npgan.errors import ShapeError
from npgan.kernels import Kernels
from npgan.layers.base import Frame, Layer, Plan, Spec


class LeakyReLU(Layer):
    """y = x where x > 0, else slope x (Maas, Hannun and Ng 2013).

    dx = dy where x > 0, else slope dy. At the kink x = 0 the derivative is taken from the left: slope.
    """

    def __init__(self, slope: float = 0.2) -> None:
        self.slope = slope

    def plan(self, x: Spec, k: Kernels) -> Plan:  # noqa: D102
        if x.dtype != "float":
            raise ShapeError(f"x is {x.dtype} {x.shape}, expected real numbers")
        return Plan(y=x, keeps={"x"})

    def forward(self, f: Frame) -> None:  # noqa: D102
        f.k.activation.leaky_relu(f.y, f.x, self.slope)

    def backward(self, f: Frame) -> None:  # noqa: D102
        if f.dx is not None:
            f.k.activation.leaky_relu_backward(f.dx, f.dy, f.x, self.slope)
