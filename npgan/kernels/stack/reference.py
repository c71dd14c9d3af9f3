"""A tape, read by plain NumPy, all samples at once."""

import numpy as np

from npgan.backend.base import Array
from npgan.kernels.stack.tape import Code, Column


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
    memory, theta, direction, target : array (size,)
        `direction` and `target` are empty where the tape does not name them.
    partials : array (shares - 1, size of target)
        Memory for the other shares' sums, 0 where the tape writes nothing; its length says how many shares there are, n
        at the most.
    scratch : array (shares, size)
        Room for transposed weights, of `workspace` elements.
    accumulate : bool
        Add to `target` what the tape's first instruction for a piece of it finds.
    """
    for row, slope in zip(tape.tolist(), tape.view(np.float64)[:, Column.SLOPE].tolist(), strict=True):
        at = {column: row[column] for column in Column}
        rows, k, width, weight, again = (
            n * at[Column.ROWS],
            at[Column.K],
            at[Column.N],
            at[Column.WEIGHT],
            at[Column.AGAIN],
        )

        def matrix(column: Column, size: int, row: list[int] = row, rows: int = rows) -> Array:
            return memory[row[column] : row[column] + rows * size].reshape(rows, size)

        if at[Column.CODE] == Code.PRODUCT:
            w = (direction if at[Column.DIRECTION] else theta)[weight : weight + k * width]
            w = w.reshape(width, k).T if at[Column.TRANSPOSED] else w.reshape(k, width)
            out = matrix(Column.OUT, width)
            out[...] = matrix(Column.IN, k) @ w + (out if again else 0)
            continue
        if at[Column.CODE] == Code.BEND:
            b = (direction if at[Column.DIRECTION] else theta)[weight : weight + width] if weight >= 0 else 0
            v = matrix(Column.IN, width) + b
            matrix(Column.OUT, width)[...] = (
                np.where(v.real > 0, v, slope * v) if slope else np.where(v.real <= 0, 0, v)
            )
            continue
        if at[Column.CODE] == Code.UNBEND:
            y = matrix(Column.OTHER, width)
            found = matrix(Column.IN, width) * np.where(y.real > 0, 1, np.where(y.real <= 0, slope, y))
            matrix(Column.OUT, width)[...] = found
            if weight < 0:
                continue
            total = found.sum(axis=0)
        elif at[Column.CODE] == Code.WEIGHT:
            total = (matrix(Column.IN, k).T @ matrix(Column.OTHER, width)).reshape(-1)
        elif at[Column.CODE] == Code.SUM:
            total = matrix(Column.IN, width).sum(axis=0)
        else:
            total = np.zeros_like(target, shape=width)
        into = target[weight : weight + total.size]
        into[...] = total + (into if again or accumulate else 0)
