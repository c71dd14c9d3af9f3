"""Gradient descent, with momentum or without."""

from __future__ import annotations

from typing import Any

from npgan.errors import ConfigError
from npgan.optimizers.base import Optimizer
from npgan.optimizers.groups import Segment
from npgan.options import number


class SGD(Optimizer):
    """Gradient descent; with momentum as in PyTorch (Sutskever et al. 2013, but for where the rate goes).

    d = g without momentum. With it, u = momentum u + g, and d = u, or d = g + momentum u with Nesterov's.

    Parameters
    ----------
    size, dtype, **others
        See `Optimizer`.
    momentum : float
        Above -1 and below 1. Negative momentum is of use in games: Gidel et al. (2019), "Negative momentum
        for improved game dynamics".
    nesterov : bool
        Needs momentum.
    """

    def __init__(
        self, size: int, dtype: Any = "float32", *, momentum: float = 0.0, nesterov: bool = False, **others: Any
    ) -> None:
        self.momentum = number(f"{self}: momentum", momentum, above=-1, below=1)
        if not isinstance(nesterov, bool) or (nesterov and not self.momentum):
            raise ConfigError(f"{self}: nesterov is {nesterov!r} with momentum {momentum!r}; it needs momentum")
        self.nesterov = nesterov
        self.kernel = "momentum" if self.momentum else "sgd"
        self.moments = ("u",) if self.momentum else ()
        super().__init__(size, dtype, **others)

    def _options(self, segment: Segment) -> tuple[float, ...]:
        if not self.momentum:
            return segment.weight_decay, segment.lr
        return self.momentum, self.nesterov, segment.weight_decay, segment.lr
