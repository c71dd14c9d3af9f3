"""A direction of what an update rule moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from npgan.backend.base import Array


class Tangent:
    """A direction in the space of weights and memory, as one flat vector with views.

    Attributes
    ----------
    vector : array (S,)
        [θ_D, θ_G, momentum of D, momentum of G, the rule's own], of which only what there is.
    theta : array (P_D + P_G,)
    weights : tuple of array
        Each player's part of `theta`.
    momenta : tuple of (array or None)
        Each player's optimizer's.
    own : array
        What the rule remembers beside.
    """

    def __init__(self, vector: Array, sizes: Sequence[int], with_momentum: Sequence[bool]) -> None:
        self._layout = sizes, with_momentum
        self.vector = vector
        p_d, p_g = sizes
        self.theta = vector[: p_d + p_g]
        self.weights = self.theta[:p_d], self.theta[p_d:]
        start, momenta = p_d + p_g, []
        for size, there in zip(sizes, with_momentum, strict=True):
            momenta.append(vector[start : start + size] if there else None)
            start += size if there else 0
        self.momenta = tuple(momenta)
        self.own = vector[start:]

    def copy(self) -> Tangent:
        """Return one of its own, for rules that look ahead and come back."""
        return Tangent(self.vector.copy(), *self._layout)

    def without(self, last: int) -> Tangent:
        """Return a view without the last elements of `own`, for the rule within another."""
        return Tangent(self.vector[: self.vector.size - last], *self._layout)


@dataclass(frozen=True)
class Linearisation:
    """The derivative of a step, and its transpose.

    Attributes
    ----------
    push : callable
        Takes a direction of the state through the step, in place.
    pull : callable
        Takes a gradient by the state after the step back to one by the state before, in place.
    """

    push: Callable[[Tangent], None]
    pull: Callable[[Tangent], None]
