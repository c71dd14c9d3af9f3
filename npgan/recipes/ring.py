"""ring: points in the plane, for watching what a GAN does.

G: normal latent of 2 -> 128 -> 128 -> 2, D: 2 -> 128 -> 128 -> 1, leaky ReLU between. Eight Gaussians on a circle
unless told otherwise; any data that are vectors will do.
"""

from __future__ import annotations

from npgan.errors import ConfigError
from npgan.layers import Dense, LeakyReLU
from npgan.recipes.recipe import Fit, Networks, Recipe


def networks(fit: Fit) -> Networks:
    """Return G and D."""
    if len(fit.sample_shape) != 1:
        raise ConfigError(f"recipe ring makes vectors, and a sample of these data is {fit.sample_shape}; use mlp")
    width, slope = fit.model["width"], fit.model["slope"]
    G = [Dense(width), LeakyReLU(slope), Dense(width), LeakyReLU(slope), Dense(fit.sample_shape[0])]
    D = [Dense(width), LeakyReLU(slope), Dense(width), LeakyReLU(slope), Dense(1)]
    return list(G), list(D)


_PLAYER = {"lr": 1e-3, "optimizer_options": {"betas": [0.5, 0.999]}}

RING = Recipe(
    name="ring",
    summary="points in the plane: 2 -> 128 -> 128 -> 2 on eight Gaussians",
    paper="Metz et al. 2017, Unrolled generative adversarial networks, section 3.1 (the data)",
    networks=networks,
    settings={
        "steps": 10_000,
        "batch": 256,
        "data": {"name": "ring-8"},
        "latent": {"size": 2, "distribution": "normal"},
        "model": {"width": 128, "slope": 0.2},
        "generator": _PLAYER,
        "discriminator": _PLAYER,
        "log": {"samples_every": 1000, "checkpoint_every": 2000, "every": 50, "samples": 2500},
    },
)
