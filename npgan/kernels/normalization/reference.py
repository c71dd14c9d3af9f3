"""Normalisation in plain NumPy: y = xhat gain + bias, xhat = (x - mean) inv_std.

The input is seen as x (G, R, C) with statistics over R, for each group and channel:

==========  ====================  ===  =================  =====
            of                    G    R                  C
==========  ====================  ===  =================  =====
batch       x (N, ..., C)         1    N and the places   C
instance    x (N, ..., C)         N    the places         C
layer       x (N, ..., features)  N    the features       1
==========  ====================  ===  =================  =====

gain and bias are (P, C), or None for none: P = 1 is one for each channel, P = R one for each element (C = 1 there).

Backward. Let g = dy gain be the gradient of xhat. From xhat = (x - mean) inv_std, with the averages over R,
    d mean = avg(dx_),  d inv_std = -inv_std^2 avg(xhat dx_)      (as var = avg((x - mean)^2))
    dxhat = inv_std (dx_ - avg(dx_) - xhat avg(xhat dx_)),
a symmetric map, so dx = inv_std (g - avg(g) - xhat avg(g xhat)); where the statistics are constants (running ones),
dx = inv_std g. dgain = sum of dy xhat and dbias = sum of dy over everything that shares them. (Ioffe and Szegedy
2015, section 3, in another form.)
"""

from __future__ import annotations

import numpy as np

from npgan.backend.base import Array, Shape


def workspace(x: Shape) -> int:
    """Float64 elements of `scratch` for x (G, R, C)."""
    return 0


def statistics(mean: Array, var: Array, scratch: Array, x: Array) -> None:
    """x (G, R, C) -> mean (G, C), var (G, C), the biased variance.

    Two passes: the average of x^2 less the mean's square would cancel. Sums are made in float64.
    """
    wide = np.result_type(x.dtype, np.float64)
    m = x.mean(axis=1, keepdims=True, dtype=wide)
    centred = x - m
    mean[...] = m[:, 0, :]
    var[...] = (centred * centred).mean(axis=1)


def normalize(y: Array, x: Array, mean: Array, inv_std: Array, gain: Array | None, bias: Array | None) -> None:
    """x (G, R, C), mean and inv_std (G, C), gain and bias (P, C) -> y (G, R, C)."""
    xhat = (x - mean[:, None, :]) * inv_std[:, None, :]
    y[...] = xhat if gain is None else xhat * gain + bias


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
) -> None:
    """dy, x (G, R, C), mean and inv_std (G, C), gain (P, C) -> dx (G, R, C), dgain and dbias (P, C).

    An output that is None is not wanted. `constant`: the statistics do not depend on x. `accumulate`: add to dgain
    and dbias.
    """
    wide = np.result_type(x.dtype, np.float64)
    xhat = (x - mean[:, None, :]) * inv_std[:, None, :]
    if dgain is not None and dbias is not None:
        shared = (0, 1) if dgain.shape[0] == 1 else (0,)
        for dw, terms in ((dgain, dy * xhat), (dbias, dy)):
            total = terms.sum(axis=shared, dtype=wide).reshape(dw.shape)
            dw[...] = dw + total if accumulate else total
    if dx is not None:
        g = dy if gain is None else dy * gain
        if not constant:
            along = (g * xhat).mean(axis=1, keepdims=True, dtype=wide)
            g = g - g.mean(axis=1, keepdims=True, dtype=wide) - xhat * along
        dx[...] = g * inv_std[:, None, :]
