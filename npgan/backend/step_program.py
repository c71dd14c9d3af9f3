"""A whole training step, written down for compiled code: a row of words for each call of a kernel.

    trampoline, function, block, n

are addresses (see `npgan.backend.entries`) and what is divided: part t of k is given the range n t // k to
n (t + 1) // k.

Rows are run in groups: one that all threads do together, each a part of it, or some that one thread does, one after the
other. A group is begun when the last one is done.
"""

from __future__ import annotations

import numpy as np

from npgan.backend.base import Array

WIDTH = 4

Row = tuple[str, int, int, int]  # the trampoline by name


class Program:
    """Rows in the making."""

    def __init__(self) -> None:
        self.groups: list[tuple[int, list[Row]]] = []  # parts and rows

    def add(self, parts: int, row: Row) -> None:
        """Write down what so many threads do together; or one alone, after what it does already."""
        if parts > 1 or not self.groups or self.groups[-1][0] > 1:
            self.groups.append((parts, []))
        self.groups[-1][1].append(row)

    def finish(self, addresses: dict[str, int]) -> tuple[Array, Array]:
        """Return the rows (rows, WIDTH), and first row, end and parts of each group, and of none (groups + 1, 3)."""
        rows: list[list[int]] = []
        groups = []
        for parts, calls in self.groups:
            groups.append([len(rows), len(rows) + len(calls), parts])
            rows += [[addresses[name], *words] for name, *words in calls]
        groups.append([0, 0, 0])  # whoever opens a group looks at the next one
        return np.array(rows, np.int64).reshape(-1, WIDTH), np.array(groups, np.int64)
