"""The GANs that are measured, and what the direct algorithms of their layers cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from types import SimpleNamespace
from typing import Any

import numpy as np

from npgan.backend.base import Array, Backend, Shape
from npgan.layers import Conv2d, ConvTranspose2d, Dense, Flatten, Layer, Reshape
from npgan.layers.base import Spec
from npgan.network import Network
from npgan.recipes import RECIPES, Fit

SMALL = 8
"""Batch of the checks in float64."""
FIELD_WORKS = ("gradient", "Ju anew", "Ju", "JTu anew", "JTu")
"""Works on a game's field v at a point: v, and products with its Jacobian and the transpose of that.

Anew: with all that there is to find at a point that nobody has been at. Without it: at a point where one was before,
as an eigen-solver asks for hundreds.
"""


@dataclass(frozen=True)
class Gan:
    """A recipe at one size.

    Attributes
    ----------
    name, recipe : str
    shape : tuple of int
        Of a sample.
    latent : int
    batches : tuple of int
    model : tuple of (str, number)
        What differs from the recipe's own settings.
    on_gpu : tuple of int
        Batches on a GPU, where they are others.
    """

    name: str
    recipe: str
    shape: Shape
    latent: int
    batches: tuple[int, ...]
    model: tuple[tuple[str, Any], ...] = ()
    on_gpu: tuple[int, ...] = ()

    def batches_on(self, backend: Backend) -> tuple[int, ...]:
        """Return the batches that are measured on a backend."""
        return self.on_gpu if self.on_gpu and backend.name == "gpu" else self.batches

    def networks(self, dtype: str, backend: str | Backend) -> tuple[Network, Network]:
        """Return G and D, with the same weights each time."""
        recipe = RECIPES[self.recipe]
        model = {**recipe.settings["model"], **dict(self.model)}
        layers = recipe.build(Fit(self.shape, None, len(self.shape) == 3, model))
        G, D = (
            Network(each, size, backend=backend, dtype=dtype, seed=1, name=name)
            for each, size, name in zip(layers, ((self.latent,), self.shape), "GD", strict=True)
        )
        return G, D

    def batch(self, n: int, dtype: str) -> tuple[Array, Array]:
        """Return latents and examples, the same each time."""
        draw = np.random.default_rng(0)
        return draw.normal(size=(n, self.latent)).astype(dtype), samples(self.shape, n, dtype, draw)


def samples(shape: Shape, n: int, dtype: str, draw: np.random.Generator) -> Array:
    """Return n samples in (-1, 1)."""
    found: Array = np.tanh(draw.normal(size=(n, *shape))).astype(dtype)
    return found


GANS = (
    Gan("ring", "ring", (2,), 2, (64, 256, 1024)),
    Gan("mlp-1024", "mlp-1024", (28, 28, 1), 100, (128,)),
    Gan("dcgan-28", "dcgan", (28, 28, 1), 100, (64, 128)),
    Gan("dcgan-upsample", "dcgan-upsample", (28, 28, 1), 100, (64,)),
    Gan("dcgan-64", "dcgan", (64, 64, 3), 100, (64,), on_gpu=(64, 128)),
)


class _Listener:
    """In place of the kernels: remembers the geometry that a convolution asks a workspace for."""

    def __init__(self) -> None:
        self.conv, self.bias = self, SimpleNamespace(workspace=lambda *_: 0)
        self.asked: tuple[Any, ...] = ()

    def workspace(self, *geometry: Any) -> int:
        self.asked = geometry
        return 0

    def measured(self, *geometry: Any, of_x: bool) -> int:
        return 0


def geometry(layer: Layer, x: Shape) -> tuple[Any, ...]:
    """Return x, w, y, stride, padding, dilation of the one convolution that a layer and its gradients are made of.

    A transposed convolution names its output x and its input y: it is the data gradient of that convolution.

    Parameters
    ----------
    layer : Conv2d or ConvTranspose2d
    x : tuple of int
        Shape of its input, with the batch.
    """
    listener: Any = _Listener()
    layer.plan(Spec(x), listener)
    found: tuple[Any, ...] = listener.asked
    return found


def flops(layer: Layer, x: Shape) -> float | None:
    """Return the operations of one product of a layer (its output, or either gradient), done directly.

    Winograd's algorithms do with fewer, so that effective operations a second can pass the processor's peak.
    """
    if isinstance(layer, Dense):
        return 2.0 * prod(x) * layer.units
    if isinstance(layer, Conv2d | ConvTranspose2d):
        _, w, y, *_ = geometry(layer, x)
        return 2.0 * float(prod(y[:3]) * prod(w))
    return None


def inputs(network: Network, batch: int) -> list[tuple[str, Layer, Shape]]:
    """Return path, layer and the shape of the input, with the batch, of every layer."""
    found, shape = [], network.input_shape
    for path, layer, out in network.rows:
        found.append((path, layer, (batch, *shape)))
        shape = out
    return found


def _products(network: Network, batch: int) -> tuple[float, float]:
    """Return the operations of a forward pass, and those of its first product alone."""
    each = [found for _, layer, x in inputs(network, batch) if (found := flops(layer, x)) is not None]
    return sum(each), each[0]


def step_flops(G: Network, D: Network, batch: int) -> float:
    """Return the operations of a D+G step, without those that nobody needs.

    G runs once and back for its weights; D runs on real and on fakes, each with its weight gradient and without the
    gradient of the images, and once more on the fakes, for that gradient alone.
    """
    (g, g_first), (d, d_first) = _products(G, batch), _products(D, batch)
    return (3 * g - g_first) + 2 * (3 * d - d_first) + 2 * d


def critic_flops(D: Network, batch: int) -> float:
    """Return the operations of a critic's step with a gradient penalty.

    D on real and on fakes, forward, back and its weight gradient; for the penalty forward, back to the points, forward
    along a direction, and the weight gradient of that. Where a layer is curved (layer norm), the way back along the
    direction does not vanish: it and the weight gradient's second term come on top.
    """
    d, first = _products(D, batch)
    curved = any(layer.curved for _, layer, _ in D.rows if not isinstance(layer, Flatten | Reshape))
    return 2 * (3 * d - first) + 4 * d + (2 * d - first if curved else 0.0)


def product_flops(network: Network, batch: int) -> float:
    """Return the operations of a product with the Hessian by all weights, the gradient being there.

    Along a direction u of the weights: forward and backward each have the term of the moved weights and that of the
    moved activations, which do not move before the first layer; and the weight gradient has both terms.
    """
    d, first = _products(network, batch)
    forward = d + (d - first)
    backward = 2 * (d - first)
    weights = d + (d - first)
    return forward + backward + weights


def field_flops(what: str, G: Network, D: Network, batch: int) -> float:
    """Return the operations of a work on the field v = (dL_D/dD, dL_G/dG) of both networks' weights.

    Both losses are at the same weights, so D's run forward on the fakes is one for both.

    Parameters
    ----------
    what : str
        One of `FIELD_WORKS`.
    """
    (g, g_first), (d, d_first) = _products(G, batch), _products(D, batch)
    gradient = (3 * g - g_first) + 2 * (3 * d - d_first) + d
    common = product_flops(G, batch) + product_flops(D, batch)  # G, and D on real
    products = {
        "gradient": 0.0,
        # D on fakes: forward along both directions; back, L_D's for the weights and L_G's for the fakes.
        "Ju": common + 2 * d + (2 * (d - d_first) + 2 * d) + 2 * d,
        # D on fakes: L_D along u_D; L_G along what u_G moves, which are activations alone; each with both gradients.
        "JTu": common + (2 * d - d_first) + 2 * d + (2 * d - d_first) + 4 * d,
    }
    return products[what.split()[0]] + (gradient if what == "gradient" or what.endswith("anew") else 0.0)


def chosen(batches: Sequence[int], given: Sequence[int]) -> tuple[int, ...]:
    """Return the batches to run: those given by the user, or else the work's own."""
    return tuple(given) or tuple(batches)
