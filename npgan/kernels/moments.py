"""Mean and squares of channels, by blocks of rows that stay in the cache: for normalisation, and for what is before it.

Whoever finds a block's moments, and in whatever order the blocks come, they are the same bits: so are the statistics
that are put together from them (`npgan.kernels.normalization`), whether the rows were read again for them or not.
"""

# mypy: disable-error-code="no-untyped-def"

import numpy as np

from npgan.backend.compile import kernel

BLOCK = 256
"""Rows of a block."""


def blocks(rows: int) -> int:
    """Return into how many blocks rows are divided."""
    return -(-rows // BLOCK)


@kernel
def measure(moments, run, x):
    """x (M, C) -> moments[:, run] (2, blocks, C): the mean of each block, and the sum of squares about it."""
    for block in range(moments.shape[2]):
        measure_block(moments, run, block, x)


@kernel
def measure_block(moments, run, block, x):
    """x (M, C) -> moments[:, run, block] (2, C)."""
    mean, squares = moments[0, run, block], moments[1, run, block]
    begin, end = block * BLOCK, min((block + 1) * BLOCK, x.shape[0])
    whole = begin + (end - begin) // 4 * 4
    # Four rows at once: their sum is in registers, and the total is read and written once for them.
    mean[:] = 0
    for m in range(begin, whole, 4):
        a, b, c, d = x[m], x[m + 1], x[m + 2], x[m + 3]
        for i in range(mean.size):
            mean[i] += (np.float64(a[i]) + b[i]) + (np.float64(c[i]) + d[i])
    for m in range(whole, end):
        a = x[m]
        for i in range(mean.size):
            mean[i] += a[i]
    for i in range(mean.size):
        mean[i] /= end - begin
    squares[:] = 0
    for m in range(begin, whole, 4):
        a, b, c, d = x[m], x[m + 1], x[m + 2], x[m + 3]
        for i in range(mean.size):
            e, f, g, h = a[i] - mean[i], b[i] - mean[i], c[i] - mean[i], d[i] - mean[i]
            squares[i] += (e * e + f * f) + (g * g + h * h)
    for m in range(whole, end):
        a = x[m]
        for i in range(mean.size):
            e = a[i] - mean[i]
            squares[i] += e * e
