"""dcgan-upsample: nearest-neighbour upsampling followed by 3x3 convolutions, against checkerboards.

G: latent -> s/4 x s/4 x 2c, then twice (upsample, 3x3 convolution, batch norm, leaky ReLU), 3x3 convolution, tanh.
D: 3x3 convolutions of stride 2, leaky ReLU, batch norm but in the first. Any image size divisible by 4.
"""

from __future__ import annotations

from npgan.errors import ConfigError
from npgan.layers import BatchNorm, Conv2d, Dense, Flatten, Layer, LeakyReLU, Reshape, Tanh, Upsample2d
from npgan.recipes.dcgan import PLAYER, WEIGHTS, norm
from npgan.recipes.recipe import Fit, Networks, Recipe, image_shape


def networks(fit: Fit) -> Networks:
    """Return G and D."""
    size, _, image_channels = image_shape(fit, "dcgan-upsample")
    if size % 4:
        raise ConfigError(f"recipe dcgan-upsample needs a side divisible by 4, and these images have {size}")
    channels, slope = fit.model["channels"], fit.model["slope"]

    def convolution(width: int) -> list[Layer]:
        return [Conv2d(width, 3, padding=1, bias=False, init=WEIGHTS), norm(), LeakyReLU(slope)]

    G: list[Layer] = [
        Dense(size // 4 * (size // 4) * 2 * channels, init=WEIGHTS),
        Reshape((size // 4, size // 4, 2 * channels)),
        BatchNorm(),
        Upsample2d(2),
        *convolution(2 * channels),
        Upsample2d(2),
        *convolution(channels),
        Conv2d(image_channels, 3, padding=1, init=WEIGHTS),
        Tanh(),
    ]
    D: list[Layer] = [Conv2d(channels, 3, stride=2, padding=1, init=WEIGHTS), LeakyReLU(slope)]
    for width in (2 * channels, 4 * channels):
        D += [Conv2d(width, 3, stride=2, padding=1, bias=False, init=WEIGHTS), norm(), LeakyReLU(slope)]
    return G, [*D, Flatten(), Dense(1, init=WEIGHTS)]


DCGAN_UPSAMPLE = Recipe(
    name="dcgan-upsample",
    summary="upsampling followed by 3x3 convolutions, batch norm, leaky ReLU 0.2",
    paper="Odena, Dumoulin and Olah 2016, Deconvolution and checkerboard artifacts (the upsampling)",
    networks=networks,
    settings={
        "steps": 3000,
        "ema": 0.999,
        "model": {"channels": 64, "slope": 0.2},
        "generator": PLAYER,
        "discriminator": PLAYER,
    },
)
