"""The elementary functions of GAN losses, in CUDA. See the reference for what they are.

What is a float there is an array of shape () here: nobody has to wait for it.
"""

from __future__ import annotations

from typing import Any

from npgan.backend.base import Array
from npgan.backend.cuda import block_sums, blocks, kernel, launch, scalar, sum_blocks


def cross_entropy(slope: Array, t: Array, weights: Array | None, factor: float, target: float) -> float:
    """Logits t (N, ...), target p: l(t) = p softplus(-t) + (1 - p) softplus(t), l'(t) = sigmoid(t) - p."""
    found: float = _value("cross_entropy", slope, t, weights, factor, target)
    return found


def cross_entropy_curvature(curvature: Array, t: Array, weights: Array | None, factor: float, target: float) -> None:
    """Logits t (N, ...): l''(t) = sigmoid(t) sigmoid(-t)."""
    _curvature(2, curvature, t, weights, factor)


def squared(slope: Array, t: Array, weights: Array | None, factor: float, target: float) -> float:
    """Scores t (N, ...): l(t) = (t - target)^2, l'(t) = 2 (t - target)."""
    found: float = _value("squared", slope, t, weights, factor, target)
    return found


def squared_curvature(curvature: Array, t: Array, weights: Array | None, factor: float, target: float) -> None:
    """Scores t (N, ...): l''(t) = 2."""
    _curvature(1, curvature, t, weights, factor)


def linear(slope: Array, t: Array, weights: Array | None, factor: float) -> float:
    """Scores t (N, ...): l(t) = t, l'(t) = 1."""
    found: float = _value("linear", slope, t, weights, factor, 0.0)
    return found


def linear_curvature(curvature: Array, t: Array, weights: Array | None, factor: float) -> None:
    """Scores t (N, ...): l''(t) = 0."""
    _curvature(0, curvature, t, weights, factor)


def hinge(slope: Array, t: Array, weights: Array | None, factor: float, sign: float) -> float:
    """Scores t (N, ...), sign 1 or -1: l(t) = max(0, 1 - sign t)."""
    found: float = _value("hinge", slope, t, weights, factor, sign)
    return found


def hinge_curvature(curvature: Array, t: Array, weights: Array | None, factor: float, sign: float) -> None:
    """Scores t (N, ...): l''(t) = 0, at the kink too (where there is none)."""
    _curvature(0, curvature, t, weights, factor)


def _value(name: str, slope: Array, t: Array, weights: Array | None, factor: float, option: float) -> Any:
    grid, out = sum_blocks(4 * t.size), scalar()
    numbers = (float(factor), float(option), t.size, t.size // len(t))
    launch(kernel("loss", name, t.dtype), grid, 256, block_sums(grid), out, slope, t, weights, *numbers)
    return out


def _curvature(kind: int, out: Array, t: Array, weights: Array | None, factor: float) -> None:
    numbers = (float(factor), kind, t.size, t.size // len(t))
    launch(kernel("loss", "curvature", t.dtype), blocks(t.size), 256, out, t, weights, *numbers)
