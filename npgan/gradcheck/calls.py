"""All maps of a network in a row, on a Pass that one may tamper with between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from npgan.gradcheck.functions import NetworkFunction, flat
from npgan.gradcheck.maps import Arrays, direction

if TYPE_CHECKING:
    from npgan.backend.base import Array
    from npgan.network import Pass

Results = dict[str, Arrays]  # by map


class Calls:
    """All maps of a network at one place, run in order on a Pass that one may tamper with between them."""

    def __init__(self, f: NetworkFunction, inputs: Arrays, dy: Array, seed: int) -> None:
        self.f = f
        f.network.load(flat(f.network, inputs)) if f.network.size else None
        given = f.given
        self.inputs = {"x": given(inputs["x"]), "condition": given(inputs.get("condition"))}
        self.dy = given(dy)
        self.along = {
            name: given(direction(np.shape(inputs[name]), (seed, 600, i))) for i, name in enumerate(f.movable)
        }
        self.rtheta = flat(f.network, {k: f.host(a) for k, a in self.along.items()})
        self.rdy = given(direction(np.shape(dy), (seed, 601)))

    def arrays(self) -> dict[str, Any]:
        """Return every array that is handed to the maps."""
        found = {**self.inputs, "dy": self.dy, "theta": self.f.network.theta}
        if self.f.second_order:
            found |= {"rdy": self.rdy, "rtheta": self.rtheta}
            found |= {f"r{k}": a for k, a in self.along.items() if k in self.inputs}
        return {name: array for name, array in found.items() if array is not None}

    def forward(self, call: Pass) -> Any:
        """Run forward on a Pass, and return its own y."""
        return call.forward(self.inputs["x"], self.inputs["condition"], step=1, update_stats=False)

    def run(
        self,
        call: Pass,
        between: Callable[[], Any] | None = None,
        change: Callable[[Any], Any] | None = None,
    ) -> Results:
        """Return the results of all maps.

        Parameters
        ----------
        call : Pass
        between : callable, optional
            Called before every map but the first.
        change : callable, optional
            Applied to every array before it is handed over.
        """
        f = self.f
        change = change or (lambda a: a)
        between = between or (lambda: None)

        def laid(a: Any) -> Any:
            return None if a is None else change(a)

        results: Results = {}
        y = call.forward(laid(self.inputs["x"]), laid(self.inputs["condition"]), step=1, update_stats=False)
        results["forward"] = {"y": f.host(y)}
        between()
        results["backward"] = {f"d{k}": a for k, a in f.back(call, laid(self.dy)).items()}
        if f.second_order and call.order == 2:
            between()
            along = {k: laid(a) for k, a in self.along.items() if k in self.inputs}
            ry = call.rforward(along.get("x"), rtheta=self.rtheta, rcondition=along.get("condition"))
            results["rforward"] = {"ry": f.host(ry)}
            between()
            results["rbackward"] = {f"rd{k}": a for k, a in f.rback(call, laid(self.rdy)).items()}
        return results
