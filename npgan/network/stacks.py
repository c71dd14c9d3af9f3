"""Dense stacks are run in one call, by tapes.

A stack is a run of small dense layers and piecewise-linear activations. The tapes compute what the layers' own maps
compute, on the same blocks of memory: an optimisation of how a Pass runs, which a Pass that keeps everything or is
watched does without. Two things are saved besides the calls: the value between a dense layer and its activation is not
written, and a bias is summed while its gradient is made.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from npgan.kernels.stack.tape import Code, Column
from npgan.layers.activations import LeakyReLU, PiecewiseLinear, ReLU
from npgan.layers.dense import Dense
from npgan.network.neighbours import count_readers
from npgan.network.program import Op, Program, Value
from npgan.network.tapes import Tape, Writer, width

if TYPE_CHECKING:
    from npgan.network.network import Network
    from npgan.network.planning import Memory
    from npgan.network.turns import Turn

_LARGEST = 1 << 16  # elements of a weight: threads that share samples each read all of it


def find_stacks(program: Program) -> list[range]:
    """Return the operations that can be run by tapes, as ranges; each begins with a dense layer."""
    runs: list[range] = []
    for i, op in enumerate(program.ops):
        if runs and runs[-1].stop == i and _fits(op):
            runs[-1] = range(runs[-1].start, i + 1)
        elif type(op.layer) is Dense and _fits(op):  # what comes before may be images, which tapes are not made for
            runs.append(range(i, i + 1))
    return runs


def slots(program: Program, calls: Iterable[range]) -> list[int]:
    """Return when each operation runs, counting calls: all of a stack at once, as some rows are ahead of others."""
    first = {i: call.start for call in calls for i in call}
    order = {start: slot for slot, start in enumerate(sorted({first.get(i, i) for i in range(len(program.ops))}))}
    return [order[first.get(i, i)] for i in range(len(program.ops))]


def _fits(op: Op) -> bool:
    # Exactly these classes: a subclass may compute something else.
    if type(op.layer) is Dense:
        return prod(op.plan.parameters["weight"].shape) <= _LARGEST
    return type(op.layer) in (ReLU, LeakyReLU)


class Stacks:
    """What writes the tapes of a Pass."""

    def __init__(self, network: Network, program: Program, memory: Memory, runs: Sequence[range]) -> None:
        self._network, self._program, self._memory = network, program, memory
        self._run_of = {i: run for run in runs for i in run}
        self._ranges = network.layout.ranges()
        readers = count_readers(program)
        self._joined = {  # dense layers whose activation is applied at once
            i
            for i, run in self._run_of.items()
            if i + 1 in run
            and isinstance(program.ops[i].layer, Dense)
            and not isinstance(program.ops[i + 1].layer, Dense)
            and program.ops[i + 1].inputs[0] is program.ops[i].output
            and readers[program.ops[i].output] == 1
        }

    def forward(self) -> list[int | Tape]:
        """Return the sweep of `Pass.forward`: operations by number, and tapes."""
        values = self._memory.values
        sweep: list[int | Tape] = []
        for stack in self._divide(range(len(self._program.ops))):
            if isinstance(stack, int):
                sweep.append(stack)
                continue
            write = Writer()
            for i in stack:
                op = self._program.ops[i]
                out = values[self._output(i)]
                if isinstance(op.layer, Dense):
                    write.product(op, out, values[op.inputs[0].root], self._at(op, "weight"))
                    if "bias" in op.plan.parameters and i not in self._joined:
                        write.bend(op, out, out, 1.0, self._at(op, "bias"))
                elif i - 1 in self._joined:
                    dense = self._program.ops[i - 1]
                    bias = self._at(dense, "bias") if "bias" in dense.plan.parameters else -1
                    write.bend(op, out, out, _slope(op), bias)
                else:
                    write.bend(op, out, values[op.inputs[0].root], _slope(op))
            sweep.append(self._finish(write))
        return sweep

    def rforward(self, moved: Collection[Value], rtheta: bool) -> list[int | Tape]:
        """Return the sweep of `Pass.rforward`, for these values moving and these weights."""
        values, rvalues = self._memory.values, self._memory.rvalues
        sweep: list[int | Tape] = []
        for stack in self._divide([i for i, op in enumerate(self._program.ops) if op.output in moved]):
            if isinstance(stack, int):
                sweep.append(stack)
                continue
            write = Writer()
            for i in stack:
                op = self._program.ops[i]
                x, out = op.inputs[0].root, rvalues[self._output(i)]
                if isinstance(op.layer, Dense):
                    if x in moved:
                        write.product(op, out, rvalues[x], self._at(op, "weight"))
                    if rtheta:
                        at = self._at(op, "weight")
                        write.product(op, out, values[x], at, direction=True, again=x in moved)
                        if "bias" in op.plan.parameters:
                            write.bend(op, out, out, 1.0, self._at(op, "bias"), direction=True)
                else:
                    source = out if i - 1 in self._joined else rvalues[x]
                    write.unbend(op, out, source, values[op.output], _slope(op))
            sweep.append(self._finish(write))
        return sweep

    def backward(self, turns: Sequence[Turn], weights: bool) -> list[Turn | Tape]:
        """Return these turns of `Pass.backward`, those of stacks as tapes."""
        values, gradients = self._memory.values, self._memory.gradients
        sweep: list[Turn | Tape] = []
        for stack in self._divide_turns(turns):
            if len(stack) == 1 and not self._can(stack[0]):
                sweep.append(stack[0])
                continue
            write = Writer()
            here = {turn.index for turn in stack}
            summed = -1  # the dense layer whose bias has its gradient
            for turn in stack:
                op = self._program.ops[turn.index]
                (into,), dy = turn.into, gradients[op.output]
                if not isinstance(op.layer, Dense):
                    assert into is not None
                    at, below = -1, turn.index - 1
                    if (
                        weights
                        and below in self._joined
                        and below in here
                        and "bias" in self._program.ops[below].plan.parameters
                    ):
                        at, summed = self._at(self._program.ops[below], "bias"), below
                    write.unbend(op, into, dy, values[op.output], _slope(op), at)
                    continue
                if weights:
                    write.weight(op, values[op.inputs[0].root], dy, self._at(op, "weight"))
                    if "bias" in op.plan.parameters and summed != turn.index:
                        write.sum(op, dy, self._at(op, "bias"))
                if into is not None:
                    write.product(op, into, dy, self._at(op, "weight"), transposed=True)
            sweep.append(self._finish(write, stack))
        return sweep

    def rbackward(
        self, turns: Sequence[Turn], weights: bool, moved: Collection[Value], rtheta: bool
    ) -> list[Turn | Tape]:
        """Return these turns of `Pass.rbackward`, those of stacks as tapes."""
        memory = self._memory
        sweep: list[Turn | Tape] = []
        for stack in self._divide_turns(turns):
            if len(stack) == 1 and not self._can(stack[0]):
                sweep.append(stack[0])
                continue
            write = Writer()
            for turn in stack:
                op, (into,) = self._program.ops[turn.index], turn.into
                if not isinstance(op.layer, Dense):
                    assert into is not None
                    write.unbend(op, into, memory.rgradients[op.output], memory.values[op.output], _slope(op))
                    continue
                x, at = op.inputs[0].root, self._at(op, "weight")
                dy, rdy = memory.gradients[op.output], None if turn.silent else memory.rgradients[op.output]
                if weights:
                    if rdy is not None:
                        write.weight(op, memory.values[x], rdy, at)
                    if x in moved:
                        write.weight(op, memory.rvalues[x], dy, at)
                    if rdy is None and x not in moved:
                        write.zero(op, at, prod(op.plan.parameters["weight"].shape))
                    if "bias" in op.plan.parameters and rdy is not None:
                        write.sum(op, rdy, self._at(op, "bias"))
                    elif "bias" in op.plan.parameters:
                        write.zero(op, self._at(op, "bias"), width(op))
                if into is not None:
                    if rdy is not None:
                        write.product(op, into, rdy, at, transposed=True)
                    if rtheta:
                        write.product(op, into, dy, at, transposed=True, direction=True, again=rdy is not None)
            sweep.append(self._finish(write, stack))
        return sweep

    def _can(self, turn: Turn) -> bool:
        """Return whether a tape can do the turn."""
        return turn.index in self._run_of and all(block is None for block in turn.add_to)

    def _divide(self, indices: Iterable[int]) -> list[int | list[int]]:
        """Return the operations that no tape runs, and the lists of those that one can run together."""
        found: list[int | list[int]] = []
        last = -1
        for i in indices:
            if i not in self._run_of:
                found.append(i)
            elif found and isinstance(found[-1], list) and self._run_of[i] is self._run_of[last]:
                found[-1].append(i)
            else:
                found.append([i])
            last = i
        return found

    def _divide_turns(self, turns: Iterable[Turn]) -> list[list[Turn]]:
        found: list[list[Turn]] = []
        for turn in turns:
            last = found[-1][-1] if found else None
            together = last is not None and self._can(turn) and self._can(last)
            if last is not None and together and self._run_of[turn.index] is self._run_of[last.index]:
                found[-1].append(turn)
            else:
                found.append([turn])
        return found

    def _output(self, i: int) -> Value:
        """Return the value that operation i of a tape writes: the activation's, where it is joined to one."""
        return self._program.ops[i + 1 if i in self._joined else i].output

    def _at(self, op: Op, name: str) -> int:
        return self._ranges[f"{self._network.relative(op.path)}/{name}"][0]

    def _finish(self, write: Writer, turns: Sequence[Turn] = ()) -> Tape:
        network = self._network
        low = min((start for start, _ in write.targets), default=0)
        high = max((stop for _, stop in write.targets), default=0)
        rows = np.array(write.rows, np.int64)
        writes = np.isin(rows[:, Column.CODE], [Code.WEIGHT, Code.SUM, Code.ZERO])
        writes |= (rows[:, Column.CODE] == Code.UNBEND) & (rows[:, Column.WEIGHT] >= 0)
        rows[writes, Column.WEIGHT] -= low
        batch = self._program.input.spec.shape[0]
        stack, zeros = network.backend.kernels.stack, network.backend.zeros
        shares = stack.shares(batch, write.work)
        partials = zeros((shares - 1, high - low), network.dtype)
        scratch = zeros((shares, stack.workspace(write.turned)), network.dtype)
        return Tape(rows, low, high, partials, scratch, turns)


def _slope(op: Op) -> float:
    assert isinstance(op.layer, PiecewiseLinear)
    return op.layer.slope
