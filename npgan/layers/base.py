"""What a layer is: a description of parameters and memory, and its maps as stateless functions.

A layer object holds settings only. What one call of it needs lives in a `Frame`, made when a Pass is planned, so
the same network can be run at several places of a training step without one call overwriting another's memory.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from npgan.backend.base import Array, Shape
from npgan.errors import SecondOrderError
from npgan.kernels import Kernels

if TYPE_CHECKING:
    from npgan.network.program import Builder, Value

Initializer = Callable[[np.random.Generator, Shape], Array]


@dataclass(frozen=True)
class Spec:
    """Shape and dtype of one array of a Pass; the batch is the first axis of a layer's input and output.

    `dtype` is ``"float"`` for the network's own dtype, or a NumPy name such as ``"int64"``.
    """

    shape: Shape
    dtype: str = "float"


@dataclass(frozen=True)
class Parameter:
    """A trained array: its shape and how it begins."""

    shape: Shape
    init: Initializer


@dataclass(frozen=True)
class State:
    """An array that is kept with the weights but not trained, such as a running mean."""

    shape: Shape
    value: float


@dataclass(frozen=True)
class Plan:
    """What a layer needs for one input shape.

    Attributes
    ----------
    y : Spec
        The output.
    parameters, state : mapping of str to Parameter, State
        Their shapes must not depend on the batch.
    keeps : set of {"x", "y"}
        Which of its input and output `backward` (and the R-maps) read; the memory of the others is reused.
    saved : mapping of str to Spec
        Written by `forward`, read by the other maps.
    scratch : mapping of str to Spec
        Working memory of a single map; holds nothing between two of them.
    rscratch : mapping of str to Spec
        More of it for the R-maps.
    moments : Spec, optional
        Of the output, which `forward`, if it `bends`, finds where it is asked to: see `Frame.moments`.
    """

    y: Spec
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    state: Mapping[str, State] = field(default_factory=dict)
    keeps: frozenset[str] | set[str] = frozenset()
    saved: Mapping[str, Spec] = field(default_factory=dict)
    scratch: Mapping[str, Spec] = field(default_factory=dict)
    rscratch: Mapping[str, Spec] = field(default_factory=dict)
    moments: Spec | None = None


class Frame:
    """Everything that one layer's maps may touch in one Pass.

    The maps write into the arrays that are here and return nothing. `dx` is the gradient of a scalar with respect
    to x; `rx` is the derivative of x along a chosen direction (Pearlmutter 1994).

    Attributes
    ----------
    k : Kernels
        The backend's table of operations.
    xp : module
        The backend's array namespace.
    y, dy, ry, rdy : Array
        Output and its companions.
    x, dx, rx, rdx : Array
        Input and its companions. `dx` and `rdx` are None where they are not wanted. `rx` (and `rdy`) are None where
        they are zero, for a layer that is `sparse`; labels have none.
    xs, dxs, rxs, rdxs : tuple of Array
        The same for a layer that joins several inputs; `x` is the first of `xs`.
    w, dw, rw, rdw : dict of str to Array
        Parameters by name. `dw` and `rdw` are None where weight gradients are not wanted, `rw` is None where the
        direction leaves the weights alone.
    accumulate : bool
        Add to `dw` (or `rdw`) instead of overwriting it. `dx` is always overwritten.
    state, saved, scratch : dict of str to Array
        As planned.
    train : bool
        Use batch statistics and dropout.
    update_stats : bool
        Update running statistics.
    recording : bool
        The step is being recorded: nobody may look at what an array holds.
    slope : float or None
        Of a piecewise-linear activation that follows and is done in the same call: y and dy are the activation's, and
        `backward` may write to dy. Always None for a layer that does not say that it `bends`.
    moments : Array or None
        Means and squares (2, N, blocks, C) of what `forward` makes, with its activation, by blocks of each sample's
        rows: written by what has them in its plan, read, of x, by a layer that `measures`.
    unbent : bool
        That activation has gone back by itself, so that dy is the gradient of what it was done to.
    uniform : callable
        ``uniform(out)`` fills `out` with numbers in [0, 1) that belong to this layer, Pass and step.
    """

    k: Kernels
    xp: Any
    y: Array
    dy: Array
    ry: Array
    rdy: Array | None
    x: Array
    dx: Array | None
    rx: Array | None
    rdx: Array | None
    xs: tuple[Array, ...]
    dxs: tuple[Array | None, ...]
    rxs: tuple[Array | None, ...]
    rdxs: tuple[Array | None, ...]
    w: dict[str, Array]
    dw: dict[str, Array] | None
    rw: dict[str, Array] | None
    rdw: dict[str, Array] | None
    accumulate: bool
    state: dict[str, Array]
    saved: dict[str, Array]
    scratch: dict[str, Array]
    train: bool
    update_stats: bool
    recording: bool = False
    slope: float | None
    moments: Array | None
    unbent: bool
    uniform: Callable[[Array], Array]


class Layer(ABC):
    """A layer with one input: implement `plan`, `forward` and `backward`.

    Attributes
    ----------
    second_order : bool
        The subclass has `rforward` and `rbackward` too.
    curved : bool
        `rbackward` has a term with rx in rdx: false for what is linear in x, or piecewise so. With it false, work on
        zeros is left out.
    sparse : bool
        The R-maps take None for an rx or rdy that is zero; otherwise they are given zeros.
    bends : bool
        `forward` and `backward` can do the leaky ReLU (or ReLU) that follows in the same call: see `Frame.slope`. A
        subclass with a `forward` or `backward` of its own has to say this, and the next three, again.
    unbends : int
        The highest order of a Pass in which `backward` does that activation too; for 2, it leaves the gradient of what
        the activation was done to in dy, where `rbackward` reads it.
    measures : bool
        `forward` takes moments of x from `Frame.moments` where they are not None, in training.
    overwrites : bool
        `backward` may be given dx and dy in one place.
    draws : bool
        In training `forward` draws random numbers, which are other ones in each Pass.
    """

    second_order: ClassVar[bool] = False
    curved: ClassVar[bool] = True
    sparse: ClassVar[bool] = False
    bends: ClassVar[bool] = False
    unbends: ClassVar[int] = 0
    measures: ClassVar[bool] = False
    overwrites: ClassVar[bool] = False
    draws: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if {"forward", "backward"} & vars(cls).keys():
            for name in {"bends", "unbends", "measures", "overwrites"} - vars(cls).keys():
                setattr(cls, name, 0 if name == "unbends" else False)

    @abstractmethod
    def plan(self, x: Spec, k: Kernels) -> Plan:
        """Return what this layer needs for the input `x`; raise ShapeError where `x` does not fit."""

    @abstractmethod
    def forward(self, f: Frame) -> None:
        """Read f.x, write f.y (and f.saved)."""

    @abstractmethod
    def backward(self, f: Frame) -> None:
        """Read f.dy, write f.dx where it is not None, and write or add to f.dw where it is not None."""

    def rforward(self, f: Frame) -> None:
        """Read f.rx and f.rw, write f.ry."""
        raise SecondOrderError(f"{type(self).__name__} has no rforward")

    def rbackward(self, f: Frame) -> None:
        """Read f.rdy and f.dy, write f.rdx, and write or add to f.rdw."""
        raise SecondOrderError(f"{type(self).__name__} has no rbackward")

    def plan_inputs(self, xs: Sequence[Spec], k: Kernels) -> Plan:
        """Return the plan for all inputs; only a layer that joins several overrides this."""
        (x,) = xs
        return self.plan(x, k)

    def lower(self, builder: Builder, x: Value) -> Value:
        """Write this layer into the program being built; only containers override this."""
        return builder.apply(self, x)

    def __repr__(self) -> str:
        """Return the call that made this layer, without what is as by default and without initializers."""
        shown: list[str] = []
        named = False
        for name, parameter in inspect.signature(type(self)).parameters.items():
            value = _compact(getattr(self, name, parameter.default))
            named |= parameter.kind is parameter.KEYWORD_ONLY
            if value == _compact(parameter.default) or name.endswith("init"):
                named = True  # what follows has lost its place
            else:
                shown.append(f"{name}={value!r}" if named else repr(value))
        return f"{type(self).__name__}({', '.join(shown)})"


def _compact(value: Any) -> Any:
    """Return (2, 2) as 2, and ((1, 1), (1, 1)) as 1, as one would write them."""
    if isinstance(value, tuple) and len(value) == 2:
        first, second = (_compact(each) for each in value)
        return first if first == second else (first, second)
    return value


class Join(Layer):
    """A layer with several inputs, in `f.xs`; only containers make them."""

    def plan(self, x: Spec, k: Kernels) -> Plan:  # noqa: D102
        return self.plan_inputs((x,), k)

    @abstractmethod
    def plan_inputs(self, xs: Sequence[Spec], k: Kernels) -> Plan:  # noqa: D102
        ...
