"""Pass: one call site of a network at one batch size, with the memory that the call needs.

Planned once, run as often as you like; nothing is allocated while it runs. Forward and backward are in
`first_order`; here are the R-maps.
"""

from __future__ import annotations

from typing import Any

from npgan.backend.base import Array
from npgan.errors import ConfigError, StalePassError
from npgan.layers.base import Frame
from npgan.network.checks import check_array, check_wishes
from npgan.network.first_order import FirstOrder
from npgan.network.memory import Block
from npgan.network.program import Op, Value
from npgan.network.tapes import Tape
from npgan.network.turns import rforward_active
from npgan.network.watch import numbered, prefixed


class Pass(FirstOrder):
    """One call of a network, with its memory. Made by `Network.new_pass`, which describes the arguments.

    The arrays that `forward` and `backward` return are views of the Pass's own memory: they hold until its next
    `forward`, or, with an arena, until another Pass of that arena runs.

    Attributes
    ----------
    watch : callable or None
        Where set, it is called after every map of every layer as ``watch("D/3 BatchNorm", "forward", {"y": ...})``
        with the arrays that the map read or wrote: for finding a NaN, or for seeing every number.
    """

    def twin(self, name: str) -> Pass:
        """Return a Pass that goes forward together with this one, and back on its own.

        What the one's `forward` and `rforward` find is the other's too, in the same memory; each has gradients and
        their R-derivatives for itself. So two losses of one output go back side by side, and a product J u takes one
        `rforward` for both.

        Raises
        ------
        ConfigError
            It is not of order 2, for which alone everything is kept, or has a twin.
        """
        if self.order < 2 or self.keep == "once" or len(self._together) > 1:
            raise ConfigError(f"{self}: a twin is for one of order 2 that has none, and this is {self!r}")
        options: dict[str, Any] = {"train": self.train, "order": self.order, "keep": self.keep, "fuse": self._fuse}
        return Pass(self.network, self.batch, arena=self.arena, name=name, twin=self, **options)

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
        self._check_once("backward")
        program, memory = self._program, self._memory
        for what, value, given in (("rx", program.input, rx), ("rcondition", program.condition, rcondition)):
            if given is None:
                continue
            if value is None or value not in memory.rvalues:
                raise ConfigError(f"{self}: {what} was given, but there is nothing real to differentiate by")
            self._take(value, memory.rvalues, given, what)
        if rtheta is not None:
            check_array(self, rtheta, (self.network.size,), self.network.dtype, "rtheta")
            rtheta = self.network.backend.xp.ascontiguousarray(rtheta)
        self._set_moved(
            rforward_active(program, rx is not None, rtheta is not None, rcondition is not None),
            rtheta,
            None if rtheta is None else self.network.gradient_views(rtheta),
        )
        sweep = self._plan.rforward(self._moved, rtheta is not None)
        for i in sweep if self.watch is None else range(len(self._ops)):
            if isinstance(i, Tape):
                self._play(i, direction=rtheta)
                continue
            op, f = self._ops[i], self._frames.each[i]
            if op.output in self._moved:
                self._set_directions(op, f)
                f.scratch = self._frames.scratch[i][2]
                op.layer.rforward(f)
                if self.watch is not None:
                    self.watch(op.where, "rforward", {**numbered("rx", f.rxs), **prefixed("r", f.rw), "ry": f.ry})
        if self.keep == "once":
            self._ran = "rforward"
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
        self._check_once("rforward")
        if self._ran == "forward":
            raise StalePassError(f"{self}: rbackward differentiates a backward, and none has run since forward")
        check_wishes(self, program, memory, rdx=rdx, rdcondition=rdcondition)
        wishes = (rdtheta is not None, rdx, rdcondition)
        rdtheta, views = self._weight_gradients(rdtheta, "rdtheta")
        if rdy is not None:
            check_array(self, rdy, program.output.spec.shape, network.dtype, "rdy")
            network.backend.copy(self._frames.view(program.output, memory.rgradients), rdy)
        rwishes = (wishes, self._moved, rdy is not None, self._rtheta is not None)
        turns = self._plan.rturns(rwishes, self._wishes)
        if views is not None and not accumulate:
            ran = {network.relative(self._ops[turn.index].path) for turn in turns}
            for path in views.keys() - ran:
                for array in views[path].values():
                    network.backend.kernels.arrays.zero(array)
        written = set() if rdy is None else {program.output.root}
        sweep = self._plan.rbackward(rwishes, self._wishes)
        for turn in sweep if self.watch is None else turns:
            if isinstance(turn, Tape):
                self._play(turn, target=rdtheta, direction=self._rvector, accumulate=accumulate)
                written |= {self._ops[t.index].inputs[0].root for t in turn.turns if t.into[0] is not None}
                continue
            op, f = self._ops[turn.index], self._frames.each[turn.index]
            self._set_directions(op, f)
            f.rdy = self._direction(op, op.output, memory.rgradients, not turn.silent)
            f.rdxs = self._frames.targets(op, turn)
            f.rdx = f.rdxs[0]
            f.rdw = None if views is None else views.get(network.relative(op.path))
            f.accumulate, f.scratch = accumulate, self._frames.scratch[turn.index][3]
            op.layer.rbackward(f)
            written |= {x.root for x, block in zip(op.inputs, turn.into, strict=True) if block is not None}
            if self.watch is not None:
                self.watch(op.where, "rbackward", {**numbered("rdx", f.rdxs), **prefixed("rd", f.rdw)})
            self._frames.add_up(turn)
        self._copy_back()
        self._rwishes = wishes
        if self.keep == "once":
            self._ran = "rbackward"
        for wish, value in ((rdx, program.input), (rdcondition, program.condition)):
            if wish and value is not None:
                self._zero_unless(value in written, value, memory.rgradients)
        return self._frames.view(program.input, memory.rgradients) if rdx else None

    @property
    def ry(self) -> Array:
        """The R-derivative of the output, of the last `rforward`; raises StalePassError where there is none."""
        self._check_second_order()
        if self._program.output.root not in self._moved:
            raise StalePassError(f"{self}: the output has no R-derivative; run rforward along something that moves it")
        return self._frames.view(self._program.output, self._memory.rvalues)

    @property
    def rdcondition(self) -> Array:
        """The R-derivative of the condition's gradient, of the last ``rbackward(..., rdcondition=True)``."""
        self._check_fresh()
        if not self._rwishes[2] or self._program.condition is None:
            raise StalePassError(f"{self}: there is none; run rbackward(..., rdcondition=True)")
        return self._frames.view(self._program.condition, self._memory.rgradients)

    def _set_directions(self, op: Op, f: Frame) -> None:
        """Hand rx and rw to a frame, and what computes."""
        rvalues = self._memory.rvalues
        f.k, f.xp = self.network.backend.kernels, self.network.backend.arrays
        f.rxs = tuple(self._direction(op, x, rvalues, x.root in self._moved) for x in op.inputs)
        f.rx = f.rxs[0]
        f.rw = None if self._rtheta is None else self._rtheta.get(self.network.relative(op.path))
        if op.output not in self._moved and op.output in rvalues:
            self.network.backend.kernels.arrays.zero(f.ry)  # rforward left it out

    def _direction(self, op: Op, value: Value, blocks: dict[Value, Block], moves: bool) -> Array | None:
        """Return a direction, zeros where it does not move; None if the layer takes that for zero (or for integers)."""
        if value.root not in blocks or (not moves and op.layer.sparse):
            return None
        return self._zero_unless(moves, value, blocks)

    def _zero_unless(self, moves: bool, value: Value, blocks: dict[Value, Block]) -> Array:
        array = self._frames.view(value, blocks)
        if not moves:
            self.network.backend.kernels.arrays.zero(array)
        return array

    def _check_once(self, before: str) -> None:
        """Raise StalePassError where a Pass that can do its maps once, in order, is to do another one."""
        if self.keep == "once" and self._ran != before:
            raise StalePassError(
                f"{self} was planned with keep='once', for forward, backward, rforward and rbackward in this order, "
                f"and {self._ran} has run; run forward again, or plan without it"
            )

    def _check_second_order(self) -> None:
        if self.order < 2:
            raise ConfigError(f"{self} was planned with order={self.order}; make it with order=2 for the R-maps")
        self._check_fresh()
