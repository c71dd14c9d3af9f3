"""Dense: an affine map of the last axis."""

from __future__ import annotations

import numpy as np

from npgan.backend.base import Array
from npgan.errors import ShapeError
from npgan.kernels import Kernels
from npgan.kernels.after import NOTHING, After
from npgan.layers.base import Frame, Initializer, Plan, Spec
from npgan.layers.bilinear import Bilinear, rows
from npgan.layers.initializers import Xavier, check_initializer, check_size


class Dense(Bilinear):
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
        weight = (x.shape[-1], self.units)
        matrix = (int(np.prod(x.shape[:-1])), x.shape[-1])
        return self._plan(k, x.shape, (*x.shape[:-1], self.units), weight, k.dense.workspace(matrix, weight))

    def _product(self, f: Frame, y: Array, x: Array, w: Array, after: After = NOTHING) -> None:
        f.k.dense.forward(rows(y), rows(x), w)
        if after.bias is not None or after.slope is not None:
            f.k.bias.forward(rows(y), after.bias, after.slope)

    def _adjoint_x(self, f: Frame, dx: Array, dy: Array, w: Array) -> None:
        f.k.dense.backward_input(rows(dx), rows(dy), w)

    def _adjoint_w(self, f: Frame, dw: Array, dy: Array, x: Array, accumulate: bool) -> None:
        f.k.dense.backward_weight(dw, f.scratch["product"], rows(dy), rows(x), accumulate)
