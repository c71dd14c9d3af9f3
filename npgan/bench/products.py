"""The suite ``products``: Hessian-vector products by all weights of a network."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from npgan.backend.base import Backend
from npgan.bench.contest import Contestant, Makers, Work, peers
from npgan.bench.gans import GANS, SMALL, Gan, chosen, product_flops
from npgan.bench.ours import Product
from npgan.bench.results import OURS, REFERENCE
from npgan.network import Network

_GANS = {"ring": 256, "dcgan-28": 64}


def works(backend: Backend, batches: Sequence[int]) -> list[Work]:
    """Return all of them."""
    found = []
    for gan in (each for each in GANS if each.name in _GANS):
        for batch in chosen((_GANS[gan.name],), batches):
            for player in "GD":
                network = gan.networks("float32", "cpu")["GD".index(player)]
                found.append(
                    Work(
                        "products",
                        "",
                        f"{gan.name} {player}, batch {batch}",
                        partial(_products, gan, player, batch, backend),
                        flops=product_flops(network, batch),
                    )
                )
    return found


def _products(gan: Gan, player: str, batch: int, backend: Backend, dtype: str, small: bool) -> Makers:
    x = gan.batch(SMALL if small else batch, dtype)["GD".index(player)]

    def network(where: str | Backend) -> Network:
        return gan.networks(dtype, where)["GD".index(player)]

    u = np.random.default_rng(1).normal(size=network("cpu").size).astype(dtype)

    def torch(**how: Any) -> Contestant:
        from npgan.bench.torch_contestants import TorchProduct

        return TorchProduct(network("cpu"), x, u, backend=backend.name, **how)

    def jax() -> Contestant:
        from npgan.bench.jax_contestants import JaxProduct

        return JaxProduct(network("cpu"), x, u, backend.name)

    ours = {
        OURS: lambda: Product(network(backend), x, u),
        REFERENCE: lambda: Product(network("reference"), x, u),
    }
    return ours | peers(torch, jax, images=len(gan.shape) == 3)
