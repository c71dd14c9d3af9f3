"""Pass: one call site of a network at one batch size, with the memory that the call needs.

Planned once, run as often as you like; nothing is allocated while it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from npgan.backend.base import Array, Shape
from npgan.errors import (
    ConfigError,
    DTypeError,
    NpganError,
    SecondOrderError,
    ShapeError,
    StalePassError,
)
from npgan.layers.base import Frame, Spec
from npgan.network.memory import Arena, Block, pack
from npgan.network.program import Op, Value

if TYPE_CHECKING:
    from npgan.network.network import Network

Watch = Callable[[str, str, dict[str, Array]], None]


@dataclass(frozen=True)
class _BackwardStep:
    """One operation's turn in a backward sweep."""

    index: int  # of the operation
    into: tuple[Block | None, ...]  # where the gradient of each input is written
    add_to: tuple[Block | None, ...]  # ... and the block it is then added to, where another one has written already


class Pass:
    """One call of a network, with its memory. Made by `Network.new_pass`, which describes the arguments.

    The arrays that `forward` and `backward` return are views of the Pass's own memory: they hold until its next
    `forward`, or, with an arena, until another Pass of that arena runs.

    Attributes
    ----------
    watch : callable or None
        Where set, it is called after every map of every layer as ``watch("D/3 BatchNorm", "forward", {"y": ...})``
        with the arrays that the map read or wrote: for finding a NaN, or for seeing every number.
    """

    def __init__(
        self,
        network: Network,
        batch: int,
        *,
        train: bool,
        order: int,
        keep: str,
        arena: Arena | None,
        name: str,
    ) -> None:
        if order not in (0, 1, 2):
            raise ConfigError(f"order is {order!r}, expected 0 (forward only), 1 (and backward) or 2 (and R-maps)")
        if keep not in ("needed", "all"):
            raise ConfigError(f'keep is {keep!r}, expected "needed" or "all"')
        if not isinstance(batch, int | np.integer) or batch < 1:
            raise ConfigError(f"batch is {batch!r}, expected a whole number from 1")
        self.network, self.batch, self.train, self.order, self.keep, self.name = (
            network,
            int(batch),
            train,
            order,
            keep,
            name,
        )
        self._program = network.trace(self.batch)
        self._ops = self._program.ops
        if order == 2:
            for op in self._ops:
                if not op.layer.second_order:
                    raise SecondOrderError(
                        f"{op.where} has no R-maps, so a Pass of order 2 cannot be planned through it"
                    )
        self._values: dict[Value, Block] = {}
        self._gradients: dict[Value, Block] = {}
        self._partial: dict[tuple[Op, int], Block] = {}
        self._saved: list[dict[str, Block]] = []  # of each operation
        self._scratch: list[tuple[dict[str, Block], dict[str, Block]]] = []  # of each: in forward, in backward
        self._flow = _Flow(self._ops, self._program.input, self._program.condition)
        blocks = self._plan()
        self.nbytes = pack(blocks)
        self.arena = arena if arena is not None else Arena(network.backend)
        self.arena.reserve(network.backend, self.nbytes)
        self._region: Array | None = None
        self._bound: dict[Block, Array] = {}
        self._frames: list[Frame] = []
        self._scratches: list[tuple[dict[str, Array], dict[str, Array]]] = []
        self._schedules: dict[tuple[bool, bool, bool], list[_BackwardStep]] = {}
        self._version = -1  # of the weights at the last forward
        self.watch: Watch | None = None
        self._step = 0
        self._ran = "nothing"

    # ---------------------------------------------------------------- planning

    def _dtype(self, spec: Spec) -> np.dtype[Any]:
        return self.network.dtype if spec.dtype == "float" else np.dtype(spec.dtype)

    def _plan(self) -> list[Block]:
        """Make a block for every array, with its lifetime; forward of op i is time i, backward of it 2n - 1 - i."""
        n = len(self._ops)
        end = 2 * n
        program = self._program

        def block(spec: Spec, time: int) -> Block:
            return Block(spec.shape, self._dtype(spec), time, time)

        border = [v for v in (program.input, program.condition, program.output.root) if v is not None]
        for value in border[:2] if program.condition is not None else border[:1]:
            self._values[value] = block(value.spec, -1)
        for i, op in enumerate(self._ops):
            back = 2 * n - 1 - i
            self._values[op.output] = block(op.output.spec, i)
            for x in op.inputs:
                self._values[x.root].alive(i)
                if self.order and "x" in op.plan.keeps:
                    self._values[x.root].alive(back)
            if self.order and "y" in op.plan.keeps:
                self._values[op.output].alive(back)
            self._saved.append({name: block(spec, i) for name, spec in op.plan.saved.items()})
            if self.order:
                for saved in self._saved[-1].values():
                    saved.alive(back)
            # Scratch holds nothing between two maps, so each map has its own, and shares its place with whatever.
            times = (i, back) if self.order else (i, i)
            forward, backward = ({name: block(spec, t) for name, spec in op.plan.scratch.items()} for t in times)
            self._scratch.append((forward, backward))
        for value in border:
            self._values[value].alive(end)  # the user reads the output, and a replay reads the inputs
        if self.order:
            self._plan_gradients(border, n, end)
        blocks = self._blocks()
        if self.keep == "all" or self.order == 2:
            for each in blocks:
                each.alive(-1)
                each.alive(end)
        return blocks

    def _blocks(self) -> list[Block]:
        groups: list[Mapping[Any, Block]] = [self._values, self._gradients, self._partial, *self._saved]
        groups += [scratch for pair in self._scratch for scratch in pair]
        return [block for group in groups for block in group.values()]

    def _plan_gradients(self, border: list[Value], n: int, end: int) -> None:
        for i in reversed(range(n)):
            op, back = self._ops[i], 2 * n - 1 - i
            if op.output in self._gradients:
                self._gradients[op.output].alive(back)
            for j, x in enumerate(op.inputs):
                root = x.root
                if not self._flow.differentiable(root):
                    continue
                if root not in self._gradients:
                    self._gradients[root] = Block(root.spec.shape, self.network.dtype, back, back)
                else:
                    self._gradients[root].alive(back)
                    self._partial[op, j] = Block(root.spec.shape, self.network.dtype, back, back)
        output = self._program.output.root
        if output not in self._gradients:
            self._gradients[output] = Block(output.spec.shape, self.network.dtype, n, n)
        self._gradients[output].alive(n)
        for value in border:
            if value in self._gradients and value is not output:
                self._gradients[value].alive(end)

    def _schedule(self, weights: bool, x: bool, condition: bool) -> list[_BackwardStep]:
        """Return the operations that a backward sweep must run for these wishes, and where each writes."""
        key = (weights, x, condition)
        if key not in self._schedules:
            written = {self._program.output.root}
            steps = []
            for i in reversed(range(len(self._ops))):
                op = self._ops[i]
                if op.output not in written:
                    continue
                into: list[Block | None] = []
                add_to: list[Block | None] = []
                for j, value in enumerate(op.inputs):
                    root = value.root
                    if not self._flow.wanted(root, *key):
                        into.append(None)
                        add_to.append(None)
                    elif root in written:
                        into.append(self._partial[op, j])
                        add_to.append(self._gradients[root])
                    else:
                        written.add(root)
                        into.append(self._gradients[root])
                        add_to.append(None)
                if any(block is not None for block in into) or (weights and op.plan.parameters):
                    steps.append(_BackwardStep(i, tuple(into), tuple(add_to)))
            self._schedules[key] = steps
        return self._schedules[key]

    def _bind(self) -> None:
        """Lay the blocks into the arena's region."""
        region = self.arena.claim(self)
        if region is self._region:
            return
        self._region = region
        network = self.network
        self._bound = {block: block.view(region) for block in self._blocks()}
        self._frames, self._scratches = [], []
        for i, op in enumerate(self._ops):
            f = Frame()
            f.k, f.xp = network.backend.kernels, network.backend.xp
            f.xs = tuple(self._view(x, self._values) for x in op.inputs)
            f.x = f.xs[0]
            f.y = self._view(op.output, self._values)
            if op.output in self._gradients:
                f.dy = self._view(op.output, self._gradients)
            f.saved = {name: self._bound[block] for name, block in self._saved[i].items()}
            relative = network.relative(op.path)
            f.w, f.state = network.weights_of(relative), network.state_of(relative)
            f.dw = f.rw = f.rdw = None
            f.train = self.train
            f.uniform = _Uniform(self, f"{network.name}/{relative}")
            self._frames.append(f)
            forward, backward = ({k: self._bound[b] for k, b in group.items()} for group in self._scratch[i])
            self._scratches.append((forward, backward))
        self._y = network.backend.read_only(self._view(self._program.output, self._values))

    def _view(self, value: Value, blocks: dict[Value, Block]) -> Array:
        return self._bound[blocks[value.root]].reshape(value.spec.shape)

    # ---------------------------------------------------------------- running

    def forward(
        self, x: Array, condition: Array | None = None, *, step: int = 0, update_stats: bool | None = None
    ) -> Array:
        """Run the network.

        Parameters
        ----------
        x : array (batch, *input_shape)
            Copied: it may change afterwards, and need not be contiguous.
        condition : array (batch, *condition_shape), optional
            Labels, images, codes: wherever a layer reads the condition.
        step : int
            The training step; dropout's masks are a function of it.
        update_stats : bool, optional
            Update running statistics; by default when the Pass is for training.

        Returns
        -------
        array (batch, *output_shape)
            A read-only view of the Pass's memory.

        Raises
        ------
        ShapeError, DTypeError, ConfigError
            `x` or `condition` is not what the network was declared with.
        """
        self._bind()
        self._ran = "nothing"
        self._take(self._program.input, x, "x")
        if self._program.condition is not None:
            if condition is None:
                raise ConfigError(f"{self}: the network reads a condition; give forward(x, condition)")
            self._take(self._program.condition, condition, "condition")
        elif condition is not None:
            raise ConfigError(f"{self}: a condition was given, but no layer of the network reads one")
        self._step = step
        self._forward(self.train if update_stats is None else update_stats)
        self._version = self.network.version
        self._ran = "forward"
        return self._y

    def backward(
        self,
        dy: Array,
        *,
        dtheta: Array | None = None,
        accumulate: bool = False,
        dx: bool = True,
        dcondition: bool = False,
    ) -> Array | None:
        """Run back-propagation for the last `forward`.

        Parameters
        ----------
        dy : array (batch, *output_shape)
            Gradient of a scalar with respect to the output. Copied.
        dtheta : array (P,), optional
            Where the gradient of the weights goes; without it none is computed.
        accumulate : bool
            Add to `dtheta` instead of overwriting it.
        dx, dcondition : bool
            Compute the gradient of the input, of the condition (read it from `Pass.dcondition`).

        Returns
        -------
        array (batch, *input_shape) or None
            The gradient of the input, a view of the Pass's memory; None where it was not asked for.

        Raises
        ------
        StalePassError
            The weights or the Pass's memory changed since `forward`, or there was none.
        ShapeError, DTypeError
            `dy` or `dtheta` does not fit.
        """
        if not self.order:
            raise ConfigError(f"{self} was planned with order=0, for forward alone; make it with order=1")
        self._check_fresh()
        if self._ran == "backward" and self.keep != "all" and self.order < 2:
            raise StalePassError(
                f"{self}: backward has run, and reused the memory of what it read; "
                "run forward again, or plan with keep='all'"
            )
        program = self._program
        self._check(dy, program.output.spec.shape, self.network.dtype, "dy")
        for what, value, asked in (("dx", program.input, dx), ("dcondition", program.condition, dcondition)):
            if asked and (value is None or not self._flow.differentiable(value)):
                raise ConfigError(
                    f"{self}: {what} was asked for, but there is nothing real to differentiate by; give {what}=False"
                )
        self._backward(
            dy, self._weight_gradients(dtheta), accumulate, self._schedule(dtheta is not None, dx, dcondition)
        )
        self._ran = "backward"
        return self._view(program.input, self._gradients) if dx else None

    def _forward(self, update_stats: bool) -> None:
        for op, f, scratch in zip(self._ops, self._frames, self._scratches, strict=True):
            f.update_stats, f.scratch = update_stats, scratch[0]
            try:
                op.layer.forward(f)
            except NpganError as error:
                raise type(error)(f"{op.where}: {error}") from None
            if self.watch is not None:
                self.watch(op.where, "forward", {"x": f.x, **f.w, "y": f.y})

    def _backward(
        self,
        dy: Array,
        views: dict[str, dict[str, Array]] | None,
        accumulate: bool,
        schedule: list[_BackwardStep],
    ) -> None:
        self._view(self._program.output, self._gradients)[...] = dy
        for step in schedule:
            op, f = self._ops[step.index], self._frames[step.index]
            f.dxs = tuple(
                None if block is None else self._bound[block].reshape(x.spec.shape)
                for block, x in zip(step.into, op.inputs, strict=True)
            )
            f.dx = f.dxs[0]
            f.dw = None if views is None else views.get(self.network.relative(op.path))
            f.accumulate, f.scratch = accumulate, self._scratches[step.index][1]
            op.layer.backward(f)
            if self.watch is not None:
                dxs = {f"dx{i or ''}": dx for i, dx in enumerate(f.dxs) if dx is not None}
                dws = {f"d{name}": dw for name, dw in (f.dw or {}).items()}
                self.watch(op.where, "backward", {"dy": f.dy, **dxs, **dws})
            for part, total in zip(step.into, step.add_to, strict=True):
                if part is not None and total is not None:
                    self.network.backend.xp.add(self._bound[total], self._bound[part], out=self._bound[total])

    def _weight_gradients(self, dtheta: Array | None) -> dict[str, dict[str, Array]] | None:
        if dtheta is None:
            return None
        self._check(dtheta, (self.network.size,), self.network.dtype, "dtheta")
        if dtheta is self.network.theta:
            raise ConfigError(f"{self}: dtheta is the network's own weights; give network.grad or another vector")
        return self.network.gradient_views(dtheta)

    def _take(self, value: Value, given: Array, what: str) -> None:
        """Copy what the user gave into the Pass."""
        dtype = self._dtype(value.spec)
        if dtype.kind == "i" and getattr(given, "dtype", None) is not None and given.dtype.kind in "iu":
            self._check(given, value.spec.shape, given.dtype, what)
        else:
            self._check(given, value.spec.shape, dtype, what)
        self._bound[self._values[value]][...] = given

    def _check(self, given: Array, shape: Shape, dtype: np.dtype[Any], what: str) -> None:
        backend = self.network.backend
        if not isinstance(given, backend.xp.ndarray):
            raise DTypeError(f"{self}: {what} is a {type(given).__name__}, expected an array of {backend.xp.__name__}")
        if given.shape != shape:
            raise ShapeError(f"{self}: {what} is {given.shape}, expected {shape}; no broadcasting here")
        if given.dtype != dtype:
            raise DTypeError(
                f"{self}: {what} is {given.dtype}, expected {dtype}; convert it yourself, npgan never does so silently"
            )

    def _check_fresh(self) -> None:
        if self._ran == "nothing":
            raise StalePassError(f"{self}: forward has not run")
        if self.arena.owner is not self:
            raise StalePassError(
                f"{self}: its memory has been reused by {self.arena.owner}, which shares its arena; run forward again"
            )
        if self._version != self.network.version:
            raise StalePassError(
                f"{self}: the weights of {self.network.name} were written after forward; "
                "old activations with new weights give a wrong gradient; run forward again"
            )

    # ---------------------------------------------------------------- looking

    @property
    def y(self) -> Array:
        """The output of the last forward; raises StalePassError where its memory has been reused."""
        self._check_fresh()
        return self._y

    @property
    def dcondition(self) -> Array:
        """The gradient of the condition, of the last ``backward(..., dcondition=True)``."""
        self._check_fresh()
        assert self._program.condition is not None
        return self._view(self._program.condition, self._gradients)

    def __getitem__(self, path: str) -> Frame:
        """Return the frame of the layer at `path` (``"D/3"`` or ``"3"``), of a Pass that keeps all."""
        if self.keep != "all":
            raise ConfigError(f"{self} keeps only what it needs; plan it with keep='all' to look inside")
        self._check_fresh()
        found = [
            f
            for op, f in zip(self._ops, self._frames, strict=True)
            if path in (op.path, self.network.relative(op.path))
        ]
        if not found:
            raise ConfigError(f"{self} has no layer at {path!r}; there is {', '.join(op.path for op in self._ops)}")
        return found[0]

    def __str__(self) -> str:
        return f"{self.network.name}.{self.name}"

    def __repr__(self) -> str:
        return f"<Pass {self}: batch {self.batch}, order {self.order}, {self.nbytes / 2**20:.1f} MiB>"


class _Uniform:
    """Numbers for dropout: a function of the run's seed, the layer, the Pass and the step."""

    def __init__(self, owner: Pass, stream: str) -> None:
        self._owner, self._stream = owner, f"{stream} of {owner.name}"

    def __call__(self, out: Array) -> Array:
        return self._owner.network.random.uniform(out, self._stream, self._owner._step)


class _Flow:
    """What each value depends on: weights, the input, the condition."""

    def __init__(self, ops: list[Op], x: Value, condition: Value | None) -> None:
        self._on: dict[Value, tuple[bool, bool, bool]] = {x: (False, x.spec.dtype == "float", False)}
        if condition is not None:
            self._on[condition] = (False, False, condition.spec.dtype == "float")
        for op in ops:
            sources = [self._on[value.root] for value in op.inputs]
            w, i, c = (any(source[k] for source in sources) for k in range(3))
            self._on[op.output] = (w or bool(op.plan.parameters), i, c)

    def differentiable(self, value: Value) -> bool:
        return any(self._on[value])

    def wanted(self, value: Value, weights: bool, x: bool, condition: bool) -> bool:
        on = self._on[value]
        return (weights and on[0]) or (x and on[1]) or (condition and on[2])
