"""ℓ'(t) of G's losses, t being D's logit of a sample: through the losses' own code, and on paper."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from npgan.backend import get_backend
from npgan.backend.base import Array
from npgan.losses import get_loss

Curve = Callable[[Array], Array]


def sigmoid(t: Array) -> Array:
    """Return 1 / (1 + exp(-t)), which overflows nowhere."""
    found: Array = 0.5 * (1.0 + np.tanh(0.5 * t))
    return found


# As the papers have it.
ON_PAPER: dict[str, Curve] = {
    "minimax": lambda t: -sigmoid(t),
    "non-saturating": lambda t: -sigmoid(-t),
    "least-squares": lambda t: t - 1.0,
    "wasserstein": lambda t: -np.ones_like(t),
    "hinge": lambda t: -np.ones_like(t),
}


def loss_slope(name: str, t: Array) -> Array:
    """Return ℓ'(t) (N,) of a loss, t (N,): what its code gives is of a mean, so N times that."""
    dt = np.empty_like(t)
    get_loss(name, backend=get_backend("cpu")).generator.value_and_gradient(dt, t)
    found: Array = len(t) * dt
    return found
