"""What is done to an output while it is in the cache (`npgan.kernels.after`), compiled."""

# mypy: disable-error-code="no-untyped-def"

from functools import lru_cache
from typing import Any

import numpy as np

from npgan.backend.base import Array
from npgan.backend.compile import kernel
from npgan.kernels.after import After
from npgan.kernels.bend import bend, bend_slope
from npgan.kernels.moments import measure


@lru_cache(maxsize=4)
def _nothing(dtype: np.dtype[Any]) -> list[Array]:
    """Return arrays of none, of one axis and more."""
    return [np.empty((0,) * axes, dtype) for axes in range(5)]


def prepare(after: After, y: Array) -> tuple[Any, ...]:
    """Return what `finish` takes: arrays and a number whatever is wanted, so that there is one compiled kernel."""
    images = (len(y), -1, y.shape[-1])
    none, none64 = _nothing(y.dtype), _nothing(np.dtype(np.float64))
    bias, slope, made, moments, sums, about = after
    x, mean, inv_std = (none[3], none[2], none[2]) if about is None else about
    return (
        none[1] if bias is None else bias,
        1.0 if slope is None else float(slope),
        none[3] if made is None else made.reshape(images),
        none64[4] if moments is None else moments,
        none64[3] if sums is None else sums,
        none[3] if about is None else x.reshape(images),
        mean,
        inv_std,
    )


@kernel
def finish(y, after, n):
    """Finish y (M, C), sample n."""
    bias, slope, made, moments, sums, x, mean, inv_std = after
    if made.size:
        _unbend(y, made[n], slope)
    elif bias.size or slope != 1:
        _bend(y, bias, slope)
    if moments.size:
        measure(moments, n, y)
    if sums.size and x.size:
        g = n if mean.shape[0] > 1 else 0
        _add_up_both(sums[0, n], sums[1, n], y, x[n], mean[g], inv_std[g])
    elif sums.size:
        _add_up(sums[0, n], y)


@kernel
def finish_rows(start, stop, y, after):
    """Do it to the rows [start, stop) of one sample, but find nothing."""
    bias, slope, made = after[0], after[1], after[2]
    if made.size:
        _unbend(y[start:stop], made[0][start:stop], slope)
    elif bias.size or slope != 1:
        _bend(y[start:stop], bias, slope)


@kernel
def _bend(y, bias, slope):
    bent = y.dtype.type(slope)
    for m in range(y.shape[0]):
        row = y[m]
        if bias.size:
            for c in range(row.size):
                row[c] = bend(row[c] + bias[c], bent)
        else:
            for c in range(row.size):
                row[c] = bend(row[c], bent)


@kernel
def _unbend(y, made, slope):
    bent = y.dtype.type(slope)
    flat, sign = y.reshape(y.size), made.reshape(made.size)
    for i in range(flat.size):
        flat[i] *= bend_slope(sign[i], bent)


@kernel
def _add_up(total, y):
    # Four rows at once: their sum is in registers. Of those that are not there, the last one, times 0.
    total[:] = 0
    last = y.shape[0] - 1
    for m in range(0, y.shape[0], 4):
        a, b, c, d = y[m], y[min(m + 1, last)], y[min(m + 2, last)], y[min(m + 3, last)]
        of_b, of_c, of_d = y.dtype.type(m + 1 <= last), y.dtype.type(m + 2 <= last), y.dtype.type(m + 3 <= last)
        for i in range(total.size):
            total[i] += (np.float64(a[i]) + of_b * b[i]) + (np.float64(of_c * c[i]) + of_d * d[i])


@kernel
def _add_up_both(first, second, y, x, mean, inv_std):
    first[:] = 0
    second[:] = 0
    m = 0
    while m < y.shape[0]:
        # Two rows at once; of an odd one, the second is the first, times 0.
        other = m + 1 if m + 1 < y.shape[0] else m
        there = y.dtype.type(other - m)
        a, b, p, q = y[m], y[other], x[m], x[other]
        for i in range(first.size):
            g, h = a[i], there * b[i]
            first[i] += np.float64(g) + h
            second[i] += np.float64(g * ((p[i] - mean[i]) * inv_std[i])) + h * ((q[i] - mean[i]) * inv_std[i])
        m += 2
