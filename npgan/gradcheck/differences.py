"""Numerical derivatives that know how wrong they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_LEVELS = 4


@dataclass(frozen=True)
class Estimate:
    """A derivative and how far it may be off.

    Attributes
    ----------
    value : float
    error : float
        What the extrapolation and the rounding of f leave open, as an absolute error.
    """

    value: float
    error: float


def derivative(f: Callable[[float], float], h: float = 1e-2, epsilon: float = 2.0**-52) -> Estimate:
    """Return f'(0) by central differences at h, h/2, h/4, ... extrapolated to h = 0.

    A central difference errs by c₂h² + c₄h⁴ + …, so that combining two steps removes c₂, two combinations remove c₄
    (Richardson 1911; Ridders 1982, "Accurate computation of F'(x) and F'(x)F''(x)"). Of the table the entry is taken
    whose error is least: its distance from the entries that it was made of, plus what rounding in f can do,
    epsilon |f| / h. A kink of f between -h and h keeps the entries apart, and so shows as a large error.

    Parameters
    ----------
    f : callable
        Of the distance along a direction.
    h : float
        The largest step.
    epsilon : float
        Relative rounding error of f.
    """
    best = Estimate(float("nan"), float("inf"))
    row: list[float] = []
    for level in range(_LEVELS):
        step = h / 2**level
        plus, minus = f(step), f(-step)
        rounding = epsilon * (abs(plus) + abs(minus)) / step
        new = [(plus - minus) / (2.0 * step)]
        for j, old in enumerate(row):
            new.append(new[j] + (new[j] - old) / (4.0 ** (j + 1) - 1.0))
            apart = max(abs(new[j + 1] - new[j]), abs(new[j + 1] - old))
            if not apart + rounding >= best.error:
                best = Estimate(new[j + 1], apart + rounding)
        row = new
    if not np.isfinite(best.value):
        return Estimate(row[-1], float("inf"))
    return best
