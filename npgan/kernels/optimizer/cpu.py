"""Updates of a flat vector, compiled. See the reference for what they are.

Each is one pass over memory, which is all that its time goes to. The scalars are worked out in float64 and
taken to the vector's dtype before a loop, since one float64 among float32 would make the whole loop compute
in float64.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from npgan.backend import threads
from npgan.backend.base import Array
from npgan.backend.compile import kernel
from npgan.backend.threads import over_samples, over_shares

_BLOCK = 1024  # elements; what a step writes down of its direction at a time, which stays in the nearest cache

# A range is sliced off first and the loop runs from 0: then no index can be negative, and the loop is vectorised.
# The first element of `d` is that of index `base`, so that a step can have its direction a block at a time: the
# formula is written once, and a step has the bits of a direction that is then applied. For the same reason the
# kernels always have a theta: where a caller has none, any array does, with a decay of 0.


@kernel
def _descend(start, stop, base, theta, d, lr):  # type: ignore[no-untyped-def]
    theta, d, lr = theta[start:stop], d[start - base : stop - base], theta.dtype.type(lr)
    for i in range(theta.size):
        theta[i] -= lr * d[i]


@kernel
def _adam_direction(start, stop, base, d, m, v, g, theta, b1, c1, b2, c2, eps, scale1, scale2, l2, decay):  # type: ignore[no-untyped-def]
    d, m, v, g, theta = d[start - base : stop - base], m[start:stop], v[start:stop], g[start:stop], theta[start:stop]
    real = d.dtype.type
    b1, c1, b2, c2, eps = real(b1), real(c1), real(b2), real(c2), real(eps)
    scale1, scale2, l2, decay = real(scale1), real(scale2), real(l2), real(decay)
    for i in range(d.size):
        gradient = g[i] + l2 * theta[i]
        m[i] = b1 * m[i] + c1 * gradient
        v[i] = b2 * v[i] + c2 * (gradient * gradient)
        d[i] = scale1 * m[i] / (scale2 * np.sqrt(v[i]) + eps) + decay * theta[i]


@kernel
def _adam_step(start, stop, share, theta, scratch, m, v, g, lr, b1, c1, b2, c2, eps, scale1, scale2, l2, decay):  # type: ignore[no-untyped-def]
    d = scratch[share * _BLOCK : (share + 1) * _BLOCK]
    for low in range(start, stop, _BLOCK):
        high = min(low + _BLOCK, stop)
        _adam_direction(low, high, low, d, m, v, g, theta, b1, c1, b2, c2, eps, scale1, scale2, l2, decay)
        _descend(low, high, low, theta, d, lr)


@kernel
def _rmsprop_direction(start, stop, base, d, v, g, theta, alpha, c, eps, l2, scale):  # type: ignore[no-untyped-def]
    d, v, g, theta = d[start - base : stop - base], v[start:stop], g[start:stop], theta[start:stop]
    real = d.dtype.type
    alpha, c, eps, l2, scale = real(alpha), real(c), real(eps), real(l2), real(scale)
    for i in range(d.size):
        gradient = g[i] + l2 * theta[i]
        v[i] = alpha * v[i] + c * (gradient * gradient)
        d[i] = scale * (gradient / (np.sqrt(v[i]) + eps))


@kernel
def _rmsprop_step(start, stop, share, theta, scratch, v, g, lr, alpha, c, eps, l2, scale):  # type: ignore[no-untyped-def]
    d = scratch[share * _BLOCK : (share + 1) * _BLOCK]
    for low in range(start, stop, _BLOCK):
        high = min(low + _BLOCK, stop)
        _rmsprop_direction(low, high, low, d, v, g, theta, alpha, c, eps, l2, scale)
        _descend(low, high, low, theta, d, lr)


@kernel
def _sgd_direction(start, stop, base, d, g, theta, l2, scale):  # type: ignore[no-untyped-def]
    d, g, theta = d[start - base : stop - base], g[start:stop], theta[start:stop]
    real = d.dtype.type
    l2, scale = real(l2), real(scale)
    for i in range(d.size):
        gradient = g[i] + l2 * theta[i]
        d[i] = scale * gradient


@kernel
def _sgd_step(start, stop, share, theta, scratch, g, lr, l2, scale):  # type: ignore[no-untyped-def]
    d = scratch[share * _BLOCK : (share + 1) * _BLOCK]
    for low in range(start, stop, _BLOCK):
        high = min(low + _BLOCK, stop)
        _sgd_direction(low, high, low, d, g, theta, l2, scale)
        _descend(low, high, low, theta, d, lr)


# d = scale (a gradient + b u), where a, b is 1, momentum for Nesterov's and 0, 1 else. 0 times a gradient that is
# not finite is NaN; u is not finite then either.


@kernel
def _momentum_direction(start, stop, base, d, u, g, theta, momentum, a, b, l2, scale):  # type: ignore[no-untyped-def]
    d, u, g, theta = d[start - base : stop - base], u[start:stop], g[start:stop], theta[start:stop]
    real = d.dtype.type
    momentum, a, b, l2, scale = real(momentum), real(a), real(b), real(l2), real(scale)
    for i in range(d.size):
        gradient = g[i] + l2 * theta[i]
        u[i] = momentum * u[i] + gradient
        d[i] = scale * (a * gradient + b * u[i])


@kernel
def _momentum_step(start, stop, share, theta, scratch, u, g, lr, momentum, a, b, l2, scale):  # type: ignore[no-untyped-def]
    d = scratch[share * _BLOCK : (share + 1) * _BLOCK]
    for low in range(start, stop, _BLOCK):
        high = min(low + _BLOCK, stop)
        _momentum_direction(low, high, low, d, u, g, theta, momentum, a, b, l2, scale)
        _descend(low, high, low, theta, d, lr)


@kernel
def _average(start, stop, mean, theta, weight):  # type: ignore[no-untyped-def]
    copies = weight == 1
    mean, theta, weight = mean[start:stop], theta[start:stop], mean.dtype.type(weight)
    for i in range(mean.size):
        mean[i] = theta[i] if copies else mean[i] + weight * (theta[i] - mean[i])


@kernel
def _clip(start, stop, x, limit):  # type: ignore[no-untyped-def]
    x, limit = x[start:stop], x.dtype.type(limit)
    for i in range(x.size):
        value = x[i]
        if value > limit:
            x[i] = limit
        elif value < -limit:
            x[i] = -limit


@kernel
def _scale(start, stop, x, factor):  # type: ignore[no-untyped-def]
    x, factor = x[start:stop], x.dtype.type(factor)
    for i in range(x.size):
        x[i] *= factor


@kernel
def _limit(start, stop, x, norm, most):  # type: ignore[no-untyped-def]
    if math.isfinite(norm) and norm > most:
        _scale(start, stop, x, most / norm)


def _real(number: Any) -> Any:
    """Return a float, or what stands for one where a step is written down."""
    return float(number) if isinstance(number, int | float) else number


def _run(compiled: Any, arrays: tuple[Array, ...], *scalars: float, base: tuple[int, ...] = ()) -> None:
    size = arrays[0].size
    over_samples(compiled, size, len(arrays) * size, *base, *arrays, *map(_real, scalars), elements=True)


def _run_step(compiled: Any, theta: Array, scratch: Array, arrays: tuple[Array, ...], *scalars: float) -> None:
    work = (1 + len(arrays)) * theta.size
    over_shares(compiled, theta.size, work, theta, scratch, *arrays, *map(_real, scalars), elements=True)


def workspace() -> int:
    """Elements of `scratch` for a step: of its direction, a block for each thread."""
    return threads.thread_count() * _BLOCK


def descend(theta: Array, d: Array, lr: float) -> None:
    """Write theta - lr d to theta."""
    _run(_descend, (theta, d), lr, base=(0,))


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
    """Update m and v, write d = scale1 m / (scale2 sqrt(v) + eps) + decay theta."""
    if theta is None:
        theta, l2, decay = g, 0.0, 0.0
    arrays = (d, m, v, g, theta)
    _run(_adam_direction, arrays, beta1, 1 - beta1, beta2, 1 - beta2, eps, scale1, scale2, l2, decay, base=(0,))


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
    betas = (beta1, 1 - beta1, beta2, 1 - beta2)
    _run_step(_adam_step, theta, scratch, (m, v, g), lr, *betas, eps, scale1, scale2, l2, decay)


def rmsprop_direction(
    d: Array, v: Array, g: Array, theta: Array | None, alpha: float, eps: float, l2: float, scale: float
) -> None:
    """Update v, write d = scale g / (sqrt(v) + eps)."""
    if theta is None:
        theta, l2 = g, 0.0
    _run(_rmsprop_direction, (d, v, g, theta), alpha, 1 - alpha, eps, l2, scale, base=(0,))


def rmsprop_step(
    theta: Array, scratch: Array, v: Array, g: Array, lr: float, alpha: float, eps: float, l2: float, scale: float
) -> None:
    """rmsprop_direction, then descend."""
    _run_step(_rmsprop_step, theta, scratch, (v, g), lr, alpha, 1 - alpha, eps, l2, scale)


def sgd_direction(d: Array, g: Array, theta: Array | None, l2: float, scale: float) -> None:
    """Write d = scale g."""
    if theta is None:
        theta, l2 = g, 0.0
    _run(_sgd_direction, (d, g, theta), l2, scale, base=(0,))


def sgd_step(theta: Array, scratch: Array, g: Array, lr: float, l2: float, scale: float) -> None:
    """sgd_direction, then descend."""
    _run_step(_sgd_step, theta, scratch, (g,), lr, l2, scale)


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
    """Update u, write d = scale u, or scale (g + momentum u) where nesterov."""
    a, b = (1.0, momentum) if nesterov else (0.0, 1.0)
    if theta is None:
        theta, l2 = g, 0.0
    _run(_momentum_direction, (d, u, g, theta), momentum, a, b, l2, scale, base=(0,))


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
    a, b = (1.0, momentum) if nesterov else (0.0, 1.0)
    _run_step(_momentum_step, theta, scratch, (u, g), lr, momentum, a, b, l2, scale)


def average(mean: Array, theta: Array, weight: float) -> None:
    """Write mean + weight (theta - mean) to mean; a weight of 1 copies theta."""
    _run(_average, (mean, theta), weight)


def clip(x: Array, limit: float) -> None:
    """Clip x to [-limit, limit] in place; NaN stays."""
    _run(_clip, (x,), limit)


def limit(x: Array, norm: float, most: float) -> None:
    """Multiply x by most / norm in place, where its norm is finite and above `most`."""
    _run(_limit, (x,), norm, most)


def scale(x: Array, factor: float) -> None:
    """Multiply x by factor in place."""
    _run(_scale, (x,), factor)
