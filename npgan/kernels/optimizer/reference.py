"""Updates of a flat vector in plain NumPy.

All arrays are (P,) and of one dtype. ``*_direction`` updates the moments and writes the direction d of
``theta <- theta - lr d``; ``*_step`` does both at once. `d` may be the gradient `g` itself. `l2` is a decay
that is added to the gradient, ``g + l2 theta`` (theta is None where it is 0); `scale` multiplies the
direction; `scratch` has `workspace` elements or more, and means nothing afterwards.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from npgan.backend.base import Array


def _decayed(g: Array, theta: Array | None, l2: float) -> Any:
    return g if theta is None else g + l2 * theta


def workspace() -> int:
    """Elements of `scratch` for a step."""
    return 0


def descend(theta: Array, d: Array, lr: float) -> None:
    """Write theta - lr d to theta."""
    theta[...] = theta - lr * d


def adam_direction(
    d: Array,
    m: Array,
    v: Array,
    g: Array,
    theta: Array | None,
    beta1: float,
    beta2: float,
    eps: float,
    scale1: float,
    scale2: float,
    l2: float,
    decay: float,
) -> None:
    """Adam: d = scale1 m / (scale2 sqrt(v) + eps) + decay theta.

    m = beta1 m + (1 - beta1) g and v = beta2 v + (1 - beta2) g^2 first.
    The bias corrections are in the scales: at step t, scale1 = 1 / (1 - beta1^t) and scale2 = 1 / sqrt(1 -
    beta2^t).
    """
    gradient = _decayed(g, theta, l2)
    m[...] = beta1 * m + (1 - beta1) * gradient
    v[...] = beta2 * v + (1 - beta2) * (gradient * gradient)
    direction = scale1 * m / (scale2 * np.sqrt(v) + eps)
    d[...] = direction if theta is None else direction + decay * theta


def adam_step(
    theta: Array,
    scratch: Array,
    m: Array,
    v: Array,
    g: Array,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    scale1: float,
    scale2: float,
    l2: float,
    decay: float,
) -> None:
    """adam_direction, then descend."""
    d = np.empty_like(theta)
    adam_direction(d, m, v, g, theta, beta1, beta2, eps, scale1, scale2, l2, decay)
    descend(theta, d, lr)


def rmsprop_direction(
    d: Array, v: Array, g: Array, theta: Array | None, alpha: float, eps: float, l2: float, scale: float
) -> None:
    """RMSprop: v = alpha v + (1 - alpha) g^2, d = scale g / (sqrt(v) + eps)."""
    gradient = _decayed(g, theta, l2)
    v[...] = alpha * v + (1 - alpha) * (gradient * gradient)
    d[...] = scale * (gradient / (np.sqrt(v) + eps))


def rmsprop_step(
    theta: Array, scratch: Array, v: Array, g: Array, lr: float, alpha: float, eps: float, l2: float, scale: float
) -> None:
    """rmsprop_direction, then descend."""
    d = np.empty_like(theta)
    rmsprop_direction(d, v, g, theta, alpha, eps, l2, scale)
    descend(theta, d, lr)


def sgd_direction(d: Array, g: Array, theta: Array | None, l2: float, scale: float) -> None:
    """Gradient descent: d = scale g."""
    d[...] = scale * _decayed(g, theta, l2)


def sgd_step(theta: Array, scratch: Array, g: Array, lr: float, l2: float, scale: float) -> None:
    """sgd_direction, then descend."""
    d = np.empty_like(theta)
    sgd_direction(d, g, theta, l2, scale)
    descend(theta, d, lr)


def momentum_direction(
    d: Array,
    u: Array,
    g: Array,
    theta: Array | None,
    momentum: float,
    nesterov: bool,
    l2: float,
    scale: float,
) -> None:
    """Momentum: u = momentum u + g, d = scale u, or scale (g + momentum u) where nesterov."""
    gradient = _decayed(g, theta, l2)
    u[...] = momentum * u + gradient
    d[...] = scale * (gradient + momentum * u) if nesterov else scale * u


def momentum_step(
    theta: Array,
    scratch: Array,
    u: Array,
    g: Array,
    lr: float,
    momentum: float,
    nesterov: bool,
    l2: float,
    scale: float,
) -> None:
    """momentum_direction, then descend."""
    d = np.empty_like(theta)
    momentum_direction(d, u, g, theta, momentum, nesterov, l2, scale)
    descend(theta, d, lr)


def average(mean: Array, theta: Array, weight: float) -> None:
    """Write mean + weight (theta - mean) to mean; a weight of 1 copies theta."""
    mean[...] = theta if weight == 1 else mean + weight * (theta - mean)


def clip(x: Array, limit: float) -> None:
    """Clip x to [-limit, limit] in place; NaN stays."""
    np.clip(x, -limit, limit, out=x)


def limit(x: Array, norm: float, most: float) -> None:
    """Multiply x by most / norm in place, where its norm is finite and above `most`."""
    x *= np.where(np.isfinite(norm) & (norm > most), most / np.where(norm > most, norm, 1.0), 1.0).astype(x.dtype)


def scale(x: Array, factor: float) -> None:
    """Multiply x by factor in place."""
    x *= factor
