"""A network as a function with maps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from npgan.gradcheck.maps import Arrays, Function

if TYPE_CHECKING:
    from npgan.backend.base import Array, Shape
    from npgan.network import Network, Pass

_MADE = re.compile(r"y|ry|r?dx\d*")  # what a map makes, as a Pass calls it for those who watch


def named(network: Network, vector: Any, prefix: str = "") -> Arrays:
    """Return a vector like theta as one array a parameter, ``{"0/weight": ...}``, on the host."""
    host = network.backend.to_host(vector)
    return {prefix + name: array.copy() for name, array in network.layout.by_name(host).items()}


def flat(network: Network, arrays: Arrays, prefix: str = "") -> Any:
    """Return the vector on the network's backend; what is not in `arrays` is 0. None where nothing is."""
    ranges = network.layout.ranges()
    if not any(prefix + name in arrays for name in ranges):
        return None
    vector = np.zeros(network.size, network.dtype)
    for name, (start, stop) in ranges.items():
        if prefix + name in arrays:
            vector[start:stop] = np.reshape(arrays[prefix + name], -1)
    return network.backend.asarray(vector)


@contextmanager
def noisy_passes(draw: np.random.Generator, eps: float, *calls: Pass) -> Iterator[None]:
    """Move what the layers of these Passes make by up to eps of itself, as soon as it is made."""

    def watch(call: Pass) -> Any:
        asarray = call.network.backend.asarray

        def jitter(where: str, which: str, arrays: dict[str, Any]) -> None:
            for name, array in arrays.items():
                if _MADE.fullmatch(name) and array.dtype.kind in "fc":
                    for part in (array.real, array.imag) if array.dtype.kind == "c" else (array,):
                        part *= asarray(1.0 + eps * draw.uniform(-1.0, 1.0, part.shape)).astype(part.dtype)

        return jitter

    for call in calls:
        call.watch = watch(call)
    try:
        yield
    finally:
        for call in calls:
            call.watch = None


