"""What a recipe is: two networks made to fit the data, and the settings that train them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from npgan.backend.base import Shape
from npgan.errors import ConfigError
from npgan.layers import Layer
from npgan.options import number, whole

Networks = tuple[list[Layer], list[Layer]]


@dataclass(frozen=True)
class Fit:
    """What the networks must fit.

    Attributes
    ----------
    sample_shape : tuple of int
        (H, W, C) for images, (F,) for points and tables.
    classes : int or None
        The number of labels, where the data have them.
    bounded : bool
        The data lie in (-1, 1), so that a generator ends in tanh.
    model : dict
        The recipe's own settings.
    """

    sample_shape: Shape
    classes: int | None
    bounded: bool
    model: dict[str, Any]


@dataclass(frozen=True)
class Recipe:
    """A named GAN.

    Attributes
    ----------
    name, summary, paper : str
    networks : callable
        ``networks(fit) -> (layers of G, layers of D)``; D ends in one logit.
    settings : mapping
        What differs from the defaults of a `Config`; the keys of its ``model`` table are the recipe's own settings.
    conditional : bool
        G and D read class labels.
    """

    name: str
    summary: str
    paper: str
    networks: Callable[[Fit], Networks]
    settings: Mapping[str, Any] = field(default_factory=dict)
    conditional: bool = False

    def build(self, fit: Fit) -> Networks:
        """Return the layers of G and D, after checking the recipe's own settings and that the data suit it."""
        known = self.settings.get("model", {})
        for key, value in fit.model.items():
            if key not in known:
                close = get_close_matches(key, known, 1)
                hint = f"; did you mean {close[0]}?" if close else ""
                raise ConfigError(
                    f"recipe {self.name} has no setting model.{key}{hint} (there are {', '.join(known) or 'none'})"
                )
            if isinstance(known[key], int):
                whole(f"model.{key}", value, least=1)
            else:
                number(f"model.{key}", value, least=0)
        if self.conditional and not fit.classes:
            raise ConfigError(f"recipe {self.name} needs data with class labels, and these have none")
        return self.networks(fit)


def image_shape(fit: Fit, recipe: str) -> tuple[int, int, int]:
    """Return (H, W, C), or raise ConfigError where the data are not square images."""
    if len(fit.sample_shape) != 3 or fit.sample_shape[0] != fit.sample_shape[1]:
        raise ConfigError(
            f"recipe {recipe} makes square images, and a sample of these data is {fit.sample_shape}; "
            "use mlp for anything else, or give data.image_size for a folder of images"
        )
    return fit.sample_shape
