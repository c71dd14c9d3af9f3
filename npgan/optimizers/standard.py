"""The optimizers by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from npgan.backend.base import Backend
from npgan.optimizers.adam import Adam, AdamW
from npgan.optimizers.base import Optimizer
from npgan.optimizers.groups import Range
from npgan.optimizers.rmsprop import RMSprop
from npgan.optimizers.sgd import SGD
from npgan.options import make

OPTIMIZERS: dict[str, type[Optimizer]] = {"adam": Adam, "adamw": AdamW, "rmsprop": RMSprop, "sgd": SGD}


def get_optimizer(
    name: str,
    size: int,
    dtype: Any = "float32",
    *,
    backend: str | Backend = "cpu",
    names: Mapping[str, Range] | None = None,
    **options: Any,
) -> Optimizer:
    """Return the optimizer of that name for a flat vector of `size` weights.

    Parameters
    ----------
    name : str
        A key of `OPTIMIZERS`.
    size, dtype, backend, names
        See `Optimizer`.
    **options
        ``weight_decay`` and ``groups`` (see `Optimizer`), and what the optimizer's class has of its own.

    Raises
    ------
    ConfigError
        Unknown name or option, or a value out of range.
    """
    return make("optimizer", OPTIMIZERS, name, options, size=size, dtype=dtype, backend=backend, names=names)