class NetworkFunction(Function):
    """A network: inputs ``x``, ``condition`` and every parameter by its name.

    Parameters
    ----------
    network : Network
    batch : int
    train : bool
    below, condition_below : int, optional
        x, the condition are labels below this.
    """

    def __init__(
        self,
        network: Network,
        batch: int,
        *,
        train: bool = True,
        below: int | None = None,
        condition_below: int | None = None,
    ) -> None:
        from npgan.errors import SecondOrderError

        self.network, self.batch, self.train = network, batch, train
        self.below, self.condition_below = below, condition_below
        try:
            self.call = self.new_pass(order=2)
            self.second_order = True
        except SecondOrderError:
            self.call = self.new_pass(order=1)
            self.second_order = False
        self.dtype = network.dtype
        self.output_shape = (batch, *network.output_shape)
        self.has_condition = network.condition_shape is not None
        real = ["x"] if below is None else []
        real += ["condition"] if self.has_condition and condition_below is None else []
        self.variables = self.movable = (*real, *network.layout.ranges())

    def new_pass(self, **options: Any) -> Pass:
        """Return a Pass that draws the same masks as all others of this function."""
        return self.network.new_pass(self.batch, train=self.train, name="gradcheck", **options)

    def twin(self, backend: str, dtype: str) -> NetworkFunction:  # noqa: D102
        return self._like(self.network.clone(backend=backend, dtype=dtype), self.batch)

    def with_batch(self, batch: int) -> NetworkFunction:
        """Return the same network at another batch size."""
        return self._like(self.network, batch)

    def _like(self, network: Network, batch: int) -> NetworkFunction:
        return NetworkFunction(network, batch, train=self.train, below=self.below, condition_below=self.condition_below)

    def noisy(self, draw: np.random.Generator, eps: float) -> AbstractContextManager[None]:  # noqa: D102
        return noisy_passes(draw, eps, self.call)

    def draw(self, draw: np.random.Generator) -> Arrays:  # noqa: D102
        def point(shape: Shape, below: int | None) -> Array:
            size = (self.batch, *shape)
            return draw.normal(size=size) if below is None else draw.integers(0, below, size)

        inputs: Arrays = {"x": point(self.network.input_shape, self.below)}
        if self.network.condition_shape is not None:
            inputs["condition"] = point(self.network.condition_shape, self.condition_below)
        # Zero biases and unit gains would hide much.
        return inputs | drawn_weights(self.network, draw)

    def given(self, array: Any) -> Any:
        """Return an array as the network takes it."""
        if array is None:
            return None
        array = np.asarray(array)
        return self.network.backend.asarray(array.astype(self.dtype) if array.dtype.kind in "fc" else array)

    def run(self, inputs: Arrays) -> Any:
        """Run forward on the Pass, and return its own y."""
        theta = flat(self.network, inputs)
        if theta is not None:
            self.network.load(theta)
        return self.call.forward(
            self.given(inputs["x"]), self.given(inputs.get("condition")), step=1, update_stats=False
        )

    def host(self, array: Any) -> Array:
        """Return a copy on the host."""
        return np.array(self.network.backend.to_host(array))

    def forward(self, inputs: Arrays) -> Array:  # noqa: D102
        return self.host(self.run(inputs))

    def backward(self, inputs: Arrays, dy: Any) -> Arrays:  # noqa: D102
        self.run(inputs)
        return self.back(self.call, self.given(dy))

    def back(self, call: Pass, dy: Any, **options: Any) -> Arrays:
        """Run backward on a Pass of this network, and return all gradients."""
        dtheta = self.network.backend.asarray(np.full(self.network.size, np.nan, self.dtype))
        wishes = {"dx": self.below is None, "dcondition": "condition" in self.variables}
        dx = call.backward(dy, dtheta=dtheta, **wishes, **options)
        found = {} if dx is None else {"x": self.host(dx)}
        if wishes["dcondition"]:
            found["condition"] = self.host(call.dcondition)
        return found | named(self.network, dtheta)

    def rforward(self, inputs: Arrays, along: Arrays) -> Array:  # noqa: D102
        self.run(inputs)
        return self.host(self.ahead(self.call, along))

    def ahead(self, call: Pass, along: Arrays) -> Any:
        """Run rforward on a Pass, and return its own ry."""
        rtheta = flat(self.network, along)
        return call.rforward(self.given(along.get("x")), rtheta=rtheta, rcondition=self.given(along.get("condition")))

    def rbackward(self, inputs: Arrays, dy: Any, along: Arrays, rdy: Any) -> Arrays:  # noqa: D102
        self.backward(inputs, dy)
        self.ahead(self.call, along)
        return self.rback(self.call, self.given(rdy))

    def rback(self, call: Pass, rdy: Any, **options: Any) -> Arrays:
        """Run rbackward on a Pass, and return all that it gives."""
        rdtheta = self.network.backend.asarray(np.full(self.network.size, np.nan, self.dtype))
        wishes = {"rdx": self.below is None, "rdcondition": "condition" in self.variables}
        rdx = call.rbackward(rdy, rdtheta=rdtheta, **wishes, **options)
        found = {} if rdx is None else {"x": self.host(rdx)}
        if wishes["rdcondition"]:
            found["condition"] = self.host(call.rdcondition)
        return found | named(self.network, rdtheta)


def drawn_weights(network: Network, draw: np.random.Generator, prefix: str = "") -> Arrays:
    """Return the network's weights, moved at random."""
    theta = network.backend.to_host(network.theta)
    return named_host(network, theta + 0.3 * draw.normal(size=theta.size), prefix)


def named_host(network: Network, theta: Array, prefix: str) -> Arrays:
    """Return a host vector by parameter, in float64."""
    return {prefix + name: np.array(a, np.float64) for name, a in network.layout.by_name(theta).items()}


def stir_state(network: Network, seed: int) -> None:
    """Move what is kept with the weights, such as running statistics, from where it begins."""
    state = network.backend.to_host(network.state)
    draw = np.random.default_rng((seed, 1))
    network.load(
        network.theta, network.backend.asarray((state + draw.uniform(0, 0.5, state.shape)).astype(state.dtype))
    )
