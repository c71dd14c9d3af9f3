"""A sweep through a stack, written down, and what writes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from npgan.backend.base import Array
from npgan.kernels.stack.tape import WIDTH, Code
from npgan.network.memory import Block
from npgan.network.program import Op
from npgan.network.turns import Turn


@dataclass(eq=False)
class Tape:
    """A sweep through a stack, written down.

    Attributes
    ----------
    rows : int64 array (instructions, WIDTH)
    low, high : int
        The part of a vector like theta that it writes weight gradients to.
    partials : array (shares - 1, high - low)
        The other shares' sums of them; 0 where the tape writes nothing.
    scratch : array (shares, size)
        Where they may keep transposed weights.
    turns : list of Turn
        Which it is run for; none in a sweep forward.
    """

    rows: Array
    low: int
    high: int
    partials: Array
    scratch: Array
    turns: Sequence[Turn] = ()


class Writer:
    """Instructions in the making."""

    def __init__(self) -> None:
        self.rows: list[list[int]] = []
        self.targets: set[tuple[int, int]] = set()
        self.work = 0
        self.turned = 0  # elements of the weights that are transposed

    def product(
        self,
        op: Op,
        out: Block,
        source: Block,
        weight: int,
        *,
        transposed: bool = False,
        direction: bool = False,
        again: bool = False,
    ) -> None:
        """Write out = source · W, or Wᵀ; add it where `again`."""
        k, n = op.plan.parameters["weight"].shape
        self._count(op, k * n)
        k, n = (n, k) if transposed else (k, n)
        self._add(
            Code.PRODUCT, op, k, n, out, source, weight=weight, transposed=transposed, direction=direction, again=again
        )

    def bend(self, op: Op, out: Block, source: Block, slope: float, bias: int = -1, *, direction: bool = False) -> None:
        """Write out = φ(source + b)."""
        self._add(Code.BEND, op, 0, width(op), out, source, weight=bias, direction=direction, slope=slope)

    def unbend(self, op: Op, out: Block, source: Block, y: Block, slope: float, bias: int = -1) -> None:
        """Write out = φ'(y) source, and add its sum to the gradient of a bias."""
        n = width(op)
        again = bias >= 0 and self._written(bias, n)
        self._add(Code.UNBEND, op, 0, n, out, source, y, weight=bias, slope=slope, again=again)

    def weight(self, op: Op, x: Block, dy: Block, at: int) -> None:
        """Add xᵀ dy to the gradient of a weight."""
        k, n = op.plan.parameters["weight"].shape
        self._count(op, k * n)
        self._add(Code.WEIGHT, op, k, n, None, x, dy, weight=at, again=self._written(at, k * n))

    def sum(self, op: Op, source: Block, at: int) -> None:
        """Add the sum of `source` to the gradient of a bias."""
        n = width(op)
        self._add(Code.SUM, op, 0, n, None, source, weight=at, again=self._written(at, n))

    def zero(self, op: Op, at: int, size: int) -> None:
        """Clear a piece of the gradient, where nothing is to be added to."""
        self._add(Code.ZERO, op, 0, size, None, None, weight=at, again=self._written(at, size))

    def _written(self, at: int, size: int) -> bool:
        """Note that a piece of the target is written; return whether it had been."""
        known = (at, at + size) in self.targets
        self.targets.add((at, at + size))
        return known

    def _count(self, op: Op, multiplications: int) -> None:
        self.work += multiplications * prod(op.output.spec.shape[:-1])

    def _add(
        self,
        code: Code,
        op: Op,
        k: int,
        n: int,
        out: Block | None,
        source: Block | None,
        other: Block | None = None,
        *,
        weight: int,
        transposed: bool = False,
        direction: bool = False,
        again: bool = False,
        slope: float = 1.0,
    ) -> None:
        shape, turned = op.output.spec.shape, self.turned
        if transposed:
            self.turned += k * n
        places = (0 if block is None else block.offset // block.dtype.itemsize for block in (out, source, other))
        bits = int(np.float64(slope).view(np.int64))
        row = [code, prod(shape[1:-1]), k, n, *places, weight, direction, transposed, again, bits, turned]
        assert len(row) == WIDTH
        self.rows.append([int(number) for number in row])


def width(op: Op) -> int:
    """Return the features of an operation's output."""
    return op.output.spec.shape[-1]
