"""One player: a network and how it is updated."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from npgan.backend.base import Array, Scalar
from npgan.backend.recording import Step
from npgan.losses import clip_weights
from npgan.network import Network
from npgan.optimizers import Ema, Optimizer, Schedule, clip_norm, clip_value, norm
from npgan.optimizers.vectors import norm_scratch


@dataclass
class Player:
    """A network with its optimizer.

    Parameters
    ----------
    network : Network
    optimizer : Optimizer
        Its moments belong to this network's weights.
    rate : Schedule
        Learning rate as a function of the step.
    clip_norm, clip_value : float, optional
        Limits of the gradient: of its norm, of each element.
    clip_weights : float, optional
        Limit of each weight after the update (Wasserstein critics; Arjovsky et al. 2017, algorithm 1).
    ema : Ema, optional
        Moving average of the weights.
    """

    network: Network
    optimizer: Optimizer
    rate: Schedule
    clip_norm: float | None = None
    clip_value: float | None = None
    clip_weights: float | None = None
    ema: Ema | None = None
    gradient: Array = field(init=False)
    _scratch: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.gradient = self.network.grad
        self._scratch = norm_scratch(self.network.size, self.network.backend)

    def clip(self) -> Scalar:
        """Apply the limits to the gradient; return its norm before, NaN or infinite where an element is."""
        return self.limit(self.gradient)

    def limit(self, gradient: Array) -> Scalar:
        """Apply the limits to a gradient (P,), in place; return its norm before."""
        given: dict[str, Any] = {"backend": self.network.backend, "scratch": self._scratch}
        before = []
        if self.clip_value is not None:
            before.append(clip_value(gradient, self.clip_value, **given))
        if self.clip_norm is not None:
            before.append(clip_norm(gradient, self.clip_norm, **given))
        return before[0] if before else norm(gradient, **given)

    def bound(self, theta: Array) -> None:
        """Apply the limit of the weights to theta (P,), in place, where they are not frozen."""
        if self.clip_weights is not None:
            moving = [(s.start, s.stop) for s in self.optimizer.segments if not s.frozen]
            clip_weights(theta, self.clip_weights, moving, backend=self.network.backend)

    def update(self, step: Step) -> None:
        """Move the weights by the optimizer's direction."""
        with self.network.write() as theta:
            self.optimizer.step(theta, self.gradient, self.network.backend.live(lambda: self.rate(int(step))))
            self.bound(theta)
        if self.ema is not None:
            self.ema.update(self.network.theta)
