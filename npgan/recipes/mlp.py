"""mlp, mlp-1024: dense layers with leaky ReLU, for anything small.

G: latent uniform in (-1, 1) -> 128 -> 128 -> the data's size; D mirrors it. For images G ends in tanh.
"""

from __future__ import annotations

from math import prod

from npgan.layers import Dense, Flatten, Layer, LeakyReLU, Reshape, Tanh
from npgan.recipes.recipe import Fit, Networks, Recipe


def networks(fit: Fit) -> Networks:
    """Return G and D."""
    width, slope = fit.model["width"], fit.model["slope"]
    G: list[Layer] = [
        Dense(width),
        LeakyReLU(slope),
        Dense(width),
        LeakyReLU(slope),
        Dense(prod(fit.sample_shape)),
        Reshape(fit.sample_shape),
    ]
    if fit.bounded:
        G.append(Tanh())
    D: list[Layer] = [
        Flatten(),
        Dense(width),
        LeakyReLU(slope),
        Dense(width),
        LeakyReLU(slope),
        Dense(1),
    ]
    return G, D


def _recipe(name: str, width: int, summary: str) -> Recipe:
    players = {"lr": 2e-4, "optimizer_options": {"betas": [0.5, 0.999]}}
    return Recipe(
        name=name,
        summary=summary,
        paper="Goodfellow et al. 2014, Generative adversarial nets",
        networks=networks,
        settings={
            "steps": 20_000,
            "model": {"width": width, "slope": 0.2},
            "latent": {"size": 100, "distribution": "uniform"},
            "generator": players,
            "discriminator": players,
            "log": {"samples_every": 1000, "checkpoint_every": 2000, "every": 50},
        },
    )


MLP = _recipe("mlp", 128, "dense layers 100 -> 128 -> 128 -> data, leaky ReLU")
MLP_1024 = _recipe("mlp-1024", 1024, "the same with two hidden layers of 1024")
