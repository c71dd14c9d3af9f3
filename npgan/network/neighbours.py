"""What neighbouring layers do for each other in the same call.

A layer does the piecewise-linear activation after it, and a convolution finds the moments of its output for the
normalisation that follows.

What is between a layer and such an activation has no place of its own: φ' is known from what the activation makes, so
its input and output may lie in one place, and so may their gradients, and the R-derivatives of both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from npgan.layers.activations import LeakyReLU, ReLU
from npgan.network.program import Program, Value


@dataclass(frozen=True)
class Neighbours:
    """Who does what for whom, in a Pass; operations by their numbers.

    Attributes
    ----------
    pairs : mapping of int to float
        The operations that do the activation after them in the same call, and its slope.
    measured : mapping of int to int
        The operations that find moments of what they make, and those that read them.
    alone : set of int
        The pairs whose activation goes back by itself.
    overwriting : set of int
        The operations whose dx goes where dy was.
    """

    pairs: Mapping[int, float]
    measured: Mapping[int, int]
    alone: frozenset[int]
    overwriting: frozenset[int]

    def goes_back(self, i: int) -> bool:
        """Return whether operation i goes backward in a call of its own."""
        return i - 1 not in self.pairs or i - 1 in self.alone


NONE = Neighbours({}, {}, frozenset(), frozenset())


def find_neighbours(program: Program, stacks: Iterable[range], order: int, train: bool) -> Neighbours:
    """Return who does what for whom in a Pass of that order."""
    ops = program.ops
    pairs = find_pairs(program, stacks)
    return Neighbours(
        pairs,
        find_measured(program, pairs) if train else {},
        frozenset(i for i in pairs if ops[i].layer.unbends < order),
        # The R-maps read dy of a layer, but none of an activation.
        frozenset(i + 1 for i in pairs) | frozenset(i for i in pairs if ops[i].layer.overwrites and order < 2),
    )


def find_pairs(program: Program, stacks: Iterable[range]) -> dict[int, float]:
    """Return the operations that do the activation after them in the same call, and its slope."""
    readers, stacked = count_readers(program), {i for stack in stacks for i in stack}
    return {
        i: after.layer.slope
        for i, (op, after) in enumerate(pairwise(program.ops))
        if op.layer.bends
        and isinstance(after.layer, LeakyReLU | ReLU)
        and type(after.layer) in (ReLU, LeakyReLU)
        and after.inputs[0] is op.output  # not another view of it, with other features
        and readers[op.output] == 1
        and not stacked & {i, i + 1}
    }


def find_measured(program: Program, pairs: Mapping[int, float]) -> dict[int, int]:
    """Return the operations that find moments of what they make, with an activation or without, and who reads them."""
    makers = {
        program.ops[i + (i in pairs)].output: i
        for i, op in enumerate(program.ops)
        if op.layer.bends and op.plan.moments is not None
    }
    return {makers[op.inputs[0]]: i for i, op in enumerate(program.ops) if op.layer.measures and op.inputs[0] in makers}


def count_readers(program: Program) -> dict[Value, int]:
    """Return how many read each value; the network's output is read once more, by the user."""
    readers = {program.output.root: 1}
    for op in program.ops:
        for x in op.inputs:
            readers[x.root] = readers.get(x.root, 0) + 1
    return readers
