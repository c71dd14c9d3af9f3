"""Whose turn it is in each sweep through a Pass, and where the gradients go that it writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from npgan.network.memory import Block
from npgan.network.planning import Flow, Memory, Wishes
from npgan.network.program import Op, Program, Value


@dataclass(frozen=True)
class Turn:
    """One operation's turn in a sweep backwards.

    Attributes
    ----------
    index : int
        Of the operation.
    into : tuple of (Block or None)
        Where the gradient of each input is written; None where nobody wants it.
    add_to : tuple of (Block or None)
        The block that it is then added to, where another operation has written the same value's gradient already.
    silent : bool
        What comes from above is zero (of `rdy`: R-sweeps only).
    """

    index: int
    into: tuple[Block | None, ...]
    add_to: tuple[Block | None, ...]
    silent: bool = False


def backward_turns(program: Program, memory: Memory, wishes: Wishes) -> list[Turn]:
    """Return the operations that `backward` must run for these wishes, and where each writes."""
    sweep = _Sweep(memory.flow, memory.gradients, memory.partial, wishes)
    written = {program.output.root}
    turns = []
    for i in reversed(range(len(program.ops))):
        op = program.ops[i]
        if op.output not in written:
            continue
        into, add_to = sweep.targets(op, written)
        if any(block is not None for block in into) or (wishes[0] and op.plan.parameters):
            turns.append(Turn(i, into, add_to))
    return turns


def rforward_active(program: Program, rx: bool, rtheta: bool, rcondition: bool) -> frozenset[Value]:
    """Return the values whose R-derivative is not known to be zero."""
    active = {program.input} if rx else set()
    if rcondition and program.condition is not None:
        active.add(program.condition)
    for op in program.ops:
        if any(x.root in active for x in op.inputs) or (rtheta and op.plan.parameters):
            active.add(op.output)
    return frozenset(active)


def rbackward_turns(
    program: Program, memory: Memory, wishes: Wishes, active: frozenset[Value], rdy: bool, rtheta: bool
) -> list[Turn]:
    """Return the operations that `rbackward` must run, and where each writes.

    An operation whose rdx is known to be zero is left out: nothing comes from above, its weights have no direction,
    and it is not curved (or its input has no R-derivative).
    """
    sweep = _Sweep(memory.flow, memory.rgradients, memory.rpartial, wishes)
    written = {program.output.root} if rdy else set()
    turns = []
    for i in reversed(range(len(program.ops))):
        op = program.ops[i]
        loud = op.output in written
        moved = any(x.root in active for x in op.inputs)
        bent = (op.layer.curved and moved) or (rtheta and bool(op.plan.parameters))
        into: tuple[Block | None, ...] = (None,) * len(op.inputs)
        add_to = into
        if loud or bent:
            into, add_to = sweep.targets(op, written)
        weights = wishes[0] and bool(op.plan.parameters) and (loud or bent or moved)
        if any(block is not None for block in into) or weights:
            turns.append(Turn(i, into, add_to, silent=not loud))
    return turns


def unknown_gradients(program: Program, turns: list[Turn], rturns: list[Turn]) -> list[Op]:
    """Return the operations of an R-sweep whose dy the sweep `turns` of `backward` did not compute."""
    known = {program.output.root}
    for turn in turns:
        inputs = program.ops[turn.index].inputs
        known |= {x.root for x, block in zip(inputs, turn.into, strict=True) if block is not None}
    return [program.ops[turn.index] for turn in rturns if program.ops[turn.index].output not in known]


@dataclass(frozen=True)
class _Sweep:
    """Where a sweep backwards writes gradients."""

    flow: Flow
    gradients: Mapping[Value, Block]
    partial: Mapping[tuple[Op, int], Block]
    wishes: Wishes

    def targets(self, op: Op, written: set[Value]) -> tuple[tuple[Block | None, ...], tuple[Block | None, ...]]:
        """Return `into` and `add_to` of a Turn, and note in `written` what has a gradient now."""
        into: list[Block | None] = []
        add_to: list[Block | None] = []
        for j, value in enumerate(op.inputs):
            root = value.root
            if not self.flow.wanted(root, self.wishes):
                into.append(None)
                add_to.append(None)
            elif root in written:
                # All readers but the last in order, which comes first in a sweep, were given a partial.
                into.append(self.partial[op, j])
                add_to.append(self.gradients[root])
            else:
                written.add(root)
                into.append(self.gradients[root])
                add_to.append(None)
        return tuple(into), tuple(add_to)
