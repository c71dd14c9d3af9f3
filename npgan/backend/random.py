"""Random numbers as pure functions of (seed, stream, step, index).

Nothing here has a state. The element with index ``i`` of the draw named ``stream`` in step ``step`` is a fixed
function of those and the seed, so prefetching threads, a killed and resumed run, dropout under finite differences
and a replayed step all see the numbers that they should, without any care taken.

The generator is Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): counter
(index // 4, step, stream, substream), key the 64 bits of the seed. Normal draws are Box-Muller pairs.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from npgan.backend.recording import Live, Step
from npgan.errors import ConfigError

if TYPE_CHECKING:
    from npgan.backend.base import Array, Backend

_MASK = 0xFFFFFFFF


def stream_id(name: str) -> int:
    """Return the 32-bit number of a stream's name (CRC-32: the same on every machine and in every process)."""
    return zlib.crc32(name.encode())


class Random:
    """All the randomness of a run.

    Parameters
    ----------
    seed : int
        0 <= seed < 2**64.
    backend : Backend
        Where the numbers are drawn; the arrays given to the methods live there.
    """

    def __init__(self, seed: int, backend: Backend) -> None:
        if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**64:
            raise ConfigError(f"seed is {seed!r}, expected an integer from 0 to 2**64 - 1")
        self.seed = int(seed)
        self._key = (self.seed & _MASK, self.seed >> 32)
        self.backend = backend

    def _counter(self, stream: str, step: Step, substream: int) -> tuple[int, int, Any, int, int]:
        return (*self._key, step if isinstance(step, Live) else step & _MASK, stream_id(stream), substream)

    def uniform(
        self,
        out: Array,
        stream: str,
        step: Step = 0,
        *,
        low: float = 0.0,
        high: float = 1.0,
        substream: int = 0,
    ) -> Array:
        """Fill `out` with numbers uniform in [low, high)."""
        self.backend.kernels.random.uniform(out, *self._counter(stream, step, substream), low, high)
        return out

    def normal(
        self,
        out: Array,
        stream: str,
        step: Step = 0,
        *,
        mean: float = 0.0,
        std: float = 1.0,
        substream: int = 0,
    ) -> Array:
        """Fill `out` with normal numbers."""
        self.backend.kernels.random.normal(out, *self._counter(stream, step, substream), mean, std)
        return out

    def integers(self, out: Array, stream: str, step: Step = 0, *, high: int, substream: int = 0) -> Array:
        """Fill the integer array `out` with numbers uniform in {0, ..., high - 1} (bias below high / 2**32)."""
        if not 1 <= high <= 2**31:
            raise ConfigError(f"high is {high}, expected 1 to 2**31")
        self.backend.kernels.random.integers(out, *self._counter(stream, step, substream), high)
        return out

    def generator(self, stream: str, step: int = 0) -> np.random.Generator:
        """Return a NumPy generator on the host that begins at a point of its own, for what needs no speed.

        Initial weights and shuffles are drawn with it, so they are the same on every backend.
        """
        # NumPy's Philox counts in its first word: the others say which draw this is.
        return np.random.Generator(np.random.Philox(key=self.seed, counter=[0, step & _MASK, stream_id(stream), 0]))

    def permutation(self, n: int, stream: str, step: int = 0) -> np.ndarray:
        """Return a permutation of 0 .. n - 1 as an int64 NumPy array, on the host."""
        return self.generator(stream, step).permutation(n)
