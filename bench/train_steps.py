"""One whole D+G training step: npgan beside PyTorch (eager, both memory formats), on the same networks and batches.

    python bench/train_steps.py [rounds [recipes whose name has this]]

A step is D on real images, D on fakes, Adam for D, D on the fakes again, Adam for G, with the non-saturating loss. The
losses of a few steps are compared in float64 first; then all are timed in float32, taking turns.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
from timing import interleaved, table

from npgan.backend import get_backend
from npgan.backend.threads import thread_count
from npgan.game import Alternating, Game, Latent, Player
from npgan.losses import get_loss
from npgan.network import Network
from npgan.optimizers import Adam, get_schedule
from npgan.recipes import RECIPES, Fit

LR, BETAS = 2e-4, (0.5, 0.999)
WORK = [  # recipe, sample, batches, latent
    ("ring", (2,), (64, 256, 1024), 2),
    ("mlp-1024", (28, 28, 1), (128,), 100),
    ("dcgan", (28, 28, 1), (64, 128), 100),
    ("dcgan-upsample", (28, 28, 1), (64,), 100),
    ("dcgan", (64, 64, 3), (64,), 100),
]


def networks(recipe: str, shape: tuple[int, ...], latent: int, dtype: str) -> list[Network]:
    """Return G and D."""
    layers = RECIPES[recipe].build(Fit(shape, None, len(shape) == 3, dict(RECIPES[recipe].settings["model"])))
    pairs = zip(layers, ((latent,), shape), "GD", strict=True)
    return [Network(each, size, dtype=dtype, seed=1, name=name) for each, size, name in pairs]


class Given(Latent):
    """Latents that were drawn beforehand, so that all contestants have the same."""

    def draw(self, out, random, stream, step):
        out[...] = self.z
        return out


class Npgan:
    """The rule that trains."""

    def __init__(self, G: Network, D: Network, batch: int) -> None:
        backend = get_backend("cpu")
        players = [Player(n, Adam(n.size, n.dtype, betas=BETAS), get_schedule("constant", lr=LR)) for n in (G, D)]
        game = Game(G, D, get_loss("non-saturating", backend=backend), batch)
        self.latent = Given(G.input_shape)
        self.rule = Alternating(game, *players, self.latent, backend.random(0))
        self.count = 0

    def step(self, z: np.ndarray, x: np.ndarray) -> tuple[float, float]:
        object.__setattr__(self.latent, "z", z)
        found = self.rule.step(self.count, lambda turn: (x, None))
        self.count += 1
        return found["loss_d"], found["loss_g"]


class Torch:
    """The loop of PyTorch's DCGAN example."""

    def __init__(self, G: Network, D: Network, batch: int, channels_last: bool = False) -> None:
        import torch
        from torch_peer import convert

        torch.set_num_threads(thread_count())
        self.torch, self.channels_last = torch, channels_last
        self.nets = [convert(n) for n in (G, D)]
        if channels_last:
            self.nets = [net.to(memory_format=torch.channels_last) for net in self.nets]
        self.adams = [torch.optim.Adam(net.parameters(), LR, BETAS) for net in self.nets]

    def step(self, z: np.ndarray, x: np.ndarray) -> tuple[float, float]:
        from torch.nn.functional import binary_cross_entropy_with_logits as bce
        from torch_peer import images

        torch, (G, D), (adam_g, adam_d) = self.torch, self.nets, self.adams
        z, x = torch.from_numpy(z), images(torch.from_numpy(x))
        if x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last if self.channels_last else torch.contiguous_format)
        ones, zeros = torch.ones(len(z), 1, dtype=z.dtype), torch.zeros(len(z), 1, dtype=z.dtype)
        adam_d.zero_grad()
        fake = G(z)
        loss_d = bce(D(x), ones) + bce(D(fake.detach()), zeros)
        loss_d.backward()
        adam_d.step()
        adam_g.zero_grad()
        for parameter in D.parameters():  # no work for gradients that nobody wants
            parameter.requires_grad_(False)
        loss_g = bce(D(fake), ones)
        loss_g.backward()
        for parameter in D.parameters():
            parameter.requires_grad_(True)
        adam_g.step()
        return float(loss_d.detach()), float(loss_g.detach())


def contestants(recipe: str, shape: tuple[int, ...], batch: int, latent: int, dtype: str) -> dict[str, Npgan | Torch]:
    """Return all whose library is there."""
    found: dict[str, Npgan | Torch] = {"npgan": Npgan(*networks(recipe, shape, latent, dtype), batch)}
    try:
        found["PyTorch"] = Torch(*networks(recipe, shape, latent, dtype), batch)
        if len(shape) == 3 and recipe.startswith("dcgan"):
            found["PyTorch NHWC"] = Torch(*networks(recipe, shape, latent, dtype), batch, channels_last=True)
    except ImportError as error:
        print(f"(PyTorch is left out: {error})")
    return found


def main(rounds: int, only: str = "") -> None:
    print(f"{thread_count()} threads")
    draw = np.random.default_rng(0)
    for recipe, shape, batches, latent in WORK:
        name = f"{recipe} {'x'.join(map(str, shape))}"
        if only not in name:
            continue
        z, x = draw.normal(size=(8, latent)), np.tanh(draw.normal(size=(8, *shape)))
        checked = contestants(recipe, shape, 8, latent, "float64")
        losses = {k: [c.step(z, x) for _ in range(3)] for k, c in checked.items()}
        for each, found in losses.items():
            error = np.abs(np.array(found) / np.array(losses["npgan"]) - 1.0).max()
            if error > 1e-9:
                sys.exit(f"{name}: {each} has other losses, by {error:.1e}: nothing to time")
        print(f"{name}: the same losses in float64")
        for batch in batches:
            z = draw.normal(size=(batch, latent)).astype("float32")
            x = np.tanh(draw.normal(size=(batch, *shape))).astype("float32")
            timed = contestants(recipe, shape, batch, latent, "float32")
            calls: dict[str, Callable[[], object]] = {k: (lambda c=c, z=z, x=x: c.step(z, x)) for k, c in timed.items()}
            some = rounds if shape[0] < 28 else max(5, rounds // (8 if shape[0] > 28 else 3))
            print(table(f"{name}, batch {batch}, float32", interleaved(calls, some)))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 61, *sys.argv[2:3])
