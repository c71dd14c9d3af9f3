"""A penalty's gradient by R-maps is what PyTorch's double backward gives."""

from __future__ import annotations

import numpy as np
import pytest

from npgan.layers import BatchNorm, Conv2d, Dense, Flatten, LayerNorm, LeakyReLU, Tanh
from npgan.network import Network
from npgan.penalties import Penalized, get_penalty

pytestmark = pytest.mark.peer

N = 6
CRITICS = {
    "mlp-tanh": ([Dense(16), Tanh(), Dense(16), Tanh(), Dense(1)], (5,)),
    "conv-leaky": (
        [Conv2d(4, 4, stride=2, padding=1), LeakyReLU(), Conv2d(6, 3), LeakyReLU(), Flatten(), Dense(1)],
        (8, 8, 2),
    ),
    "batch-norm": (
        [
            Conv2d(4, 4, stride=2, padding=1),
            LeakyReLU(),
            Conv2d(6, 4, stride=2, padding=1),
            BatchNorm(),
            LeakyReLU(),
            Flatten(),
            Dense(1),
        ],
        (8, 8, 2),
    ),
    "layer-norm": (
        [
            Conv2d(4, 4, stride=2, padding=1),
            LayerNorm(),
            LeakyReLU(),
            Flatten(),
            Dense(8),
            LayerNorm(),
            Tanh(),
            Dense(1),
        ],
        (8, 8, 2),
    ),
}
PENALTIES = {
    "wgan-gp": ({}, lambda n: 10.0 * ((n - 1.0) ** 2).mean()),
    "wgan-gp-one-sided": ({"one_sided": True, "target": 0.2}, lambda n: 10.0 * ((n - 0.2).clamp(min=0.0) ** 2).mean()),
    "r1": ({"gamma": 3.0}, lambda n: 1.5 * (n**2).mean()),
}


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("critic", CRITICS)
def test_parameter_gradients(critic, penalty):
    torch = pytest.importorskip("torch")
    from npgan.bench.torch_peer import convert, gradients, images

    layers, shape = CRITICS[critic]
    D = Network(layers, shape, dtype="float64", seed=2, name="D")
    draw = np.random.default_rng(4)
    with D.write() as theta:
        theta += 0.2 * draw.normal(size=D.size)
    x = draw.normal(size=(N, *shape))
    options, charge = PENALTIES[penalty]

    modules = convert(D)
    points = images(torch.tensor(x)).requires_grad_()
    (g,) = torch.autograd.grad(modules(points).sum(), points, create_graph=True)
    expected = charge(g.flatten(1).norm(dim=1))
    expected.backward()

    found = np.empty(D.size)
    value = Penalized(get_penalty(penalty.removesuffix("-one-sided"), **options), D, N).at(x, found)
    assert value == pytest.approx(expected.item(), rel=1e-12)
    theirs = gradients(D, modules)
    error = np.abs(found - theirs).max() / np.abs(theirs).max()
    print(f"{critic} {penalty}: {error:.1e}")
    assert error < 1e-9
