"""dcgan-r1: a DCGAN whose discriminator pays for its gradient on real data (Mescheder, Geiger and Nowozin 2018).

R1 makes the game converge where DCGAN alone may circle. D has no batch norm, which would mix the samples' gradients.
"""

from __future__ import annotations

from npgan.layers import Conv2d, Dense, Flatten, He, Layer, LeakyReLU
from npgan.recipes.dcgan import PLAYER, generator, halvings
from npgan.recipes.recipe import Fit, Networks, Recipe, image_shape


def networks(fit: Fit) -> Networks:
    """Return G and D."""
    size, _, image_channels = image_shape(fit, "dcgan-r1")
    channels, slope = fit.model["channels"], fit.model["slope"]
    count, _ = halvings(size, "dcgan-r1")
    D: list[Layer] = []
    for i in range(count):
        # Without batch norm the weights must keep the signal's size themselves.
        D += [Conv2d(channels * 2**i, 4, stride=2, padding=1, init=He(slope)), LeakyReLU(slope)]
    return generator(size, image_channels, channels, "dcgan-r1"), [*D, Flatten(), Dense(1)]


DCGAN_R1 = Recipe(
    name="dcgan-r1",
    summary="dcgan with the R1 penalty on real data; D without batch norm",
    paper="Mescheder, Geiger and Nowozin 2018, Which training methods for GANs do actually converge?",
    networks=networks,
    settings={
        "steps": 3000,
        "penalties": [{"name": "r1", "gamma": 1.0}],
        "model": {"channels": 64, "slope": 0.2},
        "generator": PLAYER,
        "discriminator": PLAYER,
    },
)
