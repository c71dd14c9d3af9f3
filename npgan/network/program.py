"""A network written out as a straight line of operations on values.

Containers do no arithmetic: each *lowers* itself to primitive layers applied to values, so a residual block is
"main, shortcut, add" and a condition is one more value. All maps, the memory plan and fusion then see one list.
A reshape makes no operation at all: its value is another view of the same memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from npgan.backend.base import Shape
from npgan.errors import ConfigError, NpganError, ShapeError
from npgan.kernels import Kernels
from npgan.layers.base import Layer, Plan, Spec


@dataclass(eq=False)
class Value:
    """One array that an operation makes (or that enters the network)."""

    spec: Spec
    root: Value = field(init=False)  # the value whose memory this one is a view of; itself, mostly

    def __post_init__(self) -> None:
        self.root = self


@dataclass(eq=False)
class Op:
    """One primitive layer at its place."""

    path: str
    layer: Layer
    plan: Plan
    inputs: tuple[Value, ...]
    output: Value

    @property
    def where(self) -> str:
        """The place and kind, as error messages name it: ``D/3 BatchNorm``."""
        return f"{self.path} {type(self.layer).__name__}"


@dataclass
class Program:
    """The operations in order, and the values at the border."""

    ops: list[Op]
    input: Value
    condition: Value | None
    output: Value
    rows: list[tuple[str, Layer, Shape]]  # every layer that was met, reshapes too, for the summary


class Builder:
    """What a layer's `lower` writes to."""

    def __init__(self, name: str, kernels: Kernels, condition: Spec | None) -> None:
        self._kernels = kernels
        self._scope = [name]
        self._condition = None if condition is None else Value(condition)
        self.ops: list[Op] = []
        self.rows: list[tuple[str, Layer, Shape]] = []

    @property
    def path(self) -> str:
        """The place in the tree of layers."""
        return "/".join(self._scope)

    @property
    def condition(self) -> Value:
        """The condition of the Pass; raises ConfigError where the network was declared without one."""
        if self._condition is None:
            raise ConfigError(
                f"{self.path} reads a condition, but the network has none; give Network(condition_shape=...)"
            )
        return self._condition

    @property
    def declared_condition(self) -> Value | None:
        """The condition, or None."""
        return self._condition

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Enter a child."""
        self._scope.append(name)
        try:
            yield
        finally:
            self._scope.pop()

    def child(self, name: str, layer: Layer, x: Value) -> Value:
        """Lower `layer` as the child `name` of the layer that is being lowered."""
        with self.scope(name):
            return layer.lower(self, x)

    def join(self, name: str, layer: Layer, *xs: Value) -> Value:
        """Append, as the child `name`, an operation that joins several values."""
        with self.scope(name):
            return self.apply(layer, *xs)

    def apply(self, layer: Layer, *xs: Value) -> Value:
        """Append one operation and return its output."""
        try:
            plan = layer.plan_inputs([x.spec for x in xs], self._kernels)
            if not xs[0].spec.shape or plan.y.shape[:1] != xs[0].spec.shape[:1]:
                raise ShapeError(
                    f"plans an output {plan.y.shape} for an input {xs[0].spec.shape}; the batch comes first in both"
                )
        except NpganError as error:
            raise type(error)(f"{self.path} {type(layer).__name__}: {error}") from None
        y = Value(plan.y)
        self.ops.append(Op(self.path, layer, plan, xs, y))
        self.rows.append((self.path, layer, plan.y.shape))
        return y

    def reshape(self, layer: Layer, x: Value, shape: Shape) -> Value:
        """Return `x` seen in another shape, without an operation."""
        y = Value(Spec(shape, x.spec.dtype))
        y.root = x.root
        self.rows.append((self.path, layer, shape))
        return y


def trace(layer: Layer, name: str, x: Spec, condition: Spec | None, kernels: Kernels) -> Program:
    """Return the program of `layer` for these inputs."""
    builder = Builder(name, kernels, condition)
    value = Value(x)
    output = layer.lower(builder, value)
    return Program(builder.ops, value, builder.declared_condition, output, builder.rows)
