"""An optimizer's step as a linear map of weights, momentum and gradient.

SGD's is one. Adam and RMSprop divide by a root of their second moments; with those held fixed, as a preconditioner,
theirs is one too. Every one of them is then, weight by weight, with g̃ = g + l₂ θ,

    u ← μ u + c g̃,    θ ← θ - η (a g̃ + b u + λ θ).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from npgan.backend.base import Array
from npgan.errors import ConfigError
from npgan.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop, Segment

LINEAR = ("u", "m")  # the moments that are averages of gradients


@dataclass(frozen=True)
class FrozenStep:
    """The coefficients above, by slices of the weights that are treated alike.

    Attributes
    ----------
    momentum, intake : float
        μ and c.
    slices : list of (start, stop, l2, a, b, decay)
        The rate η is in `a`, `b` and `decay`, which are numbers or arrays. What is frozen is left out.
    """

    momentum: float
    intake: float
    slices: list[tuple[int, int, float, Any, Any, float]]

    def push(self, rtheta: Array, rmoment: Array | None, rg: Array) -> None:
        """Take a direction of the weights (P,), the momentum (P,) and the gradient (P,) through the step, in place."""
        rtheta -= self.displacement(rtheta, rmoment, rg)

    def pull(self, rtheta: Array, rmoment: Array | None) -> Array:
        """Take a gradient by weights (P,) and momentum (P,) back through the step, in place; return that by g (P,)."""
        by_theta, by_g = self.displacement_pull(-rtheta, rmoment)
        rtheta += by_theta
        return by_g

    def displacement_pull(self, rd: Array, rmoment: Array | None) -> tuple[Array, Array]:
        """Transpose `displacement`: return the gradients by weights and g of one by what is taken away, rd (P,)."""
        by_theta, by_g = 0 * rd, 0 * rd
        for start, stop, l2, a, b, decay in self.slices:
            part = slice(start, stop)
            rh = a * rd[part]
            if rmoment is not None:
                moved = rmoment[part] + b * rd[part]
                rh = rh + self.intake * moved
                rmoment[part] = self.momentum * moved
            by_g[part] = rh
            by_theta[part] = l2 * rh + decay * rd[part]
        return by_theta, by_g

    def displacement(self, rtheta: Array, rmoment: Array | None, rg: Array) -> Array:
        """Return the direction of what the step takes away from the weights (P,); that of the momentum is moved."""
        found = 0 * rtheta
        for start, stop, l2, a, b, decay in self.slices:
            part = slice(start, stop)
            rw = rtheta[part]
            rh = rg[part] + l2 * rw
            rd = a * rh + decay * rw
            if rmoment is not None:
                rmoment[part] = self.momentum * rmoment[part] + self.intake * rh
                rd = rd + b * rmoment[part]
            found[part] = rd
        return found


def moment(optimizer: Optimizer) -> str | None:
    """Return the name of the moment that is an average of gradients, or None where there is none."""
    return next((name for name in optimizer.moments if name in LINEAR), None)


def freeze(optimizer: Optimizer, rate: float) -> FrozenStep:
    """Return the optimizer's next step, with its preconditioner as it is now.

    Parameters
    ----------
    optimizer : SGD, Adam, AdamW or RMSprop
        Bias corrections are those of the next step; the second moments are read now.
    rate : float
        Learning rate.

    Raises
    ------
    ConfigError
        It has a preconditioner and has taken no step, so that there is none; or it is another optimizer.
    """
    xp, segments = optimizer.backend.xp, [s for s in optimizer.segments if not s.frozen]
    if isinstance(optimizer, SGD):
        mu, nesterov = optimizer.momentum, optimizer.nesterov
        own = 1.0 if nesterov or not mu else 0.0
        through = 0.0 if not mu else mu if nesterov else 1.0
        slices = [(s.start, s.stop, s.weight_decay, rate * s.lr * own, rate * s.lr * through, 0.0) for s in segments]
        return FrozenStep(mu, 1.0, slices)
    if not isinstance(optimizer, Adam | RMSprop):
        raise ConfigError(f"{optimizer} has no linearisation; there is one of SGD, Adam, AdamW and RMSprop")
    if not optimizer.t:
        raise ConfigError(
            f"{optimizer} has taken no step, so it has no preconditioner to hold fixed; "
            "run the rule for some steps first, or load the optimizer's moments"
        )
    v = optimizer.state()["v"]
    if isinstance(optimizer, RMSprop):
        return FrozenStep(
            0.0,
            0.0,
            [
                (
                    s.start,
                    s.stop,
                    s.weight_decay,
                    rate * s.lr / (xp.sqrt(v[s.start : s.stop]) + optimizer.eps),
                    0.0,
                    0.0,
                )
                for s in segments
            ],
        )
    return FrozenStep(optimizer.beta1, 1 - optimizer.beta1, [_adam(optimizer, s, rate, v) for s in segments])


def _adam(optimizer: Adam, s: Segment, rate: float, v: Array) -> tuple[int, int, float, float, Array, float]:
    t, xp = optimizer.t + 1, optimizer.backend.xp
    corrected = xp.sqrt(v[s.start : s.stop] / (1 - optimizer.beta2**t))
    b = rate * s.lr / (1 - optimizer.beta1**t) / (corrected + optimizer.eps)
    if isinstance(optimizer, AdamW):
        return s.start, s.stop, 0.0, 0.0, b, rate * s.lr * s.weight_decay
    return s.start, s.stop, s.weight_decay, 0.0, b, 0.0
