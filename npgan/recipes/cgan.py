"""cgan: a DCGAN told which class to make (Mirza and Osindero 2014).

The label's embedding is concatenated to G's latent and, repeated over the image, to D's input as more channels.
"""

from __future__ import annotations

from npgan.layers import ConcatCondition, Embedding
from npgan.recipes.dcgan import PLAYER, discriminator, generator
from npgan.recipes.recipe import Fit, Networks, Recipe, image_shape


def networks(fit: Fit) -> Networks:
    """Return G and D."""
    size, _, image_channels = image_shape(fit, "cgan")
    channels, slope, width = fit.model["channels"], fit.model["slope"], fit.model["embedding"]
    assert fit.classes is not None
    G = [ConcatCondition(Embedding(fit.classes, width)), *generator(size, image_channels, channels, "cgan")]
    D = [ConcatCondition(Embedding(fit.classes, width)), *discriminator(size, channels, slope, "cgan")]
    return G, D


CGAN = Recipe(
    name="cgan",
    summary="dcgan conditioned on the class label",
    paper="Mirza and Osindero 2014, Conditional generative adversarial nets",
    networks=networks,
    settings={
        "steps": 6000,
        "ema": 0.999,
        "model": {"channels": 64, "slope": 0.2, "embedding": 10},
        "generator": PLAYER,
        "discriminator": PLAYER,
        "log": {"samples": 100},
    },
    conditional=True,
)
