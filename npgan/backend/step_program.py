"""The language in which a whole training step is written down for compiled code: one row of integers a kernel call.

    code, parts, arguments

An argument is an address, a size or a whole number; floats are addresses of float64, so that a number that differs from
step to step (see `npgan.backend.recording`) is an argument like any other. `parts` says among how many threads the call
is divided.

Rows are run in groups: one that all threads do together, each a part of it, or some that one thread does, one after the
other. A group is begun when the last one is done.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from npgan.backend.base import Array

WIDTH = 20


class Code(IntEnum):
    """The calls, and their arguments."""

    COPY = 0  # out, source, length
    # address and length of: tape, memory, theta, direction, target; partials; scratch, length; samples, accumulate
    STACK = 1
    COMBINE = 2  # target, length, partials, shares
    NORMAL = 3  # out, length, k0, k1, step*, stream, substream, mean*, std*
    UNIFORM = 4  # the same, low*, high*
    CROSS_ENTROPY = 5  # value, slope, t, samples, logits of a sample, factor*, option*
    SQUARED = 6
    LINEAR = 7
    HINGE = 8
    MEAN = 9  # value, x, length
    NORM = 10  # value, sums, x, length
    ADD = 11  # value, a*, b*
    LIMIT = 12  # x, length, norm*, most*
    CLIP = 13  # x, length, limit*
    ADAM = 14  # theta, length, scratch, its length, m, v, gradient, and ten numbers*
    AVERAGE = 15  # mean, length, theta, weight*
    COLLECT = 16  # out, addresses of the numbers, how many


class Program:
    """Rows in the making."""

    def __init__(self) -> None:
        self.groups: list[tuple[int, list[list[int]]]] = []  # parts and rows

    def alone(self, code: Code, *arguments: int) -> None:
        """Write down what one thread does."""
        if not self.groups or self.groups[-1][0] > 1:
            self.groups.append((1, []))
        self.groups[-1][1].append([code, *arguments])

    def divided(self, code: Code, parts: int, *arguments: int) -> None:
        """Write down what all threads do together."""
        if parts == 1:
            self.alone(code, *arguments)
        else:
            self.groups.append((parts, [[code, *arguments]]))

    def finish(self) -> tuple[Array, Array]:
        """Return the rows (rows, WIDTH), and first row, end and parts of each group, and of none (groups + 1, 3)."""
        rows: list[list[int]] = []
        groups = []
        for parts, calls in self.groups:
            groups.append([len(rows), len(rows) + len(calls), parts])
            rows += [[code, parts, *arguments] for code, *arguments in calls]
        groups.append([0, 0, 0])  # whoever opens a group looks at the next one
        table = np.zeros((len(rows), WIDTH), np.int64)
        for i, row in enumerate(rows):
            table[i, : len(row)] = row
        return table, np.array(groups, np.int64)
