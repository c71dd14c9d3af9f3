"""The elementary functions of GAN losses in plain NumPy.

Each function l has two kernels. ``l(slope, t, weights, factor, ...)`` writes ``slope = factor w l'(t)`` and
returns ``factor sum(w l(t))``, summed in float64; ``l_curvature(curvature, t, weights, factor, ...)`` writes
``factor w l''(t)``. Shapes are t (N, ...), slope and curvature like t, weights (N,) or None for ones: a
sample's weight multiplies all of its elements. A mean over n elements is factor = 1 / n. `slope` may be `t`
itself.

All are complex-analytic off their kinks, so that the complex step works on them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from npgan.backend.base import Array


def _scale(t: Array, weights: Array | None, factor: float) -> Any:
    """Factor times the weights (N,), shaped to go with t (N, ...)."""
    return factor if weights is None else factor * weights.reshape(-1, *(1,) * (t.ndim - 1))


def _sum(terms: Array) -> float:
    total: float = np.sum(terms, dtype=np.result_type(terms.dtype, np.float64))
    return total


def cross_entropy(slope: Array, t: Array, weights: Array | None, factor: float, target: float) -> float:
    """Logits t (N, ...), target p: l(t) = p softplus(-t) + (1 - p) softplus(t), l'(t) = sigmoid(t) - p.

    The cross-entropy of a coin of probability sigmoid(t) against one of p in [0, 1]. With e = exp(-|t|) <= 1
    nothing overflows and nothing cancels: l = log1p(e) + (1 - p) t for t > 0, log1p(e) - p t else. An
    infinite logit gives Inf or NaN (0 Inf), never a finite loss.
    """
    positive = t.real > 0
    e = np.exp(np.where(positive, -t, t))
    value = np.log1p(e) + np.where(positive, (1 - target) * t, -target * t)
    scale = _scale(t, weights, factor)
    slope[...] = scale * (np.where(positive, (1 - target) - target * e, (1 - target) * e - target) / (1 + e))
    return _sum(scale * value)


def cross_entropy_curvature(curvature: Array, t: Array, weights: Array | None, factor: float, target: float) -> None:
    """Logits t (N, ...): l''(t) = sigmoid(t) sigmoid(-t) = e / (1 + e)^2 , e = exp(-|t|)."""
    e = np.exp(np.where(t.real > 0, -t, t))
    curvature[...] = _scale(t, weights, factor) * (e / ((1 + e) * (1 + e)))


def squared(slope: Array, t: Array, weights: Array | None, factor: float, target: float) -> float:
    """Scores t (N, ...): l(t) = (t - target)^2, l'(t) = 2 (t - target)."""
    difference = t - target
    scale = _scale(t, weights, factor)
    value = _sum(scale * (difference * difference))
    slope[...] = scale * (2 * difference)
    return value


def squared_curvature(curvature: Array, t: Array, weights: Array | None, factor: float, target: float) -> None:
    """Scores t (N, ...): l''(t) = 2."""
    curvature[...] = 2 * _scale(t, weights, factor)


def linear(slope: Array, t: Array, weights: Array | None, factor: float) -> float:
    """Scores t (N, ...): l(t) = t, l'(t) = 1."""
    scale = _scale(t, weights, factor)
    value = _sum(scale * t)
    slope[...] = scale
    return value


def linear_curvature(curvature: Array, t: Array, weights: Array | None, factor: float) -> None:
    """Scores t (N, ...): l''(t) = 0."""
    curvature[...] = 0


def hinge(slope: Array, t: Array, weights: Array | None, factor: float, sign: float) -> float:
    """Scores t (N, ...), sign 1 or -1: l(t) = max(0, 1 - sign t).

    l'(t) = -sign where 1 - sign t > 0 and 0 else: at the kink the slope is 0. A product with the step
    function, so that NaN gives NaN and Inf gives Inf or NaN.
    """
    margin = 1 - sign * t
    step = np.heaviside(margin.real, 0.0)
    scale = _scale(t, weights, factor)
    slope[...] = scale * (-sign * step)
    return _sum(scale * (margin * step))


def hinge_curvature(curvature: Array, t: Array, weights: Array | None, factor: float, sign: float) -> None:
    """Scores t (N, ...): l''(t) = 0, at the kink too (where there is none)."""
    curvature[...] = 0
