"""Normalisation, in CUDA. See the reference for what it is; x is (G, R, C).

Sums are made in float64, each in one pass over its arrays. A gain and a bias are one for each channel, outside of the
sums over a column, or one for each element of a row (C = 1), inside of them.
"""

from __future__ import annotations

from typing import Any

from npgan.backend.base import Array, Shape
from npgan.backend.cuda import block_sums, blocks, group_grid, kernel, launch


def workspace(x: Shape) -> int:
    """Float64 elements of `scratch` for x (G, R, C): two sums for each channel of a group."""
    return 2 * x[0] * x[2]


def rworkspace(x: Shape) -> int:
    """Float64 elements of `scratch` in the R-maps for x (G, R, C): seven sums, and five factors from them."""
    return 12 * x[0] * x[2]


def statistics(mean: Array, var: Array, scratch: Array, x: Array, moments: Array | None = None) -> None:
    """x (G, R, C) -> mean (G, C), var (G, C), the biased variance."""
    _sum(x, "statistics", 2, x.shape, mean, var, x, *x.shape)


def settle(
    inv_std: Array,
    mean: Array,
    eps: float,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    momentum: float = 0.0,
    unbiased: float = 1.0,
) -> None:
    """Make of a variance in inv_std (G, C) 1 / sqrt(var + eps), and running statistics: one launch for all of it."""
    numbers = (float(eps), float(momentum), float(unbiased), inv_std.size)
    _each(inv_std, "settle", inv_std, mean, running_mean, running_var, *numbers)


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
    _each(x, "normalize", y, x, *_frame(x, mean, inv_std, gain, bias, slope))


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
    groups, r, c = x.shape
    frame, element = _frame(x, mean, inv_std, gain, bias, slope), _element(gain)
    outright = (dgain, dbias) if groups == 1 and not element else (None, None)
    if (dx is not None and not constant) or (dgain is not None and not element):
        _sum(x, "sums", 2, x.shape, scratch, *outright, dy, x, accumulate, *frame)
    if dgain is not None and element:
        _sum(x, "element_weights", 2, (1, groups, r), dgain, dbias, dy, x, mean, inv_std, accumulate, groups, r)
    elif dgain is not None and groups > 1:
        _each(dgain, "weights", dgain, dbias, scratch, accumulate, groups, c)
    if dx is not None:
        _each(x, "inputs", dx, scratch, dy, x, constant, *frame)


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
    if not constant:
        plain = _frame(x, mean, inv_std, None, None, None)
        _sum(x, "sums", 2, x.shape, scratch, None, None, rx, x, False, *plain)
    _each(x, "rnormalize", ry, scratch, rx, x, rgain, rbias, constant, *_frame(x, mean, inv_std, gain, None, None))


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
    groups, r, c = x.shape
    frame, element, arrays = _frame(x, mean, inv_std, gain, None, None), _element(gain), (rdy, dy, rx, x)
    sums, factors = scratch[: 7 * mean.size], scratch[7 * mean.size :]
    if not constant or (rdgain is not None and not element):
        _sum(x, "rsums", 7, x.shape, sums, *arrays, rgain, *frame)
    if rdgain is not None and element:
        saved = (mean, inv_std, constant, accumulate, groups, r)
        _sum(x, "element_rweights", 2, (1, groups, r), rdgain, rdbias, sums, *arrays, *saved)
    elif rdgain is not None:
        _each(rdgain, "rweights", rdgain, rdbias, sums, inv_std, constant, accumulate, groups, r, c)
    if rdx is not None:
        _each(mean, "rfactors", factors, sums, rgain, constant, *frame)
        _each(x, "rinputs", rdx, factors, *arrays, rgain, constant, *frame)


def _element(gain: Array | None) -> bool:
    """Return whether there is a gain for each element of a row."""
    return gain is not None and gain.shape[0] > 1


def _frame(
    x: Array, mean: Array, inv_std: Array, gain: Array | None, bias: Array | None, slope: float | None
) -> tuple[Any, ...]:
    """Return what kernels take as FRAME; gain without bias is for those that do not look at the activation."""
    bends = slope is not None
    return (mean, inv_std, gain, bias, _element(gain), bends, float(slope or 0.0), *x.shape)


def _each(x: Array, name: str, *arguments: Any) -> None:
    launch(kernel("normalization", name, x.dtype), blocks(x.size), 256, *arguments)


def _sum(x: Array, name: str, count: int, shape: Shape, *arguments: Any) -> None:
    groups, _, c = shape
    grid, threads = group_grid(*shape, x.itemsize)
    work = block_sums(count * grid[1] * groups * c if grid[1] > 1 else 0)
    launch(kernel("normalization", name, x.dtype), grid, threads, work, *arguments)
