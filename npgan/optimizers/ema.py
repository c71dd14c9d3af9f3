"""The exponential moving average of weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from npgan.backend import get_backend
from npgan.backend.base import Array, Backend
from npgan.optimizers.vectors import check_vector, load_vectors
from npgan.options import number, whole


class Ema:
    """A running mean of the generator's weights, which draws better samples than any one of them.

    Yazıcı et al. (2019), "The unusual effectiveness of averaging in GAN training". With update number t from
    0,

        mean <- d_t mean + (1 - d_t) theta,   d_t = min(decay, (1 + t) / (warmup + t)),   d_0 = 0

    so the first update copies, and the bad weights of the beginning are soon forgotten.

    Parameters
    ----------
    size : int
        P.
    dtype : {"float32", "float64"}
    decay : float
        In [0, 1).
    warmup : float
        At least 1, which means none; 10 is TensorFlow's.
    backend : str or Backend
        Where the weights live.

    Attributes
    ----------
    mean : array (P,)
        Zeros until the first update.
    t : int
        The updates so far.

    Raises
    ------
    ConfigError
        An option out of range.
    """

    def __init__(
        self,
        size: int,
        dtype: Any = "float32",
        *,
        decay: float = 0.999,
        warmup: float = 10.0,
        backend: str | Backend = "cpu",
    ) -> None:
        self.backend = get_backend(backend)
        self.decay = number("Ema: decay", decay, least=0, below=1)
        self.warmup = number("Ema: warmup", warmup, least=1)
        self.mean = self.backend.zeros((whole("Ema: size", size),), self.backend.check_dtype(dtype))
        self.t = 0

    def update(self, theta: Array) -> None:
        """Take the weights theta (P,) into the mean; raise ShapeError or DTypeError where they do not fit."""
        check_vector("Ema", "theta", theta, self.mean.size, self.mean.dtype)
        self.backend.kernels.optimizer.average(self.mean, theta, self.backend.live(self._weight))

    def _weight(self) -> float:
        """Return the weight of the next update, and count it."""
        decay = min(self.decay, (1 + self.t) / (self.warmup + self.t)) if self.t else 0.0
        self.t += 1
        return 1 - decay

    def state(self) -> dict[str, Array]:
        """Return the mean: a view, to be saved together with `t`."""
        return {"mean": self.mean}

    def load_state(self, state: Mapping[str, Any], t: int) -> None:
        """Copy what `state` returned, and its `t`, into this one.

        Raises
        ------
        CheckpointError, ShapeError, DTypeError
            The state does not fit.
        ConfigError
            t is not a whole number from 0.
        """
        t = whole("Ema: t", t)
        load_vectors("Ema", self.state(), state, self.backend)
        self.t = t
