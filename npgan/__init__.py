"""npgan: a GAN engine on NumPy and CuPy with every derivative by hand.

>>> run = npgan.train("dcgan", steps=2000)
>>> images = run.sample(64)

The names below are loaded when they are first used, so that ``import npgan`` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from npgan._version import __version__

if TYPE_CHECKING:
    from npgan import (
        backend,
        data,
        errors,
        game,
        gradcheck,
        layers,
        losses,
        network,
        optimizers,
        penalties,
        recipes,
        study,
        training,
    )
    from npgan.backend import get_backend
    from npgan.data import open_dataset
    from npgan.losses import get_loss
    from npgan.network import Arena, Network, Pass
    from npgan.recipes import Recipe
    from npgan.training.run import Run
    from npgan.training.trainer import resume, train

__all__ = [
    "Arena",
    "Network",
    "Pass",
    "Recipe",
    "Run",
    "__version__",
    "backend",
    "data",
    "errors",
    "game",
    "get_backend",
    "get_loss",
    "gradcheck",
    "layers",
    "losses",
    "network",
    "open_dataset",
    "optimizers",
    "penalties",
    "recipes",
    "resume",
    "study",
    "train",
    "training",
]

_HOMES = {
    "Arena": "network",
    "Network": "network",
    "Pass": "network",
    "Recipe": "recipes",
    "Run": "training.run",
    "get_backend": "backend",
    "get_loss": "losses",
    "open_dataset": "data",
    "resume": "training.trainer",
    "train": "training.trainer",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"npgan.{_HOMES[name]}"), name)
    if name in __all__:
        return import_module(f"npgan.{name}")
    raise AttributeError(f"module 'npgan' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
