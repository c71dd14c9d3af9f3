"""wgan-gp: a Wasserstein GAN with gradient penalty (Gulrajani et al. 2017), in DCGAN's shape.

The critic has layer norm where DCGAN has batch norm: the penalty is on each sample's own gradient, and batch norm would
mix samples (section 4 of the paper). Five critic steps for one of the generator; Adam 1e-4 with betas 0 and 0.9.
"""

from __future__ import annotations

from npgan.layers import Conv2d, Dense, Flatten, Layer, LayerNorm, LeakyReLU
from npgan.recipes.dcgan import WEIGHTS, generator, halvings
from npgan.recipes.recipe import Fit, Networks, Recipe, image_shape


def critic(size: int, channels: int, slope: float) -> list[Layer]:
    """Return the layers from images (N, size, size, C) to a score (N, 1)."""
    count, _ = halvings(size, "wgan-gp")
    layers: list[Layer] = [Conv2d(channels, 4, stride=2, padding=1, init=WEIGHTS), LeakyReLU(slope)]
    for i in range(1, count):
        layers += [Conv2d(channels * 2**i, 4, stride=2, padding=1, init=WEIGHTS), LayerNorm(), LeakyReLU(slope)]
    return [*layers, Flatten(), Dense(1, init=WEIGHTS)]


def networks(fit: Fit) -> Networks:
    """Return G and D."""
    size, _, image_channels = image_shape(fit, "wgan-gp")
    channels, slope = fit.model["channels"], fit.model["slope"]
    return generator(size, image_channels, channels, "wgan-gp"), critic(size, channels, slope)


_PLAYER = {"lr": 1e-4, "optimizer_options": {"betas": [0.0, 0.9]}}

WGAN_GP = Recipe(
    name="wgan-gp",
    summary="Wasserstein loss with gradient penalty, five critic steps; D with layer norm",
    paper="Gulrajani et al. 2017, Improved training of Wasserstein GANs",
    networks=networks,
    settings={
        "steps": 3000,
        "loss": "wasserstein",
        "penalties": [{"name": "wgan-gp", "weight": 10.0}],
        "n_critic": 5,
        "model": {"channels": 64, "slope": 0.2},
        "generator": _PLAYER,
        "discriminator": {**_PLAYER, "clip_weights": 0.0},
    },
)
