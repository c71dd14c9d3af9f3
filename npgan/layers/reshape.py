"""Flatten and Reshape: other views of the same memory, no operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from npgan.errors import ShapeError
from npgan.layers.containers import Container
from npgan.layers.initializers import check_size

if TYPE_CHECKING:
    from npgan.network.program import Builder, Value


class Reshape(Container):
    """x (N, ...) -> y (N, *shape), the elements in the same order; dx is dy in x's shape."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = tuple(check_size(n, "an axis of shape") for n in shape)

    def lower(self, builder: Builder, x: Value) -> Value:  # noqa: D102
        given, wanted = x.spec.shape[1:], self.shape
        if np.prod(given, dtype=np.int64) != np.prod(wanted, dtype=np.int64):
            raise ShapeError(
                f"{builder.path} Reshape: {given} has {np.prod(given)} elements, {wanted} has {np.prod(wanted)}"
            )
        return builder.reshape(self, x, (x.spec.shape[0], *wanted))


class Flatten(Container):
    """x (N, ...) -> y (N, F); dx is dy in x's shape."""

    def lower(self, builder: Builder, x: Value) -> Value:  # noqa: D102
        features = int(np.prod(x.spec.shape[1:], dtype=np.int64))
        return builder.reshape(self, x, (x.spec.shape[0], features))
