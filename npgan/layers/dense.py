"""Dense: an affine map of the last axis."""

from __future__ import annotations

import numpy as np

from npgan.backend.base import Array
from npgan.errors import ShapeError
from npgan.kernels import Kernels
from npgan.layers.base import Frame, Initializer, Layer, Parameter, Plan, Spec
from npgan.layers.initializers import Xavier, Zeros, check_initializer, check_size


class Dense(Layer):
    """y = x w + b, x (N, ..., I), w (I, O), b (O,) -> y (N, ..., O).

    With dL = <dy, dx_ w + x dw_ + db_>:  dx = dy wᵀ,  dw = xᵀ dy,  db = sum of dy over all but the last axis.

    Parameters
    ----------
    units : int
        O, the features that come out.
    bias : bool
        Add b.
    init : initializer
        Of w; b begins at 0.
    """

    def __init__(self, units: int, *, bias: bool = True, init: Initializer | None = None) -> None:
        self.units = check_size(units, "units")
        self.bias = bias
        self.init = check_initializer(init or Xavier())

    def plan(self, x: Spec, k: Kernels) -> Plan:  # noqa: D102
        if len(x.shape) < 2 or x.dtype != "float":
            raise ShapeError(f"x is {x.dtype} {x.shape}, expected real features on the last axis: (N, ..., I)")
        shape = (x.shape[-1], self.units)
        parameters = {"weight": Parameter(shape, self.init)}
        if self.bias:
            parameters["bias"] = Parameter((self.units,), Zeros())
        rows = (int(np.prod(x.shape[:-1])), x.shape[-1])
        return Plan(
            y=Spec((*x.shape[:-1], self.units)),
            parameters=parameters,
            keeps={"x"},
            scratch={"product": Spec((k.dense.workspace(rows, shape),))},
        )

    def forward(self, f: Frame) -> None:  # noqa: D102
        y = _rows(f.y)
        f.k.dense.forward(y, _rows(f.x), f.w["weight"])
        if self.bias:
            f.k.bias.forward(y, f.w["bias"])

    def backward(self, f: Frame) -> None:  # noqa: D102
        dy = _rows(f.dy)
        if f.dw is not None:
            f.k.dense.backward_weight(f.dw["weight"], f.scratch["product"], dy, _rows(f.x), f.accumulate)
            if self.bias:
                f.k.bias.backward(f.dw["bias"], dy, f.accumulate)
        if f.dx is not None:
            f.k.dense.backward_input(_rows(f.dx), dy, f.w["weight"])


def _rows(x: Array) -> Array:
    """Return x as a matrix of rows of features."""
    return x.reshape(-1, x.shape[-1])
