"""The suite ``layers``: every map of every layer of the recipes, at the shapes that they have there."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np

from npgan.backend.base import Backend, Shape
from npgan.bench.contest import Contestant, Makers, Work, own, peers, where
from npgan.bench.gans import GANS, SMALL, chosen, flops, inputs
from npgan.bench.ours import LayerMap, has_products
from npgan.layers import Conv2d, ConvTranspose2d, Dense, Flatten, Layer, Reshape
from npgan.network import Network

_SINGLE = 1e-4  # nothing comes after a layer that could make rounding larger
_KINDS = {"Conv2d": "conv", "ConvTranspose2d": "tconv", "Dense": "dense", "BatchNorm": "batch norm"}


def works(backend: Backend, batches: Sequence[int]) -> list[Work]:
    """Return all of them; a layer that two networks have at one shape comes once."""
    found, seen = [], set()
    for gan in reversed(GANS):
        for batch in chosen(gan.batches[-1:], batches):
            for network in gan.networks("float32", "cpu"):
                for path, layer, x in inputs(network, batch):
                    if isinstance(layer, Flatten | Reshape) or (repr(layer), x) in seen:
                        continue
                    seen.add((repr(layer), x))
                    found += _maps(f"{gan.name}, batch {batch}", f"{network.name}/{path}", layer, x, backend)
    return found


def describe(layer: Layer, x: Shape) -> str:
    """Return a layer in a few words: ``"conv 4/2, 64 to 128 at 32"`` has a 4×4 kernel, stride 2, on 32×32 pixels."""
    kind = _KINDS.get(type(layer).__name__, type(layer).__name__)
    if isinstance(layer, Conv2d | ConvTranspose2d):
        return f"{kind} {layer.kernel[0]}/{layer.stride[0]}, {x[-1]} to {layer.channels} at {x[1]}"
    if isinstance(layer, Dense):
        return f"{kind} {x[-1]} to {layer.units}"
    return f"{kind}, {'x'.join(map(str, x[1:]))}"


def _maps(group: str, where: str, layer: Layer, x: Shape, backend: Backend) -> list[Work]:
    product = has_products(layer)
    y = _network(layer, x, "float32", "cpu").output_shape
    whats = ("forward", "data", "weight", "backward") if product else ("forward", "backward")
    # Elementwise: x is read and y written; back, x and dy are read and dx is written.
    nbytes = {"forward": 4.0 * (prod(x) + x[0] * prod(y)), "backward": 4.0 * (2 * prod(x) + x[0] * prod(y))}
    return [
        Work(
            "layers",
            group,
            f"{where} {describe(layer, x)}, {what}",
            partial(_contestants, layer, x, what, backend),
            flops=(flops(layer, x) or 0.0) * (1 + (what == "backward")) if product else None,
            nbytes=None if product else nbytes[what],
            single=_SINGLE,
        )
        for what in whats
    ]


def _network(layer: Layer, x: Shape, dtype: str, backend: str | Backend) -> Network:
    return Network([layer], x[1:], dtype=dtype, backend=backend)


def _contestants(layer: Layer, shape: Shape, what: str, backend: Backend, dtype: str, small: bool) -> Makers:
    n = SMALL if small else shape[0]
    network = partial(_network, layer, shape, dtype)
    draw = np.random.default_rng(0)
    x, dy = (draw.normal(size=(n, *each)).astype(dtype) for each in (shape[1:], network("cpu").output_shape))

    def torch(**how: Any) -> Contestant:
        from npgan.bench.torch_contestants import TorchLayerMap

        return TorchLayerMap(network("cpu"), what, x, dy, backend=where(backend), **how)

    ours = own(backend, small, lambda here: LayerMap(network(here), what, x, dy))
    return ours | peers(torch, images=len(shape) == 4)
