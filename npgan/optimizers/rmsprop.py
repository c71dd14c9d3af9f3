"""RMSprop."""

from __future__ import annotations

from typing import Any

from npgan.optimizers.base import Optimizer
from npgan.optimizers.groups import Segment
from npgan.options import number


class RMSprop(Optimizer):
    """Tieleman and Hinton (2012), Neural networks for machine learning, lecture 6.5, as in PyTorch.

    v = alpha v + (1 - alpha) g^2 and d = g / (sqrt(v) + eps). Arjovsky et al. (2017) train their critic with
    it.

    Parameters
    ----------
    size, dtype, **others
        See `Optimizer`.
    alpha : float
        In [0, 1).
    eps : float
        At least 0.
    """

    kernel = "rmsprop"
    moments = ("v",)

    def __init__(
        self, size: int, dtype: Any = "float32", *, alpha: float = 0.99, eps: float = 1e-8, **others: Any
    ) -> None:
        super().__init__(size, dtype, **others)
        self.alpha = number(f"{self}: alpha", alpha, least=0, below=1)
        self.eps = number(f"{self}: eps", eps, least=0)

    def _options(self, segment: Segment) -> tuple[float, ...]:
        return self.alpha, self.eps, segment.weight_decay, segment.lr
