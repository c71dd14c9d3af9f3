"""Normalisation, compiled. See the reference for what it is; x is (G, R, C).

Two loop orders. With channels, rows (G R, C) are read one after the other and the inner loop runs along C. With
C = 1 (layer normalisation) a group is one row of R. Every sum is made in float64, by blocks of rows and in a fixed
order, so that it does not depend on the number of threads. Rows are sliced before the inner loops: an index that
the compiler knows to begin at 0 is one that it can vectorise.
"""

from __future__ import annotations

import numpy as np

from npgan.backend.base import Array, Shape
from npgan.backend.threads import over_samples
from npgan.kernels.moments import blocks
from npgan.kernels.normalization import cpu_channels as channels
from npgan.kernels.normalization import cpu_rows as rows
from npgan.kernels.width import width


def workspace(x: Shape) -> int:
    """Float64 elements of `scratch` for x (G, R, C): two sums for each channel of a group and of a block of its rows.

    And factors of each channel, again and again. Or two sums for each element of a row.
    """
    g, r, c = x
    return max(2 * g * c + _parts(x) + channels.FACTORS * g * width(c), 2 * r if c == 1 else 0)


def rworkspace(x: Shape) -> int:
    """Float64 elements of `scratch` in the R-maps for x (G, R, C)."""
    g, r, c = x
    return max(11 * g * c + _parts(x), 2 * (g + r) if c == 1 else 0)


def _parts(x: Shape) -> int:
    g, r, c = x
    return 2 * g * blocks(r) * c


def _is_row(x: Array, gain: Array | None) -> bool:
    """Whether a group is one row, with a gain for each of its elements."""
    return x.shape[2] == 1 and (gain is None or gain.shape[0] == x.shape[1])


