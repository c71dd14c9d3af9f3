"""A term of a loss, and a penalty, as functions with maps."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np

from npgan.gradcheck.functions import drawn_weights, flat, named, noisy_passes
from npgan.gradcheck.maps import Arrays, Function

if TYPE_CHECKING:
    from npgan.backend.base import Array
    from npgan.losses.base import Term
    from npgan.network import Network
    from npgan.penalties import GradientPenalty


class TermFunction(Function):
    """A term of a loss: L of the logits ``t``, with a weight for each sample or none.

    Parameters
    ----------
    loss, part : str
        ``"hinge"``, ``"real"``.
    backend, dtype : str
    weighted : bool
    """

    second_order = True
    variables = movable = ("t",)
    output_shape = ()

    def __init__(self, loss: str, part: str, backend: str, dtype: str, weighted: bool, options: dict[str, Any]) -> None:
        from npgan.losses import get_loss

        self.loss, self.part, self.weighted, self.options = loss, part, weighted, options
        self.term: Term = getattr(get_loss(loss, backend=backend, **options), part)
        self.dtype = np.dtype(dtype)

    def twin(self, backend: str, dtype: str) -> TermFunction:  # noqa: D102
        return TermFunction(self.loss, self.part, backend, dtype, self.weighted, self.options)

    def draw(self, draw: np.random.Generator) -> Arrays:  # noqa: D102
        inputs = {"t": 2.0 * draw.normal(size=(7, 2))}
        return inputs | ({"weights": draw.uniform(0.5, 2.0, 7)} if self.weighted else {})

    def _evaluate(self, inputs: Arrays) -> tuple[Any, Array, Array]:
        """Return L, its gradient and its curvature."""
        backend = self.term.backend
        t = backend.asarray(np.asarray(inputs["t"]).astype(self.dtype))
        weights = None
        if self.weighted:
            weights = backend.asarray(np.asarray(inputs["weights"]).astype(t.real.dtype))
        dt, curvature = backend.empty(t.shape, t.dtype), backend.empty(t.shape, t.dtype)
        dt[...] = curvature[...] = np.nan
        value = self.term.value_and_gradient(dt, t, weights)
        self.term.curvature(curvature, t, weights)
        if not isinstance(value, int | float | complex):
            value = backend.to_host(value)
        return np.asarray(value), backend.to_host(dt), backend.to_host(curvature)

    def forward(self, inputs: Arrays) -> Array:  # noqa: D102
        return np.asarray(self._evaluate(inputs)[0])

    def backward(self, inputs: Arrays, dy: Any) -> Arrays:  # noqa: D102
        return {"t": dy * self._evaluate(inputs)[1]}

    def rforward(self, inputs: Arrays, along: Arrays) -> Array:  # noqa: D102
        dt = self._evaluate(inputs)[1]
        return np.asarray(np.sum(dt * along["t"]) if "t" in along else np.zeros((), dt.dtype))

    def rbackward(self, inputs: Arrays, dy: Any, along: Arrays, rdy: Any) -> Arrays:  # noqa: D102
        _, dt, curvature = self._evaluate(inputs)
        found = np.zeros_like(dt) if rdy is None else rdy * dt
        return {"t": found + dy * curvature * along["t"] if "t" in along else found}


class PenaltyFunction(Function):
    """A penalty on a critic: P of every parameter, with ``x`` as points that may move but have no gradient here."""

    second_order = True
    by_complex_step = True
    output_shape = ()

    def __init__(self, penalty: GradientPenalty, critic: Network, batch: int) -> None:
        from npgan.penalties import Penalized

        self.penalty, self.critic, self.batch = penalty, critic, batch
        self.dtype = critic.dtype
        self.penalized = Penalized(penalty, critic, batch)
        self.variables = tuple(critic.layout.ranges())
        self.movable = ("x", *self.variables)

    def twin(self, backend: str, dtype: str) -> PenaltyFunction:  # noqa: D102
        return PenaltyFunction(self.penalty, self.critic.clone(backend=backend, dtype=dtype), self.batch)

    def noisy(self, draw: np.random.Generator, eps: float) -> AbstractContextManager[None]:  # noqa: D102
        return noisy_passes(draw, eps, self.penalized.on_points)

    def draw(self, draw: np.random.Generator) -> Arrays:  # noqa: D102
        inputs: Arrays = {"x": draw.normal(size=(self.batch, *self.critic.input_shape))}
        return inputs | drawn_weights(self.critic, draw)

    def _points(self, array: Any) -> Any:
        return self.critic.backend.asarray(np.asarray(array).astype(self.dtype))

    def _at(self, inputs: Arrays) -> tuple[Array, Arrays]:
        """Return P and ∂P/∂θ."""
        self.critic.load(flat(self.critic, inputs))
        dtheta = self.critic.backend.asarray(np.full(self.critic.size, np.nan, self.dtype))
        value = self.penalized.at(self._points(inputs["x"]), dtheta)
        if not isinstance(value, int | float | complex | np.generic):
            value = self.critic.backend.to_host(value)
        return np.asarray(value), named(self.critic, dtheta)

    def forward(self, inputs: Arrays) -> Array:  # noqa: D102
        return self._at(inputs)[0]

    def backward(self, inputs: Arrays, dy: Any) -> Arrays:  # noqa: D102
        return {name: dy * array for name, array in self._at(inputs)[1].items()}

    def rbackward(self, inputs: Arrays, dy: Any, along: Arrays, rdy: Any) -> Arrays:  # noqa: D102
        from npgan.penalties import penalty_product

        _, dtheta = self._at(inputs)
        found = {name: array * (0.0 if rdy is None else rdy) for name, array in dtheta.items()}
        if along:
            utheta, ux = flat(self.critic, along), along.get("x")
            ux = None if ux is None else self._points(ux)
            moved = penalty_product(self.penalty, self.critic, self._points(inputs["x"]), utheta=utheta, ux=ux)
            parts = self.critic.layout.by_name(moved)
            found = {name: array + dy * parts[name] for name, array in found.items()}
        return found
