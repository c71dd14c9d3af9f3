"""A contest that takes no time, and GANs that fit a test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from npgan.bench.contest import Work
from npgan.bench.gans import Gan

TINY = (
    Gan("ring", "ring", (2,), 2, (4,), (("width", 8),)),
    Gan("dcgan-8", "dcgan", (8, 8, 2), 5, (3,), (("channels", 16),)),
    Gan("dcgan-upsample", "dcgan-upsample", (8, 8, 1), 5, (3,), (("channels", 4),)),
)


@pytest.fixture
def tiny(monkeypatch):
    """Put small GANs in the place of those that are measured."""
    for module in ("steps", "layers", "products", "algorithms"):
        monkeypatch.setattr(f"npgan.bench.{module}.GANS", TINY)
    for name in ("_GANS", "_GAMES"):
        monkeypatch.setattr(f"npgan.bench.products.{name}", {"ring": 4, "dcgan-8": 3})
    return TINY


@dataclass
class Fixed:
    """Always the same result."""

    values: object = (1.0, -2.0)
    ran: int = 0

    def result(self):
        return [np.array(self.values)]

    def run(self):
        self.ran += 1


@pytest.fixture
def work():
    """Make a Work of contestants: objects, or functions of (dtype, small) that make them."""

    def make(**contestants) -> Work:
        def makers(dtype, small):
            return {
                name: (lambda each=each: each(dtype, small) if callable(each) else each)
                for name, each in contestants.items()
            }

        return Work("suite", "group", "work", makers, flops=6.0)

    return make


@pytest.fixture
def fixed():
    return Fixed
