"""Numerical derivatives that know how wrong they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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
    value, error = derivatives(lambda t: np.float64(f(t)), h, epsilon)
    return Estimate(float(value), float(error))


def derivatives(
    f: Callable[[float], Any], h: float = 1e-2, epsilon: float = 2.0**-52, noise: Any = 0.0
) -> tuple[Any, Any]:
    """Return `derivative` of every element of an array f(t), and the errors.

    Parameters
    ----------
    f : callable
        Of the distance along a direction; gives an array, of one shape.
    h : float
        The largest step.
    epsilon : float
        Rounding error of f, relative to |f|.
    noise : float or array
        Rounding error of f, absolute: what is left of larger numbers that cancel in f.

    Returns
    -------
    value, error : arrays like f(t)
        Where nothing finite was found, the error is infinite.
    """
    row: list[Any] = []
    value: Any = None
    error: Any = None
    with np.errstate(invalid="ignore", over="ignore"):
        for level in range(_LEVELS):
            step = h / 2**level
            plus, minus = f(step), f(-step)
            if value is None:
                value, error = np.full_like(plus, np.nan), np.full(np.shape(plus), np.inf)
            rounding = (epsilon * (np.abs(plus) + np.abs(minus)) + noise) / step
            new = [(plus - minus) / (2.0 * step)]
            for j, old in enumerate(row):
                new.append(new[j] + (new[j] - old) / (4.0 ** (j + 1) - 1.0))
                apart = np.maximum(np.abs(new[j + 1] - new[j]), np.abs(new[j + 1] - old))
                better = ~(apart + rounding >= error)
                value, error = np.where(better, new[j + 1], value), np.where(better, apart + rounding, error)
            row = new
    lost = ~np.isfinite(value)
    return np.where(lost, row[-1], value), np.where(lost, np.inf, error)
