"""Embedding: a learned vector for each label."""

from __future__ import annotations

from npgan.errors import ConfigError, ShapeError
from npgan.kernels import Kernels
from npgan.layers.base import Frame, Initializer, Layer, Parameter, Plan, Spec
from npgan.layers.initializers import Normal, check_initializer, check_size


class Embedding(Layer):
    """y = w[x], labels x (N, ...) int64, w (count, width) -> y (N, ..., width).

    It is a dense layer on one-hot labels (Bengio et al. 2003, section 2), so dw[k] is the sum of dy over the places
    with label k. Labels are whole numbers: there is no dx. y is linear in w, so ry = rw[x], and rdw[k] is the sum of
    rdy over the places with label k.

    Parameters
    ----------
    count : int
        How many labels there are; they are 0 .. count - 1.
    width : int
        Features that come out.
    init : initializer
        Of w; by default normal(0, 1), as in PyTorch.

    Raises
    ------
    ConfigError
        In `forward`: a label is outside of 0 .. count - 1 (a negative one does not count from the end).
    """

    second_order = True
    curved = False
    sparse = True

    def __init__(self, count: int, width: int, *, init: Initializer | None = None) -> None:
        self.count = check_size(count, "count")
        self.width = check_size(width, "width")
        self.init = check_initializer(init or Normal(1.0))

    def plan(self, x: Spec, k: Kernels) -> Plan:  # noqa: D102
        if x.dtype != "int64":
            raise ShapeError(
                f"x is {x.dtype} {x.shape}, expected int64 labels; declare the network with input_dtype='int64' "
                "or, for a condition, condition_dtype='int64'"
            )
        return Plan(
            y=Spec((*x.shape, self.width)),
            parameters={"weight": Parameter((self.count, self.width), self.init)},
            keeps={"x"},
        )

    def forward(self, f: Frame) -> None:  # noqa: D102
        if not f.recording:  # a recorded step makes NaN of it, and is then run as it is written
            low, high = int(f.x.min()), int(f.x.max())
            if low < 0 or high >= self.count:
                raise ConfigError(
                    f"a label is {low if low < 0 else high}, expected 0 to {self.count - 1}; "
                    f"renumber the labels, or give Embedding a larger count"
                )
        f.k.embedding.forward(f.y.reshape(-1, self.width), f.x.reshape(-1), f.w["weight"])

    def backward(self, f: Frame) -> None:  # noqa: D102
        if f.dw is not None:
            f.k.embedding.backward(f.dw["weight"], f.dy.reshape(-1, self.width), f.x.reshape(-1), f.accumulate)

    def rforward(self, f: Frame) -> None:  # noqa: D102
        assert f.rw is not None  # labels do not move
        f.k.embedding.forward(f.ry.reshape(-1, self.width), f.x.reshape(-1), f.rw["weight"])

    def rbackward(self, f: Frame) -> None:  # noqa: D102
        if f.rdw is None:
            return
        if f.rdy is not None:
            f.k.embedding.backward(f.rdw["weight"], f.rdy.reshape(-1, self.width), f.x.reshape(-1), f.accumulate)
        elif not f.accumulate:
            f.k.arrays.zero(f.rdw["weight"])