def _sums(
    sums: Array,
    scratch: Array,
    dy: Array,
    x: Array,
    mean: Array,
    inv_std: Array,
    gain: Array | None = None,
    bias: Array | None = None,
    slope: float | None = None,
) -> None:
    """dy, x (M, C) -> sums (2, G, C) of dy and xhat dy, by blocks of rows."""
    groups, c = mean.shape
    count = groups * blocks(len(x) // groups)
    parts = scratch[: 2 * count * c].reshape(2, count, c)
    over_samples(channels.block_sums, count, 2 * x.size, parts, dy, x, mean, inv_std, gain, bias, slope)
    over_samples(channels.sums, mean.size, parts.size, sums, parts)


def _factors(
    scratch: Array,
    x: Array,
    mean: Array,
    inv_std: Array,
    gain: Array | None,
    bias: Array | None,
    sums: Array | None = None,
) -> Array:
    """x (G, R, C), scratch of float64 -> factors (5, G, width)."""
    g, r, c = x.shape
    count = channels.FACTORS * g * width(c)
    factors = scratch.view(x.dtype)[:count].reshape(channels.FACTORS, g, -1)
    over_samples(channels.spread, mean.size, count, factors, mean, inv_std, gain, bias, sums, r)
    return factors


def _pieces(x: Array) -> int:
    """Return into how many pieces as wide as the factors x (G, R, C) is divided."""
    g, r, c = x.shape
    return int(g * -(-r * c // width(c)))


def statistics(mean: Array, var: Array, scratch: Array, x: Array, moments: Array | None = None) -> None:
    """x (G, R, C) -> mean (G, C), var (G, C), the biased variance."""
    g, r, c = x.shape
    if moments is None and _is_row(x, None):
        over_samples(rows.statistics, g, 2 * x.size, mean, var, x.reshape(g, r))
        return
    if moments is None:
        moments = scratch[: _parts(x.shape)].reshape(2, g, -1, c)
        over_samples(channels.measure_blocks, g * moments.shape[2], 2 * x.size, moments, x)
    over_samples(channels.statistics, mean.size, moments.size, mean, var, moments, g * r // moments.shape[1])


def settle(
    inv_std: Array,
    mean: Array,
    eps: float,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    momentum: float = 0.0,
    unbiased: float = 1.0,
) -> None:
    """Make of a variance in inv_std (G, C) 1 / sqrt(var + eps), and running statistics; a channel takes no time."""
    size = mean.size
    over_samples(channels.settle, size, size, inv_std, mean, eps, running_mean, running_var, momentum, unbiased)


def normalize(
    y: Array,
    scratch: Array,
    x: Array,
    mean: Array,
    inv_std: Array,
    gain: Array | None,
    bias: Array | None,
    slope: float | None = None,
) -> None:
    """x (G, R, C), mean and inv_std (G, C), gain and bias (P, C) -> y (G, R, C)."""
    arrays = (mean, inv_std, gain, bias)
    if _is_row(x, gain):
        over_samples(rows.normalize, len(x), x.size, y.reshape(x.shape[:2]), x.reshape(x.shape[:2]), *arrays, slope)
    else:
        factors = _factors(scratch, x, *arrays)
        over_samples(channels.normalize, _pieces(x), x.size, y.reshape(-1), x.reshape(-1), factors, slope)


def backward(
    dx: Array | None,
    dgain: Array | None,
    dbias: Array | None,
    scratch: Array,
    dy: Array,
    x: Array,
    mean: Array,
    inv_std: Array,
    gain: Array | None,
    constant: bool,
    accumulate: bool,
    bias: Array | None = None,
    slope: float | None = None,
) -> None:
    """dy, x (G, R, C), mean and inv_std (G, C), gain and bias (P, C) -> dx (G, R, C), dgain and dbias (P, C)."""
    saved = (mean, inv_std)
    if slope is None and _is_row(x, gain):
        shape = x.shape[:2]
        dy, x = dy.reshape(shape), x.reshape(shape)
        if dgain is not None:
            r = shape[1]
            sums = scratch[: 2 * r].reshape(2, r)
            over_samples(rows.weights, r, 2 * x.size, dgain, dbias, sums, dy, x, *saved, accumulate)
        if dx is not None:
            over_samples(rows.inputs, len(x), 2 * x.size, dx.reshape(shape), dy, x, *saved, gain, constant)
        return
    sums, scratch = scratch[: 2 * mean.size].reshape(2, *mean.shape), scratch[2 * mean.size :]
    if dgain is not None or not constant:
        matrix = (-1, x.shape[2])
        _sums(sums, scratch, dy.reshape(matrix), x.reshape(matrix), *saved, gain, bias, slope)
    if dgain is not None:
        over_samples(channels.weights, mean.shape[1], mean.size, dgain, dbias, sums, accumulate)
    if dx is not None:
        factors = _factors(scratch[_parts(x.shape) :], x, *saved, gain, bias, None if constant else sums)
        # Where it is told that dx is dy, the compiler need not fear that one is a part of the other.
        out = None if np.may_share_memory(dx, dy) else dx.reshape(-1)
        arrays = (out, dy.reshape(-1), x.reshape(-1), factors, constant, slope)
        over_samples(channels.inputs, _pieces(x), 2 * x.size, *arrays)


def rforward(
    ry: Array,
    scratch: Array,
    rx: Array,
    x: Array,
    mean: Array,
    inv_std: Array,
    gain: Array | None,
    rgain: Array | None,
    rbias: Array | None,
    constant: bool,
) -> None:
    """rx, x (G, R, C), mean and inv_std (G, C), gain, rgain and rbias (P, C) -> ry (G, R, C)."""
    version, shape = (rows, x.shape[:2]) if _is_row(x, gain) else (channels, (-1, x.shape[2]))
    sums = scratch[: 2 * mean.size].reshape(2, *mean.shape)
    ry, rx, x = ry.reshape(shape), rx.reshape(shape), x.reshape(shape)
    saved = (mean, inv_std)
    if not constant and version is rows:
        over_samples(rows.sums, mean.size, 2 * x.size, sums, rx, x, *saved)
    elif not constant:
        _sums(sums, scratch[2 * mean.size :], rx, x, *saved)
    over_samples(version.rnormalize, len(x), 2 * x.size, ry, sums, rx, x, *saved, gain, rgain, rbias, constant)


def rbackward(
    rdx: Array | None,
    rdgain: Array | None,
    rdbias: Array | None,
    scratch: Array,
    rdy: Array,
    dy: Array,
    rx: Array,
    x: Array,
    mean: Array,
    inv_std: Array,
    gain: Array | None,
    rgain: Array | None,
    constant: bool,
    accumulate: bool,
) -> None:
    """rdy, dy, rx, x (G, R, C), mean and inv_std (G, C), gain and rgain (P, C) -> rdx (G, R, C), rdgain, rdbias."""
    saved = (mean, inv_std)
    if _is_row(x, gain):
        shape = x.shape[:2]
        rdy, dy, rx, x = (a.reshape(shape) for a in (rdy, dy, rx, x))
        n, r = shape
        sums, totals = scratch[: 2 * n].reshape(2, n, 1), scratch[2 * n : 2 * (n + r)].reshape(2, r)
        if not constant:
            over_samples(rows.sums, n, 2 * x.size, sums, rx, x, *saved)
        arrays = (sums, rdy, dy, rx, x, *saved)
        if rdgain is not None:
            over_samples(rows.rweights, r, 3 * x.size, rdgain, rdbias, totals, *arrays, constant, accumulate)
        if rdx is not None:
            over_samples(rows.rinputs, n, 4 * x.size, rdx.reshape(shape), *arrays, gain, rgain, constant)
        return
    size, shape = mean.size, (-1, x.shape[2])
    rdy, dy, rx, x = (a.reshape(shape) for a in (rdy, dy, rx, x))
    sums, factors = scratch[: 6 * size].reshape(6, *mean.shape), scratch[6 * size : 11 * size].reshape(5, *mean.shape)
    parts = scratch[11 * size :]
    if not constant:
        _sums(sums[:2], parts, rx, x, *saved)
        _sums(sums[2:4], parts, dy, x, *saved)
    if rdgain is not None or not constant:
        _sums(sums[4:], parts, rdy, x, *saved)
        over_samples(channels.add_rsums, size, 2 * x.size, sums, dy, rx, x, *saved, constant)
    if rdgain is not None:
        over_samples(channels.weights, mean.shape[1], size, rdgain, rdbias, sums[4:], accumulate)
    if rdx is not None:
        r = len(x) // len(mean)
        over_samples(channels.rfactors, size, size, factors, sums, r, inv_std, gain, rgain, constant)
        over_samples(channels.rinputs, len(x), 2 * x.size, rdx.reshape(shape), factors, rdy, dy, rx, x, mean, constant)
