"""Adam and AdamW."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from npgan.backend.recording import Number
from npgan.errors import ConfigError
from npgan.optimizers.base import Optimizer
from npgan.optimizers.groups import Segment
from npgan.options import number


class Adam(Optimizer):
    """Kingma and Ba (2015), "Adam: a method for stochastic optimization", algorithm 1.

        m = beta1 m + (1 - beta1) g             v = beta2 v + (1 - beta2) g^2
        d = m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)

    Parameters
    ----------
    size, dtype, **others
        See `Optimizer`.
    betas : (float, float)
        beta1 and beta2, in [0, 1). Radford et al. (2016) use beta1 = 0.5 for GANs.
    eps : float
        Added after the square root, as in the paper and in PyTorch; at least 0.
    """

    kernel = "adam"
    moments = ("m", "v")

    def __init__(
        self,
        size: int,
        dtype: Any = "float32",
        *,
        betas: Sequence[float] = (0.9, 0.999),
        eps: float = 1e-8,
        **others: Any,
    ) -> None:
        super().__init__(size, dtype, **others)
        if isinstance(betas, str) or not isinstance(betas, Sequence) or len(betas) != 2:
            raise ConfigError(f"{self}: betas is {betas!r}, expected two numbers such as (0.5, 0.999)")
        self.beta1, self.beta2 = (number(f"{self}: betas[{i}]", beta, least=0, below=1) for i, beta in enumerate(betas))
        self.eps = number(f"{self}: eps", eps, least=0)

    def _options(self, segment: Segment) -> tuple[Number, ...]:
        scale1 = self.backend.live(lambda: segment.lr / (1 - self.beta1**self.t))
        scale2 = self.backend.live(lambda: 1 / math.sqrt(1 - self.beta2**self.t))
        return (self.beta1, self.beta2, self.eps, scale1, scale2, *self._decays(segment))

    def _decays(self, segment: Segment) -> tuple[float, float]:
        """Return the decay that goes into the gradient, and the one that goes into the direction."""
        return segment.weight_decay, 0.0


class AdamW(Adam):
    """Loshchilov and Hutter (2019), "Decoupled weight decay regularization", algorithm 2.

    As Adam, but the decay does not go through the moments: d = Adam's d + weight_decay theta.

    Parameters
    ----------
    size, dtype, **others
        See `Optimizer` and `Adam`.
    weight_decay : float
        0.01 by default, as in PyTorch.
    """

    def __init__(self, size: int, dtype: Any = "float32", *, weight_decay: float = 0.01, **others: Any) -> None:
        super().__init__(size, dtype, weight_decay=weight_decay, **others)

    def _decays(self, segment: Segment) -> tuple[float, float]:
        return 0.0, segment.lr * segment.weight_decay
