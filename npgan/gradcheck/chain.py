"""A loss through the networks of a GAN, as a function with maps: what a training step differentiates."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np

from npgan.gradcheck.functions import NetworkFunction, drawn_weights, flat, named, noisy_passes
from npgan.gradcheck.maps import Arrays, Function

if TYPE_CHECKING:
    from npgan.backend.base import Array
    from npgan.losses.base import Term


class ChainFunction(Function):
    """L(z, G, D) = term(D(G(z))): inputs ``z``, and the parameters as ``G/0/weight``, ``D/0/weight``.

    With dt = term', curvature term'', the maps are those of the networks, one after the other:

        dx = D.backward(dt),      dz  = G.backward(dx)
        rt = D.rforward(G.rforward(rz)),  rL = <dt, rt>,  rdt = term'' rt
        rdx = D.rbackward(rdt),   rdz = G.rbackward(rdx)

    Parameters
    ----------
    G, D : NetworkFunction
        Of one backend and dtype.
    loss, part : str
        ``"minimax"``, ``"generator"``.
    labels : int, optional
        Both networks read class labels below this.
    """

    output_shape = ()

    def __init__(self, G: NetworkFunction, D: NetworkFunction, loss: str, part: str, labels: int | None) -> None:
        from npgan.losses import get_loss

        self.G, self.D, self.loss, self.part, self.labels = G, D, loss, part, labels
        self.term: Term = getattr(get_loss(loss, backend=G.network.backend), part)
        self.dtype = G.dtype
        self.second_order = G.second_order and D.second_order
        weights = [f"{name}/{key}" for name, f in (("G", G), ("D", D)) for key in f.network.layout.ranges()]
        self.variables = self.movable = ("z", *weights)

    def twin(self, backend: str, dtype: str) -> ChainFunction:  # noqa: D102
        return ChainFunction(
            self.G.twin(backend, dtype), self.D.twin(backend, dtype), self.loss, self.part, self.labels
        )

    def noisy(self, draw: np.random.Generator, eps: float) -> AbstractContextManager[None]:  # noqa: D102
        return noisy_passes(draw, eps, self.G.call, self.D.call)

    def draw(self, draw: np.random.Generator) -> Arrays:  # noqa: D102
        inputs: Arrays = {"z": draw.normal(size=(self.G.batch, *self.G.network.input_shape))}
        if self.labels is not None:
            inputs["labels"] = draw.integers(0, self.labels, self.G.batch)
        for name, f in (("G", self.G), ("D", self.D)):
            inputs |= drawn_weights(f.network, draw, f"{name}/")
        return inputs

    def _run(self, inputs: Arrays) -> tuple[Any, Any, Any]:
        """Run both networks, and return L, its gradient and its curvature by the logits."""
        condition = self.G.given(inputs.get("labels"))
        x = self.G.given(inputs["z"])
        for name, f in (("G", self.G), ("D", self.D)):
            f.network.load(flat(f.network, inputs, f"{name}/"))
            x = f.call.forward(x, condition, step=1, update_stats=False)
        dt, curvature = np.empty_like(x), np.empty_like(x)
        value = self.term.value_and_gradient(dt, x)
        self.term.curvature(curvature, x)
        return value, dt, curvature

    def forward(self, inputs: Arrays) -> Array:  # noqa: D102
        value = self._run(inputs)[0]
        return np.asarray(value if isinstance(value, int | float | complex) else self.G.host(value))

    def _collect(self, dz: Any, dG: Any, dD: Any) -> Arrays:
        return {"z": self.G.host(dz)} | named(self.G.network, dG, "G/") | named(self.D.network, dD, "D/")

    def _vectors(self) -> tuple[Any, Any]:
        return tuple(f.network.backend.asarray(np.full(f.network.size, np.nan, f.dtype)) for f in (self.G, self.D))  # type: ignore[return-value]

    def _back(self, dt: Any) -> Arrays:
        dG, dD = self._vectors()
        dx = self.D.call.backward(dt, dtheta=dD)
        assert dx is not None
        return self._collect(self.G.call.backward(dx, dtheta=dG), dG, dD)

    def backward(self, inputs: Arrays, dy: Any) -> Arrays:  # noqa: D102
        return self._back(self._run(inputs)[1] * self.G.given(dy))

    def _ahead(self, along: Arrays) -> Any:
        """Return rt."""
        rx = self.G.given(along.get("z"))
        for name, f in (("G", self.G), ("D", self.D)):
            rx = f.call.rforward(rx, rtheta=flat(f.network, along, f"{name}/"))
        return rx

    def rforward(self, inputs: Arrays, along: Arrays) -> Array:  # noqa: D102
        dt = self._run(inputs)[1]
        return np.asarray(self.G.host((dt * self._ahead(along)).sum()))

    def rbackward(self, inputs: Arrays, dy: Any, along: Arrays, rdy: Any) -> Arrays:  # noqa: D102
        _, dt, curvature = self._run(inputs)
        dy = self.G.given(dy)
        self._back(dt * dy)
        rdt = curvature * dy * self._ahead(along)
        if rdy is not None:
            rdt = rdt + dt * self.G.given(rdy)
        rdG, rdD = self._vectors()
        rdx = self.D.call.rbackward(rdt, rdtheta=rdD)
        return self._collect(self.G.call.rbackward(rdx, rdtheta=rdG), rdG, rdD)
