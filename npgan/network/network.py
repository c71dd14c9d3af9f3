"""Network: layers with one flat vector of weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from npgan.backend import get_backend
from npgan.backend.base import Array, Backend, Shape
from npgan.errors import ConfigError, DTypeError, ShapeError
from npgan.layers.base import Layer, Spec
from npgan.layers.containers import Sequential
from npgan.network.flat import Layout
from npgan.network.memory import Arena
from npgan.network.passes import Pass
from npgan.network.program import Program, trace
from npgan.network.summary import summary

_CHUNK = 256  # samples that __call__ runs at a time: enough to be fast, little enough to hold


class Network:
    """Layers, their weights in one flat vector, and the Passes that run them.

    Parameters
    ----------
    layers : Layer or sequence of Layer
        A sequence is one after the other.
    input_shape : tuple of int
        Of one sample, without the batch; images are (H, W, C).
    condition_shape : tuple of int, optional
        Of one sample's condition; ``()`` is a class label.
    input_dtype, condition_dtype : {"float", "int64"}
        ``"int64"`` where what enters are labels or tokens. A condition of shape () is taken as labels unless told
        otherwise.
    backend : str or Backend
        Where it runs: see `get_backend`.
    dtype : {"float32", "float64"}
        float32 to train, float64 to check.
    seed : int
        Of the initial weights and of dropout.
    name : str
        How messages call it.

    Attributes
    ----------
    theta : array (P,), read-only
        All weights. Write them with ``with network.write() as theta:``.
    state : array (S,), read-only
        What is kept with the weights but not trained: running statistics.
    rows : list of (path, layer, shape)
        Every primitive layer in order, with the shape of one sample of its output.
    version : int
        Counts the writes. A Pass whose forward saw another version refuses to go backward.
    """

    def __init__(
        self,
        layers: Layer | Sequence[Layer],
        input_shape: Shape,
        *,
        condition_shape: Shape | None = None,
        input_dtype: str = "float",
        condition_dtype: str | None = None,
        backend: str | Backend = "cpu",
        dtype: Any = "float32",
        seed: int = 0,
        name: str = "network",
    ) -> None:
        self.backend = get_backend(backend)
        self.dtype = self.backend.check_dtype(dtype)
        self.name = name
        self.random = self.backend.random(seed)
        if isinstance(layers, Sequential):
            self.layers: Layer = layers
        else:
            self.layers = Sequential([layers] if isinstance(layers, Layer) else layers)
        for what, dtype_name in (("input_dtype", input_dtype), ("condition_dtype", condition_dtype or "float")):
            if dtype_name not in ("float", "int64"):
                raise ConfigError(f'{what} is {dtype_name!r}, expected "float" or "int64"')
        self._input = Spec(_shape(input_shape, "input_shape"), input_dtype)
        self._condition: Spec | None = None
        if condition_shape is not None:
            condition_shape = _shape(condition_shape, "condition_shape")
            self._condition = Spec(condition_shape, condition_dtype or ("float" if condition_shape else "int64"))
        program = self.trace(1)
        self.input_shape, self.condition_shape = self._input.shape, condition_shape
        self.output_shape = program.output.spec.shape[1:]
        self.rows = [(self.relative(path), layer, shape[1:]) for path, layer, shape in program.rows]
        self.layout = Layout(
            (self.relative(op.path), name, p.shape) for op in program.ops for name, p in op.plan.parameters.items()
        )
        self.state_layout = Layout(
            (self.relative(op.path), name, s.shape) for op in program.ops for name, s in op.plan.state.items()
        )
        self._theta = self.backend.asarray(self._initial(program))
        self.theta = self.backend.read_only(self._theta)
        self._state = self.backend.asarray(self._initial_state(program))
        self.state = self.backend.read_only(self._state)
        self._weights = self.layout.by_layer(self._theta)
        self._states = self.state_layout.by_layer(self._state)
        self._grad: Array | None = None
        self._gradient_views: list[tuple[Array, dict[str, dict[str, Array]]]] = []
        self._eager: dict[tuple[int, bool], Pass] = {}
        self.version = 0

    def _initial(self, program: Program) -> Array:
        """Draw the weights on the host, so that every backend begins with the same ones."""
        theta = self._host_zeros(self.layout.size)
        views = self.layout.by_layer(theta)
        for op in program.ops:
            path = self.relative(op.path)
            for name, parameter in op.plan.parameters.items():
                where = f"{self.name}/{path}/{name}"
                drawn = parameter.init(self.random.generator(where), parameter.shape)
                if np.shape(drawn) != parameter.shape:
                    raise ShapeError(
                        f"{where}: {parameter.init!r} returned {np.shape(drawn)}, expected {parameter.shape}; "
                        "no broadcasting here"
                    )
                views[path][name][...] = drawn
        return theta

    def _initial_state(self, program: Program) -> Array:
        state = self._host_zeros(self.state_layout.size)
        views = self.state_layout.by_layer(state)
        for op in program.ops:
            for name, entry in op.plan.state.items():
                views[self.relative(op.path)][name][...] = entry.value
        return state

    def _host_zeros(self, size: int) -> Array:
        return np.zeros(size, self.dtype)

    def clone(self, *, backend: str | Backend | None = None, dtype: Any = None) -> Network:
        """Return the same network with copies of its weights and state, elsewhere or in another dtype.

        Here the conversion is asked for, so it is made.
        """
        backend = self.backend if backend is None else get_backend(backend)
        twin = Network(
            self.layers,
            self.input_shape,
            condition_shape=self.condition_shape,
            input_dtype=self._input.dtype,
            condition_dtype=None if self._condition is None else self._condition.dtype,
            backend=backend,
            dtype=self.dtype if dtype is None else dtype,
            seed=self.random.seed,
            name=self.name,
        )
        host = self.backend.to_host
        twin.load(host(self.theta).astype(twin.dtype), host(self.state).astype(twin.dtype))
        return twin

    # ---------------------------------------------------------------- weights

    @property
    def size(self) -> int:
        """P, the number of weights."""
        return self.layout.size

    @property
    def grad(self) -> Array:
        """A vector like theta that belongs to the network, for gradients; made when first asked for."""
        if self._grad is None:
            self._grad = self.backend.zeros((self.size,), self.dtype)
        return self._grad

    @contextmanager
    def write(self) -> Iterator[Array]:
        """Give the weights for writing; every Pass that ran before is stale afterwards."""
        try:
            yield self._theta
        finally:
            self.backend.live(self._count_write)

    def _count_write(self) -> None:
        self.version += 1

    def load(self, theta: Array, state: Array | None = None) -> None:
        """Copy weights (and state) in, from host or device.

        Raises
        ------
        ShapeError, DTypeError
            They do not fit.
        """
        for what, given, own in (("theta", theta, self._theta), ("state", state, self._state)):
            if given is None:
                continue
            if not hasattr(given, "dtype"):
                raise DTypeError(f"{self.name}: {what} is a {type(given).__name__}, expected an array of {own.dtype}")
            if given.shape != own.shape:
                raise ShapeError(
                    f"{self.name}: {what} is {given.shape}, expected {own.shape}; it is of another network"
                )
            if given.dtype != own.dtype:
                raise DTypeError(f"{self.name}: {what} is {given.dtype}, expected {own.dtype}")
        with self.write() as own_theta:
            own_theta[...] = self.backend.asarray(theta)
        if state is not None:
            self._state[...] = self.backend.asarray(state)

    def parameters(self) -> dict[str, Array]:
        """Return the weights by name, ``{"3/weight": view}``, read-only."""
        return self.layout.by_name(self.theta)

    @property
    def weights(self) -> Array:
        """The vector theta itself, which kernels read; for Passes. Write to it by `write` or `load` alone."""
        return self._theta

    def weights_of(self, path: str) -> dict[str, Array]:
        """Return the weights of the layer at `path`; for Passes."""
        return self._weights.get(path, {})

    def state_of(self, path: str) -> dict[str, Array]:
        """Return the state of the layer at `path`; for Passes."""
        return self._states.get(path, {})

    def gradient_views(self, vector: Array) -> dict[str, dict[str, Array]]:
        """Return the views of a vector like theta by layer; the last few vectors are remembered."""
        for known, views in self._gradient_views:
            if known is vector:
                return views
        views = self.layout.by_layer(vector)
        self._gradient_views = [(vector, views), *self._gradient_views[:3]]
        return views

    def relative(self, path: str) -> str:
        """Return a path without the network's name."""
        return path[len(self.name) + 1 :]

    # ---------------------------------------------------------------- running

    def trace(self, batch: int) -> Program:
        """Return the network as a straight line of operations, for this batch."""

        def with_batch(spec: Spec) -> Spec:
            return Spec((batch, *spec.shape), spec.dtype)

        condition = None if self._condition is None else with_batch(self._condition)
        return trace(self.layers, self.name, with_batch(self._input), condition, self.backend.kernels)

    def new_pass(
        self,
        batch: int,
        *,
        train: bool = True,
        order: int = 1,
        keep: str = "needed",
        arena: Arena | None = None,
        name: str = "pass",
        fuse: bool = True,
    ) -> Pass:
        """Plan one call site.

        Parameters
        ----------
        batch : int
            Samples a run.
        train : bool
            Batch statistics and dropout, or running statistics and none.
        order : {0, 1, 2}
            0: forward alone. 1: backward too. 2: the R-maps too.
        keep : {"needed", "all", "once"}
            ``"all"`` keeps every layer's arrays to look at, as ``p["D/3"].dx``. ``"once"``, of order 2, is for one
            forward, backward, rforward and rbackward, in this order, in less memory; then forward comes again.
        arena : Arena, optional
            Memory shared with Passes that are not alive together with this one, or, as ``p.meanwhile``, with a Pass p
            between whose forward and backward this one runs.
        name : str
            How messages call it; dropout's masks differ between names.
        fuse : bool
            Run neighbouring layers in one call where the backend can. The results agree to rounding; False is for
            comparing with them.
        """
        return Pass(self, batch, train=train, order=order, keep=keep, arena=arena, name=name, fuse=fuse)

    def __call__(self, x: Array, condition: Array | None = None, *, train: bool = False) -> Array:
        """Run any number of samples and return a fresh array; no gradients.

        With ``train=False`` they run in chunks (the samples do not see each other); with ``train=True`` as one batch.
        """
        x = self._with_batch(x, "x", self._input)
        n, xp = x.shape[0], self.backend.xp
        if condition is not None and self._condition is not None:
            condition = self._with_batch(condition, "condition", self._condition, n)
        out: Array = self.backend.empty((n, *self.output_shape), self.dtype)
        size = n if train else min(n, _CHUNK)
        for start in range(0, n, size or 1):
            part = slice(start, min(start + size, n))
            count = part.stop - start
            if (count, train) not in self._eager:
                if len(self._eager) > 3:
                    self._eager.clear()
                self._eager[count, train] = self.new_pass(count, train=train, order=0, name="call")
            given = None if condition is None else xp.ascontiguousarray(condition[part])
            out[part] = self._eager[count, train].forward(x[part], given, update_stats=False)
        return out

    def vjp(
        self, x: Array, condition: Array | None = None, *, train: bool = True
    ) -> tuple[Array, Callable[[Array], tuple[Array | None, Array]]]:
        """Return y and a pull-back, for notebooks: ``y, pullback = G.vjp(x); dx, dtheta = pullback(dy)``.

        Running statistics stay as they are, and the results are fresh arrays; dx is None where x are labels.
        """
        x = self._with_batch(x, "x", self._input)
        p = self.new_pass(x.shape[0], train=train, order=1, keep="all", name="vjp")
        y = p.forward(x, condition, update_stats=False).copy()

        def pullback(dy: Array) -> tuple[Array | None, Array]:
            dtheta = self.backend.zeros((self.size,), self.dtype)
            dx = p.backward(dy, dtheta=dtheta, dx=self._input.dtype == "float")
            return None if dx is None else dx.copy(), dtheta

        return y, pullback

    def _with_batch(self, given: Any, what: str, spec: Spec, n: int | None = None) -> Any:
        """Return `given`, or raise ShapeError where it is not n samples of `spec` (any number where n is None)."""
        shape = given.shape if isinstance(given, self.backend.xp.ndarray) else None
        if shape is None or shape[1:] != spec.shape or len(shape) != len(spec.shape) + 1 or n not in (None, shape[0]):
            expected = ", ".join(map(str, ("batch" if n is None else n, *spec.shape)))
            raise ShapeError(
                f"{self.name}: {what} is {type(given).__name__ if shape is None else shape}, expected ({expected})"
            )
        return given

    # ---------------------------------------------------------------- printing

    def summary(self) -> str:
        """Return a table of the layers: place, kind, output of one sample, weights."""
        return summary(self)

    def __repr__(self) -> str:
        return f"<Network {self.name}: {self.input_shape} -> {self.output_shape}, {self.size:,} weights>"


def _shape(given: Shape, what: str) -> Shape:
    if not isinstance(given, Sequence) or not all(isinstance(n, int | np.integer) and n > 0 for n in given):
        raise ConfigError(f"{what} is {given!r}, expected a tuple of whole numbers from 1, without the batch")
    return tuple(int(n) for n in given)
