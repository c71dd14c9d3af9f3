"""Pass: one call site of a network at one batch size, with the memory that the call needs.

Planned once, run as often as you like; nothing is allocated while it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from npgan.backend.base import Array, Shape
from npgan.backend.recording import Step
from npgan.errors import (
    ConfigError,
    DTypeError,
    NpganError,
    SecondOrderError,
    ShapeError,
    StalePassError,
)
from npgan.layers.base import Frame
from npgan.network.memory import Arena, Block, pack
from npgan.network.planning import (
    Memory,
    Turn,
    Wishes,
    backward_turns,
    rbackward_turns,
    rforward_active,
    unknown_gradients,
)
from npgan.network.program import Op, Value
from npgan.network.stacks import Stacks, find_pairs, find_stacks, slots
from npgan.network.tapes import Tape

if TYPE_CHECKING:
    from npgan.network.network import Network

Watch = Callable[[str, str, dict[str, Array]], None]
Views = dict[str, dict[str, Array]]  # of a vector like theta, by layer and name


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
        fuse: bool = True,
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
        fuse = fuse and keep == "needed" and network.backend.fuses
        runs = find_stacks(self._program) if fuse else []
        self._pairs = find_pairs(self._program, runs) if fuse and order < 2 else {}
        calls = [*runs, *(range(i, i + 2) for i in self._pairs)]
        self._memory = Memory(self._program, network.dtype, order, keep == "all", slots(self._program, calls))
        self.nbytes = pack(self._memory.blocks())
        self._stacks = Stacks(network, self._program, self._memory, runs)
        self._forward_sweep = [i for i in self._stacks.forward() if isinstance(i, Tape) or i - 1 not in self._pairs]
        self._sweeps: dict[Any, Any] = {}  # the other maps', by what was asked for
        self.arena = arena if arena is not None else Arena(network.backend)
        self.arena.reserve(network.backend, self.nbytes)
        self._region: Array | None = None
        self._flat = self._none = network.backend.empty((0,), network.dtype)  # the region, in the network's dtype
        self._bound: dict[Block, Array] = {}
        self._frames: list[Frame] = []
        self._paired: list[Frame] = []  # the same, but where an operation does the activation after it
        self._scratch: list[tuple[dict[str, Array], ...]] = []
        self._turns: dict[Any, list[Turn]] = {}  # of backward and rbackward, by what was asked for
        self._turn_targets: dict[int, tuple[Array | None, ...]] = {}
        self._version = -1  # of the weights at the last forward
        self.watch: Watch | None = None
        self._step: Step = 0
        self._ran = "nothing"
        self._wishes: Wishes = (False, False, False)  # of the last backward
        self._rwishes: Wishes = (False, False, False)  # of the last rbackward
        self._moved: frozenset[Value] = frozenset()  # the values with an R-derivative, of the last rforward
        self._rvector: Array | None = None  # the direction of the weights, and its views
        self._rtheta: Views | None = None
        self._strided: tuple[Array, Array] | None = None  # a vector of gradients that is not in one piece, and a copy

    def _bind(self) -> None:
        """Lay the blocks into the arena's region and hand them to the frames."""
        region = self.arena.claim(self)
        if region is self._region:
            return
        self._region = region
        network, memory = self.network, self._memory
        self._flat = region.view(network.dtype)
        self._bound = {block: block.view(region) for block in memory.blocks()}
        self._frames, self._scratch, self._turn_targets = [], [], {}
        for op, saved, scratch in zip(self._ops, memory.saved, memory.scratch, strict=True):
            f = Frame()
            f.k, f.xp = network.backend.kernels, network.backend.xp
            f.xs = tuple(self._view(x, memory.values) for x in op.inputs)
            f.x = f.xs[0]
            f.y = self._view(op.output, memory.values)
            if op.output in memory.gradients:
                f.dy = self._view(op.output, memory.gradients)
            if op.output in memory.rvalues:
                f.ry = self._view(op.output, memory.rvalues)
            f.saved = {name: self._bound[block] for name, block in saved.items()}
            path = network.relative(op.path)
            f.w, f.state = network.weights_of(path), network.state_of(path)
            f.dw = f.rw = f.rdw = f.dx = f.rx = f.rdx = f.rdy = None
            f.dxs = f.rxs = f.rdxs = (None,) * len(op.inputs)
            f.train, f.slope = self.train, None
            f.uniform = _Uniform(self, f"{network.name}/{path}")
            self._frames.append(f)
            self._scratch.append(tuple({name: self._bound[b] for name, b in each.items()} for each in scratch))
        self._paired = list(self._frames)
        for i, slope in self._pairs.items():
            self._paired[i] = f = copy(self._frames[i])
            f.slope, f.y = slope, self._frames[i + 1].y
            if self.order:
                f.dz, f.dy = f.dy, self._frames[i + 1].dy
        self._y = network.backend.read_only(self._view(self._program.output, memory.values))

    def _view(self, value: Value, blocks: dict[Value, Block]) -> Array:
        return self._bound[blocks[value.root]].reshape(value.spec.shape)

    # ---------------------------------------------------------------- first order

    def forward(
        self, x: Array, condition: Array | None = None, *, step: Step = 0, update_stats: bool | None = None
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
        self._take(self._program.input, self._memory.values, x, "x")
        if self._program.condition is not None:
            if condition is None:
                raise ConfigError(f"{self}: the network reads a condition; give forward(x, condition)")
            self._take(self._program.condition, self._memory.values, condition, "condition")
        elif condition is not None:
            raise ConfigError(f"{self}: a condition was given, but no layer of the network reads one")
        self._step = step
        update = self.train if update_stats is None else update_stats
        recording = self.network.backend.recording is not None
        sweep, frames = self._forward_sweep, self._paired
        if self.watch is not None:
            sweep, frames = list(range(len(self._ops))), self._frames
        for i in sweep:
            if isinstance(i, Tape):
                self._play(i)
                continue
            op, f = self._ops[i], frames[i]
            f.update_stats, f.recording, f.scratch = update, recording, self._scratch[i][0]
            try:
                op.layer.forward(f)
            except NpganError as error:
                raise type(error)(f"{op.where}: {error}") from None
            if self.watch is not None:
                self.watch(op.where, "forward", {**_numbered("x", f.xs), **f.w, "y": f.y})
        self._version = self.network.version
        self._ran = "forward"
        self._moved, self._rvector, self._rtheta, self._rwishes = frozenset(), None, None, (False, False, False)
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
        program, memory = self._program, self._memory
        self._check(dy, program.output.spec.shape, self.network.dtype, "dy")
        self._check_wishes(memory.gradients, dx=dx, dcondition=dcondition)
        wishes = (dtheta is not None, dx, dcondition)
        if wishes not in self._turns:
            self._turns[wishes] = backward_turns(program, memory, wishes)
            turns = [turn for turn in self._turns[wishes] if turn.index - 1 not in self._pairs]
            self._sweeps[wishes] = self._stacks.backward(turns, wishes[0])
        dtheta, views = self._weight_gradients(dtheta, "dtheta")
        self._view(program.output, memory.gradients)[...] = dy
        sweep, frames = self._sweeps[wishes], self._paired
        if self.watch is not None:
            sweep, frames = self._turns[wishes], self._frames
        for turn in sweep:
            if isinstance(turn, Tape):
                self._play(turn, target=dtheta, accumulate=accumulate)
                continue
            op, f = self._ops[turn.index], frames[turn.index]
            f.dxs = self._targets(op, turn)
            f.dx = f.dxs[0]
            f.dw = None if views is None else views.get(self.network.relative(op.path))
            f.accumulate, f.scratch = accumulate, self._scratch[turn.index][1]
            op.layer.backward(f)
            if self.watch is not None:
                self.watch(op.where, "backward", {"dy": f.dy, **_numbered("dx", f.dxs), **_prefixed("d", f.dw)})
            self._add_up(turn)
        self._copy_back()
        self._ran, self._wishes = "backward", wishes
        return self._view(program.input, memory.gradients) if dx else None

    @property
    def y(self) -> Array:
        """The output of the last forward; raises StalePassError where its memory has been reused."""
        self._check_fresh()
        return self._y

    @property
    def dcondition(self) -> Array:
        """The gradient of the condition; raises StalePassError where the last `backward` was not asked for it."""
        self._check_fresh()
        if self._ran != "backward" or not self._wishes[2] or self._program.condition is None:
            raise StalePassError(f"{self}: there is no gradient of the condition; run backward(..., dcondition=True)")
        return self._view(self._program.condition, self._memory.gradients)

    # ---------------------------------------------------------------- second order

    def rforward(
        self, rx: Array | None = None, *, rtheta: Array | None = None, rcondition: Array | None = None
    ) -> Array:
        """Run the R-operator on the last `forward`: the derivative of y along a direction of input and weights.

        Pearlmutter (1994), "Fast exact multiplication by the Hessian". It may run again and again, with other
        directions.

        Parameters
        ----------
        rx : array (batch, *input_shape), optional
            The direction of the input; zero unless given. Copied.
        rtheta : array (P,), optional
            The direction of the weights; zero unless given. It must stay as it is until `rbackward` has run.
        rcondition : array (batch, *condition_shape), optional
            The direction of the condition; zero unless given. Copied.

        Returns
        -------
        array (batch, *output_shape)
            ry, a view of the Pass's memory, until the next `rforward`.

        Raises
        ------
        StalePassError, ShapeError, DTypeError, ConfigError
            As for `backward`.
        """
        self._check_second_order()
        program, memory = self._program, self._memory
        for what, value, given in (("rx", program.input, rx), ("rcondition", program.condition, rcondition)):
            if given is None:
                continue
            if value is None or value not in memory.rvalues:
                raise ConfigError(f"{self}: {what} was given, but there is nothing real to differentiate by")
            self._take(value, memory.rvalues, given, what)
        if rtheta is not None:
            self._check(rtheta, (self.network.size,), self.network.dtype, "rtheta")
            rtheta = self.network.backend.xp.ascontiguousarray(rtheta)
        self._rvector = rtheta
        self._rtheta = None if rtheta is None else self.network.gradient_views(rtheta)
        self._moved = rforward_active(program, rx is not None, rtheta is not None, rcondition is not None)
        key = ("rforward", self._moved, rtheta is not None)
        if key not in self._sweeps:
            self._sweeps[key] = self._stacks.rforward(self._moved, rtheta is not None)
        for i in self._sweeps[key] if self.watch is None else range(len(self._ops)):
            if isinstance(i, Tape):
                self._play(i, direction=rtheta)
                continue
            op, f = self._ops[i], self._frames[i]
            if op.output in self._moved:
                self._set_directions(op, f)
                f.scratch = self._scratch[i][2]
                op.layer.rforward(f)
                if self.watch is not None:
                    self.watch(op.where, "rforward", {**_numbered("rx", f.rxs), **_prefixed("r", f.rw), "ry": f.ry})
        return self._zero_unless(program.output.root in self._moved, program.output, memory.rvalues)

    def rbackward(
        self,
        rdy: Array | None = None,
        *,
        rdtheta: Array | None = None,
        accumulate: bool = False,
        rdx: bool = True,
        rdcondition: bool = False,
    ) -> Array | None:
        """Run the R-operator on the last `backward`, along the direction of the last `rforward`.

        What `backward` returned is a function of the input, the weights and dy; this is its derivative, with input
        and weights moving as in `rforward` and dy moving along rdy. For a loss l(y) with rdy = l'' ry it is a product
        with the Hessian; with rdy = 0 and rx = dP/dg it is the gradient of a penalty P(g) on g = dx.

        Parameters
        ----------
        rdy : array (batch, *output_shape), optional
            The direction of dy; zero unless given. Copied.
        rdtheta : array (P,), optional
            Where the R-derivative of the weight gradient goes.
        accumulate : bool
            Add to `rdtheta` instead of overwriting it.
        rdx, rdcondition : bool
            Compute the R-derivative of the gradient of the input, of the condition (read from `Pass.rdcondition`).

        Returns
        -------
        array (batch, *input_shape) or None
            The R-derivative of dx, a view of the Pass's memory; None where it was not asked for.

        Raises
        ------
        StalePassError
            `backward` has not run since `forward`, or was not asked for a gradient that this reads.
        ShapeError, DTypeError, ConfigError
            As for `backward`.
        """
        self._check_second_order()
        program, memory, network = self._program, self._memory, self.network
        if self._ran != "backward":
            raise StalePassError(f"{self}: rbackward differentiates a backward, and none has run since forward")
        self._check_wishes(memory.rgradients, rdx=rdx, rdcondition=rdcondition)
        wishes = (rdtheta is not None, rdx, rdcondition)
        rdtheta, views = self._weight_gradients(rdtheta, "rdtheta")
        if rdy is not None:
            self._check(rdy, program.output.spec.shape, network.dtype, "rdy")
            self._view(program.output, memory.rgradients)[...] = rdy
        key = (wishes, self._moved, rdy is not None, self._rtheta is not None)
        if (key, self._wishes) not in self._turns:
            found = rbackward_turns(program, memory, *key)
            for op in unknown_gradients(program, self._turns[self._wishes], found):
                raise StalePassError(
                    f"{self}: rbackward reads dy of {op.where}, which the last backward was not asked to compute; "
                    "give it dtheta, dx=True or dcondition=True"
                )
            self._turns[key, self._wishes] = found
            self._sweeps[key, self._wishes] = self._stacks.rbackward(found, wishes[0], self._moved, key[3])
        turns = self._turns[key, self._wishes]
        if views is not None and not accumulate:
            ran = {network.relative(self._ops[turn.index].path) for turn in turns}
            for path in views.keys() - ran:
                for array in views[path].values():
                    array[...] = 0
        written = set() if rdy is None else {program.output.root}
        for turn in turns if self.watch is not None else self._sweeps[key, self._wishes]:
            if isinstance(turn, Tape):
                self._play(turn, target=rdtheta, direction=self._rvector, accumulate=accumulate)
                written |= {self._ops[t.index].inputs[0].root for t in turn.turns if t.into[0] is not None}
                continue
            op, f = self._ops[turn.index], self._frames[turn.index]
            self._set_directions(op, f)
            f.rdy = self._direction(op, op.output, memory.rgradients, not turn.silent)
            f.rdxs = self._targets(op, turn)
            f.rdx = f.rdxs[0]
            f.rdw = None if views is None else views.get(network.relative(op.path))
            f.accumulate, f.scratch = accumulate, self._scratch[turn.index][3]
            op.layer.rbackward(f)
            written |= {x.root for x, block in zip(op.inputs, turn.into, strict=True) if block is not None}
            if self.watch is not None:
                self.watch(op.where, "rbackward", {**_numbered("rdx", f.rdxs), **_prefixed("rd", f.rdw)})
            self._add_up(turn)
        self._copy_back()
        self._rwishes = wishes
        for wish, value in ((rdx, program.input), (rdcondition, program.condition)):
            if wish and value is not None:
                self._zero_unless(value in written, value, memory.rgradients)
        return self._view(program.input, memory.rgradients) if rdx else None

    @property
    def rdcondition(self) -> Array:
        """The R-derivative of the condition's gradient, of the last ``rbackward(..., rdcondition=True)``."""
        self._check_fresh()
        if not self._rwishes[2] or self._program.condition is None:
            raise StalePassError(f"{self}: there is none; run rbackward(..., rdcondition=True)")
        return self._view(self._program.condition, self._memory.rgradients)

    def _set_directions(self, op: Op, f: Frame) -> None:
        """Hand rx and rw to a frame."""
        rvalues = self._memory.rvalues
        f.rxs = tuple(self._direction(op, x, rvalues, x.root in self._moved) for x in op.inputs)
        f.rx = f.rxs[0]
        f.rw = None if self._rtheta is None else self._rtheta.get(self.network.relative(op.path))
        if op.output not in self._moved and op.output in rvalues:
            f.ry[...] = 0  # rforward left it out

    def _direction(self, op: Op, value: Value, blocks: dict[Value, Block], moves: bool) -> Array | None:
        """Return a direction, zeros where it does not move; None if the layer takes that for zero (or for integers)."""
        if value.root not in blocks or (not moves and op.layer.sparse):
            return None
        return self._zero_unless(moves, value, blocks)

    def _zero_unless(self, moves: bool, value: Value, blocks: dict[Value, Block]) -> Array:
        array = self._view(value, blocks)
        if not moves:
            array[...] = 0
        return array

    # ---------------------------------------------------------------- sweeps

    def _play(
        self, tape: Tape, target: Array | None = None, direction: Array | None = None, accumulate: bool = False
    ) -> None:
        """Run a sweep through a stack."""
        network, none = self.network, self._none
        into = none if target is None else target[tape.low : tape.high]
        along = none if direction is None else direction
        network.backend.kernels.stack.run(
            tape.rows, self.batch, self._flat, network.weights, along, into, tape.partials, accumulate
        )

    def _targets(self, op: Op, turn: Turn) -> tuple[Array | None, ...]:
        """Return where an operation writes the gradients of its inputs."""
        found = self._turn_targets.get(id(turn))  # turns live as long as the Pass; views are made once
        if found is None:
            found = tuple(
                None if block is None else self._bound[block].reshape(x.spec.shape)
                for block, x in zip(turn.into, op.inputs, strict=True)
            )
            self._turn_targets[id(turn)] = found
        return found

    def _add_up(self, turn: Turn) -> None:
        """Add the gradients of values that had one already."""
        for part, total in zip(turn.into, turn.add_to, strict=True):
            if part is not None and total is not None:
                self.network.backend.xp.add(self._bound[total], self._bound[part], out=self._bound[total])

    def _weight_gradients(self, vector: Array | None, what: str) -> tuple[Array | None, Views | None]:
        """Return what gradients are written to and its views; a copy, where the vector is not in one piece."""
        self._strided = None
        if vector is None:
            return None, None
        self._check(vector, (self.network.size,), self.network.dtype, what)
        if self.network.backend.xp.may_share_memory(vector, self.network.theta):
            raise ConfigError(f"{self}: {what} is the network's own weights; give network.grad or another vector")
        if not getattr(vector.flags, "writeable", True):  # CuPy's flags do not have it
            raise ConfigError(f"{self}: {what} is read-only; give network.grad or another vector")
        if not vector.flags.c_contiguous:  # kernels want rows in one piece
            self._strided = (vector, vector.copy())
            vector = self._strided[1]
        return vector, self.network.gradient_views(vector)

    def _copy_back(self) -> None:
        """Hand over gradients that were written to a copy."""
        if self._strided is not None:
            vector, copy = self._strided
            vector[...] = copy
            self._strided = None

    # ---------------------------------------------------------------- checks

    def _take(self, value: Value, blocks: dict[Value, Block], given: Array, what: str) -> None:
        """Copy what the user gave into the Pass."""
        dtype = self._memory.dtype(value.spec)
        if dtype.kind == "i" and getattr(given, "dtype", None) is not None and given.dtype.kind in "iu":
            self._check(given, value.spec.shape, given.dtype, what)
        else:
            self._check(given, value.spec.shape, dtype, what)
        self._bound[blocks[value]][...] = given

    def _check_wishes(self, gradients: Collection[Value], **wishes: bool) -> None:
        values = (self._program.input, self._program.condition)
        for (what, wish), value in zip(wishes.items(), values, strict=True):
            if wish and (value is None or value not in gradients or not self._memory.flow.differentiable(value)):
                raise ConfigError(
                    f"{self}: {what} was asked for, but there is nothing real to differentiate by; give {what}=False"
                )

    def _check_second_order(self) -> None:
        if self.order < 2:
            raise ConfigError(f"{self} was planned with order={self.order}; make it with order=2 for the R-maps")
        self._check_fresh()

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


def _numbered(name: str, arrays: tuple[Array | None, ...]) -> dict[str, Array]:
    return {f"{name}{i or ''}": array for i, array in enumerate(arrays) if array is not None}


def _prefixed(prefix: str, arrays: dict[str, Array] | None) -> dict[str, Array]:
    return {f"{prefix}{name}": array for name, array in (arrays or {}).items()}
