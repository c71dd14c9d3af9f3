"""A tape, in CUDA: one launch for all that makes rows from rows, and one for all that sums over samples.

A block takes a few samples through all layers, so nothing waits for the other blocks; the sums over samples come after
that, a tile of a gradient a block. Products are plain float32 or float64, whatever the backend was asked for: these are
small, and wait for memory rather than for arithmetic.
"""

import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np

from npgan.backend.base import Array
from npgan.backend.cuda import kernel, launch
from npgan.kernels.stack.tape import Code, Column

_BLOCKS = 132  # multiprocessors of a large GPU of today
_TILE = 16
_SUMS = (Code.WEIGHT, Code.SUM, Code.ZERO)


@dataclass
class _Part:
    """Instructions on the device: those for rows, those for sums, and the tiles of the sums."""

    rows: Any
    sums: Any
    tiles: Any


_plans: dict[int, tuple[Any, list[_Part]]] = {}


def shares(n: int, work: int) -> int:
    """Return among how many threads n samples with `work` multiplications are divided: here, one."""
    return 1


def workspace(size: int) -> int:
    """Return the elements of a share's scratch, of a tape whose transposed weights have `size`: here, none."""
    return 0


def run(
    tape: Array,
    n: int,
    memory: Array,
    theta: Array,
    direction: Array,
    target: Array,
    partials: Array,
    scratch: Array,
    accumulate: bool,
) -> None:
    """Run a tape for n samples.

    Parameters
    ----------
    tape : int64 array (instructions, WIDTH)
        Of NumPy; it is copied to the device when it is first run, and must not change afterwards.
    memory, theta, direction, target : array (size,)
    partials : array (0, size of target)
    scratch : array (1, 0)
    accumulate : bool
    """
    each = -(-n // _BLOCKS)
    for part in _plan(tape, n):
        if part.rows is not None:
            rows = kernel("stack", "run_rows", memory.dtype)
            launch(rows, -(-n // each), 512, part.rows, len(part.rows), n, each, memory, theta, direction)
        if part.sums is not None:
            sums = kernel("stack", "run_sums", memory.dtype)
            launch(sums, len(part.tiles), 256, part.sums, part.tiles, n, memory, target, accumulate)


def _plan(tape: Array, n: int) -> list[_Part]:
    """Return the parts of a tape, made when it is first run and forgotten with it."""
    found = _plans.get(id(tape))
    if found is None or found[0]() is not tape:
        key = id(tape)
        gone = weakref.ref(tape, lambda _: _plans.pop(key, None))
        found = _plans[key] = gone, [_part(rows, sums) for rows, sums in _divide(tape, n)]
    return found[1]


def _divide(tape: Array, n: int) -> list[tuple[list[Array], list[Array]]]:
    """Return parts of a tape, each of instructions for rows and of sums that can come after all of them.

    A sum is put off until an instruction would overwrite what it reads.
    """
    parts: list[tuple[list[Array], list[Array]]] = [([], [])]
    for row in tape:
        rows, sums = parts[-1]
        if row[Column.CODE] in _SUMS:
            sums.append(row)
            continue
        if any(_overlap(_span(row, Column.OUT, n), span) for each in sums for span in _read(each, n)):
            rows, sums = [], []
            parts.append((rows, sums))
        rows.append(row)
        if row[Column.CODE] == Code.UNBEND and row[Column.WEIGHT] >= 0:
            total = row.copy()
            total[Column.CODE], total[Column.IN] = Code.SUM, row[Column.OUT]
            sums.append(total)
    return parts


def _span(row: Array, column: Column, n: int) -> tuple[int, int]:
    """Return where in memory the array of a column begins and ends."""
    wide = row[Column.K] if column == Column.IN and row[Column.CODE] in (Code.PRODUCT, Code.WEIGHT) else row[Column.N]
    return int(row[column]), int(row[column] + n * row[Column.ROWS] * wide)


def _read(row: Array, n: int) -> list[tuple[int, int]]:
    """Return what a sum reads."""
    if row[Column.CODE] == Code.ZERO:
        return []
    both = row[Column.CODE] == Code.WEIGHT
    return [_span(row, column, n) for column in ((Column.IN, Column.OTHER) if both else (Column.IN,))]


def _overlap(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return a[0] < b[1] and b[0] < a[1]


def _without_zeros(group: list[Array]) -> list[Array]:
    """Leave out what only clears a place that the others write to: the first of them does it."""
    others = [each.copy() for each in group if each[Column.CODE] != Code.ZERO]
    if not others:
        return group[:1]
    others[0][Column.AGAIN] = group[0][Column.AGAIN]
    return others


def _part(rows: list[Array], sums: list[Array]) -> _Part:
    """Copy a part of a tape to the device, sums to the same place one after the other, with their tiles."""
    import cupy

    def up(table: list[Any]) -> Any:
        return cupy.asarray(np.array(table, np.int64)) if table else None

    places: dict[int, list[Array]] = {}
    for each in sums:
        places.setdefault(int(each[Column.WEIGHT]), []).append(each)
    ordered: list[Array] = []
    tiles: list[tuple[int, int, int, int]] = []
    for group in map(_without_zeros, places.values()):
        high = int(group[0][Column.K]) if any(each[Column.CODE] == Code.WEIGHT for each in group) else 1
        tiles += [
            (len(ordered), len(group), k, c)
            for k in range(0, high, _TILE)
            for c in range(0, int(group[0][Column.N]), _TILE)
        ]
        ordered += group
    return _Part(up(rows), up(ordered), up(tiles))
