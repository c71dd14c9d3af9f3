"""How weights begin. An initializer maps a NumPy generator and a shape to an array.

The fans of a weight (..., I, O) are its receptive field times I and times O.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from npgan.backend.base import Array, Shape
from npgan.errors import ConfigError
from npgan.layers.base import Initializer


def _fans(shape: Shape) -> tuple[int, int]:
    if len(shape) < 2:
        return (shape[0], shape[0]) if shape else (1, 1)
    field = int(np.prod(shape[:-2], dtype=np.int64))
    return field * shape[-2], field * shape[-1]


@dataclass(frozen=True)
class Constant:
    """Every element is `value`."""

    value: float

    def __call__(self, draw: np.random.Generator, shape: Shape) -> Array:
        """Return the array."""
        return np.full(shape, self.value)


class Zeros(Constant):
    """Every element is 0."""

    def __init__(self) -> None:
        super().__init__(0.0)


class Ones(Constant):
    """Every element is 1."""

    def __init__(self) -> None:
        super().__init__(1.0)


@dataclass(frozen=True)
class Normal:
    """Normal numbers. The defaults are DCGAN's (Radford, Metz and Chintala 2016, section 4)."""

    std: float = 0.02
    mean: float = 0.0

    def __call__(self, draw: np.random.Generator, shape: Shape) -> Array:
        """Return the array."""
        return draw.normal(self.mean, self.std, shape)


@dataclass(frozen=True)
class Xavier:
    """Uniform in ±gain √(6 / (fan_in + fan_out)) (Glorot and Bengio 2010, equation 16)."""

    gain: float = 1.0

    def __call__(self, draw: np.random.Generator, shape: Shape) -> Array:
        """Return the array."""
        fan_in, fan_out = _fans(shape)
        bound = self.gain * np.sqrt(6.0 / (fan_in + fan_out))
        return draw.uniform(-bound, bound, shape)


@dataclass(frozen=True)
class He:
    """Normal with variance 2 / ((1 + slope²) fan_in) (He et al. 2015, equations 10 and 15)."""

    slope: float = 0.0

    def __call__(self, draw: np.random.Generator, shape: Shape) -> Array:
        """Return the array."""
        return draw.normal(0.0, np.sqrt(2.0 / ((1.0 + self.slope**2) * _fans(shape)[0])), shape)


@dataclass(frozen=True)
class Orthogonal:
    """Rows or columns orthonormal, whichever are fewer (Saxe, McClelland and Ganguli 2014)."""

    gain: float = 1.0

    def __call__(self, draw: np.random.Generator, shape: Shape) -> Array:
        """Return the array."""
        rows, columns = int(np.prod(shape[:-1], dtype=np.int64)), shape[-1] if shape else 1
        q, r = np.linalg.qr(draw.normal(size=(max(rows, columns), min(rows, columns))))
        q *= np.sign(np.diag(r))  # else the distribution depends on LAPACK's sign convention
        return self.gain * (q if rows >= columns else q.T).reshape(shape)


INITIALIZERS: dict[str, type[Any]] = {
    "normal": Normal,
    "xavier": Xavier,
    "he": He,
    "orthogonal": Orthogonal,
    "zeros": Zeros,
    "ones": Ones,
}


def check_initializer(init: Any) -> Initializer:
    """Return `init`, or raise ConfigError where it is not one."""
    if not callable(init) or isinstance(init, type):
        raise ConfigError(
            f"init is {init!r}, expected an initializer such as Normal(0.02); there are {', '.join(INITIALIZERS)}"
        )
    return init  # type: ignore[no-any-return]


def check_size(value: Any, what: str) -> int:
    """Return a count of units, channels or pixels, or raise ConfigError where it is not one."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ConfigError(f"{what} is {value!r}, expected a whole number from 1")
    return int(value)
