"""The elementary functions of GAN losses, compiled. See the reference for what they are.

A logit is taken to float64 whatever its dtype: there are few of them, and the loss is what a user looks at.
For the same reason one thread does it all, which needs no memory for partial sums.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from npgan.backend.base import Array
from npgan.backend.compile import kernel
from npgan.backend.threads import alone, not_written, over_samples


@kernel
def _cross_entropy(slope, t, weights, factor, target):  # type: ignore[no-untyped-def]
    value = 0.0
    for i in range(t.shape[0]):
        scale = factor if weights is None else factor * weights[i]
        total = 0.0
        for j in range(t.shape[1]):
            x = np.float64(t[i, j])
            if x > 0:
                e = np.exp(-x)
                total += np.log1p(e) + (1 - target) * x
                slope[i, j] = scale * (((1 - target) - target * e) / (1 + e))
            else:  # NaN too
                e = np.exp(x)
                total += np.log1p(e) - target * x
                slope[i, j] = scale * (((1 - target) * e - target) / (1 + e))
        value += scale * total
    return value


@kernel
def _cross_entropy_curvature(start, stop, curvature, t, weights, factor):  # type: ignore[no-untyped-def]
    for i in range(start, stop):
        scale = factor if weights is None else factor * weights[i]
        for j in range(t.shape[1]):
            e = np.exp(-abs(np.float64(t[i, j])))
            curvature[i, j] = scale * (e / ((1 + e) * (1 + e)))


@kernel
def _squared(slope, t, weights, factor, target):  # type: ignore[no-untyped-def]
    value = 0.0
    for i in range(t.shape[0]):
        scale = factor if weights is None else factor * weights[i]
        total = 0.0
        for j in range(t.shape[1]):
            difference = np.float64(t[i, j]) - target
            total += difference * difference
            slope[i, j] = scale * (2 * difference)
        value += scale * total
    return value


@kernel
def _linear(slope, t, weights, factor):  # type: ignore[no-untyped-def]
    value = 0.0
    for i in range(t.shape[0]):
        scale = factor if weights is None else factor * weights[i]
        total = 0.0
        for j in range(t.shape[1]):
            total += np.float64(t[i, j])
            slope[i, j] = scale
        value += scale * total
    return value


@kernel
def _hinge(slope, t, weights, factor, sign):  # type: ignore[no-untyped-def]
    value = 0.0
    for i in range(t.shape[0]):
        scale = factor if weights is None else factor * weights[i]
        total = 0.0
        for j in range(t.shape[1]):
            margin = 1 - sign * np.float64(t[i, j])
            step = margin  # NaN
            if margin > 0:
                step = 1.0
            elif margin <= 0:
                step = 0.0
            total += margin * step
            slope[i, j] = scale * (-sign * step)
        value += scale * total
    return value


def _rows(array: Array) -> Array:
    n = array.shape[0]
    return array.reshape(n, array.size // max(n, 1))


def _target(out: Array, t: Array) -> Array:
    """Return the rows (N, M) of out (N, ...), or, where it is not contiguous, memory to be copied to it."""
    if not out.flags.c_contiguous:
        not_written("the gradient of a loss goes to an array that is not in one piece")
    return _rows(out) if out.flags.c_contiguous else np.empty((t.shape[0], t.size // max(t.shape[0], 1)), out.dtype)


def _value(compiled: Any, slope: Array, t: Array, weights: Array | None, *options: float) -> float:
    target = _target(slope, t)
    value: float = alone(compiled, target, _rows(t), weights, *map(float, options))
    if not slope.flags.c_contiguous:
        slope[...] = target.reshape(slope.shape)
    return value


def _constant(out: Array, weights: Array | None, value: float) -> None:
    out[...] = value if weights is None else value * weights.reshape(-1, *(1,) * (out.ndim - 1))


def cross_entropy(slope: Array, t: Array, weights: Array | None, factor: float, target: float) -> float:
    """Write factor w (sigmoid(t) - target), return factor times the sum of w l(t)."""
    return _value(_cross_entropy, slope, t, weights, factor, target)


def cross_entropy_curvature(curvature: Array, t: Array, weights: Array | None, factor: float, target: float) -> None:
    """Write factor w sigmoid(t) sigmoid(-t)."""
    out = _target(curvature, t)
    # An exponential costs some ten times what `work` counts.
    over_samples(_cross_entropy_curvature, t.shape[0], 10 * t.size, out, _rows(t), weights, float(factor))
    if not curvature.flags.c_contiguous:
        curvature[...] = out.reshape(curvature.shape)


def squared(slope: Array, t: Array, weights: Array | None, factor: float, target: float) -> float:
    """Write 2 factor w (t - target), return factor sum(w (t - target)^2)."""
    return _value(_squared, slope, t, weights, factor, target)


def squared_curvature(curvature: Array, t: Array, weights: Array | None, factor: float, target: float) -> None:
    """Write 2 factor w."""
    _constant(curvature, weights, 2 * factor)


def linear(slope: Array, t: Array, weights: Array | None, factor: float) -> float:
    """Write factor w, return factor sum(w t)."""
    return _value(_linear, slope, t, weights, factor)


def linear_curvature(curvature: Array, t: Array, weights: Array | None, factor: float) -> None:
    """Write 0."""
    curvature[...] = 0


def hinge(slope: Array, t: Array, weights: Array | None, factor: float, sign: float) -> float:
    """Write -sign factor w where 1 - sign t > 0 and 0 else, return factor sum(w max(0, 1 - sign t))."""
    return _value(_hinge, slope, t, weights, factor, sign)


def hinge_curvature(curvature: Array, t: Array, weights: Array | None, factor: float, sign: float) -> None:
    """Write 0."""
    curvature[...] = 0
