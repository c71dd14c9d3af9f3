"""The maps of a function as one kind of thing: named arrays in, named arrays out.

Three pairs of maps, of which the second is the derivative of the first along the direction (ri, rdy):

    forward:  i      -> y          rforward:   ry  = D[y] along ri
    backward: i, dy  -> d⟨i⟩       rbackward:  rd⟨i⟩ = D[d⟨i⟩] along ri and rdy
    gradient: i, c   -> d⟨i⟩       HVP:        rd⟨i⟩ = D[d⟨i⟩] along ri

where i are the inputs (x, the condition, every parameter) and `gradient` is that of the scalar L = Σ c (y + y²/2),
which has dy = c (1 + y) and rdy = c ry. So one differentiation, done in several ways, checks all of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from npgan.backend.base import Array

Arrays = dict[str, Any]


class Function(ABC):
    """A function of named inputs with derivative maps, on arrays of the host.

    Attributes
    ----------
    dtype : dtype
        What it computes in.
    variables : tuple of str
        The inputs that `backward` gives gradients of.
    movable : tuple of str
        The inputs that may have a direction: the variables, and for a penalty its points.
    second_order : bool
        It has `rforward` and `rbackward`.
    output_shape : tuple of int
    by_complex_step : bool
        `rbackward` is itself made by the complex step, which is no witness then.
    """

    dtype: Any
    by_complex_step: bool = False
    variables: tuple[str, ...]
    movable: tuple[str, ...]
    second_order: bool
    output_shape: tuple[int, ...]

    @abstractmethod
    def draw(self, draw: np.random.Generator) -> Arrays:
        """Return random inputs, float64 or integers."""

    @abstractmethod
    def twin(self, backend: str, dtype: str) -> Function:
        """Return the same function elsewhere or in another dtype."""

    def noisy(self, draw: np.random.Generator, eps: float) -> AbstractContextManager[None]:
        """Return a context in which every result on the way is off by up to eps of itself (Parker 1997).

        "Monte Carlo arithmetic": what comes out then shows how rounding is amplified inside, which moving the inputs
        alone does not where something cancels whatever they are.
        """
        return nullcontext()

    @abstractmethod
    def forward(self, inputs: Arrays) -> Array:
        """Return y."""

    @abstractmethod
    def backward(self, inputs: Arrays, dy: Array) -> Arrays:
        """Return the gradient of <dy, y> by each of the variables, by name."""

    def rforward(self, inputs: Arrays, along: Arrays) -> Array:
        """Return the derivative of y along a direction; inputs that are not in it stay."""
        raise NotImplementedError

    def rbackward(self, inputs: Arrays, dy: Array, along: Arrays, rdy: Array | None) -> Arrays:
        """Return the derivative of what `backward` gives along a direction of the inputs and of dy."""
        raise NotImplementedError


@dataclass(frozen=True)
class At:
    """Where maps are looked at, and along which direction.

    Attributes
    ----------
    inputs : dict of str to array
    dy : array
    along : dict of str to array
        The direction of the inputs; one that is not in it stays.
    rdy : array or None
        The direction of dy.
    """

    inputs: Arrays
    dy: Any
    along: Arrays
    rdy: Any = None

    def moved(self, t: Any) -> At:
        """Return the place at the distance t, which may be complex."""
        inputs = {k: a + t * self.along[k] if k in self.along else a for k, a in self.inputs.items()}
        return replace(self, inputs=inputs, dy=self.dy if self.rdy is None else self.dy + t * self.rdy)

    def jittered(self, draw: np.random.Generator, eps: float) -> At:
        """Return the place with every number off by up to its own rounding error eps."""

        def jitter(a: Any) -> Any:
            if a is None or np.asarray(a).dtype.kind not in "fc":
                return a
            return a * (1.0 + eps * draw.uniform(-1.0, 1.0, np.shape(a)))

        def each(arrays: Arrays) -> Arrays:
            return {name: jitter(array) for name, array in arrays.items()}

        return At(each(self.inputs), jitter(self.dy), each(self.along), jitter(self.rdy))


Map = Callable[["Function", At], Arrays]


def forward(f: Function, at: At) -> Arrays:
    """Return y."""
    return {"y": f.forward(at.inputs)}


def backward(f: Function, at: At) -> Arrays:
    """Return the gradients, ``{"dx": ..., "d0/weight": ...}``."""
    return {f"d{name}": array for name, array in f.backward(at.inputs, at.dy).items()}


def rforward(f: Function, at: At) -> Arrays:
    """Return ry."""
    return {"ry": f.rforward(at.inputs, at.along)}


def rbackward(f: Function, at: At) -> Arrays:
    """Return the R-derivatives of the gradients, ``{"rdx": ...}``."""
    return {f"rd{name}": array for name, array in f.rbackward(at.inputs, at.dy, at.along, at.rdy).items()}


def gradient(f: Function, at: At) -> Arrays:
    """Return the gradients of Σ c (y + y²/2), c being dy."""
    dy = at.dy * (1.0 + f.forward(at.inputs))
    return {f"d{name}": array for name, array in f.backward(at.inputs, dy).items()}


def product(f: Function, at: At) -> Arrays:
    """Return the products of that scalar's Hessian with the direction."""
    dy, rdy = at.dy * (1.0 + f.forward(at.inputs)), at.dy * f.rforward(at.inputs, at.along)
    return {f"rd{name}": array for name, array in f.rbackward(at.inputs, dy, at.along, rdy).items()}


MAPS: dict[str, Map] = {
    "forward": forward,
    "backward": backward,
    "rforward": rforward,
    "rbackward": rbackward,
    "HVP": product,
}
DERIVATIVE_OF: dict[str, Map] = {"rforward": forward, "rbackward": backward, "HVP": gradient}


def noise(
    f: Function, map_: Map, at: At, base: Arrays, draw: np.random.Generator, eps: float, draws: int = 3
) -> dict[str, float]:
    """Return how far each result of a map is moved by roundings of eps: of the inputs and on the way."""
    found = dict.fromkeys(base, 0.0)
    for _ in range(draws):
        with f.noisy(draw, eps), np.errstate(invalid="ignore"):
            for name, moved in map_(f, at.jittered(draw, eps)).items():
                found[name] = max(found[name], float(np.abs(moved - base[name]).max(initial=0.0)))
    return found


def direction(shape: tuple[int, ...], seed: tuple[int, ...]) -> Array:
    """Return a direction of length 1 without tiny components: random signs, sizes from 0.5 to 1.5 before scaling."""
    draw = np.random.default_rng(seed)
    u = draw.choice([-1.0, 1.0], shape) * draw.uniform(0.5, 1.5, shape)
    length = float(np.sqrt(np.sum(u * u)))
    return np.asarray(u / length if length else u)
