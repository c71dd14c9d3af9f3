"""Containers: layers made of layers. Each lowers itself to primitive operations, so it has no maps of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from npgan.errors import ConfigError, ShapeError
from npgan.kernels import Kernels
from npgan.layers.base import Frame, Layer, Plan, Spec
from npgan.layers.join import Add, Concat, Tile

if TYPE_CHECKING:
    from npgan.network.program import Builder, Value


class Container(Layer):
    """A layer that lowers itself to other layers; the maps are theirs."""

    def plan(self, x: Spec, k: Kernels) -> Plan:  # noqa: D102
        raise TypeError(f"{type(self).__name__} is lowered, not planned")

    def forward(self, f: Frame) -> None:  # noqa: D102
        raise TypeError(f"{type(self).__name__} is lowered, not run")

    def backward(self, f: Frame) -> None:  # noqa: D102
        raise TypeError(f"{type(self).__name__} is lowered, not run")

    def lower(self, builder: Builder, x: Value) -> Value:
        """Write the children's operations into the program; every container overrides this."""
        raise NotImplementedError


class Sequential(Container):
    """Layers one after the other: y = fₙ(… f₁(f₀(x)))."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        if not isinstance(layers, Sequence):
            raise ConfigError(f"layers is {layers!r}, expected a layer or a sequence of layers")
        self.layers = [_check(layer, f"layer {i}") for i, layer in enumerate(layers)]

    def lower(self, builder: Builder, x: Value) -> Value:  # noqa: D102
        for i, layer in enumerate(self.layers):
            x = builder.child(str(i), layer, x)
        return x

    def __repr__(self) -> str:
        return f"Sequential of {len(self.layers)}"


class Residual(Container):
    """y = main(x) + shortcut(x) (He et al. 2016); without a shortcut, + x."""

    def __init__(self, main: Layer | Sequence[Layer], shortcut: Layer | Sequence[Layer] | None = None) -> None:
        self.main = _one(main, "main")
        self.shortcut = None if shortcut is None else _one(shortcut, "shortcut")

    def lower(self, builder: Builder, x: Value) -> Value:  # noqa: D102
        main = builder.child("main", self.main, x)
        other = x if self.shortcut is None else builder.child("shortcut", self.shortcut, x)
        return builder.join("add", Add(), main, other)


class Skip(Container):
    """y = (x, inner(x)) concatenated along channels, as in a U-Net (Ronneberger, Fischer and Brox 2015)."""

    def __init__(self, inner: Layer | Sequence[Layer]) -> None:
        self.inner = _one(inner, "inner")

    def lower(self, builder: Builder, x: Value) -> Value:  # noqa: D102
        return builder.join("concat", Concat(), x, builder.child("inner", self.inner, x))


class Parallel(Container):
    """y = the branches' outputs concatenated along the last axis (or summed), each fed the same x."""

    def __init__(self, branches: Sequence[Layer | Sequence[Layer]], *, join: str = "concat") -> None:
        if join not in ("concat", "add") or not branches:
            raise ConfigError(
                f'join is {join!r} of {len(branches)} branches, expected "concat" or "add" of one or more'
            )
        self.branches = [_one(branch, f"branch {i}") for i, branch in enumerate(branches)]
        self.join = join

    def lower(self, builder: Builder, x: Value) -> Value:  # noqa: D102
        outputs = [builder.child(str(i), branch, x) for i, branch in enumerate(self.branches)]
        if len(outputs) == 1:
            return outputs[0]
        return builder.join(self.join, Add() if self.join == "add" else Concat(), *outputs)


class ConcatCondition(Container):
    """y = (x, c) along channels, c the Pass's condition through `inner` (Mirza and Osindero 2014).

    A condition of one vector a sample is repeated over the places of an image.

    Parameters
    ----------
    inner : Layer or sequence of Layer, optional
        What the condition goes through first: `Embedding` for class labels.
    """

    def __init__(self, inner: Layer | Sequence[Layer] | None = None) -> None:
        self.inner = None if inner is None else _one(inner, "inner")

    def lower(self, builder: Builder, x: Value) -> Value:  # noqa: D102
        c = builder.condition
        if self.inner is not None:
            c = builder.child("inner", self.inner, c)
        if len(x.spec.shape) == 4 and len(c.spec.shape) == 2:
            c = builder.child("tile", Tile(*x.spec.shape[1:3]), c)
        if len(c.spec.shape) != len(x.spec.shape):
            raise ShapeError(
                f"{builder.path} ConcatCondition: x is {x.spec.shape}, the condition {c.spec.shape}; "
                "expected as many axes"
            )
        return builder.join("concat", Concat(), x, c)


def _check(layer: Any, what: str) -> Layer:
    if not isinstance(layer, Layer):
        hint = "; make an object of it" if isinstance(layer, type) and issubclass(layer, Layer) else ""
        raise ConfigError(f"{what} is {layer!r}, expected a layer{hint}")
    return layer


def _one(layer: Layer | Sequence[Layer], what: str) -> Layer:
    """Return a layer; a list of layers is a Sequential."""
    return Sequential(layer) if isinstance(layer, list | tuple) else _check(layer, what)
