"""Named, configured GANs. A new one is a file like its neighbours and one entry here."""

from __future__ import annotations

from difflib import get_close_matches

from npgan.errors import ConfigError
from npgan.recipes.cgan import CGAN
from npgan.recipes.dcgan import DCGAN
from npgan.recipes.dcgan_r1 import DCGAN_R1
from npgan.recipes.dcgan_upsample import DCGAN_UPSAMPLE
from npgan.recipes.mlp import MLP, MLP_1024
from npgan.recipes.recipe import Fit, Recipe
from npgan.recipes.ring import RING
from npgan.recipes.wgan_gp import WGAN_GP

__all__ = ["RECIPES", "Fit", "Recipe", "get_recipe"]

RECIPES = {recipe.name: recipe for recipe in (MLP, MLP_1024, RING, DCGAN, DCGAN_UPSAMPLE, CGAN, WGAN_GP, DCGAN_R1)}


def get_recipe(name: str) -> Recipe:
    """Return the recipe of that name, or raise ConfigError with those that there are."""
    if name not in RECIPES:
        close = get_close_matches(name, RECIPES, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ConfigError(f"there is no recipe {name!r}{hint} (there are {', '.join(RECIPES)})")
    return RECIPES[name]
