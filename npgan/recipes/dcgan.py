"""dcgan: transposed convolutions and batch norm (Radford, Metz and Chintala 2016).

For images of 64 x 64 with 64 channels:
    G: 100 -> 4x4x512 -> 8x8x256 -> 16x16x128 -> 32x32x64 -> 64x64xC     4x4 kernels, stride 2; batch norm and ReLU
    D: the way back                                                       batch norm but in the first, leaky ReLU 0.2
Fewer halvings for smaller images; 28 x 28 goes 28 - 14 - 7, and 8 x 8 goes 8 - 4 - 2. Weights begin normal with
deviation 0.02.
"""

from __future__ import annotations

from npgan.errors import ConfigError
from npgan.layers import (
    BatchNorm,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Flatten,
    Layer,
    LeakyReLU,
    Normal,
    ReLU,
    Reshape,
    Tanh,
)
from npgan.recipes.recipe import Fit, Networks, Recipe, image_shape

WEIGHTS = Normal(0.02)


def halvings(size: int, recipe: str) -> tuple[int, int]:
    """Return how often the size can be halved, down to 4, and what is left; from 28 to 7 and from 8 to 2: twice."""
    if size in (8, 28):
        return 2, size // 4
    count = (size // 4).bit_length() - 1
    if count >= 2 and size == 4 * 2**count:
        return count, 4
    raise ConfigError(
        f"recipe {recipe} makes images of 8, 16, 32, 64, ... or 28 pixels a side, and these have {size}; "
        "give data.image_size for a folder of images"
    )


def norm() -> BatchNorm:
    """Return DCGAN's batch norm: its gain begins normal(1, 0.02)."""
    return BatchNorm(gain_init=Normal(0.02, mean=1.0))


def generator(size: int, image_channels: int, channels: int, recipe: str) -> list[Layer]:
    """Return the layers from the latent (N, Z) to images (N, size, size, C) in (-1, 1)."""
    count, base = halvings(size, recipe)
    width = channels * 2 ** (count - 1)
    layers: list[Layer] = [
        Dense(base * base * width, bias=False, init=WEIGHTS),
        Reshape((base, base, width)),
        norm(),
        ReLU(),
    ]
    for _ in range(count - 1):
        width //= 2
        layers += [ConvTranspose2d(width, 4, stride=2, padding=1, bias=False, init=WEIGHTS), norm(), ReLU()]
    return [*layers, ConvTranspose2d(image_channels, 4, stride=2, padding=1, init=WEIGHTS), Tanh()]


def discriminator(size: int, channels: int, slope: float, recipe: str) -> list[Layer]:
    """Return the layers from images (N, size, size, C) to a logit (N, 1)."""
    count, _ = halvings(size, recipe)
    layers: list[Layer] = [Conv2d(channels, 4, stride=2, padding=1, init=WEIGHTS), LeakyReLU(slope)]
    for i in range(1, count):
        width = channels * 2**i
        layers += [
            Conv2d(width, 4, stride=2, padding=1, bias=False, init=WEIGHTS),
            norm(),
            LeakyReLU(slope),
        ]
    return [*layers, Flatten(), Dense(1, init=WEIGHTS)]


def networks(fit: Fit) -> Networks:
    """Return G and D."""
    size, _, image_channels = image_shape(fit, "dcgan")
    channels, slope = fit.model["channels"], fit.model["slope"]
    return generator(size, image_channels, channels, "dcgan"), discriminator(size, channels, slope, "dcgan")


PLAYER = {"lr": 2e-4, "optimizer_options": {"betas": [0.5, 0.999]}}

DCGAN = Recipe(
    name="dcgan",
    summary="transposed convolutions 4x4 stride 2, batch norm, ReLU; D with leaky ReLU",
    paper="Radford, Metz and Chintala 2016, Unsupervised representation learning with deep convolutional GANs",
    networks=networks,
    settings={
        "steps": 3000,
        "ema": 0.999,
        "model": {"channels": 64, "slope": 0.2},
        "generator": PLAYER,
        "discriminator": PLAYER,
    },
)
