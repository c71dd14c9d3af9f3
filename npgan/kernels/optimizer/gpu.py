"""Updates of a flat vector, in CUDA. See the reference for what they are; each is one pass over memory.

A learning rate, Adam's scales and the weight of an average may lie on the device: see `changing` in backend/cuda.py.
"""

from __future__ import annotations

from typing import Any

from npgan.backend.base import Array
from npgan.backend.cuda import blocks, changing, kernel, launch


def workspace() -> int:
    """Elements of `scratch` for a step."""
    return 0


def descend(theta: Array, d: Array, lr: float) -> None:
    """Write theta - lr d to theta."""
    _run("descend", theta, d, *changing(lr))


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
    """Adam: d = scale1 m / (scale2 sqrt(v) + eps) + decay theta."""
    theta, l2, decay = (g, 0.0, 0.0) if theta is None else (theta, l2, decay)
    numbers = (*changing(scale1), *changing(scale2), float(l2), float(decay))
    _run("adam_direction", d, m, v, g, theta, float(beta1), float(beta2), float(eps), *numbers)


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
    numbers = (float(beta1), float(beta2), float(eps), *changing(scale1), *changing(scale2), float(l2), float(decay))
    _run("adam_step", theta, m, v, g, *changing(lr), *numbers)


def rmsprop_direction(
    d: Array, v: Array, g: Array, theta: Array | None, alpha: float, eps: float, l2: float, scale: float
) -> None:
    """RMSprop: v = alpha v + (1 - alpha) g^2, d = scale g / (sqrt(v) + eps)."""
    theta, l2 = (g, 0.0) if theta is None else (theta, l2)
    _run("rmsprop_direction", d, v, g, theta, float(alpha), float(eps), float(l2), float(scale))


def rmsprop_step(
    theta: Array, scratch: Array, v: Array, g: Array, lr: float, alpha: float, eps: float, l2: float, scale: float
) -> None:
    """rmsprop_direction, then descend."""
    _run("rmsprop_step", theta, v, g, *changing(lr), float(alpha), float(eps), float(l2), float(scale))


def sgd_direction(d: Array, g: Array, theta: Array | None, l2: float, scale: float) -> None:
    """Gradient descent: d = scale g."""
    theta, l2 = (g, 0.0) if theta is None else (theta, l2)
    _run("sgd_direction", d, g, theta, float(l2), float(scale))


def sgd_step(theta: Array, scratch: Array, g: Array, lr: float, l2: float, scale: float) -> None:
    """sgd_direction, then descend."""
    _run("sgd_step", theta, g, *changing(lr), float(l2), float(scale))


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
    theta, l2 = (g, 0.0) if theta is None else (theta, l2)
    _run("momentum_direction", d, u, g, theta, float(momentum), bool(nesterov), float(l2), float(scale))


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
    _run("momentum_step", theta, u, g, *changing(lr), float(momentum), bool(nesterov), float(l2), float(scale))


def average(mean: Array, theta: Array, weight: float) -> None:
    """Write mean + weight (theta - mean) to mean; a weight of 1 copies theta."""
    _run("average", mean, theta, *changing(weight))


def clip(x: Array, limit: float) -> None:
    """Clip x to [-limit, limit] in place; NaN stays."""
    _run("clip", x, float(limit))


def limit(x: Array, norm: float, most: float) -> None:
    """Multiply x by most / norm in place, where its norm is finite and above `most`."""
    _run("limit", x, *changing(norm), float(most))


def scale(x: Array, factor: float) -> None:
    """Multiply x by factor in place."""
    _run("scale", x, *changing(factor))


def _run(name: str, vector: Array, *arguments: Any) -> None:
    launch(kernel("optimizer", name, vector.dtype), blocks(vector.size), 256, vector, *arguments, vector.size)
