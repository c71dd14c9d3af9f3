"""What a gradient penalty charges, compiled: samples are divided among threads. Sums are made in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from npgan.backend.base import Array
from npgan.backend.compile import kernel
from npgan.backend.threads import alone, over_samples


@kernel
def _over(n, target, one_sided):  # type: ignore[no-untyped-def]
    over = n - target
    return over * 0 if one_sided and over <= 0 else over  # NaN stays


@kernel
def _charge_2(start, stop, v, overs, g, factor, target, one_sided):  # type: ignore[no-untyped-def]
    for i in range(start, stop):
        row, out = g[i], v[i]
        total = 0.0
        for j in range(row.size):
            total += np.float64(row[j]) * np.float64(row[j])
        n = np.sqrt(total)
        overs[i] = _over(n, target, one_sided)
        slope = v.dtype.type(factor * overs[i] / n if n > 0 else factor * overs[i])
        for j in range(row.size):
            out[j] = slope * row[j]


@kernel
def _charge_largest(start, stop, v, overs, g, factor, target, one_sided):  # type: ignore[no-untyped-def]
    for i in range(start, stop):
        row, out = g[i], v[i]
        place, n = 0, abs(np.float64(row[0]))
        for j in range(row.size):
            size = abs(np.float64(row[j]))
            if size > n or (size != size and n == n):  # NaN wins
                place, n = j, size
        overs[i] = _over(n, target, one_sided)
        slope = factor * overs[i]
        for j in range(row.size):
            out[j] = slope * 0.0
        out[place] = slope * np.sign(row[place])


@kernel
def _charge_p(start, stop, v, overs, g, factor, target, one_sided, p):  # type: ignore[no-untyped-def]
    for i in range(start, stop):
        row, out = g[i], v[i]
        # Divided by the largest, so that powers neither overflow nor vanish; a factor of 1 where all are 0.
        largest = 0.0
        for j in range(row.size):
            largest = max(largest, abs(np.float64(row[j])))
        scale = largest if largest > 0 else 1.0
        total = 0.0
        for j in range(row.size):
            total += (abs(np.float64(row[j])) / scale) ** p
        n = total ** (1.0 / p) * scale
        overs[i] = _over(n, target, one_sided)
        slope, safe = factor * overs[i], n if n > 0 else 1.0
        for j in range(row.size):
            out[j] = slope * np.sign(np.float64(row[j])) * (abs(np.float64(row[j])) / safe) ** (p - 1.0)


@kernel
def _between(start, stop, out, shares, real, fake):  # type: ignore[no-untyped-def]
    for i in range(start, stop):
        row, x, y, share = out[i], real[i], fake[i], shares[i]
        for j in range(row.size):
            row[j] = y[j] + share * (x[j] - y[j])


@kernel
def _charged(overs, factor):  # type: ignore[no-untyped-def]
    total = 0.0
    for i in range(overs.size):
        total += overs[i] * overs[i]
    return factor * total


def charge(v: Array, scratch: Array, g: Array, weight: float, target: float, norm: float, one_sided: bool) -> Any:
    """Gradients g (N, F) -> P and v (N, F) = dP/dg."""
    args = (v, scratch, g, 2.0 * weight / len(g), float(target), one_sided)
    if norm == 2.0:
        over_samples(_charge_2, len(g), 2 * g.size, *args)
    elif math.isinf(norm):
        over_samples(_charge_largest, len(g), 2 * g.size, *args)
    else:  # a power costs some twenty times what `work` counts
        over_samples(_charge_p, len(g), 40 * g.size, *args, float(norm))
    return alone(_charged, scratch, weight / len(g))


def between(out: Array, shares: Array, real: Array, fake: Array) -> None:
    """Real and fake (N, ...), shares (N,) -> out (N, ...), which is in one piece."""
    rows = (array.reshape(len(out), -1) for array in (real, fake))
    over_samples(_between, len(out), 3 * out.size, out.reshape(len(out), -1), shares, *rows)
