"""The suite ``products``: Hessian-vector products by all weights of a network, and products with a game's Jacobian."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from npgan.backend.base import Backend
from npgan.bench.contest import Contestant, Makers, Work, own, peers, where
from npgan.bench.gans import FIELD_WORKS, GANS, SMALL, Gan, chosen, field_flops, product_flops
from npgan.bench.ours import Field, Gradient, Product
from npgan.network import Network

_GANS = {"ring": 256, "dcgan-28": 64}
_GAMES = {"ring": 256}


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
    return found + _field_works(backend, batches)


def _field_works(backend: Backend, batches: Sequence[int]) -> list[Work]:
    return [
        Work(
            "products",
            "game",
            f"{gan.name} {what}, batch {batch}",
            partial(_fields, gan, what, batch, backend),
            checks=2,  # the second time it has been at the point
            flops=field_flops(what, *gan.networks("float32", "cpu"), batch),
            gradient=partial(_gradient, gan, batch, backend),
        )
        for gan in GANS
        if gan.name in _GAMES
        for batch in chosen((_GAMES[gan.name],), batches)
        for what in FIELD_WORKS
    ]


def _products(gan: Gan, player: str, batch: int, backend: Backend, dtype: str, small: bool) -> Makers:
    x = gan.batch(SMALL if small else batch, dtype)["GD".index(player)]

    def network(where: str | Backend) -> Network:
        return gan.networks(dtype, where)["GD".index(player)]

    u = np.random.default_rng(1).normal(size=network("cpu").size).astype(dtype)

    def torch(**how: Any) -> Contestant:
        from npgan.bench.torch_contestants import TorchProduct

        return TorchProduct(network("cpu"), x, u, backend=where(backend), **how)

    def jax() -> Contestant:
        from npgan.bench.jax_contestants import JaxProduct

        return JaxProduct(network("cpu"), x, u, backend.name)

    ours = own(backend, small, lambda here: Product(network(here), x, u))
    return ours | peers(torch, jax, images=len(gan.shape) == 3)


def _fields(gan: Gan, what: str, batch: int, backend: Backend, dtype: str, small: bool) -> Makers:
    z, x = gan.batch(SMALL if small else batch, dtype)
    networks = partial(gan.networks, dtype)
    u = np.random.default_rng(1).normal(size=sum(network.size for network in networks("cpu"))).astype(dtype)

    def torch(**how: Any) -> Contestant:
        from npgan.bench.torch_contestants import TorchField

        return TorchField(*networks("cpu"), z, x, what, u, backend=where(backend), **how)

    def jax() -> Contestant:
        from npgan.bench.jax_contestants import JaxField

        return JaxField(*networks("cpu"), z, x, what, u, backend.name)

    ours = own(backend, small, lambda here: Field(*networks(here), z, x, what, u))
    return ours | peers(torch, jax, images=len(gan.shape) == 3)


def _gradient(gan: Gan, batch: int, backend: Backend, dtype: str) -> Contestant:
    return Gradient(*gan.networks(dtype, backend), *gan.batch(batch, dtype))
