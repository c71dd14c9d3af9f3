"""The half of a Pass that training mostly needs: forward and backward."""

from __future__ import annotations

from typing import TYPE_CHECKING

from npgan.backend.base import Array
from npgan.backend.recording import Step
from npgan.backend.sizes import size_text
from npgan.errors import ConfigError, NpganError, ShapeError, StalePassError
from npgan.layers.base import Frame
from npgan.network.checks import check_array, check_target, check_wishes
from npgan.network.frames import Frames
from npgan.network.memory import Arena, Block
from npgan.network.pass_plan import PassPlan
from npgan.network.planning import Wishes
from npgan.network.program import Value
from npgan.network.tapes import Tape
from npgan.network.watch import Watch, numbered, prefixed

if TYPE_CHECKING:
    from npgan.network.network import Network

Views = dict[str, dict[str, Array]]  # of a vector like theta, by layer and name


class FirstOrder:
    """Forward and backward, and what they and the R-maps share. See `Pass`."""

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
        twin: FirstOrder | None = None,
    ) -> None:
        self.network, self.train, self.order, self.keep, self.name = network, train, order, keep, name
        self.arena = arena if arena is not None else Arena(network.backend)
        self._fuse, self._together = fuse, (self,) if twin is None else (twin, self)  # who goes forward at once
        if twin is not None:
            twin._together = self._together
        self._plan: PassPlan = PassPlan(
            network,
            str(self),
            batch,
            train=train,
            order=order,
            keep=keep,
            fuse=fuse,
            around=self.arena.around(),
            twin=None if twin is None else twin._plan,
        )
        self._program, self._memory, self._ops = self._plan.program, self._plan.memory, self._plan.ops
        self.batch, self.nbytes = int(batch), self._plan.nbytes
        self.arena.reserve(network.backend, self.nbytes)
        self._meanwhile: Arena | None = None
        self._region: Array | None = None
        self._none = network.backend.empty((0,), network.dtype)
        self._version = -1  # of the weights at the last forward
        self.watch: Watch | None = None
        self.step: Step = 0
        self._ran = "nothing"
        self._wishes: Wishes = (False, False, False)  # of the last backward
        self._rwishes: Wishes = (False, False, False)  # of the last rbackward
        self._moved: frozenset[Value] = frozenset()  # the values with an R-derivative, of the last rforward
        self._rvector: Array | None = None  # the direction of the weights, and its views
        self._rtheta: Views | None = None
        self._strided: tuple[Array, Array] | None = None  # a vector of gradients that is not in one piece, and a copy

    def _bind(self) -> None:
        """Take the arena's region, and lay the arrays into it."""
        region = self.arena.claim(self)
        if region is not self._region:
            self._region, self._frames = region, Frames(self, self._plan, region)
            self._y = self.network.backend.read_only(self._frames.view(self._program.output, self._memory.values))

    # ---------------------------------------------------------------- first order

    def forward(
        self,
        x: Array | tuple[Array, ...],
        condition: Array | None = None,
        *,
        step: Step = 0,
        update_stats: bool | None = None,
    ) -> Array:
        """Run the network.

        Parameters
        ----------
        x : array (batch, *input_shape)
            Copied: it may change afterwards, and need not be contiguous. Or several, of equal size, that make one.
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
        for each in self._together:
            each._bind()
            each._ran = "nothing"
        self._take(self._program.input, self._memory.values, x, "x")
        if self._program.condition is not None:
            if condition is None:
                raise ConfigError(f"{self}: the network reads a condition; give forward(x, condition)")
            self._take(self._program.condition, self._memory.values, condition, "condition")
        elif condition is not None:
            raise ConfigError(f"{self}: a condition was given, but no layer of the network reads one")
        self.step = step
        update = self.train if update_stats is None else update_stats
        backend = self.network.backend
        recording, kernels, xp = backend.recording is not None, backend.kernels, backend.arrays
        sweep, frames = self._plan.forward, self._frames.paired
        if self.watch is not None:
            sweep, frames = list(range(len(self._ops))), self._frames.each
        for i in sweep:
            if isinstance(i, Tape):
                self._play(i)
                continue
            op, f = self._ops[i], frames[i]
            f.update_stats, f.recording, f.k, f.xp = update, recording, kernels, xp
            f.scratch = self._frames.scratch[i][0]
            try:
                op.layer.forward(f)
            except NpganError as error:
                raise type(error)(f"{op.where}: {error}") from None
            if self.watch is not None:
                self.watch(op.where, "forward", {**numbered("x", f.xs), **f.w, "y": f.y})
        for each in self._together:
            each._version, each._ran = self.network.version, "forward"
            each._rwishes = (False, False, False)
        self._set_moved(frozenset(), None, None)
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
        if self._ran != "forward" and self.keep != "all" and (self.order < 2 or self.keep == "once"):
            raise StalePassError(
                f"{self}: backward has run, and reused the memory of what it read; "
                "run forward again, or plan with keep='all'"
            )
        program, memory = self._program, self._memory
        check_array(self, dy, program.output.spec.shape, self.network.dtype, "dy")
        check_wishes(self, program, memory, dx=dx, dcondition=dcondition)
        wishes = (dtheta is not None, dx, dcondition)
        dtheta, views = self._weight_gradients(dtheta, "dtheta")
        self.arena.take(self)
        self.network.backend.copy(self._frames.view(program.output, memory.gradients), dy)
        sweep, frames = self._plan.backward(wishes), self._frames.paired
        kernels, xp = self.network.backend.kernels, self.network.backend.arrays
        if self.watch is not None:
            sweep, frames = self._plan.turns(wishes), self._frames.each
        for turn in sweep:
            if isinstance(turn, Tape):
                self._play(turn, target=dtheta, accumulate=accumulate)
                continue
            op, f = self._ops[turn.index], frames[turn.index]
            f.dxs = self._frames.targets(op, turn)
            f.dx = f.dxs[0]
            f.dw = None if views is None else views.get(self.network.relative(op.path))
            f.accumulate, f.k, f.xp, f.scratch = accumulate, kernels, xp, self._frames.scratch[turn.index][1]
            op.layer.backward(f)
            if self.watch is not None:
                self.watch(op.where, "backward", {"dy": f.dy, **numbered("dx", f.dxs), **prefixed("d", f.dw)})
            self._frames.add_up(turn)
        self._copy_back()
        self._ran, self._wishes = "backward", wishes
        return self._frames.view(program.input, memory.gradients) if dx else None

    @property
    def meanwhile(self) -> Arena:
        """The arena for Passes that run between this one's forward and its backward, which then makes them stale."""
        if self._meanwhile is None:
            self._meanwhile = Arena(self.network.backend, self)
        return self._meanwhile

    def around(self) -> list[Block]:
        """Return what Passes in `meanwhile` must leave alone, with its life in their time."""
        return self._memory.around()

    @property
    def y(self) -> Array:
        """The output of the last forward; raises StalePassError where its memory has been reused."""
        self._check_fresh()
        return self._y

    @property
    def repeatable(self) -> bool:
        """Whether `forward` is a function of its input and the weights alone: no state, nothing that is drawn."""
        return self.network.state.size == 0 and not (self.train and any(op.layer.draws for op in self._ops))

    @property
    def stacked(self) -> bool:
        """Whether all that it does is one sweep through a stack of small dense layers each time."""
        return len(self._plan.forward) == 1 and isinstance(self._plan.forward[0], Tape)

    @property
    def dcondition(self) -> Array:
        """The gradient of the condition; raises StalePassError where the last `backward` was not asked for it."""
        self._check_fresh()
        if self._ran == "forward" or not self._wishes[2] or self._program.condition is None:
            raise StalePassError(f"{self}: there is no gradient of the condition; run backward(..., dcondition=True)")
        return self._frames.view(self._program.condition, self._memory.gradients)

    # ---------------------------------------------------------------- sweeps

    def _play(
        self, tape: Tape, target: Array | None = None, direction: Array | None = None, accumulate: bool = False
    ) -> None:
        """Run a sweep through a stack."""
        network, none = self.network, self._none
        into = none if target is None else target[tape.low : tape.high]
        along = none if direction is None else direction
        vectors = (self._frames.flat, network.weights, along, into)
        network.backend.kernels.stack.run(tape.rows, self.batch, *vectors, tape.partials, tape.scratch, accumulate)

    def _set_moved(self, moved: frozenset[Value], rvector: Array | None, rtheta: Views | None) -> None:
        for each in self._together:
            each._moved, each._rvector, each._rtheta = moved, rvector, rtheta

    def _weight_gradients(self, vector: Array | None, what: str) -> tuple[Array | None, Views | None]:
        """Return what gradients are written to and its views; a copy, where the vector is not in one piece."""
        self._strided = None
        if vector is None:
            return None, None
        check_target(self, vector, what)
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

    def _take(self, value: Value, blocks: dict[Value, Block], given: Array | tuple[Array, ...], what: str) -> None:
        """Copy what the user gave into the Pass."""
        parts = given if isinstance(given, tuple) else (given,)
        if not parts or self.batch % len(parts):
            raise ShapeError(
                f"{self}: {what} is in {len(parts)} parts, which cannot make a batch of {self.batch} equally"
            )
        into, n = self._frames.view(value, blocks), self.batch // len(parts)
        for i, part in enumerate(parts):
            check_array(self, part, (n, *value.spec.shape[1:]), self._memory.dtype(value.spec), what)
            self.network.backend.copy(into[n * i : n * (i + 1)], part)

    def _check_fresh(self) -> None:
        if self._ran == "nothing":
            raise StalePassError(f"{self}: forward has not run")
        if self.arena.owner not in self._together:
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
            for op, f in zip(self._ops, self._frames.each, strict=True)
            if path in (op.path, self.network.relative(op.path))
        ]
        if not found:
            raise ConfigError(f"{self} has no layer at {path!r}; there is {', '.join(op.path for op in self._ops)}")
        return found[0]

    def __str__(self) -> str:
        return f"{self.network.name}.{self.name}"

    def __repr__(self) -> str:
        return f"<Pass {self}: batch {self.batch}, order {self.order}, {size_text(self.nbytes)}>"
