"""Losses against PyTorch's double-precision autograd."""

import numpy as np
import pytest

from npgan.losses import get_loss

torch = pytest.importorskip("torch")
F = torch.nn.functional
pytestmark = pytest.mark.peer


def bce(target):
    return lambda t: F.binary_cross_entropy_with_logits(t, torch.full_like(t, target), reduction="none")


def mse(target):
    return lambda t: F.mse_loss(t, torch.full_like(t, target), reduction="none") / 2


PEERS = [
    ("minimax", {}, (bce(1.0), bce(0.0), lambda t: -bce(0.0)(t))),
    ("non-saturating", {}, (bce(1.0), bce(0.0), bce(1.0))),
    ("non-saturating", {"smoothing": 0.1}, (bce(0.9), bce(0.0), bce(1.0))),
    ("least-squares", {"a": -1, "b": 0.9, "c": 0}, (mse(0.9), mse(-1.0), mse(0.0))),
    ("wasserstein", {}, (lambda t: -t, lambda t: t, lambda t: -t)),
    ("hinge", {}, (lambda t: F.relu(1 - t), lambda t: F.relu(1 + t), lambda t: -t)),
]


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize(("name", "options", "peers"), PEERS)
def test_value_gradient_and_curvature(name, options, peers, backend):
    rng = np.random.default_rng(0)
    t, weights = np.concatenate([rng.normal(size=(29, 2)) * 10, [[1.0, -1.0]]]), rng.uniform(0, 2, 30)
    loss = get_loss(name, backend=backend, **options)
    for term, peer in zip((loss.real, loss.fake, loss.generator), peers, strict=True):
        dt, second = np.empty_like(t), np.empty_like(t)
        value = term.value_and_gradient(dt, t, weights)
        term.curvature(second, t, weights)
        leaf = torch.tensor(t, requires_grad=True)
        mean = (peer(leaf) * torch.tensor(weights)[:, None]).mean()
        (gradient,) = torch.autograd.grad(mean, leaf, create_graph=True)
        assert value == pytest.approx(mean.item(), rel=1e-13)
        np.testing.assert_allclose(dt, gradient.detach().numpy(), rtol=1e-12, atol=1e-17)
        if gradient.requires_grad:
            (diagonal,) = torch.autograd.grad(gradient.sum(), leaf)
            np.testing.assert_allclose(second, diagonal.numpy(), rtol=1e-10, atol=1e-17)
        else:
            assert not second.any()
