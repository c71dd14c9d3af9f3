"""Fifty steps beside PyTorch's optimizers, in float64."""

import numpy as np
import pytest

from npgan.optimizers import get_optimizer, get_schedule

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peer

PEERS = [
    ("adam", {"betas": (0.5, 0.999)}, "Adam", {"betas": (0.5, 0.999)}),
    ("adam", {"weight_decay": 0.1, "eps": 1e-3}, "Adam", {"weight_decay": 0.1, "eps": 1e-3}),
    ("adamw", {}, "AdamW", {}),
    ("adamw", {"weight_decay": 0.3}, "AdamW", {"weight_decay": 0.3}),
    ("rmsprop", {}, "RMSprop", {}),
    ("rmsprop", {"alpha": 0.9, "weight_decay": 0.1}, "RMSprop", {"alpha": 0.9, "weight_decay": 0.1}),
    ("sgd", {}, "SGD", {}),
    ("sgd", {"momentum": 0.9, "weight_decay": 0.1}, "SGD", {"momentum": 0.9, "weight_decay": 0.1}),
    ("sgd", {"momentum": 0.9, "nesterov": True}, "SGD", {"momentum": 0.9, "nesterov": True}),
]


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize(("name", "options", "peer", "settings"), PEERS)
def test_fifty_steps(name, options, peer, settings, backend):
    rng = np.random.default_rng(0)
    theta = rng.normal(size=33)
    leaf = torch.nn.Parameter(torch.tensor(theta))
    theirs = getattr(torch.optim, peer)([leaf], lr=0.01, **settings)
    ours = get_optimizer(name, 33, "float64", backend=backend, **options)
    for _ in range(50):
        gradient = rng.normal(size=33) * 10.0 ** rng.integers(-4, 3)
        leaf.grad = torch.tensor(gradient)
        theirs.step()
        ours.step(theta, gradient, 0.01)
        np.testing.assert_allclose(theta, leaf.detach().numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "options", "make"),
    [
        ("cosine", {"steps": 40}, lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 40)),
        ("step", {"gamma": 0.5, "every": 7}, lambda o: torch.optim.lr_scheduler.StepLR(o, 7, 0.5)),
        ("exponential", {"gamma": 0.9}, lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.9)),
        ("linear", {"steps": 40}, lambda o: torch.optim.lr_scheduler.LinearLR(o, 1.0, 0.0, 40)),
    ],
)
def test_schedules(name, options, make):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.2)
    theirs, ours = make(optimizer), get_schedule(name, lr=0.2, **options)
    for step in range(41):
        assert ours(step) == pytest.approx(theirs.get_last_lr()[0], rel=1e-9, abs=1e-12)
        optimizer.step()
        theirs.step()
