"""What a Pass is planned to be: a block of memory for every array, when it is alive, and what depends on what.

Time counts calls: an operation has a slot, or a run of operations that are one call shares one. For n slots, forward of
slot i is at time i, backward at 2n - i, rforward at 2n + 1 + i, rbackward at 4n - i. Time n, between forward and
backward, is the pause in which other Passes may run. A block lives from when it is first written to when it is last
read, and blocks that never live together share memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from npgan.layers.base import Spec
from npgan.network.memory import Block
from npgan.network.neighbours import Neighbours
from npgan.network.program import Op, Program, Value

BEGIN, END = -1, 1 << 30
"""Before and after all calls, when users write and read."""
Wishes = tuple[bool, bool, bool]  # by the weights, the input, the condition


class Flow:
    """What each value depends on: weights, the input, the condition."""

    def __init__(self, program: Program) -> None:
        x, condition = program.input, program.condition
        self._on: dict[Value, Wishes] = {x: (False, x.spec.dtype == "float", False)}
        if condition is not None:
            self._on[condition] = (False, False, condition.spec.dtype == "float")
        for op in program.ops:
            sources = [self._on[value.root] for value in op.inputs]
            w, i, c = (any(source[k] for source in sources) for k in range(3))
            self._on[op.output] = (w or bool(op.plan.parameters), i, c)

    def differentiable(self, value: Value) -> bool:
        """Return whether the value depends on anything that one can differentiate by."""
        return any(self._on[value])

    def wanted(self, value: Value, wishes: Wishes) -> bool:
        """Return whether the value depends on something of which a derivative is wished for."""
        return any(on and wish for on, wish in zip(self._on[value], wishes, strict=True))


class Memory:
    """The blocks of a Pass.

    Attributes
    ----------
    values, gradients : dict of Value to Block
        Of the arrays between operations, by the value whose memory they are.
    partial : dict of (Op, int) to Block
        Of the second and later gradients of a value that several operations read.
    rvalues, rgradients, rpartial
        The same for the R-maps.
    saved : list of dict of str to Block
        Of each operation.
    scratch : list of tuple of dict of str to Block
        Of each operation and each of its maps, in the order of their times.
    moments : dict of int to Block
        Of what an operation makes, by its number.

    Parameters
    ----------
    slots : sequence of int
        When each operation runs.
    near : Neighbours
    twin : Memory, optional
        Another Pass's, whose `values`, `saved` and `rvalues` are this one's too.
    """

    def __init__(
        self,
        program: Program,
        dtype: np.dtype[Any],
        order: int,
        keep: str,
        slots: Sequence[int],
        near: Neighbours,
        twin: Memory | None = None,
    ) -> None:
        self._program, self._dtype, self._order, self._slots = program, dtype, order, slots
        self._near = near
        self.flow = Flow(program)
        self.values: dict[Value, Block] = {}
        self.gradients: dict[Value, Block] = {}
        self.partial: dict[tuple[Op, int], Block] = {}
        self.rvalues: dict[Value, Block] = {}
        self.rgradients: dict[Value, Block] = {}
        self.rpartial: dict[tuple[Op, int], Block] = {}
        self.saved: list[dict[str, Block]] = []
        self.scratch: list[tuple[dict[str, Block], ...]] = []
        self.moments = {
            i: self._block(spec, slots[i], slots[reader])
            for i, reader in near.measured.items()
            if (spec := program.ops[i].plan.moments) is not None
        }
        self._pause = n = len(set(slots))
        self._border = [v for v in (program.input, program.condition, program.output.root) if v is not None]
        self._plan_scratch(n)
        if twin is None:
            self._plan_values(n)
        else:
            self.values, self.saved, self.rvalues = twin.values, twin.saved, twin.rvalues
        self._twin = twin
        if order >= 1:
            self._plan_gradients(self.gradients, self.partial, 2 * n)
        if order == 2:
            if twin is None:
                self._plan_rvalues(n)
            self._plan_gradients(self.rgradients, self.rpartial, 4 * n)
        if keep == "all":
            _live_on(self.blocks(), END)
        elif order == 2 and keep == "once":
            self._keep_for_rbackward(n)
        elif order == 2:  # R-sweeps may run many times after one forward, and backward between rforward and rbackward
            groups = (self.values, self.gradients, self.rvalues)
            _live_on([*(block for group in groups for block in group.values()), *self._saved_blocks()], END)

    def blocks(self) -> list[Block]:
        """Return all of them."""
        groups: list[Mapping[Any, Block]] = [self.values, self.gradients, self.partial, self.moments]
        groups += [self.rvalues, self.rgradients, self.rpartial]
        groups += [scratch for maps in self.scratch for scratch in maps]
        found = [*(block for group in groups for block in group.values()), *self._saved_blocks()]
        return list(dict.fromkeys(found))  # two gradients may be in one

    def to_place(self, around: Iterable[Block]) -> tuple[list[Block], list[Block]]:
        """Return the blocks that have no place yet, and what they must leave alone: `around`, and all of the twin's."""
        placed = [] if self._twin is None else self._twin.blocks()
        taken = set(placed)
        own = [block for block in self.blocks() if block not in taken]
        return own, [*around, *(replace(block, first=BEGIN, last=END) for block in placed)]

    def held(self) -> list[Block]:
        """Return the blocks that hold something in the pause, or after it all."""
        return [block for block in self.blocks() if block.first < self._pause < block.last or block.last == END]

    def around(self) -> list[Block]:
        """Return what Passes that run in the pause must leave alone, with its life in their time.

        What is held lives always. Where `backward` copies the gradient to that it is given, they may write, but not
        what outlives them: that may be the gradient.
        """
        always = [replace(block, first=BEGIN, last=END) for block in self.held()]
        return always + [
            replace(self.gradients[value], first=END, last=END)
            for value in (self._program.output.root,)
            if value in self.gradients
        ]

    def dtype(self, spec: Spec) -> np.dtype[Any]:
        """Return the NumPy dtype of a spec."""
        return self._dtype if spec.dtype == "float" else np.dtype(spec.dtype)

    def _saved_blocks(self) -> list[Block]:
        return [block for saved in self.saved for block in saved.values()]

    def _block(self, spec: Spec, *times: int) -> Block:
        return Block(spec.shape, self.dtype(spec), min(times), max(times))

    def _plan_values(self, n: int) -> None:
        program, ops, pairs = self._program, self._program.ops, self._near.pairs
        for value in self._border[:-1] if program.ops else self._border:
            self.values[value] = self._block(value.spec, BEGIN)
        for k, (i, op) in enumerate(zip(self._slots, program.ops, strict=True)):
            back = 2 * n - i if self._order else i
            # Where an activation is done in the call before it, what it is done to has no place of its own.
            here = self.values[ops[k - 1].output] if k - 1 in pairs else self._block(op.output.spec, i)
            self.values[op.output] = here
            for x in op.inputs:
                self.values[x.root].alive(back if "x" in op.plan.keeps else i)
            if "y" in op.plan.keeps:
                self.values[op.output].alive(back)
            self.saved.append({name: self._block(spec, i, back) for name, spec in op.plan.saved.items()})
        for value in self._border:  # the user reads the output, and a replay reads the inputs
            self.values[value].alive(END)

    def _plan_scratch(self, n: int) -> None:
        for i, op in zip(self._slots, self._program.ops, strict=True):
            # Scratch holds nothing between two maps, so each map has its own, and shares its place with whatever.
            times = (i, 2 * n - i, 2 * n + 1 + i, 4 * n - i)[: (1, 2, 4)[self._order]]
            specs = [op.plan.scratch] * 2 + [{**op.plan.scratch, **op.plan.rscratch}] * 2
            self.scratch.append(
                tuple(
                    {name: self._block(spec, time) for name, spec in group.items()}
                    for time, group in zip(times, specs, strict=False)
                )
            )

    def _plan_gradients(self, gradients: dict[Value, Block], partial: dict[tuple[Op, int], Block], last: int) -> None:
        ops, output = self._program.ops, self._program.output.root
        real = Spec((), "float")
        gradients[output] = self._block(output.spec, last - self._slots[-1] if ops else 0)
        for i in reversed(range(len(ops))):
            op, back = ops[i], last - self._slots[i]
            if op.output in gradients:
                gradients[op.output].alive(back)
            for j, x in enumerate(op.inputs):
                if not self.flow.differentiable(x.root):
                    continue
                spec = Spec(x.root.spec.shape, real.dtype)
                if x.root not in gradients:
                    above = gradients.get(op.output) if i in self._near.overwriting else None
                    gradients[x.root] = above or self._block(spec, back)
                    gradients[x.root].alive(back)
                else:
                    gradients[x.root].alive(back)
                    partial[op, j] = self._block(spec, back)
        for value in (self._program.input, self._program.condition):
            if value is not None and value in gradients:
                gradients[value].alive(END)

    def _plan_rvalues(self, n: int) -> None:
        for value in self._border[:-1]:
            if value.spec.dtype == "float":
                self.rvalues[value] = self._block(value.spec, 2 * n)
        ops, pairs = self._program.ops, self._near.pairs
        for k, (i, op) in enumerate(zip(self._slots, ops, strict=True)):
            there, back = 2 * n + 1 + i, 4 * n - i
            here = self.rvalues[ops[k - 1].output] if k - 1 in pairs else self._block(op.output.spec, there, back)
            self.rvalues[op.output] = here
            for x in op.inputs:
                if x.root in self.rvalues:
                    self.rvalues[x.root].alive(back)
        self.rvalues[self._program.output.root].alive(END)

    def _keep_for_rbackward(self, n: int) -> None:
        """Let live until then what each operation's R-maps read: what its backward does, and dy."""
        for i, op, saved in zip(self._slots, self._program.ops, self.saved, strict=True):
            blocks = list(saved.values())
            blocks += [self.values[x.root] for x in op.inputs if "x" in op.plan.keeps]
            blocks += [self.values[op.output]] if "y" in op.plan.keeps else []
            if op.output in self.gradients and (op.layer.curved or op.plan.parameters):
                blocks.append(self.gradients[op.output])
            for block in blocks:
                block.alive(4 * n - i)


def _live_on(blocks: list[Block], end: int) -> None:
    for block in blocks:
        block.alive(BEGIN)
        block.alive(end)
