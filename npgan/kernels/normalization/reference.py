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

R-maps. Write s = inv_std and P(v) = v - avg(v) - xhat avg(xhat v), so that dxhat = s P(dx_) and dx = s P(g). Along a
direction rx, rgain, rbias the lines above are
    rxhat = s P(rx),  ry = rxhat gain + xhat rgain + rbias,  rs = -s^2 avg(xhat rx).
The product rule on dx = s P(g), with rg = rdy gain + dy rgain, where P changes through both of its xhat:
    R{P(g)} = rg - avg(rg) - rxhat avg(xhat g) - xhat avg(xhat rg + rxhat g)
    rdx = s (R{P(g)} - s avg(xhat rx) P(g)),
and on the sums, rdgain = sum of (rdy xhat + dy rxhat), rdbias = sum of rdy. Nowhere is avg(xhat^2) taken for 1: it is
1 - eps s^2. Where the statistics are constants, P(v) = v and rs = 0: rxhat = s rx and rdx = s rg.
"""

from __future__ import annotations

import numpy as np

from npgan.backend.base import Array, Shape


def workspace(x: Shape) -> int:
    """Float64 elements of `scratch` for x (G, R, C)."""
    return 0


def rworkspace(x: Shape) -> int:
    """Float64 elements of `scratch` in the R-maps for x (G, R, C)."""
    return 0


def statistics(mean: Array, var: Array, scratch: Array, x: Array, moments: Array | None = None) -> None:
    """x (G, R, C) -> mean (G, C), var (G, C), the biased variance.

    Where x's `moments` (2, N, blocks, C) are given, as `conv.forward` finds them, they may be used up instead of x.

    Two passes: the average of x^2 less the mean's square would cancel. Sums are made in float64.
    """
    wide = np.result_type(x.dtype, np.float64)
    m = x.mean(axis=1, keepdims=True, dtype=wide)
    centred = x - m
    mean[...] = m[:, 0, :]
    var[...] = (centred * centred).mean(axis=1)


def settle(
    inv_std: Array,
    mean: Array,
    eps: float,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    momentum: float = 0.0,
    unbiased: float = 1.0,
) -> None:
    """Make of a variance in inv_std (G, C) 1 / sqrt(var + eps).

    With running_mean and running_var (C,), G = 1, also running <- (1 - momentum) running + momentum new, where the new
    variance is `unbiased` times the one that was given.
    """
    if running_mean is not None and running_var is not None:
        running_mean *= 1.0 - momentum
        running_mean += momentum * mean[0]
        running_var *= 1.0 - momentum
        running_var += (momentum * unbiased) * inv_std[0]
    np.add(inv_std, eps, out=inv_std)
    np.sqrt(inv_std, out=inv_std)
    np.divide(1.0, inv_std, out=inv_std)


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
    """x (G, R, C), mean and inv_std (G, C), gain and bias (P, C) -> y (G, R, C).

    With a slope, y is what the leaky ReLU of that slope (0 for ReLU) makes of it.
    """
    xhat = (x - mean[:, None, :]) * inv_std[:, None, :]
    y[...] = xhat if gain is None else xhat * gain + bias
    if slope is not None:
        y[...] = np.where(y.real > 0, y, slope * y if slope else np.where(y.real <= 0, 0, y))


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
    """dy, x (G, R, C), mean and inv_std (G, C), gain and bias (P, C) -> dx (G, R, C), dgain and dbias (P, C).

    An output that is None is not wanted; dx may be dy, in place. `constant`: the statistics do not depend on x.
    `accumulate`: add to dgain and dbias. With a slope, dy is the gradient of what `normalize` made with that slope; the
    sign of the activation's input is computed again, by gain and bias, as that takes less time than reading it.
    """
    s = inv_std[:, None, :]
    xhat = (x - mean[:, None, :]) * s
    if slope is not None:
        v = (xhat if gain is None else xhat * gain + bias).real
        dy = dy * np.where(v > 0, 1, np.where(v <= 0, slope, v))
    if dgain is not None and dbias is not None:
        _add_up(dgain, dy * xhat, accumulate)
        _add_up(dbias, dy, accumulate)
    if dx is not None:
        g = dy if gain is None else dy * gain
        dx[...] = s * (g if constant else _project(g, xhat))


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
    """rx, x (G, R, C), mean and inv_std (G, C), gain, rgain and rbias (P, C) -> ry (G, R, C).

    Where rgain and rbias are None, they are zero.
    """
    s = inv_std[:, None, :]
    xhat = (x - mean[:, None, :]) * s
    rxhat = s * (rx if constant else _project(rx, xhat))
    ry[...] = rxhat if gain is None else rxhat * gain
    if rgain is not None:
        ry += xhat * rgain + rbias


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
    """rdy, dy, rx, x (G, R, C), mean and inv_std (G, C), gain and rgain (P, C) -> rdx (G, R, C), rdgain, rdbias.

    As for `backward`; where rgain is None, it is zero.
    """
    s = inv_std[:, None, :]
    xhat = (x - mean[:, None, :]) * s
    rxhat = s * (rx if constant else _project(rx, xhat))
    if rdgain is not None and rdbias is not None:
        _add_up(rdgain, rdy * xhat + dy * rxhat, accumulate)
        _add_up(rdbias, rdy, accumulate)
    if rdx is not None:
        g, rg = (dy, rdy) if gain is None else (dy * gain, rdy * gain)
        if rgain is not None:
            rg = rg + dy * rgain
        if not constant:
            rg = rg - _average(rg) - rxhat * _average(xhat * g) - xhat * _average(xhat * rg + rxhat * g)
            rg = rg - s * _average(xhat * rx) * _project(g, xhat)
        rdx[...] = s * rg


def _average(v: Array) -> Array:
    """V (G, R, C) -> (G, 1, C), summed in float64."""
    average: Array = v.mean(axis=1, keepdims=True, dtype=np.result_type(v.dtype, np.float64))
    return average


def _project(v: Array, xhat: Array) -> Array:
    """P(v) = v - avg(v) - xhat avg(xhat v)."""
    projected: Array = v - _average(v) - xhat * _average(xhat * v)
    return projected


def _add_up(dw: Array, terms: Array, accumulate: bool) -> None:
    """Terms (G, R, C) -> dw (P, C): written, or added to, the sum over everything that shares an element."""
    shared = (0, 1) if dw.shape[0] == 1 else (0,)
    total = terms.sum(axis=shared, dtype=np.result_type(terms.dtype, np.float64)).reshape(dw.shape)
    dw[...] = dw + total if accumulate else total
