"""A DCGAN trained by npgan and by PyTorch from the same weights on the same batches gives the same losses."""

from __future__ import annotations

import numpy as np
import pytest

from npgan.backend import get_backend
from npgan.game import Alternating, Game, Latent, Player
from npgan.losses import get_loss
from npgan.network import Network
from npgan.optimizers import Adam, get_schedule
from npgan.recipes import RECIPES, Fit

pytestmark = pytest.mark.peer

BATCH, LATENT = 16, 100


def make(recipe: str, shape: tuple[int, ...], channels: int) -> tuple[Network, Network]:
    model = {**RECIPES[recipe].settings["model"], "channels": channels}
    layers = RECIPES[recipe].build(Fit(shape, None, True, model))
    G, D = (
        Network(each, size, dtype="float64", seed=3, name=name)
        for each, size, name in zip(layers, ((LATENT,), shape), "GD", strict=True)
    )
    return G, D


def pytorch_steps(G, D, latents, examples, steps):
    """The DCGAN loop as PyTorch's users write it: D on real, D on fake.detach(), then G through the new D."""
    torch = pytest.importorskip("torch")
    from torch.nn.functional import binary_cross_entropy_with_logits as bce

    from npgan.bench.torch_peer import convert, images

    nets = convert(G), convert(D)
    adams = [torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.999)) for net in nets]
    norms = [m for m in nets[1] if isinstance(m, torch.nn.BatchNorm2d)]
    losses = []
    for step in range(steps):
        z, x = torch.tensor(latents[step]), images(torch.tensor(examples[step]))
        ones, zeros = torch.ones(BATCH, 1, dtype=z.dtype), torch.zeros(BATCH, 1, dtype=z.dtype)
        adams[1].zero_grad()
        real = bce(nets[1](x), ones)
        fake = nets[0](z)
        loss_d = real + bce(nets[1](fake.detach()), zeros)
        loss_d.backward()
        adams[1].step()
        adams[0].zero_grad()
        for norm in norms:  # npgan leaves D's running statistics alone in G's turn
            norm.momentum = 0.0
        loss_g = bce(nets[1](fake), ones)
        loss_g.backward()
        for norm in norms:
            norm.momentum = 0.1
        adams[0].step()
        losses.append((loss_d.item(), loss_g.item()))
    running = [
        [
            (m.running_mean.numpy(), m.running_var.numpy())
            for m in net
            if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)
        ]
        for net in nets
    ]
    return np.array(losses), running


def npgan_steps(G, D, latents, examples, steps):
    backend = get_backend("cpu")
    game = Game(G, D, get_loss("non-saturating", backend=backend), BATCH)
    players = [
        Player(net, Adam(net.size, net.dtype, **ADAM, backend=backend), get_schedule("constant", lr=2e-4))
        for net in (G, D)
    ]
    rule = Alternating(game, *players, Given(latents), backend.random(0))
    found = [rule.step(step, lambda turn: (examples[turn], None)) for step in range(steps)]
    return np.array([(m["loss_d"], m["loss_g"]) for m in found])


ADAM = {"betas": (0.5, 0.999)}


class Given(Latent):
    """Latents that were drawn beforehand."""

    def __init__(self, latents: np.ndarray) -> None:
        super().__init__(latents.shape[2:])
        object.__setattr__(self, "latents", latents)

    def draw(self, out, random, stream, step):
        out[...] = self.latents[step]
        return out


@pytest.mark.parametrize(
    ("recipe", "shape", "steps"), [("dcgan", (28, 28, 1), 100), ("dcgan-upsample", (16, 16, 3), 20)], ids=str
)
def test_losses_are_pytorch_s(recipe, shape, steps):
    pytest.importorskip("torch")
    draw = np.random.default_rng(5)
    latents = draw.normal(size=(steps, BATCH, LATENT))
    examples = np.tanh(draw.normal(size=(steps, BATCH, *shape)))
    expected, running = pytorch_steps(*make(recipe, shape, 16), latents, examples, steps)
    G, D = make(recipe, shape, 16)
    found = npgan_steps(G, D, latents, examples, steps)
    error = np.abs(found / expected - 1.0).max()
    print(f"{recipe}: worst relative difference of a loss in {steps} steps: {error:.1e}")
    assert error < 1e-9
    for net, statistics in zip((G, D), running, strict=True):
        ours = list(net.state_layout.by_name(net.state).values())
        theirs = [array for pair in statistics for array in pair]
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
